//! Bringing a store of an older MLflow to a newer schema.
//!
//! MLflow walks through its revisions one by one. Here the tables of the wanted revision are made anew and the rows are
//! copied over, all in one transaction: columns that are new get what MLflow's revisions would have given them, and the
//! revisions that change rows (there are three) are steps of their own. The schema is then exactly that of a new store,
//! whichever program made the old one, and a kill leaves the old store.

pub(crate) mod analytics;
mod jobs;
mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Head, Session, Statement, StoreUri, schema};
use crate::error::{Error, Result};

/// The first revision whose stores are upgraded: MLflow 1.16.
const FIRST: &str = "c48cb773bb87";

/// What to do with the old store before it is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backup {
    /// Keep a copy in this folder; for a file, beside it.
    In(PathBuf),
    /// There is one already, or none is wanted.
    No,
}

/// What an upgrade did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The revision before; `None` when there were no tables yet.
    pub from: Option<String>,
    /// The schema now.
    pub to: Head,
    /// The copy of the store as it was.
    pub backup: Option<PathBuf>,
}

/// Brings a store to the schema `to`; an empty one gets its tables. Nothing is done to a store that has it already.
///
/// # Errors
/// A store of an unknown revision, of one that is newer than `to`, or of one that is too old is refused by the name of
/// the revision, and so is one with columns that MLflow did not make. It is left as it was then.
pub async fn upgrade(uri: &StoreUri, to: Head, backup: &Backup) -> Result<Upgraded> {
    match uri {
        StoreUri::Sqlite(path) => sqlite::upgrade(path, to, backup).await,
        StoreUri::Postgres(address) => postgres::upgrade(address, to, backup).await,
        StoreUri::Folder(_) => Err(Error::ReadOnly { store: uri.clone() }),
    }
}

/// The place of a revision in MLflow's line of them.
fn place(revision: &str) -> Option<usize> {
    schema::revisions().position(|known| known == revision)
}

/// Whether there is something to do for a store of the revision `from`.
fn check(from: &str, to: Head, store: &StoreUri) -> Result<bool> {
    if from == to.revision() {
        return Ok(false);
    }
    let newer = || Error::NewerStore { store: store.clone(), revision: from.to_owned() };
    let at = place(from).ok_or_else(newer)?;
    if Some(at) > place(to.revision()) {
        return Err(newer());
    }
    if Some(at) < place(FIRST) {
        return Err(Error::TooOldStore { store: store.clone(), revision: from.to_owned() });
    }
    Ok(true)
}

/// The name of a copy that does not exist yet.
fn free_name(folder: &Path, stem: &str, extension: &str) -> PathBuf {
    let mut number = 1;
    loop {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let path = folder.join(format!("{stem}{suffix}.{extension}"));
        if !path.exists() {
            return path;
        }
        number += 1;
    }
}

/// The old tables while the new ones are filled.
struct Old {
    /// Names with their columns.
    tables: BTreeMap<String, Vec<String>>,
    /// What comes before the name of a table, with the quote that opens it: `"old_` or `"public"."`.
    prefix: String,
    from: usize,
    store: StoreUri,
}

impl Old {
    /// The old table of this name, as SQL.
    fn table(&self, name: &str) -> String {
        format!("{}{name}\"", self.prefix)
    }

    /// Whether rows have to be changed as a revision does that comes after the store's.
    fn is_before(&self, revision: &str) -> bool {
        Some(self.from) < place(revision)
    }
}

/// Columns that a revision renamed: table, old and new name.
const RENAMED: [(&str, &str, &str); 1] = [("jobs", "function_fullname", "job_name")];

/// Columns that a revision removed, after their values went elsewhere.
const REMOVED: [(&str, &str); 1] = [("spans", "dimension_attributes")];

/// What rows from before get in new columns that have no default.
const FILLED: [(&str, &str, &str); 1] = [("assessments", "is_numeric_value", "FALSE")];

/// Copies the rows of all old tables into the new ones, whose columns that can be written are given, and changes them
/// as MLflow's revisions do.
async fn fill(session: &mut Session, old: &Old, new: &BTreeMap<String, Vec<String>>, to: Head) -> Result<()> {
    for (table, columns) in new {
        if table == "alembic_version" {
            continue;
        }
        if let Some(old_columns) = old.tables.get(table) {
            copy(session, old, table, old_columns, columns).await?;
        }
    }
    if old.is_before("75868b020152") {
        analytics::promote(session, old).await?;
    }
    if old.is_before("dc11669786a5") {
        jobs::cancel(session).await?;
    }
    if to == Head::Mlflow318 && old.is_before("8b6ad64cb8f5") {
        jobs::index_issues(session, old).await?;
    }
    Ok(())
}

async fn copy(
    session: &mut Session,
    old: &Old,
    table: &str,
    old_columns: &[String],
    columns: &[String],
) -> Result<()> {
    let mut into = Vec::new();
    let mut from = Vec::new();
    let mut taken = Vec::new();
    for column in columns {
        let renamed = RENAMED.iter().find(|(of, _, new)| *of == table && new == column);
        let source = match renamed {
            Some((_, before, _)) if old_columns.iter().any(|known| known == before) => *before,
            _ => column.as_str(),
        };
        let filled = FILLED.iter().find(|(of, name, _)| *of == table && name == column);
        if old_columns.iter().any(|known| known == source) {
            from.push(format!("\"{source}\""));
            taken.push(source);
        } else if let Some((_, _, value)) = filled {
            from.push((*value).to_owned());
        } else {
            continue;
        }
        into.push(format!("\"{column}\""));
    }
    let known = |column: &str| taken.contains(&column) || REMOVED.contains(&(table, column));
    if let Some(strange) = old_columns.iter().find(|column| !known(column)) {
        return Err(Error::ForeignStore {
            store: old.store.clone(),
            found: format!("its table '{table}' has a column '{strange}' that MLflow did not make"),
        });
    }
    if table == "workspaces" {
        session.run(Statement::built("DELETE FROM workspaces")).await?;
    }
    let sql = format!(
        "INSERT INTO \"{table}\" ({}) SELECT {} FROM {}",
        into.join(", "),
        from.join(", "),
        old.table(table)
    );
    session.run(Statement::built(&sql)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_judged() {
        let store = StoreUri::Sqlite("x.db".into());
        assert!(!check("f4a9b2c7d1e6", Head::Mlflow318, &store).unwrap());
        assert!(check("dc11669786a5", Head::Mlflow318, &store).unwrap());
        assert!(check("97727af70f4d", Head::Mlflow317, &store).unwrap());
        for (from, to) in [("f4a9b2c7d1e6", Head::Mlflow317), ("ffffffffffff", Head::Mlflow318)] {
            assert!(
                matches!(check(from, to, &store), Err(Error::NewerStore { revision, .. }) if revision == from)
            );
        }
        assert!(matches!(check("451aebb31d03", Head::Mlflow318, &store), Err(Error::TooOldStore { .. })));
    }
}
