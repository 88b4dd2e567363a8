//! How stages are named.

use std::path::{Component, Path, PathBuf};

use super::PIPELINE_FILE;

/// Where a stage is defined: the file, and its name when the file may hold several.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Absolute path of the `dvc.yaml` or `.dvc` file.
    pub file: PathBuf,
    /// The name within `dvc.yaml`; none for a `.dvc` file.
    pub name: Option<String>,
}

impl Address {
    /// The address as a person in the folder `cwd` writes it: `train`, `sub/dvc.yaml:train`, `data.csv.dvc`.
    pub fn display(&self, cwd: &Path) -> String {
        let file = relative(&self.file, cwd);
        match &self.name {
            None => file,
            Some(name) if file == PIPELINE_FILE => name.clone(),
            Some(name) => format!("{file}:{name}"),
        }
    }

    /// The folder of the file.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }
}

/// The way from the folder `base` to `path`, both absolute and normal, with `/` between names; `.` when they
/// are the same.
pub fn relative(path: &Path, base: &Path) -> String {
    let shared = path.components().zip(base.components()).take_while(|(a, b)| a == b).count();
    let mut parts: Vec<String> = vec!["..".into(); base.components().count() - shared];
    for part in path.components().skip(shared) {
        parts.push(part.as_os_str().to_string_lossy().into_owned());
    }
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}

/// `base` and `path` joined, with `.` and `..` taken away by name alone (no symbolic link is followed).
pub fn join(base: &Path, path: &str) -> PathBuf {
    let mut out = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_from_where_one_stands() {
        let train = Address { file: "/p/dvc.yaml".into(), name: Some("train".into()) };
        let data = Address { file: "/p/data/x.csv.dvc".into(), name: None };
        let table = [
            (&train, "/p", "train"),
            (&train, "/p/sub", "../dvc.yaml:train"),
            (&train, "/", "p/dvc.yaml:train"),
            (&data, "/p", "data/x.csv.dvc"),
            (&data, "/p/data", "x.csv.dvc"),
            (&data, "/p/src/a", "../../data/x.csv.dvc"),
        ];
        for (address, cwd, shown) in table {
            assert_eq!(address.display(Path::new(cwd)), shown);
        }
    }

    #[test]
    fn paths_are_joined_by_name() {
        let table =
            [("/p/a", "../b", "/p/b"), ("/p", ".", "/p"), ("/p", "/x/./y", "/x/y"), ("/p", "../../..", "/")];
        for (base, path, joined) in table {
            assert_eq!(join(Path::new(base), path), Path::new(joined));
        }
        assert_eq!(relative(Path::new("/p"), Path::new("/p")), ".");
    }
}
