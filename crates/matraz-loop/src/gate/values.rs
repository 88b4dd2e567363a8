//! The values by which a run is judged: its metrics, the sizes of what it made, and what its stages took.

use std::collections::BTreeMap;

use matraz_ship::gate::Rule;

use crate::error::Result;
use crate::run::{Run, Runs, tag};
use crate::tracker::Tracker;

/// `size:PATH`: bytes of an output of the pipeline.
const SIZE: &str = "size:";
/// `wall_seconds:STAGE` and `peak_memory_bytes:STAGE`: what the last execution of a stage took, and the tag that says so.
const OF_STAGES: [(&str, &str); 2] =
    [("wall_seconds:", tag::WALL_SECONDS), ("peak_memory_bytes:", tag::PEAK_MEMORY)];

/// The values of a run. Its stages are asked only when a rule speaks of them.
pub(super) fn of(tracker: &Tracker, run: &Run, rules: &[Rule]) -> Result<BTreeMap<String, f64>> {
    let mut values: BTreeMap<String, f64> =
        run.metrics.iter().map(|(key, value)| (key.clone(), *value)).collect();
    for data in run.datasets.iter().filter(|data| data.is_output()) {
        if let Some(size) = data.size {
            values.insert(format!("{SIZE}{}", data.name), size as f64);
        }
    }
    let of_stages = |rule: &Rule| OF_STAGES.iter().any(|(prefix, _)| rule.metric.starts_with(prefix));
    if rules.iter().any(of_stages) {
        for stage in Runs::of_experiment(tracker, &run.experiment_id).search(&children(run), 1000)? {
            let Some(name) = stage.tag(tag::STAGE) else { continue };
            for (prefix, key) in OF_STAGES {
                if let Some(value) = stage.tag(key).and_then(|text| text.parse().ok()) {
                    values.entry(format!("{prefix}{name}")).or_insert(value);
                }
            }
        }
    }
    Ok(values)
}

/// The filter for the runs of a pipeline run's stages.
pub(super) fn children(run: &Run) -> String {
    format!("tags.`{}` = '{}'", tag::PARENT, run.id)
}
