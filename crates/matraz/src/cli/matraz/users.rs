//! `matraz users`

use std::io::{IsTerminal as _, Read as _};

use clap::Subcommand;
use matraz_base::Failure;
use matraz_loop::Error;
use matraz_track::auth::{self, Caller};
use matraz_track::{Service, ServiceOptions};
use serde_json::json;

use crate::app::App;
use crate::cli::CliError;
use crate::cli::mlflow::server::database;
use crate::cli::table::{table, words};
use crate::exit::Exit;
use crate::project;

/// The users of a server, in its database
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    database: Database,
    #[command(subcommand)]
    command: Command,
}

/// Where users are kept.
#[derive(clap::Args, Debug)]
pub struct Database {
    /// The database of the server [default: the project's, or sqlite:///mlflow.db]
    #[arg(long, value_name = "URI", global = true)]
    backend_store_uri: Option<String>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List the users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a user, with the password of the standard input or a random one that is printed
    Add {
        /// The user
        name: String,
        /// Allow everything
        #[arg(long)]
        admin: bool,
        /// Read the password from the standard input
        #[arg(long)]
        password_stdin: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a user a new password: that of the standard input, or a random one that is printed
    Password {
        /// The user
        name: String,
        /// Read the password from the standard input
        #[arg(long)]
        password_stdin: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a user, its tokens and what was granted to it
    Remove {
        /// The user
        name: String,
    },
}

impl Database {
    /// Does something with the open store.
    pub fn with<T>(
        &self,
        app: &App,
        work: impl AsyncFnOnce(&Service, &Caller) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (store, base, _) = database(self.backend_store_uri.as_deref(), app)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::Runtime { source })?;
        runtime.block_on(async {
            let mut options = ServiceOptions::new(store, base.join("mlartifacts"));
            options.auth = Some(auth::AuthOptions::default());
            let service = Service::open(options).await?;
            let done = work(&service, &Caller::program(&project::user(app))).await;
            service.close().await;
            done
        })
    }
}

/// The password of the standard input, or a random one; and whether it is random.
fn password(from_stdin: bool) -> Result<(String, bool), Failure> {
    if !from_stdin {
        return Ok((auth::random_secret()?, true));
    }
    let mut text = String::new();
    let usage = |message: String| CliError::Usage { message, hint: None };
    if std::io::stdin().is_terminal() {
        return Err(usage(
            "--password-stdin wants the password in a pipe, so that nobody reads it from the screen".into(),
        )
        .into());
    }
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| usage(format!("cannot read the password: {error}")))?;
    Ok((text.trim_end_matches(['\r', '\n']).to_owned(), false))
}

fn show(app: &App, name: &str, password: &str, is_random: bool, as_json: bool) {
    match (as_json, is_random) {
        (true, true) => app.out.json(&json!({"username": name, "password": password})),
        (true, false) => app.out.json(&json!({"username": name})),
        (false, true) => app.out.result(&format!("{name}:{password}")),
        (false, false) => app.out.result(name),
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    args.database.with(app, async |service, caller| {
        match args.command {
            Command::List { json: as_json } => {
                let users = auth::list_users(&mut service.db().read().await?).await?;
                if as_json {
                    let users = users
                        .iter()
                        .map(|user| json!({"id": user.id, "username": user.name, "is_admin": user.is_admin}));
                    app.out.json(&users.collect());
                } else {
                    let rows = users
                        .into_iter()
                        .map(|user| vec![user.name, if user.is_admin { "admin" } else { "" }.to_owned()]);
                    app.out.result(&table(&["user", "may"].map(words), &rows.collect::<Vec<_>>()));
                }
            }
            Command::Add { name, admin, password_stdin, json } => {
                let (password, is_random) = password(password_stdin)?;
                let hash = service.passwords().hash(&password).await?;
                let mut session = service.write(caller).await?;
                auth::create_user(&mut session, &name, &hash, admin).await?;
                session.commit().await?;
                show(app, &name, &password, is_random, json);
            }
            Command::Password { name, password_stdin, json } => {
                let (password, is_random) = password(password_stdin)?;
                let hash = service.passwords().hash(&password).await?;
                let mut session = service.write(caller).await?;
                auth::set_password(&mut session, &name, &hash).await?;
                session.commit().await?;
                show(app, &name, &password, is_random, json);
            }
            Command::Remove { name } => {
                let mut session = service.write(caller).await?;
                auth::delete_user(&mut session, &name).await?;
                session.commit().await?;
            }
        }
        Ok(Exit::OK)
    })
}
