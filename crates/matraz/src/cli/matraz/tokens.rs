//! `matraz tokens`

use clap::Subcommand;
use matraz_base::Failure;
use matraz_track::auth;
use serde_json::json;

use super::users::Database;
use crate::app::App;
use crate::cli::table::{table, words};
use crate::exit::Exit;

/// Secrets that stand for a user of a server, for `MLFLOW_TRACKING_TOKEN` in CI
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    database: Database,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List the tokens; their secrets are not kept
    List {
        /// Those of one user
        user: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a token and print it, for the only time
    Create {
        /// The user that it stands for
        user: String,
        /// A name to know it by
        name: String,
        /// After how many days it ends; never when 0
        #[arg(long, value_name = "DAYS", default_value_t = 90)]
        days: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a token worthless
    Revoke {
        /// The user that it stands for
        user: String,
        /// The name of the token
        name: String,
    },
}

fn moment(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| String::new(), |time| format!("{time:.0}"))
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    args.database.with(app, async |service, caller| {
        match args.command {
            Command::List { user, json } => {
                let tokens = auth::list_tokens(&mut service.db().read().await?, user.as_deref()).await?;
                if json {
                    app.out.json(&json!(tokens));
                } else {
                    let now = jiff::Timestamp::now().as_millisecond();
                    let rows = tokens.into_iter().map(|token| {
                        let state = match (token.revocation_time, token.expiration_time) {
                            (Some(time), _) => format!("revoked {}", moment(time)),
                            (None, Some(time)) if time <= now => format!("ended {}", moment(time)),
                            (None, Some(time)) => format!("until {}", moment(time)),
                            (None, None) => "for good".to_owned(),
                        };
                        vec![token.user, token.name, moment(token.creation_time), state]
                    });
                    app.out.result(&table(
                        &["user", "name", "made", "good"].map(words),
                        &rows.collect::<Vec<_>>(),
                    ));
                }
            }
            Command::Create { user, name, days, json } => {
                let ends = jiff::Timestamp::now().as_millisecond() + i64::from(days) * 86_400_000;
                let mut session = service.write(caller).await?;
                let made = auth::create_token(&mut session, &user, &name, (days > 0).then_some(ends)).await?;
                session.commit().await?;
                if json {
                    app.out.json(&json!({"user": user, "name": name, "token": made.secret}));
                } else {
                    app.out.result(&made.secret);
                }
            }
            Command::Revoke { user, name } => {
                let mut session = service.write(caller).await?;
                auth::revoke_token(&mut session, &user, &name).await?;
                session.commit().await?;
            }
        }
        Ok(Exit::OK)
    })
}
