//! Pipelines: several stages at once, failures, what is kept of a run.

use std::fs;
use std::time::{Duration, Instant};

use crate::workspace::{Call, Workspace};

/// Each stage says that it is there and waits for the others: the pipeline ends only if all run at the same time. The
/// first one ends last.
fn meeting(names: &[&str]) -> String {
    let mut text = String::from("stages:\n");
    for (n, name) in names.iter().enumerate() {
        let all: Vec<String> = names.iter().map(|name| format!("test -e here.{name}")).collect();
        let last =
            if n == 0 && names.len() > 1 { format!("test -s {}.out", names[1]) } else { "true".into() };
        text.push_str(&format!(
            "  {name}:\n    cmd: touch here.{name}; i=0; until {} || test $i -gt 600; do sleep 0.05; i=$((i+1)); done; \
             until {last} || test $i -gt 900; do sleep 0.05; i=$((i+1)); done; echo from {name}; test $i -lt 600 && \
             echo {name} > {name}.out\n    deps: [in]\n    outs: [{name}.out]\n",
            all.join(" && ")
        ));
    }
    let outs: Vec<String> = names.iter().map(|name| format!("{name}.out")).collect();
    text.push_str(&format!(
        "  join:\n    cmd: cat {} > join.out\n    deps: [{}]\n    outs: [join.out]\n",
        outs.join(" "),
        outs.join(", ")
    ));
    text
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn independent_stages_run_at_once_and_leave_what_a_serial_run_leaves() {
    let w = Workspace::project();
    w.write("in", "1\n");
    w.write("dvc.yaml", &meeting(&["b", "c", "a"]));
    let out = w.matraz(&["repro", "-j", "3"]).succeeds().prints(&["a | from a\n", "b | from b\n"]).out;
    assert!(out.lines().all(|line| !line.contains("from") || line.contains(" | ")), "{out}");
    let (lock, ignored) = (w.read("dvc.lock"), w.read(".gitignore"));
    assert_eq!(ignored, "/b.out\n/c.out\n/a.out\n/join.out\n");
    w.matraz(&["repro", "-j", "3"]).succeeds().prints(&["up to date"]);

    // The marks are there already, so that now nobody waits.
    for path in ["dvc.lock", ".gitignore", "join.out"] {
        fs::remove_file(w.path(path)).unwrap();
    }
    fs::remove_dir_all(w.path(".dvc/cache")).unwrap();
    w.matraz(&["repro"]).succeeds();
    assert_eq!((w.read("dvc.lock"), w.read(".gitignore")), (lock, ignored));
}

#[test]
fn stages_of_a_pool_or_with_a_mutex_never_overlap() {
    let w = Workspace::project();
    let mut text = String::from("stages:\n");
    for n in 0..6 {
        let meta = if n % 2 == 0 { "mutex: [a, b]" } else { "pool: disk" };
        let mark = if n % 2 == 0 { "mark.a" } else { "mark.disk" };
        text.push_str(&format!(
            "  s{n}:\n    cmd: mkdir {mark} && sleep 0.05 && rmdir {mark}\n    meta: {{matraz: {{{meta}}}}}\n"
        ));
    }
    w.write("dvc.yaml", &text);
    w.matraz(&["repro", "-j", "6"]).succeeds();
    // Two of them overlap once the pool has room for two.
    w.write("matraz.yaml", "pools: {disk: 2}\n");
    let both = "test -e one && test -e two";
    let wait = format!("i=0; until {both} || test $i -gt 600; do sleep 0.05; i=$((i+1)); done; {both}");
    w.write(
        "dvc.yaml",
        &format!(
            "stages:\n  one:\n    cmd: touch one; {wait}\n    meta: {{matraz: {{pool: disk}}}}\n  two:\n    \
             cmd: touch two; {wait}\n    meta: {{matraz: {{pool: disk}}}}\n"
        ),
    );
    w.matraz(&["repro", "-j", "2"]).succeeds();
    w.write("dvc.yaml", "stages:\n  s:\n    cmd: touch ran\n    meta: {matraz: {pool: disk, slots: 3}}\n");
    w.matraz(&["repro", "-j", "2"]).ends_with(5).says(&["wants 3 slots of the pool 'disk', which has 2"]);
    assert!(!w.path("ran").exists());
}

#[test]
fn a_failure_ends_the_run_after_what_runs_already_and_keeps_what_succeeded() {
    let w = Workspace::project();
    w.write("in", "1\n");
    // The second fails while the first runs; the third has not started.
    w.write(
        "dvc.yaml",
        "stages:\n  good:\n    cmd: touch go; until test -e failed; do sleep 0.02; done; sleep 0.2; echo 1 > good.out\n    \
         deps: [in]\n    outs: [good.out]\n  bad:\n    cmd: until test -e go; do sleep 0.02; done; touch failed; exit 3\n    \
         deps: [in]\n    outs: [bad.out]\n  later:\n    cmd: touch later.out\n    deps: [in]\n    outs: [later.out]\n  \
         after:\n    cmd: cp bad.out after.out\n    deps: [bad.out]\n    outs: [after.out]\n",
    );
    w.matraz(&["repro", "-j", "2"]).ends_with(1).says(&[
        "'bad'",
        "exited with 3",
        "waiting for what still runs: good",
    ]);
    let lock = w.read("dvc.lock");
    assert!(lock.contains("good.out") && !lock.contains("later"), "{lock}");
    assert_eq!(w.read(".gitignore"), "/good.out\n");
    assert!(!w.path("later.out").exists());
    w.matraz(&["repro", "-j", "2", "-k"]).ends_with(1).says(&["'after' will be skipped"]);
    assert!(w.path("later.out").exists());
    w.matraz(&["repro", "-j", "2", "--ignore-errors"]).ends_with(0);
}

#[test]
fn an_interrupt_ends_all_that_runs_with_its_children() {
    let w = Workspace::project();
    w.write(
        "dvc.yaml",
        "stages:\n  one:\n    cmd: sleep 300 & echo $! > one.pid; wait\n  two:\n    cmd: sleep 300 & echo $! > two.pid; wait\n",
    );
    let child = w.start(&["repro", "-j", "2"]);
    let pid = |name: &str| fs::read_to_string(w.path(name)).unwrap_or_default().trim().to_owned();
    until("both stages run", || !pid("one.pid").is_empty() && !pid("two.pid").is_empty());
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    for name in ["one.pid", "two.pid"] {
        let stat = || fs::read_to_string(format!("/proc/{}/stat", pid(name))).unwrap_or_default();
        until("no child is left", || stat().is_empty() || stat().contains(") Z "));
    }
    assert!(!w.path("dvc.lock").exists());
}

#[test]
fn what_a_stage_wrote_and_how_it_ended_is_kept() {
    let w = Workspace::project();
    w.write("in", "1\n");
    w.write("dvc.yaml", "stages:\n  good:\n    cmd: sleep 0.1; cat in; cp in out\n    deps: [in]\n    outs: [out]\n  bad:\n    cmd:\n    \
         - echo first\n    - echo second >&2; exit 4\n");
    w.matraz(&["logs"]).succeeds().prints(&["No stage has run here yet"]);
    w.matraz(&["repro", "-k"]).ends_with(1);
    let all = w.matraz(&["logs", "--json"]).succeeds().json();
    assert_eq!(
        (&all[0]["stage"], &all[0]["status"], &all[0]["exit_code"]),
        (&"bad".into(), &"failed".into(), &4.into())
    );
    assert_eq!((&all[1]["stage"], &all[1]["status"]), (&"good".into(), &"succeeded".into()));
    assert!(all[1]["peak_memory"].as_u64().unwrap() > 100_000 && all[1]["wall_seconds"].is_number(), "{all}");
    assert_eq!(
        w.matraz(&["logs", "bad"]).succeeds().out,
        "> echo first\nfirst\n> echo second >&2; exit 4\nsecond\n"
    );
    for n in 2..9 {
        w.write("in", &format!("{n}\n"));
        w.matraz(&["repro", "good"]).succeeds();
    }
    assert_eq!(
        w.matraz(&["logs", "good", "--runs", "--json"]).succeeds().json().as_array().unwrap().len(),
        5
    );
    w.matraz(&["logs", "good", "--run", "2"]).succeeds().prints(&["\n7\n"]);
    w.matraz(&["logs", "good", "--run", "6"]).ends_with(4).says(&["only 5 runs"]);
    w.matraz(&["logs", "nobody"]).ends_with(4).says(&["`nobody`"]);
    w.matraz(&["logs"]).succeeds().prints(&["failed, exit code 4", "ok"]);
}

#[test]
fn a_running_stage_can_be_followed_and_a_killed_one_is_told() {
    let w = Workspace::project();
    w.write(
        "dvc.yaml",
        "stages:\n  s:\n    cmd: echo begun; until test -e go; do sleep 0.02; done; echo ended\n",
    );
    let logs = || w.matraz(&["logs", "--json"]).succeeds().json()[0]["status"].clone();
    let mut child = w.start(&["repro"]);
    until("the stage runs", || logs() == "running");
    let follower = w.start(&["logs", "s", "--follow"]);
    w.write("go", "");
    let followed = Call::of(follower.wait_with_output().unwrap()).succeeds().out;
    assert!(followed.ends_with("begun\nended\n"), "{followed}");
    child.wait().unwrap();
    assert_eq!(logs(), "succeeded");

    fs::remove_file(w.path("go")).unwrap();
    let mut child = w.start(&["repro"]);
    until("the stage runs again", || logs() == "running");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(logs(), "lost");
    w.write("go", "");
}

#[test]
fn why_names_every_difference_with_its_values() {
    let w = Workspace::project();
    w.write("data/a", "1\n");
    w.write("data/b", "2\n");
    w.write("data/sub/c", "3\n");
    w.write("params.yaml", "lr: 0.1\nnet: {layers: 2, act: relu}\n");
    let stages = |cmd: &str| {
        format!(
            "stages:\n  prepare:\n    cmd: cat data/a > mid\n    deps: [data]\n    outs: [mid]\n  train:\n    cmd: {cmd}\n    \
             deps: [mid]\n    params: [lr, net]\n    outs: [model]\n  other:\n    cmd: echo > other\n    outs: [other]\n"
        )
    };
    w.write("dvc.yaml", &stages("cp mid model"));
    w.matraz(&["why", "train"])
        .succeeds()
        .prints(&["it has not run yet", "prepare, which comes before it, runs"]);
    w.matraz(&["repro"]).succeeds();
    let nothing = w.matraz(&["why", "--json"]).succeeds().json();
    assert_eq!(nothing.as_array().unwrap().len(), 3);
    assert!(
        nothing
            .as_array()
            .unwrap()
            .iter()
            .all(|why| why["runs"] == false && why["reasons"] == serde_json::json!([]))
    );
    w.matraz(&["why", "train"]).succeeds().prints(&["train: nothing, it is up to date"]);

    w.write("data/a", "changed\n");
    w.write("data/sub/new", "4\n");
    fs::remove_file(w.path("data/b")).unwrap();
    w.write("params.yaml", "lr: 0.2\nnet: {layers: 3, act: relu}\n");
    w.write("dvc.yaml", &stages("cp mid  model"));
    fs::remove_file(w.path("model")).unwrap();
    let before = w.files();
    let why = w.matraz(&["why", "prepare", "train", "--json"]).succeeds().json();
    let data = &why[0]["reasons"][0];
    assert_eq!(
        (&data["kind"], &data["path"], &data["change"]),
        (&"dependency".into(), &"data".into(), &"modified".into())
    );
    assert_eq!(data["files"], serde_json::json!({"added": ["sub/new"], "modified": ["a"], "deleted": ["b"]}));
    assert!(data["old"].as_str().unwrap().ends_with(".dir") && data["old"] != data["new"], "{data}");
    let reasons: Vec<String> =
        why[1]["reasons"].as_array().unwrap().iter().map(ToString::to_string).collect();
    let has = |words: &[&str]| reasons.iter().any(|reason| words.iter().all(|word| reason.contains(word)));
    assert!(has(&["command", "cp mid model", "cp mid  model"]), "{reasons:?}");
    assert!(has(&["\"lr\"", "0.1", "0.2"]) && has(&["net.layers", "\"old\":2", "\"new\":3"]), "{reasons:?}");
    assert!(
        !has(&["act"]) && has(&["output", "model", "deleted"]) && has(&["upstream", "prepare"]),
        "{reasons:?}"
    );
    w.matraz(&["why", "train"]).succeeds().prints(&[
        "lr of params.yaml changed: 0.1 → 0.2",
        "+ cp mid  model",
        "model, which it makes, is not there",
    ]);
    w.matraz(&["why", "nobody"]).ends_with(4);
    assert_eq!(w.files(), before);
}

#[test]
fn a_run_that_was_killed_before_it_was_recorded_is_made_good() {
    let w = Workspace::project();
    w.write("in", "1\n");
    w.write("dvc.yaml", "stages:\n  a:\n    cmd: cp in a\n    deps: [in]\n    outs: [a]\n  b:\n    cmd: cat a > b; echo > begun; until test -e stop; do sleep 0.05; done\n    deps: [a]\n    outs: [b]\n");
    let mut child = w.start(&["repro"]);
    until("the second stage runs", || w.path("begun").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    w.write("stop", "");
    assert!(w.read("dvc.lock").contains("  a:") && !w.read("dvc.lock").contains("  b:"));
    // What the command has made by then is no result: it runs again, and the first stage does not.
    w.write(
        "dvc.yaml",
        &w.read("dvc.yaml").replace("; echo > begun; until test -e stop; do sleep 0.05; done", ""),
    );
    w.matraz(&["repro"]).succeeds().prints(&["Stage 'a' didn't change", "Running stage 'b'"]);
    // Killed after the run was stored and before the lock file was written: the run comes back.
    let lock = w.read("dvc.lock");
    let a_alone = &lock[..lock.find("  b:").unwrap()];
    w.write("dvc.lock", a_alone);
    w.matraz(&["repro"]).succeeds().prints(&["Stage 'b' is cached"]);
    assert_eq!(w.read("dvc.lock"), lock);
}

#[test]
fn stages_and_the_graph_are_listed_as_json() {
    let w = Workspace::project();
    w.write("dvc.yaml", "stages:\n  a:\n    cmd: echo > a\n    outs: [a]\n  b:\n    cmd: cp a b\n    deps: [a]\n    outs: [b]\n");
    let dag = w.matraz(&["dag", "--json"]).succeeds().json();
    assert_eq!(dag, serde_json::json!({"nodes": ["a", "b"], "edges": [{"from": "a", "to": "b"}]}));
    let list = w.matraz(&["stage", "list", "--json"]).succeeds().json();
    assert_eq!((&list[1]["stage"], &list[1]["deps"]), (&"b".into(), &serde_json::json!(["a"])));
    w.matraz(&["dvc", "dag", "--json"]).ends_with(254);
    w.matraz(&["dvc", "freeze", "dvc.yaml", "b", "nobody"])
        .ends_with(1)
        .says(&["name not provided", "failed to freeze 'nobody'"]);
    assert!(w.read("dvc.yaml").contains("frozen: true"));
}

#[test]
fn a_reproduction_that_waited_for_another_one_does_not_run_again_what_that_has_made() {
    let w = Workspace::project();
    w.write(
        "dvc.yaml",
        "stages:\n  slow:\n    cmd: echo ran >> log; sleep 2; echo 1 > out\n    outs: [out]\n",
    );
    let mut first = w.start(&["repro"]);
    let begun = Instant::now();
    while !w.path("log").exists() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    w.matraz(&["repro"]).succeeds().says(&["waiting for"]);
    assert!(first.wait().unwrap().success());
    assert_eq!(w.read("log"), "ran\n");
}

#[test]
fn what_a_stage_occupies_is_checked_for_one_job_too() {
    let w = Workspace::project();
    w.write("dvc.yaml", "stages:\n  s:\n    cmd: echo 1\n    meta: {matraz: {slots: 1}}\n");
    w.matraz(&["repro"]).fails().says(&["needs a `pool`"]);
}

#[test]
fn parameters_that_vanished_fail_a_dry_run_too() {
    let w = Workspace::project();
    w.write("p.json", "{\"a\": 1}");
    w.write("dvc.yaml", "stages: {s: {cmd: echo 1 > o, params: [p.json: [a]], outs: [o]}}\n");
    w.matraz(&["dvc", "repro"]).succeeds();
    for broken in ["{", "{}"] {
        w.write("p.json", broken);
        w.matraz(&["dvc", "repro", "--dry"]).ends_with(255);
        assert!(w.path("o").exists());
    }
    w.matraz(&["repro"]).fails();
    assert!(w.path("o").exists(), "outputs are kept");
    w.matraz(&["dvc", "repro"]).ends_with(255);
    assert!(!w.path("o").exists(), "as DVC does");
}

#[test]
fn merged_parameters_are_locked_in_the_order_in_which_dvc_reads_them() {
    let w = Workspace::project();
    w.write("params.yaml", "base: &a {x: 1, y: 1}\nm: {w: 0, <<: [*a, {z: 3, y: 4}], x: 9}\n");
    w.write("dvc.yaml", "stages: {s: {cmd: echo 1 > o, params: [m], outs: [o]}}\n");
    w.matraz(&["dvc", "repro"]).succeeds();
    let lock = w.read("dvc.lock");
    assert!(lock.contains("m:\n          z: 3\n          y: 1\n          x: 9\n          w: 0\n"), "{lock}");
}

#[test]
fn a_stage_with_templates_can_be_replaced_by_force() {
    let w = Workspace::project();
    w.write("params.yaml", "v: 1\n");
    w.write("dvc.yaml", "stages:\n  s:\n    cmd: echo ${v} > o\n    outs: [o]\n");
    w.matraz(&["dvc", "stage", "add", "-n", "s", "-o", "p", "echo 2 > p"]).fails();
    w.matraz(&["dvc", "stage", "add", "-f", "-n", "s", "-o", "p", "echo 2 > p"]).succeeds();
    assert_eq!(w.read("dvc.yaml"), "stages:\n  s:\n    cmd: echo 2 > p\n    outs:\n    - p\n");
}
