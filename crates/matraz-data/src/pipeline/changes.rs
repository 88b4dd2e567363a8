//! How stages stand against what is recorded of them: DVC's rules of when a stage is changed.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use matraz_base::{Map, Value};

use super::content::{Contents, in_cache};
use crate::cache::Cache;
use crate::source::{import, update, url};
use crate::stage::dataset::{Dataset, SCHEME, Standing};
use crate::stage::{Address, Dependency, LockEntry, Output, ParamsFile, Source, Stage, dot_dvc, params};
use crate::workspace::Change;
use crate::{Error, Repo, Result};

/// What differs at a parameters file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamsChange {
    /// The file is gone, or nothing of it is recorded.
    File(Change),
    /// Values differ, by their dotted names.
    Values(Vec<(String, Change)>),
}

/// What differs at a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The command is another one than recorded.
    pub command: bool,
    /// The stage runs every time.
    pub always: bool,
    /// Dependencies that differ.
    pub deps: Vec<(PathBuf, Change)>,
    /// Parameters that differ.
    pub params: Vec<(PathBuf, ParamsChange)>,
    /// Outputs that differ.
    pub outs: Vec<(PathBuf, Change)>,
    /// The source of an import, as DVC shows it, when it has moved on.
    pub update: Option<String>,
}

/// Whether other repositories are asked what they are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updates {
    /// Not at all.
    Ignored,
    /// For imports that are not frozen: their data are made anew then.
    Thawed,
    /// For all imports.
    All,
}

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The changes of all `stages`, in their order.
pub fn of_stages(
    repo: &Repo,
    cache: &mut Cache,
    stages: &[&Stage],
    contents: &mut Contents<'_>,
    updates: Updates,
    interrupt: &matraz_base::process::Interrupt,
) -> Result<Vec<Changes>> {
    contents.look_at(stages.iter().copied())?;
    let outs: Vec<&Output> =
        stages.iter().flat_map(|stage| &stage.outs).filter(|out| out.cache && out.digest.is_some()).collect();
    let present = in_cache(repo, cache, &outs, Some(contents), interrupt)?;
    let present: HashMap<&Path, bool> =
        outs.iter().map(|out| out.path.as_path()).zip(present.iter().copied()).collect();
    let mut all = Vec::with_capacity(stages.len());
    let mut known = BTreeMap::new();
    for stage in stages {
        let mut changes = Changes { command: command_changed(stage), ..Changes::default() };
        changes.always = stage.is_callback() || stage.always_changed;
        if !stage.frozen {
            changes.deps = deps(repo, stage, contents)?;
            changes.params = params_of(stage)?;
        }
        let asked = updates == Updates::All || (updates == Updates::Thawed && !stage.frozen);
        if asked && stage.is_import() && update::is_available(repo, stage, &mut known)? {
            changes.update = Some(import::name_of(repo, &stage.deps[0], &repo.root));
        }
        for out in &stage.outs {
            let change = output(out, contents, present.get(out.path.as_path()).copied())?;
            if change != Change::Same {
                changes.outs.push((out.path.clone(), change));
            }
        }
        all.push(changes);
    }
    Ok(all)
}

/// Whether the command is another one than recorded. A stage that never ran has none to differ from. What a data file
/// says has a hash in its place.
pub fn command_changed(stage: &Stage) -> bool {
    if stage.is_data() {
        return stage.md5 != dot_dvc::import_md5(stage);
    }
    stage.lock.as_ref().is_some_and(|lock| lock.cmd != stage.cmd)
}

/// The dependencies that differ from what is recorded.
pub fn deps(repo: &Repo, stage: &Stage, contents: &mut Contents<'_>) -> Result<Vec<(PathBuf, Change)>> {
    let mut changed = Vec::new();
    for dep in &stage.deps {
        let path = match &dep.source {
            Source::Local => dep.path.clone(),
            Source::Url => url::locate(&dep.def_path, &repo.config, &stage.wdir)?,
            // A commit does not change.
            Source::Repo(_) => continue,
            Source::Dataset(standing) => {
                let change = dataset(dep, standing)?;
                if change != Change::Same {
                    changed.push((dep.path.clone(), change));
                }
                continue;
            }
        };
        let change = match contents.of(&path, dep.legacy)? {
            None => Change::Deleted,
            Some((digest, _)) if Some(digest) == dep.digest => Change::Same,
            Some(_) => Change::Modified,
        };
        if change != Change::Same {
            changed.push((path, change));
        }
    }
    Ok(changed)
}

fn dataset(dep: &Dependency, standing: &Standing) -> Result<Change> {
    let lock = match standing {
        Standing::Unknown => return Err(Error::NoSuchDataset { name: dataset_name(dep), close: None }),
        Standing::NotLocked | Standing::OutOfStep => return Ok(Change::NotInSync),
        Standing::Locked(lock) => lock,
    };
    Ok(match dep.extra.get("dataset").and_then(Dataset::lock_of) {
        None => Change::New,
        Some(then) if then == *lock => Change::Same,
        Some(_) => Change::Modified,
    })
}

fn dataset_name(dep: &Dependency) -> String {
    dep.def_path.trim_start_matches(SCHEME).to_owned()
}

