//! The environment of a run: interpreters with their packages, lock files and the machine.
//!
//! Packages are read from the names of the `*.dist-info` folders beside an interpreter; nothing of the user is run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Files at a project's root that pin packages.
const LOCK_FILES: [&str; 10] = [
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "pixi.lock",
    "conda-lock.yml",
    "environment.yml",
    "environment.yaml",
    "pylock.toml",
    "renv.lock",
];

/// What a run ran in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The interpreters of Python that stages use, by the path of each.
    #[serde(default)]
    pub python: BTreeMap<String, Python>,
    /// The lock files at the project's root with their MD5.
    #[serde(default)]
    pub locks: BTreeMap<String, String>,
    /// The machine.
    #[serde(default)]
    pub machine: Machine,
}

/// An interpreter of Python.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// `3.12`, or `3.12.4` where it is known so exactly.
    pub version: String,
    /// The packages with their versions.
    pub packages: BTreeMap<String, String>,
}

/// A machine, as far as it may matter to results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Kernel and processor architecture.
    #[serde(default)]
    pub system: String,
    /// The name of the processor.
    #[serde(default)]
    pub processor: String,
    /// Processors.
    #[serde(default)]
    pub cores: usize,
    /// Bytes of memory.
    #[serde(default)]
    pub memory: u64,
    /// The names of graphics processors.
    #[serde(default)]
    pub gpus: Vec<String>,
}

/// A difference between two environments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs: `python`, the name of a package, a lock file, `processor`, …
    pub what: String,
    /// How it was; `None` when it was not there.
    pub old: Option<String>,
    /// How it is.
    pub new: Option<String>,
    /// Whether it is about the machine and not about software.
    pub hardware: bool,
}

impl Environment {
    /// The environment of a project on this machine, without interpreters.
    pub fn of_project(root: &Path) -> Self {
        let mut locks = BTreeMap::new();
        let listed = fs::read_dir(root).into_iter().flatten().flatten();
        for entry in listed {
            let name = entry.file_name().to_string_lossy().into_owned();
            let pins = LOCK_FILES.contains(&name.as_str())
                || name.starts_with("requirements") && (name.ends_with(".txt") || name.ends_with(".lock"));
            if pins && let Ok(bytes) = fs::read(entry.path()) {
                let md5 = matraz_data::hash::md5::of_bytes(&bytes);
                locks.insert(name, matraz_data::Digest::file(md5).hex());
            }
        }
        Self { python: BTreeMap::new(), locks, machine: Machine::here() }
    }

    /// Adds the interpreter of Python that the command lines call, if they call one. `search` is the search path.
    pub fn add_python(&mut self, commands: &[&str], folder: &Path, search: Option<&OsStr>) {
        for command in commands {
            for program in programs(command) {
                let Some(path) = interpreter(&program, folder, search) else { continue };
                let name = path.display().to_string();
                if !self.python.contains_key(&name)
                    && let Some(python) = Python::at(&path)
                {
                    self.python.insert(name, python);
                }
            }
        }
    }

    /// What differs from `self` to `other`, software first. Where an interpreter lies does not matter.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut note = |what: &str, old: Option<String>, new: Option<String>, hardware: bool| {
            if old != new {
                found.push(Difference { what: what.to_owned(), old, new, hardware });
            }
        };
        let joined = |environment: &Self| -> (String, BTreeMap<String, String>) {
            let versions: Vec<String> =
                environment.python.values().map(|python| python.version.clone()).collect();
            let packages = environment.python.values().flat_map(|python| python.packages.clone()).collect();
            (versions.join(", "), packages)
        };
        let ((old_python, old), (new_python, new)) = (joined(self), joined(other));
        let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        note("python", known(&old_python), known(&new_python), false);
        let names = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| {
            let mut names: Vec<String> = a.keys().chain(b.keys()).cloned().collect();
            names.sort();
            names.dedup();
            names
        };
        for name in names(&old, &new) {
            note(&name, old.get(&name).cloned(), new.get(&name).cloned(), false);
        }
        for name in names(&self.locks, &other.locks) {
            note(&name, self.locks.get(&name).cloned(), other.locks.get(&name).cloned(), false);
        }
        let (a, b) = (&self.machine, &other.machine);
        note("system", known(&a.system), known(&b.system), true);
        note("processor", known(&a.processor), known(&b.processor), true);
        note("cores", known(&a.cores.to_string()), known(&b.cores.to_string()), true);
        note("memory", known(&a.memory.to_string()), known(&b.memory.to_string()), true);
        note("gpus", known(&a.gpus.join(", ")), known(&b.gpus.join(", ")), true);
        found
    }
}

impl Machine {
    /// This machine, as `/proc` describes it.
    pub fn here() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let kernel = text("/proc/sys/kernel/ostype");
        let cpu = text("/proc/cpuinfo");
        let memory = value(&text("/proc/meminfo"), "MemTotal");
        let kilobytes = memory.and_then(|memory| memory.trim_end_matches(" kB").trim().parse::<u64>().ok());
        let cards = fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
        let model =
            |card: fs::DirEntry| value(&text(&card.path().join("information").to_string_lossy()), "Model");
        Self {
            system: format!("{} {}", kernel.trim(), std::env::consts::ARCH).trim().to_owned(),
            processor: value(&cpu, "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory: kilobytes.unwrap_or(0) * 1024,
            gpus: cards.filter_map(model).collect(),
        }
    }
}

