//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const PREFIX: &str = ".matraz-";
const SUFFIX: &str = ".tmp";

/// What tells the temporary files of this process from those of every other one, on this machine and elsewhere.
pub fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        format!("{:016x}", hasher.finish())
    })
}

/// A name for a temporary file that nobody else uses.
pub fn temporary_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{PREFIX}{}-{}{SUFFIX}", mark(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Whether a file is a temporary one, of this or another process.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Removes what a process that was killed left at or below a folder: the temporary files with its mark. Links are not
/// followed, and git's folders are left alone. What cannot be removed stays.
pub fn sweep(folder: &Path, mark: &str) {
    let prefix = format!("{PREFIX}{mark}-");
    let mut pending = vec![folder.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if name != ".git" {
                    pending.push(entry.path());
                }
            } else if name.to_str().is_some_and(|name| name.starts_with(&prefix) && name.ends_with(SUFFIX)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Writes `bytes` to `path` through a temporary file in the same folder, synced and renamed into place.
/// Parent folders are made. A file that exists keeps its permission bits; a new one gets `0666 & !umask`.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Like [`write`], for content that is produced piece by piece.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    fs::create_dir_all(folder)?;
    let mut temp = temporary_beside(path)?;
    fill(temp.as_file_mut())?;
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|error| error.error)?;
    sync_folder(folder);
    Ok(())
}

/// Adds whole lines to the end of a file, in one call of the system. What was there stays whatever happens; a link is
/// refused. The file must exist.
pub fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new().append(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    file.write_all(lines)?;
    file.sync_data()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A temporary file in the same folder with the permission bits of `path`, or those of a new file.
fn temporary_beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let prefix = format!("{PREFIX}{}-", mark());
    builder.prefix(&prefix).suffix(SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let temp = builder.tempfile_in(folder_of(path))?;
    if let Ok(old) = fs::metadata(path) {
        temp.as_file().set_permissions(old.permissions())?;
    }
    Ok(temp)
}

/// How many wait for the disk at the same time.
const SYNCING_THREADS: usize = 32;

/// Like [`write`] for many files: all are written before any is renamed, so that the disk is waited for about once and
/// not once a file. After a failure the files before the faulty one may have been replaced.
pub fn write_many<P: AsRef<Path>>(files: &[(P, Vec<u8>)]) -> io::Result<()> {
    let mut ready = Vec::with_capacity(files.len());
    for (path, bytes) in files {
        let path = path.as_ref();
        let folder = folder_of(path);
        fs::create_dir_all(folder)?;
        let mut temp = temporary_beside(path)?;
        temp.as_file_mut().write_all(bytes)?;
        ready.push((temp, path, folder));
    }
    // Filesystems commit once for all who wait at the same time.
    let share = ready.len().div_ceil(SYNCING_THREADS).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = ready
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().try_for_each(|(temp, ..)| temp.as_file().sync_all())))
            .collect();
        parts
            .into_iter()
            .try_for_each(|part| part.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())))
    })?;
    let mut folders = Vec::new();
    for (temp, path, folder) in ready {
        temp.persist(path).map_err(|error| error.error)?;
        if folders.last() != Some(&folder) {
            folders.push(folder);
        }
    }
    folders.sort_unstable();
    folders.dedup();
    folders.into_iter().for_each(sync_folder);
    Ok(())
}

/// Makes a rename in `folder` durable. Filesystems that cannot sync a folder are left to their own ways.
pub fn sync_folder(folder: &Path) {
    if let Ok(handle) = File::open(folder) {
        let _ = handle.sync_all();
    }
}

/// Reads a whole file as UTF-8; `None` when it does not exist.
pub fn read_if_present(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/a.txt");
        write(&path, b"old").unwrap();
        let failed = write_with(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn many_files_are_written_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |n: usize| folder.path().join(format!("{}/{n}", n % 3));
        for round in 0..2 {
            let files: Vec<_> = (0..10).map(|n| (path(n), format!("{round} {n}").into_bytes())).collect();
            write_many(&files).unwrap();
            for (path, content) in &files {
                assert_eq!(&fs::read(path).unwrap(), content);
            }
        }
        assert_eq!(fs::read_dir(folder.path().join("0")).unwrap().count(), 4);
    }
}
