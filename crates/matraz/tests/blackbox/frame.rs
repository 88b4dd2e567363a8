//! Grammars, help, exit codes, pipes.

use std::io::Read;
use std::process::Stdio;

use crate::workspace::Workspace;

#[test]
fn three_grammars_by_word_and_by_name() {
    let w = Workspace::git();
    w.matraz(&["--version"]).succeeds().prints(&["matraz 0."]);
    assert_eq!(w.matraz(&["dvc", "--version"]).succeeds().out.trim(), "3.67.1");
    w.matraz(&["mlflow", "--version"]).succeeds().prints(&["3.18.0"]);

    let shims = w.beside("shims");
    w.matraz(&["shims", shims.to_str().unwrap()]).succeeds().prints(&["dvc", "mlflow"]);
    let by_name = std::process::Command::new(shims.join("dvc")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&by_name.stdout).trim(), "3.67.1");
    std::fs::remove_file(shims.join("mlflow")).unwrap();
    std::fs::write(shims.join("mlflow"), "mine").unwrap();
    w.matraz(&["shims", shims.to_str().unwrap()]).ends_with(5).says(&["exists", "--force"]);
}

#[test]
fn wrong_usage_has_the_code_of_its_grammar() {
    let w = Workspace::git();
    w.matraz(&["nonsense"]).ends_with(2).says(&["nonsense"]);
    w.matraz(&["dvc", "nonsense"]).ends_with(254);
    w.matraz(&["mlflow", "nonsense"]).ends_with(2);
    w.matraz(&["dvc"]).ends_with(254);
    w.matraz(&["dvc", "add", "--no-such-flag", "x"]).ends_with(254).says(&["--no-such-flag"]);
    w.matraz(&["dvc", "studio"]).ends_with(254).says(&["`dvc studio` is not supported yet"]);
    w.matraz(&["dvc", "status"]).ends_with(253);
    w.matraz(&["status"]).ends_with(4).says(&["hint:", "matraz init"]);
}

#[test]
fn long_options_of_dvc_can_be_cut_short_while_they_are_the_only_ones() {
    let w = Workspace::project();
    w.write("f", "1\n");
    for line in
        [&["dvc", "add", "--forc", "f"][..], &["dvc", "status", "--js"], &["dvc", "gc", "--w", "--fo"]]
    {
        w.matraz(line).succeeds();
    }
    w.matraz(&["dvc", "repro", "--al"]).ends_with(254).says(&["--al"]);
    w.matraz(&["dvc", "config", "--l"]).ends_with(254).says(&["--l"]);
    w.matraz(&["status", "--js"]).ends_with(2);
}

#[test]
fn help_names_every_group() {
    let w = Workspace::git();
    w.matraz(&["--help"]).succeeds().prints(&[
        "Data:",
        "Pipeline:",
        "Runs:",
        "Models:",
        "repro",
        "gate",
        "rollback",
    ]);
    let page = w.matraz(&["status", "--help"]).succeeds().out;
    assert!(
        page.find("--cloud") < page.find("--jobs") && page.find("--jobs") < page.find("--quiet"),
        "{page}"
    );
    w.matraz(&["gate", "--help"]).succeeds().prints(&["exit 0 pass, 1 fail, 2 cannot tell"]);
    for shell in ["bash", "zsh", "fish"] {
        w.matraz(&["completion", "-s", shell]).succeeds().prints(&["repro"]);
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let w = Workspace::git();
    let mut child = w
        .command(&["completion", "-s", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(141), "{err}");
    assert_eq!(err, "");
}

#[test]
fn reading_makes_no_store() {
    let w = Workspace::git();
    w.matraz(&["runs", "list"]).succeeds().prints(&["No runs"]);
    w.matraz(&["runs", "compare"]).ends_with(4).says(&["no tracking store", "matraz repro"]);
    assert_eq!(w.files(), Vec::<String>::new());
}

#[test]
fn what_a_server_of_mlflow_has_and_this_one_lacks_is_refused_by_name() {
    let w = Workspace::git();
    for option in [
        &["--static-prefix", "/x"][..],
        &["--artifacts-only"],
        &["--registry-store-uri", "sqlite:///other.db"],
        &["--gunicorn-opts", "--timeout 3"],
        &["--enable-workspaces"],
        &["--dev"],
    ] {
        let call = w.matraz(&[&["mlflow", "server"], option].concat());
        call.ends_with(2).says(&[&format!("`{}` is not supported yet", option[0])]);
    }
    let variables = [("MLFLOW_ARTIFACTS_ONLY", "true")];
    w.matraz_with(&["server"], &variables)
        .ends_with(2)
        .says(&["`MLFLOW_ARTIFACTS_ONLY` is not supported yet"]);
    w.matraz(&["mlflow", "models", "build-docker", "-m", "x"]).ends_with(2).says(&["`models build-docker`"]);
    w.matraz(&["mlflow", "gc", "--jobs"]).ends_with(2).says(&["`--jobs` is not supported yet"]);
    assert_eq!(w.files(), Vec::<String>::new());
}

#[test]
fn the_doctor_keeps_secrets() {
    let w = Workspace::git();
    let variables = [("MLFLOW_TRACKING_TOKEN", "s3cret"), ("MLFLOW_EXPERIMENT_NAME", "wine")];
    let call = w.matraz_with(&["mlflow", "doctor"], &variables).succeeds();
    assert!(!call.out.contains("s3cret"));
    call.prints(&["MLflow version: 3.18.0", "MLFLOW_EXPERIMENT_NAME: wine", "Tracking store: not there yet"]);
    let masked = w.matraz_with(&["mlflow", "doctor", "--mask-envs"], &variables);
    masked.succeeds().prints(&["MLFLOW_EXPERIMENT_NAME: ***"]);
    assert_eq!(w.files(), Vec::<String>::new());
}
