//! `mlflow server`, `mlflow ui`, `matraz server`, `matraz ui`

use std::path::{Path, PathBuf};

use matraz_base::Failure;
use matraz_loop::{Error, Settings, tracker};
use matraz_track::db::StoreUri;
use matraz_track::{Service, ServiceOptions};

use super::db::Schema;
use super::models::serve::or_variable;
use super::server_flags::{Refused, is_no};
use super::server_variables;
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::names::Grammar;
use crate::project;
use crate::server::{self, accounts::Accounts};

/// Serve the tracking API and the web app
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// The database: `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE` [default: the project's, or sqlite:///mlflow.db]
    #[arg(long, value_name = "URI")]
    backend_store_uri: Option<String>,
    /// The version of MLflow whose schema a new database gets
    #[arg(long, value_name = "VERSION", default_value = "3.18.0")]
    schema: Schema,
    /// The folder in which the server keeps artifacts [default: ./mlartifacts]
    #[arg(long, value_name = "DIR")]
    artifacts_destination: Option<String>,
    /// Where clients find the artifacts of new experiments, when not through this server
    #[arg(long, value_name = "URI")]
    default_artifact_root: Option<String>,
    /// Do not pass artifacts through this server
    #[arg(long, overrides_with = "serve_artifacts")]
    no_serve_artifacts: bool,
    /// Pass artifacts through this server (the default)
    #[arg(long)]
    serve_artifacts: bool,
    /// The address to listen on [default: MLFLOW_HOST or 127.0.0.1]
    #[arg(short = 'h', long)]
    host: Option<String>,
    /// The port to listen on; 0 picks a free one [default: MLFLOW_PORT or 5000]
    #[arg(short, long)]
    port: Option<u16>,
    /// Threads that answer requests [default: MLFLOW_WORKERS or one for each processor]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Host names that the server answers to, with `*`, comma-separated
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    allowed_hosts: Vec<String>,
    /// Origins whose pages may change things, comma-separated
    #[arg(long, value_name = "ORIGINS", value_delimiter = ',')]
    cors_allowed_origins: Vec<String>,
    /// Who may frame the pages: SAMEORIGIN (the default), DENY or NONE
    #[arg(long, value_parser = ["SAMEORIGIN", "DENY", "NONE"])]
    x_frame_options: Option<String>,
    /// Answer any host and origin, for a server behind a proxy that checks
    #[arg(long)]
    disable_security_middleware: bool,
    /// Count requests for Prometheus on /metrics. The folder is for servers of several processes; this is one
    #[arg(long, value_name = "DIR")]
    expose_prometheus: Option<PathBuf>,
    #[command(flatten)]
    refused: Refused,
    /// Let users sign in; `basic-auth` is MLflow's name for it
    #[arg(long, value_name = "NAME", value_parser = ["basic-auth"])]
    app_name: Option<String>,
    /// Speak TLS with this certificate, in PEM with those that vouch for it
    #[arg(long, value_name = "FILE", requires = "ssl_keyfile")]
    ssl_certfile: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "ssl_certfile")]
    ssl_keyfile: Option<PathBuf>,
    /// Let users sign in by password or token
    #[arg(long)]
    auth: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let mut options = options(&args, app)?;
    let accounts = (args.auth || args.app_name.is_some()).then(|| Accounts::read(app)).transpose()?;
    options.auth = accounts.as_ref().map(|accounts| accounts.options.clone());
    let host = args.host.clone().or_else(|| project::text(app.env.mlflow_host.as_ref()));
    let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = or_variable(args.port, app.env.mlflow_port.as_ref(), "MLFLOW_PORT")?.unwrap_or(5000);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = or_variable(args.workers, app.env.mlflow_workers.as_ref(), "MLFLOW_WORKERS")? {
        runtime.worker_threads(usize::from(threads).max(1));
    }
    let runtime = runtime.enable_all().build().map_err(|source| Error::Runtime { source })?;
    runtime.block_on(async {
        let service = Service::open(options).await?;
        if let Some(accounts) = &accounts {
            accounts.begin(&service, app, &app.cwd).await?;
        }
        let metrics = args.expose_prometheus.is_some().then(server::metrics::Metrics::new);
        let counted = metrics.clone();
        let pages = async move |request: axum::extract::Request| match &counted {
            Some(metrics) if request.uri().path() == server::metrics::PATH => metrics.page(),
            _ => server::ui::serve(request).await,
        };
        let app_pages = service.guard(axum::Router::new().fallback(pages));
        let router = service.router_with(server::lineage::routes(service.router()));
        let router = router.fallback_service(app_pages);
        let router = server::admission::guard(router);
        let router = metrics.iter().fold(router, |router, metrics| metrics.count(router));
        let certificate = match (&args.ssl_certfile, &args.ssl_keyfile) {
            (Some(chain), Some(key)) => {
                Some(server::Certificate { chain: app.cwd.join(chain), key: app.cwd.join(key) })
            }
            _ => None,
        };
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let started =
            |address| app.out.result(&format!("Matraz listens on {scheme}://{address} (Ctrl-C ends it)"));
        let served = server::serve(router, &host, port, certificate.as_ref(), started).await;
        service.close().await;
        Ok(served.map(|()| Exit::OK)?)
    })
}

