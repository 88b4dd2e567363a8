//! What is behind a thing, and what was made from it.

use serde_json::Value;

use crate::gate::{set_accuracy, with_accuracy};
use crate::workspace::Workspace;

/// Two stages over one data file that DVC tracks: `clean` renames a column, `train` makes the model and the metrics.
pub fn pipeline() -> Workspace {
    let w = Workspace::project();
    w.write("data.csv", "id,x\n1,10\n2,20\n");
    w.write("params.yaml", "seed: 1\nrate: 0.5\n");
    w.write(
        "dvc.yaml",
        "stages:\n  clean:\n    cmd: sed s/x/y/ data.csv > clean.csv\n    deps: [data.csv]\n    outs: [clean.csv]\n  train:\n    \
         cmd: sh train.sh\n    deps: [clean.csv, train.sh]\n    params: [rate, seed]\n    outs: [model]\n    metrics:\n    \
         - metrics.json: {cache: false}\n",
    );
    w.write(
        "train.sh",
        "mkdir -p model\necho 'flavors: {}' > model/MLmodel\nrows=$(wc -l < clean.csv | tr -d ' ')\n\
         cat clean.csv params.yaml > model/weights\necho \"{\\\"rows\\\": $rows}\" > metrics.json\n",
    );
    w.write("matraz.yaml", "tracking:\n  experiment: shop\nmodel:\n  name: shop\n  path: model\n");
    w.write(".gitignore", "/mlflow.db*\n/mlartifacts\n");
    w.matraz(&["add", "-q", "data.csv"]).succeeds();
    w.commit("first");
    w.matraz(&["repro"]).succeeds().prints(&["Recorded run"]);
    w.commit("trained");
    w
}

fn labels(lineage: &Value, kind: &str) -> Vec<String> {
    let nodes = lineage["nodes"].as_array().unwrap().iter().filter(|node| node["kind"] == kind);
    nodes.map(|node| node["label"].as_str().unwrap().to_owned()).collect()
}

fn fact<'l>(lineage: &'l Value, label: &str, fact: &str) -> &'l Value {
    let nodes = lineage["nodes"].as_array().unwrap();
    &nodes.iter().find(|node| node["label"] == label).unwrap()["facts"][fact]
}

#[test]
fn the_champion_leads_back_to_commit_and_data_and_the_data_to_the_champion() {
    let w = pipeline();
    w.matraz(&["promote"]).succeeds();
    let first = w.git_do(&["rev-parse", "HEAD~1"]).trim().to_owned();

    let up = w.matraz(&["lineage", "models:/shop@champion", "--json"]).succeeds().json();
    assert_eq!(up["subjects"][0], "alias:shop@champion");
    assert_eq!(labels(&up, "version"), ["shop version 1"]);
    assert_eq!(labels(&up, "run").len(), 3, "{up}");
    assert_eq!(labels(&up, "commit"), [format!("commit {}", &first[..7])]);
    assert!(labels(&up, "data").contains(&"data.csv".to_owned()), "{up}");
    assert_eq!(fact(&up, "data.csv", "recorded_in"), first.as_str());
    w.matraz(&["lineage", "models:/shop@champion"]).succeeds().prints(&[
        "shop@champion",
        "behind it:",
        "shop version 1",
        "pipeline run",
        "stage run train",
        "clean.csv",
        "stage run clean",
        "data.csv",
        "in commit",
        "first",
    ]);

    // By the path, by the MD5, by the path at a revision.
    let md5 = fact(&up, "data.csv", "md5").as_str().unwrap().to_owned();
    for subject in ["data.csv", &md5, "data.csv@HEAD~1"] {
        let down = w.matraz(&["lineage", subject, "--down", "--json"]).succeeds().json();
        assert_eq!(labels(&down, "alias"), ["shop@champion"], "{subject}: {down}");
        assert_eq!(labels(&down, "version"), ["shop version 1"], "{subject}");
    }
    let down = w.matraz(&["lineage", "HEAD~1", "--json"]).succeeds().json();
    assert_eq!(labels(&down, "alias"), ["shop@champion"], "{down}");
    // What lies between raw data and model leads on, too.
    let down = w.matraz(&["lineage", "clean.csv", "--json"]).succeeds().json();
    assert_eq!(labels(&down, "alias"), ["shop@champion"], "{down}");
    assert!(labels(&down, "data").contains(&"data.csv".to_owned()), "{down}");
    w.matraz(&["lineage", "data.csv", "--mermaid"]).succeeds().prints(&["flowchart LR", "-- registered -->"]);
    w.matraz(&["lineage", "no-such-thing"]).ends_with(4).says(&["no-such-thing", "hint:", "models:/"]);
}

