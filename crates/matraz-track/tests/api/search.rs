use std::collections::HashMap;

use axum::http::Method;
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// Five runs, `a` to `e`, that differ in everything that can be asked for.
async fn table() -> (Fixture, String, HashMap<String, String>) {
    let fixture = Fixture::new().await;
    let experiment = fixture.experiment("table").await;
    let mut names = HashMap::new();
    for (name, start, metric, param, tag) in [
        ("a", 100, json!(0.5), Some("alpha"), Some("x")),
        ("b", 200, json!(1.5), Some("Beta"), None),
        ("c", 300, json!("NaN"), None, Some("y%z")),
        ("d", 200, Value::Null, Some("it's"), Some("x")),
        ("e", 500, json!(-2), Some("alp_ha"), None),
    ] {
        let body =
            json!({"experiment_id": experiment, "start_time": start, "run_name": name, "user_id": "ann"});
        let made = fixture.post("runs/create", body).await;
        let id = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        let mut batch = json!({"run_id": id, "metrics": [], "params": [], "tags": []});
        if !metric.is_null() {
            batch["metrics"] = json!([{"key": "m x", "value": metric, "timestamp": 1}]);
        }
        if let Some(param) = param {
            batch["params"] = json!([{"key": "p.q", "value": param}]);
        }
        if let Some(tag) = tag {
            batch["tags"] = json!([{"key": "t", "value": tag}]);
        }
        fixture.post("runs/log-batch", batch).await;
        names.insert(id, name.to_owned());
    }
    (fixture, experiment, names)
}

fn shown(found: &Value, names: &HashMap<String, String>) -> String {
    let runs = found["runs"].as_array().into_iter().flatten();
    runs.map(|run| names[run["info"]["run_id"].as_str().unwrap()].as_str()).collect()
}

#[tokio::test]
async fn filters() {
    let (fixture, experiment, names) = table().await;
    let id_of = |name: &str| names.iter().find(|(_, known)| *known == name).unwrap().0.clone();
    let cases = [
        (String::new(), "abcde"),
        ("metrics.`m x` > 0".into(), "ab"),
        ("metric.\"m x\" != 0.5".into(), "bce"),
        ("metrics.`m x` <= 0.5".into(), "ae"),
        ("metrics.none != 1".into(), ""),
        ("params.p.q = 'alpha'".into(), "a"),
        ("params.p.q != 'alpha'".into(), "bde"),
        ("params.p.q LIKE 'al%'".into(), "ae"),
        ("params.p.q LIKE 'be%'".into(), ""),
        ("params.p.q ILIKE 'BE%'".into(), "b"),
        ("params.p.q LIKE 'alp_ha'".into(), "e"),
        ("params.p.q = \"it's\"".into(), "d"),
        ("params.p.q = 'it''s'".into(), "d"),
        ("params.p.q IS NULL".into(), "c"),
        ("tags.t is not null AND tag.t != 'x'".into(), "c"),
        ("tags.t = 'y%z'".into(), "c"),
        ("run_name = 'a'".into(), "a"),
        ("attributes.`Run name` LIKE '_'".into(), "abcde"),
        ("tags.mlflow.runName = 'b'".into(), "b"),
        ("start_time >= 200 and start_time < 500".into(), "bcd"),
        ("created = 200.5".into(), ""),
        ("status = 'RUNNING' AND user_id != 'bob'".into(), "abcde"),
        ("end_time != 5".into(), ""),
        (format!("run_id IN ('{}', \"{}\")", id_of("a"), id_of("e")), "ae"),
        (format!("run.run_id NOT IN ('{}')", id_of("a")), "bcde"),
    ];
    // The experiment holds all runs at first, later a small part of them: the database looks for them in other ways.
    for others in [0, 30] {
        for _ in 0..others {
            let made = fixture.post("runs/create", json!({"experiment_id": "0", "run_name": "a"})).await;
            let batch = json!({"run_id": made["run"]["info"]["run_id"], "params": [{"key": "p.q", "value": "alpha"}],
                "tags": [{"key": "t", "value": "x"}], "metrics": [{"key": "m x", "value": 0.5, "timestamp": 1}]});
            fixture.post("runs/log-batch", batch).await;
        }
        for (filter, want) in &cases {
            let body = json!({"experiment_ids": [experiment], "filter": filter});
            let mut got: Vec<char> = shown(&fixture.post("runs/search", body).await, &names).chars().collect();
            got.sort_unstable();
            assert_eq!(got.iter().collect::<String>(), *want, "{filter} beside {others} runs");
        }
    }
}

