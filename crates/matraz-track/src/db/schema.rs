//! The schema revisions of MLflow that are read and written, each with the SQL that makes a new store.
//!
//! The SQL files are what `mlflow db upgrade` of that version leaves in an empty SQLite file or PostgreSQL
//! database; MLflow refuses a store
//! whose Alembic revision is not its own, so a store stays at the revision that it was made with.

use super::StoreUri;
use crate::error::{Error, Result};

/// A schema revision that is fully supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Head {
    /// MLflow 3.18.0.
    #[default]
    Mlflow318,
    /// MLflow 3.17.2.
    Mlflow317,
}

/// Every revision up to the newest head, oldest first.
const REVISIONS: &str = include_str!("schema/revisions.txt");

/// The revisions of MLflow up to the newest head, oldest first.
pub(crate) fn revisions() -> impl Iterator<Item = &'static str> {
    REVISIONS.lines()
}

impl Head {
    /// The Alembic revision.
    pub fn revision(self) -> &'static str {
        match self {
            Self::Mlflow318 => "f4a9b2c7d1e6",
            Self::Mlflow317 => "dc11669786a5",
        }
    }

    /// The statements that fill an empty SQLite file.
    pub fn sqlite(self) -> &'static str {
        match self {
            Self::Mlflow318 => include_str!("schema/sqlite_f4a9b2c7d1e6.sql"),
            Self::Mlflow317 => include_str!("schema/sqlite_dc11669786a5.sql"),
        }
    }

    /// The statements that fill an empty PostgreSQL database.
    pub fn postgres(self) -> &'static str {
        match self {
            Self::Mlflow318 => include_str!("schema/postgres_f4a9b2c7d1e6.sql"),
            Self::Mlflow317 => include_str!("schema/postgres_dc11669786a5.sql"),
        }
    }

    /// The statements for PostgreSQL that make tables and fixed rows, and those that make keys, indexes and triggers.
    pub(crate) fn postgres_in_two(self) -> (&'static str, &'static str) {
        let all = self.postgres();
        let first_key = all
            .match_indices("\nALTER TABLE ")
            .map(|(at, _)| at + 1)
            .find(|at| all[*at..].lines().next().is_some_and(|line| line.contains(" ADD CONSTRAINT ")));
        all.split_at(first_key.unwrap_or(all.len()))
    }

    /// The head with this revision, or the error that says why the store is not opened.
    pub fn of_revision(revision: &str, store: &StoreUri) -> Result<Self> {
        for head in [Self::Mlflow318, Self::Mlflow317] {
            if head.revision() == revision {
                return Ok(head);
            }
        }
        let (store, revision) = (store.clone(), revision.to_owned());
        if REVISIONS.lines().any(|known| known == revision) {
            return Err(Error::OlderStore { store, revision });
        }
        Err(Error::NewerStore { store, revision })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_told_apart() {
        let path = &StoreUri::Sqlite("x.db".into());
        assert_eq!(Head::of_revision("f4a9b2c7d1e6", path).unwrap(), Head::Mlflow318);
        assert_eq!(Head::of_revision("dc11669786a5", path).unwrap(), Head::Mlflow317);
        assert!(matches!(Head::of_revision("451aebb31d03", path), Err(Error::OlderStore { .. })));
        assert!(matches!(Head::of_revision("ffffffffffff", path), Err(Error::NewerStore { .. })));
        assert_eq!(REVISIONS.lines().count(), 70);
    }
}
