//! The files of the project that the commands of stages are made of: scripts that a command names, what a stage depends on,
//! and the Python modules that these import, as far as the import statements say. Nothing is executed.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use indexmap::IndexSet;
use matraz_data::stage::address::join;
use matraz_data::stage::{Cmd, DATA_SUFFIX, Stage};

/// Longer files are no programs, in bytes.
const LONGEST: u64 = 1 << 20;
/// How many files are looked at.
const MOST: usize = 2000;

/// The files, with absolute paths. `untracked` are those that git does not know; a folder of data, which git does not have
/// either, is not walked through.
pub(super) fn files(
    root: &Path,
    stages: &[&Stage],
    untracked: &HashSet<PathBuf>,
    is_tracked: &dyn Fn(&Path) -> bool,
) -> IndexSet<PathBuf> {
    let mut walk = Walk { root, found: IndexSet::new() };
    for stage in stages {
        walk.add(stage.address.file.clone());
        for command in stage.cmd.as_ref().map(Cmd::lines).unwrap_or_default() {
            walk.command(command, &stage.wdir);
        }
        for dep in &stage.deps {
            if dep.path.is_dir() {
                untracked
                    .iter()
                    .filter(|file| file.starts_with(&dep.path))
                    .for_each(|file| walk.add(file.clone()));
                if is_tracked(&dep.path) {
                    walk.code_below(&dep.path);
                }
            } else {
                walk.add(dep.path.clone());
            }
            walk.add(dep.path.with_file_name(format!(
                "{}{DATA_SUFFIX}",
                dep.path.file_name().unwrap_or_default().to_string_lossy()
            )));
        }
        for params in &stage.params {
            walk.add(params.path.clone());
        }
        walk.follow(&stage.wdir);
    }
    walk.found
}

struct Walk<'r> {
    root: &'r Path,
    found: IndexSet<PathBuf>,
}

impl Walk<'_> {
    fn add(&mut self, path: PathBuf) {
        if path.starts_with(self.root) && self.found.len() < MOST && path.is_file() {
            self.found.insert(path);
        }
    }

    /// Adds the Python files and shell scripts below a folder.
    fn code_below(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            if kind.is_dir() && self.found.len() < MOST && entry.file_name() != ".git" {
                self.code_below(&path);
            } else if path
                .extension()
                .is_some_and(|ending| ["py", "pyx", "sh"].iter().any(|known| ending == *known))
            {
                self.add(path);
            }
        }
    }

    /// Adds the files that a command names, and the modules that it starts with `-m`.
    fn command(&mut self, command: &str, folder: &Path) {
        let mut previous = "";
        for word in command.split(|c: char| c.is_whitespace() || "'\"`;&|()<>=".contains(c)) {
            if previous == "-m" {
                self.module(word, &[folder.to_path_buf(), self.root.to_path_buf()]);
                self.module(&format!("{word}.__main__"), &[folder.to_path_buf()]);
            } else if !word.is_empty() && !word.contains('\0') {
                self.add(join(folder, word));
            }
            previous = word;
        }
    }

    /// Looks into all files that were found, and those that this finds.
    fn follow(&mut self, folder: &Path) {
        let mut at = 0;
        while let Some(path) = self.found.get_index(at).cloned() {
            at += 1;
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
            let is_short = fs::metadata(&path).is_ok_and(|meta| meta.len() <= LONGEST);
            let text = || fs::read_to_string(&path).unwrap_or_default();
            match ending.as_deref() {
                Some("py" | "pyx" | "ipynb") if is_short => self.imports(&text(), &path, folder),
                Some("sh" | "bash") if is_short => text().lines().for_each(|line| self.command(line, folder)),
                _ => {}
            }
        }
    }

    fn imports(&mut self, text: &str, path: &Path, folder: &Path) {
        let own = path.parent().unwrap_or(self.root);
        // A script's folder comes first, then what `PYTHONPATH` and installed projects usually hold.
        let mut places =
            vec![own.to_path_buf(), folder.to_path_buf(), self.root.to_path_buf(), self.root.join("src")];
        // A module of a package is found from where the package is.
        let package = own.ancestors().find(|above| !above.join("__init__.py").is_file());
        places.extend(package.map(Path::to_path_buf));
        for (module, names) in statements(text) {
            let dots = module.bytes().take_while(|byte| *byte == b'.').count();
            let beside: Vec<PathBuf> =
                own.ancestors().nth(dots.saturating_sub(1)).map(Path::to_path_buf).into_iter().collect();
            let places = if dots == 0 { &places } else { &beside };
            let module = &module[dots..];
            if !module.is_empty() {
                self.module(module, places);
            }
            for name in names {
                let whole = if module.is_empty() { name } else { format!("{module}.{name}") };
                self.module(&whole, places);
            }
        }
    }

    /// Adds the files of a module, `a.b.c`, in the first of the places that has it.
    fn module(&mut self, name: &str, places: &[PathBuf]) {
        let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !name.split('.').all(is_name) {
            return;
        }
        for place in places {
            let mut folder = place.clone();
            let mut packages = Vec::new();
            let mut found = None;
            for part in name.split('.') {
                packages.push(folder.join(part).join("__init__.py"));
                found = ["py", "pyx"]
                    .map(|ending| folder.join(format!("{part}.{ending}")))
                    .into_iter()
                    .find(|file| file.is_file());
                folder.push(part);
            }
            let is_there = found.is_some() || folder.join("__init__.py").is_file();
            if is_there {
                packages.into_iter().chain(found).for_each(|file| self.add(file));
                return;
            }
        }
    }
}

