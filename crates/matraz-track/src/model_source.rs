//! Where a model version comes from: the checks that a source belongs to the run or model that it is registered for.
//!
//! A registered source is later resolved and downloaded, so a source that a client makes up must not reach files that
//! are not artifacts of the run or logged model it names.

use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;

use crate::db::Session;
use crate::error::{Error, Result};
use crate::model_version::{self, NewModelVersion, Stage};
use crate::{logged_model, registered_model, run};

/// Sources that prompts are registered with; they have no files.
const PROMPT_SOURCES: [&str; 2] = ["dummy-source", "prompt-template"];
/// Schemes that would make the server connect to a host of the client's choice.
const HOST_SCHEMES: [&str; 9] = ["ftp", "sftp", "hdfs", "viewfs", "http", "https", "r2", "b2", "abfss"];

/// A checked source with what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The source as it is stored.
    pub source: String,
    /// Where the files lie.
    pub storage_location: String,
    /// The run that made the model; empty when there is none.
    pub run_id: String,
    /// The logged model, if the version is one.
    pub model_id: Option<String>,
}

/// The parts of a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Uri<'a> {
    /// In lower case; empty for a plain path.
    scheme: String,
    authority: &'a str,
    /// All that follows, a query too: artifact locations have none, so what looks like one is part of a file name.
    path: &'a str,
}

impl<'a> Uri<'a> {
    fn parse(uri: &'a str) -> Self {
        let is_scheme = |text: &str| {
            text.starts_with(|first: char| first.is_ascii_alphabetic())
                && text
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'))
        };
        let (scheme, rest) = match uri.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => (String::new(), uri),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => ("", rest),
        };
        Self { scheme, authority, path }
    }

    fn is_local(&self) -> bool {
        matches!(self.scheme.as_str(), "" | "file")
    }

    fn names(&self) -> Vec<String> {
        self.path.split('/').filter(|name| !name.is_empty()).map(fully_decoded).collect()
    }

    /// Whether this lies at or below `root`.
    fn is_within(&self, root: &Uri<'_>) -> bool {
        let (names, folder) = (self.names(), root.names());
        self.scheme == root.scheme
            && self.authority.eq_ignore_ascii_case(root.authority)
            && !folder.is_empty()
            && names.starts_with(&folder)
    }

    /// Whether this is an artifact behind a tracking server's proxy.
    fn is_proxied(&self) -> bool {
        self.scheme == "mlflow-artifacts"
            || (matches!(self.scheme.as_str(), "http" | "https")
                && self
                    .names()
                    .windows(4)
                    .any(|part| part == ["api", "2.0", "mlflow-artifacts", "artifacts"]))
    }
}

/// What a `models:/` URI names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelUri {
    /// `models:/m-…`: a logged model.
    Logged(String),
    /// `models:/name/3`
    Version(String, String),
    /// `models:/name/Production`
    Stage(String, String),
    /// `models:/name/latest`
    Latest(String),
    /// `models:/name@alias`
    Alias(String, String),
}

impl ModelUri {
    /// Reads a `models:/` URI; `None` when it is not one.
    pub fn parse(uri: &str) -> Option<Self> {
        let path =
            Uri::parse(uri).scheme.eq("models").then(|| uri.split_once(':').map(|(_, path)| path))??;
        let path = path.split('?').next()?;
        let path = match path.strip_prefix("//") {
            Some(_) => return None,
            None => path.strip_prefix('/')?,
        };
        let mut parts = path.split('/');
        let (name, suffix) = (parts.next()?, parts.next());
        if name.trim().is_empty() || parts.next().is_some() {
            return None;
        }
        match suffix {
            Some(suffix) if suffix.trim().is_empty() => None,
            Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(Self::Version(name.to_owned(), number.to_owned()))
            }
            Some(latest) if latest.eq_ignore_ascii_case("latest") => Some(Self::Latest(name.to_owned())),
            Some(stage) => Some(Self::Stage(name.to_owned(), stage.to_owned())),
            None => match name.rsplit_once('@') {
                Some((_, alias)) if alias.trim().is_empty() => None,
                Some((name, alias)) => Some(Self::Alias(name.to_owned(), alias.to_owned())),
                None => Some(Self::Logged(name.to_owned())),
            },
        }
    }
}

