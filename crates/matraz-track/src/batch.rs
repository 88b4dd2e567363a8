//! Many params, metrics and tags of one run at once: all are kept, or none.

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::metric::{self, Metric};
use crate::run::RUN_NAME_TAG;
use crate::{param, run, tag};

/// How many metrics one batch may have.
const MAX_METRICS: usize = 1000;
/// How many params, and how many tags, one batch may have.
const MAX_PARAMS_OR_TAGS: usize = 100;
/// How many of all kinds one batch may have.
const MAX_ENTITIES: usize = 1000;

/// A batch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Points of series.
    pub metrics: Vec<Metric>,
    /// Keys with values.
    pub params: Vec<(String, String)>,
    /// Keys with values; of a repeated key the last counts.
    pub tags: Vec<(String, String)>,
}

impl Batch {
    /// Checks everything that can be checked without the store, and cuts long values when `truncate` is set.
    fn check(&mut self, truncate: bool) -> Result<()> {
        for (index, metric) in self.metrics.iter().enumerate() {
            metric::check(&format!("metrics[{index}]."), metric)?;
        }
        for (index, (key, value)) in self.params.iter_mut().enumerate() {
            *value = param::check(&format!("params[{index}]."), key, std::mem::take(value), truncate)?;
        }
        for (index, (key, value)) in self.tags.iter_mut().enumerate() {
            *value = tag::check(&format!("tags[{index}]."), key, std::mem::take(value), truncate)?;
        }
        check_count("metrics", MAX_METRICS, self.metrics.len())?;
        check_count("params", MAX_PARAMS_OR_TAGS, self.params.len())?;
        check_count("tags", MAX_PARAMS_OR_TAGS, self.tags.len())?;
        let all = self.metrics.len() + self.params.len() + self.tags.len();
        check_count("metrics, params, and tags", MAX_ENTITIES, all)?;
        let mut keys: Vec<&str> = self.params.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid(format!(
                "Duplicate parameter keys have been submitted: ['{}']. Please ensure the request contains only one param \
                 value per param key.",
                twice[0]
            )));
        }
        Ok(())
    }
}

fn check_count(what: &str, limit: usize, count: usize) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "A batch logging request can contain at most {limit} {what}. Got {count} {what}. Please split up {what} across \
         multiple requests and try again."
    )))
}

/// Logs a batch of an active run.
pub async fn log(session: &mut Session, run_id: &str, mut batch: Batch, truncate: bool) -> Result<()> {
    run::check_id(run_id)?;
    batch.check(truncate)?;
    let renames = batch.tags.iter().any(|(key, _)| key == RUN_NAME_TAG);
    let info = if renames {
        run::find_active_to_change(session, run_id).await?
    } else {
        run::find_active(session, run_id).await?
    };
    param::write(session, run_id, batch.params).await?;
    metric::write(session, run_id, info.experiment_id, &batch.metrics).await?;
    if let Some((_, name)) = batch.tags.iter().rfind(|(key, _)| key == RUN_NAME_TAG) {
        tag::write(session, run_id, RUN_NAME_TAG, name.clone()).await?;
        batch.tags.retain(|(key, _)| key != RUN_NAME_TAG);
    }
    db::tag::set_all(session, run_id, &batch.tags).await
}
