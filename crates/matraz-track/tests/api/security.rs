//! What strangers send: paths, locations, queries and bodies that were made to do harm.

use std::path::Path;

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::ON_POSTGRES;
use crate::fixture::Fixture;

const PROXY: &str = "/api/2.0/mlflow-artifacts/artifacts";
const SECRET: &str = "TOP SECRET";

/// Ways to say `../secret.txt` and `<folder>/secret.txt`.
fn hostile_paths(folder: &Path) -> Vec<String> {
    let absolute = folder.join("secret.txt").display().to_string();
    let mut paths = Vec::new();
    for up in [
        "..", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%252e%252e", "%25252e%25252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae",
        "%uff0e%uff0e", "..;", "..%00", "%00..", "..%0a", "..%20", "%09..", "..%5c..", "....", "...", ". .", "．．", "%ef%bc%8e%ef%bc%8e",
    ] {
        paths.push(format!("{up}/secret.txt"));
        paths.push(format!("a/{up}/{up}/secret.txt"));
    }
    for slash in ["%2f", "%252f", "%5c", "\\"] {
        paths.extend(["..", "%2e%2e", "%252e%252e"].map(|up| format!("{up}{slash}secret.txt")));
    }
    for prefix in [
        "", "/", "//", "///", "file:", "file://", "file://localhost", "FILE:", "file%3a", "%2f", "%252f", "C:", "\\\\host\\", "./", "a/..//",
        "link/../", "https://localhost", "~", "#", "?", "%23", "%3f", "mlflow-artifacts:", "runs:",
    ] {
        paths.push(format!("{prefix}{absolute}"));
    }
    paths.extend(["link/secret.txt", "./link/secret.txt", "link%2fsecret.txt", "a%00/../../secret.txt", "secret.txt%00.png"].map(str::to_owned));
    paths
}

/// The text with what no address may hold in percent signs.
fn in_address(text: &str) -> String {
    let mut address = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'%' | b'-' | b'_' | b'~' | b':' | b';' => address.push(byte as char),
            _ => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address
}

