//! From the contents of files to the points of one chart: which columns stand on the axes, and one row per point.

use indexmap::IndexMap;
use matraz_base::{Map, Value};

use super::collect::Source;
use crate::{Error, Result};

/// The horizontal axis when no column is named.
const STEP: &str = "step";
/// The vertical axis of several columns of different names.
const SEVERAL_Y: &str = "dvc_inferred_y_value";
/// The horizontal axis of several columns of different names.
const SEVERAL_X: &str = "dvc_inferred_x_value";

/// The points of a plot at one revision.
#[derive(Debug)]
pub struct Points {
    /// One row per point: the columns of its file, and `rev`, `filename` and `field`.
    pub rows: Vec<Map>,
    /// What is on the axes.
    pub axes: Axes,
}

/// What is on the axes, and what they are called.
#[derive(Clone, Debug, PartialEq)]
pub struct Axes {
    /// The column of the horizontal axis.
    pub x: String,
    /// The column of the vertical axis.
    pub y: String,
    /// What stands at the horizontal axis.
    pub x_label: String,
    /// What stands at the vertical axis.
    pub y_label: String,
    /// The files, without what their paths share, and columns that are drawn.
    pub series: Vec<(String, String)>,
}

type Contents<'c> = IndexMap<&'c str, &'c Source>;

/// The points of plot `id` with properties `props`; `None` when there is nothing to draw.
pub fn points(id: &str, props: &Map, contents: &Contents<'_>, revision: &str) -> Result<Option<Points>> {
    let y = match props.get("y") {
        None | Some(Value::Null) => last_column(id, contents)?,
        Some(Value::Map(files)) => pairs(files),
        Some(columns) => pairs(&Map::from_iter([(id.to_owned(), columns.clone())])),
    };
    let x = match (props.get("x"), props.get("y")) {
        // A column of that name in every file.
        (Some(Value::Str(name)), Some(Value::Map(files))) => {
            pairs(files).iter().map(|(file, _)| (file.clone(), name.clone())).collect::<Vec<_>>()
        }
        (Some(Value::Str(name)), _) => vec![(id.to_owned(), name.clone())],
        (Some(Value::Map(files)), _) => pairs(files),
        _ => Vec::new(),
    };
    let by_file: IndexMap<&str, Vec<Map>> =
        contents.iter().map(|(file, source)| Ok((*file, rows_of(source)?))).collect::<Result<_>>()?;
    for (file, column) in x.iter().chain(&y) {
        check_column(&by_file, file, column)?;
    }
    let has_x = matches!(props.get("x"), Some(Value::Str(_) | Value::Map(_)));
    let several_x = x.len() > 1 && x.iter().any(|(_, column)| *column != x[0].1);
    if x.len() > 1 && x.len() != y.len() {
        return Err(Error::PlotSources { x: x.len(), y: y.len() });
    }
    let several_y = y.iter().any(|(_, column)| *column != y[0].1);
    let shared = shared_folder(&y);
    let axes = Axes {
        x: match x.first() {
            _ if several_x => SEVERAL_X.to_owned(),
            Some((_, column)) => column.clone(),
            None => STEP.to_owned(),
        },
        y: if several_y { SEVERAL_Y.into() } else { y.first().map_or("", |(_, column)| column).to_owned() },
        x_label: label(props, "x_label", &x, if has_x { "x" } else { STEP }),
        y_label: label(props, "y_label", &y, "y"),
        series: y.iter().map(|(file, column)| (short(file, shared), column.clone())).collect(),
    };
    let mut rows = Vec::new();
    for (n, (file, column)) in y.iter().enumerate() {
        let mut own = by_file.get(file.as_str()).cloned().unwrap_or_default();
        if several_y {
            for row in &mut own {
                copy(row, SEVERAL_Y, column);
            }
        }
        match if x.len() > 1 { x.get(n) } else { x.first() } {
            None => {
                for (step, row) in own.iter_mut().enumerate() {
                    row.insert(STEP.to_owned(), Value::Int(step as i64));
                }
            }
            Some((x_file, x_column)) => {
                let others = by_file.get(x_file.as_str()).map_or(&[][..], Vec::as_slice);
                if others.len() != own.len() {
                    return Err(Error::PlotJoin {
                        x: x_column.clone(),
                        x_file: x_file.clone(),
                        y: column.clone(),
                        y_file: file.clone(),
                    });
                }
                let target = if several_x { SEVERAL_X } else { x_column };
                for (row, other) in own.iter_mut().zip(others) {
                    if let Some(value) = other.get(x_column) {
                        row.insert(target.to_owned(), value.clone());
                    }
                }
            }
        }
        for row in &mut own {
            row.insert("rev".into(), Value::Str(revision.to_owned()));
            row.insert("filename".into(), Value::Str(short(file, shared)));
            row.insert("field".into(), Value::Str(column.clone()));
        }
        rows.append(&mut own);
    }
    Ok((!rows.is_empty()).then_some(Points { rows, axes }))
}

