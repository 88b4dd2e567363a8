//! Garbage: what goes, what comes back.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use crate::workspace::Workspace;

/// The objects of a cache or remote.
fn objects(root: std::path::PathBuf) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in fs::read_dir(root.join("files/md5")).unwrap() {
        for object in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = object.unwrap().path();
            found.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
        }
    }
    found
}

/// A project with two versions of a file and a folder, the first one committed and pushed.
fn two_versions() -> Workspace {
    let w = Workspace::project();
    w.matraz(&["remote", "add", "-d", "far", w.beside("remote").to_str().unwrap()]).succeeds();
    w.write("f", "1\n");
    w.write("d/a", "one\n");
    w.write("d/b", "both\n");
    w.matraz(&["add", "f", "d"]).succeeds();
    w.matraz(&["push"]).succeeds().prints(&["4 files pushed"]);
    w.commit("one");
    w.write("f", "2\n");
    w.write("d/a", "two\n");
    w.matraz(&["add", "f", "d"]).succeeds();
    w
}

#[test]
fn what_nothing_uses_goes_into_the_trash_and_comes_back() {
    let w = two_versions();
    let cache = || objects(w.path(".dvc/cache"));
    let before = cache();
    assert_eq!(before.len(), 7);

    let dry = w.matraz(&["gc", "-w", "--dry", "--json"]).succeeds().json();
    assert_eq!((dry["dry"].as_bool(), dry["objects"].as_u64()), (Some(true), Some(3)), "{dry}");
    let gone = dry["places"][0]["objects"].as_array().unwrap();
    let head = w.git_do(&["rev-parse", "HEAD"]).trim().to_owned();
    let owner = |path: &str, stage: &str| serde_json::json!({"path": path, "revision": head, "stage": stage});
    // The listing goes first.
    assert_eq!(gone[0]["owner"], owner("d", "d.dvc"));
    assert!(gone.iter().any(|one| one["owner"] == owner("d/a", "d.dvc")), "{dry}");
    assert!(gone.iter().any(|one| one["owner"] == owner("f", "f.dvc") && one["size"] == 2), "{dry}");
    w.matraz(&["gc", "-w", "--dry"]).succeeds().prints(&["f (f.dvc at ", "3 objects", "would be removed"]);
    assert_eq!(cache(), before);

    w.matraz(&["gc", "-w"]).ends_with(1).prints(&["Nothing was removed"]);
    assert_eq!(cache(), before);
    w.matraz(&["gc", "-A", "-f"]).succeeds().prints(&["Nothing is unused."]);
    w.matraz(&["gc", "-w", "-f"]).succeeds().prints(&["Moved 3 objects", "--undo"]);
    assert_eq!(cache().len(), 4);
    assert_eq!(w.matraz(&["status", "--json"]).succeeds().out, "{}\n");

    w.matraz(&["gc", "--undo"]).succeeds().prints(&["Brought back 3 objects"]);
    assert_eq!(cache(), before);
    w.matraz(&["gc", "--undo"]).ends_with(4).says(&["the trash is empty"]);
    // What came back can be used.
    w.git_do(&["checkout", "--quiet", "--", "."]);
    w.matraz(&["checkout"]).succeeds();
    assert_eq!((w.read("f"), w.read("d/a")), ("1\n".into(), "one\n".into()));
}

#[test]
fn removals_are_undone_by_name_and_emptied_for_good() {
    let w = two_versions();
    w.matraz(&["gc", "-w", "-f"]).succeeds();
    w.write("f", "3\n");
    w.matraz(&["add", "f"]).succeeds();
    w.matraz(&["gc", "-w", "-f"]).succeeds().prints(&["Moved 1 objects"]);
    let list = w.matraz(&["gc", "--list-trash", "--json"]).succeeds().json();
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 2, "{list}");
    assert_eq!((list[0]["objects"].as_u64(), list[1]["bytes"].as_u64()), (Some(3), Some(2)), "{list}");

    w.matraz(&["gc", "--undo", "nosuch"]).ends_with(4).says(&["no removal 'nosuch'", names[0]]);
    w.matraz(&["gc", "--undo", names[0]]).succeeds().prints(&["Brought back 3 objects"]);
    w.matraz(&["gc", "--empty-trash"]).succeeds().prints(&["1 objects"]);
    w.matraz(&["gc", "--list-trash"]).succeeds().prints(&["The trash is empty."]);
    let trash = w.path(".dvc/tmp/matraz/trash");
    assert_eq!(fs::read_dir(trash).unwrap().count(), 0);
    // In DVC's grammar the space is free at once.
    w.matraz(&["dvc", "gc", "-w", "-f"]).succeeds().prints(&["Removed 3 objects from repo cache."]);
    w.matraz(&["gc", "--undo"]).ends_with(4);
}

