//! Params of runs: keys with values that never change.

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::tag::{MAX_KEY, cut};
use crate::{name, run};

/// The longest value, in characters.
const MAX_VALUE: usize = 6000;

/// Checks a param and gives its value, cut when it is too long and `truncate` is set. `path` is empty or `params[3].`.
pub(crate) fn check(path: &str, key: &str, value: String, truncate: bool) -> Result<String> {
    name::check_key(&format!("{path}key"), key)?;
    name::check_length("Param key", MAX_KEY, key)?;
    cut("Param value", MAX_VALUE, value, truncate)
}

/// Logs a param of an active run. The same value may be logged again.
pub async fn log(
    session: &mut Session,
    run_id: &str,
    key: &str,
    value: String,
    truncate: bool,
) -> Result<()> {
    let value = check("", key, value, truncate)?;
    run::find_active(session, run_id).await?;
    let mut known = db::param::get(session, run_id, key).await?;
    if known.is_none() {
        if db::param::insert(session, run_id, &[(key.to_owned(), value.clone())]).await? == 1 {
            return Ok(());
        }
        // Another server was quicker.
        known = db::param::get(session, run_id, key).await?;
    }
    match known {
        None => Err(Error::Bug(format!("the param '{key}' got lost"))),
        Some(old) if old == value => Ok(()),
        Some(old) => Err(Error::invalid(format!(
            "Changing param values is not allowed. Param with key='{key}' was already logged with value='{old}' for \
             run ID='{run_id}'. Attempted logging new value '{value}'."
        ))),
    }
}

/// Writes checked params of one batch: all of them, or none when one has another value already.
pub(crate) async fn write(session: &mut Session, run_id: &str, params: Vec<(String, String)>) -> Result<()> {
    if params.is_empty() {
        return Ok(());
    }
    let fresh = fresh(session, run_id, params).await?;
    if db::param::insert(session, run_id, &fresh).await? < fresh.len() as u64 {
        // Another server wrote some of them in the meantime, with the same values or others.
        self::fresh(session, run_id, fresh).await?;
    }
    Ok(())
}

/// The params that the run does not have yet; an error when it has one with another value.
async fn fresh(
    session: &mut Session,
    run_id: &str,
    params: Vec<(String, String)>,
) -> Result<Vec<(String, String)>> {
    let known = db::param::of_runs(session, &[run_id.to_owned()]).await?.remove(run_id).unwrap_or_default();
    let mut fresh = Vec::new();
    let mut changed = Vec::new();
    for (key, value) in params {
        match known.iter().find(|(known, _)| *known == key) {
            None => fresh.push((key, value)),
            Some((_, old)) if *old == value => {}
            Some((_, old)) => {
                changed.push(format!("{{'key': '{key}', 'old_value': '{old}', 'new_value': '{value}'}}"))
            }
        }
    }
    if !changed.is_empty() {
        return Err(Error::invalid(format!(
            "Changing param values is not allowed. Params were already logged='[{}]' for run ID='{run_id}'.",
            changed.join(", ")
        )));
    }
    fresh.sort_unstable();
    Ok(fresh)
}
