//! `dvc.lock`: what stages were when they last ran. Schema 2.0.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use matraz_base::yaml::{self, Key, Node, NodeKind};
use matraz_base::{Map, Value};

use super::dataset::{SCHEME, name_in};
use super::dependency::Source;
use super::document::{self, Document};
use super::item;
use super::stage::{Cmd, LockEntry, LockedItem, Stage};
use super::{LOCK_FILE, PARAMS_FILE};
use crate::{Error, Result};

const SCHEMA: &str = "2.0";

/// A lock file, or the place where one will be.
#[derive(Clone, Debug)]
pub struct LockFile {
    /// Absolute path.
    pub path: PathBuf,
    /// The entries by stage name, in the order of the file.
    pub entries: IndexMap<String, LockEntry>,
    /// The `datasets` of the file, kept as they are.
    datasets: Option<Value>,
    /// What the file holds now.
    text: Option<String>,
}

impl LockFile {
    /// Reads the lock file beside the pipeline file at `dvc_yaml`. An absent file has no entries.
    pub fn beside(dvc_yaml: &Path) -> Result<Self> {
        Self::beside_or(None, dvc_yaml)
    }

    /// The same, where one that was read or written before is taken if the file still has its text.
    pub(crate) fn beside_or(known: Option<Self>, dvc_yaml: &Path) -> Result<Self> {
        let path = dvc_yaml.with_file_name(LOCK_FILE);
        let Some(document) = document::read(&path)? else { return Ok(Self::absent(path)) };
        match known {
            Some(known) if known.path == path && known.text.as_ref() == Some(&document.text) => Ok(known),
            _ => Self::parse(&document),
        }
    }

    /// The lock file that is not there yet.
    pub fn absent(path: PathBuf) -> Self {
        Self { path, entries: IndexMap::new(), datasets: None, text: None }
    }

    /// Reads a lock file.
    pub fn parse(document: &Document) -> Result<Self> {
        let root = document.parse()?;
        let mut file = Self {
            path: document.path.clone(),
            entries: IndexMap::new(),
            datasets: None,
            text: Some(document.text.clone()),
        };
        if root.is_null() {
            return Err(document.error(root.span, "a lock file must say `schema: '2.0'`"));
        }
        let entries = document.map(&root, "a lock file")?;
        document.only_keys(entries, &["schema", "stages", "datasets"], "a lock file")?;
        match root.get("schema") {
            Some(schema) if schema.as_str() == Some(SCHEMA) => {}
            Some(schema) => {
                return Err(document.error(schema.span, "the schema of a lock file must be '2.0'"));
            }
            None => return Err(document.error(root.span, "a lock file must say `schema: '2.0'`")),
        }
        file.datasets = root.get("datasets").map(Node::to_value);
        if let Some(stages) = root.get("stages") {
            for (name, node) in document.map(stages, "`stages`")? {
                let name = document.key(name, "the name of a stage")?;
                file.entries
                    .insert(name.to_owned(), parse_entry(document, node, &format!("stage `{name}`"))?);
            }
        }
        Ok(file)
    }

    /// The entries of its datasets.
    pub fn datasets(&self) -> &[Value] {
        self.datasets.as_ref().and_then(Value::as_list).map_or(&[], |entries| entries)
    }

    /// The entry of a dataset.
    pub fn dataset(&self, name: &str) -> Option<&Value> {
        self.datasets().iter().find(|entry| name_in(entry) == Some(name))
    }

    /// Puts the entry of a dataset in the place of the one of the same name, or behind the others.
    pub fn set_dataset(&mut self, entry: Map) {
        let entry = Value::Map(entry);
        let mut entries = self.datasets().to_vec();
        match entries.iter_mut().find(|known| name_in(known) == name_in(&entry)) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
        self.datasets = Some(Value::List(entries));
    }

    /// Puts these in the place of all entries of datasets.
    pub(crate) fn set_datasets(&mut self, entries: Vec<Value>) {
        self.datasets = (!entries.is_empty()).then_some(Value::List(entries));
    }