/// The source of a prompt.
pub(crate) fn prompt(source: &str) -> Result<Source> {
    if !PROMPT_SOURCES.contains(&source) {
        return Err(Error::invalid(format!(
            "Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder."
        )));
    }
    Ok(Source {
        source: source.to_owned(),
        storage_location: source.to_owned(),
        run_id: String::new(),
        model_id: None,
    })
}

/// Checks the source of a new version and finds where its files lie.
pub(crate) async fn check(session: &mut Session, new: &NewModelVersion) -> Result<Source> {
    let source = new.source.as_str();
    let uri = Uri::parse(source);
    if HOST_SCHEMES.contains(&uri.scheme.as_str())
        || (uri.scheme == "mlflow-artifacts" && !uri.authority.is_empty())
    {
        let scheme = &uri.scheme;
        return Err(Error::invalid(format!(
            "'source' cannot use the '{scheme}' scheme: the '{scheme}' scheme addresses a host other than the tracking \
             server's configured artifact storage, so the server would connect to the host named in the URI."
        )));
    }
    let run_id = new.run_id.clone().unwrap_or_default();
    let model_id = new.model_id.clone().filter(|id| !id.is_empty());
    if uri.scheme == "models" {
        if !uri.authority.is_empty() {
            return Err(Error::invalid(format!(
                "Invalid model version source: '{source}'. Registered model sources must use the active model registry."
            )));
        }
        return match ModelUri::parse(source) {
            None => Err(foreign(source, "model_id")),
            Some(ModelUri::Logged(id)) if model_id.as_ref() == Some(&id) => {
                let model = logged_model::get(session, &id).await?;
                let run_id =
                    Some(run_id).filter(|run| !run.is_empty()).or(model.source_run_id).unwrap_or_default();
                Ok(Source {
                    source: source.to_owned(),
                    storage_location: model.artifact_location,
                    run_id,
                    model_id,
                })
            }
            Some(ModelUri::Logged(_)) => Err(foreign(source, "model_id")),
            Some(other) => copy(session, new, other).await,
        };
    }
    let owner = match &model_id {
        Some(_) => "model_id",
        None => "run_id",
    };
    let mut run_of_model = None;
    let location = match &model_id {
        Some(id) => {
            let model = found(logged_model::get(session, id).await, source, owner)?;
            run_of_model = model.source_run_id;
            Some(model.artifact_location)
        }
        // The run is looked at only when the source could lie in it.
        None if run_id.is_empty() || !(uri.is_local() || uri.is_proxied()) => None,
        None => Some(found(run::find(session, &run_id).await, source, owner)?.artifact_uri),
    };
    if uri.is_local() {
        let inside = location.as_deref().is_some_and(|location| is_local_within(&uri, &Uri::parse(location)));
        if !inside {
            return Err(Error::invalid(format!(
                "Invalid model version source: '{source}'. To use a local path as a model version source, the {owner} request \
                 parameter has to be specified and the local path has to be contained within the artifact directory of the \
                 run specified by the {owner}."
            )));
        }
    } else {
        check_absolute(source)?;
        if uri.scheme == "runs" {
            let named =
                uri.path.strip_prefix('/').and_then(|path| path.split('/').next()).unwrap_or_default();
            if model_id.is_some() || !uri.authority.is_empty() || named.is_empty() || named != run_id {
                return Err(foreign(source, owner));
            }
        }
        let inside = || location.as_deref().is_some_and(|location| uri.is_within(&Uri::parse(location)));
        if uri.is_proxied() && !inside() {
            return Err(foreign(source, owner));
        }
    }
    let run_id = if run_id.is_empty() { run_of_model.unwrap_or_default() } else { run_id };
    Ok(Source { source: source.to_owned(), storage_location: source.to_owned(), run_id, model_id })
}

