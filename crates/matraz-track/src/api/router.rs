//! All routes put together, with the API document that is made from the same list.

use axum::Router;
use axum::http::{Uri, header::CONTENT_TYPE};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::{
    again, artifact_proxy, artifacts, assessments, evaluation_datasets, experiments, graphql, logged_models,
    metrics, model_versions, otlp, registered_models, roles, run_data, run_inputs, runs, scorers, security,
    server_info, trace_links, trace_metrics, traces, traces_v2, unoffered, users, web_app, webhooks,
};
use crate::auth::gate;
use crate::db::Db;
use crate::service::Service;

/// The version of MLflow that `GET /version` answers; clients decide by it what they may ask for.
pub const MLFLOW_VERSION: &str = "3.18.0";

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Matraz tracking",
    description = "MLflow's REST API. Every path below /api is served below /ajax-api too.",
    license(name = "Apache-2.0")
))]
struct Document;

/// The routes that exist below `/api` and `/ajax-api`, with their document.
fn versioned() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .merge(experiments::routes())
        .merge(runs::routes())
        .merge(run_data::routes())
        .merge(run_inputs::routes())
        .merge(metrics::routes())
        .merge(server_info::routes())
        .merge(registered_models::routes())
        .merge(model_versions::routes())
        .merge(logged_models::routes())
        .merge(artifacts::routes())
        .merge(artifact_proxy::routes())
        .merge(traces::routes())
        .merge(trace_links::routes())
        .merge(assessments::routes())
        .merge(trace_metrics::routes())
        .merge(traces_v2::routes())
        .merge(users::routes())
        .merge(roles::routes())
        .merge(evaluation_datasets::routes())
        .merge(webhooks::routes())
        .merge(scorers::routes())
        .merge(web_app::routes())
}

/// The routes at the root, with their document.
fn unversioned() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .merge(server_info::root_routes())
        .merge(artifacts::root_routes())
        .merge(otlp::root_routes())
        .merge(graphql::root_routes())
}

/// Every route of the service, behind the checks of Host and Origin. The routes `beside` it are served below `/api` and
/// `/ajax-api` too, and are in the document.
pub fn router(service: Service, beside: OpenApiRouter<Service>) -> Router {
    let document = document(beside.get_openapi().clone());
    let (api, _) = versioned().merge(beside).split_for_parts();
    let (root, _) = unversioned().split_for_parts();
    let mut router = Router::new()
        .nest("/api", api.clone())
        .nest("/ajax-api", api)
        .route("/api/{*path}", any(unknown))
        .route("/ajax-api/{*path}", any(unknown))
        .merge(root)
        .route("/openapi.json", get(move || async move { ([(CONTENT_TYPE, "application/json")], document) }));
    if matches!(service.db(), Db::Postgres(_)) {
        router = router.layer(from_fn(again::repeat));
    }
    router
        .layer(from_fn_with_state(service.clone(), gate::guard))
        .layer(from_fn_with_state(service.clone(), security::guard))
        .with_state(service)
}

/// The API document as JSON, with the document of the routes `beside` those of the service.
pub fn document(beside: OpenApi) -> String {
    let mut document = Document::openapi().nest("/api", versioned().into_openapi()).nest("/api", beside);
    document.merge(unversioned().into_openapi());
    document.info.version = MLFLOW_VERSION.to_owned();
    // A path with slashes in it is a parameter like any other there.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    let mut taken = std::collections::HashSet::new();
    for (path, item) in &mut document.paths.paths {
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                let mut id = operation_id(method, path);
                // Some routes exist in two versions; the newer one stands behind the older.
                while !taken.insert(id.clone()) {
                    id.push_str("_next");
                }
                operation.operation_id = Some(id);
            }
        }
    }
    document.to_pretty_json().unwrap_or_default()
}

/// A name that no other operation has: the method and the path without version and braces.
fn operation_id(method: &str, path: &str) -> String {
    let mut id = method.to_owned();
    for word in path.split(|letter: char| !letter.is_ascii_alphanumeric()) {
        if !word.is_empty() && !matches!(word, "api" | "2" | "3" | "0" | "mlflow") {
            id.push('_');
            id.push_str(word);
        }
    }
    id
}

async fn unknown(uri: Uri) -> impl IntoResponse {
    unoffered::answer(uri.path())
}