/// The words of a command line that may be programs: those at its beginning and behind `&&`, `;`, `|` and starters.
fn programs(command: &str) -> Vec<String> {
    const STARTERS: [&str; 12] =
        ["env", "exec", "time", "nice", "uv", "poetry", "pdm", "pipenv", "run", "nohup", "sudo", "pixi"];
    let mut found = Vec::new();
    for part in command.split(['\n', ';', '&', '|', '(', ')']) {
        for word in part.split_whitespace() {
            let word = word.trim_matches(['"', '\'']);
            if word.contains('=') || word.starts_with('-') || STARTERS.contains(&word) {
                continue;
            }
            found.push(word.to_owned());
            break;
        }
    }
    found
}

/// The interpreter that a program is or that its first line names.
fn interpreter(program: &str, folder: &Path, search: Option<&OsStr>) -> Option<PathBuf> {
    let path = locate(program, folder, search)?;
    if is_python(&path) {
        return Some(path);
    }
    let mut head = [0; 256];
    let read = std::io::Read::read(&mut fs::File::open(&path).ok()?, &mut head).ok()?;
    let first = String::from_utf8_lossy(&head[..read]).lines().next()?.strip_prefix("#!")?.trim().to_owned();
    let words: Vec<&str> = first.split_whitespace().filter(|word| !word.starts_with('-')).collect();
    let named = match words[..] {
        [env, named, ..] if env.ends_with("/env") => named,
        [named, ..] => named,
        [] => return None,
    };
    locate(named, folder, search).filter(|path| is_python(path))
}

fn locate(program: &str, folder: &Path, search: Option<&OsStr>) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(folder.join(program)).filter(|path| path.is_file());
    }
    std::env::split_paths(search?).map(|place| place.join(program)).find(|path| path.is_file())
}

fn is_python(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let rest = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    rest.is_some_and(|rest| rest.chars().all(|letter| letter.is_ascii_digit() || letter == '.'))
}

impl Python {
    /// The interpreter at `path`: of a virtual environment the packages in it (and those of its base where it says so), else
    /// those of the installation.
    fn at(path: &Path) -> Option<Self> {
        let prefix = path.parent()?.parent()?;
        let settings = fs::read_to_string(prefix.join("pyvenv.cfg")).ok();
        let setting = |key: &str| {
            let pairs = settings.as_deref()?.lines().filter_map(|line| line.split_once('='));
            let mut found = pairs.filter(|(name, _)| name.trim() == key);
            found.next().map(|(_, value)| value.trim().to_owned())
        };
        let mut python = Self::default();
        let mut prefixes = vec![prefix.to_path_buf()];
        if settings.is_none() || setting("include-system-site-packages").as_deref() == Some("true") {
            let real = fs::canonicalize(path).ok();
            let base = real.as_deref().and_then(Path::parent).and_then(Path::parent);
            prefixes.extend(base.map(Path::to_path_buf));
            prefixes.push("/usr/local".into());
        }
        prefixes.dedup();
        for prefix in &prefixes {
            python.add(&prefix.join("lib"));
        }
        if let Some(version) = setting("version").or_else(|| setting("version_info")) {
            let exact: Vec<&str> = version.split('.').take(3).collect();
            python.version = exact.join(".");
        }
        (!python.version.is_empty()).then_some(python)
    }

    /// Adds the packages of `lib/python3.X/site-packages`; what is known already stands before it on the search path.
    fn add(&mut self, lib: &Path) {
        for entry in fs::read_dir(lib).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(version) = name.strip_prefix("python3") else { continue };
            if version.starts_with('.') && self.version.is_empty() && entry.path().join("os.py").is_file()
                || version.starts_with('.')
                    && self.version.is_empty()
                    && entry.path().join("site-packages").is_dir()
            {
                self.version = format!("3{version}");
            }
            for packages in ["site-packages", "dist-packages"] {
                for package in fs::read_dir(entry.path().join(packages)).into_iter().flatten().flatten() {
                    let name = package.file_name().to_string_lossy().into_owned();
                    let stem = name.strip_suffix(".dist-info").or_else(|| name.strip_suffix(".egg-info"));
                    if let Some((name, version)) = stem.and_then(|stem| stem.split_once('-')) {
                        let name = name.to_lowercase().replace('_', "-");
                        self.packages.entry(name).or_insert_with(|| version.to_owned());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_a_command_line_are_found() {
        assert_eq!(
            programs("A=1 python train.py && ./x.sh | uv run python3 y"),
            ["python", "./x.sh", "python3"]
        );
    }

    #[test]
    fn packages_are_read_beside_the_interpreter() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("bin")).unwrap();
        fs::write(at("bin/python"), "").unwrap();
        fs::write(at("pyvenv.cfg"), "home = /usr/bin\nversion = 3.12.4\n").unwrap();
        fs::create_dir_all(at("lib/python3.12/site-packages/scikit_learn-1.5.0.dist-info")).unwrap();
        fs::write(at("tool"), "#!/usr/bin/env python\n").unwrap();
        let mut environment = Environment::default();
        let search = at("bin").into_os_string();
        environment.add_python(&["./tool x", "python y"], folder.path(), Some(&search));
        let python = environment.python.values().next().unwrap();
        assert_eq!((python.version.as_str(), environment.python.len()), ("3.12.4", 1));
        assert_eq!(python.packages["scikit-learn"], "1.5.0");
        let mut other = environment.clone();
        other.python.values_mut().next().unwrap().packages.insert("scikit-learn".into(), "1.6.0".into());
        let differences = environment.differences(&other);
        assert_eq!(differences.len(), 1);
        assert_eq!(
            (differences[0].what.as_str(), differences[0].new.as_deref()),
            ("scikit-learn", Some("1.6.0"))
        );
    }
}
