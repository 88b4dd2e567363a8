//! SQL of users and their tokens.

use super::{Row, Session, Statement};
use crate::auth::{Token, User};
use crate::error::Result;

const COLUMNS: &str = "SELECT id, username, password_hash, is_admin FROM matraz_users";
const TOKEN_COLUMNS: &str = "SELECT k.id, k.name, u.username, k.creation_time, k.expiration_time, k.revocation_time \
                             FROM matraz_tokens k JOIN matraz_users u ON u.id = k.user_id";

fn user(row: &Row) -> Result<User> {
    Ok(User { id: row.int(0)?, name: row.text(1)?, password_hash: row.text(2)?, is_admin: row.flag(3)? })
}

fn token(row: &Row) -> Result<Token> {
    Ok(Token {
        id: row.int(0)?,
        name: row.text(1)?,
        user: row.text(2)?,
        creation_time: row.int(3)?,
        expiration_time: row.int_or_null(4)?,
        revocation_time: row.int_or_null(5)?,
    })
}

pub(crate) async fn by_name(session: &mut Session, name: &str) -> Result<Option<User>> {
    let statement = Statement::new(&format!("{COLUMNS} WHERE username = $1")).bind(name);
    session.row(statement).await?.as_ref().map(user).transpose()
}

pub(crate) async fn all(session: &mut Session) -> Result<Vec<User>> {
    let rows = session.rows(Statement::new(&format!("{COLUMNS} ORDER BY id"))).await?;
    rows.iter().map(user).collect()
}

pub(crate) async fn insert(session: &mut Session, user: &User, now: i64) -> Result<()> {
    let statement = Statement::new(
        "INSERT INTO matraz_users (id, username, password_hash, is_admin, creation_time) VALUES ($1, $2, $3, $4, $5)",
    );
    let statement =
        statement.bind(user.id).bind(&user.name).bind(&user.password_hash).bind(user.is_admin).bind(now);
    session.run(statement).await.map(|_| ())
}

pub(crate) async fn set_password(session: &mut Session, id: i64, hash: &str) -> Result<()> {
    let statement = Statement::new("UPDATE matraz_users SET password_hash = $1 WHERE id = $2");
    session.run(statement.bind(hash).bind(id)).await.map(|_| ())
}

pub(crate) async fn set_admin(session: &mut Session, id: i64, is_admin: bool) -> Result<()> {
    let statement = Statement::new("UPDATE matraz_users SET is_admin = $1 WHERE id = $2");
    session.run(statement.bind(is_admin).bind(id)).await.map(|_| ())
}

/// Deletes a user with its tokens and assignments.
pub(crate) async fn delete(session: &mut Session, id: i64) -> Result<()> {
    session.run(Statement::new("DELETE FROM matraz_users WHERE id = $1").bind(id)).await.map(|_| ())
}

/// The user of a token that is neither revoked nor expired.
pub(crate) async fn by_token(session: &mut Session, secret_hash: &str, now: i64) -> Result<Option<User>> {
    let statement = Statement::new(
        "SELECT u.id, u.username, u.password_hash, u.is_admin FROM matraz_users u JOIN matraz_tokens k ON k.user_id = u.id \
         WHERE k.secret_hash = $1 AND k.revocation_time IS NULL AND (k.expiration_time IS NULL OR k.expiration_time > $2)",
    );
    session.row(statement.bind(secret_hash).bind(now)).await?.as_ref().map(user).transpose()
}

pub(crate) async fn insert_token(
    session: &mut Session,
    id: i64,
    user: &User,
    name: &str,
    secret_hash: &str,
    now: i64,
    expires: Option<i64>,
) -> Result<()> {
    let statement = Statement::new(
        "INSERT INTO matraz_tokens (id, user_id, name, secret_hash, creation_time, expiration_time) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    );
    let statement = statement.bind(id).bind(user.id).bind(name).bind(secret_hash).bind(now).bind(expires);
    session.run(statement).await.map(|_| ())
}

/// The tokens of one user, or of all.
pub(crate) async fn tokens(session: &mut Session, user: Option<&str>) -> Result<Vec<Token>> {
    let statement = match user {
        Some(name) => {
            Statement::new(&format!("{TOKEN_COLUMNS} WHERE u.username = $1 ORDER BY k.id")).bind(name)
        }
        None => Statement::new(&format!("{TOKEN_COLUMNS} ORDER BY k.id")),
    };
    session.rows(statement).await?.iter().map(token).collect()
}

/// Marks a token as revoked and says whether it was there and was not yet.
pub(crate) async fn revoke_token(session: &mut Session, id: i64, now: i64) -> Result<bool> {
    let statement = Statement::new(
        "UPDATE matraz_tokens SET revocation_time = $1 WHERE id = $2 AND revocation_time IS NULL",
    );
    Ok(session.run(statement.bind(now).bind(id)).await? > 0)
}
