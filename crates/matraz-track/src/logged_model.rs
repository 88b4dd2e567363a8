//! Logged models: a model with its own id, params, metrics and files, made by a run or by itself.

use serde_json::{Value as Json, json};

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::name::single_quoted;
use crate::python;
use crate::service::new_id;
use crate::{experiment, run, run_name, tag};

/// The tag that lists the registered versions of a logged model.
const VERSIONS_TAG: &str = "mlflow.modelVersions";

/// The tag of a run that lists the models which it logged in the manner of MLflow 2.
const HISTORY_TAG: &str = "mlflow.log-model.history";

/// How far a logged model has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not known to this version.
    Unspecified,
    /// Its files are being uploaded.
    Pending,
    /// Complete.
    Ready,
    /// The upload failed.
    Failed,
}

impl Status {
    const ALL: [Self; 4] = [Self::Unspecified, Self::Pending, Self::Ready, Self::Failed];

    /// Reads the number or the name that messages carry; anything else is unspecified, as MLflow takes it.
    pub fn parse(sent: &Json) -> Self {
        let by_name = |name: &str| Self::ALL.into_iter().find(|status| status.wire_name() == name);
        match sent {
            Json::String(name) => by_name(name).or_else(|| name.parse().ok().map(Self::of_number)),
            other => other.as_i64().map(Self::of_number),
        }
        .unwrap_or(Self::Unspecified)
    }

    /// The status with this number in the store.
    pub fn of_number(number: i64) -> Self {
        match number {
            1 => Self::Pending,
            2 => Self::Ready,
            3 => Self::Failed,
            _ => Self::Unspecified,
        }
    }

    /// The number in the store.
    pub fn number(self) -> i64 {
        match self {
            Self::Unspecified => 0,
            Self::Pending => 1,
            Self::Ready => 2,
            Self::Failed => 3,
        }
    }

    /// The name in messages.
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::Unspecified => "LOGGED_MODEL_STATUS_UNSPECIFIED",
            Self::Pending => "LOGGED_MODEL_PENDING",
            Self::Ready => "LOGGED_MODEL_READY",
            Self::Failed => "LOGGED_MODEL_UPLOAD_FAILED",
        }
    }
}

/// A logged model as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedModel {
    /// `m-` and 32 hexadecimal digits.
    pub model_id: String,
    /// The experiment that it belongs to.
    pub experiment_id: i64,
    /// Not unique.
    pub name: String,
    /// Where its files lie.
    pub artifact_location: String,
    /// Milliseconds since 1970.
    pub creation_time: i64,
    /// Milliseconds since 1970.
    pub last_updated_time: i64,
    /// How far it has come.
    pub status: Status,
    /// `active` or `deleted`.
    pub lifecycle_stage: String,
    /// What kind of model it is, in the client's words.
    pub model_type: Option<String>,
    /// The run that made it.
    pub source_run_id: Option<String>,
    /// More on the status.
    pub status_message: Option<String>,
    /// In the order of their keys.
    pub tags: Vec<(String, String)>,
    /// In the order of their keys.
    pub params: Vec<(String, String)>,
    /// In the order of name, time and step.
    pub metrics: Vec<ModelMetric>,
}

/// One measured value of a logged model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelMetric {
    /// The name.
    pub key: String,
    /// The value.
    pub value: Option<f64>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The step.
    pub step: i64,
    /// The run that measured it.
    pub run_id: String,
    /// The data that it was measured on.
    pub dataset_name: Option<String>,
    /// The digest of that data.
    pub dataset_digest: Option<String>,
}

/// What a new logged model is made from.
#[derive(Clone, Debug, Default)]
pub struct NewLoggedModel {
    /// The experiment.
    pub experiment_id: String,
    /// Empty for a made-up name.
    pub name: String,
    /// Empty when not known.
    pub model_type: String,
    /// Empty when no run makes it.
    pub source_run_id: String,
    /// Params.
    pub params: Vec<(String, String)>,
    /// Tags.
    pub tags: Vec<(String, String)>,
}

