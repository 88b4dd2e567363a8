//! `matraz rollback`

use matraz_base::Failure;
use matraz_loop::promote::{self, By, CHAMPION};
use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::project::{self, Project};

/// Point an alias of a model back at the version it had before
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The registered model [default: that of matraz.yaml]
    model: Option<String>,
    /// The alias to move
    #[arg(long, default_value = CHAMPION)]
    alias: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    let tracker = project.tracker()?;
    let name = match args.model {
        Some(name) => name,
        None => promote::model(&project.settings)?.name.clone(),
    };
    let by = By { user: project::user(app), force: None };
    let moved = promote::rollback(&tracker, &name, &args.alias, &by)?;
    if args.json {
        app.out.json(&json!(moved));
    } else {
        let from = moved.previous.map_or_else(String::new, |before| format!(" from version {before}"));
        app.out.result(&format!(
            "models:/{}@{} moved back{from} to version {}",
            moved.model, moved.alias, moved.version
        ));
    }
    Ok(Exit::OK)
}
