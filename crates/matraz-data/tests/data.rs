//! The life of data, by the library alone: added, changed, lost, pushed, pulled, corrupted.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made must fail the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Silent;
use matraz_data::cache::{Cache, Object};
use matraz_data::checkout::{self, Wanted};
use matraz_data::config::{Level, SectionName, Setting};
use matraz_data::index::Index;
use matraz_data::pipeline::changes::Updates;
use matraz_data::remote::{fetch, pull, push};
use matraz_data::repo::InitOptions;
use matraz_data::stage::dot_dvc;
use matraz_data::target::{self, TargetOptions};
use matraz_data::workspace::Change;
use matraz_data::{Digest, Error, Places, Repo, Result, add, commit, status};

struct Project {
    folder: tempfile::TempDir,
    repo: Repo,
    interrupt: Interrupt,
}

impl Project {
    /// A project without git, with a remote beside it.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("project");
        fs::create_dir(&root).unwrap();
        let places = Places {
            global_config_dir: folder.path().join("global"),
            system_config_dir: folder.path().join("system"),
            site_cache_dir: folder.path().join("site"),
            home: None,
            lists_projects: false,
        };
        let options = InitOptions { no_scm: true, ..InitOptions::default() };
        let mut repo = Repo::init(&root, options, &places).unwrap();
        let text = |text: &str| Setting::Text(text.into());
        repo.config
            .edit(Level::Project, |file| {
                file.set(&SectionName::plain("core"), "remote", text("r"));
                file.set(&SectionName::remote("r"), "url", text("../../remote"));
                Ok(())
            })
            .unwrap();
        Self { folder, repo, interrupt: Interrupt::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.repo.root.join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn add(&self, target: &str) {
        let options = add::Options::default();
        let report =
            add::add(&self.repo, &[target.to_owned()], &options, &self.repo.root, &Silent, &self.interrupt);
        assert!(report.unwrap().failure.is_none());
    }

    fn changes(&self) -> Vec<Change> {
        let how = TargetOptions::default();
        let status =
            status::status(&self.repo, &[], how, Updates::All, &self.repo.root, &Silent, &self.interrupt)
                .unwrap();
        status.changed.iter().flat_map(|(_, changes)| &changes.outs).map(|(_, change)| *change).collect()
    }

    fn checkout(&self, targets: &[&str], force: bool) -> Result<checkout::Report> {
        let index = Index::load(&self.repo)?;
        let targets: Vec<String> = targets.iter().map(|t| (*t).to_owned()).collect();
        let selections =
            target::select(&self.repo, &index, &targets, TargetOptions::default(), &self.repo.root)?;
        let wanted = Wanted::of(&selections, &index);
        let options = checkout::Options { force, relink: false };
        let mut cache = Cache::open(&self.repo);
        checkout::checkout(&self.repo, &mut cache, &wanted, options, &Silent, self.interrupt.flag())
    }

    fn push(&self) -> push::Report {
        push::push(&self.repo, &[], &push::Options::default(), &self.repo.root, &Silent, &self.interrupt)
            .unwrap()
    }

    fn pull(&self) -> pull::Report {
        pull::pull(&self.repo, &[], &pull::Options::default(), &self.repo.root, &Silent, &self.interrupt)
            .unwrap()
    }

    /// Forgets the cache, what is known of it, and the data.
    fn lose(&self, names: &[&str]) {
        fs::remove_dir_all(self.repo.cache_dir()).unwrap();
        for name in names {
            let path = self.path(name);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    }

    fn object(&self, stage: &str) -> Object {
        Object::new(dot_dvc::load(&self.path(stage)).unwrap().outs[0].digest.unwrap())
    }
}

fn overwrite(path: &Path, content: &str) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
}

#[test]
fn data_go_to_a_remote_and_come_back() {
    let p = Project::new();
    p.write("d/a", "1\n");
    p.write("d/s/b", "2\n");
    p.write("f", "3\n");
    p.add("d");
    p.add("f");
    assert_eq!(p.changes(), []);
    assert_eq!(p.push().pushed, 4);
    assert_eq!(p.push().pushed, 0);
    p.lose(&["d", "f"]);
    assert_eq!(p.changes(), [Change::NotInCache, Change::NotInCache]);
    let report = p.pull();
    assert_eq!((report.fetch.fetched, report.checkout.unwrap().stats.added), (4, 3));
    assert_eq!(fs::read_to_string(p.path("d/s/b")).unwrap(), "2\n");
    assert_eq!(p.changes(), []);
}

#[test]
fn a_folder_goes_up_after_its_files_and_only_if_all_are_there() {
    let p = Project::new();
    p.write("d/a", "1\n");
    p.write("d/b", "2\n");
    p.add("d");
    let lost = Object::new(Digest::parse("26ab0db90d72e28ad0ba1e22ee510510").unwrap());
    fs::remove_file(Cache::open(&p.repo).path(&lost)).unwrap();
    let report = p.push();
    assert_eq!((report.pushed, report.missing), (1, vec![lost]));
    assert!(!p.folder.path().join("remote").join(p.object("d.dvc").key()).exists());
    p.add("d");
    assert_eq!(p.push().pushed, 2);
}

#[test]
fn what_was_written_through_a_link_into_the_cache_is_not_lost() {
    let p = Project::new();
    p.write("f", "1\n");
    p.add("f");
    let cached = Cache::open(&p.repo).path(&p.object("f.dvc"));
    let file = p.repo.root.join("f");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&cached, &file).unwrap();
    overwrite(&cached, "mine\n");
    p.changes();
    p.push();
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine\n");
    p.add("f");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine\n");
    assert_eq!(p.changes(), []);
}

