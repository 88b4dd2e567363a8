//! Options of `mlflow server` that this server has not: refused by name, so that nobody relies on what is not there.

use std::ffi::OsString;

use crate::app::App;
use crate::cli::CliError;
use crate::project::text;

/// Options that are known and refused.
#[derive(clap::Args, Debug)]
pub struct Refused {
    #[arg(long, hide = true)]
    read_replica_backend_store_uri: Option<String>,
    #[arg(long, hide = true)]
    registry_store_uri: Option<String>,
    #[arg(long, hide = true)]
    artifacts_only: bool,
    #[arg(long, hide = true)]
    artifacts_presigned_only: bool,
    #[arg(long, hide = true)]
    static_prefix: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    gunicorn_opts: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    waitress_opts: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    uvicorn_opts: Option<String>,
    #[arg(long, hide = true)]
    dev: bool,
    #[arg(long, hide = true)]
    trace_archival_config: Option<String>,
    #[arg(long, hide = true)]
    secrets_cache_ttl: Option<String>,
    #[arg(long, hide = true)]
    secrets_cache_max_size: Option<String>,
    #[arg(long, hide = true)]
    workspace_store_uri: Option<String>,
    #[arg(long, hide = true)]
    enable_workspaces: bool,
    /// The only way there is
    #[arg(long, hide = true, conflicts_with = "enable_workspaces")]
    disable_workspaces: bool,
}

impl Refused {
    /// An error for the first option or variable that asks for what is not there. `backend` is the database that was
    /// asked for: a registry in the same one is what there is.
    pub fn check(&self, backend: Option<&str>, app: &App) -> Result<(), CliError> {
        let env = &app.env;
        let elsewhere =
            |registry: &Option<String>| registry.as_deref().is_some_and(|uri| Some(uri) != backend);
        let is_set =
            |variable: &Option<OsString>| text(variable.as_ref()).is_some_and(|value| !is_no(&value));
        let server = "this program is the server itself; `--workers` sets its threads";
        let one = "experiments, runs and the registry are in one database";
        let none = "";
        let options = [
            ("--read-replica-backend-store-uri", self.read_replica_backend_store_uri.is_some(), one),
            ("--registry-store-uri", elsewhere(&self.registry_store_uri), one),
            ("MLFLOW_REGISTRY_STORE_URI", elsewhere(&text(env.mlflow_registry_store_uri.as_ref())), one),
            ("--artifacts-only", self.artifacts_only, none),
            ("MLFLOW_ARTIFACTS_ONLY", is_set(&env.mlflow_artifacts_only), none),
            (
                "--artifacts-presigned-only",
                self.artifacts_presigned_only,
                "no storage of this server signs addresses",
            ),
            ("--static-prefix", self.static_prefix.is_some(), "let the proxy in front take the prefix away"),
            (
                "MLFLOW_STATIC_PREFIX",
                is_set(&env.mlflow_static_prefix),
                "let the proxy in front take the prefix away",
            ),
            ("--gunicorn-opts", self.gunicorn_opts.is_some(), server),
            ("--waitress-opts", self.waitress_opts.is_some(), server),
            ("--uvicorn-opts", self.uvicorn_opts.is_some(), server),
            ("--dev", self.dev, "`-vv` logs more"),
            ("--trace-archival-config", self.trace_archival_config.is_some(), none),
            (
                "--secrets-cache-ttl",
                self.secrets_cache_ttl.is_some(),
                "there is no gateway and so no secrets",
            ),
            (
                "--secrets-cache-max-size",
                self.secrets_cache_max_size.is_some(),
                "there is no gateway and so no secrets",
            ),
            ("--workspace-store-uri", self.workspace_store_uri.is_some(), none),
            ("--enable-workspaces", self.enable_workspaces, none),
        ];
        match options.into_iter().find(|(_, asked, _)| *asked) {
            None => Ok(()),
            Some((name, _, hint)) => Err(CliError::Usage {
                message: format!("`{name}` is not supported yet by matraz"),
                hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()),
            }),
        }
    }
}

/// Whether a variable says no.
pub fn is_no(value: &str) -> bool {
    matches!(value.trim().to_lowercase().as_str(), "" | "0" | "false" | "no" | "off" | "n" | "f")
}
