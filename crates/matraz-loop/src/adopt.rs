//! `adopt`: ties runs that were logged before Matraz to the data of a repository, where hashes prove the tie.
//!
//! A run's artifact, or data that a script logged with their MD5, that a lock file or a `.dvc` file of some commit names by
//! the same MD5 is the same data: the run gets it as a dataset, as the recorder would have written it. What no hash proves
//! is marked unproven and left alone. Only tags and dataset inputs of MLflow's own API are written.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use matraz_base::Progress;
use matraz_base::process::Interrupt;
use matraz_base::progress::Unit;
use matraz_data::stage::address::relative;
use matraz_data::stage::{LOCK_FILE, LockedItem};
use matraz_data::view::View;
use matraz_data::{Digest, Index, Repo};
use serde::Serialize;
use serde_json::json;

use crate::error::{Error, Result};
use crate::lineage::Store;
use crate::record;
use crate::run::{Run, tag};
use crate::tracker::Tracker;

/// Artifacts of one run that are hashed; beyond that their sizes must fit first anyway.
const MOST_ARTIFACTS: usize = 2000;

/// What a run is tied to.
#[derive(Clone, Debug, Serialize)]
pub struct Adopted {
    /// The run.
    pub run_id: String,
    /// Its name.
    pub run_name: String,
    /// Its commit, when it names one that the repository has.
    pub commit: Option<String>,
    /// The data that hashes prove.
    pub links: Vec<Link>,
    /// What the run says and nothing proves.
    pub unproven: Vec<String>,
    /// Whether it was adopted before.
    pub known: bool,
}

/// Data that a run read or made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Link {
    /// The path from the project's root.
    pub path: String,
    /// The MD5.
    pub digest: String,
    /// `output` for an artifact, `input` for data that the run logged as read.
    pub context: String,
    /// What proves it: the artifact, or the logged digest.
    pub proof: String,
    #[serde(skip)]
    item: LockedItem,
}

/// What the commits of a repository record.
#[derive(Default)]
struct Recorded {
    /// By MD5: the path, and whether a stage made it.
    by_digest: HashMap<String, LockedItem>,
    sizes: HashSet<u64>,
}

