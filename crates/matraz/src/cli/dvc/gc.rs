//! `dvc gc`

use std::io::IsTerminal;
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use matraz_base::lock::Lock;
use matraz_base::{Explain, Failure, Kind, Progress};
use matraz_data::cache::gc::{self, Disposal, Options, Place, Plan, Root};
use matraz_data::cache::projects;
use matraz_data::revisions::Which;
use matraz_data::{Error, Repo};
use matraz_loop::tracker::Target;
use matraz_loop::{Tracker, roots};

use super::project::Project;
use super::repro::ask;
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::names::Grammar;
use crate::project as tracking;

/// Remove objects that nothing uses from the cache, and from a remote if asked
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Keep what the workspace uses; it is always kept
    #[arg(short, long)]
    workspace: bool,
    /// Keep what this commit uses, too
    #[arg(long, value_name = "COMMIT")]
    rev: Option<String>,
    /// Keep what the last N commits before each branch or `--rev` use, too [default: 1]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    num: Option<i64>,
    /// Keep what the tips of all branches use, too
    #[arg(short, long)]
    all_branches: bool,
    /// Keep what all tags use, too
    #[arg(short = 'T', long)]
    all_tags: bool,
    /// Keep what all commits use, too
    #[arg(short = 'A', long)]
    all_commits: bool,
    /// Keep what commits of this day and later use, too
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<String>,
    /// Keep what all experiments use, too
    #[arg(long)]
    all_experiments: bool,
    /// Keep only what the remote does not have
    #[arg(long)]
    not_in_remote: bool,
    /// Clean the remote, too
    #[arg(short, long)]
    cloud: bool,
    /// The remote [default: that of the settings]
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Leave out commits that cannot be read
    #[arg(long)]
    skip_failed: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Threads [default: one per processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Keep what these projects use, too: for caches and remotes that are shared
    #[arg(short, long, value_name = "DIR", num_args = 0..)]
    pub projects: Vec<String>,
    /// Only say what would be removed
    #[arg(long)]
    pub dry: bool,
}

/// What to do about garbage, found and agreed to.
pub struct Agreed {
    /// The project, locked unless nothing is to be removed.
    pub project: Project,
    pub plan: Plan,
    _others: Vec<(Repo, Option<Lock>)>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let Some(agreed) = prepare(&args, false, false, app)? else {
        if !std::io::stdin().is_terminal() {
            app.out.line("Are you sure you want to proceed? [y/n]: ");
        }
        return Ok(Exit::NO);
    };
    if !args.dry {
        gc::apply(&agreed.project.repo, &agreed.plan, Disposal::Delete, &app.out, &app.interrupt)?;
    }
    for sweep in &agreed.plan.sweeps {
        if args.dry {
            for doomed in &sweep.doomed {
                app.out.line(&format!("Removing {}", doomed.path.display()));
            }
        }
        let number = sweep.doomed.len();
        let cache = |legacy| if legacy { "legacy" } else { "repo" };
        app.out.line(&match (&sweep.place, number) {
            (Place::Cache { legacy }, 0) => format!("No unused '{}' cache to remove.", cache(*legacy)),
            (Place::Cache { legacy }, _) => {
                format!("Removed {number} objects from {} cache.", cache(*legacy))
            }
            (Place::Remote { .. }, 0) => "No unused cache to remove from remote.".into(),
            (Place::Remote { .. }, _) => format!("Removed {number} objects from remote."),
        });
    }
    Ok(Exit::OK)
}

/// Checks the options, asks the user, and looks for garbage. `None` when the answer was no.
///
/// `runs` says whether what only runs need is kept; what model versions need is kept in any case.
pub fn prepare(args: &Args, owners: bool, runs: bool, app: &App) -> Result<Option<Agreed>, Failure> {
    let mut options = args.options(owners)?;
    let project = if args.dry { Project::to_read(app)? } else { Project::open(app)? };
    let project = project.with_threads(args.jobs);
    let repo = &project.repo;
    app.out.warn(&args.announcement(&app.cwd));
    if !args.force && !args.dry && !ask(app, "Are you sure you want to proceed?") {
        return Ok(None);
    }
    let mut others = Vec::new();
    for folder in &args.projects {
        let folder = app.cwd.join(folder);
        if !folder.is_dir() {
            let message = format!("directory '{}' does not exist", folder.display());
            return Err(CliError::Refused { message, kind: Kind::Outside }.into());
        }
        let other = Repo::open(&folder, &app.places())?;
        if other.root != repo.root
            && others.iter().all(|(known, _): &(Repo, Option<Lock>)| known.root != other.root)
        {
            let lock = match args.dry {
                true => None,
                false => Some(other.lock(&app.out, app.interrupt.flag())?),
            };
            others.push((other, lock));
        }
    }
    options.roots = roots(repo, runs, app)?;
    let accept = |folder: &Path| {
        let question = format!(
            "Missing cache for directory '{}'. Cache for files inside will be lost. Would you like to continue? Use \
             '-f' to force.",
            folder.display()
        );
        args.force || args.dry || ask(app, &question)
    };
    let projects: Vec<&Repo> = others.iter().map(|(other, _)| other).collect();
    let plan =
        gc::plan(repo, &projects, &options, &accept, &app.out, &app.interrupt).map_err(without_remote)?;
    Ok(Some(Agreed { project, plan, _others: others }))
}

