//! `install`: hooks of git that call this program, and its merge of `dvc.lock` and `.dvc` files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use matraz_base::{Map, Value, yaml};

use crate::git::Git;
use crate::{Error, Repo, Result};

/// The hooks of git that are ours.
pub const HOOKS: [&str; 3] = ["post-checkout", "pre-commit", "pre-push"];

/// The file in which the `pre-commit` tool keeps its hooks.
const PRE_COMMIT_CONFIG: &str = ".pre-commit-config.yaml";

/// Lines of `.gitattributes`: which files git merges by asking this program. A clone in which the program is not
/// installed merges them as text, as if there were no such line.
const ATTRIBUTES: [(&str, &str); 2] =
    [("dvc.lock", "dvc.lock merge=matraz"), ("*.dvc", "*.dvc merge=matraz")];

/// Writes the hooks, each of which runs `PROGRAM git-hook NAME`. Refused when there is another hook of such a name.
pub fn hooks(git: &Git, program: &str) -> Result<()> {
    let folder = git.hooks_folder()?;
    let shell = ["/usr/bin/sh", "/bin/sh"].into_iter().find(|path| fs::exists(path).unwrap_or(false));
    let text = |name: &str| format!("#!{}\nexec {program} git-hook {name} $@\n", shell.unwrap_or("/bin/sh"));
    for name in HOOKS {
        let path = folder.join(name);
        let there = matraz_base::file::read_if_present(&path).map_err(Error::io("read", &path))?;
        // Written by the same program, it is there already; DVC's own has to go first, as DVC says too.
        if there.is_some_and(|there| program == "dvc" || there != text(name)) {
            return Err(Error::HookExists { name: name.to_owned() });
        }
    }
    for name in HOOKS {
        let path = folder.join(name);
        matraz_base::file::write(&path, text(name).as_bytes()).map_err(Error::io("write", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).map_err(Error::io("protect", &path))?;
    }
    Ok(())
}

/// Tells git (this clone only) about DVC's driver for merging, which `dvc git-hook merge-driver` runs.
pub fn dvc_merge_driver(git: &Git) -> Result<()> {
    git.configure("merge.dvc.name", "DVC merge driver")?;
    git.configure("merge.dvc.driver", "dvc git-hook merge-driver --ancestor %O --our %A --their %B ")
}

/// Tells git (this clone only) how to merge the files of a project, and which (in `.gitattributes`, for all clones).
/// Patterns for which there is a driver already are left alone. Returns `.gitattributes` when it was written.
pub fn merge_driver(repo: &Repo, program: &str) -> Result<Option<PathBuf>> {
    let Some(git) = &repo.git else { return Ok(None) };
    git.configure("merge.matraz.name", "by stage and by file")?;
    let call = "git-hook merge-driver --ancestor %O --our %A --their %B --path %P";
    git.configure("merge.matraz.driver", &format!("{program} {call}"))?;
    let path = repo.root.join(".gitattributes");
    let before =
        matraz_base::file::read_if_present(&path).map_err(Error::io("read", &path))?.unwrap_or_default();
    let mut text = before.clone();
    for (pattern, line) in ATTRIBUTES {
        let decided = before.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(pattern)
                && words.any(|word| word.trim_start_matches('-').starts_with("merge"))
        });
        if !decided {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(line);
            text.push('\n');
        }
    }
    if text == before {
        return Ok(None);
    }
    matraz_base::file::write(&path, text.as_bytes()).map_err(Error::io("write", &path))?;
    Ok(Some(path))
}

