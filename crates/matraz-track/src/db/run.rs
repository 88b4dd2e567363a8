//! The table `runs`.

use super::{Arg, Row, Session, Statement, chunks};
use crate::error::{Error, Result};
use crate::run::{RunInfo, Status};

const COLUMNS: &str = "SELECT run_uuid, experiment_id, name, user_id, status, start_time, end_time, artifact_uri, \
                       lifecycle_stage FROM runs";

fn info(row: &Row) -> Result<RunInfo> {
    let status = row.text_or_null(4)?.unwrap_or_default();
    Ok(RunInfo {
        id: row.text(0)?,
        experiment_id: row.int_or_null(1)?.unwrap_or_default(),
        name: row.text_or_null(2)?.unwrap_or_default(),
        user_id: row.text_or_null(3)?.unwrap_or_default(),
        status: Status::by_name(&status)
            .ok_or_else(|| Error::Bug(format!("the store holds the run status '{status}'")))?,
        start_time: row.int_or_null(5)?,
        end_time: row.int_or_null(6)?,
        artifact_uri: row.text_or_null(7)?.unwrap_or_default(),
        lifecycle_stage: row.text_or_null(8)?.unwrap_or_default(),
    })
}

pub(crate) async fn insert(session: &mut Session, info: &RunInfo) -> Result<()> {
    // Source and version live in tags; the columns keep the values that MLflow writes.
    let sql = "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, \
               end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) \
               VALUES ($1, $2, 'UNKNOWN', '', '', $3, $4, $5, $6, '', $7, $8, $9)";
    let statement = Statement::new(sql)
        .bind(&info.id)
        .bind(&info.name)
        .bind(&info.user_id)
        .bind(info.status.name())
        .bind(info.start_time)
        .bind(info.end_time)
        .bind(&info.lifecycle_stage)
        .bind(&info.artifact_uri)
        .bind(info.experiment_id);
    session.run(statement).await.map(drop)
}

/// A transaction that writes keeps the run in its stage.
pub(crate) async fn by_id(session: &mut Session, id: &str) -> Result<Option<RunInfo>> {
    let statement = Statement::new(&format!("{COLUMNS} WHERE run_uuid = $1")).bind(id).for_share();
    session.row(statement).await?.map(|row| info(&row)).transpose()
}

/// A run of which this transaction is going to change the row.
pub(crate) async fn by_id_to_change(session: &mut Session, id: &str) -> Result<Option<RunInfo>> {
    let statement = Statement::new(&format!("{COLUMNS} WHERE run_uuid = $1")).bind(id).for_update();
    session.row(statement).await?.map(|row| info(&row)).transpose()
}

/// The rows with these ids, in any order.
pub(crate) async fn by_ids(session: &mut Session, ids: &[String]) -> Result<Vec<RunInfo>> {
    let mut infos = Vec::with_capacity(ids.len());
    for chunk in chunks(ids) {
        let mut statement = Statement::built(&format!("{COLUMNS} WHERE run_uuid IN "));
        statement.push_list(chunk);
        for row in session.rows(statement).await? {
            infos.push(info(&row)?);
        }
    }
    Ok(infos)
}

/// The ids that a search gives, in its order.
pub(crate) async fn search(session: &mut Session, statement: Statement) -> Result<Vec<String>> {
    session.rows(statement).await?.iter().map(|row| row.text(0)).collect()
}

/// Whether experiments hold a good part of all runs, by a sample of rows. PostgreSQL knows such things itself and plans by
/// them; for it this is always false.
pub(crate) async fn hold_most(session: &mut Session, experiments: &[i64]) -> Result<bool> {
    if session.is_postgres() {
        return Ok(false);
    }
    let mut statement = Statement::built(
        "WITH RECURSIVE span (first, last) AS (SELECT (SELECT MIN(rowid) FROM runs), (SELECT MAX(rowid) FROM runs)), \
         sample (at, step) AS (SELECT first, (last - first) / 63 + 1 FROM span \
         UNION ALL SELECT at + step, step FROM sample, span WHERE at + step <= last) \
         SELECT COUNT(*), SUM(experiment_id IN ",
    );
    statement.push_list(experiments.iter().copied());
    statement.push(") FROM sample JOIN runs ON runs.rowid = sample.at");
    let Some(row) = session.row(statement).await? else { return Ok(false) };
    Ok(row.int(0)? > 0 && row.int_or_null(1)?.unwrap_or_default() * 4 >= row.int(0)?)
}

/// Writes name, status and end.
pub(crate) async fn update(session: &mut Session, info: &RunInfo) -> Result<()> {
    let sql = "UPDATE runs SET name = $2, status = $3, end_time = $4 WHERE run_uuid = $1";
    let statement =
        Statement::new(sql).bind(&info.id).bind(&info.name).bind(info.status.name()).bind(info.end_time);
    session.run(statement).await.map(drop)
}

/// Marks a run as deleted; assessments that it made go for good, as in MLflow.
pub(crate) async fn mark_deleted(session: &mut Session, id: &str, now: i64) -> Result<()> {
    let made_by = format!("%\"mlflow.assessment.sourceRunId\": \"{id}\"%");
    session
        .run(
            Statement::new("DELETE FROM assessments WHERE assessment_metadata LIKE $1")
                .bind(Arg::Pattern(made_by)),
        )
        .await?;
    let sql = "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = $2 WHERE run_uuid = $1";
    session.run(Statement::new(sql).bind(id).bind(now)).await.map(drop)
}

pub(crate) async fn mark_active(session: &mut Session, id: &str) -> Result<()> {
    let sql = "UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL WHERE run_uuid = $1";
    session.run(Statement::new(sql).bind(id)).await.map(drop)
}

/// The ids of all runs of an experiment.
pub(crate) async fn ids_of_experiment(session: &mut Session, experiment: i64) -> Result<Vec<String>> {
    let rows = session
        .rows(Statement::new("SELECT run_uuid FROM runs WHERE experiment_id = $1").bind(experiment))
        .await?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// Takes the mark from all runs of an experiment.
pub(crate) async fn mark_all_active(session: &mut Session, experiment: i64) -> Result<()> {
    let sql = "UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL WHERE experiment_id = $1";
    session.run(Statement::new(sql).bind(experiment)).await.map(drop)
}
