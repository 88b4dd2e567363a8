//! What MLflow's revision 75868b020152 does to traces: name, session, tokens and costs move from tags, metadata and
//! metrics into columns of their own, model and provider from a JSON column of spans, and values of assessments become
//! numbers where they can.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::Old;
use crate::db::{BINARY, Row, Session, Statement};
use crate::error::{Error, Result};

pub(crate) const TOKENS: [&str; 6] = [
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
];
pub(crate) const COSTS: [&str; 3] = ["input_cost", "output_cost", "total_cost"];
pub(crate) const NAME_TAG: &str = "mlflow.traceName";
pub(crate) const SESSION: &str = "mlflow.trace.session";
pub(crate) const TOKEN_USAGE: &str = "mlflow.trace.tokenUsage";
pub(crate) const COST: &str = "mlflow.trace.cost";

/// How many rows are looked at together.
const AT_ONCE: i64 = 500;

pub(super) async fn promote(session: &mut Session, old: &Old) -> Result<()> {
    for table in ["spans", "assessments"] {
        refuse_orphans(session, old, table).await?;
    }
    traces(session).await?;
    if old.tables.contains_key("spans") {
        spans(session, old).await?;
        // Traces of a gateway have costs in their spans only.
        session
            .run(Statement::new(
                "UPDATE trace_info SET total_cost = (SELECT SUM(s.total_cost) FROM spans s WHERE s.trace_id = trace_info.request_id) \
                 WHERE total_cost IS NULL AND EXISTS (SELECT 1 FROM trace_request_metadata t \
                 WHERE t.request_id = trace_info.request_id AND t.key = 'mlflow.gateway.endpointId')",
            ))
            .await?;
    }
    assessments(session).await?;
    let mut tokens = Statement::built("DELETE FROM trace_metrics WHERE key IN ");
    tokens.push_list(TOKENS);
    let mut costs = Statement::built("DELETE FROM span_metrics WHERE key IN ");
    costs.push_list(COSTS);
    let mut metadata = Statement::built("DELETE FROM trace_request_metadata WHERE key IN ");
    metadata.push_list([SESSION, TOKEN_USAGE, COST]);
    for statement in [tokens, costs, metadata] {
        session.run(statement).await?;
    }
    session.run(Statement::new("DELETE FROM trace_tags WHERE key = $1").bind(NAME_TAG)).await.map(drop)
}

/// Refuses a store with rows whose trace is gone, as MLflow does.
async fn refuse_orphans(session: &mut Session, old: &Old, table: &str) -> Result<()> {
    let sql = format!(
        "SELECT trace_id FROM {table} WHERE NOT EXISTS (SELECT 1 FROM trace_info t WHERE t.request_id = trace_id) LIMIT 1"
    );
    match session.row(Statement::built(&sql)).await? {
        None => Ok(()),
        Some(row) => Err(Error::ForeignStore {
            store: old.store.clone(),
            found: format!("its table '{table}' has rows of the trace '{}', which is gone", row.text(0)?),
        }),
    }
}