/// The source of a version that is a copy of another registered version.
async fn copy(session: &mut Session, new: &NewModelVersion, from: ModelUri) -> Result<Source> {
    let name = match &from {
        ModelUri::Version(name, _)
        | ModelUri::Stage(name, _)
        | ModelUri::Latest(name)
        | ModelUri::Alias(name, _) => name.clone(),
        ModelUri::Logged(id) => id.clone(),
    };
    if registered_model::get(session, &name).await?.is_prompt() {
        return Err(Error::invalid(format!(
            "Invalid model version source: '{}'. Prompt versions cannot be used as model version sources.",
            new.source
        )));
    }
    let original = match &from {
        ModelUri::Version(name, number) => model_version::get(session, name, number).await?,
        ModelUri::Alias(name, alias) => registered_model::version_by_alias(session, name, alias).await?,
        ModelUri::Latest(name) | ModelUri::Logged(name) => {
            registered_model::version_by_alias(session, name, "latest").await?
        }
        ModelUri::Stage(name, stage) => {
            let stage = Stage::parse(stage)?;
            let latest = registered_model::latest(session, name, &[stage]).await?;
            latest.into_iter().next().ok_or_else(|| {
                Error::missing(format!(
                    "No versions of model with name '{name}' and stage '{}' found",
                    stage.name()
                ))
            })?
        }
    };
    let run_id = original.run_id.clone().unwrap_or_default();
    let other_run = new.run_id.as_ref().is_some_and(|sent| *sent != run_id);
    let other_model = new.model_id.as_ref().is_some_and(|sent| !sent.is_empty());
    if other_run || other_model {
        return Err(Error::invalid(format!(
            "Invalid model version source: '{}'. The run_id and model_id request parameters must match the referenced model version.",
            new.source
        )));
    }
    let source = format!("models:/{}/{}", original.name, original.version);
    let location = original.storage_location.filter(|location| !location.is_empty()).or(original.source);
    Ok(Source { source, storage_location: location.unwrap_or_default(), run_id, model_id: None })
}

/// Turns "no such run or model" into the error for a source without an owner.
fn found<T>(result: Result<T>, source: &str, owner: &str) -> Result<T> {
    result.map_err(|error| {
        if error.code() == crate::Code::ResourceDoesNotExist { foreign(source, owner) } else { error }
    })
}

fn foreign(source: &str, owner: &str) -> Error {
    Error::invalid(format!(
        "Invalid model version source: '{source}'. The {owner} request parameter must identify the resource that contains the source."
    ))
}

/// Refuses `..`, `.`, NUL and relative paths in a source that is not local, however often they are encoded.
fn check_absolute(source: &str) -> Result<()> {
    let decoded = fully_decoded(&source.replace('+', " "));
    let uri = Uri::parse(&decoded);
    let plain = uri.path.starts_with('/')
        && !decoded.contains('\0')
        && decoded.split('/').all(|name| name != "..")
        && uri.path.split('/').all(|name| name != ".")
        && !uri.path.trim_end_matches('/').is_empty();
    if plain {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Invalid model version source: '{source}'. If supplying a source as an http, https, local file path, ftp, objectstore, \
         or mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide an \
         absolute path."
    )))
}

/// Whether a local source lies at or below a local artifact location, symbolic links resolved.
fn is_local_within(source: &Uri<'_>, location: &Uri<'_>) -> bool {
    if !location.is_local() {
        return false;
    }
    match (real_path(source), real_path(location)) {
        (Some(source), Some(location)) => source.starts_with(location),
        _ => false,
    }
}

/// The absolute path of a local URI with links resolved as far as it exists; `None` when it goes up with `..`.
fn real_path(uri: &Uri<'_>) -> Option<PathBuf> {
    let text = if uri.scheme == "file" {
        percent_decode_str(uri.path).decode_utf8().ok()?.into_owned()
    } else {
        uri.path.to_owned()
    };
    let path = Path::new(&text);
    if text.contains('\0') || path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let path = std::path::absolute(path).ok()?;
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return Some(real.join(rest));
        }
    }
    None
}

