//! The git repository around a project: what git tracks and ignores, and what is committed.
//!
//! Reading goes through `gix`, all of it in this file; adding to the index is left to the `git` program.

mod compare;
mod worktree;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use gix::bstr::{BStr, ByteSlice};
use gix::worktree::stack::state::ignore::Source;
use matraz_base::file;

use crate::config::relative;
use crate::experiment::refs;
use crate::{Error, Result};

pub mod history;

/// The file in which git keeps patterns of what it must not track.
pub const GITIGNORE: &str = ".gitignore";

/// A git repository with a work tree.
pub struct Git {
    inner: gix::ThreadSafeRepository,
    root: PathBuf,
    /// What git ignores, as far as it was read. Building it anew for every question would read the same files again.
    ignores: Mutex<Option<gix::worktree::Stack>>,
}

/// A tag with a message.
#[derive(Clone, Debug)]
pub struct AnnotatedTag {
    /// Its name.
    pub name: String,
    /// The commit that it marks.
    pub commit: String,
    /// When it was made, in seconds since 1970; 0 when it does not say.
    pub time: i64,
}

/// A file in a commit.
#[derive(Clone, Copy, Debug)]
pub struct CommitFile {
    id: gix::ObjectId,
    /// Its owner may execute it.
    pub executable: bool,
}

/// What [`Git::ignore_many`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// The `.gitignore` files that were written.
    pub files: Vec<PathBuf>,
    /// The paths that were not ignored before.
    pub paths: Vec<PathBuf>,
}

impl std::fmt::Debug for Git {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Git").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Git {
    /// The repository whose work tree has `folder` as its root; `None` when there is none.
    pub fn open(folder: &Path) -> Option<Self> {
        if !folder.join(".git").exists() {
            return None;
        }
        Self::discover(folder).filter(|git| same_folder(&git.root, folder))
    }

    /// The repository whose work tree holds `folder`; `None` when there is none.
    pub fn discover(folder: &Path) -> Option<Self> {
        let inner = gix::ThreadSafeRepository::discover(folder).ok()?;
        let workdir = inner.to_thread_local().workdir()?.to_path_buf();
        // Paths are compared with those of the project, so they must be spelled the same way.
        let root = folder
            .ancestors()
            .find(|ancestor| same_folder(ancestor, &workdir))
            .map(Path::to_path_buf)
            .unwrap_or(workdir);
        Some(Self { inner, root, ignores: Mutex::new(None) })
    }

    /// Whether a folder is a repository without a work tree.
    pub fn is_bare(folder: &Path) -> bool {
        gix::open(folder).is_ok_and(|repo| repo.is_bare())
    }

    /// The root of the work tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The commit that `HEAD` points at, as 40 hexadecimal digits; `None` before the first commit.
    pub fn head_commit(&self) -> Option<String> {
        self.inner.to_thread_local().head_id().ok().map(|id| id.to_string())
    }

    /// The branch that is checked out; `None` when `HEAD` is detached.
    pub fn branch(&self) -> Option<String> {
        let name = self.inner.to_thread_local().head_name().ok()??;
        Some(name.shorten().to_str_lossy().into_owned())
    }

    /// The commit that a revision names (`HEAD~1`, a branch, a tag, the beginning of a hash, an experiment); `None` when
    /// there is none.
    pub fn resolve(&self, revision: &str) -> Option<String> {
        self.resolve_plain(revision).or_else(|| refs::named(self, revision))
    }

    /// The commit that a revision names for git itself, which does not know experiments by their names.
    pub fn resolve_plain(&self, revision: &str) -> Option<String> {
        let repo = self.inner.to_thread_local();
        let id = repo.rev_parse_single(BStr::new(revision)).ok()?;
        let commit = id.object().ok()?.peel_to_kind(gix::object::Kind::Commit).ok()?;
        Some(commit.id.to_string())
    }

