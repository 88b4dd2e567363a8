//! Searches of registered models and of their versions.
//!
//! Both tables also hold prompts, which carry the tag `mlflow.prompt.is_prompt`. A search finds models only, unless the
//! filter asks for prompts by that tag.

use super::Fault;
use super::filter::{self, Clause, FOR_NUMBERS, Operator};
use super::order::{self, Order};
use super::page;
use super::to_sql::{check_operator, number_value, push_number, push_text, text_value};
use crate::auth::Scope;
use crate::db::{self, Session, Statement};
use crate::error::{Error, Result};
use crate::model_version::ModelVersion;
use crate::registered_model::{IS_PROMPT, RegisteredModel};

/// The most registered models on a page.
const MAX_MODELS: i64 = 1000;
/// Registered models on a page when the client does not say.
const DEFAULT_MODELS: i64 = 100;
/// The most versions on a page, and how many there are when the client does not say.
const MAX_VERSIONS: i64 = 200_000;

const FOR_TAGS: &[Operator] = &[Operator::Equal, Operator::NotEqual, Operator::Like, Operator::Ilike];
const FOR_TEXT: &[Operator] = FOR_TAGS;
const FOR_NAMES: &[Operator] =
    &[Operator::Equal, Operator::NotEqual, Operator::Like, Operator::Ilike, Operator::In, Operator::NotIn];

/// What a client searches for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Empty for everything.
    pub filter: String,
    /// Keys, the first is the most important.
    pub order_by: Vec<String>,
    /// How many results at most.
    pub max_results: Option<i64>,
    /// Empty for the first page.
    pub page_token: String,
    /// The models that may be found.
    pub models: Scope,
    /// The prompts that may be found.
    pub prompts: Scope,
}

/// A page of results.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The results.
    pub items: Vec<T>,
    /// The token of the next page, if there is one.
    pub next_page_token: Option<String>,
}

/// A column that a search knows by name.
struct Column {
    name: &'static str,
    sql: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Compared with a text or a list of them.
    Name,
    /// Compared with a text.
    Text,
    /// Compared with a whole number.
    Number,
}

/// How one of the two tables is searched.
struct Table {
    columns: &'static [Column],
    orders: &'static [(&'static str, &'static str)],
    /// The alias of the table and its table of tags.
    alias: &'static str,
    tags: &'static str,
    /// What joins a row of the table of tags, known as `t`, to a row of the table.
    tag_of: &'static str,
}

const MODELS: Table = Table {
    columns: &[Column { name: "name", sql: "m.name", kind: Kind::Name }],
    orders: &[
        ("name", "m.name COLLATE BINARY"),
        ("timestamp", "m.last_updated_time"),
        ("last_updated_timestamp", "m.last_updated_time"),
    ],
    alias: "m",
    tags: "registered_model_tags",
    tag_of: "t.workspace = m.workspace AND t.name = m.name",
};

const VERSIONS: Table = Table {
    columns: &[
        Column { name: "name", sql: "v.name", kind: Kind::Name },
        Column { name: "run_id", sql: "v.run_id", kind: Kind::Name },
        Column { name: "source_path", sql: "v.source", kind: Kind::Text },
        Column { name: "version_number", sql: "v.version", kind: Kind::Number },
    ],
    orders: &[
        ("name", "v.name COLLATE BINARY"),
        ("version_number", "v.version"),
        ("creation_timestamp", "v.creation_time"),
        ("last_updated_timestamp", "v.last_updated_time"),
    ],
    alias: "v",
    tags: "model_version_tags",
    tag_of: "t.workspace = v.workspace AND t.name = v.name AND t.version = v.version",
};

/// Searches registered models; by name when no order is given.
pub async fn registered_models(session: &mut Session, query: &Query) -> Result<Page<RegisteredModel>> {
    let size = page_size(query.max_results, DEFAULT_MODELS, MAX_MODELS)?;
    let offset = page::offset(Some(&query.page_token))?;
    let mut statement = Statement::built("SELECT ");
    statement
        .push(db::registered_model::COLUMNS)
        .push(" FROM registered_models m WHERE m.workspace = 'default'");
    push_filter(&mut statement, &MODELS, &query.filter)?;
    push_scopes(&mut statement, query, "m.name");
    let mut orders = read_orders(&MODELS, &query.order_by)?;
    finish_order(&mut orders, "m.name COLLATE BINARY", true);
    push_page(&mut statement, &orders, size, offset);
    let rows = session.rows(statement).await?;
    let mut items: Vec<RegisteredModel> =
        rows.iter().map(db::registered_model::model).collect::<Result<_>>()?;
    let next_page_token = page::cut(&mut items, offset, size);
    db::registered_model::fill(session, &mut items).await?;
    Ok(Page { items, next_page_token })
}

