//! Every environment variable that the program reads, once.
//!
//! Nothing else in the project reads the environment; commands get the values from [`Env`].

use std::ffi::OsString;
use std::path::PathBuf;

/// A variable and what it is for; the reference page is generated from this list.
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
}

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $field:ident = $name:literal;)+) => {
        /// The values of all variables, read once at the start. An empty value counts as not set.
        #[derive(Clone, Debug, Default)]
        pub struct Env { $($(#[doc = $doc])+ pub $field: Option<OsString>,)+ }

        impl Env {
            /// Reads the environment of this process.
            pub fn read() -> Self {
                let value = |name| std::env::var_os(name).filter(|value| !value.is_empty());
                Self { $($field: value($name),)+ }
            }
        }

        /// All variables, for the reference.
        pub const VARIABLES: &[Variable] = &[$(Variable { name: $name, doc: concat!($($doc),+) },)+];
    };
}

variables! {
    /// Folder of the per-user configuration.
    dvc_global_config_dir = "DVC_GLOBAL_CONFIG_DIR";
    /// Folder of the system-wide configuration.
    dvc_system_config_dir = "DVC_SYSTEM_CONFIG_DIR";
    /// Folder for state that is shared by the projects of this machine.
    dvc_site_cache_dir = "DVC_SITE_CACHE_DIR";
    /// The tracking store: `sqlite:///FILE`, `http://…` or `https://…`.
    mlflow_tracking_uri = "MLFLOW_TRACKING_URI";
    /// The experiment that new runs go to.
    mlflow_experiment_name = "MLFLOW_EXPERIMENT_NAME";
    /// The number of the experiment that `experiments` and `runs` act on.
    mlflow_experiment_id = "MLFLOW_EXPERIMENT_ID";
    /// User name for a tracking server with basic authentication.
    mlflow_tracking_username = "MLFLOW_TRACKING_USERNAME";
    /// Password for a tracking server with basic authentication.
    mlflow_tracking_password = "MLFLOW_TRACKING_PASSWORD";
    /// Bearer token for a tracking server.
    mlflow_tracking_token = "MLFLOW_TRACKING_TOKEN";
    /// MLflow's file of settings for users, read by `server` when users sign in.
    mlflow_auth_config_path = "MLFLOW_AUTH_CONFIG_PATH";
    /// The name of the first administrator of a server with users.
    mlflow_auth_admin_username = "MLFLOW_AUTH_ADMIN_USERNAME";
    /// The password of the first administrator; a random one is made without it.
    mlflow_auth_admin_password = "MLFLOW_AUTH_ADMIN_PASSWORD";
    /// The database of `server` and `ui`.
    mlflow_backend_store_uri = "MLFLOW_BACKEND_STORE_URI";
    /// The key that encrypts the secrets of webhooks in the store: 32 bytes in URL-safe base64. Without one, secrets are lost with the server.
    mlflow_webhook_secret_encryption_key = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY";
    /// Seconds that one call of a webhook may take [default: 30].
    mlflow_webhook_request_timeout = "MLFLOW_WEBHOOK_REQUEST_TIMEOUT";
    /// How often the call of a webhook is tried again [default: 3].
    mlflow_webhook_request_max_retries = "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES";
    /// Schemes of webhooks, comma-separated [default: https].
    mlflow_webhook_allowed_schemes = "MLFLOW_WEBHOOK_ALLOWED_SCHEMES";
    /// `true` lets webhooks call addresses that are not public.
    mlflow_webhook_allow_private_ips = "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS";
    /// The most fields at the root of a GraphQL request [default: 10].
    mlflow_server_graphql_max_root_fields = "MLFLOW_SERVER_GRAPHQL_MAX_ROOT_FIELDS";
    /// The most aliases on one level of a GraphQL request [default: 10].
    mlflow_server_graphql_max_aliases = "MLFLOW_SERVER_GRAPHQL_MAX_ALIASES";
    /// Connections that `server` keeps to a PostgreSQL database [default: 20 with those of MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW].
    mlflow_sqlalchemystore_pool_size = "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE";
    /// Further connections that `server` makes to a PostgreSQL database when all are in use.
    mlflow_sqlalchemystore_max_overflow = "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW";
    /// Seconds after which `server` makes a connection to a PostgreSQL database anew.
    mlflow_sqlalchemystore_pool_recycle = "MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE";
    /// Where `server` keeps artifacts.
    mlflow_artifacts_destination = "MLFLOW_ARTIFACTS_DESTINATION";
    /// Where clients of `server` find the artifacts of new experiments.
    mlflow_default_artifact_root = "MLFLOW_DEFAULT_ARTIFACT_ROOT";
    /// `false`: `server` passes no artifacts on.
    mlflow_serve_artifacts = "MLFLOW_SERVE_ARTIFACTS";
    /// Threads of `server`.
    mlflow_workers = "MLFLOW_WORKERS";
    /// Refused by `server`, unless it is its own database.
    mlflow_registry_store_uri = "MLFLOW_REGISTRY_STORE_URI";
    /// Refused by `server`.
    mlflow_artifacts_only = "MLFLOW_ARTIFACTS_ONLY";
    /// Refused by `server`.
    mlflow_static_prefix = "MLFLOW_STATIC_PREFIX";
    /// `true`: `server` answers any host and origin.
    mlflow_server_disable_security_middleware = "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE";
    /// Who may frame the pages of `server`.
    mlflow_server_x_frame_options = "MLFLOW_SERVER_X_FRAME_OPTIONS";
    /// Further host names that the server answers to, comma-separated.
    mlflow_server_allowed_hosts = "MLFLOW_SERVER_ALLOWED_HOSTS";
    /// Further origins that may call the server from a browser, comma-separated.
    mlflow_server_cors_allowed_origins = "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS";
    /// Seconds before a scoring request is given up.
    mlflow_scoring_server_request_timeout = "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT";
    /// The Python processes of a served model.
    mlflow_models_workers = "MLFLOW_MODELS_WORKERS";
    /// The address that servers listen on.
    mlflow_host = "MLFLOW_HOST";
    /// The port that servers listen on.
    mlflow_port = "MLFLOW_PORT";
    /// The folder of environments that are made for models.
    mlflow_env_root = "MLFLOW_ENV_ROOT";
    /// Set to anything: no colours.
    no_color = "NO_COLOR";
    /// Set to anything: progress is written as plain lines.
    ci = "CI";
    /// What to log, as `target=level` pairs; overrides `-v`.
    matraz_log = "MATRAZ_LOG";
    /// The user's home.
    home = "HOME";
    /// The user's name, recorded with runs.
    logname = "LOGNAME";
    /// The user's name, when `LOGNAME` is not set.
    user = "USER";
    /// `true` to send every experiment to another repository as soon as it is finished; wins over `exp.auto_push`.
    dvc_exp_auto_push = "DVC_EXP_AUTO_PUSH";
    /// Which repository that is; wins over `exp.git_remote`.
    dvc_exp_git_remote = "DVC_EXP_GIT_REMOTE";
    /// Set inside the commands of a stage: the root of its project.
    dvc_root = "DVC_ROOT";
    /// Set by the `pre-commit` tool: `1` when a commit was checked out, and not single files.
    pre_commit_checkout_type = "PRE_COMMIT_CHECKOUT_TYPE";
    /// The shell that runs stage commands.
    shell = "SHELL";
    /// The search path that stage commands get.
    path = "PATH";
    /// Whether Python writes at once; stage commands get `1` when it is not set.
    python_unbuffered = "PYTHONUNBUFFERED";
    /// The program that `--open` shows pages with.
    browser = "BROWSER";
    /// Folder of the per-user configuration of all programs.
    xdg_config_home = "XDG_CONFIG_HOME";
    /// Folder of what programs can make again; environments of models are kept there.
    xdg_cache_home = "XDG_CACHE_HOME";
}

/// Every variable whose name begins with `MLFLOW_`, sorted, for `doctor`. Also those that only MLflow's own programs read.
pub fn mlflow_variables() -> Vec<(String, String)> {
    let all = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with("MLFLOW_"))?;
        Some((name, value.to_string_lossy().into_owned()))
    });
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

impl Env {
    /// Where DVC's configuration levels above the project lie (its defaults on Linux).
    pub fn global_config_dir(&self) -> Option<PathBuf> {
        self.dvc_global_config_dir.as_ref().map(PathBuf::from).or_else(|| {
            let base = self.xdg_config_home.as_ref().map(PathBuf::from);
            base.or_else(|| self.home.as_ref().map(|home| PathBuf::from(home).join(".config")))
                .map(|b| b.join("dvc"))
        })
    }

    /// The folder of the system-wide configuration.
    pub fn system_config_dir(&self) -> PathBuf {
        self.dvc_system_config_dir.as_ref().map_or_else(|| PathBuf::from("/etc/xdg/dvc"), PathBuf::from)
    }

    /// The folder of state that projects of this machine share.
    pub fn site_cache_dir(&self) -> PathBuf {
        self.dvc_site_cache_dir.as_ref().map_or_else(|| PathBuf::from("/var/tmp/dvc"), PathBuf::from)
    }
}
