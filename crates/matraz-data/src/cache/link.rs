//! The ways in which an object gets into the workspace.

use std::fs;
use std::io;
use std::path::Path;

/// How the file in the workspace relates to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A copy that shares its blocks with the object until one of them is written.
    Reflink,
    /// The object itself under a second name; read-only.
    Hardlink,
    /// A symbolic link to the object.
    Symlink,
    /// A copy.
    Copy,
}

impl LinkKind {
    /// What is tried when the settings say nothing.
    pub const DEFAULT: [Self; 2] = [Self::Reflink, Self::Copy];

    /// The word for it in the settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reflink => "reflink",
            Self::Hardlink => "hardlink",
            Self::Symlink => "symlink",
            Self::Copy => "copy",
        }
    }

    /// Reads the list of `cache.type`; unknown words were refused when the settings were read.
    pub fn parse_list(text: &str) -> Vec<Self> {
        text.split(',')
            .filter_map(|word| match word.trim() {
                "reflink" => Some(Self::Reflink),
                "hardlink" => Some(Self::Hardlink),
                "symlink" => Some(Self::Symlink),
                "copy" => Some(Self::Copy),
                _ => None,
            })
            .collect()
    }

    /// Tries to put the object at `target`, where nothing is. Copies are made elsewhere, together with a check of the
    /// content.
    pub(super) fn make(self, object: &Path, target: &Path) -> io::Result<()> {
        match self {
            Self::Reflink => reflink_copy::reflink(object, target),
            // Git and DVC count an empty file as copied: links to one empty object would tie strangers together.
            Self::Hardlink if fs::metadata(object)?.len() == 0 => fs::write(target, ""),
            Self::Hardlink => fs::hard_link(object, target),
            Self::Symlink => std::os::unix::fs::symlink(object, target),
            Self::Copy => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The first kind of the list that works from the cache's folder to the workspace's, found by trying.
    pub(crate) fn first_that_works(kinds: &[Self], cache: &Path, workspace: &Path) -> Option<Self> {
        for kind in kinds {
            if *kind == Self::Copy {
                return Some(Self::Copy);
            }
            let name = matraz_base::file::temporary_name;
            let (from, to) = (cache.join(name()), workspace.join(name()));
            let works = fs::write(&from, "probe").and_then(|()| kind.make(&from, &to)).is_ok();
            let _ = fs::remove_file(&from);
            let _ = fs::remove_file(&to);
            if works {
                return Some(*kind);
            }
        }
        None
    }
}
