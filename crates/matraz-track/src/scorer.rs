//! Scorers: what judges the traces of an experiment. A scorer is stored as the JSON text that clients make of it; this
//! program never runs one.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value as Json};

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::experiment::{self, Experiment};
use crate::python;
use crate::search;
use crate::service::new_uuid;

/// A version of a scorer.
#[derive(Clone, Debug, PartialEq)]
pub struct ScorerVersion {
    /// A UUID; the versions of a scorer share it.
    pub scorer_id: String,
    /// The experiment whose traces it judges.
    pub experiment_id: i64,
    /// Unique within the experiment.
    pub name: String,
    /// From 1 on.
    pub version: i64,
    /// JSON text.
    pub serialized: String,
    /// Milliseconds since 1970.
    pub created: i64,
}

/// How new traces are judged by a scorer.
#[derive(Clone, Debug, PartialEq)]
pub struct OnlineConfig {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The scorer.
    pub scorer_id: String,
    /// The share of traces, from 0 to 1.
    pub sample_rate: f64,
    /// The experiment of the traces.
    pub experiment_id: i64,
    /// Which traces; `None` for all.
    pub filter: Option<String>,
}

/// The name under which grants know a scorer: its experiment, and its name percent-encoded.
pub(crate) fn grant_name(experiment_id: &str, name: &str) -> String {
    /// What Python's `urllib.parse.quote` leaves as it is.
    const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');
    format!("{experiment_id}/{}", utf8_percent_encode(name, &KEPT))
}

async fn active_experiment(session: &mut Session, id: &str) -> Result<Experiment> {
    let experiment = experiment::find(session, id).await?;
    experiment::check_active(&experiment)?;
    Ok(experiment)
}

fn missing(name: &str, version: Option<i64>, experiment_id: &str) -> Error {
    let version = version.map(|version| format!(" and version {version}")).unwrap_or_default();
    Error::missing(format!("Scorer with name '{name}'{version} not found for experiment {experiment_id}."))
}

/// The id of a scorer in an active experiment.
async fn find(session: &mut Session, experiment_id: &str, name: &str) -> Result<String> {
    let experiment = active_experiment(session, experiment_id).await?;
    let found = db::scorer::id_of(session, experiment.id, name).await?;
    found.ok_or_else(|| missing(name, None, experiment_id))
}

/// Reads and checks what a client sends as a scorer. One with source code is refused: whoever reads it runs that code.
fn read(serialized: &str) -> Result<Map<String, Json>> {
    let value: Json = serde_json::from_str(serialized)
        .map_err(|_| Error::invalid("serialized_scorer must be valid JSON"))?;
    if has_source_code(&value) {
        return Err(Error::invalid(
            "Custom scorer registration (using @scorer decorator) is not supported: custom scorers are code that is run when \
             they are read. Keep them in your source code and import them, or use built-in scorers or make_judge() scorers.",
        ));
    }
    match value {
        Json::Object(fields) => Ok(fields),
        _ => Err(Error::invalid("serialized_scorer must be a JSON object")),
    }
}

fn has_source_code(value: &Json) -> bool {
    match value {
        Json::Object(fields) => {
            fields.get("call_source").is_some_and(|source| !source.is_null())
                || fields.values().any(has_source_code)
        }
        Json::Array(items) => items.iter().any(has_source_code),
        _ => false,
    }
}

/// The place of the model in a serialized scorer.
fn model_of(fields: &mut Map<String, Json>) -> Option<&mut Json> {
    let is_set = |fields: &Map<String, Json>, key: &str| {
        fields.get(key).and_then(Json::as_object).is_some_and(|data| !data.is_empty())
    };
    for key in ["instructions_judge_pydantic_data", "builtin_scorer_pydantic_data", "third_party_scorer_data"]
    {
        if is_set(fields, key) {
            return fields.get_mut(key)?.get_mut("model");
        }
    }
    let data = fields.get_mut("memory_augmented_judge_data")?;
    model_of(data.get_mut("base_judge")?.as_object_mut()?)
}

/// What stands behind `gateway:/`.
fn endpoint_of(model: &Json) -> Option<&str> {
    model.as_str()?.strip_prefix("gateway:/").filter(|endpoint| !endpoint.is_empty())
}

