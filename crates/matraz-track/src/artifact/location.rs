//! What an artifact URI of the store means, and which places a server is willing to touch.

use std::path::{Component, Path, PathBuf};

use super::{ArtifactError, ArtifactPath, ArtifactRoot};

/// Where artifacts lie, as written in `artifact_uri`, `artifact_location` and model sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Below the artifact root of the tracking server: `mlflow-artifacts:/…` or a server's proxy URL.
    Proxied(ArtifactPath),
    /// A folder of this machine: a plain path or a `file:` URI.
    Local(PathBuf),
}

/// The route under which a server proxies artifacts.
const PROXY_ROUTE: &str = "/api/2.0/mlflow-artifacts/artifacts";

impl Location {
    /// Reads an artifact URI. Object stores are not reachable from here and are named in the error.
    pub fn parse(uri: &str) -> Result<Self, ArtifactError> {
        let Some((scheme, rest)) = split_scheme(uri) else {
            return Ok(Self::Local(PathBuf::from(uri)));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => Ok(Self::Local(PathBuf::from(local_part(rest)))),
            "mlflow-artifacts" => {
                let path = after_authority(rest);
                Ok(Self::Proxied(ArtifactPath::parse(path.trim_start_matches('/'))?))
            }
            "http" | "https" => {
                let path = after_authority(rest);
                let below = path.split_once(PROXY_ROUTE).map(|(_, below)| below);
                let below = below.ok_or_else(|| unsupported(uri, scheme))?;
                Ok(Self::Proxied(ArtifactPath::parse(below.trim_start_matches('/'))?))
            }
            _ => Err(unsupported(uri, scheme)),
        }
    }
}

fn unsupported(uri: &str, scheme: &str) -> ArtifactError {
    ArtifactError::UnsupportedScheme { uri: uri.to_owned(), scheme: scheme.to_owned() }
}

/// Splits `scheme:rest`; a single letter before the colon is a Windows drive, not a scheme.
fn split_scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    let mut letters = scheme.chars();
    let starts_well = letters.next().is_some_and(|first| first.is_ascii_alphabetic());
    let goes_on_well =
        letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'));
    (scheme.len() > 1 && starts_well && goes_on_well).then_some((scheme, rest))
}

/// The path behind `//host:port`, or all of it when there is no authority.
fn after_authority(rest: &str) -> &str {
    match rest.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None => rest,
    }
}

/// The path of a `file:` URI, percent-decoded once.
fn local_part(rest: &str) -> String {
    percent_encoding::percent_decode_str(after_authority(rest)).decode_utf8_lossy().into_owned()
}

/// The places that a server reads and writes: its own artifact root and local folders that it was told to trust.
///
/// Artifact locations are written by clients, so a local one counts only below a trusted folder.
#[derive(Clone, Debug, Default)]
pub struct Artifacts {
    served: Option<ArtifactRoot>,
    trusted: Vec<PathBuf>,
}

impl Artifacts {
    /// A server that proxies artifacts below `root`.
    pub fn served(root: ArtifactRoot) -> Self {
        Self { trusted: vec![root.folder().to_path_buf()], served: Some(root) }
    }

    /// Trusts local artifact locations below `folder` too.
    #[must_use]
    pub fn trusting(mut self, folder: impl Into<PathBuf>) -> Self {
        self.trusted.push(folder.into());
        self
    }

    /// The root of the proxy, if this server serves artifacts.
    pub fn proxy(&self) -> Option<&ArtifactRoot> {
        self.served.as_ref()
    }

    /// The folder and the path below it for `below` inside the artifact location `uri`.
    pub fn find(
        &self,
        uri: &str,
        below: &ArtifactPath,
    ) -> Result<(ArtifactRoot, ArtifactPath), ArtifactError> {
        match Location::parse(uri)? {
            Location::Proxied(folder) => {
                let root =
                    self.served.clone().ok_or_else(|| ArtifactError::NotServed { uri: uri.to_owned() })?;
                Ok((root, folder.join(below)))
            }
            Location::Local(folder) => {
                let folder = std::path::absolute(&folder)
                    .map_err(|error| ArtifactError::io("resolve", folder, error))?;
                if !self.trusts(&folder) {
                    return Err(ArtifactError::UntrustedFolder { folder });
                }
                Ok((ArtifactRoot::new(folder), below.clone()))
            }
        }
    }

    fn trusts(&self, folder: &Path) -> bool {
        if folder.components().any(|part| part == Component::ParentDir) {
            return false;
        }
        let real = real_path(folder);
        self.trusted.iter().any(|trusted| real.starts_with(real_path(trusted)))
    }
}

/// The path with symbolic links resolved as far as it exists.
fn real_path(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return real.join(rest);
        }
    }
    path.to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxied(path: &str) -> Location {
        Location::Proxied(ArtifactPath::parse(path).unwrap())
    }

    #[test]
    fn uris() {
        for (uri, want) in [
            ("mlflow-artifacts:/1/r/artifacts", proxied("1/r/artifacts")),
            ("mlflow-artifacts://host:5000/1/r", proxied("1/r")),
            ("mlflow-artifacts:///1/r", proxied("1/r")),
            ("http://h:1/x/api/2.0/mlflow-artifacts/artifacts/1/r", proxied("1/r")),
            ("file:///srv/mlruns/1", Location::Local("/srv/mlruns/1".into())),
            ("file:///srv/a%20b", Location::Local("/srv/a b".into())),
            ("/srv/mlruns/1", Location::Local("/srv/mlruns/1".into())),
            ("./mlruns", Location::Local("./mlruns".into())),
        ] {
            assert_eq!(Location::parse(uri).unwrap(), want, "{uri}");
        }
        for uri in [
            "s3://bucket/x",
            "http://host/other",
            "mlflow-artifacts:/../x",
            "mlflow-artifacts:/1/..%2f..%2fx",
        ] {
            assert!(Location::parse(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn only_trusted_folders_are_touched() {
        let top = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::served(ArtifactRoot::new(top.path().join("artifacts")))
            .trusting(top.path().join("mlruns"));
        let below = ArtifactPath::parse("model/MLmodel").unwrap();
        let uri = |folder: &str| top.path().join(folder).to_string_lossy().into_owned();

        let (root, path) = artifacts.find("mlflow-artifacts:/1/r", &below).unwrap();
        assert_eq!(
            (root.folder(), path.as_str()),
            (top.path().join("artifacts").as_path(), "1/r/model/MLmodel")
        );
        let (root, path) = artifacts.find(&uri("mlruns/1"), &below).unwrap();
        assert_eq!((root.folder(), path.as_str()), (top.path().join("mlruns/1").as_path(), "model/MLmodel"));

        for outside in ["/etc", "file:///etc", &uri("other"), &uri("mlruns/../other"), &uri("mlruns-other")] {
            assert!(
                matches!(artifacts.find(outside, &below), Err(ArtifactError::UntrustedFolder { .. })),
                "{outside}"
            );
        }
        assert!(matches!(
            Artifacts::default().find("mlflow-artifacts:/1", &below),
            Err(ArtifactError::NotServed { .. })
        ));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_does_not_make_a_folder_trusted() {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join("artifacts");
        std::fs::create_dir_all(&root).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("link")).unwrap();
        let artifacts = Artifacts::served(ArtifactRoot::new(&root));
        let link = root.join("link").to_string_lossy().into_owned();
        assert!(artifacts.find(&link, &ArtifactPath::root()).is_err());
    }
}
