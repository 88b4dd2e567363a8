//! The write-ahead log of a spool: records that are on the disk when they are acknowledged.
//!
//! A record is its length (4 bytes, little end first), the CRC-32 of what follows (4 bytes), the length of the head (4
//! bytes), the head (JSON) and the body. A process that is killed leaves at most a torn record at the end, which nobody
//! was told of; what is cut off is kept in a file beside the log all the same. Many writers share one sync of the disk.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use flate2::Crc;
use tokio::sync::oneshot;

use super::SpoolError;

/// The longest record, in bytes: a longer length is not one.
const LONGEST: u32 = 1 << 30;
/// The bytes before the head.
const PREFIX: usize = 12;
/// Records that are written with one sync.
const TOGETHER: usize = 512;

/// Where a record is in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    offset: u64,
    length: u32,
}

/// A record as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub head: Vec<u8>,
    pub body: Vec<u8>,
}

impl Record {
    pub(super) fn new(head: &impl serde::Serialize, body: &[u8]) -> Self {
        Self { head: serde_json::to_vec(head).unwrap_or_default(), body: body.to_vec() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PREFIX + self.head.len() + self.body.len());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&(self.head.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(&self.body);
        let length = (bytes.len() - 8) as u32;
        let mut crc = Crc::new();
        crc.update(&bytes[8..]);
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes[4..8].copy_from_slice(&crc.sum().to_le_bytes());
        bytes
    }

    /// The record at the start of `bytes`, with its whole length; `None` when it is torn.
    fn read(bytes: &[u8]) -> Option<(Self, u32)> {
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (length, sum, head) = (number(0)?, number(4)?, number(8)? as usize);
        if !(4..LONGEST).contains(&length) {
            return None;
        }
        let content = bytes.get(8..8 + length as usize)?;
        let mut crc = Crc::new();
        crc.update(content);
        if crc.sum() != sum || content.len() < 4 + head {
            return None;
        }
        let (head, body) = content[4..].split_at(head);
        Some((Self { head: head.to_vec(), body: body.to_vec() }, length + 8))
    }
}

struct Job {
    record: Record,
    sync: bool,
    done: oneshot::Sender<io::Result<Place>>,
}

/// An open log. Appending goes through a thread of its own.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: Arc<File>,
    size: Arc<AtomicU64>,
    jobs: mpsc::Sender<Job>,
}

impl Log {
    /// Opens the log, or makes it. Gives every whole record to `each`, in order.
    pub(super) fn open(
        path: &Path,
        mut each: impl FnMut(Record, Place) -> Result<(), SpoolError>,
    ) -> Result<Self, SpoolError> {
        let failed = |action| move |source| SpoolError::file(action, path, source);
        let file = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = file.map_err(failed("open"))?;
        let whole = file.metadata().map_err(failed("read"))?.len();
        let mut good = 0_u64;
        let mut reader = io::BufReader::with_capacity(1 << 20, &mut file);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let mut prefix = [0; 4];
            if reader.read_exact(&mut prefix).is_err() {
                break;
            }
            let length = u32::from_le_bytes(prefix);
            if length >= LONGEST || good + 8 + u64::from(length) > whole {
                break;
            }
            bytes.extend_from_slice(&prefix);
            bytes.resize(8 + length as usize, 0);
            if reader.read_exact(&mut bytes[4..]).is_err() {
                break;
            }
            let Some((record, length)) = Record::read(&bytes) else { break };
            each(record, Place { offset: good, length })?;
            good += u64::from(length);
        }
        if good < whole {
            keep_torn(path, &mut file, good).map_err(failed("mend"))?;
        }
        let file = Arc::new(file);
        let size = Arc::new(AtomicU64::new(good));
        let (jobs, queue) = mpsc::channel();
        let (writer, written) = (Arc::clone(&file), Arc::clone(&size));
        std::thread::Builder::new()
            .name("spool-log".into())
            .spawn(move || write_all(&writer, &written, &queue))
            .map_err(failed("open"))?;
        Ok(Self { path: path.to_path_buf(), file, size, jobs })
    }

    /// Hands a record over, in the order of the calls, and gives a future of its place; with `sync` it is on the disk then.
    pub(super) fn append(
        &self,
        record: Record,
        sync: bool,
    ) -> impl Future<Output = Result<Place, SpoolError>> + Send + use<> {
        let (done, answer) = oneshot::channel();
        let sent = self.jobs.send(Job { record, sync, done });
        let path = self.path.clone();
        async move {
            let gone = || io::Error::other("the writer of the log is gone");
            let written = match sent {
                Ok(()) => answer.await.unwrap_or_else(|_| Err(gone())),
                Err(_) => Err(gone()),
            };
            written.map_err(|source| SpoolError::file("write", &path, source))
        }
    }

    /// Reads a record.
    pub(super) fn read(&self, place: Place) -> Result<Record, SpoolError> {
        let mut bytes = vec![0; place.length as usize];
        let read = self.file.read_exact_at(&mut bytes, place.offset);
        read.map_err(|source| SpoolError::file("read", &self.path, source))?;
        let torn = || SpoolError::Damaged { path: self.path.clone() };
        Record::read(&bytes).map(|(record, _)| record).ok_or_else(torn)
    }

    /// Bytes in the file.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Empties the log. Nobody may append at the same time.
    pub(super) fn clear(&self) -> Result<(), SpoolError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.sync_all());
        emptied.map_err(|source| SpoolError::file("empty", &self.path, source))?;
        self.size.store(0, Ordering::Relaxed);
        Ok(())
    }
}

