//! `mlflow gc`, and the removal behind `matraz runs gc`

use indicatif::HumanBytes;
use matraz_base::{Explain, Failure, Kind, Progress};
use matraz_loop::Error;
use matraz_track::client::Client;
use matraz_track::gc::{self, Doomed, Wanted};
use matraz_track::{Service, ServiceOptions};
use serde_json::json;

use super::server::{folder, store};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::names::Grammar;
use crate::project::{remote_options, text};

/// Remove for good what is marked as deleted: artifacts first, then rows
///
/// Runs, logged models and experiments. Of what no ids are given for, everything that is marked goes. With
/// MLFLOW_TRACKING_URI at a server, artifacts behind a server are removed through it.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only what is marked for longer than this: 30d, 2d8h5m20s, 1.5h
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
    /// The database [default: MLFLOW_BACKEND_STORE_URI or sqlite:///mlflow.db]
    #[arg(long, value_name = "URI")]
    backend_store_uri: Option<String>,
    /// The folder in which a server keeps artifacts [default: MLFLOW_ARTIFACTS_DESTINATION or ./mlartifacts]
    #[arg(long, value_name = "DIR")]
    artifacts_destination: Option<String>,
    /// These runs, comma-separated
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    run_ids: Option<Vec<String>>,
    /// These experiments with all that belongs to them, comma-separated
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    experiment_ids: Option<Vec<String>>,
    /// These logged models, comma-separated
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    logged_model_ids: Option<Vec<String>>,
    /// The server through which artifacts are removed [default: MLFLOW_TRACKING_URI]
    #[arg(long, value_name = "URI")]
    tracking_uri: Option<String>,
    /// Refused: there are no jobs
    #[arg(long, hide = true)]
    jobs: bool,
    /// Refused: there are no jobs
    #[arg(long, hide = true)]
    job_ids: Option<String>,
    /// Refused: there are no workspaces
    #[arg(long, hide = true)]
    workspace: Option<String>,
    /// Refused: there are no workspaces
    #[arg(long, hide = true)]
    all_workspaces: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let refused = [
        ("--jobs", args.jobs),
        ("--job-ids", args.job_ids.is_some()),
        ("--workspace", args.workspace.is_some()),
        ("--all-workspaces", args.all_workspaces),
    ];
    if let Some((option, _)) = refused.iter().find(|(_, given)| *given) {
        let message = format!("`{option}` is not supported yet by matraz");
        return Err(CliError::Usage { message, hint: None }.into());
    }
    let database = args.backend_store_uri.or_else(|| text(app.env.mlflow_backend_store_uri.as_ref()));
    let database = store(database.as_deref().unwrap_or(matraz_loop::tracker::DEFAULT_STORE), &app.cwd)?;
    let files = args.artifacts_destination.or_else(|| text(app.env.mlflow_artifacts_destination.as_ref()));
    let files = folder(files.as_deref().unwrap_or(matraz_loop::tracker::DEFAULT_ARTIFACTS), &app.cwd)?;
    let server = args.tracking_uri.or_else(|| text(app.env.mlflow_tracking_uri.as_ref()));
    let server = server.filter(|uri| uri.starts_with("http://") || uri.starts_with("https://"));
    let removal = Removal {
        options: ServiceOptions::new(database, files),
        server: match server {
            Some(url) => Some(Client::remote_with(&url, remote_options(app))?),
            None => None,
        },
        wanted: Wanted {
            runs: args.run_ids,
            models: args.logged_model_ids,
            experiments: args.experiment_ids,
            older_than: age(args.older_than.as_deref())?,
            only_named: false,
        },
        dry_run: false,
        json: false,
    };
    removal.run(app)
}

/// What to remove from where.
pub struct Removal {
    /// The store.
    pub options: ServiceOptions,
    /// The server through which artifacts behind a server are removed; without one they are on this machine.
    pub server: Option<Client>,
    /// What to remove.
    pub wanted: Wanted,
    /// Only say what would go.
    pub dry_run: bool,
    /// Print JSON.
    pub json: bool,
}

