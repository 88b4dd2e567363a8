//! `dvc exp list`, `matraz exp list`

use matraz_base::{Failure, Kind};
use matraz_data::experiment::list;
use serde_json::json;

use super::exp::Selection;
use super::project::open_to_read;
use crate::app::App;
use crate::cli::{CliError, only_in_matraz};
use crate::exit::Exit;

/// List experiments, here or in another repository
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The other repository: a name of git's remotes, or an address
    git_remote: Option<String>,
    #[command(flatten)]
    selection: Selection,
    /// Names alone
    #[arg(long, alias = "names-only", conflicts_with = "sha_only")]
    name_only: bool,
    /// Commits alone
    #[arg(long, alias = "shas-only")]
    sha_only: bool,
    /// Print JSON (Matraz's own grammar alone)
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    only_in_matraz(app, "--json", args.json)?;
    let remote = args.git_remote.as_deref();
    if args.sha_only && remote.is_some() {
        let message = "--sha-only not supported with git_remote.".to_owned();
        return Err(CliError::Refused { message, kind: Kind::Conflict }.into());
    }
    let repo = open_to_read(app)?;
    let found = list::list(&repo, &args.selection.baselines(), remote)?;
    let names = repo.git.as_ref().map(list::names).transpose()?.unwrap_or_default();
    if args.json {
        let entry = |(baseline, experiments): (&String, &Vec<matraz_data::experiment::Experiment>)| {
            let inner =
                experiments.iter().map(|one| json!({"name": one.reference.name, "commit": one.commit}));
            json!({"baseline": baseline, "name": names.get(baseline), "experiments": inner.collect::<Vec<_>>()})
        };
        app.out.json(&found.iter().map(entry).collect());
        return Ok(Exit::OK);
    }
    for (baseline, experiments) in &found {
        if !(args.name_only || args.sha_only) {
            let short = baseline.get(..7).unwrap_or(baseline);
            app.out.line(&format!("{}:", names.get(baseline).map_or(short, String::as_str)));
        }
        for one in experiments {
            let name = &one.reference.name;
            app.out.line(&match (args.name_only, args.sha_only, remote) {
                (true, ..) => name.clone(),
                (_, true, _) => one.commit.clone(),
                (_, _, None) => format!("\t{} [{name}]", &one.commit[..7]),
                (_, _, Some(_)) => format!("\t{name}"),
            });
        }
    }
    Ok(Exit::OK)
}
