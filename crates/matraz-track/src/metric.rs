//! Metrics of runs: series of numbers with time and step.

use std::collections::HashMap;

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::search::page;
use crate::tag::MAX_KEY;
use crate::{name, run};

/// One point of a series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metric {
    /// The name of the series.
    pub key: String,
    /// May be NaN. Infinities are stored as the largest finite doubles.
    pub value: f64,
    /// Milliseconds since 1970, not negative.
    pub timestamp: i64,
    /// May be negative.
    pub step: i64,
    /// The logged model that the point also belongs to.
    pub model_id: Option<String>,
    /// The data set on which the model was measured.
    pub dataset_name: Option<String>,
    /// Its digest.
    pub dataset_digest: Option<String>,
}

/// A point as it is stored: NaN is 0 with a mark, infinities are finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) value: f64,
    pub(crate) is_nan: bool,
}

impl Metric {
    pub(crate) fn stored(&self) -> Stored {
        if self.value.is_nan() {
            return Stored { value: 0.0, is_nan: true };
        }
        Stored { value: self.value.clamp(f64::MIN, f64::MAX), is_nan: false }
    }
}

/// Checks a point. `path` is empty or `metrics[3].`.
pub(crate) fn check(path: &str, metric: &Metric) -> Result<()> {
    if metric.dataset_name.is_some() != metric.dataset_digest.is_some() {
        return Err(Error::invalid(
            "Both dataset_name and dataset_digest must be provided if one is provided",
        ));
    }
    name::check_key(&format!("{path}name"), &metric.key)?;
    if metric.timestamp < 0 {
        return Err(Error::invalid(format!(
            "Invalid value {} for parameter '{path}timestamp' supplied: metric '{}' needs a timestamp in milliseconds that \
             is not negative.",
            metric.timestamp, metric.key
        )));
    }
    name::check_length("Metric name", MAX_KEY, &metric.key)
}

/// Logs a point of an active run.
pub async fn log(session: &mut Session, run_id: &str, metric: Metric) -> Result<()> {
    check("", &metric)?;
    let info = run::find_active(session, run_id).await?;
    write(session, run_id, info.experiment_id, &[metric]).await
}

/// Writes checked points: to the history, to the latest values, and to the models that they belong to.
pub(crate) async fn write(
    session: &mut Session,
    run_id: &str,
    experiment_id: i64,
    metrics: &[Metric],
) -> Result<()> {
    if metrics.is_empty() {
        return Ok(());
    }
    db::metric::insert(session, run_id, metrics).await?;
    let mut latest: HashMap<&str, &Metric> = HashMap::new();
    for metric in metrics {
        let newest = latest.entry(&metric.key).or_insert(metric);
        if is_later(metric, newest) {
            *newest = metric;
        }
    }
    let mut latest: Vec<&Metric> = latest.into_values().collect();
    latest.sort_by(|a, b| a.key.cmp(&b.key));
    db::metric::advance_latest(session, run_id, &latest).await?;
    let of_models: Vec<&Metric> = metrics.iter().filter(|metric| metric.model_id.is_some()).collect();
    db::metric::insert_of_models(session, run_id, experiment_id, &of_models).await
}

/// Whether a point counts as later than another: by step, time and value; NaN counts as 0.
fn is_later(new: &Metric, old: &Metric) -> bool {
    let (new_value, old_value) = (new.stored().value, old.stored().value);
    match (new.step, new.timestamp).cmp(&(old.step, old.timestamp)) {
        std::cmp::Ordering::Equal => new_value > old_value,
        order => order.is_gt(),
    }
}

/// A page of a series in the order of time, step and value, and the token of the next page. Without `max_results`
/// everything comes at once.
pub async fn history(
    session: &mut Session,
    run_id: &str,
    key: &str,
    max_results: Option<i64>,
    page_token: Option<&str>,
) -> Result<(Vec<Metric>, Option<String>)> {
    if let Some(count) = max_results
        && count <= 0
    {
        return Err(Error::invalid(format!(
            "Invalid value {count} for parameter 'max_results' supplied. It must be a positive integer."
        )));
    }
    let offset = page::offset(page_token)?;
    let limit = max_results.map_or(-1, |count| count.saturating_add(1));
    let mut points = db::metric::history(session, run_id, key, limit, offset).await?;
    let next = max_results.and_then(|count| page::cut(&mut points, offset, count));
    Ok((points, next))
}

