//! `matraz gate`

use matraz_base::{Explain, Failure, Kind, Progress};
use matraz_loop::gate::{self, Past};
use matraz_loop::model_digest::Digests;
use matraz_loop::run::Runs;
use matraz_ship::gate::{Rule, Verdict};
use serde_json::json;

use super::gate_report;
use crate::app::App;
use crate::exit::Exit;
use crate::project::Project;

/// Judge a run by the rules of matraz.yaml: exit 0 pass, 1 fail, 2 cannot tell
///
/// A rule bounds a metric by a number or by the same metric of another run: `accuracy > 0.8`,
/// `recall.* >= champion - 0.01`, `loss <= merge-base + 2%`, `f1 > @release` with `release` under `baselines`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The run by id, the beginning of it, or name [default: the newest finished pipeline run]
    run: Option<String>,
    /// Judge by this rule instead of those of matraz.yaml: `accuracy > 0.8`; may be given again
    #[arg(short, long = "rule", value_name = "RULE")]
    rules: Vec<String>,
    /// The experiment [default: the project's]
    #[arg(long, value_name = "NAME")]
    experiment: Option<String>,
    /// The branch from which the merge base is counted [default: the main branch]
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print markdown
    #[arg(long, conflicts_with = "json")]
    md: bool,
    /// Print a JUnit test suite
    #[arg(long, conflicts_with_all = ["json", "md"])]
    junit: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    let asked: Vec<Rule> = args.rules.iter().map(|text| Rule::parse(text)).collect::<Result<_, _>>()?;
    let rules = if asked.is_empty() { gate::rules(&project.settings)? } else { &asked };
    let tracker = project.tracker()?;
    let experiment = project.experiment(app, args.experiment.as_deref());
    let run = Runs::existing(&tracker, &experiment)?.find_or_latest(args.run.as_deref())?;
    let repo = project.repo(app);
    let past = Past {
        tracker: &tracker,
        repo: repo.as_ref(),
        settings: &project.settings,
        experiment,
        model: project.settings.model.as_ref().map(|model| model.name.clone()),
        base: args.base,
    };
    let report = gate::judge(&past, &run, rules)?;
    if asked.is_empty() {
        match gate::keep(&past, &run, &report, &mut Digests::new(&tracker)) {
            // A verdict counts also where it cannot be written down.
            Err(error) if error.kind() == Kind::Denied => {
                app.out.warn(&format!("the verdict is not kept with the run: {error}"));
            }
            kept => kept?,
        }
    }
    if args.json {
        let mut answer = json!(report);
        answer["run_id"] = json!(run.id);
        answer["run_name"] = json!(run.name);
        app.out.json(&answer);
    } else if args.junit {
        app.out.result(&gate_report::junit(&report, &run.name));
    } else if args.md {
        app.out.result(&gate_report::markdown(&report, &run.name));
    } else {
        app.out.result(&gate_report::rendered(&report, &run.name));
    }
    Ok(match report.verdict {
        Verdict::Pass => Exit::OK,
        Verdict::Fail => Exit::NO,
        Verdict::Unknown => Exit(2),
    })
}
