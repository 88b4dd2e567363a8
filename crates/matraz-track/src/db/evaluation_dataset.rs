//! The tables `evaluation_datasets`, `evaluation_dataset_tags` and `evaluation_dataset_records`.

use serde_json::{Map, Value as Json, json};

use super::{Row, Session, Statement, chunks};
use crate::error::Result;
use crate::evaluation_dataset::{EvaluationDataset, Record};
use crate::python;

/// Columns of `evaluation_datasets e`, as [`dataset`] reads them.
pub(crate) const COLUMNS: &str = "e.dataset_id, e.name, e.schema, e.profile, e.digest, e.created_time, \
                                  e.last_update_time, e.created_by, e.last_updated_by";

/// Columns of records; JSON is read as text.
const RECORD_COLUMNS: &str = "SELECT dataset_record_id, dataset_id, CAST(inputs AS TEXT), CAST(outputs AS TEXT), \
                              CAST(expectations AS TEXT), CAST(tags AS TEXT), CAST(source AS TEXT), source_id, \
                              source_type, created_time, last_update_time, created_by, last_updated_by \
                              FROM evaluation_dataset_records";

/// The field in which outputs of any kind are kept.
const WRAPPED: &str = "mlflow_wrapped";

/// A dataset without its tags.
pub(crate) fn dataset(row: &Row) -> Result<EvaluationDataset> {
    Ok(EvaluationDataset {
        id: row.text(0)?,
        name: row.text(1)?,
        schema: row.text_or_null(2)?,
        profile: row.text_or_null(3)?,
        digest: row.text_or_null(4)?,
        created: row.int_or_null(5)?.unwrap_or_default(),
        updated: row.int_or_null(6)?.unwrap_or_default(),
        created_by: row.text_or_null(7)?,
        updated_by: row.text_or_null(8)?,
        tags: Map::new(),
    })
}

pub(crate) async fn by_id(session: &mut Session, id: &str) -> Result<Option<EvaluationDataset>> {
    let sql = format!("SELECT {COLUMNS} FROM evaluation_datasets e WHERE e.dataset_id = $1");
    let Some(row) = session.row(Statement::new(&sql).bind(id)).await? else { return Ok(None) };
    let mut found = [dataset(&row)?];
    fill(session, &mut found).await?;
    let [found] = found;
    Ok(Some(found))
}

/// Reads the tags.
pub(crate) async fn fill(session: &mut Session, datasets: &mut [EvaluationDataset]) -> Result<()> {
    let ids: Vec<String> = datasets.iter().map(|dataset| dataset.id.clone()).collect();
    for chunk in chunks(&ids) {
        let mut statement = Statement::built(
            "SELECT dataset_id, key, value FROM evaluation_dataset_tags WHERE dataset_id IN ",
        );
        statement.push_list(chunk).push(" ORDER BY key");
        for row in session.rows(statement).await? {
            let id = row.text(0)?;
            if let Some(dataset) = datasets.iter_mut().find(|dataset| dataset.id == id) {
                let value = row.text_or_null(2)?.map_or(Json::Null, Json::String);
                dataset.tags.insert(row.text(1)?, value);
            }
        }
    }
    Ok(())
}

pub(crate) async fn insert(session: &mut Session, dataset: &EvaluationDataset) -> Result<()> {
    let sql = "INSERT INTO evaluation_datasets (dataset_id, name, schema, profile, digest, created_time, \
               last_update_time, created_by, last_updated_by, workspace) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'default')";
    let statement = Statement::new(sql)
        .bind(&dataset.id)
        .bind(&dataset.name)
        .bind(dataset.schema.clone())
        .bind(dataset.profile.clone())
        .bind(dataset.digest.clone())
        .bind(dataset.created)
        .bind(dataset.updated)
        .bind(dataset.created_by.clone())
        .bind(dataset.updated_by.clone());
    session.run(statement).await.map(drop)
}

/// Writes what changes with the records.
pub(crate) async fn update(session: &mut Session, dataset: &EvaluationDataset) -> Result<()> {
    let sql = "UPDATE evaluation_datasets SET schema = $2, profile = $3, digest = $4, last_update_time = $5, \
               last_updated_by = $6 WHERE dataset_id = $1";
    let statement = Statement::new(sql)
        .bind(&dataset.id)
        .bind(dataset.schema.clone())
        .bind(dataset.profile.clone())
        .bind(dataset.digest.clone())
        .bind(dataset.updated)
        .bind(dataset.updated_by.clone());
    session.run(statement).await.map(drop)
}

/// Deletes a dataset; tags and records go with it.
pub(crate) async fn delete(session: &mut Session, id: &str) -> Result<()> {
    let sql = "DELETE FROM evaluation_datasets WHERE dataset_id = $1";
    session.run(Statement::new(sql).bind(id)).await.map(drop)
}