/// Series of several runs, one after the other in the order of their ids, cut at `limit` points in all.
pub async fn history_of_runs(
    session: &mut Session,
    run_ids: &[String],
    key: &str,
    limit: i64,
) -> Result<Vec<(String, Metric)>> {
    let mut ids = run_ids.to_vec();
    ids.sort();
    ids.dedup();
    let mut points = Vec::new();
    for id in ids {
        let left = limit - points.len() as i64;
        if left <= 0 {
            break;
        }
        let series = db::metric::history(session, &id, key, left, 0).await?;
        points.extend(series.into_iter().map(|metric| (id.clone(), metric)));
    }
    Ok(points)
}

/// Evenly chosen points of a series in the order of the steps, at most `count` (from 1), the last one always among them.
pub async fn sample(
    session: &mut Session,
    run_id: &str,
    key: &str,
    steps: Option<(i64, i64)>,
    count: i64,
) -> Result<Vec<Metric>> {
    let total = db::metric::count(session, run_id, key, steps).await?;
    db::metric::places(session, run_id, key, steps, &places(total, count)).await
}

/// Which rows of `total` (from 1) make the sample: the first of each of `count` buckets that differ in size by one at
/// most, larger ones first, and the last row in place of the last bucket's first.
fn places(total: i64, count: i64) -> Places {
    if total <= count {
        return Places { large: total, large_size: 1, small_size: 1, end: total + 1, last: total };
    }
    let (small, large) = (total / count, total % count);
    let end_of_large = large * (small + 1);
    Places {
        large: end_of_large,
        large_size: small + 1,
        small_size: small,
        end: total - small + 1,
        last: total,
    }
}

/// Rows that are taken: up to row `large` every `large_size`th, from there to before `end` every `small_size`th, and
/// `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) large: i64,
    pub(crate) large_size: i64,
    pub(crate) small_size: i64,
    pub(crate) end: i64,
    pub(crate) last: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(total: i64, count: i64) -> Vec<i64> {
        let p = places(total, count);
        let chosen = |place: &i64| {
            *place == p.last
                || (*place < p.end && *place <= p.large && (place - 1) % p.large_size == 0)
                || (*place < p.end && *place > p.large && (place - 1 - p.large) % p.small_size == 0)
        };
        (1..=total).filter(chosen).collect()
    }

    #[test]
    fn samples_take_the_first_of_each_bucket_and_the_last_row() {
        for (total, count, want) in [
            (0, 5, vec![]),
            (3, 5, vec![1, 2, 3]),
            (5, 5, vec![1, 2, 3, 4, 5]),
            (10, 1, vec![10]),
            (10, 2, vec![1, 10]),
            (10, 3, vec![1, 5, 10]),
            (10, 4, vec![1, 4, 7, 10]),
            (7, 5, vec![1, 3, 5, 6, 7]),
            (6, 5, vec![1, 3, 4, 5, 6]),
        ] {
            assert_eq!(taken(total, count), want, "{total} rows, {count} points");
        }
    }

    #[test]
    fn the_latest_point_has_the_largest_step_then_time_then_value() {
        let point = |step, timestamp, value| Metric { step, timestamp, value, ..Metric::default() };
        let old = point(5, 100, 1.0);
        for (new, later) in [
            (point(4, 200, 9.0), false),
            (point(5, 99, 9.0), false),
            (point(5, 100, 0.5), false),
            (point(5, 100, 1.0), false),
            (point(5, 100, 9.0), true),
            (point(5, 101, 0.0), true),
            (point(6, 1, -1.0), true),
            (point(5, 100, f64::NAN), false),
            (point(5, 100, f64::INFINITY), true),
        ] {
            assert_eq!(is_later(&new, &old), later, "{new:?}");
        }
    }
}
