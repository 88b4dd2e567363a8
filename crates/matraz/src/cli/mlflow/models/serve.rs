//! `mlflow models serve`, `matraz models serve`

use std::sync::Arc;
use std::time::Duration;

use matraz_base::Failure;
use matraz_loop::Error;
use matraz_serve::scoring::{Options, Scorer, router_with};
use matraz_serve::worker::Pool;

use super::python::{Environment, Runner};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::project::text;
use crate::server;

/// Answer MLflow's scoring protocol over HTTP: `POST /invocations`
///
/// ONNX models run inside this program, and so do decision trees and forests of scikit-learn that were saved as pickles
/// with a signature, unless `--env-manager` asks for an environment. For all others Python processes in the model's
/// environment answer: they are started again when they end, and end with this program.
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// The model: models:/NAME@ALIAS, models:/NAME/VERSION, models:/MODEL_ID, runs:/RUN_ID/PATH or a folder
    #[arg(short, long, value_name = "URI")]
    model_uri: String,
    /// The address to listen on [default: MLFLOW_HOST or 127.0.0.1]
    #[arg(short = 'h', long)]
    host: Option<String>,
    /// The port to listen on; 0 picks a free one [default: MLFLOW_PORT or 5000]
    #[arg(short, long)]
    port: Option<u16>,
    /// Seconds before a request is given up [default: MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT or 60]
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// Python processes of the model [default: MLFLOW_MODELS_WORKERS or 1]; for a model that runs inside this
    /// program, how many predictions run at once [default: one for each processor]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    #[command(flatten)]
    environment: Environment,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

pub fn run(args: &Args, app: &App) -> Result<Exit, Failure> {
    let downloads = super::downloads()?;
    let found = super::find(&args.model_uri, downloads.path(), app)?;
    let host = args.host.clone().or_else(|| text(app.env.mlflow_host.as_ref()));
    let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = or_variable(args.port, app.env.mlflow_port.as_ref(), "MLFLOW_PORT")?.unwrap_or(5000);
    let workers = or_variable(args.workers, app.env.mlflow_models_workers.as_ref(), "MLFLOW_MODELS_WORKERS")?;
    let mut options = Options::default();
    let variable = app.env.mlflow_scoring_server_request_timeout.as_ref();
    match or_variable(args.timeout, variable, "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT")? {
        Some(0) | None => {}
        Some(seconds) => options.timeout = Duration::from_secs(seconds),
    }
    if let Some(workers) = workers {
        options.parallel = usize::from(workers).max(1);
    }
    let name = match &found.version {
        Some(version) => format!("{} (version {} of `{}`)", args.model_uri, version.version, version.model),
        None => args.model_uri.clone(),
    };
    let started = |address| {
        app.out.result(&format!("{name} answers POST http://{address}/invocations (Ctrl-C ends it)"));
    };
    let runner = args.environment.runner(&found.folder, app)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    runtime.block_on(async {
        match runner {
            Runner::Native(model) => {
                let router = router_with(Scorer::Native(Arc::new(*model)), options);
                Ok::<_, Failure>(server::serve(router, &host, port, None, started).await?)
            }
            Runner::Python(worker) => {
                let pool = Arc::new(Pool::start(worker, usize::from(workers.unwrap_or(1)).max(1)).await?);
                let router = router_with(Scorer::Python(Arc::clone(&pool)), options);
                let served = server::serve(router, &host, port, None, started).await;
                pool.close().await;
                Ok(served?)
            }
        }
    })?;
    Ok(Exit::OK)
}

/// The value of an option, or of the variable that stands for it.
pub fn or_variable<T: std::str::FromStr>(
    given: Option<T>,
    variable: Option<&std::ffi::OsString>,
    name: &str,
) -> Result<Option<T>, CliError> {
    match (given, text(variable)) {
        (Some(value), _) => Ok(Some(value)),
        (None, None) => Ok(None),
        (None, Some(text)) => match text.trim().parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => {
                let message = format!("{name} is `{text}`, which is no number that fits");
                Err(CliError::Usage { message, hint: None })
            }
        },
    }
}
