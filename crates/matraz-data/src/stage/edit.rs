//! Changes of pipeline files by command: new stages, frozen stages. Comments and order of the file stay.

use std::path::{Path, PathBuf};

use matraz_base::{Map, Value, yaml};

use super::address::{Address, join, relative};
use super::dataset::SCHEME;
use super::document;
use super::output::{Output, OutputKind, PlotProps};
use super::stage::{Cmd, Stage};
use super::{PARAMS_FILE, PIPELINE_FILE, ParamsFile, dot_dvc, dvc_yaml};
use crate::index::{Index, is_project_file, refuse_git_ignored};
use crate::pipeline::Graph;
use crate::source::url;
use crate::{Error, Repo, Result};

/// A stage as a user asks for it. Paths are relative to `wdir`.
#[derive(Clone, Debug, Default)]
pub struct NewStage {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub cmd: String,
    /// Where it runs, relative to the current folder.
    pub wdir: Option<String>,
    /// What it reads.
    pub deps: Vec<String>,
    /// Parameters files, each with the values it reads; none for the whole file.
    pub params: Vec<(String, Vec<String>)>,
    /// What it makes.
    pub outs: Vec<NewOutput>,
    /// It runs every time.
    pub always_changed: bool,
    /// For people.
    pub desc: Option<String>,
}

/// An output as a user asks for it.
#[derive(Clone, Debug)]
pub struct NewOutput {
    /// Its path.
    pub path: String,
    /// Whether the cache keeps it.
    pub cache: bool,
    /// Whether it is left alone before the stage runs.
    pub persist: bool,
    /// What it is for.
    pub kind: OutputKind,
}

/// Characters that are no punctuation in names.
const NAME_MARKS: [char; 2] = ['_', '-'];

/// Adds a stage to the `dvc.yaml` of the folder `cwd`. `force` replaces one of the same name. Returns the files that were
/// written.
pub fn add(repo: &Repo, cwd: &Path, new: &NewStage, force: bool) -> Result<(Stage, Vec<PathBuf>)> {
    let refuse = |message: String| Err(Error::BadStage { name: new.name.clone(), message });
    if new.name.is_empty() || new.name.chars().any(|c| c.is_ascii_punctuation() && !NAME_MARKS.contains(&c)) {
        return refuse("Stage name cannot contain punctuation characters (other than `_` and `-`)".into());
    }
    if new.cmd.trim().is_empty() {
        return refuse("command is not specified".into());
    }
    let file = cwd.join(PIPELINE_FILE);
    refuse_git_ignored(repo, &file)?;
    let wdir = new.wdir.as_ref().map_or_else(|| cwd.to_path_buf(), |wdir| join(cwd, wdir));
    if !wdir.is_dir() {
        return refuse(format!("stage working dir '{}' does not exist", wdir.display()));
    }
    if !repo.contains(&wdir) {
        return refuse(format!("stage working dir '{}' is outside of the project", wdir.display()));
    }
    let mut stage = build(new, file.clone(), wdir);
    for path in new.deps.iter().chain(new.outs.iter().map(|out| &out.path)) {
        if dvc_yaml::is_url(path) && !path.starts_with(SCHEME) {
            url::locate(path, &repo.config, &stage.wdir)?;
        }
    }
    if let Some(out) = new.outs.iter().find(|out| dvc_yaml::is_url(&out.path)) {
        return Err(Error::NotYet { what: format!("an output with a scheme (`{}`)", out.path), place: None });
    }
    check_paths(repo, &stage)?;
    let mut index = Index::load(repo)?;
    if let Some(old) = index.stages.iter().position(|known| known.address == stage.address) {
        if !force {
            let shown = relative(&file, cwd);
            return refuse(format!(
                "Stage '{}' already exists in '{shown}'. Use '--force' to overwrite.",
                new.name
            ));
        }
        let old = index.stages.remove(old);
        keep_notes(&mut stage, &old);
    }
    index.stages.push(stage.clone());
    let new = [stage.address.display(&repo.root)];
    Graph::build(&index.stages, &repo.root).map_err(|error| error.without_new(&new))?;
    write(&stage)?;
    let mut written = vec![file];
    if let Some(git) = &repo.git {
        for out in stage.outs.iter().filter(|out| out.cache) {
            if git.is_tracked(&out.path)? {
                return Err(Error::GitTrackedOutput { path: out.path.clone() });
            }
            // The folder of an output may be made by the stage: the line is added when it runs.
            if out.path.parent().is_some_and(Path::is_dir) {
                written.extend(git.ignore(&out.path)?);
            }
        }
    }
    Ok((stage, written))
}

