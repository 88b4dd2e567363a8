//! `matraz promote`

use clap::builder::NonEmptyStringValueParser;
use matraz_base::Failure;
use matraz_loop::gate::Past;
use matraz_loop::promote::{self, By, CHAMPION};
use matraz_loop::run::Runs;
use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::project::{self, Project};

/// Point an alias of the model at a version, if it passes the gate
///
/// Without a version the model of the newest finished pipeline run is taken, and registered first if it is not.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The registered model [default: that of matraz.yaml]
    model: Option<String>,
    /// A version by its number
    #[arg(long, value_name = "N", conflicts_with_all = ["best", "run"])]
    version: Option<String>,
    /// The version whose run has the best value of this metric
    #[arg(long, value_name = "METRIC", conflicts_with = "run")]
    best: Option<String>,
    /// The model of this run, by id, the beginning of it, or name
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// The alias to move
    #[arg(long, default_value = CHAMPION)]
    alias: String,
    /// Pass over a closed gate; needs a reason, which is kept
    #[arg(long, requires = "reason")]
    force: bool,
    /// Why the gate is passed over
    #[arg(long, value_name = "TEXT", requires = "force", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    let tracker = project.tracker()?;
    let name = match &args.model {
        Some(name) => name.clone(),
        None => promote::model(&project.settings)?.name.clone(),
    };
    let version = match (&args.version, &args.best) {
        (Some(number), _) => promote::version(&tracker, &name, number)?,
        (None, Some(metric)) => promote::best_version(&tracker, &name, metric)?,
        (None, None) => {
            let mut model = promote::model(&project.settings)?.clone();
            if name != model.name {
                // A new model comes from `matraz.yaml`, not from a slip of the pen.
                promote::registered(&tracker, &name)?;
                model.name.clone_from(&name);
            }
            let runs = Runs::existing(&tracker, &project.experiment(app, None))?;
            promote::register(&tracker, &runs.find_or_latest(args.run.as_deref())?, &model)?
        }
    };
    let by = By { user: project::user(app), force: args.reason };
    let repo = project.repo(app);
    let past = Past {
        tracker: &tracker,
        repo: repo.as_ref(),
        settings: &project.settings,
        experiment: project.experiment(app, None),
        model: Some(version.model.clone()),
        base: None,
    };
    let moved = promote::promote(&past, &version, &args.alias, &by)?;
    if args.json {
        app.out.json(&json!(moved));
        return Ok(Exit::OK);
    }
    if version.new {
        app.out.line(&format!("registered {} version {}", moved.model, moved.version));
    }
    let gate = match &moved.gate {
        Some(report) => format!(" (gate: {})", report.verdict.word()),
        None => " (no gate)".to_owned(),
    };
    let address = format!("models:/{}@{}", moved.model, moved.alias);
    app.out.result(&match moved.previous {
        Some(before) if before == moved.version => format!("{address} stays at version {before}{gate}"),
        Some(before) => format!("{address} moved from version {before} to version {}{gate}", moved.version),
        None => format!("{address} points at version {} now{gate}", moved.version),
    });
    Ok(Exit::OK)
}
