//! Registered models: names under which versions of a model are collected.

use serde_json::{Map, Value, json};

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::journal;
use crate::model_version::{self, ModelVersion, Stage};
use crate::name;

/// The tag that makes a registered model a prompt.
pub const IS_PROMPT: &str = "mlflow.prompt.is_prompt";
/// The longest key of a tag, in characters.
const MAX_TAG_KEY: usize = 250;
/// The longest value of a tag, in characters.
const MAX_TAG_VALUE: usize = 100_000;
/// The longest alias, in characters.
const MAX_ALIAS: usize = 255;

/// A registered model as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredModel {
    /// Unique.
    pub name: String,
    /// Milliseconds since 1970.
    pub creation_time: Option<i64>,
    /// Milliseconds since 1970.
    pub last_updated_time: Option<i64>,
    /// Text for people.
    pub description: Option<String>,
    /// The highest version of every stage that has one, without their aliases.
    pub latest_versions: Vec<ModelVersion>,
    /// In the order of their keys.
    pub tags: Vec<(String, String)>,
    /// Aliases with the version that each points at, in the order of their names.
    pub aliases: Vec<(String, i64)>,
}

impl RegisteredModel {
    /// Whether this is a prompt, which shares the table with models.
    pub fn is_prompt(&self) -> bool {
        self.tags.iter().any(|(key, value)| key == IS_PROMPT && value.eq_ignore_ascii_case("true"))
    }
}

/// Makes a registered model. Of a tag that is given twice the last value counts.
pub async fn create(
    session: &mut Session,
    name: &str,
    description: &str,
    tags: &[(String, String)],
    now: i64,
) -> Result<RegisteredModel> {
    check_name(name)?;
    for (key, value) in tags {
        check_tag(key, value)?;
    }
    if let Some(existing) = db::registered_model::by_name(session, name).await? {
        let kind = |tags: &[(String, String)]| {
            if tags.iter().any(|(key, _)| key == IS_PROMPT) { "Prompt" } else { "Registered Model" }
        };
        let (old, new) = (kind(&existing.tags), kind(tags));
        return Err(Error::exists(if old == new {
            format!("{old} (name={name}) already exists.")
        } else {
            format!(
                "Tried to create a {} with name {}, but the name is already taken by a {}. MLflow does not allow creating a \
                 model and a prompt with the same name.",
                new.to_lowercase(),
                name::single_quoted(name),
                old.to_lowercase()
            )
        }));
    }
    if !db::registered_model::insert(session, name, description, now).await? {
        return Err(Error::exists(format!("Registered Model (name={name}) already exists.")));
    }
    for (key, value) in tags {
        db::registered_model::set_tag(session, name, key, value).await?;
    }
    let model = get(session, name).await?;
    journal::add(session, "create", KIND, name, None, Some(told(&model))).await?;
    Ok(model)
}

/// The registered model with this name.
pub async fn get(session: &mut Session, name: &str) -> Result<RegisteredModel> {
    check_name(name)?;
    db::registered_model::by_name(session, name).await?.ok_or_else(|| missing(name))
}

/// Replaces the description.
pub async fn update(
    session: &mut Session,
    name: &str,
    description: &str,
    now: i64,
) -> Result<RegisteredModel> {
    let old = get(session, name).await?;
    db::registered_model::set_description(session, name, description, now).await?;
    let new = get(session, name).await?;
    journal::add(session, "update", KIND, name, Some(told(&old)), Some(told(&new))).await?;
    Ok(new)
}

/// Renames a model with all its versions, tags and aliases.
pub async fn rename(session: &mut Session, name: &str, new_name: &str, now: i64) -> Result<RegisteredModel> {
    if new_name.trim().is_empty() {
        return Err(Error::invalid("Missing value for required parameter 'new_name'."));
    }
    check_name(new_name)?;
    expect(session, name).await?;
    if new_name != name && db::registered_model::exists(session, new_name).await? {
        return Err(Error::exists(format!("Registered Model (name={new_name}) already exists.")));
    }
    db::registered_model::rename(session, name, new_name, now).await?;
    let name_is = |name: &str| Some(json!({"name": name}));
    journal::add(session, "rename", KIND, name, name_is(name), name_is(new_name)).await?;
    get(session, new_name).await
}

/// Deletes a model with all its versions; their numbers start anew if the name comes back.
pub async fn delete(session: &mut Session, name: &str) -> Result<()> {
    let old = get(session, name).await?;
    journal::add(session, "delete", KIND, name, Some(told(&old)), None).await?;
    db::registered_model::delete(session, name).await
}

/// Sets a tag of a model.
pub async fn set_tag(session: &mut Session, name: &str, key: &str, value: &str) -> Result<()> {
    check_name(name)?;
    check_tag(key, value)?;
    let old = get(session, name).await?;
    journal_tag(session, KIND, name, key, model_version::tag(&old.tags, key), Some(value)).await?;
    db::registered_model::set_tag(session, name, key, value).await
}

/// Removes a tag of a model; one that is not there is fine.
pub async fn delete_tag(session: &mut Session, name: &str, key: &str) -> Result<()> {
    check_name(name)?;
    name::check_key("key", key)?;
    let old = get(session, name).await?;
    if let Some(value) = model_version::tag(&old.tags, key) {
        journal_tag(session, KIND, name, key, Some(value), None).await?;
    }
    db::registered_model::delete_tag(session, name, key).await
}

