//! `move`: gives tracked data another path, together with the `.dvc` file that tracks them.

use std::fs;
use std::path::{Path, PathBuf};

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use crate::add::check_graph;
use crate::cache::{Cache, Corrupted};
use crate::checkout::{self, Wanted};
use crate::index::{Index, is_project_file};
use crate::repo::DVC_DIR;
use crate::stage::address::{join, relative};
use crate::stage::{Address, DATA_SUFFIX, Source, Stage, dot_dvc};
use crate::target::OutputMap;
use crate::workspace::{self, Target};
use crate::{Error, Repo, Result};

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// `.dvc` and `.gitignore` files that were written or went.
    pub changed: Vec<PathBuf>,
    /// The data were not in the workspace; only their `.dvc` file was moved.
    pub missing: bool,
    /// Corrupted cache objects that were met; they are removed.
    pub corrupted: Vec<Corrupted>,
}

/// Moves the output at `from` to `to`, or into `to` when that is a folder. Changed data go into the cache and stay
/// changed. Nothing that exists is replaced.
pub fn r#move(
    repo: &Repo,
    from: &str,
    to: &str,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let failed = |source| Error::Move { from: from.to_owned(), to: to.to_owned(), source: Box::new(source) };
    move_output(repo, from, to, cwd, progress, interrupt).map_err(failed)
}

fn move_output(
    repo: &Repo,
    from: &str,
    to: &str,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let source = join(cwd, from);
    if is_project_file(&source) {
        return Err(Error::StageFileAsOutput { path: source });
    }
    let index = Index::load(repo)?;
    let outputs = OutputMap::of(&index);
    let Some((number, _)) = outputs.at(&source).filter(|(_, out)| out.path == source) else {
        return Err(Error::NotAnOutput { path: from.to_owned() });
    };
    let stage = &index.stages[number];
    if stage.cmd.is_some() {
        return Err(Error::StageOutput { path: source, stage: stage.address.display(cwd) });
    }
    let mut target = join(cwd, to);
    if target.is_dir() {
        target.push(source.file_name().unwrap_or_default());
    } else if to.ends_with('/') {
        return Err(Error::NoSuchFolder { path: target });
    }
    let moved = moved_stage(repo, stage, &source, &target)?;
    refuse(repo, &index, stage, &moved, &target)?;
    let locked = [source.as_path(), target.as_path()].into_iter();
    let _locks = repo.lock_paths("move", locked, interrupt.flag())?;
    let mut report = Report { missing: source.symlink_metadata().is_err(), ..Report::default() };
    if !report.missing {
        fs::rename(&source, &target).map_err(Error::io("move", &source))?;
    }
    if let Some(git) = &repo.git {
        report.changed.extend(git.stop_ignoring(&source)?);
    }
    if !report.missing {
        store(repo, &moved, &target, &mut report, progress, interrupt)?;
    }
    if let Some(git) = &repo.git {
        report.changed.extend(git.ignore(&target)?);
    }
    dot_dvc::save(&moved)?;
    report.changed.push(moved.address.file.clone());
    if moved.address != stage.address {
        fs::remove_file(&stage.address.file).map_err(Error::io("remove", &stage.address.file))?;
        report.changed.push(stage.address.file.clone());
    }
    report.changed.sort();
    report.changed.dedup();
    repo.stage_for_git(&report.changed)?;
    Ok(report)
}

/// The stage with its output at the new path. A `.dvc` file that is named after the output is renamed with it.
fn moved_stage(repo: &Repo, stage: &Stage, source: &Path, target: &Path) -> Result<Stage> {
    let mut moved = stage.clone();
    let own_name = source.file_name().map(|name| format!("{}{DATA_SUFFIX}", name.to_string_lossy()));
    if stage.address.file.file_name().map(|name| name.to_string_lossy().into_owned()) == own_name {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let folder = target.parent().unwrap_or(&repo.root);
        moved.address = Address { file: folder.join(format!("{name}{DATA_SUFFIX}")), name: None };
        moved.wdir = folder.to_path_buf();
    }
    for out in moved.outs.iter_mut().filter(|out| out.path == *source) {
        out.path = target.to_path_buf();
        out.def_path = relative(target, &moved.wdir);
    }
    for dep in &mut moved.deps {
        if dep.source == Source::Local && !Path::new(&dep.def_path).is_absolute() {
            dep.def_path = relative(&dep.path, &moved.wdir);
        }
    }
    if moved.md5.is_some() {
        moved.md5 = dot_dvc::import_md5(&moved);
    }
    Ok(moved)
}