pub(crate) async fn set_tag(session: &mut Session, id: &str, key: &str, value: Option<&str>) -> Result<()> {
    let sql = "INSERT INTO evaluation_dataset_tags (dataset_id, key, value) VALUES ($1, $2, $3) \
               ON CONFLICT (dataset_id, key) DO UPDATE SET value = excluded.value";
    session.run(Statement::new(sql).bind(id).bind(key).bind(value)).await.map(drop)
}

pub(crate) async fn delete_tag(session: &mut Session, id: &str, key: &str) -> Result<()> {
    let sql = "DELETE FROM evaluation_dataset_tags WHERE dataset_id = $1 AND key = $2";
    session.run(Statement::new(sql).bind(id).bind(key)).await.map(drop)
}

fn record(row: &Row) -> Result<Record> {
    let parse = |text: Option<String>| {
        let value = text.and_then(|text| serde_json::from_str::<Json>(&text).ok());
        value.filter(|value| !value.is_null())
    };
    let outputs = parse(row.text_or_null(3)?);
    Ok(Record {
        id: row.text(0)?,
        dataset_id: row.text(1)?,
        inputs: parse(row.text_or_null(2)?).unwrap_or_else(|| json!({})),
        outputs: outputs.and_then(|outputs| outputs.get(WRAPPED).cloned()),
        expectations: parse(row.text_or_null(4)?),
        tags: parse(row.text_or_null(5)?),
        source: parse(row.text_or_null(6)?),
        source_id: row.text_or_null(7)?,
        source_type: row.text_or_null(8)?,
        created: row.int_or_null(9)?.unwrap_or_default(),
        updated: row.int_or_null(10)?.unwrap_or_default(),
        created_by: row.text_or_null(11)?,
        updated_by: row.text_or_null(12)?,
    })
}

pub(crate) async fn record_by_hash(session: &mut Session, id: &str, hash: &str) -> Result<Option<Record>> {
    let sql = format!("{RECORD_COLUMNS} WHERE dataset_id = $1 AND input_hash = $2");
    session.row(Statement::new(&sql).bind(id).bind(hash)).await?.as_ref().map(record).transpose()
}

/// Adds a record or writes over the one with its id.
pub(crate) async fn write_record(session: &mut Session, record: &Record, hash: &str) -> Result<()> {
    let sql = "INSERT INTO evaluation_dataset_records (dataset_record_id, dataset_id, inputs, outputs, expectations, \
               tags, source, source_id, source_type, created_time, last_update_time, created_by, last_updated_by, \
               input_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
               ON CONFLICT (dataset_record_id) DO UPDATE SET outputs = excluded.outputs, \
               expectations = excluded.expectations, tags = excluded.tags, \
               last_update_time = excluded.last_update_time, last_updated_by = excluded.last_updated_by";
    let text = |value: &Option<Json>| value.as_ref().map(python::json);
    let outputs = record.outputs.as_ref().map(|outputs| python::json(&json!({(WRAPPED): outputs})));
    // MLflow writes JSON's null, not SQL's, where there is nothing.
    let or_null = |text: Option<String>| text.unwrap_or_else(|| "null".to_owned());
    let statement = Statement::new(sql)
        .bind(&record.id)
        .bind(&record.dataset_id)
        .bind(python::json(&record.inputs))
        .bind(or_null(outputs))
        .bind(or_null(text(&record.expectations)))
        .bind(or_null(text(&record.tags)))
        .bind(or_null(text(&record.source)))
        .bind(record.source_id.clone())
        .bind(record.source_type.clone())
        .bind(record.created)
        .bind(record.updated)
        .bind(record.created_by.clone())
        .bind(record.updated_by.clone())
        .bind(hash);
    session.run(statement).await.map(drop)
}

pub(crate) async fn count_records(session: &mut Session, id: &str) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM evaluation_dataset_records WHERE dataset_id = $1";
    session.row(Statement::new(sql).bind(id)).await?.map_or(Ok(0), |row| row.int(0))
}

/// Records behind the one with this time and id, oldest first.
pub(crate) async fn records(
    session: &mut Session,
    id: &str,
    after: Option<&(i64, String)>,
    limit: i64,
) -> Result<Vec<Record>> {
    let mut statement = Statement::built(RECORD_COLUMNS);
    statement.push(" WHERE dataset_id = ").push_bind(id);
    if let Some((time, last)) = after {
        statement
            .push(" AND (created_time > ")
            .push_bind(*time)
            .push(" OR (created_time = ")
            .push_bind(*time)
            .push(" AND dataset_record_id > ")
            .push_bind(last)
            .push("))");
    }
    statement.push(" ORDER BY created_time, dataset_record_id LIMIT ").push_bind(limit);
    session.rows(statement).await?.iter().map(record).collect()
}

pub(crate) async fn delete_records(session: &mut Session, id: &str, record_ids: &[String]) -> Result<u64> {
    let mut deleted = 0;
    for chunk in chunks(record_ids) {
        let mut statement = Statement::built("DELETE FROM evaluation_dataset_records WHERE dataset_id = ");
        statement.push_bind(id).push(" AND dataset_record_id IN ").push_list(chunk);
        deleted += session.run(statement).await?;
    }
    Ok(deleted)
}
