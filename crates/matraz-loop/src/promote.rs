//! The model registry as the loop uses it: register a run's model, move an alias to it behind the gate, and back.
//!
//! Every move of an alias is kept in a tag of the registered model, so that `rollback` knows the way and any
//! client of the store can read it.

use indexmap::IndexMap;
use matraz_serve::scoring::Model;
use matraz_ship::gate::{Report, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::error::{Error, Result};
use crate::gate::{self, Past};
use crate::model_digest::Digests;
use crate::model_uri;
use crate::run::{self, Run, tag};
use crate::settings::{Model as Named, Settings};
use crate::tracker::Tracker;

/// The alias that production reads when nothing else is said.
pub const CHAMPION: &str = "champion";
/// Bytes that the history of an alias may take; the oldest moves go first. PostgreSQL holds 5000 in this column.
const HISTORY_SIZE: usize = 4500;

/// The section `model` of `matraz.yaml`; an error when it has none.
pub fn model(settings: &Settings) -> Result<&Named> {
    settings.model.as_ref().ok_or(Error::NoSection {
        section: "model",
        example: "`model:` and below it `name: NAME` and `path: OUTPUT`",
    })
}

/// A version of a registered model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    /// The registered model's name.
    pub model: String,
    /// The version's number, as text.
    pub version: String,
    /// The run that made it.
    pub run_id: String,
    /// Where its files are.
    pub source: String,
    /// Its tags.
    #[serde(skip)]
    pub tags: IndexMap<String, String>,
    /// Whether it was made just now.
    #[serde(skip)]
    pub new: bool,
}

impl Version {
    fn from_json(json: &Json) -> Option<Self> {
        let text = |key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
        Some(Self {
            model: text("name")?,
            version: text("version")?,
            run_id: text("run_id").unwrap_or_default(),
            source: text("source").unwrap_or_default(),
            tags: tags_of(json),
            new: false,
        })
    }
}

fn tags_of(json: &Json) -> IndexMap<String, String> {
    let tags = json.get("tags").and_then(Json::as_array).into_iter().flatten();
    let text = |tag: &Json, key: &str| tag.get(key).and_then(Json::as_str).map(str::to_owned);
    tags.filter_map(|tag| Some((text(tag, "key")?, text(tag, "value")?))).collect()
}

/// One move of an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// `promote` or `rollback`.
    pub action: String,
    /// The version that the alias points at since.
    pub version: String,
    /// When, in RFC 3339.
    pub at: String,
    /// Who.
    pub by: String,
    /// Why, when it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a promotion or a rollback did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// The registered model.
    pub model: String,
    /// The alias.
    pub alias: String,
    /// The version it points at now.
    pub version: String,
    /// The version it pointed at before.
    pub previous: Option<String>,
    /// The gate's report, when there are rules and a run to judge.
    pub gate: Option<Report>,
}

/// Who moves an alias, and why the gate may be passed over.
#[derive(Clone, Debug)]
pub struct By {
    /// The user's name.
    pub user: String,
    /// A reason that opens a closed gate.
    pub force: Option<String>,
}

/// Registers the model of a run, once: a second call gives the same version.
pub fn register(tracker: &Tracker, run: &Run, model: &Named) -> Result<Version> {
    let known = format!("name = '{}' AND run_id = '{}'", model.name.replace('\'', ""), run.id);
    if let Some(version) = search(tracker, &known)?.into_iter().next() {
        return Ok(version);
    }
    let files = tracker.wait(tracker.client().list(&run.artifact_uri, &model.path))?;
    if !files.iter().any(|entry| entry.path.ends_with("MLmodel")) {
        return Err(Error::NoModel { run: run.name.clone(), path: model.path.clone() });
    }
    match tracker.wait(tracker.client().post("registered-models/create", &json!({"name": model.name}))) {
        Ok(_) => {}
        Err(error) if error.code() == Some("RESOURCE_ALREADY_EXISTS") => {}
        Err(error) => return Err(error.into()),
    }
    let mut tags = Vec::new();
    for key in [tag::COMMIT, tag::DIRTY, tag::GATE, tag::GATE_RULES, tag::GATE_DIGEST] {
        if let Some(value) = run.tag(key) {
            tags.push(json!({"key": key, "value": value}));
        }
    }
    let body = json!({
        "name": model.name,
        "source": format!("{}/{}", run.artifact_uri, model.path),
        "run_id": run.id,
        "tags": tags,
    });
    let answer = tracker.wait(tracker.client().post("model-versions/create", &body))?;
    let version = answer.get("model_version").and_then(Version::from_json);
    let version = version.ok_or(Error::Answer { call: "model-versions/create", field: "model_version" })?;
    Ok(Version { new: true, ..version })
}

