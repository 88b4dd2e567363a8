//! Experiments: commits beside the branch.

use crate::workspace::Workspace;

/// A project whose one stage copies its parameters, committed.
pub fn with_stage() -> Workspace {
    let w = Workspace::project();
    w.write("params.yaml", "# rates\nlr: 1   # the rate\nother: x\n");
    w.write(
        "train.sh",
        "sed -n 's/lr: \\([0-9]*\\).*/{\"acc\": \\1}/p' params.yaml > m.json\ncp params.yaml model\necho ran >> \"$LOG\"\n\
         sleep 0$PAUSE\n",
    );
    w.write(
        "dvc.yaml",
        "stages:\n  train:\n    cmd: sh train.sh\n    params: [lr]\n    outs: [model]\n    \
         metrics: [{m.json: {cache: false}}]\n",
    );
    w.matraz_with(&["dvc", "repro", "-q"], &[("LOG", "/dev/null")]).succeeds();
    w.commit("base");
    w
}

fn dvc(w: &Workspace, words: &[&str]) -> crate::workspace::Call {
    let words: Vec<&str> = std::iter::once("dvc").chain(words.iter().copied()).collect();
    w.matraz_with(&words, &[("LOG", "/dev/null")])
}

fn names(w: &Workspace) -> String {
    dvc(w, &["exp", "list", "--name-only"]).succeeds().out.replace('\n', " ").trim().to_owned()
}

fn at(w: &Workspace, name: &str, file: &str) -> String {
    let head = w.git_do(&["rev-parse", "HEAD"]);
    let (two, rest) = head.trim().split_at(2);
    w.git_do(&["show", &format!("refs/exps/{two}/{rest}/{name}:{file}")])
}

#[test]
fn a_run_is_a_commit_and_head_stays() {
    let w = with_stage();
    let (head, branch) = (w.git_do(&["rev-parse", "HEAD"]), w.git_do(&["symbolic-ref", "HEAD"]));
    dvc(&w, &["exp", "run", "-n", "two", "-S", "lr=2"]).succeeds().prints(&["Ran experiment(s): two"]);
    assert_eq!(w.read("params.yaml"), "# rates\nlr: 2   # the rate\nother: x\n");
    assert_eq!(w.git_do(&["status", "--porcelain"]), " M dvc.lock\n M m.json\n M params.yaml\n");
    assert_eq!((w.git_do(&["rev-parse", "HEAD"]), w.git_do(&["symbolic-ref", "HEAD"])), (head, branch));
    assert_eq!(at(&w, "two", "m.json"), "{\"acc\": 2}\n");
    dvc(&w, &["exp", "run", "-n", "two", "-S", "lr=3"]).ends_with(255);
    // A change that cannot be made changes nothing.
    let before = w.read("params.yaml");
    dvc(&w, &["exp", "run", "-n", "no", "-S", "lr=7", "-S", "nosuch=1"]).ends_with(255);
    dvc(&w, &["exp", "run", "-n", "no", "-S", "lr=1,2"]).ends_with(255);
    assert_eq!(w.read("params.yaml"), before);
    assert_eq!(names(&w), "two");
}

#[test]
fn apply_branch_rename_and_remove() {
    let w = with_stage();
    for lr in ["2", "3"] {
        dvc(&w, &["exp", "run", "-q", "-n", &format!("x{lr}"), "-S", &format!("lr={lr}")]).succeeds();
    }
    w.write("notes.txt", "mine");
    dvc(&w, &["exp", "apply", "x2"]).succeeds();
    assert_eq!(w.read("m.json"), "{\"acc\": 2}\n");
    assert_eq!(w.read("model"), w.read("params.yaml"));
    assert_eq!(w.read("notes.txt"), "mine");
    assert_eq!(dvc(&w, &["status", "--json"]).succeeds().out, "{}\n");
    // What was there can be had back.
    w.git_do(&["reset", "-q", "--hard"]);
    w.git_do(&["clean", "-fdq"]);
    w.git_do(&["stash", "apply", "-q", "refs/exps/apply/stash"]);
    assert_eq!((w.read("m.json").as_str(), w.read("notes.txt").as_str()), ("{\"acc\": 3}\n", "mine"));
    dvc(&w, &["exp", "branch", "x3", "b"]).succeeds();
    assert_eq!(w.git_do(&["show", "b:m.json"]), "{\"acc\": 3}\n");
    dvc(&w, &["exp", "branch", "x3", "b"]).ends_with(255);
    dvc(&w, &["exp", "rename", "x2", "y"]).succeeds();
    dvc(&w, &["exp", "rename", "y", "x3"]).ends_with(255);
    dvc(&w, &["exp", "diff", "y", "x3", "--json"]).succeeds().prints(&["\"old\": 2, \"new\": 3"]);
    dvc(&w, &["exp", "remove", "x3", "nosuch"]).ends_with(255);
    assert_eq!(names(&w), "x3 y");
    dvc(&w, &["exp", "remove", "-A"]).succeeds();
    assert_eq!(names(&w), "");
}

