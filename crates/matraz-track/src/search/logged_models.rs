//! Searches of logged models.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use matraz_base::value::python_float;
use serde_json::{Value as Json, json};

use super::Fault;
use super::filter::{self, Clause, FOR_NUMBERS, Operator, Value};
use super::models::Page;
use super::to_sql::{check_operator, number_value, push_number, push_text};
use crate::db::{self, BINARY, Session, Statement};
use crate::error::{Error, Result};
use crate::experiment::parse_id;
use crate::logged_model::LoggedModel;
use crate::python;

/// Models on a page when the client does not say.
const DEFAULT_SIZE: i64 = 50;

const FOR_TEXT: &[Operator] =
    &[Operator::Equal, Operator::NotEqual, Operator::Like, Operator::Ilike, Operator::In, Operator::NotIn];

/// Names of attributes, their columns, and whether they are numbers.
const ATTRIBUTES: &[(&str, &str, bool)] = &[
    ("name", "m.name", false),
    ("model_id", "m.model_id", false),
    ("model_type", "m.model_type", false),
    (
        "status",
        "CASE m.status WHEN 1 THEN 'PENDING' WHEN 2 THEN 'READY' WHEN 3 THEN 'FAILED' ELSE 'UNSPECIFIED' END",
        false,
    ),
    ("source_run_id", "m.source_run_id", false),
    ("artifact_location", "m.artifact_location", false),
    ("lifecycle_stage", "m.lifecycle_stage", false),
    ("status_message", "m.status_message", false),
    ("experiment_id", "CAST(m.experiment_id AS TEXT)", false),
    ("creation_time", "m.creation_timestamp_ms", true),
    ("creation_timestamp", "m.creation_timestamp_ms", true),
    ("creation_timestamp_ms", "m.creation_timestamp_ms", true),
    ("last_updated_timestamp", "m.last_updated_timestamp_ms", true),
    ("last_updated_timestamp_ms", "m.last_updated_timestamp_ms", true),
];

/// What a status is called in filters.
const STATUSES: [&str; 4] = ["UNSPECIFIED", "PENDING", "READY", "FAILED"];

/// What a client searches for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The experiments to look in; none finds nothing.
    pub experiment_ids: Vec<String>,
    /// Empty for everything.
    pub filter: String,
    /// Only models with metrics on one of these data sets; metric comparisons look at these alone.
    pub datasets: Vec<Dataset>,
    /// Keys, the first is the most important.
    pub order_by: Vec<OrderBy>,
    /// How many results at most.
    pub max_results: Option<i64>,
    /// Empty for the first page.
    pub page_token: String,
}

/// A data set that metrics were measured on.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// The name.
    pub name: String,
    /// The digest; any when it is not given.
    pub digest: Option<String>,
}

/// One key to order by.
#[derive(Clone, Debug, Default)]
pub struct OrderBy {
    /// An attribute or `metrics.<name>`.
    pub field_name: String,
    /// Upwards, or downwards.
    pub ascending: bool,
    /// Only values measured on the data set of this name.
    pub dataset_name: Option<String>,
    /// Only values measured on the data set with this digest.
    pub dataset_digest: Option<String>,
}

