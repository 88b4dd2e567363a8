use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::fixture::{Fixture, pairs};

/// A run, and the URI of its artifacts.
async fn source(fixture: &Fixture) -> (String, String) {
    let run = fixture.run().await;
    let info = fixture.get(&format!("runs/get?run_id={run}")).await;
    let uri = info["run"]["info"]["artifact_uri"].as_str().unwrap().to_owned();
    (run, format!("{uri}/model"))
}

async fn version(fixture: &Fixture, name: &str, (run, uri): &(String, String)) -> String {
    let body = json!({"name": name, "source": uri, "run_id": run});
    let made = fixture.post("model-versions/create", body).await;
    made["model_version"]["version"].as_str().unwrap().to_owned()
}

async fn model(fixture: &Fixture, name: &str) -> Value {
    fixture.get(&format!("registered-models/get?name={name}")).await["registered_model"].clone()
}

#[tokio::test]
async fn models_are_made_described_renamed_and_deleted() {
    let fixture = Fixture::new().await;
    let source = source(&fixture).await;
    let tags = json!([{"key": "a", "value": "1"}, {"key": "a", "value": "2"}, {"key": "z"}]);
    let made = fixture
        .post("registered-models/create", json!({"name": "m", "description": "d", "tags": tags}))
        .await;
    let made = &made["registered_model"];
    assert_eq!((&made["name"], &made["description"]), (&json!("m"), &json!("d")));
    assert_eq!(pairs(&made["tags"]), json!({"a": "2", "z": ""}));
    assert_eq!(made["creation_timestamp"], made["last_updated_timestamp"]);
    assert_eq!((made.get("latest_versions"), made.get("aliases")), (None, None));
    fixture
        .refused(
            Method::POST,
            "registered-models/create",
            json!({"name": "m"}),
            400,
            "RESOURCE_ALREADY_EXISTS",
        )
        .await;

    version(&fixture, "m", &source).await;
    fixture.post("registered-models/alias", json!({"name": "m", "alias": "best", "version": "1"})).await;
    fixture
        .post("model-versions/set-tag", json!({"name": "m", "version": "1", "key": "k", "value": "v"}))
        .await;
    fixture.post("registered-models/create", json!({"name": "other"})).await;
    let rename = |to: &str| json!({"name": "m", "new_name": to});
    fixture
        .refused(Method::POST, "registered-models/rename", rename("other"), 400, "RESOURCE_ALREADY_EXISTS")
        .await;
    fixture.post("registered-models/rename", rename("n")).await;
    let renamed = model(&fixture, "n").await;
    assert_eq!(renamed["aliases"], json!([{"alias": "best", "version": "1"}]));
    assert_eq!(pairs(&renamed["tags"]), json!({"a": "2", "z": ""}));
    assert_eq!(pairs(&renamed["latest_versions"][0]["tags"]), json!({"k": "v"}));
    fixture
        .refused(Method::GET, "registered-models/get?name=m", json!({}), 404, "RESOURCE_DOES_NOT_EXIST")
        .await;

    let (status, updated) = fixture
        .call(Method::PATCH, "registered-models/update", json!({"name": "n", "description": "new"}))
        .await;
    assert_eq!((status.as_u16(), &updated["registered_model"]["description"]), (200, &json!("new")));
    assert_eq!(fixture.call(Method::DELETE, "registered-models/delete", json!({"name": "n"})).await.0, 200);
    fixture
        .refused(
            Method::DELETE,
            "registered-models/delete",
            json!({"name": "n"}),
            404,
            "RESOURCE_DOES_NOT_EXIST",
        )
        .await;
    fixture.post("registered-models/create", json!({"name": "n"})).await;
    assert_eq!(version(&fixture, "n", &source).await, "1", "numbers start anew with the name");
}

