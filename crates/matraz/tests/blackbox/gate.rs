//! Gate, promote and roll back on recorded runs.

use crate::workspace::Workspace;

/// A project whose one stage writes the accuracy that `params.yaml` says, and a model directory.
pub fn with_accuracy(accuracy: &str) -> Workspace {
    let w = Workspace::project();
    w.write("params.yaml", &format!("accuracy: {accuracy}\n"));
    w.write(
        "dvc.yaml",
        "stages:\n  train:\n    cmd: sh train.sh\n    deps:\n    - train.sh\n    params:\n    - accuracy\n    \
         outs:\n    - model\n    metrics:\n    - metrics.json:\n        cache: false\n",
    );
    w.write(
        "train.sh",
        "mkdir -p model\necho \"flavors: {}\" > model/MLmodel\n\
         value=$(sed -n 's/^accuracy: //p' params.yaml)\necho \"$value\" > model/weights\n\
         echo \"{\\\"accuracy\\\": $value}\" > metrics.json\n",
    );
    w.write(
        "matraz.yaml",
        "tracking:\n  experiment: shop\nmodel:\n  name: shop\n  path: model\ngates:\n- accuracy > 0.80\n",
    );
    w.write(".gitignore", "/mlflow.db*\n/mlartifacts\n/metrics.json\n");
    w.commit("first");
    w.matraz(&["repro"]).succeeds().prints(&["Recorded run"]);
    w
}

pub fn set_accuracy(w: &Workspace, accuracy: &str) {
    w.write("params.yaml", &format!("accuracy: {accuracy}\n"));
    w.matraz(&["repro"]).succeeds();
}

#[test]
fn a_gate_passes_fails_or_cannot_tell() {
    let w = with_accuracy("0.9");
    w.matraz(&["gate"]).succeeds().prints(&["accuracy > 0.8", "pass"]);
    w.matraz(&["gate", "-r", "accuracy > 0.95"]).ends_with(1).prints(&["0.9 is not > 0.95", "does not pass"]);
    w.matraz(&["gate", "-r", "recall > 0"]).ends_with(2).prints(&["has no metric `recall`"]);
    w.matraz(&["gate", "-r", "recall !! 0"]).ends_with(3).says(&["not a gate rule", "hint:"]);
    let answer = w.matraz(&["gate", "--json"]).succeeds().json();
    assert_eq!(answer["verdict"], "pass");
    assert_eq!(answer["rules"][0]["value"], 0.9);
    let run = w.matraz(&["runs", "show", "--json"]).succeeds().json();
    assert_eq!(run["tags"]["matraz.gate"], "pass");
}

#[test]
fn the_champion_moves_behind_the_gate_and_back() {
    let w = with_accuracy("0.9");
    w.matraz(&["promote"]).succeeds().prints(&["registered shop version 1", "points at version 1"]);
    let journal = w.matraz(&["journal", "--json"]).succeeds().json();
    let who: Vec<_> =
        journal.as_array().unwrap().iter().map(|entry| entry["who"].as_str().unwrap()).collect();
    assert!(!who.is_empty() && who.iter().all(|who| *who == "ana"), "{who:?}");
    w.matraz(&["promote"]).succeeds().prints(&["stays at version 1"]);
    w.matraz(&["rollback"]).ends_with(4).says(&["no earlier version"]);

    w.matraz(&["promote", "shpo"]).ends_with(4).says(&["shpo", "not found"]);
    w.matraz(&["promote", "--force", "--reason", ""]).ends_with(2).says(&["--reason"]);
    set_accuracy(&w, "0.5");
    w.matraz(&["promote"]).ends_with(1).says(&["does not pass the gate", "0.5 is not > 0.8"]);
    w.matraz(&["promote", "--version", "2", "--force"]).ends_with(2).says(&["--reason"]);

    set_accuracy(&w, "0.95");
    w.matraz(&["promote"]).succeeds().prints(&["moved from version 1 to version 3"]);
    w.matraz(&["promote", "--best", "recall"]).ends_with(4).says(&["no version of `shop`", "`recall`"]);
    w.matraz(&["promote", "--best", "accuracy"]).succeeds().prints(&["stays at version 3"]);
    w.matraz(&["promote", "--version", "2", "--force", "--reason", "a test"])
        .succeeds()
        .prints(&["version 2"]);
    w.matraz(&["rollback"]).succeeds().prints(&["moved back from version 2 to version 3"]);
    w.matraz(&["rollback", "shop"]).succeeds().prints(&["from version 3 to version 1"]);
    w.matraz(&["rollback", "no-such-model"]).ends_with(4);
}

#[test]
fn runs_are_compared_and_the_better_one_is_marked() {
    let w = with_accuracy("0.9");
    w.matraz(&["runs", "compare"]).ends_with(2).says(&["no two pipeline runs"]);
    set_accuracy(&w, "0.95");
    let run = w.matraz(&["runs", "show", "--json"]).succeeds().json();
    let name = run["name"].as_str().unwrap();
    w.matraz(&["runs", "compare", name]).ends_with(2).says(&["one run cannot be compared", "hint:"]);
    let table = w.matraz(&["runs", "compare"]).succeeds().out;
    let better: Vec<&str> = table.lines().filter(|line| line.contains("better")).collect();
    assert_eq!(better.len(), 1, "{table}");
    assert!(better[0].contains("0.95"), "{table}");
    let answer = w.matraz(&["runs", "compare", "--json"]).succeeds().json();
    assert_eq!(answer["best"], 1);
    assert_eq!(answer["changed_params"], serde_json::json!(["accuracy"]));
    w.matraz(&["runs", "compare", "--md"]).succeeds().prints(&["| run |"]);
}