/// Adds a version of a scorer, and the scorer when it is new.
pub async fn register(
    session: &mut Session,
    experiment_id: &str,
    name: &str,
    serialized: &str,
    now: i64,
) -> Result<ScorerVersion> {
    let mut fields = read(serialized)?;
    if name.trim().is_empty() {
        return Err(Error::invalid("Scorer name cannot be empty or contain only whitespace."));
    }
    let experiment = active_experiment(session, experiment_id).await?;
    let mut stored = serialized.to_owned();
    let mut endpoint = None;
    if let Some(model) = model_of(&mut fields).filter(|model| !model.is_null()) {
        let Some(text) = model.as_str() else {
            return Err(Error::invalid("Scorer model must be a string."));
        };
        if text.trim().is_empty() {
            return Err(Error::invalid("Scorer model cannot be empty or contain only whitespace."));
        }
        // Endpoints may be renamed: their ids are stored.
        if let Some(called) = endpoint_of(model) {
            let id = db::scorer::endpoint_id(session, called).await?;
            let id =
                id.ok_or_else(|| Error::missing(format!("GatewayEndpoint not found (name='{called}')")))?;
            *model = Json::from(format!("gateway:/{id}"));
            endpoint = Some(id);
            stored = python::json(&Json::Object(fields));
        }
    }
    let scorer_id = match db::scorer::id_of(session, experiment.id, name).await? {
        Some(id) => id,
        None => db::scorer::insert(session, experiment.id, name, &new_uuid()?).await?,
    };
    let version = db::scorer::insert_version(session, &scorer_id, &stored, now).await?;
    if let Some(endpoint) = endpoint {
        db::scorer::bind_endpoint(session, &scorer_id, &endpoint, name, now).await?;
    }
    Ok(ScorerVersion {
        scorer_id,
        experiment_id: experiment.id,
        name: name.to_owned(),
        version,
        serialized: serialized.to_owned(),
        created: now,
    })
}

/// The newest versions of the scorers of an active experiment.
pub async fn list(session: &mut Session, experiment_id: &str) -> Result<Vec<ScorerVersion>> {
    let experiment = active_experiment(session, experiment_id).await?;
    let found = db::scorer::latest(session, Some(&[experiment.id])).await?;
    shown(session, found).await
}

/// The newest versions of the scorers of several experiments, or of all, without those of deleted ones.
pub async fn list_of(session: &mut Session, experiment_ids: Option<&[String]>) -> Result<Vec<ScorerVersion>> {
    let ids = match experiment_ids {
        Some(ids) => Some(ids.iter().map(|id| experiment::parse_id(id)).collect::<Result<Vec<_>>>()?),
        None => None,
    };
    let found = db::scorer::latest(session, ids.as_deref()).await?;
    shown(session, found).await
}

/// All versions of a scorer, oldest first.
pub async fn versions(session: &mut Session, experiment_id: &str, name: &str) -> Result<Vec<ScorerVersion>> {
    let id = find(session, experiment_id, name).await?;
    let found = db::scorer::versions(session, &id, None).await?;
    if found.is_empty() {
        return Err(missing(name, None, experiment_id));
    }
    shown(session, found).await
}

/// A version of a scorer, the newest when none is named.
pub async fn get(
    session: &mut Session,
    experiment_id: &str,
    name: &str,
    version: Option<i64>,
) -> Result<ScorerVersion> {
    let id = find(session, experiment_id, name).await?;
    let found = db::scorer::versions(session, &id, version).await?.pop();
    let mut found = found.ok_or_else(|| missing(name, version, experiment_id))?;
    name_endpoint(session, &mut found).await?;
    Ok(found)
}

/// Puts the name of an endpoint in the place of its id; a model whose endpoint is gone is taken out.
async fn name_endpoint(session: &mut Session, scorer: &mut ScorerVersion) -> Result<()> {
    let Ok(Json::Object(mut fields)) = serde_json::from_str::<Json>(&scorer.serialized) else {
        return Ok(());
    };
    if let Some(model) = model_of(&mut fields)
        && let Some(id) = endpoint_of(model)
    {
        let name = db::scorer::endpoint_name(session, id).await?;
        *model = name.map_or(Json::Null, |name| Json::from(format!("gateway:/{name}")));
        scorer.serialized = python::json(&Json::Object(fields));
    }
    Ok(())
}

