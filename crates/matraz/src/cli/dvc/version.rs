//! `dvc version`, `matraz version`

use matraz_base::Failure;
use matraz_data::Repo;

use crate::app::App;
use crate::exit::Exit;
use crate::names::DVC_VERSION;

/// Show versions and what the project's filesystem can do
#[derive(clap::Args, Debug)]
pub struct Args {}

pub fn run(_: Args, app: &App) -> Result<Exit, Failure> {
    let out = &app.out;
    out.result(&format!("DVC version: {DVC_VERSION} (matraz {})", env!("CARGO_PKG_VERSION")));
    out.result("-------------------------");
    out.result(&format!("Platform: {} {}", std::env::consts::OS, std::env::consts::ARCH));
    out.result("Supports: local");
    if let Ok(repo) = Repo::open(&app.cwd, &app.places()) {
        let kinds: Vec<&str> =
            matraz_data::cache::Cache::open(&repo).links().iter().map(|kind| kind.word()).collect();
        out.result(&format!("Cache types: {}", kinds.join(", ")));
        out.result(&format!("Cache directory: {}", repo.cache_dir().display()));
        let remotes: Vec<&str> = repo.config.remotes().map(|(name, _)| name).collect();
        out.result(&format!(
            "Remotes: {}",
            if remotes.is_empty() { "None".into() } else { remotes.join(", ") }
        ));
        out.result(&format!("Workspace directory: {}", repo.root.display()));
        out.result(&format!("Repo: dvc, {}", if repo.git.is_some() { "git" } else { "dvc (no_scm)" }));
    }
    Ok(Exit::OK)
}
