//! `mlflow artifacts`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use matraz_base::{Explain, Failure, Kind};
use matraz_loop::Error;
use matraz_track::artifact::{ArtifactPath, Entry, Location};
use serde_json::json;

use super::store::{Store, text};
use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::printer::Volume;

/// Upload, list and download the files of runs
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with the artifacts of runs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the files and folders directly below a run's artifacts or a folder of them
    List {
        /// The run
        #[arg(short, long)]
        run_id: String,
        /// The folder
        #[arg(short, long)]
        artifact_path: Option<String>,
    },
    /// Download a file or a folder and print where it is
    Download {
        /// The run
        #[arg(short, long)]
        run_id: Option<String>,
        /// A path below the run's artifacts [default: all of them]
        #[arg(short, long)]
        artifact_path: Option<String>,
        /// The address of a file or folder, instead of a run and a path
        #[arg(short = 'u', long)]
        artifact_uri: Option<String>,
        /// The folder to download to [default: a new temporary one]
        #[arg(short, long)]
        dst_path: Option<PathBuf>,
    },
    /// Log a file as an artifact of a run
    LogArtifact {
        /// The file
        #[arg(short, long)]
        local_file: PathBuf,
        /// The run
        #[arg(short, long)]
        run_id: String,
        /// The folder below the run's artifacts
        #[arg(short, long)]
        artifact_path: Option<String>,
    },
    /// Log the files of a folder as artifacts of a run
    LogArtifacts {
        /// The folder
        #[arg(short, long)]
        local_dir: PathBuf,
        /// The run
        #[arg(short, long)]
        run_id: String,
        /// The folder below the run's artifacts
        #[arg(short, long)]
        artifact_path: Option<String>,
    },
}

/// Nothing lies at the path that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("no artifacts at `{path}`")]
struct NothingThere {
    path: String,
}

impl Explain for NothingThere {
    fn kind(&self) -> Kind {
        Kind::Missing
    }

