//! What is known of files from earlier: a path whose time, size and inode are unchanged need not be hashed again.
//!
//! The [tables](super::table) live under `.dvc/tmp/matraz/`. They are a cache: losing them costs time only. Several
//! processes may use them at once.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::digest::Digest;
use super::table::{Changes, Rows, Table};

/// What tells whether a file is still the same: modification time, size and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds since 1970.
    pub mtime: i64,
    /// Bytes.
    pub size: u64,
    /// The number of the inode.
    pub inode: u64,
}

impl Stamp {
    /// The stamp of a file with this metadata.
    pub fn of(meta: &fs::Metadata) -> Self {
        Self {
            mtime: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
            size: meta.len(),
            inode: meta.ino(),
        }
    }

    /// Whether a write after `moment` is sure to change the stamp.
    ///
    /// The clock of files ticks: a file that was written and hashed within one tick may be written again without a
    /// trace. Filesystems that keep whole seconds tick every one or two seconds, others every few milliseconds.
    pub fn settled_before(&self, moment: SystemTime) -> bool {
        let tick = if self.mtime % 1_000_000_000 == 0 { 2_000_000_000 } else { 20_000_000 };
        self.mtime.saturating_add(tick) <= nanoseconds(moment)
    }
}

fn nanoseconds(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A file whose digest is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What the file looked like then.
    pub stamp: Stamp,
    /// The digest of its content then.
    pub digest: Digest,
}

/// The tables of known files and objects. Every failure reads as an empty table.
#[derive(Clone, Debug)]
pub struct State(Option<Tables>);

#[derive(Clone, Debug)]
struct Tables {
    /// By algorithm and path.
    files: Table<FILE>,
    /// By digest, kind and algorithm.
    objects: Table<STAMP>,
    /// By path.
    placed: Table<PLACED>,
    /// By algorithm and path.
    folders: Table<FOLDER>,
}

/// A folder whose listing is known. To see that the files are those of the last time takes far less than to write their
/// listing and to take its MD5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownFolder {
    /// Of the names and digests of its files, see [`Fingerprint`](super::tree::Fingerprint).
    pub fingerprint: [u8; 16],
    /// The digest of the listing.
    pub digest: Digest,
}

/// Where the digest belongs: to the content, or to the content as DVC 2 saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// MD5 of the bytes.
    Md5,
    /// MD5 with uniform line ends in text.
    LegacyMd5,
}

/// Modification time, size and inode, eight bytes each.
const STAMP: usize = 24;
/// A stamp and the MD5.
const FILE: usize = STAMP + 16;
/// The MD5, or nothing but zeros for a part of an output.
const PLACED: usize = 16;
/// A fingerprint and the MD5 of a listing.
const FOLDER: usize = 32;

impl State {
    /// Knows nothing and remembers nothing: for projects that are not ours to write to.
    pub fn absent() -> Self {
        Self(None)
    }

    /// The tables in `folder`. Where nothing may be written, what is known from earlier is used and nothing is added.
    pub fn open(folder: &Path) -> Self {
        Self(Some(Tables {
            files: Table::at(folder, "files"),
            objects: Table::at(folder, "objects"),
            placed: Table::at(folder, "placed"),
            folders: Table::at(folder, "folders"),
        }))
    }

    /// What is known of the files at or below some paths.
    pub fn files(&self, paths: &[(&str, Algorithm)]) -> KnownFiles {
        // One reading from the first to the last of them, as a reading per path would go through the log each time.
        let from = paths.iter().map(|(path, algorithm)| file_key(*algorithm, path, "")).min();
        let below = paths.iter().map(|(path, algorithm)| file_key(*algorithm, path, AFTER_BELOW)).max();
        let rows = match (&self.0, from, below) {
            (Some(tables), Some(from), Some(below)) => tables.files.rows(&from, &below),
            _ => Rows::default(),
        };
        KnownFiles { starts: rows.starts(), rows }
    }

    /// Remembers files and forgets others, in one step.
    pub fn update(&mut self, algorithm: Algorithm, learned: &[(String, Known)], forgotten: &[String]) {
        let Some(tables) = &self.0 else { return };
        let mut changes = Changes::default();
        for path in forgotten {
            changes.remove(file_key(algorithm, path, ""));
        }
        for (path, known) in learned {
            let mut value = [0; FILE];
            value[..STAMP].copy_from_slice(&known.stamp.to_bytes());
            value[STAMP..].copy_from_slice(known.digest.bytes());
            changes.put(file_key(algorithm, path, ""), value);
        }
        let _ = tables.files.update(&changes);
    }

    /// What is known of a folder.
    pub fn folder(&self, path: &str, algorithm: Algorithm) -> Option<KnownFolder> {
        let rows =
            self.0.as_ref()?.folders.rows(&file_key(algorithm, path, ""), &file_key(algorithm, path, "\0"));
        let (_, value) = rows.iter().next()?;
        let (fingerprint, md5) = value.split_first_chunk::<16>()?;
        Some(KnownFolder { fingerprint: *fingerprint, digest: Digest::dir(md5.try_into().ok()?) })
    }

