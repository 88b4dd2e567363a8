//! `artifacts get`: data that a repository names in `artifacts` of its `dvc.yaml`, and whose versions and stages are git
//! tags in GTO's form (`name@v1.2.0`, `name#prod`, `folder=name@v1.2.0`).

use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use super::bring::Brought;
use super::get::output_path;
use super::tree::below;
use super::{Request, Source};
use crate::index::style;
use crate::stage::document::Document;
use crate::stage::{PIPELINE_FILE, dvc_yaml};
use crate::{Error, Places, Result};

/// Which artifact is copied where.
#[derive(Clone, Debug, Default)]
pub struct Get {
    /// The repository.
    pub request: Request,
    /// Its name: `name`, `folder:name` or `folder/dvc.yaml:name`.
    pub name: String,
    /// A version; the greatest one when neither it nor a stage is given.
    pub version: Option<String>,
    /// A stage of its life, as tags name it.
    pub stage: Option<String>,
    /// Where to: a path, or a folder that exists.
    pub out: Option<String>,
    /// Replace what is in the way.
    pub force: bool,
    /// How many files are copied at a time.
    pub threads: usize,
}

/// Copies an artifact. Returns where it is now.
pub fn get(
    get: &Get,
    cwd: &Path,
    places: &Places,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<(PathBuf, Brought)> {
    let (request, path) = locate(get, cwd, places)?;
    let target = output_path(&path, get.out.as_deref(), get.force, cwd)?;
    let source = Source::open(&request, cwd, places, None)?;
    let brought = source.bring(&path, &target, get.threads, progress, interrupt)?;
    Ok((target, brought))
}

/// The commit and the path of an artifact.
pub fn locate(get: &Get, cwd: &Path, places: &Places) -> Result<(Request, String)> {
    let unknown = || Error::NoSuchArtifact { name: get.name.clone() };
    let (folder, name) = parts(&get.name);
    let now = Source::open(&get.request, cwd, places, None)?;
    let git = now.git.as_ref().ok_or_else(unknown)?;
    let full = if folder.is_empty() { name.to_owned() } else { format!("{folder}={name}") };
    let mut best: Option<(Rank, String)> = None;
    for tag in git.annotated_tags()? {
        let Some(rank) = rank(&tag.name, &full, tag.time, get) else { continue };
        if best.as_ref().is_none_or(|(known, _)| rank >= *known) {
            best = Some((rank, tag.commit));
        }
    }
    let (_, commit) = best.ok_or_else(unknown)?;
    let request = Request { rev: Some(commit), ..get.request.clone() };
    let source = Source::open(&request, cwd, places, None)?;
    let file = below(folder, PIPELINE_FILE);
    let (project, inside) = source.project(&file)?.ok_or_else(unknown)?;
    let path = project.repo.root.join(&inside);
    let read = |path: &Path| source.text(path);
    let text = read(&path)?.ok_or_else(unknown)?;
    let pipeline = dvc_yaml::parse(Document::new(path, text), style(&project.repo), &read)?;
    let artifact = pipeline.artifacts.get(name).ok_or_else(unknown)?;
    Ok((request, source.name_of(&below(folder, &artifact.path), &source.root)?))
}

/// The folder and the name within `dvc.yaml`.
fn parts(name: &str) -> (&str, &str) {
    let (folder, name) = name.rsplit_once(':').unwrap_or(("", name));
    let folder = match folder.strip_suffix(PIPELINE_FILE) {
        Some(folder) if folder.is_empty() || folder.ends_with('/') => folder,
        _ => folder,
    };
    (folder.trim_end_matches('/'), name)
}

/// What makes one tag win over another: the greater version when any is good, else the later tag.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    version: Option<Version>,
    time: i64,
}

/// Numbers, then whether it is a release, then what stands behind the `-`.
type Version = ([u64; 3], bool, String);

/// How good a tag is; `None` when it is about something else.
fn rank(tag: &str, artifact: &str, time: i64, wanted: &Get) -> Option<Rank> {
    let rest = tag.strip_prefix(artifact)?;
    if let Some(stage) = rest.strip_prefix('#') {
        let stage = stage.split_once('#').map_or(stage, |(stage, _)| stage);
        let is_meant = wanted.stage.as_deref() == Some(stage.trim_end_matches('!'));
        return is_meant.then_some(Rank { version: None, time });
    }
    let version = rest.strip_prefix('@')?;
    let version = version.split_once('#').map_or(version, |(version, _)| version).trim_end_matches('!');
    let parsed = parse(version)?;
    match (&wanted.version, &wanted.stage) {
        (Some(wanted), _) => (wanted == version).then_some(Rank { version: None, time }),
        (None, Some(_)) => None,
        (None, None) => Some(Rank { version: Some(parsed), time }),
    }
}

fn parse(version: &str) -> Option<Version> {
    let text = version.strip_prefix('v')?;
    let text = text.split_once('+').map_or(text, |(text, _)| text);
    let (numbers, behind) = text.split_once('-').unwrap_or((text, ""));
    let mut parts = numbers.split('.').map(|number| number.parse::<u64>().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then(|| (numbers, behind.is_empty(), behind.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best<'t>(tags: &[&'t str], version: Option<&str>, stage: Option<&str>) -> Option<&'t str> {
        let wanted =
            Get { version: version.map(str::to_owned), stage: stage.map(str::to_owned), ..Get::default() };
        let ranked = tags
            .iter()
            .zip(0..)
            .filter_map(|(tag, time)| rank(tag, "model", time, &wanted).map(|rank| (rank, *tag)));
        ranked.max_by(|a, b| a.0.cmp(&b.0)).map(|(_, tag)| tag)
    }

    #[test]
    fn the_greatest_version_wins_unless_one_is_named() {
        let tags = [
            "model@v1.10.0",
            "model@v1.9.0",
            "model@v1.10.0-rc1",
            "model#prod#1",
            "model#dev",
            "other@v9.0.0",
        ];
        assert_eq!(best(&tags, None, None), Some("model@v1.10.0"));
        assert_eq!(best(&tags, Some("v1.9.0"), None), Some("model@v1.9.0"));
        assert_eq!(best(&tags, None, Some("prod")), Some("model#prod#1"));
        assert_eq!(best(&tags, Some("v3.0.0"), None), None);
        assert_eq!(best(&["models@v1.0.0", "model@1.0.0", "model"], None, None), None);
    }

    #[test]
    fn names_may_have_a_folder() {
        for (name, folder, inner) in
            [("m", "", "m"), ("a/b:m", "a/b", "m"), ("a/dvc.yaml:m", "a", "m"), ("dvc.yaml:m", "", "m")]
        {
            assert_eq!(parts(name), (folder, inner), "{name}");
        }
    }
}
