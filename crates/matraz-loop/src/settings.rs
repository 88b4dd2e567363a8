//! `matraz.yaml`: where runs go, which output is the model, and what it must reach.
//!
//! ```yaml
//! tracking:
//!   uri: sqlite:///mlflow.db     # the default; or http://HOST:PORT of a server
//!   artifacts: mlartifacts       # folder of the embedded store's artifacts
//!   experiment: obesity          # default: the name of the project's folder
//! model:
//!   name: obesity                # name in the model registry
//!   path: model                  # the pipeline output that holds the model
//! gates:
//! - metric: accuracy
//!   above: 0.80                  # or at_least, below, at_most
//! - f1_macro >= champion - 0.01  # the same as a line, compared with another run
//! baselines:
//!   release: models:/obesity/3   # what `@release` in a rule stands for
//! pools:
//!   gpu: 2                       # stages that claim the pool `gpu` share two slots of it under `repro -j`
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use matraz_base::yaml::{self, Key, Node, Span};
use matraz_base::{Explain, Kind, Place, Value, file};
use matraz_ship::gate::Rule;

mod gates;

/// The name of the file, at the project's root.
pub const FILE: &str = "matraz.yaml";

/// What `matraz.yaml` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Where runs go. `None` when the file has no such section.
    pub tracking: Option<Tracking>,
    /// The model that the pipeline makes.
    pub model: Option<Model>,
    /// The rules of the gate.
    pub gates: Vec<Rule>,
    /// What `@NAME` in a rule stands for: a model version, a run or a revision of git.
    pub baselines: BTreeMap<String, String>,
    /// The sizes of the pools of which stages claim slots.
    pub pools: BTreeMap<String, usize>,
}

/// The section `tracking`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    /// The store.
    pub uri: Option<String>,
    /// The artifact folder of the embedded store, relative to the project's root.
    pub artifacts: Option<String>,
    /// The experiment's name.
    pub experiment: Option<String>,
}

/// The section `model`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The registered model's name.
    pub name: String,
    /// The output that holds it, relative to the project's root with `/`.
    pub path: String,
}

/// Why `matraz.yaml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not YAML, or says something that has no meaning.
    #[error("{message}")]
    Wrong {
        /// What is wrong.
        message: String,
        /// Where.
        place: Box<Place>,
        /// How to say it.
        hint: Option<String>,
    },
}

impl Explain for SettingsError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unreadable { .. } => Kind::Denied,
            Self::Wrong { .. } => Kind::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => None,
            Self::Wrong { hint, .. } => hint.clone(),
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::Unreadable { .. } => None,
            Self::Wrong { place, .. } => Some(place),
        }
    }
}

impl Settings {
    /// Reads `matraz.yaml` in the project's root; `None` when there is none.
    pub fn load(root: &Path) -> Result<Option<Self>, SettingsError> {
        let path = root.join(FILE);
        match file::read_if_present(&path) {
            Ok(Some(text)) => Self::parse(&path, &text).map(Some),
            Ok(None) => Ok(None),
            Err(source) => Err(SettingsError::Unreadable { path, source }),
        }
    }

    /// Reads the text of the file at `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let source = Source { path, text };
        let root = yaml::parse(text).map_err(|error| SettingsError::Wrong {
            message: error.message.clone(),
            place: Box::new(Place::at(path, text, error.line, error.column, 1)),
            hint: None,
        })?;
        if root.is_null() {
            return Ok(Self::default());
        }
        let fields =
            source.fields(&root, "matraz.yaml", &["tracking", "model", "gates", "baselines", "pools"])?;
        let tracking = fields.get("tracking").map(|node| source.tracking(node)).transpose()?;
        let model = fields.get("model").map(|node| source.model(node)).transpose()?;
        let baselines =
            fields.get("baselines").map_or_else(|| Ok(BTreeMap::new()), |node| source.baselines(node))?;
        let gates =
            fields.get("gates").map_or_else(|| Ok(Vec::new()), |node| source.gates(node, &baselines))?;
        let pools = fields.get("pools").map_or_else(|| Ok(BTreeMap::new()), |node| source.pools(node))?;
        Ok(Self { tracking, model, gates, baselines, pools })
    }
}

/// The experiment of the project at `root`: as asked for, as `matraz.yaml` says, or the name of the folder.
pub fn experiment_name(root: &Path, settings: &Settings, asked: Option<&str>) -> String {
    let configured = settings.tracking.as_ref().and_then(|tracking| tracking.experiment.as_deref());
    let folder = || root.file_name().map(|name| name.to_string_lossy().into_owned());
    asked.or(configured).map(str::to_owned).or_else(folder).unwrap_or_else(|| "Default".into())
}

struct Source<'s> {
    path: &'s Path,
    text: &'s str,
}

struct Fields<'n> {
    section: &'static str,
    span: Span,
    entries: Vec<(&'n str, &'n Node)>,
}

impl<'n> Fields<'n> {
    fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, node)| *node)
    }
}

