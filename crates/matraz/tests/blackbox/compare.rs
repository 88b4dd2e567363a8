//! Numbers, parameters and plots of several moments beside one another.

use serde_json::{Value, json};

use crate::workspace::Workspace;

/// A project with a curve, a metric and a parameter, committed once and changed since.
fn project() -> Workspace {
    let w = Workspace::project();
    w.write("history.csv", "step,loss\n0,1.0\n1,0.5\n");
    w.write("pictures/1.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>");
    w.write(
        "metrics.json",
        "{\"loss\": 0.5, \"nested\": {\"auc\": 0.123456789}, \"note\": \"a\", \"list\": [1]}",
    );
    w.write("params.yaml", "lr: 0.1\n");
    w.write(
        "dvc.yaml",
        "metrics: [metrics.json]\nplots:\n- history.csv: {x: step, y: loss, title: \"<b>Loss\"}\n- pictures\n",
    );
    w.git_do(&["add", "-A"]);
    w.git_do(&["commit", "-qm", "one"]);
    w.write("history.csv", "step,loss\n0,0.9\n1,0.4\n");
    w.write("metrics.json", "{\"loss\": 0.25, \"nested\": {\"auc\": 0.123456789}, \"note\": \"b\"}");
    w.write("params.yaml", "lr: 0.2\n");
    w
}

fn json_of(w: &Workspace, arguments: &[&str]) -> Value {
    serde_json::from_str(&w.matraz(arguments).succeeds().out).unwrap()
}

#[test]
fn plots_of_commits_lie_over_one_another() {
    let w = project();
    let all = json_of(&w, &["dvc", "plots", "diff", "--json", "--split", "-o", "out"]);
    let curve = &all["data"]["history.csv"][0];
    assert_eq!(curve["revisions"], json!(["workspace", "HEAD"]));
    let rows = curve["anchor_definitions"]["<DVC_METRIC_DATA>"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[3], json!({"step": "1", "loss": "0.5", "rev": "HEAD"}));
    assert_eq!(curve["content"]["data"]["values"], "<DVC_METRIC_DATA>");
    let picture = &all["data"]["pictures/1.svg"][0];
    assert!(picture["url"].as_str().unwrap().ends_with("/out/workspace_pictures_1.svg"), "{picture}");
    assert!(w.read("out/HEAD_pictures_1.svg").starts_with("<svg"));
    assert_eq!(all.get("errors"), None);
}

#[test]
fn the_page_carries_everything_and_shows_text_as_text() {
    let w = project();
    let said = w.matraz(&["plots", "show", "-o", "page"]).succeeds().out;
    assert!(said.starts_with("file:///") && said.trim_end().ends_with("/page/index.html"), "{said}");
    let page = w.read("page/index.html");
    assert!(page.contains("<h2>&lt;b&gt;Loss</h2>"), "the title is text");
    assert!(!page.contains("src=\"http"), "no script comes from elsewhere");
    assert!(page.contains("static/workspace_pictures_1.svg"));
    w.write("mine.html", "<html>{plot_divs}</html>");
    w.matraz(&["plots", "show", "-o", "own", "--html-template", "mine.html"]).succeeds();
    assert!(w.read("own/index.html").starts_with("<html>"));
}

#[test]
fn broken_definitions_are_told_and_the_rest_goes_on() {
    let w = project();
    w.write("dvc.yaml", "plots: [\n");
    let call = w.matraz(&["dvc", "plots", "diff", "--json"]).succeeds();
    assert!(
        call.err.contains("failed to load some plots for following revisions: 'workspace'"),
        "{}",
        call.err
    );
    let all: Value = serde_json::from_str(&call.out).unwrap();
    assert_eq!(all["errors"][0]["rev"], "workspace");
    assert_eq!(all["data"]["history.csv"][0]["revisions"], json!(["HEAD"]));
    let call = w.matraz(&["dvc", "metrics", "diff", "--json"]).succeeds();
    assert!(call.err.contains("'workspace'"), "{}", call.err);
    assert_eq!(serde_json::from_str::<Value>(&call.out).unwrap()["metrics.json"]["loss"]["new"], Value::Null);
}

