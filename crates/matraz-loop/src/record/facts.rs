//! What is true of the whole reproduction before the first stage runs.

use matraz_data::Repo;
use serde_json::{Value as Json, json};

use crate::run::tag;

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
}

impl Facts {
    /// Asks git. What git cannot say stays unknown.
    pub fn gather(repo: &Repo) -> Self {
        let Some(git) = &repo.git else { return Self::default() };
        let diff = git.diff().unwrap_or_default();
        let diff = if diff.len() > LONGEST_DIFF { shortened(&diff) } else { diff };
        Self { commit: git.head_commit(), branch: git.branch(), diff }
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

fn shortened(diff: &str) -> String {
    let mut end = LONGEST_DIFF;
    while !diff.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}\n[cut after {LONGEST_DIFF} of {} bytes]\n", &diff[..end], diff.len())
}

/// A tag or parameter of the API.
pub(super) fn pair(key: &str, value: &str) -> Json {
    json!({"key": key, "value": value})
}
