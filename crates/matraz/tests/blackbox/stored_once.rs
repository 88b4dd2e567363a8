//! One copy of the bytes, for as long as somebody needs them.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::gate::{set_accuracy, with_accuracy};
use crate::lineage::pipeline;
use crate::workspace::Workspace;

/// The bytes that files below a folder take on disk, hard links once.
fn disk(folder: &Path) -> u64 {
    fn walk(folder: &Path, seen: &mut std::collections::HashSet<u64>) -> u64 {
        let mut sum = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                sum += walk(&path, seen);
            } else if seen.insert(meta.ino()) {
                sum += meta.len();
            }
        }
        sum
    }
    walk(folder, &mut std::collections::HashSet::new())
}

/// The files `weights` below a folder.
fn weights(folder: &Path) -> Vec<std::fs::Metadata> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(weights(&entry));
        } else if entry.ends_with("weights") {
            found.push(std::fs::metadata(entry).unwrap());
        }
    }
    found
}

#[test]
fn a_model_in_five_runs_and_the_registry_takes_its_bytes_once() {
    let w = pipeline();
    w.matraz(&["config", "cache.type", "hardlink"]).succeeds();
    let large = 8 << 20;
    w.write("train.sh", &format!(
        "mkdir -p model\necho 'flavors: {{}}' > model/MLmodel\nhead -c {large} /dev/zero > model/weights\n\
         echo \"{{\\\"seed\\\": $(sed -n 's/^seed: //p' params.yaml)}}\" > metrics.json\n"
    ));
    let before = disk(&w.root());
    for seed in 1..=5 {
        w.write("params.yaml", &format!("seed: {seed}\nrate: 0.5\n"));
        w.matraz(&["repro", "--no-run-cache"]).succeeds();
    }
    w.matraz(&["promote"]).succeeds();
    let grown = disk(&w.root()) - before;
    assert!(grown < large + (2 << 20), "grew by {grown} bytes");
    // Of the work tree, the cache, ten runs and the registry every one has the same file.
    let copies: Vec<_> = weights(&w.root()).into_iter().filter(|meta| meta.len() == large).collect();
    assert!(copies.len() >= 11, "{}", copies.len());
    assert!(copies.iter().all(|meta| (meta.ino(), meta.mode() & 0o222) == (copies[0].ino(), 0)));
    let runs = w.matraz(&["runs", "list", "--json"]).succeeds().json();
    assert!(runs.as_array().unwrap().len() >= 6);
    let to = w.beside("downloaded");
    let id = runs[0]["id"].as_str().unwrap();
    let call = ["artifacts", "get", &format!("runs:/{id}/model"), "-o", to.to_str().unwrap()];
    if w.matraz(&["artifacts", "get", "--help"]).out.contains("runs:/") {
        w.matraz(&call).succeeds();
    }
}

#[test]
fn the_champion_outlives_its_branch() {
    let w = pipeline();
    w.git_do(&["checkout", "-q", "-b", "try"]);
    w.write("params.yaml", "seed: 1\nrate: 0.9\n");
    w.matraz(&["repro"]).succeeds();
    w.commit("try");
    w.matraz(&["promote"]).succeeds();
    // Another run, of which nothing is registered.
    w.write("params.yaml", "seed: 1\nrate: 0.2\n");
    w.matraz(&["repro"]).succeeds();
    w.git_do(&["checkout", "-q", "-f", "main"]);
    w.git_do(&["branch", "-D", "try"]);
    w.matraz(&["checkout"]).succeeds();

    let dry = w.matraz(&["gc", "-A", "--dry", "--json"]).succeeds().json();
    assert_eq!(dry["objects"], 0, "{dry}");
    let kept = dry["kept"].as_array().unwrap();
    let whys: Vec<&str> = kept.iter().map(|one| one["why"].as_str().unwrap()).collect();
    assert!(whys.iter().any(|why| why.starts_with("models:/shop@champion")), "{dry}");
    assert!(whys.iter().any(|why| why.starts_with("run ")), "{dry}");
    w.matraz(&["gc", "-A", "--dry"]).succeeds().prints(&["kept for models:/shop@champion: model"]);
    // Without the runs the champion stays, and the other one goes.
    w.matraz(&["gc", "-A", "-f", "--no-runs", "--delete"]).succeeds().prints(&["Removed"]);
    let dry = w.matraz(&["gc", "-A", "--dry", "--no-runs", "--json"]).succeeds().json();
    assert!(dry["kept"].as_array().unwrap().len() >= 2, "{dry}");
    // DVC's own command keeps the champion, too.
    w.matraz(&["dvc", "gc", "-A", "-f"]).succeeds();
    let after = w.matraz(&["gc", "-A", "--dry", "--no-runs", "--json"]).succeeds().json();
    assert_eq!(after["kept"], dry["kept"]);
}