fn build(new: &NewStage, file: PathBuf, wdir: PathBuf) -> Stage {
    let mut stage = Stage::new(Address { file, name: Some(new.name.clone()) }, wdir);
    stage.cmd = Some(Cmd::One(new.cmd.clone()));
    stage.desc = new.desc.clone();
    stage.always_changed = new.always_changed;
    stage.deps = new.deps.iter().map(|dep| dvc_yaml::dependency(&stage, dep)).collect();
    for (path, keys) in &new.params {
        stage.params.push(ParamsFile {
            path: join(&stage.wdir, path),
            def_path: path.clone(),
            keys: keys.clone(),
            locked: None,
        });
    }
    for out in &new.outs {
        stage.outs.push(Output {
            cache: out.cache,
            persist: out.persist,
            kind: out.kind.clone(),
            ..Output::new(join(&stage.wdir, &out.path), out.path.clone())
        });
    }
    stage
}

fn check_paths(repo: &Repo, stage: &Stage) -> Result<()> {
    let name = stage.address.name.clone().unwrap_or_default();
    let refuse = |message: String| Err(Error::BadStage { name: name.clone(), message });
    let mut seen: Vec<&Path> = Vec::new();
    let deps = stage.deps.iter().map(|dep| dep.path.as_path());
    let params = stage.params.iter().map(|params| params.path.as_path());
    for path in deps.chain(params) {
        if stage.outs.iter().any(|out| out.path == path) {
            return refuse(format!("'{}' is specified as an output and as a dependency", path.display()));
        }
        if seen.contains(&path) {
            return refuse(format!("'{}' is specified more than once", path.display()));
        }
        seen.push(path);
    }
    for out in &stage.outs {
        if seen.contains(&out.path.as_path()) {
            return refuse(format!("'{}' is specified more than once", out.path.display()));
        }
        seen.push(&out.path);
        if is_project_file(&out.path) {
            return refuse(format!("'{}' cannot be an output: it would define stages", out.def_path));
        }
        if out.cache && !repo.contains(&out.path) {
            return refuse(format!("cached output outside of the project: {}", out.def_path));
        }
    }
    Ok(())
}

/// A stage that is replaced hands on what its owner wrote about it and its outputs.
fn keep_notes(stage: &mut Stage, old: &Stage) {
    stage.meta = old.meta.clone();
    stage.desc = old.desc.clone();
    for out in &mut stage.outs {
        if let Some(old) = old.outs.iter().find(|old| old.def_path == out.def_path) {
            out.take_notes(old);
        }
    }
}

/// A stage that a template makes can only be changed by hand.
pub fn refuse_parametrized(stage: &Stage) -> Result<()> {
    if stage.parametrized || stage.generated_from.is_some() {
        let name = stage.address.name.clone().unwrap_or_default();
        let message = "it is made from a template, which only an editor can change".to_owned();
        return Err(Error::BadStage { name, message });
    }
    Ok(())
}

/// Freezes or thaws a stage or a `.dvc` file. Whether the file changed.
pub fn set_frozen(stage: &mut Stage, frozen: bool) -> Result<bool> {
    stage.frozen = frozen;
    save(stage)
}

/// Writes a changed stage or `.dvc` file. Whether the file changed.
pub fn save(stage: &Stage) -> Result<bool> {
    if stage.is_data() {
        return dot_dvc::save(stage);
    }
    refuse_parametrized(stage)?;
    write(stage)
}

/// Writes the stage into its `dvc.yaml`. Whether the file changed.
fn write(stage: &Stage) -> Result<bool> {
    let file = &stage.address.file;
    let name = stage.address.name.clone().unwrap_or_default();
    let before = document::read(file)?;
    let mut root = match &before {
        Some(document) => document.parse()?.to_value(),
        None => Value::Null,
    };
    if root == Value::Null {
        root = Value::Map(Map::new());
    }
    if let Value::Map(root) = &mut root {
        let stages = root.entry("stages".to_owned()).or_insert_with(|| Value::Map(Map::new()));
        if *stages == Value::Null {
            *stages = Value::Map(Map::new());
        }
        if let Value::Map(stages) = stages {
            stages.insert(name, definition(stage));
        }
    }
    let text = match &before {
        Some(document) if !document.text.trim().is_empty() => {
            yaml::edit(&document.text, &root).unwrap_or_else(|_| yaml::write(&root))
        }
        _ => yaml::write(&root),
    };
    if before.is_some_and(|document| document.text == text) {
        return Ok(false);
    }
    matraz_base::file::write(file, text.as_bytes()).map_err(Error::io("write", file))?;
    Ok(true)
}