/// Searches versions; the ones changed last come first when no order is given.
pub async fn model_versions(session: &mut Session, query: &Query) -> Result<Page<ModelVersion>> {
    let size = page_size(query.max_results, MAX_VERSIONS, MAX_VERSIONS)?;
    let offset = page::offset(Some(&query.page_token))?;
    let mut statement = Statement::built("SELECT ");
    statement.push(db::model_version::COLUMNS).push(
        " FROM model_versions v WHERE v.workspace = 'default' AND v.current_stage != 'Deleted_Internal'",
    );
    push_filter(&mut statement, &VERSIONS, &query.filter)?;
    push_scopes(&mut statement, query, "v.name");
    let mut orders = read_orders(&VERSIONS, &query.order_by)?;
    if orders.is_empty() {
        orders.push(("v.last_updated_time", false));
    }
    finish_order(&mut orders, "v.name COLLATE BINARY", true);
    finish_order(&mut orders, "v.version", false);
    push_page(&mut statement, &orders, size, offset);
    let rows = session.rows(statement).await?;
    let mut items: Vec<ModelVersion> = rows.iter().map(db::model_version::version).collect::<Result<_>>()?;
    let next_page_token = page::cut(&mut items, offset, size);
    db::model_version::fill_tags(session, &mut items).await?;
    Ok(Page { items, next_page_token })
}

/// Leaves out what the query may not find.
fn push_scopes(statement: &mut Statement, query: &Query, name: &str) {
    if query.models == Scope::All && query.prompts == Scope::All {
        return;
    }
    let is_prompt = format!(
        "EXISTS (SELECT 1 FROM registered_model_tags s WHERE s.workspace = 'default' AND s.name = {name} \
         AND s.key = '{IS_PROMPT}' AND LOWER(s.value) = 'true')"
    );
    statement.push(" AND ((").push(&is_prompt);
    query.prompts.push_texts(statement, name);
    statement.push(") OR (NOT ").push(&is_prompt);
    query.models.push_texts(statement, name);
    statement.push("))");
}

fn page_size(asked: Option<i64>, default: i64, most: i64) -> Result<i64> {
    match asked {
        None => Ok(default),
        Some(size) if size < 1 => Err(Error::invalid(format!(
            "Invalid value for max_results. It must be a positive integer, but got {size}"
        ))),
        Some(size) if size > most => Err(Error::invalid(format!(
            "Invalid value for request parameter max_results. It must be at most {most}, but got value {size}"
        ))),
        Some(size) => Ok(size),
    }
}

fn push_filter(statement: &mut Statement, table: &Table, text: &str) -> Result<()> {
    push_clauses(statement, table, text).map_err(|fault| fault.in_text("filter", text))
}

fn push_clauses(statement: &mut Statement, table: &Table, text: &str) -> Result<(), Fault> {
    let clauses = filter::parse(text)?;
    let prompts = clauses
        .iter()
        .find(|clause| is_tag(clause) && clause.name.key == IS_PROMPT)
        .is_some_and(asks_for_prompts);
    for clause in &clauses {
        match clause.name.prefix.as_deref() {
            Some("tag" | "tags") => {
                check_operator(clause, "a tag", FOR_TAGS)?;
                let value = text_value(clause, "a tag")?;
                if clause.name.key == IS_PROMPT && !prompts {
                    continue;
                }
                statement
                    .push(" AND EXISTS (SELECT 1 FROM ")
                    .push(table.tags)
                    .push(" t WHERE ")
                    .push(table.tag_of);
                statement.push(" AND t.key = ").push_bind(&clause.name.key).push(" AND ");
                push_text(statement, "t.value", clause.operator, value);
                statement.push(")");
            }
            None | Some("attribute") => push_attribute(statement, table, clause)?,
            Some(other) => {
                let message = format!("'{other}' is not one of attribute, tag, tags");
                return Err(Fault::new(message, clause.name.at));
            }
        }
    }
    if !prompts {
        // By name alone: a prompt with any version that says so is hidden with all of them.
        statement
            .push(" AND NOT EXISTS (SELECT 1 FROM ")
            .push(table.tags)
            .push(" t WHERE t.workspace = ")
            .push(table.alias);
        statement
            .push(".workspace AND t.name = ")
            .push(table.alias)
            .push(".name AND t.key = ")
            .push_bind(IS_PROMPT);
        statement.push(" AND t.value = 'true')");
    }
    Ok(())
}

