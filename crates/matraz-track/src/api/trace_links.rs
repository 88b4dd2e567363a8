//! Tags of traces, and what traces are linked to: runs and versions of prompts.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Empty, Reply};
use super::{Answer, Message, Request};
use crate::error::Error;
use crate::service::Service;
use crate::trace;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(set_tag, delete_tag))
        .routes(routes!(link_to_run))
        .routes(routes!(link_prompts))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct SetTraceTag {
    key: String,
    value: String,
}

impl Message for SetTraceTag {
    const REQUIRED: &'static [&'static str] = &["key"];
}

/// Set a tag of a trace
#[utoipa::path(patch, path = "/3.0/mlflow/traces/{trace_id}/tags", tag = "traces", request_body = SetTraceTag,
    params(("trace_id" = String, Path, description = "`tr-` and 32 digits")),
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
pub(super) async fn set_tag(
    State(service): State<Service>,
    Path(trace_id): Path<String>,
    Request(request): Request<SetTraceTag>,
) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    trace::set_tag(&mut session, &trace_id, &request.key, &request.value).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct DeleteTraceTag {
    key: String,
}

impl Message for DeleteTraceTag {
    const REQUIRED: &'static [&'static str] = &["key"];
}

/// Remove a tag of a trace
#[utoipa::path(delete, path = "/3.0/mlflow/traces/{trace_id}/tags", tag = "traces", request_body = DeleteTraceTag,
    params(("trace_id" = String, Path, description = "`tr-` and 32 digits")),
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
pub(super) async fn delete_tag(
    State(service): State<Service>,
    Path(trace_id): Path<String>,
    Request(request): Request<DeleteTraceTag>,
) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    trace::delete_tag(&mut session, &trace_id, &request.key).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct LinkTraces {
    /// At most 100.
    trace_ids: Vec<String>,
    run_id: String,
}

impl Message for LinkTraces {
    const REQUIRED: &'static [&'static str] = &["trace_ids", "run_id"];
}

/// Link traces to a run
#[utoipa::path(post, path = "/2.0/mlflow/traces/link-to-run", tag = "traces", request_body = LinkTraces,
    responses((status = 200, body = Empty), (status = 400, body = ErrorBody)))]
async fn link_to_run(State(service): State<Service>, Request(request): Request<LinkTraces>) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    trace::link_to_run(&mut session, &request.trace_ids, &request.run_id).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct LinkPrompts {
    trace_id: String,
    prompt_versions: Vec<PromptVersion>,
}

#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct PromptVersion {
    name: String,
    /// A whole number.
    version: String,
}

impl Message for LinkPrompts {
    const REQUIRED: &'static [&'static str] = &["trace_id", "prompt_versions"];
}

/// Link versions of prompts to a trace
#[utoipa::path(post, path = "/2.0/mlflow/traces/link-prompts", tag = "traces", request_body = LinkPrompts,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn link_prompts(
    State(service): State<Service>,
    Request(request): Request<LinkPrompts>,
) -> Reply<Empty> {
    let mut prompts = Vec::new();
    for prompt in request.prompt_versions {
        let version: i64 = prompt.version.trim().parse().map_err(|_| {
            Error::invalid(format!("The version '{}' of a prompt is not a whole number", prompt.version))
        })?;
        prompts.push((prompt.name, version.to_string()));
    }
    let mut session = service.db().write().await?;
    trace::link_prompts(&mut session, &request.trace_id, &prompts).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}