async fn traces(session: &mut Session) -> Result<()> {
    let sql = "UPDATE trace_info SET trace_name = (SELECT SUBSTR(t.value, 1, 4096) FROM trace_tags t \
               WHERE t.request_id = trace_info.request_id AND t.key = $1), \
               session_id = (SELECT SUBSTR(m.value, 1, 250) FROM trace_request_metadata m \
               WHERE m.request_id = trace_info.request_id AND m.key = $2)";
    session.run(Statement::new(sql).bind(NAME_TAG).bind(SESSION)).await?;
    let mut last = String::new();
    loop {
        let sql = format!(
            "SELECT request_id FROM trace_info WHERE request_id{BINARY} > $1 ORDER BY request_id{BINARY} LIMIT $2"
        );
        let rows = session.rows(Statement::new(&sql).bind(&last).bind(AT_ONCE)).await?;
        let ids: Vec<String> = rows.iter().map(|row| row.text(0)).collect::<Result<_>>()?;
        let Some(end) = ids.last() else { return Ok(()) };
        last.clone_from(end);
        let mut statement =
            Statement::built("SELECT request_id, key, value FROM trace_request_metadata WHERE key IN ");
        statement.push_list([TOKEN_USAGE, COST]).push(" AND request_id IN ").push_list(&ids);
        let mut metadata: HashMap<(String, String), Json> = HashMap::new();
        for row in session.rows(statement).await? {
            let text = row.text_or_null(2)?.unwrap_or_default();
            let value = serde_json::from_str(&text).unwrap_or_default();
            metadata.insert((row.text(0)?, row.text(1)?), value);
        }
        let mut statement =
            Statement::built("SELECT request_id, key, value FROM trace_metrics WHERE key IN ");
        statement.push_list(TOKENS).push(" AND request_id IN ").push_list(&ids);
        let mut metrics: HashMap<(String, String), Option<f64>> = HashMap::new();
        for row in session.rows(statement).await? {
            metrics.insert((row.text(0)?, row.text(1)?), row.real_or_null(2)?);
        }
        for id in ids {
            let usage = metadata.remove(&(id.clone(), TOKEN_USAGE.to_owned())).unwrap_or_default();
            let cost = metadata.remove(&(id.clone(), COST.to_owned())).unwrap_or_default();
            let mut update = Statement::built("UPDATE trace_info SET ");
            let mut known = false;
            for column in TOKENS {
                let count = match metrics.remove(&(id.clone(), column.to_owned())) {
                    Some(value) => value.and_then(whole),
                    None => usage.get(column).and_then(count),
                };
                known |= count.is_some();
                update.push(column).push(" = ").push_bind(count).push(", ");
            }
            for column in COSTS {
                let amount = cost.get(column).and_then(number);
                known |= amount.is_some();
                update.push(column).push(" = ").push_bind(amount);
                update.push(if column == "total_cost" { " WHERE request_id = " } else { ", " });
            }
            update.push_bind(id);
            if known {
                session.run(update).await?;
            }
        }
    }
}

async fn spans(session: &mut Session, old: &Old) -> Result<()> {
    let has_dimensions = old.tables["spans"].iter().any(|column| column == "dimension_attributes");
    let dimensions = if has_dimensions { "CAST(s.dimension_attributes AS TEXT)" } else { "NULL" };
    let costs = if old.tables.contains_key("span_metrics") {
        COSTS.map(|key| {
            format!(
                "(SELECT m.value FROM span_metrics m WHERE m.trace_id = s.trace_id AND m.span_id = s.span_id AND m.key = '{key}')"
            )
        })
    } else {
        COSTS.map(|_| "CAST(NULL AS DOUBLE PRECISION)".to_owned())
    };
    let mut last = (String::new(), String::new());
    loop {
        let sql = format!(
            "SELECT s.trace_id, s.span_id, {dimensions}, {} FROM {} s \
             WHERE (s.trace_id{BINARY}, s.span_id{BINARY}) > ($1, $2) \
             ORDER BY s.trace_id{BINARY}, s.span_id{BINARY} LIMIT $3",
            costs.join(", "),
            old.table("spans")
        );
        let rows = session.rows(Statement::new(&sql).bind(&last.0).bind(&last.1).bind(AT_ONCE)).await?;
        let Some(end) = rows.last() else { return Ok(()) };
        last = (end.text(0)?, end.text(1)?);
        for row in &rows {
            let dimensions = dimensions_of(row, old)?;
            let text = |key: &str| dimensions.get(key).and_then(Json::as_str).map(|text| cut(text, 500));
            let (model, provider) = (text("mlflow.llm.model"), text("mlflow.llm.provider"));
            let amounts = [row.real_or_null(3)?, row.real_or_null(4)?, row.real_or_null(5)?];
            let amounts = amounts.map(|amount| amount.filter(|amount| amount.is_finite()));
            if model.is_none() && provider.is_none() && amounts.iter().all(Option::is_none) {
                continue;
            }
            let sql = "UPDATE spans SET model_name = $3, model_provider = $4, input_cost = $5, output_cost = $6, \
                       total_cost = $7 WHERE trace_id = $1 AND span_id = $2";
            let mut statement =
                Statement::new(sql).bind(row.text(0)?).bind(row.text(1)?).bind(model).bind(provider);
            for amount in amounts {
                statement = statement.bind(amount);
            }
            session.run(statement).await?;
        }
    }
}

