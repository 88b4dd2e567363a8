//! Versions of registered models: a number, where the files lie, and a stage.

use serde_json::{Value, json};

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::model_source::{self, Source};
use crate::registered_model::{self, check_name, check_tag};
use crate::{journal, logged_model, name};

/// A stage in the life of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No stage, as every version begins.
    None,
    /// Under test.
    Staging,
    /// In use.
    Production,
    /// No longer in use.
    Archived,
}

impl Stage {
    const ALL: [Self; 4] = [Self::None, Self::Staging, Self::Production, Self::Archived];

    /// Reads a stage in any case.
    pub fn parse(text: &str) -> Result<Self> {
        let stage = Self::ALL.into_iter().find(|stage| stage.name().eq_ignore_ascii_case(text));
        stage.ok_or_else(|| {
            Error::invalid(format!(
                "Invalid Model Version stage: {text}. Value must be one of None, Staging, Production, Archived."
            ))
        })
    }

    /// The name as stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Staging => "Staging",
            Self::Production => "Production",
            Self::Archived => "Archived",
        }
    }
}

/// A version as stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelVersion {
    /// The registered model.
    pub name: String,
    /// From 1; numbers of deleted versions do not come back.
    pub version: i64,
    /// Milliseconds since 1970.
    pub creation_time: Option<i64>,
    /// Milliseconds since 1970.
    pub last_updated_time: Option<i64>,
    /// Text for people.
    pub description: Option<String>,
    /// Who made it, in stores where MLflow wrote that.
    pub user_id: Option<String>,
    /// The name of a [`Stage`].
    pub current_stage: String,
    /// Where the model comes from, as it was registered.
    pub source: Option<String>,
    /// The run that made the model.
    pub run_id: Option<String>,
    /// A link to that run in another system.
    pub run_link: Option<String>,
    /// `READY` for every version that Matraz makes.
    pub status: Option<String>,
    /// More on the status.
    pub status_message: Option<String>,
    /// Where the files lie, when the source is itself a model.
    pub storage_location: Option<String>,
    /// In the order of their keys.
    pub tags: Vec<(String, String)>,
    /// Names that point at this version; not filled in by searches.
    pub aliases: Vec<String>,
}

/// What a new version is made from.
#[derive(Clone, Debug, Default)]
pub struct NewModelVersion {
    /// The registered model.
    pub name: String,
    /// Where the model comes from: an artifact URI, `runs:/…` or `models:/…`.
    pub source: String,
    /// The run that made the model; `None` when the client said nothing about it.
    pub run_id: Option<String>,
    /// The logged model that is registered; `None` when the client said nothing about it.
    pub model_id: Option<String>,
    /// A link to the run in another system.
    pub run_link: String,
    /// Text for people.
    pub description: String,
    /// Of a tag that is given twice the last value counts.
    pub tags: Vec<(String, String)>,
}

/// Makes the next version of a registered model, after a check that the source belongs to the run or logged model.
pub async fn create(session: &mut Session, new: NewModelVersion, now: i64) -> Result<ModelVersion> {
    let is_prompt = new.tags.iter().rev().find(|(key, _)| key == registered_model::IS_PROMPT);
    let is_prompt = is_prompt.is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
    let source = if is_prompt {
        model_source::prompt(&new.source)?
    } else {
        model_source::check(session, &new).await?
    };
    let Source { source, storage_location, run_id, model_id } = source;
    check_name(&new.name)?;
    for (key, value) in &new.tags {
        check_tag(key, value)?;
    }
    if !db::registered_model::touch(session, &new.name, now).await? {
        return Err(Error::missing(format!("Registered Model with name={} not found", new.name)));
    }
    let version = ModelVersion {
        version: db::model_version::highest(session, &new.name).await? + 1,
        name: new.name,
        creation_time: Some(now),
        last_updated_time: Some(now),
        description: Some(new.description),
        current_stage: Stage::None.name().to_owned(),
        source: Some(source),
        run_id: Some(run_id),
        run_link: Some(new.run_link),
        status: Some("READY".to_owned()),
        storage_location: Some(storage_location),
        ..ModelVersion::default()
    };
    db::model_version::insert(session, &version).await?;
    for (key, value) in &new.tags {
        db::model_version::set_tag(session, &version.name, version.version, key, value).await?;
    }
    if let Some(model_id) = model_id.filter(|_| !is_prompt) {
        logged_model::note_version(session, &model_id, &version.name, version.version).await?;
    }
    let made = get(session, &version.name, &version.version.to_string()).await?;
    journal::add(session, "create", KIND, &path(&made), None, Some(told(&made))).await?;
    Ok(made)
}

/// What the journal calls versions.
const KIND: &str = "model_version";

/// The name of a version in the journal.
fn path(version: &ModelVersion) -> String {
    format!("{}/{}", version.name, version.version)
}

/// What the journal keeps of a version.
fn told(version: &ModelVersion) -> Value {
    json!({
        "stage": version.current_stage, "description": version.description, "source": version.source,
        "run_id": version.run_id,
    })
}

/// The value of a tag.
pub(crate) fn tag<'a>(tags: &'a [(String, String)], key: &str) -> Option<&'a str> {
    tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

