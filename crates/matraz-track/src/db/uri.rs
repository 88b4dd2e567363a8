//! The URI of a tracking store, in SQLAlchemy's form as MLflow takes it.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUri {
    /// An SQLite file.
    Sqlite(PathBuf),
}

impl StoreUri {
    /// Reads `sqlite:///relative.db` and `sqlite:////absolute.db`. A relative path counts from `base`.
    pub fn parse(uri: &str, base: &Path) -> Result<Self> {
        const DATABASES: [&str; 4] = ["postgresql", "postgres", "mysql", "mssql"];
        let scheme = uri.split_once("://").map_or("", |(scheme, _)| scheme);
        // SQLAlchemy's driver follows a `+`.
        if DATABASES.contains(&scheme.split('+').next().unwrap_or_default()) {
            return Err(Error::NotYet { scheme: scheme.to_owned() });
        }
        let refused = || Error::StoreUri { uri: uri.to_owned() };
        let path = uri.strip_prefix("sqlite:///").ok_or_else(refused)?;
        // SQLAlchemy takes options after `?`; none of them is known here, so none is passed over in silence.
        if path.is_empty() || path.contains(['?', '\0']) || path == ":memory:" {
            return Err(refused());
        }
        Ok(Self::Sqlite(base.join(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_uris() {
        for (uri, want) in [
            ("sqlite:///mlflow.db", Some("/base/mlflow.db")),
            ("sqlite:////data/x.db", Some("/data/x.db")),
            ("sqlite:///a b/x.db", Some("/base/a b/x.db")),
            ("sqlite://", None),
            ("sqlite:///", None),
            ("sqlite:///:memory:", None),
            ("sqlite:///x.db?mode=ro", None),
            ("postgresql://host/db", None),
            ("./mlruns", None),
        ] {
            let got = StoreUri::parse(uri, Path::new("/base")).ok();
            assert_eq!(got, want.map(|path| StoreUri::Sqlite(path.into())), "{uri}");
        }
    }
}
