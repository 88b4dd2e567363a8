//! Levels of permission, the kinds of things they are given on, and what a request needs of them.
//!
//! The levels, the kinds and the rules of who wins are those of MLflow's basic-auth app.

use crate::error::{Error, Result};

/// The workspace that everything is in.
pub const WORKSPACE: &str = "default";

/// What somebody may do with a thing; later ones include earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Nothing, whatever else is granted.
    Deny,
    /// Nothing.
    NoPermissions,
    /// See it.
    Read,
    /// See and call it.
    Use,
    /// Change it.
    Edit,
    /// Change, delete and share it.
    Manage,
}

impl Permission {
    const ALL: [Self; 6] = [Self::Read, Self::Use, Self::Edit, Self::Manage, Self::NoPermissions, Self::Deny];

    /// The name on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deny => "DENY",
            Self::NoPermissions => "NO_PERMISSIONS",
            Self::Read => "READ",
            Self::Use => "USE",
            Self::Edit => "EDIT",
            Self::Manage => "MANAGE",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|level| level.name()).collect();
            Error::invalid(format!("Invalid permission '{name}'. Valid permissions are: {}", tuple(&names)))
        })
    }

    /// Whether this level allows the action.
    pub fn allows(self, action: Action) -> bool {
        match action {
            Action::Read => self >= Self::Read,
            Action::Use => self >= Self::Use,
            Action::Update => self >= Self::Edit,
            Action::Delete | Action::Manage => self >= Self::Manage,
            Action::NotDenied => self != Self::Deny,
        }
    }
}

/// What a request does to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Looks at it.
    Read,
    /// Calls it.
    Use,
    /// Changes it.
    Update,
    /// Deletes it or brings it back.
    Delete,
    /// Shares it.
    Manage,
    /// Makes it: allowed unless the kind is denied.
    NotDenied,
}

/// A kind of thing, and whether grants may name a single one beside `*`.
struct ResourceType {
    name: &'static str,
    by_id: bool,
}

/// Every kind, in the order of their names.
const RESOURCE_TYPES: &[ResourceType] = &[
    ResourceType { name: "assessment", by_id: false },
    ResourceType { name: "experiment", by_id: true },
    ResourceType { name: "gateway_endpoint", by_id: true },
    ResourceType { name: "gateway_model_definition", by_id: true },
    ResourceType { name: "gateway_secret", by_id: true },
    ResourceType { name: "logged_model", by_id: false },
    ResourceType { name: "mcp_server", by_id: true },
    ResourceType { name: "mcp_server_version", by_id: false },
    ResourceType { name: "prompt", by_id: true },
    ResourceType { name: "prompt_version", by_id: false },
    ResourceType { name: "registered_model", by_id: true },
    ResourceType { name: "registered_model_version", by_id: false },
    ResourceType { name: "review_queue", by_id: false },
    ResourceType { name: "run", by_id: false },
    ResourceType { name: "scorer", by_id: true },
    ResourceType { name: "scorer_version", by_id: false },
    ResourceType { name: "skill", by_id: true },
    ResourceType { name: "trace", by_id: false },
    ResourceType { name: "workspace", by_id: false },
];

/// Checks the name of a kind.
pub fn check_resource_type(name: &str) -> Result<()> {
    resource_type(name).map(|_| ())
}

fn resource_type(name: &str) -> Result<&'static ResourceType> {
    RESOURCE_TYPES.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let names: Vec<&str> = RESOURCE_TYPES.iter().map(|kind| kind.name).collect();
        Error::invalid(format!("Invalid resource type '{name}'. Valid resource types are: {}", tuple(&names)))
    })
}

/// Checks that a level may be granted on a kind.
pub fn check_grant(permission: &str, kind: &str) -> Result<Permission> {
    let level = Permission::parse(permission)?;
    check_resource_type(kind)?;
    let (wanted, whose): (&[&str], &str) = match kind {
        "workspace" => (&["MANAGE", "USE"], "Workspace-wide"),
        "skill" => (&["DENY", "EDIT", "MANAGE", "READ"], "Skill Registry"),
        _ => (&["DENY", "EDIT", "MANAGE", "READ", "USE"], "Resource-level"),
    };
    if wanted.contains(&level.name()) {
        return Ok(level);
    }
    Err(Error::invalid(format!(
        "Invalid permission '{permission}' for resource_type='{kind}'. {whose} grants accept only: {}.",
        tuple(wanted)
    )))
}

/// Checks what a grant is on and gives it the form in which it is stored and compared.
pub fn check_pattern(pattern: &str, kind: &str) -> Result<String> {
    let known = resource_type(kind)?;
    if pattern != "*" && !known.by_id {
        return Err(Error::invalid(format!(
            "Invalid resource_pattern '{pattern}' for resource_type='{kind}'. This resource type supports only wildcard \
             ('*') grants."
        )));
    }
    Ok(canonical(kind, pattern))
}

/// The number of an experiment has one form only: `01` and ` 1` are `1`.
fn canonical(kind: &str, id: &str) -> String {
    let number =
        |text: &str| text.trim().parse::<i64>().map_or_else(|_| text.to_owned(), |number| number.to_string());
    match kind {
        "experiment" => number(id),
        "scorer" => match id.split_once('/') {
            Some((experiment, name)) => format!("{}/{name}", number(experiment)),
            None => number(id),
        },
        _ => id.to_owned(),
    }
}

/// A level that a role gives on a thing or on all things of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The kind of thing.
    pub kind: String,
    /// Its id or name; `*` for all.
    pub pattern: String,
    /// The level.
    pub permission: Permission,
}

