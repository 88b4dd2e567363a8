//! `dvc check-ignore`, `matraz check-ignore`

use std::io::BufRead;

use matraz_base::{Failure, Kind};
use matraz_data::Repo;
use matraz_data::stage::address::join;
use serde_json::json;

use crate::app::App;
use crate::cli::{CliError, only_in_matraz};
use crate::exit::Exit;
use crate::printer::Volume;

/// Show which paths `.dvcignore` files hide
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The paths
    targets: Vec<String>,
    /// Show the pattern that decides
    #[arg(short, long)]
    details: bool,
    /// Show paths that no pattern matches, too
    #[arg(short, long)]
    non_matching: bool,
    /// Show all patterns that count: there is one a path
    #[arg(short, long, hide = true)]
    all: bool,
    /// Read paths from standard input, one a line
    #[arg(long)]
    stdin: bool,
    /// Print JSON (Matraz's own grammar alone)
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let refused = |message: &str| CliError::Refused { message: message.to_owned(), kind: Kind::Conflict };
    if args.targets.is_empty() && !args.stdin {
        return Err(refused("paths or --stdin are needed").into());
    }
    if args.non_matching && !args.details {
        return Err(refused("--non-matching is only of use with --details").into());
    }
    if args.all && !args.details {
        return Err(refused("--all is only of use with --details").into());
    }
    if args.stdin && !args.targets.is_empty() {
        return Err(refused("paths and --stdin exclude each other").into());
    }
    if app.out.volume() <= Volume::Quiet && args.details {
        return Err(refused("--details and --quiet exclude each other").into());
    }
    only_in_matraz(app, "--json", args.json)?;
    let repo = Repo::open(&app.cwd, &app.places())?;
    let mut any = false;
    let mut rows = Vec::new();
    let mut check = |target: &str| -> Result<(), Failure> {
        let path = join(&app.cwd, target);
        let verdict = repo.ignore().verdict(&path, path.is_dir())?;
        // With details, a pattern that takes the path back in is an answer too.
        any |= verdict.as_ref().is_some_and(|verdict| verdict.ignored || args.details);
        if args.json {
            let (ignored, pattern) = verdict.map_or((false, None), |one| (one.ignored, Some(one.pattern)));
            rows.push(json!({"path": target, "ignored": ignored, "pattern": pattern}));
            return Ok(());
        }
        match (verdict, args.details) {
            (Some(verdict), true) => app.out.result(&format!("{}\t{target}", verdict.pattern)),
            (Some(verdict), false) if verdict.ignored => app.out.line(target),
            (None, true) if args.non_matching => app.out.result(&format!("::\t{target}")),
            _ => {}
        }
        Ok(())
    };
    if args.stdin {
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| refused(&format!("cannot read standard input: {error}")))?;
            check(line.trim_end())?;
        }
    } else {
        args.targets.iter().try_for_each(|target| check(target))?;
    }
    if args.json {
        app.out.json(&rows.into());
    }
    Ok(if any { Exit::OK } else { Exit::NO })
}