#[test]
fn temporary_runs_and_saved_states_leave_the_work_tree() {
    let w = with_stage();
    w.write("notes.txt", "mine");
    let files = || w.files().into_iter().filter(|name| !name.starts_with(".dvc/cache")).collect::<Vec<_>>();
    let before = (files(), w.git_do(&["status", "--porcelain"]));
    dvc(&w, &["exp", "run", "--temp", "-n", "t", "-S", "lr=5"]).succeeds();
    assert_eq!((files(), w.git_do(&["status", "--porcelain"])), before);
    assert_eq!(w.read("m.json"), "{\"acc\": 1}\n");
    assert_eq!(at(&w, "t", "m.json"), "{\"acc\": 5}\n");
    assert_eq!(w.git_do(&["worktree", "list"]).lines().count(), 1);
    w.write("params.yaml", "lr: 9\n");
    dvc(&w, &["exp", "save", "-n", "s", "-I", "notes.txt"]).succeeds();
    assert_eq!((at(&w, "s", "params.yaml").as_str(), at(&w, "s", "notes.txt").as_str()), ("lr: 9\n", "mine"));
    dvc(&w, &["exp", "save", "-n", "s"]).ends_with(1);
}

#[test]
fn their_data_survive_gc_and_travel() {
    let w = with_stage();
    let bare = w.beside("far.git");
    w.git_do(&["init", "-q", "--bare", bare.to_str().unwrap()]);
    w.git_do(&["remote", "add", "origin", bare.to_str().unwrap()]);
    dvc(&w, &["remote", "add", "-q", "-d", "far", w.beside("far").to_str().unwrap()]).succeeds();
    w.commit("with a remote");
    dvc(&w, &["exp", "run", "-q", "-n", "kept", "-S", "lr=4"]).succeeds();
    let model = w.read("model");
    w.git_do(&["checkout", "-q", "."]);
    dvc(&w, &["checkout", "-q", "-f"]).succeeds();
    dvc(&w, &["gc", "-q", "-f", "-w", "--all-experiments"]).succeeds();
    dvc(&w, &["exp", "push", "origin", "kept"]).succeeds().prints(&["Pushed experiment kept"]);
    dvc(&w, &["exp", "push", "origin", "kept"]).succeeds().prints(&["up to date"]);
    dvc(&w, &["exp", "remove", "kept"]).succeeds();
    dvc(&w, &["gc", "-q", "-f", "-w"]).succeeds();
    dvc(&w, &["exp", "pull", "origin", "kept"]).succeeds().prints(&["Pulled experiment 'kept'"]);
    dvc(&w, &["exp", "apply", "kept"]).succeeds();
    assert_eq!(w.read("model"), model);
}

#[test]
fn the_run_of_an_experiment_has_its_name() {
    let w = with_stage();
    w.write("matraz.yaml", "tracking: {}\n");
    w.write(".gitignore", "/model\n/mlflow.db*\n/mlartifacts\n");
    w.commit("tracked");
    let call = dvc(&w, &["exp", "run", "-n", "named", "-S", "lr=6"]).succeeds();
    call.prints(&["Recorded run named"]);
    let all = w.matraz(&["runs", "list", "--all", "--json"]).succeeds().json();
    let run = all.as_array().unwrap().iter().find(|run| run["name"] == "named").unwrap().clone();
    let commit = w.git_do(&["for-each-ref", "--format=%(objectname)", "refs/exps/**/named"]);
    assert_eq!(run["tags"]["matraz.experiment.commit"], commit.trim());
    assert_eq!(run["metrics"]["acc"], 6.0);
    // The lineage of the name is that of the run, and of the experiment where there is none.
    let subject =
        |words: &[&str]| w.matraz(words).succeeds().json()["subjects"][0].as_str().unwrap().to_owned();
    assert_eq!(subject(&["lineage", "named", "--json"]), format!("run:{}", run["id"].as_str().unwrap()));
    w.matraz(&["exp", "save", "-n", "saved"]).succeeds();
    assert!(subject(&["lineage", "saved", "--json"]).starts_with("commit:"));
    w.matraz(&["exp", "remove", "named", "--runs"]).succeeds().prints(&["Deleted runs: 'named'"]);
    let all = w.matraz(&["runs", "list", "--all", "--json"]).succeeds().json();
    assert_eq!(all.as_array().unwrap().len(), 0, "{all}");
}