    fn hint(&self) -> Option<String> {
        Some("list what is there with `artifacts list`".into())
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let store = Store::open(app, false)?;
    match args.command {
        Command::List { run_id, artifact_path } => {
            let uri = artifact_uri(&store, &run_id)?;
            let entries =
                store.call(async |client| client.list(&uri, artifact_path.as_deref().unwrap_or("")).await)?;
            app.out.result(&listing(&entries));
        }
        Command::Download { run_id, artifact_path, artifact_uri: uri, dst_path } => {
            let place = match (uri, run_id) {
                (Some(uri), _) => Place::of_uri(&store, &uri)?,
                (None, Some(run_id)) => {
                    Place::of_run(&store, &run_id, artifact_path.as_deref().unwrap_or(""))?
                }
                (None, None) => {
                    let message = "neither a run nor an artifact address is named".into();
                    return Err(CliError::Usage {
                        message,
                        hint: Some("give --run-id or --artifact-uri".into()),
                    }
                    .into());
                }
            };
            let found = place.download(&store, dst_path.as_deref(), app)?;
            app.out.result(&format!("\n{}", found.display()));
        }
        Command::LogArtifact { local_file, run_id, artifact_path } => {
            let uri = artifact_uri(&store, &run_id)?;
            let name = local_file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            upload(&store, &uri, &folder(artifact_path.as_deref(), &name), &local_file)?;
            logged(app, "file", &local_file, artifact_path.as_deref());
        }
        Command::LogArtifacts { local_dir, run_id, artifact_path } => {
            let uri = artifact_uri(&store, &run_id)?;
            for (path, file) in files_below(&local_dir)? {
                upload(&store, &uri, &folder(artifact_path.as_deref(), &path), &file)?;
            }
            logged(app, "dir", &local_dir, artifact_path.as_deref());
        }
    }
    Ok(Exit::OK)
}

fn artifact_uri(store: &Store, run_id: &str) -> Result<String, Failure> {
    let answer = store.get("runs/get", &[("run_id", run_id)])?;
    Ok(text(&answer, &["run", "info", "artifact_uri"]).to_owned())
}

/// A list of files as MLflow prints it: each one indented, all on one list.
fn listing(entries: &[Entry]) -> String {
    let item = |entry: &Entry| {
        let mut item = json!({"path": entry.path, "is_dir": entry.is_folder});
        if let Some(size) = entry.size {
            item["file_size"] = size.into();
        }
        super::store::indented_json(&matraz_base::Value::from(&item), 2)
    };
    format!("[{}]", entries.iter().map(item).collect::<Vec<_>>().join(", "))
}

fn folder(folder: Option<&str>, path: &str) -> String {
    match folder.map(|folder| folder.trim_matches('/')).filter(|folder| !folder.is_empty()) {
        Some(folder) => format!("{folder}/{path}"),
        None => path.to_owned(),
    }
}

fn upload(store: &Store, uri: &str, path: &str, file: &Path) -> Result<(), Failure> {
    if file.is_dir() {
        let message = format!("`{}` is a folder", file.display());
        return Err(CliError::Usage {
            message,
            hint: Some("log a folder with `artifacts log-artifacts`".into()),
        }
        .into());
    }
    let target = format!("{}/{path}", uri.trim_end_matches('/'));
    store.call(async |client| client.upload(&target, file).await)
}

fn logged(app: &App, what: &str, local: &Path, folder: Option<&str>) {
    if app.out.volume() > Volume::Quiet {
        let folder = folder.unwrap_or("None");
        app.out.error(&format!(
            "Logged artifact from local {what} {} to artifact_path={folder}",
            local.display()
        ));
    }
}

/// The files below a folder, with their path below it.
fn files_below(folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(current) = folders.pop() {
        let failed = |source| Error::File { action: "list", path: current.clone(), source };
        for entry in std::fs::read_dir(&current).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(below) = path.strip_prefix(folder) {
                let names: Vec<String> =
                    below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
                files.push((names.join("/"), path));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// What is to be downloaded: `path` below the artifact location `uri`, kept as `saved_as` below the target.
struct Place {
    uri: String,
    path: ArtifactPath,
    saved_as: ArtifactPath,
}

impl Place {
    fn of_run(store: &Store, run_id: &str, path: &str) -> Result<Self, Failure> {
        let path = checked(path)?;
        Ok(Self { uri: artifact_uri(store, run_id)?, saved_as: path.clone(), path })
    }

    fn of_uri(store: &Store, uri: &str) -> Result<Self, Failure> {
        if let Some(rest) = uri.strip_prefix("runs:/") {
            let (run_id, path) = rest.trim_start_matches('/').split_once('/').unwrap_or((rest, ""));
            let path = checked(path)?;
            let saved_as = checked(path.name().unwrap_or_default())?;
            return Ok(Self { uri: artifact_uri(store, run_id)?, path, saved_as });
        }
        if let Some(model) = uri.strip_prefix("models:/") {
            return Ok(Self {
                uri: model_files(store, model)?,
                path: ArtifactPath::root(),
                saved_as: ArtifactPath::root(),
            });
        }
        let (folder, name) = uri.trim_end_matches('/').rsplit_once('/').unwrap_or((".", uri));
        let name = checked(name)?;
        Ok(Self { uri: folder.to_owned(), path: name.clone(), saved_as: name })
    }

    fn download(&self, store: &Store, target: Option<&Path>, app: &App) -> Result<PathBuf, Failure> {
        if let (None, Ok(Location::Local(folder))) = (target, Location::parse(&self.uri)) {
            // Files of this machine are where they are.
            let there = self.path.below(&app.cwd.join(folder));
            return if there.exists() { Ok(there) } else { Err(self.nothing()) };
        }
        let files = store.call(async |client| client.files(&self.uri, self.path.as_str()).await)?;
        if files.is_empty() && !self.path.is_root() {
            return Err(self.nothing());
        }
        let target = match target {
            Some(target) => app.cwd.join(target),
            None => temporary_folder()?,
        };
        std::fs::create_dir_all(&target).map_err(|source| Error::File {
            action: "make",
            path: target.clone(),
            source,
        })?;
        for file in &files {
            // The store's paths are checked once more before they become local ones.
            let below =
                file.path.strip_prefix(self.path.as_str()).unwrap_or(&file.path).trim_start_matches('/');
            let local = self.saved_as.join(&checked(below)?).below(&target);
            let uri = format!("{}/{}", self.uri.trim_end_matches('/'), file.path);
            store.call(async |client| client.download(&uri, &local).await)?;
        }
        Ok(self.saved_as.below(&target))
    }

    fn nothing(&self) -> Failure {
        NothingThere { path: self.path.to_string() }.into()
    }
}

fn checked(path: &str) -> Result<ArtifactPath, Failure> {
    Ok(ArtifactPath::parse(path)?)
}

fn temporary_folder() -> Result<PathBuf, Failure> {
    let made = tempfile::Builder::new().prefix("tmp").tempdir();
    let made = made.map_err(|source| Error::File {
        action: "make",
        path: PathBuf::from("temporary folder"),
        source,
    })?;
    Ok(made.keep())
}

/// Where the files of a model lie: `m-…`, `name/version`, `name/stage`, `name/latest` or `name@alias`.
fn model_files(store: &Store, model: &str) -> Result<String, Failure> {
    let logged = |id: &str| {
        let answer = store.get(&format!("logged-models/{id}"), &[])?;
        Ok::<_, Failure>(text(&answer, &["model", "info", "artifact_uri"]).to_owned())
    };
    let uri = format!("models:/{model}");
    let unknown = || {
        let hint = Some("write models:/NAME/VERSION, models:/NAME@ALIAS or models:/MODEL_ID".into());
        Failure::from(CliError::Usage { message: format!("`{uri}` is not the address of a model"), hint })
    };
    let (name, version) = match matraz_track::ModelUri::parse(&uri).ok_or_else(unknown)? {
        matraz_track::ModelUri::Logged(id) => return logged(&id),
        matraz_track::ModelUri::Version(name, version) => (name, version),
        matraz_track::ModelUri::Alias(name, alias) => of_alias(store, &name, &alias)?,
        matraz_track::ModelUri::Latest(name) => of_alias(store, &name, "latest")?,
        matraz_track::ModelUri::Stage(name, stage) => {
            let answer = store
                .post("registered-models/get-latest-versions", &json!({"name": name, "stages": [stage]}))?;
            let version = answer
                .pointer("/model_versions/0/version")
                .and_then(|version| version.as_str())
                .ok_or_else(unknown)?;
            (name, version.to_owned())
        }
    };
    let answer = store.get("model-versions/get-download-uri", &[("name", &name), ("version", &version)])?;
    let uri = text(&answer, &["artifact_uri"]);
    match uri.strip_prefix("models:/") {
        Some(id) => logged(id),
        None => Ok(uri.to_owned()),
    }
}

fn of_alias(store: &Store, name: &str, alias: &str) -> Result<(String, String), Failure> {
    let answer = store.get("registered-models/alias", &[("name", name), ("alias", alias)])?;
    Ok((name.to_owned(), text(&answer, &["model_version", "version"]).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings() {
        let entry =
            |path: &str, size: Option<u64>| Entry { path: path.into(), is_folder: size.is_none(), size };
        assert_eq!(listing(&[]), "[]");
        assert_eq!(
            listing(&[entry("one.txt", Some(4)), entry("sub", None)]),
            "[{\n  \"path\": \"one.txt\",\n  \"is_dir\": false,\n  \"file_size\": 4\n}, {\n  \"path\": \"sub\",\n  \"is_dir\": true\n}]"
        );
    }

    #[test]
    fn targets() {
        assert_eq!(folder(None, "a"), "a");
        assert_eq!(folder(Some("x/y/"), "a/b"), "x/y/a/b");
    }
}
