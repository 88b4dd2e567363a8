//! The tables `logged_models`, `logged_model_params`, `logged_model_tags` and `logged_model_metrics`.

use super::{Row, Session, Statement};
use crate::error::Result;
use crate::logged_model::{LoggedModel, ModelMetric, Status};

/// The columns that [`model`] reads, qualified by the alias `m`.
pub(crate) const COLUMNS: &str = "m.model_id, m.experiment_id, m.name, m.artifact_location, m.creation_timestamp_ms, \
    m.last_updated_timestamp_ms, m.status, m.lifecycle_stage, m.model_type, m.source_run_id, m.status_message";

/// How many ids go into one `IN` list.
const IDS_AT_ONCE: usize = 500;

/// A model without params, tags and metrics.
pub(crate) fn model(row: &Row) -> Result<LoggedModel> {
    Ok(LoggedModel {
        model_id: row.text(0)?,
        experiment_id: row.int(1)?,
        name: row.text(2)?,
        artifact_location: row.text(3)?,
        creation_time: row.int(4)?,
        last_updated_time: row.int(5)?,
        status: Status::of_number(row.int(6)?),
        lifecycle_stage: row.text_or_null(7)?.unwrap_or_default(),
        model_type: row.text_or_null(8)?,
        source_run_id: row.text_or_null(9)?,
        status_message: row.text_or_null(10)?,
        tags: Vec::new(),
        params: Vec::new(),
        metrics: Vec::new(),
    })
}

/// A transaction that writes keeps others from changing the model.
pub(crate) async fn by_id(session: &mut Session, model_id: &str) -> Result<Option<LoggedModel>> {
    let sql = format!("SELECT {COLUMNS} FROM logged_models m WHERE m.model_id = $1");
    let Some(row) = session.row(Statement::new(&sql).bind(model_id).for_update()).await? else {
        return Ok(None);
    };
    let mut found = vec![model(&row)?];
    fill(session, &mut found).await?;
    Ok(found.pop())
}

/// Adds params, tags and metrics to models, with three statements for hundreds of them.
pub(crate) async fn fill(session: &mut Session, models: &mut [LoggedModel]) -> Result<()> {
    for models in models.chunks_mut(IDS_AT_ONCE) {
        let ids: Vec<String> = models.iter().map(|model| model.model_id.clone()).collect();
        let select = |sql: &str, order: &str| {
            let mut statement = Statement::built(sql);
            statement.push(" WHERE model_id IN ").push_list(ids.clone()).push(" ORDER BY ").push(order);
            statement
        };
        let owner = |id: &str| ids.iter().position(|known| known == id);

        let params = select(
            "SELECT model_id, param_key, param_value FROM logged_model_params",
            "param_key COLLATE BINARY",
        );
        for row in session.rows(params).await? {
            if let Some(index) = owner(&row.text(0)?) {
                models[index].params.push((row.text(1)?, row.text(2)?));
            }
        }
        let tags =
            select("SELECT model_id, tag_key, tag_value FROM logged_model_tags", "tag_key COLLATE BINARY");
        for row in session.rows(tags).await? {
            if let Some(index) = owner(&row.text(0)?) {
                models[index].tags.push((row.text(1)?, row.text(2)?));
            }
        }
        let metrics = select(
            "SELECT model_id, metric_name, metric_value, metric_timestamp_ms, metric_step, run_id, dataset_name, dataset_digest \
             FROM logged_model_metrics",
            "metric_name COLLATE BINARY, metric_timestamp_ms, metric_step, run_id COLLATE BINARY",
        );
        for row in session.rows(metrics).await? {
            if let Some(index) = owner(&row.text(0)?) {
                models[index].metrics.push(ModelMetric {
                    key: row.text(1)?,
                    value: row.real_or_null(2)?,
                    timestamp: row.int(3)?,
                    step: row.int(4)?,
                    run_id: row.text(5)?,
                    dataset_name: row.text_or_null(6)?,
                    dataset_digest: row.text_or_null(7)?,
                });
            }
        }
    }
    Ok(())
}

pub(crate) async fn insert(session: &mut Session, model: &LoggedModel) -> Result<()> {
    let sql = "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, \
               last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let statement = Statement::new(sql)
        .bind(&model.model_id)
        .bind(model.experiment_id)
        .bind(&model.name)
        .bind(&model.artifact_location)
        .bind(model.creation_time)
        .bind(model.last_updated_time)
        .bind(model.status.number())
        .bind(&model.lifecycle_stage)
        .bind(model.model_type.as_deref())
        .bind(model.source_run_id.as_deref());
    session.run(statement).await?;
    Ok(())
}

/// Adds a param; the database refuses a key that is there already.
pub(crate) async fn add_param(
    session: &mut Session,
    model: &LoggedModel,
    key: &str,
    value: &str,
) -> Result<()> {
    let sql = "INSERT INTO logged_model_params (model_id, experiment_id, param_key, param_value) VALUES ($1, $2, $3, $4)";
    session
        .run(Statement::new(sql).bind(&model.model_id).bind(model.experiment_id).bind(key).bind(value))
        .await?;
    Ok(())
}

/// Adds a tag; the database refuses a key that is there already.
pub(crate) async fn add_tag(
    session: &mut Session,
    model: &LoggedModel,
    key: &str,
    value: &str,
) -> Result<()> {
    let sql =
        "INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) VALUES ($1, $2, $3, $4)";
    session
        .run(Statement::new(sql).bind(&model.model_id).bind(model.experiment_id).bind(key).bind(value))
        .await?;
    Ok(())
}

/// Sets a tag, whether it is there or not.
pub(crate) async fn set_tag(
    session: &mut Session,
    model: &LoggedModel,
    key: &str,
    value: &str,
) -> Result<()> {
    let sql = "INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (model_id, tag_key) DO UPDATE SET tag_value = excluded.tag_value";
    session
        .run(Statement::new(sql).bind(&model.model_id).bind(model.experiment_id).bind(key).bind(value))
        .await?;
    Ok(())
}

/// False when there was no such tag.
pub(crate) async fn delete_tag(session: &mut Session, model_id: &str, key: &str) -> Result<bool> {
    let sql = "DELETE FROM logged_model_tags WHERE model_id = $1 AND tag_key = $2";
    Ok(session.run(Statement::new(sql).bind(model_id).bind(key)).await? > 0)
}

/// False when there is no such model.
pub(crate) async fn set_status(
    session: &mut Session,
    model_id: &str,
    status: Status,
    now: i64,
) -> Result<bool> {
    let sql = "UPDATE logged_models SET status = $2, last_updated_timestamp_ms = $3 WHERE model_id = $1";
    Ok(session.run(Statement::new(sql).bind(model_id).bind(status.number()).bind(now)).await? > 0)
}

/// False when there is no such model.
pub(crate) async fn mark_deleted(session: &mut Session, model_id: &str, now: i64) -> Result<bool> {
    let sql = "UPDATE logged_models SET lifecycle_stage = 'deleted', last_updated_timestamp_ms = $2 WHERE model_id = $1";
    Ok(session.run(Statement::new(sql).bind(model_id).bind(now)).await? > 0)
}

/// Notes that a run made a model; the database refuses it a second time.
pub(crate) async fn add_run_output(
    session: &mut Session,
    uuid: &str,
    run_id: &str,
    model_id: &str,
    step: i64,
) -> Result<()> {
    let sql = "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) \
               VALUES ($1, 'RUN_OUTPUT', $2, 'MODEL_OUTPUT', $3, $4)";
    session.run(Statement::new(sql).bind(uuid).bind(run_id).bind(model_id).bind(step)).await?;
    Ok(())
}
