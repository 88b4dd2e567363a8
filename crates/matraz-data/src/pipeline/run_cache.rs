//! The run cache: what a stage made the last time it ran with the same command, dependencies and parameters.
//!
//! An entry is a lock entry in a file of its own, `runs/<2 digits>/<key>/<value>` in the cache. The key names what goes
//! into a run, the value all of it; both are SHA-256 of JSON as Python writes it, so that DVC finds our runs and we its.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use matraz_base::process::Interrupt;
use matraz_base::value::python_json;
use matraz_base::{Map, Progress, Value};
use matraz_store::Nursery;
use sha2::{Digest as _, Sha256};

use crate::cache::Cache;
use crate::stage::document::Document;
use crate::stage::{LockEntry, Source, Stage, lock};
use crate::workspace::{self, Target};
use crate::{Error, Repo, Result};

/// How large the list of durations may grow, in bytes, before it is begun anew.
const MOST_OF_DURATIONS: u64 = 1 << 20;

/// The run cache of a project.
#[derive(Clone, Debug)]
pub struct RunCache {
    folder: PathBuf,
    /// A line for each run on this machine: its value and how many seconds it took.
    durations: PathBuf,
}

/// An entry that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What the stage read and made then.
    pub entry: LockEntry,
    /// What went into the run.
    pub key: String,
    /// The run.
    pub value: String,
}

impl RunCache {
    /// The run cache in the project's cache.
    pub fn open(repo: &Repo) -> Self {
        Self { folder: repo.cache_dir().join("runs"), durations: repo.state_dir().join("durations.log") }
    }

    /// Whether runs of this stage can be told by what goes into them. What it reads must be recorded already.
    pub fn knows(repo: &Repo, stage: &Stage) -> bool {
        let has_all = stage.cmd.is_some()
            && !(stage.deps.is_empty() && stage.params.is_empty())
            && !stage.outs.is_empty();
        has_all
            && !stage.is_callback()
            && !stage.always_changed
            && stage.deps.iter().all(|dep| dep.source == Source::Local && dep.digest.is_some())
            && stage.params.iter().all(|params| params.locked.is_some())
            && stage.outs.iter().all(|out| !out.persist && repo.contains(&out.path))
            && !stage
                .params
                .iter()
                .filter_map(|params| params.locked.as_ref())
                .any(|map| map.values().any(has_date))
    }

    /// Whether a run of this stage is to be stored: all that it makes is cached, but for metrics and plots.
    pub fn wants(repo: &Repo, stage: &Stage) -> bool {
        Self::knows(repo, stage) && stage.outs.iter().all(|out| out.cache || out.is_metric() || out.is_plot())
    }