/// The object in the old JSON column, which holds model and provider and nothing else.
fn dimensions_of(row: &Row, old: &Old) -> Result<serde_json::Map<String, Json>> {
    let Some(text) = row.text_or_null(2)? else { return Ok(serde_json::Map::new()) };
    let known = |(key, value): (&String, &Json)| {
        matches!(key.as_str(), "mlflow.llm.model" | "mlflow.llm.provider")
            && (value.is_string() || value.is_null())
    };
    match serde_json::from_str(&text) {
        Ok(Json::Null) => Ok(serde_json::Map::new()),
        Ok(Json::Object(fields)) if fields.iter().all(known) => Ok(fields),
        _ => Err(Error::ForeignStore {
            store: old.store.clone(),
            found: format!("the span '{}' has other dimension_attributes than MLflow writes", row.text(1)?),
        }),
    }
}

async fn assessments(session: &mut Session) -> Result<()> {
    let sql = "UPDATE assessments SET experiment_id = (SELECT t.experiment_id FROM trace_info t WHERE t.request_id = trace_id), \
               trace_timestamp_ms = (SELECT t.timestamp_ms FROM trace_info t WHERE t.request_id = trace_id)";
    session.run(Statement::new(sql)).await?;
    let mut last = String::new();
    loop {
        let sql = format!(
            "SELECT assessment_id, value FROM assessments WHERE assessment_id{BINARY} > $1 \
             ORDER BY assessment_id{BINARY} LIMIT $2"
        );
        let rows = session.rows(Statement::new(&sql).bind(&last).bind(AT_ONCE)).await?;
        let Some(end) = rows.last() else { return Ok(()) };
        last = end.text(0)?;
        for row in &rows {
            let (amount, is_number) = aggregate(&row.text(1)?);
            if amount.is_some() {
                let sql = "UPDATE assessments SET aggregate_value = $2, is_numeric_value = $3 WHERE assessment_id = $1";
                session.run(Statement::new(sql).bind(row.text(0)?).bind(amount).bind(is_number)).await?;
            }
        }
    }
}

/// What an assessment counts as in averages, and whether it was a number itself.
pub(crate) fn aggregate(text: &str) -> (Option<f64>, bool) {
    let value: Json = serde_json::from_str(text).unwrap_or_else(|_| Json::from(text));
    match value {
        Json::Bool(truth) => (Some(f64::from(u8::from(truth))), false),
        Json::Number(_) => match number(&value) {
            Some(number) => (Some(number), true),
            None => (None, false),
        },
        Json::String(word) => match word.trim().to_lowercase().as_str() {
            "yes" => (Some(1.0), false),
            "no" => (Some(0.0), false),
            _ => (None, false),
        },
        _ => (None, false),
    }
}

/// A finite number, written as one or as text.
pub(crate) fn number(value: &Json) -> Option<f64> {
    let number = match value {
        Json::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    number.filter(|number: &f64| number.is_finite())
}

/// A whole number, written as one or as text.
pub(crate) fn count(value: &Json) -> Option<i64> {
    match value {
        Json::String(text) => text.trim().parse().ok().or_else(|| text.trim().parse().ok().and_then(whole)),
        other => other.as_i64().or_else(|| other.as_f64().and_then(whole)),
    }
}

fn whole(number: f64) -> Option<i64> {
    let fits = number.fract() == 0.0 && (-9.2e18..9.2e18).contains(&number);
    fits.then_some(number as i64)
}

pub(crate) fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assessments_count_as_numbers() {
        for (text, want) in [
            ("true", (Some(1.0), false)),
            ("0.5", (Some(0.5), true)),
            ("\"Yes \"", (Some(1.0), false)),
            ("no", (Some(0.0), false)),
            ("\"0.5\"", (None, false)),
            ("[1]", (None, false)),
            ("", (None, false)),
        ] {
            assert_eq!(aggregate(text), want, "{text}");
        }
    }

    #[test]
    fn counts_are_whole() {
        for (json, want) in
            [("12", Some(12)), ("12.0", Some(12)), ("\"7\"", Some(7)), ("1.5", None), ("true", None)]
        {
            assert_eq!(count(&serde_json::from_str(json).unwrap()), want, "{json}");
        }
    }
}
