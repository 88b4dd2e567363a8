//! A store that is a folder of this machine.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use matraz_base::file;

use crate::nursery::{HOME, Nursery};
use crate::{Error, Location, Newborn, Result};

/// A place for items.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    nursery: Arc<Nursery>,
}

/// What a listing says about an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Relative to the store, with `/`.
    pub key: String,
    /// Bytes.
    pub size: u64,
}

/// An item that is being written. Nobody sees it before [`Pending::commit`]; dropped before that, it is gone.
#[derive(Debug)]
pub struct Pending {
    store: Store,
    newborn: Newborn,
    written: u64,
}

/// What became of an item that was to be new.
#[derive(Debug)]
pub enum Committed {
    /// It is there now, with this metadata.
    New(fs::Metadata),
    /// There was one already.
    Present(Pending),
}

impl Store {
    /// The store at a location. Nothing is touched before the first use.
    pub fn open(location: &Location) -> Self {
        match location {
            Location::Local(root) => Self { root: root.clone(), nursery: Arc::new(Nursery::new(root)) },
        }
    }

    /// The address of the store.
    pub fn location(&self) -> Location {
        Location::Local(self.root.clone())
    }

    /// Whether there is an item.
    pub fn exists(&self, key: &str) -> Result<bool> {
        let path = self.path(key)?;
        match fs::metadata(&path) {
            Ok(meta) => Ok(meta.is_file()),
            Err(error) if absent(&error) => Ok(false),
            Err(error) => Err(Error::io("look at", path)(error)),
        }
    }

    /// Which of the items are there.
    pub fn exists_many<K: AsRef<str>>(&self, keys: &[K]) -> Result<Vec<bool>> {
        // One look at the root spares a look per item in a store that was never written to.
        match fs::metadata(&self.root) {
            Err(error) if absent(&error) => Ok(vec![false; keys.len()]),
            _ => keys.iter().map(|key| self.exists(key.as_ref())).collect(),
        }
    }

    /// The bytes of an item and their number.
    pub fn read(&self, key: &str) -> Result<(impl Read + Send + use<>, u64)> {
        let path = self.path(key)?;
        let file = File::open(&path).map_err(|error| {
            if absent(&error) { self.missing(key) } else { Error::io("read", &path)(error) }
        })?;
        let size = file.metadata().map_err(Error::io("read", &path))?.len();
        Ok((file, size))
    }

    /// Starts a new item; its key is given at the end, when the content is known. `near` is a key in whose folder the
    /// item will probably go. The file gets the permission bits `mode`, less the umask.
    pub fn start(&self, near: &str, mode: u32) -> Result<Pending> {
        let folder = self.path(near)?.parent().map_or_else(|| self.root.clone(), Path::to_path_buf);
        let made = match self.nursery.create(&folder, mode) {
            Err(error) if absent(&error) => {
                self.make_folder(&folder).map_err(Error::io("create", &folder))?;
                self.nursery.create(&folder, mode)
            }
            other => other,
        };
        let newborn = made.map_err(Error::io("write", &folder))?;
        Ok(Pending { store: self.clone(), newborn, written: 0 })
    }

    /// Makes a folder below the root and those above it.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if !folder.starts_with(&self.root) || folder == self.root {
            return fs::create_dir_all(folder);
        }
        match self.nursery.create_dir(folder) {
            Err(error) if absent(&error) => {
                self.make_folder(folder.parent().unwrap_or(&self.root))?;
                self.nursery.create_dir(folder)
            }
            other => other,
        }
    }

    /// Copies a file into the store, sharing its blocks where the filesystem can.
    pub fn put_file(&self, key: &str, source: &Path, mode: u32) -> Result<u64> {
        let mut from = File::open(source).map_err(Error::io("read", source))?;
        let size = from.metadata().map_err(Error::io("read", source))?.len();
        let mut pending = self.start(key, mode)?;
        let copied = io::copy(&mut from, &mut pending.newborn.file).map_err(Error::io("copy", source))?;
        pending.written = copied;
        pending.commit(key, Some(size))?;
        Ok(copied)
    }

    /// Copies an item to a file, which appears whole or not at all.
    pub fn get_file(&self, key: &str, target: &Path) -> Result<u64> {
        let (mut from, size) = self.read(key)?;
        let mut copied = 0;
        file::write_with(target, |file| {
            copied = io::copy(&mut from, file)?;
            Ok(())
        })
        .map_err(Error::io("write", target))?;
        self.check_size(key, size, copied)?;
        Ok(copied)
    }

    /// All items whose key starts with the folder `prefix`; all of the store when it is empty. Sorted by key.
    pub fn list(&self, prefix: &str) -> Result<Vec<Item>> {
        let top = if prefix.is_empty() { self.root.clone() } else { self.path(prefix)? };
        let mut items = Vec::new();
        let mut pending = vec![(top, prefix.trim_end_matches('/').to_owned())];
        while let Some((folder, prefix)) = pending.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if absent(&error) => continue,
                Err(error) => return Err(Error::io("read", folder)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(Error::io("read", &folder))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
                let meta = fs::metadata(entry.path()).map_err(Error::io("read", entry.path()))?;
                if meta.is_dir() {
                    if key != HOME {
                        pending.push((entry.path(), key));
                    }
                } else if !file::is_temporary(&name) {
                    items.push(Item { key, size: meta.len() });
                }
            }
        }
        items.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(items)
    }

    /// Removes an item; it is no error when there is none.
    pub fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        match fs::remove_file(&path) {
            Err(error) if !absent(&error) => Err(Error::io("remove", path)(error)),
            _ => Ok(()),
        }
    }

    /// The file of an item, for what only a file can do (links). Other kinds of stores will have none.
    pub fn local_path(&self, key: &str) -> Result<PathBuf> {
        self.path(key)
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        let parts_are_names =
            key.trim_end_matches('/').split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !parts_are_names || key.contains('\0') {
            return Err(Error::BadKey { key: key.to_owned() });
        }
        Ok(self.root.join(key))
    }

    fn missing(&self, key: &str) -> Error {
        Error::Missing { key: key.to_owned(), store: self.location().to_string() }
    }

    fn check_size(&self, key: &str, expected: u64, found: u64) -> Result<()> {
        if expected == found {
            return Ok(());
        }
        Err(Error::WrongSize { key: key.to_owned(), store: self.location().to_string(), expected, found })
    }
}

