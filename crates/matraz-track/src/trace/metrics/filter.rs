//! The filters of questions about numbers of traces.

use super::View;
use crate::db::Statement;
use crate::search::Fault;
use crate::search::filter::{Clause, Operator, Value};
use crate::trace::analytics::SESSION;
use crate::trace::{NAME_TAG, SOURCE_RUN};

/// Appends the condition of a filter, which is one comparison.
pub(super) fn push_filter(statement: &mut Statement, view: View, clause: &Clause) -> Result<(), Fault> {
    if clause.operator != Operator::Equal {
        let message = format!("only = is possible here, not {}", clause.operator.text());
        return Err(Fault::new(message, clause.operator_at));
    }
    let Some(Value::Text(value)) = &clause.value else {
        return Err(Fault::new("a quoted text is compared here", clause.value_at));
    };
    let prefix = clause.name.prefix.as_deref().unwrap_or("");
    let (entity, key) = clause.name.key.split_once('.').unwrap_or((&clause.name.key, ""));
    let wrong = |message: &str| Err(Fault::new(message, clause.name.at));
    let column = match (prefix, entity) {
        ("trace", "status" | "tag" | "metadata") => {
            return push_trace_filter(statement, view, clause, entity, key, value);
        }
        ("span", "name" | "status" | "type") if view == View::Spans => format!("s.{entity}"),
        ("span", "name" | "status" | "type") => return wrong("spans are filtered in the view SPANS only"),
        ("assessment", "name") if view == View::Assessments => "a.name".to_owned(),
        ("assessment", "type") if view == View::Assessments => "a.assessment_type".to_owned(),
        ("assessment", "name" | "type") => {
            return wrong("assessments are filtered in the view ASSESSMENTS only");
        }
        _ => {
            return wrong(
                "a filter names trace.status, trace.tag.<key>, trace.metadata.<key>, span.name, span.status, span.type, \
                 assessment.name or assessment.type",
            );
        }
    };
    statement.push(&column).push(" = ").push_bind(value);
    Ok(())
}

/// A condition on the trace itself; assessments look their trace up.
fn push_trace_filter(
    statement: &mut Statement,
    view: View,
    clause: &Clause,
    entity: &str,
    key: &str,
    value: &str,
) -> Result<(), Fault> {
    if (entity == "status") != key.is_empty() {
        let message = if entity == "status" {
            "trace.status takes no key".to_owned()
        } else {
            format!("trace.{entity} needs a key, as trace.{entity}.name")
        };
        return Err(Fault::new(message, clause.name.key_at));
    }
    if view == View::Assessments {
        statement.push("EXISTS (SELECT 1 FROM trace_info t WHERE t.request_id = a.trace_id AND ");
    }
    let column = match (entity, key) {
        ("status", _) => Some("t.status"),
        ("tag", NAME_TAG) => Some("t.trace_name"),
        ("metadata", SESSION) => Some("t.session_id"),
        _ => None,
    };
    match column {
        Some(column) => {
            statement.push(column).push(" = ").push_bind(value);
        }
        None => {
            let table = if entity == "tag" { "trace_tags" } else { "trace_request_metadata" };
            statement
                .push(&format!(
                    "(EXISTS (SELECT 1 FROM {table} d WHERE d.request_id = t.request_id AND d.key = "
                ))
                .push_bind(key)
                .push(" AND d.value = ")
                .push_bind(value)
                .push(")");
            if key == SOURCE_RUN {
                statement
                    .push(
                        " OR EXISTS (SELECT 1 FROM entity_associations l WHERE l.source_type = 'trace' AND \
                         l.source_id = t.request_id AND l.destination_type = 'run' AND l.destination_id = ",
                    )
                    .push_bind(value)
                    .push(")");
            }
            statement.push(")");
        }
    }
    if view == View::Assessments {
        statement.push(")");
    }
    Ok(())
}
