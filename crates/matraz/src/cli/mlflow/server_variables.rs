//! What `server` takes from environment variables alone.

use std::ffi::OsString;
use std::time::Duration;

use matraz_base::Failure;
use matraz_track::db::Pool;
use matraz_track::webhook::seal::SealKey;
use matraz_track::{graphql, webhook};

use crate::app::App;
use crate::cli::CliError;

/// The number in an environment variable, or what stands when it is not set.
fn number<T: std::str::FromStr>(value: &Option<OsString>, name: &str, standard: T) -> Result<T, Failure> {
    let Some(value) = value else { return Ok(standard) };
    let text = value.to_string_lossy();
    text.trim().parse().map_err(|_| {
        let message = format!("{name} is '{text}', which is no whole number");
        CliError::Usage { message, hint: None }.into()
    })
}

/// How webhooks are delivered.
pub fn webhooks(app: &App) -> Result<webhook::Options, Failure> {
    let mut options = webhook::Options::default();
    let env = &app.env;
    if let Some(schemes) = &env.mlflow_webhook_allowed_schemes {
        options.allowed_schemes =
            schemes.to_string_lossy().split(',').map(|scheme| scheme.trim().to_owned()).collect();
    }
    if let Some(allowed) = &env.mlflow_webhook_allow_private_ips {
        options.allow_private = matches!(allowed.to_string_lossy().to_lowercase().as_str(), "true" | "1");
    }
    let timeout = &env.mlflow_webhook_request_timeout;
    options.timeout = Duration::from_secs(number(timeout, "MLFLOW_WEBHOOK_REQUEST_TIMEOUT", 30)?);
    let retries = &env.mlflow_webhook_request_max_retries;
    options.max_retries = number(retries, "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES", options.max_retries)?;
    if let Some(key) = &env.mlflow_webhook_secret_encryption_key {
        options.key = SealKey::parse(&key.to_string_lossy()).ok_or_else(|| CliError::Usage {
            message: "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY is not 32 bytes in URL-safe base64".into(),
            hint: Some("make one with `openssl rand -base64 32 | tr '+/' '-_'`".into()),
        })?;
    }
    Ok(options)
}

/// The connections to a database server. Without a variable they are this server's own choice; with one, what it leaves
/// open is what SQLAlchemy would take.
pub fn pool(app: &App) -> Result<Pool, Failure> {
    let env = &app.env;
    let (size, overflow) = (&env.mlflow_sqlalchemystore_pool_size, &env.mlflow_sqlalchemystore_max_overflow);
    let mut pool = Pool::default();
    if size.is_some() || overflow.is_some() {
        let size: u32 = number(size, "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", 5)?;
        let overflow: u32 = number(overflow, "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW", 10)?;
        pool.connections = size.saturating_add(overflow).max(1);
    }
    let recycle: u64 =
        number(&env.mlflow_sqlalchemystore_pool_recycle, "MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE", 0)?;
    pool.recycle = (recycle > 0).then(|| Duration::from_secs(recycle));
    Ok(pool)
}

/// How much a GraphQL request may ask for.
pub fn graphql_limits(app: &App) -> Result<graphql::Limits, Failure> {
    let standard = graphql::Limits::default();
    let fields = &app.env.mlflow_server_graphql_max_root_fields;
    let aliases = &app.env.mlflow_server_graphql_max_aliases;
    Ok(graphql::Limits {
        root_fields: number(fields, "MLFLOW_SERVER_GRAPHQL_MAX_ROOT_FIELDS", standard.root_fields)?,
        aliases: number(aliases, "MLFLOW_SERVER_GRAPHQL_MAX_ALIASES", standard.aliases)?,
    })
}