impl Source<'_> {
    fn wrong(&self, span: Span, message: String, hint: Option<String>) -> SettingsError {
        let place = Place::at(self.path, self.text, span.line, span.column, span.width(self.text));
        SettingsError::Wrong { message, place: Box::new(place), hint }
    }

    fn fields<'n>(
        &self,
        node: &'n Node,
        section: &'static str,
        known: &[&str],
    ) -> Result<Fields<'n>, SettingsError> {
        let Some(entries) = node.as_map() else {
            let message = format!("`{section}` must be a mapping, not {}", node.type_name());
            return Err(self.wrong(node.span, message, Some(format!("its keys are {}", quoted(known)))));
        };
        for (key, _) in entries {
            if !known.contains(&key.text.as_str()) {
                let message = format!("`{section}` has no key `{}`", key.text);
                return Err(self.wrong(key.span, message, Some(format!("its keys are {}", quoted(known)))));
            }
        }
        let entries = entries.iter().map(|(key, node)| (key.text.as_str(), node)).collect();
        Ok(Fields { section, span: node.span, entries })
    }

    fn text(&self, fields: &Fields<'_>, key: &str) -> Result<Option<String>, SettingsError> {
        let Some(node) = fields.get(key) else { return Ok(None) };
        match node.as_str() {
            Some(text) if !text.is_empty() => Ok(Some(text.to_owned())),
            _ => {
                let message = format!("`{}.{key}` must be text, not {}", fields.section, node.type_name());
                Err(self.wrong(node.span, message, None))
            }
        }
    }

    fn needed(&self, fields: &Fields<'_>, key: &str) -> Result<String, SettingsError> {
        self.text(fields, key)?
            .ok_or_else(|| self.wrong(fields.span, format!("`{}` lacks `{key}`", fields.section), None))
    }

    fn tracking(&self, node: &Node) -> Result<Tracking, SettingsError> {
        if node.is_null() {
            return Ok(Tracking::default());
        }
        let fields = self.fields(node, "tracking", &["uri", "artifacts", "experiment"])?;
        Ok(Tracking {
            uri: self.text(&fields, "uri")?,
            artifacts: self.text(&fields, "artifacts")?,
            experiment: self.text(&fields, "experiment")?,
        })
    }

    fn model(&self, node: &Node) -> Result<Model, SettingsError> {
        let fields = self.fields(node, "model", &["name", "path"])?;
        let name = self.needed(&fields, "name")?;
        let path = self.needed(&fields, "path")?;
        let outside =
            Path::new(&path).components().any(|part| !matches!(part, std::path::Component::Normal(_)));
        if outside {
            let span = fields.get("path").map_or(node.span, |node| node.span);
            let message = format!("`model.path` is `{path}`, which is not a path below the project's root");
            return Err(self.wrong(span, message, None));
        }
        Ok(Model { name, path: path.trim_end_matches('/').to_owned() })
    }

    fn pools(&self, node: &Node) -> Result<BTreeMap<String, usize>, SettingsError> {
        if node.is_null() {
            return Ok(BTreeMap::new());
        }
        let Some(entries) = node.as_map() else {
            let message = format!("`pools` must be a mapping, not {}", node.type_name());
            return Err(self.wrong(node.span, message, Some("write `gpu: 2`".into())));
        };
        let size = |(key, node): &(Key, Node)| match node.to_value() {
            Value::Int(size) if size > 0 => {
                Ok((key.text.clone(), usize::try_from(size).unwrap_or(usize::MAX)))
            }
            _ => {
                let message = format!("the size of the pool `{}` must be a whole number above 0", key.text);
                Err(self.wrong(node.span, message, None))
            }
        };
        entries.iter().map(size).collect()
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse(Path::new("matraz.yaml"), text)
    }

    #[test]
    fn the_whole_file_is_read() {
        let text = "tracking:\n  experiment: obesity\nmodel:\n  name: obesity\n  path: model\n\
                    gates:\n- metric: accuracy\n  above: 0.80\n- f1_macro >= 0.75\npools:\n  gpu: 2\n";
        let settings = parse(text).unwrap();
        assert_eq!(settings.tracking.unwrap().experiment.as_deref(), Some("obesity"));
        assert_eq!(settings.model.unwrap().path, "model");
        assert_eq!(settings.pools["gpu"], 2);
        let rules: Vec<_> = settings.gates.iter().map(Rule::to_string).collect();
        assert_eq!(rules, ["accuracy > 0.8", "f1_macro >= 0.75"]);
        assert_eq!(parse("").unwrap(), Settings::default());
    }

    #[test]
    fn faults_are_shown_where_they_stand() {
        let table = [
            ("tracing: {}\n", (1, 1), "no key `tracing`"),
            ("model:\n  name: x\n", (2, 3), "lacks `path`"),
            ("model:\n  name: x\n  path: ../x\n", (3, 9), "not a path below"),
            ("gates:\n- metric: a\n", (2, 3), "needs a bound"),
            ("gates:\n- metric: a\n  above: high\n", (3, 10), "must be a number or what to compare with"),
            ("gates:\n- metric: a\n  above: [1]\n", (3, 10), "must be a number or what to compare with"),
            ("gates:\n- a > @b\n", (2, 3), "no baseline `b`"),
            ("gates:\n- metric: a\n  above: 1\n  without_baseline: maybe\n", (4, 21), "`pass` or `unknown`"),
            (
                "gates:\n- metric: accuracy\n  above: 1\n  paired: {predictions: p.csv, truth: y, predicted: p}\n",
                (4, 11),
                "not with a number",
            ),
            (
                "gates:\n- metric: mcc\n  above: champion\n  paired: {predictions: p.csv, truth: y, predicted: p}\n",
                (4, 11),
                "has no `measure`",
            ),
            ("gates:\n- accuracy\n", (2, 3), "not a gate rule"),
            ("gates: 3\n", (1, 8), "must be a list"),
            ("tracking:\n  uri: [1]\n", (2, 8), "must be text"),
            ("pools:\n  gpu: 0\n", (2, 8), "size of the pool `gpu`"),
            ("pools: gpu\n", (1, 8), "must be a mapping"),
        ];
        for (text, at, words) in table {
            let error = parse(text).unwrap_err();
            let place = error.place().unwrap();
            assert_eq!((place.line, place.column), at, "{text}: {error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
