//! `.dvc` files: data that no command of the project makes.

use std::path::{Path, PathBuf};

use matraz_base::value::python_json;
use matraz_base::yaml::{self, Key, Node};
use matraz_base::{Map, Value};

use super::address::{Address, join, relative};
use super::dependency::{Dependency, Source};
use super::document::{self, Document};
use super::output::Output;
use super::stage::Stage;
use super::{dvc_yaml, item};
use crate::error::Fault;
use crate::hash::digest::Digest;
use crate::hash::md5;
use crate::{Error, Result};

const TOP_KEYS: [&str; 9] =
    ["desc", "md5", "wdir", "frozen", "locked", "deps", "outs", "always_changed", "meta"];

/// Reads the `.dvc` file at `path`, an absolute path.
pub fn load(path: &Path) -> Result<Stage> {
    let document = document::read(path)?.ok_or_else(|| Error::Io {
        action: "read",
        path: path.to_path_buf(),
        source: std::io::ErrorKind::NotFound.into(),
    })?;
    parse(&document)
}

/// Checks and reads the text of a `.dvc` file.
pub fn parse(document: &Document) -> Result<Stage> {
    let root = document.parse()?;
    let address = Address { file: document.path.clone(), name: None };
    let folder = address.folder().to_path_buf();
    let mut stage = Stage::new(address, folder.clone());
    if root.is_null() {
        return Ok(stage);
    }
    let entries = document.map(&root, "a `.dvc` file")?;
    if let Some((key, _)) = root.entry("cmd") {
        return Err(Error::Definition {
            fault: Fault::Schema,
            message: "a `.dvc` file cannot have a `cmd`".into(),
            place: Box::new(document.place(key.span)),
            hint: Some("stages with commands belong in `dvc.yaml`".into()),
        });
    }
    document.only_keys(entries, &TOP_KEYS, "a `.dvc` file")?;
    if let Some(wdir) = root.get("wdir").filter(|wdir| !wdir.is_null()) {
        stage.wdir = join(&folder, document.str(wdir, "`wdir`")?);
    }
    for (key, node) in entries {
        match key.text.as_str() {
            "desc" => stage.desc = Some(document.str(node, "`desc`")?.to_owned()),
            "md5" if !node.is_null() => stage.md5 = Some(node.to_value().to_string()),
            "frozen" | "locked" => stage.frozen |= document.bool(node, "`frozen`")?,
            "always_changed" => stage.always_changed = document.bool(node, "`always_changed`")?,
            "meta" => stage.meta = Some(node.to_value()),
            "deps" if !node.is_null() => {
                for item in document.list(node, "`deps`")? {
                    stage.deps.push(parse_dependency(document, item, &stage)?);
                }
            }
            "outs" if !node.is_null() => {
                for item in document.list(node, "`outs`")? {
                    let out = parse_output(document, item, &stage)?;
                    if stage.outs.iter().any(|other| other.path == out.path) {
                        let message = format!("the output '{}' stands twice", out.def_path);
                        return Err(document.error(item.span, message));
                    }
                    stage.outs.push(out);
                }
            }
            _ => {}
        }
    }
    Ok(stage)
}

fn parse_output(document: &Document, node: &Node, stage: &Stage) -> Result<Output> {
    let entries = document.map(node, "an output")?;
    let path = node.get("path").ok_or_else(|| no_path(document, node, "an output"))?;
    let def_path = document.str(path, "`path`")?;
    if def_path.is_empty() {
        return Err(no_path(document, node, "an output"));
    }
    if dvc_yaml::is_url(def_path) {
        return Err(document.not_yet(path.span, format!("an output with a scheme (`{def_path}`)")));
    }
    if def_path.is_empty() || def_path.contains('\0') {
        return Err(document.error(path.span, "`path` is not the name of a file"));
    }
    let mut out = Output::new(join(&stage.wdir, def_path), def_path);
    set_content(&mut out, item::read(document, entries)?);
    for (key, value) in entries {
        if key.text == "path" || item::KEYS.contains(&key.text.as_str()) {
            continue;
        }
        if key.text == "fs_config" {
            return Err(document.not_yet(key.span, "`fs_config`"));
        }
        if !dvc_yaml::set_flag(document, &mut out, &key.text, value)? {
            return Err(unknown(document, key, entries));
        }
    }
    Ok(out)
}

