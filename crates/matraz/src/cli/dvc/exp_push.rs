//! `dvc exp push`, `matraz exp push`

use matraz_base::{Failure, Progress};
use matraz_data::experiment::Experiment;
use matraz_data::experiment::run::Finished;
use matraz_data::experiment::transfer::{self, Data, Request};

use matraz_data::{Error, Repo};

use super::exp::{Selection, joined};
use super::project::{Project, summary, warn_of_corrupted};
use super::push::{warn_of_failed, warn_of_missing};
use crate::app::App;
use crate::exit::Exit;
use crate::project::text;

/// Send experiments and their data to another git repository
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    travel: Travel,
}

/// What travels between two git repositories, and how: the same for both directions.
#[derive(clap::Args, Debug)]
pub struct Travel {
    /// The other repository: a name of git's remotes, or an address
    pub git_remote: String,
    /// Experiments [default: all that started from HEAD]
    experiment: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    /// Replace others of the same name
    #[arg(short, long)]
    force: bool,
    /// Without data
    #[arg(long)]
    pub no_cache: bool,
    /// The remote of data [default: that of the settings]
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Threads [default: one per processor]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
    /// The run cache too
    #[arg(long, overrides_with = "no_run_cache")]
    run_cache: bool,
    /// Not the run cache (the default)
    #[arg(long, hide = true)]
    no_run_cache: bool,
}

impl Travel {
    /// The experiments that are meant.
    pub fn request(&self) -> Request {
        Request {
            git_remote: self.git_remote.clone(),
            names: self.experiment.clone(),
            baselines: self.selection.baselines(),
            force: self.force,
        }
    }

    /// How their data travel.
    pub fn data(&self) -> Data {
        Data { remote: self.remote.clone(), run_cache: self.run_cache && !self.no_run_cache }
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let args = args.travel;
    let project = Project::open(app)?.with_threads(args.jobs);
    let report = transfer::push_references(&project.repo, &args.request())?;
    let mut uploaded = 0;
    let mut failure = None;
    if !args.no_cache {
        let data = args.data();
        let sent = transfer::push_data(&project.repo, &report, &data, &app.cwd, &app.out, &app.interrupt);
        match sent {
            Ok(sent) => {
                warn_of_corrupted(app, &sent.corrupted);
                warn_of_missing(app, sent.missing.iter().map(|object| object.digest.to_string()));
                warn_of_failed(app, &sent.failed);
                let failed = sent.failed.len() + sent.corrupted.len();
                failure = (failed > 0).then_some(Error::TransferFailed { count: failed, verb: "upload" });
                uploaded = sent.pushed as u64;
            }
            // Who has no place for data shares the commits alone.
            Err(Error::NoRemote { .. }) => {
                app.out.warn("The data were not sent: no remote for data is set.");
            }
            Err(error) => failure = Some(error),
        }
    }
    tell(&report, &args.git_remote, app);
    if let Some(summary) = summary(&[("uploaded", uploaded)]) {
        app.out.line(&summary);
    }
    if args.no_cache {
        app.out.line(
            "To push cached outputs for this experiment to DVC remote storage, re-run this command without '--no-cache'.",
        );
    }
    failure.map_or(Ok(Exit::OK), |error| Err(error.into()))
}

/// Sends a finished experiment and its data where the settings ask for it. What goes wrong costs a warning: the experiment
/// is there.
pub fn auto_push(app: &App, repo: &Repo, finished: &Finished) {
    let wanted = match text(app.env.dvc_exp_auto_push.as_ref()) {
        Some(word) => ["1", "y", "yes", "true"].contains(&word.to_lowercase().as_str()),
        None => repo.config.flag("exp", "auto_push", false),
    };
    if !wanted {
        return;
    }
    let named = text(app.env.dvc_exp_git_remote.as_ref()).or_else(|| repo.config.get("exp", "git_remote"));
    let git_remote = named.unwrap_or_else(|| "origin".into());
    app.out.line(&format!("Pushing experiment to '{git_remote}'. Cancel with CTRL+C."));
    let names = vec![finished.start.reference().path()];
    let request = Request { git_remote: git_remote.clone(), names, ..Request::default() };
    let data = Data { remote: None, run_cache: true };
    let sent = transfer::push_references(repo, &request).and_then(|report| {
        transfer::push_data(repo, &report, &data, &app.cwd, &app.out, &app.interrupt).map(drop)
    });
    if let Err(error) = sent {
        app.out.warn(&format!(
            "Something went wrong while auto pushing experiment to the remote '{git_remote}': {error}"
        ));
    }
}

fn tell(report: &transfer::Report, remote: &str, app: &App) {
    let names =
        |some: &[Experiment]| joined(&some.iter().map(|one| one.reference.name.clone()).collect::<Vec<_>>());
    if !report.diverged.is_empty() {
        app.out.error(&format!(
            "Local experiment {} has diverged from remote experiment with the same name.\n\
             To override the remote experiment re-run with '--force'.",
            names(&report.diverged)
        ));
    }
    if !report.up_to_date.is_empty() {
        let verb = if report.up_to_date.len() > 1 { "are" } else { "is" };
        let names = names(&report.up_to_date);
        app.out.line(&format!("Experiment {names} {verb} up to date on Git remote '{remote}'."));
    }
    if !report.done.is_empty() {
        app.out.line(&format!("Pushed experiment {} to Git remote '{remote}'.", names(&report.done)));
    }
    if report.up_to_date.is_empty() && report.done.is_empty() {
        app.out.line("No experiments to push.");
    }
}
