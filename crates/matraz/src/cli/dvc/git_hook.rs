//! `dvc git-hook`, `matraz git-hook`: what git calls

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use matraz_base::{Failure, Progress, file};
use matraz_data::merge::{self, Conflict, Merged, Sides};
use matraz_data::{Error, Repo};

use crate::app::App;
use crate::exit::Exit;

/// Act for git, which calls this (see `install`)
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    hook: Hook,
}

#[derive(Subcommand, Debug)]
enum Hook {
    /// Show what changed, before a commit
    PreCommit(Words),
    /// Bring the data of a commit into the workspace
    PostCheckout(Words),
    /// Push the data, before a push
    PrePush(Words),
    /// Merge two versions of a `dvc.lock` or `.dvc` file
    MergeDriver(Versions),
}

#[derive(clap::Args, Debug)]
struct Words {
    /// What git or the `pre-commit` tool says
    args: Vec<String>,
}

#[derive(clap::Args, Debug)]
struct Versions {
    /// The file of the common ancestor
    #[arg(long, value_name = "FILE")]
    ancestor: PathBuf,
    /// The file of this side; the result goes here
    #[arg(long, value_name = "FILE")]
    our: PathBuf,
    /// The file of the other side
    #[arg(long, value_name = "FILE")]
    their: PathBuf,
    /// Where the file is in the work tree
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    if let Hook::MergeDriver(versions) = args.hook {
        return merge_driver(&versions, app);
    }
    if let Err(Error::NotInProject { .. }) = Repo::find_root(&app.cwd) {
        return Ok(Exit::OK);
    }
    let command = match args.hook {
        Hook::PostCheckout(words) if !moves_head(&words.args, app) => return Ok(Exit::OK),
        Hook::PostCheckout(_) => "checkout",
        Hook::PrePush(_) => "push",
        _ => "status",
    };
    let command = super::Cli::try_parse_from(["dvc", command])
        .map_err(|error| crate::cli::CliError::Usage { message: error.to_string(), hint: None })?;
    crate::cli::CommandLine::run(command, app)
}

/// Whether a checkout is one of a commit, and not of files nor a step of a rebase.
fn moves_head(words: &[String], app: &App) -> bool {
    // The `pre-commit` tool says by a variable what git says by a word.
    let told = app.env.pre_commit_checkout_type.as_ref().map(|flag| flag.to_string_lossy().into_owned());
    let flag = told.or_else(|| words.get(2).cloned());
    flag.as_deref() == Some("1") && !app.cwd.join(".git/rebase-merge").is_dir()
}

fn merge_driver(versions: &Versions, app: &App) -> Result<Exit, Failure> {
    let read = |path: &Path| {
        let path = app.cwd.join(path);
        fs::read_to_string(&path).map_err(Error::io("read", path))
    };
    let (base, ours, theirs) = (read(&versions.ancestor)?, read(&versions.our)?, read(&versions.their)?);
    let path = match &versions.path {
        Some(path) => app.cwd.join(path),
        None => {
            let known = [&ours, &theirs].into_iter().find(|text| !text.trim().is_empty());
            app.cwd.join(merge::guess_name(known.map_or("", |text| text)))
        }
    };
    let folder = path.parent().filter(|folder| folder.is_dir()).unwrap_or(&app.cwd).to_path_buf();
    let open = || Repo::open(&folder, &app.places());
    let sides = Sides { base: &base, ours: &ours, theirs: &theirs };
    let merged = merge::merge(&path, sides, open, &app.out)?;
    let target = app.cwd.join(&versions.our);
    file::write(&target, merged.text.as_bytes()).map_err(Error::io("write", &target))?;
    let name = versions.path.as_ref().map_or_else(|| "merge".into(), |path| path.display().to_string());
    explain(&merged, &name, app);
    Ok(if merged.conflicts.is_empty() { Exit::OK } else { Exit::NO })
}

fn explain(merged: &Merged, name: &str, app: &App) {
    for stage in &merged.kept {
        app.out.warn(&format!(
            "{name}: both sides ran the stage '{stage}', with other inputs. The entry of our side stays; `status` says \
             whether the stage has to run again"
        ));
    }
    for stage in &merged.stale {
        app.out.warn(&format!(
            "{name}: both sides ran the stage '{stage}' with equal inputs, and it made other outputs. It has no entry any \
             more: `repro` runs it again"
        ));
    }
    for conflict in &merged.conflicts {
        let what = match conflict {
            Conflict::Data(path) => format!("both sides changed the data '{path}'. Those of our side stay"),
            Conflict::Key(key) => format!("both sides changed '{key}'. What our side says stays"),
            Conflict::Dataset(dataset) => {
                format!("both sides updated the dataset '{dataset}'. What our side says stays")
            }
            Conflict::Unlisted(path) => format!(
                "both sides changed the folder '{path}', and the cache lacks a listing of it: `fetch` it on both \
                 branches, then merge again. The data of our side stay"
            ),
        };
        app.out.warn(&format!("{name}: {what}"));
    }
}
