//! A spool between a training and a server that comes and goes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use matraz_base::progress::Silent;
use matraz_track::client::{Client, RemoteOptions};
use matraz_track::spool::{Spool, SpoolError, SpoolOptions};
use serde_json::{Value, json};

use crate::fixture::{Fixture, pairs};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It is answered 503 and nothing else.
    Before,
    /// It is done, and its answer is lost.
    After,
}

/// A server on a socket that fails as it is told.
struct Flaky {
    fixture: Fixture,
    url: String,
    control: Arc<Control>,
}

#[derive(Default)]
struct Control {
    away: AtomicBool,
    /// Runs and models get ids of the server's own, as with MLflow.
    own_ids: AtomicBool,
    count: AtomicUsize,
    fault: Mutex<Option<(usize, Fault)>>,
}

impl Flaky {
    async fn start() -> Self {
        let fixture = Fixture::new().await;
        let control = Arc::new(Control::default());
        let router: Router = fixture.service.router().layer(from_fn_with_state(Arc::clone(&control), meddle));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { fixture, url, control }
    }

    fn away(&self, away: bool) {
        self.control.away.store(away, Ordering::SeqCst);
    }

    /// The request with this number, from now on, meets with a fault.
    fn fail_at(&self, number: usize, fault: Fault) {
        self.control.count.store(0, Ordering::SeqCst);
        *self.control.fault.lock().unwrap() = Some((number, fault));
    }

    /// Whether the fault has happened; none is to come.
    fn failed(&self) -> bool {
        self.control.fault.lock().unwrap().take().is_none()
    }

    async fn spool(&self, folder: &std::path::Path) -> Spool {
        let remote = RemoteOptions::default();
        let options = SpoolOptions { url: self.url.clone(), remote, limit: 1 << 30 };
        Spool::open(&folder.join("spool"), options).await.unwrap()
    }

    /// The runs of the experiment with this name, with their data.
    async fn runs(&self, experiment: &str) -> Vec<Value> {
        let path = format!("experiments/get-by-name?experiment_name={experiment}");
        let found = self.fixture.get(&path).await;
        let body = json!({"experiment_ids": [found["experiment"]["experiment_id"]], "run_view_type": "ALL"});
        let found = self.fixture.post("runs/search", body).await;
        found["runs"].as_array().cloned().unwrap_or_default()
    }
}

async fn meddle(State(control): State<Arc<Control>>, request: Request, next: Next) -> Response {
    let number = control.count.fetch_add(1, Ordering::SeqCst);
    let fault = {
        let mut fault = control.fault.lock().unwrap();
        let now = fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        if now.is_some() {
            *fault = None;
        }
        now
    };
    if control.away.load(Ordering::SeqCst) || fault == Some(Fault::Before) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let request = if control.own_ids.load(Ordering::SeqCst) { hide_ids(request).await } else { request };
    let answer = next.run(request).await;
    if fault == Some(Fault::After) { StatusCode::BAD_GATEWAY.into_response() } else { answer }
}

/// Writes the ids in the spool's tags in capitals, which no server takes for an id.
async fn hide_ids(request: Request) -> Request {
    if request.uri().path().contains("model-versions") {
        return request;
    }
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let Ok(mut text) = String::from_utf8(bytes.to_vec()) else { return Request::from_parts(parts, Body::from(bytes)) };
    for before in ["\"key\":\"matraz.spool\",\"value\":\"", "tags.`matraz.spool` = '"] {
        if let Some(start) = text.find(before).map(|at| at + before.len()) {
            let id = text[start..start + 32].to_uppercase();
            text.replace_range(start..start + 32, &id);
        }
    }
    let mut request = Request::from_parts(parts, Body::from(text));
    request.headers_mut().remove("content-length");
    request
}

