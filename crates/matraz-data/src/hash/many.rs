//! MD5 of many files: a few threads, each with as many files open as its kernel has lanes.
//!
//! A lane owns a file and a buffer of 64 KiB. All lanes of a thread advance by the smallest number of blocks that any of
//! them has left; a lane that runs out is filled again, or gets the next file. Whoever asks for the digests sees
//! the bytes as they pass, so that a copy does not read a file twice.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::lanes::{BLOCK, INITIAL, Kernel, States};
use super::md5;
use crate::{Error, Result};

/// Bytes of a file that are in memory at a time. A file that is no longer comes as a whole (see [`Hashed::whole`]).
pub const BUFFER: usize = 64 * 1024;
/// Room for the padding that MD5 puts behind the last byte.
const PADDING: usize = 2 * BLOCK;

/// Files to hash, numbered from 0, and what to do with them.
pub trait Work: Sync {
    /// What belongs to a file while it is being read: a half-written copy, perhaps.
    type Open;

    /// Where the file is, for error messages.
    fn path(&self, job: usize) -> &Path;
    /// Opens the file.
    fn open(&self, job: usize) -> Result<Opened<Self::Open>>;
    /// The next bytes of a file that is longer than [`BUFFER`].
    fn chunk(&self, job: usize, open: &mut Self::Open, bytes: &[u8]) -> Result<()>;
    /// A file is done, or failed. An error from here ends all work.
    fn done(&self, job: usize, outcome: Result<(Self::Open, Hashed<'_>)>) -> Result<()>;
}

/// A file that was opened.
pub struct Opened<O> {
    /// Its bytes.
    pub reader: Box<dyn Read>,
    /// Their number; when it is known, a system call is saved.
    pub size: Option<u64>,
    /// What belongs to the file while it is being read.
    pub with: O,
}

/// The outcome for a file.
#[derive(Clone, Copy, Debug)]
pub struct Hashed<'b> {
    /// The MD5.
    pub md5: [u8; 16],
    /// Bytes that were read.
    pub size: u64,
    /// The content, when it fitted the buffer; else it went through [`Work::chunk`].
    pub whole: Option<&'b [u8]>,
}

/// How many threads are worth starting on this machine.
pub fn threads() -> usize {
    // Asking takes a dozen calls of the system.
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Hashes the files `0..jobs` on up to `threads` threads. Ends early when `stop` becomes true.
pub fn run<W: Work>(work: &W, jobs: usize, threads: usize, stop: &AtomicBool) -> Result<()> {
    run_with(work, jobs, threads, stop, Kernel::detect())
}

fn run_with<W: Work>(work: &W, jobs: usize, threads: usize, stop: &AtomicBool, kernel: Kernel) -> Result<()> {
    let threads = threads.clamp(1, jobs.max(1));
    let share = kernel.lanes().min(jobs.div_ceil(threads));
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let first_error = Mutex::new(None);
    let one_thread = || {
        let take = || {
            let job = next.fetch_add(1, Ordering::Relaxed);
            let go_on = job < jobs && !failed.load(Ordering::Relaxed) && !stop.load(Ordering::Relaxed);
            go_on.then_some(job)
        };
        let halted = || failed.load(Ordering::Relaxed) || stop.load(Ordering::Relaxed);
        if let Err(error) = lanes_of_a_thread(work, kernel, share, take, halted) {
            failed.store(true, Ordering::Relaxed);
            first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    };
    if threads == 1 {
        one_thread();
    } else {
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(one_thread);
            }
            one_thread();
        });
    }
    if let Some(error) = first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    if stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
}