#[test]
fn corrupted_objects_are_named_and_go_nowhere() {
    let p = Project::new();
    p.write("f", "1\n");
    p.add("f");
    let object = p.object("f.dvc");
    // On the way up: the object is protected and of the right length, but another one.
    let cached = Cache::open(&p.repo).path(&object);
    overwrite(&cached, "2\n");
    let report = p.push();
    assert_eq!(report.corrupted.iter().map(|one| &one.path).collect::<Vec<_>>(), [&cached]);
    assert_eq!(report.pushed, 0);
    assert_eq!(p.changes(), [Change::NotInCache]);
    p.add("f");
    assert_eq!(p.push().pushed, 1);
    // On the way down.
    let there = p.folder.path().canonicalize().unwrap().join("remote").join(object.key());
    overwrite(&there, "2\n");
    p.lose(&["f"]);
    let options = fetch::Options::default();
    let report = fetch::fetch(&p.repo, &[], &options, &p.repo.root, &Silent, &p.interrupt).unwrap();
    assert_eq!((report.fetched, report.rejected), (0, 1));
    assert_eq!(report.corrupted[0].path, there);
    assert!(!cached.exists());
}

#[test]
fn unsaved_data_are_lost_by_force_only() {
    let p = Project::new();
    p.write("f", "1\n");
    p.write("d/a", "2\n");
    p.add("f");
    p.add("d");
    p.write("f", "mine\n");
    p.write("d/extra", "mine too\n");
    let refused = p.checkout(&[], false).unwrap_err();
    assert!(matches!(&refused, Error::UnsavedData { paths } if paths.len() == 2), "{refused}");
    assert_eq!(fs::read_to_string(p.path("f")).unwrap(), "mine\n");
    p.checkout(&["f"], true).unwrap();
    assert_eq!(fs::read_to_string(p.path("f")).unwrap(), "1\n");
    assert!(p.path("d/extra").exists());
    p.checkout(&[], true).unwrap();
    assert!(!p.path("d/extra").exists());
    // Data that the cache has are no loss.
    p.write("f", "2\n");
    p.checkout(&[], false).unwrap();
    assert_eq!(fs::read_to_string(p.path("f")).unwrap(), "1\n");
}