/// What a stock client does in a short training. The id of its run comes back.
async fn train(client: &Client, experiment: &str) -> String {
    let named = client.get("experiments/get-by-name", &[("experiment_name", experiment)]).await;
    let experiment = match named {
        Ok(found) => found["experiment"]["experiment_id"].clone(),
        Err(error) => {
            assert!(error.is_missing(), "{error}");
            client.post("experiments/create", &json!({"name": experiment})).await.unwrap()["experiment_id"].clone()
        }
    };
    let post = async |path: &str, body: Value| client.post(path, &body).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    let tags = json!([{"key": "t", "value": "1"}]);
    let made = post("runs/create", json!({"experiment_id": experiment, "run_name": "training", "start_time": 1, "tags": tags})).await;
    let run = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let place = made["run"]["info"]["artifact_uri"].as_str().unwrap().to_owned();
    let child_tags = json!([{"key": "mlflow.parentRunId", "value": run}]);
    post("runs/create", json!({"experiment_id": experiment, "run_name": "child", "tags": child_tags})).await;
    post("runs/log-parameter", json!({"run_id": run, "key": "lr", "value": "0.1"})).await;
    for step in 0..5 {
        let metric = json!({"run_id": run, "key": "loss", "value": 1.0 / f64::from(step + 1), "timestamp": step, "step": step});
        post("runs/log-metric", metric).await;
    }
    let batch = json!({"run_id": run, "params": [{"key": "n", "value": "3"}],
        "metrics": [{"key": "acc", "value": "NaN", "timestamp": 9, "step": 1}]});
    post("runs/log-batch", batch).await;
    let dataset = json!({"name": "d", "digest": "x", "source_type": "local", "source": "{}"});
    post("runs/log-inputs", json!({"run_id": run, "datasets": [{"dataset": dataset, "tags": []}]})).await;
    client.upload_bytes(&format!("{place}/notes.txt"), "old").await.unwrap();
    client.upload_bytes(&format!("{place}/notes.txt"), "new").await.unwrap();
    let model = json!({"experiment_id": experiment, "name": "net", "source_run_id": run});
    let model = post("logged-models", model).await["model"]["info"].clone();
    let id = model["model_id"].as_str().unwrap();
    let place = model["artifact_uri"].as_str().unwrap();
    client.upload_bytes(&format!("{place}/MLmodel"), format!("run_id: {run}\nmodel_id: {id}\n")).await.unwrap();
    let ready = json!({"model_id": id, "status": "LOGGED_MODEL_READY"});
    client.patch(&format!("logged-models/{id}"), &ready).await.unwrap();
    post("runs/outputs", json!({"run_id": run, "models": [{"model_id": id, "step": 0}]})).await;
    // A model of this name may be there.
    let _ = client.post("registered-models/create", &json!({"name": "net"})).await;
    let version = json!({"name": "net", "source": format!("models:/{id}"), "model_id": id, "run_id": run});
    let version = post("model-versions/create", version).await["model_version"]["version"].clone();
    let asked = [("name", "net"), ("version", version.as_str().unwrap())];
    assert_eq!(client.get("model-versions/get", &asked).await.unwrap()["model_version"]["status"], "READY");
    let registered = |more: Value| {
        let mut body = json!({"name": "net", "version": version});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let noted = json!([{"name": "net", "version": version.as_str().unwrap().parse::<i64>().unwrap()}]).to_string();
    let noted = json!({"tags": [{"key": "mlflow.modelVersions", "value": noted}]});
    client.patch(&format!("logged-models/{id}/tags"), &noted).await.unwrap();
    post("model-versions/set-tag", registered(json!({"key": "of", "value": experiment}))).await;
    client.patch("model-versions/update", &registered(json!({"description": "the best"}))).await.unwrap();
    post("model-versions/transition-stage", registered(json!({"stage": "Staging", "archive_existing_versions": true}))).await;
    post("registered-models/alias", registered(json!({"alias": "champion"}))).await;
    let by_alias = client.get("registered-models/alias", &[("name", "net"), ("alias", "champion")]).await.unwrap();
    assert_eq!(by_alias["model_version"]["description"], "the best");
    post("runs/update", json!({"run_id": run, "status": "FINISHED", "end_time": 99})).await;
    // What was logged can be read back.
    let read = client.get("runs/get", &[("run_id", &run)]).await.unwrap();
    assert_eq!((&read["run"]["info"]["status"], pairs(&read["run"]["data"]["params"])), (&json!("FINISHED"), json!({"lr": "0.1", "n": "3"})));
    run
}

/// The training is on the server once, and whole.
async fn check(server: &Flaky, experiment: &str, context: &str) {
    let runs = server.runs(experiment).await;
    assert_eq!(runs.len(), 2, "{context}: {runs:#?}");
    let by_name = |name: &str| runs.iter().find(|run| run["info"]["run_name"] == name).unwrap();
    let (run, child) = (by_name("training"), by_name("child"));
    let id = run["info"]["run_id"].as_str().unwrap();
    assert_eq!(pairs(&child["data"]["tags"])["mlflow.parentRunId"], id, "{context}");
    assert_eq!(run["info"]["status"], "FINISHED", "{context}");
    assert_eq!(pairs(&run["data"]["params"]), json!({"lr": "0.1", "n": "3"}), "{context}");
    assert_eq!(pairs(&run["data"]["tags"])["t"], "1");
    assert_eq!(run["inputs"]["dataset_inputs"].as_array().map(Vec::len), Some(1), "{context}");
    let history = server.fixture.get(&format!("metrics/get-history?run_id={id}&metric_key=loss")).await;
    let steps: Vec<i64> = history["metrics"].as_array().unwrap().iter().map(|point| point["step"].as_i64().unwrap()).collect();
    assert_eq!(steps, [0, 1, 2, 3, 4], "{context}");
    let client = Client::local(server.fixture.service.router());
    let place = run["info"]["artifact_uri"].as_str().unwrap();
    assert_eq!(client.download_bytes(&format!("{place}/notes.txt")).await.unwrap(), "new", "{context}");
    let body = json!({"experiment_ids": [run["info"]["experiment_id"]]});
    let models = server.fixture.post("logged-models/search", body).await["models"].as_array().unwrap().clone();
    assert_eq!(models.len(), 1, "{context}: {models:#?}");
    let info = &models[0]["info"];
    assert_eq!((&info["status"], &info["source_run_id"]), (&json!("LOGGED_MODEL_READY"), &json!(id)), "{context}");
    let file = client.download_bytes(&format!("{}/MLmodel", info["artifact_uri"].as_str().unwrap())).await.unwrap();
    let expected = format!("run_id: {id}\nmodel_id: {}\n", info["model_id"].as_str().unwrap());
    assert_eq!(file, expected, "{context}");
    assert_eq!(run["outputs"]["model_outputs"][0]["model_id"], info["model_id"], "{context}");
    let found = server.fixture.get("registered-models/alias?name=net&alias=champion").await["model_version"].clone();
    assert_eq!((&found["run_id"], &found["description"]), (&json!(id), &json!("the best")), "{context}");
    assert_eq!(found["source"], format!("models:/{}", info["model_id"].as_str().unwrap()), "{context}");
    assert_eq!((&found["current_stage"], pairs(&found["tags"])["of"].clone()), (&json!("Staging"), info["experiment_id"].clone()));
    // The number was translated wherever the client put it.
    let number = found["version"].as_str().unwrap();
    assert_eq!(pairs(&info["tags"])["mlflow.modelVersions"], format!("[{{\"name\":\"net\",\"version\":{number}}}]"), "{context}");
    let versions = server.fixture.get(&format!("model-versions/search?filter=run_id='{id}'")).await;
    assert_eq!(versions["model_versions"].as_array().map(Vec::len), Some(1), "{context}: {versions:#?}");
}

#[tokio::test]
async fn calls_pass_through_while_the_server_is_there() {
    let server = Flaky::start().await;
    let folder = tempfile::tempdir().unwrap();
    let spool = server.spool(folder.path()).await;
    let run = train(&Client::local(spool.router()), "there").await;
    assert_eq!(spool.state().waiting, 0);
    check(&server, "there", "passed through").await;
    assert!(server.runs("there").await.iter().any(|found| found["info"]["run_id"] == run));
    let refused = Client::local(spool.router()).post("runs/log-parameter", &json!({"run_id": run, "key": "lr", "value": "2"})).await;
    assert_eq!(refused.unwrap_err().code(), Some("INVALID_PARAMETER_VALUE"));
    assert_eq!(spool.close().await.unwrap().refused, 0);
    assert!(!folder.path().join("spool").exists());
}

#[tokio::test]
async fn a_training_is_delivered_once_wherever_the_delivery_is_broken_off() {
    let server = Flaky::start().await;
    for (own_ids, fault) in [(false, Fault::Before), (false, Fault::After), (true, Fault::After)] {
        let name = format!("broken-{own_ids}-{fault:?}");
        server.control.own_ids.store(own_ids, Ordering::SeqCst);
        let folder = tempfile::tempdir().unwrap();
        server.away(true);
        let mut spool = server.spool(folder.path()).await;
        train(&Client::local(spool.router()), &name).await;
        assert!(spool.state().waiting > 10);
        server.away(false);
        // The first, second or third request of every attempt meets with the fault.
        for attempt in 0.. {
            server.fail_at(attempt % 3, fault);
            let ended = spool.deliver(&Silent).await;
            assert_eq!(ended.is_err(), server.failed(), "{name}");
            if let Ok(delivery) = ended {
                assert_eq!((delivery.refused.len(), spool.state().waiting), (0, 0), "{name}: {delivery:?}");
                assert!(attempt > 10, "{attempt}");
                break;
            }
            if attempt % 4 != 0 {
                // As if the process had been killed there: nothing is closed.
                drop(spool);
                spool = server.spool(folder.path()).await;
            }
        }
        assert_eq!(spool.state().refused, 0, "{:?}", spool.refused());
        check(&server, &name, &name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_comes_and_goes_gets_every_call_once_and_in_order() {
    let server = Arc::new(Flaky::start().await);
    let folder = tempfile::tempdir().unwrap();
    let spool = server.spool(folder.path()).await;
    let keeper = tokio::spawn({
        let spool = spool.clone();
        async move { spool.keep_delivering().await }
    });
    let client = Client::local(spool.router());
    let tasks: Vec<_> = (0..6)
        .map(|task| {
            let (client, server) = (client.clone(), Arc::clone(&server));
            tokio::spawn(async move {
                let made = client.post("runs/create", &json!({"experiment_id": "0", "run_name": format!("r{task}")})).await;
                let run = made.unwrap()["run"]["info"]["run_id"].as_str().unwrap().to_owned();
                for step in 0..60 {
                    if task == 0 && step % 10 == 5 {
                        server.away(step % 20 == 5);
                    }
                    let metric = json!({"run_id": run, "key": "m", "value": step, "timestamp": step, "step": step});
                    client.post("runs/log-metric", &metric).await.unwrap();
                    client.post("runs/set-tag", &json!({"run_id": run, "key": "last", "value": step.to_string()})).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    server.away(false);
    keeper.abort();
    let _ = keeper.await;
    spool.deliver(&Silent).await.unwrap();
    let runs = server.runs("Default").await;
    assert_eq!(runs.len(), 6);
    for run in runs {
        let id = run["info"]["run_id"].as_str().unwrap();
        let history = server.fixture.get(&format!("metrics/get-history?run_id={id}&metric_key=m")).await;
        assert_eq!(history["metrics"].as_array().unwrap().len(), 60);
        assert_eq!(pairs(&run["data"]["tags"])["last"], "59");
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_kept_and_holds_nothing_up() {
    let server = Flaky::start().await;
    let folder = tempfile::tempdir().unwrap();
    let run = server.fixture.run().await;
    server.fixture.post("runs/log-parameter", json!({"run_id": run, "key": "lr", "value": "1"})).await;
    server.away(true);
    let spool = server.spool(folder.path()).await;
    let client = Client::local(spool.router());
    // The spool has never heard of the run.
    client.post("runs/log-parameter", &json!({"run_id": run, "key": "lr", "value": "2"})).await.unwrap();
    client.post("runs/set-tag", &json!({"run_id": run, "key": "k", "value": "v"})).await.unwrap();
    // What no training does cannot wait.
    let error = client.post("users/create", &json!({"username": "u", "password": "p"})).await.unwrap_err();
    assert_eq!(error.code(), Some("TEMPORARILY_UNAVAILABLE"));
    server.away(false);
    let delivery = spool.deliver(&Silent).await.unwrap();
    assert_eq!((delivery.delivered, delivery.refused.len()), (1, 1));
    assert!(delivery.refused[0].message.contains("INVALID_PARAMETER_VALUE"), "{delivery:?}");
    assert_eq!(pairs(&server.fixture.data(&run).await["tags"])["k"], "v");
    drop(client);
    assert_eq!(spool.close().await.unwrap().refused, 1);
    // The parameter goes, and what was refused is taken.
    server.fixture.post("runs/delete", json!({"run_id": run})).await;
    let spool = server.spool(folder.path()).await;
    assert_eq!(spool.refused().unwrap().len(), 1);
    spool.try_refused_again().await.unwrap();
    let delivery = spool.deliver(&Silent).await.unwrap();
    assert_eq!((delivery.delivered, delivery.refused.len()), (0, 1), "a deleted run takes no parameter");
}

#[tokio::test]
async fn a_full_spool_says_so_and_loses_nothing_that_it_took() {
    let server = Flaky::start().await;
    let folder = tempfile::tempdir().unwrap();
    server.away(true);
    let options = SpoolOptions { url: server.url.clone(), remote: RemoteOptions::default(), limit: 20_000 };
    let spool = Spool::open(&folder.path().join("spool"), options.clone()).await.unwrap();
    assert!(matches!(Spool::open(&folder.path().join("spool"), options).await, Err(SpoolError::InUse { .. })));
    let client = Client::local(spool.router());
    let made = client.post("runs/create", &json!({"experiment_id": "0"})).await.unwrap();
    let run = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let mut taken = 0;
    let error = loop {
        let metric = json!({"run_id": run, "key": "m", "value": 1, "timestamp": 1, "step": taken});
        match client.post("runs/log-metric", &metric).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Some("RESOURCE_EXHAUSTED"), "{error}");
    let place = made["run"]["info"]["artifact_uri"].as_str().unwrap();
    assert!(client.upload_bytes(&format!("{place}/big"), vec![0; 20_000]).await.is_err());
    server.away(false);
    spool.deliver(&Silent).await.unwrap();
    let history = server.fixture.get(&format!("metrics/get-history?run_id={run}&metric_key=m&max_results=1000")).await;
    assert_eq!(history["metrics"].as_array().unwrap().len(), taken);
    assert_eq!(std::fs::read_dir(folder.path().join("spool/files")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_spool_asks_for_the_credentials_of_its_server_and_waits_for_one_server_only() {
    let server = Flaky::start().await;
    let folder = tempfile::tempdir().unwrap();
    server.away(true);
    let remote = RemoteOptions { token: Some("secret".into()), ..RemoteOptions::default() };
    let options = SpoolOptions { url: server.url.clone(), remote, limit: 1 << 20 };
    let spool = Spool::open(&folder.path().join("spool"), options.clone()).await.unwrap();
    let anonymous = Client::local(spool.guarded_router());
    let error = anonymous.post("runs/create", &json!({"experiment_id": "0"})).await.unwrap_err();
    assert_eq!(error.code(), Some("UNAUTHENTICATED"));
    let request = axum::http::Request::builder()
        .method(Method::POST)
        .uri("/api/2.0/mlflow/runs/create")
        .header("host", "localhost")
        .header("authorization", "Bearer secret")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"experiment_id": "0"}"#))
        .unwrap();
    let answer = tower::ServiceExt::oneshot(spool.guarded_router(), request).await.unwrap();
    assert_eq!(answer.status(), 200);
    drop((spool, anonymous));
    for file in ["events.log", "delivered.log", "server"] {
        let bytes = std::fs::read(folder.path().join("spool").join(file)).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"secret"), "{file}");
    }
    let elsewhere = SpoolOptions { url: "http://127.0.0.1:9".into(), ..options };
    let error = Spool::open(&folder.path().join("spool"), elsewhere).await.unwrap_err();
    assert!(matches!(error, SpoolError::OtherServer { waiting: 1, .. }), "{error}");
}
