//! What a model runs in: this program, or the Python of an environment.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use matraz_base::{Failure, Kind, Progress};
use matraz_serve::worker::Worker;
use matraz_serve::worker::environment::{Manager, Source};
use matraz_serve::{Error, Model};

use crate::app::App;
use crate::cli::CliError;
use crate::names;

/// The environment of models that need Python; the others run inside this program and need none.
#[derive(clap::Args, Clone, Debug)]
pub struct Environment {
    /// The Python of a model that needs one: the first on the PATH, or an environment made from what the model lists
    #[arg(long, value_name = "MANAGER", default_value = "local")]
    env_manager: EnvManager,
    /// The same as `--env-manager local`
    #[arg(long, hide = true, conflicts_with = "env_manager")]
    no_conda: bool,
    /// Install MLflow into the environment that is made
    #[arg(long)]
    install_mlflow: bool,
    #[arg(skip)]
    packages: Vec<String>,
}

/// How an environment is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EnvManager {
    /// No environment is made.
    Local,
    /// Python's venv and pip.
    Virtualenv,
    /// The program uv.
    Uv,
    /// Refused.
    #[value(hide = true)]
    Conda,
}

/// What answers for a model.
pub enum Runner {
    /// This program.
    Native(Box<Model>),
    /// Processes of Python.
    Python(Worker),
}

impl Environment {
    /// The same with packages that replace those of the model.
    pub fn with_packages(&self, packages: &[String]) -> Result<Self, CliError> {
        if !packages.is_empty() && self.env_manager == EnvManager::Local {
            let message =
                "`--pip-requirements-override` needs an environment that is made for the model".to_owned();
            let hint = Some("add `--env-manager virtualenv` or `--env-manager uv`".to_owned());
            return Err(CliError::Usage { message, hint });
        }
        Ok(Self { packages: packages.to_vec(), ..self.clone() })
    }

    /// What answers for the model in `folder`: this program when it can, else Python, whose environment is made if
    /// there is none yet.
    pub fn runner(&self, folder: &Path, app: &App) -> Result<Runner, Failure> {
        let manager = match self.env_manager {
            EnvManager::Local => Manager::Local,
            EnvManager::Virtualenv => Manager::Virtualenv,
            EnvManager::Uv => Manager::Uv,
            EnvManager::Conda => {
                let message = "`--env-manager conda` is not supported".to_owned();
                let hint = Some(
                    "use `virtualenv` or `uv`, or activate the conda environment and use `local`".into(),
                );
                return Err(CliError::Usage { message, hint }.into());
            }
        };
        let refused = match Model::load(folder) {
            // Who asks for an environment wants the packages that the model lists.
            Ok(model) if model.is_pickled() && manager != Manager::Local => None,
            Ok(model) => return Ok(Runner::Native(Box::new(model))),
            Err(error) if !error.needs_python() => return Err(error.into()),
            Err(Error::Flavor { .. }) => None,
            Err(error) => Some(error),
        };
        if let Some(refused) = refused {
            app.out.warn(&format!("{refused}; Python runs it"));
        }
        let environments = self.folder(app)?;
        let source = Source {
            manager,
            path: app.env.path.as_deref().unwrap_or_else(|| OsStr::new("/usr/local/bin:/usr/bin:/bin")),
            folder: &environments,
            mlflow: self.install_mlflow.then_some(names::MLFLOW_VERSION),
            packages: &self.packages,
        };
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
        Ok(Runner::Python(source.worker(&folder)?))
    }

    /// Where made environments are kept.
    fn folder(&self, app: &App) -> Result<PathBuf, CliError> {
        if let Some(root) = &app.env.mlflow_env_root {
            return Ok(app.cwd.join(root));
        }
        let cache = app.env.xdg_cache_home.as_ref().map(PathBuf::from);
        let cache = cache.or_else(|| app.env.home.as_ref().map(|home| PathBuf::from(home).join(".cache")));
        match cache {
            Some(cache) => Ok(cache.join("matraz/environments")),
            None if self.env_manager == EnvManager::Local => Ok(PathBuf::new()),
            None => Err(CliError::Refused {
                message: "there is no folder for environments: neither MLFLOW_ENV_ROOT nor HOME is set"
                    .into(),
                kind: Kind::Config,
            }),
        }
    }
}
