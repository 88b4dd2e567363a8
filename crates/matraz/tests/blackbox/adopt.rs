//! Runs that were there before.

use crate::gate::with_accuracy;

#[test]
fn hashes_tie_old_runs_to_data_and_the_rest_is_marked() {
    let w = with_accuracy("0.9");
    w.commit("trained");
    let runs = w.matraz(&["runs", "list", "--all", "--json"]).succeeds().json();
    // As a script logs it that knows nothing of Matraz: a run, a copy of the weights, a digest in a tag, another commit.
    let head = w.git_do(&["rev-parse", "HEAD"]).trim().to_owned();
    let store = format!("sqlite:///{}", w.path("mlflow.db").display());
    let call = |arguments: &[&str]| {
        w.matraz_with(&[&["mlflow"][..], arguments].concat(), &[("MLFLOW_TRACKING_URI", &store)])
    };
    call(&[
        "runs",
        "create",
        "--experiment-id",
        "0",
        "--run-name",
        "old",
        "--tags",
        &format!("mlflow.source.git.commit={head}"),
    ])
    .succeeds();
    call(&[
        "runs",
        "create",
        "--experiment-id",
        "0",
        "--run-name",
        "lost",
        "--tags",
        &format!("dvc_hash={}", "a".repeat(32)),
    ])
    .succeeds();
    let all = w.matraz(&["runs", "list", "--all", "--experiment", "Default", "--json"]).succeeds().json();
    let id = |name: &str| {
        let run = all.as_array().unwrap().iter().find(|run| run["name"] == name).unwrap();
        run["id"].as_str().unwrap().to_owned()
    };
    let folder = w.path("mlartifacts/0").join(id("old")).join("artifacts");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("weights.bin"), w.read("model/weights")).unwrap();

    let dry = w.matraz(&["adopt", "--dry-run", "--json"]).succeeds().json();
    let found = dry["runs"].as_array().unwrap();
    assert_eq!(found.len(), 2, "the recorder's own runs are left alone: {dry}");
    w.matraz(&["adopt"]).succeeds().prints(&[
        "old",
        "output model/weights",
        "artifact weights.bin",
        "unproven: tag dvc_hash",
    ]);
    let tag = |name: &str, key: &str| {
        let run =
            w.matraz(&["runs", "show", &id(name), "--experiment", "Default", "--json"]).succeeds().json();
        run["tags"][key].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(
        (tag("old", "matraz.adopted"), tag("lost", "matraz.adopted")),
        ("proven".into(), "unproven".into())
    );
    assert!(tag("lost", "matraz.adopted.unproven").contains("dvc_hash"));
    // A second time nothing is new, and the lineage knows the run.
    w.matraz(&["adopt"]).succeeds().prints(&["adopted before"]);
    w.matraz(&["lineage", &format!("runs:/{}", id("old"))]).succeeds().prints(&["model/weights", &head[..7]]);
    assert_eq!(
        w.matraz(&["runs", "list", "--all", "--json"]).succeeds().json().as_array().unwrap().len(),
        runs.as_array().unwrap().len()
    );
}
