use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

use crate::fixture::Fixture;

const PROXY: &str = "/api/2.0/mlflow-artifacts/artifacts";

async fn put(fixture: &Fixture, path: &str, bytes: &'static str) -> (u16, Value) {
    let request =
        Request::put(format!("{PROXY}/{path}")).header("host", "localhost").body(Body::from(bytes)).unwrap();
    let (status, answer) = fixture.send(request).await;
    (status.as_u16(), answer)
}

async fn fetch(fixture: &Fixture, path: &str) -> (u16, Value) {
    let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
    let (status, answer) = fixture.send(request).await;
    (status.as_u16(), answer)
}

async fn root_of(fixture: &Fixture, run: &str) -> String {
    let run = fixture.get(&format!("runs/get?run_id={run}")).await;
    run["run"]["info"]["artifact_uri"]
        .as_str()
        .unwrap()
        .strip_prefix("mlflow-artifacts:/")
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn files_go_in_and_come_out() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    let root = root_of(&fixture, &run).await;
    for (path, bytes) in
        [("z.txt", "12345"), ("dir/in.txt", "x"), ("dir/sub/deep.txt", "x"), ("a%20b.json", "{}")]
    {
        assert_eq!(put(&fixture, &format!("{root}/{path}"), bytes).await, (200, json!("")), "{path}");
    }
    assert_eq!(fetch(&fixture, &format!("{PROXY}/{root}/z.txt")).await, (200, json!(12345)));
    assert_eq!(
        fetch(&fixture, &format!("/get-artifact?run_uuid={run}&path=dir/in.txt")).await,
        (200, json!("x"))
    );

    let listed = fixture.get(&format!("artifacts/list?run_id={run}")).await;
    let file = |path: &str, size: u64| json!({"path": path, "is_dir": false, "file_size": size});
    let folder = |path: &str| json!({"path": path, "is_dir": true});
    assert_eq!(listed["root_uri"], format!("mlflow-artifacts:/{root}"));
    assert_eq!(listed["files"], json!([file("a b.json", 2), folder("dir"), file("z.txt", 5)]));
    let below = fixture.get(&format!("artifacts/list?run_id={run}&path=dir")).await;
    assert_eq!(below["files"], json!([file("dir/in.txt", 1), folder("dir/sub")]));
    let proxied = fixture.get(&format!("{PROXY}?path={root}/dir")).await;
    assert_eq!(proxied, json!({"files": [file("in.txt", 1), folder("sub")]}));
    for nothing in ["z.txt", "nowhere/at/all"] {
        let listed = fixture.get(&format!("artifacts/list?run_id={run}&path={nothing}")).await;
        assert_eq!(listed.get("files"), None, "{nothing}");
    }

    let removed = fixture.call(Method::DELETE, &format!("{PROXY}/{root}/dir"), json!({})).await;
    assert_eq!((removed.0.as_u16(), removed.1), (200, json!({})));
    assert_eq!(fetch(&fixture, &format!("{PROXY}/{root}/dir/in.txt")).await.0, 404);
}

#[tokio::test]
async fn ranges_and_tags() {
    let fixture = Fixture::new().await;
    put(&fixture, "r.bin", "0123456789").await;
    let ask = |name: header::HeaderName, value: String| {
        Request::get(format!("{PROXY}/r.bin"))
            .header("host", "localhost")
            .header(name, value)
            .body(Body::empty())
            .unwrap()
    };
    let (status, part) = fixture.send(ask(header::RANGE, "bytes=2-4".to_owned())).await;
    assert_eq!((status.as_u16(), part), (206, json!(234)));
    let whole = tower::ServiceExt::oneshot(fixture.service.router(), ask(header::ACCEPT, "*/*".to_owned()))
        .await
        .unwrap();
    let tag = whole.headers()[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(whole.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(whole.headers()[header::CONTENT_DISPOSITION], "attachment; filename=r.bin");
    assert_eq!(fixture.send(ask(header::IF_NONE_MATCH, tag)).await.0, 304);
}

#[tokio::test]
async fn nothing_leaves_the_root() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    for path in
        ["%2e%2e/x", "a/%2e%2e/%2e%2e/x", "..%2fx", "%2Fetc%2Fpasswd", "%252e%252e/x", "a%23b", "a%00b"]
    {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let request = Request::builder()
                .method(method.clone())
                .uri(format!("{PROXY}/{path}"))
                .header("host", "localhost");
            let (status, answer) = fixture.send(request.body(Body::from("x")).unwrap()).await;
            assert_eq!(
                (status.as_u16(), &answer["message"]),
                (400, &json!("Invalid path")),
                "{method} {path}"
            );
        }
    }
    for path in ["../x", "a/../../x", "/etc", "file:///etc", "%252e%252e"] {
        for call in [
            format!("artifacts/list?run_id={run}&path={path}"),
            format!("/get-artifact?run_id={run}&path={path}"),
        ] {
            fixture.refused(Method::GET, &call, json!({}), 400, "INVALID_PARAMETER_VALUE").await;
        }
    }
}

