//! Why two runs or model versions differ.

use serde_json::Value;

use crate::lineage::pipeline;

fn section<'e>(explanation: &'e Value, about: &str) -> &'e Value {
    let sections = explanation["sections"].as_array().unwrap();
    sections.iter().find(|section| section["about"] == about).unwrap()
}

#[test]
fn two_data_versions_are_told_by_file_and_rows() {
    let w = pipeline();
    w.matraz(&["promote"]).succeeds();
    w.write("data.csv", "id,x,z\n2,20,a\n3,30,b\n4,41,c\n5,50,d\n");
    w.matraz(&["repro"]).succeeds();
    w.matraz(&["promote"]).succeeds();
    let call = ["explain", "models:/shop/1", "models:/shop@champion"];
    let explanation = w.matraz(&[&call[..], &["--key", "id", "--json"]].concat()).succeeds().json();
    let data = section(&explanation, "data")["changes"].as_array().unwrap();
    assert_eq!(data.len(), 1, "{explanation}");
    assert_eq!(data[0]["what"], "data.csv");
    assert_eq!(data[0]["table"]["rows"], serde_json::json!([2, 4]));
    assert_eq!(data[0]["table"]["added_columns"], serde_json::json!(["z"]));
    let keys = &data[0]["table"]["keys"];
    assert_eq!((&keys["added"], &keys["removed"], &keys["changed"]), (&3.into(), &1.into(), &1.into()));
    for about in ["code", "params", "seed", "environment", "hardware"] {
        assert_eq!(section(&explanation, about)["changes"], serde_json::json!([]), "{explanation}");
    }
    w.matraz(&call).succeeds().prints(&["data.csv", "2 → 4 rows", "the same: code, params"]);
    w.matraz(&[&call[..], &["--md"]].concat()).succeeds().prints(&[
        "### models:/shop/1",
        "| data.csv |",
        "2 → 4 rows",
    ]);
    w.matraz(&["explain", "models:/shop/1", "models:/shop/9"]).ends_with(4).says(&["models:/shop/9"]);
}

#[test]
fn code_parameters_and_seed_are_told_apart() {
    let w = pipeline();
    let name = |w: &crate::workspace::Workspace| {
        w.matraz(&["runs", "show", "--json"]).succeeds().json()["name"].as_str().unwrap().to_owned()
    };
    let first = name(&w);
    w.write("train.sh", &(w.read("train.sh") + "echo more >> model/weights\n"));
    w.commit("more weights");
    w.write("params.yaml", "seed: 2\nrate: 0.75\n");
    w.matraz(&["repro"]).succeeds();
    let second = name(&w);
    let explanation = w.matraz(&["explain", &first, &second, "--json"]).succeeds().json();
    let names = |about: &str| -> Vec<String> {
        let changes = section(&explanation, about)["changes"].as_array().unwrap().iter();
        changes.map(|change| change["what"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("code"), ["train.sh"], "{explanation}");
    assert_eq!(names("params"), ["rate"]);
    assert_eq!(names("seed"), ["seed"]);
    assert_eq!(names("data"), [""; 0]);
    let order: Vec<&Value> =
        explanation["sections"].as_array().unwrap().iter().map(|one| &one["about"]).collect();
    assert_eq!(order, ["code", "data", "params", "environment", "seed", "hardware"]);
}
