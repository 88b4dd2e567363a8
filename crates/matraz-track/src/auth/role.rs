//! Roles: named sets of permissions that users are given.
//!
//! What is granted to one user alone is in a hidden role `__user_<id>__` of that user, as in MLflow.

use serde::Serialize;
use serde_json::json;

use super::Caller;
use super::permission::{self, Permission, WORKSPACE, check_grant, check_pattern};
use super::user::{self, User, check_text};
use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::journal;

/// The beginning of the names of hidden roles.
const HIDDEN: &str = "__user_";

/// A role as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Role {
    /// Numbers do not come back.
    pub id: i64,
    /// Unique in its workspace.
    pub name: String,
    /// `default`.
    pub workspace: String,
    /// Text for people.
    pub description: Option<String>,
    /// What it gives.
    pub permissions: Vec<RolePermission>,
}

/// A permission of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RolePermission {
    /// Numbers do not come back.
    pub id: i64,
    /// The role.
    pub role_id: i64,
    /// The kind of thing.
    pub resource_type: String,
    /// Its id or name; `*` for all.
    pub resource_pattern: String,
    /// The level.
    pub permission: String,
}

/// A user having a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Assignment {
    /// Numbers do not come back.
    pub id: i64,
    /// The user.
    pub user_id: i64,
    /// The role.
    pub role_id: i64,
}

impl RolePermission {
    fn told(&self) -> serde_json::Value {
        json!({
            "role_id": self.role_id, "resource_type": self.resource_type,
            "resource_pattern": self.resource_pattern, "permission": self.permission,
        })
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid("Role name cannot be empty."));
    }
    if name.starts_with(HIDDEN) {
        return Err(Error::invalid(format!(
            "Role name '{name}' uses the reserved '{HIDDEN}' prefix, which is held for the per-user permission \
             representation. Choose a different name."
        )));
    }
    check_text("Role name", name, 255)
}

fn told(role: &Role) -> serde_json::Value {
    json!({"id": role.id, "workspace": role.workspace, "description": role.description})
}

/// Makes a role.
pub(crate) async fn create(
    session: &mut Session,
    name: &str,
    workspace: &str,
    description: Option<String>,
) -> Result<Role> {
    if workspace.trim().is_empty() {
        return Err(Error::invalid("Workspace cannot be empty."));
    }
    check_name(name)?;
    check_text("Workspace", workspace, 63)?;
    check_text("Role description", description.as_deref().unwrap_or_default(), 1024)?;
    if db::role::by_name(session, workspace, name).await?.is_some() {
        return Err(Error::exists(format!("Role (name={name}, workspace={workspace}) already exists.")));
    }
    make(session, name, workspace, description).await
}

async fn make(
    session: &mut Session,
    name: &str,
    workspace: &str,
    description: Option<String>,
) -> Result<Role> {
    let id = db::own::next(session, "roles").await?;
    let role = Role {
        id,
        name: name.to_owned(),
        workspace: workspace.to_owned(),
        description,
        permissions: Vec::new(),
    };
    db::role::insert(session, &role).await?;
    journal::add(session, "create", "role", name, None, Some(told(&role))).await?;
    Ok(role)
}

/// The role with this number.
pub(crate) async fn get(session: &mut Session, id: i64) -> Result<Role> {
    db::role::by_id(session, id).await?.ok_or_else(|| Error::missing(format!("Role with id={id} not found")))
}

/// All roles, or those of some workspaces.
pub(crate) async fn list(session: &mut Session, workspaces: &[String]) -> Result<Vec<Role>> {
    db::role::all(session, workspaces).await
}

/// The roles of a user.
pub(crate) async fn of_user(session: &mut Session, user: &User) -> Result<Vec<Role>> {
    db::role::of_user(session, user.id).await
}

