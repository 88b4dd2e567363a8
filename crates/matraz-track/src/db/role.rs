//! SQL of roles, their permissions and who has them.

use super::{Row, Session, Statement};
use crate::auth::{Assignment, Grant, Permission, Role, RolePermission};
use crate::error::Result;

const COLUMNS: &str = "SELECT r.id, r.name, r.workspace, r.description FROM matraz_roles r";
const PERMISSIONS: &str = "SELECT p.id, p.role_id, p.resource_type, p.resource_pattern, p.permission FROM matraz_role_permissions p";

fn role(row: &Row) -> Result<Role> {
    Ok(Role {
        id: row.int(0)?,
        name: row.text(1)?,
        workspace: row.text(2)?,
        description: row.text_or_null(3)?,
        permissions: Vec::new(),
    })
}

fn permission(row: &Row) -> Result<RolePermission> {
    Ok(RolePermission {
        id: row.int(0)?,
        role_id: row.int(1)?,
        resource_type: row.text(2)?,
        resource_pattern: row.text(3)?,
        permission: row.text(4)?,
    })
}

fn assignment(row: &Row) -> Result<Assignment> {
    Ok(Assignment { id: row.int(0)?, user_id: row.int(1)?, role_id: row.int(2)? })
}

/// Fills in the permissions of roles.
async fn filled(session: &mut Session, rows: Vec<Row>) -> Result<Vec<Role>> {
    let mut roles: Vec<Role> = rows.iter().map(role).collect::<Result<_>>()?;
    for part in roles.chunks_mut(500) {
        let mut statement = Statement::built(PERMISSIONS);
        statement.push(" WHERE p.role_id IN ").push_list(part.iter().map(|role| role.id));
        statement.push(" ORDER BY p.id");
        for row in session.rows(statement).await? {
            let found = permission(&row)?;
            if let Some(role) = part.iter_mut().find(|role| role.id == found.role_id) {
                role.permissions.push(found);
            }
        }
    }
    Ok(roles)
}

pub(crate) async fn by_id(session: &mut Session, id: i64) -> Result<Option<Role>> {
    let rows = session.rows(Statement::new(&format!("{COLUMNS} WHERE r.id = $1")).bind(id)).await?;
    Ok(filled(session, rows).await?.pop())
}

pub(crate) async fn by_name(session: &mut Session, workspace: &str, name: &str) -> Result<Option<Role>> {
    let statement = Statement::new(&format!("{COLUMNS} WHERE r.workspace = $1 AND r.name = $2"));
    let rows = session.rows(statement.bind(workspace).bind(name)).await?;
    Ok(filled(session, rows).await?.pop())
}

/// All roles, or those of some workspaces.
pub(crate) async fn all(session: &mut Session, workspaces: &[String]) -> Result<Vec<Role>> {
    let mut statement = Statement::built(COLUMNS);
    if !workspaces.is_empty() {
        statement.push(" WHERE r.workspace IN ").push_list(workspaces.iter());
    }
    statement.push(" ORDER BY r.id");
    let rows = session.rows(statement).await?;
    filled(session, rows).await
}

pub(crate) async fn of_user(session: &mut Session, user_id: i64) -> Result<Vec<Role>> {
    let statement = Statement::new(&format!(
        "{COLUMNS} JOIN matraz_user_roles a ON a.role_id = r.id WHERE a.user_id = $1 ORDER BY r.id"
    ));
    let rows = session.rows(statement.bind(user_id)).await?;
    filled(session, rows).await
}

/// What the roles of a user give it in a workspace.
pub(crate) async fn grants_of_user(
    session: &mut Session,
    user_id: i64,
    workspace: &str,
) -> Result<Vec<Grant>> {
    let statement = Statement::new(
        "SELECT p.resource_type, p.resource_pattern, p.permission FROM matraz_role_permissions p \
         JOIN matraz_roles r ON r.id = p.role_id JOIN matraz_user_roles a ON a.role_id = r.id \
         WHERE a.user_id = $1 AND r.workspace = $2",
    );
    let rows = session.rows(statement.bind(user_id).bind(workspace)).await?;
    let grant = |row: &Row| {
        let permission = Permission::parse(&row.text(2)?)?;
        Ok(Grant { kind: row.text(0)?, pattern: row.text(1)?, permission })
    };
    rows.iter().map(grant).collect()
}

