//! Runs side by side: what differs, and which is better.

use indexmap::{IndexMap, IndexSet};
use serde::Serialize;

use crate::run::Run;

/// Runs beside one another. Rows are runs, columns metrics and parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The compared runs, in the order given.
    pub runs: Vec<Compared>,
    /// The metrics that at least one run has.
    pub metrics: Vec<MetricColumn>,
    /// The parameters that differ between the runs.
    pub changed_params: Vec<String>,
    /// The parameters that all runs share.
    pub same_params: IndexMap<String, String>,
    /// Which run has the best value of the leading metric; `None` when they are level or lack it.
    pub best: Option<usize>,
}

/// One run of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The run's id.
    pub run_id: String,
    /// The run's name.
    pub name: String,
    /// Its metrics.
    pub metrics: IndexMap<String, f64>,
    /// Its parameters.
    pub params: IndexMap<String, String>,
    /// The commit it was made at.
    pub commit: Option<String>,
}

/// A metric of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricColumn {
    /// Its key.
    pub key: String,
    /// Whether a smaller value is better.
    pub lower_is_better: bool,
    /// The runs that share the best value; empty when only one run has the metric or all are level.
    pub best: Vec<usize>,
}

/// Words in a metric's name that say that a smaller value is better.
const LOWER_IS_BETTER: [&str; 11] =
    ["loss", "error", "mse", "rmse", "mae", "mape", "perplexity", "latency", "brier", "deviance", "duration"];

/// Whether a smaller value of the metric is better, judged by the words in its name.
pub fn lower_is_better(key: &str) -> bool {
    key.to_ascii_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| LOWER_IS_BETTER.contains(&word))
}

/// Sets runs side by side. The leading metric, which picks the best run, is `leading` or else the first one.
pub fn compare(runs: &[Run], leading: Option<&str>) -> Comparison {
    let keys: IndexSet<&String> = runs.iter().flat_map(|run| run.metrics.keys()).collect();
    let metrics: Vec<MetricColumn> = keys.into_iter().map(|key| metric_column(key, runs)).collect();
    let names: IndexSet<&String> = runs.iter().flat_map(|run| run.params.keys()).collect();
    let mut changed_params = Vec::new();
    let mut same_params = IndexMap::new();
    for name in names {
        let values: IndexSet<Option<&String>> = runs.iter().map(|run| run.params.get(name)).collect();
        match (values.len(), values.first()) {
            (1, Some(Some(value))) => {
                same_params.insert(name.clone(), (*value).clone());
            }
            _ => changed_params.push(name.clone()),
        }
    }
    let leading =
        leading.map_or_else(|| metrics.first(), |key| metrics.iter().find(|column| column.key == key));
    let best = leading.and_then(|column| match column.best[..] {
        [only] => Some(only),
        _ => None,
    });
    let runs = runs.iter().map(|run| Compared {
        run_id: run.id.clone(),
        name: run.name.clone(),
        metrics: run.metrics.clone(),
        params: run.params.clone(),
        commit: run.tag(crate::run::tag::COMMIT).map(str::to_owned),
    });
    Comparison { runs: runs.collect(), metrics, changed_params, same_params, best }
}

fn metric_column(key: &str, runs: &[Run]) -> MetricColumn {
    let lower_is_better = lower_is_better(key);
    let values: Vec<(usize, f64)> = runs
        .iter()
        .enumerate()
        .filter_map(|(n, run)| run.metrics.get(key).copied().filter(|x| !x.is_nan()).map(|x| (n, x)))
        .collect();
    let extreme =
        values.iter().map(|(_, x)| *x).reduce(|a, b| if lower_is_better { a.min(b) } else { a.max(b) });
    let best: Vec<usize> = values.iter().filter(|(_, x)| Some(*x) == extreme).map(|(n, _)| *n).collect();
    let level = best.len() == values.len();
    MetricColumn { key: key.to_owned(), lower_is_better, best: if level { Vec::new() } else { best } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, metrics: &[(&str, f64)], params: &[(&str, &str)]) -> Run {
        Run {
            name: name.into(),
            metrics: metrics.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(),
            params: params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Run::default()
        }
    }

    #[test]
    fn the_better_run_and_the_changed_params_are_named() {
        let a = run("a", &[("accuracy", 0.91), ("log_loss", 0.3)], &[("n_estimators", "300"), ("seed", "1")]);
        let b = run("b", &[("accuracy", 0.93), ("log_loss", 0.2)], &[("n_estimators", "500"), ("seed", "1")]);
        let table = compare(&[a, b], None);
        assert_eq!(table.best, Some(1));
        assert_eq!(table.changed_params, ["n_estimators"]);
        assert_eq!(table.same_params["seed"], "1");
        assert!(table.metrics[1].lower_is_better);
        assert_eq!(table.metrics[1].best, [1]);
    }

    #[test]
    fn level_runs_have_no_best() {
        let a = run("a", &[("accuracy", 0.9)], &[]);
        let table = compare(&[a.clone(), a.clone()], None);
        assert_eq!(table.best, None);
        let alone = compare(&[a, run("b", &[("accuracy", f64::NAN)], &[])], None);
        assert_eq!(alone.best, None);
    }

    #[test]
    fn names_tell_the_direction() {
        for (key, lower) in [("val_loss", true), ("rmse", true), ("accuracy", false), ("closeness", false)] {
            assert_eq!(lower_is_better(key), lower, "{key}");
        }
    }
}
