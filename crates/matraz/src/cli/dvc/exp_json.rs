//! Experiments in the shape of `dvc exp show --json`, which editors read.

use std::path::Path;

use matraz_base::{Map, Value};
use matraz_data::experiment::show::{Baseline, Branch, Executor, Row};
use matraz_data::experiment::state::{Files, Item, State};

use super::exp_show::iso;
use super::python_error::{describe, encoded};

/// All of it; paths of errors are shown relative to `root`.
pub fn as_value(shown: &[Baseline], root: &Path) -> Value {
    Value::List(shown.iter().map(|baseline| baseline_value(baseline, root)).collect())
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| Value::Str(text.to_owned()))
}

fn count(n: Option<u64>) -> Value {
    n.and_then(|n| i64::try_from(n).ok()).map_or(Value::Null, Value::Int)
}

fn baseline_value(baseline: &Baseline, root: &Path) -> Value {
    let experiments = match baseline.experiments.is_empty() {
        true => Value::Null,
        false => Value::List(baseline.experiments.iter().map(|branch| branch_value(branch, root)).collect()),
    };
    row_value(&baseline.row, experiments, root)
}

fn branch_value(branch: &Branch, root: &Path) -> Value {
    map([
        ("revs", Value::List(branch.rows.iter().map(|row| row_value(row, Value::Null, root)).collect())),
        ("executor", branch.executor.as_ref().map_or(Value::Null, executor_value)),
        ("name", Value::Str(branch.name.clone())),
    ])
}

fn row_value(row: &Row, experiments: Value, root: &Path) -> Value {
    let error = match &row.state {
        _ if row.failed => {
            map([("msg", Value::Str("Experiment run failed".into())), ("type", Value::Str(String::new()))])
        }
        Ok(_) => Value::Null,
        Err(error) => {
            let (kind, message) = describe(error, root);
            map([("msg", Value::Str(message)), ("type", Value::Str(kind.to_owned()))])
        }
    };
    map([
        ("rev", Value::Str(row.rev.clone())),
        ("name", text(row.name.as_deref())),
        ("data", row.state.as_ref().map_or(Value::Null, |state| state_value(&row.rev, state, root))),
        ("error", error),
        ("experiments", experiments),
    ])
}

fn state_value(rev: &str, state: &State, root: &Path) -> Value {
    let entries = |items: &indexmap::IndexMap<String, Item>, value: &dyn Fn(&Item) -> Value| {
        Value::Map(items.iter().map(|(path, item)| (path.clone(), value(item))).collect())
    };
    map([
        ("rev", Value::Str(rev.to_owned())),
        ("timestamp", state.time.map_or(Value::Null, |time| Value::Str(iso(time)))),
        ("params", files_value(&state.params, root)),
        ("metrics", files_value(&state.metrics, root)),
        (
            "deps",
            entries(&state.deps, &|item| {
                map([
                    ("hash", text(item.hash.as_deref())),
                    ("size", count(item.size)),
                    ("nfiles", count(item.nfiles)),
                ])
            }),
        ),
        (
            "outs",
            entries(&state.outs, &|item| {
                map([
                    ("hash", text(item.hash.as_deref())),
                    ("size", count(item.size)),
                    ("nfiles", count(item.nfiles)),
                    ("use_cache", Value::Bool(item.use_cache)),
                    ("is_data_source", Value::Bool(item.is_data_source)),
                ])
            }),
        ),
        ("meta", Value::Map(Map::new())),
    ])
}

fn files_value(files: &Files, root: &Path) -> Value {
    let entry = |(path, values): (&String, &matraz_data::Result<Value>)| {
        let value = match values {
            Ok(values) => map([("data", values.clone())]),
            Err(error) => map([("error", Value::Map(encoded(error, root)))]),
        };
        (path.clone(), value)
    };
    Value::Map(files.iter().map(entry).collect())
}

fn executor_value(executor: &Executor) -> Value {
    let path = |path: &Option<std::path::PathBuf>| text(path.as_deref().and_then(Path::to_str));
    map([
        ("state", Value::Str(executor.state.to_owned())),
        ("name", text(executor.name)),
        (
            "local",
            map([
                ("root", path(&executor.root)),
                ("log", path(&executor.log)),
                ("pid", count(executor.pid.map(u64::from))),
                ("returncode", executor.returncode.map_or(Value::Null, |code| Value::Int(code.into()))),
                ("task_id", Value::Str(executor.task.clone())),
            ]),
        ),
    ])
}
