//! `mlflow db`, `matraz db`

use clap::{Subcommand, ValueEnum};
use matraz_base::Failure;
use matraz_loop::Error;
use matraz_track::db::upgrade::{Backup, upgrade};
use matraz_track::db::{Head, StoreUri};

use super::server;
use crate::app::App;
use crate::exit::Exit;

/// Manage the database of a tracking store
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Bring the database of an older MLflow to a newer schema, or make the tables of a new one
    ///
    /// All of it happens in one transaction, after a copy was made: beside the file, or in this folder with pg_dump.
    Upgrade {
        /// The database: `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`
        url: String,
        /// The version of MLflow whose schema it gets
        #[arg(long, value_name = "VERSION", default_value = "3.18.0")]
        schema: Schema,
        /// Keep no copy of the database as it was
        #[arg(long)]
        no_backup: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A version of MLflow whose schema is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Schema {
    /// MLflow 3.18.0
    #[default]
    #[value(name = "3.18.0")]
    Mlflow318,
    /// MLflow 3.17.2
    #[value(name = "3.17.2")]
    Mlflow317,
}

impl Schema {
    /// The library's word for it.
    pub fn head(self) -> Head {
        match self {
            Self::Mlflow318 => Head::Mlflow318,
            Self::Mlflow317 => Head::Mlflow317,
        }
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let Command::Upgrade { url, schema, no_backup, json } = args.command;
    let store: StoreUri = server::store(&url, &app.cwd)?;
    let backup = if no_backup { Backup::No } else { Backup::In(app.cwd.clone()) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    let done = runtime.block_on(upgrade(&store, schema.head(), &backup))?;
    let to = done.to.revision();
    if json {
        let backup = done.backup.as_ref().map(|path| path.display().to_string());
        let value =
            serde_json::json!({"store": store.shown(), "from": done.from, "to": to, "backup": backup});
        app.out.result(&value.to_string());
        return Ok(Exit::OK);
    }
    match done.from.as_deref() {
        None => app.out.result(&format!("{store} is new and has the schema {to} now")),
        Some(from) if from == to => app.out.result(&format!("{store} has the schema {to} already")),
        Some(from) => {
            if let Some(copy) = &done.backup {
                app.out.result(&format!("The database as it was is in {}", copy.display()));
            }
            app.out.result(&format!("{store} went from the schema {from} to {to}"));
        }
    }
    Ok(Exit::OK)
}
