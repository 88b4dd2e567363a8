//! The cache: every version of every file once, named by its digest.
//!
//! Objects lie at `files/md5/<2 digits>/<30 digits>` (those of DVC 2 directly at `<2>/<30>`) and are read-only.
//! DVC trusts an object whose mode is exactly 0444 and hashes any other before use. Matraz trusts less: an object
//! that it made or checked is trusted while its time, size and inode stay what they were, and one of which nothing
//! is known is checked while it is copied. A corrupted object is named, treated as missing, and removed unless it is
//! read-only: then it was written to through a link in the workspace.
//!
//! Objects are written under a temporary name and renamed, and are not synced one by one: after a power loss the
//! workspace still has the data, and an object that the disk never got shows as empty or with a strange time, and
//! is checked like any other stranger.

pub mod gc;
mod intake;
mod link;
mod migrate;
mod place;
pub mod projects;
pub mod trash;
pub mod used;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use matraz_store::{Location, Store};

use crate::hash::digest::{Digest, FILES_MD5};
use crate::hash::state::{Algorithm, KnownObjects, Stamp, State};
use crate::hash::tree::Tree;
use crate::hash::{many, md5};
use crate::metadata::{Metadata, Viewer};
use crate::repo::Repo;
use crate::{Error, Result};

pub use intake::{Intake, Origin, Source};
pub use link::LinkKind;
pub(crate) use place::umask;
pub use place::{Placed, Placement};

/// The permission bits of an object.
pub const OBJECT_MODE: u32 = 0o444;

/// The digest of data and how it was taken; together they say where the object lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// The name.
    pub digest: Digest,
    /// Whether DVC 2 made it.
    pub legacy: bool,
}

impl Object {
    /// An object as DVC 3 and Matraz make it.
    pub fn new(digest: Digest) -> Self {
        Self { digest, legacy: false }
    }

    /// Its place below the root of a cache or remote.
    pub fn key(&self) -> String {
        if self.legacy { self.digest.legacy_key() } else { self.digest.key() }
    }

    /// Writes [`key`](Self::key) behind a text.
    fn push_key(&self, text: &mut String) {
        self.digest.push_key(if self.legacy { "" } else { FILES_MD5 }, text);
    }

    /// How the digest is taken.
    pub fn algorithm(&self) -> Algorithm {
        if self.legacy { Algorithm::LegacyMd5 } else { Algorithm::Md5 }
    }

    /// The file that an entry of a folder names, taken as the folder was.
    pub fn file_of(&self, digest: Digest) -> Self {
        Self { digest, legacy: self.legacy }
    }
}

/// What a look at an object found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// There is none, or it was corrupted and is gone now.
    Missing,
    /// It is there; `checked` says whether its content was seen to be right since it was last touched.
    Present {
        /// False for a protected object that another program made.
        checked: bool,
    },
}

impl Presence {
    /// Whether the object can be used.
    pub fn is_present(self) -> bool {
        self != Self::Missing
    }
}

/// An object whose content is not what its name says. It has been removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupted {
    /// Where it was.
    pub path: PathBuf,
}

/// The cache of a project.
pub struct Cache {
    root: PathBuf,
    store: Store,
    shared: bool,
    links: Vec<LinkKind>,
    /// The project's tables of what is known of objects; absent for a remote.
    state: State,
    /// Read when the first object is judged.
    known: OnceLock<KnownObjects>,
    corrupted: Vec<Corrupted>,
}

impl Cache {
    /// The cache that the project's settings name. Nothing is touched.
    pub fn open(repo: &Repo) -> Self {
        let root = repo.cache_dir();
        let links =
            repo.config.get("cache", "type").map_or_else(Vec::new, |text| LinkKind::parse_list(&text));
        Self {
            store: Store::open(&Location::Local(root.clone())),
            root,
            shared: repo.config.get("cache", "shared").is_some(),
            links: if links.is_empty() { LinkKind::DEFAULT.to_vec() } else { links },
            state: repo.with_state(|state| state.clone()),
            known: OnceLock::new(),
            corrupted: Vec::new(),
        }
    }

    /// A folder that is laid out as a cache is: a remote on this machine.
    pub fn at(root: PathBuf, shared: bool) -> Self {
        Self {
            store: Store::open(&Location::Local(root.clone())),
            root,
            shared,
            links: LinkKind::DEFAULT.to_vec(),
            state: State::absent(),
            known: OnceLock::new(),
            corrupted: Vec::new(),
        }
    }