    /// Remembers a folder.
    pub fn remember_folder(&mut self, path: &str, algorithm: Algorithm, known: KnownFolder) {
        let Some(tables) = &self.0 else { return };
        let mut value = [0; FOLDER];
        value[..16].copy_from_slice(&known.fingerprint);
        value[16..].copy_from_slice(known.digest.bytes());
        let mut changes = Changes::default();
        changes.put(file_key(algorithm, path, ""), value);
        let _ = tables.folders.update(&changes);
    }

    /// The stamps of all cache objects that were made or checked here.
    pub fn objects(&self) -> KnownObjects {
        let rows = self.0.as_ref().map(|tables| tables.objects.all()).unwrap_or_default();
        KnownObjects { rows, later: HashMap::new() }
    }

    /// Remembers what sound cache objects look like.
    pub fn remember_objects(&mut self, algorithm: Algorithm, objects: &[(Digest, Stamp)]) {
        let Some(tables) = &self.0 else { return };
        let mut changes = Changes::default();
        for (digest, stamp) in objects {
            changes.put(object_key(digest, algorithm).to_vec(), stamp.to_bytes());
        }
        let _ = tables.objects.update(&changes);
    }

    /// Remembers that outputs were put into the workspace, so that they can go when nothing tracks them any more: what
    /// they hold, where they are there as a whole.
    pub fn remember_placed(&mut self, outputs: &[(String, Option<Digest>)]) {
        let Some(tables) = &self.0 else { return };
        let mut changes = Changes::default();
        for (path, digest) in outputs {
            changes.put(path.clone().into_bytes(), digest.map_or([0; PLACED], |digest| *digest.bytes()));
        }
        let _ = tables.placed.update(&changes);
    }

    /// The outputs that were put into the workspace, with the MD5 of those that were there as a whole.
    pub fn placed(&self) -> Vec<(String, Option<[u8; 16]>)> {
        let Some(tables) = &self.0 else { return Vec::new() };
        let rows = tables.placed.all();
        let placed = rows.iter().filter_map(|(path, value)| {
            let path = std::str::from_utf8(path).ok()?.to_owned();
            Some((path, (*value != [0; PLACED]).then_some(*value)))
        });
        placed.collect()
    }

    /// Forgets outputs that were put into the workspace.
    pub fn forget_placed(&mut self, paths: &[String]) {
        let Some(tables) = &self.0 else { return };
        let mut changes = Changes::default();
        for path in paths {
            changes.remove(path.clone().into_bytes());
        }
        let _ = tables.placed.update(&changes);
    }
}

/// Files of which something is known.
#[derive(Debug)]
pub struct KnownFiles {
    rows: Rows<FILE>,
    starts: Vec<usize>,
}

impl KnownFiles {
    /// Those at or below one of the paths that were asked for, sorted by path.
    pub fn below(&self, path: &str, algorithm: Algorithm) -> impl Iterator<Item = (&[u8], Known)> {
        let key = |after: &str| file_key(algorithm, path, after);
        let itself = self.rows.part(&self.starts, &key(""), &key("\0"));
        let inside = self.rows.part(&self.starts, &key("/"), &key(AFTER_BELOW));
        itself.chain(inside).map(|(key, value)| {
            let mut md5 = [0; 16];
            md5.copy_from_slice(&value[STAMP..]);
            (&key[1..], Known { stamp: Stamp::from_bytes(value), digest: Digest::file(md5) })
        })
    }
}

/// Objects whose stamp is known.
#[derive(Debug, Default)]
pub struct KnownObjects {
    rows: Rows<STAMP>,
    later: HashMap<(Digest, Algorithm), Stamp>,
}

impl KnownObjects {
    /// What the object looked like when its content was seen to be right.
    pub fn get(&self, digest: &Digest, algorithm: Algorithm) -> Option<Stamp> {
        if let Some(stamp) = self.later.get(&(*digest, algorithm)) {
            return Some(*stamp);
        }
        self.rows.find_fixed(&object_key(digest, algorithm)).map(|value| Stamp::from_bytes(value))
    }

    /// Like [`get`](Self::get), for objects that are asked for in the order of their digests: `at` remembers the place.
    pub fn get_near(&self, digest: &Digest, algorithm: Algorithm, at: &mut usize) -> Option<Stamp> {
        if let Some(stamp) = self.later.get(&(*digest, algorithm)) {
            return Some(*stamp);
        }
        self.rows.find_fixed_near(&object_key(digest, algorithm), at).map(|value| Stamp::from_bytes(value))
    }

    /// Adds one, for this process.
    pub fn insert(&mut self, digest: Digest, algorithm: Algorithm, stamp: Stamp) {
        self.later.insert((digest, algorithm), stamp);
    }
}

