//! Bad input says what, where and how to mend it, and loses nothing.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::workspace::{Call, Workspace};

const PIPELINE: &str = "stages:\n  a:\n    cmd: cp in.txt a.txt\n    deps: [in.txt]\n    outs: [a.txt]\n  \
                        b:\n    cmd: sh b.sh\n    deps: [a.txt, b.sh]\n    outs: [b.txt]\n";

fn pipeline() -> Workspace {
    let w = Workspace::project();
    w.write("in.txt", "1\n");
    w.write("b.sh", "cp a.txt b.txt\n");
    w.write("dvc.yaml", PIPELINE);
    w
}

#[test]
fn yaml_faults_have_file_line_and_caret() {
    let w = pipeline();
    let table = [
        ("stages:\n  a:\n    comand: x\n", "dvc.yaml:3:5", "^^^^^^"),
        ("stages:\n  a:\n    cmd: [x\n", "dvc.yaml:", "^"),
        ("stages:\n  a:\n    cmd: x\n    deps: 3\n", "dvc.yaml:4:11", "^"),
        ("stages:\n  a:\n    cmd: x\n  a:\n    cmd: y\n", "dvc.yaml:4:3", "^"),
        ("steps: {}\n", "dvc.yaml:1:1", "^^^^^"),
    ];
    for (text, place, caret) in table {
        w.write("dvc.yaml", text);
        w.matraz(&["repro"]).ends_with(3).says(&[place, caret]);
        w.matraz(&["dvc", "repro"]).ends_with(255).says(&[place, caret]);
        w.matraz(&["dvc", "status"]).ends_with(1);
    }
    w.write("dvc.yaml", PIPELINE);
    w.write("dvc.lock", "schema: '9.9'\nstages: {}\n");
    w.matraz(&["dvc", "repro"]).ends_with(255).says(&["dvc.lock:1"]);
    fs::remove_file(w.path("dvc.lock")).unwrap();
    w.write("matraz.yaml", "gates:\n- accuracy\n");
    w.matraz(&["gate"]).ends_with(3).says(&["matraz.yaml:2:3", "hint:"]);
}

#[test]
fn a_missing_dependency_is_named() {
    let w = pipeline();
    fs::remove_file(w.path("in.txt")).unwrap();
    w.matraz(&["dvc", "repro"]).ends_with(255).says(&["in.txt"]);
    w.matraz(&["dvc", "add", "nowhere.csv"]).ends_with(1).says(&["nowhere.csv"]);
}

#[test]
fn outputs_that_leave_the_project_are_refused_before_anything_is_removed() {
    let w = Workspace::project();
    let outside = w.beside("others");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept.txt"), "kept\n").unwrap();
    std::os::unix::fs::symlink(&outside, w.path("link")).unwrap();
    let absolute = outside.join("kept.txt");
    for out in ["../others", "../others/kept.txt", "link/kept.txt", absolute.to_str().unwrap()] {
        for flag in ["cache", "persist"] {
            w.write(
                "dvc.yaml",
                &format!("stages:\n  a:\n    cmd: echo > ran\n    outs: [{{'{out}': {{{flag}: true}}}}]\n"),
            );
            w.matraz(&["dvc", "repro"]).ends_with(255).says(&[out]);
            assert_eq!(fs::read_to_string(outside.join("kept.txt")).unwrap(), "kept\n", "{out}");
            assert!(!w.path("ran").exists(), "the command of a refused stage ran: {out}");
        }
    }
}

#[test]
fn a_failing_stage_keeps_what_succeeded() {
    let w = pipeline();
    w.write("b.sh", "echo half > b.txt; echo because >&2; exit 7\n");
    w.matraz(&["dvc", "repro"]).ends_with(255).says(&["because", "b"]);
    let lock = w.read("dvc.lock");
    assert!(lock.contains("  a:") && !lock.contains("  b:"), "{lock}");
    w.matraz(&["logs", "b"]).succeeds().prints(&["> sh b.sh\nbecause\n"]);
    w.write("b.sh", "cp a.txt b.txt\n");
    w.matraz(&["repro"]).succeeds().prints(&["Stage 'a' didn't change"]);
    assert_eq!(w.read("b.txt"), "1\n");
}

#[test]
fn a_corrupted_object_is_named_and_not_used() {
    let w = Workspace::project();
    w.write("data.txt", "right\n");
    w.matraz(&["add", "data.txt"]).succeeds();
    let digest = w
        .read("data.txt.dvc")
        .lines()
        .find_map(|line| line.split("md5: ").nth(1).map(str::to_owned))
        .unwrap();
    let object = w.path(&format!(".dvc/cache/files/md5/{}/{}", &digest[..2], &digest[2..]));
    fs::remove_file(&object).unwrap();
    fs::write(&object, "wrong\n").unwrap();
    fs::remove_file(w.path("data.txt")).unwrap();
    let call = w.matraz(&["checkout"]);
    assert_ne!(call.code, 0, "{}", call.out);
    assert!(call.err.contains("data.txt") || call.err.contains(&digest[2..]), "{}", call.err);
    assert!(!w.path("data.txt").exists(), "a corrupted object was used");
}