/// Makes a logged model that waits for its files.
pub async fn create(session: &mut Session, new: NewLoggedModel, now: i64) -> Result<LoggedModel> {
    check_name(&new.name)?;
    let experiment = experiment::find(session, &new.experiment_id).await?;
    experiment::check_active(&experiment)?;
    let model_id = match run::spooled_id(&new.tags) {
        None => format!("m-{}", new_id()?),
        Some(id) => match db::logged_model::by_id(session, &format!("m-{id}")).await? {
            None => format!("m-{id}"),
            // The same call once more: its first answer was lost.
            Some(known) if known.experiment_id == experiment.id => {
                return get(session, &known.model_id).await;
            }
            Some(_) => format!("m-{}", new_id()?),
        },
    };
    let root = experiment.artifact_location.unwrap_or_default();
    let model = LoggedModel {
        artifact_location: format!("{}/models/{model_id}/artifacts", root.trim_end_matches('/')),
        model_id,
        experiment_id: experiment.id,
        name: if new.name.is_empty() { run_name::random()? } else { new.name },
        creation_time: now,
        last_updated_time: now,
        status: Status::Pending,
        lifecycle_stage: experiment::ACTIVE.to_owned(),
        model_type: Some(new.model_type),
        source_run_id: Some(new.source_run_id),
        status_message: None,
        tags: new.tags,
        params: new.params,
        metrics: Vec::new(),
    };
    db::logged_model::insert(session, &model).await?;
    for (key, value) in &model.params {
        db::logged_model::add_param(session, &model, key, value).await?;
    }
    for (key, value) in &model.tags {
        db::logged_model::add_tag(session, &model, key, value).await?;
    }
    get(session, &model.model_id).await
}

/// The logged model with this id, unless it is deleted.
pub async fn get(session: &mut Session, model_id: &str) -> Result<LoggedModel> {
    let model = get_any(session, model_id).await?;
    if model.lifecycle_stage == experiment::DELETED { Err(missing(model_id)) } else { Ok(model) }
}

/// The logged model with this id, deleted or not.
pub async fn get_any(session: &mut Session, model_id: &str) -> Result<LoggedModel> {
    db::logged_model::by_id(session, model_id).await?.ok_or_else(|| missing(model_id))
}

/// Says that the upload of a model has ended, well or not.
pub async fn finalize(
    session: &mut Session,
    model_id: &str,
    status: Status,
    now: i64,
) -> Result<LoggedModel> {
    if !db::logged_model::set_status(session, model_id, status, now).await? {
        return Err(missing(model_id));
    }
    get_any(session, model_id).await
}

/// Marks a model as deleted. Its rows and files stay.
pub async fn delete(session: &mut Session, model_id: &str, now: i64) -> Result<()> {
    if db::logged_model::mark_deleted(session, model_id, now).await? {
        Ok(())
    } else {
        Err(missing(model_id))
    }
}

/// Sets tags; of a key that comes twice the last value counts.
pub async fn set_tags(session: &mut Session, model_id: &str, tags: &[(String, String)]) -> Result<()> {
    let model = get_any(session, model_id).await?;
    for (key, value) in tags {
        db::logged_model::set_tag(session, &model, key, value).await?;
    }
    Ok(())
}

/// Removes a tag that is there.
pub async fn delete_tag(session: &mut Session, model_id: &str, key: &str) -> Result<()> {
    get_any(session, model_id).await?;
    if db::logged_model::delete_tag(session, model_id, key).await? {
        return Ok(());
    }
    Err(Error::missing(format!(
        "No tag with key {} found for model with ID {}.",
        single_quoted(key),
        single_quoted(model_id)
    )))
}

/// Adds params; a key that is there already is refused.
pub async fn log_params(session: &mut Session, model_id: &str, params: &[(String, String)]) -> Result<()> {
    let model = get_any(session, model_id).await?;
    for (key, value) in params {
        db::logged_model::add_param(session, &model, key, value).await?;
    }
    Ok(())
}