/// The character after `/`: what is below a path sorts before the path with this behind it.
const AFTER_BELOW: &str = "0";

fn file_key(algorithm: Algorithm, path: &str, after: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + path.len() + after.len());
    key.push(algorithm as u8);
    key.extend(path.as_bytes());
    key.extend(after.as_bytes());
    key
}

fn object_key(digest: &Digest, algorithm: Algorithm) -> [u8; 17] {
    let mut key = [0; 17];
    key[..16].copy_from_slice(digest.bytes());
    key[16] = u8::from(digest.is_dir()) | (algorithm as u8) << 1;
    key
}

impl Stamp {
    fn to_bytes(self) -> [u8; STAMP] {
        let mut bytes = [0; STAMP];
        bytes[..8].copy_from_slice(&self.mtime.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.size.to_le_bytes());
        bytes[16..].copy_from_slice(&self.inode.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self { mtime: word(bytes, 0) as i64, size: word(bytes, 8), inode: word(bytes, 16) }
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::md5;

    fn sample(n: u64) -> Known {
        let stamp = Stamp { mtime: n as i64, size: n, inode: u64::MAX - n };
        Known { stamp, digest: Digest::file(md5::of_bytes(&n.to_le_bytes())) }
    }

    #[test]
    fn files_are_remembered_by_prefix_and_by_two_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = State::open(folder.path());
        let mut two = State::open(folder.path());
        let learned: Vec<_> = ["d", "d/a", "d/s/b", "d-x", "d.x", "e"]
            .iter()
            .zip(0..)
            .map(|(p, n)| ((*p).to_owned(), sample(n)))
            .collect();
        one.update(Algorithm::Md5, &learned, &[]);
        two.update(Algorithm::Md5, &[("d/new".into(), sample(9))], &["d/a".into()]);
        two.update(Algorithm::LegacyMd5, &[("d/a".into(), sample(8))], &[]);
        let paths = |path: &str, algorithm| -> Vec<String> {
            let files = one.files(&[(path, algorithm), ("d.x", Algorithm::Md5)]);
            let below = files.below(path, algorithm);
            below.map(|(path, _)| String::from_utf8(path.to_vec()).unwrap()).collect()
        };
        assert_eq!(paths("d", Algorithm::Md5), ["d", "d/new", "d/s/b"]);
        assert_eq!(paths("d/s", Algorithm::Md5), ["d/s/b"]);
        assert_eq!(paths("nowhere", Algorithm::Md5), [""; 0]);
        let files = two.files(&[("d/a", Algorithm::LegacyMd5)]);
        assert_eq!(files.below("d/a", Algorithm::LegacyMd5).next(), Some((&b"d/a"[..], sample(8))));
        let objects = [(Digest::dir([1; 16]), sample(3).stamp), (Digest::file([1; 16]), sample(4).stamp)];
        one.remember_objects(Algorithm::LegacyMd5, &objects);
        let mut known = two.objects();
        for (digest, stamp) in objects {
            assert_eq!(known.get(&digest, Algorithm::LegacyMd5), Some(stamp));
            assert_eq!(known.get(&digest, Algorithm::Md5), None);
            known.insert(digest, Algorithm::LegacyMd5, sample(5).stamp);
            assert_eq!(known.get(&digest, Algorithm::LegacyMd5), Some(sample(5).stamp));
        }
    }

    #[test]
    fn a_folder_is_remembered_by_path_and_algorithm() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::open(folder.path());
        let known = KnownFolder { fingerprint: [1; 16], digest: Digest::dir([2; 16]) };
        state.remember_folder("d", Algorithm::Md5, known);
        assert_eq!(state.folder("d", Algorithm::Md5), Some(known));
        assert_eq!(state.folder("d", Algorithm::LegacyMd5), None);
        assert_eq!(state.folder("d/e", Algorithm::Md5), None);
    }

    #[test]
    fn placed_outputs_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::open(folder.path());
        let digest = sample(2).digest;
        let outputs = [("b".into(), None), ("a".into(), Some(digest)), ("d".into(), None)];
        state.remember_placed(&outputs);
        state.forget_placed(&["b".into(), "c".into()]);
        let there = [("a".to_owned(), Some(*digest.bytes())), ("d".to_owned(), None)];
        assert_eq!(State::open(folder.path()).placed(), there);
    }

    #[test]
    fn a_file_written_in_the_tick_of_its_hash_is_not_settled() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let stamp = |mtime| Stamp { mtime, size: 1, inode: 1 };
        assert!(!stamp(1_000_000_000_000_000).settled_before(now));
        assert!(!stamp(999_999_999_999_999).settled_before(now));
        assert!(stamp(999_999_970_000_000).settled_before(now));
        assert!(!stamp(999_999_000_000_000).settled_before(now), "whole seconds tick slowly");
        assert!(stamp(999_998_000_000_000).settled_before(now));
    }
}
