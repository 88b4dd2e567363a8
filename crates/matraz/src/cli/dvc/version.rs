//! `dvc version`, `matraz version`

use matraz_base::Failure;
use matraz_data::doctor::{self, Disk};
use matraz_data::{Error, Repo};
use serde_json::{Value, json};

use crate::app::App;
use crate::cli::only_in_matraz;
use crate::exit::Exit;
use crate::names::DVC_VERSION;

/// Show versions and what the project's filesystem can do
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print JSON (Matraz's own grammar alone)
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    only_in_matraz(app, "--json", args.json)?;
    if args.json {
        app.out.json(&as_json(app)?);
        return Ok(Exit::OK);
    }
    let version = env!("CARGO_PKG_VERSION");
    let places = app.places();
    let title = format!("DVC version: {DVC_VERSION} (matraz)");
    let mut lines = vec![
        title.clone(),
        "-".repeat(title.len()),
        format!("Platform: matraz {version} on {}", platform()),
        format!("Subprojects:\n\tmatraz = {version}"),
        "Supports:\n\tlocal".to_owned(),
        format!(
            "Config:\n\tGlobal: {}\n\tSystem: {}",
            places.global_config_dir.display(),
            places.system_config_dir.display()
        ),
    ];
    match Repo::open(&app.cwd, &places) {
        Ok(repo) => {
            let report = doctor::examine(&repo)?;
            match report.cache {
                Some((kinds, disk)) => {
                    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
                    lines.push(format!("Cache types: {}", kinds.join(", ")));
                    lines.push(format!("Cache directory: {}", shown(&disk)));
                }
                None => lines.push("Cache types: <https://error.dvc.org/no-dvc-cache>".into()),
            }
            lines.push("Caches: local".into());
            let remotes = report.remotes.join(", ");
            lines.push(format!("Remotes: {}", if remotes.is_empty() { "None" } else { &remotes }));
            lines.push(format!("Workspace directory: {}", shown(&report.workspace)));
            let kind = match report.git_root {
                None => "dvc (no_scm)",
                Some(true) => "dvc, git",
                Some(false) => "dvc (subdir), git",
            };
            lines.push(format!("Repo: {kind}"));
            lines.push(format!("Repo.site_cache_dir: {}", places.site_cache_dir.display()));
        }
        Err(Error::NotInProject { .. }) => {}
        Err(Error::NotInGit { .. }) => lines.push("Repo: dvc, git (broken)".into()),
        Err(error) => return Err(error.into()),
    }
    app.out.always(&format!("{}\n", lines.join("\n")));
    Ok(Exit::OK)
}

fn as_json(app: &App) -> Result<Value, Failure> {
    let places = app.places();
    let mut all = json!({
        "matraz": env!("CARGO_PKG_VERSION"),
        "dvc": DVC_VERSION,
        "platform": platform(),
        "config": {"global": places.global_config_dir, "system": places.system_config_dir},
    });
    let repo = match Repo::open(&app.cwd, &places) {
        Err(Error::NotInProject { .. } | Error::NotInGit { .. }) => return Ok(all),
        other => other?,
    };
    let report = doctor::examine(&repo)?;
    let disk = |disk: &Disk| json!({"kind": disk.kind, "device": disk.device});
    all["project"] = json!({
        "root": repo.root,
        "git": report.git_root.is_some(),
        "remotes": report.remotes,
        "workspace": disk(&report.workspace),
        "cache": report.cache.as_ref().map(|(kinds, place)| {
            json!({"links": kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>(), "disk": disk(place)})
        }),
    });
    Ok(all)
}

fn shown(disk: &Disk) -> String {
    format!("{} on {}", disk.kind, disk.device)
}

/// The system, its version and the machine.
fn platform() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut system = std::env::consts::OS.to_owned();
    system[..1].make_ascii_uppercase();
    [system.as_str(), release.trim(), std::env::consts::ARCH]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}
