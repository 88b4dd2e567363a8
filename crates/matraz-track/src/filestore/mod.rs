//! The folder `mlruns`, in which MLflow kept runs and models before it had a database: reading it into one.

mod files;
mod registry;
mod runs;
mod traces;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::db::{Arg, Db, Head, Session, Statement, StoreUri};
use crate::error::{Error, Result};

/// What an import brought over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows by their kind: `runs`, `metrics`, …
    pub counts: BTreeMap<&'static str, u64>,
    /// Experiments that got another id, because the database has none as large: old and new.
    pub renumbered: Vec<(i64, i64)>,
    /// Files and folders that could not be read, with the reason.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Copies a folder into a database without experiments, runs and models, which is made when it is not there. All of it
/// is copied, or nothing. Artifacts stay where they are.
///
/// `source` is the folder `mlruns` or one that holds it.
pub async fn migrate(source: &Path, target: &StoreUri, head: Head) -> Result<Imported> {
    let folder = find(source)?;
    let db = Db::open(target, head).await?;
    let done = import(&db, &folder, target).await;
    db.close().await;
    done
}

/// Whether a folder holds runs in files.
pub fn is_store(folder: &Path) -> bool {
    files::experiments(folder).iter().any(|(path, _)| path.join(files::META).is_file())
}

/// The folder with the experiments, below `source` or this itself.
pub(crate) fn find(source: &Path) -> Result<PathBuf> {
    let inner = source.join("mlruns");
    if inner.is_dir() {
        return Ok(inner);
    }
    if !files::experiments(source).is_empty() || source.join("models").is_dir() {
        return Ok(source.to_path_buf());
    }
    Err(Error::NoFilestore { path: source.to_path_buf() })
}

/// Copies everything in one transaction.
pub(crate) async fn import(db: &Db, folder: &Path, target: &StoreUri) -> Result<Imported> {
    let mut session = db.write().await?;
    for table in ["experiments", "runs", "registered_models"] {
        let row = session.row(Statement::new(&format!("SELECT COUNT(*) FROM {table}"))).await?;
        let count = row.map_or(Ok(0), |row| row.int(0))?;
        if count > 0 {
            return Err(Error::NotEmpty { store: target.clone(), table, count });
        }
    }
    let mut import = Import { session, done: Imported::default() };
    let experiments = files::experiments(folder);
    let ids = numbers(&experiments, matches!(db, Db::Postgres(_)));
    for ((path, old), new) in experiments.iter().zip(&ids) {
        if old != new {
            import.done.renumbered.push((*old, *new));
        }
        runs::experiment(&mut import, path, *new).await?;
        traces::of_experiment(&mut import, path, *new).await?;
    }
    registry::models(&mut import, &folder.join("models")).await?;
    let Import { mut session, done } = import;
    if let (Db::Postgres(_), Some(last)) = (db, ids.iter().max()) {
        let sql = "SELECT setval('experiments_experiment_id_seq'::regclass, $1)";
        session.rows(Statement::new(sql).bind((*last).max(1))).await?;
    }
    session.commit().await?;
    Ok(done)
}

/// The ids of the experiments in the database. Files have random ones of 18 digits; PostgreSQL's column ends at 2³¹.
fn numbers(experiments: &[(PathBuf, i64)], small: bool) -> Vec<i64> {
    let fits = |id: i64| !small || i32::try_from(id).is_ok();
    let mut next = experiments.iter().map(|(_, id)| *id).filter(|id| fits(*id)).max().unwrap_or(0);
    let mut number = |id: i64| {
        if fits(id) {
            return id;
        }
        next += 1;
        next
    };
    experiments.iter().map(|(_, id)| number(*id)).collect()
}

/// An import under way.
struct Import {
    session: Session,
    done: Imported,
}

impl Import {
    /// Adds a row and counts it. A row with a key that is there already is passed over.
    async fn add(&mut self, kind: &'static str, table: &str, row: Vec<(&str, Arg)>) -> Result<()> {
        let (columns, values): (Vec<&str>, Vec<Arg>) = row.into_iter().unzip();
        let mut statement = Statement::new(&format!("INSERT INTO {table} ({}) VALUES ", columns.join(", ")));
        statement.push_list(values).push(" ON CONFLICT DO NOTHING");
        *self.done.counts.entry(kind).or_default() += self.session.run(statement).await?;
        Ok(())
    }

    fn skip(&mut self, path: &Path, why: impl Into<String>) {
        self.done.skipped.push((path.to_path_buf(), why.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_ids_are_replaced_where_they_do_not_fit() {
        let of = |ids: &[i64]| ids.iter().map(|id| (PathBuf::new(), *id)).collect::<Vec<_>>();
        let ids = of(&[0, 117_090_896_818_248_491, 7, 3_000_000_000]);
        assert_eq!(numbers(&ids, true), [0, 8, 7, 9]);
        assert_eq!(numbers(&ids, false), [0, 117_090_896_818_248_491, 7, 3_000_000_000]);
    }
}
