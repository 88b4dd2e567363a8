//! `.dvcignore`: which files in the workspace are none of our business.
//!
//! The grammar is that of `.gitignore`. A file's patterns hold for its folder and below; the deepest matching one
//! decides, and nothing below an ignored folder can be taken back in. `.git`, `.hg`, `.dvc` and projects inside the
//! project are always ignored.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::repo::{DVC_DIR, DVCIGNORE};
use crate::{Error, Result};

/// The patterns of a project; files are read as they are needed.
#[derive(Debug)]
pub struct Ignore {
    root: PathBuf,
    folders: Mutex<HashMap<PathBuf, Rules>>,
    /// The files with patterns, by path, when they are those of a commit.
    committed: Option<HashMap<PathBuf, String>>,
}

/// The patterns that hold in a folder: of its own file and of those above, the deepest first.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    files: Vec<Arc<RuleFile>>,
}

#[derive(Debug)]
struct RuleFile {
    patterns: Gitignore,
    /// Relative to the root of the project.
    name: String,
    /// The lines that are patterns, by number from 1.
    lines: Vec<(usize, String)>,
}

/// The pattern that decided about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the path is ignored.
    pub ignored: bool,
    /// `file:line:pattern`, as `check-ignore --details` shows it.
    pub pattern: String,
}

impl Ignore {
    /// The patterns of the project at `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), folders: Mutex::default(), committed: None }
    }

    /// The patterns as they were in a commit, from the texts of its `.dvcignore` files by path.
    pub fn committed(root: &Path, files: HashMap<PathBuf, String>) -> Self {
        Self { committed: Some(files), ..Self::new(root) }
    }

    /// Whether a path is ignored, by itself or with a folder above it. Nothing outside the project is.
    pub fn is_ignored(&self, path: &Path, is_dir: bool) -> Result<bool> {
        Ok(self.verdict(path, is_dir)?.is_some_and(|verdict| verdict.ignored))
    }

    /// The pattern that decides about a path; `None` when none matches.
    pub fn verdict(&self, path: &Path, is_dir: bool) -> Result<Option<Verdict>> {
        let Ok(inside) = path.strip_prefix(&self.root) else { return Ok(None) };
        let mut folder = self.root.clone();
        let mut last = None;
        let parts: Vec<_> = inside.iter().collect();
        for (n, part) in parts.iter().enumerate() {
            let is_dir = is_dir || n + 1 < parts.len();
            let rules = self.rules(&folder)?;
            folder.push(part);
            let verdict = rules.verdict(&folder, is_dir);
            if verdict.as_ref().is_some_and(|verdict| verdict.ignored) {
                return Ok(verdict);
            }
            last = verdict;
        }
        Ok(last)
    }

    /// The patterns that hold for the names in a folder.
    pub fn rules(&self, folder: &Path) -> Result<Rules> {
        if let Some(rules) = self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(folder) {
            return Ok(rules.clone());
        }
        let mut rules = match folder.parent() {
            Some(parent) if folder != self.root && folder.starts_with(&self.root) => self.rules(parent)?,
            _ => Rules::default(),
        };
        let file = folder.join(DVCIGNORE);
        if folder.starts_with(&self.root)
            && !rules.matches(&file, false)
            && let Some(text) = self.read(&file)?
        {
            let name = file.strip_prefix(&self.root).unwrap_or(&file).to_string_lossy().into_owned();
            if let Some(own) = RuleFile::parse(folder, name, &text)? {
                rules.files.insert(0, Arc::new(own));
            }
        }
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.insert(folder.to_path_buf(), rules.clone());
        Ok(rules)
    }

    fn read(&self, file: &Path) -> Result<Option<String>> {
        match &self.committed {
            Some(files) => Ok(files.get(file).cloned()),
            None => matraz_base::file::read_if_present(file).map_err(Error::io("read", file)),
        }
    }

    /// Whether a folder in a folder with these rules must not be entered.
    pub fn skips_folder(&self, rules: &Rules, folder: &Path) -> bool {
        rules.matches(folder, true) || (folder != self.root && folder.join(DVC_DIR).is_dir())
    }
}

impl Rules {
    /// Whether there is any pattern.
    pub fn has_patterns(&self) -> bool {
        !self.files.is_empty()
    }

    /// Whether a path in the folder of these rules is ignored.
    pub fn matches(&self, path: &Path, is_dir: bool) -> bool {
        let name = path.file_name().unwrap_or_default();
        if name == ".git" || (is_dir && (name == DVC_DIR || name == ".hg")) {
            return true;
        }
        for file in &self.files {
            let found = file.patterns.matched(path, is_dir);
            if !found.is_none() {
                return found.is_ignore();
            }
        }
        false
    }

    fn verdict(&self, path: &Path, is_dir: bool) -> Option<Verdict> {
        for file in &self.files {
            let found = file.patterns.matched(path, is_dir);
            let Some(glob) = found.inner() else { continue };
            let line = file.lines.iter().rev().find(|(_, text)| text == glob.original());
            let number = line.map_or(0, |(number, _)| *number);
            let pattern = format!("{}:{number}:{}", file.name, glob.original());
            return Some(Verdict { ignored: found.is_ignore(), pattern });
        }
        // What is always ignored stands in no file.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let pattern = if name == ".git" { format!(":{name}") } else { format!(":{name}/") };
        self.matches(path, is_dir).then_some(Verdict { ignored: true, pattern })
    }
}

impl RuleFile {
    fn parse(folder: &Path, name: String, text: &str) -> Result<Option<Self>> {
        let mut builder = GitignoreBuilder::new(folder);
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            builder.add_line(None, line).map_err(|error| Error::IgnorePattern {
                place: matraz_base::Place::at(folder.join(DVCIGNORE), text, number + 1, 1, line.len()),
                message: error.to_string(),
            })?;
            lines.push((number + 1, line.to_owned()));
        }
        let patterns = builder.build().map_err(|error| Error::IgnorePattern {
            place: matraz_base::Place::file(folder.join(DVCIGNORE)),
            message: error.to_string(),
        })?;
        Ok((!lines.is_empty()).then_some(Self { patterns, name, lines }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn patterns_hold_from_their_folder_down() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("d/s")).unwrap();
        fs::write(root.join(DVCIGNORE), "# note\n*.tmp\n/rootonly\ncache_dir/\n!keep.tmp\n**/deep/*.log\n")
            .unwrap();
        fs::write(root.join("d/s").join(DVCIGNORE), "!x.tmp\n*.bin\n").unwrap();
        let ignore = Ignore::new(root);
        let table = [
            ("d/b.tmp", false, true),
            ("d/keep.tmp", false, false),
            ("rootonly", false, true),
            ("d/rootonly", false, false),
            ("d/cache_dir", true, true),
            ("d/cache_dir", false, false),
            ("d/cache_dir/keep.tmp", false, true),
            ("d/deep/y.log", false, true),
            ("d/deep/er/z.log", false, false),
            ("d/s/x.tmp", false, false),
            ("d/s/x.bin", false, true),
            ("d/x.bin", false, false),
            (".git", true, true),
            ("d/.git", false, true),
            (".dvc/config", false, true),
        ];
        for (path, is_dir, ignored) in table {
            assert_eq!(ignore.is_ignored(&root.join(path), is_dir).unwrap(), ignored, "{path}");
        }
        let verdict = ignore.verdict(&root.join("d/keep.tmp"), false).unwrap().unwrap();
        assert_eq!(verdict, Verdict { ignored: false, pattern: ".dvcignore:5:!keep.tmp".into() });
    }
}