fn refuse(repo: &Repo, index: &Index, stage: &Stage, moved: &Stage, target: &Path) -> Result<()> {
    let path = target.to_path_buf();
    let folder = target.parent().unwrap_or(&repo.root);
    if !repo.contains(target) || target == repo.root {
        return Err(Error::OutsideProject { path });
    }
    if target.strip_prefix(&repo.root).is_ok_and(|inside| inside.iter().any(|part| part == DVC_DIR)) {
        return Err(Error::InternalPath { path });
    }
    if is_project_file(target) {
        return Err(Error::StageFileAsOutput { path });
    }
    if !folder.is_dir() {
        return Err(Error::NoSuchFolder { path: folder.to_path_buf() });
    }
    if moved.address != stage.address && moved.address.file.exists() {
        return Err(Error::InTheWay { path: moved.address.file.clone() });
    }
    if target.symlink_metadata().is_ok() {
        return Err(Error::InTheWay { path });
    }
    if target.to_str().is_none() {
        return Err(Error::NotUnicode { path });
    }
    let others = Index {
        stages: index.stages.iter().filter(|other| other.address != stage.address).cloned().collect(),
        ..Index::default()
    };
    check_graph(repo, &others, std::iter::once(moved))
}

/// Stores the data as they are, also when they are not what is recorded.
fn store(
    repo: &Repo,
    stage: &Stage,
    target: &Path,
    report: &mut Report,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let Some(out) = stage.outs.iter().find(|out| out.path == target && out.cache) else { return Ok(()) };
    let mut cache = Cache::open(repo);
    let wanted = [Target::with_legacy(target, out.legacy)];
    let stored = workspace::save_many(repo, &mut cache, &wanted, progress, interrupt.flag())?;
    if let Some(content) = stored.into_iter().next().flatten() {
        let mut now = out.clone();
        now.digest = Some(content.digest);
        checkout::relink_if_needed(repo, &mut cache, &[Wanted::whole(&now)], progress, interrupt.flag())?;
    }
    report.corrupted = cache.take_corrupted();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::{InitOptions, Places};
    use matraz_base::progress::Silent;

    #[test]
    fn data_move_with_their_notes_and_nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("p");
        fs::create_dir_all(root.join("sub")).unwrap();
        let places = Places {
            global_config_dir: folder.path().join("g"),
            system_config_dir: folder.path().join("s"),
            site_cache_dir: folder.path().join("c"),
            home: None,
            lists_projects: false,
        };
        let repo =
            Repo::init(&root, InitOptions { no_scm: true, ..InitOptions::default() }, &places).unwrap();
        let never = Interrupt::new();
        fs::write(root.join("f"), "1\n").unwrap();
        crate::add::add(&repo, &["f".into()], &Default::default(), &root, &Silent, &never).unwrap();
        let text = fs::read_to_string(root.join("f.dvc")).unwrap();
        fs::write(root.join("f.dvc"), format!("{text}  desc: mine\n")).unwrap();
        let run = |from: &str, to: &str| r#move(&repo, from, to, &root, &Silent, &never);
        run("f", "sub").unwrap();
        assert!(!root.join("f").exists() && !root.join("f.dvc").exists());
        assert!(fs::read_to_string(root.join("sub/f.dvc")).unwrap().contains("desc: mine"));
        fs::write(root.join("taken"), "2\n").unwrap();
        for (from, to) in
            [("sub/f", "taken"), ("sub/f", "none/x"), ("sub/f", "../x"), ("sub/f", ".dvc/x"), ("none", "x")]
        {
            assert!(run(from, to).is_err(), "{from} {to}");
        }
        assert_eq!(fs::read_to_string(root.join("taken")).unwrap(), "2\n");
        fs::remove_file(root.join("sub/f")).unwrap();
        assert!(run("sub/f", "g").unwrap().missing);
        assert!(root.join("g.dvc").exists());
    }
}