/// What the import statements of a module name: modules, with the names that are taken from each.
fn statements(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        // In a notebook a line of code is a JSON string.
        let line = line.trim().trim_start_matches('"').trim_start();
        let mut line =
            line.split('#').next().unwrap_or_default().trim_end_matches([',', '"']).replace("\\n", "");
        let is_open = |line: &str| line.contains('(') && !line.contains(')') || line.ends_with('\\');
        if !line.starts_with("import ") && !line.starts_with("from ") {
            continue;
        }
        while is_open(&line) {
            let Some(next) = lines.next() else { break };
            line = format!(
                "{} {}",
                line.trim_end_matches('\\'),
                next.split('#').next().unwrap_or_default().trim()
            );
        }
        let names = |list: &str| -> Vec<String> {
            let parts = list
                .split([',', '(', ')', ';'])
                .map(|part| part.split_whitespace().next().unwrap_or_default());
            parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        if let Some(list) = line.strip_prefix("import ") {
            found.extend(names(list).into_iter().map(|module| (module, Vec::new())));
        } else if let Some((module, list)) = line[5..].split_once("import") {
            found.push((module.trim().to_owned(), names(list)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_followed_within_the_project() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let files = [
            (
                "train.py",
                "import os, helper as h\nfrom pkg.models import (\n  tree,  # c\n  forest as f)\nif x:\n    import lazy\n",
            ),
            ("helper.py", "import numpy\n\"\"\"\nfrom here on: text\n\"\"\"\nimport helper\n"),
            ("lazy.py", ""),
            ("unused.py", "import helper"),
            ("pkg/__init__.py", ""),
            ("pkg/models/__init__.py", "from . import base\nfrom ..shared import *\n"),
            ("pkg/models/base.py", ""),
            ("pkg/models/tree.py", "from pkg import extra"),
            ("pkg/models/never.py", ""),
            ("pkg/shared.py", ""),
            ("pkg/extra.py", ""),
            ("src/tool/__init__.py", ""),
            ("src/tool/__main__.py", ""),
            ("run.sh", "set -e\npython train.py --x=1\n"),
        ];
        for (name, text) in files {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        }
        let found = |command: &str| {
            let mut walk = Walk { root, found: IndexSet::new() };
            walk.command(command, root);
            walk.follow(root);
            let mut names: Vec<String> = walk
                .found
                .iter()
                .map(|path| path.strip_prefix(root).unwrap().display().to_string())
                .collect();
            names.sort();
            names.join(" ")
        };
        let all = "helper.py lazy.py pkg/__init__.py pkg/extra.py pkg/models/__init__.py pkg/models/base.py \
                   pkg/models/tree.py pkg/shared.py";
        assert_eq!(found("python 'train.py' > /dev/null"), format!("{all} train.py"));
        assert_eq!(found("sh run.sh && echo ok"), format!("{all} run.sh train.py"));
        assert_eq!(found("python -m pkg.extra"), "pkg/__init__.py pkg/extra.py");
        assert_eq!(found("echo ../../etc/passwd /etc/passwd"), "");
    }
}
