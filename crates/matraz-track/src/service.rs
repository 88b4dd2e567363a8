//! The tracking service: a store, an artifact root and the router over both.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use utoipa_axum::router::OpenApiRouter;

use crate::api;
use crate::api::security::Security;
use crate::artifact::{ArtifactRoot, Artifacts, Location};
use crate::auth::{self, AuthOptions, Caller, Passwords};
use crate::db::{self, Db, Head, Session, StoreUri};
use crate::error::Result;
use crate::{graphql, webhook};

/// Where a service keeps things and how it guards them.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// The database.
    pub store: StoreUri,
    /// The schema of a database that has to be made.
    pub new_head: Head,
    /// The connections to a database server.
    pub pool: db::Pool,
    /// The root of the artifact locations of new experiments: `mlflow-artifacts:/` when artifacts go through the
    /// service, else a path or URI that clients reach themselves.
    pub artifact_root: String,
    /// The folder behind `mlflow-artifacts:/`; without one the service does not serve artifacts.
    pub artifacts_destination: Option<PathBuf>,
    /// Cut params above 6000 and tags above 8000 characters instead of refusing them.
    pub truncate_long_values: bool,
    /// How much a GraphQL request may ask for.
    pub graphql_limits: graphql::Limits,
    /// How webhooks are delivered.
    pub webhooks: webhook::Options,
    /// The checks of Host and Origin.
    pub security: Security,
    /// Who may do what; `None` lets everybody do everything.
    pub auth: Option<AuthOptions>,
    /// The name in the journal of whoever changes things, where nobody signs in.
    pub actor: String,
}

impl ServiceOptions {
    /// MLflow's defaults: artifacts through the service, long values cut, local and private hosts only.
    pub fn new(store: StoreUri, artifacts_destination: impl Into<PathBuf>) -> Self {
        Self {
            store,
            new_head: Head::default(),
            pool: db::Pool::default(),
            artifact_root: "mlflow-artifacts:/".to_owned(),
            artifacts_destination: Some(artifacts_destination.into()),
            truncate_long_values: true,
            graphql_limits: graphql::Limits::default(),
            webhooks: webhook::Options::default(),
            security: Security::default(),
            auth: None,
            actor: "anonymous".to_owned(),
        }
    }
}

/// An open tracking service. Clones share it.
#[derive(Clone, Debug)]
pub struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    artifacts: Artifacts,
    options: ServiceOptions,
    passwords: Passwords,
    /// Whether the tables that Matraz adds are known to be there.
    has_own_tables: AtomicBool,
}

impl Service {
    /// Opens the store, makes it when it is not there, and makes the experiment `Default` in a new one.
    pub async fn open(options: ServiceOptions) -> Result<Self> {
        let db = Db::open_with(&options.store, options.new_head, options.pool).await?;
        let artifacts = trusted_places(&options);
        let service = Self(Arc::new(Inner {
            db,
            artifacts,
            options,
            passwords: Passwords::new()?,
            has_own_tables: AtomicBool::new(false),
        }));
        crate::experiment::make_default(&service).await?;
        if service.options().auth.is_some() {
            service.make_own_tables().await?;
        }
        Ok(service)
    }

    /// Every route of the service. See [`api::router`].
    pub fn router(&self) -> axum::Router {
        self.router_with(OpenApiRouter::new())
    }

    /// Every route of the service, and others beside them behind the same checks.
    pub fn router_with(&self, beside: OpenApiRouter<Self>) -> axum::Router {
        api::router::router(self.clone(), beside)
    }

    /// Puts the checks of users, of Host and of Origin around other routes that are served beside those of [`Service::router`].
    pub fn guard(&self, router: axum::Router) -> axum::Router {
        router
            .layer(axum::middleware::from_fn_with_state(self.clone(), auth::gate::guard))
            .layer(axum::middleware::from_fn_with_state(self.clone(), api::security::guard))
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// Starts a transaction that writes and enters changes into the journal in the caller's name.
    pub async fn write(&self, caller: &Caller) -> Result<Session> {
        self.make_own_tables().await?;
        Ok(self.db().write().await?.in_name_of(caller.name()))
    }

    /// Like [`write`](Self::write) where users sign in; elsewhere a transaction that enters nothing into the journal. For
    /// changes that concern the journal only through what is granted along with them.
    pub(crate) async fn write_as(&self, caller: &Caller) -> Result<Session> {
        match caller.signed_in() {
            Some(_) => self.write(caller).await,
            None => self.db().write().await,
        }
    }

    async fn make_own_tables(&self) -> Result<()> {
        if !self.0.has_own_tables.load(Ordering::Acquire) {
            let mut session = self.db().write().await?;
            db::own::make(&mut session).await?;
            session.commit().await?;
            self.0.has_own_tables.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Hashes and checks passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// The places whose files the service reads and writes.
    pub fn artifacts(&self) -> &Artifacts {
        &self.0.artifacts
    }

    /// The options that the service was opened with.
    pub fn options(&self) -> &ServiceOptions {
        &self.0.options
    }

    /// Waits for what is under way and closes the store.
    pub async fn close(&self) {
        self.0.db.close().await;
    }
}

/// The folder behind the proxy, the default artifact root when it is a folder itself, and `mlruns` beside the
/// database, where MLflow keeps the artifacts of a store that it uses without a server.
fn trusted_places(options: &ServiceOptions) -> Artifacts {
    let mut artifacts = match &options.artifacts_destination {
        Some(folder) => Artifacts::served(ArtifactRoot::new(folder)),
        None => Artifacts::default(),
    };
    if let Ok(Location::Local(folder)) = Location::parse(&options.artifact_root) {
        artifacts = artifacts.trusting(folder);
    }
    match &options.store {
        StoreUri::Sqlite(file) => match file.parent() {
            Some(folder) => artifacts.trusting(folder.join("mlruns")),
            None => artifacts,
        },
        StoreUri::Postgres(_) => artifacts,
        StoreUri::Folder(folder) => artifacts.trusting(folder.clone()),
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A new random id: 32 hexadecimal digits.
pub(crate) fn new_id() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| crate::Error::Bug(format!("no random numbers: {error}")))?;
    // Version and variant bits of a random UUID, so that tools which parse the id accept it.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A new random UUID with its dashes.
pub(crate) fn new_uuid() -> Result<String> {
    let id = new_id()?;
    Ok([&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-"))
}
