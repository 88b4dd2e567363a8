//! Who sends a request, and what that one may see and do.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::User;
use super::permission::{Action, Grant, Permission, Requirement, WORKSPACE, folded, is_workspace_admin};
use crate::db::{Arg, Statement};
use crate::error::{Error, Result};

/// Who sends a request.
#[derive(Clone, Debug)]
pub struct Caller {
    name: String,
    /// `None` when nobody has to sign in: everything is allowed.
    signed_in: Option<SignedIn>,
}

#[derive(Clone, Debug)]
struct SignedIn {
    user: User,
    grants: Vec<Grant>,
    everybody: Permission,
}

/// Which things of a kind somebody may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All.
    #[default]
    All,
    /// These.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

impl Caller {
    /// Part of this program, or a client of a server where nobody has to sign in.
    pub fn program(name: &str) -> Self {
        Self { name: name.to_owned(), signed_in: None }
    }

    pub(crate) fn user(user: User, grants: Vec<Grant>, everybody: Permission) -> Self {
        Self { name: user.name.clone(), signed_in: Some(SignedIn { user, grants, everybody }) }
    }

    /// The name under which changes go into the journal.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user that signed in.
    pub(crate) fn signed_in(&self) -> Option<&User> {
        self.signed_in.as_ref().map(|signed| &signed.user)
    }

    /// The user that signed in, for routes that are about users.
    pub(crate) fn require_user(&self) -> Result<&User> {
        self.signed_in()
            .ok_or_else(|| Error::missing("This server has no users: it was started without --auth."))
    }

    /// Whether everything is allowed.
    pub fn is_admin(&self) -> bool {
        self.signed_in.as_ref().is_none_or(|signed| signed.user.is_admin)
    }

    /// Whether the caller administers the workspace.
    pub(crate) fn is_workspace_admin(&self) -> bool {
        self.signed_in
            .as_ref()
            .is_none_or(|signed| signed.user.is_admin || is_workspace_admin(&signed.grants))
    }

    /// Whether the caller administers this workspace.
    pub(crate) fn administers(&self, workspace: &str) -> bool {
        self.is_admin() || (workspace == WORKSPACE && self.is_workspace_admin())
    }

    /// Whether all of these are met.
    pub fn may(&self, needed: &[Requirement]) -> bool {
        self.is_workspace_admin()
            || self
                .signed_in
                .as_ref()
                .is_some_and(|signed| needed.iter().all(|one| one.is_met(&signed.grants, signed.everybody)))
    }

    /// Whether a search shows things of a kind in an experiment.
    pub(crate) fn sees_in_experiment(&self, kind: &'static str, experiment: &str) -> bool {
        self.may(&[
            Requirement::new("experiment", experiment, Action::Read),
            Requirement::new(kind, "*", Action::NotDenied),
        ])
    }

    /// The things of a kind that the caller may see.
    pub fn readable(&self, kind: &'static str) -> Scope {
        let Some(signed) = self.signed_in.as_ref().filter(|_| !self.is_workspace_admin()) else {
            return Scope::All;
        };
        let mut ids: Vec<String> = Vec::new();
        for grant in signed.grants.iter().filter(|grant| grant.kind == kind && grant.pattern != "*") {
            if !ids.contains(&grant.pattern) {
                ids.push(grant.pattern.clone());
            }
        }
        let sees =
            |id: &str| Requirement::new(kind, id, Action::Read).is_met(&signed.grants, signed.everybody);
        // What holds for a thing that no grant names.
        let others = folded(&signed.grants, kind, "*").map_or(signed.everybody, |level| {
            if level == Permission::Deny { level } else { level.max(signed.everybody) }
        });
        if others.allows(Action::Read) {
            ids.retain(|id| !sees(id));
            if ids.is_empty() { Scope::All } else { Scope::Except(ids) }
        } else {
            ids.retain(|id| sees(id));
            Scope::Only(ids)
        }
    }
}

impl Scope {
    /// Whether a thing is in it.
    pub fn contains(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => ids.iter().any(|one| one == id),
            Self::Except(ids) => !ids.iter().any(|one| one == id),
        }
    }

    /// Appends ` AND column …` for a column of text.
    pub(crate) fn push_texts(&self, statement: &mut Statement, column: &str) {
        match self {
            Self::All => {}
            Self::Only(ids) => push_in(statement, column, " IN ", ids.iter()),
            Self::Except(ids) => push_in(statement, column, " NOT IN ", ids.iter()),
        }
    }

    /// Appends ` AND column …` for a column of whole numbers.
    pub(crate) fn push_numbers(&self, statement: &mut Statement, column: &str) {
        let numbers = |ids: &[String]| ids.iter().filter_map(|id| id.parse::<i64>().ok()).collect::<Vec<_>>();
        match self {
            Self::All => {}
            Self::Only(ids) => push_in(statement, column, " IN ", numbers(ids)),
            Self::Except(ids) => push_in(statement, column, " NOT IN ", numbers(ids)),
        }
    }
}

fn push_in<A: Into<Arg>>(
    statement: &mut Statement,
    column: &str,
    operator: &str,
    values: impl IntoIterator<Item = A>,
) {
    let mut values = values.into_iter().peekable();
    if values.peek().is_some() {
        statement.push(" AND ").push(column).push(operator).push_list(values);
    } else if operator == " IN " {
        // An empty list is no SQL.
        statement.push(" AND 1 = 0");
    }
}

/// Every handler can ask who sent the request.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::program("anonymous")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(everybody: Permission, grants: &[(&str, &str, Permission)]) -> Caller {
        let user = User { id: 1, name: "ann".to_owned(), password_hash: String::new(), is_admin: false };
        let grant = |(kind, pattern, permission): &(&str, &str, Permission)| Grant {
            kind: (*kind).to_owned(),
            pattern: (*pattern).to_owned(),
            permission: *permission,
        };
        Caller::user(user, grants.iter().map(grant).collect(), everybody)
    }

    #[test]
    fn what_is_readable_follows_from_the_grants() {
        use Permission::{Deny, Manage, NoPermissions, Read};
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        for (everybody, grants, want) in [
            (Read, vec![], Scope::All),
            (Read, vec![("experiment", "1", Deny), ("experiment", "2", Read)], Scope::Except(ids(&["1"]))),
            (NoPermissions, vec![("experiment", "2", Read), ("prompt", "3", Read)], Scope::Only(ids(&["2"]))),
            (NoPermissions, vec![("experiment", "*", Read)], Scope::All),
            (Manage, vec![("experiment", "*", Deny), ("experiment", "1", Manage)], Scope::Only(ids(&[]))),
            (NoPermissions, vec![("workspace", "*", Manage)], Scope::All),
        ] {
            assert_eq!(caller(everybody, &grants).readable("experiment"), want, "{grants:?}");
        }
    }
}
