//! `matraz gate`

use matraz_base::{Explain, Failure, Kind, Progress};
use matraz_loop::gate;
use matraz_loop::run::Runs;
use matraz_ship::gate::{Report, Rule, Verdict};
use serde_json::json;

use crate::app::App;
use crate::cli::table::{self, figure, numbers, words};
use crate::exit::Exit;
use crate::project::Project;

/// Judge a run by the rules of matraz.yaml: exit 0 pass, 1 fail, 2 cannot tell
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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    let asked: Vec<Rule> = args.rules.iter().map(|text| Rule::parse(text)).collect::<Result<_, _>>()?;
    let rules = if asked.is_empty() { gate::rules(&project.settings)? } else { &asked };
    let tracker = project.tracker()?;
    let experiment = project.experiment(app, args.experiment.as_deref());
    let run = Runs::existing(&tracker, &experiment)?.find_or_latest(args.run.as_deref())?;
    let report = gate::judge(&run, rules);
    if asked.is_empty() {
        match gate::keep(&tracker, &run, &report) {
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
    } else {
        app.out.result(&rendered(&report, &run.name));
    }
    Ok(match report.verdict {
        Verdict::Pass => Exit::OK,
        Verdict::Fail => Exit::NO,
        Verdict::Unknown => Exit(2),
    })
}

/// The rules with their verdicts, and the sum.
pub fn rendered(report: &Report, run: &str) -> String {
    let columns = [words("gate"), numbers("value"), words("verdict"), words("reason")];
    let rows: Vec<Vec<String>> = report
        .rules
        .iter()
        .map(|row| {
            let value = row.value.map_or_else(|| "-".into(), figure);
            vec![row.rule.clone(), value, row.verdict.word().into(), row.reason.clone()]
        })
        .collect();
    let sum = match report.verdict {
        Verdict::Pass => "passes the gate",
        Verdict::Fail => "does not pass the gate",
        Verdict::Unknown => "cannot be judged",
    };
    format!("{}\n\n{run} {sum}", table::table(&columns, &rows))
}