#[tokio::test]
async fn names_aliases_and_tags_are_checked() {
    let fixture = Fixture::new().await;
    let source = source(&fixture).await;
    for name in ["", "  ", "a/b", "a:b", "..", "."] {
        fixture
            .refused(
                Method::POST,
                "registered-models/create",
                json!({"name": name}),
                400,
                "INVALID_PARAMETER_VALUE",
            )
            .await;
    }
    fixture.post("registered-models/create", json!({"name": "m"})).await;
    version(&fixture, "m", &source).await;
    for alias in ["", "v1", "V12", "latest", "LATEST", "a b", "a/b"] {
        let body = json!({"name": "m", "alias": alias, "version": "1"});
        fixture.refused(Method::POST, "registered-models/alias", body, 400, "INVALID_PARAMETER_VALUE").await;
    }
    let alias = json!({"name": "m", "alias": "x", "version": "9"});
    fixture.refused(Method::POST, "registered-models/alias", alias, 404, "RESOURCE_DOES_NOT_EXIST").await;
    fixture
        .refused(
            Method::GET,
            "registered-models/alias?name=m&alias=x",
            json!({}),
            400,
            "INVALID_PARAMETER_VALUE",
        )
        .await;
    for (key, value) in [("a#", "x".to_owned()), ("../a", "x".to_owned()), ("a", "x".repeat(100_001))] {
        let body = json!({"name": "m", "key": key, "value": value});
        fixture
            .refused(Method::POST, "registered-models/set-tag", body, 400, "INVALID_PARAMETER_VALUE")
            .await;
    }
    let absent = json!({"name": "m", "key": "absent"});
    assert_eq!(fixture.call(Method::DELETE, "registered-models/delete-tag", absent).await.0, 200);
}

#[tokio::test]
async fn versions_count_up_and_numbers_do_not_come_back() {
    let fixture = Fixture::new().await;
    let source = source(&fixture).await;
    fixture.post("registered-models/create", json!({"name": "m"})).await;
    for number in ["1", "2", "3"] {
        assert_eq!(version(&fixture, "m", &source).await, number);
    }
    fixture.post("registered-models/alias", json!({"name": "m", "alias": "last", "version": "3"})).await;
    assert_eq!(
        fixture.call(Method::DELETE, "model-versions/delete", json!({"name": "m", "version": "3"})).await.0,
        200
    );
    assert_eq!(model(&fixture, "m").await.get("aliases"), None, "aliases go with their version");
    fixture
        .refused(
            Method::GET,
            "model-versions/get?name=m&version=3",
            json!({}),
            404,
            "RESOURCE_DOES_NOT_EXIST",
        )
        .await;
    fixture
        .refused(
            Method::GET,
            "model-versions/get?name=m&version=x",
            json!({}),
            400,
            "INVALID_PARAMETER_VALUE",
        )
        .await;
    assert_eq!(version(&fixture, "m", &source).await, "4");
    let got = fixture.get("model-versions/get?name=m&version=4").await;
    let got = &got["model_version"];
    assert_eq!(
        (&got["current_stage"], &got["status"], &got["run_id"]),
        (&json!("None"), &json!("READY"), &json!(source.0))
    );
    let (_, updated) = fixture
        .call(
            Method::PATCH,
            "model-versions/update",
            json!({"name": "m", "version": "4", "description": "d"}),
        )
        .await;
    assert_eq!(updated["model_version"]["description"], "d");
    let uri = fixture.get("model-versions/get-download-uri?name=m&version=4").await;
    assert_eq!(uri["artifact_uri"], json!(source.1));
}