#[tokio::test]
async fn a_location_of_the_clients_choice_is_not_served() {
    let fixture = Fixture::new().await;
    let made =
        fixture.post("experiments/create", json!({"name": "elsewhere", "artifact_location": "/etc"})).await;
    let run =
        fixture.post("runs/create", json!({"experiment_id": made["experiment_id"], "start_time": 1})).await;
    let run = run["run"]["info"]["run_id"].as_str().unwrap();
    let listing = format!("artifacts/list?run_id={run}");
    fixture.refused(Method::GET, &listing, json!({}), 403, "PERMISSION_DENIED").await;
    let upload = Request::post(format!("/ajax-api/2.0/mlflow/upload-artifact?run_id={run}&path=x"));
    let upload = upload.header("host", "localhost").body(Body::from("data")).unwrap();
    assert_eq!(fixture.send(upload).await.0, 403);
}

#[tokio::test]
async fn artifacts_that_mlflow_kept_beside_the_database_are_served() {
    let fixture = Fixture::new().await;
    if !fixture.is_file() {
        // There is no folder beside a database on a server.
        return;
    }
    let mlruns = fixture.folder().join("mlruns/7");
    let made = fixture.post("experiments/create", json!({"name": "old", "artifact_location": mlruns})).await;
    let run =
        fixture.post("runs/create", json!({"experiment_id": made["experiment_id"], "start_time": 1})).await;
    let info = &run["run"]["info"];
    let folder = std::path::PathBuf::from(info["artifact_uri"].as_str().unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("note.txt"), "kept").unwrap();
    let run = info["run_id"].as_str().unwrap();
    let listed = fixture.get(&format!("artifacts/list?run_id={run}")).await;
    assert_eq!(listed["files"], json!([{"path": "note.txt", "is_dir": false, "file_size": 4}]));
    assert_eq!(
        fetch(&fixture, &format!("/get-artifact?run_id={run}&path=note.txt")).await,
        (200, json!("kept"))
    );
}

#[tokio::test]
async fn refusals() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    put(&fixture, "d/file", "x").await;
    let detail = "Artifact path refers to a directory, not a file: 'd'";
    assert_eq!(fetch(&fixture, &format!("{PROXY}/d")).await, (400, json!({ "detail": detail })));
    assert_eq!(put(&fixture, "d/", "x").await.0, 400);
    assert_eq!(put(&fixture, "d", "x").await.0, 400);
    assert_eq!(put(&fixture, "d/file/below", "x").await.0, 400);
    assert_eq!(put(&fixture, "d/.artifact.uploading.1", "x").await.0, 400);
    let missing = fetch(&fixture, &format!("{PROXY}/none")).await;
    assert_eq!((missing.0, &missing.1["error_code"]), (404, &json!("RESOURCE_DOES_NOT_EXIST")));
    for (path, status, code) in [
        (format!("/get-artifact?run_id={run}"), 400, "INVALID_PARAMETER_VALUE"),
        (format!("/get-artifact?run_id={run}&path=none"), 404, "RESOURCE_DOES_NOT_EXIST"),
        (format!("/get-artifact?run_id={run}&path=x&presigned=true"), 501, "NOT_IMPLEMENTED"),
        ("/get-artifact?run_id=nope&path=x".to_owned(), 404, "RESOURCE_DOES_NOT_EXIST"),
        ("artifacts/list".to_owned(), 400, "INVALID_PARAMETER_VALUE"),
        ("/api/2.0/mlflow-artifacts/presigned/x".to_owned(), 501, "NOT_IMPLEMENTED"),
    ] {
        fixture.refused(Method::GET, &path, json!({}), status, code).await;
    }
    let multipart = "/api/2.0/mlflow-artifacts/mpu/create/x";
    fixture
        .refused(Method::POST, multipart, json!({"path": "x", "num_parts": 2}), 501, "NOT_IMPLEMENTED")
        .await;
    for call in ["artifacts/presigned-upload-url", "artifacts/presigned-download-url"] {
        let body = json!({"run_id": run, "path": "x"});
        fixture.refused(Method::POST, call, body, 400, "INVALID_PARAMETER_VALUE").await;
    }
}

#[tokio::test]
async fn browsers_upload_small_files() {
    let fixture = Fixture::new().await;
    let run = fixture.run().await;
    let upload = async |query: &str, bytes: Vec<u8>| {
        let request = Request::post(format!("/ajax-api/2.0/mlflow/upload-artifact?{query}"))
            .header("host", "localhost");
        fixture.send(request.body(Body::from(bytes)).unwrap()).await.0.as_u16()
    };
    assert_eq!(upload(&format!("run_id={run}&path=ui/x.txt"), b"abc".to_vec()).await, 200);
    assert_eq!(
        fetch(&fixture, &format!("/get-artifact?run_id={run}&path=ui/x.txt")).await,
        (200, json!("abc"))
    );
    for (query, bytes) in [
        (format!("run_id={run}"), vec![1]),
        ("path=x".to_owned(), vec![1]),
        (format!("run_id={run}&path=x"), vec![]),
        (format!("run_id={run}&path=x"), vec![0; (10 << 20) + 1]),
        (format!("run_id={run}&path=../x"), vec![1]),
    ] {
        assert_eq!(upload(&query, bytes).await, 400, "{query}");
    }
}