    /// The newest run with what goes into this one. A broken entry is removed; `warn` gets its path.
    pub fn find(&self, key: &str, warn: &mut dyn FnMut(&Path)) -> Result<Option<Found>> {
        let folder = self.entry_folder(key);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &folder)(error)),
        };
        let mut newest: Option<(SystemTime, String)> = None;
        for entry in entries {
            let entry = entry.map_err(Error::io("read", &folder))?;
            let time = entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            if newest.as_ref().is_none_or(|(best, _)| time > *best) {
                newest = Some((time, entry.file_name().to_string_lossy().into_owned()));
            }
        }
        let Some((_, value)) = newest else { return Ok(None) };
        let found = self.read(key, &value, warn)?;
        Ok(found.map(|entry| Found { entry, key: key.to_owned(), value }))
    }

    fn read(&self, key: &str, value: &str, warn: &mut dyn FnMut(&Path)) -> Result<Option<LockEntry>> {
        let path = self.entry_folder(key).join(value);
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let document = Document::new(&path, text);
        let entry = document.parse().and_then(|node| lock::parse_entry(&document, &node, "a run"));
        match entry {
            Ok(entry) => Ok(Some(entry)),
            Err(_) => {
                warn(&path);
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                Ok(None)
            }
        }
    }

    /// All runs that can be read.
    pub fn entries(&self) -> Result<Vec<LockEntry>> {
        let mut pending = vec![self.folder.clone()];
        let mut entries = Vec::new();
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                let inside = fs::read_dir(&path).map_err(Error::io("read", &path))?;
                pending.extend(inside.flatten().map(|entry| entry.path()));
            } else if let Ok(bytes) = fs::read(&path) {
                let document = Document::new(&path, String::from_utf8_lossy(&bytes).into_owned());
                let entry = document.parse().and_then(|node| lock::parse_entry(&document, &node, "a run"));
                entries.extend(entry);
            }
        }
        Ok(entries)
    }

    /// Stores what a stage has in the workspace as a run, with the outputs that git keeps. Nothing happens when its runs
    /// cannot be told apart.
    pub fn remember(
        &self,
        repo: &Repo,
        cache: &mut Cache,
        stage: &Stage,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<()> {
        if !Self::knows(repo, stage) || stage.outs.iter().any(|out| out.digest.is_none()) {
            return Ok(());
        }
        let kept_by_git = stage.outs.iter().filter(|out| !out.cache);
        let targets: Vec<Target> = kept_by_git.map(|out| Target::new(&out.path)).collect();
        workspace::save_many(repo, cache, &targets, progress, interrupt.flag())?;
        let mut warn = |path: &Path| progress.warn(&format!("corrupted cache file '{}'.", path.display()));
        self.save(&LockEntry::of(stage), &Nursery::new(&repo.state_dir()), &mut warn)?;
        Ok(())
    }

    /// Stores a run, unless it is there. Returns its value.
    pub fn save(&self, entry: &LockEntry, nursery: &Nursery, warn: &mut dyn FnMut(&Path)) -> Result<String> {
        let (key, value) = (key_of(entry), value_of(entry));
        if self.read(&key, &value, warn)?.is_none() {
            let folder = self.entry_folder(&key);
            let path = folder.join(&value);
            make_folders(nursery, &folder)
                .and_then(|()| nursery.write(&path, entry.to_text().as_bytes()))
                .map_err(Error::io("write", &path))?;
        }
        Ok(value)
    }

    fn entry_folder(&self, key: &str) -> PathBuf {
        self.folder.join(&key[..2]).join(key)
    }

    /// Remembers how long a run took on this machine. Losing the number does no harm.
    pub fn note_duration(&self, value: &str, wall: Duration) {
        let full = fs::metadata(&self.durations).is_ok_and(|meta| meta.len() > MOST_OF_DURATIONS);
        let file =
            OpenOptions::new().create(true).append(!full).write(true).truncate(full).open(&self.durations);
        let _ =
            file.and_then(|mut file| file.write_all(format!("{value} {}\n", wall.as_secs_f64()).as_bytes()));
    }

    /// How long a run took on this machine.
    pub fn duration(&self, value: &str) -> Option<Duration> {
        let text = fs::read_to_string(&self.durations).ok()?;
        let of_run = |line: &str| line.strip_prefix(value)?.trim().parse().ok();
        Duration::try_from_secs_f64(text.lines().rev().find_map(of_run)?).ok()
    }
}

/// Makes a folder of the run cache and those above it.
fn make_folders(nursery: &Nursery, folder: &Path) -> io::Result<()> {
    match nursery.create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folder.parent().map_or(Ok(()), |above| make_folders(nursery, above))?;
            nursery.create_dir(folder)
        }
        made => made,
    }
}

fn has_date(value: &Value) -> bool {
    match value {
        Value::Date(_) => true,
        Value::List(items) => items.iter().any(has_date),
        Value::Map(map) => map.values().any(has_date),
        _ => false,
    }
}

/// The name of what goes into a run: command, dependencies, parameters, and the paths of what it makes.
pub fn key_of(entry: &LockEntry) -> String {
    let mut value = entry.to_value();
    if let Value::Map(map) = &mut value {
        let paths = entry.outs.iter().map(|out| Value::Str(out.path.clone())).collect();
        map.insert("outs".into(), Value::List(paths));
    }
    sha256(&value)
}

/// The name of a run with all that it made.
pub fn value_of(entry: &LockEntry) -> String {
    sha256(&entry.to_value())
}

fn sha256(value: &Value) -> String {
    let json = python_json(&without_sizes(value), true);
    Sha256::digest(json.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn without_sizes(value: &Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(
            map.iter()
                .filter(|(key, _)| !matches!(key.as_str(), "size" | "nfiles"))
                .map(|(key, value)| (key.clone(), without_sizes(value)))
                .collect::<Map>(),
        ),
        Value::List(items) => Value::List(items.iter().map(without_sizes).collect()),
        leaf => leaf.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that DVC 3.67.1 gave to this run.
    #[test]
    fn runs_have_the_names_that_dvc_gives_them() {
        let text = "\
cmd: python train.py --é
deps:
- path: data
  hash: md5
  md5: d751713988987e9331980363e24189ce.dir
  size: 12
  nfiles: 2
params:
  params.yaml:
    lr: 1e-05
    size: 4
    net:
      layers: 3
      act:
      size: 7
outs:
- path: model
  hash: md5
  md5: d41d8cd98f00b204e9800998ecf8427e
  size: 5
  isexec: true
";
        let document = Document::new("/p", text);
        let entry = lock::parse_entry(&document, &document.parse().unwrap(), "a run").unwrap();
        assert_eq!(key_of(&entry), "88e4970c5a0d91133ab6b85d73e14ade141a0e6114020b4a3cc8dc3eccb7c354");
        assert_eq!(value_of(&entry), "eefbe55fe1d7814f2f6a6b18928d4d4d8b575b1186bda02fedc60c14f6b8d286");
        assert_eq!(entry.to_text(), text);
    }
}
