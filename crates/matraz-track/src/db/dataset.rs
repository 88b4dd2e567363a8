//! The tables `datasets`, `inputs` and `input_tags`.

use std::collections::HashMap;

use super::{Session, Statement, chunks};
use crate::dataset::{CONTEXT_TAG, Dataset, DatasetInput, DatasetSummary};
use crate::error::{Error, Result};
use crate::run::ModelOutput;

/// The id of the data set of an experiment with this name and digest, which is made under `new_id` when it is not there.
pub(crate) async fn find_or_insert(
    session: &mut Session,
    experiment_id: i64,
    dataset: &Dataset,
    new_id: &str,
) -> Result<String> {
    let insert = "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source, \
                  dataset_schema, dataset_profile) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    let statement = Statement::new(insert)
        .bind(new_id)
        .bind(experiment_id)
        .bind(&dataset.name)
        .bind(&dataset.digest)
        .bind(&dataset.source_type)
        .bind(&dataset.source)
        .bind(dataset.schema.as_deref())
        .bind(dataset.profile.as_deref());
    session.run(statement).await?;
    let find = "SELECT dataset_uuid FROM datasets WHERE experiment_id = $1 AND name = $2 AND digest = $3";
    let statement = Statement::new(find).bind(experiment_id).bind(&dataset.name).bind(&dataset.digest);
    match session.row(statement).await? {
        Some(row) => row.text(0),
        None => Err(Error::Bug("a data set got lost".to_owned())),
    }
}

/// Notes that one thing went into another. Whether it was not known yet.
pub(crate) async fn link(
    session: &mut Session,
    id: &str,
    source: (&str, &str),
    destination: (&str, &str),
    step: i64,
) -> Result<bool> {
    let sql = "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let statement = Statement::new(sql)
        .bind(id)
        .bind(source.0)
        .bind(source.1)
        .bind(destination.0)
        .bind(destination.1)
        .bind(step);
    Ok(session.run(statement).await? > 0)
}

pub(crate) async fn insert_tags(
    session: &mut Session,
    input_id: &str,
    tags: &[(String, String)],
) -> Result<()> {
    for (key, value) in tags {
        let sql = "INSERT INTO input_tags (input_uuid, name, value) VALUES ($1, $2, $3) \
                   ON CONFLICT (input_uuid, name) DO UPDATE SET value = excluded.value";
        session.run(Statement::new(sql).bind(input_id).bind(key).bind(value)).await?;
    }
    Ok(())
}

/// The data sets that runs read, in the order of name and digest.
pub(crate) async fn of_runs(
    session: &mut Session,
    ids: &[String],
) -> Result<HashMap<String, Vec<DatasetInput>>> {
    let mut inputs: HashMap<String, Vec<DatasetInput>> = HashMap::new();
    for chunk in chunks(ids) {
        let mut statement = Statement::built(
            "SELECT i.destination_id, d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema, \
             d.dataset_profile, t.name, t.value \
             FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id \
             LEFT JOIN input_tags t ON t.input_uuid = i.input_uuid \
             WHERE i.destination_type = 'RUN' AND i.source_type = 'DATASET' AND i.destination_id IN ",
        );
        statement.push_list(chunk).push(
            " ORDER BY d.name COLLATE BINARY, d.digest COLLATE BINARY, d.dataset_uuid, t.name COLLATE BINARY",
        );
        for row in session.rows(statement).await? {
            let dataset = Dataset {
                name: row.text(1)?,
                digest: row.text(2)?,
                source_type: row.text(3)?,
                source: row.text(4)?,
                schema: row.text_or_null(5)?,
                profile: row.text_or_null(6)?,
            };
            let of_run = inputs.entry(row.text(0)?).or_default();
            if of_run.last().is_none_or(|last| last.dataset != dataset) {
                of_run.push(DatasetInput { dataset, tags: Vec::new() });
            }
            if let (Some(key), Some(last)) = (row.text_or_null(7)?, of_run.last_mut()) {
                last.tags.push((key, row.text_or_null(8)?.unwrap_or_default()));
            }
        }
    }
    Ok(inputs)
}

/// The logged models that a run read.
pub(crate) async fn model_inputs(session: &mut Session, run_id: &str) -> Result<Vec<String>> {
    let sql = "SELECT destination_id FROM inputs WHERE source_type = 'RUN_INPUT' AND source_id = $1 \
               AND destination_type = 'MODEL_INPUT' ORDER BY destination_id COLLATE BINARY";
    session.rows(Statement::new(sql).bind(run_id)).await?.iter().map(|row| row.text(0)).collect()
}

/// The logged models that runs made.
pub(crate) async fn model_outputs(
    session: &mut Session,
    ids: &[String],
) -> Result<HashMap<String, Vec<ModelOutput>>> {
    let mut outputs: HashMap<String, Vec<ModelOutput>> = HashMap::new();
    for chunk in chunks(ids) {
        let mut statement = Statement::built(
            "SELECT source_id, destination_id, step FROM inputs WHERE source_type = 'RUN_OUTPUT' \
             AND destination_type = 'MODEL_OUTPUT' AND source_id IN ",
        );
        statement.push_list(chunk).push(" ORDER BY step, destination_id COLLATE BINARY");
        for row in session.rows(statement).await? {
            let output = ModelOutput { model_id: row.text(1)?, step: row.int(2)? };
            outputs.entry(row.text(0)?).or_default().push(output);
        }
    }
    Ok(outputs)
}

/// The data sets of experiments with their contexts.
pub(crate) async fn summaries(
    session: &mut Session,
    experiments: &[i64],
    limit: i64,
) -> Result<Vec<DatasetSummary>> {
    let mut statement = Statement::built(
        "SELECT experiment_id, name, digest, context FROM (\
         SELECT DISTINCT d.experiment_id, d.name, d.digest, t.value AS context FROM datasets d \
         JOIN inputs i ON i.source_id = d.dataset_uuid LEFT JOIN input_tags t ON t.input_uuid = i.input_uuid AND t.name = ",
    );
    statement
        .push_bind(CONTEXT_TAG)
        .push(" WHERE d.experiment_id IN ")
        .push_list(experiments.iter().copied());
    statement
        .push(") s ORDER BY experiment_id, name COLLATE BINARY, digest COLLATE BINARY, context COLLATE BINARY LIMIT ")
        .push_bind(limit);
    let summary = |row: &super::Row| {
        Ok(DatasetSummary {
            experiment_id: row.int(0)?,
            name: row.text(1)?,
            digest: row.text(2)?,
            context: row.text_or_null(3)?,
        })
    };
    session.rows(statement).await?.iter().map(summary).collect()
}