fn push_attribute(statement: &mut Statement, table: &Table, clause: &Clause) -> Result<(), Fault> {
    let Some(column) = table.columns.iter().find(|column| column.name == clause.name.key) else {
        let known: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let message =
            format!("Invalid attribute key '{}', valid keys are {}", clause.name.key, known.join(", "));
        return Err(Fault::new(message, clause.name.key_at));
    };
    statement.push(" AND ");
    if column.kind == Kind::Number {
        check_operator(clause, column.name, FOR_NUMBERS)?;
        let (number, whole) = number_value(clause, column.name)?;
        if !whole {
            return Err(Fault::new(
                format!("{} is compared with a whole number", column.name),
                clause.value_at,
            ));
        }
        push_number(statement, column.sql, clause.operator, number, whole);
    } else {
        let allowed = if column.kind == Kind::Name { FOR_NAMES } else { FOR_TEXT };
        check_operator(clause, column.name, allowed)?;
        push_text(statement, column.sql, clause.operator, text_value(clause, column.name)?);
    }
    Ok(())
}

fn is_tag(clause: &Clause) -> bool {
    matches!(clause.name.prefix.as_deref(), Some("tag" | "tags"))
}

/// Whether a clause over the prompt tag wants prompts.
fn asks_for_prompts(clause: &Clause) -> bool {
    let Some(filter::Value::Text(value)) = &clause.value else { return false };
    match clause.operator {
        Operator::Equal => value.eq_ignore_ascii_case("true"),
        Operator::NotEqual => value.eq_ignore_ascii_case("false"),
        _ => false,
    }
}

/// The columns to order by, with whether upwards.
fn read_orders(table: &Table, order_by: &[String]) -> Result<Vec<(&'static str, bool)>> {
    let mut orders: Vec<(&'static str, bool)> = Vec::new();
    for text in order_by {
        let read = order::parse(text)
            .and_then(|order| column_of(table, &order).map(|column| (column, order.ascending)));
        let (column, ascending) = read.map_err(|fault| fault.in_text("order_by", text))?;
        if orders.iter().any(|(known, _)| *known == column) {
            return Err(Error::invalid(format!("`order_by` contains duplicate fields: {order_by:?}")));
        }
        orders.push((column, ascending));
    }
    Ok(orders)
}

fn column_of(table: &Table, order: &Order) -> Result<&'static str, Fault> {
    let is_attribute = matches!(order.name.prefix.as_deref(), None | Some("attribute"));
    let known = table.orders.iter().find(|(name, _)| is_attribute && *name == order.name.key);
    known.map(|(_, sql)| *sql).ok_or_else(|| {
        let known: Vec<&str> = table.orders.iter().map(|(name, _)| *name).collect();
        Fault::new(
            format!(
                "Invalid order by key '{}' specified, valid keys are {}",
                order.name.key,
                known.join(", ")
            ),
            order.name.at,
        )
    })
}