#[test]
fn data_are_flagged_until_a_commit_has_them() {
    let w = pipeline();
    w.write("data.csv", "id,x\n1,10\n2,20\n3,30\n");
    w.matraz(&["repro"]).succeeds();
    let run = w.matraz(&["runs", "show", "--json"]).succeeds().json();
    let used = run["datasets"].as_array().unwrap().iter().find(|one| one["name"] == "data.csv").unwrap();
    // The MD5 of the new text.
    assert_eq!(used["digest"], "5fa41a28661ee5ba0bbd1c6d21267325");
    assert_eq!(used["uncommitted"], true, "{run}");
    let name = run["name"].as_str().unwrap();
    w.matraz(&["lineage", name]).succeeds().prints(&["in no commit when it was used"]);

    w.matraz(&["add", "-q", "data.csv"]).succeeds();
    w.commit("more rows");
    let head = w.git_do(&["rev-parse", "HEAD"]).trim().to_owned();
    let lineage = w.matraz(&["lineage", name, "--json"]).succeeds().json();
    assert_eq!(fact(&lineage, "data.csv", "recorded_in"), head.as_str());
    // What was committed before is not flagged.
    w.write("params.yaml", "seed: 1\nrate: 0.7\n");
    w.matraz(&["repro"]).succeeds();
    let run = w.matraz(&["runs", "show", "--json"]).succeeds().json();
    assert!(run["datasets"].as_array().unwrap().iter().all(|one| one["uncommitted"].is_null()), "{run}");
}

#[test]
fn without_a_store_the_lock_file_answers() {
    let w = pipeline();
    for name in ["mlflow.db", "matraz.yaml"] {
        std::fs::remove_file(w.path(name)).unwrap();
    }
    w.matraz(&["lineage", "model"]).succeeds().prints(&[
        "stage train by dvc.lock of",
        "clean.csv",
        "data.csv",
    ]);
}

#[test]
fn a_cached_stage_leads_to_the_run_that_computed_it() {
    let w = with_accuracy("0.9");
    set_accuracy(&w, "0.95");
    set_accuracy(&w, "0.9");
    w.matraz(&["promote"]).succeeds();
    w.matraz(&["lineage", "models:/shop@champion"]).succeeds().prints(&["from the run cache", "computed it"]);
}

/// A commit whose files cannot be read is passed over.
#[test]
fn a_broken_commit_does_not_hide_the_others() {
    let w = Workspace::project();
    w.write("in.txt", "1\n");
    w.matraz(&["add", "-q", "in.txt"]).succeeds();
    w.write("dvc.yaml", "stages: [\n");
    w.commit("broken");
    w.write(
        "dvc.yaml",
        "stages:\n  copy:\n    cmd: cat in.txt in.txt > out.txt\n    deps: [in.txt]\n    outs: [out.txt]\n",
    );
    w.matraz(&["repro", "-q"]).succeeds();
    w.commit("mended");
    w.matraz(&["lineage", "in.txt"]).succeeds().prints(&["in.txt"]);
    w.matraz(&["lineage", "out.txt"]).succeeds().prints(&["copy", "in.txt"]);
}
