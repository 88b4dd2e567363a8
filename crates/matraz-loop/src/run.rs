//! Runs as the loop reads them back from the store.

use indexmap::IndexMap;
use matraz_base::Explain;
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::error::{Error, Result};
use crate::tracker::Tracker;

/// Tags that Matraz writes.
pub mod tag {
    /// What a run stands for: `pipeline` or `stage`.
    pub const KIND: &str = "matraz.kind";
    /// The stage of a stage run.
    pub const STAGE: &str = "matraz.stage";
    /// `true` on a stage run whose outputs came from the run cache.
    pub const CACHED: &str = "matraz.cached";
    /// On a cached stage run: the run that computed the outputs.
    pub const CACHED_FROM: &str = "matraz.cached.run_id";
    /// On a cached stage run: the wall time that the original took, in seconds.
    pub const CACHED_SAVED: &str = "matraz.cached.saved_seconds";
    /// The value key of the run-cache entry that a stage run made or used.
    pub const RUN_CACHE: &str = "matraz.run_cache";
    /// Wall time of the stage's commands in seconds.
    pub const WALL_SECONDS: &str = "matraz.wall_seconds";
    /// Peak memory of the stage's commands in bytes.
    pub const PEAK_MEMORY: &str = "matraz.peak_memory_bytes";
    /// Exit code of a failed stage.
    pub const EXIT_CODE: &str = "matraz.exit_code";
    /// Why a run failed, in one line.
    pub const ERROR: &str = "matraz.error";
    /// Whether tracked files differed from the commit: `true` or `false`.
    pub const DIRTY: &str = "matraz.git.dirty";
    /// The machine's name.
    pub const HOST: &str = "matraz.host";
    /// Verdict of the last gate: `pass`, `fail` or `unknown`.
    pub const GATE: &str = "matraz.gate";
    /// The last gate's rules with their verdicts, as JSON.
    pub const GATE_RULES: &str = "matraz.gate.rules";
    /// On a run and a model version: the digest of the model's files when the gate judged them.
    pub const GATE_DIGEST: &str = "matraz.gate.digest";
    /// On a dataset input: `true` when no commit had these data as they were.
    pub const DATA_UNCOMMITTED: &str = "matraz.data.uncommitted";
    /// MLflow, on a dataset input: what the data were used for.
    pub const DATA_CONTEXT: &str = "mlflow.data.context";
    /// On a stage run and its pipeline run: the parameters that a script logged otherwise than `params.yaml` has them.
    pub const PARAM_MISMATCH: &str = "matraz.param_mismatch";
    /// On a stage run and its pipeline run: the keys of the metrics that scripts logged and no metrics file has, as JSON.
    pub const SCRIPT_METRICS: &str = "matraz.script_metrics";
    /// On a pipeline run: what of the uncommitted code is not kept with the run, and why.
    pub const WITHHELD: &str = "matraz.git.withheld";
    /// On a run that was there before Matraz: `proven` when hashes tie it to data or its commit is known, else `unproven`.
    pub const ADOPTED: &str = "matraz.adopted";
    /// On such a run: what it says of itself and nothing proves, line by line.
    pub const UNPROVEN: &str = "matraz.adopted.unproven";
    /// MLflow: the run above this one.
    pub const PARENT: &str = "mlflow.parentRunId";
    /// MLflow: the commit.
    pub const COMMIT: &str = "mlflow.source.git.commit";
    /// MLflow: the branch.
    pub const BRANCH: &str = "mlflow.source.git.branch";
    /// MLflow: what was run.
    pub const SOURCE_NAME: &str = "mlflow.source.name";
    /// MLflow: the kind of source.
    pub const SOURCE_TYPE: &str = "mlflow.source.type";
    /// MLflow: who ran it.
    pub const USER: &str = "mlflow.user";
}

