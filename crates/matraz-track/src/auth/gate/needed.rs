//! What a request needs of its caller, thing by thing.

use serde_json::Value;

use super::told::{Told, text};
use crate::artifact::ArtifactPath;
use crate::auth::permission::{Action, Requirement};
use crate::auth::policy::Needs;
use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::model_source::ModelUri;
use crate::registered_model::IS_PROMPT;
use crate::scorer;

/// The requirements of a request; `None` when something that it names does not exist.
pub(super) async fn needed(
    session: &mut Session,
    needs: Needs,
    told: &Told,
) -> Result<Option<Vec<Requirement>>> {
    let mut list = Vec::new();
    match needs {
        Needs::Nothing
        | Needs::User
        | Needs::Admin
        | Needs::WorkspaceAdmin
        | Needs::Member
        | Needs::Oneself
        | Needs::OneselfOrWorkspaceAdmin
        | Needs::MakeExperiment => return Ok(None),
        Needs::Share => {
            let kinds = told.some(&["resource_type"])?;
            for id in told.some(&["resource_id"])? {
                for kind in &kinds {
                    // Sharing all things of a kind is for administrators.
                    let Some(kind) = SHARED.iter().find(|known| *known == kind) else { return Ok(None) };
                    if id == "*" {
                        return Ok(None);
                    }
                    list.push(Requirement::new(kind, &id, Action::Manage));
                }
            }
        }
        Needs::Experiment(action) => {
            for id in told.some(&["experiment_id"])? {
                list.push(Requirement::new("experiment", &id, action));
            }
        }
        Needs::NamedExperiment(action) => {
            for name in told.some(&["experiment_name"])? {
                let found = db::experiment::by_name(session, &name).await?;
                let id = found.map(|found| found.id.to_string()).unwrap_or_default();
                list.push(Requirement::new("experiment", &id, action));
            }
        }
        Needs::WholeExperiment => {
            for id in told.some(&["experiment_id"])? {
                list.push(Requirement::new("experiment", &id, Action::Delete));
                for kind in
                    ["run", "trace", "logged_model", "assessment", "review_queue", "scorer", "scorer_version"]
                {
                    list.push(Requirement::below(kind, "experiment", &id, Action::Delete));
                }
            }
        }
        Needs::Experiments => {
            for id in told.some(&["experiment_ids"])? {
                list.push(Requirement::new("experiment", &id, Action::Read));
            }
        }
        Needs::SearchDatasets => {
            let ids = told.all(&["experiment_ids"]);
            if ids.is_empty() {
                return Ok(None);
            }
            list.extend(ids.iter().map(|id| Requirement::new("experiment", id, Action::Read)));
        }
        Needs::MakeIn(kind) => {
            for id in told.some(&["experiment_id"])? {
                list.push(Requirement::new("experiment", &id, Action::Update));
                list.push(Requirement::new(kind, "*", Action::NotDenied));
            }
        }
        Needs::Run(action) => {
            if !inside(session, "run", &told.some(&["run_uuid", "run_id"])?, action, &mut list).await? {
                return Ok(None);
            }
            let mut models = told.all(&["model_id"]);
            models.extend(told.within("metrics", "model_id"));
            models.extend(told.within("models", "model_id"));
            if !inside(session, "logged_model", &models, action, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::RunInQuery(action) => {
            let ids = told.all(&["run_id", "run_uuid"]);
            if ids.is_empty() {
                return Err(Error::invalid("Request must specify run_id or run_uuid parameter"));
            }
            if !inside(session, "run", &ids, action, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::Runs => {
            if !inside(session, "run", &told.some(&["run_id", "run_ids"])?, Action::Read, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::RunOrLoggedModel(action) => {
            let (run, model) = (told.all(&["run_id"]), told.all(&["model_id"]));
            if run.is_empty() && model.is_empty() {
                return Err(Error::invalid("Exactly one of run_id and model_id must be provided."));
            }
            if !inside(session, "run", &run, action, &mut list).await?
                || !inside(session, "logged_model", &model, action, &mut list).await?
            {
                return Ok(None);
            }
        }
        Needs::LoggedModel(action) => {
            if !inside(session, "logged_model", &told.some(&["model_id"])?, action, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::MakeLoggedModel => {
            for id in told.some(&["experiment_id"])? {
                list.push(Requirement::new("experiment", &id, Action::Update));
            }
            list.push(Requirement::new("logged_model", "*", Action::NotDenied));
            if !inside(session, "run", &told.all(&["source_run_id"]), Action::Read, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::MakeModel => {
            let is_prompt =
                told.body.get("tags").and_then(Value::as_array).into_iter().flatten().any(|tag| {
                    tag.get("key").and_then(Value::as_str) == Some(IS_PROMPT)
                        && tag
                            .get("value")
                            .and_then(Value::as_str)
                            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
                });
            let kind = if is_prompt { "prompt" } else { "registered_model" };
            for name in told.some(&["name"])? {
                if name == "*" {
                    return Err(Error::invalid(
                        "'*' is reserved for wildcard permission grants and cannot be used as a registered model or prompt \
                         name.",
                    ));
                }
                list.push(Requirement::new(kind, &name, Action::NotDenied));
            }
        }
        Needs::Model(_)
        | Needs::WholeModel
        | Needs::Alias(_)
        | Needs::Version(_)
        | Needs::VersionInQuery
        | Needs::MakeVersion => {
            if !registry(session, needs, told, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::File(action) => {
            let paths = told.all(&["path"]);
            for path in &paths {
                list.extend(file(&ArtifactPath::parse(path)?, action));
            }
            if paths.is_empty() {
                // The listing of everything, which is narrowed to what the caller may see.
                list.push(Requirement::new("artifact", "", action));
            }
        }
        Needs::Spans => {
            let id =
                told.header_experiment.as_deref().ok_or_else(|| Error::required("x-mlflow-experiment-id"))?;
            list.push(Requirement::new("experiment", id, Action::Update));
            list.push(Requirement::new("trace", "*", Action::NotDenied));
            if let Some(run) = &told.header_run
                && !inside(session, "run", std::slice::from_ref(run), Action::Update, &mut list).await?
            {
                return Ok(None);
            }
        }
        Needs::DeleteTraces => {
            for id in told.some(&["experiment_id"])? {
                list.push(Requirement::new("experiment", &id, Action::Read));
                list.push(Requirement::below("trace", "experiment", &id, Action::Delete));
            }
        }
        Needs::StartTrace => {
            let info = told.body.get("trace").and_then(|trace| trace.get("trace_info"));
            let place = info.and_then(|info| info.get("trace_location"));
            let place = place.and_then(|place| place.get("mlflow_experiment"));
            let id = place.and_then(|place| text(place.get("experiment_id")?));
            let mut ids = told.all(&["experiment_id"]);
            ids.extend(id);
            if ids.is_empty() {
                return Err(Error::required("experiment_id"));
            }
            for id in ids {
                list.push(Requirement::new("experiment", &id, Action::Update));
                list.push(Requirement::new("trace", "*", Action::NotDenied));
            }
        }
        Needs::SearchTraces => {
            let mut ids = told.all(&["experiment_ids"]);
            let places = told.body.get("locations").and_then(Value::as_array);
            for place in places.into_iter().flatten() {
                ids.extend(
                    place.get("mlflow_experiment").and_then(|place| text(place.get("experiment_id")?)),
                );
            }
            if ids.is_empty() {
                return Err(Error::required("experiment_ids"));
            }
            for id in ids {
                list.push(Requirement::new("experiment", &id, Action::Read));
                list.push(Requirement::below("trace", "experiment", &id, Action::Read));
            }
        }
        Needs::Trace(action) | Needs::Traces(action) | Needs::Assessment(action) => {
            let kind = if matches!(needs, Needs::Assessment(_)) { "assessment" } else { "trace" };
            let ids = told.some(&["trace_id", "request_id", "trace_ids", "request_ids"])?;
            if !inside(session, kind, &ids, action, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::LinkTraces => {
            if !inside(session, "run", &told.some(&["run_id"])?, Action::Update, &mut list).await?
                || !inside(session, "trace", &told.some(&["trace_ids"])?, Action::Update, &mut list).await?
            {
                return Ok(None);
            }
        }
        Needs::Dataset(action) => {
            for id in told.some(&["dataset_id"])? {
                let experiments = db::access::experiments_of_dataset(session, &id).await?;
                if experiments.is_empty() {
                    return Ok(None);
                }
                for experiment in experiments {
                    list.push(Requirement::new("experiment", &experiment, action));
                }
            }
            for id in told.all(&["experiment_ids"]) {
                list.push(Requirement::new("experiment", &id, action));
            }
        }
        Needs::Scorer(action) => {
            let names_version = !told.all(&["version"]).is_empty();
            for (experiment, scorer) in scorers(told)? {
                list.push(Requirement::new("experiment", &experiment, Action::Read));
                // Whoever may delete versions deletes one of a scorer that need only be seen for that.
                let seen = action == Action::Delete && names_version;
                list.push(Requirement::new("scorer", &scorer, if seen { Action::Read } else { action }));
                let of_version = if action == Action::Delete { action } else { Action::NotDenied };
                list.push(Requirement::below("scorer_version", "scorer", &scorer, of_version));
            }
        }
        Needs::MakeScorer => {
            for (experiment, scorer) in scorers(told)? {
                list.push(Requirement::new("experiment", &experiment, Action::Update));
                list.push(Requirement::new("scorer", &scorer, Action::NotDenied));
                list.push(Requirement::new("scorer_version", "*", Action::NotDenied));
            }
        }
        Needs::ListScorers => {
            let ids = told.all(&["experiment_id"]);
            list.extend(ids.iter().map(|id| Requirement::new("experiment", id, Action::Read)));
        }
        Needs::MakeDataset => {
            let ids = told.all(&["experiment_ids"]);
            if ids.is_empty() {
                return Ok(None);
            }
            list.extend(ids.iter().map(|id| Requirement::new("experiment", id, Action::Update)));
        }
    }
    Ok(Some(list))
}

/// The kinds that can be shared one by one.
const SHARED: &[&str] = &["experiment", "registered_model", "prompt", "scorer", "mcp_server", "skill"];

/// The scorers that a request names: their experiments, and the names under which grants know them.
fn scorers(told: &Told) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for experiment in told.some(&["experiment_id"])? {
        for name in told.some(&["name"])? {
            found.push((experiment.clone(), scorer::grant_name(&experiment, &name)));
        }
    }
    Ok(found)
}

/// What lies in an experiment is judged by its kind below that experiment, which must be readable. False when one does
/// not exist.
pub(super) async fn inside(
    session: &mut Session,
    kind: &'static str,
    ids: &[String],
    action: Action,
    list: &mut Vec<Requirement>,
) -> Result<bool> {
    for id in ids {
        let experiment = match kind {
            "run" => db::run::by_id(session, id).await?.map(|run| run.experiment_id.to_string()),
            "logged_model" => {
                db::logged_model::by_id(session, id).await?.map(|model| model.experiment_id.to_string())
            }
            _ => db::access::experiment_of_trace(session, id).await?,
        };
        let Some(experiment) = experiment else { return Ok(false) };
        list.push(Requirement::new("experiment", &experiment, Action::Read));
        if kind == "assessment" {
            list.push(Requirement::below("trace", "experiment", &experiment, Action::Read));
        }
        list.push(Requirement::below(kind, "experiment", &experiment, action));
    }
    Ok(true)
}

/// The kind of a name in the registry, and the kind of its versions; `None` when there is no such name.
async fn kind_of(session: &mut Session, name: &str) -> Result<Option<(&'static str, &'static str)>> {
    let found = db::registered_model::by_name(session, name).await?;
    Ok(found.map(|model| {
        if model.is_prompt() {
            ("prompt", "prompt_version")
        } else {
            ("registered_model", "registered_model_version")
        }
    }))
}

async fn registry(
    session: &mut Session,
    needs: Needs,
    told: &Told,
    list: &mut Vec<Requirement>,
) -> Result<bool> {
    if needs == Needs::VersionInQuery && told.all(&["name"]).is_empty() {
        return Err(Error::invalid("Request must specify name parameter"));
    }
    for name in told.some(&["name"])? {
        let known = kind_of(session, &name).await?;
        if let (Needs::Model(action), None) = (needs, known) {
            list.push(Requirement::new("registered_model", &name, action));
            continue;
        }
        let Some((kind, versions)) = known else { return Ok(false) };
        match needs {
            Needs::Model(action) => list.push(Requirement::new(kind, &name, action)),
            Needs::WholeModel => {
                list.push(Requirement::new(kind, &name, Action::Delete));
                list.push(Requirement::below(versions, kind, &name, Action::Delete));
            }
            Needs::Alias(action) => {
                list.push(Requirement::new(kind, &name, action));
                list.push(Requirement::below(versions, kind, &name, Action::Read));
            }
            Needs::Version(action) => {
                list.push(Requirement::new(kind, &name, Action::Read));
                list.push(Requirement::below(versions, kind, &name, action));
            }
            Needs::VersionInQuery => {
                list.push(Requirement::new(kind, &name, Action::Read));
                list.push(Requirement::below(versions, kind, &name, Action::Read));
            }
            _ => {
                list.push(Requirement::new(kind, &name, Action::Update));
                list.push(Requirement::new(versions, "*", Action::NotDenied));
                if !source_of_version(session, told, list).await? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Whoever registers a version must be allowed to read what it is made of.
async fn source_of_version(session: &mut Session, told: &Told, list: &mut Vec<Requirement>) -> Result<bool> {
    let mut models = told.all(&["model_id"]);
    for source in told.all(&["source"]) {
        let name = match ModelUri::parse(&source) {
            None => continue,
            Some(ModelUri::Logged(id)) => {
                models.push(id);
                continue;
            }
            Some(
                ModelUri::Version(name, _)
                | ModelUri::Stage(name, _)
                | ModelUri::Latest(name)
                | ModelUri::Alias(name, _),
            ) => name,
        };
        match kind_of(session, &name).await? {
            Some((kind, _)) => list.push(Requirement::new(kind, &name, Action::Read)),
            None => return Ok(false),
        }
    }
    Ok(inside(session, "run", &told.all(&["run_id"]), Action::Read, list).await?
        && inside(session, "logged_model", &models, Action::Read, list).await?)
}

/// What a file below the artifact proxy needs. Its first folder is the number of an experiment; for what is in none, the
/// level that everybody has decides.
fn file(path: &ArtifactPath, action: Action) -> Vec<Requirement> {
    let mut names = path.as_str().split('/');
    let first = names.next().unwrap_or_default();
    if first.is_empty() || !first.bytes().all(|byte| byte.is_ascii_digit()) {
        return vec![Requirement::new("artifact", "", action)];
    }
    let kinds: &[&'static str] = match names.next().map(str::to_lowercase).as_deref() {
        // Deleting the folder of an experiment deletes what is in it.
        None if action == Action::Manage => &["run", "logged_model", "trace"],
        None => &[],
        Some("models") => &["logged_model"],
        Some("traces") => &["trace"],
        Some(_) => &["run"],
    };
    let mut list = vec![Requirement::new("experiment", first, Action::Read)];
    list.extend(kinds.iter().map(|kind| Requirement::below(kind, "experiment", first, action)));
    if kinds.is_empty() {
        list.push(Requirement::new("experiment", first, action));
    }
    list
}
