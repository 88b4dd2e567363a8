//! Listens until the user or the system says stop.
//!
//! A client that sends nothing, or reads nothing, is let go after a while, and there is an end to how many are served at
//! the same time, so that none of them can keep the others out.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use matraz_base::{Explain, Kind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower::ServiceExt as _;

use super::patience::{PatientBody, PatientStream};

/// How long a client may take, and how many there may be.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// For the head of a request, also between two requests, and for the handshake of TLS.
    head: Duration,
    /// For the next piece of a body, in either direction.
    piece: Duration,
    /// For what is under way when the server stops.
    farewell: Duration,
    /// Connections at the same time; further ones wait in the queue of the system.
    connections: usize,
}

const LIMITS: Limits = Limits {
    head: Duration::from_secs(75),
    piece: Duration::from_secs(120),
    farewell: Duration::from_secs(30),
    connections: 8192,
};

/// The files of a certificate, in PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate with those that vouch for it.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why a server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be listened on.
    #[error("cannot listen on {host}:{port}")]
    Bind {
        /// The host as given.
        host: String,
        /// The port as given.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the certificate cannot be used.
    #[error("cannot use {} for TLS: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Explain for ListenError {
    fn kind(&self) -> Kind {
        match self {
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => Kind::Conflict,
            Self::Bind { .. } => Kind::Denied,
            Self::Certificate { .. } => Kind::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("another program listens there; stop it or give another `--port`".into())
            }
            Self::Bind { .. } => None,
            Self::Certificate { .. } => Some(
                "both files are PEM; the key must belong to the first certificate of the other file".into(),
            ),
        }
    }
}

/// Serves `router` until Ctrl-C or SIGTERM; requests under way are finished. `started` gets the address, whose
/// port is a free one when port 0 was asked for.
pub async fn serve(
    router: Router,
    host: &str,
    port: u16,
    certificate: Option<&Certificate>,
    started: impl FnOnce(SocketAddr),
) -> Result<(), ListenError> {
    let tls = certificate.map(acceptor).transpose()?;
    let bind = |source| ListenError::Bind { host: host.to_owned(), port, source };
    let listener = TcpListener::bind((host, port)).await.map_err(bind)?;
    started(listener.local_addr().map_err(bind)?);
    serve_on(listener, router, tls, LIMITS, stop()).await;
    Ok(())
}

fn acceptor(files: &Certificate) -> Result<TlsAcceptor, ListenError> {
    let refused = |path: &Path, reason: String| ListenError::Certificate { path: path.to_path_buf(), reason };
    let chain = CertificateDer::pem_file_iter(&files.chain)
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .map_err(|error| refused(&files.chain, error.to_string()))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| refused(&files.key, error.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| refused(&files.chain, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve_on(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut stop => break,
            next = next => next,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // The client is gone, or the process has as many files open as it may: others will end.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            connection(stream, peer, router, tls, limits, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.farewell, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were cut that did not end in time");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    watcher: Watcher,
) {
    // Small answers go out at once.
    let _ = stream.set_nodelay(true);
    match tls {
        None => answer(stream, peer, router, limits, watcher).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(limits.head, tls.accept(stream)).await {
                answer(stream, peer, router, limits, watcher).await;
            }
        }
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    watcher: Watcher,
) {
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(|body| Body::new(PatientBody::new(body, limits.piece)));
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let stream = TokioIo::new(PatientStream::new(stream, limits.piece));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(stream, service);
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn stop() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without a handler the signal ends the process by itself.
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const QUICK: Limits = Limits {
        head: Duration::from_millis(200),
        piece: Duration::from_millis(200),
        farewell: Duration::from_millis(200),
        connections: 2,
    };

    /// A server whose only fault is that it has no patience.
    async fn server() -> SocketAddr {
        let router = Router::new().route("/", get(async || "hello")).route(
            "/body",
            post(async |body: Result<String, axum::extract::rejection::StringRejection>| body),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_on(listener, router, None, QUICK, std::future::pending()));
        address
    }

    async fn ask(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn clients_that_stall_are_let_go_and_others_get_their_place() {
        let address = server().await;
        // Both places are taken by clients that never end their request.
        let idle = TcpStream::connect(address).await.unwrap();
        let stalled = tokio::spawn(ask(address, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "));
        let whole = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        assert!(ask(address, whole).await.ends_with("hello"));
        assert!(!stalled.await.unwrap().contains("200"));
        let torn = ask(address, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc").await;
        assert!(!torn.contains("200 OK"), "{torn}");
        drop(idle);
    }
}