impl Grant {
    fn is_on(&self, kind: &str, id: &str) -> bool {
        self.kind == kind && (self.pattern == "*" || self.pattern == id)
    }
}

/// One thing that a request needs. Of the things listed, the first on which the caller holds any grant decides; without
/// a grant on any, the level that everybody has must allow the last one's action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement(Vec<(&'static str, String, Action)>);

impl Requirement {
    /// The action on one thing.
    pub fn new(kind: &'static str, id: &str, action: Action) -> Self {
        Self(vec![(kind, canonical(kind, id), action)])
    }

    /// The action on a thing below another, such as the runs of an experiment.
    pub fn below(kind: &'static str, parent: &'static str, parent_id: &str, action: Action) -> Self {
        Self(vec![(kind, "*".to_owned(), action), (parent, canonical(parent, parent_id), action)])
    }

    /// Whether grants, and what everybody has, meet this.
    pub fn is_met(&self, grants: &[Grant], everybody: Permission) -> bool {
        for (kind, id, action) in &self.0 {
            if let Some(level) = folded(grants, kind, id) {
                // A grant never gives less than everybody has, unless it denies.
                let level = if level == Permission::Deny { level } else { level.max(everybody) };
                return level.allows(*action);
            }
        }
        self.0.last().is_none_or(|(.., action)| everybody.allows(*action))
    }
}

/// The level that several grants give together: DENY wins, else the highest.
pub fn folded(grants: &[Grant], kind: &str, id: &str) -> Option<Permission> {
    let id = canonical(kind, id);
    let mut best = None;
    for grant in grants.iter().filter(|grant| grant.is_on(kind, &id)) {
        if grant.permission == Permission::Deny {
            return Some(Permission::Deny);
        }
        best = best.max(Some(grant.permission));
    }
    best
}

/// Whether a grant makes its holder an administrator of the workspace, whom no other grant restricts.
pub fn is_workspace_admin(grants: &[Grant]) -> bool {
    grants.iter().any(|grant| {
        grant.kind == "workspace" && grant.pattern == "*" && grant.permission == Permission::Manage
    })
}

/// Names in the form of Python's tuples, as MLflow's messages show them.
fn tuple(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("({})", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(kind: &str, pattern: &str, permission: Permission) -> Grant {
        Grant { kind: kind.to_owned(), pattern: pattern.to_owned(), permission }
    }

    #[test]
    fn levels_include_the_ones_below() {
        for (level, allowed) in [
            (Permission::Deny, "     "),
            (Permission::NoPermissions, "    n"),
            (Permission::Read, "r   n"),
            (Permission::Use, "ru  n"),
            (Permission::Edit, "ruw n"),
            (Permission::Manage, "ruwdn"),
        ] {
            let actions = [Action::Read, Action::Use, Action::Update, Action::Delete, Action::NotDenied];
            let got: String = actions
                .iter()
                .zip("ruwdn".chars())
                .map(|(action, letter)| if level.allows(*action) { letter } else { ' ' })
                .collect();
            assert_eq!(got, allowed, "{level:?}");
            assert_eq!(Permission::parse(level.name()).unwrap(), level);
        }
    }

    #[test]
    fn the_nearest_grant_decides_and_a_denial_wins() {
        let update = Requirement::below("run", "experiment", "01", Action::Update);
        let everybody = Permission::Read;
        for (grants, met) in [
            (vec![], false),
            (vec![grant("experiment", "1", Permission::Edit)], true),
            (vec![grant("experiment", "2", Permission::Edit)], false),
            (vec![grant("experiment", "*", Permission::Manage)], true),
            // A grant on runs comes before one on the experiment, in both directions.
            (vec![grant("experiment", "1", Permission::Manage), grant("run", "*", Permission::Read)], false),
            (vec![grant("run", "*", Permission::Edit)], true),
            (
                vec![
                    grant("experiment", "1", Permission::Manage),
                    grant("experiment", "*", Permission::Deny),
                ],
                false,
            ),
        ] {
            assert_eq!(update.is_met(&grants, everybody), met, "{grants:?}");
        }
        let read = Requirement::new("experiment", "1", Action::Read);
        assert!(read.is_met(&[], Permission::Read) && !read.is_met(&[], Permission::NoPermissions));
        assert!(read.is_met(&[grant("experiment", "1", Permission::Read)], Permission::NoPermissions));
        assert!(!read.is_met(&[grant("experiment", "1", Permission::Deny)], Permission::Manage));
    }

    #[test]
    fn grants_are_checked() {
        assert!(check_grant("READ", "experiment").is_ok());
        for (permission, kind, message) in [
            (
                "read",
                "experiment",
                "Invalid permission 'read'. Valid permissions are: ('READ', 'USE', 'EDIT', 'MANAGE', 'NO_PERMISSIONS', 'DENY')",
            ),
            (
                "NO_PERMISSIONS",
                "experiment",
                "Invalid permission 'NO_PERMISSIONS' for resource_type='experiment'.",
            ),
            ("READ", "workspace", "Workspace-wide grants accept only: ('MANAGE', 'USE')."),
            ("READ", "song", "Invalid resource type 'song'."),
        ] {
            let error = check_grant(permission, kind).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        assert_eq!(check_pattern(" 01", "experiment").unwrap(), "1");
        assert_eq!(check_pattern("a", "registered_model").unwrap(), "a");
        assert!(check_pattern("a", "run").is_err());
    }
}
