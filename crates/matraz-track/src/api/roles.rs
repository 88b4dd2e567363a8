//! `/3.0/mlflow/roles`: roles, their permissions and who has them.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Empty, Reply};
use super::users::with_users;
use super::{Answer, Message, Request};
use crate::auth::{self, Assignment, Caller, Role, RolePermission};
use crate::error::{Error, Result};
use crate::service::Service;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(get))
        .routes(routes!(list))
        .routes(routes!(update))
        .routes(routes!(delete))
        .routes(routes!(add_permission))
        .routes(routes!(remove_permission))
        .routes(routes!(list_permissions))
        .routes(routes!(update_permission))
        .routes(routes!(assign))
        .routes(routes!(unassign))
        .routes(routes!(list_users))
}

/// The number of a thing that the message requires.
fn number(field: &str, id: Option<Value>) -> Result<i64> {
    let number = match &id {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let shown = match id {
        Some(Value::String(text)) => format!("'{text}'"),
        other => other.unwrap_or_default().to_string(),
    };
    number.ok_or_else(|| Error::invalid(format!("Parameter '{field}' must be an integer. Got: {shown}")))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RoleAnswer {
    role: Role,
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct CreateRole {
    name: Option<String>,
    /// `default`
    workspace: Option<String>,
    description: Option<String>,
}

impl Message for CreateRole {}

/// Make a role
#[utoipa::path(post, path = "/3.0/mlflow/roles/create", tag = "roles", request_body = CreateRole,
    responses((status = 200, body = RoleAnswer), (status = 400, body = ErrorBody)))]
async fn create(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<CreateRole>,
) -> Reply<RoleAnswer> {
    let name = request.name.ok_or_else(|| Error::required("name"))?;
    let workspace = request.workspace.ok_or_else(|| Error::required("workspace"))?;
    with_users(&service)?;
    let mut session = service.write(&caller).await?;
    let role = auth::create_role(&mut session, &name, &workspace, request.description).await?;
    session.commit().await?;
    Ok(Answer(RoleAnswer { role }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct NumberedRole {
    #[param(required = true, value_type = i64)]
    role_id: Option<Value>,
}

impl Message for NumberedRole {
    const REQUIRED: &'static [&'static str] = &["role_id"];
}

/// Get a role
#[utoipa::path(get, path = "/3.0/mlflow/roles/get", tag = "roles", params(NumberedRole),
    responses((status = 200, body = RoleAnswer), (status = 404, body = ErrorBody)))]
async fn get(State(service): State<Service>, Request(request): Request<NumberedRole>) -> Reply<RoleAnswer> {
    with_users(&service)?;
    let role = auth::get_role(&mut service.db().read().await?, number("role_id", request.role_id)?).await?;
    Ok(Answer(RoleAnswer { role }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListRoles {
    /// Repeated; all when absent.
    workspace: Vec<String>,
}

impl Message for ListRoles {}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RolesAnswer {
    roles: Vec<Role>,
}

/// List roles
#[utoipa::path(get, path = "/3.0/mlflow/roles/list", tag = "roles", params(ListRoles),
    responses((status = 200, body = RolesAnswer)))]
async fn list(State(service): State<Service>, Request(request): Request<ListRoles>) -> Reply<RolesAnswer> {
    if request.workspace.iter().any(|name| name.trim().is_empty()) {
        return Err(Error::invalid("Parameter 'workspace' must be a non-empty string when provided."));
    }
    with_users(&service)?;
    let roles = auth::list_roles(&mut service.db().read().await?, &request.workspace).await?;
    Ok(Answer(RolesAnswer { roles }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct UpdateRole {
    #[schema(value_type = i64)]
    role_id: Option<Value>,
    name: Option<String>,
    description: Option<String>,
}

impl Message for UpdateRole {
    const REQUIRED: &'static [&'static str] = &["role_id"];
}

/// Change the name or description of a role
#[utoipa::path(patch, path = "/3.0/mlflow/roles/update", tag = "roles", request_body = UpdateRole,
    responses((status = 200, body = RoleAnswer), (status = 404, body = ErrorBody)))]
async fn update(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<UpdateRole>,
) -> Reply<RoleAnswer> {
    with_users(&service)?;
    let mut session = service.write(&caller).await?;
    let id = number("role_id", request.role_id)?;
    let role = auth::update_role(&mut session, id, request.name, request.description).await?;
    session.commit().await?;
    Ok(Answer(RoleAnswer { role }))
}

/// Delete a role
#[utoipa::path(delete, path = "/3.0/mlflow/roles/delete", tag = "roles", request_body = NumberedRole,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn delete(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<NumberedRole>,
) -> Reply<Empty> {
    with_users(&service)?;
    let mut session = service.write(&caller).await?;
    auth::delete_role(&mut session, number("role_id", request.role_id)?).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct AddRolePermission {
    #[schema(value_type = i64)]
    role_id: Option<Value>,
    resource_type: String,
    /// The number of an experiment, the name of a model, `*` for all.
    resource_pattern: String,
    permission: String,
}

impl Message for AddRolePermission {
    const REQUIRED: &'static [&'static str] = &["role_id", "resource_type", "resource_pattern", "permission"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RolePermissionAnswer {
    role_permission: RolePermission,
}

/// Add a permission to a role
#[utoipa::path(post, path = "/3.0/mlflow/roles/permissions/add", tag = "roles", request_body = AddRolePermission,
    responses((status = 200, body = RolePermissionAnswer), (status = 400, body = ErrorBody)))]
async fn add_permission(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<AddRolePermission>,
) -> Reply<RolePermissionAnswer> {
    let AddRolePermission { role_id, resource_type, resource_pattern, permission } = request;
    with_users(&service)?;
    let mut session = service.write(&caller).await?;
    let role_permission = auth::add_permission(
        &mut session,
        number("role_id", role_id)?,
        &resource_type,
        &resource_pattern,
        &permission,
    )
    .await?;
    session.commit().await?;
    Ok(Answer(RolePermissionAnswer { role_permission }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct NumberedPermission {
    #[schema(value_type = i64)]
    role_permission_id: Option<Value>,
}

impl Message for NumberedPermission {
    const REQUIRED: &'static [&'static str] = &["role_permission_id"];
}

/// Take a permission away from a role
#[utoipa::path(delete, path = "/3.0/mlflow/roles/permissions/remove", tag = "roles", request_body = NumberedPermission,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn remove_permission(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<NumberedPermission>,
) -> Reply<Empty> {
    with_users(&service)?;
    let mut session = service.write(&caller).await?;
    auth::remove_permission(&mut session, number("role_permission_id", request.role_permission_id)?).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RolePermissionsAnswer {
    role_permissions: Vec<RolePermission>,
}

/// List the permissions of a role
#[utoipa::path(get, path = "/3.0/mlflow/roles/permissions/list", tag = "roles", params(NumberedRole),
    responses((status = 200, body = RolePermissionsAnswer), (status = 404, body = ErrorBody)))]
async fn list_permissions(
    State(service): State<Service>,
    Request(request): Request<NumberedRole>,
) -> Reply<RolePermissionsAnswer> {
    with_users(&service)?;
    let role = auth::get_role(&mut service.db().read().await?, number("role_id", request.role_id)?).await?;
    Ok(Answer(RolePermissionsAnswer { role_permissions: role.permissions }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct UpdateRolePermission {
    #[schema(value_type = i64)]
    role_permission_id: Option<Value>,
    permission: String,
}

impl Message for UpdateRolePermission {
    const REQUIRED: &'static [&'static str] = &["role_permission_id", "permission"];
}

/// Change the level of a permission of a role
#[utoipa::path(patch, path = "/3.0/mlflow/roles/permissions/update", tag = "roles", request_body = UpdateRolePermission,
    responses((status = 200, body = RolePermissionAnswer), (status = 404, body = ErrorBody)))]
async fn update_permission(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<UpdateRolePermission>,
) -> Reply<RolePermissionAnswer> {
    with_users(&service)?;
    let mut session = service.write(&caller).await?;
    let id = number("role_permission_id", request.role_permission_id)?;
    let role_permission = auth::update_permission(&mut session, id, &request.permission).await?;
    session.commit().await?;
    Ok(Answer(RolePermissionAnswer { role_permission }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct AssignRole {
    username: String,
    #[schema(value_type = i64)]
    role_id: Option<Value>,
}

impl Message for AssignRole {
    const REQUIRED: &'static [&'static str] = &["username", "role_id"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AssignmentAnswer {
    assignment: Assignment,
}

/// Give a role to a user
#[utoipa::path(post, path = "/3.0/mlflow/roles/assign", tag = "roles", request_body = AssignRole,
    responses((status = 200, body = AssignmentAnswer), (status = 400, body = ErrorBody)))]
async fn assign(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<AssignRole>,
) -> Reply<AssignmentAnswer> {
    with_users(&service)?;
    let mut session = service.write(&caller).await?;
    let user = auth::get_user(&mut session, &request.username).await?;
    let assignment = auth::assign(&mut session, &user, number("role_id", request.role_id)?).await?;
    session.commit().await?;
    Ok(Answer(AssignmentAnswer { assignment }))
}

/// Take a role away from a user
#[utoipa::path(delete, path = "/3.0/mlflow/roles/unassign", tag = "roles", request_body = AssignRole,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn unassign(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<AssignRole>,
) -> Reply<Empty> {
    with_users(&service)?;
    let mut session = service.write(&caller).await?;
    let user = auth::get_user(&mut session, &request.username).await?;
    auth::unassign(&mut session, &user, number("role_id", request.role_id)?).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AssignmentsAnswer {
    assignments: Vec<Assignment>,
}

/// List who has a role
#[utoipa::path(get, path = "/3.0/mlflow/roles/users/list", tag = "roles", params(NumberedRole),
    responses((status = 200, body = AssignmentsAnswer), (status = 404, body = ErrorBody)))]
async fn list_users(
    State(service): State<Service>,
    Request(request): Request<NumberedRole>,
) -> Reply<AssignmentsAnswer> {
    with_users(&service)?;
    let assignments =
        auth::assignments(&mut service.db().read().await?, number("role_id", request.role_id)?).await?;
    Ok(Answer(AssignmentsAnswer { assignments }))
}
