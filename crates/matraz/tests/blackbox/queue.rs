//! The queue of experiments and its workers.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::experiments::with_stage;
use crate::workspace::Workspace;

fn status(w: &Workspace) -> Value {
    w.matraz(&["queue", "status", "--json"]).succeeds().json()
}

fn count(status: &Value, word: &str) -> usize {
    status["tasks"].as_array().unwrap().iter().filter(|task| task["status"] == word).count()
}

fn wait(w: &Workspace, done: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let now = status(w);
        if done(&now) {
            return now;
        }
        assert!(start.elapsed() < Duration::from_secs(240), "{now}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The processes of workers, or of their tasks, of one project.
fn processes(w: &Workspace, word: &str) -> Vec<u32> {
    let root = w.root().canonicalize().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let cmd = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let is_here = fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == root);
        if is_here && String::from_utf8_lossy(&cmd).contains(word) {
            found.push(pid);
        }
    }
    found
}

fn kill(pid: u32) {
    Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
}

#[test]
fn every_task_ends_once_though_workers_are_killed() {
    let w = with_stage();
    let log = w.beside("log");
    let with =
        |words: &[&str]| w.matraz_with(words, &[("LOG", log.to_str().unwrap()), ("PAUSE", "0.2")]).succeeds();
    with(&["dvc", "exp", "run", "--queue", "-n", "x", "-S", "lr=range(100,150)"]);
    assert_eq!(count(&status(&w), "Queued"), 50);
    with(&["dvc", "queue", "start", "-j", "4"]).prints(&["Started '4'"]);
    wait(&w, |now| count(now, "Success") > 3);
    let workers = processes(&w, "queue-worker");
    assert_eq!(workers.len(), 4);
    kill(workers[0]);
    kill(workers[1]);
    // A task whose own process is killed is taken again.
    processes(&w, "exec-run").into_iter().take(1).for_each(kill);
    let end = wait(&w, |now| count(now, "Success") == 50 || count(now, "Failed") > 0);
    assert_eq!(count(&end, "Success"), 50, "{end}");
    let list = w.matraz(&["dvc", "exp", "list", "--name-only"]).succeeds().out;
    assert_eq!(list.lines().count(), 50);
    let ran = fs::read_to_string(&log).unwrap().lines().count();
    assert!((50..=52).contains(&ran), "{ran}");
    let acc =
        w.matraz(&["dvc", "exp", "show", "--csv", "--hide-workspace", "--sort-by", "acc"]).succeeds().out;
    assert!(acc.lines().nth(2).is_some_and(|line| line.starts_with("x-1,")), "{acc}");
    assert_eq!(w.git_do(&["status", "--porcelain"]), "");
    assert_eq!(w.git_do(&["for-each-ref", "refs/exps/celery"]), "");
    wait(&w, |now| now["workers"]["active"] == 0 && now["workers"]["idle"] == 0);
    w.matraz(&["dvc", "queue", "remove", "--success"]).succeeds();
    w.matraz(&["dvc", "exp", "clean"]).succeeds();
    assert_eq!(w.git_do(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(w.git_do(&["for-each-ref", "refs/matraz"]), "");
}

#[test]
fn running_tasks_are_seen_and_ended() {
    let w = with_stage();
    let with = |words: &[&str]| w.matraz_with(words, &[("LOG", "/dev/null"), ("PAUSE", "100")]);
    with(&["dvc", "exp", "run", "--queue", "-n", "slow", "-S", "lr=2"]).succeeds();
    with(&["dvc", "exp", "run", "--queue", "-n", "later", "-S", "lr=3"]).succeeds();
    with(&["dvc", "queue", "logs", "slow"]).ends_with(255);
    with(&["dvc", "queue", "start"]).succeeds();
    let log = |now: &Value| now["tasks"][0]["pid"].is_number() && w.path("model").exists();
    wait(&w, |now| count(now, "Running") == 1 && log(now));
    let shown = w.matraz(&["dvc", "exp", "show", "--json"]).succeeds().json();
    let first = &shown[1]["experiments"][0];
    assert_eq!(
        (&first["name"], &first["executor"]["state"]),
        (&Value::from("slow"), &Value::from("running"))
    );
    with(&["dvc", "queue", "stop"]).succeeds();
    with(&["dvc", "queue", "kill", "slow"]).succeeds().prints(&["slow has been killed."]);
    wait(&w, |now| count(now, "Failed") == 1);
    wait(&w, |now| now["workers"]["active"] == 0 && now["workers"]["idle"] == 0);
    assert_eq!(count(&status(&w), "Queued"), 1);
    with(&["dvc", "queue", "kill", "slow"]).ends_with(255);
    with(&["dvc", "queue", "start"]).succeeds();
    wait(&w, |now| count(now, "Running") == 1 && now["tasks"][0]["pid"].is_number());
    with(&["dvc", "queue", "stop", "--kill"]).succeeds();
    wait(&w, |now| count(now, "Failed") == 2);
    assert!(processes(&w, "exec-run").is_empty());
    with(&["dvc", "queue", "remove", "--all"]).succeeds();
    assert_eq!(w.git_do(&["for-each-ref", "refs/exps", "refs/matraz"]), "");
}