#[tokio::test]
async fn stages_and_latest_versions() {
    let fixture = Fixture::new().await;
    let source = source(&fixture).await;
    fixture.post("registered-models/create", json!({"name": "m"})).await;
    for _ in 0..3 {
        version(&fixture, "m", &source).await;
    }
    let to = |version: &str, stage: &str, archive: bool| json!({"name": "m", "version": version, "stage": stage, "archive_existing_versions": archive});
    fixture.post("model-versions/transition-stage", to("1", "production", false)).await;
    fixture.post("model-versions/transition-stage", to("2", "Production", true)).await;
    let stages = |versions: &Value| {
        let versions = versions.as_array().unwrap().iter();
        versions
            .map(|v| (v["current_stage"].as_str().unwrap().to_owned(), v["version"].clone()))
            .collect::<Vec<_>>()
    };
    let latest = fixture.post("registered-models/get-latest-versions", json!({"name": "m"})).await;
    let want = [("Archived", "1"), ("Production", "2"), ("None", "3")];
    assert_eq!(
        stages(&latest["model_versions"]),
        want.map(|(stage, version)| (stage.to_owned(), json!(version)))
    );
    let one = fixture.get("registered-models/get-latest-versions?name=m&stages=production").await;
    assert_eq!(stages(&one["model_versions"]), [("Production".to_owned(), json!("2"))]);
    for (version, stage, archive) in [("1", "Nope", false), ("1", "Archived", true)] {
        fixture
            .refused(
                Method::POST,
                "model-versions/transition-stage",
                to(version, stage, archive),
                400,
                "INVALID_PARAMETER_VALUE",
            )
            .await;
    }
}

#[tokio::test]
async fn sources_must_belong_to_their_run() {
    let fixture = Fixture::new().await;
    let (run, uri) = source(&fixture).await;
    let other = fixture.run().await;
    fixture.post("registered-models/create", json!({"name": "m"})).await;
    let create = |source: &str, run: &str| json!({"name": "m", "source": source, "run_id": run});
    for (source, run) in [
        ("/etc/passwd", run.as_str()),
        ("file:///etc", ""),
        ("mlflow-artifacts:/../../x", run.as_str()),
        ("mlflow-artifacts:/0/..%2f..%2fx", run.as_str()),
        (uri.as_str(), other.as_str()),
        (uri.as_str(), ""),
        ("mlflow-artifacts://elsewhere/0/x", run.as_str()),
        ("http://elsewhere/api/2.0/mlflow-artifacts/artifacts/0/x", run.as_str()),
        ("hdfs://host/x", ""),
        ("runs:/nope/model", run.as_str()),
        ("models:/m-0", ""),
        ("models:/bad", ""),
        ("s3://bucket/../x", ""),
    ] {
        fixture
            .refused(
                Method::POST,
                "model-versions/create",
                create(source, run),
                400,
                "INVALID_PARAMETER_VALUE",
            )
            .await;
    }
    for (source, run) in
        [(uri.as_str(), run.as_str()), (&format!("runs:/{run}/model"), &run), ("s3://bucket/model", "")]
    {
        fixture.post("model-versions/create", create(source, run)).await;
    }
    let missing = json!({"name": "none", "source": uri, "run_id": run});
    fixture.refused(Method::POST, "model-versions/create", missing, 404, "RESOURCE_DOES_NOT_EXIST").await;
}

#[tokio::test]
async fn copies_and_logged_models_keep_their_origin() {
    let fixture = Fixture::new().await;
    let source = source(&fixture).await;
    for name in ["m", "copy", "logged"] {
        fixture.post("registered-models/create", json!({ "name": name })).await;
    }
    version(&fixture, "m", &source).await;
    let copy = fixture.post("model-versions/create", json!({"name": "copy", "source": "models:/m/1"})).await;
    assert_eq!(copy["model_version"]["source"], "models:/m/1");
    assert_eq!(copy["model_version"]["run_id"], json!(source.0));
    let uri = fixture.get("model-versions/get-download-uri?name=copy&version=1").await;
    assert_eq!(uri["artifact_uri"], json!(source.1));
    let wrong = json!({"name": "copy", "source": "models:/m/1", "run_id": "other"});
    fixture.refused(Method::POST, "model-versions/create", wrong, 400, "INVALID_PARAMETER_VALUE").await;

    let made = fixture
        .post("logged-models", json!({"experiment_id": "0", "name": "lm", "source_run_id": source.0}))
        .await;
    let info = &made["model"]["info"];
    let id = info["model_id"].as_str().unwrap();
    let body = json!({"name": "logged", "source": format!("models:/{id}"), "model_id": id});
    let registered = fixture.post("model-versions/create", body).await;
    assert_eq!(registered["model_version"]["run_id"], json!(source.0));
    let uri = fixture.get("model-versions/get-download-uri?name=logged&version=1").await;
    assert_eq!(uri["artifact_uri"], info["artifact_uri"]);
    let tags = pairs(&fixture.get(&format!("logged-models/{id}")).await["model"]["info"]["tags"]);
    assert_eq!(tags["mlflow.modelVersions"], "[{\"name\": \"logged\", \"version\": 1}]");

    let root = info["artifact_uri"].as_str().unwrap().strip_prefix("mlflow-artifacts:/").unwrap();
    let upload = Request::put(format!("/api/2.0/mlflow-artifacts/artifacts/{root}/MLmodel"));
    fixture.send(upload.header("host", "localhost").body(Body::from("flavors")).unwrap()).await;
    assert_eq!(
        fixture.get("/model-versions/get-artifact?name=logged&version=1&path=MLmodel").await,
        "flavors"
    );
}