/// Does something with the store in the way of these options.
pub fn on_store<T>(
    options: ServiceOptions,
    work: impl AsyncFnOnce(&Service) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    runtime.block_on(async {
        let service = Service::open(options).await?;
        let done = work(&service).await;
        service.close().await;
        done
    })
}

/// The age that an option names, in milliseconds.
pub fn age(given: Option<&str>) -> Result<Option<i64>, CliError> {
    let Some(text) = given else { return Ok(None) };
    gc::age(text).map(Some).ok_or_else(|| CliError::Refused {
        message: format!("`{text}` is no age; write 30d, 8h or 2d8h5m20s"),
        kind: Kind::Failed,
    })
}

impl Removal {
    /// Removes, or says what would be removed.
    pub fn run(self, app: &App) -> Result<Exit, Failure> {
        on_store(self.options.clone(), async |service| self.on(service, app).await)
    }

    /// What would be removed.
    pub async fn plan(&self, service: &Service) -> Result<Vec<Doomed>, matraz_track::Error> {
        let now = jiff::Timestamp::now().as_millisecond();
        gc::plan(&mut service.db().read().await?, &self.wanted, now).await
    }

    async fn on(&self, service: &Service, app: &App) -> Result<Exit, Failure> {
        let plan = self.plan(service).await.map_err(|error| match (app.grammar, error.kind()) {
            // MLflow's programs end with 2 for a faulty command line only.
            (Grammar::Mlflow, Kind::Usage) => {
                CliError::Refused { message: error.to_string(), kind: Kind::Failed }.into()
            }
            _ => Failure::from(error),
        })?;
        if self.dry_run {
            self.show(service, &plan, app);
            return Ok(Exit::OK);
        }
        let mut removed = Vec::new();
        for doomed in plan {
            self.artifacts(service, &doomed, app).await?;
            gc::remove_rows(service, &doomed).await?;
            if !self.json {
                app.out.result(&format!(
                    "{} with ID {} has been permanently deleted.",
                    doomed.kind.title(),
                    doomed.id
                ));
            }
            removed.push(doomed);
        }
        if self.json {
            app.out.json(&json!({ "removed": removed }));
        }
        Ok(Exit::OK)
    }

    async fn artifacts(&self, service: &Service, doomed: &Doomed, app: &App) -> Result<(), Failure> {
        if let (Some(client), Some(path)) = (&self.server, gc::behind_server(doomed)) {
            client.remove_proxied(&path).await?;
            return Ok(());
        }
        let passed_over = match gc::remove_artifacts(service, doomed).await {
            Ok(true) => return Ok(()),
            Ok(false) => "it is not a folder of its own".to_owned(),
            Err(error @ matraz_track::artifact::ArtifactError::UnsupportedScheme { .. }) => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        let place = doomed.artifacts.as_deref().unwrap_or_default();
        app.out.warn(&format!("the artifacts at `{place}` stay: {passed_over}"));
        Ok(())
    }

    /// Says what would be removed.
    pub fn show(&self, service: &Service, plan: &[Doomed], app: &App) {
        let size = |doomed: &Doomed| {
            gc::folder_of(service, doomed).map_or(0, |folder| gc::trash::bytes_below(&folder))
        };
        let sizes: Vec<u64> = plan.iter().map(size).collect();
        if self.json {
            let items: Vec<_> = plan
                .iter()
                .zip(&sizes)
                .map(|(doomed, bytes)| {
                    let mut item = json!(doomed);
                    item["bytes"] = json!(bytes);
                    item
                })
                .collect();
            app.out.json(&json!({ "would_remove": items }));
            return;
        }
        for (doomed, bytes) in plan.iter().zip(&sizes) {
            app.out.result(&format!("{} {}  {}", doomed.kind.title(), doomed.id, HumanBytes(*bytes)));
        }
        let total = HumanBytes(sizes.iter().sum());
        app.out.line(&format!("{} would be removed, {total} of artifacts. Nothing was changed.", plan.len()));
    }
}
