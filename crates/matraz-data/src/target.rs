//! What users name on the command line: stages, `.dvc` files, outputs, paths inside outputs, folders.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use indexmap::IndexSet;

use crate::index::{Index, is_project_file};
use crate::pipeline::graph::Graph;
use crate::stage::Output;
use crate::stage::address::join;
use crate::{Error, Repo, Result};

/// A stage that a command is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selection {
    /// Its number in the index.
    pub stage: usize,
    /// Only this output, or only what is at or below this path inside it.
    pub only: Option<PathBuf>,
}

impl Selection {
    /// The outputs of the stage that are meant.
    pub fn outputs<'i>(&'i self, index: &'i Index) -> impl Iterator<Item = &'i Output> {
        index.stages[self.stage].outs.iter().filter(|out| self.includes(out))
    }

    /// Whether an output of the stage is meant, at least in part.
    pub fn includes(&self, out: &Output) -> bool {
        self.only.as_ref().is_none_or(|path| path.starts_with(&out.path))
    }

    /// The part of an output that is meant, relative to it; empty for the whole.
    pub fn part(&self, out: &Output) -> String {
        let below = self.only.as_ref().and_then(|path| path.strip_prefix(&out.path).ok());
        below.map_or_else(String::new, |below| below.to_string_lossy().into_owned())
    }
}

/// How targets are understood.
#[derive(Clone, Copy, Debug, Default)]
pub struct TargetOptions {
    /// Take all stages that the named ones depend on, too.
    pub with_deps: bool,
    /// A folder stands for all stages that are defined below it.
    pub recursive: bool,
}

/// The stages and outputs that the targets name, all stages when there is no target. Each once, in the order of the
/// targets.
pub fn select(
    repo: &Repo,
    index: &Index,
    targets: &[String],
    options: TargetOptions,
    cwd: &Path,
) -> Result<Vec<Selection>> {
    if targets.is_empty() {
        return Ok((0..index.stages.len()).map(|stage| Selection { stage, only: None }).collect());
    }
    let outputs = OutputMap::of(index);
    let mut chosen: IndexSet<Selection> = IndexSet::new();
    for target in targets {
        chosen.extend(select_one(repo, index, &outputs, target, options, cwd)?);
    }
    Ok(chosen.into_iter().collect())
}

fn select_one(
    repo: &Repo,
    index: &Index,
    outputs: &OutputMap<'_>,
    target: &str,
    options: TargetOptions,
    cwd: &Path,
) -> Result<Vec<Selection>> {
    let whole =
        |stages: Vec<usize>| stages.into_iter().map(|stage| Selection { stage, only: None }).collect();
    let with_deps = |stages: Vec<usize>| -> Result<Vec<usize>> {
        if !options.with_deps {
            return Ok(stages);
        }
        Ok(Graph::build(&index.stages, &repo.root)?.upstream(&stages))
    };
    if is_project_file(Path::new(target)) {
        return Ok(whole(with_deps(index.find(target, cwd)?)?));
    }
    let path = join(cwd, target);
    if options.recursive && path.is_dir() {
        let below = |stage: &&usize| index.stages[**stage].address.file.starts_with(&path);
        let all: Vec<usize> = (0..index.stages.len()).collect();
        return Ok(whole(with_deps(all.iter().filter(below).copied().collect())?));
    }
    if let Ok(stages) = index.find(target, cwd)
        && !stages.is_empty()
    {
        return Ok(whole(with_deps(stages)?));
    }
    match outputs.at(&path) {
        Some((stage, _)) if !target.is_empty() => Ok(vec![Selection { stage, only: Some(path) }]),
        _ => Err(Error::NoSuchTarget { target: target.to_owned() }),
    }
}

