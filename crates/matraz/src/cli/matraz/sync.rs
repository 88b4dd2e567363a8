//! `matraz sync`

use std::path::PathBuf;

use matraz_base::{Failure, Kind};
use matraz_loop::Error;
use matraz_track::spool::{Spool, SpoolError, SpoolOptions, State};
use serde_json::json;

use super::spool::folder;
use crate::app::App;
use crate::cli::CliError;
use crate::cli::table::{table, words};
use crate::exit::Exit;
use crate::project;

/// Deliver what a spool holds to its tracking server
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder of the spool [default: .dvc/tmp/matraz/spool in a project, else matraz-spool here]
    dir: Option<PathBuf>,
    /// The server, when it has another address now
    #[arg(long, value_name = "URL")]
    tracking_uri: Option<String>,
    /// Also send again what the server refused before
    #[arg(long)]
    again: bool,
    /// Only say what waits and what was refused
    #[arg(long, conflicts_with = "again")]
    dry: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let dir = folder(args.dir, app);
    let known = Spool::server_of(&dir)?;
    let url = args.tracking_uri.unwrap_or(known);
    let runtime = tokio::runtime::Runtime::new().map_err(|source| Error::Runtime { source })?;
    runtime.block_on(async {
        if !args.dry {
            Spool::move_server(&dir, &url)?;
        }
        let remote = project::remote_options(app);
        let spool = Spool::open(&dir, SpoolOptions { url: url.clone(), remote, limit: u64::MAX }).await?;
        if args.again {
            spool.try_refused_again().await?;
        }
        let delivered = match args.dry {
            true => Ok(()),
            false => tokio::select! {
                delivered = spool.deliver(&app.out) => delivered.map(drop),
                _ = tokio::signal::ctrl_c() => {
                    let message = "interrupted; what is not delivered still waits".to_owned();
                    return Err(CliError::Refused { message, kind: Kind::Interrupted }.into());
                }
            },
        };
        let refused = spool.refused()?;
        let state = if args.dry { spool.state() } else { spool.close().await? };
        if args.json {
            let refused: Vec<_> =
                refused.iter().map(|one| json!({"call": one.call, "message": one.message})).collect();
            app.out.json(&json!({
                "server": url,
                "delivered": state.delivered,
                "waiting": state.waiting,
                "bytes": state.bytes,
                "refused": refused,
                "error": delivered.as_ref().err().map(ToString::to_string),
            }));
        } else {
            app.out.line(&said(&state, &url, args.dry));
            if !refused.is_empty() {
                let rows: Vec<_> = refused.into_iter().map(|one| vec![one.call, one.message]).collect();
                app.out.result(&table(&["refused", "because"].map(words), &rows));
            }
        }
        match delivered {
            // Said in the JSON.
            Err(SpoolError::Away { .. }) if args.json => {
                Ok(Exit(crate::exit::code(app.grammar, Kind::Unreachable, 1)))
            }
            Err(error) => Err(error.into()),
            Ok(()) if state.refused > 0 && !args.dry => Ok(Exit::NO),
            Ok(()) => Ok(Exit::OK),
        }
    })
}

fn said(state: &State, url: &str, dry: bool) -> String {
    let waiting = format!("{} calls ({} KiB) wait for {url}", state.waiting, state.bytes.div_ceil(1024));
    match (dry, state.waiting) {
        (true, _) => waiting,
        (false, 0) => format!("Delivered {} calls to {url}", state.delivered),
        (false, _) => format!("Delivered {} calls; {waiting}", state.delivered),
    }
}
