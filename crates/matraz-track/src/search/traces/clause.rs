//! The filter of a search over traces, as conditions on a trace `t`.
//!
//! Beside the columns of a trace a filter may ask for its tags, its metadata, its spans (all conditions on spans must
//! hold for the same one), for what assessments say, and for runs and prompts that it is linked to.

use serde_json::{Map, Value as Json};

use super::END_TIME;
use crate::db::Statement;
use crate::error::Result;
use crate::name::ascii_json;
use crate::python;
use crate::search::Fault;
use crate::search::filter::{self, Clause, FOR_NUMBERS, Operator, Value};
use crate::search::to_sql::{check_operator, number_value, push_number, push_text, text_value};
use crate::trace::analytics::{self, COST_NAMES, COSTS, SESSION, TOKEN_USAGE, TOKENS};

const FOR_TEXT: &[Operator] = &[
    Operator::Equal,
    Operator::NotEqual,
    Operator::In,
    Operator::NotIn,
    Operator::Like,
    Operator::Ilike,
    Operator::Rlike,
];
const FOR_PAIRS: &[Operator] = &[
    Operator::Equal,
    Operator::NotEqual,
    Operator::Like,
    Operator::Ilike,
    Operator::Rlike,
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
    Operator::Rlike,
    Operator::IsNull,
    Operator::IsNotNull,
];
const FOR_NUMBERS_OF_COLUMNS: &[Operator] =
    &[Operator::Equal, Operator::NotEqual, Operator::IsNull, Operator::IsNotNull];

/// How much earlier than its trace a span may begin, in milliseconds, because clocks differ.
const CLOCK_SKEW: f64 = 60_000.0;

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
pub(super) fn push_filter(statement: &mut Statement, experiment_ids: &[i64], filter: &str) -> Result<()> {
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
    let possible = [Operator::Equal, Operator::NotEqual, Operator::Like, Operator::Ilike, Operator::Rlike];
    check_operator(clause, &what, &possible)?;
    let Value::Text(text) = text_value(clause, &what)? else {
        return Err(Fault::new("one text is compared", clause.value_at));
    };
    if clause.operator == Operator::Rlike {
        // A value is a text in a text: its quotes have backslashes.
        let (start, inner) = text.strip_prefix('^').map_or((".*", text.as_str()), |rest| ("", rest));
        let (inner, end) = inner.strip_suffix('$').map_or((inner, ""), |rest| (rest, r#"\\""#));
        let pattern = format!(r#""{}": "\\"{start}{inner}{end}"#, regex::escape(attribute));
        push_text(statement, "s.content", Operator::Rlike, &Value::Text(pattern));
        return Ok(());
    }
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
            ("tags.a RLIKE '('", "Invalid filter: this is not a regular expression".to_owned()),
            ("name RLIKE '^a'", " AND t.trace_name REGEXP $1".to_owned()),
            ("metadata.`mlflow.trace.cost` = 'x'", " AND (1 = 0)".to_owned()),
            ("status > 'OK'", "Invalid filter: status can be compared with = != IN NOT IN LIKE ILIKE RLIKE only, not with >".to_owned()),
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
    fn a_regular_expression_looks_into_the_text_of_an_attribute() {
        let pattern = |filter: &str| {
            let mut statement = Statement::built("");
            push_filter(&mut statement, &[3], filter).unwrap();
            match statement.args.last() {
                Some(crate::db::Arg::Text(Some(text))) => regex::Regex::new(text).unwrap(),
                other => panic!("{other:?}"),
            }
        };
        let span = r#"{"attributes": {"llm.model": "\"gpt-4o\"", "other": "\"x\""}}"#;
        for (filter, found) in [
            ("span.attributes.`llm.model` RLIKE 'gpt-[0-9]'", true),
            ("span.attributes.`llm.model` RLIKE '^gpt-4o$'", true),
            ("span.attributes.`llm.model` RLIKE '^pt'", false),
            ("span.attributes.`llm.model` RLIKE '4$'", false),
            ("span.attributes.`llm_model` RLIKE 'gpt'", false),
        ] {
            assert_eq!(pattern(filter).is_match(span), found, "{filter}");
        }
    }
}
