//! Evaluation datasets: questions with the answers that are expected, kept beside the experiments that use them.

use serde_json::{Map, Value as Json, json};

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::experiment;
use crate::python;
use crate::service::new_id;

/// The tag with the name of the user.
const USER: &str = "mlflow.user";
/// What an experiment is called in links.
const EXPERIMENT: &str = "experiment";
/// What a dataset is called in links.
pub(crate) const KIND: &str = "evaluation_dataset";

/// A dataset without its records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvaluationDataset {
    /// `d-` and 32 digits.
    pub id: String,
    /// Not unique.
    pub name: String,
    /// Names and types of fields, as JSON text; nothing without records.
    pub schema: Option<String>,
    /// Counts, as JSON text; nothing without records.
    pub profile: Option<String>,
    /// Changes with the records.
    pub digest: Option<String>,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Milliseconds since 1970.
    pub updated: i64,
    /// Who made it.
    pub created_by: Option<String>,
    /// Who changed it last.
    pub updated_by: Option<String>,
    /// Texts, or null.
    pub tags: Map<String, Json>,
}

/// One question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// `dr-` and 32 digits.
    pub id: String,
    /// Where it belongs.
    pub dataset_id: String,
    /// An object.
    pub inputs: Json,
    /// Any JSON, null when there are none.
    pub outputs: Option<Json>,
    /// An object.
    pub expectations: Option<Json>,
    /// An object of texts.
    pub tags: Option<Json>,
    /// An object with `source_type` and `source_data`.
    pub source: Option<Json>,
    /// The id of the source.
    pub source_id: Option<String>,
    /// As `TRACE`.
    pub source_type: Option<String>,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Milliseconds since 1970.
    pub updated: i64,
    /// Who made it.
    pub created_by: Option<String>,
    /// Who changed it last.
    pub updated_by: Option<String>,
}

impl Record {
    /// As the client gets it.
    pub fn shown(&self) -> Json {
        let mut shown =
            json!({"dataset_record_id": self.id, "dataset_id": self.dataset_id, "inputs": self.inputs});
        let optional = [
            ("expectations", self.expectations.clone()),
            ("tags", Some(self.tags.clone().unwrap_or_else(|| json!({})))),
            ("source", self.source.clone()),
            ("source_id", self.source_id.clone().map(Json::String)),
            ("source_type", self.source_type.clone().map(Json::String)),
            ("created_by", self.created_by.clone().map(Json::String)),
            ("last_updated_by", self.updated_by.clone().map(Json::String)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                shown[name] = value;
            }
        }
        shown["created_time"] = json!(self.created);
        shown["last_update_time"] = json!(self.updated);
        if let Some(outputs) = &self.outputs {
            shown["outputs"] = outputs.clone();
        }
        shown
    }
}

/// Makes a dataset.
pub async fn create(
    session: &mut Session,
    name: &str,
    tags: Map<String, Json>,
    experiment_ids: &[String],
    now: i64,
) -> Result<EvaluationDataset> {
    let user = tags.get(USER).and_then(Json::as_str).map(str::to_owned);
    let dataset = EvaluationDataset {
        id: format!("d-{}", new_id()?),
        name: name.to_owned(),
        digest: Some(digest(name, now)),
        created: now,
        updated: now,
        created_by: user.clone(),
        updated_by: user,
        tags: tags.into_iter().map(|(key, value)| (key, tag_text(value))).collect(),
        ..EvaluationDataset::default()
    };
    db::evaluation_dataset::insert(session, &dataset).await?;
    for (key, value) in &dataset.tags {
        db::evaluation_dataset::set_tag(session, &dataset.id, key, value.as_str()).await?;
    }
    for id in experiment_ids {
        experiment::find(session, id).await?;
        db::association::link(session, (KIND, &dataset.id), (EXPERIMENT, id), now).await?;
    }
    Ok(dataset)
}

/// Tags are texts.
fn tag_text(value: Json) -> Json {
    match value {
        Json::Null | Json::String(_) => value,
        other => Json::String(python::json(&other)),
    }
}

fn digest(name: &str, now: i64) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(format!("{name}:{now}"));
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// A dataset.
pub async fn get(session: &mut Session, id: &str) -> Result<EvaluationDataset> {
    match db::evaluation_dataset::by_id(session, id).await? {
        Some(dataset) => Ok(dataset),
        None => Err(Error::missing(format!("Evaluation dataset with id '{id}' not found"))),
    }
}

/// Deletes a dataset with its records. One that is not there is no error.
pub async fn delete(session: &mut Session, id: &str) -> Result<()> {
    for experiment in experiments(session, id).await? {
        db::association::unlink(session, (KIND, id), (EXPERIMENT, &experiment)).await?;
    }
    db::evaluation_dataset::delete(session, id).await
}

/// The experiments that a dataset is linked to.
pub async fn experiments(session: &mut Session, id: &str) -> Result<Vec<String>> {
    db::association::destinations(session, (KIND, id), EXPERIMENT).await
}

