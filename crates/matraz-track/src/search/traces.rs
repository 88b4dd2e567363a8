//! The search over traces.
//!
//! Beside the columns of a trace a filter may ask for its tags, its metadata, its spans (all conditions on spans must
//! hold for the same one), for what assessments say, and for runs and prompts that it is linked to.

use serde_json::{Map, Value as Json};

use super::Fault;
use super::filter::{self, Clause, FOR_NUMBERS, Operator, Value};
use super::models::Page;
use super::to_sql::{check_operator, number_value, push_number, push_text, text_value};
use super::{order, page};
use crate::db::{self, Session, Statement};
use crate::error::{Error, Result};
use crate::name::ascii_json;
use crate::python;
use crate::trace::TraceInfo;
use crate::trace::analytics::{self, COST_NAMES, COSTS, SESSION, TOKEN_USAGE, TOKENS};
use crate::trace::correlation::Counts;

/// Traces on a page when the client does not say.
pub const DEFAULT_SIZE: i64 = 100;
/// The most traces on a page.
const MAX_SIZE: i64 = 500;

const FOR_TEXT: &[Operator] =
    &[Operator::Equal, Operator::NotEqual, Operator::In, Operator::NotIn, Operator::Like, Operator::Ilike];
const FOR_PAIRS: &[Operator] = &[
    Operator::Equal,
    Operator::NotEqual,
    Operator::Like,
    Operator::Ilike,
    Operator::IsNull,
    Operator::IsNotNull,
];
const FOR_ASSESSMENTS: &[Operator] = &[
    Operator::Equal,
    Operator::NotEqual,
    Operator::Greater,
    Operator::GreaterOrEqual,
    Operator::Less,
    Operator::LessOrEqual,
    Operator::Like,
    Operator::Ilike,
    Operator::IsNull,
    Operator::IsNotNull,
];
const FOR_NUMBERS_OF_COLUMNS: &[Operator] =
    &[Operator::Equal, Operator::NotEqual, Operator::IsNull, Operator::IsNotNull];

/// The end of a trace.
const END_TIME: &str = "(t.timestamp_ms + COALESCE(t.execution_time_ms, 0))";
/// How much earlier than its trace a span may begin, in milliseconds, because clocks differ.
const CLOCK_SKEW: f64 = 60_000.0;

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

