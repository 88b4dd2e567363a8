//! SQL that says to which experiment a thing belongs, for the decision who may use it.

use super::{Session, Statement};
use crate::error::Result;

pub(crate) async fn experiment_of_trace(session: &mut Session, trace_id: &str) -> Result<Option<String>> {
    let statement =
        Statement::new("SELECT experiment_id FROM trace_info WHERE request_id = $1").bind(trace_id);
    session.row(statement).await?.map(|row| Ok(row.int(0)?.to_string())).transpose()
}

pub(crate) async fn experiments_of_dataset(session: &mut Session, dataset_id: &str) -> Result<Vec<String>> {
    let statement = Statement::new(
        "SELECT destination_id FROM entity_associations WHERE source_type = 'evaluation_dataset' AND source_id = $1 \
         AND destination_type = 'experiment'",
    );
    session.rows(statement.bind(dataset_id)).await?.iter().map(|row| row.text(0)).collect()
}