/// Every file with every column.
fn pairs(files: &Map) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (file, columns) in files {
        match columns {
            Value::Str(column) => pairs.push((file.clone(), column.clone())),
            Value::List(columns) => {
                pairs.extend(columns.iter().map(|column| (file.clone(), column.to_string())));
            }
            _ => {}
        }
    }
    pairs
}

/// Without `y` the last column of the plot's own file is drawn.
fn last_column(id: &str, contents: &Contents<'_>) -> Result<Vec<(String, String)>> {
    let Some(source) = contents.get(id) else { return Ok(Vec::new()) };
    for list in lists(source)? {
        if list.iter().all(|item| matches!(item, Value::Map(_))) {
            let Some(Value::Map(first)) = list.first() else { return Err(Error::PlotEmptyList) };
            return Ok(first
                .keys()
                .last()
                .map(|column| (id.to_owned(), column.clone()))
                .into_iter()
                .collect());
        }
    }
    Ok(Vec::new())
}

/// The lists in nested mappings.
fn lists(source: &Source) -> Result<Vec<&[Value]>> {
    fn walk<'v>(map: &'v Map, found: &mut Vec<&'v [Value]>) {
        for value in map.values() {
            match value {
                Value::Map(inner) => walk(inner, found),
                Value::List(items) => found.push(items),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    match source {
        Source::Values(Value::List(items)) => found.push(items.as_slice()),
        Source::Values(Value::Map(map)) => walk(map, &mut found),
        Source::Values(other) => return Err(Error::PlotNoRows { found: other.type_name() }),
        Source::Picture(_) => return Err(Error::PlotNoRows { found: "picture" }),
    }
    Ok(found)
}

/// The rows of all lists of mappings with the same keys; rows of the same place in several lists are one.
fn rows_of(source: &Source) -> Result<Vec<Map>> {
    let mut rows: Vec<Map> = Vec::new();
    for list in lists(source)? {
        let maps: Option<Vec<&Map>> = list.iter().map(Value::as_map).collect();
        let Some(maps) = maps else { continue };
        let Some(first) = maps.first() else { return Err(Error::PlotEmptyList) };
        if !maps.iter().all(|map| map.keys().all(|key| first.contains_key(key))) {
            continue;
        }
        for (n, map) in maps.into_iter().enumerate() {
            if rows.len() <= n {
                rows.push(Map::new());
            }
            rows[n].extend(map.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    Ok(rows)
}

fn check_column(by_file: &IndexMap<&str, Vec<Map>>, file: &str, column: &str) -> Result<()> {
    let Some(rows) = by_file.get(file) else { return Ok(()) };
    let Some(first) = rows.first() else { return Err(Error::PlotNoFirstRow) };
    if first.contains_key(column) {
        return Ok(());
    }
    Err(Error::NoPlotColumn { column: column.to_owned(), found: first.keys().cloned().collect() })
}

fn label(props: &Map, key: &str, pairs: &[(String, String)], several: &str) -> String {
    match (props.get(key), pairs.first()) {
        (Some(Value::Str(text)), _) => text.clone(),
        (_, Some((_, column))) if pairs.iter().all(|(_, other)| other == column) => column.clone(),
        _ => several.to_owned(),
    }
}

fn copy(row: &mut Map, target: &str, source: &str) {
    if let Some(value) = row.get(source) {
        let value = value.clone();
        row.insert(target.to_owned(), value);
    }
}

/// The length of the path that all files lie below; 0 of a single file.
fn shared_folder(y: &[(String, String)]) -> usize {
    let Some((first, _)) = y.first() else { return 0 };
    if y.iter().all(|(file, _)| file == first) {
        return 0;
    }
    let mut shared: Vec<&str> = first.split('/').collect();
    for (file, _) in y {
        let same = shared.iter().zip(file.split('/')).take_while(|(a, b)| **a == *b).count();
        shared.truncate(same);
    }
    shared.join("/").len()
}

fn short(file: &str, shared: usize) -> String {
    file.get(shared..).unwrap_or(file).trim_matches(['/', '\\']).to_owned()
}
