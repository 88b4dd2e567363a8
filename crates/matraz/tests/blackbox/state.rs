//! How the project stands: between the last commit, its files and the workspace; and data that change their place.

use std::fs;

use crate::workspace::Workspace;

/// A commit with a file and a folder, and changes in the workspace since.
fn changed_project() -> Workspace {
    let w = Workspace::project();
    w.write("data/a", "1\n");
    w.write("data/s/b", "2\n");
    w.write("sub/raw", "3\n");
    w.matraz(&["add", "data", "sub/raw"]).succeeds();
    w.commit("data");
    w.write("data/a", "11\n");
    w.write("data/new", "4\n");
    w
}

#[test]
fn data_status_tells_committed_uncommitted_and_lost_data_apart() {
    let w = changed_project();
    let status = w.matraz(&["data", "status"]).succeeds().out;
    assert!(status.starts_with("DVC uncommitted changes:\n"), "{status}");
    assert!(status.contains("use \"matraz commit <file>...\"") && status.contains("        modified: data/"));
    let json = |arguments: &[&str]| w.matraz(arguments).succeeds().out.trim().to_owned();
    assert_eq!(
        json(&["data", "status", "--granular", "--json"]),
        r#"{"uncommitted": {"added": ["data/new"], "modified": ["data/", "data/a"]}}"#
    );
    assert_eq!(json(&["data", "status", "--json", "sub"]), "{}");
    assert_eq!(
        json(&["--cd", "sub", "data", "status", "--json", "--unchanged", "raw"]),
        r#"{"unchanged": ["raw"]}"#
    );
    // DVC's paths start at the root of the project.
    assert_eq!(
        json(&["dvc", "--cd", "sub", "data", "status", "--json", "--unchanged", "sub/raw"]),
        r#"{"unchanged": ["sub/raw"]}"#
    );
    w.matraz(&["commit", "-f"]).succeeds();
    assert_eq!(json(&["data", "status", "--json"]), r#"{"committed": {"modified": ["data/"]}}"#);
    let remote = w.beside("remote");
    w.matraz(&["remote", "add", "-d", "storage", remote.to_str().unwrap()]).succeeds();
    w.matraz(&["push", "sub/raw"]).succeeds();
    assert_eq!(json(&["data", "status", "--json", "--not-in-remote", "data"]).matches("data/").count(), 2);
    fs::remove_dir_all(w.path(".dvc/cache/files/md5/6d")).unwrap();
    assert!(json(&["data", "status", "--json"]).contains(r#""not_in_cache": ["sub/raw"]"#));
    w.write("stray", "");
    assert!(json(&["data", "status", "--json", "--untracked-files"]).contains(r#""untracked": ["stray"]"#));
    w.matraz(&["dvc", "data", "status", "--json", "--not-in-remote", "-r", "none"]).ends_with(251);
}

#[test]
fn diff_names_what_came_went_changed_and_moved() {
    let w = changed_project();
    w.matraz(&["move", "sub/raw", "sub/moved"]).succeeds();
    let diff = w.matraz(&["diff"]).succeeds().out;
    assert_eq!(
        diff,
        "Added:\n    data/new\n\nRenamed:\n    sub/raw -> sub/moved\n\nModified:\n    data/\n    data/a\n\n\
         files summary: 1 added, 1 renamed, 1 modified\n"
    );
    let json = w.matraz(&["diff", "--json", "--show-hash", "--targets", "data/a"]).succeeds().out;
    assert!(json.contains(r#""hash": {"old": "b026324c6904b2a9cb4b88d6d61c81d1""#), "{json}");
    w.matraz(&["diff", "--md"])
        .succeeds()
        .prints(&["| Status   | Path", "| renamed  | sub/raw -> sub/moved |"]);
    assert_eq!(w.matraz(&["diff", "HEAD", "HEAD", "--json"]).succeeds().out, "{}\n");
    w.matraz(&["dvc", "diff", "nosuchcommit"]).ends_with(1);
    w.matraz(&["dvc", "diff", "--targets", "nowhere"]).ends_with(255);
}

#[test]
fn moved_data_keep_their_notes_and_replace_nothing() {
    let w = changed_project();
    let text = w.read("sub/raw.dvc");
    w.write("sub/raw.dvc", &format!("# mine\n{text}  desc: raw data\n"));
    w.write("precious", "do not touch\n");
    w.matraz(&["move", "sub/raw", "precious"]).ends_with(5).says(&["already exists"]);
    assert_eq!(w.read("precious"), "do not touch\n");
    w.matraz(&["mv", "sub/raw", "raw"]).succeeds();
    assert_eq!(w.read("raw"), "3\n");
    assert!(w.read("raw.dvc").contains("desc: raw data"));
    assert!(!w.path("sub/raw.dvc").exists() && !w.path("sub/.gitignore").exists());
    assert_eq!(w.matraz(&["status", "raw.dvc", "--json"]).succeeds().out, "{}\n");
}

#[test]
fn what_git_ignores_is_no_part_of_the_project() {
    let w = Workspace::project();
    w.write(".gitignore", ".venv/\nold.dvc\n");
    w.write(".venv/lib/dvc.yaml", "stages: {broken\n");
    w.write("old.dvc", "outs:\n- path: old\n");
    assert_eq!(w.matraz(&["status", "--json"]).succeeds().json(), serde_json::json!({}));
    w.matraz(&["dvc", "repro", "old.dvc"]).ends_with(255).says(&["old.dvc"]);
    w.write("old", "1\n");
    w.matraz(&["dvc", "add", "old"]).ends_with(1).says(&["git-ignored"]);
}

#[test]
fn lists_are_there_as_json() {
    let w = changed_project();
    w.write(".dvcignore", "*.log\n");
    let json = |words: &[&str]| w.matraz(words).succeeds().json();
    assert_eq!(
        json(&["check-ignore", "--json", "a.log", "b"]),
        serde_json::json!([
            {"path": "a.log", "ignored": true, "pattern": ".dvcignore:1:*.log"},
            {"path": "b", "ignored": false, "pattern": null},
        ])
    );
    w.matraz(&["config", "core.remote", "r"]).succeeds();
    let file = w.root().join(".dvc/config").display().to_string();
    assert_eq!(
        json(&["config", "-l", "--project", "--json"]),
        serde_json::json!([{"option": "core.remote", "value": "r", "file": file}])
    );
    assert_eq!(json(&["cache", "dir", "--json"])["dir"], w.root().join(".dvc/cache").display().to_string());
    assert!(json(&["plots", "templates", "--json"]).as_array().unwrap().contains(&"linear".into()));
    assert_eq!(json(&["version", "--json"])["project"]["git"], true);
    let listed = json(&["list-url", "--json", "data"]);
    assert!(listed.as_array().unwrap().iter().any(|entry| entry["path"] == "a"), "{listed}");
    assert_eq!(json(&["du", "--json", ".", "data"]).as_array().unwrap().last().unwrap()["path"], "data");
    fs::remove_file(w.path("sub/raw")).unwrap();
    assert_eq!(
        json(&["checkout", "--json", "sub/raw.dvc"]),
        serde_json::json!({"modified": 0, "added": 1, "deleted": 0, "outs": [{"path": "sub/raw", "change": "added"}]})
    );
    w.matraz(&["dvc", "check-ignore", "--json", "b"]).ends_with(254).says(&["--json"]);
}

#[test]
fn destroy_takes_hooks_and_attributes_back() {
    let w = Workspace::project();
    w.write(".gitattributes", "*.png binary\n");
    w.matraz(&["install"]).succeeds();
    w.write(".git/hooks/pre-commit", "#!/bin/sh\nexec mine\n");
    assert!(w.read(".gitattributes").contains("merge=matraz"));
    w.matraz(&["destroy", "-f"]).succeeds();
    assert_eq!(w.read(".gitattributes"), "*.png binary\n");
    assert!(!w.path(".git/hooks/pre-push").exists() && w.path(".git/hooks/pre-commit").exists());
}

#[test]
fn destroy_leaves_the_data_behind() {
    let w = changed_project();
    w.matraz(&["config", "cache.type", "symlink"]).succeeds();
    w.matraz(&["commit", "-f"]).succeeds();
    assert!(w.path("data/a").is_symlink());
    w.matraz(&["dvc", "destroy"]).ends_with(1).says(&["`-f`"]);
    w.matraz(&["destroy", "-f"]).succeeds();
    assert!(!w.path("data/a").is_symlink());
    assert_eq!(w.read("data/a"), "11\n");
    assert!(!w.path(".dvc").exists() && !w.path("data.dvc").exists() && !w.path("sub/raw.dvc").exists());
}

#[test]
fn files_of_dvc_2_are_used_as_they_are_and_taken_over_when_asked() {
    let w = Workspace::project();
    w.write(".dvc/cache/b0/26324c6904b2a9cb4b88d6d61c81d1", "1\r\n");
    w.write("f.dvc", "# old\nouts:\n- md5: b026324c6904b2a9cb4b88d6d61c81d1\n  size: 3\n  path: f\n");
    w.matraz(&["checkout"]).succeeds();
    assert_eq!(w.read("f"), "1\r\n");
    assert_eq!(w.matraz(&["status", "--json"]).succeeds().out, "{}\n");
    w.matraz(&["cache", "migrate", "--dry"]).succeeds().prints(&["1 files will be re-hashed"]);
    w.matraz(&["cache", "migrate", "--dvc-files"]).succeeds().prints(&["Updating DVC file 'f.dvc'"]);
    let text = w.read("f.dvc");
    assert!(
        text.starts_with("# old\n") && text.contains("hash: md5") && !text.contains("b026324c"),
        "{text}"
    );
    assert_eq!(w.matraz(&["status", "--json"]).succeeds().out, "{}\n");
}

#[test]
fn outputs_that_were_never_made_are_named() {
    let w = Workspace::project();
    w.write("dvc.yaml", "stages:\n  a:\n    cmd: echo 1 > o\n    outs: [o]\n");
    w.write("x", "1\n");
    w.matraz(&["add", "x"]).succeeds();
    fs::remove_file(w.path("x")).unwrap();
    let warning = format!("No file hash info found for '{}'", w.path("o").display());
    w.matraz(&["dvc", "checkout"]).ends_with(255).says(&[&warning]).prints(&["A       x"]);
    w.matraz(&["checkout", "--allow-missing"]).succeeds().says(&[&warning]);
    w.write("o", "unsaved\n");
    w.matraz(&["dvc", "checkout"]).ends_with(255);
    assert_eq!(w.read("o"), "unsaved\n");
    w.matraz(&["repro"])
        .succeeds()
        .prints(&["Generating lock file 'dvc.lock'\nUpdating lock file 'dvc.lock'"]);
    w.matraz(&["freeze", "a"]).succeeds().prints(&["Modifying stage 'a' in 'dvc.yaml'"]);
    w.write("o", "2\n");
    w.matraz(&["commit", "-f"]).succeeds().prints(&["Updating lock file 'dvc.lock'"]);
}

#[test]
fn version_tells_what_the_disks_can_do() {
    let w = Workspace::project();
    w.write("x", "1\n");
    w.matraz(&["dvc", "version"]).succeeds().prints(&[
        "Cache types: <https",
        "Remotes: None",
        "Repo: dvc, git\n",
    ]);
    w.matraz(&["add", "x"]).succeeds();
    w.matraz(&["remote", "add", "far", "s3://bucket/path"]).succeeds();
    w.matraz(&["version"]).succeeds().prints(&["hardlink, symlink", "Remotes: s3", " on "]);
    w.matraz(&["dvc", "completion"]).succeeds().prints(&["data"]);
    w.matraz(&["dvc", "completion", "-s", "fish"]).ends_with(254);
}

#[test]
fn dvc_prints_nothing_when_it_is_told_to_be_quiet() {
    let w = Workspace::project();
    w.matraz(&["dvc", "config", "core.remote", "r"]).succeeds();
    for words in [vec!["status", "--json"], vec!["config", "core.remote"], vec!["dag", "--dot"]] {
        let quiet = w.matraz(&[&["dvc"], words.as_slice(), &["-q"]].concat()).succeeds();
        assert_eq!(quiet.out, "", "{words:?}");
        assert_ne!(w.matraz(&[words.as_slice(), &["-q"]].concat()).succeeds().out, "", "{words:?}");
    }
    assert_ne!(w.matraz(&["dvc", "version", "-q"]).succeeds().out, "");
}

#[test]
fn the_whole_project_can_be_unprotected() {
    use std::os::unix::fs::PermissionsExt;
    let w = Workspace::project();
    w.matraz(&["config", "cache.type", "hardlink"]).succeeds();
    w.write("d/f", "data");
    w.matraz(&["add", "d"]).succeeds();
    let mode = |name: &str| fs::metadata(w.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("d/f"), 0o444);
    w.matraz(&["dvc", "unprotect", "."]).succeeds();
    assert_eq!(mode("d/f"), 0o644);
    assert_eq!(mode(".dvc/cache/files/md5/8d/777f385d3dfec8815d20f7496026dc"), 0o444);
}

#[test]
fn a_whole_remote_goes_when_its_section_is_unset() {
    let w = Workspace::project();
    w.matraz(&["dvc", "remote", "add", "a", "/x"]).succeeds();
    w.matraz(&["dvc", "config", "-u", "remote.a"]).succeeds();
    assert!(!w.read(".dvc/config").contains("/x"));
    w.matraz(&["dvc", "config", "-u", "remote.a"]).ends_with(251);
}
