//! Rows of jobs and issues, as MLflow's revisions dc11669786a5 and 8b6ad64cb8f5 change them.

use sha2::{Digest as _, Sha256};

use super::Old;
use crate::db::{Session, Statement};
use crate::error::Result;
use crate::service::now_ms;

/// Cancels the jobs that were under way in the old server.
pub(super) async fn cancel(session: &mut Session) -> Result<()> {
    // 0 is pending, 1 running, 5 cancelled.
    let sql = "UPDATE jobs SET status = 5, last_update_time = $1 WHERE status IN (0, 1)";
    session.run(Statement::new(sql).bind(now_ms())).await.map(drop)
}

/// Gives issues the time when they were seen last, and lists their categories in a table.
pub(super) async fn index_issues(session: &mut Session, old: &Old) -> Result<()> {
    if !old.tables.contains_key("issues") {
        return Ok(());
    }
    session.run(Statement::new("UPDATE issues SET last_seen_timestamp = created_timestamp")).await?;
    let sql = "SELECT issue_id, categories FROM issues WHERE categories IS NOT NULL";
    for row in session.rows(Statement::new(sql)).await? {
        let categories: Vec<String> = serde_json::from_str(&row.text(1)?).unwrap_or_default();
        for category in categories {
            let hash = Sha256::digest(category.trim().to_lowercase().as_bytes());
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            // Of categories that differ in case only, the last one stays.
            let sql = "INSERT INTO issue_categories (issue_id, category_hash, category) VALUES ($1, $2, $3)";
            let clear = "DELETE FROM issue_categories WHERE issue_id = $1 AND category_hash = $2";
            session.run(Statement::new(clear).bind(row.text(0)?).bind(&hash)).await?;
            session.run(Statement::new(sql).bind(row.text(0)?).bind(&hash).bind(category)).await?;
        }
    }
    Ok(())
}
