//! `dvc.yaml`: its schema, and the stages that it defines once templates and groups are resolved.

use std::path::Path;

use indexmap::IndexMap;
use matraz_base::yaml::{Key, Node, NodeKind};
use matraz_base::{Map, Value};

use super::address::{Address, join, relative};
use super::dataset::{self, Standing};
use super::dependency::{Dependency, ParamsFile, Source};
use super::document::Document;
use super::output::{Output, OutputKind, PlotProps};
use super::stage::{Cmd, Stage};
use super::template::{Context, ReadText, Style, refuse_templates};
use super::{PARAMS_FILE, foreach, schema};
use crate::{Error, Result};

/// What a `dvc.yaml` says.
#[derive(Clone, Debug)]
pub struct PipelineFile {
    /// The file itself.
    pub document: Document,
    /// Its stages in order; those of `foreach` and `matrix` groups one by one.
    pub stages: Vec<Stage>,
    /// The names of the stages that each `foreach` or `matrix` group made.
    pub groups: IndexMap<String, Vec<String>>,
    /// Parameter files that belong to the project without belonging to a stage; relative to the file's folder.
    pub params: Vec<String>,
    /// Metrics files likewise.
    pub metrics: Vec<String>,
    /// Plots that are put together from files.
    pub plots: Vec<PlotDefinition>,
    /// Named data for consumers.
    pub artifacts: IndexMap<String, Artifact>,
    /// The entries of `datasets` with their templates resolved; they are checked when something asks for them.
    pub datasets: Vec<Value>,
}

/// An entry of the top-level `plots`.
#[derive(Clone, Debug, PartialEq)]
pub struct PlotDefinition {
    /// Its name; the path of the file when nothing else names one.
    pub id: String,
    /// The keys `x`, `y`, `x_label`, `y_label`, `title`, `template`, as written.
    pub props: Map,
}

/// An entry of `artifacts`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Artifact {
    /// Its data, relative to the file's folder.
    pub path: String,
    /// What sort of data it is (`model`, `dataset` …).
    pub artifact_type: Option<String>,
    /// For people.
    pub desc: Option<String>,
    /// The owner's labels.
    pub labels: Vec<String>,
    /// The owner's own notes.
    pub meta: Option<Value>,
}

/// Checks and resolves the text of a `dvc.yaml`. `read` gives the text of files that `vars` name.
pub fn parse(document: Document, style: Style, read: ReadText<'_>) -> Result<PipelineFile> {
    resolve(document, style, read, &mut Err)
}

/// Like [`parse`], without the entries whose templates cannot be resolved.
pub fn parse_sound(document: Document, style: Style, read: ReadText<'_>) -> Result<PipelineFile> {
    resolve(document, style, read, &mut |_| Ok(()))
}

/// `broken` says of an entry that cannot be resolved whether that is an error of the file.
fn resolve(
    document: Document,
    style: Style,
    read: ReadText<'_>,
    broken: &mut dyn FnMut(Error) -> Result<()>,
) -> Result<PipelineFile> {
    let root = document.parse()?;
    let mut file = PipelineFile {
        stages: Vec::new(),
        groups: IndexMap::new(),
        params: Vec::new(),
        metrics: Vec::new(),
        plots: Vec::new(),
        artifacts: IndexMap::new(),
        datasets: Vec::new(),
        document,
    };
    if root.is_null() {
        return Ok(file);
    }
    let document = file.document.clone();
    schema::check(&document, &root)?;
    let folder = document.path.parent().unwrap_or(Path::new("/"));
    let mut context = Context::new(style);
    let vars_fault = |error: Error| error.in_template("'vars'", &document.path);
    context.load_default(&document, folder, read).map_err(vars_fault)?;
    if let Some(vars) = root.get("vars") {
        context.load_vars(&document, vars, "", folder, read).map_err(vars_fault)?;
    }
    if let Some(stages) = root.get("stages") {
        for (name, definition) in stages.as_map().unwrap_or_default() {
            let instances = match foreach::expand(&document, &context, &name.text, definition) {
                Ok(instances) => instances,
                Err(error) => {
                    broken(error)?;
                    continue;
                }
            };
            let mut made = Vec::new();
            for instance in instances {
                let mut stage = match load_stage(&document, &instance, folder, read) {
                    Ok(stage) => stage,
                    Err(error) => {
                        broken(error)?;
                        continue;
                    }
                };
                if instance.name != name.text {
                    stage.generated_from = Some(name.text.clone());
                    made.push(instance.name.clone());
                }
                file.stages.push(stage);
            }
            if foreach::is_group(definition) {
                file.groups.insert(name.text.clone(), made);
            }
        }
    }
    load_other_entries(&document, &context, &root, &mut file).or_else(broken)?;
    Ok(file)
}

