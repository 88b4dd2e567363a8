//! Comparisons as SQL. Values are always bound.

use super::Fault;
use super::filter::{Clause, Operator, Value};
use crate::db::{Arg, MATCHES, Statement};

/// Appends `column operator value` for texts.
pub fn push_text(statement: &mut Statement, column: &str, operator: Operator, value: &Value) {
    match value {
        Value::List(items) => {
            statement.push(column);
            statement.push(if operator == Operator::NotIn { " NOT IN " } else { " IN " });
            statement.push_list(items);
        }
        Value::Text(text) if operator == Operator::Ilike => {
            // There is no ILIKE on SQLite; this form is the same on every database.
            statement
                .push("LOWER(")
                .push(column)
                .push(") LIKE LOWER(")
                .push_bind(Arg::Pattern(text.clone()))
                .push(")");
        }
        Value::Text(text) if operator == Operator::Rlike => {
            statement.push(column).push(MATCHES).push_bind(text);
        }
        Value::Text(text) if operator == Operator::Like => {
            statement.push(column).push(" LIKE ").push_bind(Arg::Pattern(text.clone()));
        }
        Value::Text(text) => {
            statement.push(column).push(" ").push(operator.text()).push(" ").push_bind(text);
        }
        Value::Number(number, _) => {
            statement.push(column).push(" ").push(operator.text()).push(" ").push_bind(*number);
        }
    }
}

/// Appends `column operator number`.
pub fn push_number(statement: &mut Statement, column: &str, operator: Operator, number: f64, whole: bool) {
    statement.push(column).push(" ").push(operator.text()).push(" ");
    // A whole number is bound as one, so that an index over integers serves.
    if whole && number.abs() < 9e15 {
        statement.push_bind(number as i64);
    } else {
        statement.push_bind(number);
    }
}

/// The value of a clause when the operator is one of `allowed`; `what` names the left side in the fault.
pub fn check_operator<'c>(
    clause: &'c Clause,
    what: &str,
    allowed: &[Operator],
) -> Result<&'c Operator, Fault> {
    if allowed.contains(&clause.operator) {
        return Ok(&clause.operator);
    }
    let list: Vec<&str> = allowed.iter().map(|operator| operator.text()).collect();
    let message =
        format!("{what} can be compared with {} only, not with {}", list.join(" "), clause.operator.text());
    Err(Fault::new(message, clause.operator_at))
}

/// The text or the list of texts of a clause.
pub fn text_value<'c>(clause: &'c Clause, what: &str) -> Result<&'c Value, Fault> {
    match &clause.value {
        Some(Value::Text(text)) if clause.operator == Operator::Rlike && regex::Regex::new(text).is_err() => {
            Err(Fault::new("this is not a regular expression", clause.value_at))
        }
        Some(value @ (Value::Text(_) | Value::List(_))) => Ok(value),
        Some(other) => Err(Fault::new(
            format!("{what} is compared with a quoted text such as 'my-value', not with {}", other.noun()),
            clause.value_at,
        )),
        None => Err(Fault::new(format!("{what} needs a value"), clause.operator_at)),
    }
}

/// The number of a clause and whether it is a whole one.
pub fn number_value(clause: &Clause, what: &str) -> Result<(f64, bool), Fault> {
    match &clause.value {
        Some(Value::Number(number, whole)) => Ok((*number, *whole)),
        Some(other) => Err(Fault::new(
            format!("{what} is compared with a number, not with {}", other.noun()),
            clause.value_at,
        )),
        None => Err(Fault::new(format!("{what} needs a value"), clause.operator_at)),
    }
}
