//! The Python environment that a model runs in: the one at hand, or one made from what the model lists.
//!
//! A made environment is a folder named after what it holds (Python version and packages), so that models with the
//! same needs share it. `python_env.yaml` of the model directory says what is needed, `requirements.txt` when there
//! is none.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use matraz_base::Value;
use matraz_base::yaml::{self, Dialect};

use super::Worker;
use crate::Error;

/// What an environment is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Nothing is made: the first Python on the search path.
    Local,
    /// Python's own `venv`, and pip.
    Virtualenv,
    /// The program `uv`.
    Uv,
}

/// Where environments come from.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// How they are made.
    pub manager: Manager,
    /// The search path for Python and `uv`.
    pub path: &'a OsStr,
    /// The folder that holds made environments.
    pub folder: &'a Path,
    /// A version of MLflow to install on top.
    pub mlflow: Option<&'a str>,
    /// Packages that replace or join those of the model.
    pub packages: &'a [String],
}

/// What a model needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Needs {
    /// The Python version, as far as it is given.
    python: Option<String>,
    /// Arguments of `pip install`, one call after the other.
    calls: Vec<Vec<String>>,
    /// The texts of the files that the calls name.
    files: Vec<String>,
}

impl Source<'_> {
    /// The worker for the model in `model`; makes its environment first when there is none yet. What the programs
    /// say that make it goes to standard error.
    pub fn worker(&self, model: &Path) -> Result<Worker, Error> {
        let mut worker = Worker { python: PathBuf::new(), model: model.to_path_buf(), env: Vec::new() };
        if self.manager == Manager::Local {
            worker.python =
                self.find(&["python3", "python"]).ok_or(Error::NoPython { wanted: "python3".into() })?;
            return Ok(worker);
        }
        let mut needs = Needs::read(model)?;
        if let Some(version) = self.mlflow {
            needs.calls.push(vec![format!("mlflow=={version}")]);
        }
        if !self.packages.is_empty() {
            needs.calls.push(self.packages.to_vec());
        }
        let folder = self.folder.join(format!("matraz-{}", needs.name(self.manager)));
        let bin = folder.join("bin");
        worker.python = bin.join("python");
        let mut path = OsString::from(&bin);
        path.push(":");
        path.push(self.path);
        worker.env = vec![("VIRTUAL_ENV".into(), folder.clone().into()), ("PATH".into(), path)];
        self.make(&folder, &needs, model)?;
        Ok(worker)
    }

    /// Makes the environment unless it is whole already.
    fn make(&self, folder: &Path, needs: &Needs, model: &Path) -> Result<(), Error> {
        let whole = folder.join("matraz-complete");
        let failed = |action, path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::EnvironmentFile { action, path, source }
        };
        fs::create_dir_all(self.folder).map_err(failed("make", self.folder))?;
        // One program makes it; others that want it wait.
        let lock_path = folder.with_extension("lock");
        let lock = fs::File::create(&lock_path).map_err(failed("write", &lock_path))?;
        lock.lock().map_err(failed("lock", &lock_path))?;
        if whole.exists() {
            return Ok(());
        }
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", folder)(error));
            }
            _ => {}
        }
        let python = folder.join("bin/python");
        let uv = || self.find(&["uv"]).ok_or(Error::NoPython { wanted: "uv".into() });
        let run = |program: &Path, arguments: &[&OsStr]| self.run(program, arguments, folder, model);
        match self.manager {
            Manager::Uv => {
                let version = needs.python.as_deref().unwrap_or("3");
                let asked = ["venv".as_ref(), "--quiet".as_ref(), "--python".as_ref(), version.as_ref()];
                run(&uv()?, &[&asked[..], &[folder.as_os_str()]].concat())?;
            }
            _ => run(&self.python_of(needs)?, &["-m".as_ref(), "venv".as_ref(), folder.as_os_str()])?,
        }
        for call in &needs.calls {
            let packages: Vec<&OsStr> = call.iter().map(OsStr::new).collect();
            match self.manager {
                Manager::Uv => {
                    let start = ["pip", "install", "--python"].map(OsStr::new);
                    run(&uv()?, &[&start[..], &[python.as_os_str()], &packages].concat())?;
                }
                _ => {
                    let start =
                        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"].map(OsStr::new);
                    run(&python, &[&start[..], &packages].concat())?;
                }
            }
        }
        fs::write(&whole, "").map_err(failed("write", &whole))
    }

    fn run(&self, program: &Path, arguments: &[&OsStr], folder: &Path, model: &Path) -> Result<(), Error> {
        let status = Command::new(program)
            .args(arguments)
            .current_dir(model)
            .env_remove("PYTHONHOME")
            .stdin(Stdio::null())
            .stdout(io::stderr())
            .status()
            .map_err(|source| Error::Python { python: program.to_path_buf(), source })?;
        if status.success() {
            return Ok(());
        }
        let words = std::iter::once(program.as_os_str()).chain(arguments.iter().copied());
        let command = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        Err(Error::Environment { folder: folder.to_path_buf(), command, code: status.code().unwrap_or(-1) })
    }

    /// A Python of the version that the model names: patch releases do not matter.
    fn python_of(&self, needs: &Needs) -> Result<PathBuf, Error> {
        let Some(version) = &needs.python else {
            return self.find(&["python3", "python"]).ok_or(Error::NoPython { wanted: "python3".into() });
        };
        let minor = version.split('.').take(2).collect::<Vec<_>>().join(".");
        let named = format!("python{minor}");
        self.find(&[&named]).ok_or(Error::NoPython { wanted: named })
    }

    /// The first program on the path with one of the names.
    fn find(&self, names: &[&str]) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let runs = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        };
        let folders: Vec<PathBuf> = std::env::split_paths(self.path).collect();
        folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name))).find(runs)
    }
}