pub(crate) async fn insert(session: &mut Session, role: &Role) -> Result<()> {
    let statement =
        Statement::new("INSERT INTO matraz_roles (id, name, workspace, description) VALUES ($1, $2, $3, $4)");
    let statement =
        statement.bind(role.id).bind(&role.name).bind(&role.workspace).bind(role.description.clone());
    session.run(statement).await.map(|_| ())
}

pub(crate) async fn update(session: &mut Session, role: &Role) -> Result<()> {
    let statement = Statement::new("UPDATE matraz_roles SET name = $1, description = $2 WHERE id = $3");
    session.run(statement.bind(&role.name).bind(role.description.clone()).bind(role.id)).await.map(|_| ())
}

/// Deletes a role with its permissions and assignments.
pub(crate) async fn delete(session: &mut Session, id: i64) -> Result<()> {
    session.run(Statement::new("DELETE FROM matraz_roles WHERE id = $1").bind(id)).await.map(|_| ())
}

pub(crate) async fn permission_by_id(session: &mut Session, id: i64) -> Result<Option<RolePermission>> {
    let statement = Statement::new(&format!("{PERMISSIONS} WHERE p.id = $1")).bind(id);
    session.row(statement).await?.as_ref().map(permission).transpose()
}

pub(crate) async fn insert_permission(session: &mut Session, new: &RolePermission) -> Result<()> {
    let statement = Statement::new(
        "INSERT INTO matraz_role_permissions (id, role_id, resource_type, resource_pattern, permission) \
         VALUES ($1, $2, $3, $4, $5)",
    );
    let statement = statement.bind(new.id).bind(new.role_id).bind(&new.resource_type);
    session.run(statement.bind(&new.resource_pattern).bind(&new.permission)).await.map(|_| ())
}

pub(crate) async fn set_permission(session: &mut Session, id: i64, permission: &str) -> Result<()> {
    let statement = Statement::new("UPDATE matraz_role_permissions SET permission = $1 WHERE id = $2");
    session.run(statement.bind(permission).bind(id)).await.map(|_| ())
}

pub(crate) async fn delete_permission(session: &mut Session, id: i64) -> Result<()> {
    session
        .run(Statement::new("DELETE FROM matraz_role_permissions WHERE id = $1").bind(id))
        .await
        .map(|_| ())
}

/// The permissions that name exactly this thing, each with the name of its role.
pub(crate) async fn permissions_on(
    session: &mut Session,
    kind: &str,
    pattern: &str,
) -> Result<Vec<(String, RolePermission)>> {
    let statement = Statement::new(
        "SELECT p.id, p.role_id, p.resource_type, p.resource_pattern, p.permission, r.name \
         FROM matraz_role_permissions p JOIN matraz_roles r ON r.id = p.role_id \
         WHERE p.resource_type = $1 AND p.resource_pattern = $2 ORDER BY p.id",
    );
    let rows = session.rows(statement.bind(kind).bind(pattern)).await?;
    rows.iter().map(|row| Ok((row.text(5)?, permission(row)?))).collect()
}

pub(crate) async fn set_pattern(session: &mut Session, id: i64, pattern: &str) -> Result<()> {
    let statement = Statement::new("UPDATE matraz_role_permissions SET resource_pattern = $1 WHERE id = $2");
    session.run(statement.bind(pattern).bind(id)).await.map(|_| ())
}

pub(crate) async fn find_assignment(
    session: &mut Session,
    user_id: i64,
    role_id: i64,
) -> Result<Option<Assignment>> {
    let statement = Statement::new(
        "SELECT id, user_id, role_id FROM matraz_user_roles WHERE user_id = $1 AND role_id = $2",
    );
    session.row(statement.bind(user_id).bind(role_id)).await?.as_ref().map(assignment).transpose()
}

pub(crate) async fn assignments_of_role(session: &mut Session, role_id: i64) -> Result<Vec<Assignment>> {
    let statement =
        Statement::new("SELECT id, user_id, role_id FROM matraz_user_roles WHERE role_id = $1 ORDER BY id");
    session.rows(statement.bind(role_id)).await?.iter().map(assignment).collect()
}

pub(crate) async fn assign(session: &mut Session, new: &Assignment) -> Result<()> {
    let statement =
        Statement::new("INSERT INTO matraz_user_roles (id, user_id, role_id) VALUES ($1, $2, $3)");
    session.run(statement.bind(new.id).bind(new.user_id).bind(new.role_id)).await.map(|_| ())
}

pub(crate) async fn unassign(session: &mut Session, id: i64) -> Result<()> {
    session.run(Statement::new("DELETE FROM matraz_user_roles WHERE id = $1").bind(id)).await.map(|_| ())
}