/// Artifacts that the recorder writes.
pub mod artifact {
    /// On a pipeline run: the difference of tracked files from the commit, for `git apply`.
    pub const DIFF: &str = "matraz/uncommitted.diff";
    /// On a pipeline run: the folder of files that git did not have, by their paths from the project's root.
    pub const UNTRACKED: &str = "matraz/untracked";
    /// On a pipeline run: [`crate::environment::Environment`] as JSON.
    pub const ENVIRONMENT: &str = "matraz/environment.json";
    /// On a pipeline run: what became of each stage, as JSON.
    pub const STAGES: &str = "matraz/stages.json";
    /// The report of the last gate, as JSON.
    pub const GATE: &str = "matraz/gate.json";
    /// On a stage run: its entry in the lock file.
    pub const LOCK: &str = "matraz/lock.yaml";
    /// On a stage run: what its commands wrote.
    pub const LOG: &str = "matraz/stage.log";
}

/// A run with its latest metrics.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The run's name.
    pub name: String,
    /// The experiment's id.
    pub experiment_id: String,
    /// `RUNNING`, `FINISHED`, `FAILED`, …
    pub status: String,
    /// Milliseconds since 1970.
    pub start_time: i64,
    /// Milliseconds since 1970, when it has ended.
    pub end_time: Option<i64>,
    /// Where its artifacts lie.
    pub artifact_uri: String,
    /// Parameters.
    pub params: IndexMap<String, String>,
    /// The latest value of every metric.
    pub metrics: IndexMap<String, f64>,
    /// Tags.
    pub tags: IndexMap<String, String>,
    /// The data it read and made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<DatasetUse>,
}

/// Data that a run read or made, as its dataset inputs say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatasetUse {
    /// The name: of data in a project, its path from the root.
    pub name: String,
    /// The digest: of data in a project, the MD5 by which DVC knows them.
    pub digest: String,
    /// `input`, `output`, or what a script said.
    pub context: String,
    /// Bytes, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Files in a folder, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Whether no commit had these data when the run began.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub uncommitted: bool,
}

impl DatasetUse {
    fn from_json(json: &Json) -> Option<Self> {
        let dataset = json.get("dataset")?;
        let text = |key: &str| dataset.get(key).and_then(Json::as_str);
        let tag = |name: &str| {
            let mut tags = json.get("tags").and_then(Json::as_array).into_iter().flatten();
            tags.find(|tag| tag.get("key").and_then(Json::as_str) == Some(name))?.get("value")?.as_str()
        };
        let profile: Json = serde_json::from_str(text("profile").unwrap_or("{}")).unwrap_or_default();
        Some(Self {
            name: text("name")?.to_owned(),
            digest: text("digest")?.to_owned(),
            context: tag(tag::DATA_CONTEXT).unwrap_or("input").to_owned(),
            size: profile.get("size").and_then(Json::as_u64),
            files: profile.get("files").and_then(Json::as_u64),
            uncommitted: tag(tag::DATA_UNCOMMITTED) == Some("true"),
        })
    }

    /// Whether the run made it.
    pub fn is_output(&self) -> bool {
        self.context == "output"
    }
}

impl Run {
    /// Reads the JSON of a run.
    pub fn from_json(json: &Json) -> Option<Self> {
        let info = json.get("info")?;
        let text = |key: &str| info.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let pairs = |part: &str| -> IndexMap<String, String> {
            entries(json, part)
                .filter_map(|item| Some((key(item)?, item.get("value")?.as_str()?.to_owned())))
                .collect()
        };
        let metrics =
            entries(json, "metrics").filter_map(|item| Some((key(item)?, number(item.get("value")?)?)));
        Some(Self {
            id: info.get("run_id").or_else(|| info.get("run_uuid"))?.as_str()?.to_owned(),
            name: text("run_name"),
            experiment_id: text("experiment_id"),
            status: text("status"),
            start_time: info.get("start_time").and_then(integer).unwrap_or(0),
            end_time: info.get("end_time").and_then(integer),
            artifact_uri: text("artifact_uri"),
            params: pairs("params"),
            metrics: metrics.collect(),
            tags: pairs("tags"),
            datasets: json
                .pointer("/inputs/dataset_inputs")
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
                .filter_map(DatasetUse::from_json)
                .collect(),
        })
    }

