//! The tables `webhooks` and `webhook_events`.

use super::{Row, Session, Statement};
use crate::error::Result;
use crate::webhook::{EVENTS, Event, Webhook};

const COLUMNS: &str = "SELECT w.webhook_id, w.name, w.description, w.url, w.status, w.secret, w.creation_timestamp, \
                       w.last_updated_timestamp FROM webhooks w WHERE w.workspace = 'default' AND w.deleted_timestamp IS NULL";

fn webhook(row: &Row) -> Result<Webhook> {
    Ok(Webhook {
        id: row.text(0)?,
        name: row.text(1)?,
        description: row.text_or_null(2)?,
        url: row.text(3)?,
        active: row.text(4)? == "ACTIVE",
        secret: row.text_or_null(5)?,
        created: row.int_or_null(6)?.unwrap_or_default(),
        updated: row.int_or_null(7)?.unwrap_or_default(),
        events: Vec::new(),
    })
}

async fn with_events(session: &mut Session, mut webhooks: Vec<Webhook>) -> Result<Vec<Webhook>> {
    let sql = "SELECT entity, action FROM webhook_events WHERE webhook_id = $1 ORDER BY entity, action";
    for webhook in &mut webhooks {
        for row in session.rows(Statement::new(sql).bind(&webhook.id)).await? {
            let (entity, action) = (row.text(0)?, row.text(1)?);
            let known = EVENTS.iter().find(|event| event.0 == entity && event.1 == action);
            webhook.events.extend(known);
        }
    }
    Ok(webhooks)
}

pub(crate) async fn by_id(session: &mut Session, id: &str) -> Result<Option<Webhook>> {
    let sql = format!("{COLUMNS} AND w.webhook_id = $1");
    let found = session.row(Statement::new(&sql).bind(id)).await?;
    let found: Vec<Webhook> = found.iter().map(webhook).collect::<Result<_>>()?;
    Ok(with_events(session, found).await?.pop())
}

/// Newest first.
pub(crate) async fn list(session: &mut Session, limit: i64, offset: i64) -> Result<Vec<Webhook>> {
    let sql = format!("{COLUMNS} ORDER BY w.creation_timestamp DESC, w.webhook_id LIMIT $1 OFFSET $2");
    let rows = session.rows(Statement::new(&sql).bind(limit).bind(offset)).await?;
    let found: Vec<Webhook> = rows.iter().map(webhook).collect::<Result<_>>()?;
    with_events(session, found).await
}

/// Those that are active and want to know of an event, without their events.
pub(crate) async fn of_event(session: &mut Session, event: Event) -> Result<Vec<Webhook>> {
    let sql = format!(
        "{COLUMNS} AND w.status = 'ACTIVE' AND EXISTS (SELECT 1 FROM webhook_events e \
         WHERE e.webhook_id = w.webhook_id AND e.entity = $1 AND e.action = $2)"
    );
    let rows = session.rows(Statement::new(&sql).bind(event.0).bind(event.1)).await?;
    rows.iter().map(webhook).collect()
}

async fn write_events(session: &mut Session, webhook: &Webhook) -> Result<()> {
    let sql = "DELETE FROM webhook_events WHERE webhook_id = $1";
    session.run(Statement::new(sql).bind(&webhook.id)).await?;
    let sql = "INSERT INTO webhook_events (webhook_id, entity, action) VALUES ($1, $2, $3) \
               ON CONFLICT (webhook_id, entity, action) DO NOTHING";
    for (entity, action) in &webhook.events {
        session.run(Statement::new(sql).bind(&webhook.id).bind(*entity).bind(*action)).await?;
    }
    Ok(())
}

fn status(webhook: &Webhook) -> &'static str {
    if webhook.active { "ACTIVE" } else { "DISABLED" }
}

pub(crate) async fn insert(session: &mut Session, webhook: &Webhook) -> Result<()> {
    let sql = "INSERT INTO webhooks (webhook_id, name, description, url, status, secret, creation_timestamp, \
               last_updated_timestamp, workspace) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'default')";
    let statement = Statement::new(sql)
        .bind(&webhook.id)
        .bind(&webhook.name)
        .bind(webhook.description.clone())
        .bind(&webhook.url)
        .bind(status(webhook))
        .bind(webhook.secret.clone())
        .bind(webhook.created)
        .bind(webhook.updated);
    session.run(statement).await?;
    write_events(session, webhook).await
}

pub(crate) async fn update(session: &mut Session, webhook: &Webhook) -> Result<()> {
    let sql = "UPDATE webhooks SET name = $2, description = $3, url = $4, status = $5, secret = $6, \
               last_updated_timestamp = $7 WHERE webhook_id = $1";
    let statement = Statement::new(sql)
        .bind(&webhook.id)
        .bind(&webhook.name)
        .bind(webhook.description.clone())
        .bind(&webhook.url)
        .bind(status(webhook))
        .bind(webhook.secret.clone())
        .bind(webhook.updated);
    session.run(statement).await?;
    write_events(session, webhook).await
}

pub(crate) async fn mark_deleted(session: &mut Session, id: &str, now: i64) -> Result<()> {
    let sql = "UPDATE webhooks SET deleted_timestamp = $2, last_updated_timestamp = $2 WHERE webhook_id = $1";
    session.run(Statement::new(sql).bind(id).bind(now)).await.map(drop)
}
