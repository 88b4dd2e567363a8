//! Filter and order expressions: MLflow's grammar, read into clauses and made into SQL with bound values.
//!
//! [`filter`] and [`order`] know the grammar only; what a name may be is decided by the search of each entity
//! ([`runs`], [`experiments`]), which also makes the SQL. Faults carry the place in the text and are shown with a caret.

pub mod evaluation_datasets;
pub mod experiments;
pub mod filter;
pub mod logged_models;
pub mod models;
pub mod order;
pub mod page;
pub mod runs;
pub mod to_sql;
pub mod traces;

use crate::error::Error;

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// The byte at which it is wrong.
    pub at: usize,
}

impl Fault {
    /// A fault at a byte.
    pub fn new(message: impl Into<String>, at: usize) -> Self {
        Self { message: message.into(), at }
    }

    /// The error for a client: the message, the line of the expression and a caret below the place.
    pub fn in_text(self, what: &str, text: &str) -> Error {
        let at = self.at.min(text.len());
        let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
        let column = text[start..at].chars().count();
        let line: String =
            text[start..end].chars().map(|letter| if letter == '\t' { ' ' } else { letter }).collect();
        Error::invalid(format!("Invalid {what}: {}\n  {line}\n  {}^", self.message, " ".repeat(column)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_character() {
        let text = "params.ü = 'x'\n AND y z";
        let shown = |at| Fault::new("odd", at).in_text("filter", text).to_string();
        assert_eq!(shown(10), "Invalid filter: odd\n  params.ü = 'x'\n           ^");
        assert_eq!(shown(text.len()), "Invalid filter: odd\n   AND y z\n          ^");
    }
}