#[test]
fn ctrl_c_ends_the_child_tree_and_frees_the_lock() {
    let w = pipeline();
    w.write("b.sh", "sleep 60 & echo $! > grandchild; touch started; wait\n");
    let child = w.start(&["repro"]);
    wait_for(|| w.path("started").exists());
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    Call::of(child.wait_with_output().unwrap()).ends_with(130);
    let grandchild = w.read("grandchild");
    wait_for(|| !alive(grandchild.trim()));
    w.write("b.sh", "cp a.txt b.txt\n");
    w.matraz(&["repro"]).succeeds().prints(&["Stage 'a' didn't change", "Running stage 'b'"]);
}

#[test]
fn a_second_call_waits_and_names_the_first() {
    let w = pipeline();
    w.write("b.sh", "touch started; while [ ! -e go ]; do sleep 0.05; done; cp a.txt b.txt\n");
    let first = w.start(&["repro"]);
    wait_for(|| w.path("started").exists());
    // The project's lock is free while a command runs, but what the stage reads and writes is not.
    let second = w.start(&["repro"]);
    std::thread::sleep(Duration::from_millis(1500));
    w.write("go", "");
    let pid = first.id().to_string();
    Call::of(first.wait_with_output().unwrap()).succeeds();
    let second = Call::of(second.wait_with_output().unwrap());
    let talk = format!("{}{}", second.out, second.err);
    assert!(talk.contains(&pid), "the owner {pid} is not named in: {talk}");
}

#[test]
fn a_database_of_someone_else_is_left_alone() {
    let w = Workspace::git();
    w.write("mlflow.db", "this is no database, but it is somebody's work");
    let before = w.read("mlflow.db");
    let call = w.matraz(&["server", "--port", "0"]);
    assert_ne!(call.code, 0);
    assert!(call.err.contains("mlflow.db"), "{}", call.err);
    assert_eq!(w.read("mlflow.db"), before);
}

#[test]
fn paths_that_leave_the_project_are_refused() {
    let w = Workspace::project();
    fs::write(w.beside("outside.txt"), "x").unwrap();
    let call = w.matraz(&["add", "../outside.txt"]);
    assert_ne!(call.code, 0);
    assert!(call.err.contains("outside"), "{}", call.err);
    w.write("matraz.yaml", "model:\n  name: m\n  path: ../../etc\n");
    w.matraz(&["gate"]).ends_with(3).says(&["not a path below"]);
}

#[test]
fn an_example_does_not_write_over_files() {
    let w = Workspace::git();
    w.write("params.yaml", "mine: 1\n");
    w.matraz(&["init", "--example", "obesity"]).ends_with(5).says(&["params.yaml", "exists"]);
    assert_eq!(w.files(), ["params.yaml"]);
    assert_eq!(w.read("params.yaml"), "mine: 1\n");
}

fn alive(pid: &str) -> bool {
    Command::new("kill").args(["-0", pid]).status().unwrap().success()
}

fn wait_for(condition: impl Fn() -> bool) {
    for _ in 0..600 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it did not happen within 30 s");
}

#[test]
fn what_is_broken_elsewhere_does_not_matter_to_targets_that_name_a_stage_or_a_data_file() {
    let w = pipeline();
    w.write("f", "1\n");
    w.matraz(&["dvc", "add", "f"]).succeeds();
    w.matraz(&["dvc", "repro"]).succeeds();
    let targeted = [
        "repro -s -f a",
        "stage list a",
        "stage list --all",
        "freeze a",
        "unfreeze a",
        "commit -f a",
        "checkout a",
        "checkout f.dvc",
        "commit -f f.dvc",
        "push f.dvc",
        "pull f.dvc",
    ];
    w.matraz(&["dvc", "remote", "add", "-d", "r", "../remote"]).succeeds();
    let is_broken = |what: &str| {
        for line in targeted {
            let words: Vec<&str> = ["dvc"].into_iter().chain(line.split(' ')).collect();
            assert_eq!(w.matraz(&words).code, 0, "{line} with {what}");
        }
        for line in ["repro a", "status a", "checkout f", "add f", "push -d f.dvc", "stage list --all --fail"]
        {
            let words: Vec<&str> = ["dvc"].into_iter().chain(line.split(' ')).collect();
            assert_ne!(w.matraz(&words).code, 0, "{line} with {what}");
        }
    };
    w.write("sub/dvc.yaml", "stages: [\n");
    is_broken("another file");
    fs::remove_file(w.path("sub/dvc.yaml")).unwrap();
    w.write("sub/x.dvc", "outs: 1\n");
    is_broken("a data file");
    fs::remove_file(w.path("sub/x.dvc")).unwrap();
    // One whose outputs another stage makes, too.
    w.write("sub/dvc.yaml", "stages:\n  a: {cmd: echo, outs: [../a.txt]}\n");
    w.matraz(&["dvc", "repro", "-s", "-f", "a"]).succeeds();
    w.matraz(&["dvc", "repro", "a"]).ends_with(255);
    fs::remove_file(w.path("sub/dvc.yaml")).unwrap();
    w.write("dvc.yaml", &format!("{PIPELINE}  z: {{cmd: 'echo ${{nosuch}}'}}\n"));
    w.matraz(&["dvc", "repro", "-s", "-f", "a"]).succeeds();
    w.matraz(&["dvc", "remove", "b"]).succeeds();
    assert!(w.read("dvc.yaml").contains("${nosuch}") && !w.read("dvc.yaml").contains("b.sh"));
    w.matraz(&["dvc", "repro", "z"]).ends_with(255).says(&["nosuch"]);
}