/// The database that was asked for, or that of the environment or the project; with the folder that relative places are
/// in, and the project's settings.
pub fn database(asked: Option<&str>, app: &App) -> Result<(StoreUri, PathBuf, Settings), Failure> {
    let (base, settings) = match (app.grammar, project::root(&app.cwd)) {
        (Grammar::Matraz, Some(root)) => {
            let settings = Settings::load(&root)?.unwrap_or_default();
            (root, settings)
        }
        _ => (app.cwd.clone(), Settings::default()),
    };
    let asked = asked.map(str::to_owned);
    let store = match asked.or_else(|| project::text(app.env.mlflow_backend_store_uri.as_ref())) {
        Some(uri) => store(&uri, &app.cwd)?,
        None => {
            let configured = settings.tracking.as_ref().and_then(|tracking| tracking.uri.as_deref());
            store(configured.unwrap_or_else(|| tracker::default_store(&base)), &base)?
        }
    };
    Ok((store, base, settings))
}

fn options(args: &Args, app: &App) -> Result<ServiceOptions, Failure> {
    let text =
        |variable: &Option<std::ffi::OsString>| variable.as_ref().map(|v| v.to_string_lossy().into_owned());
    let asked = args.backend_store_uri.clone().or_else(|| text(&app.env.mlflow_backend_store_uri));
    args.refused.check(asked.as_deref(), app)?;
    let (store, base, settings) = database(asked.as_deref(), app)?;
    let configured = settings.tracking.clone().unwrap_or_default();
    let asked = args.artifacts_destination.clone().or_else(|| text(&app.env.mlflow_artifacts_destination));
    let destination = match asked {
        Some(place) => folder(&place, &app.cwd)?,
        None => base.join(configured.artifacts.as_deref().unwrap_or(tracker::DEFAULT_ARTIFACTS)),
    };
    let mut options = ServiceOptions::new(store, destination);
    options.new_head = args.schema.head();
    let variable_says_no = text(&app.env.mlflow_serve_artifacts).is_some_and(|value| is_no(&value));
    if args.no_serve_artifacts || (variable_says_no && !args.serve_artifacts) {
        options.artifacts_destination = None;
        options.artifact_root = base.join("mlruns").display().to_string();
    }
    let root = args.default_artifact_root.clone().or_else(|| text(&app.env.mlflow_default_artifact_root));
    if let Some(root) = root {
        options.artifact_root = root;
    }
    let listed = |given: &[String], variable| {
        let listed = text(variable).map(|v| v.split(',').map(|part| part.trim().to_owned()).collect());
        if given.is_empty() { listed.unwrap_or_default() } else { given.to_vec() }
    };
    options.webhooks = server_variables::webhooks(app)?;
    options.pool = server_variables::pool(app)?;
    options.graphql_limits = server_variables::graphql_limits(app)?;
    let disabled =
        text(&app.env.mlflow_server_disable_security_middleware).is_some_and(|value| !is_no(&value));
    options.security.enabled = !(args.disable_security_middleware || disabled);
    options.security.allowed_hosts = listed(&args.allowed_hosts, &app.env.mlflow_server_allowed_hosts);
    options.security.allowed_origins =
        listed(&args.cors_allowed_origins, &app.env.mlflow_server_cors_allowed_origins);
    let frames = args.x_frame_options.clone().or_else(|| text(&app.env.mlflow_server_x_frame_options));
    let frames = frames.unwrap_or_else(|| "SAMEORIGIN".to_owned()).to_uppercase();
    options.security.x_frame_options = Some(frames).filter(|who| who != "NONE");
    Ok(options)
}

/// The database that a URI names.
pub fn store(uri: &str, base: &Path) -> Result<StoreUri, Failure> {
    if uri.starts_with("http://") || uri.starts_with("https://") {
        let hint = format!("open {uri} in a browser; it has its own web app");
        let message =
            format!("the runs are in the tracking server at {uri}, not in a database of this machine");
        return Err(CliError::Usage { message, hint: Some(hint) }.into());
    }
    Ok(StoreUri::parse(uri, base)?)
}

/// The folder that an artifact destination names.
pub fn folder(place: &str, base: &Path) -> Result<PathBuf, Failure> {
    let path = place.strip_prefix("file://").unwrap_or(place);
    match path.split_once("://") {
        Some((scheme, _)) => {
            let message = format!("artifacts in `{scheme}://` stores are not supported yet");
            Err(CliError::Usage { message, hint: Some("give a folder".into()) }.into())
        }
        None => Ok(base.join(path)),
    }
}