/// Changes what is given.
pub(crate) async fn update(
    session: &mut Session,
    id: i64,
    name: Option<String>,
    description: Option<String>,
) -> Result<Role> {
    if name.is_none() && description.is_none() {
        return Err(Error::invalid(
            "At least one of 'name' or 'description' must be provided to update a role.",
        ));
    }
    if let Some(name) = &name {
        check_name(name)?;
    }
    check_text("Role description", description.as_deref().unwrap_or_default(), 1024)?;
    let mut role = get(session, id).await?;
    let before = json!({"name": role.name, "description": role.description});
    if let Some(name) = name {
        if db::role::by_name(session, &role.workspace, &name).await?.is_some_and(|other| other.id != id) {
            let workspace = &role.workspace;
            return Err(Error::exists(format!(
                "Role with name={name} already exists in workspace={workspace}"
            )));
        }
        role.name = name;
    }
    if description.is_some() {
        role.description = description;
    }
    db::role::update(session, &role).await?;
    let after = json!({"name": role.name, "description": role.description});
    journal::add(session, "update", "role", &role.name, Some(before), Some(after)).await?;
    Ok(role)
}

/// Deletes a role; its users lose what it gave.
pub(crate) async fn delete(session: &mut Session, id: i64) -> Result<()> {
    let role = get(session, id).await?;
    db::role::delete(session, id).await?;
    let before = json!({"id": id, "permissions": role.permissions});
    journal::add(session, "delete", "role", &role.name, Some(before), None).await
}

/// Adds a permission to a role.
pub(crate) async fn add_permission(
    session: &mut Session,
    role_id: i64,
    resource_type: &str,
    resource_pattern: &str,
    permission: &str,
) -> Result<RolePermission> {
    check_grant(permission, resource_type)?;
    if resource_type == "experiment"
        && resource_pattern != "*"
        && resource_pattern.trim().parse::<i64>().is_err()
    {
        return Err(Error::invalid(format!(
            "Invalid experiment ID '{resource_pattern}'. Experiment ID must be a valid integer."
        )));
    }
    let pattern = check_pattern(resource_pattern, resource_type)?;
    check_text("resource_pattern", &pattern, 500)?;
    let role = get(session, role_id).await?;
    if find_permission(&role, resource_type, &pattern).is_some() {
        return Err(Error::exists(format!(
            "Role permission (role_id={role_id}, resource_type={resource_type}, resource_pattern={pattern}) already exists."
        )));
    }
    insert(session, &role, resource_type, &pattern, permission).await
}

fn find_permission<'a>(role: &'a Role, resource_type: &str, pattern: &str) -> Option<&'a RolePermission> {
    role.permissions.iter().find(|one| one.resource_type == resource_type && one.resource_pattern == pattern)
}

async fn insert(
    session: &mut Session,
    role: &Role,
    resource_type: &str,
    pattern: &str,
    permission: &str,
) -> Result<RolePermission> {
    let new = RolePermission {
        id: db::own::next(session, "role_permissions").await?,
        role_id: role.id,
        resource_type: resource_type.to_owned(),
        resource_pattern: pattern.to_owned(),
        permission: permission.to_owned(),
    };
    db::role::insert_permission(session, &new).await?;
    journal::add(session, "create", "permission", &role.name, None, Some(new.told())).await?;
    Ok(new)
}

/// The permission of a role with this number.
pub(crate) async fn get_permission(session: &mut Session, id: i64) -> Result<RolePermission> {
    db::role::permission_by_id(session, id)
        .await?
        .ok_or_else(|| Error::missing(format!("Role permission with id={id} not found")))
}

/// Takes a permission away from a role.
pub(crate) async fn remove_permission(session: &mut Session, id: i64) -> Result<()> {
    let old = get_permission(session, id).await?;
    db::role::delete_permission(session, id).await?;
    let role = get(session, old.role_id).await?;
    journal::add(session, "delete", "permission", &role.name, Some(old.told()), None).await
}

