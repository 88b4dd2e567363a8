//! `mlflow experiments csv`: the runs of an experiment as a table.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use matraz_base::value::python_float;
use matraz_base::{Failure, file};
use matraz_loop::Error;
use serde_json::{Value as Json, json};

use super::super::store::{Store, pairs, text};

/// The most runs that are written, as in MLflow.
const MOST: usize = 100_000;

/// Writes the active runs, newest first, to `target` or returns them as text.
pub fn export(store: &Store, experiment_id: &str, target: Option<&Path>) -> Result<String, Failure> {
    // A number that no experiment has would give an empty table.
    store.get("experiments/get", &[("experiment_id", experiment_id)])?;
    let body =
        json!({"experiment_ids": [experiment_id], "run_view_type": "ACTIVE_ONLY", "max_results": 1000});
    let runs = store.search("runs/search", &body, "runs", MOST)?;
    let table = csv(&runs);
    match target {
        None => Ok(table),
        Some(path) => {
            let failed = |source| Error::File { action: "write", path: path.to_path_buf(), source };
            file::write(path, table.as_bytes()).map_err(failed)?;
            Ok(format!(
                "Experiment with ID {experiment_id} has been exported as a CSV to file: {}.",
                path.display()
            ))
        }
    }
}

/// The table: what a run is, then metrics, params and tags by name.
fn csv(runs: &[Json]) -> String {
    let groups = ["metrics", "params", "tags"];
    let keys = groups.map(|group| {
        runs.iter()
            .flat_map(|run| pairs(run, &["data", group]))
            .map(|(key, _)| key)
            .collect::<BTreeSet<&str>>()
    });
    let mut lines = vec![
        ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]
            .map(str::to_owned)
            .into_iter()
            .chain(
                groups
                    .iter()
                    .zip(&keys)
                    .flat_map(|(group, keys)| keys.iter().map(move |key| format!("{group}.{key}"))),
            )
            .collect::<Vec<String>>(),
    ];
    let [starts, ends] = ["start_time", "end_time"].map(|field| times(runs, field));
    for (index, run) in runs.iter().enumerate() {
        let mut line: Vec<String> = ["run_id", "experiment_id", "status", "artifact_uri"]
            .map(|field| text(run, &["info", field]).to_owned())
            .to_vec();
        line.extend([starts[index].clone(), ends[index].clone()]);
        for (group, keys) in groups.iter().zip(&keys) {
            let values = pairs(run, &["data", group]);
            line.extend(keys.iter().map(|key| {
                values.iter().find(|(known, _)| known == key).map_or(String::new(), |(_, v)| cell(v))
            }));
        }
        lines.push(line);
    }
    let quoted =
        lines.iter().map(|line| line.iter().map(|cell| quote(cell)).collect::<Vec<_>>().join(",") + "\n");
    quoted.collect()
}

fn cell(value: &Json) -> String {
    match value {
        Json::String(text) if text == "NaN" => String::new(),
        Json::String(text) => text.clone(),
        Json::Number(number) => python_float(number.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    }
}

fn quote(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// A column of times in UTC; with milliseconds when any of them has some.
fn times(runs: &[Json], field: &str) -> Vec<String> {
    let column: Vec<Option<i64>> =
        runs.iter().map(|run| run.pointer(&format!("/info/{field}")).and_then(Json::as_i64)).collect();
    let whole = column.iter().flatten().all(|ms| ms % 1000 == 0);
    let format = if whole { "%Y-%m-%d %H:%M:%S+00:00" } else { "%Y-%m-%d %H:%M:%S.%3f+00:00" };
    let shown = |ms: i64| {
        Timestamp::from_millisecond(ms).map(|time| time.to_zoned(TimeZone::UTC).strftime(format).to_string())
    };
    column.into_iter().map(|ms| ms.and_then(|ms| shown(ms).ok()).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let runs = [
            json!({"info": {"run_id": "a", "experiment_id": "1", "status": "FINISHED", "artifact_uri": "u", "start_time": 1_700_000_000_000_i64,
                            "end_time": 1_700_000_000_123_i64},
                   "data": {"metrics": [{"key": "m", "value": 1.5}, {"key": "n", "value": "NaN"}], "params": [{"key": "p", "value": "x,\"y"}]}}),
            json!({"info": {"run_id": "b", "experiment_id": "1", "status": "RUNNING", "artifact_uri": "v", "start_time": 1_700_000_001_000_i64},
                   "data": {"metrics": [{"key": "n", "value": 3.0}], "tags": [{"key": "t", "value": "two\nlines"}]}}),
        ];
        let want = "run_id,experiment_id,status,artifact_uri,start_time,end_time,metrics.m,metrics.n,params.p,tags.t\n\
                    a,1,FINISHED,u,2023-11-14 22:13:20+00:00,2023-11-14 22:13:20.123+00:00,1.5,,\"x,\"\"y\",\n\
                    b,1,RUNNING,v,2023-11-14 22:13:21+00:00,,,3.0,,\"two\nlines\"\n";
        assert_eq!(csv(&runs), want);
        assert_eq!(csv(&[]), "run_id,experiment_id,status,artifact_uri,start_time,end_time\n");
    }
}
