//! `dvc install`, `matraz install`

use matraz_base::Failure;
use matraz_data::install;
use matraz_data::stage::template::quote;

use super::project::Project;
use crate::app::App;
use crate::exit::Exit;
use crate::names::{DVC_VERSION, Grammar};

/// Make git call this program: hooks for commit, checkout and push, and a merge of `dvc.lock` and `.dvc` files
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Write hooks for the `pre-commit` tool instead of git's own
    #[arg(long)]
    use_pre_commit_tool: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let repo = &project.repo;
    let Some(git) = &repo.git else { return Ok(Exit::OK) };
    let program = program(app);
    let attributes = match app.grammar {
        Grammar::Dvc => {
            install::dvc_merge_driver(git)?;
            None
        }
        _ => install::merge_driver(repo, &program)?,
    };
    if args.use_pre_commit_tool {
        install::pre_commit_tool(git, &program, DVC_VERSION)?;
    } else {
        install::hooks(git, &program)?;
    }
    if app.grammar != Grammar::Dvc {
        app.out.line("Git calls matraz now, in this clone.");
        if let Some(path) = attributes {
            git.add(&[&path])?;
            app.out.line("Commit .gitattributes: it says which files are merged by stage and by file.");
        }
    }
    Ok(Exit::OK)
}

/// How git and other tools call this program: by its name where that is found, else by its path.
pub fn program(app: &App) -> String {
    let name = app.grammar.program();
    if app.grammar == Grammar::Dvc {
        return name.to_owned();
    }
    let Ok(own) = std::env::current_exe().and_then(|path| path.canonicalize()) else {
        return name.to_owned();
    };
    let folders = app.env.path.as_ref().map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    let found = folders.into_iter().flatten().find_map(|folder| folder.join(name).canonicalize().ok());
    if found.as_ref() == Some(&own) { name.to_owned() } else { quote(&own.to_string_lossy()) }
}
