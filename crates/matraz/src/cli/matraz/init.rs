//! `matraz init`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use matraz_base::{Explain, Failure, Kind, Value, file};
use matraz_data::repo::InitOptions;
use matraz_data::{Repo, install};
use matraz_loop::settings;
use obesity::Template;

use crate::app::App;
use crate::cli::dvc::install::program;
use crate::exit::Exit;

/// Make the current folder a project
///
/// Writes what DVC's init writes, a `matraz.yaml`, lines for the tracking store in `.gitignore`, and makes git merge
/// `dvc.lock` and `.dvc` files by stage and by file.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Write an example project too: `obesity` (needs nothing) or `obesity-python` (scikit-learn and MLflow)
    #[arg(long, value_name = "NAME", value_parser = ["obesity", "obesity-python"])]
    example: Option<String>,
    /// Use this table for the example instead of the synthetic one
    #[arg(long, value_name = "CSV", requires = "example")]
    data: Option<PathBuf>,
    /// Work without git
    #[arg(long)]
    no_scm: bool,
    /// The root of the git repository may be above the project
    #[arg(long)]
    subdir: bool,
    /// Replace a project that exists here
    #[arg(short, long)]
    force: bool,
}

/// A file of the user stands where one would be written, or one cannot be written.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("`{}` exists already", .path.display())]
    Exists { path: PathBuf },
    #[error("cannot {action} `{}`", .path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl Explain for InitError {
    fn kind(&self) -> Kind {
        match self {
            Self::Exists { .. } => Kind::Exists,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Kind::Missing,
            Self::Io { .. } => Kind::Denied,
        }
    }

    fn hint(&self) -> Option<String> {
        matches!(self, Self::Exists { .. }).then(|| "make the example in an empty folder".into())
    }
}

const SETTINGS: &str = "\
# What Matraz records and decides for this project.
tracking:
  experiment: {name}
# model:
#   name: {name}            # name in the model registry
#   path: model             # the pipeline output that holds the MLflow model directory
# gates:
# - metric: accuracy
#   above: 0.80
";

/// What the tracking store leaves beside the project, and git must not take.
const IGNORED: [(&str, &str); 3] = [
    ("mlflow.db-wal", "/mlflow.db*"),
    ("mlartifacts", "/mlartifacts/"),
    ("mlartifacts.trash", "/mlartifacts.trash/"),
];

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let template = args.example.as_deref().and_then(Template::by_name);
    let mut files = template.map(obesity::template).unwrap_or_default();
    if let Some(table) = &args.data {
        let path = app.cwd.join(table);
        let bytes = fs::read(&path).map_err(|source| InitError::Io { action: "read", path, source })?;
        files.retain(|(name, _)| name != "data/README.md");
        for (name, content) in &mut files {
            match name.as_str() {
                "data/obesity.csv" => content.clone_from(&bytes),
                "README.md" => *content = without_the_synthetic_table(content),
                _ => {}
            }
        }
    }
    for (name, _) in &files {
        let path = app.cwd.join(name);
        if name != ".gitignore" && path.exists() {
            return Err(InitError::Exists { path }.into());
        }
    }
    let options = InitOptions { no_scm: args.no_scm, force: args.force, subdir: args.subdir };
    let repo = Repo::init(&app.cwd, options, &app.places())?;
    for (name, content) in &files {
        let path = repo.root.join(name);
        if name == ".gitignore" {
            add_lines(&path, &String::from_utf8_lossy(content).lines().collect::<Vec<_>>())?;
        } else {
            file::write(&path, content).map_err(|source| InitError::Io { action: "write", path, source })?;
        }
    }
    let settings = repo.root.join(settings::FILE);
    if !settings.exists() {
        let name = repo.root.file_name().map_or_else(|| "project".into(), |name| name.to_string_lossy());
        let name = matraz_base::yaml::write(&Value::Str(name.into_owned()));
        let text = SETTINGS.replace("{name}", name.trim_end());
        file::write(&settings, text.as_bytes()).map_err(|source| InitError::Io {
            action: "write",
            path: settings,
            source,
        })?;
    }
    if let Some(git) = &repo.git {
        for (path, line) in IGNORED {
            if !git.is_ignored(&repo.root.join(path))? {
                add_lines(&repo.root.join(".gitignore"), &[line])?;
            }
        }
    }
    let attributes = install::merge_driver(&repo, &program(app))?;
    if let (Some(git), Some(path)) = (&repo.git, attributes) {
        git.add(&[path])?;
    }
    app.out.line("Initialized a Matraz project: .dvc/ and matraz.yaml.");
    if let Some(template) = template {
        app.out.line(&format!("Wrote the example `{}`; its README.md says how to go on.", template.name()));
    }
    Ok(Exit::OK)
}

/// The example's page without its sentence on the synthetic table, which is not there.
fn without_the_synthetic_table(page: &[u8]) -> Vec<u8> {
    let page = String::from_utf8_lossy(page);
    let lines: Vec<&str> = page.lines().filter(|line| !line.contains("data/README.md")).collect();
    (lines.join("\n").trim_end().to_owned() + "\n").into_bytes()
}

/// Adds the lines that the file does not have.
fn add_lines(path: &Path, lines: &[&str]) -> Result<(), InitError> {
    let failed = |action| move |source| InitError::Io { action, path: path.to_path_buf(), source };
    let mut text = file::read_if_present(path).map_err(failed("read"))?.unwrap_or_default();
    let before = text.len();
    for line in lines {
        if !text.lines().any(|present| present == *line) {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(line);
            text.push('\n');
        }
    }
    if text.len() > before { file::write(path, text.as_bytes()).map_err(failed("write")) } else { Ok(()) }
}