/// Changes the level of a permission of a role.
pub(crate) async fn update_permission(session: &mut Session, id: i64, level: &str) -> Result<RolePermission> {
    let old = get_permission(session, id).await?;
    check_grant(level, &old.resource_type)?;
    db::role::set_permission(session, id, level).await?;
    let new = RolePermission { permission: level.to_owned(), ..old.clone() };
    let role = get(session, old.role_id).await?;
    journal::add(session, "update", "permission", &role.name, Some(old.told()), Some(new.told())).await?;
    Ok(new)
}

/// Gives a role to a user.
pub(crate) async fn assign(session: &mut Session, user: &User, role_id: i64) -> Result<Assignment> {
    let role = get(session, role_id).await?;
    if db::role::find_assignment(session, user.id, role_id).await?.is_some() {
        let user_id = user.id;
        return Err(Error::exists(format!(
            "User role assignment (user_id={user_id}, role_id={role_id}) already exists"
        )));
    }
    let new = Assignment { id: db::own::next(session, "user_roles").await?, user_id: user.id, role_id };
    db::role::assign(session, &new).await?;
    journal::add(session, "assign", "role", &role.name, None, Some(json!({"username": user.name}))).await?;
    Ok(new)
}

/// Takes a role away from a user.
pub(crate) async fn unassign(session: &mut Session, user: &User, role_id: i64) -> Result<()> {
    let found = db::role::find_assignment(session, user.id, role_id).await?.ok_or_else(|| {
        let user_id = user.id;
        Error::missing(format!("User role assignment (user_id={user_id}, role_id={role_id}) not found"))
    })?;
    db::role::unassign(session, found.id).await?;
    let role = get(session, role_id).await?;
    journal::add(session, "unassign", "role", &role.name, Some(json!({"username": user.name})), None).await
}

/// Who has a role.
pub(crate) async fn assignments(session: &mut Session, role_id: i64) -> Result<Vec<Assignment>> {
    get(session, role_id).await?;
    db::role::assignments_of_role(session, role_id).await
}

/// The hidden role of a user, made when it is not there.
async fn own_role(session: &mut Session, user: &User) -> Result<Role> {
    let name = format!("{HIDDEN}{}__", user.id);
    if let Some(role) = db::role::by_name(session, WORKSPACE, &name).await? {
        return Ok(role);
    }
    let role = make(session, &name, WORKSPACE, None).await?;
    assign(session, user, role.id).await?;
    Ok(role)
}

/// Deletes the hidden role of a user.
pub(super) async fn delete_own_roles(session: &mut Session, user_id: i64) -> Result<()> {
    let name = format!("{HIDDEN}{user_id}__");
    match db::role::by_name(session, WORKSPACE, &name).await? {
        Some(role) => delete(session, role.id).await,
        None => Ok(()),
    }
}

fn not_workspace(resource_type: &str) -> Result<()> {
    if resource_type == "workspace" {
        return Err(Error::invalid(
            "resource_type 'workspace' is not supported by the per-user permission convenience APIs. Use a role for \
             workspace-wide grants.",
        ));
    }
    Ok(())
}

/// Grants something to one user alone.
pub(crate) async fn grant_to_user(
    session: &mut Session,
    username: &str,
    resource_type: &str,
    resource_id: &str,
    permission: &str,
) -> Result<()> {
    let user = user::get(session, username).await?;
    not_workspace(resource_type)?;
    let pattern = check_pattern(resource_id, resource_type)?;
    check_text("resource_id", &pattern, 500)?;
    check_grant(permission, resource_type)?;
    let role = own_role(session, &user).await?;
    if find_permission(&role, resource_type, &pattern).is_some() {
        return Err(Error::exists(format!(
            "Permission for user={username} on resource_type={resource_type}, resource_id={pattern} already exists."
        )));
    }
    insert(session, &role, resource_type, &pattern, permission).await.map(|_| ())
}