/// What stands on the left side of a comparison.
enum Side<'c> {
    Text(&'static str),
    Number(&'static str),
    Tag(&'c str),
    Metadata(&'c str),
    Prompt,
    Span(&'c str),
    Assessment(&'static str, &'c str),
    Issue,
}

fn side(clause: &Clause) -> Result<Side<'_>, Fault> {
    let key = clause.name.key.as_str();
    let unknown = |message: String| Fault::new(message, clause.name.key_at);
    match clause.name.prefix.as_deref() {
        None | Some("attribute" | "attributes" | "trace") => Ok(match key {
            "timestamp" | "timestamp_ms" => Side::Number("t.timestamp_ms"),
            "execution_time" | "execution_time_ms" => Side::Number("t.execution_time_ms"),
            "end_time" | "end_time_ms" => Side::Number(END_TIME),
            "status" => Side::Text("t.status"),
            "request_id" => Side::Text("t.request_id"),
            "client_request_id" => Side::Text("t.client_request_id"),
            "name" => Side::Tag(crate::trace::NAME_TAG),
            "run_id" => Side::Metadata(crate::trace::SOURCE_RUN),
            "prompt" => Side::Prompt,
            "text" => Side::Span("content"),
            _ => {
                return Err(unknown(format!(
                    "'{key}' is not an attribute of traces: it must be one of timestamp_ms, execution_time_ms, end_time_ms, \
                     status, request_id, client_request_id, name, run_id, prompt, text"
                )));
            }
        }),
        Some("tag" | "tags") => Ok(Side::Tag(key)),
        Some("metadata" | "request_metadata") => Ok(Side::Metadata(key)),
        Some("span") => match key {
            "name" | "type" | "status" | "content" => Ok(Side::Span(key)),
            _ if key.strip_prefix("attributes.").is_some_and(|name| !name.is_empty()) => Ok(Side::Span(key)),
            _ => Err(unknown(format!(
                "'{key}' is not an attribute of spans: it must be one of name, type, status, content, attributes.<name>"
            ))),
        },
        Some("feedback") => Ok(Side::Assessment("feedback", key)),
        Some("expectation") => Ok(Side::Assessment("expectation", key)),
        Some("issue") if key == "id" => Ok(Side::Issue),
        Some("issue") => Err(unknown(format!("'{key}' is not an attribute of issues: it must be id"))),
        Some(other) => {
            let message = format!(
                "'{other}' is not one of attributes, trace, tags, metadata, span, feedback, expectation, issue"
            );
            Err(Fault::new(message, clause.name.at))
        }
    }
}

/// Appends ` AND …` for every clause of a filter.
fn push_filter(statement: &mut Statement, experiment_ids: &[i64], filter: &str) -> Result<()> {
    let refused = |fault: Fault| fault.in_text("filter", filter);
    let clauses = filter::parse(filter).map_err(refused)?;
    let mut of_spans: Vec<(&str, &Clause)> = Vec::new();
    let mut earliest: Option<f64> = None;
    for clause in &clauses {
        match side(clause).map_err(refused)? {
            Side::Span(key) => of_spans.push((key, clause)),
            side => {
                if let (
                    Side::Number("t.timestamp_ms"),
                    Operator::Greater | Operator::GreaterOrEqual,
                    Some(Value::Number(time, _)),
                ) = (&side, clause.operator, &clause.value)
                {
                    earliest = Some(earliest.map_or(*time, |known: f64| known.max(*time)));
                }
                statement.push(" AND ");
                push_clause(statement, experiment_ids, &side, clause).map_err(refused)?;
            }
        }
    }
    if of_spans.is_empty() {
        return Ok(());
    }
    statement.push(
        " AND EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.request_id AND s.experiment_id = t.experiment_id",
    );
    if let Some(earliest) = earliest {
        // Only an index over the start of spans gains by it.
        statement.push(" AND s.start_time_unix_nano >= ").push_bind(((earliest - CLOCK_SKEW) * 1e6) as i64);
    }
    for (key, clause) in of_spans {
        statement.push(" AND ");
        push_span(statement, key, clause).map_err(refused)?;
    }
    statement.push(")");
    Ok(())
}

fn push_clause(
    statement: &mut Statement,
    experiment_ids: &[i64],
    side: &Side,
    clause: &Clause,
) -> Result<(), Fault> {
    let name = &clause.name.key;
    match side {
        Side::Text(column) => {
            check_operator(clause, name, FOR_TEXT)?;
            push_text(statement, column, clause.operator, text_value(clause, name)?);
        }
        Side::Number(column) => {
            check_operator(clause, name, FOR_NUMBERS)?;
            let (number, whole) = number_value(clause, name)?;
            push_number(statement, column, clause.operator, number, whole);
        }
        Side::Tag(crate::trace::NAME_TAG) => push_nullable(statement, "t.trace_name", clause)?,
        Side::Metadata(SESSION) => push_nullable(statement, "t.session_id", clause)?,
        Side::Metadata(key @ (TOKEN_USAGE | COSTS)) => push_numbers(statement, key, clause)?,
        Side::Metadata(crate::trace::SOURCE_RUN) if clause.operator == Operator::Equal => {
            let run = text_value(clause, name)?;
            let Value::Text(run) = run else { return Err(Fault::new("a run has one id", clause.value_at)) };
            statement.push("(");
            push_linked(statement, "run", run);
            statement
                .push(" OR EXISTS (SELECT 1 FROM trace_request_metadata d WHERE d.request_id = t.request_id AND d.key = ")
                .push_bind(crate::trace::SOURCE_RUN)
                .push(" AND d.value = ")
                .push_bind(run)
                .push("))");
        }
        Side::Tag(key) => push_pair(statement, "trace_tags", key, clause)?,
        Side::Metadata(key) => push_pair(statement, "trace_request_metadata", key, clause)?,
        Side::Prompt => {
            check_operator(clause, "prompt", &[Operator::Equal])?;
            match text_value(clause, "prompt")? {
                Value::Text(prompt) if prompt.matches('/').count() == 1 => {
                    push_linked(statement, "prompt_version", prompt);
                }
                _ => {
                    let message = "a prompt is given as name and version, as prompt = 'greeting/2'";
                    return Err(Fault::new(message, clause.value_at));
                }
            }
        }
        Side::Assessment(kind, key) => push_assessment(statement, experiment_ids, kind, key, clause)?,
        Side::Issue => {
            check_operator(clause, "issue.id", &[Operator::Equal])?;
            statement.push(
                "EXISTS (SELECT 1 FROM assessments a WHERE a.trace_id = t.request_id AND a.assessment_type = 'issue' AND ",
            );
            push_text(statement, "a.name", clause.operator, text_value(clause, "issue.id")?);
            statement.push(")");
        }
        Side::Span(key) => push_span(statement, key, clause)?,
    }
    Ok(())
}

/// A column of text that may be NULL.
fn push_nullable(statement: &mut Statement, column: &str, clause: &Clause) -> Result<(), Fault> {
    check_operator(clause, &clause.name.key, FOR_PAIRS)?;
    match clause.operator {
        Operator::IsNull | Operator::IsNotNull => {
            statement.push(column).push(" ").push(clause.operator.text());
        }
        operator => push_text(statement, column, operator, text_value(clause, &clause.name.key)?),
    }
    Ok(())
}

/// A tag or an entry of the metadata. One that is not there matches `IS NULL` only.
fn push_pair(statement: &mut Statement, table: &str, key: &str, clause: &Clause) -> Result<(), Fault> {
    let what = if table == "trace_tags" { "a tag" } else { "metadata" };
    check_operator(clause, what, FOR_PAIRS)?;
    if clause.operator == Operator::IsNull {
        statement.push("NOT ");
    }
    statement
        .push(&format!("EXISTS (SELECT 1 FROM {table} d WHERE d.request_id = t.request_id AND d.key = "))
        .push_bind(key);
    if !matches!(clause.operator, Operator::IsNull | Operator::IsNotNull) {
        statement.push(" AND ");
        push_text(statement, "d.value", clause.operator, text_value(clause, what)?);
    }
    statement.push(")");
    Ok(())
}

/// Tokens or costs, which are compared as a whole: with the JSON text that clients see.
fn push_numbers(statement: &mut Statement, key: &str, clause: &Clause) -> Result<(), Fault> {
    check_operator(clause, key, FOR_NUMBERS_OF_COLUMNS)?;
    let names: &[&str] = if key == TOKEN_USAGE { &TOKENS } else { &COST_NAMES };
    let any: Vec<String> = names.iter().map(|name| format!("t.{name} IS NOT NULL")).collect();
    let any = format!("({})", any.join(" OR "));
    match clause.operator {
        Operator::IsNull => {
            statement.push("NOT ").push(&any);
            return Ok(());
        }
        Operator::IsNotNull => {
            statement.push(&any);
            return Ok(());
        }
        _ => {}
    }
    let Value::Text(text) = text_value(clause, key)? else {
        return Err(Fault::new("one text is compared", clause.value_at));
    };
    let wanted: Map<String, Json> = analytics::object(text);
    let canonical = !wanted.is_empty()
        && wanted.keys().all(|name| names.contains(&name.as_str()))
        && python::json(&Json::Object(wanted.clone())) == *text;
    if clause.operator == Operator::NotEqual {
        statement.push(&any).push(" AND NOT ");
    }
    if !canonical {
        statement.push("(1 = 0)");
        return Ok(());
    }
    statement.push("(");
    for (index, name) in names.iter().enumerate() {
        statement.push(if index > 0 { " AND " } else { "" }).push(&format!("t.{name} "));
        match wanted.get(*name).and_then(Json::as_f64) {
            Some(number) => {
                statement.push("IS NOT NULL AND ");
                push_number(statement, &format!("t.{name}"), Operator::Equal, number, number.fract() == 0.0);
            }
            None => {
                statement.push("IS NULL");
            }
        }
    }
    statement.push(")");
    Ok(())
}

fn push_linked(statement: &mut Statement, kind: &str, id: &str) {
    statement
        .push(
            "EXISTS (SELECT 1 FROM entity_associations l WHERE l.source_type = 'trace' AND l.source_id = t.request_id \
             AND l.destination_type = ",
        )
        .push_bind(kind)
        .push(" AND l.destination_id = ")
        .push_bind(id)
        .push(")");
}

/// A condition on the span `s`.
fn push_span(statement: &mut Statement, key: &str, clause: &Clause) -> Result<(), Fault> {
    let what = format!("span.{key}");
    if key == "content" {
        check_operator(clause, &what, &[Operator::Like, Operator::Ilike])?;
        push_text(statement, "s.content", clause.operator, text_value(clause, &what)?);
        return Ok(());
    }
    let Some(attribute) = key.strip_prefix("attributes.") else {
        check_operator(clause, &what, FOR_TEXT)?;
        push_text(statement, &format!("s.{key}"), clause.operator, text_value(clause, &what)?);
        return Ok(());
    };
    // Attributes are looked for in the text of the span, behind their name.
    check_operator(clause, &what, &[Operator::Equal, Operator::NotEqual, Operator::Like, Operator::Ilike])?;
    let Value::Text(text) = text_value(clause, &what)? else {
        return Err(Fault::new("one text is compared", clause.value_at));
    };
    let pattern = Value::Text(format!("%\"{attribute}\"{text}%"));
    push_text(statement, "s.content", clause.operator, &pattern);
    Ok(())
}

/// What an assessment of the trace says, or of another trace of its session when it was meant for the session.
fn push_assessment(
    statement: &mut Statement,
    experiment_ids: &[i64],
    kind: &str,
    key: &str,
    clause: &Clause,
) -> Result<(), Fault> {
    let what = format!("{kind}.{key}");
    check_operator(clause, &what, FOR_ASSESSMENTS)?;
    if clause.operator == Operator::IsNull {
        statement.push("NOT ");
    }
    statement.push("(EXISTS (SELECT 1 FROM assessments a WHERE a.trace_id = t.request_id AND ");
    push_said(statement, kind, key, clause, &what)?;
    statement.push(") OR t.session_id IN (SELECT x.session_id FROM trace_info x JOIN assessments a ON a.trace_id = x.request_id WHERE x.session_id IS NOT NULL AND x.experiment_id IN ");
    statement.push_list(experiment_ids.iter().copied()).push(" AND ");
    push_said(statement, kind, key, clause, &what)?;
    statement.push(" AND a.assessment_metadata LIKE ").push_bind(format!("%\"{SESSION}\":%")).push("))");
    Ok(())
}

/// The condition on the assessment `a`.
fn push_said(
    statement: &mut Statement,
    kind: &str,
    key: &str,
    clause: &Clause,
    what: &str,
) -> Result<(), Fault> {
    statement
        .push("a.assessment_type = ")
        .push_bind(kind)
        .push(" AND a.name = ")
        .push_bind(key)
        .push(" AND a.valid = TRUE");
    match clause.operator {
        Operator::IsNull | Operator::IsNotNull => return Ok(()),
        operator
            if operator != Operator::Equal
                && operator != Operator::NotEqual
                && FOR_NUMBERS.contains(&operator) =>
        {
            let (number, _) = number_value(clause, what)?;
            statement.push(" AND a.is_numeric_value = TRUE AND ");
            push_number(statement, "a.aggregate_value", operator, number, false);
        }
        operator @ (Operator::Equal | Operator::NotEqual) => {
            let Value::Text(text) = text_value(clause, what)? else {
                return Err(Fault::new("one text is compared", clause.value_at));
            };
            // Truth values and numbers are stored bare, texts in quotes.
            statement.push(if operator == Operator::NotEqual { " AND NOT (" } else { " AND (" });
            statement
                .push("a.value = ")
                .push_bind(text)
                .push(" OR a.value = ")
                .push_bind(ascii_json(text))
                .push(")");
        }
        operator => {
            statement.push(" AND ");
            push_text(statement, "a.value", operator, text_value(clause, what)?);
        }
    }
    Ok(())
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

    fn sql(filter: &str) -> String {
        let mut statement = Statement::built("");
        match push_filter(&mut statement, &[3], filter) {
            Ok(()) => statement.sql,
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn filters() {
        let span = " AND EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.request_id AND s.experiment_id = t.experiment_id";
        for (filter, want) in [
            ("", String::new()),
            ("status = 'OK' AND trace.timestamp > 5", " AND t.status = $1 AND t.timestamp_ms > $2".to_owned()),
            ("name IS NULL", " AND t.trace_name IS NULL".to_owned()),
            ("metadata.`mlflow.trace.session` != 's'", " AND t.session_id != $1".to_owned()),
            (
                "tags.a IS NULL",
                " AND NOT EXISTS (SELECT 1 FROM trace_tags d WHERE d.request_id = t.request_id AND d.key = $1)".to_owned(),
            ),
            ("span.name = 'x' AND span.type IN ('a')", format!("{span} AND s.name = $1 AND s.type IN ($2))")),
            (
                "timestamp_ms > 100000 AND span.attributes.`a.b` LIKE 'x'",
                format!(" AND t.timestamp_ms > $1{span} AND s.start_time_unix_nano >= $2 AND s.content LIKE $3)"),
            ),
            (
                "metadata.`mlflow.trace.cost` = '{\"input_cost\": 0.5}'",
                " AND (t.input_cost IS NOT NULL AND t.input_cost = $1 AND t.output_cost IS NULL AND t.total_cost IS NULL)"
                    .to_owned(),
            ),
            ("metadata.`mlflow.trace.cost` = 'x'", " AND (1 = 0)".to_owned()),
            ("status > 'OK'", "Invalid filter: status can be compared with = != IN NOT IN LIKE ILIKE only, not with >".to_owned()),
            ("prompt = 'a'", "Invalid filter: a prompt is given as name and version, as prompt = 'greeting/2'".to_owned()),
            ("foo.x = 'y'", "Invalid filter: 'foo' is not one of attributes, trace, tags, metadata, span, feedback, expectation, issue".to_owned()),
            ("issue.name = 'y'", "Invalid filter: 'name' is not an attribute of issues: it must be id".to_owned()),
            ("feedback.q > 'x'", "Invalid filter: feedback.q is compared with a number, not with a quoted text".to_owned()),
            ("feedback.q = 5", "Invalid filter: feedback.q is compared with a quoted text such as 'my-value', not with a number".to_owned()),
        ] {
            assert_eq!(sql(filter), want, "{filter}");
        }
    }

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