fn no_path(document: &Document, node: &Node, what: &'static str) -> Error {
    Error::NoPath { what, place: Box::new(document.place(node.span)) }
}

fn set_content(out: &mut Output, content: item::Content) {
    out.digest = content.digest;
    out.meta = content.meta;
    out.legacy = content.legacy;
    out.extra = content.extra;
}

fn unknown(document: &Document, key: &Key, entries: &[(Key, Node)]) -> Error {
    let mut allowed = item::KEYS.to_vec();
    allowed.extend(["path", "cache", "persist", "remote", "push", "desc", "type", "labels", "meta"]);
    document
        .only_keys(entries, &allowed, "an output")
        .err()
        .unwrap_or_else(|| document.error(key.span, format!("unknown key `{}`", key.text)))
}

fn parse_dependency(document: &Document, node: &Node, stage: &Stage) -> Result<Dependency> {
    let entries = document.map(node, "a dependency")?;
    let mut allowed = item::KEYS.to_vec();
    allowed.extend(["path", "persist", "repo", "db", "fs_config"]);
    document.only_keys(entries, &allowed, "a dependency")?;
    if let Some((key, _)) = node.entry("db") {
        return Err(document.not_yet(key.span, "`db` of an import"));
    }
    let path = node.get("path").ok_or_else(|| no_path(document, node, "a dependency"))?;
    let def_path = document.str(path, "`path`")?;
    let content = item::read(document, entries)?;
    let source = match node.get("repo") {
        Some(repo) => {
            let keys = document.map(repo, "`repo`")?;
            document.only_keys(keys, &["url", "rev", "rev_lock", "config", "remote"], "`repo`")?;
            let url = repo.get("url").ok_or_else(|| document.error(repo.span, "`repo` has no `url`"))?;
            document.str(url, "`url`")?;
            Source::Repo(repo.to_value())
        }
        None if dvc_yaml::is_url(def_path) => Source::Url,
        None => Source::Local,
    };
    Ok(Dependency {
        path: join(&stage.wdir, def_path),
        def_path: def_path.to_owned(),
        digest: content.digest,
        meta: content.meta,
        legacy: content.legacy && source == Source::Local,
        source,
        fs_config: node.get("fs_config").filter(|options| !options.is_null()).map(Node::to_value),
        extra: content.extra,
    })
}

/// The hash of an import's own file: the MD5 of what it says as JSON, but for notes and for what follows from the rest.
/// `None` for data that were not imported.
pub fn import_md5(stage: &Stage) -> Option<String> {
    let Value::Map(mut map) = to_value(stage) else { return None };
    if !stage.is_import() {
        return None;
    }
    for key in ["md5", "meta", "desc"] {
        map.shift_remove(key);
    }
    let json = python_json(&without_notes(&Value::Map(map)), true);
    Some(Digest::file(md5::of_bytes(json.as_bytes())).hex())
}

fn without_notes(value: &Value) -> Value {
    const NOTES: [&str; 11] = [
        "desc", "type", "labels", "meta", "locked", "frozen", "metric", "persist", "isexec", "size", "nfiles",
    ];
    match value {
        Value::Map(map) => {
            let kept = map.iter().filter(|(key, _)| !NOTES.contains(&key.as_str()));
            Value::Map(kept.map(|(key, value)| (key.clone(), without_notes(value))).collect())
        }
        Value::List(items) => Value::List(items.iter().map(without_notes).collect()),
        leaf => leaf.clone(),
    }
}