    /// The text that [`save`](Self::save) writes.
    pub fn to_text(&self) -> String {
        let mut root = Map::new();
        root.insert("schema".into(), Value::Str(SCHEMA.into()));
        if let Some(datasets) = &self.datasets {
            root.insert("datasets".into(), datasets.clone());
        }
        let stages = self.entries.iter().map(|(name, entry)| (name.clone(), entry.to_value())).collect();
        root.insert("stages".into(), Value::Map(stages));
        yaml::write_with_keys(&Value::Map(root), &|path| match path {
            [stages, _, entry @ ..] if stages == "stages" => in_params_of_yaml(entry),
            _ => false,
        })
    }

    /// Writes the file when its content differs. Whether it was written.
    pub fn save(&mut self) -> Result<bool> {
        self.save_by(matraz_base::file::write)
    }

    /// Like [`save`](Self::save), with the way in which the whole file is written.
    pub fn save_by(&mut self, write: impl FnOnce(&Path, &[u8]) -> std::io::Result<()>) -> Result<bool> {
        let text = self.to_text();
        if self.text.as_ref() == Some(&text) {
            return Ok(false);
        }
        write(&self.path, text.as_bytes()).map_err(Error::io("write", &self.path))?;
        self.text = Some(text);
        Ok(true)
    }

