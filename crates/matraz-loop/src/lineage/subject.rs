//! What a person asks the lineage of.

use std::path::Path;

use matraz_data::hash::digest::Digest;
use matraz_data::stage::address::{join, relative};
use matraz_data::view::View;
use matraz_data::{Index, Repo};

use super::store::{Store, quoted};
use crate::error::{Error, Result};
use crate::model_uri::ModelUri;

/// A thing that has a lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A run by its id.
    Run(String),
    /// A version of a registered model, and the alias by which it was named.
    Version {
        /// The model.
        name: String,
        /// The number.
        version: String,
        /// The alias.
        alias: Option<String>,
    },
    /// Data by digest, with the path they were named by.
    Data {
        /// The digest, `.dir` behind that of a folder.
        digest: String,
        /// The path from the project's root.
        path: Option<String>,
    },
    /// A commit.
    Commit(String),
}

/// Finds what is meant by `runs:/ID`, `models:/NAME@ALIAS`, `models:/NAME/VERSION`, an MD5, `PATH[@REV]`, a revision of
/// git or the name of a run. `project` is the repository and the folder that paths count from.
pub async fn resolve(store: &Store<'_>, project: Option<(&Repo, &Path)>, text: &str) -> Result<Subject> {
    let unknown = || Error::NoSubject { subject: text.to_owned() };
    if text.starts_with("models:/") {
        return model(store, text).await?.ok_or_else(unknown);
    }
    if let Some(rest) = text.strip_prefix("runs:/") {
        let id = rest.split('/').next().unwrap_or_default();
        return store.run(id).await?.map(|run| Subject::Run(run.id)).ok_or_else(unknown);
    }
    if let Some(digest) = Digest::parse(text) {
        if let Some(run) = store.run(text).await? {
            return Ok(Subject::Run(run.id));
        }
        return Ok(Subject::Data { digest: digest.to_text(), path: None });
    }
    if let Some((repo, cwd)) = project {
        let (path, revision) = match text.rsplit_once('@') {
            Some((path, revision)) if !path.is_empty() => (path, Some(revision)),
            _ => (text, None),
        };
        if let Some(found) = data_at(repo, cwd, path, revision)? {
            return Ok(found);
        }
        if let Some(commit) = repo.git.as_ref().and_then(|git| git.resolve_plain(text)) {
            return Ok(Subject::Commit(commit));
        }
    }
    if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Subject::Commit(text.to_ascii_lowercase()));
    }
    // The run of an experiment has its name, and says more than the experiment's commit.
    if let Some(run) = by_name(store, text).await? {
        return Ok(Subject::Run(run));
    }
    let experiment = project.and_then(|(repo, _)| repo.git.as_ref()?.resolve(text));
    experiment.map(Subject::Commit).ok_or_else(unknown)
}

/// The id of the run that is meant by `runs:/ID`, an id or the beginning of one, a run's name, or the version of a model.
pub(crate) async fn resolve_run(store: &Store<'_>, text: &str) -> Result<Option<String>> {
    if text.starts_with("models:/") {
        let Some(Subject::Version { name, version, .. }) = model(store, text).await? else { return Ok(None) };
        let versions = store.versions().await?;
        let found = versions.iter().find(|one| one.model == name && one.version == version);
        return Ok(found.map(|one| one.run_id.clone()).filter(|id| !id.is_empty()));
    }
    let word = text.strip_prefix("runs:/").unwrap_or(text);
    match store.run(word).await? {
        Some(run) => Ok(Some(run.id)),
        None => by_name(store, word).await,
    }
}

/// The run whose id begins so, or of that name.
async fn by_name(store: &Store<'_>, text: &str) -> Result<Option<String>> {
    let is_hex = (4..32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut found = match is_hex {
        true => store.runs(&format!("attributes.run_id LIKE '{}%'", text.to_ascii_lowercase())).await?,
        false => Vec::new(),
    };
    if found.is_empty() {
        found = store.runs(&format!("attributes.run_name = '{}'", quoted(text))).await?;
    }
    match found.len() {
        0 => Ok(None),
        1 => Ok(Some(found.swap_remove(0).id)),
        count => Err(Error::ManyRuns { reference: text.to_owned(), experiment: "*".into(), count }),
    }
}

async fn model(store: &Store<'_>, text: &str) -> Result<Option<Subject>> {
    let versions = store.versions().await?;
    let subject = |name: String, version: &str, alias: Option<String>| Subject::Version {
        name,
        version: version.to_owned(),
        alias,
    };
    Ok(match ModelUri::parse(text, Path::new("/"))? {
        ModelUri::Alias { name, alias } => versions
            .iter()
            .find(|one| one.model == name && one.aliases.contains(&alias))
            .map(|one| subject(name, &one.version, Some(alias))),
        ModelUri::Version { name, version } if version == "latest" => versions
            .iter()
            .filter(|one| one.model == name)
            .max_by_key(|one| one.version.parse::<u64>().unwrap_or(0))
            .map(|one| subject(name, &one.version, None)),
        ModelUri::Version { name, version } => versions
            .iter()
            .find(|one| one.model == name && one.version == version)
            .map(|one| subject(name, &one.version, None)),
        _ => None,
    })
}

/// The data at a path: as the files of the project record them, or, of a file that no file of the project records, by
/// its content.
fn data_at(repo: &Repo, cwd: &Path, path: &str, revision: Option<&str>) -> Result<Option<Subject>> {
    let view = match revision {
        None => View::workspace(repo),
        Some(revision) => match View::at(repo, revision) {
            Ok(view) => view,
            Err(_) => return Ok(None),
        },
    };
    let absolute = join(cwd, path);
    let shown = relative(&absolute, &repo.root);
    let data = |digest: &Digest| Subject::Data { digest: digest.to_text(), path: Some(shown.clone()) };
    let index = Index::load_at(&view)?;
    let outs = index.stages.iter().flat_map(|stage| &stage.outs);
    let recorded = outs.map(|out| (&out.path, out.digest.as_ref(), out.legacy));
    let deps = index.stages.iter().flat_map(|stage| &stage.deps);
    let recorded = recorded.chain(deps.map(|dep| (&dep.path, dep.digest.as_ref(), dep.legacy)));
    let mut folder = None;
    for (place, digest, legacy) in recorded {
        let Some(digest) = digest else { continue };
        if *place == absolute {
            return Ok(Some(data(digest)));
        }
        if digest.is_dir() && absolute.starts_with(place) {
            folder = Some((place.clone(), matraz_data::cache::Object { digest: *digest, legacy }));
        }
    }
    if let Some((place, object)) = folder {
        // Runs know the folder, not each of its files.
        let inside = relative(&absolute, &place);
        let tree = matraz_data::cache::Cache::open(repo).tree(&object)?;
        if tree.is_none_or(|tree| tree.get(&inside).is_some() || tree.below(&inside).next().is_some()) {
            let path = Some(relative(&place, &repo.root));
            return Ok(Some(Subject::Data { digest: object.digest.to_text(), path }));
        }
    }
    if absolute.is_dir() {
        return Ok(None);
    }
    match view.read(&absolute)? {
        Some(bytes) => Ok(Some(data(&Digest::file(matraz_data::hash::md5::of_bytes(&bytes))))),
        None => Ok(None),
    }
}
