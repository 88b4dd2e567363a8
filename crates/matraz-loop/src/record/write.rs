//! The calls that write a run, kept within the limits of the API.

use std::time::{SystemTime, UNIX_EPOCH};

use indexmap::IndexMap;
use matraz_base::Value;
use matraz_data::stage::{LockEntry, LockedItem};
use serde_json::{Value as Json, json};

use super::facts::pair;
use crate::error::{Error, Result};
use crate::run::{Run, tag};
use crate::tracker::Tracker;

/// Entries that one `log-batch` takes of each kind.
const BATCH: usize = 100;
/// Metrics that one `log-batch` takes.
const METRIC_BATCH: usize = 900;

/// A run that is being written.
#[derive(Clone, Debug)]
pub(super) struct OpenRun {
    pub id: String,
    pub name: String,
    pub artifact_uri: String,
}

/// A point of a metric's history.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub key: String,
    pub value: f64,
    pub step: i64,
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The id of the experiment, which is made when it is new.
pub(super) fn experiment(tracker: &Tracker, name: &str) -> Result<String> {
    let client = tracker.client();
    match tracker.wait(client.get("experiments/get-by-name", &[("experiment_name", name)])) {
        Ok(answer) => {
            let id = answer.pointer("/experiment/experiment_id").and_then(Json::as_str);
            id.map(str::to_owned)
                .ok_or(Error::Answer { call: "experiments/get-by-name", field: "experiment_id" })
        }
        Err(error) if error.is_missing() => {
            let answer = tracker.wait(client.post("experiments/create", &json!({"name": name})))?;
            let id = answer.get("experiment_id").and_then(Json::as_str);
            id.map(str::to_owned).ok_or(Error::Answer { call: "experiments/create", field: "experiment_id" })
        }
        Err(error) => Err(error.into()),
    }
}

/// Starts a run. Without a name the store makes one up.
pub(super) fn create(
    tracker: &Tracker,
    experiment_id: &str,
    name: Option<&str>,
    start: SystemTime,
    tags: Vec<Json>,
) -> Result<OpenRun> {
    let mut body = json!({"experiment_id": experiment_id, "start_time": milliseconds(start), "tags": tags});
    if let Some(name) = name {
        body["run_name"] = json!(name);
    }
    let answer = tracker.wait(tracker.client().post("runs/create", &body))?;
    let info = |field: &'static str| {
        let text = answer.pointer(&format!("/run/info/{field}")).and_then(Json::as_str);
        text.map(str::to_owned).ok_or(Error::Answer { call: "runs/create", field })
    };
    Ok(OpenRun { id: info("run_id")?, name: info("run_name")?, artifact_uri: info("artifact_uri")? })
}

/// Ends a run.
pub(super) fn end(tracker: &Tracker, run: &OpenRun, status: &str) -> Result<()> {
    let body = json!({"run_id": run.id, "status": status, "end_time": milliseconds(SystemTime::now())});
    tracker.wait(tracker.client().post("runs/update", &body))?;
    Ok(())
}

/// Writes parameters, metrics and tags, in as few calls as the limits allow.
pub(super) fn log(
    tracker: &Tracker,
    run: &OpenRun,
    params: &IndexMap<String, String>,
    points: &[Point],
    tags: &[Json],
) -> Result<()> {
    let now = milliseconds(SystemTime::now());
    let params: Vec<Json> = params.iter().map(|(key, value)| pair(key, value)).collect();
    let metrics: Vec<Json> = points
        .iter()
        .map(|point| {
            let value = serde_json::Number::from_f64(point.value)
                .map_or_else(|| json!(word(point.value)), Json::Number);
            json!({"key": point.key, "value": value, "timestamp": now, "step": point.step})
        })
        .collect();
    // Parameters, tags and a first piece of the metrics share a call; 900 + 100 keeps every sum below 1000.
    let mut params = params.chunks(BATCH / 2);
    let mut tags = tags.chunks(BATCH / 2);
    let mut metrics = metrics.chunks(METRIC_BATCH);
    loop {
        let (some_params, some_tags, some_metrics) = (params.next(), tags.next(), metrics.next());
        if some_params.is_none() && some_tags.is_none() && some_metrics.is_none() {
            return Ok(());
        }
        let body = json!({
            "run_id": run.id,
            "params": some_params.unwrap_or_default(),
            "tags": some_tags.unwrap_or_default(),
            "metrics": some_metrics.unwrap_or_default(),
        });
        tracker.wait(tracker.client().post("runs/log-batch", &body))?;
    }
}

