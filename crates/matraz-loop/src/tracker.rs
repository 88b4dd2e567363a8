//! The tracking store of a project: embedded beside the project, or a server.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use matraz_track::artifact::Location;
use matraz_track::client::{Client, RemoteOptions};
use matraz_track::db::StoreUri;
use matraz_track::spool::{Spool, SpoolError, SpoolOptions, State};
use matraz_track::{Service, ServiceOptions};
use tokio::runtime::Runtime;

use crate::error::{Error, Result};
use crate::settings::Settings;

/// The store of a project that names none, as MLflow has it.
pub const DEFAULT_STORE: &str = "sqlite:///mlflow.db";
/// The artifact folder of an embedded store that names none.
pub const DEFAULT_ARTIFACTS: &str = "mlartifacts";

/// The folder below a project's root in which calls wait for a tracking server that is away.
pub const SPOOL: &str = ".dvc/tmp/matraz/spool";
/// How much may wait there, in bytes.
const SPOOL_LIMIT: u64 = 10 << 30;
/// How long the server is waited for at the end of a reproduction.
const SETTLE: Duration = Duration::from_secs(5);

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
        /// The name in the journal of whoever changes things.
        actor: String,
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
    /// `actor` is who changes things there.
    pub fn resolve(
        root: &Path,
        settings: &Settings,
        uri: Option<&str>,
        options: RemoteOptions,
        actor: &str,
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
        Ok(Self::Embedded { store, artifacts: root.join(artifacts), actor: actor.to_owned() })
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
    spool: Option<Spool>,
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
            Target::Embedded { store, artifacts, actor } => {
                let options = ServiceOptions { actor, ..ServiceOptions::new(store, artifacts.clone()) };
                let service = runtime.block_on(Service::open(options))?;
                (Client::local(service.router()), Some(service), Some(artifacts))
            }
            Target::Server { url, options } => (Client::remote_with(&url, options)?, None, None),
        };
        Ok(Self { runtime, client, service, spool: None, artifacts, loopback: OnceLock::new() })
    }

    /// Opens the store to write to it. Calls to a server go through the spool in `folder`, so that nothing is lost while the
    /// server is away; a spool that another process uses is not waited for.
    pub fn open_spooled(target: Target, folder: &Path) -> Result<Self> {
        let Target::Server { url, options } = &target else { return Self::open(target) };
        let options = SpoolOptions { url: url.clone(), remote: options.clone(), limit: SPOOL_LIMIT };
        let mut tracker = Self::open(target.clone())?;
        match tracker.runtime.block_on(Spool::open(folder, options)) {
            Ok(spool) => {
                tracker.client = Client::local(spool.router());
                let keeper = spool.clone();
                tracker.runtime.spawn(async move { keeper.keep_delivering().await });
                tracker.spool = Some(spool);
                Ok(tracker)
            }
            Err(SpoolError::InUse { .. }) => Ok(tracker),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives what waits in the spool a moment to be delivered. How the spool stands then; `None` without one.
    pub fn settle(&self) -> Option<State> {
        let spool = self.spool.as_ref()?;
        let start = Instant::now();
        while spool.state().waiting > 0 && start.elapsed() < SETTLE {
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(spool.state())
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
        let router = match (&self.service, &self.spool) {
            (Some(service), _) => Some(service.router()),
            (None, spool) => spool.as_ref().map(Spool::guarded_router),
        };
        if let Some(router) = router {
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
        if let Some(spool) = self.spool.take() {
            // What waits is on the disk.
            let _ = self.runtime.block_on(spool.close());
        }
    }
}
