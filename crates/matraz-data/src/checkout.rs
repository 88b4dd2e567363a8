//! `checkout`: makes the workspace hold what the project's files say, from the cache.
//!
//! [`plan`] compares and says what would be removed, written and lost; [`apply`] does it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use matraz_base::progress::{Progress, Unit};

use crate::cache::{Cache, LinkKind, Object, Placement, absent};
use crate::hash::digest::Digest;
use crate::hash::state::{Algorithm, Stamp};
use crate::hash::tree::{Entry, Tree};
use crate::index::Index;
use crate::stage::Output;
use crate::target::Selection;
use crate::workspace::{self, Content, Target};
use crate::{Error, Repo, Result};

/// What to do with the workspace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Remove data that the cache cannot bring back.
    pub force: bool,
    /// Make every file anew by the configured kind of link, unless it is one already.
    pub relink: bool,
}

/// An output to bring into the workspace, whole or in part.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The output.
    pub output: &'a Output,
    /// What of it, relative to it; empty for the whole.
    pub part: String,
    /// False when its files in the workspace are known to be no links.
    pub linked: bool,
}

impl<'a> Wanted<'a> {
    /// What a selection means of the outputs of its stage. An import that was never downloaded has nothing to bring.
    pub fn of(selections: &'a [Selection], index: &'a Index) -> Vec<Self> {
        let mut wanted = Vec::new();
        for one in selections {
            let imported = index.stages[one.stage].is_import();
            let outputs = one.outputs(index).filter(|output| !imported || output.digest.is_some());
            wanted.extend(outputs.map(|output| Self { output, part: one.part(output), linked: true }));
        }
        wanted
    }

    /// The digest that the output has once all of it is there; `None` for a part, and for one that DVC 2 took.
    fn whole_digest(&self) -> Option<Digest> {
        self.output.digest.filter(|_| self.part.is_empty() && !self.output.legacy)
    }

    /// The whole output.
    pub fn whole(output: &'a Output) -> Self {
        Self { output, part: String::new(), linked: true }
    }
}

/// What happened, or would happen, to an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was not there.
    Added,
    /// It was there with other content.
    Modified,
    /// It is gone.
    Deleted,
}

/// Numbers of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Replaced.
    pub modified: u64,
    /// New.
    pub added: u64,
    /// Removed.
    pub deleted: u64,
}

/// What has to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// Files to remove.
    pub removals: Vec<PathBuf>,
    /// Files to write.
    pub placements: Vec<Placement>,
    /// Files whose only difference is that they are to be executable.
    pub make_executable: Vec<PathBuf>,
    /// Files that the cache could not bring back once they are removed or replaced.
    pub unsaved: Vec<PathBuf>,
    /// The fate of every output that changes.
    pub fates: BTreeMap<PathBuf, (Fate, Stats)>,
    /// Folders whose listing is missing from the cache.
    pub unknown: Vec<PathBuf>,
    /// Outputs of which nothing is recorded. What is there in their place goes.
    pub unrecorded: Vec<PathBuf>,
    /// Outputs that must be folders, empty ones included.
    folders: BTreeSet<PathBuf>,
    /// All outputs that will be as wanted, with the digest of those that will be whole.
    outputs: BTreeMap<PathBuf, Option<Digest>>,
    /// How many placements are for files that are not there, or with other content.
    relinked: BTreeSet<PathBuf>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// The fate of every output that changed, by path.
    pub fates: BTreeMap<PathBuf, Fate>,
    /// Numbers of files.
    pub stats: Stats,
    /// Outputs that could not be brought back, as objects are missing or nothing is recorded.
    pub failed: Vec<PathBuf>,
    /// Those of them of which nothing is recorded.
    pub unrecorded: Vec<PathBuf>,
}

