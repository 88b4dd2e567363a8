//! A client of the tracking API, for callers that do not care whether the store is in this process or behind a URL.
//!
//! [`Client::local`] speaks to a router directly, without a socket; [`Client::remote`] speaks HTTP, also to a real MLflow
//! server. Both carry the same JSON, so a caller that works with one works with the other. Artifact files go through the
//! server's proxy, or straight to the disk when the artifact location is a local folder.

mod error;
mod transport;

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use bytes::Bytes;
use futures_util::StreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

pub use error::ClientError;
use transport::{Answer, Content, Pieces, ask_router, ask_server, may_repeat};

use crate::artifact::{ArtifactError, ArtifactPath, ArtifactRoot, Entry, Location};

/// The prefix of every call that is named without a leading slash.
const API: &str = "/api/2.0/mlflow/";
/// The artifact proxy.
const PROXY: &str = "/api/2.0/mlflow-artifacts/artifacts";
/// Characters that stay as they are in a path or query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
/// Bytes per piece of a streamed upload.
const PIECE: usize = 256 * 1024;

/// A tracking store that can be asked.
#[derive(Clone, Debug)]
pub struct Client {
    end: End,
}

#[derive(Clone, Debug)]
enum End {
    Local(Router),
    Remote { url: String, http: reqwest::Client, options: RemoteOptions },
}

/// How to speak to a server.
#[derive(Clone)]
pub struct RemoteOptions {
    /// Sent as `Authorization: Bearer`.
    pub token: Option<String>,
    /// User name and password, sent as HTTP basic authentication when there is no token.
    pub login: Option<(String, String)>,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How often a request that may be repeated is repeated when the server is away or overloaded.
    pub retries: u32,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self { token: None, login: None, timeout: Duration::from_secs(120), retries: 5 }
    }
}

