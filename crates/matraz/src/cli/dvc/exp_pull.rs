//! `dvc exp pull`, `matraz exp pull`

use matraz_base::{Failure, Progress};
use matraz_data::Error;
use matraz_data::experiment::transfer;

use super::exp::quoted;
use super::exp_push::Travel;
use super::project::{Project, warn_of_corrupted};
use super::push::{warn_of_failed, warn_of_missing};
use crate::app::App;
use crate::exit::Exit;

/// Bring experiments and their data from another git repository
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    travel: Travel,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let args = args.travel;
    let project = Project::open(app)?.with_threads(args.jobs);
    let report = transfer::pull_references(&project.repo, &args.request())?;
    if !report.diverged.is_empty() {
        let names: Vec<String> = report.diverged.iter().map(|one| one.reference.name.clone()).collect();
        app.out.warn(&format!(
            "Local experiment {} has diverged from remote experiment with the same name. To override the local experiment \
             re-run with '--force'.",
            quoted(&names)
        ));
    }
    let mut failure = None;
    if !args.no_cache {
        let data = args.data();
        let got = transfer::pull_data(&project.repo, &report, &data, &app.cwd, &app.out, &app.interrupt);
        match got {
            Ok(got) => {
                warn_of_corrupted(app, &got.corrupted);
                warn_of_missing(app, got.missing.iter().map(|object| object.digest.to_string()));
                warn_of_failed(app, &got.failed);
                let failed = got.failed.len() + got.rejected + got.lost;
                failure = (failed > 0).then_some(Error::TransferFailed { count: failed, verb: "download" });
            }
            Err(Error::NoRemote { .. }) => {
                app.out.warn("The data were not brought: no remote for data is set.");
            }
            Err(error) => failure = Some(error),
        }
    }
    if let Some(error) = failure {
        return Err(error.into());
    }
    let names: Vec<String> = report.done.iter().map(|one| one.reference.name.clone()).collect();
    app.out.line(&match names.is_empty() {
        true => "No experiments to pull.".to_owned(),
        false => format!("Pulled experiment {} from Git remote '{}'.", quoted(&names), args.git_remote),
    });
    if args.no_cache {
        app.out.line(
            "To pull cached outputs for this experiment from DVC remote storage, re-run this command without '--no-cache'.",
        );
    }
    Ok(Exit::OK)
}