/// Notes the models that a run made, each with its step.
pub async fn log_outputs(session: &mut Session, run_id: &str, models: &[(String, i64)]) -> Result<()> {
    run::find_active(session, run_id).await?;
    for (model_id, step) in models {
        db::logged_model::add_run_output(session, &new_id()?, run_id, model_id, *step).await?;
    }
    Ok(())
}

/// Appends the `MLmodel` of a model that a run logged, as JSON, to the history in a tag of the run: how clients before
/// MLflow 3 log models.
pub async fn record(session: &mut Session, run_id: &str, mlmodel: &str) -> Result<()> {
    let model: Option<serde_json::Map<String, Json>> = serde_json::from_str(mlmodel).ok();
    let model = model.ok_or_else(|| {
        Error::invalid(format!("Malformed model info. \n {mlmodel} \n is not a valid JSON."))
    })?;
    let missing: Vec<String> = ["artifact_path", "flavors", "utc_time_created", "run_id"]
        .into_iter()
        .filter(|field| !model.contains_key(*field))
        .map(single_quoted)
        .collect();
    if !missing.is_empty() {
        return Err(Error::invalid(format!(
            "Model json is missing mandatory fields: {{{}}}",
            missing.join(", ")
        )));
    }
    let field = |name: &str| model.get(name).cloned().unwrap_or(Json::Null);
    let mut flavors = field("flavors");
    for flavor in flavors.as_object_mut().into_iter().flat_map(|flavors| flavors.values_mut()) {
        if let Some(flavor) = flavor.as_object_mut() {
            flavor.shift_remove("config");
        }
    }
    let entry = json!({
        "run_id": field("run_id"),
        "artifact_path": field("artifact_path"),
        "utc_time_created": field("utc_time_created"),
        "model_uuid": field("model_uuid"),
        "flavors": flavors,
    });
    run::find_active_to_change(session, run_id).await?;
    let known = db::tag::get(session, run_id, HISTORY_TAG).await?;
    let mut history: Vec<Json> = known.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    history.push(entry);
    tag::set(session, run_id, HISTORY_TAG, python::json(&Json::Array(history)), false).await
}

/// Notes in a tag of the model that it was registered as a version.
pub(crate) async fn note_version(
    session: &mut Session,
    model_id: &str,
    name: &str,
    version: i64,
) -> Result<()> {
    let model = get(session, model_id).await?;
    let known = model.tags.iter().find(|(key, _)| key == VERSIONS_TAG).map(|(_, value)| value.as_str());
    let mut versions: Vec<Json> = known.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let this = json!({"name": name, "version": version});
    if !versions.contains(&this) {
        versions.push(this);
    }
    db::logged_model::set_tag(session, &model, VERSIONS_TAG, &python::json(&Json::Array(versions))).await
}

fn missing(model_id: &str) -> Error {
    Error::missing(format!("Logged model with ID '{model_id}' not found."))
}

fn check_name(name: &str) -> Result<()> {
    if !name.contains(['/', ':', '.', '%', '"', '\'']) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Invalid model name ({}) provided. Model name must be a non-empty string and cannot contain the following characters: \
         ('/', ':', '.', '%', '\"', \"'\")",
        single_quoted(name)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        for (sent, want) in [
            (json!("LOGGED_MODEL_READY"), Status::Ready),
            (json!(2), Status::Ready),
            (json!("3"), Status::Failed),
            (json!("LOGGED_MODEL_UPLOAD_FAILED"), Status::Failed),
            (json!("nonsense"), Status::Unspecified),
            (json!(99), Status::Unspecified),
        ] {
            assert_eq!(Status::parse(&sent), want, "{sent}");
        }
        for status in Status::ALL {
            assert_eq!(Status::of_number(status.number()), status);
        }
    }

    #[test]
    fn names() {
        for (name, good) in [
            ("mod", true),
            ("", true),
            ("a b-c", true),
            ("a/b", false),
            ("a.b", false),
            ("a'b", false),
            ("a%", false),
        ] {
            assert_eq!(check_name(name).is_ok(), good, "{name}");
        }
    }
}
