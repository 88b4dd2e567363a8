//! The URI of a tracking store, in SQLAlchemy's form as MLflow takes it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;

use crate::error::{Error, Result};

/// Where the store is. Shown without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUri {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(PostgresUri),
    /// A folder `mlruns` of MLflow's file store, which can only be read.
    Folder(PathBuf),
}

/// The address of a PostgreSQL database. Neither its `Debug` nor its `Display` form holds the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUri {
    /// With the scheme `postgresql` and everything that was given.
    full: String,
}

/// The parameters of libpq that the driver follows. Any other is refused, so that none is passed over in silence.
const PARAMETERS: [&str; 12] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

impl StoreUri {
    /// Reads `sqlite:///relative.db`, `sqlite:////absolute.db` and `postgresql://user:password@host:port/database`,
    /// which may name one of SQLAlchemy's drivers (`postgresql+psycopg2://`) and may be written `postgres://`; also the
    /// path or `file:` URI of a folder with runs in files. A relative path counts from `base`.
    ///
    /// # Errors
    /// Databases that only MLflow knows are refused by name. No error repeats a password.
    pub fn parse(uri: &str, base: &Path) -> Result<Self> {
        let scheme = uri.split_once("://").map_or("", |(scheme, _)| scheme);
        // SQLAlchemy's driver follows a `+`.
        let (dialect, driver) = scheme.split_once('+').unwrap_or((scheme, ""));
        match dialect {
            "postgresql" | "postgres" => PostgresUri::parse(uri, scheme, driver).map(Self::Postgres),
            "mysql" | "mssql" | "oracle" | "mariadb" => {
                Err(Error::UnsupportedStore { scheme: scheme.to_owned() })
            }
            "sqlite" => Self::parse_sqlite(uri, base),
            "file" | "" if !uri.is_empty() => Self::parse_folder(uri, base),
            _ => Err(Error::StoreUri { uri: without_password(uri), why: None }),
        }
    }

    fn parse_folder(uri: &str, base: &Path) -> Result<Self> {
        let path = uri.strip_prefix("file:").map_or(uri, |path| path.strip_prefix("//").unwrap_or(path));
        let folder = base.join(path);
        if crate::filestore::is_store(&folder) {
            return Ok(Self::Folder(folder));
        }
        let why = "it is no folder with runs in it".to_owned();
        Err(Error::StoreUri { uri: uri.to_owned(), why: Some(why) })
    }

    fn parse_sqlite(uri: &str, base: &Path) -> Result<Self> {
        let refused = || Error::StoreUri { uri: without_password(uri), why: None };
        let path = uri.strip_prefix("sqlite:///").ok_or_else(refused)?;
        // SQLAlchemy takes options after `?`; none of them is known here, so none is passed over in silence.
        if path.is_empty() || path.contains(['?', '\0']) || path == ":memory:" {
            return Err(refused());
        }
        Ok(Self::Sqlite(base.join(path)))
    }

    /// The URI without its password, as it can be given again to a program that asks for the password otherwise.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:///{}", path.display()),
            Self::Folder(path) => path.display().to_string(),
            Self::Postgres(uri) => uri.to_string(),
        }
    }
}

impl fmt::Display for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) | Self::Folder(path) => path.display().fmt(f),
            Self::Postgres(uri) => uri.fmt(f),
        }
    }
}

impl PostgresUri {
    fn parse(uri: &str, scheme: &str, driver: &str) -> Result<Self> {
        let refused = |why: String| Error::StoreUri { uri: without_password(uri), why: Some(why) };
        if !matches!(driver, "" | "psycopg2" | "psycopg" | "psycopg2cffi" | "pg8000" | "asyncpg") {
            return Err(refused(format!("the driver '{driver}' is not known")));
        }
        let rest = uri.get(scheme.len()..).unwrap_or_default();
        if let Some((_, query)) = rest.split_once('?') {
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let name = pair.split_once('=').map_or(pair, |(name, _)| name);
                if !PARAMETERS.contains(&name) {
                    return Err(refused(format!("the parameter '{name}' is not supported")));
                }
            }
        }
        let address = Self { full: format!("postgresql{}", with_user_as_parameter(rest)) };
        address.options().map_err(|why| refused(why.to_string()))?;
        Ok(address)
    }

    /// The driver's form of the address. What it leaves open follows libpq: `PGHOST`, `PGPASSWORD`, `~/.pgpass`, …
    pub(crate) fn options(&self) -> sqlx::Result<PgConnectOptions> {
        PgConnectOptions::from_str(&self.full)
    }

    /// The address in a form that programs of PostgreSQL take, without the password.
    pub(crate) fn without_password(&self) -> String {
        let Some(password) = self.written_password() else { return self.full.clone() };
        let as_login = self.full.replacen(&format!(":{password}@"), "@", 1);
        as_login.replacen(&format!("password={password}"), "password=", 1)
    }

    /// The password, if the address holds one.
    pub(crate) fn password(&self) -> Option<String> {
        let written = self.written_password()?;
        Some(percent_encoding::percent_decode_str(written).decode_utf8_lossy().into_owned())
    }

    /// The password with its percent signs.
    fn written_password(&self) -> Option<&str> {
        let (address, query) = self.full.split_once('?').unwrap_or((&self.full, ""));
        let login = address.split_once("://")?.1.rsplit_once('@').map(|(login, _)| login);
        let in_login = login.and_then(|login| login.split_once(':')).map(|(_, password)| password);
        in_login.or_else(|| query.split('&').find_map(|pair| pair.strip_prefix("password=")))
    }

    /// The same server with another database.
    pub fn with_database(&self, name: &str) -> Self {
        let (address, query) = self.full.split_once('?').unwrap_or((&self.full, ""));
        let start = address.find("://").map_or(0, |at| at + 3);
        let end = address[start..].find('/').map_or(address.len(), |at| start + at);
        let mark = if query.is_empty() { "" } else { "?" };
        Self { full: format!("{}/{name}{mark}{query}", &address[..end]) }
    }
}

