//! The data as they are in the workspace now.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use matraz_base::progress::{Progress, Unit};

use crate::cache::{Cache, Object, Origin, Source, WORTH_A_THREAD, absent};
use crate::hash::digest::{Digest, Meta};
use crate::hash::many;
use crate::hash::state::{Algorithm, Known, KnownFolder, Stamp};
use crate::hash::tree::{Entry, Fingerprint, Tree};
use crate::metadata::Metadata;
use crate::walk::{FoundFile, files_below};
use crate::{Error, Repo, Result};

/// The content of a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its name by its content.
    pub digest: Digest,
    /// Size, number of files, and whether a file is executable.
    pub meta: Meta,
    /// The files of a folder; `None` for a file.
    pub tree: Option<Tree>,
    /// Whether a file is a link, or has other names.
    pub linked: bool,
}

/// How an output stands against what is recorded of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// As recorded.
    Same,
    /// Recorded with other content.
    Modified,
    /// Recorded, and not there.
    Deleted,
    /// There, and nothing is recorded.
    New,
    /// Recorded, and the cache cannot bring it back.
    NotInCache,
    /// A dataset that is not locked as it is defined.
    NotInSync,
}

impl Change {
    /// DVC's word for it; none when nothing changed.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Same => None,
            Self::Modified => Some("modified"),
            Self::Deleted => Some("deleted"),
            Self::New => Some("new"),
            Self::NotInCache => Some("not in cache"),
            Self::NotInSync => Some("not in sync"),
        }
    }
}

/// A file or folder to look at.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where: an absolute path.
    pub path: PathBuf,
    /// Which digest to take.
    pub algorithm: Algorithm,
}

impl Target {
    /// A target by its bytes.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), algorithm: Algorithm::Md5 }
    }

    /// A target whose recorded digest may be one of DVC 2.
    pub fn with_legacy(path: impl Into<PathBuf>, legacy: bool) -> Self {
        let algorithm = if legacy { Algorithm::LegacyMd5 } else { Algorithm::Md5 };
        Self { path: path.into(), algorithm }
    }
}

/// The content at a path; `None` when nothing is there. Nothing is stored.
pub fn hash_path(repo: &Repo, path: &Path) -> Result<Option<Content>> {
    let never = AtomicBool::new(false);
    let mut found = hash_many(repo, &[Target::new(path)], &matraz_base::progress::Silent, &never)?;
    Ok(found.pop().flatten())
}

