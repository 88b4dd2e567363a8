//! Answers clients: passes calls on, or takes them in while the server is away.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, json};
use tower::ServiceExt as _;

use super::calls::{self, Call};
use super::lost::known;
use super::remote::{Ask, Told};
use super::{Event, FILES, Spool, SpoolError, TAG, shadow};
use crate::artifact::{ArtifactPath, on_disk};
use crate::service::{new_id, now_ms};

/// How long a call that may wait is let hang before it does.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a question may take.
const ANSWERS: Duration = Duration::from_secs(600);
/// The longest body that is no file, in bytes.
const LONGEST: usize = 256 << 20;

/// A call as it came.
struct Received {
    method: Method,
    target: String,
    content_type: Option<String>,
    /// MLflow's own headers, and how the body is packed.
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Spool {
    /// The routes for callers in this process.
    pub fn router(&self) -> Router {
        let router = Router::new().fallback(enter).with_state(self.clone());
        self.0.store.guard(router)
    }

    /// The routes for callers that come through a socket: they must know what the server wants to know.
    pub fn guarded_router(&self) -> Router {
        self.router().layer(axum::middleware::from_fn_with_state(self.clone(), check))
    }

    /// Whether calls may pass; if not, why the server is away.
    fn is_open(&self) -> bool {
        let queue = self.queue();
        queue.waiting.is_empty() && queue.away.is_none()
    }

    fn server_is_away(&self, why: String) {
        self.queue().away = Some(why);
        self.0.bell.notify_one();
    }

    /// The local store's answer.
    async fn local(&self, received: &Received) -> Response {
        let mut request = axum::http::Request::builder()
            .method(received.method.clone())
            .uri(&received.target)
            .header(header::HOST, "localhost");
        if let Some(kind) = &received.content_type {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        for (name, value) in &received.headers {
            request = request.header(name, value);
        }
        match request.body(Body::from(received.body.clone())) {
            Ok(request) => self.0.store.router().oneshot(request).await.into_response(),
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        }
    }

    /// A call that only asks.
    async fn ask(&self, received: Received) -> Response {
        let away = self.queue().away.clone();
        if away.is_none() {
            let ids = self.queue().ids.clone();
            let text = std::str::from_utf8(&received.body).ok().map(|text| ids.translate(text));
            let target = ids.translate(&received.target);
            let ask = Ask {
                method: received.method.clone(),
                target: &target,
                content_type: received.content_type.as_deref(),
                headers: &received.headers,
                body: text.map_or_else(|| received.body.clone(), Bytes::from),
                timeout: ANSWERS,
            };
            match self.0.remote.stream(&ask).await {
                Ok(answer) if answer.status().is_client_error() && !self.is_open() => {
                    // What waits is not there yet, but it is here. Not every server answers 404: an unknown alias is an
                    // invalid parameter, and so are, with some databases, the numbers of the spool.
                    let local = self.local(&received).await;
                    return if local.status().is_success() { local } else { answer };
                }
                Ok(answer) => return self.watch(&received, answer).await,
                Err(why) => self.server_is_away(why),
            }
        }
        let query = received.target.split_once('?').map_or("", |(_, query)| query);
        let named: serde_json::Map<String, Json> =
            form(query).map(|(key, value)| (key, json!(value))).collect();
        let path = received.target.split('?').next().unwrap_or_default();
        if let Err(error) = shadow::make_room(&self.0.store, path, &Json::Object(named)).await {
            return error.into_response();
        }
        self.local(&received).await
    }

    /// Keeps what an answer tells about an experiment, a run, a model or a version.
    async fn watch(&self, received: &Received, answer: Response) -> Response {
        const TELLING: [&str; 6] = [
            "/experiments/get",
            "/experiments/get-by-name",
            "/model-versions/get",
            "/registered-models/alias",
            "/registered-models/get",
            "/runs/get",
        ];
        let path = received.target.split('?').next().unwrap_or_default();
        let of_model = path.contains("/logged-models/") && path.split('/').count() == 6;
        if !answer.status().is_success() || !(of_model || TELLING.iter().any(|end| path.ends_with(end))) {
            return answer;
        }
        let (parts, body) = answer.into_parts();
        let Ok(bytes) = axum::body::to_bytes(body, LONGEST).await else {
            return StatusCode::BAD_GATEWAY.into_response();
        };
        self.remember(&bytes).await;
        Response::from_parts(parts, Body::from(bytes))
    }

    async fn remember(&self, body: &[u8]) {
        if let Ok(answer) = serde_json::from_slice(body)
            && let Err(error) = shadow::remember(&self.0.store, &answer).await
        {
            tracing::warn!(%error, "the spool could not keep what the server told");
        }
    }

    /// A call that changes something and may wait.
    async fn change(&self, call: Call, mut received: Received) -> Response {
        let mut local = None;
        if matches!(call, Call::CreateRun | Call::CreateModel | Call::CreateVersion) {
            match marked(&received.body) {
                Some((id, body)) => (local, received.body) = (Some(id), body),
                // The local store says what is wrong with it.
                None => return self.local(&received).await,
            }
        }
        let mut maybe_sent = false;
        if self.is_open() {
            match self.pass(&received).await {
                Ok(told) => {
                    if told.status.is_success() && call != Call::Plain {
                        self.remember(&told.body).await;
                    }
                    return answer(told);
                }
                Err(why) => {
                    maybe_sent = true;
                    self.server_is_away(why);
                }
            }
        }
        let path = received.target.split('?').next().unwrap_or_default();
        let body: Json = serde_json::from_slice(&received.body).unwrap_or_default();
        if let Err(error) = shadow::make_room(&self.0.store, path, &body).await {
            return error.into_response();
        }
        if let Err(error) = shadow::make_room_in_registry(&self.0.store, call, path, &body).await {
            return error.into_response();
        }
        let (parts, told) = self.local(&received).await.into_parts();
        let Ok(told) = axum::body::to_bytes(told, LONGEST).await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let answer = Response::from_parts(parts, Body::from(told.clone()));
        if !answer.status().is_success() {
            return answer;
        }
        if matches!(call, Call::CreateExperiment | Call::CreateVersion) {
            let made: Json = serde_json::from_slice(&told).unwrap_or_default();
            local = known(call, &made).map(|made| made.id);
        }
        let event = received.event(local, None, maybe_sent);
        match self.wait_in_line(event, &received.body).await {
            Ok(()) => answer,
            Err(error) => no_room(&error),
        }
    }

    async fn pass(&self, received: &Received) -> Result<Told, String> {
        let ids = self.queue().ids.clone();
        let text = std::str::from_utf8(&received.body).ok().map(|text| ids.translate(text));
        let ask = Ask {
            method: received.method.clone(),
            target: &ids.translate(&received.target),
            content_type: received.content_type.as_deref(),
            headers: &received.headers,
            body: text.map_or_else(|| received.body.clone(), Bytes::from),
            timeout: PATIENCE,
        };
        self.0.remote.ask(&ask).await
    }

    /// A file: it is on this disk before it goes on, for half of it cannot wait.
    async fn upload(&self, parts: Parts, body: Body) -> Response {
        let received = Received::head(&parts);
        let sent = calls::artifact_path(parts.uri.path()).unwrap_or_default();
        let decoded = percent_decode_str(sent).decode_utf8_lossy().into_owned();
        let stored = self.0.store.router().oneshot(Request::from_parts(parts, body)).await.into_response();
        let root = self.0.store.artifacts().proxy().cloned();
        let (Ok(path), Some(root)) = (ArtifactPath::parse(&decoded), root) else { return stored };
        if !stored.status().is_success() {
            return stored;
        }
        let mut maybe_sent = false;
        let Ok(local) = root.locate(&path) else { return stored };
        if self.is_open() {
            match self.send_file(path.as_str(), &local).await {
                Ok(told) => {
                    let _ = on_disk(move || root.delete(&path)).await;
                    return answer(told);
                }
                Err(why) => {
                    maybe_sent = true;
                    self.server_is_away(why);
                }
            }
        }
        // Of its own, so that a later upload to the same place does not change what waits here.
        let Ok(name) = new_id() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
        let folder = self.0.dir.join(FILES);
        let target: PathBuf = folder.join(&name);
        let linked = tokio::task::spawn_blocking(move || {
            std::fs::hard_link(&local, &target).or_else(|_| std::fs::copy(&local, &target).map(drop))?;
            let size = std::fs::metadata(&target)?.len();
            matraz_base::file::sync_folder(&folder);
            Ok::<_, std::io::Error>(size)
        });
        let size = match linked.await {
            Ok(Ok(size)) => size,
            Ok(Err(source)) => return no_room(&SpoolError::file("keep", &self.0.dir, source)),
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        let event = received.event(None, Some((name.clone(), size)), maybe_sent);
        match self.wait_in_line(event, b"").await {
            Ok(()) => stored,
            Err(error) => {
                let _ = std::fs::remove_file(self.0.dir.join(FILES).join(name));
                no_room(&error)
            }
        }
    }
}

impl Received {
    fn head(parts: &Parts) -> Self {
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let of_mlflow = parts
            .headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-mlflow") || *name == header::CONTENT_ENCODING);
        Self {
            method: parts.method.clone(),
            target: parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
            content_type: parts.headers.get(header::CONTENT_TYPE).and_then(text),
            headers: of_mlflow.filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect(),
            body: Bytes::new(),
        }
    }

    fn event(&self, local: Option<String>, file: Option<(String, u64)>, maybe_sent: bool) -> Event {
        Event {
            seq: 0,
            time: now_ms(),
            method: self.method.to_string(),
            target: self.target.clone(),
            content_type: self.content_type.clone(),
            headers: self.headers.clone(),
            local,
            file,
            maybe_sent,
        }
    }
}

async fn check(State(spool): State<Spool>, request: Request, next: axum::middleware::Next) -> Response {
    let wanted = spool.0.remote.authorization();
    let given = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    if wanted.is_some() && wanted.as_deref().map(str::as_bytes) != given {
        let body = json!({"error_code": "UNAUTHENTICATED",
            "message": "the spool wants the credentials with which it was started"});
        return (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response();
    }
    next.run(request).await
}

async fn enter(State(spool): State<Spool>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let call = calls::waiting(&parts.method, &path);
    if call == Some(Call::Upload) {
        return spool.upload(parts, body).await;
    }
    let mut received = Received::head(&parts);
    received.body = match axum::body::to_bytes(body, LONGEST).await {
        Ok(body) => body,
        Err(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    match call {
        Some(call) => spool.change(call, received).await,
        None if calls::only_asks(&received.method, &path) => spool.ask(received).await,
        None if spool.is_open() => match spool.pass(&received).await {
            Ok(told) => answer(told),
            Err(why) => {
                spool.server_is_away(why);
                cannot_wait(&path)
            }
        },
        None => cannot_wait(&path),
    }
}

/// The body of a call that makes something, with an id in the tag of the spool.
fn marked(body: &[u8]) -> Option<(String, Bytes)> {
    let mut made: Json = serde_json::from_slice(body).ok()?;
    let id = new_id().ok()?;
    let fields = made.as_object_mut()?;
    match fields.entry("tags").or_insert_with(|| json!([])) {
        Json::Array(tags) => tags.push(json!({"key": TAG, "value": id})),
        tags @ Json::Null => *tags = json!([{"key": TAG, "value": id}]),
        _ => return None,
    }
    Some((id, made.to_string().into()))
}

fn answer(told: Told) -> Response {
    let mut headers = HeaderMap::new();
    if let Some(kind) = told.headers.get(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, kind.clone());
    }
    (told.status, headers, told.body).into_response()
}

/// The answer to a call that is not one of a training's.
fn cannot_wait(path: &str) -> Response {
    let message = format!("the tracking server is away, and {path} is no call that can wait for it");
    let body = json!({"error_code": "TEMPORARILY_UNAVAILABLE", "message": message});
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], axum::Json(body)).into_response()
}

/// The answer when nothing more can wait: one that clients do not repeat for minutes.
fn no_room(error: &SpoolError) -> Response {
    use std::error::Error as _;
    let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    let body = json!({"error_code": "RESOURCE_EXHAUSTED", "message": format!("{error}{why}")});
    (StatusCode::INSUFFICIENT_STORAGE, axum::Json(body)).into_response()
}

/// The pairs of a query.
fn form(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=')?;
        Some((decoded(key), decoded(value)))
    })
}