    /// Gives the stage what the file remembers of it.
    pub fn fill(&self, stage: &mut Stage) {
        let Some(entry) = stage.address.name.as_ref().and_then(|name| self.entries.get(name)) else { return };
        for dep in &mut stage.deps {
            if let Some(locked) = entry.deps.iter().find(|locked| locked.path == dep.def_path) {
                dep.digest = locked.digest;
                dep.meta = locked.meta.clone();
                dep.legacy = locked.legacy;
                dep.extra = locked.extra.clone();
            } else {
                // As in a file of DVC 2, nothing says how its digest is to be taken.
                dep.legacy = dep.source == Source::Local;
            }
        }
        for out in &mut stage.outs {
            if let Some(locked) = entry.outs.iter().find(|locked| locked.path == out.def_path) {
                out.digest = locked.digest;
                out.meta = locked.meta.clone();
                out.legacy = locked.legacy;
                out.extra = locked.extra.clone();
            } else {
                out.legacy = true;
            }
        }
        for params in &mut stage.params {
            params.locked = entry.params.get(&params.def_path).map(|values| {
                let wanted = |key: &String| params.keys.is_empty() || params.keys.contains(key);
                values.iter().filter(|(key, _)| wanted(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
            });
        }
        stage.lock = Some(entry.clone());
    }
}

/// Reads one entry; also the format of the files in the run cache.
pub fn parse_entry(document: &Document, node: &Node, place: &str) -> Result<LockEntry> {
    let entries = document.map(node, place)?;
    document.only_keys(entries, &["cmd", "deps", "params", "outs"], place)?;
    let mut entry = LockEntry::default();
    for (key, node) in entries {
        match key.text.as_str() {
            "cmd" => entry.cmd = Some(parse_cmd(document, node)?),
            "deps" => entry.deps = parse_items(document, node)?,
            "outs" => entry.outs = parse_items(document, node)?,
            _ => {
                for (file, values) in document.map(node, "`params`")? {
                    let file = document.key(file, "the name of a parameters file")?;
                    let mut map = Map::new();
                    for (name, value) in document.map(values, "the parameters of a file")? {
                        map.insert(
                            document.key(name, "the name of a parameter")?.to_owned(),
                            value.to_value(),
                        );
                    }
                    entry.params.insert(file.to_owned(), map);
                }
            }
        }
    }
    if entry.cmd.is_none() {
        return Err(document.error(node.span, format!("{place} has no `cmd`")));
    }
    Ok(entry)
}

fn parse_cmd(document: &Document, node: &Node) -> Result<Cmd> {
    match &node.kind {
        NodeKind::Scalar(Value::Str(text)) => Ok(Cmd::One(text.clone())),
        NodeKind::List(_) => Ok(Cmd::Many(document.strings(node, "a command")?)),
        _ => Err(document.wrong_type(node, "`cmd`", "a string or a list of strings")),
    }
}

fn parse_items(document: &Document, node: &Node) -> Result<Vec<LockedItem>> {
    let mut allowed = item::KEYS.to_vec();
    allowed.extend(["path", "dataset"]);
    document
        .list(node, "a list of paths")?
        .iter()
        .map(|node| {
            let entries: &[(Key, Node)] = document.map(node, "an entry of a lock file")?;
            document.only_keys(entries, &allowed, "an entry of a lock file")?;
            let path = node.get("path").ok_or_else(|| document.error(node.span, "an entry has no `path`"))?;
            let mut content = item::read(document, entries)?;
            if let Some(dataset) = node.get("dataset") {
                document.map(dataset, "`dataset`")?;
                content.extra.insert("dataset".into(), dataset.to_value());
            }
            Ok(LockedItem {
                path: document.str(path, "`path`")?.to_owned(),
                digest: content.digest,
                meta: content.meta,
                legacy: content.legacy,
                extra: content.extra,
            })
        })
        .collect()
}

/// Whether `path` leads from an entry into a value of a YAML parameters file. There keys may be numbers; JSON and TOML
/// know only text.
fn in_params_of_yaml(path: &[String]) -> bool {
    let text_keys =
        |file: &str| [".json", ".toml"].iter().any(|suffix| file.to_lowercase().ends_with(suffix));
    matches!(path, [params, file, _, ..] if params == "params" && !text_keys(file))
}

impl LockEntry {
    /// Whether it tells of the same command, dependencies and parameters.
    pub(crate) fn has_inputs_of(&self, other: &Self) -> bool {
        self.cmd == other.cmd && self.deps == other.deps && self.params == other.params
    }

    /// The entry as a document of its own.
    pub fn to_text(&self) -> String {
        yaml::write_with_keys(&self.to_value(), &in_params_of_yaml)
    }

    /// What the file says once `stage` ran: all that its dependencies, parameters and outputs hold now.
    pub fn of(stage: &Stage) -> Self {
        let mut deps: Vec<LockedItem> = stage
            .deps
            .iter()
            .map(|dep| LockedItem {
                path: dep.def_path.clone(),
                digest: dep.digest,
                meta: dep.meta.clone(),
                legacy: dep.legacy,
                extra: dep.extra.clone(),
            })
            .collect();
        deps.sort_by(|a, b| a.path.cmp(&b.path));
        let mut outs: Vec<LockedItem> = stage
            .outs
            .iter()
            .map(|out| LockedItem {
                path: out.def_path.clone(),
                digest: out.digest,
                meta: out.meta.clone(),
                legacy: out.legacy,
                extra: out.extra.clone(),
            })
            .collect();
        outs.sort_by(|a, b| a.path.cmp(&b.path));
        let mut files: Vec<_> = stage.params.iter().collect();
        // The default file comes first, the others by name.
        files.sort_by_key(|params| (params.def_path != PARAMS_FILE, params.def_path.clone()));
        let mut params = IndexMap::new();
        for file in files {
            if let Some(values) = &file.locked {
                let mut values: Map = values.clone();
                values.sort_keys();
                params.insert(file.def_path.clone(), values);
            }
        }
        Self { cmd: stage.cmd.clone(), deps, params, outs }
    }

    /// The entry as it stands in the file.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        if let Some(cmd) = &self.cmd {
            map.insert("cmd".into(), cmd.to_value());
        }
        let items = |items: &[LockedItem]| Value::List(items.iter().map(LockedItem::to_value).collect());
        if !self.deps.is_empty() {
            map.insert("deps".into(), items(&self.deps));
        }
        if !self.params.is_empty() {
            let files = self.params.iter().map(|(file, values)| (file.clone(), Value::Map(values.clone())));
            map.insert("params".into(), Value::Map(files.collect()));
        }
        if !self.outs.is_empty() {
            map.insert("outs".into(), items(&self.outs));
        }
        Value::Map(map)
    }
}

