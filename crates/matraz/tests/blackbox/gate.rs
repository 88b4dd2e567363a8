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
        "mkdir -p model\necho \"flavors: {python_function: {loader_module: mlflow.sklearn}}\" > model/MLmodel\n\
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

/// A project whose stage writes 400 predictions, as many of them right as `params.yaml` says, and the model.
fn with_predictions(right: &str, gates: &str) -> Workspace {
    let w = Workspace::project();
    w.write("params.yaml", &format!("right: {right}\n"));
    w.write(
        "dvc.yaml",
        "stages:\n  train:\n    cmd: sh train.sh\n    deps:\n    - train.sh\n    params:\n    - right\n    \
         outs:\n    - model\n    - predictions.csv\n    metrics:\n    - metrics.json:\n        cache: false\n",
    );
    w.write(
        "train.sh",
        "mkdir -p model\necho \"flavors: {python_function: {loader_module: mlflow.sklearn}}\" > model/MLmodel\n\
         right=$(sed -n 's/^right: //p' params.yaml)\necho $right > model/weights\n\
         awk -v n=$right 'BEGIN { print \"id,sex,y,guess\"; for (i = 0; i < 400; i++) \
         print i \",\" (i % 2 ? \"f\" : \"m\") \",yes,\" (i < n ? \"yes\" : \"no\") }' > predictions.csv\n\
         awk -v n=$right 'BEGIN { print \"{\\\"accuracy\\\": \" n / 400 \"}\" }' > metrics.json\n",
    );
    w.write(
        "matraz.yaml",
        &format!(
            "tracking:\n  experiment: shop\nmodel:\n  name: shop\n  path: model\nbaselines:\n  first: \
             models:/shop/1\ngates:\n{gates}"
        ),
    );
    w.write(".gitignore", "/mlflow.db*\n/mlartifacts\n/metrics.json\n");
    w.commit("first");
    w.matraz(&["repro"]).succeeds();
    w
}

fn set_right(w: &Workspace, right: &str) {
    w.write("params.yaml", &format!("right: {right}\n"));
    w.matraz(&["repro"]).succeeds();
}

const PAIRED: &str = "- metric: accuracy\n  at_least: champion\n  paired: {predictions: predictions.csv, truth: y, \
                      predicted: guess, key: id}\n";

#[test]
fn a_loss_is_told_from_noise_and_a_missing_baseline_from_both() {
    let w = with_predictions("320", PAIRED);
    // Nothing to compare with, so nothing can be told, and nothing is promoted without a word.
    w.matraz(&["gate"])
        .ends_with(2)
        .prints(&["nothing to compare with: `shop` has no version under `champion`"]);
    w.matraz(&["promote"]).ends_with(1).says(&["nothing to compare with"]);
    w.matraz(&["promote", "--force", "--reason", "the first"]).succeeds();

    set_right(&w, "318");
    let noise = w.matraz(&["gate", "--json"]).succeeds().json();
    assert_eq!(noise["rules"][0]["baseline"]["version"], "models:/shop/1");
    assert!(
        noise["rules"][0]["reason"].as_str().unwrap().starts_with("no difference beyond chance"),
        "{noise}"
    );
    set_right(&w, "280");
    w.matraz(&["gate"]).ends_with(1).prints(&["worse beyond chance: 0.7 against 0.8 on 400 rows"]);
    w.matraz(&["promote"]).ends_with(1).says(&["worse beyond chance"]);

    let gate = |words: &str| w.matraz(&["gate", "-r", words]);
    gate("accuracy >= champion - 0.1").succeeds();
    gate("accuracy >= champion - 5%").ends_with(1).prints(&["0.7 is not >= 0.76 (version 1 of shop: 0.8)"]);
    gate("accuracy > @first").ends_with(1).prints(&["version 1 of shop"]);
    gate("accuracy > @nobody").ends_with(2).prints(&["has no `nobody`"]);
    gate("size:model < 1000").succeeds();
    gate("wall_seconds:train < 1000").succeeds();
    gate("recall.* > 0.5").ends_with(2).prints(&["no metric that fits `recall.*`"]);
}

#[test]
fn slices_are_judged_apart_and_progress_must_be_proven() {
    let claim = "- metric: accuracy\n  above: '@first'\n  paired: {predictions: predictions.csv, truth: y, predicted: \
                 guess, slice: sex, test: mcnemar}\n";
    let w = with_predictions("300", claim);
    w.matraz(&["promote", "--force", "--reason", "the first"]).succeeds();
    set_right(&w, "302");
    w.matraz(&["gate"]).ends_with(1).prints(&["[f]", "[m]", "not better beyond chance"]);
    set_right(&w, "360");
    w.matraz(&["gate"]).succeeds().prints(&["better beyond chance", "p = "]);
    let suite = w.matraz(&["gate", "--junit"]).succeeds().out;
    assert!(suite.contains("tests=\"2\" failures=\"0\" errors=\"0\""), "{suite}");
    assert!(suite.contains("accuracy &gt; @first"), "{suite}");
    w.matraz(&["gate", "--md"]).succeeds().prints(&["| gate |", "**"]);
}

