//! Listens until the user or the system says stop.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use matraz_base::{Explain, Kind};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

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
    /// The server stopped by itself.
    #[error("the server stopped")]
    Stopped {
        /// What the system says.
        source: io::Error,
    },
}

impl Explain for ListenError {
    fn kind(&self) -> Kind {
        match self {
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => Kind::Conflict,
            Self::Bind { .. } => Kind::Denied,
            Self::Stopped { .. } => Kind::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("another program listens there; stop it or give another `--port`".into())
            }
            _ => None,
        }
    }
}

/// Serves `router` until Ctrl-C or SIGTERM; requests under way are finished. `started` gets the address, whose
/// port is a free one when port 0 was asked for.
pub async fn serve(
    router: Router,
    host: &str,
    port: u16,
    started: impl FnOnce(SocketAddr),
) -> Result<(), ListenError> {
    let bind = |source| ListenError::Bind { host: host.to_owned(), port, source };
    let listener = TcpListener::bind((host, port)).await.map_err(bind)?;
    started(listener.local_addr().map_err(bind)?);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop())
        .await
        .map_err(|source| ListenError::Stopped { source })
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