/// Adds a last key, so that the order is the same on every page.
fn finish_order(orders: &mut Vec<(&'static str, bool)>, column: &'static str, ascending: bool) {
    if !orders.iter().any(|(known, _)| *known == column) {
        orders.push((column, ascending));
    }
}

fn push_page(statement: &mut Statement, orders: &[(&'static str, bool)], size: i64, offset: i64) {
    statement.push(" ORDER BY ");
    for (index, (column, ascending)) in orders.iter().enumerate() {
        statement.push(if index > 0 { ", " } else { "" }).push(column).push(if *ascending {
            " ASC"
        } else {
            " DESC"
        });
    }
    statement.push(" LIMIT ").push_bind(size + 1).push(" OFFSET ").push_bind(offset);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_sql(table: &Table, text: &str) -> String {
        let mut statement = Statement::built("");
        match push_filter(&mut statement, table, text) {
            Ok(()) => statement.sql,
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        }
    }

    const NO_PROMPTS: &str = " AND NOT EXISTS (SELECT 1 FROM registered_model_tags t WHERE t.workspace = m.workspace AND t.name = m.name \
        AND t.key = $N AND t.value = 'true')";

    #[test]
    fn model_filters() {
        let no_prompts = |number: &str| NO_PROMPTS.replace("$N", number);
        let tag = |key: &str, rest: &str| {
            format!(
                " AND EXISTS (SELECT 1 FROM registered_model_tags t WHERE t.workspace = m.workspace AND t.name = m.name \
                 AND t.key = {key} AND {rest})"
            )
        };
        for (text, want) in [
            ("", no_prompts("$1")),
            ("name LIKE 'a%'", format!(" AND m.name LIKE $1{}", no_prompts("$2"))),
            ("attribute.name IN ('a', 'b')", format!(" AND m.name IN ($1, $2){}", no_prompts("$3"))),
            ("tags.team != 'x'", format!("{}{}", tag("$1", "t.value != $2"), no_prompts("$3"))),
            (
                "tag.`a.b` ILIKE 'x'",
                format!("{}{}", tag("$1", "LOWER(t.value) LIKE LOWER($2)"), no_prompts("$3")),
            ),
            ("tags.`mlflow.prompt.is_prompt` != 'true'", no_prompts("$1")),
            ("tags.`mlflow.prompt.is_prompt` = 'true'", tag("$1", "t.value = $2")),
        ] {
            assert_eq!(filter_sql(&MODELS, text), want, "{text}");
        }
    }

    #[test]
    fn wrong_filters() {
        for (text, want) in [
            (
                "name > 'a'",
                "Invalid filter: name can be compared with = != LIKE ILIKE IN NOT IN only, not with >",
            ),
            ("nope = 'x'", "Invalid filter: Invalid attribute key 'nope', valid keys are name"),
            ("name = x", "Invalid filter: expected a number or a quoted text, found 'x'"),
            (
                "name = 5",
                "Invalid filter: name is compared with a quoted text such as 'my-value', not with a number",
            ),
            (
                "tags.a IS NULL",
                "Invalid filter: a tag can be compared with = != LIKE ILIKE only, not with IS NULL",
            ),
            (
                "tags.a IN ('x')",
                "Invalid filter: a tag can be compared with = != LIKE ILIKE only, not with IN",
            ),
            ("params.a = 'x'", "Invalid filter: 'params' is not one of attribute, tag, tags"),
        ] {
            assert_eq!(filter_sql(&MODELS, text), want, "{text}");
        }
        for (text, want) in [
            ("version_number = 1.5", "Invalid filter: version_number is compared with a whole number"),
            (
                "version_number LIKE '1'",
                "Invalid filter: version_number can be compared with = != < <= > >= only, not with LIKE",
            ),
            (
                "source_path IN ('x')",
                "Invalid filter: source_path can be compared with = != LIKE ILIKE only, not with IN",
            ),
            (
                "creation_timestamp > 1",
                "Invalid filter: Invalid attribute key 'creation_timestamp', valid keys are name, run_id, source_path, version_number",
            ),
        ] {
            assert_eq!(filter_sql(&VERSIONS, text), want, "{text}");
        }
    }

    #[test]
    fn orders() {
        let read = |table: &Table, texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            read_orders(table, &texts)
                .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
        };
        assert_eq!(
            read(&MODELS, &["timestamp DESC", "name"]),
            Ok(vec![("m.last_updated_time", false), ("m.name COLLATE BINARY", true)])
        );
        assert_eq!(read(&VERSIONS, &["version_number desc"]), Ok(vec![("v.version", false)]));
        assert!(read(&MODELS, &["timestamp", "last_updated_timestamp"]).unwrap_err().contains("duplicate"));
        assert!(
            read(&MODELS, &["creation_timestamp"])
                .unwrap_err()
                .contains("Invalid order by key 'creation_timestamp'")
        );
        assert!(read(&MODELS, &["tags.a"]).is_err());
    }

    #[test]
    fn page_sizes() {
        assert_eq!(page_size(None, 100, 1000).unwrap(), 100);
        assert_eq!(page_size(Some(1000), 100, 1000).unwrap(), 1000);
        for wrong in [0, -1, 1001] {
            assert!(page_size(Some(wrong), 100, 1000).is_err());
        }
    }
}