#[test]
fn a_branch_is_compared_with_the_commit_that_it_left() {
    let w = with_predictions("300", "- accuracy >= merge-base\n");
    w.matraz(&["gate"]).ends_with(2).prints(&["nothing to compare with"]);
    w.commit("300 are right");
    w.git_do(&["branch", "-M", "main"]);
    w.git_do(&["checkout", "-q", "-b", "topic"]);
    set_right(&w, "310");
    w.commit("more");
    w.matraz(&["gate"]).succeeds().prints(&["the run of commit"]);
    set_right(&w, "290");
    let report = w.matraz(&["gate", "--json"]).ends_with(1).json();
    assert_eq!(report["rules"][0]["threshold"], 0.75, "{report}");
    w.matraz(&["gate", "--base", "nosuch"]).ends_with(2).prints(&["git does not know `nosuch`"]);
}

#[test]
fn a_model_that_was_changed_after_the_gate_is_not_promoted() {
    let w = with_accuracy("0.9");
    w.matraz(&["gate"]).succeeds();
    w.matraz(&["promote"]).succeeds();
    set_accuracy(&w, "0.95");
    w.matraz(&["gate"]).succeeds();
    let run = w.matraz(&["runs", "show", "--json"]).succeeds().json();
    let location = run["artifact_uri"].as_str().unwrap().trim_start_matches("mlflow-artifacts:/");
    let weights = w.path(&format!("mlartifacts/{location}/model/weights"));
    std::fs::remove_file(&weights).unwrap();
    std::fs::write(&weights, "something else").unwrap();
    w.matraz(&["promote"]).ends_with(1).says(&["have changed since the gate judged them", "--force"]);
    w.matraz(&["promote", "--force", "--reason", "known"])
        .succeeds()
        .prints(&["from version 1 to version 2"]);

    // The way back is looked at before the alias moves.
    let first = w.matraz(&["models", "list", "--json"]).succeeds().json();
    let source = first.as_array().unwrap().iter().find(|v| v["version"] == "1").unwrap()["source"].clone();
    let location = source.as_str().unwrap().trim_start_matches("mlflow-artifacts:/").to_owned();
    let description = w.path(&format!("mlartifacts/{location}/MLmodel"));
    std::fs::remove_file(&description).unwrap();
    std::fs::write(&description, "flavors: {}\n").unwrap();
    w.matraz(&["rollback"]).ends_with(1).says(&["version 1 of `shop` does not load"]);
    std::fs::remove_file(&description).unwrap();
    w.matraz(&["rollback"]).ends_with(4).says(&["has no model"]);
}

#[test]
fn the_journal_says_who_was_champion_at_any_time() {
    let w = with_accuracy("0.9");
    for accuracy in ["0.91", "0.92"] {
        w.matraz(&["promote"]).succeeds();
        set_accuracy(&w, accuracy);
    }
    w.matraz(&["promote"]).succeeds();
    w.matraz(&["rollback"]).succeeds();
    let moves = w.matraz(&["journal", "shop@champion", "--json"]).succeeds().json();
    let moves: Vec<(i64, String)> = moves
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["time"].as_i64().unwrap(), entry["after"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(moves.len(), 4, "{moves:?}");
    let versions = ["2", "3", "2", "1"];
    for ((time, after), version) in moves.iter().zip(versions) {
        assert_eq!(*after, format!("{{\"version\":{version}}}"));
        let at = format!("{}.{:03}Z", seconds(*time), time % 1000);
        let then = w.matraz(&["journal", "shop@champion", "--at", &at, "--json"]).succeeds().json();
        assert_eq!(then[0]["after"], after.as_str(), "{at}");
    }
    let before =
        w.matraz(&["journal", "shop@champion", "--at", "2020-01-01T00:00:00Z", "--json"]).succeeds().json();
    assert_eq!(before, serde_json::json!([]));
    let day = w.matraz(&["journal", "shop@champion", "--at", "2020-01-01", "--json"]).succeeds().json();
    assert_eq!(day, before);
    w.matraz(&["journal", "--at", "yesterday"]).ends_with(2).says(&["yesterday"]);
    w.matraz(&["journal", "--verify"]).succeeds().prints(&["none changed or removed"]);
}

/// A time in milliseconds as RFC 3339 without what is less than a second, and without a zone.
fn seconds(time: i64) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{}", time / 1000), "+%Y-%m-%dT%H:%M:%S"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