    /// The metrics that scripts logged and no metrics file has.
    pub fn script_metrics(&self) -> impl Iterator<Item = (&String, f64)> {
        let keys: Vec<String> = self
            .tag(tag::SCRIPT_METRICS)
            .and_then(|keys| serde_json::from_str(keys).ok())
            .unwrap_or_default();
        self.metrics.iter().filter(move |(key, _)| keys.contains(key)).map(|(key, value)| (key, *value))
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.get(key).map(String::as_str)
    }
}

fn entries<'j>(run: &'j Json, part: &str) -> impl Iterator<Item = &'j Json> {
    run.get("data").and_then(|data| data.get(part)).and_then(Json::as_array).into_iter().flatten()
}

fn key(item: &Json) -> Option<String> {
    item.get("key")?.as_str().map(str::to_owned)
}

/// A double of the API: a number, or one of the words for what JSON lacks.
fn number(json: &Json) -> Option<f64> {
    match json {
        Json::String(word) => match word.as_str() {
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            other => other.parse().ok(),
        },
        other => other.as_f64(),
    }
}

/// A 64-bit integer of the API, which comes as a number or as text.
pub(crate) fn integer(json: &Json) -> Option<i64> {
    json.as_i64().or_else(|| json.as_str()?.parse().ok())
}

/// The runs of one experiment, or of all.
#[derive(Debug)]
pub struct Runs<'t> {
    tracker: &'t Tracker,
    /// The experiment's name.
    pub experiment: String,
    experiment_ids: Vec<String>,
}

