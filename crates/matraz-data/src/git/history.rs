//! Commits, trees and references that are made beside the branch that is checked out.
//!
//! Trees are put together in an index of their own, so that the user's index, `HEAD` and the branch stay as they are.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempPath;

use super::Git;
use crate::config::relative;
use crate::{Error, Result};

/// A tree on its way to a commit.
#[derive(Debug)]
pub struct Draft<'g> {
    git: &'g Git,
    index: TempPath,
}

/// How many references git is given at once: a command line has an end.
const AT_ONCE: usize = 500;

/// Moves many references at once, and one by one where one of them is in the way.
fn exchange(specs: &[String], act: &dyn Fn(&[String]) -> Result<bool>) -> Result<Vec<bool>> {
    let mut done = Vec::new();
    for some in specs.chunks(AT_ONCE) {
        match act(some)? {
            true => done.resize(done.len() + some.len(), true),
            false if some.len() == 1 => done.push(false),
            false => {
                for one in some.chunks(1) {
                    done.push(act(one)?);
                }
            }
        }
    }
    Ok(done)
}

impl Git {
    /// A draft with the tracked files as they are in the work tree now, and what is staged besides.
    pub fn draft(&self) -> Result<Draft<'_>> {
        let own = self.inner.to_thread_local();
        let folder = own.git_dir().to_path_buf();
        let file = tempfile::Builder::new()
            .prefix("matraz-index-")
            .tempfile_in(&folder)
            .map_err(Error::io("write", &folder))?;
        let index = file.into_temp_path();
        let known = own.index_path();
        if known.is_file() {
            fs::copy(&known, &index).map_err(Error::io("copy", &known))?;
        } else {
            // Git takes no empty file for an index, and makes one where there is none.
            fs::remove_file(&index).map_err(Error::io("remove", &index))?;
        }
        let draft = Draft { git: self, index };
        draft.run("read the work tree", ["add", "--update", "--", "."], &[])?;
        Ok(draft)
    }

    /// Makes a commit and returns its name. No hook runs.
    pub fn commit_tree(&self, tree: &str, parents: &[&str], message: &str) -> Result<String> {
        let mut arguments = vec!["commit-tree", tree];
        for parent in parents {
            arguments.extend(["-p", parent]);
        }
        arguments.extend(["-F", "-"]);
        let made = self.feed("make a commit", arguments.clone(), &[], message.as_bytes());
        match made {
            // Nobody is asked for a name before an experiment may run.
            Err(Error::Git { message: said, .. }) if said.contains("user.email") => {
                let named = ["-c", "user.name=matraz", "-c", "user.email=matraz@localhost"];
                let arguments = named.into_iter().chain(arguments);
                self.feed("make a commit", arguments, &[], message.as_bytes()).map(one_line)
            }
            made => made.map(one_line),
        }
    }

    /// The tree of a commit.
    pub fn tree_of(&self, commit: &str) -> Result<String> {
        self.act(
            "read a commit",
            ["rev-parse", "--verify", "--end-of-options", &format!("{commit}^{{tree}}")],
        )
        .map(one_line)
    }

    /// Lets a reference name a commit, with an entry in its log when there is a message.
    pub fn set_reference(&self, name: &str, commit: &str, message: Option<&str>) -> Result<()> {
        let mut arguments = vec!["update-ref"];
        if let Some(message) = message {
            arguments.extend(["--create-reflog", "-m", message]);
        }
        arguments.extend([name, commit]);
        self.act("write a reference", arguments).map(drop)
    }

    /// Makes a reference that must not exist yet. False when it does.
    pub fn create_reference(&self, name: &str, commit: &str) -> Result<bool> {
        const NOTHING: &str = "0000000000000000000000000000000000000000";
        match self.act("write a reference", ["update-ref", name, commit, NOTHING]) {
            Err(_) if self.reference(name).is_some() => Ok(false),
            made => made.map(|_| true),
        }
    }

    /// The commit that a reference names, by its full name.
    pub fn reference(&self, name: &str) -> Option<String> {
        let repo = self.inner.to_thread_local();
        let mut reference = repo.try_find_reference(name).ok()??;
        reference.peel_to_id().ok().map(|id| id.to_string())
    }

    /// Removes references, those that are there.
    pub fn remove_references<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<()> {
        let list: String = names.into_iter().map(|name| format!("delete {name}\n")).collect();
        if list.is_empty() {
            return Ok(());
        }
        self.feed("remove a reference", ["update-ref", "--stdin"], &[], list.as_bytes()).map(drop)
    }

    /// Whether git takes this as the full name of a reference.
    pub fn is_reference_name(&self, name: &str) -> bool {
        self.act("check a name", ["check-ref-format", name]).is_ok()
    }

    /// Makes the index as the last commit is; the work tree stays.
    pub fn reset_index(&self) -> Result<()> {
        self.act("reset the index", ["reset", "--quiet"]).map(drop)
    }

    /// Puts a commit on top of a stash: the newest entry in the log of a reference.
    pub fn push_stash(&self, reference: &str, commit: &str, message: &str) -> Result<()> {
        self.set_reference(reference, commit, Some(message))
    }

    /// Takes a commit out of a stash. Nothing happens when it is not there.
    pub fn drop_stash(&self, reference: &str, commit: &str) -> Result<()> {
        let log = self.inner.to_thread_local().common_dir().join("logs").join(reference);
        let Some(text) = matraz_base::file::read_if_present(&log).map_err(Error::io("read", &log))? else {
            return Ok(());
        };
        let entries: Vec<&str> = text.lines().filter_map(|line| line.split(' ').nth(1)).collect();
        let Some(at) = entries.iter().rev().position(|entry| *entry == commit) else { return Ok(()) };
        if entries.len() == 1 {
            return self.remove_references([reference]);
        }
        let entry = format!("{reference}@{{{at}}}");
        self.act("drop a stash", ["reflog", "delete", "--rewrite", "--updateref", &entry]).map(drop)
    }

    /// Keeps the work tree as a stash commit that `git stash apply` takes: the tracked files, what is staged, and the
    /// untracked files. `None` when there is nothing to keep.
    pub fn keep_work_tree(&self, message: &str) -> Result<Option<String>> {
        let Some(head) = self.head_commit() else { return Ok(None) };
        let untracked = self.untracked_files()?;
        let tree = self.draft()?.tree()?;
        let base = self.tree_of(&head)?;
        if tree == base && untracked.is_empty() {
            return Ok(None);
        }
        let place = self.branch().unwrap_or_else(|| "(no branch)".into());
        let at = format!("{place}: {} {}", &head[..7], self.subject_of(&head).unwrap_or_default());
        let staged = one_line(self.act("read the index", ["write-tree"])?);
        let index = self.commit_tree(&staged, &[&head], &format!("index on {at}"))?;
        let mut parents = vec![head, index];
        if !untracked.is_empty() {
            let draft = self.empty_draft()?;
            draft.add(&untracked, true)?;
            parents.push(self.commit_tree(&draft.tree()?, &[], &format!("untracked files on {at}"))?);
        }
        let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
        self.commit_tree(&tree, &parents, &format!("On {place}: {message}")).map(Some)
    }

    /// Makes the work tree hold the files of `tree`. Files that only the work tree has stay when `keep` is set; otherwise
    /// tracked ones go. The index is that of the last commit afterwards.
    pub fn check_out_tree(&self, tree: &str, keep: bool) -> Result<()> {
        const ACTION: &str = "write the files of a commit";
        let current = self.draft()?;
        let wanted = if keep { self.tree_over(&current, tree)? } else { tree.to_owned() };
        current.run(ACTION, ["read-tree", "--reset", "-u", &wanted], &[])?;
        self.reset_index()
    }

    /// The files of `tree`, and those of the draft that it lacks.
    fn tree_over(&self, draft: &Draft<'_>, tree: &str) -> Result<String> {
        const ACTION: &str = "read the files of a commit";
        let theirs = self.act(ACTION, ["ls-tree", "-r", "-z", "--full-tree", tree])?;
        let both = self.empty_draft()?;
        let ours = draft.tree()?;
        both.run(ACTION, ["read-tree", &ours], &[])?;
        // What stands in the way of a folder, or of a file, of the other tree gives way.
        both.run(ACTION, ["update-index", "-z", "--replace", "--index-info"], &theirs)?;
        both.tree()
    }

    fn empty_draft(&self) -> Result<Draft<'_>> {
        let folder = self.inner.to_thread_local().git_dir().to_path_buf();
        let file = tempfile::Builder::new()
            .prefix("matraz-index-")
            .tempfile_in(&folder)
            .map_err(Error::io("write", &folder))?;
        let index = file.into_temp_path();
        fs::remove_file(&index).map_err(Error::io("remove", &index))?;
        Ok(Draft { git: self, index })
    }

    /// Makes a work tree of its own at `folder`, with the files of `tree` on top of a commit.
    pub fn add_work_tree(&self, folder: &Path, commit: &str, tree: &str) -> Result<()> {
        const ACTION: &str = "make a work tree";
        let place = folder.as_os_str();
        let arguments = ["worktree", "add", "--quiet", "--detach", "--no-checkout", "--force"];
        let arguments = arguments.map(OsStr::new).into_iter().chain([place, OsStr::new(commit)]);
        self.act(ACTION, arguments)?;
        let inside = [OsStr::new("-C"), place];
        let read = ["read-tree", "--reset", "-u", tree].map(OsStr::new);
        self.act(ACTION, inside.into_iter().chain(read)).map(drop)
    }

    /// Removes a work tree that [`Git::add_work_tree`] made, whatever is left of it.
    pub fn remove_work_tree(&self, folder: &Path) -> Result<()> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", folder)(error));
            }
            _ => {}
        }
        self.act("forget a work tree", ["worktree", "prune"]).map(drop)
    }

    /// The names of references of another repository, by its name among the remotes or its address.
    pub fn remote_references(&self, remote: &str, pattern: &str) -> Result<Vec<(String, String)>> {
        let listing = self.act("read a remote repository", ["ls-remote", "--refs", "--", remote, pattern])?;
        let lines = String::from_utf8_lossy(&listing).into_owned();
        let pairs = lines.lines().filter_map(|line| line.split_once('\t'));
        Ok(pairs.map(|(commit, name)| (name.to_owned(), commit.to_owned())).collect())
    }

    /// Sends references to another repository (`FROM:TO`, `:TO` to remove one). For each of them false when it has others
    /// that would be lost, which `force` allows.
    pub fn push_references(&self, remote: &str, specs: &[String], force: bool) -> Result<Vec<bool>> {
        let words = ["push", "--porcelain", "--no-verify", "--force"];
        let words = &words[..words.len() - usize::from(!force)];
        exchange(specs, &|some| self.exchange_once("push to a remote repository", words, remote, some))
    }

    /// Brings references of another repository. For each of them false when the local ones would be lost, which `force`
    /// allows.
    pub fn fetch_references(&self, remote: &str, specs: &[String], force: bool) -> Result<Vec<bool>> {
        let words = ["fetch", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--force"];
        let words = &words[..words.len() - usize::from(!force)];
        exchange(specs, &|some| self.exchange_once("fetch from a remote repository", words, remote, some))
    }

    /// False when something would be lost.
    fn exchange_once(
        &self,
        action: &'static str,
        words: &[&str],
        remote: &str,
        specs: &[String],
    ) -> Result<bool> {
        let arguments = words.iter().copied().chain(["--", remote]).chain(specs.iter().map(String::as_str));
        match self.act(action, arguments) {
            Ok(_) => Ok(true),
            Err(Error::Git { message, .. }) if is_divergence(&message) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn act<S: AsRef<OsStr>>(
        &self,
        action: &'static str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Vec<u8>> {
        self.feed(action, arguments, &[], &[])
    }

    /// Runs git with more environment, and bytes on its standard input.
    fn feed<S: AsRef<OsStr>>(
        &self,
        action: &'static str,
        arguments: impl IntoIterator<Item = S>,
        environment: &[(&str, &OsStr)],
        input: &[u8],
    ) -> Result<Vec<u8>> {
        let failed = |message: String| Error::Git { action, message };
        let mut child = Command::new("git")
            .args(super::SAFE)
            .args(WITHOUT_HOOKS)
            .arg("-C")
            .arg(&self.root)
            .args(arguments)
            .envs(environment.iter().copied())
            // The time of an experiment is when it ran.
            .env_remove("GIT_AUTHOR_DATE")
            .env_remove("GIT_COMMITTER_DATE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format!("the program `git` does not start: {error}")))?;
        let pipe = child.stdin.take();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || pipe.map(|mut pipe| pipe.write_all(input)));
            child.wait_with_output()
        });
        let output = output.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            // Git says on its standard output which references it refused.
            let said = [output.stderr, output.stdout].concat();
            return Err(failed(String::from_utf8_lossy(&said).trim().to_owned()));
        }
        Ok(output.stdout)
    }
}

