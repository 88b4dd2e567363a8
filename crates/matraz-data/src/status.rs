//! `status`: how the workspace stands against what the project's files say.

use std::path::Path;

use matraz_base::process::Interrupt;
use matraz_base::progress::Progress;

use crate::cache::{Cache, Corrupted};
use crate::index::{Index, is_project_file};
use crate::pipeline::changes::{self, Changes, Updates};
use crate::pipeline::content::Contents;
use crate::stage::address::join;
use crate::stage::{Address, Source};
use crate::target::{self, TargetOptions};
use crate::{Repo, Result};

/// The stages that differ from what is recorded of them.
#[derive(Debug, Default)]
pub struct Status {
    /// What differs: data files, then stages, both in the order of the project's files.
    pub changed: Vec<(Address, Changes)>,
    /// Frozen stages that were looked at: their dependencies were not.
    pub frozen: Vec<Address>,
    /// Whether the project has no stage at all.
    pub empty: bool,
    /// Corrupted cache objects that were met; they are removed.
    pub corrupted: Vec<Corrupted>,
}

/// Looks at the targets, at all of the project when there is none. `updates` says whether the sources of imports are asked
/// what they are now.
pub fn status(
    repo: &Repo,
    targets: &[String],
    options: TargetOptions,
    updates: Updates,
    cwd: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Status> {
    // A stage's file says all that is to be said of its data: 100,000 others need not be read.
    let index = match targets {
        [file] if !options.with_deps && is_project_file(Path::new(file)) && join(cwd, file).is_file() => {
            Index::load_file(repo, &join(cwd, file))?
        }
        _ => Index::load(repo)?,
    };
    let selections = target::select(repo, &index, targets, options, cwd)?;
    let stages: Vec<_> = selections.iter().map(|selection| &index.stages[selection.stage]).collect();
    let mut cache = Cache::open(repo);
    let mut contents = Contents::new(repo, progress, interrupt);
    let found = changes::of_stages(repo, &mut cache, &stages, &mut contents, updates, interrupt)?;
    let mut status = Status { empty: index.stages.is_empty(), ..Status::default() };
    for ((selection, stage), mut changes) in selections.iter().zip(stages).zip(found) {
        let is_repo = stage.is_import() && matches!(stage.deps[0].source, Source::Repo(_));
        if stage.frozen && !is_repo {
            status.frozen.push(stage.address.clone());
        }
        if let Some(only) = &selection.only {
            changes.outs.retain(|(path, _)| only.starts_with(path));
        }
        if !changes.is_empty() {
            status.changed.push((stage.address.clone(), changes));
        }
    }
    // Data before the stages that read them.
    status.changed.sort_by_key(|(address, _)| address.name.is_some());
    status.corrupted = cache.take_corrupted();
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::{InitOptions, Places};
    use matraz_base::progress::Silent;
    use std::fs;

    #[test]
    fn a_named_file_is_all_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("p");
        fs::create_dir_all(&root).unwrap();
        let places = Places {
            global_config_dir: folder.path().join("g"),
            system_config_dir: folder.path().join("s"),
            site_cache_dir: folder.path().join("c"),
            home: None,
            lists_projects: false,
        };
        let options = InitOptions { no_scm: true, ..InitOptions::default() };
        let repo = Repo::init(&root, options, &places).unwrap();
        fs::write(root.join("one.dvc"), "outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  path: one\n")
            .unwrap();
        fs::write(root.join("two.dvc"), "outs: 1\n").unwrap();
        let interrupt = Interrupt::new();
        let ask = |targets: &[String]| {
            let options = TargetOptions::default();
            status(&repo, targets, options, Updates::Ignored, &root, &Silent, &interrupt)
        };
        assert_eq!(ask(&["one.dvc".into()]).unwrap().changed.len(), 1);
        assert!(ask(&["two.dvc".into()]).is_err());
        assert!(ask(&[]).is_err());
    }
}
