//! `mlflow migrate-filestore`, `matraz migrate-filestore`

use std::path::PathBuf;

use matraz_base::Failure;
use matraz_loop::Error;
use matraz_track::filestore;

use super::db::Schema;
use super::server;
use crate::app::App;
use crate::exit::Exit;

/// Copy the runs and models of a folder `mlruns` into a new database
///
/// Experiments keep their ids, except that PostgreSQL has none above 2147483647: such ones are numbered anew. Artifacts
/// stay where they are.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder mlruns, or the one that holds it
    #[arg(long, value_name = "DIR")]
    source: PathBuf,
    /// The database, which must be new or empty: `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`
    #[arg(long, value_name = "URI")]
    target: String,
    /// The version of MLflow whose schema a new database gets
    #[arg(long, value_name = "VERSION", default_value = "3.18.0")]
    schema: Schema,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let target = server::store(&args.target, &app.cwd)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    let source = app.cwd.join(args.source);
    let done = runtime.block_on(filestore::migrate(&source, &target, args.schema.head()))?;
    if args.json {
        let skipped: Vec<_> = done
            .skipped
            .iter()
            .map(|(path, why)| serde_json::json!({"path": path.display().to_string(), "reason": why}))
            .collect();
        let value = serde_json::json!({"source": source.display().to_string(), "target": target.shown(),
            "counts": done.counts, "renumbered": done.renumbered, "skipped": skipped});
        app.out.result(&value.to_string());
        return Ok(Exit::OK);
    }
    for (kind, count) in &done.counts {
        app.out.result(&format!("{kind:<25} {count:>10}"));
    }
    for (old, new) in &done.renumbered {
        app.out.result(&format!("experiment {old} is {new} now"));
    }
    for (path, why) in &done.skipped {
        app.out.result(&format!("left out {}: {why}", path.display()));
    }
    app.out.result(&format!("Serve it with `matraz server --backend-store-uri {}`", target.shown()));
    Ok(Exit::OK)
}
