//! Experiments: named groups of runs.

use crate::db;
use crate::db::Session;
use crate::error::{Error, Result};
use crate::service::{Service, now_ms};

/// The stage in the life of an experiment or a run.
pub const ACTIVE: &str = "active";
/// Marked as deleted, still there.
pub const DELETED: &str = "deleted";

/// An experiment as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// The number, from 0.
    pub id: i64,
    /// Unique among all, deleted ones too.
    pub name: String,
    /// Where artifacts of its runs go.
    pub artifact_location: Option<String>,
    /// `active` or `deleted`.
    pub lifecycle_stage: String,
    /// Milliseconds since 1970.
    pub creation_time: Option<i64>,
    /// Milliseconds since 1970.
    pub last_update_time: Option<i64>,
    /// In the order of their keys.
    pub tags: Vec<(String, String)>,
}

/// Makes the experiment 0, `Default`, in a store without experiments.
pub(crate) async fn make_default(service: &Service) -> Result<()> {
    let mut session = service.db().write().await?;
    if db::experiment::count(&mut session).await? == 0 {
        let location = location_below(&service.options().artifact_root, 0);
        db::experiment::insert(&mut session, Some(0), "Default", Some(&location), now_ms()).await?;
    }
    session.commit().await
}

/// The artifact location of an experiment below a root.
pub(crate) fn location_below(root: &str, id: i64) -> String {
    format!("{}/{id}", root.trim_end_matches('/'))
}

/// Reads the decimal id of an experiment.
pub fn parse_id(id: &str) -> Result<i64> {
    id.parse().map_err(|_| {
        Error::invalid(format!("Invalid experiment ID '{id}': an experiment ID must be a decimal number"))
    })
}

/// The experiment with this id, deleted or not, with its tags.
pub async fn find(session: &mut Session, id: &str) -> Result<Experiment> {
    let number = parse_id(id)?;
    match db::experiment::by_id(session, number).await? {
        Some(experiment) => Ok(experiment),
        None => Err(Error::missing(format!("No Experiment with id={number} exists"))),
    }
}
