//! Branches that come together: `dvc.lock` by stage, `.dvc` files by file.

use std::process::Command;

use crate::workspace::{Call, Workspace};

const PIPELINE: &str = "\
stages:
  left:
    cmd: cp left.in left.out
    deps: [left.in]
    outs: [left.out]
  right:
    cmd: cp right.in right.out
    deps: [right.in]
    outs: [right.out]
  join:
    cmd: cat common.in > join.out
    deps: [common.in]
    outs: [join.out]
";

/// A project on which two branches can work.
fn project() -> Workspace {
    let w = Workspace::git();
    w.matraz(&["init"]).succeeds();
    assert!(w.git_do(&["status", "--short"]).contains("A  .gitattributes"));
    // Nothing is to be recorded.
    std::fs::remove_file(w.path("matraz.yaml")).unwrap();
    w.write("dvc.yaml", PIPELINE);
    for name in ["left.in", "right.in"] {
        w.write(name, "1\n");
    }
    w.write("common.in", "a\nb\nc\nd\ne\nf\ng\nh\n");
    for name in ["a", "b", "c"] {
        w.write(&format!("data/{name}"), name);
    }
    w.matraz(&["add", "data"]).succeeds();
    let text = format!("# what we learn from\n{}", w.read("data.dvc"));
    w.write("data.dvc", &text);
    w.matraz(&["dvc", "repro"]).succeeds();
    w.commit("base");
    w
}

/// Does one thing on a new branch and another on `main`, then merges the branch.
fn merge(w: &Workspace, theirs: impl Fn(&Workspace), ours: impl Fn(&Workspace)) -> Call {
    w.git_do(&["checkout", "--quiet", "-b", "side"]);
    theirs(w);
    w.commit("side");
    w.git_do(&["checkout", "--quiet", "main"]);
    w.matraz(&["checkout"]).succeeds();
    ours(w);
    w.commit("ours");
    let merge = ["merge", "--no-edit", "side"];
    Call::of(Command::new("git").args(merge).current_dir(w.root()).output().unwrap())
}

#[test]
fn stages_that_one_branch_changed_are_merged_and_status_is_right() {
    let w = project();
    let run = |name: &'static str| {
        move |w: &Workspace| {
            w.write(name, "2\n");
            w.matraz(&["dvc", "repro"]).succeeds();
        }
    };
    merge(&w, run("left.in"), run("right.in")).succeeds();
    w.matraz(&["checkout"]).succeeds();
    assert_eq!(w.matraz(&["status", "--json"]).succeeds().json(), serde_json::json!({}));
    assert_eq!((w.read("left.out"), w.read("right.out")), ("2\n".into(), "2\n".into()));
}

#[test]
fn a_stage_that_both_branches_ran_is_named_and_has_to_run_again() {
    let w = project();
    let change = |from: &'static str, to: &'static str| {
        move |w: &Workspace| {
            let text = w.read("common.in").replace(from, to);
            w.write("common.in", &text);
            w.matraz(&["dvc", "repro"]).succeeds();
        }
    };
    merge(&w, change("a\n", "A\n"), change("h\n", "H\n")).succeeds().says(&["dvc.lock", "'join'"]);
    let lock = w.read("dvc.lock");
    assert!(!lock.contains("<<<<") && !lock.contains(">>>>"), "{lock}");
    let status = w.matraz(&["status", "--json"]).succeeds().json();
    assert_eq!(status, serde_json::json!({"join": [{"changed deps": {"common.in": "modified"}}]}));
    w.matraz(&["dvc", "repro"]).succeeds().prints(&["Stage 'left' didn't change", "Running stage 'join'"]);
    assert!(w.read("join.out").starts_with("A\n") && w.read("join.out").ends_with("H\n"));
}

