//! Scorers: versions, lists, what is refused, and who sees them.

use axum::http::Method;
use matraz_track::auth::Permission;
use serde_json::{Value, json};

use crate::fixture::Fixture;

const SCORERS: &str = "/api/3.0/mlflow/scorers";

fn scorer(experiment: &str, name: &str, serialized: &str) -> Value {
    json!({"experiment_id": experiment, "name": name, "serialized_scorer": serialized})
}

#[tokio::test]
async fn versions_of_scorers() {
    let fixture = Fixture::new().await;
    let other = fixture.experiment("other").await;
    let register = format!("{SCORERS}/register");
    let first = fixture.post(&register, scorer("0", "tone", r#"{"b":1,"a":"ü"}"#)).await;
    assert_eq!((&first["version"], &first["experiment_id"]), (&json!(1), &json!("0")));
    assert_eq!(first["serialized_scorer"], json!(r#"{"b":1,"a":"ü"}"#));
    let second = fixture.post(&register, scorer("0", "tone", r#"{"b": 2}"#)).await;
    assert_eq!((&second["version"], &second["scorer_id"]), (&json!(2), &first["scorer_id"]));
    fixture.post(&register, scorer(&other, "Tone", "{}")).await;

    let numbers = |answer: &Value| -> Vec<(i64, String, i64)> {
        let list = answer["scorers"].as_array().cloned().unwrap_or_default();
        let number = |one: &Value, key: &str| one[key].as_i64().unwrap();
        list.iter()
            .map(|one| {
                let name = one["scorer_name"].as_str().unwrap().to_owned();
                (number(one, "experiment_id"), name, number(one, "scorer_version"))
            })
            .collect()
    };
    let other_id: i64 = other.parse().unwrap();
    let of = |names: &[(i64, &str, i64)]| -> Vec<(i64, String, i64)> {
        names.iter().map(|(id, name, version)| (*id, (*name).to_owned(), *version)).collect()
    };
    for (query, want) in [
        ("list?experiment_id=0".to_owned(), of(&[(0, "tone", 2)])),
        ("list".to_owned(), of(&[(0, "tone", 2), (other_id, "Tone", 1)])),
        (format!("list?experiment_ids={other}&experiment_ids=77"), of(&[(other_id, "Tone", 1)])),
        ("versions?experiment_id=0&name=tone".to_owned(), of(&[(0, "tone", 1), (0, "tone", 2)])),
    ] {
        assert_eq!(numbers(&fixture.get(&format!("{SCORERS}/{query}")).await), want, "{query}");
    }
    // Lists write the JSON text anew; what is asked for by name comes as it was sent.
    let listed = fixture.get(&format!("{SCORERS}/versions?experiment_id=0&name=tone")).await;
    assert_eq!(listed["scorers"][0]["serialized_scorer"], json!(r#"{"b": 1, "a": "\u00fc"}"#));
    let got = fixture.get(&format!("{SCORERS}/get?experiment_id=0&name=tone&version=1")).await;
    assert_eq!(got["scorer"]["serialized_scorer"], first["serialized_scorer"]);
    let newest = fixture.get(&format!("{SCORERS}/get?experiment_id=0&name=tone")).await;
    assert_eq!(newest["scorer"]["scorer_version"], json!(2));

    let delete = format!("{SCORERS}/delete");
    let one = json!({"experiment_id": "0", "name": "tone", "version": 1});
    assert_eq!(fixture.call(Method::DELETE, &delete, one.clone()).await.0, 200);
    let message = fixture.refused(Method::DELETE, &delete, one, 404, "RESOURCE_DOES_NOT_EXIST").await;
    assert_eq!(message, "Scorer with name 'tone' and version 1 not found for experiment 0.");
    assert_eq!(fixture.post(&register, scorer("0", "tone", "{}")).await["version"], json!(3));
    let all = json!({"experiment_id": "0", "name": "tone"});
    assert_eq!(fixture.call(Method::DELETE, &delete, all).await.0, 200);
    assert_eq!(numbers(&fixture.get(&format!("{SCORERS}/list?experiment_id=0")).await), of(&[]));
    assert_eq!(fixture.post(&register, scorer("0", "tone", "{}")).await["version"], json!(1));
}

#[tokio::test]
async fn what_is_refused_of_scorers() {
    let fixture = Fixture::new().await;
    let register = format!("{SCORERS}/register");
    let model = |model: Value| json!({"instructions_judge_pydantic_data": {"model": model}}).to_string();
    for (body, code) in [
        (json!({"experiment_id": "0", "name": "a"}), "INVALID_PARAMETER_VALUE"),
        (scorer("0", " ", "{}"), "INVALID_PARAMETER_VALUE"),
        (scorer("0", "a", "{"), "INVALID_PARAMETER_VALUE"),
        (scorer("0", "a", r#"{"x": [{"call_source": "return 1"}]}"#), "INVALID_PARAMETER_VALUE"),
        (scorer("0", "a", &model(json!(" "))), "INVALID_PARAMETER_VALUE"),
        (scorer("0", "a", &model(json!("gateway:/nowhere"))), "RESOURCE_DOES_NOT_EXIST"),
        (scorer("77", "a", "{}"), "RESOURCE_DOES_NOT_EXIST"),
    ] {
        let status = if code == "RESOURCE_DOES_NOT_EXIST" { 404 } else { 400 };
        fixture.refused(Method::POST, &register, body, status, code).await;
    }
    fixture.post(&register, scorer("0", "a", &model(json!("openai:/x")))).await;
    let set = format!("{SCORERS}/online-config");
    let config = |rate: f64, filter: &str| json!({"experiment_id": "0", "name": "a", "sample_rate": rate, "filter_string": filter});
    for (rate, filter) in [(1.5, ""), (0.5, ""), (0.0, "nonsense")] {
        fixture.refused(Method::PUT, &set, config(rate, filter), 400, "INVALID_PARAMETER_VALUE").await;
    }
    for filter in ["status = 'OK'", "status = 'ERROR'"] {
        let (status, made) = fixture.call(Method::PUT, &set, config(0.0, filter)).await;
        assert_eq!((status.as_u16(), &made["config"]["sample_rate"]), (200, &json!(0.0)), "{made}");
        let id = made["config"]["scorer_id"].as_str().unwrap();
        let found = fixture.get(&format!("{SCORERS}/online-configs?scorer_ids={id}&scorer_ids=x")).await;
        assert_eq!(found["configs"].as_array().unwrap().len(), 1);
        assert_eq!(found["configs"][0]["filter_string"], json!(filter));
    }
    let message = fixture
        .refused(Method::GET, &format!("{SCORERS}/online-configs"), json!({}), 400, "INVALID_PARAMETER_VALUE")
        .await;
    assert!(message.contains("scorer_ids"), "{message}");
}

#[tokio::test]
async fn scorers_are_shown_to_those_who_may_read_them() {
    let fixture = Fixture::with_users(Permission::NoPermissions).await;
    let as_admin = async |path: &str, body: Value| {
        let (status, value) = fixture.call_as("admin", Method::POST, path, body).await;
        assert_eq!(status, 200, "{path}: {value}");
        value
    };
    as_admin("users/create", json!({"username": "eve", "password": crate::fixture::PASSWORD})).await;
    as_admin(&format!("{SCORERS}/register"), scorer("0", "a/b", "{}")).await;
    as_admin(&format!("{SCORERS}/register"), scorer("0", "hidden", "{}")).await;
    let list = format!("{SCORERS}/list");
    let get = format!("{SCORERS}/get?experiment_id=0&name=a%2Fb");
    let (status, listed) = fixture.call_as("eve", Method::GET, &list, json!({})).await;
    assert_eq!((status.as_u16(), listed), (200, json!({})));
    assert_eq!(fixture.call_as("eve", Method::GET, &get, json!({})).await.0, 403);
    for (kind, id) in [("experiment", "0"), ("scorer", "0/a%2Fb")] {
        let grant = json!({"username": "eve", "resource_type": kind, "resource_id": id, "permission": "READ"});
        as_admin("/api/3.0/mlflow/users/permissions/grant", grant).await;
    }
    let (_, listed) = fixture.call_as("eve", Method::GET, &list, json!({})).await;
    assert_eq!(listed["scorers"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(fixture.call_as("eve", Method::GET, &get, json!({})).await.0, 200);
    let delete = format!("{SCORERS}/delete");
    for body in [json!({"experiment_id": "0", "name": "a/b"}), json!({"experiment_id": "0", "name": "a/b", "version": 1})] {
        assert_eq!(fixture.call_as("eve", Method::DELETE, &delete, body).await.0, 403);
    }
    let more = scorer("0", "a/b", "{}");
    assert_eq!(fixture.call_as("eve", Method::POST, &format!("{SCORERS}/register"), more).await.0, 403);
}