/// Compares the workspace with what the outputs should hold. Outputs that are not cached are left alone.
pub fn plan(
    repo: &Repo,
    cache: &mut Cache,
    wanted: &[Wanted<'_>],
    options: Options,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Plan> {
    let wanted: Vec<&Wanted<'_>> = wanted.iter().filter(|w| w.output.cache).collect();
    for one in &wanted {
        if !repo.contains(&one.output.path) || one.output.path == repo.root {
            return Err(Error::OutsideProject { path: one.output.path.clone() });
        }
    }
    let targets: Vec<Target> =
        wanted.iter().map(|w| Target::with_legacy(w.output.path.clone(), w.output.legacy)).collect();
    let found = workspace::hash_many(repo, &targets, progress, stop)?;
    let mut plan = Plan::default();
    let mut at_risk: Vec<(PathBuf, Object)> = Vec::new();
    // The kind that files would get: the favourite one may not work here.
    let works = || LinkKind::first_that_works(cache.links(), cache.root(), &repo.root);
    let relink_as = if options.relink { works() } else { None };
    for (one, found) in wanted.iter().zip(&found) {
        let Some(digest) = one.output.digest else {
            plan.unrecorded.push(one.output.path.clone());
            if let Some(found) = found {
                let object = Object { digest: found.digest, legacy: one.output.legacy };
                compare(one, object, &BTreeMap::new(), Some(found), None, cache, &mut plan, &mut at_risk);
                let (path, stats) = (&one.output.path, Stats { deleted: 1, ..Stats::default() });
                plan.fates.entry(path.clone()).or_insert((Fate::Deleted, stats)).0 = Fate::Deleted;
                plan.outputs.insert(path.clone(), None);
            }
            continue;
        };
        let object = Object { digest, legacy: one.output.legacy };
        let goal: BTreeMap<String, Digest> = if digest.is_dir() {
            match cache.tree(&object)?.or_else(|| rebuild(repo, one.output, &object)) {
                Some(tree) => tree.below(&one.part).map(|entry| (entry.path.clone(), entry.digest)).collect(),
                None => {
                    plan.unknown.push(one.output.path.clone());
                    continue;
                }
            }
        } else {
            BTreeMap::from([(String::new(), digest)])
        };
        plan.outputs.insert(one.output.path.clone(), one.whole_digest());
        if digest.is_dir() && one.part.is_empty() {
            plan.folders.insert(one.output.path.clone());
        }
        compare(one, object, &goal, found.as_ref(), relink_as, cache, &mut plan, &mut at_risk);
    }
    if !at_risk.is_empty() {
        let objects: Vec<Object> = at_risk.iter().map(|(_, object)| *object).collect();
        let (presence, _) = cache.survey(repo, &objects, stop)?;
        for ((path, _), presence) in at_risk.into_iter().zip(presence) {
            if !presence.is_present() {
                plan.unsaved.push(path);
            }
        }
    }
    Ok(plan)
}

/// A listing that the cache has lost, from what is known of the files that were there.
fn rebuild(repo: &Repo, output: &Output, object: &Object) -> Option<Tree> {
    let key = repo.key(&output.path);
    let known = repo.with_state(|state| state.files(&[(&key, object.algorithm())]));
    let entries = known.below(&key, object.algorithm()).filter_map(|(path, known)| {
        let path = std::str::from_utf8(path).ok()?.strip_prefix(&key)?.strip_prefix('/')?.to_owned();
        Some(Entry { path, digest: known.digest })
    });
    Some(Tree::new(entries.collect())).filter(|tree| tree.digest() == object.digest)
}

#[expect(clippy::too_many_arguments, reason = "the loop body of `plan`")]
fn compare(
    one: &Wanted<'_>,
    object: Object,
    goal: &BTreeMap<String, Digest>,
    found: Option<&Content>,
    relink_as: Option<LinkKind>,
    cache: &Cache,
    plan: &mut Plan,
    at_risk: &mut Vec<(PathBuf, Object)>,
) {
    let root = &one.output.path;
    let absolute = |part: &str| if part.is_empty() { root.clone() } else { root.join(part) };
    let mut here: BTreeMap<&str, Digest> = BTreeMap::new();
    match found {
        Some(Content { tree: Some(tree), .. }) => {
            here.extend(tree.below(&one.part).map(|entry| (entry.path.as_str(), entry.digest)));
        }
        Some(Content { digest, .. }) => {
            here.insert("", *digest);
        }
        None => {}
    }
    let mut stats = Stats::default();
    for (part, digest) in &here {
        if !goal.contains_key(*part) {
            stats.deleted += 1;
            plan.removals.push(absolute(part));
            at_risk.push((absolute(part), object.file_of(*digest)));
        }
    }
    let executable = one.output.meta.isexec && goal.contains_key("");
    for (part, digest) in goal {
        let target = absolute(part);
        let placement = Placement { object: object.file_of(*digest), target: target.clone(), executable };
        match here.get(part.as_str()) {
            Some(current) if current == digest => {
                let is_executable = found.is_some_and(|content| content.meta.isexec);
                if relink_as.is_some_and(|kind| !is_linked_as(kind, cache, &placement)) {
                    plan.relinked.insert(target);
                    plan.placements.push(placement);
                } else if executable && !is_executable {
                    plan.make_executable.push(target);
                }
            }
            Some(current) => {
                stats.modified += 1;
                at_risk.push((target, object.file_of(*current)));
                plan.placements.push(placement);
            }
            None => {
                stats.added += 1;
                plan.placements.push(placement);
            }
        }
    }
    let kind_changes = found.is_some_and(|content| content.tree.is_some() != object.digest.is_dir());
    let empty_folder_missing = found.is_none() && goal.is_empty() && object.digest.is_dir();
    if stats != Stats::default() || kind_changes || empty_folder_missing {
        let fate = if found.is_none() { Fate::Added } else { Fate::Modified };
        plan.fates.insert(root.clone(), (fate, stats));
    }
}

/// Whether a file is related to its object as this kind of link makes it.
fn is_linked_as(kind: LinkKind, cache: &Cache, placement: &Placement) -> bool {
    let Ok(meta) = fs::symlink_metadata(&placement.target) else { return false };
    let object = cache.path(&placement.object);
    match kind {
        LinkKind::Copy | LinkKind::Reflink => {
            meta.is_file() && meta.nlink() == 1 && meta.permissions().mode() & 0o200 != 0
        }
        LinkKind::Hardlink => {
            meta.is_file()
                && (meta.len() == 0
                    || fs::metadata(&object).is_ok_and(|o| o.ino() == meta.ino() && o.dev() == meta.dev()))
        }
        LinkKind::Symlink => fs::read_link(&placement.target).is_ok_and(|to| to == object),
    }
}

/// Does what was planned. Refuses to lose unsaved data unless forced. Outputs whose objects are missing are reported, the
/// others are done.
pub fn apply(
    repo: &Repo,
    cache: &mut Cache,
    plan: Plan,
    options: Options,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Report> {
    if !options.force && !plan.unsaved.is_empty() {
        return Err(Error::UnsavedData { paths: plan.unsaved });
    }
    refuse_detours(repo, &plan)?;
    let _locks = repo.lock_paths("checkout", plan.fates.keys().map(PathBuf::as_path), stop)?;
    let mut report = Report::default();
    report.failed.extend(plan.unknown);
    report.failed.extend(plan.unrecorded.iter().cloned());
    report.unrecorded = plan.unrecorded;
    // What is replaced by something of another kind has to go first; what is only replaced goes in one rename.
    for path in &plan.removals {
        remove_file(path)?;
    }
    for path in &plan.removals {
        remove_empty_folders(path.parent(), &plan.outputs, &plan.folders);
    }
    for folder in &plan.folders {
        if folder.symlink_metadata().is_ok_and(|meta| !meta.is_dir() && !folder.is_dir()) {
            remove_file(folder)?;
        }
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    let task = progress.begin("checking out", plan.placements.len() as u64, Unit::Files);
    let placed = cache.place(repo, &plan.placements, (progress, task), stop);
    progress.end(task);
    let placed = placed?;
    let mut known: BTreeMap<Algorithm, Vec<(PathBuf, Digest, Stamp)>> = BTreeMap::new();
    for (placement, stamp) in plan.placements.iter().zip(&placed.stamps) {
        if let Some(stamp) = stamp {
            known.entry(placement.object.algorithm()).or_default().push((
                placement.target.clone(),
                placement.object.digest,
                *stamp,
            ));
        }
    }
    for (algorithm, files) in known {
        workspace::remember_placed(repo, &files, algorithm);
    }
    let failed_files: Vec<&Path> = placed
        .missing
        .iter()
        .chain(placed.failed.iter().map(|(n, _)| n))
        .map(|n| plan.placements[*n].target.as_path())
        .collect();
    for path in &plan.make_executable {
        let meta = fs::metadata(path).map_err(Error::io("look at", path))?;
        let bits = meta.permissions().mode() | 0o100;
        fs::set_permissions(path, fs::Permissions::from_mode(bits)).map_err(Error::io("protect", path))?;
    }
    for (path, (fate, stats)) in plan.fates {
        if failed_files.iter().any(|file| file.starts_with(&path)) {
            continue;
        }
        report.stats.added += stats.added;
        report.stats.modified += stats.modified;
        report.stats.deleted += stats.deleted;
        report.fates.insert(path, fate);
    }
    let broken: BTreeSet<&PathBuf> =
        plan.outputs.keys().filter(|out| failed_files.iter().any(|file| file.starts_with(out))).collect();
    report.failed.extend(broken.iter().map(|path| (*path).clone()));
    report.failed.sort();
    let whole = plan.outputs.iter().filter(|(out, _)| !broken.contains(out));
    remember_outputs(repo, whole.map(|(path, digest)| (path, *digest)));
    if let Some((_, error)) = placed.failed.into_iter().next() {
        return Err(error);
    }
    Ok(report)
}

/// Refuses to write through a link to a folder: it may lead out of the project.
fn refuse_detours(repo: &Repo, plan: &Plan) -> Result<()> {
    let mut seen: BTreeSet<&Path> = BTreeSet::new();
    let files = plan.placements.iter().map(|placement| &placement.target).chain(&plan.removals);
    for file in files {
        for folder in file.ancestors().skip(1).take_while(|folder| *folder != repo.root) {
            if !seen.insert(folder) {
                break;
            }
            if folder.is_symlink() {
                return Err(Error::ThroughLink { path: file.clone(), link: folder.to_path_buf() });
            }
        }
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if !absent(&error) => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes folders that have become empty, from `folder` up to the output that holds them. Outputs that must be folders
/// stay.
fn remove_empty_folders(
    folder: Option<&Path>,
    outputs: &BTreeMap<PathBuf, Option<Digest>>,
    keep: &BTreeSet<PathBuf>,
) {
    let mut folder = folder;
    while let Some(at) = folder
        && outputs.keys().any(|out| at.starts_with(out))
        && !keep.contains(at)
        && fs::remove_dir(at).is_ok()
    {
        folder = at.parent();
    }
}

/// Writes down that outputs are as the project has them, so that they can go when nothing tracks them any more.
fn remember_outputs<'o>(repo: &Repo, outputs: impl Iterator<Item = (&'o PathBuf, Option<Digest>)>) {
    let rows: Vec<(String, Option<Digest>)> =
        outputs.map(|(path, digest)| (repo.key(path), digest)).collect();
    if !rows.is_empty() {
        repo.with_state(|state| state.remember_placed(&rows));
    }
}

/// Outputs that were put into the workspace and that nothing tracks any more, with what they held then.
fn left_over(repo: &Repo, tracked: &[&Output]) -> Vec<(PathBuf, Option<[u8; 16]>)> {
    let placed = repo.with_state(|state| state.placed());
    let mut unused: Vec<(PathBuf, Option<[u8; 16]>)> = placed
        .into_iter()
        .map(|(key, md5)| (repo.root.join(&key), md5))
        // Also what holds or is held by an output is in use.
        .filter(|(path, _)| {
            !tracked.iter().any(|out| out.path.starts_with(path) || path.starts_with(&out.path))
        })
        .collect();
    unused.sort();
    unused
}

/// Removes outputs that nothing tracks any more, if they have not changed since and the cache has all of their content.
/// Returns those that went.
fn remove_left_over(
    repo: &Repo,
    cache: &mut Cache,
    paths: Vec<(PathBuf, Option<[u8; 16]>)>,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Vec<PathBuf>> {
    let targets: Vec<Target> = paths.iter().map(|(path, _)| Target::new(path)).collect();
    let contents = workspace::hash_many(repo, &targets, progress, stop)?;
    let mut removed = Vec::new();
    for ((path, then), content) in paths.into_iter().zip(contents) {
        let same = |content: &Content| then.is_none_or(|then| then == *content.digest.bytes());
        let Some(content) = content.filter(same) else {
            repo.with_state(|state| state.forget_placed(&[repo.key(&path)]));
            continue;
        };
        let objects: Vec<Object> = match &content.tree {
            Some(tree) => tree.entries().iter().map(|entry| Object::new(entry.digest)).collect(),
            None => vec![Object::new(content.digest)],
        };
        let (presence, _) = cache.survey(repo, &objects, stop)?;
        if presence.iter().any(|presence| !presence.is_present()) {
            continue;
        }
        if content.tree.is_some() && !path.is_symlink() {
            fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        } else {
            remove_file(&path)?;
        }
        repo.with_state(|state| state.forget_placed(&[repo.key(&path)]));
        removed.push(path);
    }
    Ok(removed)
}

impl Report {
    /// Removes outputs that an earlier checkout made and that nothing tracks any more.
    pub fn remove_left_over(
        &mut self,
        repo: &Repo,
        cache: &mut Cache,
        index: &Index,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<()> {
        let tracked: Vec<&Output> = index.stages.iter().flat_map(|stage| &stage.outs).collect();
        let paths = left_over(repo, &tracked);
        for path in remove_left_over(repo, cache, paths, progress, stop)? {
            self.stats.deleted += 1;
            self.fates.insert(path, Fate::Deleted);
        }
        Ok(())
    }

    /// The error for outputs that could not be brought back, if there are any.
    pub fn failure(&self) -> Option<Error> {
        (!self.failed.is_empty()).then(|| Error::CheckoutFailed { paths: self.failed.clone() })
    }
}

/// Compares and acts at once.
pub fn checkout(
    repo: &Repo,
    cache: &mut Cache,
    wanted: &[Wanted<'_>],
    options: Options,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Report> {
    let plan = plan(repo, cache, wanted, options, progress, stop)?;
    apply(repo, cache, plan, options, progress, stop)
}

/// After data were added to the cache: brings their files into the form that a checkout gives them. Links become what
/// the settings ask for, and the permission bits of a single file those of a new one, since DVC keeps no others.
pub(crate) fn relink_if_needed(
    repo: &Repo,
    cache: &mut Cache,
    wanted: &[Wanted<'_>],
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<()> {
    // The favourite kind may not work here; copies need no trial.
    let by_link = cache.links().iter().any(|kind| matches!(kind, LinkKind::Hardlink | LinkKind::Symlink))
        && LinkKind::first_that_works(cache.links(), cache.root(), &repo.root)
            .is_some_and(|kind| matches!(kind, LinkKind::Hardlink | LinkKind::Symlink));
    if by_link {
        let options = Options { force: false, relink: true };
        checkout(repo, cache, wanted, options, progress, stop)?;
        return Ok(());
    }
    let mut placements = Vec::new();
    for one in wanted {
        let Some(digest) = one.output.digest.filter(|_| one.output.cache) else { continue };
        let object = Object { digest, legacy: one.output.legacy };
        let digest_is_dir = digest.is_dir();
        let executable = one.output.meta.isexec && !digest_is_dir;
        let mut settle = |path: PathBuf, digest: Digest| -> Result<()> {
            let Ok(meta) = fs::symlink_metadata(&path) else { return Ok(()) };
            let bits = new_file_bits(repo, executable);
            if meta.is_symlink() || meta.nlink() > 1 {
                placements.push(Placement { object: object.file_of(digest), target: path, executable });
            } else if !digest_is_dir && meta.permissions().mode() & 0o7777 != bits {
                fs::set_permissions(&path, fs::Permissions::from_mode(bits))
                    .map_err(Error::io("protect", &path))?;
            }
            Ok(())
        };
        if digest.is_dir() && !one.linked {
            continue;
        }
        if digest.is_dir() {
            let Some(tree) = cache.tree(&object)? else { continue };
            for entry in tree.below(&one.part) {
                settle(one.output.path.join(&entry.path), entry.digest)?;
            }
        } else {
            settle(one.output.path.clone(), digest)?;
        }
    }
    let task = progress.begin("replacing links", placements.len() as u64, Unit::Files);
    let placed = cache.place(repo, &placements, (progress, task), stop);
    progress.end(task);
    if let Some((_, error)) = placed?.failed.into_iter().next() {
        return Err(error);
    }
    remember_outputs(repo, wanted.iter().map(|one| (&one.output.path, one.whole_digest())));
    Ok(())
}

/// The permission bits of a new file in the workspace.
fn new_file_bits(repo: &Repo, executable: bool) -> u32 {
    let umask = crate::cache::umask(&repo.state_dir());
    (0o666 & !umask) | if executable { 0o100 } else { 0 }
}
