//! Settings: four files that shadow one another, from the whole machine down to one clone.
//!
//! `system < global < project (.dvc/config) < local (.dvc/config.local)`. Options are validated after the
//! merge, as DVC does, so that a section may be spread over levels.

mod schema;
pub mod syntax;

use std::fs;
use std::path::{Component, Path, PathBuf};

use indexmap::IndexMap;
use matraz_base::Place;

use crate::repo::Places;
use crate::{Error, Result};

pub(crate) use schema::is_known_scheme;
pub use syntax::{Document, SectionName, Setting};

/// The options of a section by their lower-case names.
pub type Section = IndexMap<String, Setting>;

/// Which file a setting is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All users of the machine.
    System,
    /// All projects of the user.
    Global,
    /// The project, shared through git: `.dvc/config`.
    Project,
    /// This clone alone: `.dvc/config.local`.
    Local,
}

/// All levels, the weakest first.
pub const LEVELS: [Level; 4] = [Level::System, Level::Global, Level::Project, Level::Local];

#[derive(Clone, Debug)]
struct ConfigFile {
    level: Level,
    path: PathBuf,
    document: Document,
}

/// The settings of a project, or of the machine and user where there is no project.
#[derive(Clone, Debug)]
pub struct Config {
    files: Vec<ConfigFile>,
    merged: IndexMap<SectionName, Section>,
    home: Option<PathBuf>,
}

impl Config {
    /// Reads the files of all levels without judging what they say. `dvc_dir` is the `.dvc` folder.
    pub fn read(dvc_dir: Option<&Path>, places: &Places) -> Result<Self> {
        let mut paths: Vec<(Level, PathBuf)> = vec![
            (Level::System, places.system_config_dir.join("config")),
            (Level::Global, places.global_config_dir.join("config")),
        ];
        if let Some(dvc_dir) = dvc_dir {
            paths.push((Level::Project, dvc_dir.join("config")));
            paths.push((Level::Local, dvc_dir.join("config.local")));
        }
        let mut files = Vec::with_capacity(paths.len());
        for (level, path) in paths {
            let document = read_document(&path)?;
            files.push(ConfigFile { level, path, document });
        }
        let mut config = Self { files, merged: IndexMap::new(), home: places.home.clone() };
        config.merged = config.merge_up_to(None);
        Ok(config)
    }

    /// The settings of a project as they were in a commit: `text` is its `config` file. The other levels are those of
    /// now.
    pub(crate) fn of_commit(dvc_dir: &Path, text: Option<&str>, places: &Places) -> Result<Self> {
        let mut config = Self::read(Some(dvc_dir), places)?;
        for file in config.files.iter_mut().filter(|file| file.level == Level::Project) {
            file.document = parse_document(&file.path, text.unwrap_or_default())?;
        }
        config.merged = config.merge_up_to(None);
        Ok(config)
    }

    /// The sections of a file that belongs to no level.
    pub(crate) fn read_file(path: &Path) -> Result<IndexMap<SectionName, Section>> {
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        let document = parse_document(path, &text)?;
        let mut sections: IndexMap<SectionName, Section> = IndexMap::new();
        for (name, key, value) in document.options() {
            sections.entry(name.clone()).or_default().insert(key.to_owned(), value.clone());
        }
        Ok(sections)
    }

    /// Puts settings on top of those of all levels; nothing is written.
    pub(crate) fn overlay(&mut self, sections: &IndexMap<SectionName, Section>) {
        for (name, section) in sections {
            self.merged.entry(name.clone()).or_default().extend(section.clone());
        }
    }

    /// Like [`Config::read`], and refuses unknown sections, options and values.
    pub fn load(dvc_dir: Option<&Path>, places: &Places) -> Result<Self> {
        let config = Self::read(dvc_dir, places)?;
        config.validate()?;
        Ok(config)
    }

    /// Refuses unknown sections, options and values.
    pub fn validate(&self) -> Result<()> {
        validate(&self.merged)
    }

    /// Whether an address may have these options; `remote://NAME/…` takes those of the remote.
    pub fn check_remote(&self, url: &str, options: &IndexMap<String, String>) -> Result<()> {
        let mut section: Section =
            options.iter().map(|(key, value)| (key.to_lowercase(), Setting::Text(value.clone()))).collect();
        section.insert("url".into(), Setting::Text(url.to_owned()));
        schema::check(&SectionName::remote(url), &section).map_err(Error::config)
    }

    /// The value of an option of a section without a quoted name, after the merge. Paths are absolute.
    pub fn get(&self, section: &str, key: &str) -> Option<String> {
        self.merged.get(&SectionName::plain(section))?.get(key).map(Setting::text)
    }