impl Pending {
    /// The next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.newborn.file.write_all(bytes).map_err(Error::io("write", &self.store.root))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Makes the item visible under `key`, replacing an older one, if it has `size` bytes where that is known.
    /// Returns what the system says about the file.
    pub fn commit(mut self, key: &str, size: Option<u64>) -> Result<fs::Metadata> {
        let (meta, _) = self.show(key, size, |newborn, target| newborn.show(target).map(|()| true))?;
        Ok(meta)
    }

    /// Like [`commit`](Self::commit), and leaves an item alone that is there already.
    pub fn commit_new(mut self, key: &str, size: Option<u64>) -> Result<Committed> {
        let (meta, shown) = self.show(key, size, Newborn::show_new)?;
        Ok(if shown { Committed::New(meta) } else { Committed::Present(self) })
    }

    fn show(
        &mut self,
        key: &str,
        size: Option<u64>,
        show: impl Fn(&mut Newborn, &Path) -> io::Result<bool>,
    ) -> Result<(fs::Metadata, bool)> {
        if let Some(size) = size {
            self.store.check_size(key, size, self.written)?;
        }
        let target = self.store.path(key)?;
        let meta = self.newborn.file.metadata().map_err(Error::io("write", &target))?;
        let shown = match show(&mut self.newborn, &target) {
            Err(error) if absent(&error) => {
                let folder = target.parent().unwrap_or(&self.store.root);
                self.store.make_folder(folder).map_err(Error::io("create", folder))?;
                show(&mut self.newborn, &target)
            }
            other => other,
        };
        Ok((meta, shown.map_err(Error::io("write", &target))?))
    }

    /// Sets the permission bits regardless of the umask.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        let file = &self.newborn.file;
        file.set_permissions(fs::Permissions::from_mode(mode)).map_err(Error::io("protect", &self.store.root))
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path) -> Store {
        Store::open(&Location::Local(folder.join("store")))
    }

    #[test]
    fn items_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        assert_eq!(store.exists_many(&["a/b"]).unwrap(), [false]);
        let mut pending = store.start("a/", 0o444).unwrap();
        pending.write(b"hello").unwrap();
        assert_eq!(store.list("").unwrap(), []);
        pending.commit("a/b", Some(5)).unwrap();
        let source = folder.path().join("source");
        fs::write(&source, "other").unwrap();
        store.put_file("c", &source, 0o644).unwrap();
        let item = |key: &str| Item { key: key.into(), size: 5 };
        assert_eq!(store.list("").unwrap(), [item("a/b"), item("c")]);
        assert_eq!(store.list("a").unwrap(), [item("a/b")]);
        assert_eq!(store.exists_many(&["a/b", "a", "b"]).unwrap(), [true, false, false]);
        store.get_file("a/b", &folder.path().join("x/y")).unwrap();
        assert_eq!(fs::read(folder.path().join("x/y")).unwrap(), b"hello");
        store.delete("a/b").unwrap();
        store.delete("a/b").unwrap();
        assert!(matches!(store.read("a/b").map(|_| ()), Err(Error::Missing { .. })));
    }

    #[test]
    fn half_an_item_is_no_item() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let mut pending = store.start("a", 0o644).unwrap();
        pending.write(b"12").unwrap();
        assert!(matches!(pending.commit("a", Some(3)), Err(Error::WrongSize { expected: 3, found: 2, .. })));
        drop(store.start("a", 0o644).unwrap());
        assert_eq!(fs::read_dir(folder.path().join("store")).unwrap().count(), 0);
    }

    #[test]
    fn keys_that_leave_the_store_are_refused() {
        let store = Store::open(&Location::Local("/nowhere".into()));
        for key in ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a\0"] {
            assert!(matches!(store.exists(key), Err(Error::BadKey { .. })), "{key:?}");
        }
    }
}