/// The version with this number, unless it is deleted.
pub async fn get(session: &mut Session, name: &str, version: &str) -> Result<ModelVersion> {
    check_name(name)?;
    let number = parse_number(version)?;
    let found = db::model_version::by_number(session, name, number).await?;
    found.ok_or_else(|| Error::missing(format!("Model Version (name={name}, version={number}) not found")))
}

/// The version with this number, unless it is deleted. Until the transaction ends nobody else changes the model.
pub(crate) async fn get_to_change(session: &mut Session, name: &str, version: &str) -> Result<ModelVersion> {
    // Models are locked before their versions everywhere, so that two transactions never wait for each other.
    db::registered_model::exists(session, name).await?;
    get(session, name, version).await
}

/// Where the files of a version lie.
pub async fn download_uri(session: &mut Session, name: &str, version: &str) -> Result<String> {
    let found = get(session, name, version).await?;
    let location = found.storage_location.filter(|location| !location.is_empty()).or(found.source);
    Ok(location.unwrap_or_default())
}

/// Replaces the description; `None` removes it.
pub async fn update(
    session: &mut Session,
    name: &str,
    version: &str,
    description: Option<&str>,
    now: i64,
) -> Result<ModelVersion> {
    let found = get_to_change(session, name, version).await?;
    db::model_version::set_description(session, name, found.version, description, now).await?;
    let new = get(session, name, version).await?;
    journal::add(session, "update", KIND, &path(&new), Some(told(&found)), Some(told(&new))).await?;
    Ok(new)
}

/// Moves a version to a stage; with `archive_others` the versions that are there are archived.
pub async fn transition(
    session: &mut Session,
    name: &str,
    version: &str,
    stage: &str,
    archive_others: bool,
    now: i64,
) -> Result<ModelVersion> {
    let stage_name = stage;
    let stage = Stage::parse(stage)?;
    if archive_others && !matches!(stage, Stage::Staging | Stage::Production) {
        return Err(Error::invalid(format!(
            "Model version transition cannot archive existing model versions because '{stage_name}' is not an Active \
             stage. Valid stages are ['Staging', 'Production']"
        )));
    }
    let found = get_to_change(session, name, version).await?;
    if archive_others {
        db::model_version::archive(session, name, stage.name(), found.version, now).await?;
    }
    db::model_version::set_stage(session, name, found.version, stage.name(), now).await?;
    db::registered_model::touch(session, name, now).await?;
    let new = get(session, name, version).await?;
    journal::add(session, "transition", KIND, &path(&new), Some(told(&found)), Some(told(&new))).await?;
    Ok(new)
}

/// Deletes a version: its number stays taken, its source and run are wiped, its aliases go.
pub async fn delete(session: &mut Session, name: &str, version: &str, now: i64) -> Result<()> {
    parse_number(version)?;
    let found = get_to_change(session, name, version).await?;
    for alias in &found.aliases {
        registered_model::journal_alias(session, name, alias, Some(found.version), None).await?;
    }
    journal::add(session, "delete", KIND, &path(&found), Some(told(&found)), None).await?;
    db::model_version::mark_deleted(session, name, found.version, now).await?;
    db::registered_model::delete_aliases_of(session, name, found.version).await?;
    db::registered_model::touch(session, name, now).await?;
    Ok(())
}

/// Sets a tag of a version.
pub async fn set_tag(session: &mut Session, name: &str, version: &str, key: &str, value: &str) -> Result<()> {
    check_name(name)?;
    parse_number(version)?;
    check_tag(key, value)?;
    let found = get_to_change(session, name, version).await?;
    let old = tag(&found.tags, key);
    registered_model::journal_tag(session, KIND, &path(&found), key, old, Some(value)).await?;
    db::model_version::set_tag(session, name, found.version, key, value).await
}

/// Removes a tag of a version; one that is not there is fine.
pub async fn delete_tag(session: &mut Session, name: &str, version: &str, key: &str) -> Result<()> {
    check_name(name)?;
    parse_number(version)?;
    name::check_key("key", key)?;
    let found = get_to_change(session, name, version).await?;
    if let Some(old) = tag(&found.tags, key) {
        registered_model::journal_tag(session, KIND, &path(&found), key, Some(old), None).await?;
    }
    db::model_version::delete_tag(session, name, found.version, key).await
}

fn parse_number(version: &str) -> Result<i64> {
    let number = version.trim().parse();
    number.map_err(|_| Error::invalid(format!("Parameter 'version' must be an integer, got '{version}'.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read_in_any_case() {
        assert_eq!(Stage::parse("production").unwrap(), Stage::Production);
        assert_eq!(Stage::parse("NONE").unwrap(), Stage::None);
        assert!(Stage::parse("Nope").is_err());
        assert!(Stage::parse("Deleted_Internal").is_err());
    }

    #[test]
    fn numbers() {
        assert_eq!(parse_number("12").unwrap(), 12);
        assert_eq!(
            parse_number("x").unwrap_err().to_string(),
            "Parameter 'version' must be an integer, got 'x'."
        );
        assert!(parse_number("").is_err());
        assert!(parse_number("99999999999999999999").is_err());
    }
}