impl fmt::Display for PostgresUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.full))
    }
}

impl fmt::Debug for PostgresUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `://user:password@/database`, which names no host, in the form that the driver reads.
fn with_user_as_parameter(rest: &str) -> String {
    let address = rest.strip_prefix("://").unwrap_or(rest);
    let (address, query) = address.split_once('?').unwrap_or((address, ""));
    let Some((login, database)) = address.rsplit_once("@/") else { return rest.to_owned() };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    // In parameters a plus stands for a space.
    let quoted = |text: &str| text.replace('+', "%2B");
    let mut made = format!(":///{database}?user={}", quoted(user));
    for (name, value) in [("&password=", quoted(password).as_str()), ("&", query)] {
        if !value.is_empty() {
            made.push_str(name);
            made.push_str(value);
        }
    }
    made
}

/// The URI with `***` in place of the password, wherever one may stand.
fn without_password(uri: &str) -> String {
    let (address, query) = match uri.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (uri, None),
    };
    let mut shown = match address.split_once("://") {
        // A password may hold `@`: the last one ends it.
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((login, place)) => {
                let (user, password) = login.split_once(':').map_or((login, None), |(u, p)| (u, Some(p)));
                let hidden = if password.is_some() { ":***" } else { "" };
                format!("{scheme}://{user}{hidden}@{place}")
            }
            None => address.to_owned(),
        },
        None => address.to_owned(),
    };
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    for (index, pair) in pairs.enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(if pair.starts_with("password=") { "password=***" } else { pair });
    }
    shown
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
            ("./mlruns", None),
        ] {
            let got = StoreUri::parse(uri, Path::new("/base")).ok();
            assert_eq!(got, want.map(|path| StoreUri::Sqlite(path.into())), "{uri}");
        }
    }

    #[test]
    fn postgres_uris() {
        let options = |uri: &str| match StoreUri::parse(uri, Path::new("/base")).unwrap() {
            StoreUri::Postgres(uri) => uri.options().unwrap(),
            _ => panic!("{uri}"),
        };
        for scheme in ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg"] {
            let got = options(&format!("{scheme}://ann:p%40ss@db.example:5433/ml?sslmode=require"));
            assert_eq!(
                (got.get_host(), got.get_port(), got.get_username(), got.get_database()),
                ("db.example", 5433, "ann", Some("ml"))
            );
        }
        assert_eq!(
            options("postgresql://ann@/ml?host=/run/postgresql").get_socket().unwrap(),
            Path::new("/run/postgresql")
        );
        let local = options("postgresql://ann:p+w@/ml");
        assert_eq!((local.get_username(), local.get_database()), ("ann", Some("ml")));
        for (uri, why) in [
            ("postgresql+nope://h/d", "the driver 'nope' is not known"),
            (
                "postgresql://h/d?target_session_attrs=any",
                "the parameter 'target_session_attrs' is not supported",
            ),
            ("mysql+pymysql://u:secret@h/d", "mysql+pymysql"),
            ("mssql+pyodbc://u:secret@h/d", "mssql+pyodbc"),
        ] {
            let error = StoreUri::parse(uri, Path::new("/base")).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let StoreUri::Postgres(uri) =
            StoreUri::parse("postgres://u:p@h:1/d?sslmode=disable", Path::new("/")).unwrap()
        else {
            panic!()
        };
        assert_eq!(uri.with_database("e").full, "postgresql://u:p@h:1/e?sslmode=disable");
    }

    #[test]
    fn programs_get_the_password_apart() {
        for (uri, address, password) in [
            ("postgres://ann:s%40x@h:1/d", "postgresql://ann@h:1/d", Some("s@x")),
            ("postgres://ann:x@/d", "postgresql:///d?user=ann&password=", Some("x")),
            ("postgres://ann@h/d", "postgresql://ann@h/d", None),
        ] {
            let Ok(StoreUri::Postgres(parsed)) = StoreUri::parse(uri, Path::new("/")) else {
                panic!("{uri}")
            };
            assert_eq!(
                (parsed.without_password().as_str(), parsed.password().as_deref()),
                (address, password)
            );
        }
    }

    #[test]
    fn passwords_are_never_shown() {
        for (uri, shown) in [
            ("postgresql://ann:secret@h:1/d", "postgresql://ann:***@h:1/d"),
            ("postgresql+psycopg2://ann:se@cret@h/d", "postgresql://ann:***@h/d"),
            ("postgres://h/d?user=ann&password=secret", "postgresql://h/d?user=ann&password=***"),
        ] {
            let Ok(parsed) = StoreUri::parse(uri, Path::new("/")) else { continue };
            assert_eq!(parsed.to_string(), shown);
            assert!(!format!("{parsed:?} {}", parsed.shown()).contains("secret"));
        }
        for bad in
            ["postgresql+x://ann:secret@h/d", "nope://ann:secret@h/d", "postgresql://ann:secret@h:port/d"]
        {
            let error = StoreUri::parse(bad, Path::new("/")).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}
