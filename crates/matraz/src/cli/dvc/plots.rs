//! `dvc plots`

use clap::Subcommand;
use matraz_base::value::python_json;
use matraz_base::{Failure, Map, Progress, Value};
use matraz_data::compare::plots::{modify, template};
use matraz_data::stage::address::{join, relative};
use matraz_data::{Error, Repo};

use super::plots_draw::{self, Drawn};
use crate::app::App;
use crate::cli::only_in_matraz;
use crate::exit::Exit;
use crate::names::Grammar;
use crate::render;

/// Draw and compare plots
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Draw the plots of the project, or of files
    Show {
        /// Files, or names of plots [default: all of the project]
        targets: Vec<String>,
        #[command(flatten)]
        look: Look,
        #[command(flatten)]
        drawn: Drawn,
    },
    /// Draw the plots of several commits over one another
    Diff {
        /// The commits [default: the last one, when the workspace differs from it, and the workspace]
        revisions: Vec<String>,
        /// Files, or names of plots [default: all of the project]
        #[arg(long, num_args = 0.., value_name = "PATH")]
        targets: Vec<String>,
        #[arg(short, long, hide = true)]
        experiment: bool,
        #[command(flatten)]
        look: Look,
        #[command(flatten)]
        drawn: Drawn,
    },
    /// Change how the plot of a stage is drawn
    Modify {
        /// The file
        target: String,
        #[command(flatten)]
        look: Look,
        /// Properties to take away
        #[arg(long, num_args = 0.., value_name = "PROPERTY")]
        unset: Option<Vec<String>>,
    },
    /// List the built-in templates, or print one
    Templates {
        /// The template
        template: Option<String>,
        /// Print JSON (Matraz's own grammar alone)
        #[arg(long, conflicts_with = "template")]
        json: bool,
    },
}

/// How plots are drawn.
#[derive(clap::Args, Debug)]
pub struct Look {
    /// The template: a built-in one, one in `.dvc/plots`, or a file
    #[arg(short, long, num_args = 0..=1, value_name = "TEMPLATE")]
    template: Option<Option<String>>,
    /// The column of the horizontal axis
    #[arg(short, value_name = "COLUMN", allow_hyphen_values = true)]
    x: Option<String>,
    /// The column of the vertical axis
    #[arg(short, value_name = "COLUMN", allow_hyphen_values = true)]
    y: Option<String>,
    /// The first line of tables is not their header
    #[arg(long)]
    no_header: bool,
    /// The title
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    title: Option<String>,
    /// What stands at the horizontal axis
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    x_label: Option<String>,
    /// What stands at the vertical axis
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    y_label: Option<String>,
}

impl Look {
    fn props(self) -> Map {
        let texts = [
            ("template", self.template.flatten()),
            ("x", self.x),
            ("y", self.y),
            ("x_label", self.x_label),
            ("y_label", self.y_label),
            ("title", self.title),
        ];
        let set = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::Str(text?))));
        let header = self.no_header.then(|| ("header".to_owned(), Value::Bool(false)));
        set.chain(header).collect()
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    match args.command {
        Command::Show { targets, look, drawn } => {
            let repo = Repo::open_or_plain(&app.cwd, &app.places())?;
            plots_draw::draw(&repo, &["workspace".to_owned()], targets, look.props(), &drawn, app)
        }
        Command::Diff { revisions, targets, experiment, look, drawn } => {
            let repo = Repo::open_or_plain(&app.cwd, &app.places())?;
            let Some(git) = &repo.git else { return caught(Error::NotInGit { root: repo.root }, app) };
            if git.head_commit().is_none() {
                return plots_draw::draw(&repo, &[], targets, look.props(), &drawn, app);
            }
            let mut revisions = revisions;
            if let (true, [one]) = (experiment, revisions.as_slice())
                && let Some(baseline) = git.experiment_baseline(one)?
            {
                revisions.push(baseline.chars().take(7).collect());
            }
            if revisions.is_empty() && git.is_dirty()? {
                revisions.push("HEAD".into());
            }
            if revisions.len() <= 1 {
                revisions.push("workspace".into());
            }
            // The workspace is drawn first, wherever it was named.
            revisions.sort_by_key(|revision| revision != "workspace");
            revisions.dedup();
            plots_draw::draw(&repo, &revisions, targets, look.props(), &drawn, app)
        }
        Command::Modify { target, look, unset } => {
            let repo = Repo::open(&app.cwd, &app.places())?;
            let _lock = repo.lock(&app.out, app.interrupt.flag())?;
            let path = join(&app.cwd, &target);
            let file = modify::modify(&repo, &path, &look.props(), unset.as_deref(), &app.cwd)?;
            repo.stage_for_git(std::slice::from_ref(&file))?;
            app.out.say(&format!("Modifying stage '{}'", relative(&file, &app.cwd)));
            Ok(Exit::OK)
        }
        Command::Templates { template: None, json } => {
            only_in_matraz(app, "--json", json)?;
            Repo::open(&app.cwd, &app.places())?;
            if json {
                app.out.json(&template::names().collect());
                return Ok(Exit::OK);
            }
            template::names().for_each(|name| app.out.result(name));
            Ok(Exit::OK)
        }
        Command::Templates { template: Some(name), .. } => {
            Repo::open(&app.cwd, &app.places())?;
            match template::built_in(&name) {
                Ok(content) => app.out.result(&python_json(&content, false)),
                Err(error) => return caught(error, app),
            }
            Ok(Exit::OK)
        }
    }
}

/// An error that DVC's command catches itself, with another exit code than others.
pub fn caught(error: Error, app: &App) -> Result<Exit, Failure> {
    if app.grammar != Grammar::Dvc {
        return Err(error.into());
    }
    app.out.error(&render::error(&error, app.grammar, &app.cwd, app.out.colour()));
    Ok(Exit::NO)
}
