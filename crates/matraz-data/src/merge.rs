//! Three-way merge of `dvc.lock` and `.dvc` files, for git: stage by stage, and folder listings file by file.
//!
//! What only one side changed is taken. Of a stage that both sides ran with other commands, dependencies or parameters the
//! entry of our side is kept, which is a true record of what our side ran: whether it is out of date against the merged
//! workspace shows as with any other entry. A stage that both sides ran with equal inputs and that made other outputs has
//! no entry any more, so that it runs again. Datasets are merged by name. Data that both sides changed differently are a conflict; our side is kept, and no marks are written into the
//! file, so that every command still works.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use indexmap::{IndexMap, IndexSet};
use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;
use matraz_base::yaml;
use matraz_base::{Map, Value};

use crate::cache::{Cache, Object, used};
use crate::hash::digest::Digest;
use crate::hash::tree::{Entry, Tree};
use crate::stage::document::Document;
use crate::stage::{DATA_SUFFIX, LOCK_FILE, LockFile, PIPELINE_FILE, Stage, dataset, dot_dvc};
use crate::{Error, Repo, Result};

/// The texts of a file: of the last common commit (empty when there was none), of the branch that is merged into, and of
/// the branch that is merged.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// The common one.
    pub base: &'a str,
    /// Ours.
    pub ours: &'a str,
    /// Theirs.
    pub theirs: &'a str,
}

/// A merged file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The new text.
    pub text: String,
    /// Stages that both sides ran, with other inputs. The entries of our side are kept.
    pub kept: Vec<String>,
    /// Stages that made other outputs from equal inputs. They have no entry any more, and run again.
    pub stale: Vec<String>,
    /// What a person has to decide. Our side is kept.
    pub conflicts: Vec<Conflict>,
}

/// Something that both sides changed in their own way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conflict {
    /// The data at a path: a file, a file inside a tracked folder, or a whole folder; relative to the `.dvc` file.
    Data(String),
    /// What the file says under a key.
    Key(String),
    /// The entry of a dataset.
    Dataset(String),
    /// A folder whose listings are not all here.
    Unlisted(String),
}

/// Merges a file. `path` is where it is in the workspace; its name tells what it is.
pub fn merge(
    path: &Path,
    sides: Sides<'_>,
    open: impl FnOnce() -> Result<Repo>,
    progress: &dyn Progress,
) -> Result<Merged> {
    let clean = |text: &str| Ok(Merged { text: text.to_owned(), ..Merged::default() });
    match sides {
        Sides { ours, theirs, .. } if ours == theirs => return clean(ours),
        Sides { base, ours, theirs } if base == ours => return clean(theirs),
        Sides { base, ours, theirs } if base == theirs => return clean(ours),
        _ => {}
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name == LOCK_FILE {
        return lock(path, sides);
    }
    if name.ends_with(DATA_SUFFIX) {
        return Folders { repo: open()?, progress }.data(path, sides);
    }
    Err(Error::NotMergeable { path: path.to_path_buf() })
}

/// The name that a file without one must have had, from what is in it.
pub fn guess_name(text: &str) -> &'static str {
    let keys = yaml::parse(text).map(|root| root.to_value());
    let has = |key| matches!(&keys, Ok(Value::Map(map)) if map.contains_key(key));
    match (has("schema"), has("stages")) {
        (true, _) => LOCK_FILE,
        (false, true) => PIPELINE_FILE,
        (false, false) => "data.dvc",
    }
}

/// The one of three that counts; `None` when both sides changed it in their own way.
fn pick<'v, T: PartialEq + ?Sized>(base: &'v T, ours: &'v T, theirs: &'v T) -> Option<&'v T> {
    if ours == theirs || base == theirs {
        Some(ours)
    } else if base == ours {
        Some(theirs)
    } else {
        None
    }
}