/// Scorers as lists show them: their JSON text is written anew.
async fn shown(session: &mut Session, mut found: Vec<ScorerVersion>) -> Result<Vec<ScorerVersion>> {
    for scorer in &mut found {
        name_endpoint(session, scorer).await?;
        if let Ok(value) = serde_json::from_str(&scorer.serialized) {
            scorer.serialized = python::json(&value);
        }
    }
    Ok(found)
}

/// Deletes a version of a scorer, or the scorer with all of them.
pub async fn delete(
    session: &mut Session,
    experiment_id: &str,
    name: &str,
    version: Option<i64>,
) -> Result<()> {
    let id = find(session, experiment_id, name).await?;
    let deleted = db::scorer::delete_versions(session, &id, version).await?;
    if deleted == 0 {
        return Err(missing(name, version, experiment_id));
    }
    if version.is_none() {
        db::scorer::delete(session, &id).await?;
    }
    Ok(())
}

/// Says how new traces are to be judged by a scorer. Nothing here judges them: that is kept for MLflow's server.
pub async fn set_online_config(
    session: &mut Session,
    experiment_id: &str,
    name: &str,
    sample_rate: f64,
    filter: Option<&str>,
) -> Result<OnlineConfig> {
    if !(0.0..=1.0).contains(&sample_rate) {
        let rate = matraz_base::value::python_float(sample_rate);
        return Err(Error::invalid(format!("sample_rate must be between 0.0 and 1.0, got {rate}")));
    }
    if let Some(filter) = filter.filter(|filter| !filter.is_empty()) {
        search::traces::check_filter(filter)?;
    }
    let experiment = active_experiment(session, experiment_id).await?;
    let scorer_id = find(session, experiment_id, name).await?;
    let newest = db::scorer::versions(session, &scorer_id, None).await?.pop();
    if let Some(newest) = newest.filter(|_| sample_rate > 0.0) {
        let mut fields = match serde_json::from_str(&newest.serialized) {
            Ok(Json::Object(fields)) => fields,
            _ => Map::new(),
        };
        if model_of(&mut fields).and_then(|model| endpoint_of(model)).is_none() {
            return Err(Error::invalid(format!(
                "Scorer '{name}' does not use a gateway model. Automatic evaluation is only supported for scorers that use \
                 gateway models."
            )));
        }
    }
    let config = OnlineConfig {
        id: crate::service::new_id()?,
        scorer_id,
        sample_rate,
        experiment_id: experiment.id,
        filter: filter.map(str::to_owned),
    };
    db::scorer::replace_online_config(session, &config).await?;
    Ok(config)
}

/// How new traces are judged by these scorers.
pub async fn online_configs(session: &mut Session, scorer_ids: &[String]) -> Result<Vec<OnlineConfig>> {
    db::scorer::online_configs(session, scorer_ids).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn source_code_is_found_at_any_depth_and_refused() {
        assert!(read(r#"{"name": "a", "call_source": null}"#).is_ok());
        for text in [
            r#"{"call_source": "return 1"}"#,
            r#"{"ensemble": {"scorers": [{"call_source": ""}]}}"#,
            "[]",
            "{",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_model_stands_in_one_of_four_places() {
        for value in [
            json!({"instructions_judge_pydantic_data": {"model": "gateway:/e"}}),
            json!({"instructions_judge_pydantic_data": null, "builtin_scorer_pydantic_data": {"model": "gateway:/e"}}),
            json!({"memory_augmented_judge_data": {"base_judge": {"builtin_scorer_pydantic_data": {"model": "gateway:/e"}}}}),
            json!({"third_party_scorer_data": {"model": "gateway:/e"}}),
        ] {
            let mut fields = value.as_object().unwrap().clone();
            assert_eq!(endpoint_of(model_of(&mut fields).unwrap()), Some("e"), "{value}");
        }
        assert_eq!(endpoint_of(&json!("openai:/gpt")), None);
    }
}
