//! `matraz logs`

use jiff::Timestamp;
use jiff::tz::TimeZone;
use matraz_base::{Failure, Kind};
use matraz_data::Repo;
use matraz_data::pipeline::logs::{self, Record, Status};
use serde_json::json;

use crate::app::App;
use crate::cli::CliError;
use crate::cli::table::{self, numbers, words};
use crate::exit::Exit;

/// Show what the commands of stages wrote, and how they ended
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A stage: its output [default: the last run of every stage]
    stage: Option<String>,
    /// Go on with the output of a stage that runs, until it ends
    #[arg(short, long, requires = "stage", conflicts_with_all = ["json", "runs"])]
    follow: bool,
    /// List the runs of the stage that are kept, the newest first
    #[arg(long, requires = "stage")]
    runs: bool,
    /// Which of them: 1 is the newest
    #[arg(long, value_name = "N", requires = "stage", conflicts_with = "runs", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    run: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let repo = Repo::open(&app.cwd, &app.places())?;
    let Some(target) = &args.stage else {
        let records = logs::newest(&repo)?;
        list(&records, args.json, "No stage has run here yet; `matraz repro` runs them.", app);
        return Ok(Exit::OK);
    };
    let stage = logs::stage_name(&repo, target, &app.cwd);
    let records = logs::of_stage(&repo, &stage)?;
    if args.runs {
        list(&records, args.json, &format!("The stage `{stage}` has not run here yet."), app);
        return Ok(Exit::OK);
    }
    let Some(record) = records.get(usize::from(args.run) - 1) else {
        let message = match records.len() {
            0 => format!("no run of the stage `{stage}` is kept here; `matraz logs` lists those that are"),
            kept => format!("only {kept} runs of the stage `{stage}` are kept"),
        };
        return Err(CliError::Refused { message, kind: Kind::Missing }.into());
    };
    if args.json {
        let mut bytes = Vec::new();
        logs::read(record, &mut |piece| bytes.extend_from_slice(piece))?;
        let mut object = json!(record);
        object["output"] = json!(String::from_utf8_lossy(&bytes));
        app.out.json(&object);
    } else if args.follow {
        logs::follow(record, &app.interrupt, &mut |piece| app.out.pass(false, piece))?;
    } else {
        logs::read(record, &mut |piece| app.out.pass(false, piece))?;
    }
    Ok(Exit::OK)
}

fn list(records: &[Record], as_json: bool, nothing: &str, app: &App) {
    if as_json {
        return app.out.json(&json!(records));
    }
    if records.is_empty() {
        return app.out.line(nothing);
    }
    let columns = [words("stage"), words("result"), words("started"), numbers("seconds"), numbers("memory")];
    let row = |record: &Record| {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        vec![
            record.stage.clone(),
            result(record),
            when(record.started_at),
            or_none(record.wall_seconds.map(|seconds| format!("{seconds:.2}"))),
            or_none(record.peak_memory.map(|bytes| format!("{:.0} MiB", bytes as f64 / 1_048_576.0))),
        ]
    };
    app.out.result(&table::table(&columns, &records.iter().map(row).collect::<Vec<_>>()));
}

fn result(record: &Record) -> String {
    match (record.status, record.exit_code) {
        (Status::Running, _) => "running".into(),
        (Status::Succeeded, _) => "ok".into(),
        (Status::Failed, Some(code)) if code != 0 => format!("failed, exit code {code}"),
        (Status::Failed, _) => "failed".into(),
        (Status::Interrupted, _) => "interrupted".into(),
        (Status::Lost, _) => "killed with matraz".into(),
    }
}

/// A time in the user's zone.
fn when(milliseconds: u64) -> String {
    let time = i64::try_from(milliseconds).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    time.map_or_else(
        || "-".into(),
        |time| time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
