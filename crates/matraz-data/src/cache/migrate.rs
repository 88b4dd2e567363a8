//! `cache migrate`: takes objects of DVC 2 over into the layout of DVC 3.
//!
//! Objects of DVC 2 are named by a digest that reads text with uniform line ends. Each gets a second name by its plain
//! digest; both are the same file on the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::{Cache, Object, absent, protect};
use crate::hash::digest::{DIR_SUFFIX, Digest};
use crate::hash::many;
use crate::{Error, Repo, Result};

impl Cache {
    /// The objects of DVC 2, by their files.
    pub fn legacy_objects(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for folder in entries(self.root())? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.len() != 2 || !folder.is_dir() {
                continue;
            }
            for file in entries(&folder)? {
                let rest = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if Digest::parse(&format!("{name}{rest}")).is_some() && file.is_file() {
                    found.push(file);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Gives the objects of DVC 2 their names of DVC 3. Returns how many are new.
    pub fn migrate(&self, repo: &Repo, stop: &AtomicBool) -> Result<usize> {
        let files = self.legacy_objects()?;
        let sources: Vec<(PathBuf, bool)> = files.iter().map(|file| (file.clone(), false)).collect();
        let digests = many::of_files(&sources, repo.threads(), stop)?;
        let mut new = 0;
        for (file, md5) in files.iter().zip(digests) {
            let is_dir = file.to_string_lossy().ends_with(DIR_SUFFIX);
            let object = Object::new(if is_dir { Digest::dir(md5) } else { Digest::file(md5) });
            let place = self.path(&object);
            if place.exists() {
                continue;
            }
            let folder = place.parent().unwrap_or(self.root());
            self.make_folder(&object.key())?;
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
            // A filesystem without hard links gets a copy.
            if fs::hard_link(file, &place).is_err() {
                fs::copy(file, &place).map_err(Error::io("write", &place))?;
            }
            protect(&place)?;
            new += 1;
        }
        Ok(new)
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", folder)(error)),
    };
    listing.map(|entry| entry.map(|entry| entry.path()).map_err(Error::io("read", folder))).collect()
}