/// The content at several paths, in their order; `None` where nothing is. Nothing is stored.
pub fn hash_many(
    repo: &Repo,
    targets: &[Target],
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Vec<Option<Content>>> {
    look(repo, targets, None, progress, stop)
}

/// Like [`hash_many`], and stores the files that the cache has not, and the listings of folders.
pub fn save_many(
    repo: &Repo,
    cache: &mut Cache,
    targets: &[Target],
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Vec<Option<Content>>> {
    look(repo, targets, Some(cache), progress, stop)
}

/// A file on the way to its digest.
struct Candidate {
    target: usize,
    /// Below the target; empty when the target is the file.
    path: String,
    stamp: Stamp,
    executable: bool,
    linked: bool,
    digest: Option<Digest>,
    /// The digest was known from earlier.
    known: bool,
}

fn look(
    repo: &Repo,
    targets: &[Target],
    mut cache: Option<&mut Cache>,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Vec<Option<Content>>> {
    let start = SystemTime::now();
    let mut kinds = Vec::with_capacity(targets.len());
    let mut candidates = Vec::new();
    let mut forgotten: HashMap<Algorithm, Vec<String>> = HashMap::new();
    let keys: Vec<String> = targets.iter().map(|target| repo.key(&target.path)).collect();
    let asked: Vec<(&str, Algorithm)> =
        keys.iter().zip(targets).map(|(key, target)| (key.as_str(), target.algorithm)).collect();
    let all_known = repo.with_state(|state| state.files(&asked));
    for (number, target) in targets.iter().enumerate() {
        let files = match find(repo, &target.path)? {
            None => {
                kinds.push(None);
                continue;
            }
            Some(Found::File(file)) => {
                kinds.push(Some(false));
                vec![file]
            }
            Some(Found::Folder(files)) => {
                kinds.push(Some(true));
                files
            }
        };
        // Both are sorted by path, so one walk through the two matches them.
        let key = &keys[number];
        let mut known = all_known.below(key, target.algorithm).peekable();
        let forgotten = forgotten.entry(target.algorithm).or_default();
        let mut forget = |path: &[u8]| forgotten.push(String::from_utf8_lossy(path).into_owned());
        let mut name = key.clone().into_bytes();
        candidates.reserve(files.len());
        for FoundFile { path, meta, is_link } in files {
            name.truncate(key.len());
            if !path.is_empty() {
                name.push(b'/');
                name.extend(path.as_bytes());
            }
            while let Some((gone, _)) = known.next_if(|(known, _)| *known < name.as_slice()) {
                forget(gone);
            }
            let digest = known
                .next_if(|(known, _)| *known == name)
                .filter(|(_, known)| known.stamp == meta.stamp)
                .map(|(_, known)| known.digest);
            candidates.push(Candidate {
                target: number,
                path,
                stamp: meta.stamp,
                executable: meta.is_executable(),
                linked: is_link || meta.has_other_names(),
                digest,
                known: digest.is_some(),
            });
        }
        known.for_each(|(gone, _)| forget(gone));
    }
    drop(all_known);
    settle(repo, targets, &mut candidates, cache.as_deref_mut(), progress, stop)?;
    let lessons = lessons(targets, &keys, &candidates, forgotten, start);
    let mut state = repo.with_state(|state| state.clone());
    let many = lessons.iter().map(|lesson| lesson.learned.len()).sum::<usize>() > WORTH_A_THREAD;
    let remember = move || {
        for Lesson { algorithm, learned, forgotten } in lessons {
            state.update(algorithm, &learned, &forgotten);
        }
    };
    std::thread::scope(|scope| {
        // Nothing of it is needed for what comes next.
        if many {
            scope.spawn(remember);
        } else {
            remember();
        }
        let mut contents = Vec::with_capacity(targets.len());
        let mut candidates = candidates.into_iter().peekable();
        for (number, kind) in kinds.into_iter().enumerate() {
            let mut own = Vec::new();
            while let Some(candidate) = candidates.next_if(|candidate| candidate.target == number) {
                own.push(candidate);
            }
            let content = match kind {
                None => None,
                Some(is_folder) => Some(assemble(repo, own, is_folder, &targets[number], &keys[number])?),
            };
            if let (Some(cache), Some(Content { digest, tree: Some(tree), .. })) = (&mut cache, &content) {
                let legacy = targets[number].algorithm == Algorithm::LegacyMd5;
                cache.save_tree_of(&Object { digest: *digest, legacy }, tree)?;
            }
            contents.push(content);
        }
        Ok(contents)
    })
}

/// Gives every candidate its digest, and stores those that are to be stored.
fn settle(
    repo: &Repo,
    targets: &[Target],
    candidates: &mut [Candidate],
    cache: Option<&mut Cache>,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<()> {
    let absolute = |candidate: &Candidate| match candidate.path.as_str() {
        "" => targets[candidate.target].path.clone(),
        below => targets[candidate.target].path.join(below),
    };
    let is_legacy = |candidate: &Candidate| targets[candidate.target].algorithm == Algorithm::LegacyMd5;
    // The digest of DVC 2 is not that of the bytes, so it is taken apart from storing them.
    let open: Vec<usize> = (0..candidates.len())
        .filter(|n| candidates[*n].digest.is_none() && (cache.is_none() || is_legacy(&candidates[*n])))
        .collect();
    if !open.is_empty() {
        let files: Vec<(PathBuf, bool)> =
            open.iter().map(|n| (absolute(&candidates[*n]), is_legacy(&candidates[*n]))).collect();
        let task = progress.begin("hashing", files.len() as u64, Unit::Files);
        let digests = many::of_files(&files, repo.threads(), stop);
        progress.end(task);
        for (n, md5) in open.into_iter().zip(digests?) {
            candidates[n].digest = Some(Digest::file(md5));
        }
    }
    let Some(cache) = cache else { return Ok(()) };
    // What is known and in the cache is done; everything else is read once, for its digest and for its bytes.
    let known: Vec<usize> = (0..candidates.len()).filter(|n| candidates[*n].digest.is_some()).collect();
    let objects: Vec<Object> = known
        .iter()
        .filter_map(|n| {
            let legacy = is_legacy(&candidates[*n]);
            candidates[*n].digest.map(|digest| Object { digest, legacy })
        })
        .collect();
    let (presence, _) = cache.survey(repo, &objects, stop)?;
    let mut expected: HashMap<usize, Object> = HashMap::new();
    for ((n, object), presence) in known.into_iter().zip(objects).zip(presence) {
        if !presence.is_present() {
            candidates[n].digest = None;
            candidates[n].known = false;
            if object.legacy {
                expected.insert(n, object);
            }
        }
    }
    let open: Vec<usize> = (0..candidates.len()).filter(|n| candidates[*n].digest.is_none()).collect();
    if open.is_empty() {
        return Ok(());
    }
    let sources: Vec<Source> = open
        .iter()
        .map(|n| {
            let candidate = &candidates[*n];
            let origin = Origin::File(absolute(candidate));
            Source { origin, size: Some(candidate.stamp.size), expected: expected.get(n).copied() }
        })
        .collect();
    let task = progress.begin("adding to the cache", sources.len() as u64, Unit::Files);
    let intake = cache.take_in(repo, &sources, true, None, (progress, task), stop);
    progress.end(task);
    let mut intake = intake?;
    if !intake.failed.is_empty() {
        return Err(intake.failed.swap_remove(0));
    }
    // Only a file that changes while it is read can be another one than a moment before.
    if let Some(changed) = intake.corrupted.pop() {
        return Err(Error::Corrupted { path: changed.path });
    }
    for (n, digest) in open.into_iter().zip(intake.digests) {
        candidates[n].digest = digest;
    }
    Ok(())
}

/// What is to be remembered of files, and which ones are to be forgotten.
struct Lesson {
    algorithm: Algorithm,
    learned: Vec<(String, Known)>,
    forgotten: Vec<String>,
}

/// What was learnt about files that are sure to change their stamp when they are written again.
fn lessons(
    targets: &[Target],
    keys: &[String],
    candidates: &[Candidate],
    mut forgotten: HashMap<Algorithm, Vec<String>>,
    start: SystemTime,
) -> Vec<Lesson> {
    let mut learned: HashMap<Algorithm, Vec<(String, Known)>> = HashMap::new();
    for candidate in candidates {
        let (Some(digest), false) = (candidate.digest, candidate.known) else { continue };
        if candidate.stamp.settled_before(start) {
            let key = &keys[candidate.target];
            let mut name = String::with_capacity(key.len() + 1 + candidate.path.len());
            name.push_str(key);
            if !candidate.path.is_empty() {
                name.push('/');
                name.push_str(&candidate.path);
            }
            let known = Known { stamp: candidate.stamp, digest };
            learned.entry(targets[candidate.target].algorithm).or_default().push((name, known));
        }
    }
    let mut lesson = |algorithm| Lesson {
        algorithm,
        learned: learned.remove(&algorithm).unwrap_or_default(),
        forgotten: forgotten.remove(&algorithm).unwrap_or_default(),
    };
    let mut lessons: Vec<Lesson> = [Algorithm::Md5, Algorithm::LegacyMd5].map(&mut lesson).into();
    lessons.retain(|lesson| !lesson.learned.is_empty() || !lesson.forgotten.is_empty());
    lessons
}

/// The digest of a folder with fewer files is computed sooner than looked up.
const WORTH_REMEMBERING: usize = 1000;

fn assemble(
    repo: &Repo,
    candidates: Vec<Candidate>,
    is_folder: bool,
    target: &Target,
    key: &str,
) -> Result<Content> {
    let size = candidates.iter().map(|candidate| candidate.stamp.size).sum();
    let linked = candidates.iter().any(|candidate| candidate.linked);
    let changed = || Error::io("read", &target.path)(std::io::ErrorKind::NotFound.into());
    if !is_folder {
        let candidate = candidates.into_iter().next().ok_or_else(changed)?;
        let digest = candidate.digest.ok_or_else(changed)?;
        let meta = Meta { size: Some(size), nfiles: None, isexec: candidate.executable };
        return Ok(Content { digest, meta, tree: None, linked });
    }
    let mut entries = Vec::with_capacity(candidates.len());
    let mut fingerprint = Fingerprint::default();
    for candidate in candidates {
        let digest = candidate.digest.ok_or_else(changed)?;
        fingerprint.add(&candidate.path, &digest);
        entries.push(Entry { path: candidate.path, digest });
    }
    let tree = Tree::new(entries);
    let meta = Meta { size: Some(size), nfiles: Some(tree.len() as u64), isexec: false };
    if tree.len() < WORTH_REMEMBERING {
        return Ok(Content { digest: tree.digest(), meta, tree: Some(tree), linked });
    }
    let fingerprint = fingerprint.bytes();
    let known = repo.with_state(|state| state.folder(key, target.algorithm));
    let digest = match known.filter(|known| known.fingerprint == fingerprint) {
        Some(known) => known.digest,
        None => {
            let digest = tree.digest();
            let known = KnownFolder { fingerprint, digest };
            repo.with_state(|state| state.remember_folder(key, target.algorithm, known));
            digest
        }
    };
    Ok(Content { digest, meta, tree: Some(tree), linked })
}

enum Found {
    File(FoundFile),
    Folder(Vec<FoundFile>),
}

/// What is at a path that `.dvcignore` does not hide.
fn find(repo: &Repo, path: &Path) -> Result<Option<Found>> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(Error::io("look at", path)(error)),
    };
    if repo.ignore().is_ignored(path, meta.is_dir())? {
        return Ok(None);
    }
    if meta.is_dir() {
        return Ok(Some(Found::Folder(files_below(path, repo.ignore(), repo.threads())?)));
    }
    if !meta.is_file() {
        return Err(Error::NotData { path: path.to_path_buf() });
    }
    Ok(Some(Found::File(FoundFile {
        path: String::new(),
        meta: Metadata::from(&meta),
        is_link: path.is_symlink(),
    })))
}

/// Remembers files that were just put into the workspace, so that nobody hashes them again.
pub(crate) fn remember_placed(repo: &Repo, placed: &[(PathBuf, Digest, Stamp)], algorithm: Algorithm) {
    let now = SystemTime::now();
    let learned: Vec<(String, Known)> = placed
        .iter()
        .filter(|(_, _, stamp)| stamp.settled_before(now))
        .map(|(path, digest, stamp)| (repo.key(path), Known { stamp: *stamp, digest: *digest }))
        .collect();
    if !learned.is_empty() {
        repo.with_state(|state| state.update(algorithm, &learned, &[]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Placement;
    use crate::repo::{InitOptions, Places};
    use matraz_base::progress::Silent;
    use std::os::unix::fs::PermissionsExt;

    fn project() -> (tempfile::TempDir, Repo) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("p");
        fs::create_dir_all(&root).unwrap();
        let places = Places {
            global_config_dir: folder.path().join("g"),
            system_config_dir: folder.path().join("s"),
            site_cache_dir: folder.path().join("c"),
            home: None,
            lists_projects: false,
        };
        let repo =
            Repo::init(&root, InitOptions { no_scm: true, ..InitOptions::default() }, &places).unwrap();
        (folder, repo)
    }

    fn write(repo: &Repo, path: &str, content: &[u8]) {
        let path = repo.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn never() -> AtomicBool {
        AtomicBool::new(false)
    }

    #[test]
    fn data_are_saved_and_put_back() {
        let (_folder, repo) = project();
        let big = vec![7; 300_000];
        write(&repo, "d/a", b"1\n");
        write(&repo, "d/s/big", &big);
        write(&repo, "d/dup", b"1\n");
        write(&repo, "d/none", b"");
        let targets = [Target::new(repo.root.join("d")), Target::new(repo.root.join("missing"))];
        let mut cache = Cache::open(&repo);
        let saved = save_many(&repo, &mut cache, &targets, &Silent, &never()).unwrap();
        assert_eq!(saved[1], None);
        let content = saved[0].clone().unwrap();
        assert_eq!(content.meta, Meta { size: Some(300_004), nfiles: Some(4), isexec: false });
        assert_eq!(hash_many(&repo, &targets, &Silent, &never()).unwrap(), saved);
        let object = Object::new(content.digest);
        let mode = fs::metadata(cache.path(&object)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o444);
        fs::remove_dir_all(repo.root.join("d")).unwrap();

        let mut again = Cache::open(&repo);
        let tree = again.tree(&object).unwrap().unwrap();
        let placements: Vec<_> = tree
            .entries()
            .iter()
            .map(|entry| Placement {
                object: object.file_of(entry.digest),
                target: repo.root.join("d").join(&entry.path),
                executable: false,
            })
            .collect();
        let placed =
            again.place(&repo, &placements, (&Silent, matraz_base::progress::Task(0)), &never()).unwrap();
        assert!(placed.failed.is_empty() && placed.missing.is_empty());
        assert!(placed.stamps.iter().all(Option::is_some));
        assert_eq!(fs::read(repo.root.join("d/s/big")).unwrap(), big);
        assert_eq!(hash_many(&repo, &targets, &Silent, &never()).unwrap(), saved);
    }

    #[test]
    fn a_file_changed_within_one_tick_is_hashed_again() {
        let (_folder, repo) = project();
        let path = repo.root.join("f");
        for n in 0..50u8 {
            fs::write(&path, [n]).unwrap();
            let content = hash_path(&repo, &path).unwrap().unwrap();
            assert_eq!(content.digest, Digest::file(crate::hash::md5::of_bytes(&[n])));
        }
    }

    #[test]
    fn corrupted_objects_are_named_and_not_used() {
        let (_folder, repo) = project();
        for (content, mode) in [(&b"garbage"[..], 0o644), (b"garbage", 0o444), (b"2\n", 0o444), (b"", 0o444)]
        {
            write(&repo, "f", b"1\n");
            let mut cache = Cache::open(&repo);
            let target = Target::new(repo.root.join("f"));
            let saved =
                save_many(&repo, &mut cache, std::slice::from_ref(&target), &Silent, &never()).unwrap();
            let object = Object::new(saved[0].as_ref().unwrap().digest);
            let path = cache.path(&object);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let (presence, corrupted) = Cache::open(&repo).survey(&repo, &[object], &never()).unwrap();
            assert!(!presence[0].is_present());
            assert_eq!(corrupted[0].path, path);
            // A read-only one may be what somebody wrote through a link; it makes room for the right content.
            assert_eq!(path.exists(), mode == 0o444);
            fs::remove_file(repo.root.join("f")).unwrap();
            write(&repo, "f", b"1\n");
            save_many(&repo, &mut Cache::open(&repo), std::slice::from_ref(&target), &Silent, &never())
                .unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"1\n");
        }
    }

    #[test]
    fn an_object_of_unknown_origin_is_checked_when_it_is_copied() {
        let (_folder, repo) = project();
        let digest = Digest::file(crate::hash::md5::of_bytes(b"right"));
        let object = Object::new(digest);
        let path = Cache::open(&repo).path(&object);
        for (content, good) in [(&b"wrong"[..], false), (b"right", true)] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
            let mut cache = Cache::open(&repo);
            let target = repo.root.join("out");
            let placement = Placement { object, target: target.clone(), executable: true };
            let task = (&Silent as &dyn Progress, matraz_base::progress::Task(0));
            let placed = cache.place(&repo, &[placement], task, &never()).unwrap();
            assert_eq!(target.exists(), good);
            assert_eq!(placed.missing.is_empty(), good);
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::metadata(repo.root.join("out")).unwrap().permissions().mode() & 0o111, 0o100);
    }
}