/// All versions of a model, newest first.
pub fn versions(tracker: &Tracker, model: &str) -> Result<Vec<Version>> {
    let mut found = search(tracker, &format!("name = '{}'", model.replace('\'', "")))?;
    found.sort_by_key(|version| std::cmp::Reverse(version.version.parse::<u64>().unwrap_or(0)));
    Ok(found)
}

fn search(tracker: &Tracker, filter: &str) -> Result<Vec<Version>> {
    let query = [("filter", filter), ("max_results", "10000")];
    let answer = tracker.wait(tracker.client().get("model-versions/search", &query))?;
    let found = answer.get("model_versions").and_then(Json::as_array);
    Ok(found.into_iter().flatten().filter_map(Version::from_json).collect())
}

/// A version with what its run reached.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// The version.
    #[serde(flatten)]
    pub version: Version,
    /// The aliases that point at it.
    pub aliases: Vec<String>,
    /// The run's name, when the run is there.
    pub run_name: Option<String>,
    /// The verdict of the run's last gate.
    pub gate: Option<String>,
    /// The run's metrics.
    pub metrics: IndexMap<String, f64>,
}

/// All versions of a model with their aliases and what their runs reached, newest first.
pub fn list(tracker: &Tracker, model: &str) -> Result<Vec<Listed>> {
    let answer = tracker.wait(tracker.client().get("registered-models/get", &[("name", model)]))?;
    let aliases: Vec<(&str, &str)> = answer
        .pointer("/registered_model/aliases")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some((entry.get("alias")?.as_str()?, entry.get("version")?.as_str()?)))
        .collect();
    let listed = |version: Version| {
        let run = match version.run_id.as_str() {
            "" => None,
            id => match run::get(tracker, id) {
                Ok(run) => Some(run),
                Err(Error::Tracking(error)) if error.is_missing() => None,
                Err(error) => return Err(error),
            },
        };
        let pointing = aliases.iter().filter(|(_, number)| *number == version.version);
        Ok(Listed {
            aliases: pointing.map(|(alias, _)| (*alias).to_owned()).collect(),
            run_name: run.as_ref().map(|run| run.name.clone()),
            gate: run.as_ref().and_then(|run| run.tag(tag::GATE).map(str::to_owned)),
            metrics: run.map(|run| run.metrics).unwrap_or_default(),
            version,
        })
    };
    versions(tracker, model)?.into_iter().map(listed).collect()
}

/// One version by its number.
pub fn version(tracker: &Tracker, model: &str, number: &str) -> Result<Version> {
    let query = [("name", model), ("version", number)];
    let answer = tracker.wait(tracker.client().get("model-versions/get", &query))?;
    let found = answer.get("model_version").and_then(Version::from_json);
    found.ok_or(Error::Answer { call: "model-versions/get", field: "model_version" })
}

/// Makes sure that there is a registered model of that name.
pub fn registered(tracker: &Tracker, model: &str) -> Result<()> {
    tracker.wait(tracker.client().get("registered-models/get", &[("name", model)]))?;
    Ok(())
}