fn word(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// Writes data with their digests as dataset inputs of the run.
pub(super) fn datasets(
    tracker: &Tracker,
    run_id: &str,
    read: &[&LockedItem],
    made: &[&LockedItem],
    uncommitted: &[String],
) -> Result<()> {
    let mut datasets: Vec<Json> =
        read.iter().filter_map(|item| dataset(item, "input", uncommitted.contains(&item.path))).collect();
    datasets.extend(made.iter().filter_map(|item| dataset(item, "output", false)));
    for piece in datasets.chunks(BATCH) {
        let body = json!({"run_id": run_id, "datasets": piece});
        tracker.wait(tracker.client().post("runs/log-inputs", &body))?;
    }
    Ok(())
}

/// A dataset of MLflow is known by name and digest; the source is one that MLflow's own client can resolve.
fn dataset(item: &LockedItem, context: &str, uncommitted: bool) -> Option<Json> {
    let digest = item.digest.as_ref()?.to_string();
    let mut profile = serde_json::Map::new();
    if let Some(size) = item.meta.size {
        profile.insert("size".into(), json!(size));
    }
    if let Some(files) = item.meta.nfiles {
        profile.insert("files".into(), json!(files));
    }
    let mut tags = vec![pair(tag::DATA_CONTEXT, context)];
    if uncommitted {
        tags.push(pair(tag::DATA_UNCOMMITTED, "true"));
    }
    Some(json!({
        "tags": tags,
        "dataset": {
            "name": item.path,
            "digest": digest,
            "source_type": "local",
            "source": json!({"uri": item.path}).to_string(),
            "profile": Json::Object(profile).to_string(),
        },
    }))
}

/// The parameters of a lock entry under the names that the store knows: those of `params.yaml` under their own,
/// those of other files with the file in front.
pub(super) fn params(entry: &LockEntry) -> IndexMap<String, String> {
    let mut params = IndexMap::new();
    for (file, values) in &entry.params {
        for (key, value) in values {
            for (rest, leaf) in value.flatten() {
                let key = if rest.is_empty() { key.clone() } else { format!("{key}.{rest}") };
                let key = if file == matraz_data::stage::PARAMS_FILE { key } else { format!("{file}/{key}") };
                params.insert(allowed(&key), leaf.to_string());
            }
        }
    }
    params
}

/// The numbers of a metrics file under dotted names.
pub(super) fn metrics(value: &Value) -> Vec<Point> {
    let leaves = value.flatten();
    let number = |(name, leaf): (String, &Value)| {
        let value = leaf.as_f64()?;
        (!name.is_empty()).then(|| Point { key: allowed(&name), value, step: 0 })
    };
    leaves.into_iter().filter_map(number).collect()
}

/// The name with what the store refuses replaced: it takes letters, digits, `_`, `-`, `.`, space, `:` and `/`, no
/// empty part and no `.` or `..` as a part.
pub(super) fn allowed(name: &str) -> String {
    let letters = |c: char| if c.is_alphanumeric() || "_-. :/".contains(c) { c } else { '_' };
    let clean: String = name.chars().map(letters).take(250).collect();
    let parts = clean.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..");
    let joined = parts.collect::<Vec<_>>().join("/");
    if joined.is_empty() { "_".into() } else { joined }
}

/// The run that computed what a run-cache entry holds.
pub(super) fn origin(tracker: &Tracker, experiment_id: &str, value: &str) -> Result<Option<Run>> {
    let body = json!({
        "experiment_ids": [experiment_id],
        "filter": format!("tags.`{}` = '{}'", tag::RUN_CACHE, value.replace('\'', "")),
        "order_by": ["attributes.start_time ASC"],
        "max_results": 20,
    });
    let answer = tracker.wait(tracker.client().post("runs/search", &body))?;
    let runs = answer.get("runs").and_then(Json::as_array).into_iter().flatten();
    Ok(runs.filter_map(Run::from_json).find(|run| run.tag(tag::CACHED).is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use matraz_base::Map;

    #[test]
    fn names_are_made_fit_for_the_store() {
        let table = [
            ("n_estimators", "n_estimators"),
            ("a/../b", "a/b"),
            ("läufe %", "läufe _"),
            ("/x//y", "x/y"),
            ("..", "_"),
            ("", "_"),
        ];
        for (name, fit) in table {
            assert_eq!(allowed(name), fit);
        }
    }

    #[test]
    fn params_are_flat_and_keep_their_plain_names() {
        let mut entry = LockEntry::default();
        let mut values = Map::new();
        values.insert("n_estimators".into(), Value::Int(300));
        values.insert("net".into(), Value::from(&json!({"layers": [1, 2], "drop": 0.1})));
        entry.params.insert("params.yaml".into(), values);
        let mut other = Map::new();
        other.insert("lr".into(), Value::Float(1e-5));
        entry.params.insert("conf/opt.json".into(), other);
        let found: Vec<_> = params(&entry).into_iter().collect();
        let expected = [
            ("n_estimators", "300"),
            ("net.layers", "[1, 2]"),
            ("net.drop", "0.1"),
            ("conf/opt.json/lr", "1e-05"),
        ];
        assert_eq!(found, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn only_numbers_are_metrics() {
        let value = Value::from(&json!({"accuracy": 0.9, "recall": {"a": 1}, "ok": true, "name": "x"}));
        let keys: Vec<_> = metrics(&value).into_iter().map(|point| point.key).collect();
        assert_eq!(keys, ["accuracy", "recall.a"]);
    }
}