/// Undoes percent-encoding until nothing changes.
fn fully_decoded(text: &str) -> String {
    let mut text = text.to_owned();
    loop {
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return text;
        }
        text = decoded;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::artifact::Location;

    #[test]
    fn model_uris() {
        let s = str::to_owned;
        for (uri, want) in [
            ("models:/m-abc", Some(ModelUri::Logged(s("m-abc")))),
            ("models:/n/3", Some(ModelUri::Version(s("n"), s("3")))),
            ("models:/n/Production", Some(ModelUri::Stage(s("n"), s("Production")))),
            ("models:/n/Latest", Some(ModelUri::Latest(s("n")))),
            ("models:/a@b@champion", Some(ModelUri::Alias(s("a@b"), s("champion")))),
            ("models:/n@", None),
            ("models:/", None),
            ("models:/n/", None),
            ("models:/n/1/x", None),
            ("models://host/n/1", None),
            ("models:n/1", None),
            ("runs:/n/1", None),
        ] {
            assert_eq!(ModelUri::parse(uri), want, "{uri}");
        }
    }

    #[test]
    fn sources_that_point_elsewhere() {
        for good in [
            "s3://bucket/x",
            "dbfs:/x",
            "mlflow-artifacts:/1/r/artifacts/model",
            "s3://b//x/",
            "runs:/r/model",
        ] {
            assert!(check_absolute(good).is_ok(), "{good}");
        }
        for bad in [
            "mlflow-artifacts:/../../x",
            "mlflow-artifacts:/1/..%2fx",
            "mlflow-artifacts:/1/%252e%252e/x",
            "s3://b/../x",
            "s3://b/./x",
            "s3://bucket",
            "foo:x",
            "s3://b/x%00",
        ] {
            assert!(check_absolute(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn being_within() {
        let within = |source: &str, root: &str| Uri::parse(source).is_within(&Uri::parse(root));
        assert!(within("mlflow-artifacts:/1/r/artifacts/model", "mlflow-artifacts:/1/r/artifacts"));
        assert!(within("mlflow-artifacts:/1/r/artifacts", "mlflow-artifacts:/1/r/artifacts"));
        assert!(within("mlflow-artifacts:/1/r/%61rtifacts/x", "mlflow-artifacts:/1/r/artifacts"));
        assert!(!within("mlflow-artifacts:/1/r2/artifacts/x", "mlflow-artifacts:/1/r/artifacts"));
        assert!(!within("mlflow-artifacts:/1/r/artifacts-2/x", "mlflow-artifacts:/1/r/artifacts"));
        assert!(!within("s3://b/1/r/artifacts/x", "mlflow-artifacts:/1/r/artifacts"));
        assert!(!within("s3://other/1/x", "s3://b/1"));
    }

    proptest! {
        #[test]
        fn an_accepted_source_is_read_inside_its_run(
            source in "mlflow-artifacts:(//h)?/{1,2}((1|%31)(/|%2f|/x/%2e%2e/)r/artifacts)?(1|r|/artifacts|%2f|%252f|\\.\\.|%2e%2e|\\.|/|\\?|#|x|%00|\\+| ){0,8}"
        ) {
            let root = "mlflow-artifacts:/1/r/artifacts";
            let accepted = check_absolute(&source).is_ok() && Uri::parse(&source).is_within(&Uri::parse(root));
            if accepted && let Ok(Location::Proxied(path)) = Location::parse(&source) {
                let inside = path.as_str() == "1/r/artifacts" || path.as_str().starts_with("1/r/artifacts/");
                prop_assert!(inside, "{} is read at {}", source, path);
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn local_sources() {
        let top = tempfile::tempdir().unwrap();
        let run = top.path().join("run");
        std::fs::create_dir(&run).unwrap();
        std::os::unix::fs::symlink("/etc", run.join("link")).unwrap();
        let run = run.to_string_lossy().into_owned();
        let within = |source: &str, root: &str| is_local_within(&Uri::parse(source), &Uri::parse(root));
        assert!(within(&format!("{run}/model"), &run));
        assert!(within(&format!("file://{run}/model"), &run));
        assert!(within(&run, &format!("file://{run}")));
        for outside in [
            "/etc".to_owned(),
            format!("{run}/../x"),
            format!("{run}/link"),
            format!("{run}/link/passwd"),
            format!("{run}2"),
        ] {
            assert!(!within(&outside, &run), "{outside}");
        }
        assert!(!within(&run, "mlflow-artifacts:/1"));
    }
}