/// The version whose run has the best value of the metric; versions without it are left out.
pub fn best_version(tracker: &Tracker, model: &str, metric: &str) -> Result<Version> {
    let lower = crate::compare::lower_is_better(metric);
    let mut best: Option<(f64, Version)> = None;
    // From the oldest on: a version that is only as good as an older one does not take its place.
    for version in versions(tracker, model)?.into_iter().rev() {
        if version.run_id.is_empty() {
            continue;
        }
        let value = run::get(tracker, &version.run_id)?.metrics.get(metric).copied();
        let Some(value) = value.filter(|x| !x.is_nan()) else { continue };
        let better = best.as_ref().is_none_or(|(top, _)| if lower { value < *top } else { value > *top });
        if better {
            best = Some((value, version));
        }
    }
    best.map(|(_, version)| version)
        .ok_or_else(|| Error::NoVersion { model: model.to_owned(), metric: metric.to_owned() })
}

/// The versions that a run made.
pub fn versions_of_run(tracker: &Tracker, run: &str) -> Result<Vec<Version>> {
    search(tracker, &format!("run_id = '{run}'"))
}

/// Points the alias at a version, if its run passes the gate and its files are those that the gate judged.
pub fn promote(past: &Past<'_>, version: &Version, alias: &str, by: &By) -> Result<Moved> {
    let tracker = past.tracker;
    let rules = &past.settings.gates;
    let mut digests = Digests::new(tracker);
    let gate = if rules.is_empty() || version.run_id.is_empty() {
        None
    } else {
        let run = run::get(tracker, &version.run_id)?;
        let judged =
            version.tags.get(tag::GATE_DIGEST).map(String::as_str).or_else(|| run.tag(tag::GATE_DIGEST));
        if let (Some(judged), None) = (judged, &by.force)
            && digests.of_version(version)?.as_deref() != Some(judged)
        {
            let (model, version) = (version.model.clone(), version.version.clone());
            return Err(Error::ArtifactChanged { model, version });
        }
        let report = gate::judge(past, &run, rules)?;
        gate::keep(past, &run, &report, &mut digests)?;
        Some(report)
    };
    let closed = gate.iter().flat_map(|report| &report.rules).find(|row| row.verdict != Verdict::Pass);
    if let (Some(row), None) = (closed, &by.force) {
        return Err(Error::GateClosed {
            model: version.model.clone(),
            version: version.version.clone(),
            reason: format!("{}: {}", row.rule, row.reason),
        });
    }
    let previous = aliased(tracker, &version.model, alias)?;
    if previous.as_deref() != Some(version.version.as_str()) {
        point(tracker, version, alias, "promote", by)?;
    }
    Ok(Moved {
        model: version.model.clone(),
        alias: alias.to_owned(),
        version: version.version.clone(),
        previous,
        gate,
    })
}

/// Points the alias back at the version it had before, after a look that the version still has its files.
pub fn rollback(tracker: &Tracker, model: &str, alias: &str, by: &By) -> Result<Moved> {
    let current = aliased(tracker, model, alias)?;
    let nothing = || Error::NothingBefore { model: model.to_owned(), alias: alias.to_owned() };
    let target = before(&history(tracker, model, alias)?, current.as_deref()).ok_or_else(nothing)?;
    let version = version(tracker, model, &target)?;
    loads(tracker, &version)?;
    point(tracker, &version, alias, "rollback", by)?;
    Ok(Moved {
        model: model.to_owned(),
        alias: alias.to_owned(),
        version: version.version,
        previous: current,
        gate: None,
    })
}

/// Makes sure that a version can be used: its description can be read, and a model that needs no Python is loaded.
fn loads(tracker: &Tracker, version: &Version) -> Result<()> {
    let source = model_uri::files_of(tracker, version)?;
    let copies = tempfile::tempdir().map_err(Error::file("make", std::env::temp_dir()))?;
    let files = model_uri::files_at(tracker, &source, copies.path())?;
    if !files.names.iter().any(|name| name == "MLmodel") {
        return Err(Error::NoModel { run: version.run_id.clone(), path: source });
    }
    match Model::load(&files.folder) {
        Err(error) if !error.needs_python() => Err(Error::DoesNotLoad {
            model: version.model.clone(),
            version: version.version.clone(),
            reason: error.to_string(),
        }),
        _ => Ok(()),
    }
}

