//! What is true of the whole reproduction before the first stage runs.

use std::ffi::OsString;

use matraz_data::Repo;
use matraz_data::stage::Stage;
use serde_json::{Value as Json, json};

use super::secrets;
use super::untracked::{self, Untracked};
use crate::run::tag;

/// What the difference from the commit is called where it is not kept with a run.
pub(crate) const UNCOMMITTED: &str = "uncommitted changes";
/// The longest diff that is kept with a run, in bytes.
const LONGEST_DIFF: usize = 5 << 20;

/// Who called, and how.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The user's name.
    pub user: Option<String>,
    /// The machine's name.
    pub host: Option<String>,
    /// The command line, as the source of the run.
    pub command: String,
    /// Where programs are looked for: `PATH`.
    pub search_path: Option<OsString>,
}

/// The state of the code.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The commit of `HEAD`.
    pub commit: Option<String>,
    /// The branch, unless detached.
    pub branch: Option<String>,
    /// The difference of tracked files from the commit; empty when there is none.
    pub diff: String,
    /// The files that git does not have.
    pub(super) untracked: Untracked,
}

impl Facts {
    /// Asks git. What git cannot say stays unknown. `stages` are those that take part.
    pub fn gather(repo: &Repo, stages: &[&Stage]) -> Self {
        let Some(git) = &repo.git else { return Self::default() };
        let diff = git.diff().unwrap_or_default();
        let untracked = untracked::collect(repo, stages);
        Self { commit: git.head_commit(), branch: git.branch(), diff, untracked }
    }

    /// Whether git sees changes at or below a path from the root of the work tree.
    pub(super) fn changed(&self, path: &str) -> bool {
        let (file, folder) = (format!("diff --git a/{path} b/"), format!("diff --git a/{path}/"));
        self.diff.lines().any(|line| line.starts_with(&file) || line.starts_with(&folder))
    }

    /// The difference to keep with the run, or why it is not kept.
    pub(super) fn patch(&self) -> Result<&str, String> {
        let added = || self.diff.lines().filter(|line| line.starts_with('+'));
        let found = secrets::find(&added().collect::<Vec<_>>().join("\n"));
        match found {
            Some(kind) => Err(format!("it seems to hold {kind}")),
            None if self.diff.len() > LONGEST_DIFF => {
                Err(format!("it has {} bytes, more than {LONGEST_DIFF}", self.diff.len()))
            }
            None => Ok(&self.diff),
        }
    }

    /// The facts as tags of a run.
    pub fn tags(&self, context: &Context) -> Vec<Json> {
        let mut tags = vec![pair(tag::SOURCE_TYPE, "PROJECT"), pair(tag::SOURCE_NAME, &context.command)];
        let known = [
            (tag::USER, &context.user),
            (tag::HOST, &context.host),
            (tag::COMMIT, &self.commit),
            (tag::BRANCH, &self.branch),
        ];
        for (key, value) in known {
            if let Some(value) = value {
                tags.push(pair(key, value));
            }
        }
        if self.commit.is_some() {
            tags.push(pair(tag::DIRTY, if self.diff.is_empty() { "false" } else { "true" }));
        }
        tags
    }
}

/// A tag or parameter of the API.
pub(super) fn pair(key: &str, value: &str) -> Json {
    json!({"key": key, "value": value})
}
