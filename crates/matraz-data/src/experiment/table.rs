//! Experiments as a table: a row for the work tree and each commit, a column for each metric, parameter and dependency.

use std::collections::BTreeSet;

use indexmap::{IndexMap, IndexSet};
use matraz_base::Value;
use matraz_base::value::python_float;
use regex::Regex;

use super::error::ExperimentError;
use super::show::{Baseline, Branch};
use super::state::{Files, State};
use crate::Result;

/// What a column is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The experiment itself.
    About,
    /// A metric.
    Metric,
    /// A parameter.
    Param,
    /// A dependency.
    Dep,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// What it is about.
    pub kind: Kind,
    /// Its cells.
    pub cells: Vec<String>,
}

/// How the table is made.
pub struct Layout<'l> {
    /// Significant digits of floats; all when none is given.
    pub precision: Option<usize>,
    /// What stands for nothing.
    pub fill: &'l str,
    /// A metric or parameter by which the experiments of a commit are sorted.
    pub sort_by: Option<&'l str>,
    /// The greatest first.
    pub descending: bool,
    /// A moment in words.
    pub time: &'l dyn Fn(i64) -> String,
    /// Experiments are named in one column, with the lines of a tree.
    pub tree: bool,
    /// Without columns in which all cells are equal.
    pub only_changed: bool,
    /// Patterns of columns to leave out.
    pub drop: &'l [String],
    /// Patterns of columns to keep in any case.
    pub keep: &'l [String],
}

/// The names of values by file, each once and in the order in which they were met.
type Names = IndexMap<String, IndexSet<String>>;

/// What stands for a value that cannot be read.
const UNREADABLE: &str = "!";
/// The columns that every table may have.
const ABOUT: [&str; 7] = ["Experiment", "rev", "typ", "Created", "parent", "State", "Executor"];

/// Makes the table.
pub fn table(shown: &[Baseline], layout: &Layout<'_>) -> Result<Vec<Column>> {
    let mut states: Vec<&State> = Vec::new();
    for baseline in shown {
        let inner = baseline.experiments.iter().flat_map(|branch| &branch.rows);
        states.extend(std::iter::once(&baseline.row).chain(inner).filter_map(|row| row.state.as_ref().ok()));
    }
    let (metrics, params) = (names(&states, |state| &state.metrics), names(&states, |state| &state.params));
    let deps: BTreeSet<&String> = states.iter().flat_map(|state| state.deps.keys()).collect();
    let mut columns: Vec<Column> = Vec::new();
    let mut add = |name: &str, kind| columns.push(Column { name: name.to_owned(), kind, cells: Vec::new() });
    ABOUT.iter().for_each(|name| add(name, Kind::About));
    let count = |wanted: &str| {
        let all = metrics.values().chain(params.values()).flatten();
        all.filter(|name| *name == wanted).count() + usize::from(ABOUT.contains(&wanted))
    };
    let heading = |file: &str, name: &str| match count(name) {
        1 => name.to_owned(),
        _ => format!("{file}:{name}"),
    };
    for (all, kind) in [(&metrics, Kind::Metric), (&params, Kind::Param)] {
        for (file, names) in all {
            names.iter().for_each(|name| add(&heading(file, name), kind));
        }
    }
    deps.iter().for_each(|name| add(name, Kind::Dep));
    let values = |state: Option<&State>| {
        let mut cells = Vec::new();
        for (all, files) in
            [(&metrics, state.map(|state| &state.metrics)), (&params, state.map(|state| &state.params))]
        {
            for (file, names) in all {
                let found = files.and_then(|files| files.get(file));
                let flat: IndexMap<String, &Value> = match found {
                    Some(Ok(values)) => values.flatten().into_iter().collect(),
                    _ => IndexMap::new(),
                };
                let missing = if matches!(found, Some(Err(_))) { UNREADABLE } else { layout.fill };
                for name in names {
                    cells.push(match flat.get(name) {
                        None | Some(Value::Null) => missing.to_owned(),
                        Some(value) => shown_value(value, layout.precision),
                    });
                }
            }
        }
        for name in &deps {
            let hash = state.and_then(|state| state.deps.get(*name)).and_then(|dep| dep.hash.clone());
            cells.push(hash.unwrap_or_else(|| layout.fill.to_owned()));
        }
        cells
    };
    let mut push = |about: [String; 7], state: Option<&State>| {
        let cells = about.into_iter().chain(values(state));
        columns.iter_mut().zip(cells).for_each(|(column, cell)| column.cells.push(cell));
    };
    let fill = || layout.fill.to_owned();
    let created = |state: Option<&State>| {
        state.and_then(|state| state.time).map_or_else(fill, |time| (layout.time)(time))
    };
    let short = |rev: &str| if is_commit(rev) { rev[..7].to_owned() } else { rev.to_owned() };
    for baseline in shown {
        let row = &baseline.row;
        let state = row.state.as_ref().ok();
        let name = row.name.clone().unwrap_or_else(|| short(&row.rev));
        let first = if layout.tree { name.clone() } else { String::new() };
        push([first, name, "baseline".into(), created(state), String::new(), fill(), fill()], state);
        let mut branches: Vec<&Branch> = baseline.experiments.iter().collect();
        if let Some(by) = layout.sort_by.filter(|_| !branches.is_empty()) {
            sort(&mut branches, by, layout.descending, &metrics, &params)?;
        }
        let last = branches.len();
        for (n, branch) in branches.into_iter().enumerate() {
            let Some(row) = branch.rows.first() else { continue };
            let state = row.state.as_ref().ok();
            let (typ, line) =
                if n + 1 == last { ("branch_base", "└──") } else { ("branch_commit", "├──") };
            let rev = short(&row.rev);
            let first =
                if layout.tree { format!("{line} {rev} [{}]", branch.name) } else { branch.name.clone() };
            let (how, who) = match &branch.executor {
                Some(executor) => (capital(executor.state), executor.name.map_or_else(fill, capital)),
                None => (fill(), fill()),
            };
            push([first, rev, typ.into(), created(state), String::new(), how, who], state);
        }
    }
    choose(&mut columns, layout)?;
    Ok(columns)
}

