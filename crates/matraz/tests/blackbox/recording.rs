//! What a reproduction leaves in the tracking store.

use crate::gate::{set_accuracy, with_accuracy};
use crate::reproduce::{matraz_in, shared};
use crate::tracking::Server;
use crate::workspace::Workspace;

fn runs(w: &Workspace) -> Vec<serde_json::Value> {
    w.matraz(&["runs", "list", "--all", "--json"]).succeeds().json().as_array().unwrap().clone()
}

#[test]
fn a_reproduction_is_a_pipeline_run_with_stage_runs() {
    let w = with_accuracy("0.9");
    let all = runs(&w);
    let pipeline = all.iter().find(|run| run["tags"]["matraz.kind"] == "pipeline").unwrap();
    let stage = all.iter().find(|run| run["tags"]["matraz.kind"] == "stage").unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(pipeline["status"], "FINISHED");
    assert_eq!(pipeline["params"]["accuracy"], "0.9");
    assert_eq!(pipeline["metrics"]["accuracy"], 0.9);
    assert_eq!(pipeline["tags"]["mlflow.source.git.commit"], w.git_do(&["rev-parse", "HEAD"]).trim());
    assert_eq!(pipeline["tags"]["mlflow.user"], "ana");
    assert_eq!(stage["tags"]["mlflow.parentRunId"], pipeline["id"]);
    assert_eq!(stage["tags"]["matraz.stage"], "train");
    assert_eq!(stage["metrics"]["accuracy"], 0.9);

    let artifacts = w.path("mlartifacts/1").join(stage["id"].as_str().unwrap()).join("artifacts");
    let lock = std::fs::read_to_string(artifacts.join("matraz/lock.yaml")).unwrap();
    assert!(lock.contains("accuracy: 0.9"), "{lock}");
    assert_eq!(std::fs::read_to_string(artifacts.join("model/weights")).unwrap().trim(), "0.9");
}

#[test]
fn nothing_changed_nothing_recorded() {
    let w = with_accuracy("0.9");
    let out = w.matraz(&["repro"]).succeeds().prints(&["up to date"]).out;
    assert!(!out.contains("Recorded"), "{out}");
    assert_eq!(runs(&w).len(), 2);
}

#[test]
fn a_cached_stage_points_at_the_run_that_computed_it() {
    let w = with_accuracy("0.9");
    set_accuracy(&w, "0.95");
    set_accuracy(&w, "0.9");
    let all = runs(&w);
    let stages: Vec<_> = all.iter().filter(|run| run["tags"]["matraz.kind"] == "stage").collect();
    assert_eq!(stages.len(), 3);
    assert_eq!(stages[0]["tags"]["matraz.cached"], "true");
    assert_eq!(stages[0]["tags"]["matraz.cached.run_id"], stages[2]["id"]);
    assert_eq!(stages[0]["metrics"]["accuracy"], 0.9);
    assert!(stages[0]["tags"]["matraz.cached.saved_seconds"].is_string());
}

#[test]
fn what_a_colleague_computed_comes_with_its_run_and_its_cost() {
    let w = shared();
    let (params, lock) = (w.read("params.yaml"), w.read("dvc.lock"));
    w.write("params.yaml", "seed: 1\nrate: 0.8\n");
    w.matraz(&["repro"]).succeeds();
    let origin = runs(&w).into_iter().find(|run| run["tags"]["matraz.stage"] == "train").unwrap();
    w.matraz(&["push", "-q", "--run-cache"]).succeeds();
    w.write("params.yaml", &params);
    w.write("dvc.lock", &lock);
    let clone = w.beside("clone");
    w.git_do(&["clone", "-q", ".", clone.to_str().unwrap()]);
    std::fs::write(clone.join("params.yaml"), "seed: 1\nrate: 0.8\n").unwrap();
    matraz_in(&w, &clone, &["repro", "--pull"]).succeeds().prints(&["Recorded run"]);
    let stages: Vec<_> = runs(&w).into_iter().filter(|run| run["tags"]["matraz.stage"] == "train").collect();
    let (newest, tags) = (&stages[0], &stages[0]["tags"]);
    assert_ne!(newest["id"], origin["id"]);
    assert_eq!(tags["matraz.cached"], "true", "{newest}");
    assert_eq!(tags["matraz.cached.run_id"], origin["id"]);
    assert_eq!(tags["matraz.cached.saved_seconds"], origin["tags"]["matraz.wall_seconds"]);
    assert_eq!((&newest["metrics"], &newest["params"]), (&origin["metrics"], &origin["params"]));
    assert_eq!(newest["metrics"]["rows"], 3.0);
    assert_eq!(std::fs::read(clone.join("model/weights")).unwrap(), w.read("model/weights").into_bytes());
}