    /// The corrupted objects that were met since the last call.
    pub fn take_corrupted(&mut self) -> Vec<Corrupted> {
        std::mem::take(&mut self.corrupted)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The kinds of links that put objects into the workspace, the favourite first.
    pub fn links(&self) -> &[LinkKind] {
        &self.links
    }

    /// Where an object is or would be.
    pub fn path(&self, object: &Object) -> PathBuf {
        self.root.join(object.key())
    }

    /// Looks at many objects. Those that cannot be trusted are hashed; corrupted ones are removed and named.
    pub fn survey(
        &mut self,
        repo: &Repo,
        objects: &[Object],
        stop: &AtomicBool,
    ) -> Result<(Vec<Presence>, Vec<Corrupted>)> {
        let mut found = Vec::with_capacity(objects.len());
        let mut doubtful = Vec::new();
        let looked_at = self.look_at(objects, repo.threads())?;
        for (n, looked_at) in looked_at.into_iter().enumerate() {
            found.push(match looked_at {
                Some(Some(checked)) => Presence::Present { checked },
                Some(None) => {
                    doubtful.push((n, self.path(&objects[n])));
                    Presence::Missing
                }
                None => Presence::Missing,
            });
        }
        let mut corrupted = Vec::new();
        if !doubtful.is_empty() {
            let paths: Vec<(PathBuf, bool)> =
                doubtful.iter().map(|(n, path)| (path.clone(), objects[*n].legacy)).collect();
            let hashes = many::of_files(&paths, repo.threads(), stop)?;
            let mut learned = Vec::new();
            for ((n, path), md5) in doubtful.into_iter().zip(hashes) {
                if md5 == *objects[n].digest.bytes() {
                    protect(&path)?;
                    found[n] = Presence::Present { checked: true };
                    let meta = fs::metadata(&path).map_err(Error::io("look at", &path))?;
                    learned.push((objects[n], Stamp::of(&meta)));
                } else {
                    discard(&path)?;
                    corrupted.push(Corrupted { path });
                }
            }
            self.learn(&learned);
            self.corrupted.extend(corrupted.iter().cloned());
        }
        Ok((found, corrupted))
    }

    /// What [`judge`] says of each object; `None` for one that is not there. Objects are looked at folder
    /// by folder, on several threads when there are many.
    fn look_at(&self, objects: &[Object], threads: usize) -> Result<Vec<Option<Option<bool>>>> {
        let look = |part: &[u32]| -> Result<Vec<Option<Option<bool>>>> {
            let mut viewer = Viewer::new(&self.root);
            let mut key = String::new();
            let known = self.known_objects();
            let mut at = 0;
            let answer = |n: &u32| {
                let object = &objects[*n as usize];
                key.clear();
                object.push_key(&mut key);
                match viewer.look(&key) {
                    Ok(meta) if meta.is_file() => {
                        let known = known.get_near(&object.digest, object.algorithm(), &mut at);
                        Ok(Some(judge(object, &meta, known)))
                    }
                    Ok(_) => Ok(None),
                    Err(error) if absent(&error) => Ok(None),
                    Err(error) => Err(Error::io("look at", self.path(object))(error)),
                }
            };
            part.iter().map(answer).collect()
        };
        let mut order: Vec<u32> = (0..objects.len() as u32).collect();
        if !objects.is_sorted() {
            // Most digests differ in the first eight bytes, which are quick to compare.
            let start =
                |n: u32| objects[n as usize].digest.bytes().first_chunk().map(|b| u64::from_be_bytes(*b));
            let mut keys: Vec<(Option<u64>, u32)> = order.iter().map(|n| (start(*n), *n)).collect();
            keys.sort_unstable_by(|a, b| {
                a.0.cmp(&b.0).then_with(|| objects[a.1 as usize].cmp(&objects[b.1 as usize]))
            });
            order = keys.into_iter().map(|(_, n)| n).collect();
        }
        // More parts than threads, as one may be held up.
        let share = order.len().div_ceil(threads.max(1) * 8).max(WORTH_A_THREAD);
        let parts: Vec<&[u32]> = order.chunks(share).collect();
        let answers = in_parallel_parts(&parts, threads, look)?;
        let mut looked_at = vec![None; objects.len()];
        for (n, answer) in order.into_iter().zip(answers) {
            looked_at[n as usize] = answer;
        }
        Ok(looked_at)
    }

    /// Whether an object with this metadata can be used, see [`judge`].
    fn judge(&self, object: &Object, meta: &Metadata) -> Option<bool> {
        judge(object, meta, self.known(object))
    }

    /// What an object looked like when its content was seen to be right.
    fn known(&self, object: &Object) -> Option<Stamp> {
        self.known_objects().get(&object.digest, object.algorithm())
    }

    fn known_objects(&self) -> &KnownObjects {
        self.known.get_or_init(|| self.state.objects())
    }

    /// Remembers sound objects.
    pub(crate) fn learn(&mut self, objects: &[(Object, Stamp)]) {
        if let Some(known) = self.known.get_mut() {
            for (object, stamp) in objects {
                known.insert(object.digest, object.algorithm(), *stamp);
            }
        }
        for algorithm in [Algorithm::Md5, Algorithm::LegacyMd5] {
            let rows: Vec<(Digest, Stamp)> = objects
                .iter()
                .filter(|(object, _)| object.algorithm() == algorithm)
                .map(|(object, stamp)| (object.digest, *stamp))
                .collect();
            if !rows.is_empty() {
                self.state.remember_objects(algorithm, &rows);
            }
        }
    }

    /// Whether an object is there and its content was seen to be right since it was last touched.
    pub(crate) fn is_checked(&self, object: &Object) -> bool {
        fs::metadata(self.path(object)).is_ok_and(|meta| self.judge(object, &(&meta).into()) == Some(true))
    }

    /// The listing of a folder; `None` when the object is missing or corrupted (it is removed then).
    pub fn tree(&mut self, object: &Object) -> Result<Option<Tree>> {
        let path = self.path(object);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if absent(&error) => return Ok(None),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        // Listings are small, and everything below hangs on them: they are always checked.
        if md5::of_bytes(&bytes) != *object.digest.bytes() {
            discard(&path)?;
            self.corrupted.push(Corrupted { path });
            return Ok(None);
        }
        let tree = Tree::parse(&bytes).map_err(|error| Error::BadTree { path, reason: error.to_string() })?;
        Ok(Some(tree))
    }

    /// Removes an object, and its folder when that is empty then.
    pub(crate) fn remove(&self, object: &Object) -> Result<()> {
        let path = self.path(object);
        match fs::remove_file(&path) {
            Err(error) if !absent(&error) => return Err(Error::io("remove", path)(error)),
            _ => {}
        }
        if let Some(folder) = path.parent() {
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    /// Stores the listing of a folder.
    pub fn save_tree(&mut self, tree: &Tree) -> Result<Object> {
        self.save_tree_as(tree, false)
    }

    /// Stores the listing of a folder, with `legacy` as DVC 2 did.
    pub fn save_tree_as(&mut self, tree: &Tree, legacy: bool) -> Result<Object> {
        let object = Object { digest: tree.digest(), legacy };
        self.save_tree_of(&object, tree)?;
        Ok(object)
    }

    /// Stores the listing of a folder, whose digest is known.
    pub(crate) fn save_tree_of(&mut self, object: &Object, tree: &Tree) -> Result<()> {
        if !self.is_checked(object) {
            let stamp = self.write_object(object, &tree.to_bytes())?;
            self.learn(&[(*object, stamp)]);
        }
        Ok(())
    }

    /// Writes an object whose content is in memory.
    fn write_object(&self, object: &Object, bytes: &[u8]) -> Result<Stamp> {
        let key = object.key();
        self.make_folder(&key)?;
        self.finish(self.start_object(&key, bytes)?, &key, Some(bytes.len() as u64))
    }

    /// Writes the content of an object, which nobody sees yet.
    fn start_object(&self, key: &str, bytes: &[u8]) -> Result<matraz_store::Pending> {
        let mut pending = self.store.start(key, OBJECT_MODE)?;
        pending.write(bytes)?;
        Ok(pending)
    }

    /// Makes a written object visible.
    fn finish(&self, pending: matraz_store::Pending, key: &str, size: Option<u64>) -> Result<Stamp> {
        self.protected(key, &pending.commit(key, size)?)
    }

    /// Makes a new object read-only, whatever the umask is.
    fn protected(&self, key: &str, meta: &fs::Metadata) -> Result<Stamp> {
        if meta.permissions().mode() & 0o7777 != OBJECT_MODE {
            protect(&self.root.join(key))?;
        }
        Ok(Stamp::of(meta))
    }

    /// Makes the folder of an object, with the bits that a shared cache needs.
    fn make_folder(&self, key: &str) -> Result<()> {
        if !self.shared {
            return Ok(());
        }
        let mut missing = Vec::new();
        let path = self.root.join(key);
        let mut folder = path.parent();
        while let Some(at) = folder
            && !at.exists()
        {
            missing.push(at);
            folder = at.parent();
        }
        for at in missing.into_iter().rev() {
            match fs::create_dir(at) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io("create", at)(error));
                }
                _ => fs::set_permissions(at, fs::Permissions::from_mode(0o2775))
                    .map_err(Error::io("protect", at))?,
            }
        }
        Ok(())
    }
}