/// What the `.dvc` file of the stage says.
pub fn to_value(stage: &Stage) -> Value {
    let mut map = Map::new();
    if let Some(desc) = &stage.desc {
        map.insert("desc".into(), Value::Str(desc.clone()));
    }
    if let Some(md5) = &stage.md5 {
        map.insert("md5".into(), Value::Str(md5.clone()));
    }
    if stage.wdir != stage.address.folder() {
        map.insert("wdir".into(), Value::Str(relative(&stage.wdir, stage.address.folder())));
    }
    if stage.frozen {
        map.insert("frozen".into(), Value::Bool(true));
    }
    if !stage.deps.is_empty() {
        map.insert("deps".into(), Value::List(stage.deps.iter().map(dependency_value).collect()));
    }
    if !stage.outs.is_empty() {
        map.insert(
            "outs".into(),
            Value::List(stage.outs.iter().map(|out| output_value(out, &stage.wdir)).collect()),
        );
    }
    if stage.always_changed {
        map.insert("always_changed".into(), Value::Bool(true));
    }
    if let Some(meta) = &stage.meta {
        map.insert("meta".into(), meta.clone());
    }
    Value::Map(map)
}

fn content_value(digest: Option<Digest>, meta: &crate::Meta, extra: &Map) -> Map {
    let mut map = Map::new();
    if extra.contains_key("files") {
        return map;
    }
    if let Some(digest) = digest {
        map.insert("md5".into(), Value::Str(digest.to_string()));
    }
    for key in ["etag", "checksum"] {
        if let Some(value) = extra.get(key) {
            map.insert(key.into(), value.clone());
        }
    }
    item::put_meta(&mut map, meta);
    for key in ["version_id", "cloud"] {
        if let Some(value) = extra.get(key) {
            map.insert(key.into(), value.clone());
        }
    }
    map
}

fn dependency_value(dep: &Dependency) -> Value {
    let mut map = Map::new();
    if let Source::Repo(repo) = &dep.source {
        map.insert("path".into(), Value::Str(dep.def_path.clone()));
        map.insert("repo".into(), repo.clone());
        return Value::Map(map);
    }
    map.extend(content_value(dep.digest, &dep.meta, &dep.extra));
    if !dep.legacy {
        map.insert("hash".into(), Value::Str("md5".into()));
    }
    map.insert("path".into(), Value::Str(dep.def_path.clone()));
    if let Some(options) = &dep.fs_config {
        map.insert("fs_config".into(), options.clone());
    }
    if let Some(files) = dep.extra.get("files") {
        map.insert("files".into(), files.clone());
    }
    Value::Map(map)
}

fn output_value(out: &Output, wdir: &Path) -> Value {
    let mut map = content_value(out.digest, &out.meta, &out.extra);
    if !out.legacy {
        map.insert("hash".into(), Value::Str("md5".into()));
    }
    // A path that somebody wrote as `./x` or `x/` is written as DVC writes it.
    let path = match Path::new(&out.def_path).is_absolute() {
        true => out.def_path.clone(),
        false => relative(&out.path, wdir),
    };
    map.insert("path".into(), Value::Str(path));
    for (key, text) in [("desc", &out.desc), ("type", &out.data_type)] {
        if let Some(text) = text {
            map.insert(key.into(), Value::Str(text.clone()));
        }
    }
    if !out.labels.is_empty() {
        map.insert("labels".into(), Value::List(out.labels.iter().cloned().map(Value::Str).collect()));
    }
    if let Some(meta) = &out.owner_meta {
        map.insert("meta".into(), meta.clone());
    }
    if !out.cache {
        map.insert("cache".into(), Value::Bool(false));
    }
    if out.persist {
        map.insert("persist".into(), Value::Bool(true));
    }
    if let Some(remote) = &out.remote {
        map.insert("remote".into(), Value::Str(remote.clone()));
    }
    if !out.push {
        map.insert("push".into(), Value::Bool(false));
    }
    if let Some(files) = out.extra.get("files") {
        map.insert("files".into(), files.clone());
    }
    Value::Map(map)
}

/// The text of the stage's `.dvc` file. `before` is what the file holds now: its comments and the order of its keys
/// stay, new keys go last.
pub fn to_text(stage: &Stage, before: Option<&str>) -> String {
    let value = to_value(stage);
    match before {
        // What cannot be parsed has nothing worth keeping.
        Some(before) if !before.trim().is_empty() => {
            yaml::edit(before, &value).unwrap_or_else(|_| yaml::write(&value))
        }
        _ => yaml::write(&value),
    }
}

