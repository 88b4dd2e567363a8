//! The journal: every change of the registry, of aliases, of users and of permissions, with who made it and when.
//!
//! Entries are only ever added, in the transaction of the change itself. Each holds the SHA-256 of itself together with
//! that of the entry before it, so a changed or removed entry shows when the chain is checked; entries cut off from the
//! end show in the count that is kept beside it.

use serde::Serialize;
use serde_json::Value;

use crate::auth::sha256;
use crate::db::{self, Session};
use crate::error::Result;
use crate::service::now_ms;

/// The hash before the first entry.
const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its number, from 1 without gaps.
    pub seq: i64,
    /// Milliseconds since 1970.
    pub time: i64,
    /// The user; where nobody signs in, the name that the program gives to its own work, or `anonymous`.
    pub who: String,
    /// What was done, as `create`, `update`, `rename`, `delete`, `set`.
    pub action: String,
    /// The kind of thing, as `registered_model`, `model_version`, `alias`, `user`, `role`, `permission`, `token`.
    pub kind: String,
    /// Its name: of a version `model/7`, of an alias `model@champion`.
    pub name: String,
    /// What was there before, as JSON; absent when it is new.
    pub before: Option<String>,
    /// What is there now, as JSON; absent when it is gone.
    pub after: Option<String>,
    /// The hash of the entry before.
    pub previous_hash: String,
    /// The SHA-256 of everything above.
    pub hash: String,
}

impl Entry {
    fn digest(&self) -> String {
        let Self { seq, time, who, action, kind, name, before, after, previous_hash, hash: _ } = self;
        let text = serde_json::json!([seq, time, who, action, kind, name, before, after, previous_hash]);
        sha256(text.to_string().as_bytes())
    }
}

/// Adds an entry, in the name of whoever the session writes for. A session that writes for nobody adds none.
pub(crate) async fn add(
    session: &mut Session,
    action: &str,
    kind: &str,
    name: &str,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<()> {
    let Some(who) = session.who().map(str::to_owned) else { return Ok(()) };
    let seq = db::own::next(session, "journal").await?;
    let previous_hash = if seq == 1 { None } else { db::journal::hash_of(session, seq - 1).await? }
        .unwrap_or_else(|| START.to_owned());
    let mut entry = Entry {
        seq,
        time: now_ms(),
        who,
        action: action.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        before: before.map(|value| value.to_string()),
        after: after.map(|value| value.to_string()),
        previous_hash,
        hash: String::new(),
    };
    entry.hash = entry.digest();
    db::journal::insert(session, &entry).await
}

/// The newest entries until a time in milliseconds since 1970, newest first; with a name only those of what is named so.
pub async fn newest(
    session: &mut Session,
    name: Option<&str>,
    until: Option<i64>,
    limit: i64,
) -> Result<Vec<Entry>> {
    db::journal::newest(session, name, until.unwrap_or(i64::MAX), limit).await
}

/// Checks the whole chain: the number of entries, or what is wrong with the first bad place.
pub async fn check(session: &mut Session) -> Result<std::result::Result<i64, String>> {
    /// Entries that are read at once.
    const PART: i64 = 1000;
    let (mut last, mut previous) = (0, START.to_owned());
    loop {
        let entries = db::journal::after(session, last, PART).await?;
        for entry in &entries {
            if entry.seq != last + 1 {
                return Ok(Err(format!("entry {} is missing", last + 1)));
            }
            if entry.previous_hash != previous || entry.digest() != entry.hash {
                return Ok(Err(format!("entry {} is not as it was written", entry.seq)));
            }
            (last, previous) = (entry.seq, entry.hash.clone());
        }
        if entries.len() < PART as usize {
            break;
        }
    }
    let count = db::journal::count(session).await?;
    Ok(if count == last { Ok(count) } else { Err(format!("the last {} entries are missing", count - last)) })
}
