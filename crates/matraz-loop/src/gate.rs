//! Judges a run by the rules of `matraz.yaml`, and keeps the verdict with the run.

use matraz_ship::gate::{self, Report, Rule};
use serde_json::json;

use crate::error::{Error, Result};
use crate::run::{Run, tag};
use crate::settings::Settings;
use crate::tracker::Tracker;

/// The rules of `matraz.yaml`; an error when it has none.
pub fn rules(settings: &Settings) -> Result<&[Rule]> {
    if settings.gates.is_empty() {
        return Err(Error::NoSection {
            section: "gates",
            example: "`gates:` and below it `- metric: accuracy` with `above: 0.80`",
        });
    }
    Ok(&settings.gates)
}

/// Judges the run by the rules.
pub fn judge(run: &Run, rules: &[Rule]) -> Report {
    gate::judge(rules, |metric| run.metrics.get(metric).copied())
}

/// Keeps the verdict with the run, as tags.
pub fn keep(tracker: &Tracker, run: &Run, report: &Report) -> Result<()> {
    let rules: Vec<String> = report.rules.iter().map(|row| format!("{}: {}", row.rule, row.reason)).collect();
    let body = json!({
        "run_id": run.id,
        "tags": [
            {"key": tag::GATE, "value": report.verdict.word()},
            {"key": tag::GATE_RULES, "value": json!(rules).to_string()},
        ],
    });
    tracker.wait(tracker.client().post("runs/log-batch", &body))?;
    Ok(())
}