/// Searches models that are not deleted; the newest come first when no order is given.
pub async fn logged_models(session: &mut Session, query: &Query) -> Result<Page<LoggedModel>> {
    if query.datasets.iter().any(|dataset| dataset.name.is_empty()) {
        return Err(Error::invalid("`dataset_name` in the `datasets` clause must be specified."));
    }
    let size = match query.max_results {
        None | Some(0) => DEFAULT_SIZE,
        Some(size) if size < 0 => {
            return Err(Error::invalid(format!(
                "Invalid value for max_results. It must be a positive integer, but got {size}"
            )));
        }
        Some(size) => size,
    };
    let offset = offset(query)?;
    let ids = query.experiment_ids.iter().map(|id| parse_id(id)).collect::<Result<Vec<_>>>()?;
    if ids.is_empty() {
        // The filter is checked all the same.
        push_filter(&mut Statement::built(""), query)?;
        return Ok(Page { items: Vec::new(), next_page_token: None });
    }
    let mut statement = Statement::built("SELECT ");
    statement.push(db::logged_model::COLUMNS).push(" FROM logged_models m");
    statement.push(" WHERE m.lifecycle_stage != 'deleted' AND m.experiment_id IN ").push_list(ids);
    push_filter(&mut statement, query)?;
    push_order(&mut statement, &query.order_by, &query.datasets)?;
    statement.push(" LIMIT ").push_bind(size.saturating_add(1)).push(" OFFSET ").push_bind(offset);
    let rows = session.rows(statement).await?;
    let mut items: Vec<LoggedModel> = rows.iter().map(db::logged_model::model).collect::<Result<_>>()?;
    let size_in_memory = usize::try_from(size).unwrap_or(usize::MAX);
    let next_page_token = (items.len() > size_in_memory).then(|| token(query, offset + size));
    items.truncate(size_in_memory);
    db::logged_model::fill(session, &mut items).await?;
    Ok(Page { items, next_page_token })
}

fn push_filter(statement: &mut Statement, query: &Query) -> Result<()> {
    push_clauses(statement, query).map_err(|fault| fault.in_text("filter", &query.filter))
}

fn push_clauses(statement: &mut Statement, query: &Query) -> Result<(), Fault> {
    let clauses = filter::parse(&query.filter)?;
    let mut any_metric = false;
    for clause in &clauses {
        let key = clause.name.key.as_str();
        match clause.name.prefix.as_deref() {
            None | Some("attributes") => {
                let known = ATTRIBUTES.iter().find(|(name, ..)| *name == key);
                let Some((_, column, is_number)) = known else {
                    return Err(Fault::new(
                        format!("'{key}' is not an attribute of logged models"),
                        clause.name.key_at,
                    ));
                };
                statement.push(" AND ");
                if *is_number {
                    push_number_clause(statement, column, clause, key)?;
                } else {
                    if key == "status" {
                        check_status(clause)?;
                    }
                    push_text_clause(statement, column, clause, key)?;
                }
            }
            Some("metrics") => {
                any_metric = true;
                statement.push(" AND ");
                check_operator(clause, "a metric", FOR_NUMBERS)?;
                push_latest(statement, key, &query.datasets, None);
                push_number_clause(statement, "", clause, "a metric")?;
            }
            Some("params") => {
                statement
                    .push(" AND EXISTS (SELECT 1 FROM logged_model_params t WHERE t.model_id = m.model_id AND t.param_key = ")
                    .push_bind(key)
                    .push(" AND ");
                push_text_clause(statement, "t.param_value", clause, "a param")?;
                statement.push(")");
            }
            Some("tags") => {
                statement
                    .push(" AND EXISTS (SELECT 1 FROM logged_model_tags t WHERE t.model_id = m.model_id AND t.tag_key = ")
                    .push_bind(key)
                    .push(" AND ");
                push_text_clause(statement, "t.tag_value", clause, "a tag")?;
                statement.push(")");
            }
            Some(other) => {
                let message = format!("'{other}' is not one of attributes, metrics, params, tags");
                return Err(Fault::new(message, clause.name.at));
            }
        }
    }
    if !any_metric && !query.datasets.is_empty() {
        statement.push(" AND EXISTS (SELECT 1 FROM logged_model_metrics t WHERE t.model_id = m.model_id");
        push_datasets(statement, &query.datasets);
        statement.push(")");
    }
    Ok(())
}

