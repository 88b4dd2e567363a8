//! Data sets that runs read: names with digests, and the context in which a run used them.

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::name::check_length;
use crate::run;
use crate::service::new_id;

/// The tag of an input that says what it was used for: `training`, `eval`, …
pub const CONTEXT_TAG: &str = "mlflow.data.context";

/// How many summaries are given at most.
const MAX_SUMMARIES: i64 = 1000;

/// A data set. Name and digest are unique within an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dataset {
    /// At most 500 characters.
    pub name: String,
    /// At most 36 characters.
    pub digest: String,
    /// The kind of the source, as `local` or `http`.
    pub source_type: String,
    /// Where it is from, as JSON.
    pub source: String,
    /// Columns, as JSON.
    pub schema: Option<String>,
    /// Counts, as JSON.
    pub profile: Option<String>,
}

/// A data set as input of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetInput {
    /// What was read.
    pub dataset: Dataset,
    /// In the order of the keys.
    pub tags: Vec<(String, String)>,
}

/// A data set of an experiment and one context in which it was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSummary {
    /// The number of the experiment.
    pub experiment_id: i64,
    /// The name of the data set.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// What it was used for.
    pub context: Option<String>,
}

fn check(input: &DatasetInput) -> Result<()> {
    let dataset = &input.dataset;
    check_length("name", 500, &dataset.name)?;
    check_length("digest", 36, &dataset.digest)?;
    check_length("source", 65_535, &dataset.source)?;
    check_length("schema", 1_048_575, dataset.schema.as_deref().unwrap_or(""))?;
    check_length("profile", 16_777_215, dataset.profile.as_deref().unwrap_or(""))?;
    for (key, value) in &input.tags {
        check_length("key", 255, key)?;
        check_length("value", 500, value)?;
    }
    Ok(())
}

/// Logs what an active run read. An input that is known already keeps its first tags.
pub async fn log_inputs(
    session: &mut Session,
    run_id: &str,
    inputs: &[DatasetInput],
    models: &[String],
) -> Result<()> {
    run::check_id(run_id)?;
    for input in inputs {
        check(input)?;
    }
    let info = run::find_active(session, run_id).await?;
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for input in inputs {
        let key = (input.dataset.name.as_str(), input.dataset.digest.as_str());
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let dataset =
            db::dataset::find_or_insert(session, info.experiment_id, &input.dataset, &new_id()?).await?;
        let input_id = new_id()?;
        if db::dataset::link(session, &input_id, ("DATASET", &dataset), ("RUN", run_id), 0).await? {
            db::dataset::insert_tags(session, &input_id, &input.tags).await?;
        }
    }
    for model in models {
        db::dataset::link(session, &new_id()?, ("RUN_INPUT", run_id), ("MODEL_INPUT", model), 0).await?;
    }
    Ok(())
}

/// The data sets of experiments with the contexts in which they were used.
pub async fn summaries(session: &mut Session, experiments: &[i64]) -> Result<Vec<DatasetSummary>> {
    const MAX_EXPERIMENTS: usize = 20;
    if experiments.is_empty() {
        return Err(Error::invalid("SearchDatasets request must specify at least one experiment_id."));
    }
    if experiments.len() > MAX_EXPERIMENTS {
        return Err(Error::invalid(format!(
            "SearchDatasets request cannot specify more than {MAX_EXPERIMENTS} experiment_ids. Received {} experiment_ids.",
            experiments.len()
        )));
    }
    db::dataset::summaries(session, experiments, MAX_SUMMARIES).await
}
