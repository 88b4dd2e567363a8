//! Which project a command is called in, and its tracking store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use matraz_base::{Failure, Progress};
use matraz_data::Repo;
use matraz_loop::{Settings, Target, Tracker, settings};
use matraz_track::client::RemoteOptions;

use crate::app::App;
use crate::names::Grammar;

/// The nearest folder, from `cwd` upwards, that holds `matraz.yaml` or `.dvc`.
pub fn root(cwd: &Path) -> Option<PathBuf> {
    let is_root = |folder: &&Path| folder.join(settings::FILE).is_file() || folder.join(".dvc").is_dir();
    cwd.ancestors().find(is_root).map(Path::to_path_buf)
}

/// A project's settings and the way to its tracking store.
pub struct Project {
    /// The folder of `matraz.yaml` or `.dvc`, or the current one.
    pub root: PathBuf,
    /// What `matraz.yaml` says.
    pub settings: Settings,
    /// Where runs go.
    pub target: Target,
}

impl Project {
    /// The project that the command is called in.
    pub fn here(app: &App) -> Result<Self, Failure> {
        let root = root(&app.cwd).unwrap_or_else(|| app.cwd.clone());
        Self::at(app, &root)
    }

    /// The project whose root is `root`.
    pub fn at(app: &App, root: &Path) -> Result<Self, Failure> {
        let settings = Settings::load(root)?.unwrap_or_default();
        let uri = text(app.env.mlflow_tracking_uri.as_ref());
        let target = Target::resolve(root, &settings, uri.as_deref(), remote_options(app), &user(app))?;
        Ok(Self { root: root.to_path_buf(), settings, target })
    }

    /// The project at `root`, if its reproductions are recorded: `matraz.yaml` has a section `tracking`, or, in
    /// Matraz's own grammar, the environment names a store. A store of a kind that is not supported costs a warning,
    /// never a training.
    pub fn tracked(app: &App, root: &Path) -> Result<Option<Self>, Failure> {
        let uri = text(app.env.mlflow_tracking_uri.as_ref());
        let settings = match Settings::load(root)? {
            Some(settings) if settings.tracking.is_some() => settings,
            settings if uri.is_some() && app.grammar == Grammar::Matraz => settings.unwrap_or_default(),
            _ => return Ok(None),
        };
        match Target::resolve(root, &settings, uri.as_deref(), remote_options(app), &user(app)) {
            Ok(target) => Ok(Some(Self { root: root.to_path_buf(), settings, target })),
            Err(error) => {
                app.out.warn(&format!("this run is not recorded: {error}"));
                Ok(None)
            }
        }
    }

    /// Opens the store, which must be there.
    pub fn tracker(&self) -> Result<Tracker, Failure> {
        Ok(Tracker::open_existing(self.target.clone())?)
    }

    /// The project's data and its git repository, where there are any that can be read.
    pub fn repo(&self, app: &App) -> Option<Repo> {
        Repo::open_or_plain(&self.root, &app.places()).ok()
    }

    /// The experiment of the project: by the environment, `matraz.yaml`, or the folder's name.
    pub fn experiment(&self, app: &App, asked: Option<&str>) -> String {
        let variable = text(app.env.mlflow_experiment_name.as_ref());
        matraz_loop::experiment_name(&self.root, &self.settings, asked.or(variable.as_deref()))
    }
}

/// The user's name, for the records: by the environment, else as the system knows the owner of this process.
pub fn user(app: &App) -> String {
    let variables = [&app.env.logname, &app.env.user];
    let named = variables.into_iter().find_map(|variable| text(variable.as_ref()));
    named.or_else(user_of_system).unwrap_or_else(|| "unknown".into())
}

fn user_of_system() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let entry = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|entry| entry.get(2) == Some(&owner.as_str()))?;
    entry.first().map(|name| (*name).to_owned())
}

/// The machine's name, for the records.
pub fn host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Credentials of the environment.
pub fn remote_options(app: &App) -> RemoteOptions {
    let login = text(app.env.mlflow_tracking_username.as_ref())
        .map(|name| (name, text(app.env.mlflow_tracking_password.as_ref()).unwrap_or_default()));
    let token = text(app.env.mlflow_tracking_token.as_ref());
    RemoteOptions { token, login, timeout: Duration::from_secs(120), ..RemoteOptions::default() }
}

/// The value of a variable as text.
pub fn text(variable: Option<&std::ffi::OsString>) -> Option<String> {
    variable.map(|value| value.to_string_lossy().into_owned())
}