/// What is needed besides what the project's workspace and commits use. `dvc gc` keeps the data behind model versions where
/// `matraz.yaml` configures tracking, and otherwise removes what DVC removes.
fn roots(repo: &Repo, runs: bool, app: &App) -> Result<Vec<Root>, Failure> {
    let own = match app.grammar {
        Grammar::Dvc => tracking::Project::tracked(app, &repo.root)?,
        _ => Some(tracking::Project::at(app, &repo.root)?),
    };
    let mut stores: Vec<Target> = own.map(|project| project.target).into_iter().collect();
    let mut found = Vec::new();
    if app.grammar != Grammar::Dvc {
        found.extend(projects::roots(repo, &app.out, &app.interrupt)?);
        for other in projects::others(repo)? {
            stores.push(tracking::Project::at(app, &other.root)?.target);
        }
    }
    let mut seen = Vec::new();
    for target in stores {
        let address = target.address();
        if target.exists() && !seen.contains(&address) {
            seen.push(address);
            found.extend(roots::collect(&Tracker::open_existing(target)?, runs)?);
        }
    }
    Ok(found)
}

/// A remote that is not there is a fault of the settings here, where other commands of DVC take it for a failure.
fn without_remote(error: Error) -> Failure {
    match error {
        Error::NoRemote { .. } | Error::NoSuchRemote { .. } => {
            let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
            CliError::Refused { message: format!("{error}{hint}"), kind: Kind::Settings }.into()
        }
        other => other.into(),
    }
}

impl Args {
    fn options(&self, owners: bool) -> Result<Options, CliError> {
        let refused =
            |message: &str| Err(CliError::Refused { message: message.into(), kind: Kind::Conflict });
        if self.not_in_remote && self.cloud {
            return refused("`--not-in-remote` and `--cloud` are mutually exclusive");
        }
        let scoped = self.workspace
            || self.all_branches
            || self.all_tags
            || self.all_commits
            || self.all_experiments
            || self.date.is_some()
            || self.rev.is_some();
        if !scoped && self.num.is_none_or(|num| num == 0) {
            return refused(
                "Either of `-w|--workspace`, `-a|--all-branches`, `-T|--all-tags` `--all-experiments`, \
                 `--all-commits`, `--date` or `--rev` needs to be set.",
            );
        }
        if self.num.is_some_and(|num| num != 0) && self.rev.is_none() && !self.all_branches {
            return refused("`--num` can only be used alongside `--rev` or `--all-branches`");
        }
        let which = Which {
            branches: self.all_branches,
            tags: self.all_tags,
            commits: self.all_commits,
            experiments: self.all_experiments,
            revision: self.rev.clone(),
            number: self.num.filter(|num| *num != 0),
            since: self.date.as_deref().map(start_of_day).transpose()?,
            ..Which::default()
        };
        Ok(Options {
            which,
            cloud: self.cloud,
            not_in_remote: self.not_in_remote,
            remote: self.remote.clone(),
            skip_failed: self.skip_failed,
            owners,
            roots: Vec::new(),
        })
    }

    /// What is going to happen, in DVC's words.
    fn announcement(&self, cwd: &Path) -> String {
        let mut text = "This will remove all cache except items used in the workspace".to_owned();
        let num = self.num.filter(|num| *num != 0);
        if self.all_commits {
            text.push_str(" and all git commits");
        } else {
            let branches = match num.or(self.rev.as_ref().map(|_| 1)) {
                Some(num) => format!(" and last {num} commits from all git branches"),
                None => " and all git branches".into(),
            };
            match (self.all_branches, self.all_tags) {
                (true, true) if branches.ends_with("git branches") && num.is_none() && self.rev.is_none() => {
                    text.push_str(" and all git branches and tags");
                }
                (true, true) => text.push_str(&(branches + " and all git tags")),
                (true, false) => text.push_str(&branches),
                (false, true) => text.push_str(" and all git tags"),
                (false, false) => {}
            }
            if let Some(date) = &self.date {
                text.push_str(&format!(" and all git commits before date {date}"));
            }
            if let Some(rev) = &self.rev {
                text.push_str(&format!(" and last {} commits from {rev}", num.unwrap_or(1)));
            }
        }
        if self.all_experiments {
            text.push_str(" and all experiments");
        }
        if self.not_in_remote {
            text.push_str(" that are not present in the DVC remote");
        }
        if self.projects.is_empty() {
            return text + " of the current repo.";
        }
        text.push_str(" of the current and the following repos:");
        for folder in &self.projects {
            text.push_str(&format!("\n  - {}", cwd.join(folder).display()));
        }
        text
    }
}

/// The first second of a day here.
fn start_of_day(text: &str) -> Result<i64, CliError> {
    let parsed = Date::strptime("%Y-%m-%d", text).and_then(|day| day.to_zoned(TimeZone::system()));
    parsed.map(|start| start.timestamp().as_second()).map_err(|_| CliError::Refused {
        message: format!("'{text}' is not a day of the form YYYY-MM-DD"),
        kind: Kind::Conflict,
    })
}