/// The outputs of a project by path, for many questions.
pub struct OutputMap<'i>(HashMap<&'i Path, (usize, &'i Output)>);

impl<'i> OutputMap<'i> {
    /// The outputs of all stages.
    pub fn of(index: &'i Index) -> Self {
        let outputs = index
            .stages
            .iter()
            .enumerate()
            .flat_map(|(n, stage)| stage.outs.iter().map(move |out| (out.path.as_path(), (n, out))));
        Self(outputs.collect())
    }

    /// The output that is at `path` or holds it, with the number of its stage.
    pub fn at(&self, path: &Path) -> Option<(usize, &'i Output)> {
        path.ancestors().find_map(|ancestor| self.0.get(ancestor).copied())
    }
}

/// Replaces patterns with `*`, `?`, `[…]` and `**` by the paths that they match, as a shell would.
pub fn expand(patterns: &[String], cwd: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for pattern in patterns {
        let absolute = pattern.starts_with('/');
        let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        let start = if absolute { PathBuf::from("/") } else { cwd.to_path_buf() };
        let shown = if absolute { "/".to_owned() } else { String::new() };
        expand_parts(&start, &shown, &parts, &mut found)?;
    }
    if found.is_empty() {
        return Err(Error::NoMatch { patterns: patterns.to_vec() });
    }
    Ok(found)
}

fn expand_parts(folder: &Path, shown: &str, parts: &[&str], found: &mut Vec<String>) -> Result<()> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    let mut step = |name: &str, rest: &[&str]| -> Result<()> {
        let path = folder.join(name);
        let shown = format!("{shown}{name}");
        if rest.is_empty() {
            if path.symlink_metadata().is_ok() && !found.contains(&shown) {
                found.push(shown);
            }
            return Ok(());
        }
        if path.is_dir() { expand_parts(&path, &format!("{shown}/"), rest, found) } else { Ok(()) }
    };
    if !part.contains(['*', '?', '[']) {
        return step(part, rest);
    }
    let mut names = Vec::new();
    if let Ok(entries) = std::fs::read_dir(folder) {
        for entry in entries {
            let entry = entry.map_err(Error::io("read", folder))?;
            if let Ok(name) = entry.file_name().into_string()
                && !name.starts_with('.')
            {
                names.push((name, entry.path().is_dir()));
            }
        }
    }
    // The order of the folder, as Python's glob gives it.
    if *part == "**" {
        // No folder at all is a match too.
        if !rest.is_empty() {
            expand_parts(folder, shown, rest, found)?;
        }
        for (name, is_dir) in &names {
            if rest.is_empty() {
                found.push(format!("{shown}{name}"));
            }
            if *is_dir {
                expand_parts(&folder.join(name), &format!("{shown}{name}/"), parts, found)?;
            }
        }
        return Ok(());
    }
    let glob = ignore::gitignore::GitignoreBuilder::new("/")
        .add_line(None, &format!("/{part}"))
        .and_then(|builder| builder.build())
        .map_err(|error| Error::BadPattern { pattern: (*part).to_owned(), reason: error.to_string() })?;
    for (name, is_dir) in &names {
        if glob.matched(Path::new("/").join(name), *is_dir).is_ignore() {
            step(name, rest)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["f1.csv", "f2.csv", "x/g1.csv", "x/y/h1.csv", "x/y/h22.csv", ".hidden.csv"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let table: [(&str, &[&str]); 6] = [
            ("*.csv", &["f1.csv", "f2.csv"]),
            ("x/*.csv", &["x/g1.csv"]),
            ("**/h?.csv", &["x/y/h1.csv"]),
            ("**/*.csv", &["f1.csv", "f2.csv", "x/g1.csv", "x/y/h1.csv", "x/y/h22.csv"]),
            ("f[2-9].csv", &["f2.csv"]),
            ("x/y", &["x/y"]),
        ];
        for (pattern, expected) in table {
            let mut found = expand(&[pattern.into()], folder.path()).unwrap();
            found.sort();
            assert_eq!(found, expected, "{pattern}");
        }
        assert!(matches!(expand(&["none*".into()], folder.path()), Err(Error::NoMatch { .. })));
    }
}
