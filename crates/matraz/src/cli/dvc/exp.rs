//! `dvc exp`, `matraz exp`

use matraz_base::{Failure, Kind};
use matraz_data::experiment::list::Baselines;

use super::{
    exp_apply, exp_branch, exp_clean, exp_diff, exp_exec_run, exp_list, exp_pull, exp_push, exp_queue_worker,
    exp_remove, exp_rename, exp_run, exp_save, exp_show,
};
use crate::app::App;
use crate::cli::group::group;
use crate::exit::Exit;
use crate::names::Grammar;
use crate::render;

group! {
    /// Run and compare experiments: commits beside the branches
    {
        Apply(exp_apply),
        Branch(exp_branch),
        Clean(exp_clean),
        Diff(exp_diff),
        #[command(visible_alias = "ls")]
        List(exp_list),
        Pull(exp_pull),
        Push(exp_push),
        #[command(visible_alias = "rm")]
        Remove(exp_remove),
        Rename(exp_rename),
        Run(exp_run),
        Save(exp_save),
        Show(exp_show),
        #[command(hide = true)]
        ExecRun(exp_exec_run),
        #[command(hide = true)]
        QueueWorker(exp_queue_worker),
    }
}

/// Which experiments a command is about, by the commits that they started from.
#[derive(clap::Args, Debug)]
pub struct Selection {
    /// All experiments, whatever they started from
    #[arg(short = 'A', long)]
    pub all_commits: bool,
    /// Those that started from this commit [default: HEAD]
    #[arg(long, value_name = "COMMIT")]
    pub rev: Vec<String>,
    /// Those of this many commits from there, along first parents; all when negative
    #[arg(short, long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub num: i64,
}

impl Selection {
    /// The commits.
    pub fn baselines(&self) -> Baselines {
        Baselines { all: self.all_commits, revisions: self.rev.clone(), number: self.num }
    }
}

/// Commands that catch their own errors in DVC end with 1, where others end with 255, as do all without a commit.
pub fn caught(app: &App, outcome: Result<Exit, Failure>) -> Result<Exit, Failure> {
    match outcome {
        Err(Failure(error))
            if app.grammar == Grammar::Dvc
                && !matches!(
                    error.kind(),
                    Kind::Usage | Kind::Outside | Kind::Interrupted | Kind::Settings
                ) =>
        {
            app.out.error(&render::error(error.as_ref(), app.grammar, &app.cwd, app.out.colour()));
            Ok(Exit(1))
        }
        other => other,
    }
}

/// `'a', 'b' and 'c'`.
pub fn quoted(names: &[String]) -> String {
    joined(&names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>())
}

/// `a, b and c`.
pub fn joined(names: &[String]) -> String {
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    }
}
