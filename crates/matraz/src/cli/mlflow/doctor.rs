//! `mlflow doctor`

use matraz_base::Failure;
use serde_json::json;

use super::store::Store;
use crate::app::App;
use crate::exit::Exit;
use crate::names::MLFLOW_VERSION;
use crate::project::Project;

/// Print what helps to find out what is wrong: versions, the tracking store and whether it answers, the environment
///
/// Values of variables that hold secrets are never printed.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Mask the values of all environment variables
    #[arg(long)]
    mask_envs: bool,
}

pub fn run(args: &Args, app: &App) -> Exit {
    let variables: Vec<(String, String)> = crate::env::mlflow_variables()
        .into_iter()
        .map(|(name, value)| {
            let is_secret = ["PASSWORD", "TOKEN", "SECRET", "KEY"].iter().any(|word| name.contains(word));
            let shown = if args.mask_envs || is_secret { "***".to_owned() } else { value };
            (name, shown)
        })
        .collect();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/version").unwrap_or_default();
    let program = std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default();
    let (address, state) = tracking(app);
    let facts = [
        ("System information", format!("{} {}", capital(std::env::consts::OS), kernel.trim())),
        ("Matraz version", env!("CARGO_PKG_VERSION").to_owned()),
        ("MLflow version", MLFLOW_VERSION.to_owned()),
        ("Program location", program),
        ("Tracking URI", address.clone()),
        ("Registry URI", address),
        ("Tracking store", state),
    ];
    for (name, value) in facts {
        app.out.result(&format!("{name}: {value}"));
    }
    if !variables.is_empty() {
        app.out.result("MLflow environment variables: ");
        for (name, value) in &variables {
            app.out.result(&format!("  {name}: {}", value));
        }
    }
    Exit::OK
}

/// The address of the tracking store and whether it answers. Nothing is made.
fn tracking(app: &App) -> (String, String) {
    let project = match Project::here(app) {
        Ok(project) => project,
        Err(Failure(error)) => return ("?".into(), error.to_string()),
    };
    let address = project.target.address();
    if !project.target.exists() {
        return (address, "not there yet".into());
    }
    let asked = Store::open(app, false)
        .and_then(|store| store.post("experiments/search", &json!({"max_results": 1, "view_type": "ALL"})));
    match asked {
        Ok(_) => (address, "answers".into()),
        Err(Failure(error)) => (address, error.to_string()),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