#[test]
fn numbers_are_compared_with_their_changes() {
    let w = project();
    let changes = json_of(&w, &["metrics", "diff", "--json"]);
    assert_eq!(
        changes,
        json!({"metrics.json": {"loss": {"old": 0.5, "new": 0.25, "diff": -0.25}, "note": {"old": "a", "new": "b"}}})
    );
    let table = w.matraz(&["metrics", "diff", "--md", "--all", "--precision", "3"]).succeeds().out;
    assert!(table.contains("| metrics.json | nested.auc | 0.123  | 0.123       | 0.0      |"), "{table}");
    let changes = json_of(&w, &["params", "diff", "--json"]);
    assert_eq!(changes, json!({"params.yaml": {"lr": {"old": 0.1, "new": 0.2, "diff": 0.1}}}));
    w.write("loose.json", "{\"a\": [], \"b\": 1}");
    let shown = json_of(&w, &["metrics", "show", "--json", "loose.json", "absent.json"]);
    assert_eq!(shown[""]["data"]["loose.json"], json!({"data": {"b": 1}}));
    assert_eq!(shown[""]["data"]["absent.json"]["error"]["type"], "FileNotFoundError");
}

#[test]
fn a_plot_gets_its_properties_by_command() {
    let w = Workspace::project();
    w.write("dvc.yaml", "# kept\nstages:\n  s:\n    cmd: touch a.csv\n    plots: [a.csv]\n");
    w.matraz(&["plots", "modify", "a.csv", "-x", "step", "-t", "scatter"]).succeeds();
    assert_eq!(
        w.read("dvc.yaml"),
        "# kept\nstages:\n  s:\n    cmd: touch a.csv\n    plots:\n    - a.csv:\n        template: scatter\n        x: step\n"
    );
    w.matraz(&["dvc", "plots", "modify", "a.csv", "--unset", "y"]).ends_with(255).says(&["'y' not found"]);
    w.matraz(&["dvc", "plots", "modify", "a.csv", "-t", "nosuch"])
        .ends_with(255)
        .says(&["'nosuch'", "linear"]);
}

#[test]
fn what_is_wrong_with_definitions_is_classed_as_in_dvc() {
    let w = Workspace::project();
    let table = [
        ("stages: [\n", "YAMLSyntaxError", "unable to read: 'dvc.yaml', YAML file structure is corrupted"),
        ("stages: {a: {cmd: e, nokey: 1}}\n", "YAMLValidationError", "'./dvc.yaml' validation failed"),
        (
            "stages: {a: {cmd: 'e ${x[0]}'}}\n",
            "ResolveError",
            "failed to parse 'stages.a.cmd' in 'dvc.yaml': Could not find 'x.0'",
        ),
        (
            "stages: {a: {foreach: [1], do: {cmd: 'e ${item.y}'}}}\n",
            "ResolveError",
            "failed to parse 'stages.a@1.cmd' in 'dvc.yaml': Could not find 'item.y'",
        ),
        (
            "vars: [{a: 1}, {a: 2}]\n",
            "ResolveError",
            "failed to parse 'vars' in 'dvc.yaml':\ncannot redefine 'a' from 'vars[1]' as it already exists in 'vars[0]'",
        ),
        (
            "metrics: ['${m}']\n",
            "ResolveError",
            "failed to parse 'metrics.0' in 'dvc.yaml': Could not find 'm'",
        ),
    ];
    for (text, class, message) in table {
        w.write("dvc.yaml", text);
        let error = &json_of(&w, &["dvc", "metrics", "show", "--json"])[""]["error"];
        assert_eq!(*error, json!({"type": class, "msg": message}), "{text}");
    }
}

#[test]
fn a_folder_of_metrics_stands_for_its_files_and_outputs_alone() {
    let w = Workspace::project();
    w.write("dvc.yaml", "stages: {a: {cmd: e, metrics: [made.json]}}\n");
    w.write("m.json", "{\"a\": 1}");
    w.write("empty/x.dvc", "");
    let shown = json_of(&w, &["dvc", "metrics", "show", "--json", "-R", "."]);
    let files: Vec<&String> = shown[""]["data"].as_object().unwrap().keys().collect();
    assert_eq!(files, ["m.json", "made.json"]);
    assert_eq!(shown[""]["data"]["made.json"]["error"]["type"], "FileNotFoundError");
    let shown = json_of(&w, &["dvc", "metrics", "show", "--json", "empty"]);
    assert_eq!(shown[""]["data"], json!({}));
}

#[test]
fn without_git_there_are_no_plots_to_compare() {
    let w = Workspace::project();
    w.write("dvc.yaml", "plots: [p.csv]\n");
    w.write("p.csv", "x,y\n1,2\n");
    std::fs::remove_dir_all(w.path(".git")).unwrap();
    w.matraz(&["dvc", "config", "core.no_scm", "true"]).succeeds();
    w.matraz(&["dvc", "plots", "diff", "--json"]).ends_with(1).says(&["git"]);
}