#[test]
fn artifacts_take_no_second_copy() {
    use std::os::unix::fs::MetadataExt;
    let w = with_accuracy("0.9");
    let all = runs(&w);
    let run = all.iter().find(|run| run["tags"]["matraz.kind"] == "pipeline").unwrap();
    let artifact = w.path("mlartifacts/1").join(run["id"].as_str().unwrap()).join("artifacts/model/weights");
    let meta = std::fs::metadata(artifact).unwrap();
    assert!(
        meta.nlink() >= 3,
        "cache, stage run and pipeline run share the file, but it has {} links",
        meta.nlink()
    );
    assert_eq!(meta.mode() & 0o222, 0, "a shared file must not be writable");
}

#[test]
fn a_failed_stage_is_a_failed_run_with_its_log() {
    let w = with_accuracy("0.9");
    w.write("train.sh", "echo working\necho trouble >&2\nexit 3\n");
    w.matraz(&["repro"]).ends_with(1).says(&["trouble", "train"]).prints(&["Recorded failed run"]);
    let all = runs(&w);
    let newest = &all.iter().filter(|run| run["tags"]["matraz.kind"] == "stage").collect::<Vec<_>>()[0];
    assert_eq!(newest["status"], "FAILED");
    assert_eq!(newest["tags"]["matraz.exit_code"], "3");
    let log = w.path("mlartifacts/1").join(newest["id"].as_str().unwrap()).join("artifacts/matraz/stage.log");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("working") && log.contains("trouble"), "{log}");
}

#[test]
fn scripts_get_the_way_to_their_stage_run() {
    let w = with_accuracy("0.9");
    w.write("train.sh", "mkdir -p model; env > model/env; echo '{\"accuracy\": 1}' > metrics.json\n");
    w.matraz(&["repro"]).succeeds();
    let env = w.read("model/env");
    assert!(env.contains("MLFLOW_TRACKING_URI=http://127.0.0.1:"), "{env}");
    assert!(env.contains("MLFLOW_EXPERIMENT_NAME=shop"), "{env}");
    let stage = runs(&w).into_iter().find(|run| run["tags"]["matraz.kind"] == "stage").unwrap();
    let context = env.lines().find_map(|line| line.strip_prefix("MLFLOW_RUN_CONTEXT=")).unwrap();
    let context: serde_json::Value = serde_json::from_str(context).unwrap();
    assert_eq!(context["mlflow.parentRunId"], stage["id"]);
}

#[test]
fn a_server_that_is_away_costs_a_warning_and_gets_the_run_later() {
    let w = with_accuracy("0.9");
    w.write("params.yaml", "accuracy: 0.7\n");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let url = format!("http://127.0.0.1:{port}");
    let uri = [("MLFLOW_TRACKING_URI", url.as_str())];
    w.matraz_with(&["repro"], &uri).succeeds().says(&["is away", "matraz sync"]);
    assert_eq!(w.read("model/weights").trim(), "0.7");
    w.matraz(&["status"]).succeeds().prints(&["up to date"]);
    w.matraz(&["sync"]).ends_with(7);
    let store = format!("sqlite:///{}", w.beside("other.db").display());
    let artifacts = w.beside("other").display().to_string();
    let place = ["--backend-store-uri", &store, "--artifacts-destination", &artifacts];
    let _server = Server::listening(w.command(&[&["server", "--port", &port], &place[..]].concat()));
    let synced = w.matraz(&["sync", "--json"]).succeeds().json();
    assert_eq!((&synced["waiting"], &synced["refused"]), (&0.into(), &serde_json::json!([])));
    assert!(synced["delivered"].as_u64().unwrap() > 10, "{synced}");
    assert!(!w.path(".dvc/tmp/matraz/spool").exists());
    let listed = w.matraz_with(&["runs", "list", "--all", "--json"], &uri).succeeds().json();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 2);
    let run = |kind: &str| listed.iter().find(|run| run["tags"]["matraz.kind"] == kind).unwrap();
    assert_eq!(run("stage")["tags"]["mlflow.parentRunId"], run("pipeline")["id"]);
    for kind in ["stage", "pipeline"] {
        assert_eq!(
            (&run(kind)["status"], &run(kind)["metrics"]["accuracy"]),
            (&"FINISHED".into(), &0.7.into())
        );
    }
}