/// The MD5 of files in their order. The flag asks for the digest that DVC 2 gave; such files are read one by one.
pub fn of_files(files: &[(PathBuf, bool)], threads: usize, stop: &AtomicBool) -> Result<Vec<[u8; 16]>> {
    let plain = Plain { files, digests: Mutex::new(vec![[0; 16]; files.len()]) };
    run(&plain, files.len(), threads, stop)?;
    Ok(plain.digests.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Plain<'a> {
    files: &'a [(PathBuf, bool)],
    digests: Mutex<Vec<[u8; 16]>>,
}

impl Work for Plain<'_> {
    type Open = Option<[u8; 16]>;

    fn path(&self, job: usize) -> &Path {
        &self.files[job].0
    }

    fn open(&self, job: usize) -> Result<Opened<Self::Open>> {
        let (path, legacy) = &self.files[job];
        let mut file = File::open(path).map_err(Error::io("read", path))?;
        if *legacy {
            let md5 = md5::legacy(&mut file).map_err(Error::io("read", path))?;
            return Ok(Opened { reader: Box::new(io::empty()), size: Some(0), with: Some(md5) });
        }
        Ok(Opened { reader: Box::new(file), size: None, with: None })
    }

    fn chunk(&self, _: usize, _: &mut Self::Open, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn done(&self, job: usize, outcome: Result<(Self::Open, Hashed<'_>)>) -> Result<()> {
        let (legacy, hashed) = outcome?;
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)[job] = legacy.unwrap_or(hashed.md5);
        Ok(())
    }
}

struct Lane<O> {
    job: usize,
    reader: Box<dyn Read>,
    expected: Option<u64>,
    open: O,
    buffer: Vec<u8>,
    /// The first byte that the kernel has not seen.
    at: usize,
    /// The end of the whole blocks in the buffer, padding included.
    filled: usize,
    /// Bytes of the file up to here.
    total: u64,
    ended: bool,
    /// The file fitted the buffer.
    whole: bool,
}

fn lanes_of_a_thread<W: Work>(
    work: &W,
    kernel: Kernel,
    share: usize,
    take: impl Fn() -> Option<usize>,
    halted: impl Fn() -> bool,
) -> Result<()> {
    let mut states = States::default();
    let mut lanes: Vec<Lane<W::Open>> = Vec::with_capacity(share);
    let mut spare: Vec<Vec<u8>> = Vec::new();
    loop {
        while lanes.len() < share
            && let Some(job) = take()
        {
            let buffer = spare.pop().unwrap_or_else(|| vec![0; BUFFER + PADDING]);
            match start(work, job, buffer) {
                Ok(lane) => {
                    states.set(lanes.len(), INITIAL);
                    lanes.push(lane);
                }
                Err(error) => work.done(job, Err(error))?,
            }
        }
        if lanes.is_empty() || halted() {
            return Ok(());
        }
        let blocks = lanes.iter().map(|lane| (lane.filled - lane.at) / BLOCK).min().unwrap_or(0);
        let mut inputs: [&[u8]; super::lanes::MAX_LANES] = [&[]; super::lanes::MAX_LANES];
        for (input, lane) in inputs.iter_mut().zip(&lanes) {
            *input = &lane.buffer[lane.at..lane.filled];
        }
        kernel.advance(&mut states, &inputs[..lanes.len()], blocks);
        let mut index = 0;
        while index < lanes.len() {
            let lane = &mut lanes[index];
            lane.at += blocks * BLOCK;
            if lane.at < lane.filled {
                index += 1;
                continue;
            }
            let mut failure = None;
            if !lane.ended {
                match refill(work, lane) {
                    Ok(()) => {
                        index += 1;
                        continue;
                    }
                    Err(error) => failure = Some(error),
                }
            }
            // The last lane takes the place of the finished one, so that the used lanes stay together.
            let words = states.get(index);
            states.set(index, states.get(lanes.len() - 1));
            let Lane { job, open, buffer, total, whole, .. } = lanes.swap_remove(index);
            let outcome = match failure {
                Some(error) => Err(error),
                None => {
                    let mut md5 = [0; 16];
                    for (bytes, word) in md5.chunks_exact_mut(4).zip(words) {
                        bytes.copy_from_slice(&word.to_le_bytes());
                    }
                    let content = whole.then(|| &buffer[..total as usize]);
                    Ok((open, Hashed { md5, size: total, whole: content }))
                }
            };
            work.done(job, outcome)?;
            spare.push(buffer);
        }
    }
}

fn start<W: Work>(work: &W, job: usize, buffer: Vec<u8>) -> Result<Lane<W::Open>> {
    let Opened { reader, size: expected, with: open } = work.open(job)?;
    let mut lane =
        Lane { job, reader, expected, open, buffer, at: 0, filled: 0, total: 0, ended: false, whole: false };
    let length = read_on(work, &mut lane)?;
    lane.whole = lane.ended;
    if !lane.whole {
        work.chunk(job, &mut lane.open, &lane.buffer[..length])?;
    }
    Ok(lane)
}

fn refill<W: Work>(work: &W, lane: &mut Lane<W::Open>) -> Result<()> {
    let length = read_on(work, lane)?;
    work.chunk(lane.job, &mut lane.open, &lane.buffer[..length])
}

/// Fills the buffer from its start, with the padding of MD5 (RFC 1321, 3.1 and 3.2) when the file ends.
fn read_on<W: Work>(work: &W, lane: &mut Lane<W::Open>) -> Result<usize> {
    let mut length = 0;
    while length < BUFFER {
        match lane.reader.read(&mut lane.buffer[length..BUFFER]) {
            Ok(0) => {
                lane.ended = true;
                break;
            }
            Ok(n) => {
                length += n;
                lane.total += n as u64;
                // A short read at the known size is the end: asking again would only say so.
                if length < BUFFER && lane.expected == Some(lane.total) {
                    lane.ended = true;
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", work.path(lane.job))(error)),
        }
    }
    lane.at = 0;
    lane.filled = length;
    if lane.ended {
        let padded = (length + 9).next_multiple_of(BLOCK);
        lane.buffer[length] = 0x80;
        lane.buffer[length + 1..padded - 8].fill(0);
        lane.buffer[padded - 8..padded].copy_from_slice(&lane.total.wrapping_mul(8).to_le_bytes());
        lane.filled = padded;
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files in memory; copies are collected to see that every byte passed once.
    struct InMemory {
        files: Vec<Vec<u8>>,
        known_sizes: bool,
        outcomes: Mutex<Vec<Option<Copied>>>,
    }

    /// The digest of a file and the bytes that passed.
    type Copied = ([u8; 16], Vec<u8>);

    impl InMemory {
        fn new(files: Vec<Vec<u8>>, known_sizes: bool) -> Self {
            let outcomes = Mutex::new(vec![None; files.len()]);
            Self { files, known_sizes, outcomes }
        }
    }

    /// Gives bytes in uneven pieces.
    struct Drip(Vec<u8>, usize);

    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = buffer.len().min(self.0.len() - self.1).min(40_000);
            buffer[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
            self.1 += n;
            Ok(n)
        }
    }

    impl Work for InMemory {
        type Open = Vec<u8>;

        fn path(&self, _: usize) -> &Path {
            Path::new("memory")
        }
        fn open(&self, job: usize) -> Result<Opened<Self::Open>> {
            let file = self.files[job].clone();
            let size = self.known_sizes.then_some(file.len() as u64);
            Ok(Opened { reader: Box::new(Drip(file, 0)), size, with: Vec::new() })
        }
        fn chunk(&self, _: usize, open: &mut Self::Open, bytes: &[u8]) -> Result<()> {
            open.extend_from_slice(bytes);
            Ok(())
        }
        fn done(&self, job: usize, outcome: Result<(Self::Open, Hashed<'_>)>) -> Result<()> {
            let (mut copy, hashed) = outcome?;
            copy.extend_from_slice(hashed.whole.unwrap_or_default());
            assert_eq!(hashed.size, copy.len() as u64);
            self.outcomes.lock().unwrap()[job] = Some((hashed.md5, copy));
            Ok(())
        }
    }

    fn bytes(length: usize) -> Vec<u8> {
        let mut state = length as u32 | 1;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(length)
        .collect()
    }

    fn check(lengths: &[usize], known_sizes: bool) {
        for kernel in Kernel::available() {
            for threads in [1, 3] {
                let work = InMemory::new(lengths.iter().map(|&n| bytes(n)).collect(), known_sizes);
                run_with(&work, work.files.len(), threads, &AtomicBool::new(false), kernel).unwrap();
                for (file, outcome) in work.files.iter().zip(work.outcomes.into_inner().unwrap()) {
                    let (md5, copy) = outcome.unwrap();
                    assert_eq!(md5, fast_md5::digest(file), "{kernel:?}, {} bytes", file.len());
                    assert_eq!(&copy, file);
                }
            }
        }
    }

    #[test]
    fn every_short_length() {
        check(&(0..300).collect::<Vec<_>>(), true);
        check(&(0..300).collect::<Vec<_>>(), false);
    }

    #[test]
    fn lengths_around_the_buffer() {
        let near = |n: usize| [n - 65, n - 64, n - 9, n - 8, n - 1, n, n + 1, n + 64];
        let lengths: Vec<usize> = [BUFFER, 2 * BUFFER].into_iter().flat_map(near).collect();
        check(&lengths, true);
        check(&lengths, false);
    }

    #[test]
    fn mixed_lengths_up_to_a_million_bytes() {
        let lengths: Vec<usize> = (0..90usize)
            .map(|n| if n % 9 == 0 { (n * 1_234_567) % 1_000_000 } else { (n * 7_919) % 5_000 })
            .collect();
        check(&lengths, true);
    }

    #[test]
    fn a_stop_is_heard_and_an_error_ends_the_work() {
        let work = InMemory::new(vec![bytes(10); 100], true);
        let stopped = run(&work, 100, 2, &AtomicBool::new(true));
        assert!(matches!(stopped, Err(Error::Interrupted)));
        struct Failing(InMemory);
        impl Work for Failing {
            type Open = ();
            fn path(&self, job: usize) -> &Path {
                self.0.path(job)
            }
            fn open(&self, job: usize) -> Result<Opened<()>> {
                if job == 7 {
                    return Err(Error::io("open", "seven")(io::Error::other("no")));
                }
                Ok(Opened { reader: Box::new(io::empty()), size: None, with: () })
            }
            fn chunk(&self, _: usize, _: &mut (), _: &[u8]) -> Result<()> {
                Ok(())
            }
            fn done(&self, _: usize, outcome: Result<((), Hashed<'_>)>) -> Result<()> {
                outcome.map(|_| ())
            }
        }
        let failing = Failing(InMemory::new(Vec::new(), true));
        let error = run(&failing, 100, 2, &AtomicBool::new(false)).unwrap_err();
        assert_eq!(error.to_string(), "cannot open seven");
    }
}