fn is_commit(rev: &str) -> bool {
    rev.len() == 40 && rev.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn names(states: &[&State], files: fn(&State) -> &Files) -> Names {
    let mut names = Names::new();
    for (path, values) in states.iter().flat_map(|state| files(state)) {
        if let Ok(values @ Value::Map(_)) = values {
            let known = names.entry(path.clone()).or_default();
            known.extend(values.flatten().into_iter().map(|(name, _)| name).filter(|name| !name.is_empty()));
        }
    }
    names
}

/// A value as Python shows it, with floats cut to so many significant digits.
fn shown_value(value: &Value, precision: Option<usize>) -> String {
    match (value, precision) {
        (Value::Float(x), Some(digits)) => significant(*x, digits),
        (Value::List(items), _) => {
            let inner: Vec<String> = items.iter().map(|item| inner(item, precision)).collect();
            format!("[{}]", inner.join(", "))
        }
        (other, _) => other.to_string(),
    }
}

/// A value in a list, where texts have quotes.
fn inner(value: &Value, precision: Option<usize>) -> String {
    match value {
        Value::Str(_) => {
            let list = Value::List(vec![value.clone()]).to_string();
            list[1..list.len() - 1].to_owned()
        }
        // A number that was cut is a text for Python.
        Value::Float(x) => {
            precision.map_or_else(|| value.to_string(), |digits| format!("'{}'", significant(*x, digits)))
        }
        other => shown_value(other, precision),
    }
}

/// A number as the format `g` of C and Python writes it.
pub fn significant(x: f64, digits: usize) -> String {
    let digits = digits.max(1);
    if !x.is_finite() || x == 0.0 {
        return if x == 0.0 {
            if x.is_sign_negative() { "-0".into() } else { "0".into() }
        } else {
            python_float(x)
        };
    }
    let scientific = format!("{x:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= i32::try_from(digits).unwrap_or(i32::MAX) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent).unwrap_or(0);
    trim(&format!("{x:.decimals$}"))
}

fn sort(branches: &mut [&Branch], by: &str, descending: bool, metrics: &Names, params: &Names) -> Result<()> {
    let (file, name, is_metric) = sort_column(by, metrics, params)?;
    let key = |branch: &Branch| -> Option<Value> {
        let state = branch.rows.first()?.state.as_ref().ok()?;
        let files = if is_metric { &state.metrics } else { &state.params };
        let values = files.get(&file)?.as_ref().ok()?;
        values.flatten().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let compare = |a: &Value, b: &Value| match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.to_string().cmp(&b.to_string()),
    };
    branches.sort_by(|a, b| {
        let order = match (key(a), key(b)) {
            (Some(a), Some(b)) => compare(&a, &b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        };
        if descending { order.reverse() } else { order }
    });
    Ok(())
}

/// The file, the name, and whether it is a metric. `FILE:NAME`, or a name alone.
fn sort_column(by: &str, metrics: &Names, params: &Names) -> Result<(String, String, bool)> {
    let all = |fits: &dyn Fn(&str, &str) -> bool| {
        let mut found = Vec::new();
        for (names, is_metric) in [(metrics, true), (params, false)] {
            for (file, names) in names {
                let fitting = names.iter().filter(|name| fits(file, name));
                found.extend(fitting.map(|name| (file.clone(), name.clone(), is_metric)));
            }
        }
        found
    };
    let bare = by.strip_prefix(':').unwrap_or(by);
    let mut found = all(&|file, name| format!("{file}:{name}") == by);
    if found.is_empty() {
        found = all(&|_, name| name == bare);
    }
    match found.len() {
        0 => Err(ExperimentError::NoSuchColumn { name: bare.to_owned() }.into()),
        1 => Ok(found.swap_remove(0)),
        _ => {
            let matches = found.iter().map(|(file, name, _)| format!("{file}:{name}")).collect();
            Err(ExperimentError::AmbiguousColumn { name: bare.to_owned(), matches }.into())
        }
    }
}

/// Leaves out the columns that are not wanted.
fn choose(columns: &mut Vec<Column>, layout: &Layout<'_>) -> Result<()> {
    let (drop, keep) = (pattern(layout.drop)?, pattern(layout.keep)?);
    let is_kept = |name: &str| keep.as_ref().is_some_and(|keep| keep.is_match(name));
    let is_empty = |column: &Column| column.cells.iter().all(|cell| cell == layout.fill);
    columns.retain(|column| {
        !["State", "Executor"].contains(&column.name.as_str()) || is_kept(&column.name) || !is_empty(column)
    });
    if layout.tree {
        columns.retain(|column| {
            !["rev", "typ", "parent"].contains(&column.name.as_str()) || is_kept(&column.name)
        });
    }
    if layout.only_changed {
        let is_same = |column: &Column| {
            column.cells.first().is_some_and(|first| column.cells.iter().all(|cell| cell == first))
        };
        columns.retain(|column| is_kept(&column.name) || !is_same(column));
    }
    if let Some(drop) = drop {
        columns.retain(|column| is_kept(&column.name) || !drop.is_match(&column.name));
    }
    Ok(())
}

/// Patterns that a name begins with.
fn pattern(patterns: &[String]) -> Result<Option<Regex>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let whole = patterns.join("|");
    let bad =
        |error: regex::Error| crate::Error::BadPattern { pattern: whole.clone(), reason: error.to_string() };
    Regex::new(&format!("^(?:{whole})")).map(Some).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_so_many_digits() {
        for (x, digits, text) in [
            (1.123456, 5, "1.1235"),
            (0.5, 5, "0.5"),
            (123456.0, 5, "1.2346e+05"),
            (100000.0, 5, "1e+05"),
            (12345.0, 5, "12345"),
            (0.00001234, 2, "1.2e-05"),
            (0.0001, 5, "0.0001"),
            (99999.9, 5, "1e+05"),
            (-2.5, 1, "-2"),
            (0.0, 5, "0"),
            (f64::NAN, 5, "nan"),
        ] {
            assert_eq!(significant(x, digits), text, "{x} {digits}");
        }
    }
}