/// Links a dataset to experiments, or takes the links away.
pub async fn set_experiments(
    session: &mut Session,
    id: &str,
    experiment_ids: &[String],
    linked: bool,
    now: i64,
) -> Result<EvaluationDataset> {
    let mut dataset = match db::evaluation_dataset::by_id(session, id).await? {
        Some(dataset) => dataset,
        None => return Err(Error::missing(format!("Dataset '{id}' not found"))),
    };
    for experiment in experiment_ids {
        if linked {
            experiment::find(session, experiment)
                .await
                .map_err(|_| Error::missing(format!("No Experiment with id={experiment}")))?;
            db::association::link(session, (KIND, id), (EXPERIMENT, experiment), now).await?;
        } else {
            db::association::unlink(session, (KIND, id), (EXPERIMENT, experiment)).await?;
        }
    }
    dataset.updated = now;
    db::evaluation_dataset::update(session, &dataset).await?;
    Ok(dataset)
}

/// Sets tags; those with null stay as they are.
pub async fn set_tags(session: &mut Session, id: &str, tags: Map<String, Json>) -> Result<()> {
    if db::evaluation_dataset::by_id(session, id).await?.is_none() {
        return Err(Error::missing(format!("Could not find evaluation dataset with ID {id}")));
    }
    for (key, value) in tags.into_iter().filter(|(_, value)| !value.is_null()) {
        db::evaluation_dataset::set_tag(session, id, &key, tag_text(value).as_str()).await?;
    }
    Ok(())
}

/// Takes a tag away, when it is there.
pub async fn delete_tag(session: &mut Session, id: &str, key: &str) -> Result<()> {
    db::evaluation_dataset::delete_tag(session, id, key).await
}

/// Adds records. One with the same inputs as a known one is merged into it. Gives the numbers of new and of changed ones.
pub async fn upsert_records(
    session: &mut Session,
    id: &str,
    records: &[Json],
    now: i64,
) -> Result<(i64, i64)> {
    let mut dataset = get(session, id).await?;
    let (mut inserted, mut updated) = (0, 0);
    let mut by = None;
    for sent in records {
        let Json::Object(sent) = sent else {
            return Err(Error::invalid("every record must be an object with `inputs`"));
        };
        check_record(sent)?;
        let inputs = sent.get("inputs").cloned().unwrap_or_else(|| json!({}));
        let hash = input_hash(&inputs);
        let user = sent.get("tags").and_then(|tags| tags.get(USER)).and_then(Json::as_str).map(str::to_owned);
        by = user.clone().or(by);
        match db::evaluation_dataset::record_by_hash(session, id, &hash).await? {
            Some(mut known) => {
                merge(&mut known, sent, now);
                known.updated_by = user.or(known.updated_by);
                db::evaluation_dataset::write_record(session, &known, &hash).await?;
                updated += 1;
            }
            None => {
                let source = sent.get("source").filter(|source| source.is_object()).cloned();
                let source_type =
                    source.as_ref().and_then(|source| source["source_type"].as_str()).map(str::to_uppercase);
                let named = if source_type.as_deref() == Some("TRACE") { "trace_id" } else { "source_id" };
                let source_id = source.as_ref().and_then(|source| source["source_data"][named].as_str());
                let record = Record {
                    id: format!("dr-{}", new_id()?),
                    dataset_id: id.to_owned(),
                    outputs: Some(sent.get("outputs").cloned().unwrap_or_else(|| json!({}))),
                    expectations: sent.get("expectations").filter(|value| !value.is_null()).cloned(),
                    tags: Some(
                        sent.get("tags").filter(|tags| !tags.is_null()).cloned().unwrap_or_else(|| json!({})),
                    ),
                    source_id: source_id.map(str::to_owned),
                    source_type,
                    source,
                    created: now,
                    updated: now,
                    created_by: user.clone(),
                    updated_by: user,
                    inputs,
                };
                db::evaluation_dataset::write_record(session, &record, &hash).await?;
                inserted += 1;
            }
        }
    }
    dataset.schema = schema(dataset.schema.as_deref(), records);
    let count = db::evaluation_dataset::count_records(session, id).await?;
    if count > 0 {
        dataset.profile = Some(format!("{{\"num_records\": {count}}}"));
    }
    dataset.digest = Some(digest(&dataset.name, now));
    dataset.updated = now;
    dataset.updated_by = by;
    db::evaluation_dataset::update(session, &dataset).await?;
    Ok((inserted, updated))
}