#[tokio::test]
async fn orders_and_pages() {
    let (fixture, experiment, names) = table().await;
    // Runs that start at the same time follow each other by id.
    let tie = |text: &str| {
        let id_of = |name: char| names.iter().find(|(_, known)| **known == name.to_string()).unwrap().0;
        if id_of('b') < id_of('d') { text.replace('=', "bd") } else { text.replace('=', "db") }
    };
    for (order, want) in [
        (json!([]), tie("ec=a")),
        (json!(["start_time"]), tie("a=ce")),
        (json!(["start_time DESC", "run_name DESC"]), "ecdba".to_owned()),
        (json!(["metrics.`m x`"]), "eabcd".to_owned()),
        (json!(["metrics.`m x` DESC"]), "baecd".to_owned()),
        (json!(["params.p.q"]), "beadc".to_owned()),
        (json!(["tags.t DESC", "attributes.start_time ASC"]), "cadbe".to_owned()),
    ] {
        for size in [2, 5] {
            let (mut got, mut token) = (String::new(), Value::Null);
            loop {
                let body = json!({"experiment_ids": [experiment], "order_by": order, "max_results": size, "page_token": token});
                let found = fixture.post("runs/search", body).await;
                got += &shown(&found, &names);
                token = found["next_page_token"].clone();
                if token.is_null() {
                    break;
                }
            }
            assert_eq!(got, want, "{order}");
        }
    }
}

#[tokio::test]
async fn views_and_experiments() {
    let (fixture, experiment, names) = table().await;
    let deleted = names.iter().find(|(_, name)| *name == "a").unwrap().0;
    fixture.post("runs/delete", json!({"run_id": deleted})).await;
    for (view, want) in [("ACTIVE_ONLY", 4), ("DELETED_ONLY", 1), ("ALL", 5)] {
        let found =
            fixture.post("runs/search", json!({"experiment_ids": [experiment], "run_view_type": view})).await;
        assert_eq!(shown(&found, &names).len(), want, "{view}");
    }
    assert_eq!(fixture.post("runs/search", json!({"experiment_ids": []})).await, json!({}));
    assert_eq!(fixture.post("runs/search", json!({"experiment_ids": ["0"]})).await, json!({}));
}

#[tokio::test]
async fn wrong_searches_are_refused_with_the_place() {
    let fixture = Fixture::new().await;
    for (body, want) in [
        (json!({"filter": "metrics.acc > 'x'"}), "\n  metrics.acc > 'x'\n                ^"),
        (json!({"filter": "status = 'A' OR status = 'B'"}), "joined with AND only"),
        (
            json!({"order_by": ["metrics.acc UP"]}),
            "Invalid order_by: expected ASC, DESC or the end, found 'UP'\n  metrics.acc UP\n              ^",
        ),
        (json!({"max_results": 50_001}), "at most 50000"),
        (json!({"max_results": 0}), "positive"),
        (json!({"page_token": "abc"}), "Invalid page token"),
        (json!({"experiment_ids": "0"}), "expected a list"),
        (json!({"experiment_ids": ["x"]}), "Invalid experiment ID 'x'"),
    ] {
        let mut request = json!({"experiment_ids": ["0"]});
        request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let message =
            fixture.refused(Method::POST, "runs/search", request, 400, "INVALID_PARAMETER_VALUE").await;
        assert!(message.contains(want), "{message}");
    }
}
