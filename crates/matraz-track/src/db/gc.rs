//! What is marked as deleted, and the removal of all its rows.

use super::{Session, Statement};
use crate::error::Result;

/// A row that may be removed: id, artifact location, lifecycle stage and when it was last changed (for a run: marked as
/// deleted).
pub(crate) struct Candidate {
    pub id: String,
    pub location: Option<String>,
    pub stage: String,
    pub changed: Option<i64>,
    /// The experiment that it belongs to; of an experiment itself.
    pub experiment: i64,
}

/// Tables of the newest schema that count per experiment and have no foreign key to it.
const ROLLUPS: [&str; 4] = [
    "sql_trace_metric_daily_rollups",
    "sql_span_cost_daily_rollups",
    "sql_assessment_daily_rollups",
    "sql_trace_rollup_rebuild_queue",
];

async fn candidates(session: &mut Session, statement: Statement) -> Result<Vec<Candidate>> {
    let rows = session.rows(statement).await?;
    let candidate = |row: &super::Row| {
        Ok(Candidate {
            id: row.text(0)?,
            location: row.text_or_null(1)?,
            stage: row.text_or_null(2)?.unwrap_or_default(),
            changed: row.int_or_null(3)?,
            experiment: row.int_or_null(4)?.unwrap_or_default(),
        })
    };
    rows.iter().map(candidate).collect()
}

const RUNS: &str = "SELECT run_uuid, artifact_uri, lifecycle_stage, deleted_time, experiment_id FROM runs";
const MODELS: &str = "SELECT model_id, artifact_location, lifecycle_stage, last_updated_timestamp_ms, experiment_id FROM logged_models";
const EXPERIMENTS: &str = "SELECT CAST(experiment_id AS VARCHAR(20)) AS id, artifact_location, lifecycle_stage, last_update_time, \
                           experiment_id FROM experiments";

pub(crate) async fn deleted_runs(session: &mut Session) -> Result<Vec<Candidate>> {
    let sql = format!("{RUNS} WHERE lifecycle_stage = 'deleted' ORDER BY run_uuid");
    candidates(session, Statement::new(&sql)).await
}

pub(crate) async fn deleted_models(session: &mut Session) -> Result<Vec<Candidate>> {
    let sql = format!("{MODELS} WHERE lifecycle_stage = 'deleted' ORDER BY model_id");
    candidates(session, Statement::new(&sql)).await
}

pub(crate) async fn deleted_experiments(session: &mut Session) -> Result<Vec<Candidate>> {
    let sql = format!("{EXPERIMENTS} WHERE lifecycle_stage = 'deleted' ORDER BY experiment_id");
    candidates(session, Statement::new(&sql)).await
}

pub(crate) async fn run(session: &mut Session, id: &str) -> Result<Option<Candidate>> {
    let sql = format!("{RUNS} WHERE run_uuid = $1");
    Ok(candidates(session, Statement::new(&sql).bind(id)).await?.pop())
}

pub(crate) async fn model(session: &mut Session, id: &str) -> Result<Option<Candidate>> {
    let sql = format!("{MODELS} WHERE model_id = $1");
    Ok(candidates(session, Statement::new(&sql).bind(id)).await?.pop())
}

pub(crate) async fn experiment(session: &mut Session, id: i64) -> Result<Option<Candidate>> {
    let sql = format!("{EXPERIMENTS} WHERE experiment_id = $1");
    Ok(candidates(session, Statement::new(&sql).bind(id)).await?.pop())
}

/// The runs of an experiment, in every stage.
pub(crate) async fn runs_of(session: &mut Session, experiment: i64) -> Result<Vec<Candidate>> {
    let sql = format!("{RUNS} WHERE experiment_id = $1 ORDER BY run_uuid");
    candidates(session, Statement::new(&sql).bind(experiment)).await
}

/// The logged models of an experiment, in every stage.
pub(crate) async fn models_of(session: &mut Session, experiment: i64) -> Result<Vec<Candidate>> {
    let sql = format!("{MODELS} WHERE experiment_id = $1 ORDER BY model_id");
    candidates(session, Statement::new(&sql).bind(experiment)).await
}

/// Removes a run and what hangs on it.
pub(crate) async fn remove_run(session: &mut Session, id: &str) -> Result<()> {
    for sql in [
        "DELETE FROM metrics WHERE run_uuid = $1",
        "DELETE FROM latest_metrics WHERE run_uuid = $1",
        "DELETE FROM params WHERE run_uuid = $1",
        "DELETE FROM tags WHERE run_uuid = $1",
        "DELETE FROM runs WHERE run_uuid = $1",
    ] {
        session.run(Statement::new(sql).bind(id)).await?;
    }
    Ok(())
}

/// Removes a logged model and what hangs on it.
pub(crate) async fn remove_model(session: &mut Session, id: &str) -> Result<()> {
    for sql in [
        "DELETE FROM logged_model_metrics WHERE model_id = $1",
        "DELETE FROM logged_model_params WHERE model_id = $1",
        "DELETE FROM logged_model_tags WHERE model_id = $1",
        "DELETE FROM logged_models WHERE model_id = $1",
    ] {
        session.run(Statement::new(sql).bind(id)).await?;
    }
    Ok(())
}

/// Removes an experiment whose runs and models are gone. Tables whose foreign keys cascade follow by themselves.
pub(crate) async fn remove_experiment(session: &mut Session, id: i64) -> Result<()> {
    let head = session.row(Statement::new("SELECT version_num FROM alembic_version")).await?;
    let head = head.map(|row| row.text(0)).transpose()?;
    if head.as_deref() == Some(super::Head::default().revision()) {
        for table in ROLLUPS {
            let sql = format!("DELETE FROM {table} WHERE experiment_id = $1");
            session.run(Statement::new(&sql).bind(id)).await?;
        }
    }
    for sql in [
        "DELETE FROM online_scoring_configs WHERE experiment_id = $1",
        "DELETE FROM spans WHERE experiment_id = $1",
        "DELETE FROM trace_info WHERE experiment_id = $1",
        "DELETE FROM experiment_tags WHERE experiment_id = $1",
        "DELETE FROM datasets WHERE experiment_id = $1",
        "DELETE FROM experiments WHERE experiment_id = $1",
    ] {
        session.run(Statement::new(sql).bind(id)).await?;
    }
    Ok(())
}