/// Cuts off what is no whole record and keeps it beside the log.
fn keep_torn(path: &Path, file: &mut File, good: u64) -> io::Result<()> {
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(good))?;
    file.read_to_end(&mut rest)?;
    let mut torn = path.as_os_str().to_owned();
    torn.push(".torn");
    OpenOptions::new().append(true).create(true).open(torn)?.write_all(&rest)?;
    file.set_len(good)?;
    file.sync_all()
}

fn write_all(file: &File, size: &AtomicU64, queue: &mpsc::Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut jobs = VecDeque::from([first]);
        while let Some(next) = queue.try_recv().ok().filter(|_| jobs.len() < TOGETHER) {
            jobs.push_back(next);
        }
        let start = size.load(Ordering::Relaxed);
        let (mut bytes, mut places) = (Vec::new(), Vec::with_capacity(jobs.len()));
        for job in &jobs {
            let record = job.record.bytes();
            places.push(Place { offset: start + bytes.len() as u64, length: record.len() as u32 });
            bytes.extend_from_slice(&record);
        }
        let sync = jobs.iter().any(|job| job.sync);
        let mut file_ref = file;
        let written = file_ref.write_all(&bytes).and_then(|()| if sync { file.sync_data() } else { Ok(()) });
        match &written {
            Ok(()) => size.store(start + bytes.len() as u64, Ordering::Relaxed),
            // What was written of it must not stand before the next record.
            Err(_) => drop(file.set_len(start)),
        }
        for (job, place) in jobs.into_iter().zip(places) {
            let answer = match &written {
                Ok(()) => Ok(place),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            let _ = job.done.send(answer);
        }
    }
}

/// Writes a log anew: with these records and nothing else, all or nothing.
pub(super) fn rewrite(path: &Path, records: &[Record]) -> Result<(), SpoolError> {
    let bytes: Vec<u8> = records.iter().flat_map(Record::bytes).collect();
    matraz_base::file::write(path, &bytes).map_err(|source| SpoolError::file("write", path, source))
}

/// The records of a log that nobody has open.
pub(super) fn records(path: &Path) -> Result<Vec<Record>, SpoolError> {
    let mut bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(SpoolError::file("read", path, error)),
    };
    let mut records = Vec::new();
    while let Some((record, length)) = Record::read(&bytes) {
        records.push(record);
        bytes.drain(..length as usize);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reopened(path: &Path) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        Log::open(path, |record, _| {
            bodies.push(record.body);
            Ok(())
        })
        .unwrap();
        bodies
    }

    #[tokio::test]
    async fn every_cut_and_every_flipped_bit_leaves_the_records_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::open(&path, |_, _| Ok(())).unwrap();
        let mut ends = vec![0];
        for body in ["one", "", "three three three"] {
            log.append(Record::new(&1, body.as_bytes()), true).await.unwrap();
            ends.push(log.size());
        }
        drop(log);
        let whole = fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let expected = ends.iter().filter(|end| **end <= cut as u64).count() - 1;
            assert_eq!(reopened(&path).len(), expected, "cut at {cut}");
            // What follows is written behind the last whole record.
            let log = Log::open(&path, |_, _| Ok(())).unwrap();
            let place = log.append(Record::new(&2, b"next"), true).await.unwrap();
            assert_eq!(log.read(place).unwrap().body, b"next");
            drop(log);
            assert_eq!(reopened(&path).len(), expected + 1, "after a cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            fs::write(&path, &flipped).unwrap();
            let before = ends.iter().filter(|end| **end <= at as u64).count() - 1;
            assert_eq!(reopened(&path).len(), before, "flipped at {at}");
        }
    }
}
