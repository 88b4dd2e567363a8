//! The search over traces.

mod clause;

use super::Fault;
use super::models::Page;
use super::{order, page};
use crate::db::{self, Session, Statement};
use crate::error::{Error, Result};
use crate::trace::TraceInfo;
use crate::trace::analytics::{COSTS, SESSION, TOKEN_USAGE};
use crate::trace::correlation::Counts;
use clause::push_filter;

/// Traces on a page when the client does not say.
pub const DEFAULT_SIZE: i64 = 100;
/// The most traces on a page.
const MAX_SIZE: i64 = 500;

/// The end of a trace.
const END_TIME: &str = "(t.timestamp_ms + COALESCE(t.execution_time_ms, 0))";

/// Which traces are looked for, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Where they are.
    pub experiment_ids: Vec<i64>,
    /// Empty for everything.
    pub filter: String,
    /// Keys, the first is the most important.
    pub order_by: Vec<String>,
    /// How many at most.
    pub max_results: Option<i64>,
    /// Empty for the first page.
    pub page_token: String,
}

/// Searches traces; the latest come first when no order is given.
pub async fn traces(session: &mut Session, query: &Query) -> Result<Page<TraceInfo>> {
    let size = query.max_results.unwrap_or(DEFAULT_SIZE);
    if !(1..=MAX_SIZE).contains(&size) {
        return Err(Error::invalid(format!(
            "Invalid value {size} for parameter 'max_results' supplied: It must be a positive integer, but at most {MAX_SIZE}."
        )));
    }
    let offset = page::offset(Some(&query.page_token))?;
    if query.experiment_ids.is_empty() {
        return Ok(Page { items: Vec::new(), next_page_token: None });
    }
    let mut statement = Statement::built(&format!("SELECT {} FROM trace_info t WHERE ", db::trace::COLUMNS));
    push_matches(&mut statement, &query.experiment_ids, &query.filter)?;
    push_order(&mut statement, &query.order_by)?;
    statement.push(" LIMIT ").push_bind(size + 1).push(" OFFSET ").push_bind(offset);
    let rows = session.rows(statement).await?;
    let mut items: Vec<TraceInfo> = rows.iter().map(db::trace::info).collect::<Result<_>>()?;
    let next_page_token = page::cut(&mut items, offset, size);
    db::trace::fill(session, &mut items).await?;
    Ok(Page { items, next_page_token })
}

/// Counts the traces that match two filters, each on top of a base filter.
pub async fn count(
    session: &mut Session,
    experiment_ids: &[i64],
    first: &str,
    second: &str,
    base: Option<&str>,
) -> Result<Counts> {
    let filters = |more: &[&str]| -> Vec<String> {
        base.iter()
            .chain(more)
            .filter(|text| !text.trim().is_empty())
            .map(|text| (*text).to_owned())
            .collect()
    };
    let mut counts = [0; 4];
    for (slot, more) in counts.iter_mut().zip([&[][..], &[first], &[second], &[first, second]]) {
        let mut statement = Statement::built("SELECT COUNT(*) FROM trace_info t WHERE ");
        push_in_experiments(&mut statement, experiment_ids);
        for filter in filters(more) {
            push_filter(&mut statement, experiment_ids, &filter)?;
        }
        *slot = session.row(statement).await?.map_or(Ok(0), |row| row.int(0))?;
    }
    let [total, first, second, joint] = counts;
    Ok(Counts { total, first, second, joint })
}

/// Refuses a filter that no search over traces would take.
pub(crate) fn check_filter(filter: &str) -> Result<()> {
    push_filter(&mut Statement::built(""), &[], filter)
}

/// Appends the condition that a trace `t` is in one of the experiments and matches a filter.
fn push_matches(statement: &mut Statement, experiment_ids: &[i64], filter: &str) -> Result<()> {
    push_in_experiments(statement, experiment_ids);
    push_filter(statement, experiment_ids, filter)
}

fn push_in_experiments(statement: &mut Statement, experiment_ids: &[i64]) {
    if experiment_ids.is_empty() {
        statement.push("1 = 0");
    } else {
        statement.push("t.experiment_id IN ").push_list(experiment_ids.iter().copied());
    }
}

