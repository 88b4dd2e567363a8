//! `matraz runs gc`

use matraz_base::Failure;
use matraz_loop::Target;
use matraz_track::ServiceOptions;
use matraz_track::gc::Wanted;

use crate::app::App;
use crate::cli::CliError;
use crate::cli::mlflow::gc::{Removal, age};
use crate::exit::Exit;

/// Remove for good what is marked as deleted: runs, logged models, experiments, with their artifacts
///
/// When ids are given only these go. `mlflow gc` takes all other kinds too then.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only say what would go, and how large it is
    #[arg(long)]
    dry_run: bool,
    /// Only what is marked for longer than this: 30d, 2d8h5m20s, 1.5h
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
    /// These runs, comma-separated
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    run_ids: Option<Vec<String>>,
    /// These experiments with all that belongs to them, comma-separated
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    experiment_ids: Option<Vec<String>>,
    /// These logged models, comma-separated
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    logged_model_ids: Option<Vec<String>>,
}

pub fn run(args: Args, target: Target, json: bool, app: &App) -> Result<Exit, Failure> {
    let (store, artifacts) = match target {
        Target::Embedded { store, artifacts, .. } => (store, artifacts),
        Target::Server { url, .. } => {
            let message =
                format!("the runs are behind the server at {url}, and its database is not reached from here");
            let hint = Some("call `mlflow gc --backend-store-uri …` where the database is".into());
            return Err(CliError::Usage { message, hint }.into());
        }
    };
    let removal = Removal {
        options: ServiceOptions::new(store, artifacts),
        server: None,
        wanted: Wanted {
            runs: args.run_ids,
            models: args.logged_model_ids,
            experiments: args.experiment_ids,
            older_than: age(args.older_than.as_deref())?,
            only_named: true,
        },
        dry_run: args.dry_run,
        json,
    };
    removal.run(app)
}
