//! The table `entity_associations`: which things belong together.

use super::{Session, Statement};
use crate::error::Result;
use crate::service::new_id;

/// Links a source to a destination, each given as type and id. A link that is there stays.
pub(crate) async fn link(
    session: &mut Session,
    source: (&str, &str),
    destination: (&str, &str),
    now: i64,
) -> Result<()> {
    let sql = "INSERT INTO entity_associations (association_id, source_type, source_id, destination_type, destination_id, \
               created_time) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (source_type, source_id, destination_type, destination_id) DO NOTHING";
    let statement = Statement::new(sql)
        .bind(new_id()?)
        .bind(source.0)
        .bind(source.1)
        .bind(destination.0)
        .bind(destination.1)
        .bind(now);
    session.run(statement).await.map(drop)
}

/// Takes a link away.
pub(crate) async fn unlink(
    session: &mut Session,
    source: (&str, &str),
    destination: (&str, &str),
) -> Result<()> {
    let sql = "DELETE FROM entity_associations WHERE source_type = $1 AND source_id = $2 AND destination_type = $3 \
               AND destination_id = $4";
    let statement = Statement::new(sql).bind(source.0).bind(source.1).bind(destination.0).bind(destination.1);
    session.run(statement).await.map(drop)
}

/// The ids of one type that a source is linked to, oldest link first.
pub(crate) async fn destinations(
    session: &mut Session,
    source: (&str, &str),
    destination_type: &str,
) -> Result<Vec<String>> {
    let sql = "SELECT destination_id FROM entity_associations WHERE source_type = $1 AND source_id = $2 \
               AND destination_type = $3 ORDER BY created_time, association_id";
    let statement = Statement::new(sql).bind(source.0).bind(source.1).bind(destination_type);
    session.rows(statement).await?.iter().map(|row| row.text(0)).collect()
}