#[test]
fn a_removal_that_was_killed_loses_nothing() {
    let w = Workspace::project();
    for n in 0..300 {
        w.write(&format!("d/{n}"), &format!("{n}\n"));
    }
    w.matraz(&["add", "d"]).succeeds();
    let before = objects(w.path(".dvc/cache"));
    fs::remove_file(w.path("d.dvc")).unwrap();
    for milliseconds in [5, 10, 15, 20, 30, 40] {
        let mut child = w.start(&["gc", "-w", "-f"]);
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        let trash = w.matraz(&["gc", "--list-trash", "--json"]).succeeds().json();
        for _ in trash.as_array().unwrap() {
            w.matraz(&["gc", "--undo"]).succeeds();
        }
        assert_eq!(objects(w.path(".dvc/cache")), before, "killed after {milliseconds} ms");
    }
    // As if it was killed half-way, whenever that is: some objects have not gone yet, some are back already.
    w.matraz(&["gc", "-w", "-f"]).succeeds();
    let name = w.matraz(&["gc", "--list-trash", "--json"]).json()[0]["name"].as_str().unwrap().to_owned();
    for key in before.iter().step_by(3) {
        let from = w.path(".dvc/tmp/matraz/trash").join(&name).join("0").join(key);
        fs::rename(from, w.path(".dvc/cache").join(key)).unwrap();
    }
    w.matraz(&["gc", "--undo"]).succeeds().prints(&["were there again already"]);
    assert_eq!(objects(w.path(".dvc/cache")), before);
}

#[test]
fn projects_that_share_a_cache_and_a_remote_are_spared() {
    let w = two_versions();
    let shared = w.beside("shared");
    fs::create_dir_all(w.path("other")).unwrap();
    w.git_do(&["init", "--quiet", "other"]);
    let other = |arguments: &[&str]| {
        let mut all = vec!["--cd", "other"];
        all.extend(arguments);
        w.matraz(&all)
    };
    w.matraz(&["dvc", "--cd", "other", "init", "-q"]).succeeds();
    for place in [&w.path(".dvc/config.local"), &w.path("other/.dvc/config.local")] {
        fs::write(place, format!("[cache]\n    dir = {}\n", shared.display())).unwrap();
    }
    let remote = w.beside("remote");
    w.write("other/g", "other\n");
    other(&["add", "g"]).succeeds();
    other(&["remote", "add", "-d", "far", remote.to_str().unwrap()]).succeeds();
    other(&["push"]).succeeds();
    w.matraz(&["add", "f", "d"]).succeeds();
    w.matraz(&["push"]).succeeds();
    let (cache, far) = (objects(shared.clone()), objects(remote.clone()));

    w.matraz(&["gc", "-w", "-c", "-f", "-p", "other"]).succeeds().says(&["the following repos", "other"]);
    assert_eq!(objects(shared.clone()), cache);
    assert_eq!(far.difference(&objects(remote.clone())).count(), 3, "the first version");
    w.matraz(&["gc", "--undo"]).succeeds();
    assert_eq!(objects(remote.clone()), far);

    // Projects that share the cache are known without being named; DVC's own command knows only what it is told.
    w.matraz(&["gc", "-w", "-c", "-f"]).succeeds().prints(&["other projects need"]);
    assert_eq!((objects(shared.clone()).len(), objects(remote.clone()).len()), (cache.len(), 5));
    w.matraz(&["dvc", "gc", "-w", "-c", "-f"]).succeeds();
    assert_eq!((objects(shared).len(), objects(remote).len()), (cache.len() - 1, 4));
    fs::remove_file(w.path("other/g")).unwrap();
    assert_ne!(other(&["pull"]).code, 0);
}

#[test]
fn data_of_experiments_and_old_branches_are_told_apart() {
    let w = two_versions();
    // An experiment is a commit beside the branches.
    w.commit("two");
    let two = w.git_do(&["rev-parse", "HEAD"]).trim().to_owned();
    w.git_do(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let base = w.git_do(&["rev-parse", "HEAD"]).trim().to_owned();
    let name = format!("refs/exps/{}/{}/try-1", &base[..2], &base[2..]);
    w.git_do(&["update-ref", &name, &two]);
    w.matraz(&["gc", "--all-experiments", "-f"]).succeeds().prints(&["Nothing is unused."]);
    w.matraz(&["gc", "-A", "-f"]).succeeds().prints(&["Moved 3 objects"]);
    w.matraz(&["gc", "--undo"]).succeeds();
    // What was ignored later was data then.
    w.write(".dvcignore", "/d\n/d.dvc\n");
    fs::remove_file(w.path("d.dvc")).unwrap();
    w.commit("three");
    w.matraz(&["gc", "-A", "--all-experiments", "-f"]).succeeds().prints(&["Nothing is unused."]);
    // A commit that cannot be read stops everything, unless it may be left out.
    w.write("x.dvc", "outs: 3\n");
    w.commit("broken");
    fs::remove_file(w.path("x.dvc")).unwrap();
    w.commit("mended");
    w.matraz(&["gc", "-A", "-f"]).ends_with(3).says(&["failed to collect", "x.dvc:1", "--skip-failed"]);
    w.matraz(&["gc", "-A", "-f", "--skip-failed"]).succeeds().says(&["skipping"]);
    w.write("x.dvc", "outs: 3\n");
    w.matraz(&["gc", "-w", "-f", "--skip-failed"]).ends_with(3).says(&["failed to collect 'workspace'"]);
}
