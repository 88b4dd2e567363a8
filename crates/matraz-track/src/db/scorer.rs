//! The tables `scorers`, `scorer_versions` and `online_scoring_configs`, and the endpoints that scorers name.

use super::{BINARY, Row, Session, Statement, chunks};
use crate::error::Result;
use crate::scorer::{OnlineConfig, ScorerVersion};

const COLUMNS: &str = "SELECT s.scorer_id, s.experiment_id, s.scorer_name, v.scorer_version, v.serialized_scorer, \
                       v.creation_time FROM scorers s JOIN scorer_versions v ON v.scorer_id = s.scorer_id";

fn version(row: &Row) -> Result<ScorerVersion> {
    Ok(ScorerVersion {
        scorer_id: row.text(0)?,
        experiment_id: row.int(1)?,
        name: row.text(2)?,
        version: row.int(3)?,
        serialized: row.text(4)?,
        created: row.int_or_null(5)?.unwrap_or_default(),
    })
}

pub(crate) async fn id_of(session: &mut Session, experiment: i64, name: &str) -> Result<Option<String>> {
    let sql = "SELECT scorer_id FROM scorers WHERE experiment_id = $1 AND scorer_name = $2";
    let statement = Statement::new(sql).bind(experiment).bind(name).for_update();
    session.row(statement).await?.map(|row| row.text(0)).transpose()
}

/// The id under which the scorer is there, which is another one when somebody else was faster.
pub(crate) async fn insert(session: &mut Session, experiment: i64, name: &str, id: &str) -> Result<String> {
    let sql = "INSERT INTO scorers (experiment_id, scorer_name, scorer_id) VALUES ($1, $2, $3) \
               ON CONFLICT (experiment_id, scorer_name) DO NOTHING";
    session.run(Statement::new(sql).bind(experiment).bind(name).bind(id)).await?;
    Ok(id_of(session, experiment, name).await?.unwrap_or_else(|| id.to_owned()))
}

/// The number of the new version.
pub(crate) async fn insert_version(
    session: &mut Session,
    scorer_id: &str,
    serialized: &str,
    now: i64,
) -> Result<i64> {
    let sql = "SELECT COALESCE(MAX(scorer_version), 0) + 1 FROM scorer_versions WHERE scorer_id = $1";
    let number = session.row(Statement::new(sql).bind(scorer_id)).await?.map_or(Ok(1), |row| row.int(0))?;
    let sql = "INSERT INTO scorer_versions (scorer_id, scorer_version, serialized_scorer, creation_time) \
               VALUES ($1, $2, $3, $4)";
    let statement = Statement::new(sql).bind(scorer_id).bind(number).bind(serialized).bind(now);
    session.run(statement).await?;
    Ok(number)
}

/// The newest versions, in these experiments or in all that are active.
pub(crate) async fn latest(session: &mut Session, experiments: Option<&[i64]>) -> Result<Vec<ScorerVersion>> {
    let mut statement = Statement::built(COLUMNS);
    statement.push(
        " JOIN experiments e ON e.experiment_id = s.experiment_id WHERE e.lifecycle_stage = 'active' \
         AND v.scorer_version = (SELECT MAX(n.scorer_version) FROM scorer_versions n WHERE n.scorer_id = s.scorer_id)",
    );
    if let Some(experiments) = experiments {
        if experiments.is_empty() {
            return Ok(Vec::new());
        }
        statement.push(" AND s.experiment_id IN ").push_list(experiments.iter().copied());
    }
    statement.push(" ORDER BY s.experiment_id, s.scorer_name").push(BINARY);
    session.rows(statement).await?.iter().map(version).collect()
}

/// Versions of a scorer, all or one, oldest first.
pub(crate) async fn versions(
    session: &mut Session,
    scorer_id: &str,
    number: Option<i64>,
) -> Result<Vec<ScorerVersion>> {
    let mut statement = Statement::built(COLUMNS);
    statement.push(" WHERE s.scorer_id = ").push_bind(scorer_id);
    if let Some(number) = number {
        statement.push(" AND v.scorer_version = ").push_bind(number);
    }
    statement.push(" ORDER BY v.scorer_version");
    session.rows(statement).await?.iter().map(version).collect()
}

