//! Tags of runs: keys with values that may change.

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::name;
use crate::run::{self, RUN_NAME_TAG, RunUpdate};

/// The longest key of a param, metric or tag, in characters.
pub(crate) const MAX_KEY: usize = 250;
/// The longest value of a tag, in characters.
const MAX_VALUE: usize = 8000;

/// Checks a tag and gives its value, cut when it is too long and `truncate` is set. `path` names the tag in messages:
/// empty, or `tags[3].`.
pub(crate) fn check(path: &str, key: &str, value: String, truncate: bool) -> Result<String> {
    name::check_key(&format!("{path}key"), key)?;
    name::check_length(&format!("{path}key"), MAX_KEY, key)?;
    cut(&format!("{path}value"), MAX_VALUE, value, truncate)
}

/// Checks the lengths of a tag of a new run: its key may have any characters.
pub(crate) fn check_lengths(key: &str, value: String, truncate: bool) -> Result<String> {
    name::check_length("key", MAX_KEY, key)?;
    cut("value", MAX_VALUE, value, truncate)
}

/// The value, cut to `limit` characters or refused.
pub(crate) fn cut(what: &str, limit: usize, mut value: String, truncate: bool) -> Result<String> {
    if value.len() <= limit {
        return Ok(value);
    }
    if !truncate {
        name::check_length(what, limit, &value)?;
    } else if let Some((end, _)) = value.char_indices().nth(limit) {
        tracing::warn!(what, limit, "a long value was cut");
        value.truncate(end);
    }
    Ok(value)
}

/// Sets a tag of an active run. The tag `mlflow.runName` renames the run.
pub async fn set(
    session: &mut Session,
    run_id: &str,
    key: &str,
    value: String,
    truncate: bool,
) -> Result<()> {
    let value = check("", key, value, truncate)?;
    if key != RUN_NAME_TAG {
        run::find_active(session, run_id).await?;
    }
    write(session, run_id, key, value).await
}

/// Writes a checked tag. That of the name looks itself whether the run is active.
pub(crate) async fn write(session: &mut Session, run_id: &str, key: &str, value: String) -> Result<()> {
    if key == RUN_NAME_TAG {
        let update = RunUpdate { name: Some(value), ..RunUpdate::default() };
        return run::update(session, run_id, &update).await.map(drop);
    }
    db::tag::set(session, run_id, key, &value).await
}

/// Takes a tag of an active run away.
pub async fn delete(session: &mut Session, run_id: &str, key: &str) -> Result<()> {
    run::find_active(session, run_id).await?;
    if db::tag::delete(session, run_id, key).await? {
        return Ok(());
    }
    Err(Error::missing(format!("No tag with name: {key} in run with id {run_id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_by_characters_or_refused() {
        assert_eq!(cut("value", 3, "üüüü".to_owned(), true).unwrap(), "üüü");
        assert_eq!(cut("value", 3, "üüü".to_owned(), false).unwrap(), "üüü");
        assert!(cut("value", 3, "üüüü".to_owned(), false).is_err());
    }
}
