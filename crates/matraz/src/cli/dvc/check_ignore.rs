//! `dvc check-ignore`, `matraz check-ignore`

use std::io::BufRead;

use matraz_base::{Failure, Kind};
use matraz_data::Repo;
use matraz_data::stage::address::join;

use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Show which paths `.dvcignore` files hide
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The paths
    targets: Vec<String>,
    /// Show the pattern that decides
    #[arg(short, long)]
    details: bool,
    /// Show paths that no pattern matches, too
    #[arg(short, long, requires = "details")]
    non_matching: bool,
    /// Read paths from standard input, one a line
    #[arg(long, conflicts_with = "targets")]
    stdin: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let refused = |message: &str| CliError::Refused { message: message.to_owned(), kind: Kind::Conflict };
    if args.targets.is_empty() && !args.stdin {
        return Err(refused("paths or --stdin are needed").into());
    }
    let repo = Repo::open(&app.cwd, &app.places())?;
    let mut any = false;
    let mut check = |target: &str| -> Result<(), Failure> {
        let path = join(&app.cwd, target);
        let verdict = repo.ignore().verdict(&path, path.is_dir())?;
        any |= verdict.as_ref().is_some_and(|verdict| verdict.ignored);
        match (verdict, args.details) {
            (Some(verdict), true) => app.out.result(&format!("{}\t{target}", verdict.pattern)),
            (Some(verdict), false) if verdict.ignored => app.out.result(target),
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
    Ok(if any { Exit::OK } else { Exit::NO })
}