#[test]
fn missing_objects_fail_their_output_and_leave_what_is_there() {
    let p = Project::new();
    p.write("d/a", "1\n");
    p.write("d/b", "2\n");
    p.write("f", "3\n");
    p.add("d");
    p.add("f");
    fs::remove_file(
        Cache::open(&p.repo).path(&Object::new(Digest::parse("b026324c6904b2a9cb4b88d6d61c81d1").unwrap())),
    )
    .unwrap();
    fs::remove_file(p.path("d/a")).unwrap();
    fs::remove_file(p.path("f")).unwrap();
    let report = p.checkout(&[], false).unwrap();
    assert_eq!(report.failed, [p.path("d")]);
    assert!(p.path("f").exists() && p.path("d/b").exists() && !p.path("d/a").exists());
}

#[test]
fn a_file_becomes_a_folder_and_the_reverse() {
    let p = Project::new();
    p.write("x", "file\n");
    p.add("x");
    let as_file = fs::read(p.path("x.dvc")).unwrap();
    fs::remove_file(p.path("x")).unwrap();
    p.write("x/in", "folder\n");
    p.add("x");
    let as_folder = fs::read(p.path("x.dvc")).unwrap();
    fs::write(p.path("x.dvc"), &as_file).unwrap();
    p.checkout(&[], false).unwrap();
    assert_eq!(fs::read_to_string(p.path("x")).unwrap(), "file\n");
    fs::write(p.path("x.dvc"), &as_folder).unwrap();
    p.checkout(&[], false).unwrap();
    assert_eq!(fs::read_to_string(p.path("x/in")).unwrap(), "folder\n");
}

#[test]
fn nothing_is_written_outside_the_project() {
    let p = Project::new();
    p.write("f", "1\n");
    p.write("d/x", "1\n");
    p.add("f");
    p.add("d");
    let outside = p.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    for path in ["../../outside/evil", outside.join("evil").to_str().unwrap()] {
        let text = format!("outs:\n- md5: b026324c6904b2a9cb4b88d6d61c81d1\n  hash: md5\n  path: {path}\n");
        p.write("evil.dvc", &text);
        assert!(matches!(p.checkout(&["evil.dvc"], true), Err(Error::OutsideProject { .. })), "{path}");
    }
    fs::remove_file(p.path("evil.dvc")).unwrap();
    // A tracked folder replaced by a link that leads out.
    fs::remove_dir_all(p.path("d")).unwrap();
    std::os::unix::fs::symlink(&outside, p.path("d")).unwrap();
    assert!(matches!(p.checkout(&[], true), Err(Error::ThroughLink { .. })));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn changes_are_committed_after_a_yes() {
    let p = Project::new();
    p.write("f", "1\n");
    p.add("f");
    p.write("f", "2\n");
    let run = |answer: bool| {
        let mut asked = Vec::new();
        let mut confirm = |question: &str| {
            asked.push(question.to_owned());
            answer
        };
        let options = commit::Options::default();
        let outcome =
            commit::commit(&p.repo, &[], options, &p.repo.root, &mut confirm, &Silent, &p.interrupt)
                .map(|_| ());
        (outcome, asked.len())
    };
    assert!(matches!(run(false), (Err(Error::CommitDeclined { .. }), 1)));
    assert_eq!(p.changes(), [Change::Modified]);
    assert!(matches!(run(true), (Ok(()), 1)));
    assert_eq!(p.changes(), []);
    assert!(matches!(run(false), (Ok(()), 0)));
}

#[test]
fn links_to_the_cache_are_made_as_the_settings_ask() {
    let mut p = Project::new();
    p.write("d/a", "1\n");
    for (kind, linked) in [("hardlink", true), ("symlink", true), ("copy", false)] {
        p.repo
            .config
            .edit(Level::Project, |file| {
                file.set(&SectionName::plain("cache"), "type", Setting::Text(kind.into()));
                Ok(())
            })
            .unwrap();
        p.add("d");
        let object = Cache::open(&p.repo)
            .path(&Object::new(Digest::parse("b026324c6904b2a9cb4b88d6d61c81d1").unwrap()));
        let same = |path: &Path| fs::canonicalize(path).unwrap();
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        assert_eq!(inode(&p.path("d/a")) == inode(&object), linked, "{kind}");
        assert_eq!(same(&p.path("d/a")) == same(&object), kind == "symlink", "{kind}");
        assert_eq!(p.changes(), [], "{kind}");
    }
}
