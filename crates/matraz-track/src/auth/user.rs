//! Users of a server.

use serde_json::json;

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::journal;
use crate::service::now_ms;

/// The longest name, in characters.
const MAX_NAME: usize = 255;

/// A user as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Numbers do not come back.
    pub id: i64,
    /// Unique.
    pub name: String,
    /// The Argon2 hash of the password.
    pub password_hash: String,
    /// Whether everything is allowed.
    pub is_admin: bool,
}

/// Makes a user.
pub async fn create(session: &mut Session, name: &str, password_hash: &str, is_admin: bool) -> Result<User> {
    if name.is_empty() {
        return Err(Error::invalid("Username cannot be empty."));
    }
    check_text("Username", name, MAX_NAME)?;
    if name.contains(':') {
        return Err(Error::invalid(
            "Username cannot contain a colon, which ends the name in HTTP's basic authentication.",
        ));
    }
    if find(session, name).await?.is_some() {
        return Err(Error::exists(format!("User (username={name}) already exists.")));
    }
    let id = db::own::next(session, "users").await?;
    let user = User { id, name: name.to_owned(), password_hash: password_hash.to_owned(), is_admin };
    db::user::insert(session, &user, now_ms()).await?;
    journal::add(session, "create", "user", name, None, Some(json!({"id": id, "is_admin": is_admin})))
        .await?;
    Ok(user)
}

/// The user with this name, if there is one.
pub async fn find(session: &mut Session, name: &str) -> Result<Option<User>> {
    db::user::by_name(session, name).await
}

/// The user with this name.
pub async fn get(session: &mut Session, name: &str) -> Result<User> {
    find(session, name).await?.ok_or_else(|| Error::missing(format!("User with username={name} not found")))
}

/// All users in the order in which they were made.
pub async fn list(session: &mut Session) -> Result<Vec<User>> {
    db::user::all(session).await
}

/// Replaces the password.
pub async fn set_password(session: &mut Session, name: &str, password_hash: &str) -> Result<()> {
    let user = get(session, name).await?;
    db::user::set_password(session, user.id, password_hash).await?;
    journal::add(session, "set", "password", name, None, None).await
}

/// Makes a user an administrator, or an ordinary user.
pub async fn update_admin(session: &mut Session, name: &str, is_admin: bool) -> Result<()> {
    let user = get(session, name).await?;
    db::user::set_admin(session, user.id, is_admin).await?;
    let state = |is_admin: bool| Some(json!({"id": user.id, "is_admin": is_admin}));
    journal::add(session, "update", "user", name, state(user.is_admin), state(is_admin)).await
}

/// Deletes a user with its tokens and what was granted to it alone.
pub async fn delete(session: &mut Session, name: &str) -> Result<()> {
    let user = get(session, name).await?;
    super::role::delete_own_roles(session, user.id).await?;
    db::user::delete(session, user.id).await?;
    let before = json!({"id": user.id, "is_admin": user.is_admin});
    journal::add(session, "delete", "user", name, Some(before), None).await
}

/// Refuses what the database could not keep.
pub(super) fn check_text(field: &str, value: &str, most: usize) -> Result<()> {
    if value.contains('\0') {
        return Err(Error::invalid(format!("'{field}' cannot contain NUL (0x00) characters")));
    }
    let length = value.chars().count();
    if length > most {
        return Err(Error::invalid(format!("'{field}' exceeds the maximum length of {most} characters")));
    }
    Ok(())
}