async fn answer(fixture: &Fixture, method: &Method, address: &str, body: &str) -> (u16, String) {
    let request = Request::builder().method(method.clone()).uri(address).header("host", "localhost");
    let request = request.header("content-type", "application/json");
    // What is no address does not get past the door of any server.
    let Ok(request) = request.body(Body::from(body.to_owned())) else { return (400, String::new()) };
    let answer = fixture.service.router().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

/// Everything below a folder with its content, but the databases and what is below `mlartifacts`.
fn outside(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name != "mlartifacts" && !name.starts_with("mlflow.db") {
            found.push((name, std::fs::read(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn no_path_in_any_parameter_leaves_the_artifacts() {
    if ON_POSTGRES {
        // The database has no part in it.
        return;
    }
    let fixture = Fixture::new().await;
    let folder = fixture.folder();
    std::fs::write(folder.join("secret.txt"), SECRET).unwrap();
    let run = fixture.run().await;
    let model = fixture.post("logged-models", json!({"experiment_id": "0", "name": "m"})).await;
    let model = model["model"]["info"]["model_id"].as_str().unwrap().to_owned();
    fixture.post("registered-models/create", json!({"name": "m"})).await;
    let source = format!("mlflow-artifacts:/0/{run}/artifacts/m");
    fixture.post("model-versions/create", json!({"name": "m", "source": source, "run_id": run})).await;
    // Links that lead out of the root, in the root and in the folders of a run and a model.
    for place in ["".to_owned(), format!("0/{run}/artifacts"), format!("0/models/{model}/artifacts"), format!("0/{run}/artifacts/m")] {
        let place = folder.join("mlartifacts").join(place);
        std::fs::create_dir_all(&place).unwrap();
        std::os::unix::fs::symlink(folder, place.join("link")).unwrap();
    }
    let before = outside(folder);
    let paths = hostile_paths(folder);
    assert!(paths.len() > 60);
    for path in paths {
        let address = in_address(&path);
        let in_query = address.replace(';', "%3B");
        let api = "/api/2.0/mlflow";
        let calls = [
            (Method::GET, format!("{PROXY}/{address}"), String::new()),
            (Method::PUT, format!("{PROXY}/{address}"), "harm".to_owned()),
            (Method::DELETE, format!("{PROXY}/{address}"), String::new()),
            (Method::PUT, format!("{PROXY}/0/{run}/artifacts/{address}"), "harm".to_owned()),
            (Method::GET, format!("{PROXY}?path={in_query}"), String::new()),
            (Method::POST, format!("/api/2.0/mlflow-artifacts/mpu/create/{address}"), json!({"path": path, "num_parts": 1}).to_string()),
            (Method::GET, format!("{api}/artifacts/list?run_id={run}&path={in_query}"), String::new()),
            (Method::GET, format!("/get-artifact?run_id={run}&path={in_query}"), String::new()),
            (Method::POST, format!("/ajax-api/2.0/mlflow/upload-artifact?run_id={run}&path={in_query}"), "harm".to_owned()),
            (Method::GET, format!("/model-versions/get-artifact?name=m&version=1&path={in_query}"), String::new()),
            (Method::GET, format!("{api}/logged-models/{model}/artifacts/files?artifact_file_path={in_query}"), String::new()),
            (Method::GET, format!("{api}/logged-models/{model}/artifacts/directories?artifact_directory_path={in_query}"), String::new()),
            (Method::GET, format!("{api}/get-trace-artifact?request_id={in_query}"), String::new()),
            (Method::GET, format!("/api/3.0/mlflow/get-trace-artifact?trace_id={in_query}&path={in_query}"), String::new()),
            (Method::POST, format!("{api}/artifacts/presigned-upload-url"), json!({"run_id": run, "path": path}).to_string()),
        ];
        for (method, call, body) in calls {
            let (status, text) = answer(&fixture, &method, &call, &body).await;
            assert!(status < 500 || status == 501, "{method} {call}: {status} {text}");
            assert!(!text.contains(SECRET), "{method} {call} tells the secret");
            let lists = call.contains("list") || call.contains("?path=") || call.contains("directories");
            assert!(!(lists && text.contains("\"secret.txt\"")), "{method} {call} lists {text}");
        }
        assert_eq!(outside(folder), before, "{path}");
    }
    // Links inside the root are not followed out of it when folders are removed.
    answer(&fixture, &Method::DELETE, &format!("{PROXY}/0/{run}"), "").await;
    assert_eq!(outside(folder), before);
}

#[tokio::test]
async fn no_location_of_a_clients_choice_opens_a_file_of_the_server() {
    if ON_POSTGRES {
        // The database has no part in it.
        return;
    }
    let fixture = Fixture::new().await;
    let folder = fixture.folder();
    std::fs::write(folder.join("secret.txt"), SECRET).unwrap();
    let there = folder.display().to_string();
    fixture.post("registered-models/create", json!({"name": "m"})).await;
    let run = fixture.run().await;
    let places = [
        there.clone(),
        format!("/{there}"),
        format!("//{there}"),
        format!("file:{there}"),
        format!("file://{there}"),
        format!("file:////{there}"),
        format!("file://localhost{there}"),
        format!("FILE://{there}"),
        format!("file:%2f{there}"),
        format!("{there}#x"),
        format!("{there}?x=1"),
        format!("{there}/mlartifacts/.."),
        format!("{there}/mlartifacts/%2e%2e"),
        format!("mlflow-artifacts:/../{there}"),
        "mlflow-artifacts:/..".to_owned(),
        "mlflow-artifacts:/%2e%2e".to_owned(),
        "mlflow-artifacts:/0/../..".to_owned(),
        "mlflow-artifacts://host/../".to_owned(),
        format!("mlflow-artifacts:/0/{run}/artifacts/../../../.."),
        format!("mlflow-artifacts:/0/{run}/artifacts#/../../../.."),
        format!("mlflow-artifacts:/0/{run}/artifacts?x=/../../.."),
        "http://localhost/api/2.0/mlflow-artifacts/artifacts/../..".to_owned(),
        "models:/m/../..".to_owned(),
        "runs:/../..".to_owned(),
        format!("s3://bucket/../{there}"),
        format!("dbfs:{there}"),
    ];
    for (tried, place) in places.into_iter().enumerate() {
        // As the location of an experiment, whose runs lie below it.
        let body = json!({"name": format!("e{tried}"), "artifact_location": place});
        let (status, made) = fixture.call(Method::POST, "experiments/create", body).await;
        assert!(status.as_u16() < 500, "{place}: {status} {made}");
        if status == 200 {
            let made = fixture.call(Method::POST, "runs/create", json!({"experiment_id": made["experiment_id"]})).await.1;
            let run = made["run"]["info"]["run_id"].as_str().unwrap_or_default();
            for path in ["secret.txt", "../secret.txt", "../../secret.txt"] {
                let path = path.replace('/', "%2F");
                for call in [format!("/get-artifact?run_id={run}&path={path}"), format!("/api/2.0/mlflow/artifacts/list?run_id={run}&path=")] {
                    let (status, text) = answer(&fixture, &Method::GET, &call, "").await;
                    assert!(status < 500 || status == 501 || status == 503, "{place} {call}: {status} {text}");
                    assert!(!text.contains(SECRET) && !text.contains("\"secret.txt\""), "{place} {call}: {text}");
                }
            }
            let upload = format!("/ajax-api/2.0/mlflow/upload-artifact?run_id={run}&path=harm");
            answer(&fixture, &Method::POST, &upload, "harm").await;
        }
        // As the source of a model version.
        let body = json!({"name": "m", "source": place});
        let (status, made) = fixture.call(Method::POST, "model-versions/create", body).await;
        assert!(status.as_u16() < 500, "{place}: {status} {made}");
        if let Some(version) = made["model_version"]["version"].as_str() {
            for path in ["secret.txt", "..%2Fsecret.txt"] {
                let call = format!("/model-versions/get-artifact?name=m&version={version}&path={path}");
                let (status, text) = answer(&fixture, &Method::GET, &call, "").await;
                assert!(status < 500 || status == 501 || status == 503, "{place}: {status} {text}");
                assert!(!text.contains(SECRET), "{place}");
            }
        }
        assert_eq!(outside(folder), [("secret.txt".to_owned(), SECRET.as_bytes().to_vec())], "{place}");
    }
}

#[tokio::test]
async fn sql_in_any_string_is_only_a_string() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    for sql in ["'; DROP TABLE runs; --", "\" OR \"1\"=\"1", "%' OR 1=1 /*", "$1", "\\'; DELETE FROM experiments; --", "' UNION SELECT * FROM users --"] {
        let experiment = fixture.experiment(sql).await;
        assert_eq!(fixture.get(&format!("experiments/get?experiment_id={experiment}")).await["experiment"]["name"], sql);
        let tag = json!({"experiment_id": experiment, "key": "k", "value": sql});
        fixture.post("experiments/set-experiment-tag", tag).await;
        fixture.post("runs/set-tag", json!({"run_id": run, "key": "t", "value": sql})).await;
        assert_eq!(crate::fixture::pairs(&fixture.data(&run).await["tags"])["t"], sql);
        let quoted = sql.replace('\'', "");
        for (path, body) in [
            ("runs/search", json!({"experiment_ids": ["0"], "filter": format!("tags.t = '{quoted}'")})),
            ("runs/search", json!({"experiment_ids": ["0"], "filter": sql})),
            ("runs/search", json!({"experiment_ids": ["0"], "order_by": [sql]})),
            ("runs/search", json!({"experiment_ids": [sql]})),
            ("runs/search", json!({"experiment_ids": ["0"], "page_token": sql})),
            ("experiments/search", json!({"max_results": 5, "filter": sql, "order_by": [sql]})),
            ("logged-models/search", json!({"experiment_ids": ["0"], "filter": sql})),
            ("/api/3.0/mlflow/traces/search", json!({"locations": [], "filter": sql, "order_by": [sql]})),
            ("runs/log-metric", json!({"run_id": sql, "key": sql, "value": 1, "timestamp": 1})),
            ("runs/log-batch", json!({"run_id": run, "params": [{"key": sql, "value": sql}]})),
            ("registered-models/create", json!({"name": sql})),
            ("registered-models/alias", json!({"name": sql, "alias": sql, "version": "1"})),
            ("logged-models", json!({"experiment_id": experiment, "name": sql, "tags": [{"key": sql, "value": sql}]})),
        ] {
            let (status, told) = fixture.call(Method::POST, path, body.clone()).await;
            assert!(status.as_u16() < 500, "{path} {body}: {status} {told}");
        }
        let query = in_address(sql).replace('&', "%26").replace(';', "%3B");
        for call in ["registered-models/search?filter=", "model-versions/search?filter=", "runs/get?run_id=", "registered-models/search?page_token=",
            "metrics/get-history?metric_key=m&run_id=", "experiments/get-by-name?experiment_name="]
        {
            let (status, told) = fixture.call(Method::GET, &format!("{call}{query}"), json!({})).await;
            assert!(status.as_u16() < 500, "{call}{query}: {status} {told}");
        }
    }
    assert_eq!(fixture.get(&format!("runs/get?run_id={run}")).await["run"]["info"]["run_id"], run);
}

#[tokio::test]
async fn stored_pages_run_nothing() {
    if ON_POSTGRES {
        // The database has no part in it.
        return;
    }
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    for (name, body) in [
        ("page.html", "<script>alert(1)</script>"),
        ("page.xhtml", "<html xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></html>"),
        ("image.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("book.ipynb", r#"{"cells": []}"#),
        ("data.xml", "<?xml-stylesheet href='x.xsl'?><a/>"),
        ("noname", "<script>alert(1)</script>"),
        ("\"; filename=x.html", "<script>alert(1)</script>"),
    ] {
        let path = in_address(&format!("0/{run}/artifacts/")) + &in_address(name).replace('/', "%2F");
        let (status, _) = answer(&fixture, &Method::PUT, &format!("{PROXY}/{path}"), body).await;
        assert_eq!(status, 200, "{name}");
        let name = in_address(name).replace(';', "%3B");
        for address in [format!("{PROXY}/{path}"), format!("/get-artifact?run_id={run}&path={name}")] {
            let request = Request::get(&address).header("host", "localhost").body(Body::empty()).unwrap();
            let answer = fixture.service.router().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 200, "{address}");
            let header = |name: header::HeaderName| answer.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{address}");
            assert!(header(header::CONTENT_SECURITY_POLICY).starts_with("sandbox; default-src 'none'"), "{address}");
            assert!(header(header::CONTENT_DISPOSITION).starts_with("attachment; filename"), "{address}");
        }
    }
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let graphql = |query: String| json!({"query": query}).to_string();
    let aliases: String = (0..50_000).map(|n| format!("a{n}: test {{ output }} ")).collect();
    let fragments: String = (0..30).map(|n| format!("fragment f{n} on Run {{ ...f{} ...f{} }} ", n + 1, n + 1)).collect();
    let parens = deep("(", ")");
    for (path, body) in [
        ("/graphql", graphql(deep("{a", "}"))),
        ("/graphql", graphql(format!("{{a(x:{})}}", deep("[", "]")))),
        ("/graphql", graphql(format!("query($v:{}){{a}}", deep("[", "]")))),
        ("/graphql", graphql(format!("{{ {aliases} }}"))),
        ("/graphql", graphql(format!("{fragments} fragment f30 on Run {{ info }} {{ ...f0 }}"))),
        ("/api/2.0/mlflow/runs/create", deep("[", "]")),
        ("/api/2.0/mlflow/runs/create", deep("{\"a\":", "}")),
        ("/api/2.0/mlflow/runs/log-model", json!({"run_id": run, "model_json": deep("[", "]")}).to_string()),
        ("/api/2.0/mlflow/runs/log-inputs", json!({"run_id": run, "datasets": [{"dataset": {"name": "d", "digest": "d",
            "source_type": "s", "source": deep("{\"a\":", "}"), "schema": deep("[", "]")}}]}).to_string()),
        ("/api/2.0/mlflow/runs/search", json!({"experiment_ids": ["0"], "filter": format!("{parens} metrics.a > 1")}).to_string()),
        ("/api/2.0/mlflow/runs/search", json!({"experiment_ids": ["0"], "filter": format!("attributes.run_id IN {parens}")}).to_string()),
        ("/api/2.0/mlflow/runs/search", json!({"experiment_ids": ["0"], "filter": vec!["metrics.a > 1"; 20_000].join(" AND ")}).to_string()),
        ("/api/2.0/mlflow/runs/search", json!({"experiment_ids": ["0"], "order_by": vec!["metrics.a"; 20_000]}).to_string()),
        ("/api/2.0/mlflow/runs/search", json!({"experiment_ids": vec!["0"; 100_000]}).to_string()),
        ("/v1/traces", deep("\n\u{1}", "")),
    ] {
        let (status, told) = answer(&fixture, &Method::POST, path, &body).await;
        let told: String = told.chars().take(200).collect();
        assert!(status < 500, "{path} {}…: {status} {told}", body.chars().take(60).collect::<String>());
    }
    assert_eq!(fixture.get("/health").await, Value::from("OK"));
}

#[tokio::test]
async fn no_route_falls_over_a_huge_or_a_deep_body() {
    let fixture = Fixture::new().await;
    let deep = format!("{{\"experiment_ids\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_objects = format!("{}1{}", "{\"trace\":".repeat(100_000), "}".repeat(100_000));
    let as_text = serde_json::to_string(&deep).unwrap();
    // One piece of memory for all requests.
    let huge = axum::body::Bytes::from(vec![b' '; (64 << 20) + 1]);
    let mut asked = 0;
    for (method, pattern) in crate::users::routes(&fixture.service.router()) {
        if method == Method::GET || pattern.starts_with("/ajax-api/") {
            continue;
        }
        let mut path = pattern.replace("{*path}", "0/x");
        while let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
            path.replace_range(start..=end, "x");
        }
        // Files may be as large as they like.
        let is_file = pattern.ends_with("/mlflow-artifacts/artifacts/{*path}");
        for (what, body) in [("deep", deep.clone()), ("deep", deep_objects.clone()), ("deep", as_text.clone())]
            .map(|(what, text)| (what, axum::body::Bytes::from(text)))
            .into_iter()
            .chain([("huge", huge.clone())].into_iter().filter(|_| !is_file))
        {
            let request = Request::builder()
                .method(method.clone())
                .uri(&path)
                .header("host", "localhost")
                .header("content-type", "application/json")
                .body(Body::from(body))
                .unwrap();
            let (status, answer) = fixture.send(request).await;
            let refused = status.is_client_error() || status == 501 || (pattern.contains("/workspaces") && status == 503);
            // GraphQL answers what is wrong with status 200, and some deletions do not read a body.
            let unread = method == Method::DELETE && pattern.contains('{');
            let said = status == 200 && (unread || is_file || what == "deep" || answer.get("errors").is_some());
            assert!(refused || said, "{method} {path} {what}: {status} {answer}");
        }
        asked += 1;
    }
    assert!(asked > 70, "{asked}");
}