/// The parameters that differ from what is recorded.
pub fn params_of(stage: &Stage) -> Result<Vec<(PathBuf, ParamsChange)>> {
    let mut changed = Vec::new();
    for file in &stage.params {
        if let Some(change) = params_file(file)? {
            changed.push((file.path.clone(), change));
        }
    }
    Ok(changed)
}

fn params_file(file: &ParamsFile) -> Result<Option<ParamsChange>> {
    let Some(locked) = &file.locked else {
        let change = if file.path.exists() { Change::New } else { Change::Deleted };
        return Ok(Some(ParamsChange::File(change)));
    };
    let Some(values) = read_params(file)? else { return Ok(Some(ParamsChange::File(Change::Deleted))) };
    let mut names: Vec<&String> = file.keys.iter().collect();
    if names.is_empty() {
        names.extend(values.keys());
        names.extend(locked.keys().filter(|key| !values.contains_key(*key)));
    }
    let mut changed = Vec::new();
    for name in names {
        let change = match (values.get(name), locked.get(name)) {
            (None, _) => Change::Deleted,
            (Some(_), None) => Change::New,
            (Some(now), Some(then)) if now == then => Change::Same,
            _ => Change::Modified,
        };
        if change != Change::Same {
            changed.push((name.clone(), change));
        }
    }
    Ok((!changed.is_empty()).then_some(ParamsChange::Values(changed)))
}

/// The values that a stage reads from a file now; `None` when there is no file. Absent values are left out.
pub fn read_params(file: &ParamsFile) -> Result<Option<Map>> {
    if file.path.is_dir() {
        return Err(Error::NotAFile { path: file.path.clone() });
    }
    let Some(text) = matraz_base::file::read_if_present(&file.path).map_err(Error::io("read", &file.path))?
    else {
        return Ok(None);
    };
    let values = params::parse(&file.path, &text)?;
    if !matches!(values, Value::Map(_)) && file.keys.is_empty() {
        return Err(Error::Definition {
            fault: crate::error::Fault::Schema,
            message: format!("a parameters file must hold a mapping, not {}", values.type_name()),
            place: Box::new(matraz_base::Place::at(&file.path, &text, 1, 1, 1)),
            hint: None,
        });
    }
    Ok(Some(params::select(&values, &file.keys)))
}

/// How one output stands; `cached` says whether the cache has what is recorded of it.
fn output(out: &Output, contents: &mut Contents<'_>, cached: Option<bool>) -> Result<Change> {
    if out.cache && out.digest.is_some() && cached == Some(false) {
        return Ok(Change::NotInCache);
    }
    Ok(match contents.of(&out.path, out.legacy)? {
        None => Change::Deleted,
        Some((digest, _)) if Some(digest) == out.digest => Change::Same,
        Some(_) => Change::Modified,
    })
}

/// Takes over what the dependencies and parameters hold now. Dependencies that are not there are returned by the names
/// that the stage has for them.
pub fn refresh_deps(repo: &Repo, stage: &mut Stage, contents: &mut Contents<'_>) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for dep in &mut stage.deps {
        if let Source::Dataset(standing) = &dep.source {
            let lock = match standing {
                Standing::Locked(lock) => lock.clone(),
                Standing::Unknown => {
                    return Err(Error::NoSuchDataset { name: dataset_name(dep), close: None });
                }
                Standing::NotLocked | Standing::OutOfStep => {
                    return Err(Error::DatasetOutOfStep { name: dataset_name(dep) });
                }
            };
            dep.extra.insert("dataset".into(), Value::Map(lock));
        }
        let path = match dep.source {
            Source::Local => dep.path.clone(),
            Source::Url => url::locate(&dep.def_path, &repo.config, &stage.wdir)?,
            Source::Repo(_) | Source::Dataset(_) => continue,
        };
        match contents.of(&path, dep.legacy)? {
            None => missing.push(dep.def_path.clone()),
            Some((digest, meta)) if Some(digest) == dep.digest => dep.meta = meta,
            Some(found) => {
                // Changed data lose the digest of DVC 2.
                let (digest, meta) =
                    if dep.legacy { contents.of(&path, false)?.unwrap_or(found) } else { found };
                dep.digest = Some(digest);
                dep.meta = meta;
                dep.legacy = false;
                dep.extra.clear();
            }
        }
    }
    for file in &mut stage.params {
        let Some(values) = read_params(file)? else {
            missing.push(file.def_path.clone());
            continue;
        };
        require_keys(&stage.address, file, &values)?;
        file.locked = Some(values);
    }
    Ok(missing)
}

/// Refuses a stage of whose parameters some are not in their files. A file that is not there may be made yet.
pub fn require_params(stage: &Stage) -> Result<()> {
    for file in &stage.params {
        if let Some(values) = read_params(file)? {
            require_keys(&stage.address, file, &values)?;
        }
    }
    Ok(())
}

fn require_keys(address: &Address, file: &ParamsFile, values: &Map) -> Result<()> {
    let absent: Vec<String> = file.keys.iter().filter(|key| !values.contains_key(*key)).cloned().collect();
    if absent.is_empty() {
        return Ok(());
    }
    let stage = address.name.clone().unwrap_or_default();
    Err(Error::MissingParams { stage, file: file.def_path.clone(), keys: absent })
}

/// What the lock file would say of the stage now.
pub fn entry_of(stage: &Stage) -> LockEntry {
    LockEntry::of(stage)
}