/// All but the stages.
fn load_other_entries(
    document: &Document,
    context: &Context,
    root: &Node,
    file: &mut PipelineFile,
) -> Result<()> {
    file.params = top_strings(document, context, root, "params")?;
    file.metrics = top_strings(document, context, root, "metrics")?;
    file.plots = plot_definitions(&top_items(document, context, root, "plots")?);
    for (name, artifact) in root.get("artifacts").and_then(Node::as_map).unwrap_or_default() {
        let fault = |error: Error| error.in_template(format!("'artifacts.{}'", name.text), &document.path);
        let name = context.resolve_key(document, name).map_err(fault)?;
        let artifact = context.resolve(document, artifact, None).map_err(fault)?;
        file.artifacts.insert(name, load_artifact(document, &artifact)?);
    }
    file.datasets = top_items(document, context, root, "datasets")?.iter().map(Node::to_value).collect();
    Ok(())
}

fn top_strings(document: &Document, context: &Context, root: &Node, key: &str) -> Result<Vec<String>> {
    let items = top_items(document, context, root, key)?;
    items.iter().map(|item| Ok(document.str(item, "an entry")?.to_owned())).collect()
}

/// The items of the top-level list `key`, with their templates resolved.
fn top_items(document: &Document, context: &Context, root: &Node, key: &str) -> Result<Vec<Node>> {
    let items = root.get(key).and_then(Node::as_list).unwrap_or_default().iter().enumerate();
    items
        .map(|(n, item)| {
            let resolved = context.resolve(document, item, None);
            resolved.map_err(|error| error.in_template(format!("'{key}.{n}'"), &document.path))
        })
        .collect()
}

fn load_stage(
    document: &Document,
    instance: &foreach::Instance,
    folder: &Path,
    read: ReadText<'_>,
) -> Result<Stage> {
    let name = &instance.name;
    let fault = |key: &str| {
        let entry = format!("'stages.{name}.{key}'");
        move |error: Error| error.in_template(entry, &document.path)
    };
    let mut context = instance.context.clone();
    context.take_used();
    let raw_wdir = instance.body.get("wdir");
    let wdir = match raw_wdir {
        None => folder.to_path_buf(),
        Some(node) => {
            let resolved = context.resolve(document, node, Some("wdir")).map_err(fault("wdir"))?;
            join(folder, &scalar_text(document, &resolved, "`wdir`")?)
        }
    };
    if let Some(vars) = instance.body.get("vars") {
        let loaded = context.load_vars(document, vars, &format!("{name}."), &wdir, read);
        loaded.map_err(|error| error.in_template(format!("stage '{name}'"), &document.path))?;
    }
    let address = Address { file: document.path.clone(), name: Some(name.clone()) };
    let mut stage = Stage::new(address, wdir);
    // Variables of its own are no part of the stage that they make.
    stage.parametrized =
        refuse_templates(document, &instance.body).is_err() || instance.body.get("vars").is_some();
    let mut kinds: Vec<(&str, Node)> = Vec::new();
    for (key, raw) in instance.body.as_map().unwrap_or_default() {
        if matches!(key.text.as_str(), "vars" | "wdir" | "matrix") {
            continue;
        }
        let node = context.resolve(document, raw, Some(&key.text)).map_err(fault(&key.text))?;
        match key.text.as_str() {
            "cmd" => stage.cmd = Some(load_cmd(document, &node)?),
            "deps" => {
                for item in document.list(&node, "`deps`")? {
                    let path = scalar_text(document, item, "a dependency")?;
                    stage.deps.push(dependency(&stage, &path));
                }
            }
            "params" => load_params(document, &node, &mut stage)?,
            "outs" | "metrics" | "plots" => kinds.push((raw_kind(&key.text), node)),
            "frozen" => stage.frozen = document.bool(&node, "`frozen`")?,
            "always_changed" => stage.always_changed = document.bool(&node, "`always_changed`")?,
            "desc" => stage.desc = Some(scalar_text(document, &node, "`desc`")?),
            _ => stage.meta = Some(node.to_value()),
        }
    }
    stage.used = context.take_used();
    for wanted in ["outs", "metrics", "plots"] {
        for (_, node) in kinds.iter().filter(|(kind, _)| *kind == wanted) {
            load_outputs(document, node, wanted, &mut stage)?;
        }
    }
    Ok(stage)
}

