//! A temporary git repository with a project in it, and the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The folder of a test, and how to call the program in it.
pub struct Workspace {
    folder: tempfile::TempDir,
}

/// What a call of the program did.
pub struct Call {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Workspace {
    /// An empty folder that is a git repository with one commit to come.
    pub fn git() -> Self {
        let workspace = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(workspace.root()).unwrap();
        workspace.git_do(&["init", "--quiet", "--initial-branch=main"]);
        workspace.git_do(&["config", "user.name", "Ana"]);
        workspace.git_do(&["config", "user.email", "ana@localhost"]);
        workspace
    }

    /// A project without anything in it.
    pub fn project() -> Self {
        let workspace = Self::git();
        workspace.matraz(&["dvc", "init", "-q"]).succeeds();
        workspace
    }

    /// The folder in which commands run.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// A place beside the project.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program with an environment of its own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_matraz"));
        let home = self.beside("home");
        fs::create_dir_all(&home).unwrap();
        for name in
            ["MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "DVC_ROOT", "MATRAZ_LOG", "CI", "LOGNAME"]
        {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(self.root())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("DVC_SYSTEM_CONFIG_DIR", home.join("system"))
            .env("DVC_SITE_CACHE_DIR", home.join("site"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("USER", "ana")
            .env("SHELL", "/bin/sh")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    pub fn matraz(&self, arguments: &[&str]) -> Call {
        Call::of(self.command(arguments).output().unwrap())
    }

    /// The program with more environment.
    pub fn matraz_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Call {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        Call::of(command.output().unwrap())
    }

    /// The program in the background.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn git_do(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").args(arguments).current_dir(self.root()).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn commit(&self, message: &str) {
        self.git_do(&["add", "--all"]);
        self.git_do(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    /// Every file below the project but git's and the temporary ones, for before-and-after comparisons.
    pub fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, out: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                if name == ".git" || name == ".dvc/tmp" {
                    continue;
                }
                if path.is_dir() { walk(&path, root, out) } else { out.push(name) }
            }
        }
        let mut out = Vec::new();
        walk(&self.root(), &self.root(), &mut out);
        out.sort();
        out
    }
}

impl Call {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.ends_with(0)
    }

    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn fails(self) -> Self {
        assert_ne!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// All the words are on standard error.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
        self
    }

    /// All the words are on standard output.
    #[track_caller]
    pub fn prints(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.out.contains(word), "{word:?} is not in: {}\n{}", self.out, self.err);
        }
        self
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}
