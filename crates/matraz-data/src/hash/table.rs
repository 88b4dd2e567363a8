//! Sorted rows in one file: byte strings with values of one length, for tables of up to some millions of rows.
//!
//! A table is read in one go, as a whole or from one key to another, and rewritten as a whole; what changes little by
//! little goes to a log beside it first. SQLite works on every row by itself, which bounded `status` and `add` of many
//! files.
//!
//! The file is a sequence of blocks and ends with an index of them, which holds the first key and a checksum of each.
//! The log is a sequence of batches with a checksum. Nothing waits for the disk: after a power loss, a block or batch
//! that the disk never got fails its checksum and counts as absent. A new table replaces the old one by a rename, and
//! readers take no lock: they read the log before the table, so that rows which move from one to the other meanwhile are
//! seen in either.
//!
//! ```text
//! row    key length u16 · key · value            log    batch…
//! block  row…                                    batch  length u32 · checksum u64 · change…
//! file   block… · index · trailer                change 0 or 1 (removed) u8 · key length u16 · key · value
//! index  entry…, an entry being offset u64 · length u32 · checksum u64 · key length u16 · first key
//! trailer  offset of the index u64 · its checksum u64 · value length u32 · "mtz1"
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of a block, about.
const BLOCK: usize = 32 * 1024;
const TRAILER: usize = 24;
const MAGIC: &[u8; 4] = b"mtz1";
/// Changes of fewer bytes go to the log, unless the table itself is small.
const LOG_ROOM: u64 = 64 * 1024;
/// The part of the table's size that the log may reach.
const LOG_SHARE: u64 = 8;

/// A table whose values have `V` bytes.
#[derive(Clone, Debug)]
pub struct Table<const V: usize> {
    file: PathBuf,
    log: PathBuf,
    lock: PathBuf,
}

/// Rows in the order of their keys.
#[derive(Clone, Debug, Default)]
pub struct Rows<const V: usize> {
    /// Rows as in a block, one after the other.
    bytes: Vec<u8>,
    count: usize,
}

/// Later changes by key; `None` removes.
#[derive(Clone, Debug)]
pub struct Changes<const V: usize>(BTreeMap<Vec<u8>, Option<[u8; V]>>);

impl<const V: usize> Default for Changes<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

struct IndexEntry {
    offset: u64,
    length: u32,
    checksum: u64,
    first: Vec<u8>,
}

impl<const V: usize> Table<V> {
    /// The table of a name in a folder. Nothing is touched.
    pub fn at(folder: &Path, name: &str) -> Self {
        let path = |suffix: &str| folder.join(format!("{name}.{suffix}"));
        Self { file: path("table"), log: path("log"), lock: path("lock") }
    }

    /// The rows with `from <= key < below`. What cannot be read counts as absent.
    pub fn rows(&self, from: &[u8], below: &[u8]) -> Rows<V> {
        let (log, _) = self.read_log();
        let rows = self.read_file(from, below).unwrap_or_default();
        let mut log = log.0.range(from.to_vec()..below.to_vec()).peekable();
        if log.peek().is_none() {
            rows
        } else {
            rows.merged(log.map(|(key, value)| (key.as_slice(), *value)))
        }
    }

    /// All rows.
    pub fn all(&self) -> Rows<V> {
        // No key is this long, as its length must fit two bytes.
        self.rows(&[], &[0xff; 1 << 16])
    }