impl std::fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteOptions")
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of a router in this process.
    pub fn local(router: Router) -> Self {
        Self { end: End::Local(router) }
    }

    /// A client of the server at `url`, such as `http://127.0.0.1:5000`.
    pub fn remote(url: &str) -> Result<Self, ClientError> {
        Self::remote_with(url, RemoteOptions::default())
    }

    /// A client of the server at `url`, with credentials and patience.
    pub fn remote_with(url: &str, options: RemoteOptions) -> Result<Self, ClientError> {
        let url = url.trim_end_matches('/').to_owned();
        let known = url.starts_with("http://") || url.starts_with("https://");
        if !known || reqwest::Url::parse(&url).is_err() {
            return Err(ClientError::BadUrl { url });
        }
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(options.timeout)
            .build();
        let http =
            http.map_err(|source| ClientError::Unreachable { url: url.clone(), source: source.into() })?;
        Ok(Self { end: End::Remote { url, http, options } })
    }

    /// The URL of the server; `None` for a store in this process.
    pub fn url(&self) -> Option<&str> {
        match &self.end {
            End::Local(_) => None,
            End::Remote { url, .. } => Some(url),
        }
    }

    /// GET with query parameters; a key may come several times.
    ///
    /// Like all calls here, `path` is below `/api/2.0/mlflow/` unless it starts with a slash.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Json, ClientError> {
        self.call(Method::GET, path, query, None).await
    }

    /// POST of a JSON body.
    pub async fn post(&self, path: &str, body: &Json) -> Result<Json, ClientError> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: &Json) -> Result<Json, ClientError> {
        self.call(Method::PATCH, path, &[], Some(body)).await
    }

    /// DELETE with a JSON body, as MLflow's registry wants it.
    pub async fn delete(&self, path: &str, body: &Json) -> Result<Json, ClientError> {
        self.call(Method::DELETE, path, &[], Some(body)).await
    }

    /// Any call; an empty answer is `{}`.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Json>,
    ) -> Result<Json, ClientError> {
        let target = target(path, query);
        let content = body.map(|body| Bytes::from(body.to_string()));
        let answer = self.send(method, &target, || Ok(content.clone().map(Content::Json))).await?;
        let (url, status) = (answer.url.clone(), answer.status);
        let bytes = answer.bytes().await?;
        if bytes.is_empty() {
            return Ok(Json::Object(serde_json::Map::new()));
        }
        serde_json::from_slice(&bytes).map_err(|_| ClientError::NotTracking { url, status: status.as_u16() })
    }

    /// Uploads a local file as the artifact `uri` (artifact URI of a run or model, a slash, the path below it).
    pub async fn upload(&self, uri: &str, local: &Path) -> Result<(), ClientError> {
        match Location::parse(uri)? {
            Location::Proxied(path) => {
                let target = proxy_target(&path)?;
                let open = || {
                    let file = std::fs::File::open(local)
                        .map_err(|error| ClientError::file("read", local, error))?;
                    Ok(Some(Content::File(file)))
                };
                self.send(Method::PUT, &target, open).await?;
            }
            Location::Local(path) => {
                let (root, name) = split_local(&path)?;
                let local = local.to_path_buf();
                crate::artifact::on_disk(move || root.store(&name, &local)).await?;
            }
        }
        Ok(())
    }

    /// Uploads bytes as the artifact `uri`.
    pub async fn upload_bytes(&self, uri: &str, bytes: impl Into<Bytes>) -> Result<(), ClientError> {
        let bytes = bytes.into();
        match Location::parse(uri)? {
            Location::Proxied(path) => {
                let target = proxy_target(&path)?;
                self.send(Method::PUT, &target, || Ok(Some(Content::Bytes(bytes.clone())))).await?;
            }
            Location::Local(path) => {
                let (root, name) = split_local(&path)?;
                root.upload(&name, futures_util::stream::iter([Ok::<_, std::convert::Infallible>(bytes)]))
                    .await?;
            }
        }
        Ok(())
    }

    /// Removes a file or folder behind the server's proxy; nothing there is fine.
    pub async fn remove_proxied(&self, path: &ArtifactPath) -> Result<(), ClientError> {
        self.send(Method::DELETE, &proxy_target(path)?, || Ok(None)).await.map(drop)
    }

    /// Downloads the artifact `uri` to the local file `to`, whose folder is made. The file appears whole or not at all.
    pub async fn download(&self, uri: &str, to: &Path) -> Result<(), ClientError> {
        let folder = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |error| ClientError::file("write", to, error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let temp =
            tempfile::Builder::new().prefix(".matraz-").suffix(".tmp").tempfile_in(folder).map_err(failed)?;
        let mut file = tokio::fs::File::from_std(temp.reopen().map_err(failed)?);
        let mut pieces = self.read(uri).await?;
        while let Some(piece) = pieces.next().await {
            file.write_all(&piece?).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        drop(file);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let readable = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(temp.path(), readable).map_err(failed)?;
        }
        temp.persist(to).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The whole artifact `uri` in memory.
    pub async fn download_bytes(&self, uri: &str) -> Result<Bytes, ClientError> {
        let mut pieces = self.read(uri).await?;
        let mut whole = Vec::new();
        while let Some(piece) = pieces.next().await {
            whole.extend_from_slice(&piece?);
        }
        Ok(whole.into())
    }

    /// The files and folders directly below the artifact location `uri`, with paths below `uri` that start with `path`.
    pub async fn list(&self, uri: &str, path: &str) -> Result<Vec<Entry>, ClientError> {
        let below = ArtifactPath::parse(path)?;
        match Location::parse(uri)? {
            Location::Proxied(folder) => {
                let whole = folder.join(&below);
                let answer = self.get(PROXY, &[("path", whole.as_str())]).await?;
                let files = answer.get("files").and_then(Json::as_array).cloned().unwrap_or_default();
                let entry = |file: &Json| {
                    let name = ArtifactPath::parse(file.get("path")?.as_str()?).ok()?;
                    Some(Entry {
                        path: below.join(&name).to_string(),
                        is_folder: file.get("is_dir").and_then(Json::as_bool).unwrap_or(false),
                        size: file.get("file_size").and_then(Json::as_u64),
                    })
                };
                Ok(files.iter().filter_map(entry).collect())
            }
            Location::Local(folder) => {
                Ok(crate::artifact::on_disk(move || ArtifactRoot::new(folder).list(&below)).await?)
            }
        }
    }

    /// Every file below the artifact location `uri` and `path`, sorted; `path` itself when it is a file.
    pub async fn files(&self, uri: &str, path: &str) -> Result<Vec<Entry>, ClientError> {
        let mut files = Vec::new();
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in self.list(uri, &folder).await? {
                if entry.is_folder {
                    folders.push(entry.path);
                } else {
                    files.push(entry);
                }
            }
        }
        if files.is_empty() && !path.is_empty() {
            let parent = path.trim_end_matches('/').rsplit_once('/').map_or("", |(parent, _)| parent);
            let whole = ArtifactPath::parse(path)?;
            files.extend(
                self.list(uri, parent)
                    .await?
                    .into_iter()
                    .filter(|entry| entry.path == whole.as_str() && !entry.is_folder),
            );
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    async fn read(&self, uri: &str) -> Result<Pieces, ClientError> {
        match Location::parse(uri)? {
            Location::Proxied(path) => {
                let answer = self.send(Method::GET, &proxy_target(&path)?, || Ok(None)).await?;
                Ok(answer.pieces)
            }
            Location::Local(path) => {
                let (root, name) = split_local(&path)?;
                let artifact = crate::artifact::on_disk(move || root.open(&name)).await?;
                let reader = ReaderStream::with_capacity(tokio::fs::File::from_std(artifact.file), PIECE);
                Ok(Box::pin(
                    reader.map(move |piece| piece.map_err(|error| ClientError::file("read", &path, error))),
                ))
            }
        }
    }

    /// Sends one request, again if it may be repeated; a refusal becomes an error. `content` is asked for the body of
    /// every attempt.
    async fn send(
        &self,
        method: Method,
        target: &str,
        content: impl Fn() -> Result<Option<Content>, ClientError>,
    ) -> Result<Answer, ClientError> {
        let answer = match &self.end {
            End::Local(router) => ask_router(router.clone(), method, target, content()?).await?,
            End::Remote { url, http, options } => {
                let url = format!("{url}{target}");
                let mut attempt = 0;
                loop {
                    let sent = ask_server(http, options, &method, &url, content()?).await;
                    let again = match &sent {
                        Ok(answer) => may_repeat(&method, answer.status),
                        Err(ClientError::Unreachable { source, .. }) => {
                            let error = source.downcast_ref::<reqwest::Error>();
                            error.is_some_and(|error| error.is_connect() || method != Method::POST)
                        }
                        Err(_) => false,
                    };
                    if !again || attempt >= options.retries {
                        break sent?;
                    }
                    tokio::time::sleep(Duration::from_millis(200) * 2_u32.saturating_pow(attempt.min(6)))
                        .await;
                    attempt += 1;
                }
            }
        };
        answer.accepted().await
    }
}

/// The path and query of a call.
fn target(path: &str, query: &[(&str, &str)]) -> String {
    let mut target = if path.starts_with('/') { path.to_owned() } else { format!("{API}{path}") };
    let mut mark = '?';
    for (key, value) in query {
        target.push(mark);
        target.extend(utf8_percent_encode(key, NON_ALPHANUMERIC_PLAIN));
        target.push('=');
        target.extend(utf8_percent_encode(value, NON_ALPHANUMERIC_PLAIN));
        mark = '&';
    }
    target
}

/// Like [`PLAIN`], for query keys and values, where a slash is encoded too.
const NON_ALPHANUMERIC_PLAIN: &AsciiSet = &PLAIN.add(b'/');

fn proxy_target(path: &ArtifactPath) -> Result<String, ClientError> {
    if path.is_root() {
        return Err(ArtifactError::NoFileName.into());
    }
    Ok(format!("{PROXY}/{}", utf8_percent_encode(path.as_str(), PLAIN)))
}

/// A local artifact as folder and name, so that writing it goes through the same checks.
fn split_local(path: &Path) -> Result<(ArtifactRoot, ArtifactPath), ClientError> {
    let refused = || ArtifactError::InvalidPath { path: path.display().to_string() };
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(refused)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((ArtifactRoot::new(folder), ArtifactPath::parse(name)?))
}