/// The version under an alias.
pub fn aliased(tracker: &Tracker, model: &str, alias: &str) -> Result<Option<String>> {
    let answer = tracker.wait(tracker.client().get("registered-models/get", &[("name", model)]))?;
    let aliases = answer.pointer("/registered_model/aliases").and_then(Json::as_array);
    let found =
        aliases.into_iter().flatten().find(|entry| entry.get("alias").and_then(Json::as_str) == Some(alias));
    Ok(found.and_then(|entry| entry.get("version")).and_then(Json::as_str).map(str::to_owned))
}

/// The moves of an alias, oldest first.
pub fn history(tracker: &Tracker, model: &str, alias: &str) -> Result<Vec<Move>> {
    let answer = tracker.wait(tracker.client().get("registered-models/get", &[("name", model)]))?;
    let tags = answer.pointer("/registered_model/tags").and_then(Json::as_array);
    let name = history_tag(alias);
    let found =
        tags.into_iter().flatten().find(|entry| entry.get("key").and_then(Json::as_str) == Some(&name));
    let text = found.and_then(|entry| entry.get("value")).and_then(Json::as_str).unwrap_or("[]");
    // A tag that someone else wrote over is no history; the moves from now on will be.
    Ok(serde_json::from_str(text).unwrap_or_default())
}

fn history_tag(alias: &str) -> String {
    format!("matraz.alias.{alias}")
}

/// The version that the alias had before `current`, by the moves in order: a promotion goes on top, a rollback
/// takes the top away. A version that someone set by other means counts as on top.
fn before(moves: &[Move], current: Option<&str>) -> Option<String> {
    let mut stack: Vec<&str> = Vec::new();
    for step in moves {
        if step.action == "rollback" {
            while stack.len() > 1 && stack.last() != Some(&step.version.as_str()) {
                stack.pop();
            }
        }
        if stack.last() != Some(&step.version.as_str()) {
            stack.push(&step.version);
        }
    }
    if stack.last().copied() == current {
        stack.pop();
    }
    stack.last().map(|version| (*version).to_owned())
}

fn point(tracker: &Tracker, version: &Version, alias: &str, action: &str, by: &By) -> Result<()> {
    let mut moves = history(tracker, &version.model, alias)?;
    moves.push(Move {
        action: action.to_owned(),
        version: version.version.clone(),
        at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        by: by.user.clone(),
        reason: by.force.clone(),
    });
    while json!(moves).to_string().len() > HISTORY_SIZE {
        moves.remove(0);
    }
    // The way back is written first: an alias that moved without one could not be rolled back.
    let entry = json!({"name": version.model, "key": history_tag(alias), "value": json!(moves).to_string()});
    tracker.wait(tracker.client().post("registered-models/set-tag", &entry))?;
    let body = json!({"name": version.model, "alias": alias, "version": version.version});
    tracker.wait(tracker.client().post("registered-models/alias", &body))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(steps: &[(&str, &str)]) -> Vec<Move> {
        let step = |(action, version): &(&str, &str)| Move {
            action: (*action).into(),
            version: (*version).into(),
            at: String::new(),
            by: String::new(),
            reason: None,
        };
        steps.iter().map(step).collect()
    }

    #[test]
    fn the_way_back_is_a_stack() {
        type Case<'c> = (&'c [(&'c str, &'c str)], Option<&'c str>, Option<&'c str>);
        let table: [Case<'_>; 7] = [
            (&[], Some("1"), None),
            (&[("promote", "1")], Some("1"), None),
            (&[("promote", "1"), ("promote", "2")], Some("2"), Some("1")),
            (&[("promote", "1"), ("promote", "2"), ("rollback", "1")], Some("1"), None),
            (
                &[("promote", "1"), ("promote", "2"), ("promote", "3"), ("rollback", "2")],
                Some("2"),
                Some("1"),
            ),
            (&[("promote", "1"), ("promote", "2")], Some("7"), Some("2")),
            (
                &[("promote", "1"), ("promote", "2"), ("rollback", "1"), ("promote", "3")],
                Some("3"),
                Some("1"),
            ),
        ];
        for (steps, current, expected) in table {
            assert_eq!(before(&moves(steps), current).as_deref(), expected, "{steps:?} {current:?}");
        }
    }
}
