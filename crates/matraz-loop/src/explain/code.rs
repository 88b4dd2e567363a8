//! The programs of two runs: commits, and what was not committed.

use std::collections::BTreeMap;

use matraz_data::Repo;
use matraz_data::stage::{DATA_SUFFIX, LOCK_FILE, PARAMS_FILE};

use super::{About, Change, Section};
use crate::error::Result;
use crate::run::{self, Run, artifact, tag};
use crate::tracker::Tracker;

/// Compares the code of two runs. Files that hold parameters, digests or results are not code.
pub(super) fn section(tracker: &Tracker, repo: Option<&Repo>, a: &Run, b: &Run) -> Result<Section> {
    let mut section = Section { about: About::Code, changes: Vec::new(), unknown: None };
    let (old, new) = match (a.tag(tag::COMMIT), b.tag(tag::COMMIT)) {
        (Some(old), Some(new)) => (old, new),
        _ => {
            section.unknown = Some("a run was recorded without git".into());
            return Ok(section);
        }
    };
    let results: Vec<&str> = a
        .datasets
        .iter()
        .chain(&b.datasets)
        .filter(|item| item.is_output())
        .map(|item| item.name.as_str())
        .collect();
    if old != new {
        let git = repo.and_then(|repo| repo.git.as_ref());
        match git.map(|git| (git, git.resolve(old), git.resolve(new))) {
            Some((git, Some(old), Some(new))) => {
                for file in git.changed_between(&old, &new)? {
                    if !is_code(&file.path) || results.iter().any(|result| file.path.ends_with(result)) {
                        continue;
                    }
                    let details = match file.lines {
                        Some((more, less)) => format!("+{more} −{less} lines"),
                        None => "no text".into(),
                    };
                    section.changes.push(Change {
                        what: file.path,
                        details: vec![details],
                        ..Change::default()
                    });
                }
            }
            _ => section.unknown = Some(format!("this clone lacks commit {old} or {new}")),
        }
    }
    let patches = (patch(tracker, a)?, patch(tracker, b)?);
    let mut files: Vec<&String> = patches.0.keys().chain(patches.1.keys()).collect();
    files.sort();
    files.dedup();
    for file in files.into_iter().filter(|file| is_code(file)) {
        let sides = (patches.0.get(file), patches.1.get(file));
        if sides.0 == sides.1 {
            continue;
        }
        let word = |text: Option<&String>| text.map(|text| stat(text));
        section.changes.push(Change {
            what: format!("{file} (uncommitted)"),
            old: word(sides.0),
            new: word(sides.1),
            ..Change::default()
        });
    }
    Ok(section)
}

/// The uncommitted changes of a run, file by file; new files by their text.
fn patch(tracker: &Tracker, of: &Run) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    if let Some(patch) = run::read_artifact(tracker, of, artifact::DIFF)? {
        let text = String::from_utf8_lossy(&patch).into_owned();
        for part in text.split("\ndiff --git ") {
            let head = part.strip_prefix("diff --git ").unwrap_or(part);
            let Some((names, rest)) = head.split_once('\n') else { continue };
            let Some((_, name)) = names.split_once(" b/") else { continue };
            files.insert(name.to_owned(), rest.trim_end().to_owned());
        }
    }
    for entry in tracker.wait(tracker.client().files(&of.artifact_uri, artifact::UNTRACKED))? {
        let Some(name) = entry.path.strip_prefix(artifact::UNTRACKED) else { continue };
        if let Some(bytes) = run::read_artifact(tracker, of, &entry.path)? {
            let text: String =
                String::from_utf8_lossy(&bytes).lines().map(|line| format!("+{line}\n")).collect();
            files.insert(name.trim_start_matches('/').to_owned(), text);
        }
    }
    Ok(files)
}

fn stat(patch: &str) -> String {
    let count = |sign: char, head: &str| {
        patch.lines().filter(|line| line.starts_with(sign) && !line.starts_with(head)).count()
    };
    format!("+{} −{} lines", count('+', "+++"), count('-', "---"))
}

fn is_code(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name != LOCK_FILE && name != PARAMS_FILE && !name.ends_with(DATA_SUFFIX) && name != ".gitignore"
}