/// The stage as `dvc.yaml` defines it: dependencies and outputs sorted, only what differs from the defaults.
pub fn definition(stage: &Stage) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| {
        let empty = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::List(items) => items.is_empty(),
            Value::Str(text) => text.is_empty(),
            Value::Map(map) => map.is_empty(),
            _ => false,
        };
        if !empty {
            map.insert(key.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Str);
    put("desc", text(&stage.desc));
    put("cmd", stage.cmd.as_ref().map_or(Value::Null, Cmd::to_value));
    if stage.wdir != stage.address.folder() {
        put("wdir", Value::Str(relative(&stage.wdir, stage.address.folder())));
    }
    let mut deps: Vec<String> = stage.deps.iter().map(|dep| dep.def_path.clone()).collect();
    deps.sort();
    put("deps", Value::List(deps.into_iter().map(Value::Str).collect()));
    put("params", params(&stage.params));
    let mut outs: Vec<&Output> = stage.outs.iter().collect();
    outs.sort_by(|a, b| a.def_path.cmp(&b.def_path));
    let of = |wanted: fn(&Output) -> bool| {
        Value::List(outs.iter().filter(|out| wanted(out)).map(|out| output(out)).collect())
    };
    put("outs", of(|out| out.kind == OutputKind::Data));
    put("metrics", of(Output::is_metric));
    put("plots", of(Output::is_plot));
    put("frozen", Value::Bool(stage.frozen));
    put("always_changed", Value::Bool(stage.always_changed));
    put("meta", stage.meta.clone().unwrap_or(Value::Null));
    Value::Map(map)
}

fn params(files: &[ParamsFile]) -> Value {
    let mut files: Vec<&ParamsFile> = files.iter().collect();
    files.sort_by(|a, b| a.def_path.cmp(&b.def_path));
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for file in files {
        let mut keys = file.keys.clone();
        keys.sort();
        let keys: Vec<Value> = keys.into_iter().map(Value::Str).collect();
        if file.def_path == PARAMS_FILE && !keys.is_empty() {
            first.extend(keys);
            continue;
        }
        let keys = if keys.is_empty() { Value::Null } else { Value::List(keys) };
        others.push(Value::Map(std::iter::once((file.def_path.clone(), keys)).collect()));
    }
    first.append(&mut others);
    Value::List(first)
}

fn output(out: &Output) -> Value {
    let mut flags = Map::new();
    for (key, text) in [("desc", &out.desc), ("type", &out.data_type)] {
        if let Some(text) = text {
            flags.insert(key.into(), Value::Str(text.clone()));
        }
    }
    if !out.labels.is_empty() {
        flags.insert("labels".into(), Value::List(out.labels.iter().cloned().map(Value::Str).collect()));
    }
    if let Some(meta) = &out.owner_meta {
        flags.insert("meta".into(), meta.clone());
    }
    if !out.cache {
        flags.insert("cache".into(), Value::Bool(false));
    }
    if out.persist {
        flags.insert("persist".into(), Value::Bool(true));
    }
    if let OutputKind::Plot(PlotProps(props)) = &out.kind {
        flags.extend(props.clone());
    }
    if let Some(remote) = &out.remote {
        flags.insert("remote".into(), Value::Str(remote.clone()));
    }
    if !out.push {
        flags.insert("push".into(), Value::Bool(false));
    }
    if flags.is_empty() {
        return Value::Str(out.def_path.clone());
    }
    Value::Map(std::iter::once((out.def_path.clone(), Value::Map(flags))).collect())
}

/// What a stage does, in one line: the first line of its description, or what it makes.
pub fn summary(stage: &Stage) -> String {
    if let Some(line) = stage.desc.as_ref().and_then(|desc| desc.lines().find(|line| !line.is_empty())) {
        return line.trim().to_owned();
    }
    let names =
        |outs: Vec<&Output>| outs.iter().map(|out| out.def_path.as_str()).collect::<Vec<_>>().join(", ");
    if stage.outs.is_empty() {
        let deps = stage.deps.iter().map(|dep| dep.def_path.as_str());
        let read: Vec<&str> =
            deps.chain(stage.params.iter().map(|params| params.def_path.as_str())).collect();
        return match read.is_empty() {
            true => "No outputs or dependencies".into(),
            false => format!("Depends on {}", read.join(", ")),
        };
    }
    let (reports, outs): (Vec<&Output>, Vec<&Output>) =
        stage.outs.iter().partition(|out| out.is_metric() || out.is_plot());
    let mut parts = Vec::new();
    if !outs.is_empty() {
        parts.push(format!("Outputs {}", names(outs)));
    }
    if !reports.is_empty() {
        parts.push(format!("Reports {}", names(reports)));
    }
    parts.join("; ")
}