/// Writes the stage's `.dvc` file when its content differs. Whether it was written.
pub fn save(stage: &Stage) -> Result<bool> {
    Ok(!save_many(std::slice::from_ref(stage))?.is_empty())
}

/// Writes the `.dvc` files of stages whose content differs, all at once. Returns those that were written.
pub fn save_many(stages: &[Stage]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for stage in stages {
        let path = &stage.address.file;
        let before = matraz_base::file::read_if_present(path).map_err(Error::io("read", path))?;
        let text = to_text(stage, before.as_deref());
        if before.as_ref() != Some(&text) {
            files.push((path.clone(), text.into_bytes()));
        }
    }
    let folder = files.first().map(|(path, _)| path.clone()).unwrap_or_default();
    matraz_base::file::write_many(&files).map_err(Error::io("write", folder))?;
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use matraz_base::Explain;

    fn stage(text: &str) -> Stage {
        parse(&Document::new("/p/d/x.dvc", text)).unwrap()
    }

    #[test]
    fn what_is_read_is_written_back() {
        let table = [
            "outs:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f\n  size: 14\n  isexec: true\n  hash: md5\n  path: x\n",
            "outs:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f.dir\n  size: 14\n  nfiles: 3\n  hash: md5\n  path: x\n  desc: d\n  type: t\n  labels:\n  - a\n  meta:\n    k: 1\n  cache: false\n  remote: r\n  push: false\n",
            "md5: aaa111\nfrozen: true\ndeps:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f\n  size: 1\n  hash: md5\n  path: ../p\nouts:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f\n  size: 1\n  hash: md5\n  path: p\n",
            "frozen: true\ndeps:\n- path: data\n  repo:\n    url: ../other\n    rev_lock: 1f7c4d\nouts:\n- hash: md5\n  path: data\n",
            "wdir: ..\nouts:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f\n  path: x\nmeta: 3\n",
        ];
        for text in table {
            assert_eq!(to_text(&stage(text), None), text);
        }
        let legacy = stage(table[4]);
        assert!(legacy.outs[0].legacy);
        assert_eq!(legacy.outs[0].path, Path::new("/p/x"));
        // A digest of digits alone reads as a number.
        let digits = stage("outs:\n- md5: 12345678901234567890123456789012\n  hash: md5\n  path: x\n");
        assert_eq!(digits.outs[0].digest.unwrap().to_string(), "12345678901234567890123456789012");
    }

    #[test]
    fn paths_are_written_in_their_shortest_form() {
        for (written, path) in
            [("./f", "f"), ("d/", "d"), ("w/../f", "f"), ("../f", "../f"), ("/abs/f", "/abs/f")]
        {
            let text = to_text(&stage(&format!("outs:\n- path: {written}\n")), None);
            assert_eq!(text, format!("outs:\n- path: {path}\n"), "{written}");
        }
    }

    #[test]
    fn comments_and_order_stay() {
        let text = "# mine\nouts:\n- path: x # here\n  md5: 22a1a2931c8370d3aeedd7183606fd7f\n  hash: md5\n  desc: d\n";
        let mut stage = stage(text);
        stage.outs[0].digest = Digest::parse("d41d8cd98f00b204e9800998ecf8427e");
        stage.outs[0].meta.size = Some(0);
        assert_eq!(
            to_text(&stage, Some(text)),
            "# mine\nouts:\n- path: x # here\n  md5: d41d8cd98f00b204e9800998ecf8427e\n  hash: md5\n  desc: d\n  size: 0\n"
        );
    }

    #[test]
    fn what_breaks_the_schema_is_refused() {
        let table = [
            ("cmd: x\n", 1, "cannot have a `cmd`"),
            ("outs:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f\n", 2, "has no `path`"),
            ("outs:\n- path: x\n  cash: true\n", 3, "unknown key `cash`"),
            ("outs:\n- path: x\n  size: '1'\n", 3, "`size` must be a count"),
            ("out: []\n", 1, "unknown key `out`"),
            ("outs: {path: x}\n", 1, "`outs` must be a list"),
        ];
        for (text, line, message) in table {
            let error = parse(&Document::new("/p/x.dvc", text)).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert_eq!(error.place().unwrap().line, line, "{text}: {error}");
        }
    }
}