impl LockedItem {
    fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("path".into(), Value::Str(self.path.clone()));
        if !self.legacy && !self.path.starts_with(SCHEME) {
            map.insert("hash".into(), Value::Str("md5".into()));
        }
        if self.extra.contains_key("files") {
            map.insert("files".into(), self.extra["files"].clone());
            return Value::Map(map);
        }
        if let Some(digest) = self.digest {
            map.insert("md5".into(), Value::Str(digest.to_string()));
        }
        item::put_meta(&mut map, &self.meta);
        for (key, value) in &self.extra {
            map.insert(key.clone(), value.clone());
        }
        Value::Map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use matraz_base::Explain;

    const TEXT: &str = "\
schema: '2.0'
stages:
  train:
    cmd: python train.py --a-rather-long-option with-a-value --and-another-one 
      which-folds-it here
    deps:
    - path: data
      hash: md5
      md5: d751713988987e9331980363e24189ce.dir
      size: 12
      nfiles: 2
    - path: old
      md5: d41d8cd98f00b204e9800998ecf8427e
      size: 0
    params:
      params.yaml:
        lr: 1e-05
        net.layers: 3
      p.json:
        m:
          z: .inf
          a:
    outs:
    - path: model
      hash: md5
      md5: d41d8cd98f00b204e9800998ecf8427e
      size: 5
      isexec: true
  echo:
    cmd:
    - \"echo 1\\necho 2\\n\"
    - echo 'yes'
";

    #[test]
    fn what_is_read_is_written_back() {
        let file = LockFile::parse(&Document::new("/p/dvc.lock", TEXT)).unwrap();
        assert_eq!(file.to_text(), TEXT);
        let train = &file.entries["train"];
        assert!(train.deps[1].legacy && !train.deps[0].legacy);
        assert!(train.outs[0].meta.isexec);
        assert_eq!(train.params["params.yaml"]["net.layers"], Value::Int(3));
    }

    #[test]
    fn numbers_stay_keys_in_values_of_yaml_files() {
        let text = "\
schema: '2.0'
stages:
  s:
    cmd: x
    params:
      params.yaml:
        '5': 1
        labels:
          0: cat
          true:
            1.5: dog
      p.json:
        labels:
          '0': cat
";
        assert_eq!(LockFile::parse(&Document::new("/p/dvc.lock", text)).unwrap().to_text(), text);
    }

    #[test]
    fn what_breaks_the_schema_is_refused() {
        let table = [
            ("a:\n  cmd: x\n", 1, "unknown key `a` in a lock file"),
            ("schema: '1.0'\nstages: {}\n", 1, "the schema of a lock file must be '2.0'"),
            ("stages: {}\n", 1, "must say `schema"),
            ("", 1, "must say `schema"),
            ("schema: '2.0'\nstages:\n  a:\n    outs: []\n", 4, "stage `a` has no `cmd`"),
            (
                "schema: '2.0'\nstages:\n  a:\n    cmd: x\n    extra: 1\n",
                5,
                "unknown key `extra` in stage `a`",
            ),
            (
                "schema: '2.0'\nstages:\n  a:\n    cmd: x\n    outs:\n    - path: o\n      md5: ../../etc\n",
                7,
                "not an MD5",
            ),
            ("schema: '2.0'\nstages:\n  a:\n    cmd: x\n    deps:\n    - md5: a\n", 6, "has no `path`"),
        ];
        for (text, line, message) in table {
            let error = LockFile::parse(&Document::new("/p/dvc.lock", text)).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert_eq!(error.place().unwrap().line, line, "{text}: {error}");
        }
    }
}