/// Looks at all runs of the store.
pub fn plan(
    repo: &Repo,
    tracker: &Tracker,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Vec<Adopted>> {
    let recorded = recorded(repo)?;
    let store = Store::new(Some(tracker.client()));
    let runs = tracker.wait(store.runs(""))?;
    let task = progress.begin("looking at runs", runs.len() as u64, Unit::Files);
    let mut found = Vec::new();
    for run in runs {
        if interrupt.is_raised() {
            return Err(matraz_data::Error::Interrupted.into());
        }
        // The recorder's own runs have their data already.
        if run.tag(tag::KIND).is_none() {
            found.push(look(repo, tracker, &recorded, &run)?);
        }
        progress.advance(task, 1);
    }
    progress.end(task);
    Ok(found)
}

/// Writes what [`plan`] found.
pub fn apply(tracker: &Tracker, found: &[Adopted]) -> Result<()> {
    for one in found.iter().filter(|one| !one.known) {
        let items = |context: &str| -> Vec<&LockedItem> {
            one.links.iter().filter(|link| link.context == context).map(|link| &link.item).collect()
        };
        record::write_datasets(tracker, &one.run_id, &items("input"), &items("output"))?;
        let verdict = if one.links.is_empty() && one.commit.is_none() { "unproven" } else { "proven" };
        let mut tags = vec![json!({"key": tag::ADOPTED, "value": verdict})];
        if !one.unproven.is_empty() {
            tags.push(json!({"key": tag::UNPROVEN, "value": one.unproven.join("\n")}));
        }
        let body = json!({"run_id": one.run_id, "tags": tags});
        tracker.wait(tracker.client().post("runs/log-batch", &body))?;
    }
    Ok(())
}

fn look(repo: &Repo, tracker: &Tracker, recorded: &Recorded, run: &Run) -> Result<Adopted> {
    let mut adopted = Adopted {
        run_id: run.id.clone(),
        run_name: run.name.clone(),
        commit: None,
        links: Vec::new(),
        unproven: Vec::new(),
        known: run.tag(tag::ADOPTED).is_some(),
    };
    if let Some(commit) = run.tag(tag::COMMIT) {
        adopted.commit =
            repo.git.as_ref().and_then(|git| git.resolve(commit)).filter(|found| found.starts_with(commit));
        if adopted.commit.is_none() {
            adopted.unproven.push(format!("commit {commit}: this repository does not have it"));
        }
    }
    let mut link = |digest: &str, context: &str, proof: String| -> bool {
        let Some(item) = recorded.by_digest.get(digest) else { return false };
        if !adopted.links.iter().any(|known: &Link| known.digest == digest) {
            adopted.links.push(Link {
                path: item.path.clone(),
                digest: digest.to_owned(),
                context: context.to_owned(),
                proof,
                item: item.clone(),
            });
        }
        true
    };
    let mut unproven = Vec::new();
    for data in &run.datasets {
        // MLflow's own digests are of another kind than DVC's.
        if !link(&data.digest, "input", format!("logged as dataset {}", data.name)) {
            unproven.push(format!("dataset {}: nothing recorded has the digest {}", data.name, data.digest));
        }
    }
    for (name, value) in &run.tags {
        // The names that people made up for the digest of their data: `dvc_hash`, `data_md5`, …
        let named = ["dvc", "md5", "data"].iter().any(|word| name.to_lowercase().contains(word));
        if named && Digest::parse(value).is_some() && !link(value, "input", format!("tag {name}")) {
            unproven.push(format!("tag {name}: nothing recorded has the digest {value}"));
        }
    }
    let (files, lost) = match tracker.wait(tracker.client().files(&run.artifact_uri, "")) {
        Ok(files) => (files, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    unproven.extend(lost.map(|why| format!("artifacts: {why}")));
    for file in files
        .iter()
        .filter(|file| file.size.is_none_or(|size| recorded.sizes.contains(&size)))
        .take(MOST_ARTIFACTS)
    {
        let digest = md5_of(tracker, run, &file.path)?;
        link(&digest, "output", format!("artifact {}", file.path));
    }
    adopted.unproven.extend(unproven);
    Ok(adopted)
}

/// The MD5 of an artifact, read where it lies or through a temporary file.
fn md5_of(tracker: &Tracker, run: &Run, path: &str) -> Result<String> {
    let local = tracker
        .artifact_folder(&run.artifact_uri)
        .map(|folder| folder.join(path))
        .filter(|file| file.is_file());
    let digest = |file: &Path| -> Result<String> {
        let mut reader = std::fs::File::open(file).map_err(Error::file("read", file))?;
        let md5 = matraz_data::hash::md5::of_reader(&mut reader).map_err(Error::file("read", file))?;
        Ok(Digest::file(md5).to_text())
    };
    match local {
        Some(file) => digest(&file),
        None => {
            let folder = tempfile::tempdir().map_err(Error::file("make", std::env::temp_dir()))?;
            let file = folder.path().join("artifact");
            tracker.wait(tracker.client().download(&format!("{}/{path}", run.artifact_uri), &file))?;
            digest(&file)
        }
    }
}

/// All that the workspace and the commits record, the files in folders too where their listing is in the cache.
fn recorded(repo: &Repo) -> Result<Recorded> {
    let mut recorded = Recorded::default();
    let mut cache = matraz_data::cache::Cache::open(repo);
    let mut seen: HashSet<Vec<(std::path::PathBuf, String)>> = HashSet::new();
    let mut views = vec![View::workspace(repo)];
    if let Some(git) = &repo.git {
        for commit in git.commits()? {
            let mut files = git.files_at(&commit)?;
            files.retain(|(path, _)| {
                let name =
                    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                name == LOCK_FILE
                    || name == matraz_data::stage::PIPELINE_FILE
                    || name.ends_with(matraz_data::stage::DATA_SUFFIX)
            });
            if seen.insert(files) {
                views.push(View::at(repo, &commit)?);
            }
        }
    }
    for view in views {
        // A commit that cannot be read proves nothing.
        let Ok(index) = Index::load_at(&view) else { continue };
        for stage in &index.stages {
            let outs = stage.outs.iter().map(|out| (&out.path, out.digest, &out.meta, out.legacy));
            let deps = stage.deps.iter().map(|dep| (&dep.path, dep.digest, &dep.meta, dep.legacy));
            for (path, digest, meta, legacy) in outs.chain(deps) {
                let Some(digest) = digest else { continue };
                let path = relative(path, &repo.root);
                let item = LockedItem {
                    path: path.clone(),
                    digest: Some(digest),
                    meta: meta.clone(),
                    legacy,
                    ..LockedItem::default()
                };
                recorded.sizes.extend(meta.size);
                if digest.is_dir()
                    && !recorded.by_digest.contains_key(&digest.to_text())
                    && let Some(tree) = cache.tree(&matraz_data::cache::Object { digest, legacy })?
                {
                    for entry in tree.entries() {
                        let object = matraz_data::cache::Object { digest: entry.digest, legacy };
                        recorded
                            .sizes
                            .extend(std::fs::metadata(cache.path(&object)).ok().map(|meta| meta.len()));
                        let item = LockedItem {
                            path: format!("{path}/{}", entry.path),
                            digest: Some(entry.digest),
                            legacy,
                            ..LockedItem::default()
                        };
                        recorded.by_digest.entry(entry.digest.to_text()).or_insert(item);
                    }
                }
                recorded.by_digest.entry(digest.to_text()).or_insert(item);
            }
        }
    }
    Ok(recorded)
}
