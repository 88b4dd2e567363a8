//! Floor programs: only the system calls that a command cannot do without, to know what bounds it.
//!
//! ```text
//! cargo run --release -p matraz-data --example floor -- THREADS look FOLDER     list a folder and look at every file
//! cargo run --release -p matraz-data --example floor -- THREADS read FOLDER     open, read and close every file
//! cargo run --release -p matraz-data --example floor -- THREADS hash FOLDER     the same, and MD5 as `add` takes it
//! cargo run --release -p matraz-data --example floor -- THREADS make FOLDER NUMBER BYTES [nursery]
//!                       make files in 256 folders, each under another name first; in a nursery when asked to
//! ```
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for measuring")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use matraz_data::hash::many;
use matraz_data::metadata::Viewer;
use matraz_store::Nursery;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads: usize = arguments[0].parse().unwrap();
    let folder = Path::new(&arguments[2]);
    match arguments[1].as_str() {
        "look" => {
            let start = Instant::now();
            let files = files(folder);
            let listed = start.elapsed();
            let share = files.len().div_ceil(threads).max(1);
            std::thread::scope(|scope| {
                for part in files.chunks(share) {
                    scope.spawn(move || {
                        let mut viewer = Viewer::new(folder);
                        part.iter().for_each(|path| assert!(viewer.look(path).is_ok()));
                    });
                }
            });
            report(files.len(), 0, start.elapsed());
            println!("of that {:.1} ms for the list", listed.as_secs_f64() * 1e3);
        }
        "read" => {
            let files = files(folder);
            let start = Instant::now();
            let bytes = AtomicU64::new(0);
            each(files.len(), threads, |buffer, n| {
                let mut file = File::open(folder.join(&files[n])).unwrap();
                loop {
                    let length = file.read(buffer).unwrap();
                    bytes.fetch_add(length as u64, Ordering::Relaxed);
                    if length < buffer.len() {
                        break;
                    }
                }
            });
            report(files.len(), bytes.into_inner(), start.elapsed());
        }
        "hash" => {
            let files: Vec<(PathBuf, bool)> =
                files(folder).iter().map(|path| (folder.join(path), false)).collect();
            let bytes = files.iter().map(|(path, _)| fs::metadata(path).unwrap().len()).sum();
            let start = Instant::now();
            many::of_files(&files, threads, &AtomicBool::new(false)).unwrap();
            report(files.len(), bytes, start.elapsed());
        }
        "make" => {
            let number: usize = arguments[3].parse().unwrap();
            let content = vec![7; arguments[4].parse().unwrap()];
            let nursery =
                arguments.get(5).is_some_and(|word| word == "nursery").then(|| Nursery::new(folder));
            let start = Instant::now();
            let place = |n: usize| folder.join(format!("{:02x}", n % 256));
            (0..256).for_each(|n| fs::create_dir_all(place(n)).unwrap());
            each(number, threads, |_, n| {
                let target = place(n).join(n.to_string());
                if let Some(nursery) = &nursery {
                    let mut newborn = nursery.create(&place(n), 0o444).unwrap();
                    newborn.file.write_all(&content).unwrap();
                    newborn.show(&target).unwrap();
                    return;
                }
                let temp = place(n).join(format!("{n}.tmp"));
                File::create_new(&temp).unwrap().write_all(&content).unwrap();
                fs::rename(&temp, &target).unwrap();
            });
            report(number, (number * content.len()) as u64, start.elapsed());
        }
        other => println!("no floor program is called '{other}'"),
    }
}

/// The files below a folder, relative to it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(at) = pending.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => pending.push(entry.path()),
                false => found.push(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    found
}

fn each(number: usize, threads: usize, act: impl Fn(&mut [u8], usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= number {
                        break;
                    }
                    act(&mut buffer, n);
                }
            });
        }
    });
}

fn report(files: usize, bytes: u64, time: Duration) {
    let seconds = time.as_secs_f64();
    let speed = bytes as f64 / seconds / 1e6;
    println!(
        "{files} files, {:.1} ms, {:.2} µs each, {speed:.0} MB/s",
        seconds * 1e3,
        seconds * 1e6 / files as f64
    );
}
