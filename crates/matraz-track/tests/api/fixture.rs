//! A service on a temporary folder, and short ways to call its router.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use matraz_track::auth::{self, AuthOptions, Permission};
use matraz_track::db::StoreUri;
use matraz_track::{Service, ServiceOptions};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::ON_POSTGRES;
use crate::postgres_server::PostgresServer;

/// The password of every user in tests.
pub const PASSWORD: &str = "correct horse battery";

pub struct Fixture {
    pub service: Service,
    uri: String,
    /// Kept, so that the folder stays as long as the service.
    folder: tempfile::TempDir,
}

impl Fixture {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = if ON_POSTGRES { database().await } else { "sqlite:///mlflow.db".to_owned() };
        Self::on(&store, folder).await
    }

    /// A service where users sign in, with the administrator `admin`.
    pub async fn with_users(default_permission: Permission) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = if ON_POSTGRES { database().await } else { "sqlite:///mlflow.db".to_owned() };
        let fixture = Self::open(&store, folder, Some(AuthOptions { default_permission })).await;
        let made = auth::make_first_admin(&fixture.service, "admin", Some(PASSWORD)).await.unwrap();
        assert_eq!(made, None);
        fixture
    }

    /// A service on a given database.
    pub async fn on(uri: &str, folder: tempfile::TempDir) -> Self {
        Self::open(uri, folder, None).await
    }

    async fn open(uri: &str, folder: tempfile::TempDir, auth: Option<AuthOptions>) -> Self {
        let store = StoreUri::parse(uri, folder.path()).unwrap();
        let uri = store.shown();
        let mut options = ServiceOptions::new(store, folder.path().join("mlartifacts"));
        options.auth = auth;
        let service = Service::open(options).await.unwrap();
        Self { service, uri, folder }
    }

    /// The URI of the database.
    pub fn uri(&self) -> String {
        self.uri.clone()
    }

    /// Whether the database is a file.
    pub fn is_file(&self) -> bool {
        !ON_POSTGRES
    }

    /// The folder of the database and the artifacts.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Any request; the answer is JSON when it can be, else a string.
    pub async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let answer = self.service.router().oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        (status, value)
    }

    /// A call with a JSON body. `path` is below `/api/2.0/mlflow/` unless it starts with `/`.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(full(path))
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    /// A call by a user; the password is that of every user here.
    pub async fn call_as(&self, user: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        use base64::Engine as _;
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{PASSWORD}"));
        self.call_with(&format!("Basic {login}"), method, path, body).await
    }

    /// A call by a user that says of which experiment its spans are.
    pub async fn call_as_with(
        &self,
        user: &str,
        method: Method,
        path: &str,
        body: Value,
        experiment: &str,
    ) -> (StatusCode, Value) {
        use base64::Engine as _;
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{PASSWORD}"));
        let request = Request::builder()
            .method(method)
            .uri(full(path))
            .header("host", "localhost")
            .header("authorization", format!("Basic {login}"))
            .header("content-type", "application/json")
            .header("x-mlflow-experiment-id", experiment)
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    /// A call with an `Authorization` header.
    pub async fn call_with(
        &self,
        authorization: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(full(path))
            .header("host", "localhost")
            .header("authorization", authorization)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, value) = self.call(Method::GET, path, json!({})).await;
        assert_eq!(status, 200, "GET {path}: {value}");
        value
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, value) = self.call(Method::POST, path, body).await;
        assert_eq!(status, 200, "POST {path}: {value}");
        value
    }

    /// A new experiment.
    pub async fn experiment(&self, name: &str) -> String {
        let made = self.post("experiments/create", json!({"name": name})).await;
        made["experiment_id"].as_str().unwrap().to_owned()
    }

    /// A new run in the experiment 0.
    pub async fn run(&self) -> String {
        let made = self.post("runs/create", json!({"experiment_id": "0", "start_time": 1000})).await;
        made["run"]["info"]["run_id"].as_str().unwrap().to_owned()
    }

    /// The `data` of a run.
    pub async fn data(&self, run: &str) -> Value {
        self.get(&format!("runs/get?run_id={run}")).await["run"]["data"].clone()
    }

    /// A call that must be refused; the message of the error comes back.
    pub async fn refused(&self, method: Method, path: &str, body: Value, status: u16, code: &str) -> String {
        let (got, value) = self.call(method, path, body).await;
        assert_eq!((got.as_u16(), value["error_code"].as_str()), (status, Some(code)), "{path}: {value}");
        value["message"].as_str().unwrap().to_owned()
    }
}

/// The URI of a database without tables: a file that is not there yet, or a new database on the server of this program.
pub async fn empty_database() -> String {
    if !ON_POSTGRES {
        return "sqlite:///mlflow.db".to_owned();
    }
    let (server, number) = server().await;
    server.empty_database(&format!("empty{number}"))
}

/// A new database with the tables of a store that was opened once.
async fn database() -> String {
    let (server, number) = server().await;
    server.database(&format!("test{number}"))
}

/// The server of this test program, and a number that no other caller gets.
async fn server() -> (&'static PostgresServer, usize) {
    static SERVER: tokio::sync::OnceCell<PostgresServer> = tokio::sync::OnceCell::const_new();
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let server = SERVER
        .get_or_init(|| async {
            let server = PostgresServer::start();
            let template = StoreUri::parse(&server.template(), std::path::Path::new("/")).unwrap();
            let options = ServiceOptions::new(template, "/nowhere");
            Service::open(options).await.unwrap().close().await;
            server
        })
        .await;
    (server, COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

fn full(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/api/2.0/mlflow/{path}") }
}

/// A list of `{key, value}` as an object.
pub fn pairs(list: &Value) -> Value {
    let pairs = list.as_array().into_iter().flatten();
    Value::Object(
        pairs.map(|pair| (pair["key"].as_str().unwrap().to_owned(), pair["value"].clone())).collect(),
    )
}