    /// Makes changes, after those of other processes. When they cannot be written, nothing changes.
    pub fn update(&self, changes: &Changes<V>) -> io::Result<()> {
        if changes.0.is_empty() {
            return Ok(());
        }
        let lock = OpenOptions::new().create(true).append(true).open(&self.lock)?;
        lock.lock()?;
        let mut batch = Vec::new();
        for (key, value) in &changes.0 {
            batch.push(u8::from(value.is_none()));
            push_key(&mut batch, key)?;
            batch.extend(value.unwrap_or([0; V]));
        }
        let table = fs::metadata(&self.file).map_or(0, |meta| meta.len());
        let logged = fs::metadata(&self.log).map_or(0, |meta| meta.len());
        if logged + batch.len() as u64 <= LOG_ROOM.max(table / LOG_SHARE) && self.log_is_whole(logged) {
            let mut record = Vec::with_capacity(batch.len() + 12);
            record.extend((batch.len() as u32).to_le_bytes());
            record.extend(checksum(&batch).to_le_bytes());
            record.extend(batch);
            return OpenOptions::new().create(true).append(true).open(&self.log)?.write_all(&record);
        }
        drop(batch);
        let old = self.all();
        let new = old.merged(changes.0.iter().map(|(key, value)| (key.as_slice(), *value)));
        drop(old);
        new.write(&self.file)?;
        match fs::remove_file(&self.log) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether something that is appended to the log will be found there.
    fn log_is_whole(&self, length: u64) -> bool {
        length == 0 || self.read_log().1 as u64 == length
    }

    /// The changes in the log and the bytes up to which it is sound.
    fn read_log(&self) -> (Changes<V>, usize) {
        let mut changes = Changes::default();
        let bytes = fs::read(&self.log).unwrap_or_default();
        let mut sound = 0;
        while let Some((length, rest)) = split::<4>(&bytes[sound..])
            && let Some((expected, rest)) = split::<8>(rest)
            && let Some(mut batch) = rest.get(..u32::from_le_bytes(*length) as usize)
            && checksum(batch) == u64::from_le_bytes(*expected)
        {
            sound += 12 + batch.len();
            while let Some((&removed, rest)) = batch.split_first()
                && let Some((key, value, rest)) = split_row::<V>(rest)
            {
                changes.0.insert(key.to_vec(), (removed == 0).then_some(*value));
                batch = rest;
            }
        }
        (changes, sound)
    }

    fn read_file(&self, from: &[u8], below: &[u8]) -> io::Result<Rows<V>> {
        let mut rows = Rows::default();
        let mut file = match File::open(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(rows),
            other => other?,
        };
        let index = read_index::<V>(&mut file)?;
        // The block before the first one that starts behind `from` may hold it.
        let first = index.partition_point(|entry| entry.first.as_slice() <= from).saturating_sub(1);
        let end = index.partition_point(|entry| entry.first.as_slice() < below);
        let wanted = index.get(first..end.max(first)).unwrap_or_default();
        let (Some(start), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(rows) };
        let mut bytes = vec![0; (last.offset + u64::from(last.length) - start.offset) as usize];
        file.read_exact_at(&mut bytes, start.offset)?;
        for entry in wanted {
            let at = (entry.offset - start.offset) as usize;
            let block = bytes.get(at..at + entry.length as usize).ok_or(io::ErrorKind::InvalidData)?;
            if checksum(block) != entry.checksum {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        // Of the outer blocks, only some rows are wanted.
        let (mut start, mut end, mut at) = (0, 0, 0);
        while let Some((key, _, rest)) = split_row::<V>(&bytes[at..]) {
            let next = bytes.len() - rest.len();
            if key < from {
                start = next;
            } else if key < below {
                rows.count += 1;
            } else {
                break;
            }
            end = next;
            at = next;
        }
        bytes.truncate(end);
        bytes.drain(..start);
        rows.bytes = bytes;
        Ok(rows)
    }
}

impl<const V: usize> Rows<V> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Key and value of each.
    pub fn iter(&self) -> RowIter<'_, V> {
        RowIter { rest: &self.bytes }
    }

    /// The value of a key, when all keys have the length of this one.
    pub fn find_fixed(&self, key: &[u8]) -> Option<&[u8; V]> {
        self.find_between(key, 0, self.bytes.len() / (2 + key.len() + V)).ok()
    }

    /// Like [`find_fixed`](Self::find_fixed), and quicker when `at` is a row shortly before that of the key. It becomes
    /// the row of the key, or the one behind its place.
    pub fn find_fixed_near(&self, key: &[u8], at: &mut usize) -> Option<&[u8; V]> {
        let width = 2 + key.len() + V;
        let count = self.bytes.len() / width;
        let before = |row: usize| {
            row < count && split_row::<V>(&self.bytes[row * width..]).is_some_and(|(found, ..)| found < key)
        };
        let (mut low, mut step) = (*at, 1);
        if low > 0 && !before(low - 1) {
            low = 0;
        }
        let mut high = low;
        while before(high) {
            low = high + 1;
            high += step;
            step *= 2;
        }
        let found = self.find_between(key, low, (high + 1).min(count));
        *at = match found {
            Ok(_) => low,
            Err(place) => place,
        };
        found.ok()
    }

    /// Finds a key of fixed length between two rows; an error says where it would be.
    fn find_between(&self, key: &[u8], mut low: usize, mut high: usize) -> Result<&[u8; V], usize> {
        let width = 2 + key.len() + V;
        while low < high {
            let middle = (low + high) / 2;
            let (found, value, _) = split_row::<V>(&self.bytes[middle * width..]).ok_or(low)?;
            match found.cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(value),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Where each row starts, for [`part`](Self::part).
    pub fn starts(&self) -> Vec<usize> {
        let mut rest = self.bytes.as_slice();
        let mut starts = Vec::with_capacity(self.count);
        while let Some((_, _, after)) = split_row::<V>(rest) {
            starts.push(self.bytes.len() - rest.len());
            rest = after;
        }
        starts
    }

    /// The rows with `from <= key < below`.
    pub fn part(&self, starts: &[usize], from: &[u8], below: &[u8]) -> RowIter<'_, V> {
        let key = |start: usize| split_row::<V>(&self.bytes[start..]).map_or(&[][..], |(key, _, _)| key);
        let first = starts.partition_point(|start| key(*start) < from);
        let end = first + starts[first..].partition_point(|start| key(*start) < below);
        let at = |row: usize| starts.get(row).copied().unwrap_or(self.bytes.len());
        RowIter { rest: &self.bytes[at(first)..at(end)] }
    }

    /// The rows with some of them replaced, added or (`None`) removed; the changes are sorted by key.
    fn merged<'c>(&self, changes: impl Iterator<Item = (&'c [u8], Option<[u8; V]>)>) -> Self {
        let mut merged = Self { bytes: Vec::with_capacity(self.bytes.len() + 1024), count: 0 };
        let mut old = self.iter().peekable();
        for (key, value) in changes {
            while let Some((key, value)) = old.next_if(|(old, _)| *old < key) {
                merged.push(key, value);
            }
            old.next_if(|(old, _)| *old == key);
            if let Some(value) = value {
                merged.push(key, &value);
            }
        }
        for (key, value) in old {
            merged.push(key, value);
        }
        merged
    }

