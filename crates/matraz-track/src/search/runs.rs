//! The search over runs: what the names of a filter or an order mean, and the SQL of it.

use super::filter::{Clause, FOR_NUMBERS, Name, Operator, Value};
use super::order::{self, Order};
use super::to_sql::{check_operator, number_value, push_number, push_text, text_value};
use super::{Fault, filter};
use crate::db::{BINARY, Statement};
use crate::error::{Error, Result};

/// Which runs are looked for, and in which order.
#[derive(Clone, Debug, Default)]
pub struct RunSearch {
    /// Numbers of experiments; none finds nothing.
    pub experiments: Vec<i64>,
    /// A filter expression.
    pub filter: String,
    /// Lifecycle stages.
    pub stages: Vec<&'static str>,
    /// Order expressions.
    pub order_by: Vec<String>,
    /// How many are skipped.
    pub offset: i64,
    /// How many are returned at most.
    pub limit: i64,
}

/// How a database finds the runs that have a metric, param or tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    /// For each run of the experiments one look into the table: for experiments that hold a small part of all runs.
    #[default]
    EachRun,
    /// All rows of the key at once, as a set: half the work where the experiments hold most of the runs.
    AllOfKey,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Field {
    Metric(String),
    Param(String),
    Tag(String),
    /// A text column of `runs`.
    Text(&'static str),
    /// A number column of `runs`.
    Number(&'static str),
    RunName,
    Dataset(&'static str),
}

const PREFIXES: &str = "metrics, params, tags, attributes, datasets";
const TEXT_OPERATORS: &[Operator] = &[Operator::Equal, Operator::NotEqual, Operator::Like, Operator::Ilike];
const KEYED_OPERATORS: &[Operator] = &[
    Operator::Equal,
    Operator::NotEqual,
    Operator::Like,
    Operator::Ilike,
    Operator::IsNull,
    Operator::IsNotNull,
];
const LISTED_OPERATORS: &[Operator] =
    &[Operator::Equal, Operator::NotEqual, Operator::Like, Operator::Ilike, Operator::In, Operator::NotIn];

impl RunSearch {
    /// The statement that gives the ids of the runs in order.
    pub fn statement(&self, lookup: Lookup) -> Result<Statement> {
        let clauses = filter::parse(&self.filter).map_err(|fault| fault.in_text("filter", &self.filter))?;
        let mut statement = Statement::built("SELECT r.run_uuid FROM runs r");
        let (ordering, joined) = self.push_order_joins(&mut statement)?;
        statement.push(" WHERE r.experiment_id IN ").push_list(self.experiments.iter().copied());
        statement.push(" AND r.lifecycle_stage IN ").push_list(self.stages.iter().copied());
        for clause in &clauses {
            statement.push(" AND ");
            push_clause(&mut statement, clause, &joined, lookup)
                .map_err(|fault| fault.in_text("filter", &self.filter))?;
        }
        statement.push(" ORDER BY ").push(&ordering);
        statement.push(" LIMIT ").push_bind(self.limit).push(" OFFSET ").push_bind(self.offset);
        Ok(statement)
    }

    /// Joins the tables that the order needs; gives the text of the order, and the fields behind the joins `o0`, `o1` … .
    fn push_order_joins(&self, statement: &mut Statement) -> Result<(String, Vec<Field>)> {
        let mut seen: Vec<Field> = Vec::new();
        let mut terms: Vec<String> = Vec::new();
        for (index, text) in self.order_by.iter().enumerate() {
            let refused = |fault: Fault| fault.in_text("order_by", text);
            let Order { name, ascending } = order::parse(text).map_err(refused)?;
            let field = order_field(&name).map_err(refused)?;
            if seen.contains(&field) {
                return Err(Error::invalid(format!(
                    "`order_by` contains duplicate fields: {:?}",
                    self.order_by
                )));
            }
            let alias = format!("o{index}");
            let (table, key) = match &field {
                Field::Metric(key) => (Some("latest_metrics"), key.as_str()),
                Field::Param(key) => (Some("params"), key.as_str()),
                Field::Tag(key) => (Some("tags"), key.as_str()),
                _ => (None, ""),
            };
            let column = match (&field, table) {
                (_, Some(table)) => {
                    statement.push(&format!(
                        " LEFT JOIN {table} {alias} ON {alias}.run_uuid = r.run_uuid AND {alias}.key = "
                    ));
                    statement.push_bind(key);
                    format!("{alias}.value")
                }
                (Field::Text(column) | Field::Number(column), None) => format!("r.{column}"),
                _ => "r.name".to_owned(),
            };
            // Missing values come last in both directions, NaN just before them.
            terms.push(match &field {
                Field::Metric(_) => {
                    format!("CASE WHEN {alias}.is_nan THEN 1 WHEN {column} IS NULL THEN 2 ELSE 0 END")
                }
                _ => format!("CASE WHEN {column} IS NULL THEN 1 ELSE 0 END"),
            });
            let collation = if matches!(field, Field::Metric(_) | Field::Number(_)) { "" } else { BINARY };
            terms.push(format!("{column}{collation}{}", if ascending { "" } else { " DESC" }));
            seen.push(field);
        }
        if !seen.contains(&Field::Number("start_time")) {
            terms.push("r.start_time DESC NULLS LAST".to_owned());
        }
        terms.push(format!("r.run_uuid{BINARY}"));
        Ok((terms.join(", "), seen))
    }
}

/// What a name in a filter stands for.
fn field(name: &Name) -> Result<Field, Fault> {
    let key = || name.key.clone();
    match name.prefix.as_deref() {
        Some("metric" | "metrics") => Ok(Field::Metric(key())),
        Some("param" | "params" | "parameter" | "parameters") => Ok(Field::Param(key())),
        Some("tag" | "tags") => Ok(Field::Tag(key())),
        Some("dataset" | "datasets") => match name.key.as_str() {
            "name" => Ok(Field::Dataset("name")),
            "digest" => Ok(Field::Dataset("digest")),
            "context" => Ok(Field::Dataset("context")),
            other => Err(Fault::new(
                format!("Invalid dataset key '{other}': it is one of name, digest, context"),
                name.key_at,
            )),
        },
        None | Some("attribute" | "attributes" | "attr" | "run") => match name.key.as_str() {
            "run_id" => Ok(Field::Text("run_uuid")),
            "status" => Ok(Field::Text("status")),
            "artifact_uri" => Ok(Field::Text("artifact_uri")),
            "user_id" => Ok(Field::Text("user_id")),
            "run_name" | "run name" | "Run name" | "Run Name" => Ok(Field::RunName),
            "start_time" | "created" | "Created" => Ok(Field::Number("start_time")),
            "end_time" => Ok(Field::Number("end_time")),
            other => Err(Fault::new(
                format!(
                    "Invalid attribute key '{other}': it is one of run_id, run_name, status, artifact_uri, user_id, \
                     start_time, end_time; other names need a prefix ({PREFIXES})"
                ),
                name.key_at,
            )),
        },
        Some(other) => {
            Err(Fault::new(format!("Invalid entity type '{other}': it is one of {PREFIXES}"), name.at))
        }
    }
}

fn order_field(name: &Name) -> Result<Field, Fault> {
    match field(name)? {
        Field::Dataset(_) => Err(Fault::new("runs cannot be ordered by their datasets", name.at)),
        Field::RunName if name.key != "run_name" => Err(Fault::new(
            format!("Invalid attribute key '{}' in an order: write run_name", name.key),
            name.key_at,
        )),
        field => Ok(field),
    }
}

/// Appends the condition of a clause. What is `joined` for the order is not looked up again.
fn push_clause(
    statement: &mut Statement,
    clause: &Clause,
    joined: &[Field],
    lookup: Lookup,
) -> Result<(), Fault> {
    let field = field(&clause.name)?;
    let alias = joined.iter().position(|known| *known == field).map(|index| format!("o{index}"));
    match field {
        Field::Metric(key) => {
            let operator = *check_operator(clause, "a metric", FOR_NUMBERS)?;
            let (number, _) = number_value(clause, "a metric")?;
            if alias.is_none() {
                push_key_exists(statement, "latest_metrics", &key, lookup);
                statement.push(" AND ");
            }
            let metric = alias.as_deref().unwrap_or("k");
            // NaN is stored as 0 and is different from every number.
            if operator == Operator::NotEqual {
                statement.push(&format!("({metric}.is_nan = TRUE OR "));
            } else {
                statement.push(&format!("({metric}.is_nan = FALSE AND "));
            }
            push_number(statement, &format!("{metric}.value"), operator, number, false);
            statement.push(if alias.is_none() { "))" } else { ")" });
        }
        Field::Param(key) => push_keyed(statement, clause, "params", &key, lookup)?,
        Field::Tag(key) => push_keyed(statement, clause, "tags", &key, lookup)?,
        // Runs of very old stores have their name in the tag only.
        Field::RunName => {
            let operator = *check_operator(clause, "run_name", TEXT_OPERATORS)?;
            let value = text_value(clause, "run_name")?;
            push_key_exists(statement, "tags", crate::run::RUN_NAME_TAG, lookup);
            statement.push(" AND ");
            push_text(statement, "k.value", operator, value);
            statement.push(")");
        }
        Field::Text(column) => {
            let allowed = if column == "run_uuid" { LISTED_OPERATORS } else { TEXT_OPERATORS };
            let operator = *check_operator(clause, &clause.name.key, allowed)?;
            push_text(statement, &format!("r.{column}"), operator, text_value(clause, &clause.name.key)?);
        }
        Field::Number(column) => {
            let operator = *check_operator(clause, &clause.name.key, FOR_NUMBERS)?;
            let (number, whole) = number_value(clause, &clause.name.key)?;
            push_number(statement, &format!("r.{column}"), operator, number, whole);
        }
        Field::Dataset(part) => {
            let operator = *check_operator(clause, "a dataset", LISTED_OPERATORS)?;
            let value = text_value(clause, "a dataset")?;
            statement.push(
                "EXISTS (SELECT 1 FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id \
                 WHERE i.destination_type = 'RUN' AND i.destination_id = r.run_uuid AND ",
            );
            if part == "context" {
                statement.push(
                    "EXISTS (SELECT 1 FROM input_tags t WHERE t.input_uuid = i.input_uuid AND t.name = ",
                );
                statement.push_bind(crate::dataset::CONTEXT_TAG).push(" AND ");
                push_text(statement, "t.value", operator, value);
                statement.push(")");
            } else {
                push_text(statement, &format!("d.{part}"), operator, value);
            }
            statement.push(")");
        }
    }
    Ok(())
}

fn push_keyed(
    statement: &mut Statement,
    clause: &Clause,
    table: &str,
    key: &str,
    lookup: Lookup,
) -> Result<(), Fault> {
    let what = if table == "params" { "a param" } else { "a tag" };
    let operator = *check_operator(clause, what, KEYED_OPERATORS)?;
    if operator == Operator::IsNull {
        statement.push("NOT ");
    }
    let value: Option<&Value> = match operator {
        Operator::IsNull | Operator::IsNotNull => None,
        _ => Some(text_value(clause, what)?),
    };
    push_key_exists(statement, table, key, lookup);
    if let Some(value) = value {
        statement.push(" AND ");
        push_text(statement, "k.value", operator, value);
    }
    statement.push(")");
    Ok(())
}

/// Appends the beginning of the condition that a run has a row `k` of the key; it ends with a parenthesis.
fn push_key_exists(statement: &mut Statement, table: &str, key: &str, lookup: Lookup) {
    match lookup {
        Lookup::EachRun => statement
            .push(&format!("EXISTS (SELECT 1 FROM {table} k WHERE k.run_uuid = r.run_uuid AND k.key = ")),
        Lookup::AllOfKey => {
            statement.push(&format!("r.run_uuid IN (SELECT k.run_uuid FROM {table} k WHERE k.key = "))
        }
    };
    statement.push_bind(key);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(filter: &str, order: &[&str]) -> Result<Statement> {
        let order_by = order.iter().map(|text| (*text).to_owned()).collect();
        RunSearch {
            experiments: vec![1],
            filter: filter.to_owned(),
            stages: vec!["active"],
            order_by,
            offset: 0,
            limit: 5,
        }
        .statement(Lookup::EachRun)
    }

    #[test]
    fn values_are_bound() {
        let got = search("params.`a'b` != 'x''; DROP' AND metrics.m > 1", &["tags.t DESC"]).unwrap();
        assert_eq!(
            got.sql,
            "SELECT r.run_uuid FROM runs r LEFT JOIN tags o0 ON o0.run_uuid = r.run_uuid AND o0.key = $1 \
             WHERE r.experiment_id IN ($2) AND r.lifecycle_stage IN ($3) \
             AND EXISTS (SELECT 1 FROM params k WHERE k.run_uuid = r.run_uuid AND k.key = $4 AND k.value != $5) \
             AND EXISTS (SELECT 1 FROM latest_metrics k WHERE k.run_uuid = r.run_uuid AND k.key = $6 AND (k.is_nan = FALSE AND k.value > $7)) \
             ORDER BY CASE WHEN o0.value IS NULL THEN 1 ELSE 0 END, o0.value COLLATE BINARY DESC, \
             r.start_time DESC NULLS LAST, r.run_uuid COLLATE BINARY LIMIT $8 OFFSET $9"
        );
        assert!(got.args.contains(&"x'; DROP".into()));
        let by_key =
            RunSearch { filter: "tags.t IS NULL".into(), experiments: vec![1], ..RunSearch::default() };
        let sql = by_key.statement(Lookup::AllOfKey).unwrap().sql;
        assert!(
            sql.contains("AND NOT r.run_uuid IN (SELECT k.run_uuid FROM tags k WHERE k.key = $2) ORDER"),
            "{sql}"
        );
        let sql = search("metrics.m > 1 AND metrics.n < 2", &["params.p", "metrics.m DESC"]).unwrap().sql;
        assert!(sql.contains("AND (o1.is_nan = FALSE AND o1.value > $5)"), "{sql}");
        assert_eq!(sql.matches("EXISTS").count(), 1, "{sql}");
    }

    #[test]
    fn names_and_operators_are_checked_with_a_caret() {
        for (filter, order, want) in [
            (
                "metrics.acc > 'x'",
                "",
                "a metric is compared with a number, not with a quoted text\n  metrics.acc > 'x'\n                ^",
            ),
            (
                "params.lr > '1'",
                "",
                "a param can be compared with = != LIKE ILIKE IS NULL IS NOT NULL only, not with >\n  params.lr > '1'\n            ^",
            ),
            ("bogus.k = '1'", "", "Invalid entity type 'bogus'"),
            ("attributes.nope = '1'", "", "Invalid attribute key 'nope'"),
            ("nope = '1'", "", "other names need a prefix"),
            ("params.lr = 1", "", "not with a number"),
            ("attributes.status IN ('A')", "", "not with IN"),
            ("start_time = 'x'", "", "not with a quoted text"),
            ("metrics.acc IS NULL", "", "not with IS NULL"),
            ("metrics.acc LIKE '1'", "", "not with LIKE"),
            ("dataset.bogus = 'x'", "", "Invalid dataset key 'bogus'"),
            ("", "bogus.k", "Invalid order_by: Invalid entity type 'bogus'"),
            ("", "dataset.name", "cannot be ordered by their datasets"),
            ("", "experiment_id", "Invalid attribute key 'experiment_id'"),
        ] {
            let order: &[&str] = if order.is_empty() { &[] } else { &[order] };
            let message = search(filter, order).unwrap_err().to_string();
            assert!(message.contains(want), "{filter}: {message}");
        }
        assert!(
            search("", &["metrics.a", "metric.`a` DESC"])
                .unwrap_err()
                .to_string()
                .contains("duplicate fields")
        );
        assert!(search("", &["metrics.a", "params.a"]).is_ok());
    }
}
