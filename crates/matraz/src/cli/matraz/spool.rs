//! `matraz spool`

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use matraz_base::{Failure, Kind, Progress};
use matraz_loop::{Error, Target};
use matraz_track::client::RemoteOptions;
use matraz_track::spool::{Spool, SpoolOptions, State};
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::cli::CliError;
use crate::exit::Exit;
use crate::project::{self, Project};

/// Run a training that is recorded even when the tracking server is away
///
/// The command gets an address of this machine as `MLFLOW_TRACKING_URI`. Calls pass through to the server; while it does
/// not answer, they wait on this disk, and reach it once when it is there again. What still waits at the end, `matraz
/// sync` delivers later.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where calls wait [default: .dvc/tmp/matraz/spool in a project, else matraz-spool here]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The tracking server [default: MLFLOW_TRACKING_URI, or the project's]
    #[arg(long, value_name = "URL")]
    tracking_uri: Option<String>,
    /// Listen on this port of the loopback address until Ctrl-C; 0 picks a free one
    #[arg(long, value_name = "PORT", required_unless_present = "command")]
    listen: Option<u16>,
    /// The most that may wait, in MiB, files included
    #[arg(long, value_name = "MIB", default_value_t = 10240)]
    limit: u64,
    /// How many seconds without progress are waited for the server at the end
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u64,
    /// The training
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The tracking server that is asked for, by the environment or by the project.
pub fn server(asked: Option<&str>, app: &App) -> Result<(String, RemoteOptions), Failure> {
    if let Some(url) = asked {
        return Ok((url.to_owned(), project::remote_options(app)));
    }
    match Project::here(app)?.target {
        Target::Server { url, options } => Ok((url, options)),
        Target::Embedded { store, .. } => {
            let message =
                format!("runs go to {store} on this machine: there is no server that could be away");
            let hint = Some("name a server by MLFLOW_TRACKING_URI or `--tracking-uri`".to_owned());
            Err(CliError::Usage { message, hint }.into())
        }
    }
}

/// Where calls wait when no folder is named.
pub fn folder(asked: Option<PathBuf>, app: &App) -> PathBuf {
    match (asked, project::root(&app.cwd)) {
        (Some(asked), _) => app.cwd.join(asked),
        (None, Some(root)) if root.join(".dvc").is_dir() => root.join(matraz_loop::SPOOL),
        _ => app.cwd.join("matraz-spool"),
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let (url, remote) = server(args.tracking_uri.as_deref(), app)?;
    let dir = folder(args.dir.clone(), app);
    let runtime = tokio::runtime::Runtime::new().map_err(|source| Error::Runtime { source })?;
    runtime.block_on(async {
        let spool = Spool::open(&dir, SpoolOptions { url, remote, limit: args.limit << 20 }).await?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.listen.unwrap_or(0)));
        let refused = |what: &str, error| {
            let message = format!("cannot {what}: {error}");
            CliError::Refused { message, kind: Kind::Denied }
        };
        let listener = TcpListener::bind(address).await.map_err(|error| refused("listen", error))?;
        let address = listener.local_addr().map_err(|error| refused("listen", error))?;
        let router = spool.guarded_router();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let keeper = tokio::spawn({
            let spool = spool.clone();
            async move { spool.keep_delivering().await }
        });
        let ended = match args.command.split_first() {
            Some((program, arguments)) => {
                let child = tokio::process::Command::new(program)
                    .args(arguments)
                    .current_dir(&app.cwd)
                    .env("MLFLOW_TRACKING_URI", format!("http://{address}"))
                    .spawn();
                match child {
                    Ok(child) => Ok(follow(child).await),
                    Err(error) => Err(refused(&format!("start `{}`", program.to_string_lossy()), error)),
                }
            }
            None => {
                app.out.result(&format!("The spool listens on http://{address} (Ctrl-C ends it)"));
                stopped().await;
                Ok(0)
            }
        };
        serving.abort();
        let _ = serving.await;
        settle(&spool, Duration::from_secs(args.wait)).await;
        keeper.abort();
        let _ = keeper.await;
        say(&spool.close().await?, &dir, app);
        Ok(Exit(ended?))
    })
}

/// Waits for the training. A request to end is passed on; Ctrl-C reaches it by itself.
async fn follow(mut child: Child) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let mut terminate = signal(SignalKind::terminate()).ok();
    loop {
        let asked = async {
            match &mut terminate {
                Some(terminate) => terminate.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = child.wait() => {
                let code = ended.ok().and_then(|status| status.code().or_else(|| status.signal().map(|signal| 128 + signal)));
                return code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
            }
            _ = asked => {
                if let Some(id) = child.id() {
                    terminate_process(id);
                }
            }
        }
    }
}

#[expect(unsafe_code, reason = "the standard library can only kill a process")]
fn terminate_process(id: u32) {
    // SAFETY: a plain system call; the process has not been waited for, so the number is still its own.
    unsafe {
        libc::kill(id as libc::pid_t, libc::SIGTERM);
    }
}

async fn stopped() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate => {}
    }
}

/// Gives the delivery time, as long as it makes progress.
async fn settle(spool: &Spool, patience: Duration) {
    let (mut since, mut before) = (Instant::now(), u64::MAX);
    loop {
        let waiting = spool.state().waiting;
        if waiting < before {
            (since, before) = (Instant::now(), waiting);
        }
        if waiting == 0 || since.elapsed() >= patience {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn say(state: &State, dir: &std::path::Path, app: &App) {
    let dir = dir.strip_prefix(&app.cwd).unwrap_or(dir).display();
    if state.waiting > 0 {
        let why = state.away.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        app.out.warn(&format!(
            "{} calls wait in {dir}, for the tracking server is away{why}: `matraz sync {dir}` delivers them",
            state.waiting
        ));
    }
    if state.refused > 0 {
        app.out.warn(&format!(
            "the tracking server refused {} calls: `matraz sync --dry {dir}` shows them",
            state.refused
        ));
    }
}