    /// The content of the file at `path`, an absolute path in the work tree, in a commit; `None` when there was none.
    pub fn read_at(&self, commit: &str, path: &Path) -> Result<Option<Vec<u8>>> {
        let Some(inside) = self.inside(path) else { return Ok(None) };
        let repo = self.inner.to_thread_local();
        let tree = tree_of(&repo, commit)?;
        let entry = tree.lookup_entry_by_path(&inside).map_err(failed("read a commit"))?;
        let Some(entry) = entry.filter(|entry| entry.mode().is_blob()) else { return Ok(None) };
        let object = entry.object().map_err(failed("read a commit"))?;
        Ok(Some(object.data.clone()))
    }

    /// The absolute paths of all files in a commit, and the names that git gives their contents.
    pub fn files_at(&self, commit: &str) -> Result<Vec<(PathBuf, String)>> {
        let repo = self.inner.to_thread_local();
        let tree = tree_of(&repo, commit)?;
        let mut recorder = gix::traverse::tree::Recorder::default();
        tree.traverse().breadthfirst(&mut recorder).map_err(failed("read a commit"))?;
        let files = recorder.records.into_iter().filter(|record| record.mode.is_blob_or_symlink());
        Ok(files
            .map(|record| (self.root.join(record.filepath.to_str_lossy().as_ref()), record.oid.to_string()))
            .collect())
    }

    /// All files in a commit, by their paths below the work tree, with `/`.
    pub fn tree_at(&self, commit: &str) -> Result<BTreeMap<String, CommitFile>> {
        let repo = self.inner.to_thread_local();
        let tree = tree_of(&repo, commit)?;
        let mut recorder = gix::traverse::tree::Recorder::default();
        tree.traverse().breadthfirst(&mut recorder).map_err(failed("read a commit"))?;
        let files = recorder.records.into_iter().filter(|record| record.mode.is_blob_or_symlink());
        let file = |record: gix::traverse::tree::recorder::Entry| {
            let executable = record.mode.is_executable();
            (record.filepath.to_str_lossy().into_owned(), CommitFile { id: record.oid, executable })
        };
        Ok(files.map(file).collect())
    }

    /// The content of a file in a commit; of a link, what it points to.
    pub fn content(&self, file: &CommitFile) -> Result<Vec<u8>> {
        let repo = self.inner.to_thread_local();
        Ok(repo.find_object(file.id).map_err(failed("read a commit"))?.detach().data)
    }

    /// The number of bytes of a file in a commit.
    pub fn size_of(&self, file: &CommitFile) -> Result<u64> {
        let repo = self.inner.to_thread_local();
        Ok(repo.find_header(file.id).map_err(failed("read a commit"))?.size())
    }

    /// The local branches and their commits, by name.
    pub fn branches(&self) -> Result<Vec<(String, String)>> {
        self.references("refs/heads/")
    }

    /// The commit that an experiment started from; `None` when `revision` is no experiment.
    pub fn experiment_baseline(&self, revision: &str) -> Result<Option<String>> {
        let Some(commit) = self.resolve(revision) else { return Ok(None) };
        for (name, tip) in self.references("refs/exps/")? {
            // refs/exps/<2 digits>/<38 digits>/<name>
            let mut parts = name.split('/');
            if let (Some(head), Some(tail), Some(_)) = (parts.next(), parts.next(), parts.next())
                && tip == commit
                && head.len() + tail.len() == 40
            {
                return Ok(Some(format!("{head}{tail}")));
            }
        }
        Ok(None)
    }