fn lock(path: &Path, sides: Sides<'_>) -> Result<Merged> {
    let read = |text: &str| {
        if text.trim().is_empty() {
            return Ok(LockFile::absent(path.to_path_buf()));
        }
        LockFile::parse(&Document::new(path, text))
    };
    let (base, mut ours, theirs) = (read(sides.base)?, read(sides.ours)?, read(sides.theirs)?);
    let mut merged = Merged::default();
    let mut entries = IndexMap::new();
    let names: IndexSet<&String> = ours.entries.keys().chain(theirs.entries.keys()).collect();
    for name in names {
        let of = |file: &'_ LockFile| file.entries.get(name).cloned();
        let (mine, other) = (of(&ours), of(&theirs));
        let entry = match pick(&of(&base), &mine, &other) {
            Some(entry) => entry.clone(),
            None => {
                let stale = matches!((&mine, &other), (Some(mine), Some(other)) if mine.has_inputs_of(other));
                if stale { &mut merged.stale } else { &mut merged.kept }.push(name.clone());
                // A stage that one side removed and the other ran is there again: `dvc.yaml` decides.
                mine.or(other).filter(|_| !stale)
            }
        };
        if let Some(entry) = entry {
            entries.insert(name.clone(), entry);
        }
    }
    ours.entries = entries;
    let mut datasets = Vec::new();
    let names: IndexSet<&str> =
        ours.datasets().iter().chain(theirs.datasets()).filter_map(dataset::name_in).collect();
    for name in names {
        let (mine, other) = (ours.dataset(name), theirs.dataset(name));
        let entry = pick(&base.dataset(name), &mine, &other).copied().unwrap_or_else(|| {
            merged.conflicts.push(Conflict::Dataset(name.to_owned()));
            mine.or(other)
        });
        datasets.extend(entry.cloned());
    }
    ours.set_datasets(datasets);
    // Comments of our side stay.
    let text = ours.to_text();
    merged.text = match (yaml::parse(&text), sides.ours.contains('#')) {
        (Ok(root), true) => yaml::edit(sides.ours, &root.to_value()).unwrap_or(text),
        _ => text,
    };
    Ok(merged)
}

/// Merges files that track data.
struct Folders<'p> {
    repo: Repo,
    progress: &'p dyn Progress,
}

/// The keys of an output that say what its content is.
const CONTENT: [&str; 10] =
    ["md5", "size", "nfiles", "isexec", "hash", "etag", "checksum", "version_id", "cloud", "files"];

impl Folders<'_> {
    fn data(&self, path: &Path, sides: Sides<'_>) -> Result<Merged> {
        let read = |text: &str| dot_dvc::parse(&Document::new(path, text));
        let (base, ours, theirs) = (read(sides.base)?, read(sides.ours)?, read(sides.theirs)?);
        let mut merged = Merged::default();
        let value = |stage: &Stage| match dot_dvc::to_value(stage) {
            Value::Map(map) => map,
            _ => Map::new(),
        };
        let mut conflicts = BTreeSet::new();
        let mut top =
            merge_keys(&value(&base), &value(&ours), &value(&theirs), "", &["outs"], &mut conflicts);
        let mut outs = Vec::new();
        let paths: IndexSet<&String> =
            ours.outs.iter().chain(&theirs.outs).map(|out| &out.def_path).collect();
        for def_path in paths {
            let of = |stage: &Stage| out_value(stage, def_path);
            let (b, o, t) = (of(&base), of(&ours), of(&theirs));
            let out = match (pick(&b, &o, &t).cloned(), o, t) {
                (Some(out), ..) => out,
                (None, Some(o), Some(t)) => {
                    Some(self.output(def_path, &b.unwrap_or_default(), &o, &t, &mut conflicts)?)
                }
                // One side stopped tracking it, the other changed it.
                (None, o, t) => {
                    conflicts.insert(Conflict::Data(def_path.clone()));
                    o.or(t)
                }
            };
            outs.extend(out.map(Value::Map));
        }
        if !outs.is_empty() {
            top.insert("outs".into(), Value::List(outs));
        }
        let top = Value::Map(top);
        merged.text = yaml::edit(sides.ours, &top).unwrap_or_else(|_| yaml::write(&top));
        merged.conflicts = conflicts.into_iter().collect();
        Ok(merged)
    }

    fn output(
        &self,
        path: &str,
        base: &Map,
        ours: &Map,
        theirs: &Map,
        conflicts: &mut BTreeSet<Conflict>,
    ) -> Result<Map> {
        let mut out = merge_keys(base, ours, theirs, path, &CONTENT, conflicts);
        let content = |map: &Map| -> Map {
            let kept = map.iter().filter(|(key, _)| CONTENT.contains(&key.as_str()));
            kept.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let digest = |map: &Map| map.get("md5").and_then(Value::as_str).and_then(Digest::parse);
        let (b, o, t) = (digest(base), digest(ours), digest(theirs));
        let mut kept = match pick(&b, &o, &t) {
            Some(digest) if *digest == t && *digest != o => content(theirs),
            Some(_) => content(ours),
            None => {
                let folders = [o, t].iter().all(|digest| digest.is_some_and(|digest| digest.is_dir()))
                    && b.is_none_or(|digest| digest.is_dir());
                let legacy = [ours, theirs].iter().any(|map| !map.contains_key("hash"));
                let mut kept = content(ours);
                if let (true, false, Some(o), Some(t)) = (folders, legacy, o, t) {
                    self.folder(path, b, o, t, &mut kept, conflicts)?;
                } else {
                    conflicts.insert(Conflict::Data(path.to_owned()));
                }
                kept
            }
        };
        // The keys stand in their usual order: content first.
        kept.append(&mut out);
        Ok(kept)
    }

    /// Merges two listings file by file, stores the new one, and writes what it is into `kept`.
    fn folder(
        &self,
        path: &str,
        base: Option<Digest>,
        ours: Digest,
        theirs: Digest,
        kept: &mut Map,
        conflicts: &mut BTreeSet<Conflict>,
    ) -> Result<()> {
        let mut cache = Cache::open(&self.repo);
        let mut listing = |digest: Digest| -> Result<Option<Tree>> {
            let object = Object::new(digest);
            if cache.tree(&object)?.is_none() {
                let found = used::fetch_listing(
                    &self.repo,
                    &mut cache,
                    None,
                    &object,
                    self.progress,
                    &Interrupt::new(),
                );
                // Without the remote the listing is just not here.
                if let Err(error) = found {
                    self.progress.warn(&error.to_string());
                }
            }
            cache.tree(&object)
        };
        let base = base.map_or(Ok(Some(Tree::default())), &mut listing)?;
        let (Some(base), Some(ours), Some(theirs)) = (base, listing(ours)?, listing(theirs)?) else {
            conflicts.insert(Conflict::Unlisted(path.to_owned()));
            return Ok(());
        };
        let names: BTreeSet<&String> =
            ours.entries().iter().chain(theirs.entries()).map(|entry| &entry.path).collect();
        let mut files: BTreeMap<String, Digest> = BTreeMap::new();
        for name in names {
            let of = |tree: &Tree| tree.get(name).copied();
            let (mine, other) = (of(&ours), of(&theirs));
            let file = match pick(&of(&base), &mine, &other) {
                Some(file) => *file,
                None => {
                    conflicts.insert(Conflict::Data(format!("{path}/{name}")));
                    mine.or(other)
                }
            };
            files.extend(file.map(|digest| (name.clone(), digest)));
        }
        let tree = Tree::new(files.into_iter().map(|(path, digest)| Entry { path, digest }).collect());
        let object = cache.save_tree(&tree)?;
        let sizes = tree
            .entries()
            .iter()
            .map(|entry| fs::metadata(cache.path(&Object::new(entry.digest))).map(|meta| meta.len()).ok());
        kept.insert("md5".into(), Value::Str(object.digest.to_text()));
        // Files that were never fetched have a size that nobody knows.
        match sizes.sum::<Option<u64>>().and_then(|size| i64::try_from(size).ok()) {
            Some(size) => kept.insert("size".into(), Value::Int(size)),
            None => kept.shift_remove("size"),
        };
        kept.insert("nfiles".into(), Value::Int(i64::try_from(tree.len()).unwrap_or(i64::MAX)));
        Ok(())
    }
}