    fn push(&mut self, key: &[u8], value: &[u8; V]) {
        self.bytes.extend((key.len() as u16).to_le_bytes());
        self.bytes.extend(key);
        self.bytes.extend(value);
        self.count += 1;
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let temp = path.with_file_name(matraz_base::file::temporary_name());
        let written = (|| {
            let mut file = File::create_new(&temp)?;
            file.write_all(&self.bytes)?;
            let mut index = Vec::new();
            let mut start = 0;
            while start < self.bytes.len() {
                let mut end = start;
                let mut first = None;
                while end - start < BLOCK
                    && let Some((key, _, rest)) = split_row::<V>(&self.bytes[end..])
                {
                    first.get_or_insert(key);
                    end = self.bytes.len() - rest.len();
                }
                index.extend((start as u64).to_le_bytes());
                index.extend(((end - start) as u32).to_le_bytes());
                index.extend(checksum(&self.bytes[start..end]).to_le_bytes());
                push_key(&mut index, first.ok_or(io::ErrorKind::InvalidData)?)?;
                start = end;
            }
            file.write_all(&index)?;
            let mut trailer = Vec::with_capacity(TRAILER);
            trailer.extend((self.bytes.len() as u64).to_le_bytes());
            trailer.extend(checksum(&index).to_le_bytes());
            trailer.extend((V as u32).to_le_bytes());
            trailer.extend(MAGIC);
            file.write_all(&trailer)?;
            fs::rename(&temp, path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temp);
        }
        written
    }
}

/// Goes through [`Rows`].
#[derive(Clone, Debug)]
pub struct RowIter<'r, const V: usize> {
    rest: &'r [u8],
}

impl<'r, const V: usize> Iterator for RowIter<'r, V> {
    type Item = (&'r [u8], &'r [u8; V]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value, rest) = split_row::<V>(self.rest)?;
        self.rest = rest;
        Some((key, value))
    }
}

