//! Turns a reproduction of the pipeline into runs, from outside: no stage has to know.
//!
//! The first stage that has to act opens a *pipeline run*; every stage that runs, comes from the run cache or
//! fails is a *stage run* below it. Stage commands get the address of the store and the tags that a stock MLflow
//! client adds to its own runs, so that what a script logs hangs below its stage. When a stage has ended its
//! parameters, metrics, plots, data digests and **new** lock entry are written; when the pipeline has ended the
//! pipeline run carries those of the whole pipeline. A server that is away costs a warning,
//! never a training: what is to be written waits in a spool (see [`crate::tracker`]).

mod artifacts;
mod committed;
mod facts;
mod once;
mod pipeline;
mod plots;
mod programs;
mod recorder;
mod results;
mod script;
mod secrets;
mod stage;
mod unfinished;
mod untracked;
mod write;

pub(crate) use facts::UNCOMMITTED;
pub use facts::{Context, Facts};
pub use recorder::{End, Recorded, Recorder};
pub use unfinished::end_unfinished;

/// The numbers of a metrics file under the names that a run has them by.
pub(crate) fn metrics_of(values: &matraz_base::Value) -> impl Iterator<Item = (String, f64)> {
    write::metrics(values).into_iter().map(|point| (point.key, point.value))
}

/// The parameters of a lock entry under the names that a run has them by.
pub(crate) fn params_of(entry: &matraz_data::stage::LockEntry) -> indexmap::IndexMap<String, String> {
    write::params(entry)
}

/// Ties data to a run that is there already, as read and as made.
pub(crate) fn write_datasets(
    tracker: &crate::Tracker,
    run_id: &str,
    read: &[&matraz_data::stage::LockedItem],
    made: &[&matraz_data::stage::LockedItem],
) -> crate::Result<()> {
    write::datasets(tracker, run_id, read, made, &[])
}
