//! The tracking store of a project: embedded beside the project, or a server.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use matraz_track::artifact::Location;
use matraz_track::client::{Client, RemoteOptions};
use matraz_track::db::StoreUri;
use matraz_track::{Service, ServiceOptions};
use tokio::runtime::Runtime;

use crate::error::{Error, Result};
use crate::settings::Settings;

/// The store of a project that names none, as MLflow has it.
pub const DEFAULT_STORE: &str = "sqlite:///mlflow.db";
/// The artifact folder of an embedded store that names none.
pub const DEFAULT_ARTIFACTS: &str = "mlartifacts";

/// The store in `root` when none is named: the database, or, as long as there is none, the folder in which older
/// versions of MLflow kept runs.
pub fn default_store(root: &Path) -> &'static str {
    const OLDER: &str = "mlruns";
    if !root.join("mlflow.db").exists() && matraz_track::filestore::is_store(&root.join(OLDER)) {
        return OLDER;
    }
    DEFAULT_STORE
}

/// Where runs go.
#[derive(Clone, Debug)]
pub enum Target {
    /// A database file and an artifact folder, used by this process itself.
    Embedded {
        /// The database.
        store: StoreUri,
        /// The folder of the artifacts.
        artifacts: PathBuf,
    },
    /// A tracking server.
    Server {
        /// Its address.
        url: String,
        /// Credentials and patience.
        options: RemoteOptions,
    },
}

impl Target {
    /// The store that `uri` (from the environment or the command line), else `matraz.yaml`, else the default names.
    pub fn resolve(
        root: &Path,
        settings: &Settings,
        uri: Option<&str>,
        options: RemoteOptions,
    ) -> Result<Self> {
        let tracking = settings.tracking.as_ref();
        let named = uri.or_else(|| tracking.and_then(|t| t.uri.as_deref()));
        let uri = named.unwrap_or_else(|| default_store(root));
        if uri.starts_with("http://") || uri.starts_with("https://") {
            return Ok(Self::Server { url: uri.to_owned(), options });
        }
        let artifacts = tracking.and_then(|t| t.artifacts.as_deref()).unwrap_or(DEFAULT_ARTIFACTS);
        let store = match StoreUri::parse(uri, root) {
            Err(matraz_track::Error::StoreUri { uri, why: None }) => return Err(Error::UnknownStore { uri }),
            other => other?,
        };
        Ok(Self::Embedded { store, artifacts: root.join(artifacts) })
    }

    /// What tells this store from others.
    pub fn address(&self) -> String {
        match self {
            Self::Embedded { store, .. } => store.to_string(),
            Self::Server { url, .. } => url.clone(),
        }
    }

    /// Whether the store can hold anything: an embedded one whose database is not there cannot.
    pub fn exists(&self) -> bool {
        match self {
            Self::Embedded { store: StoreUri::Sqlite(path), .. } => path.exists(),
            Self::Embedded { .. } | Self::Server { .. } => true,
        }
    }
}

/// An open tracking store. Its methods block.
#[derive(Debug)]
pub struct Tracker {
    runtime: Runtime,
    client: Client,
    service: Option<Service>,
    artifacts: Option<PathBuf>,
    loopback: OnceLock<String>,
}

impl Tracker {
    /// Opens a store to read from it: one that is not there is an error and is not made.
    pub fn open_existing(target: Target) -> Result<Self> {
        match &target {
            Target::Embedded { store: StoreUri::Sqlite(path), .. } if !path.exists() => {
                Err(Error::NoStore { path: path.clone() })
            }
            _ => Self::open(target),
        }
    }

    /// Opens the store. An embedded one is made when it is not there.
    pub fn open(target: Target) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|source| Error::Runtime { source })?;
        let (client, service, artifacts) = match target {
            Target::Embedded { store, artifacts } => {
                let service =
                    runtime.block_on(Service::open(ServiceOptions::new(store, artifacts.clone())))?;
                (Client::local(service.router()), Some(service), Some(artifacts))
            }
            Target::Server { url, options } => (Client::remote_with(&url, options)?, None, None),
        };
        Ok(Self { runtime, client, service, artifacts, loopback: OnceLock::new() })
    }

    /// The client, for calls through [`Tracker::wait`].
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs an asynchronous call to its end.
    pub fn wait<F: Future>(&self, call: F) -> F::Output {
        self.runtime.block_on(call)
    }

    /// The address under which other processes reach the store: the server's own, or for an embedded store a
    /// loopback port that is served from now on until the tracker is dropped.
    pub fn address(&self) -> Result<&str> {
        if let Some(url) = self.client.url() {
            return Ok(url);
        }
        if let Some(address) = self.loopback.get() {
            return Ok(address);
        }
        let address = self.serve().map_err(|source| Error::Runtime { source })?;
        Ok(self.loopback.get_or_init(|| address))
    }

    fn serve(&self) -> std::io::Result<String> {
        let listener = self.runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = format!("http://{}", listener.local_addr()?);
        if let Some(service) = &self.service {
            let router = service.router();
            self.runtime.spawn(async move { axum::serve(listener, router).await });
        }
        Ok(address)
    }

    /// The folder of this machine in which the artifacts of `uri` lie, if they lie on this machine.
    pub fn artifact_folder(&self, uri: &str) -> Option<PathBuf> {
        match Location::parse(uri).ok()? {
            Location::Proxied(path) => self.artifacts.as_ref().map(|root| root.join(path.as_str())),
            Location::Local(folder) => Some(folder),
        }
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        if let Some(service) = &self.service {
            self.runtime.block_on(service.close());
        }
    }
}