#[test]
fn a_store_of_an_unknown_kind_costs_a_warning_too() {
    let w = with_accuracy("0.9");
    w.write("params.yaml", "accuracy: 0.7\n");
    let uri = [("MLFLOW_TRACKING_URI", "databricks")];
    w.matraz_with(&["repro"], &uri).succeeds().says(&["not recorded", "databricks"]);
    assert_eq!(w.read("model/weights").trim(), "0.7");
}

#[test]
fn without_settings_nothing_is_recorded() {
    let w = with_accuracy("0.9");
    std::fs::remove_file(w.path("matraz.yaml")).unwrap();
    set_accuracy(&w, "0.7");
    assert_eq!(w.matraz(&["--cd", ".", "repro", "-f"]).succeeds().out.matches("Recorded").count(), 0);
}

#[test]
fn a_broken_metrics_file_is_named_and_the_run_recorded_without_it() {
    let w = Workspace::project();
    w.write("matraz.yaml", "tracking:\n  experiment: shop\n");
    w.write(
        "dvc.yaml",
        "stages:\n  a:\n    cmd: cp in m.json\n    deps: [in]\n    metrics: [{m.json: {cache: false}}]\n",
    );
    w.write("in", "{bad");
    w.matraz(&["repro"]).succeeds().says(&["WARNING: the run has no metrics of 'm.json'"]);
    assert_eq!(w.matraz(&["runs", "list", "--json"]).succeeds().json().as_array().unwrap().len(), 1);
    w.write("in", "{\"x\": 1}");
    let call = w.matraz(&["repro"]).succeeds();
    assert!(!call.err.contains("WARNING"), "{}", call.err);
}

/// The lock file is written before the run is said to have finished, so a run never claims more than the lock file.
#[test]
fn killed_between_a_stages_end_and_its_lock_entry_neither_claims_success() {
    let w = Workspace::project();
    w.write("matraz.yaml", "tracking:\n  experiment: shop\n");
    w.write(
        "dvc.yaml",
        "stages:\n  a:\n    cmd: head -c 64000000 /dev/zero > out; touch ended\n    deps: [in]\n    outs: [out]\n",
    );
    w.write(".gitignore", "/mlflow.db*\n/mlartifacts\n/ended\n");
    w.write("in", "1\n");
    w.commit("first");
    // The output takes long enough to be hashed that one of a few tries is killed meanwhile.
    let mut killed = false;
    for _ in 0..5 {
        for name in ["dvc.lock", "ended", "out"] {
            let _ = std::fs::remove_file(w.path(name));
        }
        let mut child = w.start(&["repro", "--no-run-cache"]);
        while !w.path("ended").exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let locked = w.path("dvc.lock").exists();
        let all = runs(&w);
        let stage = all.iter().find(|run| run["tags"]["matraz.kind"] == "stage").unwrap();
        let pipeline = all.iter().find(|run| run["tags"]["matraz.kind"] == "pipeline").unwrap();
        for run in [stage, pipeline] {
            assert!(locked || run["status"] == "RUNNING" || run["status"] == "KILLED", "{run}");
        }
        if !locked {
            w.matraz(&["status"]).succeeds().prints(&["a"]);
            killed = true;
            break;
        }
    }
    assert!(killed, "the lock file was always faster");
    // The next reproduction says what became of the killed one.
    w.write("in", "2\n");
    w.matraz(&["repro"]).succeeds();
    let all = runs(&w);
    assert!(all.iter().all(|run| run["status"] != "RUNNING"), "{all:?}");
    assert!(all.iter().filter(|run| run["tags"]["matraz.kind"] == "pipeline").count() >= 2, "{all:?}");
}
