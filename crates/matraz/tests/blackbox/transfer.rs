//! Data between the cache and a remote: of which commits, which parts, and what is missing.

use std::fs;

use crate::workspace::Workspace;

fn with_remote() -> Workspace {
    let w = Workspace::project();
    w.matraz(&["remote", "add", "-d", "far", w.beside("remote").to_str().unwrap()]).succeeds();
    w
}

/// How many files are below a folder beside the project.
fn count(w: &Workspace, name: &str) -> usize {
    fn walk(folder: &std::path::Path) -> usize {
        let Ok(entries) = fs::read_dir(folder) else { return 0 };
        entries
            .map(|entry| entry.unwrap().path())
            .map(|path| if path.is_dir() { walk(&path) } else { 1 })
            .sum()
    }
    walk(&w.root().join(name))
}

#[test]
fn data_of_all_commits_travel() {
    let w = with_remote();
    for version in ["1\n", "2\n", "3\n"] {
        w.write("f", version);
        w.matraz(&["add", "f"]).succeeds();
        w.commit(version);
    }
    w.git_do(&["tag", "first", "HEAD~2"]);
    w.git_do(&["branch", "second", "HEAD~1"]);
    let new = |arguments: &[&str]| w.matraz(arguments).succeeds().json().as_object().unwrap().len();
    assert_eq!(new(&["status", "-c", "--json"]), 1);
    w.matraz(&["push", "-T"]).succeeds().prints(&["2 files pushed"]);
    w.matraz(&["push", "-a"]).succeeds().prints(&["1 file pushed"]);
    w.matraz(&["push", "-A"]).succeeds().prints(&["Everything is up to date."]);
    fs::remove_dir_all(w.path(".dvc/cache")).unwrap();
    w.matraz(&["fetch", "-A", "f.dvc"]).succeeds().prints(&["3 files fetched"]);
    w.matraz(&["fetch", "-A", "nosuch"]).ends_with(4).says(&["nosuch"]);
    // A commit in which the target is not there does not stand in the way.
    w.git_do(&["rm", "--quiet", "f.dvc"]);
    w.commit("gone");
    fs::remove_dir_all(w.path(".dvc/cache")).unwrap();
    w.matraz(&["fetch", "-A", "f.dvc"]).succeeds().prints(&["3 files fetched"]).says(&["skipping"]);
    w.matraz(&["status", "-a"]).ends_with(5).says(&["--all-branches"]);
}

#[test]
fn a_part_of_a_folder_costs_its_listing_and_its_files() {
    let w = with_remote();
    for n in 0..40 {
        w.write(&format!("d/{}/{n}", n % 4), &format!("{n}\n"));
    }
    w.matraz(&["add", "d"]).succeeds();
    // A partial push does not make the remote look whole.
    w.matraz(&["push", "d/0/8"]).succeeds().prints(&["2 files pushed"]);
    let lacking = w.matraz(&["status", "-c", "--json"]).succeeds().json();
    assert_eq!(lacking.as_object().unwrap().len(), 39);
    w.matraz(&["push"]).succeeds().prints(&["39 files pushed"]);

    for (command, target) in [("pull", "d/1/5"), ("fetch", "d/1/5")] {
        fs::remove_dir_all(w.path(".dvc/cache")).unwrap();
        fs::remove_dir_all(w.path("d")).unwrap();
        w.matraz(&[command, target]).succeeds().prints(&["2 files fetched"]);
        assert_eq!(count(&w, ".dvc/cache"), 2);
        w.matraz(&["checkout", target]).succeeds();
        assert_eq!((w.read("d/1/5"), count(&w, "d")), ("5\n".into(), 1));
    }
    w.matraz(&["pull", "d/2"]).succeeds().prints(&["10 files fetched and 10 files added"]);
    assert_eq!(count(&w, "d"), 11);
    w.matraz(&["pull", "d/nosuch"]).ends_with(0);
    w.matraz(&["pull"]).succeeds();
    assert_eq!(w.matraz(&["status", "--json"]).succeeds().out, "{}\n");
}

#[test]
fn what_the_remote_lacks_or_has_corrupted_is_named() {
    let w = with_remote();
    w.write("d/a", "a\n");
    w.write("d/b", "b\n");
    w.matraz(&["add", "d"]).succeeds();
    w.matraz(&["push"]).succeeds();
    let object = w.beside("remote/files/md5/3b/5d5c3712955042212316173ccf37be");
    let afresh = || {
        fs::remove_dir_all(w.path(".dvc/cache")).unwrap();
        let _ = fs::remove_dir_all(w.path("d"));
    };
    afresh();
    fs::remove_file(&object).unwrap();
    w.matraz(&["pull", "d/a"]).succeeds();
    afresh();
    w.matraz(&["pull", "d/b"]).ends_with(1).says(&["'d/b' is not on the remote", "incomplete"]);
    assert!(!w.path("d").exists());
    w.matraz(&["fetch"]).ends_with(1).says(&["'d/b'", "2 files failed to download"]);
    assert_eq!(count(&w, ".dvc/cache"), 1, "no listing without its files");

    fs::write(&object, "broken\n").unwrap();
    afresh();
    w.matraz(&["pull"]).ends_with(1).says(&["3b/5d5c3712955042212316173ccf37be", "corrupted"]);
    assert!(!w.path(".dvc/cache/files/md5/3b/5d5c3712955042212316173ccf37be").exists());
    w.matraz(&["pull", "d/a"]).succeeds();
    assert_eq!(w.read("d/a"), "a\n");
}

#[test]
fn a_push_that_was_killed_leaves_no_half_object() {
    let w = with_remote();
    for n in 0..60 {
        w.write(&format!("d/{n}"), &format!("{n} ").repeat(20_000));
    }
    w.matraz(&["add", "d"]).succeeds();
    for milliseconds in [10, 20, 30, 45, 60] {
        let mut child = w.start(&["push"]);
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        fs::rename(w.path(".dvc/cache"), w.beside("kept")).unwrap();
        // All that is there is sound: a fetch checks it.
        let fetched = w.matraz(&["fetch"]);
        assert!(!fetched.err.contains("corrupted"), "{}", fetched.err);
        let _ = fs::remove_dir_all(w.path(".dvc/cache"));
        fs::rename(w.beside("kept"), w.path(".dvc/cache")).unwrap();
    }
    w.matraz(&["push"]).succeeds();
    w.matraz(&["status", "-c"]).succeeds().prints(&["in sync"]);
}