/// A status is compared by its exact name.
fn check_status(clause: &Clause) -> Result<(), Fault> {
    check_operator(clause, "status", &[Operator::Equal, Operator::NotEqual, Operator::In, Operator::NotIn])?;
    let names = match &clause.value {
        Some(Value::Text(name)) => std::slice::from_ref(name),
        Some(Value::List(names)) => names.as_slice(),
        _ => &[],
    };
    match names.iter().find(|name| !STATUSES.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let message = format!("Unknown model status '{unknown}', it is one of {}", STATUSES.join(", "));
            Err(Fault::new(message, clause.value_at))
        }
    }
}

fn push_number_clause(
    statement: &mut Statement,
    column: &str,
    clause: &Clause,
    what: &str,
) -> Result<(), Fault> {
    check_operator(clause, what, FOR_NUMBERS)?;
    let (number, whole) = number_value(clause, what)?;
    push_number(statement, column, clause.operator, number, whole);
    Ok(())
}

fn push_text_clause(
    statement: &mut Statement,
    column: &str,
    clause: &Clause,
    what: &str,
) -> Result<(), Fault> {
    check_operator(clause, what, FOR_TEXT)?;
    let value = match &clause.value {
        // A bare number is compared as it is written.
        Some(Value::Number(number, true)) => Value::Text(format!("{number:.0}")),
        Some(Value::Number(number, false)) => Value::Text(python_float(*number)),
        Some(other) => other.clone(),
        None => return Err(Fault::new(format!("{what} needs a value"), clause.operator_at)),
    };
    push_text(statement, column, clause.operator, &value);
    Ok(())
}

/// Appends a condition on the data set of the metric row `t`.
fn push_datasets(statement: &mut Statement, datasets: &[Dataset]) {
    for (index, dataset) in datasets.iter().enumerate() {
        statement.push(if index == 0 { " AND (" } else { " OR " });
        statement.push("(t.dataset_name = ").push_bind(&dataset.name);
        if let Some(digest) = &dataset.digest {
            statement.push(" AND t.dataset_digest = ").push_bind(digest);
        }
        statement.push(")");
    }
    if !datasets.is_empty() {
        statement.push(")");
    }
}

/// Appends the latest value that a model has of a metric: the one of the largest step, time and value.
fn push_latest(statement: &mut Statement, key: &str, datasets: &[Dataset], only: Option<&OrderBy>) {
    statement
        .push("(SELECT t.metric_value FROM logged_model_metrics t WHERE t.model_id = m.model_id AND t.metric_name = ")
        .push_bind(key);
    push_datasets(statement, datasets);
    if let Some(name) = only.and_then(|order| order.dataset_name.as_ref()) {
        statement.push(" AND t.dataset_name = ").push_bind(name);
    }
    if let Some(digest) = only.and_then(|order| order.dataset_digest.as_ref()) {
        statement.push(" AND t.dataset_digest = ").push_bind(digest);
    }
    statement.push(" ORDER BY t.metric_step DESC, t.metric_timestamp_ms DESC, t.metric_value DESC LIMIT 1)");
}

fn push_order(statement: &mut Statement, orders: &[OrderBy], datasets: &[Dataset]) -> Result<()> {
    let (mut by_time, mut by_id) = (false, false);
    statement.push(" ORDER BY ");
    for order in orders {
        match order.field_name.split_once('.') {
            Some(("metrics", key)) => push_latest(statement, key, datasets, Some(order)),
            Some(_) => {
                let message =
                    format!("Invalid order by field name: {}. Only metrics are supported.", order.field_name);
                return Err(Error::invalid(message));
            }
            None => {
                let known = ATTRIBUTES.iter().find(|(name, ..)| *name == order.field_name);
                let known = known.ok_or_else(|| {
                    Error::invalid(format!("Invalid order by field name: {}", order.field_name))
                })?;
                by_time |= known.1 == "m.creation_timestamp_ms";
                by_id |= known.1 == "m.model_id";
                // The status is kept, and ordered, as a number.
                statement.push(if known.0 == "status" { "m.status" } else { known.1 });
                if !known.2 && known.0 != "status" {
                    statement.push(BINARY);
                }
            }
        }
        statement.push(if order.ascending { " ASC NULLS LAST, " } else { " DESC NULLS LAST, " });
    }
    if !by_time {
        statement.push("m.creation_timestamp_ms DESC, ");
    }
    statement.push(if by_id { "1" } else { "m.model_id COLLATE BINARY" });
    Ok(())
}

