//! `matraz reproduce`

use matraz_base::{Failure, Kind, Progress};
use matraz_loop::reproduce::{self, Missing, Prepared, Report, Verdict};
use matraz_loop::run::{Run, tag};
use serde_json::json;

use crate::app::App;
use crate::cli::dvc::{project as data, repro};
use crate::cli::table::figure;
use crate::exit::Exit;
use crate::project::Project;

/// Make a run again from its commit, its uncommitted changes and its data, and compare
///
/// Exit 0: every output is identical. Exit 1: something differs. Exit 2: not possible, as something is missing.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The run by id, the beginning of it, or name
    run: String,
    /// How far a metric may be off
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0)]
    tolerance: f64,
    /// How many stages may run at the same time
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Keep the folder in which the pipeline ran
    #[arg(long)]
    keep: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::here(app)?;
    let repo = data::open_to_read(app)?;
    let tracker = project.tracker()?;
    let run = reproduce::pipeline_run(&tracker, &args.run)?;
    let folder = repo.state_dir().join("reproduce").join(&run.id);
    let search = app.env.path.as_deref();
    let result = (|| {
        let prepared = reproduce::prepare(&repo, &tracker, &run, &folder, search, &app.out, &app.interrupt)?;
        let ready = match prepared {
            Prepared::Impossible(missing) => return Ok(impossible(&run, missing)),
            Prepared::Ready(ready) => ready,
        };
        for one in &ready.environment {
            let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "none".into());
            app.out.warn(&format!("{} was {}, and is {}", one.what, side(&one.old), side(&one.new)));
        }
        let failed = match repro::again(&ready.targets, args.jobs, &ready.repo, app) {
            Ok(()) => None,
            Err(failure) if failure.0.kind() == Kind::Interrupted => return Err(failure),
            Err(failure) => Some(failure.0.to_string()),
        };
        Ok(reproduce::judge(&repo, &ready, &run, args.tolerance, failed)?)
    })();
    if !args.keep {
        reproduce::tidy_up(&repo, &folder)?;
    }
    let report = result?;
    if args.json {
        app.out.json(&json!(report));
    } else {
        app.out.result(&lines(&report).join("\n"));
        if args.keep && report.verdict != Verdict::Impossible {
            app.out.line(&format!("The folder is kept: {}", folder.display()));
        }
    }
    Ok(Exit(match report.verdict {
        Verdict::Identical => 0,
        Verdict::Different => 1,
        Verdict::Impossible => 2,
    }))
}

fn impossible(run: &Run, missing: Vec<Missing>) -> Report {
    Report {
        run_id: run.id.clone(),
        run_name: run.name.clone(),
        commit: run.tag(tag::COMMIT).map(str::to_owned),
        verdict: Verdict::Impossible,
        missing,
        failed: None,
        environment: Vec::new(),
        data: Vec::new(),
        metrics: Vec::new(),
    }
}

fn lines(report: &Report) -> Vec<String> {
    let name = &report.run_name;
    let mut lines = Vec::new();
    match report.verdict {
        Verdict::Impossible => {
            lines.push(format!("{name} cannot be reproduced. What is missing:"));
            lines.extend(report.missing.iter().map(|one| format!("  {}: {}", one.what, one.why)));
            return lines;
        }
        Verdict::Identical => lines.push(format!("{name} is reproduced: all outputs are identical.")),
        Verdict::Different => lines.push(format!("{name} came out different.")),
    }
    lines.extend(report.failed.iter().map(|why| format!("  it failed this time: {why}")));
    for one in &report.data {
        let (mark, short) =
            (if one.same { "=" } else { "≠" }, |text: &str| text.chars().take(8).collect::<String>());
        let side = if one.made { "made" } else { "read" };
        let found = one.found.as_deref().map_or("nothing".to_owned(), short);
        let state = match one.same {
            true => short(&one.expected),
            false => format!("{} → {found}", short(&one.expected)),
        };
        lines.push(format!("  {mark} {side} {}  {state}", one.path));
        lines.extend(one.how.iter().map(|how| format!("      {how}")));
    }
    for one in report.metrics.iter().filter(|one| !one.same) {
        let found = one.found.map_or("nothing".to_owned(), figure);
        lines.push(format!("  ≠ metric {}  {} → {found}", one.key, figure(one.expected)));
    }
    lines
}
