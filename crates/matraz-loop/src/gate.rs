//! Judges a run by the rules of `matraz.yaml`: by its own values, by the run of the champion, of the merge base or of a
//! named baseline, and by predictions row by row. The verdict is kept with the run and with the model version.

mod baseline;
mod predictions;
mod values;

use std::collections::BTreeMap;

use matraz_data::Repo;
use matraz_ship::gate::{self, Evidence, Reference, Report, Rule};
use serde_json::json;

use crate::error::{Error, Result};
use crate::model_digest::Digests;
use crate::promote;
use crate::run::{Run, artifact, tag};
use crate::settings::Settings;
use crate::tracker::Tracker;

/// Where a gate looks for what a run is compared with.
#[derive(Debug)]
pub struct Past<'p> {
    /// The store.
    pub tracker: &'p Tracker,
    /// The project's data and its git repository, where there are any.
    pub repo: Option<&'p Repo>,
    /// What `matraz.yaml` says.
    pub settings: &'p Settings,
    /// The experiment in which runs are looked for.
    pub experiment: String,
    /// The registered model whose champion is meant.
    pub model: Option<String>,
    /// The branch from which the merge base is counted; without one the main branch.
    pub base: Option<String>,
}

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
pub fn judge(past: &Past<'_>, run: &Run, rules: &[Rule]) -> Result<Report> {
    Ok(gate::judge(rules, &evidence(past, run, rules)?))
}

fn evidence(past: &Past<'_>, run: &Run, rules: &[Rule]) -> Result<Evidence> {
    let mut evidence = Evidence { values: values::of(past.tracker, run, rules)?, ..Evidence::default() };
    let mut runs: BTreeMap<&Reference, Run> = BTreeMap::new();
    for reference in rules.iter().filter_map(|rule| rule.threshold.reference()) {
        if evidence.baselines.contains_key(reference) {
            continue;
        }
        let found = baseline::find(past, reference, run)?.map(|(provenance, run)| {
            let values = values::of(past.tracker, &run, rules);
            runs.insert(reference, run);
            values.map(|values| gate::Baseline { provenance, values })
        });
        let found = match found {
            Ok(baseline) => Ok(baseline?),
            Err(why) => Err(why),
        };
        evidence.baselines.insert(reference.clone(), found);
    }
    for (n, rule) in rules.iter().enumerate() {
        let other = rule.threshold.reference().and_then(|reference| runs.get(reference));
        if let (Some(paired), Some(other)) = (&rule.paired, other) {
            evidence.pairs.insert(n, predictions::pairs(past, run, other, paired)?);
        }
    }
    Ok(evidence)
}

/// Keeps the verdict with the run, as tags and whole as an artifact, and with its model versions. The model of the run is
/// remembered by its digest, so that one that is changed later is known.
pub fn keep(past: &Past<'_>, run: &Run, report: &Report, digests: &mut Digests<'_>) -> Result<()> {
    let tracker = past.tracker;
    let mut tags = verdict_tags(report);
    if let Some(model) = &past.settings.model
        && let Some(digest) = digests.of(&format!("{}/{}", run.artifact_uri, model.path))?
    {
        tags.push((tag::GATE_DIGEST, digest));
    }
    let tags: Vec<_> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    tracker.wait(tracker.client().post("runs/log-batch", &json!({"run_id": run.id, "tags": tags})))?;
    let uri = format!("{}/{}", run.artifact_uri, artifact::GATE);
    tracker.wait(tracker.client().upload_bytes(&uri, json!(report).to_string()))?;
    for version in promote::versions_of_run(tracker, &run.id)? {
        let mut tags = verdict_tags(report);
        tags.extend(digests.of_version(&version)?.map(|digest| (tag::GATE_DIGEST, digest)));
        for (key, value) in tags {
            let body = json!({"name": version.model, "version": version.version, "key": key, "value": value});
            tracker.wait(tracker.client().post("model-versions/set-tag", &body))?;
        }
    }
    Ok(())
}

/// Characters that a tag holds in every store.
const LONGEST_TAG: usize = 4500;

fn verdict_tags(report: &Report) -> Vec<(&'static str, String)> {
    let mut rules: Vec<String> = Vec::new();
    for row in &report.rules {
        rules.push(format!("{}: {}", row.name(), row.reason));
    }
    // The whole report is an artifact.
    while json!(rules).to_string().len() > LONGEST_TAG {
        rules.pop();
    }
    vec![(tag::GATE, report.verdict.word().to_owned()), (tag::GATE_RULES, json!(rules).to_string())]
}
