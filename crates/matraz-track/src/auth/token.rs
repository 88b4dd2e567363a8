//! Tokens: secrets that stand for a user, for machines that must not know its password.
//!
//! A token is random, so its SHA-256 in the store gives nothing away and is checked in microseconds.

use serde::Serialize;
use serde_json::json;

use super::secret::{random_secret, sha256};
use super::user::{self, check_text};
use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::journal;
use crate::service::now_ms;

/// What every token begins with, so that scanners of leaked secrets know it.
const PREFIX: &str = "matraz_";

/// A token as listed; its secret is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// Unique among those of the user.
    pub name: String,
    /// Whom it stands for.
    pub user: String,
    /// Milliseconds since 1970.
    pub creation_time: i64,
    /// Milliseconds since 1970; never when absent.
    pub expiration_time: Option<i64>,
    /// Milliseconds since 1970; absent while it is good.
    pub revocation_time: Option<i64>,
}

/// A token that was just made.
#[derive(Clone, Debug, Serialize)]
pub struct NewToken {
    /// Its number.
    pub id: i64,
    /// What clients send; this is the only time that it is shown.
    pub secret: String,
}

/// Makes a token that stands for a user, until `expires` (milliseconds since 1970) if that is given.
pub async fn create(
    session: &mut Session,
    user_name: &str,
    name: &str,
    expires: Option<i64>,
) -> Result<NewToken> {
    if name.trim().is_empty() {
        return Err(Error::invalid("Token name cannot be empty."));
    }
    check_text("Token name", name, 255)?;
    let user = user::get(session, user_name).await?;
    if db::user::tokens(session, Some(user_name)).await?.iter().any(|token| token.name == name) {
        return Err(Error::exists(format!("Token (name={name}) of user {user_name} already exists.")));
    }
    let secret = format!("{PREFIX}{}", random_secret()?);
    let id = db::own::next(session, "tokens").await?;
    db::user::insert_token(session, id, &user, name, &sha256(secret.as_bytes()), now_ms(), expires).await?;
    let after = json!({"id": id, "expiration_time": expires});
    journal::add(session, "create", "token", &format!("{user_name}/{name}"), None, Some(after)).await?;
    Ok(NewToken { id, secret })
}

/// The tokens of one user, or of all.
pub async fn list(session: &mut Session, user_name: Option<&str>) -> Result<Vec<Token>> {
    db::user::tokens(session, user_name).await
}

/// Makes a token worthless, now and for good.
pub async fn revoke(session: &mut Session, user_name: &str, name: &str) -> Result<()> {
    let tokens = db::user::tokens(session, Some(user_name)).await?;
    let missing = || Error::missing(format!("Token (name={name}) of user {user_name} not found"));
    let token = tokens.iter().find(|token| token.name == name).ok_or_else(missing)?;
    if !db::user::revoke_token(session, token.id, now_ms()).await? {
        return Err(Error::missing(format!("Token (name={name}) of user {user_name} is revoked already")));
    }
    journal::add(
        session,
        "revoke",
        "token",
        &format!("{user_name}/{name}"),
        Some(json!({"id": token.id})),
        None,
    )
    .await
}