/// Points an alias at a version, away from the version that it pointed at before.
pub async fn set_alias(session: &mut Session, name: &str, alias: &str, version: &str) -> Result<()> {
    check_name(name)?;
    check_alias(alias)?;
    if alias.eq_ignore_ascii_case("latest") {
        return Err(Error::invalid("'latest' alias name (case insensitive) is reserved."));
    }
    let number = alias.strip_prefix(['v', 'V']).unwrap_or_default();
    if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::invalid(format!("Version alias name '{alias}' is reserved.")));
    }
    let version = model_version::get_to_change(session, name, version).await?;
    let old = db::registered_model::version_of_alias(session, name, alias).await?;
    journal_alias(session, name, alias, old, Some(version.version)).await?;
    db::registered_model::set_alias(session, name, alias, version.version).await
}

/// Removes an alias; one that is not there is fine.
pub async fn delete_alias(session: &mut Session, name: &str, alias: &str) -> Result<()> {
    check_name(name)?;
    check_alias(alias)?;
    expect(session, name).await?;
    if let Some(old) = db::registered_model::version_of_alias(session, name, alias).await? {
        journal_alias(session, name, alias, Some(old), None).await?;
    }
    db::registered_model::delete_alias(session, name, alias).await
}

/// What the journal calls registered models.
const KIND: &str = "registered_model";

/// What the journal keeps of a model.
fn told(model: &RegisteredModel) -> Value {
    let tags: Map<String, Value> =
        model.tags.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    let aliases: Map<String, Value> =
        model.aliases.iter().map(|(alias, version)| (alias.clone(), Value::from(*version))).collect();
    json!({"description": model.description, "tags": tags, "aliases": aliases})
}

/// Enters a change of a tag of a model or a version into the journal.
pub(crate) async fn journal_tag(
    session: &mut Session,
    kind: &str,
    name: &str,
    key: &str,
    old: Option<&str>,
    new: Option<&str>,
) -> Result<()> {
    let state = |value: Option<&str>| value.map(|value| json!({"tag": key, "value": value}));
    let action = if new.is_some() { "set_tag" } else { "delete_tag" };
    journal::add(session, action, kind, name, state(old), state(new)).await
}

/// Enters a move of an alias into the journal.
pub(crate) async fn journal_alias(
    session: &mut Session,
    name: &str,
    alias: &str,
    old: Option<i64>,
    new: Option<i64>,
) -> Result<()> {
    let state = |version: Option<i64>| version.map(|version| json!({"version": version}));
    let action = if new.is_some() { "set" } else { "delete" };
    journal::add(session, action, "alias", &format!("{name}@{alias}"), state(old), state(new)).await
}

/// The version that an alias points at; `latest` is the highest version.
pub async fn version_by_alias(session: &mut Session, name: &str, alias: &str) -> Result<ModelVersion> {
    check_name(name)?;
    check_alias(alias)?;
    expect(session, name).await?;
    if alias.eq_ignore_ascii_case("latest") {
        let versions = latest(session, name, &[]).await?;
        let highest = versions.into_iter().max_by_key(|version| version.version);
        return highest.ok_or_else(|| Error::missing(format!("Latest version not found for model {name}.")));
    }
    match db::registered_model::version_of_alias(session, name, alias).await? {
        Some(version) => model_version::get(session, name, &version.to_string()).await,
        None => Err(Error::invalid(format!("Registered model alias {alias} not found."))),
    }
}

/// The highest version of each of the given stages, or of every stage when none is given.
pub async fn latest(session: &mut Session, name: &str, stages: &[Stage]) -> Result<Vec<ModelVersion>> {
    let model = get(session, name).await?;
    let wanted = |version: &ModelVersion| {
        stages.is_empty() || stages.iter().any(|stage| version.current_stage == stage.name())
    };
    let mut versions: Vec<ModelVersion> = model.latest_versions.into_iter().filter(wanted).collect();
    for version in &mut versions {
        let here = model.aliases.iter().filter(|(_, number)| *number == version.version);
        version.aliases = here.map(|(alias, _)| alias.clone()).collect();
    }
    Ok(versions)
}

/// Checks that the model exists.
async fn expect(session: &mut Session, name: &str) -> Result<()> {
    check_name(name)?;
    if db::registered_model::exists(session, name).await? { Ok(()) } else { Err(missing(name)) }
}

fn missing(name: &str) -> Error {
    Error::missing(format!("Registered Model with name={name} not found"))
}

/// Checks the name of a registered model.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid("Missing value for required parameter 'name'."));
    }
    if name.contains(['/', ':']) {
        return Err(Error::invalid(format!("Invalid model name '{name}'. Names cannot contain '/' or ':'.")));
    }
    name::check_path("name", name)
}

/// Checks a tag of a model or of a version.
pub(crate) fn check_tag(key: &str, value: &str) -> Result<()> {
    name::check_key("key", key)?;
    name::check_length("key", MAX_TAG_KEY, key)?;
    name::check_length("value", MAX_TAG_VALUE, value)
}

fn check_alias(alias: &str) -> Result<()> {
    if alias.is_empty() {
        return Err(Error::invalid("Registered model alias name cannot be empty."));
    }
    if !alias.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-')) {
        return Err(Error::invalid(format!(
            "Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )));
    }
    name::check_length("Registered model alias name", MAX_ALIAS, alias)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["m", "my model", "a.b", "ü..", "a@b"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "  ", "a/b", "a:b", ".", ".."] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn aliases() {
        for (alias, good) in
            [("champion", true), ("a-b_C1", true), ("ü", true), ("", false), ("a b", false), ("a/b", false)]
        {
            assert_eq!(check_alias(alias).is_ok(), good, "{alias}");
        }
        assert!(check_alias(&"a".repeat(256)).is_err());
    }
}