fn push_order(statement: &mut Statement, orders: &[String]) -> Result<()> {
    statement.push(" ORDER BY ");
    let mut seen: Vec<String> = Vec::new();
    for text in orders {
        let refused = |fault: Fault| fault.in_text("order_by", text);
        let order = order::parse(text).map_err(refused)?;
        let key = order.name.key.as_str();
        let unknown = |message: String| Fault::new(message, order.name.key_at).in_text("order_by", text);
        // A table with its key, for what is not a column.
        let mut pair: Option<(&str, &str)> = None;
        let column = match (order.name.prefix.as_deref(), key) {
            (None | Some("attribute" | "attributes" | "trace"), _) => match key {
                "timestamp" | "timestamp_ms" => "t.timestamp_ms",
                "execution_time" | "execution_time_ms" => "t.execution_time_ms",
                "end_time" | "end_time_ms" => END_TIME,
                "status" => "t.status",
                "request_id" => "t.request_id",
                "experiment_id" => "t.experiment_id",
                "name" => "t.trace_name",
                "run_id" => {
                    pair = Some(("trace_request_metadata", crate::trace::SOURCE_RUN));
                    ""
                }
                _ => {
                    return Err(unknown(format!(
                        "'{key}' cannot be ordered by: it must be one of timestamp_ms, execution_time_ms, end_time_ms, \
                         status, request_id, experiment_id, name, run_id, tags.<key>, metadata.<key>"
                    )));
                }
            },
            (Some("tag" | "tags"), crate::trace::NAME_TAG) => "t.trace_name",
            (Some("metadata" | "request_metadata"), SESSION) => "t.session_id",
            (Some("metadata" | "request_metadata"), TOKEN_USAGE | COSTS) => {
                return Err(unknown(format!("'{key}' has several numbers and cannot be ordered by")));
            }
            (Some("tag" | "tags"), _) => {
                pair = Some(("trace_tags", key));
                ""
            }
            (Some("metadata" | "request_metadata"), _) => {
                pair = Some(("trace_request_metadata", key));
                ""
            }
            (Some(other), _) => {
                let message = format!("'{other}' is not one of attributes, tags, metadata");
                return Err(Fault::new(message, order.name.at).in_text("order_by", text));
            }
        };
        let identity = pair.map_or_else(|| column.to_owned(), |(table, key)| format!("{table} {key}"));
        if seen.contains(&identity) {
            return Err(Error::invalid(format!(
                "`order_by` contains duplicate fields: {}",
                orders.join(", ")
            )));
        }
        seen.push(identity);
        match pair {
            Some((table, key)) => {
                statement
                    .push(&format!(
                        "(SELECT d.value FROM {table} d WHERE d.request_id = t.request_id AND d.key = "
                    ))
                    .push_bind(key)
                    .push(")");
            }
            None => {
                statement.push(column);
            }
        }
        statement.push(if order.ascending { " ASC NULLS LAST, " } else { " DESC NULLS LAST, " });
    }
    if !seen.iter().any(|column| column == "t.timestamp_ms") {
        statement.push("t.timestamp_ms DESC, ");
    }
    statement.push(if seen.iter().any(|column| column == "t.request_id") {
        "t.experiment_id"
    } else {
        "t.request_id"
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders() {
        let sql = |orders: &[&str]| {
            let mut statement = Statement::built("");
            let orders: Vec<String> = orders.iter().map(|order| (*order).to_owned()).collect();
            push_order(&mut statement, &orders).map_or_else(|error| error.to_string(), |()| statement.sql)
        };
        assert_eq!(sql(&[]), " ORDER BY t.timestamp_ms DESC, t.request_id");
        assert_eq!(
            sql(&["timestamp_ms ASC", "request_id"]),
            " ORDER BY t.timestamp_ms ASC NULLS LAST, t.request_id ASC NULLS LAST, t.experiment_id"
        );
        assert!(sql(&["tags.foo DESC"]).starts_with(" ORDER BY (SELECT d.value FROM trace_tags d"));
        for refused in
            [&["bogus"][..], &["feedback.q"], &["metadata.`mlflow.trace.cost`"], &["tags.a", "tags.a"]]
        {
            assert!(!sql(refused).starts_with(" ORDER BY"), "{refused:?}");
        }
    }
}
