//! `dvc cache migrate`, `matraz cache migrate`

use matraz_base::{Failure, Progress};
use matraz_data::cache::Cache;
use matraz_data::migrate;
use matraz_data::stage::address::relative;

use super::project::{Project, say_how_to_track};
use crate::app::App;
use crate::exit::Exit;

/// Take the cache of DVC 2 over into the layout of DVC 3
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Give the data in `.dvc` and lock files digests of DVC 3, too
    #[arg(long)]
    dvc_files: bool,
    /// Only say what would be done
    #[arg(long)]
    dry: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let project = Project::open(app)?;
    let repo = &project.repo;
    let cache = Cache::open(repo);
    let shown = |path: &std::path::Path| relative(path, &app.cwd);
    if args.dry {
        let count = cache.legacy_objects()?.len();
        app.out.line(&format!("{count} files will be re-hashed and migrated to the DVC 3.0 cache location."));
    } else {
        let count = cache.migrate(repo, app.interrupt.flag())?;
        app.out.line(&format!("Migrated {count} files to DVC 3.0 cache location."));
    }
    if !args.dvc_files {
        return Ok(Exit::OK);
    }
    let files = migrate::files(repo)?;
    if files.is_empty() {
        app.out.line("No DVC files in the repo to migrate to the 3.0 format.");
    } else if args.dry {
        app.out.line("Entries in following DVC files will be migrated to the 3.0 format:");
        for file in files {
            app.out.line(&format!("\t{}", shown(&file)));
        }
    } else {
        let report = migrate::migrate(repo, &app.out, &app.interrupt)?;
        for file in &report.data_files {
            app.out.line(&format!("Updating DVC file '{}'", shown(file)));
        }
        for file in &report.lock_files {
            app.out.line(&format!("Updating lock file '{}'", shown(file)));
        }
        for file in &report.kept {
            let file = shown(file);
            app.out.warn(&format!("'{file}' stays as it is, as its data are not in the workspace"));
        }
        say_how_to_track(app, repo, &report.changed());
    }
    Ok(Exit::OK)
}
