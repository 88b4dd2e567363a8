//! Users of a server: what MLflow's settings say about them, and the first administrator.

use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use matraz_base::{Explain, Failure, Kind};
use matraz_track::Service;
use matraz_track::auth::{self, AuthOptions, Permission};

use crate::app::App;
use crate::project::text;

/// The name of the first administrator when no setting gives one.
const FIRST_ADMIN: &str = "admin";
/// The file that keeps the first password when no terminal can show it.
const PASSWORD_FILE: &str = "matraz-admin-password.txt";

/// Why a server with users cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// A file cannot be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The configuration names a function of its own.
    #[error("the authorization function `{name}` of the configuration is Python")]
    Function {
        /// Its name.
        name: String,
    },
}

impl Explain for AccountsError {
    fn kind(&self) -> Kind {
        match self {
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Kind::Missing,
            Self::File { .. } => Kind::Denied,
            Self::Function { .. } => Kind::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } => None,
            Self::Function { .. } => Some("take it out: users sign in by password or token here".to_owned()),
        }
    }
}

/// What the environment and MLflow's configuration file say.
pub struct Accounts {
    /// How the service guards itself.
    pub options: AuthOptions,
    admin: String,
    password: Option<String>,
}

impl Accounts {
    /// Reads `MLFLOW_AUTH_CONFIG_PATH`, `MLFLOW_AUTH_ADMIN_USERNAME` and `MLFLOW_AUTH_ADMIN_PASSWORD`.
    pub fn read(app: &App) -> Result<Self, Failure> {
        let mut settings = Vec::new();
        if let Some(path) = &app.env.mlflow_auth_config_path {
            let path = app.cwd.join(path);
            let content = std::fs::read_to_string(&path).map_err(|source| AccountsError::File {
                action: "read",
                path: path.clone(),
                source,
            })?;
            settings = read_ini(&content);
        }
        let setting = |name: &str| {
            settings
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
                .filter(|v| !v.is_empty())
        };
        if let Some(function) = setting("authorization_function")
            && function != "mlflow.server.auth:authenticate_request_basic_auth"
        {
            return Err(AccountsError::Function { name: function }.into());
        }
        let options = match setting("default_permission") {
            Some(name) => AuthOptions { default_permission: Permission::parse(&name)? },
            None => AuthOptions::default(),
        };
        let admin = text(app.env.mlflow_auth_admin_username.as_ref()).or_else(|| setting("admin_username"));
        let password =
            text(app.env.mlflow_auth_admin_password.as_ref()).or_else(|| setting("admin_password"));
        Ok(Self { options, admin: admin.unwrap_or_else(|| FIRST_ADMIN.to_owned()), password })
    }

    /// Makes the first administrator, unless the user is there already. A random password is shown on the terminal, or
    /// written to a file that only its owner can read.
    pub async fn begin(&self, service: &Service, app: &App, folder: &Path) -> Result<(), Failure> {
        let made = auth::make_first_admin(service, &self.admin, self.password.as_deref()).await?;
        let Some(password) = made else { return Ok(()) };
        let name = &self.admin;
        if std::io::stdout().is_terminal() {
            app.out.result(&format!(
                "The first administrator is `{name}` with the password\n\n    {password}\n\nIt is not shown again."
            ));
            return Ok(());
        }
        let path = keep(folder, name, &password)?;
        app.out.result(&format!(
            "The first administrator is `{name}`; the password is in {} (only you can read it; delete it when you know it)",
            path.display()
        ));
        Ok(())
    }
}

fn keep(folder: &Path, name: &str, password: &str) -> Result<PathBuf, AccountsError> {
    let path = folder.join(PASSWORD_FILE);
    let failed = |source| AccountsError::File { action: "write", path: path.clone(), source };
    let _ = std::fs::remove_file(&path);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = file.map_err(failed)?;
    file.write_all(format!("{name}:{password}\n").as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(path)
}

/// The settings of the section `[mlflow]`.
fn read_ini(content: &str) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let mut inside = false;
    for line in content.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[mlflow]";
        } else if inside && !line.starts_with(['#', ';']) {
            let Some((name, value)) = line.split_once(['=', ':']) else { continue };
            settings.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_of_the_section() {
        let text = "admin_username = x\n[mlflow]\n# admin_password = no\ndefault_permission = READ\nDatabase_URI=sqlite:///a.db\n\n[other]\na=b\n";
        let want = [("default_permission", "READ"), ("database_uri", "sqlite:///a.db")];
        let got = read_ini(text);
        assert_eq!(got.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>(), want);
    }
}
