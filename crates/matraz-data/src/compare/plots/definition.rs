//! The plots that a project defines: from which files and columns, by which template.

use std::path::{Path, PathBuf};

use matraz_base::{Map, Value};

use crate::index::Index;
use crate::stage::OutputKind;
use crate::stage::address::{join, relative};

/// One plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// Its name: the path of the output relative to the project, or the name in `plots:` of the pipeline file.
    pub id: String,
    /// The files that it draws, each with the columns of its vertical axis (none: the template's own choice).
    pub files: Vec<Series>,
    /// The column of the horizontal axis, and the file that has it when it is another one.
    pub x: Option<(Option<PathBuf>, String)>,
    /// The template (`linear`, `confusion`, `bar_horizontal`, a file …).
    pub template: Option<String>,
    /// The title.
    pub title: Option<String>,
    /// What stands at the horizontal axis.
    pub x_label: Option<String>,
    /// What stands at the vertical axis.
    pub y_label: Option<String>,
    /// Whether the first line of a table names its columns.
    pub header: bool,
}

/// A file of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Where it is.
    pub file: PathBuf,
    /// The columns that are drawn.
    pub columns: Vec<String>,
}

/// The plots of the project: outputs of stages, then those of `plots:`.
pub fn definitions_from(index: &Index, root: &Path) -> Vec<Plot> {
    let mut plots = Vec::new();
    for out in index.stages.iter().flat_map(|stage| &stage.outs) {
        if let OutputKind::Plot(props) = &out.kind {
            let id = relative(&out.path, root);
            plots.push(with_props(id, &props.0, &out.path, |_| out.path.clone()));
        }
    }
    for pipeline in &index.pipelines {
        let folder = pipeline.document.path.parent().unwrap_or(Path::new("/"));
        for definition in &pipeline.plots {
            // Without a file the name of the plot is its file.
            let own = join(folder, &definition.id);
            plots.push(with_props(definition.id.clone(), &definition.props, &own, |file| join(folder, file)));
        }
    }
    plots
}

fn with_props(id: String, props: &Map, own: &Path, locate: impl Fn(&str) -> PathBuf) -> Plot {
    let text = |key: &str| props.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut files = Vec::new();
    match props.get("y") {
        Some(Value::Map(by_file)) => {
            for (file, columns) in by_file {
                files.push(Series { file: locate(file), columns: names(columns) });
            }
        }
        Some(columns) => files.push(Series { file: own.to_path_buf(), columns: names(columns) }),
        None => files.push(Series { file: own.to_path_buf(), columns: Vec::new() }),
    }
    let x = match props.get("x") {
        Some(Value::Map(by_file)) => by_file
            .iter()
            .next()
            .and_then(|(file, column)| Some((Some(locate(file)), column.as_str()?.to_owned()))),
        Some(column) => column.as_str().map(|column| (None, column.to_owned())),
        None => None,
    };
    Plot {
        id,
        files,
        x,
        template: text("template"),
        title: text("title"),
        x_label: text("x_label"),
        y_label: text("y_label"),
        header: !matches!(props.get("header"), Some(Value::Bool(false))),
    }
}

fn names(columns: &Value) -> Vec<String> {
    match columns {
        Value::List(items) => items.iter().map(Value::to_string).collect(),
        Value::Null => Vec::new(),
        one => vec![one.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::document::Document;
    use crate::stage::dvc_yaml;
    use crate::stage::template::Style;

    #[test]
    fn plots_of_outputs_and_of_the_file_are_defined() {
        let text = "stages:\n  e:\n    cmd: x\n    plots: [{c.csv: {x: predicted, y: actual, template: confusion}}, d.csv]\n\
                    plots:\n- roc: {x: {r.csv: fpr}, y: {r.csv: [tpr, t2], s.csv: z}, title: ROC}\n- img.png:\n- sub/all.csv\n";
        let pipeline =
            dvc_yaml::parse(Document::new("/p/q/dvc.yaml", text), Style::default(), &|_| Ok(None)).unwrap();
        let index = Index { stages: pipeline.stages.clone(), pipelines: vec![pipeline], ..Index::default() };
        let plots = definitions_from(&index, Path::new("/p"));
        let ids: Vec<_> = plots.iter().map(|plot| plot.id.as_str()).collect();
        assert_eq!(ids, ["q/c.csv", "q/d.csv", "roc", "img.png", "sub/all.csv"]);
        assert_eq!(plots[0].files, [Series { file: "/p/q/c.csv".into(), columns: vec!["actual".into()] }]);
        assert_eq!(plots[0].template.as_deref(), Some("confusion"));
        assert_eq!(plots[2].files[1], Series { file: "/p/q/s.csv".into(), columns: vec!["z".into()] });
        assert_eq!(plots[2].x, Some((Some("/p/q/r.csv".into()), "fpr".into())));
        assert_eq!(plots[4].files[0].file, Path::new("/p/q/sub/all.csv"));
    }
}