fn raw_kind(key: &str) -> &'static str {
    match key {
        "metrics" => "metrics",
        "plots" => "plots",
        _ => "outs",
    }
}

pub(super) fn scalar_text(document: &Document, node: &Node, what: &str) -> Result<String> {
    match &node.kind {
        NodeKind::Scalar(Value::Null) | NodeKind::List(_) | NodeKind::Map(_) => {
            Err(document.wrong_type(node, what, "a string"))
        }
        NodeKind::Scalar(value) => Ok(value.to_string()),
    }
}

fn load_cmd(document: &Document, node: &Node) -> Result<Cmd> {
    let cmd = match &node.kind {
        NodeKind::List(items) => Cmd::Many(
            items.iter().map(|item| scalar_text(document, item, "a command")).collect::<Result<_>>()?,
        ),
        _ => Cmd::One(scalar_text(document, node, "`cmd`")?),
    };
    if cmd.lines().is_empty() {
        return Err(document.error(node.span, "`cmd` is empty"));
    }
    Ok(cmd)
}

/// The path as lock files have it: an absolute one inside the stage's project folder stays as written, since only
/// the caller knows the project.
pub(super) fn dependency(stage: &Stage, def_path: &str) -> Dependency {
    if def_path.starts_with(dataset::SCHEME) {
        let source = Source::Dataset(Standing::default());
        return Dependency {
            path: def_path.into(),
            def_path: def_path.to_owned(),
            source,
            ..Dependency::default()
        };
    }
    let source = if is_url(def_path) { Source::Url } else { Source::Local };
    Dependency {
        path: join(&stage.wdir, def_path),
        def_path: def_path.to_owned(),
        source,
        ..Dependency::default()
    }
}

