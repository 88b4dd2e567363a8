//! What the script of a stage logged itself.

use indexmap::IndexMap;

use super::write::{OpenRun, Point};
use crate::error::Result;
use crate::run::{self, Run};
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
