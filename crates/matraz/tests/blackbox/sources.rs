//! Data of other repositories: copied out, imported, kept up to date, brought back.

use std::fs;

use crate::workspace::Workspace;

/// A repository with a tracked file and folder, a file of git and a tag, all committed.
fn source() -> Workspace {
    let w = Workspace::project();
    w.write("model.bin", "one");
    w.write("data/a", "a");
    w.write("data/deep/b", "b");
    w.write("code/run.py", "print()\n");
    w.matraz(&["add", "model.bin", "data"]).succeeds();
    w.git_do(&["add", "-A"]);
    w.git_do(&["commit", "-qm", "one"]);
    w.git_do(&["tag", "v1"]);
    w
}

fn change(source: &Workspace) {
    source.write("model.bin", "two");
    source.matraz(&["add", "model.bin"]).succeeds();
    source.git_do(&["add", "-A"]);
    source.git_do(&["commit", "-qm", "two"]);
}

#[test]
fn files_are_listed_and_copied_out() {
    let (theirs, ours) = (source(), Workspace::git());
    change(&theirs);
    let url = theirs.root().to_str().unwrap().to_owned();
    ours.matraz(&["list", &url, "-R", "--dvc-only"]).succeeds().prints(&["data/deep/b", "model.bin"]);
    ours.matraz(&["get", &url, "model.bin"]).succeeds();
    assert_eq!(ours.read("model.bin"), "two");
    let refused = ours.matraz(&["get", &url, "model.bin"]);
    assert_eq!(refused.code, 5, "{}", refused.err);
    ours.matraz(&["get", &url, "model.bin", "-f", "--rev", "v1"]).succeeds();
    assert_eq!(ours.read("model.bin"), "one");
    // What the work tree has lost comes from the cache.
    fs::remove_dir_all(theirs.path("data")).unwrap();
    ours.matraz(&["get", &url, "data/deep", "-o", "part"]).succeeds();
    assert_eq!(ours.read("part/b"), "b");
    let missing = ours.matraz(&["get", &url, "data/nosuch"]);
    assert_eq!(missing.code, 4, "{}", missing.err);
    ours.matraz(&["get", &url, "data", "--remote", "nosuch", "-o", "elsewhere"])
        .fails()
        .says(&["remote 'nosuch' doesn't exist"]);
    assert!(!ours.path("elsewhere").exists());
    for escape in ["../project/model.bin", "/etc/passwd"] {
        assert_ne!(ours.matraz(&["get", &url, escape, "-o", "stolen"]).code, 0);
        assert!(!ours.path("stolen").exists());
    }
}

#[test]
fn imports_are_updated_and_come_back() {
    let (theirs, ours) = (source(), Workspace::project());
    let url = theirs.root().to_str().unwrap().to_owned();
    ours.matraz(&["import", &url, "model.bin"]).succeeds();
    ours.matraz(&["import", &url, "data"]).succeeds();
    ours.matraz(&["import", &url, "code"]).succeeds();
    ours.matraz(&["import", &url, "data", "--remote", "nosuch", "-o", "elsewhere"])
        .fails()
        .says(&["remote 'nosuch' doesn't exist"]);
    assert!(!ours.path("elsewhere").exists() && !ours.path("elsewhere.dvc").exists());
    assert_eq!(ours.matraz(&["status", "--json"]).succeeds().out.trim(), "{}");
    change(&theirs);
    ours.matraz(&["status"]).succeeds().prints(&["update available"]);
    ours.matraz(&["update", "model.bin.dvc"]).succeeds();
    assert_eq!(ours.read("model.bin"), "two");
    assert!(ours.read("model.bin.dvc").contains("rev_lock: "));
    // Everything is gone here, and the work tree of the source too.
    for name in ["model.bin", ".dvc/cache", "data", "code"] {
        let path = ours.path(name);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
    fs::remove_dir_all(theirs.path("data")).unwrap();
    ours.matraz(&["pull", "data/deep"]).succeeds();
    assert_eq!(ours.read("data/deep/b"), "b");
    assert!(!ours.path("data/a").exists());
    ours.matraz(&["pull"]).succeeds();
    assert_eq!((ours.read("data/a"), ours.read("model.bin")), ("a".into(), "two".into()));
    assert_eq!(ours.read("code/run.py"), "print()\n");
}

#[test]
fn an_import_of_an_import_finds_the_first_source() {
    let (first, second, third) = (source(), Workspace::project(), Workspace::project());
    second.matraz(&["import", first.root().to_str().unwrap(), "data"]).succeeds();
    second.git_do(&["add", "-A"]);
    second.git_do(&["commit", "-qm", "imported"]);
    fs::remove_dir_all(second.path("data")).unwrap();
    fs::remove_dir_all(second.path(".dvc/cache")).unwrap();
    third.matraz(&["import", second.root().to_str().unwrap(), "data/deep"]).succeeds();
    assert_eq!(third.read("deep/b"), "b");
}

#[test]
fn addresses_that_would_run_something_are_refused() {
    let ours = Workspace::project();
    let witness = ours.path("owned");
    for url in [
        format!("ext::sh -c 'touch {}'", witness.display()),
        format!("--upload-pack=touch {}", witness.display()),
        format!("ssh://-oProxyCommand=touch%20{}/x", witness.display()),
    ] {
        let call = ours.matraz(&["import", "--", &url, "f"]);
        assert_ne!(call.code, 0, "{url}");
        assert!(!witness.exists(), "{url}");
    }
}

#[test]
fn a_source_that_is_gone_does_not_keep_other_data_away() {
    let (theirs, ours) = (source(), Workspace::project());
    let url = theirs.root().to_str().unwrap().to_owned();
    let storage = ours.beside("storage");
    ours.matraz(&["remote", "add", "-d", "r", storage.to_str().unwrap()]).succeeds();
    ours.matraz(&["import", &url, "model.bin"]).succeeds();
    ours.write("own", "own");
    ours.matraz(&["add", "own"]).succeeds();
    ours.matraz(&["push"]).succeeds();
    for gone in [".dvc/cache/files", ".dvc/tmp"] {
        fs::remove_dir_all(ours.path(gone)).unwrap();
    }
    for gone in ["own", "model.bin"] {
        fs::remove_file(ours.path(gone)).unwrap();
    }
    fs::rename(theirs.root(), theirs.beside("elsewhere")).unwrap();
    ours.matraz(&["dvc", "pull"]).ends_with(1).says(&[&url, "model.bin"]);
    assert_eq!(ours.read("own"), "own");
}

#[test]
fn options_with_an_address_are_a_remote_of_their_own() {
    let (theirs, ours) = (source(), Workspace::project());
    let url = theirs.root().to_str().unwrap().to_owned();
    let storage = theirs.beside("storage");
    theirs.matraz(&["remote", "add", "r", storage.to_str().unwrap()]).succeeds();
    theirs.matraz(&["push", "-r", "r"]).succeeds();
    fs::remove_dir_all(theirs.path(".dvc/cache")).unwrap();
    fs::remove_file(theirs.path("model.bin")).unwrap();
    ours.matraz(&["import", &url, "model.bin"]).fails();
    let option = format!("url={}", storage.display());
    ours.matraz(&["dvc", "import", &url, "model.bin", "--remote-config", &option]).succeeds();
    assert_eq!(ours.read("model.bin"), "one");
}