/// Takes back what was granted to one user alone.
pub(crate) async fn revoke_from_user(
    session: &mut Session,
    username: &str,
    resource_type: &str,
    resource_id: &str,
) -> Result<()> {
    let user = user::get(session, username).await?;
    not_workspace(resource_type)?;
    let pattern = check_pattern(resource_id, resource_type)?;
    let name = format!("{HIDDEN}{}__", user.id);
    let role = db::role::by_name(session, WORKSPACE, &name).await?;
    let found = role.as_ref().and_then(|role| find_permission(role, resource_type, &pattern));
    match found {
        Some(found) => remove_permission(session, found.id).await,
        None => Err(Error::missing(format!(
            "Permission for user={username} on resource_type={resource_type}, resource_id={pattern} not found."
        ))),
    }
}

/// What a user may do with a thing, roles and what everybody has counted in.
pub(crate) async fn permission_of_user(
    session: &mut Session,
    user: &User,
    resource_type: &str,
    resource_id: &str,
    everybody: Permission,
) -> Result<Permission> {
    not_workspace(resource_type)?;
    permission::check_resource_type(resource_type)?;
    let grants = db::role::grants_of_user(session, user.id, WORKSPACE).await?;
    if permission::is_workspace_admin(&grants) {
        return Ok(Permission::Manage);
    }
    Ok(match permission::folded(&grants, resource_type, resource_id) {
        Some(Permission::Deny) => Permission::Deny,
        Some(level) => level.max(everybody),
        None => everybody,
    })
}

/// Whoever makes a thing may do everything with it.
pub(crate) async fn creator_manages(
    session: &mut Session,
    caller: &Caller,
    kind: &str,
    id: &str,
) -> Result<()> {
    let Some(user) = caller.signed_in() else { return Ok(()) };
    let role = own_role(session, user).await?;
    match find_permission(&role, kind, id) {
        Some(old) if old.permission == Permission::Manage.name() => Ok(()),
        Some(old) => update_permission(session, old.id, Permission::Manage.name()).await.map(|_| ()),
        None => insert(session, &role, kind, id, Permission::Manage.name()).await.map(|_| ()),
    }
}

/// The kinds whose things are named by a registered model's name.
pub(crate) const NAMED: [&str; 2] = ["registered_model", "prompt"];

/// Takes back what was granted to single users on a thing that is gone: whoever makes one of that name next shall not
/// inherit it.
pub(crate) async fn forget_thing(
    session: &mut Session,
    caller: &Caller,
    kinds: &[&str],
    name: &str,
) -> Result<()> {
    if caller.signed_in().is_none() {
        return Ok(());
    }
    for kind in kinds {
        for (role, found) in db::role::permissions_on(session, kind, name).await? {
            if role.starts_with(HIDDEN) {
                remove_permission(session, found.id).await?;
            }
        }
    }
    Ok(())
}

/// Moves what was granted to single users to the new name of a thing. Roles that name either keep that from happening,
/// and so does anything granted on the new name.
pub(crate) async fn rename_thing(
    session: &mut Session,
    caller: &Caller,
    name: &str,
    new_name: &str,
) -> Result<()> {
    if caller.signed_in().is_none() || name == new_name {
        return Ok(());
    }
    if new_name == "*" {
        return Err(Error::invalid(
            "'*' is reserved for wildcard permission grants and cannot be used as a registered model or prompt name.",
        ));
    }
    let refused =
        |why: &str| Err(Error::invalid(format!("Cannot rename '{name}' to '{new_name}' because {why}")));
    for kind in NAMED {
        if let Some((role, _)) = db::role::permissions_on(session, kind, new_name).await?.into_iter().next() {
            return refused(if role.starts_with(HIDDEN) {
                "users already have permissions on the new name. An admin must remove these permissions before the rename."
            } else {
                "role grants reference these names by exact name. An admin must update or remove these role grants before \
                 the rename."
            });
        }
        for (role, found) in db::role::permissions_on(session, kind, name).await? {
            if !role.starts_with(HIDDEN) {
                return refused(
                    "role grants reference these names by exact name. An admin must update or remove these role grants \
                     before the rename.",
                );
            }
            db::role::set_pattern(session, found.id, new_name).await?;
        }
    }
    Ok(())
}