    /// A yes-or-no option; `default` when it is not set.
    pub fn flag(&self, section: &str, key: &str, default: bool) -> bool {
        self.get(section, key).map_or(default, |text| text.eq_ignore_ascii_case("true"))
    }

    /// The options of a remote after the merge; paths are absolute.
    pub fn remote(&self, name: &str) -> Option<&Section> {
        self.merged.get(&SectionName::remote(name))
    }

    /// All remotes in the order of their first mention.
    pub fn remotes(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.merged.iter().filter_map(|(name, section)| match (&name.kind, &name.name) {
            (kind, Some(remote)) if kind == "remote" => Some((remote.as_str(), section)),
            _ => None,
        })
    }

    /// The remote that is used when none is named.
    pub fn default_remote(&self) -> Option<String> {
        self.get("core", "remote").map(|name| name.to_lowercase())
    }

    /// The file of a level; `None` outside a project for the levels of a project.
    pub fn path(&self, level: Level) -> Option<&Path> {
        self.files.iter().find(|file| file.level == level).map(|file| file.path.as_path())
    }

    /// The levels that exist here, the weakest first.
    pub fn levels(&self) -> impl Iterator<Item = Level> {
        self.files.iter().map(|file| file.level)
    }

    /// The options of one level with absolute paths, remotes first as `config --list` shows them.
    pub fn at_level(&self, level: Level) -> IndexMap<SectionName, Section> {
        let mut sections = IndexMap::new();
        if let Some(file) = self.files.iter().find(|file| file.level == level) {
            self.add_to(&mut sections, file);
        }
        sections.sort_by(|a, _, b, _| b.name.is_some().cmp(&a.name.is_some()));
        sections
    }

    /// The options of all levels below `level`, and of `level` too.
    pub fn merged_through(&self, level: Level) -> IndexMap<SectionName, Section> {
        self.merge_up_to(Some(level))
    }

    /// Changes the file of one level. Paths that `change` sets must be absolute, or relative to the file's folder
    /// (see [`Config::path_setting`]). Nothing is written when the settings up to this level would not be valid or
    /// nothing changed. It is an error too, afterwards, when stronger levels do not fit the change.
    pub fn edit(&mut self, level: Level, change: impl FnOnce(&mut Document) -> Result<()>) -> Result<()> {
        let Some(at) = self.files.iter().position(|file| file.level == level) else {
            return Err(Error::config("Not inside a DVC repo"));
        };
        let mut candidate = self.clone();
        change(&mut candidate.files[at].document)?;
        validate(&candidate.merge_up_to(Some(level)))?;
        let file = &candidate.files[at];
        if file.document != self.files[at].document || !file.path.exists() {
            let text = file.document.to_text();
            if !Document::parse(&text).is_ok_and(|again| again.options().eq(file.document.options())) {
                return Err(Error::config(
                    "a value with both kinds of quotes or a line break cannot be written",
                ));
            }
            matraz_base::file::write(&file.path, text.as_bytes()).map_err(Error::io("write", &file.path))?;
        }
        candidate.merged = candidate.merge_up_to(None);
        *self = candidate;
        self.validate()
    }

    /// How a value that the user typed in `cwd` is stored at `level`: relative paths become relative to the file.
    pub fn path_setting(
        &self,
        level: Level,
        section: &SectionName,
        key: &str,
        typed: &str,
        cwd: &Path,
    ) -> Setting {
        let is_path = schema::is_path(section, &key.to_lowercase());
        let keep = !is_path || has_scheme(typed) || typed.starts_with('~') || Path::new(typed).is_absolute();
        let folder = self.path(level).and_then(Path::parent);
        match folder {
            Some(folder) if !keep => Setting::Text(relative(&normal(&cwd.join(typed)), folder)),
            _ => Setting::Text(typed.to_owned()),
        }
    }

    fn merge_up_to(&self, last: Option<Level>) -> IndexMap<SectionName, Section> {
        let mut sections = IndexMap::new();
        for file in &self.files {
            if last.is_none_or(|last| file.level <= last) {
                self.add_to(&mut sections, file);
            }
        }
        sections
    }

    fn add_to(&self, sections: &mut IndexMap<SectionName, Section>, file: &ConfigFile) {
        let folder = file.path.parent().unwrap_or(Path::new("/"));
        for (name, key, value) in file.document.options() {
            let value = match value {
                Setting::Text(text) if schema::is_path(name, key) => {
                    Setting::Text(self.resolve(folder, text))
                }
                other => other.clone(),
            };
            sections.entry(name.clone()).or_default().insert(key.to_owned(), value);
        }
    }

    fn resolve(&self, folder: &Path, text: &str) -> String {
        if has_scheme(text) || Path::new(text).is_absolute() {
            return text.to_owned();
        }
        if let (Some(rest), Some(home)) = (text.strip_prefix('~'), &self.home)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return format!("{}{rest}", home.display());
        }
        normal(&folder.join(text)).to_string_lossy().into_owned()
    }
}