/// How many were deleted.
pub(crate) async fn delete_versions(
    session: &mut Session,
    scorer_id: &str,
    number: Option<i64>,
) -> Result<u64> {
    let mut statement = Statement::built("DELETE FROM scorer_versions WHERE scorer_id = ");
    statement.push_bind(scorer_id);
    if let Some(number) = number {
        statement.push(" AND scorer_version = ").push_bind(number);
    }
    session.run(statement).await
}

/// Deletes a scorer with what belongs to it.
pub(crate) async fn delete(session: &mut Session, scorer_id: &str) -> Result<()> {
    unbind_endpoints(session, scorer_id).await?;
    session.run(Statement::new("DELETE FROM scorers WHERE scorer_id = $1").bind(scorer_id)).await.map(drop)
}

pub(crate) async fn endpoint_id(session: &mut Session, name: &str) -> Result<Option<String>> {
    let sql = "SELECT endpoint_id FROM endpoints WHERE name = $1";
    session.row(Statement::new(sql).bind(name)).await?.map(|row| row.text(0)).transpose()
}

pub(crate) async fn endpoint_name(session: &mut Session, id: &str) -> Result<Option<String>> {
    let sql = "SELECT name FROM endpoints WHERE endpoint_id = $1 AND name IS NOT NULL";
    session.row(Statement::new(sql).bind(id)).await?.map(|row| row.text(0)).transpose()
}

async fn unbind_endpoints(session: &mut Session, scorer_id: &str) -> Result<()> {
    let sql = "DELETE FROM endpoint_bindings WHERE resource_type = 'scorer' AND resource_id = $1";
    session.run(Statement::new(sql).bind(scorer_id)).await.map(drop)
}

/// Notes that a scorer uses an endpoint, and no other.
pub(crate) async fn bind_endpoint(
    session: &mut Session,
    scorer_id: &str,
    endpoint_id: &str,
    name: &str,
    now: i64,
) -> Result<()> {
    unbind_endpoints(session, scorer_id).await?;
    let sql = "INSERT INTO endpoint_bindings (endpoint_id, resource_type, resource_id, display_name, created_at, \
               last_updated_at) VALUES ($1, 'scorer', $2, $3, $4, $4)";
    let statement = Statement::new(sql).bind(endpoint_id).bind(scorer_id).bind(name).bind(now);
    session.run(statement).await.map(drop)
}

pub(crate) async fn replace_online_config(session: &mut Session, config: &OnlineConfig) -> Result<()> {
    let sql = "DELETE FROM online_scoring_configs WHERE scorer_id = $1";
    session.run(Statement::new(sql).bind(&config.scorer_id)).await?;
    let sql = "INSERT INTO online_scoring_configs (online_scoring_config_id, scorer_id, sample_rate, experiment_id, \
               filter_string) VALUES ($1, $2, $3, $4, $5)";
    let statement = Statement::new(sql)
        .bind(&config.id)
        .bind(&config.scorer_id)
        .bind(config.sample_rate)
        .bind(config.experiment_id)
        .bind(config.filter.clone());
    session.run(statement).await.map(drop)
}

pub(crate) async fn online_configs(
    session: &mut Session,
    scorer_ids: &[String],
) -> Result<Vec<OnlineConfig>> {
    let mut found = Vec::new();
    for chunk in chunks(scorer_ids) {
        let mut statement = Statement::built(
            "SELECT online_scoring_config_id, scorer_id, sample_rate, experiment_id, filter_string \
             FROM online_scoring_configs WHERE scorer_id IN ",
        );
        statement.push_list(chunk).push(" ORDER BY online_scoring_config_id");
        for row in session.rows(statement).await? {
            found.push(OnlineConfig {
                id: row.text(0)?,
                scorer_id: row.text(1)?,
                sample_rate: row.real(2)?,
                experiment_id: row.int(3)?,
                filter: row.text_or_null(4)?,
            });
        }
    }
    Ok(found)
}
