//! What the disks under a project can do.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::{Cache, LinkKind};
use crate::{Repo, Result};

/// The project's places and what they can do.
#[derive(Clone, Debug)]
pub struct Report {
    /// The kinds of links that work from the cache to the workspace, and the cache's disk; none before there is a cache.
    pub cache: Option<(Vec<LinkKind>, Disk)>,
    /// The kinds of remotes that are configured.
    pub remotes: Vec<String>,
    /// The disk of the workspace.
    pub workspace: Disk,
    /// How the project lies in git: at the root of the repository, or in a folder of it. `None` without git.
    pub git_root: Option<bool>,
}

/// A mounted filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// `ext4`, `nfs` …
    pub kind: String,
    /// The device or server.
    pub device: String,
}

/// Looks at the places of a project; a file is written and removed beside the objects of the cache.
pub fn examine(repo: &Repo) -> Result<Report> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let cache = Cache::open(repo);
    let objects = cache.root().join("files/md5");
    let cache = objects.is_dir().then(|| {
        let kinds = [LinkKind::Reflink, LinkKind::Hardlink, LinkKind::Symlink];
        let works = |kind: &LinkKind| LinkKind::first_that_works(&[*kind], &objects, &repo.root).is_some();
        (kinds.into_iter().filter(works).collect(), disk_of(&mounts, &objects))
    });
    let remotes = repo.config.remotes().map(|(_, options)| {
        let url = options.get("url").map(|url| url.text()).unwrap_or_default();
        url.split_once("://").map_or_else(|| "local".to_owned(), |(scheme, _)| scheme.to_owned())
    });
    Ok(Report {
        cache,
        remotes: remotes.collect(),
        workspace: disk_of(&mounts, &repo.root),
        git_root: repo.git.as_ref().map(|git| git.root() == repo.root),
    })
}

/// The disk that holds a path, by the system's table of mounts.
fn disk_of(mounts: &str, path: &Path) -> Disk {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let mut best: Option<(PathBuf, Disk)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(point), Some(kind)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let point = PathBuf::from(point.replace("\\040", " "));
        // Of two mounts at one place the later one is seen.
        if path.starts_with(&point) && best.as_ref().is_none_or(|(known, _)| point.starts_with(known)) {
            best = Some((point, Disk { kind: kind.to_owned(), device: device.to_owned() }));
        }
    }
    let unknown = || Disk { kind: "unknown".into(), device: "none".into() };
    best.map_or_else(unknown, |(_, disk)| disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_holds_a_path() {
        let mounts = "/dev/a / ext4 rw 0 0\nserver:/x /nowhere/with\\040space nfs rw 0 0\ntmpfs /nowhere tmpfs rw 0 0\n";
        let kind = |path: &str| disk_of(mounts, Path::new(path)).kind;
        assert_eq!(kind("/nowhere/with space/f"), "nfs");
        assert_eq!(kind("/nowhere/with"), "tmpfs");
        assert_eq!(kind("/elsewhere"), "ext4");
        assert_eq!(disk_of("", Path::new("/x")).kind, "unknown");
    }
}
