//! Runs made again from what was kept of them.

use std::path::Path;
use std::process::Command;

use crate::lineage::pipeline;
use crate::workspace::{Call, Workspace};

/// The two-stage project with a remote, and a store that clones find.
pub fn shared() -> Workspace {
    let w = pipeline();
    let store = w.beside("store");
    std::fs::create_dir_all(&store).unwrap();
    w.write(
        "matraz.yaml",
        &format!(
            "tracking:\n  experiment: shop\n  uri: sqlite:///{0}/mlflow.db\n  artifacts: {0}/artifacts\nmodel:\n  \
             name: shop\n  path: model\n",
            store.display()
        ),
    );
    w.matraz(&["remote", "add", "-q", "-d", "far", w.beside("remote").to_str().unwrap()]).succeeds();
    w.commit("shared store");
    w
}

fn newest(w: &Workspace) -> String {
    let run = w.matraz(&["runs", "show", "--json"]).succeeds().json();
    run["id"].as_str().unwrap().to_owned()
}

/// The program in another folder.
pub fn matraz_in(w: &Workspace, folder: &Path, arguments: &[&str]) -> Call {
    Call::of(w.command(arguments).current_dir(folder).output().unwrap())
}

#[test]
fn a_clone_makes_an_uncommitted_run_again() {
    let w = shared();
    // Edits of tracked code, of parameters and a new file that the script reads: none is committed.
    w.write("params.yaml", "seed: 1\nrate: 0.7\n");
    w.write("extra.sh", "echo extra >> model/weights\n");
    w.write("train.sh", &(w.read("train.sh") + ". ./extra.sh\n"));
    w.matraz(&["repro"]).succeeds();
    let run = newest(&w);
    w.matraz(&["push", "-q"]).succeeds();
    w.git_do(&["checkout", "--", "."]);
    std::fs::remove_file(w.path("extra.sh")).unwrap();

    let clone = w.beside("clone");
    w.git_do(&["clone", "-q", ".", clone.to_str().unwrap()]);
    let call = matraz_in(&w, &clone, &["reproduce", &run, "--json"]);
    let report = call.succeeds().out;
    let report: serde_json::Value = serde_json::from_str(report.lines().last().unwrap()).unwrap();
    assert_eq!(report["verdict"], "identical", "{report}");
    let model = report["data"].as_array().unwrap().iter().find(|one| one["path"] == "model").unwrap();
    assert_eq!(model["expected"], model["found"]);
    // Nothing is left behind, and nothing was recorded.
    let worktrees = Command::new("git").args(["worktree", "list"]).current_dir(&clone).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&worktrees.stdout).lines().count(), 1);
    assert_eq!(newest(&w), run);
}

#[test]
fn what_is_gone_is_named() {
    let w = shared();
    w.write("data.csv", "id,x\n7,70\n");
    w.matraz(&["repro"]).succeeds();
    let run = newest(&w);
    for folder in [w.path(".dvc/cache"), w.beside("remote")] {
        let _ = std::fs::remove_dir_all(folder);
    }
    w.matraz(&["reproduce", &run]).ends_with(2).prints(&["cannot be reproduced", "data.csv"]);
    let report = w.matraz(&["reproduce", &run, "--json"]).ends_with(2).json();
    assert_eq!(report["missing"][0]["what"], "data.csv", "{report}");
    w.matraz(&["reproduce", "no-such-run"]).ends_with(4);
}

#[test]
fn what_comes_out_different_is_named_and_metrics_may_differ_a_little() {
    let w = shared();
    w.write("train.sh", &(w.read("train.sh") + "cat ../counter >/dev/null 2>&1; date +%N > model/stamp\n"));
    w.matraz(&["repro"]).succeeds();
    let run = newest(&w);
    let call = w.matraz(&["reproduce", &run]).ends_with(1);
    call.prints(&[
        "came out different",
        "made model",
        "stamp differs",
        "= made clean.csv",
        "= read data.csv",
    ]);

    let other = w.beside("value");
    std::fs::write(&other, "0.5").unwrap();
    w.write(
        "train.sh",
        &format!("mkdir -p model; echo '{{\"rows\": '$(cat {})'}}' > metrics.json\n", other.display()),
    );
    w.matraz(&["repro"]).succeeds();
    let run = newest(&w);
    std::fs::write(&other, "0.51").unwrap();
    w.matraz(&["reproduce", &run]).ends_with(1).prints(&["metric rows", "0.5", "0.51"]);
    w.matraz(&["reproduce", &run, "--tolerance", "0.1"]).succeeds();
}

#[test]
fn secrets_are_not_kept_with_a_run() {
    let w = shared();
    // The script names two modules, of which one is ignored by git, and one imports another.
    w.write(
        "train.sh",
        &format!("{}cat upload.py local.py tool.py >/dev/null 2>&1 || true\n", w.read("train.sh")),
    );
    w.write(".gitignore", &format!("{}/local.py\n", w.read(".gitignore")));
    w.commit("modules");
    w.write("upload.py", &format!("import helper\nKEY = '{}{}'\n", "AKIA", "IOSFODNN7EXAMPLE"));
    w.write("helper.py", "x = 1\n");
    w.write("unused.py", "x = 1\n");
    w.write("local.py", "x = 1\n");
    w.write("tool.py", "x = 1\n");
    w.write("params.yaml", "seed: 1\nrate: 0.9\n");
    w.matraz(&["repro"]).succeeds().says(&["not kept with the run: upload.py", "AWS access key"]);
    let run = newest(&w);
    let kept = w.beside("store/artifacts/1").join(&run).join("artifacts/matraz/untracked");
    let mut names: Vec<_> =
        std::fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["helper.py", "tool.py"], "what is used and holds no secret");
    let missing = ["not kept with the run: upload.py", "local.py: git ignores it"];
    w.matraz(&["reproduce", &run]).succeeds().says(&missing);
    // Changes with a secret in them are not kept at all.
    w.write("train.sh", &format!("{}\n# {}{}\n", w.read("train.sh"), "AKIA", "IOSFODNN7EXAMPLE"));
    w.matraz(&["repro"]).succeeds().says(&["not kept with the run: uncommitted changes"]);
    w.matraz(&["reproduce", &newest(&w)]).ends_with(2).prints(&["uncommitted changes"]);
}
