//! What the script of a stage logged itself.

use std::collections::HashSet;

use indexmap::IndexMap;
use matraz_data::stage::LockedItem;
use serde_json::{Value as Json, json};

use super::facts::pair;
use super::recorder::Known;
use super::write::{self, OpenRun, Point};
use crate::error::Result;
use crate::run::{self, Run, Runs, tag};
use crate::tracker::Tracker;

/// The parameters that the scripts of a stage logged with another value than the stage has: `rate: 0.1 by the script, 0.5
/// by the files`.
pub(super) fn contradictions(scripts: &[Run], params: &IndexMap<String, String>) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, logged) in scripts.iter().flat_map(|run| &run.params) {
        match params.get(key) {
            Some(value) if !same_value(value, logged) => {
                let line = format!("{key}: {logged} by the script, {value} by the files");
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
            _ => {}
        }
    }
    lines
}

/// All runs below a run, whatever their depth.
pub(super) fn runs_below(tracker: &Tracker, experiment_id: &str, id: &str) -> Result<Vec<Run>> {
    let mut pending = vec![id.to_owned()];
    let mut found: Vec<Run> = Vec::new();
    while let Some(parent) = pending.pop() {
        for run in run::below(tracker, experiment_id, &parent)? {
            if !found.iter().any(|known| known.id == run.id) {
                pending.push(run.id.clone());
                found.push(run);
            }
        }
    }
    Ok(found)
}

/// Characters that a list of keys may take in a tag.
const LONGEST_LIST: usize = 4500;

/// Metrics that scripts logged with a client: the runs above them show them too, as if a file had them.
#[derive(Clone, Debug, Default)]
pub(super) struct Logged {
    values: IndexMap<String, f64>,
    /// Keys with several values, of which none is the pipeline's.
    ambiguous: HashSet<String>,
}

impl Logged {
    /// What the scripts' own runs logged, directly below their stage; trials below these stay theirs.
    pub(super) fn below(stage: &OpenRun, scripts: &[Run]) -> Self {
        let mut logged = Self::default();
        for run in scripts.iter().filter(|run| run.tag(tag::PARENT) == Some(&stage.id)) {
            run.metrics.iter().for_each(|(key, value)| logged.add(key, *value));
        }
        logged
    }

    /// Adds what the scripts of another run of a stage logged.
    pub(super) fn take_over(&mut self, run: &Run) {
        run.script_metrics().for_each(|(key, value)| self.add(key, value));
    }

    /// Adds what another one has.
    pub(super) fn extend(&mut self, other: &Self) {
        other.values.iter().for_each(|(key, value)| self.add(key, *value));
        other.ambiguous.iter().for_each(|key| self.forget(key));
    }

    fn add(&mut self, key: &str, value: f64) {
        let known = self.values.get(key);
        if known.is_some_and(|known| known.to_bits() != value.to_bits()) {
            self.forget(key);
        } else if !self.ambiguous.contains(key) {
            self.values.insert(key.to_owned(), value);
        }
    }

    fn forget(&mut self, key: &str) {
        self.values.shift_remove(key);
        self.ambiguous.insert(key.to_owned());
    }

    /// Adds them to the points of the files, which count where both have a key, and says so in a tag.
    pub(super) fn join(mut self, points: &mut Vec<Point>, tags: &mut Vec<Json>) {
        self.values.retain(|key, _| !points.iter().any(|point| point.key == *key));
        while json!(self.values.keys().collect::<Vec<_>>()).to_string().len() > LONGEST_LIST {
            self.values.pop();
        }
        if self.values.is_empty() {
            return;
        }
        tags.push(pair(tag::SCRIPT_METRICS, &json!(self.values.keys().collect::<Vec<_>>()).to_string()));
        points.extend(self.values.into_iter().map(|(key, value)| Point { key, value, step: 0 }));
    }
}

/// What scripts logged when the stages ran whose results are still those of the work tree.
pub(super) fn of_unchanged(tracker: &Tracker, experiment_id: &str, stages: &[Known]) -> Result<Logged> {
    let mut logged = Logged::default();
    let mut unchanged =
        stages.iter().filter(|known| matches!(known.row.status, "unchanged" | "frozen")).peekable();
    if unchanged.peek().is_none() {
        return Ok(logged);
    }
    let filter = format!("tags.`{}` LIKE '%' AND tags.`{}` = 'stage'", tag::SCRIPT_METRICS, tag::KIND);
    let runs = Runs::of_experiment(tracker, experiment_id).search(&filter, 200)?;
    for known in unchanged {
        let Some(entry) = &known.entry else { continue };
        let params = write::params(entry);
        let made_it = |run: &&Run| {
            let has = |item: &LockedItem| {
                let digest = item.digest.map(|digest| digest.to_text());
                run.datasets
                    .iter()
                    .any(|used| used.name == item.path && Some(&used.digest) == digest.as_ref())
            };
            run.tag(tag::STAGE) == Some(&known.name)
                && entry.deps.iter().chain(&entry.outs).all(has)
                && params.iter().all(|(key, value)| run.params.get(key) == Some(value))
        };
        runs.iter().find(made_it).into_iter().for_each(|run| logged.take_over(run));
    }
    Ok(logged)
}

/// Leaves out what a script wrote into the stage's own run already: an equal value twice tells nothing, and a parameter
/// cannot be changed.
pub(super) fn not_yet_logged(
    tracker: &Tracker,
    stage: &OpenRun,
    mut params: IndexMap<String, String>,
    mut points: Vec<Point>,
) -> Result<(IndexMap<String, String>, Vec<Point>)> {
    let known = run::get(tracker, &stage.id)?;
    params.retain(|key, _| !known.params.contains_key(key));
    points.retain(|point| known.metrics.get(&point.key) != Some(&point.value));
    Ok((params, points))
}

/// Whether two texts are the same value: numbers by their value, truth values in Python's or YAML's spelling.
fn same_value(a: &str, b: &str) -> bool {
    if a == b
        || a.eq_ignore_ascii_case(b)
            && matches!(a.to_ascii_lowercase().as_str(), "true" | "false" | "none" | "null")
    {
        return true;
    }
    let none = |text: &str| matches!(text.to_ascii_lowercase().as_str(), "none" | "null" | "");
    match (a.trim().parse::<f64>(), b.trim().parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => none(a) && none(b),
    }
}

#[cfg(test)]
mod tests {
    use super::same_value;

    #[test]
    fn spelling_is_no_contradiction() {
        for (a, b) in [
            ("0.10", "0.1"),
            ("1", "1.0"),
            ("1e-05", "0.00001"),
            ("True", "true"),
            ("null", "None"),
            ("x", "x"),
        ] {
            assert!(same_value(a, b), "{a} {b}");
        }
        for (a, b) in [("0.1", "0.2"), ("x", "X"), ("true", "false"), ("1", "one")] {
            assert!(!same_value(a, b), "{a} {b}");
        }
    }
}