#[test]
fn what_dvc_refuses_is_refused_and_nothing_is_written() {
    let w = Workspace::project();
    for (option, address, code, says) in [
        ("-d", "s3://b/x", 255, "s3://b/x"),
        ("-O", "s3://b/x", 255, "s3://b/x"),
        ("-d", "remote://nosuch/x", 251, "remote 'nosuch'"),
        ("-O", "odd://b/x", 251, "odd://"),
    ] {
        w.matraz(&["dvc", "stage", "add", "-n", "x", option, address, "echo"]).ends_with(code).says(&[says]);
        assert!(!w.path("dvc.yaml").exists());
    }
    for (definition, says) in [
        ("'a@b': {cmd: e}", "`a@b` cannot name a stage"),
        ("'': {cmd: e}", "without a name"),
        ("a: {foreach: ['@', x], do: {cmd: e}}", "`@` cannot name a stage"),
        ("a: {matrix: {x: [p@q]}, cmd: e}", "`p@q` cannot name a stage"),
        ("a: {cmd: e, outs: [x.dvc]}", "cannot be an output"),
    ] {
        w.write("dvc.yaml", &format!("stages:\n  {definition}\n"));
        w.matraz(&["dvc", "status"]).ends_with(1).says(&[says]);
        w.matraz(&["dvc", "repro"]).ends_with(255).says(&[says]);
    }
    let templates = "vars: [{v: 1}]\nstages:\n  a: {cmd: 'echo ${v} > a', outs: [a]}\n  \
                     b: {cmd: 'echo > b', outs: [b], vars: [{w: 1}]}\n  c: {foreach: [x], do: {cmd: echo}}\n";
    w.write("dvc.yaml", templates);
    w.matraz(&["dvc", "repro"]).succeeds();
    for name in ["a", "b", "c", "c@x"] {
        w.matraz(&["dvc", "remove", name]).ends_with(1);
        assert_eq!(w.read("dvc.yaml"), templates, "{name}");
    }
    w.matraz(&["dvc", "config", "core.remote", "nosuch"]).succeeds();
    w.matraz(&["dvc", "fetch"]).ends_with(1).says(&["nosuch"]);
    w.matraz(&["dvc", "pull"]).ends_with(1).says(&["nosuch"]);
}

#[test]
fn a_pull_takes_from_the_cache_what_is_there_and_needs_no_remote_for_it() {
    let w = pipeline();
    w.matraz(&["dvc", "repro"]).succeeds();
    fs::remove_file(w.path("b.txt")).unwrap();
    w.matraz(&["dvc", "repro", "--pull"]).succeeds().prints(&["Pulling data for stage: 'b'"]);
    assert_eq!(w.read("b.txt"), "1\n");
}

#[test]
fn check_ignore_answers_for_patterns_that_take_back_in() {
    let w = Workspace::project();
    w.write(".dvcignore", "a*\n!ab\n");
    w.matraz(&["dvc", "check-ignore", "-d", "ab"]).succeeds().prints(&[".dvcignore:2:!ab\tab"]);
    w.matraz(&["dvc", "check-ignore", "ab"]).ends_with(1);
    w.matraz(&["dvc", "check-ignore", "-d", ".git/config"]).succeeds().prints(&[":.git\t.git/config"]);
    assert_eq!(w.matraz(&["dvc", "check-ignore", "-q", "ax"]).succeeds().out, "");
    w.matraz(&["dvc", "check-ignore", "-q", "-d", "ax"]).ends_with(255);
    w.matraz(&["dvc", "check-ignore", "--stdin", "ax"]).ends_with(255);
}