/// Takes out what [`hooks`] and [`merge_driver`] wrote for this program into the hooks of git and `.gitattributes`.
/// Hooks of others stay. Returns `.gitattributes` when it was changed.
pub fn uninstall(repo: &Repo, program: &str) -> Result<Option<PathBuf>> {
    let Some(git) = &repo.git else { return Ok(None) };
    let folder = git.hooks_folder()?;
    for name in HOOKS {
        let path = folder.join(name);
        let there = matraz_base::file::read_if_present(&path).map_err(Error::io("read", &path))?;
        if there.is_some_and(|there| there.contains(&format!("\nexec {program} git-hook {name} "))) {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    let path = repo.root.join(".gitattributes");
    let Some(before) = matraz_base::file::read_if_present(&path).map_err(Error::io("read", &path))? else {
        return Ok(None);
    };
    let is_ours = |line: &str| ATTRIBUTES.iter().any(|(_, ours)| line.trim() == *ours);
    let text: String = before.split_inclusive('\n').filter(|line| !is_ours(line)).collect();
    if text == before {
        return Ok(None);
    }
    if text.is_empty() {
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    } else {
        matraz_base::file::write(&path, text.as_bytes()).map_err(Error::io("write", &path))?;
    }
    Ok(Some(path))
}

/// Adds the hooks to the configuration of the `pre-commit` tool. With the program `dvc` these are DVC's own hooks, which
/// that tool fetches; else hooks that call the program of this machine.
pub fn pre_commit_tool(git: &Git, program: &str, dvc_version: &str) -> Result<()> {
    let path = git.root().join(PRE_COMMIT_CONFIG);
    let before =
        matraz_base::file::read_if_present(&path).map_err(Error::io("read", &path))?.unwrap_or_default();
    let bad = |message: String| Error::Definition {
        fault: crate::error::Fault::Format,
        message,
        place: Box::new(matraz_base::Place::file(&path)),
        hint: None,
    };
    let root = yaml::parse(&before).map_err(|error| bad(error.message))?.to_value();
    let mut root = match root {
        Value::Map(map) => map,
        Value::Null => Map::new(),
        _ => return Err(bad("the file must be a mapping".into())),
    };
    let entry = if program == "dvc" { dvc_hooks(dvc_version) } else { own_hooks(program) };
    match root.entry("repos".into()).or_insert_with(|| Value::List(Vec::new())) {
        Value::List(repos) if repos.contains(&entry) => return Ok(()),
        Value::List(repos) => repos.push(entry),
        _ => return Err(bad("`repos` must be a list".into())),
    }
    let root = Value::Map(root);
    let text = if before.trim().is_empty() {
        yaml::write(&root)
    } else {
        yaml::edit(&before, &root).map_err(|error| bad(error.message))?
    };
    matraz_base::file::write(&path, text.as_bytes()).map_err(Error::io("write", &path))
}

fn text(value: impl Into<String>) -> Value {
    Value::Str(value.into())
}

fn map(entries: Vec<(&str, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn dvc_hooks(version: &str) -> Value {
    let hook = |name: &str| {
        let mut entries = vec![
            ("id", text(format!("dvc-{name}"))),
            ("additional_dependencies", Value::List(vec![text(".[all]")])),
            ("language_version", text("python3")),
            ("stages", Value::List(vec![text(name)])),
        ];
        if name == "post-checkout" {
            entries.push(("always_run", Value::Bool(true)));
        }
        map(entries)
    };
    map(vec![
        ("repo", text("https://github.com/treeverse/dvc")),
        ("rev", text(version)),
        ("hooks", Value::List(["pre-commit", "pre-push", "post-checkout"].map(hook).to_vec())),
    ])
}

fn own_hooks(program: &str) -> Value {
    let hook = |name: &str| {
        map(vec![
            ("id", text(format!("matraz-{name}"))),
            ("name", text(format!("matraz {name}"))),
            ("entry", text(format!("{program} git-hook {name}"))),
            ("language", text("system")),
            ("always_run", Value::Bool(true)),
            ("pass_filenames", Value::Bool(false)),
            ("stages", Value::List(vec![text(name)])),
        ])
    };
    map(vec![
        ("repo", text("local")),
        ("hooks", Value::List(["pre-commit", "pre-push", "post-checkout"].map(hook).to_vec())),
    ])
}
