//! `dvc stage add`

use matraz_base::{Failure, Progress};
use matraz_data::stage::edit::{self, NewOutput, NewStage};
use matraz_data::stage::{OutputKind, PARAMS_FILE, PIPELINE_FILE, PlotProps};

use super::project::{Project, say_how_to_track};
use super::repro;
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::names::Grammar;

/// Add a stage to the dvc.yaml of this folder
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its name
    #[arg(short, long)]
    name: String,
    /// Replace a stage of the same name
    #[arg(short, long)]
    force: bool,
    /// A file or folder that it reads; may be given again
    #[arg(short, long, value_name = "PATH")]
    deps: Vec<String>,
    /// Parameters that it reads: `lr,net.layers`, `FILE:a,b`, or `FILE:` for all of a file
    #[arg(short, long, value_name = "[FILE:]NAMES")]
    params: Vec<String>,
    /// A file or folder that it makes and that the cache keeps
    #[arg(short, long, value_name = "PATH")]
    outs: Vec<String>,
    /// One that git keeps
    #[arg(short = 'O', long, value_name = "PATH")]
    outs_no_cache: Vec<String>,
    /// One that is left alone before the stage runs
    #[arg(long, value_name = "PATH")]
    outs_persist: Vec<String>,
    /// One that git keeps and that is left alone
    #[arg(long, value_name = "PATH")]
    outs_persist_no_cache: Vec<String>,
    /// A metrics file that the cache keeps
    #[arg(short, long, value_name = "PATH")]
    metrics: Vec<String>,
    /// A metrics file that git keeps
    #[arg(short = 'M', long, value_name = "PATH")]
    metrics_no_cache: Vec<String>,
    /// A file to plot that the cache keeps
    #[arg(long, value_name = "PATH")]
    plots: Vec<String>,
    /// A file to plot that git keeps
    #[arg(long, value_name = "PATH")]
    plots_no_cache: Vec<String>,
    /// The folder in which it runs
    #[arg(short, long, value_name = "DIR")]
    wdir: Option<String>,
    /// Run it every time
    #[arg(long)]
    always_changed: bool,
    /// For people
    #[arg(long, value_name = "TEXT")]
    desc: Option<String>,
    /// Run it now
    #[arg(long)]
    run: bool,
    /// What it runs
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let new = NewStage {
        name: args.name.clone(),
        cmd: command_line(&args.command),
        wdir: args.wdir.clone(),
        deps: args.deps.clone(),
        params: params(&args.params),
        outs: outputs(&args),
        always_changed: args.always_changed,
        desc: args.desc.clone(),
    };
    if let Some(word) = args.command.first().filter(|word| word.starts_with('-') && !word.contains(' ')) {
        let hint = Some("a command stands behind all options".to_owned());
        return Err(CliError::Usage { message: format!("`stage add` has no option `{word}`"), hint }.into());
    }
    let project = Project::open(app)?;
    let (stage, mut files) = edit::add(&project.repo, &app.cwd, &new, args.force)?;
    files.sort();
    files.dedup();
    project.repo.stage_for_git(&files)?;
    app.out.say(&format!("Added stage '{}' in '{PIPELINE_FILE}'", new.name));
    if args.run {
        // The reproduction takes the lock anew.
        let repo = project.unlocked();
        let ran = repro::run_new_stage(&new.name, files.clone(), app);
        if let (true, Grammar::Dvc, Some(git)) = (ran.is_err(), app.grammar, &repo.git)
            && files.iter().any(|file| file.ends_with(".gitignore"))
        {
            for out in stage.outs.iter().filter(|out| out.cache) {
                git.stop_ignoring(&out.path)?;
            }
        }
        return ran;
    }
    say_how_to_track(app, &project.repo, &files);
    Ok(Exit::OK)
}

/// Words as one command; those with spaces are quoted as DVC does.
fn command_line(words: &[String]) -> String {
    let quoted = |word: &String| match word {
        word if word.is_empty() => "\"\"".to_owned(),
        word if word.contains(' ') && !word.contains('"') => format!("\"{word}\""),
        word => word.clone(),
    };
    match words {
        [one] => one.clone(),
        words => words.iter().map(quoted).collect::<Vec<_>>().join(" "),
    }
}

/// Parameters by file, in the order in which the files are named first.
fn params(given: &[String]) -> Vec<(String, Vec<String>)> {
    let mut files: Vec<(String, Vec<String>)> = Vec::new();
    for text in given {
        let (file, names) = text.rsplit_once(':').unwrap_or((PARAMS_FILE, text));
        let file = if file.is_empty() { PARAMS_FILE } else { file };
        let names = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
        match files.iter_mut().find(|(known, _)| known == file) {
            Some((_, known)) => known.extend(names),
            None => files.push((file.to_owned(), names.collect())),
        }
    }
    files
}

fn outputs(args: &Args) -> Vec<NewOutput> {
    let plot = || OutputKind::Plot(PlotProps::default());
    let groups = [
        (&args.outs_persist, true, true, OutputKind::Data),
        (&args.outs_persist_no_cache, false, true, OutputKind::Data),
        (&args.metrics, true, false, OutputKind::Metric),
        (&args.metrics_no_cache, false, false, OutputKind::Metric),
        (&args.plots, true, false, plot()),
        (&args.plots_no_cache, false, false, plot()),
        (&args.outs_no_cache, false, false, OutputKind::Data),
        (&args.outs, true, false, OutputKind::Data),
    ];
    let mut outs = Vec::new();
    for (paths, cache, persist, kind) in groups {
        for path in paths {
            outs.push(NewOutput { path: path.clone(), cache, persist, kind: kind.clone() });
        }
    }
    outs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_parameters_are_read_as_dvc_does() {
        let words =
            |list: &[&str]| command_line(&list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["echo 'a b' > c"]), "echo 'a b' > c");
        assert_eq!(words(&["echo", "two words", "", "a\" b"]), "echo \"two words\" \"\" a\" b");
        let given = ["a,b.c", "p.json:x", "w.yaml:", "d", "p.json:y"].map(str::to_owned);
        let shown: Vec<_> =
            params(&given).into_iter().map(|(f, names)| format!("{f}={}", names.join(","))).collect();
        assert_eq!(shown, ["params.yaml=a,b.c,d", "p.json=x,y", "w.yaml="]);
    }
}
