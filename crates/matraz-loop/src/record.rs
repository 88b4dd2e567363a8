//! Turns a reproduction of the pipeline into runs, from outside: no stage has to know.
//!
//! The first stage that has to act opens a *pipeline run*; every stage that runs, comes from the run cache or
//! fails is a *stage run* below it. Stage commands get the address of the store and the tags that a stock MLflow
//! client adds to its own runs, so that what a script logs hangs below its stage. When a stage has ended its
//! parameters, metrics, plots, data digests and **new** lock entry are written; when the pipeline has ended the
//! pipeline run carries those of the whole pipeline. A store that cannot be reached costs a warning, never a
//! training.

mod artifacts;
mod committed;
mod facts;
mod pipeline;
mod plots;
mod recorder;
mod results;
mod script;
mod secrets;
mod stage;
mod unfinished;
mod untracked;
mod write;

pub use facts::{Context, Facts};
pub use recorder::{End, Recorded, Recorder};
pub use unfinished::end_unfinished;

/// The numbers of a metrics file under the names that a run has them by.
pub(crate) fn metrics_of(values: &matraz_base::Value) -> impl Iterator<Item = (String, f64)> {
    write::metrics(values).into_iter().map(|point| (point.key, point.value))
}
