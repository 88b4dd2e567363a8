//! `/graphql`: what MLflow's web app asks beside the REST API.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::json::{Message, Reply, Request, read_body};
use super::{artifacts, experiments, metrics, model_versions, run_inputs, runs};
use crate::auth::Caller;
use crate::auth::gate::may_read_runs;
use crate::auth::permission::{Action, Requirement};
use crate::error::{Error, Result};
use crate::graphql::{self, Step};
use crate::service::Service;

/// The largest request, in bytes.
const MAX_BODY: usize = 1 << 20;

pub(crate) fn root_routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(answer))
}

/// The routes below `/api` and `/ajax-api` do not have it: MLflow serves it at the root only.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct GraphqlRequest {
    /// The text of the query.
    query: String,
    #[schema(value_type = Object)]
    variables: Option<Json>,
    #[serde(rename = "operationName")]
    operation_name: Option<String>,
}

/// An answer: errors are texts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct GraphqlAnswer {
    #[schema(value_type = Object)]
    data: Json,
    errors: Option<Vec<String>>,
}

/// Ask with GraphQL
#[utoipa::path(post, path = "/graphql", tag = "graphql", request_body = GraphqlRequest,
    responses((status = 200, body = GraphqlAnswer)))]
async fn answer(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<axum::Json<Json>> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Error::invalid("Bad Request. Content-Type must be one of ['application/json']."));
    }
    let bytes = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(|error| Error::invalid(format!("the body of the request cannot be read: {error}")))?;
    let request: Json = serde_json::from_slice(&bytes)
        .map_err(|error| Error::invalid(format!("the body of the request is not JSON: {error}")))?;
    let plan = match graphql::plan(&request, service.options().graphql_limits) {
        Ok(plan) => plan,
        Err(errors) => return Ok(axum::Json(graphql::response(Json::Null, errors))),
    };
    let mut answers = Vec::new();
    for step in plan.steps() {
        // MLflow, too, shows nothing where something else must not be seen.
        let mut answer = match may_see(&service, &caller, step).await {
            Ok(Some(input)) => resolve(&service, &caller, step.name, &input).await,
            Ok(None) => Ok(Json::Null),
            Err(error) => Err(error),
        }
        .map_err(|error| error.to_string());
        if let Ok(found) = &mut answer {
            for wanted in ["experiment", "modelVersions"] {
                if plan.asks_of_runs(step, wanted)
                    && let Err(error) = complete_runs(&service, &caller, found, wanted).await
                {
                    answer = Err(error.to_string());
                    break;
                }
            }
        }
        answers.push(answer);
    }
    Ok(axum::Json(plan.answer(answers)))
}

/// The input of a field, narrowed to what its caller may see; `None` when that is nothing. Searches over runs and model
/// versions narrow themselves.
async fn may_see(service: &Service, caller: &Caller, step: &Step) -> Result<Option<Json>> {
    let mut input = step.input.clone();
    let texts = |name: &str| -> Vec<String> {
        let found = step.input.get(name).and_then(Json::as_array).into_iter().flatten();
        found.filter_map(|id| id.as_str().map(str::to_owned)).collect()
    };
    let text = |name: &str| step.input.get(name).and_then(Json::as_str).map(str::to_owned);
    let allowed = match step.name {
        "mlflowGetExperiment" => {
            let id = text("experimentId").unwrap_or_default();
            caller.may(&[Requirement::new("experiment", &id, Action::Read)])
        }
        "mlflowGetRun" | "mlflowListArtifacts" => {
            let ids: Vec<String> = [text("runId"), text("runUuid")].into_iter().flatten().collect();
            may_read_runs(service, caller, &ids).await?
        }
        "mlflowGetMetricHistoryBulkInterval" => may_read_runs(service, caller, &texts("runIds")).await?,
        "mlflowSearchDatasets" => {
            let mut ids = texts("experimentIds");
            let asked = ids.len();
            ids.retain(|id| caller.may(&[Requirement::new("experiment", id, Action::Read)]));
            let any = asked == 0 || !ids.is_empty();
            input["experimentIds"] = json!(ids);
            any
        }
        _ => true,
    };
    Ok(allowed.then_some(input))
}

/// The answer of the route that a field stands for.
async fn resolve(service: &Service, caller: &Caller, name: &str, input: &Json) -> Result<Json> {
    let state = || State(service.clone());
    match name {
        "mlflowGetRun" => shown(runs::get(state(), read(input)?).await),
        "mlflowGetExperiment" => {
            let mut answer = shown(experiments::get(state(), read(input)?).await)?;
            add_workspace(&mut answer["experiment"]);
            Ok(answer)
        }
        "mlflowSearchRuns" => shown(runs::search(state(), caller.clone(), read(input)?).await),
        "mlflowSearchDatasets" => shown(run_inputs::search_datasets(state(), read(input)?).await),
        "mlflowSearchModelVersions" => {
            shown(model_versions::search_versions(state(), caller.clone(), read(input)?).await)
        }
        "mlflowGetMetricHistoryBulkInterval" => {
            shown(metrics::get_history_bulk_interval(state(), read(input)?).await)
        }
        "mlflowListArtifacts" => shown(artifacts::list_of_run(state(), read(input)?).await),
        _ => Ok(json!({ "output": input })),
    }
}

/// A message of the REST API, from the input of a field.
fn read<M: Message>(input: &Json) -> Result<Request<M>> {
    read_body(input.to_string().as_bytes()).map(Request)
}

fn shown<T: Serialize>(reply: Reply<T>) -> Result<Json> {
    serde_json::to_value(reply?.0).map_err(|error| Error::Bug(format!("cannot write the answer: {error}")))
}

fn add_workspace(experiment: &mut Json) {
    if let Json::Object(fields) = experiment {
        fields.insert("workspace".to_owned(), Json::from("default"));
    }
}

/// Adds the experiment, or the model versions, of every run in an answer.
async fn complete_runs(service: &Service, caller: &Caller, answer: &mut Json, wanted: &str) -> Result<()> {
    let mut experiments: Map<String, Json> = Map::new();
    let mut all: Vec<&mut Json> = Vec::new();
    let Json::Object(answer) = answer else { return Ok(()) };
    for (name, found) in answer.iter_mut() {
        match (name.as_str(), found) {
            ("run", run) => all.push(run),
            ("runs", Json::Array(runs)) => all.extend(runs.iter_mut()),
            _ => {}
        }
    }
    for run in all {
        let text = |name: &str| run["info"][name].as_str().unwrap_or_default().to_owned();
        if wanted == "experiment" {
            let id = text("experiment_id");
            if !experiments.contains_key(&id) {
                let request = read(&json!({"experiment_id": id}))?;
                let mut found = shown(experiments::get(State(service.clone()), request).await)?;
                add_workspace(&mut found["experiment"]);
                experiments.insert(id.clone(), found["experiment"].take());
            }
            run["experiment"] = experiments.get(&id).cloned().unwrap_or_default();
        } else {
            let request = read(&json!({"filter": format!("run_id='{}'", text("run_id"))}))?;
            let mut found = shown(
                model_versions::search_versions(State(service.clone()), caller.clone(), request).await,
            )?;
            run["model_versions"] = found["model_versions"].take();
        }
    }
    Ok(())
}
