//! `matraz journal`

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use matraz_base::{Failure, Kind};
use matraz_track::journal;
use serde_json::json;

use super::users::Database;
use crate::app::App;
use crate::cli::CliError;
use crate::cli::table::{table, words};
use crate::exit::Exit;

/// Every change of the registry, of aliases, users and permissions: who, when, before and after
///
/// With `--at` the first entry shows what held at that time: `matraz journal shop@champion --at 2026-11-01T12:00:00Z`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only the changes of what is named so: `MODEL`, `MODEL/VERSION`, `MODEL@ALIAS`, a user or a role
    name: Option<String>,
    #[command(flatten)]
    database: Database,
    /// Only what was changed until then: a day, which begins at midnight here, or a time in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    /// How many of the newest entries are shown
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: u32,
    /// Check that no entry was changed or removed
    #[arg(long, visible_alias = "verify", conflicts_with_all = ["name", "at"])]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn moment(text: &str) -> Result<Timestamp, jiff::Error> {
    match text.parse::<Date>() {
        Ok(day) if !text.contains(['T', ' ']) => Ok(day.to_zoned(TimeZone::system())?.timestamp()),
        _ => text.parse(),
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    args.database.with(app, async |service, _| {
        let mut session = service.db().read().await?;
        if args.check {
            return match journal::check(&mut session).await? {
                Ok(count) => {
                    let text = format!("{count} entries, none changed or removed");
                    if args.json {
                        app.out.json(&json!({"entries": count}))
                    } else {
                        app.out.result(&text)
                    }
                    Ok(Exit::OK)
                }
                Err(fault) => {
                    let message = format!("the journal was altered: {fault}");
                    Err(CliError::Refused { message, kind: Kind::Corrupt }.into())
                }
            };
        }
        let (name, until) = (args.name.as_deref(), args.at.map(Timestamp::as_millisecond));
        let entries = journal::newest(&mut session, name, until, i64::from(args.limit)).await?;
        if args.json {
            app.out.json(&json!(entries));
            return Ok(Exit::OK);
        }
        let rows = entries.into_iter().map(|entry| {
            let time = Timestamp::from_millisecond(entry.time)
                .map_or_else(|_| String::new(), |time| format!("{time:.0}"));
            let state = |state: Option<String>| state.unwrap_or_else(|| "-".to_owned());
            let change = format!("{} → {}", state(entry.before), state(entry.after));
            vec![time, entry.who, entry.action, entry.kind, entry.name, change]
        });
        app.out.result(&table(
            &["time", "who", "did", "to a", "named", "before → after"].map(words),
            &rows.collect::<Vec<_>>(),
        ));
        Ok(Exit::OK)
    })
}
