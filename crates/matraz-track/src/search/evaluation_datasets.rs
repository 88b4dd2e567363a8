//! The search over evaluation datasets.

use super::filter::{self, Clause, FOR_NUMBERS, Operator, Value};
use super::models::Page;
use super::to_sql::{check_operator, number_value, push_number, push_text, text_value};
use super::{Fault, order, page};
use crate::db::{self, Session, Statement};
use crate::error::{Error, Result};
use crate::evaluation_dataset::{EvaluationDataset, KIND};

/// Datasets on a page when the client does not say.
const DEFAULT_SIZE: i64 = 1000;
/// The most datasets on a page.
const MAX_SIZE: i64 = 50_000;

const FOR_TEXT: &[Operator] = &[Operator::Equal, Operator::NotEqual, Operator::Like, Operator::Ilike];
const FOR_NAMES: &[Operator] =
    &[Operator::Equal, Operator::NotEqual, Operator::Like, Operator::Ilike, Operator::In];

/// Which datasets are looked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Empty for all.
    pub experiment_ids: Vec<String>,
    /// Empty for everything.
    pub filter: String,
    /// Keys, the first is the most important.
    pub order_by: Vec<String>,
    /// How many at most.
    pub max_results: Option<i64>,
    /// Empty for the first page.
    pub page_token: String,
}

/// Searches datasets; the newest come first when no order is given.
pub async fn evaluation_datasets(session: &mut Session, query: &Query) -> Result<Page<EvaluationDataset>> {
    let size = query.max_results.unwrap_or(DEFAULT_SIZE);
    if size < 1 {
        return Err(Error::invalid(format!(
            "Invalid value {size} for parameter 'max_results' supplied. It must be a positive integer"
        )));
    }
    if size > MAX_SIZE {
        return Err(Error::invalid(format!(
            "Invalid value {size} for parameter 'max_results' supplied. It must be at most {MAX_SIZE}"
        )));
    }
    let offset = page::offset(Some(&query.page_token))?;
    let columns = db::evaluation_dataset::COLUMNS;
    let mut statement = Statement::built(&format!(
        "SELECT {columns} FROM evaluation_datasets e WHERE e.workspace = 'default'"
    ));
    if !query.experiment_ids.is_empty() {
        statement
            .push(
                " AND e.dataset_id IN (SELECT l.source_id FROM entity_associations l WHERE l.source_type = ",
            )
            .push_bind(KIND)
            .push(" AND l.destination_type = 'experiment' AND l.destination_id IN ")
            .push_list(&query.experiment_ids)
            .push(")");
    }
    let refused = |fault: Fault| fault.in_text("filter", &query.filter);
    for clause in &filter::parse(&query.filter).map_err(refused)? {
        statement.push(" AND ");
        push_clause(&mut statement, clause).map_err(refused)?;
    }
    push_order(&mut statement, &query.order_by)?;
    statement.push(" LIMIT ").push_bind(size + 1).push(" OFFSET ").push_bind(offset);
    let rows = session.rows(statement).await?;
    let mut items: Vec<EvaluationDataset> =
        rows.iter().map(db::evaluation_dataset::dataset).collect::<Result<_>>()?;
    let next_page_token = page::cut(&mut items, offset, size);
    db::evaluation_dataset::fill(session, &mut items).await?;
    Ok(Page { items, next_page_token })
}

fn push_clause(statement: &mut Statement, clause: &Clause) -> Result<(), Fault> {
    let key = clause.name.key.as_str();
    match (clause.name.prefix.as_deref(), key) {
        (None, "name") => {
            check_operator(clause, key, FOR_NAMES)?;
            push_text(statement, "e.name", clause.operator, text_value(clause, key)?);
        }
        (None, "created_by" | "last_updated_by") => {
            check_operator(clause, key, FOR_TEXT)?;
            push_text(statement, &format!("e.{key}"), clause.operator, text_value(clause, key)?);
        }
        (None, "created_time" | "last_update_time") => {
            check_operator(clause, key, FOR_NUMBERS)?;
            let (number, whole) = number_value(clause, key)?;
            if !whole {
                return Err(Fault::new(format!("{key} is compared with a whole number"), clause.value_at));
            }
            push_number(statement, &format!("e.{key}"), clause.operator, number, whole);
        }
        (None, _) => {
            let message = format!(
                "'{key}' is not an attribute of datasets: it must be one of name, created_by, last_updated_by, created_time, \
                 last_update_time"
            );
            return Err(Fault::new(message, clause.name.key_at));
        }
        (Some("tags"), _) => {
            check_operator(clause, "a tag", FOR_TEXT)?;
            let value: &Value = text_value(clause, "a tag")?;
            statement
                .push("EXISTS (SELECT 1 FROM evaluation_dataset_tags t WHERE t.dataset_id = e.dataset_id AND t.key = ")
                .push_bind(key)
                .push(" AND ");
            push_text(statement, "t.value", clause.operator, value);
            statement.push(")");
        }
        (Some(other), _) => {
            return Err(Fault::new(format!("'{other}' is not tags"), clause.name.at));
        }
    }
    Ok(())
}

fn push_order(statement: &mut Statement, orders: &[String]) -> Result<()> {
    statement.push(" ORDER BY ");
    for text in orders {
        let refused = |fault: Fault| fault.in_text("order_by", text);
        let order = order::parse(text).map_err(refused)?;
        let known = ["name", "created_time", "last_update_time"];
        if order.name.prefix.is_some() || !known.contains(&order.name.key.as_str()) {
            let message = format!(
                "'{text}' cannot be ordered by: it must be one of name, created_time, last_update_time"
            );
            return Err(refused(Fault::new(message, order.name.at)));
        }
        let direction = if order.ascending { "ASC" } else { "DESC" };
        statement.push(&format!("e.{} {direction}, ", order.name.key));
    }
    if orders.is_empty() {
        statement.push("e.created_time DESC, ");
    }
    statement.push("e.dataset_id DESC");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_and_orders() {
        let sql = |text: &str| {
            let clauses = filter::parse(text).unwrap();
            let mut statement = Statement::built("");
            push_clause(&mut statement, &clauses[0]).map_or_else(|fault| fault.message, |()| statement.sql)
        };
        for (filter, want) in [
            ("name IN ('a')", "e.name IN ($1)"),
            ("created_time >= 5", "e.created_time >= $1"),
            (
                "tags.a = 'b'",
                "EXISTS (SELECT 1 FROM evaluation_dataset_tags t WHERE t.dataset_id = e.dataset_id AND t.key = $1 AND t.value = $2)",
            ),
            ("last_update_time > 1.5", "last_update_time is compared with a whole number"),
            ("name = 5", "name is compared with a quoted text such as 'my-value', not with a number"),
            ("metrics.a = 5", "'metrics' is not tags"),
        ] {
            assert_eq!(sql(filter), want, "{filter}");
        }
        assert!(push_order(&mut Statement::built(""), &["tags.a".to_owned()]).is_err());
    }
}