/// Whether an object with this metadata can be used, and whether its content was checked; `None` when it must be hashed
/// first. `known` is what it looked like when its content was seen to be right.
fn judge(object: &Object, meta: &Metadata, known: Option<Stamp>) -> Option<bool> {
    let stamp = meta.stamp;
    let protected = meta.permissions() == OBJECT_MODE;
    let empty = *object.digest.bytes() == md5::EMPTY;
    if !protected || (stamp.size == 0) != empty {
        return None;
    }
    match known {
        Some(known) if known == stamp => Some(true),
        Some(_) => None,
        None => Some(false),
    }
}

/// Removes a corrupted object. A read-only one stays, and is still not used: it was written to through a link in the
/// workspace, which may lead to the only copy of what somebody wrote. So does one in a cache that may only be read.
fn discard(path: &Path) -> Result<()> {
    use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
    if fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o777 == OBJECT_MODE) {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if !matches!(error.kind(), NotFound | PermissionDenied | ReadOnlyFilesystem) => {
            Err(Error::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Makes a file read-only for everybody. A filesystem that cannot do that is no reason to fail.
fn protect(path: &Path) -> Result<()> {
    match fs::set_permissions(path, fs::Permissions::from_mode(OBJECT_MODE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::io("protect", path)(error)),
        _ => Ok(()),
    }
}

/// How many files make a thread of their own worth starting.
pub(crate) const WORTH_A_THREAD: usize = 512;

/// The answers of `ask` for all items, in their order, from several threads when there are many.
pub(crate) fn in_parallel<T: Sync, A: Send>(
    items: &[T],
    threads: usize,
    ask: impl Fn(&T) -> A + Sync,
) -> Vec<A> {
    let share = items.len().div_ceil(threads.max(1)).max(WORTH_A_THREAD);
    let parts: Vec<&[T]> = items.chunks(share).collect();
    let answers: Result<Vec<A>, std::convert::Infallible> =
        in_parallel_parts(&parts, threads, |part| Ok(part.iter().map(&ask).collect()));
    answers.unwrap_or_default()
}

/// The answers of `ask` for all parts, in their order. A thread that is through with a part takes the next one.
pub(crate) fn in_parallel_parts<T: Sync, A: Send, E: Send>(
    parts: &[&[T]],
    threads: usize,
    ask: impl Fn(&[T]) -> Result<Vec<A>, E> + Sync,
) -> Result<Vec<A>, E> {
    if let [only] = parts {
        return ask(only);
    }
    let next = AtomicUsize::new(0);
    let work = || -> Vec<(usize, Result<Vec<A>, E>)> {
        let mut answers = Vec::new();
        while let number = next.fetch_add(1, Ordering::Relaxed)
            && let Some(part) = parts.get(number)
        {
            answers.push((number, ask(part)));
        }
        answers
    };
    let mut answers: Vec<(usize, Result<Vec<A>, E>)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(parts.len())).map(|_| scope.spawn(work)).collect();
        let mut answers = work();
        for other in others {
            answers.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        answers
    });
    answers.sort_unstable_by_key(|(number, _)| *number);
    let mut all = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    for (_, answer) in answers {
        all.extend(answer?);
    }
    Ok(all)
}

/// Whether an error says that there is no such file.
pub(crate) fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Repo {
    /// Lends the table of known files.
    pub(crate) fn with_state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let open = || match self.refuse_private_links() {
            Ok(()) => State::open(&self.state_dir()),
            Err(_) => State::absent(),
        };
        let state = self.state.get_or_init(|| std::sync::Mutex::new(open()));
        act(&mut state.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