#[test]
fn folders_are_merged_file_by_file() {
    let w = project();
    let theirs = |w: &Workspace| {
        w.write("data/b", "theirs");
        w.write("data/new/d", "d");
        w.matraz(&["add", "data"]).succeeds();
    };
    let ours = |w: &Workspace| {
        w.write("data/a", "ours");
        std::fs::remove_file(w.path("data/c")).unwrap();
        w.matraz(&["add", "data"]).succeeds();
    };
    merge(&w, theirs, ours).succeeds();
    let file = w.read("data.dvc");
    assert!(file.starts_with("# what we learn from\n") && file.contains("nfiles: 3"), "{file}");
    assert_eq!(w.matraz(&["checkout"]).succeeds().out, "M       data/\n");
    let files: Vec<String> = w.files().into_iter().filter(|name| name.starts_with("data/")).collect();
    assert_eq!(files, ["data/a", "data/b", "data/new/d"]);
    assert_eq!((w.read("data/a"), w.read("data/b")), ("ours".into(), "theirs".into()));
    assert_eq!(w.matraz(&["status", "--json"]).succeeds().json(), serde_json::json!({}));
}

#[test]
fn a_file_that_both_branches_changed_is_one_conflict_without_marks() {
    let w = project();
    let write = |text: &'static str, other: &'static str| {
        move |w: &Workspace| {
            w.write("data/b", text);
            w.write(other, "new");
            w.matraz(&["add", "data"]).succeeds();
        }
    };
    let call = merge(&w, write("theirs", "data/x"), write("ours", "data/y")).ends_with(1);
    let call = call.says(&["data.dvc", "'data/b'"]);
    assert_eq!(call.err.matches("'data/").count(), 1, "{}", call.err);
    assert!(!w.read("data.dvc").contains("<<<<"), "{}", w.read("data.dvc"));
    // Everything but the one file is merged, and the data can be used.
    w.matraz(&["checkout"]).succeeds();
    assert_eq!(w.read("data/b"), "ours");
    assert!(w.path("data/x").exists() && w.path("data/y").exists());
    w.git_do(&["commit", "--quiet", "--all", "--no-edit"]);
    assert_eq!(w.matraz(&["status", "--json"]).succeeds().json(), serde_json::json!({}));
}

#[test]
fn a_folder_whose_listing_is_gone_is_a_conflict_that_says_so() {
    let w = project();
    let write = |name: &'static str| {
        move |w: &Workspace| {
            w.write(name, "new");
            w.matraz(&["add", "data"]).succeeds();
        }
    };
    let lose = |w: &Workspace| {
        write("data/y")(w);
        std::fs::remove_dir_all(w.path(".dvc/cache")).unwrap();
    };
    merge(&w, write("data/x"), lose).ends_with(1).says(&["'data'", "listing", "fetch"]);
    let before = w.git_do(&["show", "main:data.dvc"]);
    assert_eq!(w.read("data.dvc"), before);
}

#[test]
fn hooks_call_the_program_and_spare_those_of_others() {
    let w = project();
    w.matraz(&["install"]).succeeds();
    w.matraz(&["install"]).succeeds();
    w.matraz(&["dvc", "install"]).ends_with(1).says(&["'post-checkout' already exists"]);
    w.write("left.in", "9\n");
    w.matraz(&["dvc", "repro"]).succeeds();
    w.git_do(&["commit", "--quiet", "--all", "--message", "nine"]);
    // The hook brings the data of the commit.
    w.git_do(&["checkout", "--quiet", "HEAD~1"]);
    assert_eq!(w.read("left.out"), "1\n");
    w.git_do(&["checkout", "--quiet", "main"]);
    assert_eq!(w.read("left.out"), "9\n");
    w.write(".git/hooks/pre-push", "#!/bin/sh\ntrue\n");
    w.matraz(&["install"]).ends_with(5).says(&["'pre-push' already exists"]);
    assert_eq!(w.read(".git/hooks/pre-push"), "#!/bin/sh\ntrue\n");
}