#[test]
fn two_projects_share_a_cache_and_neither_removes_what_is_the_others() {
    let w = Workspace::project();
    let cache = w.beside("cache");
    let other = w.beside("other");
    w.git_do(&["init", "-q", "--initial-branch=main", other.to_str().unwrap()]);
    let there = |arguments: &[&str]| {
        crate::workspace::Call::of(w.command(arguments).current_dir(&other).output().unwrap())
    };
    there(&["dvc", "init", "-q"]).succeeds();
    for call in [
        &w.matraz(&["cache", "dir", cache.to_str().unwrap()]),
        &there(&["cache", "dir", cache.to_str().unwrap()]),
    ] {
        assert_eq!(call.code, 0, "{}", call.err);
    }
    std::fs::write(other.join("theirs"), "theirs\n").unwrap();
    there(&["add", "-q", "theirs"]).succeeds();
    w.write("mine", "mine\n");
    w.matraz(&["add", "-q", "mine"]).succeeds();
    std::fs::remove_file(w.path("mine.dvc")).unwrap();
    let dry = w.matraz(&["gc", "-w", "--dry", "--json"]).succeeds().json();
    assert_eq!(dry["objects"], 1, "{dry}");
    assert!(dry["kept"][0]["why"].as_str().unwrap().contains("other"), "{dry}");
    // Somebody may use the cache by DVC alone: nothing is removed for good unless the others are named.
    w.matraz(&["gc", "-w", "-f", "--delete"]).ends_with(5).says(&["outside of the project", "-p"]);
    w.matraz(&["gc", "-w", "-f"]).succeeds().says(&["by DVC alone"]).prints(&["Moved 1 objects"]);
    w.matraz(&["gc", "--undo"]).succeeds();
    w.matraz(&["gc", "-w", "-f", "--delete", "-p", other.to_str().unwrap()])
        .succeeds()
        .prints(&["Removed 1"]);
    std::fs::remove_file(other.join("theirs")).unwrap();
    there(&["checkout"]).succeeds();
    assert_eq!(std::fs::read_to_string(other.join("theirs")).unwrap(), "theirs\n");
}

#[test]
fn a_cached_output_of_a_deleted_run_is_garbage() {
    let w = with_accuracy("0.9");
    set_accuracy(&w, "0.95");
    let runs = w.matraz(&["runs", "list", "--all", "--json"]).succeeds().json();
    let dry = w.matraz(&["gc", "-w", "--dry", "--json"]).succeeds().json();
    assert_eq!(dry["objects"], 0, "{dry}");
    for run in &runs.as_array().unwrap()[2..] {
        w.matraz(&["mlflow", "runs", "delete", "--run-id", run["id"].as_str().unwrap()]).succeeds();
    }
    let dry = w.matraz(&["gc", "-w", "--dry", "--json"]).succeeds().json();
    assert!(dry["objects"].as_u64().unwrap() > 0, "{dry}");
}