impl Needs {
    fn read(model: &Path) -> Result<Self, Error> {
        let path = model.join("python_env.yaml");
        let mut needs = Self::default();
        let Some(text) = read_if_present(&path)? else {
            let requirements = model.join("requirements.txt");
            let Some(text) = read_if_present(&requirements)? else {
                let reason = "the model lists no packages (no python_env.yaml, no requirements.txt)".into();
                return Err(Error::Requirements { path: model.to_path_buf(), reason });
            };
            needs.calls.push(vec!["-r".into(), "requirements.txt".into()]);
            needs.files.push(text);
            return Ok(needs);
        };
        let wrong = |reason: String| Error::Requirements { path: path.clone(), reason };
        let document =
            yaml::parse_with(&text, Dialect::PyYaml11).map_err(|error| wrong(error.message))?.to_value();
        needs.python = match document.get("python") {
            None | Some(Value::Null) => None,
            Some(Value::Str(version)) => Some(version.clone()),
            // An unquoted 3.11 is a number.
            Some(other) => Some(other.to_string()),
        };
        for key in ["build_dependencies", "dependencies"] {
            let listed = match document.get(key) {
                None | Some(Value::Null) => continue,
                Some(listed) => listed.as_list().ok_or_else(|| wrong(format!("`{key}` must be a list")))?,
            };
            let mut call = Vec::new();
            for entry in listed {
                let entry =
                    entry.as_str().ok_or_else(|| wrong(format!("`{key}` must be a list of texts")))?;
                match entry.trim().strip_prefix("-r ") {
                    Some(file) => {
                        let file = file.trim();
                        let named = model.join(file);
                        needs.files.push(read_if_present(&named)?.unwrap_or_default());
                        call.extend(["-r".to_owned(), file.to_owned()]);
                    }
                    None => call.push(entry.trim().to_owned()),
                }
            }
            if !call.is_empty() {
                needs.calls.push(call);
            }
        }
        Ok(needs)
    }

    /// A name for environments that hold the same.
    fn name(&self, manager: Manager) -> String {
        let mut hasher = DefaultHasher::new();
        (&self.python, &self.calls, &self.files, manager == Manager::Uv).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

fn read_if_present(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_path_buf(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn needs_are_those_of_the_model() {
        let listed =
            "python: 3.11\nbuild_dependencies:\n- pip==24.0\n- wheel\ndependencies:\n- -r requirements.txt\n";
        let folder = model(&[("python_env.yaml", listed), ("requirements.txt", "mlflow==3.18.0\n")]);
        let needs = Needs::read(folder.path()).unwrap();
        assert_eq!(needs.python.as_deref(), Some("3.11"));
        assert_eq!(needs.calls, [vec!["pip==24.0", "wheel"], vec!["-r", "requirements.txt"]]);
        let other = model(&[("python_env.yaml", listed), ("requirements.txt", "mlflow==3.17.2\n")]);
        let other = Needs::read(other.path()).unwrap();
        assert_ne!(needs.name(Manager::Uv), other.name(Manager::Uv));
        assert_ne!(needs.name(Manager::Uv), needs.name(Manager::Virtualenv));

        let plain = Needs::read(model(&[("requirements.txt", "x")]).path()).unwrap();
        assert_eq!(plain.calls, [vec!["-r", "requirements.txt"]]);
        for wrong in [
            &[][..],
            &[("python_env.yaml", "dependencies: 3")],
            &[("python_env.yaml", "dependencies: [[1]]")],
        ] {
            assert!(matches!(Needs::read(model(wrong).path()), Err(Error::Requirements { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn a_missing_python_is_named() {
        let folder = model(&[("python_env.yaml", "python: 2.4.9\n")]);
        let source = Source {
            manager: Manager::Virtualenv,
            path: OsStr::new("/usr/bin"),
            folder: folder.path(),
            mlflow: None,
            packages: &[],
        };
        let error = source.worker(folder.path()).unwrap_err();
        assert_eq!(error.to_string(), "the model needs Python, and no python2.4 is on the PATH");
        let nowhere = Source { manager: Manager::Local, path: OsStr::new("/nowhere"), ..source };
        assert!(matches!(nowhere.worker(folder.path()), Err(Error::NoPython { .. })));
    }
}
