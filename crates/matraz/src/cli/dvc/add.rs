//! `dvc add`, `matraz add`

use std::path::PathBuf;

use matraz_base::{Failure, Kind};
use matraz_data::add::{self, Options};
use matraz_data::target;

use super::project::{Project, say_how_to_track, warn_of_corrupted};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;

/// Track files or folders: a `.dvc` file beside them, their content in the cache
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files and folders
    #[arg(required = true)]
    targets: Vec<String>,
    /// Write the `.dvc` files and leave the cache alone
    #[arg(long)]
    no_commit: bool,
    /// Targets are patterns: `*`, `?`, `[…]`, `**`
    #[arg(long)]
    glob: bool,
    /// Copy the target to this path, and track that
    #[arg(short, long, value_name = "PATH")]
    out: Option<String>,
    /// Send the content to a remote instead of the cache
    #[arg(long)]
    to_remote: bool,
    /// The remote for `--to-remote`
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Threads for `--to-remote`
    #[arg(long, value_name = "N")]
    remote_jobs: Option<usize>,
    /// Replace a file or folder that is in the way of `--out`
    #[arg(short, long)]
    force: bool,
    /// Leave the files as they are even when the settings ask for links
    #[arg(long)]
    no_relink: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    args.check()?;
    let project = Project::open(app)?;
    let mut repo = project.repo.with_threads(args.remote_jobs);
    let repo = &mut repo;
    let targets = if args.glob { target::expand(&args.targets, &app.cwd)? } else { args.targets.clone() };
    let report = if args.out.is_some() || args.to_remote {
        let transfer = add::Transfer {
            source: PathBuf::from(&targets[0]),
            out: args.out.clone(),
            to_remote: args.to_remote,
            remote: args.remote.clone(),
            force: args.force,
        };
        add::transfer(repo, &transfer, &app.cwd, &app.out, &app.interrupt)?
    } else {
        let options = Options { no_commit: args.no_commit, no_relink: args.no_relink };
        add::add(repo, &targets, &options, &app.cwd, &app.out, &app.interrupt)?
    };
    warn_of_corrupted(app, &report.corrupted);
    say_how_to_track(app, repo, &report.changed);
    match report.failure {
        Some(error) => Err(error.into()),
        None => Ok(Exit::OK),
    }
}

impl Args {
    fn check(&self) -> Result<(), CliError> {
        let moves = self.to_remote || self.out.is_some();
        let with = if self.to_remote { "--to-remote" } else { "--out" };
        let faults = [
            (moves && self.targets.len() != 1, format!("several targets cannot be used with {with}")),
            (moves && self.glob, format!("--glob cannot be used with {with}")),
            (moves && self.no_commit, format!("--no-commit cannot be used with {with}")),
            (!moves && self.remote.is_some(), "--remote cannot be used without --to-remote".to_owned()),
            (
                !moves && self.remote_jobs.is_some(),
                "--remote-jobs cannot be used without --to-remote".to_owned(),
            ),
        ];
        match faults.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, message)) => Err(CliError::Refused { message, kind: Kind::Conflict }),
            None => Ok(()),
        }
    }
}
