//! The search over experiments.

use super::filter::{Clause, FOR_NUMBERS, Name, Operator, Value};
use super::to_sql::{check_operator, number_value, push_number, push_text, text_value};
use super::{Fault, filter, order};
use crate::auth::Scope;
use crate::db::Statement;
use crate::error::Result;

/// Which experiments are looked for, and in which order.
#[derive(Clone, Debug, Default)]
pub struct ExperimentSearch {
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
    /// The experiments that may be found.
    pub scope: Scope,
}

enum Field {
    Name,
    Id,
    Time(&'static str),
    Tag(String),
}

const TEXT_OPERATORS: &[Operator] = &[Operator::Equal, Operator::NotEqual, Operator::Like, Operator::Ilike];
const ID_OPERATORS: &[Operator] = &[Operator::Equal, Operator::NotEqual, Operator::In, Operator::NotIn];
const TAG_OPERATORS: &[Operator] = &[
    Operator::Equal,
    Operator::NotEqual,
    Operator::Like,
    Operator::Ilike,
    Operator::IsNull,
    Operator::IsNotNull,
];

impl ExperimentSearch {
    /// The statement; its columns follow `columns`, which selects from `experiments e`.
    pub fn statement(&self, columns: &str) -> Result<Statement> {
        let refused = |fault: Fault| fault.in_text("filter", &self.filter);
        let clauses = filter::parse(&self.filter).map_err(refused)?;
        let mut statement = Statement::built(columns);
        statement.push(" WHERE e.lifecycle_stage IN ").push_list(self.stages.iter().copied());
        self.scope.push_numbers(&mut statement, "e.experiment_id");
        for clause in &clauses {
            statement.push(" AND ");
            push_clause(&mut statement, clause).map_err(refused)?;
        }
        statement.push(" ORDER BY ").push(&self.ordering()?);
        statement.push(" LIMIT ").push_bind(self.limit).push(" OFFSET ").push_bind(self.offset);
        Ok(statement)
    }

    fn ordering(&self) -> Result<String> {
        let mut terms: Vec<String> = Vec::new();
        let mut by_id = false;
        for text in &self.order_by {
            let refused = |fault: Fault| fault.in_text("order_by", text);
            let parsed = order::parse(text).map_err(refused)?;
            let column = match field(&parsed.name).map_err(refused)? {
                Field::Name => "e.name COLLATE BINARY",
                Field::Id => {
                    by_id = true;
                    "e.experiment_id"
                }
                Field::Time("creation_time") => "e.creation_time",
                Field::Time(_) => "e.last_update_time",
                Field::Tag(_) => {
                    return Err(refused(Fault::new("experiments cannot be ordered by tags", parsed.name.at)));
                }
            };
            terms.push(format!("{column}{}", if parsed.ascending { "" } else { " DESC" }));
        }
        if terms.is_empty() {
            return Ok("e.creation_time DESC, e.experiment_id".to_owned());
        }
        if !by_id {
            terms.push("e.experiment_id DESC".to_owned());
        }
        Ok(terms.join(", "))
    }
}

fn field(name: &Name) -> Result<Field, Fault> {
    match (name.prefix.as_deref(), name.key.as_str()) {
        (Some("tag" | "tags"), key) => Ok(Field::Tag(key.to_owned())),
        (None | Some("attribute" | "attributes" | "attr"), key) => match key {
            "name" => Ok(Field::Name),
            "experiment_id" => Ok(Field::Id),
            "creation_time" => Ok(Field::Time("creation_time")),
            "last_update_time" => Ok(Field::Time("last_update_time")),
            other => Err(Fault::new(
                format!(
                    "Invalid attribute key '{other}': it is one of name, experiment_id, creation_time, last_update_time; \
                     tags need the prefix tags"
                ),
                name.key_at,
            )),
        },
        (Some(other), _) => {
            Err(Fault::new(format!("Invalid entity type '{other}': it is one of tags, attributes"), name.at))
        }
    }
}

fn push_clause(statement: &mut Statement, clause: &Clause) -> Result<(), Fault> {
    match field(&clause.name)? {
        Field::Name => {
            let operator = *check_operator(clause, "name", TEXT_OPERATORS)?;
            push_text(statement, "e.name", operator, text_value(clause, "name")?);
        }
        Field::Id => {
            let operator = *check_operator(clause, "experiment_id", ID_OPERATORS)?;
            let texts = match text_value(clause, "experiment_id")? {
                Value::List(items) => items.as_slice(),
                Value::Text(text) => std::slice::from_ref(text),
                Value::Number(..) => &[],
            };
            let mut ids = Vec::new();
            for text in texts {
                let fault = || Fault::new(format!("Invalid experiment ID '{text}'"), clause.value_at);
                ids.push(text.parse::<i64>().map_err(|_| fault())?);
            }
            let negated = matches!(operator, Operator::NotEqual | Operator::NotIn);
            statement
                .push(if negated { "e.experiment_id NOT IN " } else { "e.experiment_id IN " })
                .push_list(ids);
        }
        Field::Time(column) => {
            let operator = *check_operator(clause, column, FOR_NUMBERS)?;
            let (number, whole) = number_value(clause, column)?;
            if !whole {
                return Err(Fault::new(format!("{column} is compared with a whole number"), clause.value_at));
            }
            push_number(statement, &format!("e.{column}"), operator, number, true);
        }
        Field::Tag(key) => {
            let operator = *check_operator(clause, "a tag", TAG_OPERATORS)?;
            if operator == Operator::IsNull {
                statement.push("NOT ");
            }
            statement.push("EXISTS (SELECT 1 FROM experiment_tags t WHERE t.experiment_id = e.experiment_id AND t.key = ");
            statement.push_bind(key);
            if !matches!(operator, Operator::IsNull | Operator::IsNotNull) {
                statement.push(" AND ");
                push_text(statement, "t.value", operator, text_value(clause, "a tag")?);
            }
            statement.push(")");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(filter: &str, order: &[&str]) -> Result<String> {
        let order_by = order.iter().map(|text| (*text).to_owned()).collect();
        let search = ExperimentSearch {
            filter: filter.to_owned(),
            stages: vec!["active"],
            order_by,
            offset: 0,
            limit: 5,
            scope: Scope::default(),
        };
        search.statement("SELECT 1 FROM experiments e").map(|statement| statement.sql)
    }

    #[test]
    fn orders_break_ties() {
        assert!(sql("", &[]).unwrap().contains("ORDER BY e.creation_time DESC, e.experiment_id LIMIT"));
        assert!(
            sql("", &["name"])
                .unwrap()
                .contains("ORDER BY e.name COLLATE BINARY, e.experiment_id DESC LIMIT")
        );
        assert!(sql("", &["experiment_id ASC"]).unwrap().contains("ORDER BY e.experiment_id LIMIT"));
    }

    #[test]
    fn wrong_comparisons_are_refused() {
        for filter in [
            "name > 'a'",
            "name = 1",
            "experiment_id = 1",
            "experiment_id = 'x'",
            "experiment_id LIKE '1'",
            "creation_time = '1'",
            "creation_time = 1.5",
            "tags.a IN ('b')",
            "metrics.a = 1",
            "nope = 'a'",
        ] {
            assert!(sql(filter, &[]).is_err(), "{filter}");
        }
        assert!(sql("", &["tags.a"]).is_err());
        assert!(
            sql(
                "experiment_id NOT IN ('1', '2') AND tags.`a b` IS NULL AND attribute.creation_time >= 5",
                &[]
            )
            .is_ok()
        );
    }
}