impl Draft<'_> {
    /// Puts files as they are in the work tree into it, and folders without what git ignores unless `ignored` is set. What
    /// does not exist is left out.
    pub fn add<P: AsRef<Path>>(&self, paths: &[P], ignored: bool) -> Result<()> {
        let there: Vec<&Path> =
            paths.iter().map(AsRef::as_ref).filter(|path| path.symlink_metadata().is_ok()).collect();
        if there.is_empty() {
            return Ok(());
        }
        let mut arguments: Vec<&OsStr> = ["--literal-pathspecs", "add"].map(OsStr::new).to_vec();
        arguments.extend(ignored.then_some(OsStr::new("--force")));
        arguments.push(OsStr::new("--"));
        arguments.extend(there.iter().map(|path| path.as_os_str()));
        self.run("add files to a commit", arguments, &[]).map(drop)
    }

    /// Gives a file other content than it has in the work tree. `path` is absolute.
    pub fn put(&self, path: &Path, content: &[u8]) -> Result<()> {
        const ACTION: &str = "add a file to a commit";
        let inside = relative(path, &self.git.root);
        let name = one_line(self.run(ACTION, ["hash-object", "-w", "--stdin"], content)?);
        let executable = fs::metadata(path).is_ok_and(|meta| {
            use std::os::unix::fs::PermissionsExt;
            meta.permissions().mode() & 0o100 != 0
        });
        let mode = if executable { "100755" } else { "100644" };
        let info = format!("{mode},{name},{inside}");
        self.run(ACTION, ["update-index", "--add", "--cacheinfo", &info], &[]).map(drop)
    }

    /// The tree.
    pub fn tree(&self) -> Result<String> {
        self.run("write a tree", ["write-tree"], &[]).map(one_line)
    }

    fn run<S: AsRef<OsStr>>(
        &self,
        action: &'static str,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Result<Vec<u8>> {
        let index = PathBuf::from(&*self.index);
        self.git.feed(action, arguments, &[("GIT_INDEX_FILE", index.as_os_str())], input)
    }
}

/// Hooks are for what the user does.
const WITHOUT_HOOKS: [&str; 2] = ["-c", "core.hooksPath=/dev/null"];

fn is_divergence(message: &str) -> bool {
    ["[rejected]", "non-fast-forward", "(fetch first)", "(already exists)"]
        .iter()
        .any(|word| message.contains(word))
}

fn one_line(output: Vec<u8>) -> String {
    String::from_utf8_lossy(&output).trim().to_owned()
}
