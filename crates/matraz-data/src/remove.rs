//! `remove`: takes stages and `.dvc` files out of the project.

use std::fs;
use std::path::Path;

use matraz_base::process::Interrupt;
use matraz_base::{Value, yaml};

use crate::index::{Index, address_of};
use crate::stage::{LockFile, Stage, document, edit};
use crate::target::TargetOptions;
use crate::unprotect::unprotect;
use crate::{Error, Repo, Result};

/// Removes what the targets name: `.dvc` files, stages, or all stages of a `dvc.yaml`. Their data stay, and go when
/// `outs` is set; the cache keeps them in both cases.
pub fn remove(repo: &Repo, targets: &[String], outs: bool, cwd: &Path, interrupt: &Interrupt) -> Result<()> {
    for target in targets {
        let index = Index::load_for(repo, std::slice::from_ref(target), TargetOptions::default(), cwd)?;
        let found = match address_of(target, cwd).name {
            // The stages of a group go one by one, if at all.
            Some(_) => vec![index.find_one(target, cwd)?],
            None => index.find(target, cwd)?,
        };
        if found.is_empty() {
            return Err(Error::NoSuchTarget { target: target.clone() });
        }
        for number in found {
            let stage = &index.stages[number];
            let paths = stage.outs.iter().map(|out| out.path.as_path());
            let _locks = repo.lock_paths("remove", paths, interrupt.flag())?;
            remove_stage(repo, stage, outs)?;
        }
    }
    Ok(())
}

fn remove_stage(repo: &Repo, stage: &Stage, outs: bool) -> Result<()> {
    // As in DVC, the outputs of a stage that cannot be removed are not ignored any more all the same; they stay.
    let refused = stage.parametrized || stage.generated_from.is_some();
    for out in &stage.outs {
        if outs && !refused {
            if !repo.contains(&out.path) || out.path == repo.root {
                return Err(Error::OutsideProject { path: out.path.clone() });
            }
            remove_path(&out.path)?;
        } else if out.cache && repo.contains(&out.path) && out.path.exists() {
            unprotect(repo, &out.path)?;
        }
        if let Some(git) = repo.git.as_ref().filter(|_| out.cache) {
            git.stop_ignoring(&out.path)?;
        }
    }
    edit::refuse_parametrized(stage)?;
    let file = &stage.address.file;
    let Some(name) = &stage.address.name else { return remove_path(file) };
    let Some(document) = document::read(file)? else { return Ok(()) };
    let mut root = document.parse()?.to_value();
    if let Value::Map(root) = &mut root {
        if let Some(Value::Map(stages)) = root.get_mut("stages") {
            stages.shift_remove(name);
            if stages.is_empty() {
                root.shift_remove("stages");
            }
        }
        if root.is_empty() {
            remove_path(file)?;
        }
    }
    if file.exists() {
        let text = yaml::edit(&document.text, &root).unwrap_or_else(|_| yaml::write(&root));
        matraz_base::file::write(file, text.as_bytes()).map_err(Error::io("write", file))?;
    }
    let mut lock = LockFile::beside(file)?;
    if lock.entries.shift_remove(name).is_some() {
        if lock.entries.is_empty() && lock.datasets().is_empty() {
            return remove_path(&lock.path);
        }
        lock.save()?;
    }
    Ok(())
}

/// Removes a file or folder; it is no error when there is none.
fn remove_path(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        _ => fs::remove_file(path),
    };
    match removed {
        Err(error) if !crate::cache::absent(&error) => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::{InitOptions, Places};
    use matraz_base::progress::Silent;

    #[test]
    fn stages_and_data_files_go_and_their_data_stay() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("p");
        fs::create_dir_all(&root).unwrap();
        let done = std::process::Command::new("git").args(["init", "-q"]).arg(&root).status().unwrap();
        assert!(done.success());
        let places = Places {
            global_config_dir: folder.path().join("g"),
            system_config_dir: folder.path().join("s"),
            site_cache_dir: folder.path().join("c"),
            home: None,
            lists_projects: false,
        };
        let repo = Repo::init(&root, InitOptions::default(), &places).unwrap();
        let never = Interrupt::new();
        fs::write(root.join("f"), "1").unwrap();
        let targets = ["f".to_owned()];
        let added = crate::add::add(&repo, &targets, &Default::default(), &root, &Silent, &never).unwrap();
        assert!(added.failure.is_none());
        let pipeline = "# mine\nstages:\n  a:\n    cmd: echo 1\n  b:\n    cmd: echo 2 # two\n";
        fs::write(root.join("dvc.yaml"), pipeline).unwrap();
        let run = |target: &str| remove(&repo, &[target.to_owned()], false, &root, &never);
        run("f.dvc").unwrap();
        assert!(root.join("f").exists() && !root.join("f.dvc").exists() && !root.join(".gitignore").exists());
        run("a").unwrap();
        let left = fs::read_to_string(root.join("dvc.yaml")).unwrap();
        assert!(
            left.starts_with("# mine\n") && left.contains("echo 2 # two") && !left.contains("echo 1"),
            "{left}"
        );
        assert!(run("a").is_err());
        assert!(run("f").is_err());
        run("b").unwrap();
        assert!(!root.join("dvc.yaml").exists());
    }
}