impl<'t> Runs<'t> {
    /// The runs of the experiment `name`; `None` when there is no such experiment.
    pub fn of(tracker: &'t Tracker, name: &str) -> Result<Option<Self>> {
        let query = [("experiment_name", name)];
        let answer = match tracker.wait(tracker.client().get("experiments/get-by-name", &query)) {
            Ok(answer) => answer,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let id = answer.pointer("/experiment/experiment_id").and_then(Json::as_str);
        let id = id.ok_or(Error::Answer { call: "experiments/get-by-name", field: "experiment_id" })?;
        Ok(Some(Self { tracker, experiment: name.to_owned(), experiment_ids: vec![id.to_owned()] }))
    }

    /// The runs of all experiments.
    pub fn everywhere(tracker: &'t Tracker) -> Result<Self> {
        let body = json!({"max_results": 50_000});
        let answer = tracker.wait(tracker.client().post("experiments/search", &body))?;
        let found = answer.get("experiments").and_then(Json::as_array).into_iter().flatten();
        let ids = found.filter_map(|experiment| experiment.get("experiment_id")?.as_str().map(str::to_owned));
        Ok(Self { tracker, experiment: "*".to_owned(), experiment_ids: ids.collect() })
    }

    /// The runs of the experiment with this id.
    pub fn of_experiment(tracker: &'t Tracker, id: &str) -> Self {
        Self { tracker, experiment: id.to_owned(), experiment_ids: vec![id.to_owned()] }
    }

    /// Like [`Runs::of`]; an experiment that does not exist has no runs.
    pub fn existing(tracker: &'t Tracker, name: &str) -> Result<Self> {
        Self::of(tracker, name)?.ok_or_else(|| Error::NoRuns { experiment: name.to_owned() })
    }

    /// The runs that fit the filter, newest first, `limit` at most.
    pub fn search(&self, filter: &str, limit: usize) -> Result<Vec<Run>> {
        let body = json!({
            "experiment_ids": self.experiment_ids,
            "filter": filter,
            "max_results": limit,
            "order_by": ["attributes.start_time DESC"],
        });
        let answer = self.tracker.wait(self.tracker.client().post("runs/search", &body))?;
        let runs = answer.get("runs").and_then(Json::as_array);
        Ok(runs.into_iter().flatten().filter_map(Run::from_json).collect())
    }

    /// The last `limit` pipeline runs, newest first.
    pub fn pipelines(&self, limit: usize) -> Result<Vec<Run>> {
        self.search(&format!("tags.`{}` = 'pipeline'", tag::KIND), limit)
    }

    /// The newest pipeline run that finished.
    pub fn latest(&self) -> Result<Run> {
        let filter = format!("tags.`{}` = 'pipeline' AND attributes.status = 'FINISHED'", tag::KIND);
        let newest = self.search(&filter, 1)?.into_iter().next();
        newest.ok_or_else(|| Error::NoRuns { experiment: self.experiment.clone() })
    }

    /// The run that a person means: `runs:/ID`, an id or its beginning, or a run's name.
    pub fn find(&self, reference: &str) -> Result<Run> {
        let word = reference.strip_prefix("runs:/").unwrap_or(reference);
        let is_hex = word.len() >= 4 && word.len() <= 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let mut found = Vec::new();
        if is_hex {
            found = self.search(&format!("attributes.run_id LIKE '{}%'", word.to_ascii_lowercase()), 3)?;
        }
        if found.is_empty() && !word.is_empty() && !(word.contains('\'') && word.contains('"')) {
            let quote = if word.contains('\'') { '"' } else { '\'' };
            found = self.search(&format!("attributes.run_name = {quote}{word}{quote}"), 3)?;
        }
        let (reference, experiment) = (reference.to_owned(), self.experiment.clone());
        match found.len() {
            0 => Err(Error::NoRun { reference, experiment }),
            1 => Ok(found.swap_remove(0)),
            count => Err(Error::ManyRuns { reference, experiment, count }),
        }
    }

    /// The run that `reference` names, or the newest finished pipeline run without one.
    pub fn find_or_latest(&self, reference: Option<&str>) -> Result<Run> {
        reference.map_or_else(|| self.latest(), |reference| self.find(reference))
    }
}

/// An artifact of a run in memory; `None` when the run does not have it.
pub fn read_artifact(tracker: &Tracker, run: &Run, name: &str) -> Result<Option<Vec<u8>>> {
    match tracker.wait(tracker.client().download_bytes(&format!("{}/{name}", run.artifact_uri))) {
        Ok(bytes) => Ok(Some(bytes.to_vec())),
        Err(error) if error.is_missing() || error.kind() == matraz_base::Kind::Missing => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The runs directly below a run, in one experiment.
pub fn below(tracker: &Tracker, experiment_id: &str, id: &str) -> Result<Vec<Run>> {
    let runs = Runs { tracker, experiment: String::new(), experiment_ids: vec![experiment_id.to_owned()] };
    runs.search(&format!("tags.`{}` = '{id}'", tag::PARENT), 1000)
}

/// The run of this id, in whatever experiment.
pub fn get(tracker: &Tracker, id: &str) -> Result<Run> {
    let answer = tracker.wait(tracker.client().get("runs/get", &[("run_id", id)]))?;
    answer.get("run").and_then(Run::from_json).ok_or(Error::Answer { call: "runs/get", field: "run" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_from_the_api() {
        let json = json!({
            "info": {"run_id": "a1", "run_name": "calm-owl-1", "experiment_id": "1", "status": "FINISHED",
                     "start_time": "17", "artifact_uri": "mlflow-artifacts:/1/a1/artifacts"},
            "data": {"metrics": [{"key": "accuracy", "value": 0.9}, {"key": "loss", "value": "NaN"}],
                     "params": [{"key": "n", "value": "300"}], "tags": [{"key": "matraz.kind", "value": "pipeline"}]},
        });
        let run = Run::from_json(&json).unwrap();
        assert_eq!((run.id.as_str(), run.start_time, run.end_time), ("a1", 17, None));
        assert_eq!(run.metrics["accuracy"], 0.9);
        assert!(run.metrics["loss"].is_nan());
        assert_eq!(run.params["n"], "300");
        assert_eq!(run.tag(tag::KIND), Some("pipeline"));
    }
}