impl<const V: usize> Changes<V> {
    /// Adds or replaces a row.
    pub fn put(&mut self, key: Vec<u8>, value: [u8; V]) {
        self.0.insert(key, Some(value));
    }

    /// Removes a row.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.0.insert(key, None);
    }
}

fn read_index<const V: usize>(file: &mut File) -> io::Result<Vec<IndexEntry>> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let length = file.metadata()?.len();
    let trailer_at = length.checked_sub(TRAILER as u64).ok_or_else(broken)?;
    let mut trailer = [0; TRAILER];
    file.read_exact_at(&mut trailer, trailer_at)?;
    let (offset, rest) = split::<8>(&trailer).ok_or_else(broken)?;
    let (expected, rest) = split::<8>(rest).ok_or_else(broken)?;
    let offset = u64::from_le_bytes(*offset);
    if rest[..4] != (V as u32).to_le_bytes() || &rest[4..] != MAGIC || offset > trailer_at {
        return Err(broken());
    }
    let mut bytes = vec![0; (trailer_at - offset) as usize];
    file.read_exact_at(&mut bytes, offset)?;
    if checksum(&bytes) != u64::from_le_bytes(*expected) {
        return Err(broken());
    }
    let mut index = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((offset, after)) = split::<8>(rest)
        && let Some((length, after)) = split::<4>(after)
        && let Some((checksum, after)) = split::<8>(after)
        && let Some((first, _, after)) = split_row::<0>(after)
    {
        index.push(IndexEntry {
            offset: u64::from_le_bytes(*offset),
            length: u32::from_le_bytes(*length),
            checksum: u64::from_le_bytes(*checksum),
            first: first.to_vec(),
        });
        rest = after;
    }
    Ok(index)
}

fn push_key(bytes: &mut Vec<u8>, key: &[u8]) -> io::Result<()> {
    let length = u16::try_from(key.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    bytes.extend(length.to_le_bytes());
    bytes.extend(key);
    Ok(())
}

fn split<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8])> {
    bytes.split_first_chunk::<N>()
}

/// Key, value and what follows.
fn split_row<const V: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8; V], &[u8])> {
    let (length, rest) = split::<2>(bytes)?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let (value, rest) = split::<V>(rest)?;
    Some((key, value, rest))
}

