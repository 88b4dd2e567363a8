//! A YAML file under examination: its text, and errors that point into it.

use std::path::{Path, PathBuf};

use matraz_base::Place;
use matraz_base::yaml::{self, Key, Node, NodeKind, Span};

use crate::error::Fault;
use crate::{Error, Result};

/// The text of a project file and where it came from.
#[derive(Clone, Debug)]
pub struct Document {
    /// Absolute path.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

impl Document {
    /// A document of `text`, read from `path`.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Reads the text as YAML.
    pub fn parse(&self) -> Result<Node> {
        if let Some(line) = conflict_marker(&self.text) {
            return Err(Error::Definition {
                fault: Fault::Format,
                message: "the file has marks of a git merge conflict".into(),
                place: Box::new(Place::at(&self.path, &self.text, line, 1, 7)),
                hint: Some("resolve the conflict first".into()),
            });
        }
        yaml::parse(&self.text).map_err(|error| Error::Definition {
            fault: Fault::Format,
            place: Box::new(Place::at(&self.path, &self.text, error.line, error.column, error.width)),
            message: error.message,
            hint: None,
        })
    }

    /// The place of `span`.
    pub fn place(&self, span: Span) -> Place {
        Place::at(&self.path, &self.text, span.line, span.column, span.width(&self.text))
    }

    /// An error at `span`.
    pub fn error(&self, span: Span, message: impl Into<String>) -> Error {
        Error::Definition {
            fault: Fault::Schema,
            message: message.into(),
            place: Box::new(self.place(span)),
            hint: None,
        }
    }

    /// `what` is not supported yet, at `span`.
    pub fn not_yet(&self, span: Span, what: impl Into<String>) -> Error {
        Error::NotYet { what: what.into(), place: Some(Box::new(self.place(span))) }
    }

    /// The entries of a mapping, or an error that says what `what` must be.
    pub fn map<'n>(&self, node: &'n Node, what: &str) -> Result<&'n [(Key, Node)]> {
        node.as_map().ok_or_else(|| self.wrong_type(node, what, "a mapping"))
    }

    /// The items of a list.
    pub fn list<'n>(&self, node: &'n Node, what: &str) -> Result<&'n [Node]> {
        node.as_list().ok_or_else(|| self.wrong_type(node, what, "a list"))
    }

    /// The text of a scalar.
    pub fn str<'n>(&self, node: &'n Node, what: &str) -> Result<&'n str> {
        node.as_str().ok_or_else(|| self.wrong_type(node, what, "a string"))
    }

    /// A truth value.
    pub fn bool(&self, node: &Node, what: &str) -> Result<bool> {
        node.as_bool().ok_or_else(|| self.wrong_type(node, what, "true or false"))
    }

    /// A list of strings.
    pub fn strings(&self, node: &Node, what: &str) -> Result<Vec<String>> {
        self.list(node, what)?.iter().map(|item| Ok(self.str(item, what)?.to_owned())).collect()
    }

    /// The text of a key, which must have been written as text.
    pub fn key<'n>(&self, key: &'n Key, what: &str) -> Result<&'n str> {
        key.value.as_str().ok_or_else(|| {
            self.error(key.span, format!("{what} must be a string, not {}", article(key.value.type_name())))
        })
    }

    /// Refuses keys that are not among `allowed`.
    pub fn only_keys(&self, entries: &[(Key, Node)], allowed: &[&str], place: &str) -> Result<()> {
        for (key, _) in entries {
            if !allowed.contains(&key.text.as_str()) {
                return Err(Error::Definition {
                    fault: Fault::Schema,
                    message: format!("unknown key `{}` in {place}", key.text),
                    place: Box::new(self.place(key.span)),
                    hint: Some(match nearest(&key.text, allowed) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("keys that may stand here: {}", allowed.join(", ")),
                    }),
                });
            }
        }
        Ok(())
    }

    /// The error that `node` is not what `what` must be.
    pub fn wrong_type(&self, node: &Node, what: &str, wanted: &str) -> Error {
        let found = match &node.kind {
            NodeKind::Scalar(_) if node.is_null() => "nothing".to_owned(),
            _ => article(node.type_name()),
        };
        self.error(node.span, format!("{what} must be {wanted}, not {found}"))
    }
}

fn article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

fn conflict_marker(text: &str) -> Option<usize> {
    let marker = |line: &str| {
        ["<<<<<<< ", "======= ", ">>>>>>> "].iter().any(|mark| line.starts_with(mark)) || line == "======="
    };
    let first = text.lines().position(marker)?;
    text.lines().nth(first).filter(|line| line.starts_with("<<<<<<< ")).map(|_| first + 1)
}

/// The candidate that is at most two edits away from `word`.
pub(crate) fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    candidates
        .iter()
        .map(|candidate| (edits(word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// Reads the document at `path`; `None` when there is no such file.
pub fn read(path: &Path) -> Result<Option<Document>> {
    let text = matraz_base::file::read_if_present(path).map_err(Error::io("read", path))?;
    Ok(text.map(|text| Document::new(path, text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use matraz_base::Explain;

    #[test]
    fn unknown_keys_are_pointed_at_with_a_suggestion() {
        let document = Document::new("/p/dvc.yaml", "stages:\n  a:\n    comand: x\n");
        let root = document.parse().unwrap();
        let stage = root.get("stages").unwrap().get("a").unwrap();
        let error =
            document.only_keys(stage.as_map().unwrap(), &["cmd", "command"], "stage `a`").unwrap_err();
        assert_eq!(error.to_string(), "'dvc.yaml' validation failed: unknown key `comand` in stage `a`");
        assert_eq!(error.hint().unwrap(), "did you mean `command`?");
        let place = error.place().unwrap();
        assert_eq!((place.line, place.column, place.width), (3, 5, 6));
        assert_eq!(place.excerpt.as_deref(), Some("    comand: x"));
    }

    #[test]
    fn merge_conflicts_are_named() {
        let document = Document::new("/p/dvc.lock", "a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> x\n");
        let error = document.parse().unwrap_err();
        assert_eq!(error.place().unwrap().line, 2);
    }
}