/// An output as its file has it.
fn out_value(stage: &Stage, def_path: &str) -> Option<Map> {
    let Value::Map(map) = dot_dvc::to_value(stage) else { return None };
    let Some(Value::List(outs)) = map.get("outs") else { return None };
    outs.iter().find_map(|out| match out {
        Value::Map(out) if out.get("path").and_then(Value::as_str) == Some(def_path) => Some(out.clone()),
        _ => None,
    })
}

/// Merges mappings key by key, in the order of our side. Keys in `left_out` are not looked at.
fn merge_keys(
    base: &Map,
    ours: &Map,
    theirs: &Map,
    place: &str,
    left_out: &[&str],
    conflicts: &mut BTreeSet<Conflict>,
) -> Map {
    let mut merged = Map::new();
    let keys: IndexSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for key in keys.into_iter().filter(|key| !left_out.contains(&key.as_str())) {
        let (b, o, t) = (base.get(key), ours.get(key), theirs.get(key));
        let value = match pick(&b, &o, &t) {
            Some(value) => *value,
            None => {
                let name = if place.is_empty() { key.clone() } else { format!("{place}: {key}") };
                conflicts.insert(Conflict::Key(name));
                o.or(t)
            }
        };
        merged.extend(value.map(|value| (key.clone(), value.clone())));
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use matraz_base::progress::Silent;

    use super::*;

    fn lock_of(stages: &[(&str, &str)]) -> String {
        let mut text = "schema: '2.0'\nstages:\n".to_owned();
        for (name, cmd) in stages {
            text.push_str(&format!("  {name}:\n    cmd: run {cmd}\n"));
        }
        text
    }

    fn merge_of(name: &str, base: &str, ours: &str, theirs: &str) -> Merged {
        let no_repo = || Err(Error::NotInProject { checked: PathBuf::from("/") });
        merge(&Path::new("/p").join(name), Sides { base, ours, theirs }, no_repo, &Silent).unwrap()
    }

    #[test]
    fn stages_that_one_side_changed_are_taken() {
        let base = lock_of(&[("a", "1"), ("b", "1"), ("c", "1"), ("gone", "1")]);
        let ours = lock_of(&[("a", "2"), ("b", "1"), ("c", "1"), ("new", "1")]);
        let theirs = lock_of(&[("a", "1"), ("b", "3"), ("c", "1"), ("gone", "1"), ("other", "1")]);
        let merged = merge_of("dvc.lock", &base, &ours, &theirs);
        assert_eq!((merged.stale, merged.kept), (vec![], vec![]));
        assert_eq!(merged.text, lock_of(&[("a", "2"), ("b", "3"), ("c", "1"), ("new", "1"), ("other", "1")]));
    }

    #[test]
    fn a_stage_that_both_sides_changed_is_named_and_ours_stays() {
        let base = lock_of(&[("a", "1"), ("b", "1")]);
        let ours = lock_of(&[("a", "2"), ("b", "2")]);
        let theirs = lock_of(&[("a", "3"), ("b", "1")]);
        let merged = merge_of("dvc.lock", &base, &ours, &theirs);
        assert_eq!(merged.kept, ["a"]);
        assert_eq!(merged.text, ours);
        // Nothing in common: both sides began the file.
        let merged = merge_of("dvc.lock", "", &lock_of(&[("a", "1")]), &lock_of(&[("b", "1")]));
        assert_eq!(merged.text, lock_of(&[("a", "1"), ("b", "1")]));
    }

    #[test]
    fn a_stage_that_made_other_outputs_from_equal_inputs_runs_again() {
        let made = |by_a: &str| {
            let b = "  b:\n    cmd: run b\n";
            format!(
                "schema: '2.0'\nstages:\n  a:\n    cmd: run a\n    outs:\n    - path: o\n      hash: md5\n      md5: {by_a}\n{b}"
            )
        };
        let digest = |letter: &str| letter.repeat(32);
        let merged = merge_of("dvc.lock", &made(&digest("a")), &made(&digest("b")), &made(&digest("c")));
        assert_eq!((merged.stale, merged.conflicts), (vec!["a".to_owned()], vec![]));
        assert_eq!(merged.text, lock_of(&[("b", "b")]));
    }

    #[test]
    fn datasets_are_merged_by_name() {
        let of = |datasets: &[(&str, &str)]| {
            let entries: String = datasets
                .iter()
                .map(|(name, rev)| format!("- name: {name}\n  type: dvc\n  url: u\n  rev_lock: {rev}\n"))
                .collect();
            format!("schema: '2.0'\ndatasets:\n{entries}stages: {{}}\n")
        };
        let base = of(&[("a", "1"), ("b", "1"), ("gone", "1")]);
        let ours = of(&[("a", "2"), ("b", "1"), ("gone", "1")]);
        let merged = merge_of("dvc.lock", &base, &ours, &of(&[("a", "1"), ("b", "3"), ("new", "1")]));
        assert_eq!(merged.conflicts, vec![]);
        assert_eq!(merged.text, of(&[("a", "2"), ("b", "3"), ("new", "1")]));
        let merged = merge_of("dvc.lock", &base, &ours, &of(&[("a", "3"), ("b", "1"), ("gone", "1")]));
        assert_eq!(merged.conflicts, [Conflict::Dataset("a".into())]);
        assert_eq!(merged.text, ours);
    }

    #[test]
    fn comments_of_a_lock_file_stay() {
        let base = lock_of(&[("a", "1"), ("b", "1")]);
        let ours = lock_of(&[("a", "2"), ("b", "1")]).replace("  b:", "  # mine\n  b:");
        let merged = merge_of("dvc.lock", &base, &ours, &lock_of(&[("a", "1"), ("b", "3")]));
        assert_eq!(merged.text, lock_of(&[("a", "2"), ("b", "3")]).replace("  b:", "  # mine\n  b:"));
    }

    #[test]
    fn marks_of_an_older_conflict_are_an_error_and_other_files_are_refused() {
        let no_repo = || Err(Error::NotInProject { checked: PathBuf::from("/") });
        let sides = Sides { base: "", ours: "<<<<<<< a\n", theirs: "schema: '2.0'\n" };
        assert!(merge(Path::new("/p/dvc.lock"), sides, no_repo, &Silent).is_err());
        let sides = Sides { base: "", ours: "a: 1\n", theirs: "b: 1\n" };
        assert!(merge(Path::new("/p/dvc.yaml"), sides, no_repo, &Silent).is_err());
    }
}