/// Tells bytes that were written from those that the disk made up; four lanes, so that it runs at the speed of memory.
fn checksum(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut lanes = [1, 2, 3, bytes.len() as u64 ^ ODD];
    let mix = |lane: &mut u64, word: u64| *lane = (*lane ^ word).wrapping_mul(ODD).rotate_left(31);
    let (chunks, rest) = bytes.as_chunks::<32>();
    for chunk in chunks {
        for (lane, word) in lanes.iter_mut().zip(chunk.as_chunks::<8>().0) {
            mix(lane, u64::from_le_bytes(*word));
        }
    }
    for byte in rest {
        mix(&mut lanes[0], u64::from(*byte) + 1);
    }
    let [mut sum, more @ ..] = lanes;
    for lane in more {
        mix(&mut sum, lane);
    }
    sum ^ (sum >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Plain = BTreeMap<Vec<u8>, [u8; 4]>;

    fn read(table: &Table<4>, from: &[u8], below: &[u8]) -> Plain {
        let rows = table.rows(from, below);
        let found: Plain = rows.iter().map(|(key, value)| (key.to_vec(), *value)).collect();
        assert_eq!(rows.len(), found.len());
        found
    }

    fn key(n: u32) -> Vec<u8> {
        format!("folder/{:05}", n).into_bytes()
    }

    fn puts(numbers: impl IntoIterator<Item = u32>) -> Changes<4> {
        let mut changes = Changes::default();
        for n in numbers {
            changes.put(key(n), n.to_le_bytes());
        }
        changes
    }

    #[test]
    fn rows_are_found_one_after_the_other() {
        let mut rows = Rows::<1>::default();
        (0..200_u8).filter(|n| n % 3 != 0).for_each(|n| rows.push(&[n], &[n]));
        for step in [1, 2, 7, 50] {
            let mut at = 0;
            for n in (0..=255_u8).step_by(step).chain([3, 4, 199, 1]) {
                let expected = (n < 200 && n % 3 != 0).then_some([n]);
                assert_eq!(rows.find_fixed_near(&[n], &mut at).copied(), expected, "{n} by {step}");
                assert_eq!(rows.find_fixed(&[n]).copied(), expected);
            }
        }
        assert_eq!(Rows::<1>::default().find_fixed_near(&[1], &mut 0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_table_is_a_map(batches in proptest::collection::vec(
            proptest::collection::vec((0..6000u32, any::<bool>(), 0..900u32), 1..6), 1..7), ends in (0..7000u32, 0..7000u32),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut plain = Plain::new();
            for batch in batches {
                let mut changes = Changes::default();
                for (start, put, length) in batch {
                    for n in start..start + length {
                        if put {
                            plain.insert(key(n), (n + length).to_le_bytes());
                            changes.put(key(n), (n + length).to_le_bytes());
                        } else {
                            plain.remove(&key(n));
                            changes.remove(key(n));
                        }
                    }
                }
                Table::<4>::at(folder.path(), "t").update(&changes).unwrap();
            }
            let table = Table::<4>::at(folder.path(), "t");
            let all: Plain = table.all().iter().map(|(key, value)| (key.to_vec(), *value)).collect();
            prop_assert_eq!(&all, &plain);
            let (from, below) = (key(ends.0.min(ends.1)), key(ends.0.max(ends.1)));
            let part: Plain = plain.range(from.clone()..below.clone()).map(|(k, v)| (k.clone(), *v)).collect();
            prop_assert_eq!(read(&table, &from, &below), part);
            let rows = table.all();
            let starts = rows.starts();
            prop_assert!(rows.part(&starts, &from, &below).eq(table.rows(&from, &below).iter()));
            for n in 0..7000 {
                prop_assert_eq!(rows.find_fixed(&key(n)), plain.get(&key(n)));
            }
        }
    }

    #[test]
    fn damage_is_seen_and_mended_by_the_next_update() {
        let folder = tempfile::tempdir().unwrap();
        let table = Table::<4>::at(folder.path(), "t");
        table.update(&puts(0..20_000)).unwrap();
        table.update(&puts([20_000])).unwrap();
        table.update(&puts([20_001])).unwrap();
        assert_eq!(table.all().len(), 20_002);
        // The disk never got the end of the log.
        let log = fs::read(&table.log).unwrap();
        fs::write(&table.log, &log[..log.len() - 3]).unwrap();
        assert_eq!(table.all().len(), 20_001);
        table.update(&puts([20_002])).unwrap();
        assert_eq!(table.all().len(), 20_002);
        // A block was lost: rows may be missing, but none is made up.
        let sound = fs::read(&table.file).unwrap();
        for at in (0..sound.len()).step_by(sound.len() / 50) {
            let mut bytes = sound.clone();
            for byte in bytes.iter_mut().skip(at).take(4096) {
                *byte = 0;
            }
            fs::write(&table.file, &bytes).unwrap();
            for (key_found, value) in table.all().iter() {
                assert_eq!(key_found, key(u32::from_le_bytes(*value)));
            }
            fs::write(&table.file, &sound[..at]).unwrap();
            assert!(table.all().len() <= 1);
        }
        table.update(&puts(0..20_000)).unwrap();
        assert_eq!(table.all().len(), 20_000);
    }

    #[test]
    fn threads_and_processes_lose_nothing_of_each_other() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4u32 {
                let folder = folder.path();
                scope.spawn(move || {
                    for n in 0..40 {
                        let start = thread * 10_000 + n * 100;
                        let table = Table::<4>::at(folder, "t");
                        table.update(&puts(start..start + 100)).unwrap();
                        assert!(read(&table, &key(start), &key(start + 100)).len() == 100);
                    }
                });
            }
        });
        assert_eq!(Table::<4>::at(folder.path(), "t").all().len(), 16_000);
    }

    #[test]
    fn a_folder_that_cannot_be_written_reads_as_empty() {
        let table = Table::<4>::at(Path::new("/proc/nowhere"), "t");
        assert!(table.update(&puts([1])).is_err());
        assert!(table.all().is_empty());
    }
}