#[tokio::test]
async fn searches() {
    let fixture = Fixture::new().await;
    let source = source(&fixture).await;
    for (name, team) in [("a-one", "x"), ("a-two", "y"), ("B-three", "x")] {
        let tags = json!([{"key": "team", "value": team}]);
        fixture.post("registered-models/create", json!({"name": name, "tags": tags})).await;
    }
    let prompt = json!({"name": "words", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]});
    fixture.post("registered-models/create", prompt).await;
    for _ in 0..3 {
        version(&fixture, "a-two", &source).await;
    }
    fixture
        .post("model-versions/set-tag", json!({"name": "a-two", "version": "2", "key": "k", "value": "v"}))
        .await;

    let models = async |query: &str| {
        let found = fixture.get(&format!("registered-models/search?{query}")).await;
        let names = found["registered_models"].as_array().cloned().unwrap_or_default();
        (
            names.iter().map(|m| m["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
            found["next_page_token"].as_str().map(str::to_owned),
        )
    };
    for (query, want) in [
        ("", vec!["B-three", "a-one", "a-two"]),
        ("filter=name%20LIKE%20'a%25'", vec!["a-one", "a-two"]),
        ("filter=name%20ILIKE%20'b%25'", vec!["B-three"]),
        ("filter=tags.team%20%3D%20'x'&order_by=name%20DESC", vec!["a-one", "B-three"]),
        ("filter=name%20IN%20('a-one','words')", vec!["a-one"]),
        ("filter=tags.`mlflow.prompt.is_prompt`%20%3D%20'true'", vec!["words"]),
        (
            "filter=tags.`mlflow.prompt.is_prompt`%20!%3D%20'true'%20AND%20tags.team%20%3D%20'y'",
            vec!["a-two"],
        ),
    ] {
        assert_eq!(models(query).await.0, want, "{query}");
    }
    let (first, token) = models("max_results=2").await;
    let (rest, end) = models(&format!("max_results=2&page_token={}", token.unwrap())).await;
    assert_eq!((first.len(), rest, end), (2, vec!["a-two".to_owned()], None));
    for wrong in [
        "filter=name%20%3E%20'a'",
        "filter=nope%20%3D%20'x'",
        "max_results=1001",
        "order_by=nope",
        "page_token=x",
    ] {
        let path = format!("registered-models/search?{wrong}");
        fixture.refused(Method::GET, &path, json!({}), 400, "INVALID_PARAMETER_VALUE").await;
    }

    let versions = async |filter: &str, order: &str| {
        let found = fixture.get(&format!("model-versions/search?filter={filter}&{order}")).await;
        let found = found["model_versions"].as_array().cloned().unwrap_or_default();
        found.iter().map(|v| v["version"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let by_number = "order_by=version_number%20ASC";
    assert_eq!(versions("name%20%3D%20'a-two'", "").await, "3 2 1");
    assert_eq!(versions("name%20%3D%20'a-two'%20AND%20version_number%20%3E%3D%202", by_number).await, "2 3");
    assert_eq!(versions("tags.k%20%3D%20'v'", "").await, "2");
    assert_eq!(versions(&format!("run_id%20%3D%20'{}'", source.0), by_number).await, "1 2 3");
    assert_eq!(versions("run_id%20IN%20('zz')", "").await, "");
}