/// Whether `path` has a scheme, as `s3://bucket/key`.
pub fn is_url(path: &str) -> bool {
    path.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

fn load_params(document: &Document, node: &Node, stage: &mut Stage) -> Result<()> {
    let items = document.list(node, "`params`")?;
    let mut whole: Vec<&str> = Vec::new();
    for (file, keys) in items.iter().filter_map(Node::as_map).flatten() {
        if keys.is_null() || keys.as_list().is_some_and(<[Node]>::is_empty) {
            whole.push(&file.text);
        }
    }
    let mut add = |file: &str, keys: Vec<String>| {
        let keys = if whole.contains(&file) { Vec::new() } else { keys };
        match stage.params.iter_mut().find(|params| params.def_path == file) {
            Some(params) => {
                for key in keys {
                    if !params.keys.contains(&key) {
                        params.keys.push(key);
                    }
                }
            }
            None => stage.params.push(ParamsFile {
                path: join(&stage.wdir, file),
                def_path: file.to_owned(),
                keys,
                locked: None,
            }),
        }
    };
    for item in items {
        match &item.kind {
            NodeKind::Map(files) => {
                for (file, keys) in files {
                    let keys = match keys.is_null() {
                        true => Vec::new(),
                        false => document.strings(keys, "the parameters of a file")?,
                    };
                    add(&file.text, keys);
                }
            }
            _ => add(PARAMS_FILE, vec![scalar_text(document, item, "a parameter")?]),
        }
    }
    Ok(())
}

/// The flags of an output as they are written.
type Flags = Vec<(Key, Node)>;

/// Entries of the same path are one output, with the flags of all.
fn load_outputs(document: &Document, node: &Node, kind: &str, stage: &mut Stage) -> Result<()> {
    let mut found: IndexMap<String, (&Node, Flags)> = IndexMap::new();
    for item in document.list(node, "a list of outputs")? {
        match &item.kind {
            NodeKind::Map(entries) => {
                for (path, flags) in entries {
                    let (_, all) = found.entry(path.text.clone()).or_insert_with(|| (item, Vec::new()));
                    all.extend_from_slice(flags.as_map().unwrap_or_default());
                }
            }
            _ => {
                found.entry(scalar_text(document, item, "an output")?).or_insert_with(|| (item, Vec::new()));
            }
        }
    }
    for (path, (item, flags)) in found {
        let mut out = new_output(document, stage, &path, item)?;
        out.kind = kind_of(kind, &flags);
        for (key, value) in &flags {
            set_flag(document, &mut out, &key.text, value)?;
        }
        stage.outs.push(out);
    }
    Ok(())
}

fn new_output(document: &Document, stage: &Stage, path: &str, item: &Node) -> Result<Output> {
    if is_url(path) {
        return Err(document.not_yet(item.span, format!("an output with a scheme (`{path}`)")));
    }
    let path = if Path::new(path).is_absolute() { relative_if_inside(stage, path) } else { path.to_owned() };
    Ok(Output::new(join(&stage.wdir, &path), path))
}

/// An absolute path below the stage's working folder is kept relative to it.
fn relative_if_inside(stage: &Stage, path: &str) -> String {
    let normal = join(Path::new("/"), path);
    if normal.starts_with(&stage.wdir) { relative(&normal, &stage.wdir) } else { path.to_owned() }
}

fn kind_of(kind: &str, flags: &[(Key, Node)]) -> OutputKind {
    match kind {
        "metrics" => OutputKind::Metric,
        "plots" => {
            let props = flags
                .iter()
                .filter(|(key, _)| PlotProps::KEYS.contains(&key.text.as_str()))
                .map(|(key, node)| (key.text.clone(), node.to_value()))
                .collect();
            OutputKind::Plot(PlotProps(props))
        }
        _ => OutputKind::Data,
    }
}

/// Sets what `.dvc` files and `dvc.yaml` may both say about an output. Whether the key was one of those.
pub(super) fn set_flag(document: &Document, out: &mut Output, key: &str, node: &Node) -> Result<bool> {
    let what = format!("`{key}`");
    match key {
        "cache" => out.cache = document.bool(node, &what)?,
        "persist" => out.persist = document.bool(node, &what)?,
        "push" => out.push = document.bool(node, &what)?,
        "remote" => out.remote = Some(document.str(node, &what)?.to_owned()),
        "desc" => out.desc = Some(document.str(node, &what)?.to_owned()),
        "type" => out.data_type = Some(document.str(node, &what)?.to_owned()),
        "labels" => out.labels = document.strings(node, &what)?,
        "meta" => out.owner_meta = Some(node.to_value()),
        _ => return Ok(false),
    }
    Ok(true)
}

fn plot_definitions(items: &[Node]) -> Vec<PlotDefinition> {
    let mut plots = Vec::new();
    for item in items {
        match item.as_map() {
            None => {
                let id = item.to_value().to_string();
                plots.push(PlotDefinition { id, props: Map::new() });
            }
            Some(entries) => {
                for (id, props) in entries {
                    let props = props.to_value().as_map().cloned().unwrap_or_default();
                    plots.push(PlotDefinition { id: id.text.clone(), props });
                }
            }
        }
    }
    plots
}

fn load_artifact(document: &Document, node: &Node) -> Result<Artifact> {
    let mut artifact = Artifact::default();
    for (key, value) in document.map(node, "an artifact")? {
        match key.text.as_str() {
            "path" => artifact.path = scalar_text(document, value, "`path`")?,
            "type" => artifact.artifact_type = Some(scalar_text(document, value, "`type`")?),
            "desc" => artifact.desc = Some(scalar_text(document, value, "`desc`")?),
            "labels" => artifact.labels = document.strings(value, "`labels`")?,
            _ => artifact.meta = Some(value.to_value()),
        }
    }
    Ok(artifact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use matraz_base::Explain;

    fn load(text: &str) -> Result<PipelineFile> {
        load_with(text, "lr: 0.1\nname: m\nmodels: [cnn, {deep: 2}]\ncfg: {us: {e: 3}, uk: {e: 4}}\n")
    }

    fn load_with(text: &str, params: &str) -> Result<PipelineFile> {
        let read = |path: &Path| Ok((path == Path::new("/p/params.yaml")).then(|| params.to_owned()));
        parse(Document::new("/p/dvc.yaml", text), Style::default(), &read)
    }

    #[test]
    fn a_stage_has_everything_that_the_file_says() {
        let file = load(
            "stages:\n  train:\n    cmd: run ${lr}\n    wdir: sub\n    desc: d\n    frozen: true\n    \
             deps: [../data, x.py]\n    params: [lr, net.n, {p.json: [a]}, {q.yaml: }]\n    \
             outs: [\"${name}.pkl\", {big: {cache: false, persist: true, push: false, remote: r}}]\n    \
             metrics: [{m.json: {cache: false}}]\n    plots: [{c.csv: {x: a, template: confusion}}]\n    \
             meta: {matraz: {gpu: 1}}\n",
        )
        .unwrap();
        let stage = &file.stages[0];
        assert_eq!(stage.cmd, Some(Cmd::One("run 0.1".into())));
        assert_eq!(stage.wdir, Path::new("/p/sub"));
        assert_eq!(stage.deps[0].path, Path::new("/p/data"));
        let params: Vec<_> = stage.params.iter().map(|p| (p.def_path.as_str(), p.keys.join(","))).collect();
        assert_eq!(
            params,
            [("params.yaml", "lr,net.n".to_owned()), ("p.json", "a".to_owned()), ("q.yaml", String::new())]
        );
        assert_eq!(stage.outs.len(), 4);
        assert_eq!(stage.outs[0].path, Path::new("/p/sub/m.pkl"));
        let big = &stage.outs[1];
        assert!(!big.cache && big.persist && !big.push && big.remote.as_deref() == Some("r"));
        assert!(stage.outs[2].is_metric() && !stage.outs[2].cache);
        let OutputKind::Plot(props) = &stage.outs[3].kind else { panic!("{:?}", stage.outs[3]) };
        assert_eq!(props.text("template"), Some("confusion"));
        assert!(stage.frozen && stage.meta.as_ref().unwrap().get("matraz").is_some());
    }

    #[test]
    fn groups_become_stages() {
        let file = load(
            "stages:\n  list:\n    foreach: [a, b]\n    do: {cmd: 'echo ${item}'}\n  \
             deep:\n    foreach: ${models}\n    do: {cmd: 'echo ${lr}'}\n  \
             map:\n    foreach: ${cfg}\n    do: {cmd: 'echo ${key} ${item.e}', outs: ['${key}']}\n  \
             grid:\n    matrix: {x: [1, 2], y: ['${name}', {z: 5}]}\n    cmd: echo ${key} ${item.x}\n",
        )
        .unwrap();
        let shown: Vec<_> = file
            .stages
            .iter()
            .map(|stage| {
                let cmd = stage.cmd.clone().unwrap().lines().join(";");
                format!("{}: {cmd}", stage.address.name.clone().unwrap())
            })
            .collect();
        assert_eq!(
            shown,
            [
                "list@a: echo a",
                "list@b: echo b",
                "deep@0: echo 0.1",
                "deep@1: echo 0.1",
                "map@us: echo us 3",
                "map@uk: echo uk 4",
                "grid@1-m: echo 1-m 1",
                "grid@1-y1: echo 1-y1 1",
                "grid@2-m: echo 2-m 2",
                "grid@2-y1: echo 2-y1 2",
            ]
        );
        assert_eq!(file.groups["map"], ["map@us", "map@uk"]);
        assert_eq!(file.stages[4].generated_from.as_deref(), Some("map"));
    }

    #[test]
    fn what_breaks_the_schema_is_pointed_at() {
        let table = [
            ("stage: {}\n", 1, 1, "unknown key `stage`"),
            ("stages:\n  a:\n    cmd: x\n    out: [y]\n", 4, 5, "unknown key `out` in stage `a`"),
            ("stages:\n  a:\n    deps: [y]\n", 3, 5, "stage `a` has no `cmd`"),
            ("stages:\n  a:\n    cmd: 1\n", 3, 10, "must be a string or a list of strings, not an integer"),
            ("stages:\n  a:\n    cmd: x\n    deps: y\n", 4, 11, "must be a list, not a string"),
            ("stages:\n  a:\n    cmd: x\n    deps:\n", 4, 9, "must be a list, not nothing"),
            ("stages:\n  1:\n    cmd: x\n", 2, 3, "the name of a stage must be a string"),
            ("stages:\n  a:\n    cmd: x\n    outs: [{y: {cash: true}}]\n", 4, 17, "unknown key `cash`"),
            ("stages:\n  a:\n    cmd: x\n    frozen: 'yes'\n", 4, 13, "must be true or false"),
            ("stages:\n  a: {foreach: [1]}\n", 2, 6, "group `a` has no `do`"),
            ("plots: [{p: {z: 1}}]\n", 1, 14, "unknown key `z`"),
            ("artifacts: {m: {type: model}}\n", 1, 13, "has no `path`"),
            (
                "stages:\n  a: {cmd: 'x ${nope}'}\n",
                2,
                15,
                "failed to parse 'stages.a.cmd' in 'dvc.yaml': Could not find 'nope'",
            ),
            ("stages: [a]\n", 1, 9, "`stages` must be a mapping, not a list"),
            ("- a\n", 1, 1, "a pipeline file must be a mapping"),
        ];
        for (text, line, column, message) in table {
            let error = load(text).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
            let place = error.place().unwrap();
            assert_eq!((place.line, place.column), (line, column), "{text}: {error}");
        }
        let file = load("datasets: [{name: x, type: dvc, url: '${name}'}]\n").unwrap();
        assert_eq!(file.datasets[0].get("url").and_then(Value::as_str), Some("m"));
        assert!(load("").unwrap().stages.is_empty());
    }
}