/// The token of the page at `offset`: it carries the query, so that it cannot be used with another one.
fn token(query: &Query, offset: i64) -> String {
    BASE64_STANDARD.encode(python::json(&json!({
        "experiment_ids": query.experiment_ids,
        "filter_string": if query.filter.is_empty() { Json::Null } else { json!(query.filter) },
        "order_by": order_json(query),
        "offset": offset,
    })))
}

fn order_json(query: &Query) -> Json {
    let orders: Vec<Json> = query
        .order_by
        .iter()
        .map(|order| {
            json!({
                "field_name": order.field_name,
                "ascending": order.ascending,
                "dataset_name": order.dataset_name,
                "dataset_digest": order.dataset_digest,
            })
        })
        .collect();
    if orders.is_empty() { Json::Null } else { Json::Array(orders) }
}

fn offset(query: &Query) -> Result<i64> {
    if query.page_token.is_empty() {
        return Ok(0);
    }
    let bytes = BASE64_STANDARD.decode(&query.page_token).ok();
    let token: Option<Json> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let token = token.ok_or_else(|| Error::invalid(format!("Invalid page token: {}", query.page_token)))?;
    let same = |key: &str, asked: Json, what: &str| {
        let found = token.get(key).cloned().unwrap_or(Json::Null);
        if found == asked {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{what} in the page token does not match the requested one. Expected: {asked}. Found: {found}"
        )))
    };
    same("experiment_ids", json!(query.experiment_ids), "The list of experiment IDs")?;
    same(
        "filter_string",
        if query.filter.is_empty() { Json::Null } else { json!(query.filter) },
        "The filter string",
    )?;
    same("order_by", order_json(query), "The order by")?;
    let offset = token.get("offset").and_then(Json::as_i64).unwrap_or(0);
    if offset < 0 {
        Err(Error::invalid(format!("Invalid page token: {}", query.page_token)))
    } else {
        Ok(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(filter: &str) -> Query {
        Query { experiment_ids: vec!["3".to_owned()], filter: filter.to_owned(), ..Query::default() }
    }

    #[test]
    fn tokens_carry_the_query() {
        let mut asked = query("name != 'q'");
        asked.order_by =
            vec![OrderBy { field_name: "name".to_owned(), ascending: true, ..OrderBy::default() }];
        let token = token(&asked, 1);
        // As MLflow writes it for the same query.
        assert_eq!(
            token,
            "eyJleHBlcmltZW50X2lkcyI6IFsiMyJdLCAiZmlsdGVyX3N0cmluZyI6ICJuYW1lICE9ICdxJyIsICJvcmRlcl9ieSI6IFt7ImZpZWxkX25hbWUi\
             OiAibmFtZSIsICJhc2NlbmRpbmciOiB0cnVlLCAiZGF0YXNldF9uYW1lIjogbnVsbCwgImRhdGFzZXRfZGlnZXN0IjogbnVsbH1dLCAib2Zmc2V0\
             IjogMX0="
        );
        asked.page_token = token.clone();
        assert_eq!(offset(&asked).unwrap(), 1);
        let mut other = query("");
        other.page_token = token;
        assert!(offset(&other).is_err());
        for broken in ["x", "e30"] {
            other.page_token = broken.to_owned();
            assert!(offset(&other).is_err(), "{broken}");
        }
    }

    #[test]
    fn filters() {
        let sql = |text: &str| {
            let mut statement = Statement::built("");
            match push_filter(&mut statement, &query(text)) {
                Ok(()) => statement.sql,
                Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
            }
        };
        let latest = |key: &str| {
            format!(
                "(SELECT t.metric_value FROM logged_model_metrics t WHERE t.model_id = m.model_id AND t.metric_name = {key} \
                 ORDER BY t.metric_step DESC, t.metric_timestamp_ms DESC, t.metric_value DESC LIMIT 1)"
            )
        };
        let exists = |table: &str, rest: &str| {
            format!(
                " AND EXISTS (SELECT 1 FROM logged_model_{table} t WHERE t.model_id = m.model_id AND {rest})"
            )
        };
        for (text, want) in [
            ("", String::new()),
            (
                "name = 'a' AND creation_time > 5",
                " AND m.name = $1 AND m.creation_timestamp_ms > $2".to_owned(),
            ),
            ("attributes.model_id IN ('a','b')", " AND m.model_id IN ($1, $2)".to_owned()),
            ("metrics.acc >= 0.5", format!(" AND {} >= $2", latest("$1"))),
            ("params.`a.b` = 1", exists("params", "t.param_key = $1 AND t.param_value = $2")),
            ("status LIKE 'R%'", "Invalid filter: status can be compared with = != IN NOT IN only, not with LIKE".to_owned()),
            (
                "status IN ('READY', 'DONE')",
                "Invalid filter: Unknown model status 'DONE', it is one of UNSPECIFIED, PENDING, READY, FAILED".to_owned(),
            ),
            ("tags.x ILIKE 'Y%'", exists("tags", "t.tag_key = $1 AND LOWER(t.tag_value) LIKE LOWER($2)")),
            ("bogus = 'x'", "Invalid filter: 'bogus' is not an attribute of logged models".to_owned()),
            (
                "metric.acc > 0",
                "Invalid filter: 'metric' is not one of attributes, metrics, params, tags".to_owned(),
            ),
            (
                "metrics.acc > 'x'",
                "Invalid filter: a metric is compared with a number, not with a quoted text".to_owned(),
            ),
            (
                "name > 'a'",
                "Invalid filter: name can be compared with = != LIKE ILIKE IN NOT IN only, not with >"
                    .to_owned(),
            ),
        ] {
            assert_eq!(sql(text), want, "{text}");
        }
    }

    #[test]
    fn data_sets_limit_metrics() {
        let mut asked = query("metrics.acc > 0");
        asked.datasets = vec![
            Dataset { name: "a".to_owned(), digest: None },
            Dataset { name: "b".to_owned(), digest: Some("1".to_owned()) },
        ];
        let mut statement = Statement::built("");
        push_filter(&mut statement, &asked).unwrap();
        let want =
            " AND ((t.dataset_name = $2) OR (t.dataset_name = $3 AND t.dataset_digest = $4)) ORDER BY ";
        assert!(statement.sql.contains(want), "{}", statement.sql);
    }

    #[test]
    fn orders() {
        let sql = |field: &str| {
            let orders = [OrderBy { field_name: field.to_owned(), ascending: false, ..OrderBy::default() }];
            let mut statement = Statement::built("");
            let done = push_order(&mut statement, &orders, &[]);
            done.map_or_else(|error| error.to_string(), |()| statement.sql)
        };
        assert_eq!(
            sql("metrics.acc"),
            " ORDER BY (SELECT t.metric_value FROM logged_model_metrics t WHERE t.model_id = m.model_id AND t.metric_name = $1 \
             ORDER BY t.metric_step DESC, t.metric_timestamp_ms DESC, t.metric_value DESC LIMIT 1) DESC NULLS LAST, \
             m.creation_timestamp_ms DESC, m.model_id COLLATE BINARY"
        );
        assert_eq!(
            sql("creation_time"),
            " ORDER BY m.creation_timestamp_ms DESC NULLS LAST, m.model_id COLLATE BINARY"
        );
        assert_eq!(sql("nope"), "Invalid order by field name: nope");
        assert_eq!(sql("params.x"), "Invalid order by field name: params.x. Only metrics are supported.");
    }
}