    /// The tags that are objects of their own, sorted by name.
    pub fn annotated_tags(&self) -> Result<Vec<AnnotatedTag>> {
        let repo = self.inner.to_thread_local();
        let platform = repo.references().map_err(failed("read the references"))?;
        let mut found = Vec::new();
        for reference in platform.tags().map_err(failed("read the references"))? {
            let Ok(mut reference) = reference else { continue };
            let name = reference.name().shorten().to_str_lossy().into_owned();
            let Some(id) = reference.try_id().map(gix::Id::detach) else { continue };
            let Ok(object) = repo.find_object(id) else { continue };
            let Ok(tag) = object.try_into_tag() else { continue };
            let time = tag.tagger().ok().flatten().map_or(0, |tagger| tagger.seconds());
            if let Ok(commit) = reference.peel_to_id() {
                found.push(AnnotatedTag { name, commit: commit.to_string(), time });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The tags and their commits, by name.
    pub fn tags(&self) -> Result<Vec<(String, String)>> {
        self.references("refs/tags/")
    }

    /// All commits that `HEAD`, a branch (also one of another repository, as last fetched) or a tag leads to, the
    /// newest first. None before the first commit.
    pub fn commits(&self) -> Result<Vec<String>> {
        let mut tips: Vec<String> = self.head_commit().into_iter().collect();
        for prefix in ["refs/heads/", "refs/remotes/", "refs/tags/"] {
            tips.extend(self.references(prefix)?.into_iter().map(|(_, commit)| commit));
        }
        self.walk(&tips, &[])
    }

    /// The commits of all experiments: those between the commit that an experiment started from, which its reference
    /// names (`refs/exps/<2 digits>/<38 digits>/<name>`), and its end. Of the other references below `refs/exps/`
    /// (queued experiments, those at work) the commit itself.
    pub fn experiment_commits(&self) -> Result<Vec<String>> {
        let mut commits: Vec<String> = Vec::new();
        for (name, commit) in self.references("refs/exps/")? {
            let parts: Vec<&str> = name.split('/').collect();
            match parts[..] {
                [two, rest, ..] if two.len() == 2 && rest.len() == 38 && parts.len() > 2 => {
                    let baseline: Vec<String> = self.resolve(&format!("{two}{rest}")).into_iter().collect();
                    commits.extend(self.walk(std::slice::from_ref(&commit), &baseline)?);
                }
                _ => commits.push(commit),
            }
        }
        commits.sort();
        commits.dedup();
        Ok(commits)
    }

    /// The best common ancestor of two commits; `None` when they share no history.
    pub fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>> {
        const ACTION: &str = "find a merge base";
        let repo = self.inner.to_thread_local();
        let id = |commit: &str| gix::ObjectId::from_hex(commit.as_bytes()).map_err(failed(ACTION));
        let base = repo.merge_base(id(one)?, id(other)?).map_err(failed(ACTION))?;
        Ok(base.map(|base| base.to_string()))
    }

    /// A commit and those before it along first parents, the newest first, `limit` at most.
    pub fn first_parents(&self, commit: &str, limit: usize) -> Result<Vec<String>> {
        const ACTION: &str = "walk the commits";
        let repo = self.inner.to_thread_local();
        let id = gix::ObjectId::from_hex(commit.as_bytes()).map_err(failed(ACTION))?;
        let walk = repo.rev_walk([id]).first_parent_only().all().map_err(failed(ACTION))?;
        walk.take(limit).map(|info| info.map(|info| info.id.to_string()).map_err(failed(ACTION))).collect()
    }

    /// The commits that lead to `tips` and not to `hidden`, the newest first.
    pub(crate) fn walk(&self, tips: &[String], hidden: &[String]) -> Result<Vec<String>> {
        const ACTION: &str = "walk the commits";
        let repo = self.inner.to_thread_local();
        let ids = |commits: &[String]| -> Result<Vec<gix::ObjectId>> {
            let ids = commits.iter().map(|commit| gix::ObjectId::from_hex(commit.as_bytes()));
            ids.map(|id| id.map_err(failed(ACTION))).collect()
        };
        let newest_first = gix::revision::walk::Sorting::ByCommitTime(Default::default());
        let walk = repo
            .rev_walk(ids(tips)?)
            .with_hidden(ids(hidden)?)
            .sorting(newest_first)
            .all()
            .map_err(failed(ACTION))?;
        walk.map(|info| info.map(|info| info.id.to_string()).map_err(failed(ACTION))).collect()
    }

    /// The commits that a commit follows.
    pub fn parents(&self, commit: &str) -> Result<Vec<String>> {
        const ACTION: &str = "read a commit";
        let repo = self.inner.to_thread_local();
        let id = gix::ObjectId::from_hex(commit.as_bytes()).map_err(failed(ACTION))?;
        let commit = repo.find_commit(id).map_err(failed(ACTION))?;
        Ok(commit.parent_ids().map(|id| id.to_string()).collect())
    }

    /// When a commit was made: seconds since 1970.
    pub fn commit_time(&self, commit: &str) -> Result<i64> {
        const ACTION: &str = "read a commit";
        let repo = self.inner.to_thread_local();
        let id = gix::ObjectId::from_hex(commit.as_bytes()).map_err(failed(ACTION))?;
        let commit = repo.find_commit(id).map_err(failed(ACTION))?;
        Ok(commit.time().map_err(failed(ACTION))?.seconds)
    }

    /// The first line of a commit's message; `None` when this clone does not have the commit.
    pub fn subject_of(&self, commit: &str) -> Option<String> {
        let repo = self.inner.to_thread_local();
        let commit = repo.find_commit(gix::ObjectId::from_hex(commit.as_bytes()).ok()?).ok()?;
        Some(commit.message().ok()?.summary().to_string())
    }

    /// The references below a prefix that name commits, by what follows the prefix, sorted.
    pub(crate) fn references(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let repo = self.inner.to_thread_local();
        let platform = repo.references().map_err(failed("read the references"))?;
        let mut found = Vec::new();
        for reference in platform.prefixed(prefix).map_err(failed("read the references"))? {
            let Ok(mut reference) = reference else { continue };
            let name = reference.name().as_bstr().to_str_lossy().trim_start_matches(prefix).to_owned();
            // A tag may also name a file or a folder.
            if let Ok(id) = reference.peel_to_id()
                && id.header().is_ok_and(|header| header.kind() == gix::object::Kind::Commit)
            {
                found.push((name, id.to_string()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Whether git tracks the file, or a file below the folder, at `path`.
    pub fn is_tracked(&self, path: &Path) -> Result<bool> {
        let Some(inside) = self.inside(path) else { return Ok(false) };
        let repo = self.inner.to_thread_local();
        let index = repo.index_or_empty().map_err(failed("read the index of git"))?;
        let name: &BStr = inside.as_bytes().as_bstr();
        if name.is_empty() || index.entry_by_path(name).is_some() {
            return Ok(!index.entries().is_empty());
        }
        let folder = format!("{inside}/");
        Ok(index.prefixed_entries(folder.as_bytes().as_bstr()).is_some())
    }

    /// Whether git ignores the path; a folder is recognised as one when it exists.
    pub fn is_ignored(&self, path: &Path) -> Result<bool> {
        let Some(inside) = self.inside(path) else { return Ok(false) };
        if inside.is_empty() {
            return Ok(false);
        }
        let is_dir = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
        let repo = self.inner.to_thread_local();
        let mut ignores = self.ignores.lock().unwrap_or_else(PoisonError::into_inner);
        let stack = match ignores.as_mut() {
            Some(stack) => stack,
            None => {
                let empty = gix::index::State::new(repo.object_hash());
                let stack = repo
                    .excludes(&empty, None, Source::WorktreeThenIdMappingIfNotSkipped)
                    .map_err(failed("read what git ignores"))?;
                ignores.insert(stack.detach())
            }
        };
        let mode = if is_dir { gix::index::entry::Mode::DIR } else { gix::index::entry::Mode::FILE };
        let platform = stack
            .at_path(Path::new(&inside), Some(mode), &repo.objects)
            .map_err(failed("read what git ignores"))?;
        Ok(platform.is_excluded())
    }

    /// Paths relative to the work tree, with `/`, of tracked files that differ from the last commit, and of
    /// untracked files when `untracked` is set.
    pub fn changed_paths(&self, untracked: bool) -> Result<Vec<String>> {
        const ACTION: &str = "compare the work tree with the last commit";
        let repo = self.inner.to_thread_local();
        let show =
            if untracked { gix::status::UntrackedFiles::Files } else { gix::status::UntrackedFiles::None };
        let items = repo
            .status(gix::progress::Discard)
            .map_err(failed(ACTION))?
            .untracked_files(show)
            .into_iter(None)
            .map_err(failed(ACTION))?;
        let mut paths = Vec::new();
        for item in items {
            let item = item.map_err(failed(ACTION))?;
            if let gix::status::Item::IndexWorktree(change) = &item
                && change.summary().is_none()
            {
                continue;
            }
            paths.push(item.location().to_str_lossy().into_owned());
        }
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// The absolute paths of files that git neither tracks nor ignores.
    pub fn untracked_files(&self) -> Result<Vec<PathBuf>> {
        const ACTION: &str = "list untracked files";
        let repo = self.inner.to_thread_local();
        let items = repo
            .status(gix::progress::Discard)
            .map_err(failed(ACTION))?
            .untracked_files(gix::status::UntrackedFiles::Files)
            .into_index_worktree_iter(None)
            .map_err(failed(ACTION))?;
        let mut paths = Vec::new();
        for item in items {
            let item = item.map_err(failed(ACTION))?;
            if let gix::status::index_worktree::Item::DirectoryContents { entry, .. } = item {
                paths.push(self.root.join(entry.rela_path.to_str_lossy().as_ref()));
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Whether a tracked file differs from the last commit.
    pub fn is_dirty(&self) -> Result<bool> {
        Ok(!self.changed_paths(false)?.is_empty())
    }

    /// The difference between the last commit and the tracked files, as `git apply` takes it.
    pub fn diff(&self) -> Result<String> {
        let against = if self.head_commit().is_some() { "HEAD" } else { "--cached" };
        let output = self.run(
            "show the changes",
            ["diff", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", against],
        )?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// The folder with the hooks that git runs.
    pub fn hooks_folder(&self) -> Result<PathBuf> {
        let output = self.run("find the hooks of git", ["rev-parse", "--git-path", "hooks"])?;
        let path = String::from_utf8_lossy(&output).trim_end_matches('\n').to_owned();
        Ok(self.root.join(path))
    }

    /// Changes a setting of this clone.
    pub fn configure(&self, key: &str, value: &str) -> Result<()> {
        self.run("change the settings of git", ["config", key, value]).map(|_| ())
    }

    /// Puts files into the index, ignored ones too.
    pub fn add<P: AsRef<OsStr>>(&self, paths: &[P]) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let mut arguments: Vec<&OsStr> =
            ["--literal-pathspecs", "add", "--force", "--"].map(OsStr::new).to_vec();
        arguments.extend(paths.iter().map(AsRef::as_ref));
        self.run("add files to git", arguments).map(|_| ())
    }

    /// Makes git ignore `path` by a line in the `.gitignore` beside it, unless it is ignored already.
    /// Returns the changed file.
    pub fn ignore(&self, path: &Path) -> Result<Option<PathBuf>> {
        Ok(self.ignore_many(&[path])?.files.pop())
    }

    /// Like [`Git::ignore`], with the new line before those of `later` paths when they stand in the same file.
    pub fn ignore_before(&self, path: &Path, later: &[&Path]) -> Result<Option<PathBuf>> {
        let Some(file) = self.ignore(path)? else { return Ok(None) };
        let entries: Vec<String> = later
            .iter()
            .filter_map(|path| self.ignore_entry(path))
            .filter(|(other, _)| *other == file)
            .map(|(_, entry)| entry)
            .collect();
        let text = read_text(&file)?;
        let mut lines: Vec<&str> = text.lines().collect();
        if let Some(place) = lines.iter().position(|line| entries.iter().any(|entry| entry == line))
            && let Some(new) = lines.pop()
        {
            lines.insert(place, new);
            let text = lines.join("\n") + "\n";
            file::write(&file, text.as_bytes()).map_err(Error::io("write", &file))?;
        }
        Ok(Some(file))
    }

    /// Makes git ignore several paths, writing each `.gitignore` once.
    pub fn ignore_many<P: AsRef<Path>>(&self, paths: &[P]) -> Result<Ignored> {
        self.forget_ignores();
        let mut ignored = Ignored::default();
        let mut texts: BTreeMap<PathBuf, String> = BTreeMap::new();
        for path in paths {
            let path = path.as_ref();
            if self.is_ignored(path)? {
                continue;
            }
            let Some((file, entry)) = self.ignore_entry(path) else { continue };
            let text = match texts.entry(file) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let text = read_text(entry.key())?;
                    entry.insert(text)
                }
            };
            if text.lines().any(|line| line == entry) {
                continue;
            }
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&entry);
            text.push('\n');
            ignored.paths.push(path.to_path_buf());
        }
        for (file, text) in texts {
            let before = read_text(&file)?;
            if before == text {
                continue;
            }
            let added = text.strip_prefix(&before).filter(|_| !before.is_empty());
            let appended = added.is_some_and(|added| file::append(&file, added.as_bytes()).is_ok());
            if !appended {
                file::write(&file, text.as_bytes()).map_err(Error::io("write", &file))?;
            }
            ignored.files.push(file);
        }
        self.forget_ignores();
        Ok(ignored)
    }

    fn forget_ignores(&self) {
        *self.ignores.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Removes the line that [`Git::ignore`] wrote, and the file when nothing is left in it.
    /// Returns the changed file if it still exists.
    pub fn stop_ignoring(&self, path: &Path) -> Result<Option<PathBuf>> {
        self.forget_ignores();
        let Some((file, entry)) = self.ignore_entry(path) else { return Ok(None) };
        let text = read_text(&file)?;
        let kept: String = text.split_inclusive('\n').filter(|line| line.trim() != entry.trim()).collect();
        if kept == text {
            return Ok(None);
        }
        if kept.is_empty() {
            fs::remove_file(&file).map_err(Error::io("remove", &file))?;
            return Ok(None);
        }
        file::write(&file, kept.as_bytes()).map_err(Error::io("write", &file))?;
        Ok(Some(file))
    }

    /// The `.gitignore` for a path and the line for it; `None` outside the work tree.
    fn ignore_entry(&self, path: &Path) -> Option<(PathBuf, String)> {
        self.inside(path).filter(|inside| !inside.is_empty())?;
        let name = path.file_name()?.to_string_lossy();
        let mut entry = String::from("/");
        for c in name.chars() {
            match c {
                // A line cannot hold its own end; this stands for any one character.
                '\n' | '\r' => entry.push('?'),
                '\\' | '[' | ']' | '!' | '*' | '#' | '?' => entry.extend(['\\', c]),
                _ => entry.push(c),
            }
        }
        Some((path.parent()?.join(GITIGNORE), entry))
    }

    /// The path below the work tree with `/`; `None` when it lies elsewhere.
    fn inside(&self, path: &Path) -> Option<String> {
        if path == self.root {
            return Some(String::new());
        }
        path.starts_with(&self.root).then(|| relative(path, &self.root))
    }

    fn run<S: AsRef<OsStr>>(
        &self,
        action: &'static str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Vec<u8>> {
        let output =
            Command::new("git").args(SAFE).arg("-C").arg(&self.root).args(arguments).output().map_err(
                |error| Error::Git { action, message: format!("the program `git` does not start: {error}") },
            )?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Git { action, message });
        }
        Ok(output.stdout)
    }
}

/// A repository may name a program that git would start to see what changed.
const SAFE: [&str; 2] = ["-c", "core.fsmonitor=false"];

fn failed<E: std::fmt::Display>(action: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::Git { action, message: error.to_string() }
}

fn read_text(file: &Path) -> Result<String> {
    Ok(file::read_if_present(file).map_err(Error::io("read", file))?.unwrap_or_default())
}

fn same_folder(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        _ => false,
    }
}

fn tree_of<'r>(repo: &'r gix::Repository, commit: &str) -> Result<gix::Tree<'r>> {
    let id = gix::ObjectId::from_hex(commit.as_bytes()).map_err(failed("read a commit"))?;
    let commit = repo.find_commit(id).map_err(failed("read a commit"))?;
    commit.tree().map_err(failed("read a commit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) {
        let output = Command::new("git")
            .current_dir(folder)
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn tracked_ignored_and_changed_paths_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        git(&root, &["init", "-q"]);
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("d/a"), "1").unwrap();
        fs::write(root.join(".gitignore"), "/big\n*.log\n").unwrap();
        let ours = Git::open(&root).unwrap();
        assert_eq!(ours.head_commit(), None);
        ours.add(&[root.join("d/a"), root.join(".gitignore")]).unwrap();
        git(&root, &["commit", "-qm", "one"]);
        assert_eq!(ours.head_commit().unwrap().len(), 40);
        for (path, tracked, ignored) in [
            ("d/a", true, false),
            ("d", true, false),
            ("big", false, true),
            ("d/x.log", false, true),
            ("e", false, false),
        ] {
            assert_eq!(ours.is_tracked(&root.join(path)).unwrap(), tracked, "{path}");
            assert_eq!(ours.is_ignored(&root.join(path)).unwrap(), ignored, "{path}");
        }
        assert!(!ours.is_dirty().unwrap());
        fs::write(root.join("d/a"), "22").unwrap();
        fs::write(root.join("new"), "").unwrap();
        assert_eq!(ours.changed_paths(false).unwrap(), ["d/a"]);
        assert_eq!(ours.changed_paths(true).unwrap(), ["d/a", "new"]);
        assert!(ours.diff().unwrap().contains("+22"));
        assert!(Git::open(&root.join("d")).is_none());
        assert_eq!(Git::discover(&root.join("d")).unwrap().root(), root);
    }

    #[test]
    fn gitignore_lines_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        git(&root, &["init", "-q"]);
        let ours = Git::open(&root).unwrap();
        let file = root.join(GITIGNORE);
        fs::write(&file, "# mine\n*.log").unwrap();
        assert_eq!(ours.ignore(&root.join("a[1]")).unwrap().as_deref(), Some(file.as_path()));
        assert_eq!(ours.ignore(&root.join("a[1]")).unwrap(), None);
        assert_eq!(ours.ignore(&root.join("x.log")).unwrap(), None);
        assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\n*.log\n/a\\[1\\]\n");
        ours.stop_ignoring(&root.join("a[1]")).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\n*.log\n");
        let odd = root.join("back\\slash");
        ours.ignore(&odd).unwrap();
        assert!(ours.is_ignored(&odd).unwrap());
        fs::write(&file, "/b\n").unwrap();
        assert_eq!(ours.stop_ignoring(&root.join("b")).unwrap(), None);
        assert!(!file.exists());
        // What a link leads to is not ours to write.
        let elsewhere = root.join("elsewhere");
        fs::write(&elsewhere, "/x\n").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        ours.ignore(&root.join("y")).unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "/x\n");
        assert!(fs::read_to_string(&file).unwrap().ends_with("/y\n"));
    }
}
