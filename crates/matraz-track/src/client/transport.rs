//! How a request of the client travels: through a router in this process, or over HTTP.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde_json::Value as Json;
use tokio_util::io::ReaderStream;
use tower::ServiceExt;

use super::{ClientError, PIECE, RemoteOptions};

/// The longest answer that is read into memory, in bytes.
const MAX_ANSWER: usize = 1 << 30;

/// Whether a request with this answer may be sent again: the server is away or overloaded, and nothing is done twice.
pub(super) fn may_repeat(method: &Method, status: StatusCode) -> bool {
    match status.as_u16() {
        408 | 429 => true,
        502..=504 => method != Method::POST,
        _ => false,
    }
}

/// The body of a request.
pub(super) enum Content {
    Json(Bytes),
    Bytes(Bytes),
    File(std::fs::File),
}

impl Content {
    fn media_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json",
            Self::Bytes(_) | Self::File(_) => "application/octet-stream",
        }
    }
}

/// A body that comes piece by piece.
pub(super) type Pieces = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, ClientError>> + Send>>;

/// What came back.
pub(super) struct Answer {
    pub url: String,
    pub status: StatusCode,
    pub pieces: Pieces,
}

impl Answer {
    /// The whole body.
    pub(super) async fn bytes(mut self) -> Result<Bytes, ClientError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.pieces.next().await {
            whole.extend_from_slice(&piece?);
            if whole.len() > MAX_ANSWER {
                return Err(ClientError::NotTracking { url: self.url, status: self.status.as_u16() });
            }
        }
        Ok(whole.into())
    }

    /// This answer, or the error that it tells.
    pub(super) async fn accepted(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let (url, status) = (self.url.clone(), self.status.as_u16());
        let told: Option<Json> = serde_json::from_slice(&self.bytes().await?).ok();
        let text = |key: &str| told.as_ref()?.get(key)?.as_str().map(str::to_owned);
        match (text("error_code"), text("message"), text("detail")) {
            (Some(code), message, _) => {
                Err(ClientError::Refused { status, code, message: message.unwrap_or_default() })
            }
            (None, _, Some(detail)) => {
                Err(ClientError::Refused { status, code: "BAD_REQUEST".to_owned(), message: detail })
            }
            _ => Err(ClientError::NotTracking { url, status }),
        }
    }
}

/// Asks a router in this process.
pub(super) async fn ask_router(
    router: Router,
    method: Method,
    target: &str,
    content: Option<Content>,
) -> Result<Answer, ClientError> {
    let url = target.to_owned();
    let mut request = Request::builder().method(method).uri(target).header(header::HOST, "localhost");
    if let Some(content) = &content {
        request = request.header(header::CONTENT_TYPE, content.media_type());
    }
    let body = match content {
        None => Body::empty(),
        Some(Content::Json(bytes) | Content::Bytes(bytes)) => Body::from(bytes),
        Some(Content::File(file)) => {
            Body::from_stream(ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE))
        }
    };
    let request = request
        .body(body)
        .map_err(|source| ClientError::Unreachable { url: url.clone(), source: source.into() })?;
    let Ok(response) = router.oneshot(request).await;
    let status = response.status();
    let from = url.clone();
    let pieces = response.into_body().into_data_stream();
    let pieces = pieces.map(move |piece| {
        piece.map_err(|source| ClientError::Unreachable { url: from.clone(), source: source.into() })
    });
    Ok(Answer { url, status, pieces: Box::pin(pieces) })
}

/// Asks a server.
pub(super) async fn ask_server(
    http: &reqwest::Client,
    options: &RemoteOptions,
    method: &Method,
    url: &str,
    content: Option<Content>,
) -> Result<Answer, ClientError> {
    let mut request = http.request(method.clone(), url);
    match (&options.token, &options.login) {
        (Some(token), _) => request = request.bearer_auth(token),
        (None, Some((user, password))) => request = request.basic_auth(user, Some(password)),
        (None, None) => {}
    }
    if let Some(content) = content {
        request = request.header(header::CONTENT_TYPE, content.media_type());
        request = match content {
            Content::Json(bytes) | Content::Bytes(bytes) => request.body(bytes),
            Content::File(file) => request.body(tokio::fs::File::from_std(file)),
        };
    }
    let unreachable = |source: reqwest::Error| ClientError::Unreachable {
        url: url.to_owned(),
        source: source.without_url().into(),
    };
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let from = url.to_owned();
    let pieces = response.bytes_stream();
    let pieces = pieces.map(move |piece| {
        piece.map_err(|source| ClientError::Unreachable {
            url: from.clone(),
            source: source.without_url().into(),
        })
    });
    Ok(Answer { url: url.to_owned(), status, pieces: Box::pin(pieces) })
}
