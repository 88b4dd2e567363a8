//! The plots of a run: which files, how to draw them, and the curves in them as metric histories.

use std::fs;
use std::path::{Path, PathBuf};

use matraz_data::compare::plots::Plot as Definition;
use matraz_data::stage::address::relative;
use serde::Serialize;

use super::write::{Point, allowed};

/// Rows of a curve that become points; a longer one stays a file.
const LONGEST_CURVE: usize = 10_000;

/// A plot as the run page draws it; `matraz/plots.json` of a run lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Plot {
    /// What it is called: the output's path in the project, or its name under `plots:`.
    pub id: String,
    /// The artifact that holds the data.
    pub file: String,
    /// How it is drawn, in DVC's names: `linear`, `confusion`, `bar_horizontal`, …
    pub template: String,
    /// The column on the x axis.
    pub x: Option<String>,
    /// The column on the y axis.
    pub y: Option<String>,
    /// The heading.
    pub title: Option<String>,
}

/// The plots that a definition stands for, one for every file that is there, and where the files are.
pub(super) fn plots(definition: &Definition, root: &Path) -> Vec<(Plot, PathBuf)> {
    let files =
        definition.files.iter().filter(|series| series.file.is_file() && series.file.starts_with(root));
    let plot = |series: &matraz_data::compare::plots::Series| Plot {
        id: definition.id.clone(),
        file: relative(&series.file, root),
        template: definition.template.clone().unwrap_or_else(|| "linear".into()),
        x: definition.x.as_ref().map(|(_, column)| column.clone()),
        y: series.columns.first().cloned(),
        title: definition.title.clone(),
    };
    files.map(|series| (plot(series), series.file.clone())).collect()
}

/// The curves in a plot file as points of metrics named `<file stem>/<column>`: those of plots that are drawn as
/// lines over whole numbers. Anything else gives none.
pub(super) fn curves(plot: &Plot, path: &Path) -> Vec<Point> {
    if !matches!(plot.template.as_str(), "linear" | "simple" | "smooth") {
        return Vec::new();
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("plot");
    let Some((header, rows)) = table(path) else { return Vec::new() };
    if rows.len() > LONGEST_CURVE {
        return Vec::new();
    }
    let x = match &plot.x {
        Some(name) => match header.iter().position(|column| column == name) {
            Some(n) => Some(n),
            None => return Vec::new(),
        },
        None => header.iter().position(|column| matches!(column.as_str(), "step" | "epoch")),
    };
    let columns: Vec<usize> = match &plot.y {
        Some(name) => header.iter().position(|column| column == name).into_iter().collect(),
        // As DVC: without `y` the last column is drawn.
        None => header.len().checked_sub(1).filter(|last| Some(*last) != x).into_iter().collect(),
    };
    let mut points = Vec::new();
    for column in columns {
        let key = allowed(&format!("{stem}/{}", header[column]));
        for (n, row) in rows.iter().enumerate() {
            let step = match x {
                Some(x) => row.get(x).and_then(|text| text.parse::<i64>().ok()),
                None => i64::try_from(n).ok(),
            };
            let value = row.get(column).and_then(|text| text.parse::<f64>().ok());
            match (step, value) {
                (Some(step), Some(value)) => points.push(Point { key: key.clone(), value, step }),
                _ => return Vec::new(),
            }
        }
    }
    points
}

/// A CSV or TSV file, or a JSON list of flat objects, as header and rows of text.
fn table(path: &Path) -> Option<(Vec<String>, Vec<Vec<String>>)> {
    let text = fs::read_to_string(path).ok()?;
    match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("csv") => separated(&text, b','),
        Some("tsv") => separated(&text, b'\t'),
        Some("json") => {
            let json: serde_json::Value = serde_json::from_str(&text).ok()?;
            let items = json.as_array()?;
            let header: Vec<String> = items.first()?.as_object()?.keys().cloned().collect();
            let cell = |item: &serde_json::Value, key: &String| match item.get(key) {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            };
            let rows = items.iter().map(|item| header.iter().map(|key| cell(item, key)).collect()).collect();
            Some((header, rows))
        }
        _ => None,
    }
}

fn separated(text: &str, delimiter: u8) -> Option<(Vec<String>, Vec<Vec<String>>)> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let header = reader.headers().ok()?.iter().map(str::to_owned).collect();
    let rows = reader
        .records()
        .map(|row| Some(row.ok()?.iter().map(str::to_owned).collect()))
        .collect::<Option<_>>()?;
    Some((header, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(x: Option<&str>, y: Option<&str>) -> Plot {
        Plot {
            id: "p".into(),
            file: "p".into(),
            template: "linear".into(),
            x: x.map(str::to_owned),
            y: y.map(str::to_owned),
            title: None,
        }
    }

    #[test]
    fn curves_become_points() {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("training.csv");
        fs::write(&csv, "step,loss\n0,0.5\n2,0.25\n").unwrap();
        let found = curves(&linear(Some("step"), Some("loss")), &csv);
        let expected =
            [(0, 0.5), (2, 0.25)].map(|(step, value)| Point { key: "training/loss".into(), value, step });
        assert_eq!(found, expected);
        assert_eq!(curves(&linear(None, None), &csv), expected);
        assert!(curves(&linear(Some("absent"), None), &csv).is_empty());
        let confusion = Plot { template: "confusion".into(), ..linear(None, None) };
        assert!(curves(&confusion, &csv).is_empty());
        let json = folder.path().join("training.json");
        fs::write(&json, r#"[{"loss": 0.5}, {"loss": 0.25}]"#).unwrap();
        assert_eq!(curves(&linear(None, Some("loss")), &json).len(), 2);
    }
}