/// Checks the kinds of what a record says.
fn check_record(sent: &Map<String, Json>) -> Result<()> {
    for part in ["inputs", "expectations", "tags"] {
        if sent.get(part).is_some_and(|value| !value.is_object() && !value.is_null()) {
            return Err(Error::invalid(format!("`{part}` of a record must be an object")));
        }
    }
    let source = sent.get("source").and_then(|source| source.get("source_type")).and_then(Json::as_str);
    match source.map(str::to_uppercase) {
        Some(name) if !SOURCE_TYPES.contains(&name.as_str()) => Err(Error::invalid(format!(
            "Invalid dataset record source type: {name}. Valid source types: ['{}']",
            SOURCE_TYPES.join("', '")
        ))),
        _ => Ok(()),
    }
}

/// SHA-256 of the inputs as JSON with sorted keys.
fn input_hash(inputs: &Json) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(python::json(&sorted(inputs)));
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sorted(value: &Json) -> Json {
    match value {
        Json::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            Json::Object(keys.into_iter().map(|key| (key.clone(), sorted(&fields[key]))).collect())
        }
        Json::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn merge(known: &mut Record, sent: &Map<String, Json>, now: i64) {
    if let Some(outputs) = sent.get("outputs") {
        known.outputs = Some(outputs.clone()).filter(|outputs| !outputs.is_null());
    }
    for (slot, name) in [(&mut known.expectations, "expectations"), (&mut known.tags, "tags")] {
        if let Some(Json::Object(new)) = sent.get(name) {
            let mut fields = slot.take().and_then(|value| value.as_object().cloned()).unwrap_or_default();
            fields.extend(new.clone());
            *slot = Some(Json::Object(fields));
        }
    }
    known.updated = now;
}

/// Where records come from.
const SOURCE_TYPES: [&str; 5] = ["UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE"];

/// The names and types of fields, with those that new records bring.
fn schema(known: Option<&str>, records: &[Json]) -> Option<String> {
    if known.is_none() && records.is_empty() {
        return None;
    }
    let mut schema: Json = known
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_else(|| json!({"inputs": {}, "outputs": {}, "expectations": {}, "version": "1.0"}));
    for record in records {
        for part in ["inputs", "outputs", "expectations"] {
            match record.get(part) {
                Some(Json::Object(fields)) => {
                    for (key, value) in fields {
                        if let Json::Object(types) = &mut schema[part] {
                            types.entry(key.clone()).or_insert_with(|| Json::from(type_name(value)));
                        }
                    }
                }
                Some(value) if part == "outputs" && !value.is_null() && schema[part] == json!({}) => {
                    schema[part] = Json::from(type_name(value));
                }
                _ => {}
            }
        }
    }
    Some(python::json(&schema))
}

fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "float",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// A page of records, oldest first. The token is base64 of the last one's time and id.
pub async fn records(
    session: &mut Session,
    id: &str,
    max_results: i64,
    page_token: &str,
) -> Result<(Vec<Record>, Option<String>)> {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    let after = if page_token.is_empty() {
        None
    } else {
        let bytes = BASE64_STANDARD.decode(page_token).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let cursor = text.as_deref().and_then(|text| text.split_once(':'));
        let cursor = cursor.and_then(|(time, id)| Some((time.parse::<i64>().ok()?, id.to_owned())));
        Some(cursor.ok_or_else(|| Error::invalid(format!("Invalid page token: {page_token}")))?)
    };
    let mut found = db::evaluation_dataset::records(session, id, after.as_ref(), max_results + 1).await?;
    let size = usize::try_from(max_results).unwrap_or(usize::MAX);
    let more = found.len() > size;
    found.truncate(size);
    let token = found
        .last()
        .filter(|_| more)
        .map(|last| BASE64_STANDARD.encode(format!("{}:{}", last.created, last.id)));
    Ok((found, token))
}

/// Deletes records and says how many.
pub async fn delete_records(session: &mut Session, id: &str, record_ids: &[String]) -> Result<u64> {
    let deleted = db::evaluation_dataset::delete_records(session, id, record_ids).await?;
    if deleted > 0
        && let Some(mut dataset) = db::evaluation_dataset::by_id(session, id).await?
    {
        let left = db::evaluation_dataset::count_records(session, id).await?;
        dataset.profile =
            Some(if left > 0 { format!("{{\"num_records\": {left}}}") } else { "null".to_owned() });
        db::evaluation_dataset::update(session, &dataset).await?;
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_mlflows() {
        assert_eq!(
            input_hash(&json!({"q": "hé", "n": 1})),
            "37424cb4f9eaa510bcead31b1f1d5e62d245c0368c2d2d37312090b76e16da9c"
        );
        assert_eq!(digest("z", 1_795_442_996_402), "af972807");
    }

    #[test]
    fn schemas_grow() {
        let first = schema(None, &[json!({"inputs": {"q": "x", "n": 1}, "outputs": {"o": []}})]).unwrap();
        let second =
            schema(Some(&first), &[json!({"inputs": {"q": 5}, "expectations": {"e": 1.5}})]).unwrap();
        assert_eq!(
            second,
            r#"{"inputs": {"q": "string", "n": "integer"}, "outputs": {"o": "array"}, "expectations": {"e": "float"}, "version": "1.0"}"#
        );
    }
}