fn validate(sections: &IndexMap<SectionName, Section>) -> Result<()> {
    for (name, section) in sections {
        schema::check(name, section).map_err(Error::config)?;
    }
    Ok(())
}

fn read_document(path: &Path) -> Result<Document> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(Document::default());
        }
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let text = String::from_utf8(bytes).map_err(|_| Error::Config {
        message: "the file is not UTF-8".into(),
        place: Some(Place::file(path)),
    })?;
    parse_document(path, &text)
}

fn parse_document(path: &Path, text: &str) -> Result<Document> {
    Document::parse(text).map_err(|error| Error::Config {
        message: error.message,
        place: Some(Place::at(path, text, error.line, 1, 1)),
    })
}

/// Whether the text starts as a URL does: `word://`.
fn has_scheme(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}

/// The path without `.` and `..`, by its text alone.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if matches!(out.components().next_back(), Some(Component::Normal(_))) {
                    out.pop();
                } else if !out.has_root() {
                    out.push("..");
                }
            }
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

/// `path` seen from the folder `base`, with `/` between the parts. Both absolute and normal.
pub(crate) fn relative(path: &Path, base: &Path) -> String {
    let mut ours = path.components().peekable();
    let mut theirs = base.components().peekable();
    while ours.peek().is_some() && ours.peek() == theirs.peek() {
        ours.next();
        theirs.next();
    }
    let mut parts: Vec<String> = theirs.map(|_| "..".to_owned()).collect();
    parts.extend(ours.map(|part| part.as_os_str().to_string_lossy().into_owned()));
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(folder: &Path) -> Places {
        Places {
            global_config_dir: folder.join("global"),
            system_config_dir: folder.join("system"),
            site_cache_dir: folder.join("site"),
            home: Some("/home/ada".into()),
            lists_projects: false,
        }
    }

    #[test]
    fn later_levels_win_and_paths_are_resolved() {
        let folder = tempfile::tempdir().unwrap();
        let dvc = folder.path().join("p/.dvc");
        fs::create_dir_all(&dvc).unwrap();
        fs::create_dir_all(folder.path().join("global")).unwrap();
        fs::write(folder.path().join("global/config"), "[core]\n checksum_jobs = 2\n remote = A\n").unwrap();
        fs::write(
            dvc.join("config"),
            "[core]\n checksum_jobs = 3\n['remote \"a\"']\n url = ../../r\n[cache]\n dir=~/c\n",
        )
        .unwrap();
        let config = Config::load(Some(&dvc), &places(folder.path())).unwrap();
        assert_eq!(config.get("core", "checksum_jobs").as_deref(), Some("3"));
        assert_eq!(config.default_remote().as_deref(), Some("a"));
        let url = config.remote("A").unwrap()["url"].text();
        assert_eq!(Path::new(&url), folder.path().join("r"));
        assert_eq!(config.get("cache", "dir").as_deref(), Some("/home/ada/c"));
    }

    #[test]
    fn wrong_settings_are_refused_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let dvc = folder.path().join(".dvc");
        fs::create_dir_all(&dvc).unwrap();
        fs::write(dvc.join("config"), "# note\n").unwrap();
        let mut config = Config::load(Some(&dvc), &places(folder.path())).unwrap();
        for (section, key, value) in [
            ("nosection", "key", "v"),
            ("core", "nokey", "v"),
            ("core", "autostage", "maybe"),
            ("core", "checksum_jobs", "0"),
            ("cache", "type", "teleport"),
            ("cache", "shared", "everyone"),
        ] {
            let name = SectionName::plain(section);
            let outcome = config.edit(Level::Project, |file| {
                file.set(&name, key, Setting::Text(value.into()));
                Ok(())
            });
            assert!(outcome.is_err(), "{section}.{key} = {value}");
        }
        assert_eq!(fs::read_to_string(dvc.join("config")).unwrap(), "# note\n");
    }

    #[test]
    fn typed_paths_are_stored_relative_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let dvc = folder.path().join("p/.dvc");
        let config = Config::load(Some(&dvc), &places(folder.path())).unwrap();
        let remote = SectionName::remote("r");
        for (typed, stored) in [
            ("../../x", "../../x"),
            ("sub", "../a/sub"),
            ("/abs/x", "/abs/x"),
            ("s3://b/p", "s3://b/p"),
            ("~/x", "~/x"),
        ] {
            let cwd = folder.path().join("p/a");
            let setting = config.path_setting(Level::Project, &remote, "url", typed, &cwd);
            assert_eq!(setting.text(), stored, "{typed}");
        }
    }
}
