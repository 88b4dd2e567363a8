//! Experiments and the runs that recorded them: the run of an experiment has its name, and says which commit it made.

use serde_json::json;

use crate::error::Result;
use crate::run::{Run, Runs, tag};
use crate::tracker::{Target, Tracker};

/// On a pipeline run: the commit of the experiment that it recorded.
pub const COMMIT: &str = "matraz.experiment.commit";
/// On a pipeline run: the name of that experiment.
pub const NAME: &str = "matraz.experiment.name";
/// On a pipeline run: the commit that the experiment started from.
pub const BASELINE: &str = "matraz.experiment.baseline";

/// Gives a run the name of its experiment, and tags that lead to it.
pub fn join(target: Target, run_id: &str, name: &str, commit: &str, baseline: &str) -> Result<()> {
    let tracker = Tracker::open(target)?;
    let update = json!({"run_id": run_id, "run_name": name});
    tracker.wait(tracker.client().post("runs/update", &update))?;
    for (key, value) in [(NAME, name), (COMMIT, commit), (BASELINE, baseline)] {
        let tag = json!({"run_id": run_id, "key": key, "value": value});
        tracker.wait(tracker.client().post("runs/set-tag", &tag))?;
    }
    Ok(())
}

/// How many runs one search may find.
const MOST: usize = 1000;

/// The pipeline runs that recorded the experiments of these commits.
pub fn runs_of(tracker: &Tracker, commits: &[&str]) -> Result<Vec<Run>> {
    let runs = Runs::everywhere(tracker)?;
    let mut found = Vec::new();
    for commit in commits {
        found.extend(runs.search(&format!("tags.`{COMMIT}` = '{commit}'"), MOST)?);
    }
    Ok(found)
}

/// Deletes runs and all below them. As with MLflow, they can be restored until `runs gc`.
pub fn delete_runs(tracker: &Tracker, gone: &[Run]) -> Result<()> {
    let runs = Runs::everywhere(tracker)?;
    let mut pending: Vec<String> = gone.iter().map(|run| run.id.clone()).collect();
    while let Some(id) = pending.pop() {
        let below = runs.search(&format!("tags.`{}` = '{id}'", tag::PARENT), MOST)?;
        pending.extend(below.into_iter().map(|run| run.id));
        tracker.wait(tracker.client().post("runs/delete", &json!({"run_id": id})))?;
    }
    Ok(())
}
