//! The tracking server as the spool sees it: it answers, or it is away.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, header};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use super::SpoolError;
use crate::artifact::{ArtifactPath, Location};
use crate::client::{Client, ClientError, RemoteOptions};

/// How long a connection may take: a host that is gone must not hold up a training.
const CONNECT: Duration = Duration::from_secs(3);
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub method: Method,
    /// Path and query.
    pub target: &'a str,
    pub content_type: Option<&'a str>,
    /// Those of MLflow's own.
    pub headers: &'a [(String, String)],
    pub body: Bytes,
    pub timeout: Duration,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Told {
    pub(super) fn json(&self) -> Option<Json> {
        serde_json::from_slice(&self.body).ok()
    }

    /// MLflow's error code and message.
    pub(super) fn error(&self) -> Option<(String, String)> {
        let told = self.json()?;
        let text = |key: &str| told.get(key).and_then(Json::as_str).map(str::to_owned);
        Some((text("error_code")?, text("message").unwrap_or_default()))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Remote {
    url: String,
    http: reqwest::Client,
    options: RemoteOptions,
    /// Writes artifacts where the server does not pass them on.
    files: Client,
}

impl Remote {
    pub(super) fn new(url: &str, options: RemoteOptions) -> Result<Self, SpoolError> {
        let url = url.trim_end_matches('/').to_owned();
        let files = Client::remote_with(&url, RemoteOptions { retries: 0, ..options.clone() })?;
        let http = reqwest::Client::builder().connect_timeout(CONNECT).build();
        let http =
            http.map_err(|source| ClientError::Unreachable { url: url.clone(), source: source.into() })?;
        Ok(Self { url, http, options, files })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The `Authorization` header that the server wants, which clients of the spool must know too.
    pub(super) fn authorization(&self) -> Option<String> {
        use base64::Engine as _;
        match (&self.options.token, &self.options.login) {
            (Some(token), _) => Some(format!("Bearer {token}")),
            (None, Some((user, password))) => {
                let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                Some(format!("Basic {login}"))
            }
            (None, None) => None,
        }
    }

    fn request(&self, ask: &Ask<'_>) -> reqwest::RequestBuilder {
        let mut request = self.http.request(ask.method.clone(), format!("{}{}", self.url, ask.target));
        if let Some(authorization) = self.authorization() {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(kind) = ask.content_type {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        request.timeout(ask.timeout)
    }

    /// The answer to a call; `Err` says why the server is away.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Told, String> {
        let sent = self.request(ask).body(ask.body.clone()).send().await.map_err(|error| reason(&error))?;
        let (status, headers) = (sent.status(), sent.headers().clone());
        let body = sent.bytes().await.map_err(|error| reason(&error))?;
        let told = Told { status, headers, body };
        if is_away(status) {
            let why = told.error().map_or_else(|| status.to_string(), |(_, message)| message);
            return Err(format!("it answered {}: {why}", status.as_u16()));
        }
        Ok(told)
    }

    /// The answer to a question, piece by piece.
    pub(super) async fn stream(&self, ask: &Ask<'_>) -> Result<axum::response::Response, String> {
        let sent = self.request(ask).body(ask.body.clone()).send().await.map_err(|error| reason(&error))?;
        if is_away(sent.status()) {
            return Err(format!("it answered {}", sent.status()));
        }
        let mut answer = axum::response::Response::new(Body::empty());
        *answer.status_mut() = sent.status();
        for (name, value) in sent.headers() {
            if ![header::CONNECTION, header::TRANSFER_ENCODING].contains(name) {
                answer.headers_mut().append(name, value.clone());
            }
        }
        *answer.body_mut() = Body::from_stream(sent.bytes_stream());
        Ok(answer)
    }

    /// Uploads a file through the server's proxy.
    pub(super) async fn upload(&self, path: &str, file: &Path) -> Result<Told, String> {
        let target = format!("/api/2.0/mlflow-artifacts/artifacts/{}", utf8_percent_encode(path, PLAIN));
        let open =
            tokio::fs::File::open(file).await.map_err(|error| format!("{}: {error}", file.display()))?;
        let size = open.metadata().await.map_or(0, |metadata| metadata.len());
        let ask = Ask {
            method: Method::PUT,
            target: &target,
            content_type: Some("application/octet-stream"),
            headers: &[],
            body: Bytes::new(),
            // A megabyte in a second is slow enough.
            timeout: Duration::from_secs(60 + size / 1_000_000),
        };
        let sent = self.request(&ask).header(header::CONTENT_LENGTH, size).body(open).send().await;
        let sent = sent.map_err(|error| reason(&error))?;
        let (status, headers) = (sent.status(), sent.headers().clone());
        if is_away(status) {
            return Err(format!("it answered {status}"));
        }
        let body = sent.bytes().await.map_err(|error| reason(&error))?;
        Ok(Told { status, headers, body })
    }

    /// Uploads a file to an artifact location of the server, which need not be behind its proxy.
    pub(super) async fn upload_to(&self, uri: &str, file: &Path) -> Result<Told, String> {
        let refused = |message: String| Told {
            status: StatusCode::BAD_REQUEST,
            headers: HeaderMap::new(),
            body: serde_json::json!({"error_code": "INVALID_PARAMETER_VALUE", "message": message})
                .to_string()
                .into(),
        };
        match Location::parse(uri) {
            Ok(Location::Proxied(path)) => self.upload(path.as_str(), file).await,
            Ok(Location::Local(_)) => Ok(match self.files.upload(uri, file).await {
                Ok(()) => Told { status: StatusCode::OK, headers: HeaderMap::new(), body: "{}".into() },
                Err(error) => refused(error.to_string()),
            }),
            Err(error) => Ok(refused(error.to_string())),
        }
    }

    /// Removes what an artifact location names.
    pub(super) async fn remove(&self, path: &ArtifactPath) -> Result<Told, String> {
        let target =
            format!("/api/2.0/mlflow-artifacts/artifacts/{}", utf8_percent_encode(path.as_str(), PLAIN));
        let timeout = Duration::from_secs(60);
        let (content_type, headers, body) = (None, &[][..], Bytes::new());
        self.ask(&Ask { method: Method::DELETE, target: &target, content_type, headers, body, timeout }).await
    }
}

/// A server that answers so may do better later; it has done nothing, or what it has done may be done again.
fn is_away(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502..=504)
}

fn reason(error: &reqwest::Error) -> String {
    let mut whole = String::new();
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        // The address is said elsewhere, and the outer errors only repeat it.
        whole = error.to_string();
        source = error.source();
    }
    whole
}
