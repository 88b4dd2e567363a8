//! `/2.0/mlflow/users` and `/3.0/mlflow/users`: users, and what is granted to each alone.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Empty, Reply};
use super::{Answer, Message, Request};
use crate::auth::{self, Action, Caller, Permission, Role, User as StoredUser};
use crate::error::{Code, Error, Result};
use crate::service::Service;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(get))
        .routes(routes!(list))
        .routes(routes!(current))
        .routes(routes!(update_password))
        .routes(routes!(update_admin))
        .routes(routes!(delete))
        .routes(routes!(current_permissions))
        .routes(routes!(list_permissions))
        .routes(routes!(get_permission))
        .routes(routes!(grant))
        .routes(routes!(revoke))
        .routes(routes!(list_roles))
}

/// A user.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct User {
    id: i64,
    username: String,
    is_admin: bool,
}

impl From<StoredUser> for User {
    fn from(stored: StoredUser) -> Self {
        Self { id: stored.id, username: stored.name, is_admin: stored.is_admin }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UserAnswer {
    user: User,
}

/// Refuses what makes no sense on a server where nobody signs in.
pub(super) fn with_users(service: &Service) -> Result<Permission> {
    let auth = service.options().auth.as_ref();
    auth.map(|auth| auth.default_permission)
        .ok_or_else(|| Error::request(Code::EndpointNotFound, "This server was started without users."))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct CreateUser {
    username: Option<String>,
    /// At least 12 characters.
    password: Option<String>,
}

impl Message for CreateUser {}

/// Make a user
#[utoipa::path(post, path = "/2.0/mlflow/users/create", tag = "users", request_body = CreateUser,
    responses((status = 200, body = UserAnswer), (status = 400, body = ErrorBody)))]
async fn create(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<CreateUser>,
) -> Result<Response> {
    with_users(&service)?;
    let name = request.username.ok_or_else(|| Error::required("username"))?;
    let password = request.password.ok_or_else(|| Error::required("password"))?;
    if name.is_empty() || password.is_empty() {
        return Ok((StatusCode::BAD_REQUEST, "Username and password cannot be empty.").into_response());
    }
    let hash = service.passwords().hash(&password).await?;
    let mut session = service.write(&caller).await?;
    let user = auth::create_user(&mut session, &name, &hash, false).await?;
    session.commit().await?;
    Ok(Answer(UserAnswer { user: user.into() }).into_response())
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct NamedUser {
    #[param(required = true)]
    username: String,
}

impl Message for NamedUser {
    const REQUIRED: &'static [&'static str] = &["username"];
}

/// Get a user
#[utoipa::path(get, path = "/2.0/mlflow/users/get", tag = "users", params(NamedUser),
    responses((status = 200, body = UserAnswer), (status = 404, body = ErrorBody)))]
async fn get(State(service): State<Service>, Request(request): Request<NamedUser>) -> Reply<UserAnswer> {
    with_users(&service)?;
    let user = auth::get_user(&mut service.db().read().await?, &request.username).await?;
    Ok(Answer(UserAnswer { user: user.into() }))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UserWithRoles {
    #[serde(flatten)]
    user: User,
    roles: Vec<Role>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UsersAnswer {
    users: Vec<UserWithRoles>,
}

/// List users, with the roles that the caller may see
#[utoipa::path(get, path = "/2.0/mlflow/users/list", tag = "users", responses((status = 200, body = UsersAnswer)))]
async fn list(State(service): State<Service>, caller: Caller) -> Reply<UsersAnswer> {
    with_users(&service)?;
    let mut session = service.db().read().await?;
    let mut users = Vec::new();
    for user in auth::list_users(&mut session).await? {
        let mut roles = Vec::new();
        if caller.is_admin() || caller.is_workspace_admin() || user.name == caller.name() {
            roles = auth::roles_of_user(&mut session, &user).await?;
        }
        users.push(UserWithRoles { user: user.into(), roles });
    }
    Ok(Answer(UsersAnswer { users }))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CurrentUser {
    user: User,
    /// Whether the caller signed in by HTTP's basic authentication or a token.
    is_basic_auth: bool,
}

/// Get the user who asks
#[utoipa::path(get, path = "/2.0/mlflow/users/current", tag = "users",
    responses((status = 200, body = CurrentUser), (status = 404, body = ErrorBody)))]
async fn current(State(service): State<Service>, caller: Caller) -> Reply<CurrentUser> {
    with_users(&service)?;
    Ok(Answer(CurrentUser { user: caller.require_user()?.clone().into(), is_basic_auth: true }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct UpdatePassword {
    username: String,
    /// At least 12 characters.
    password: String,
    /// Needed to change one's own.
    current_password: String,
}

impl Message for UpdatePassword {
    const REQUIRED: &'static [&'static str] = &["username", "password"];
}

/// Replace a password
#[utoipa::path(patch, path = "/2.0/mlflow/users/update-password", tag = "users", request_body = UpdatePassword,
    responses((status = 200, body = Empty), (status = 400, body = ErrorBody)))]
async fn update_password(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<UpdatePassword>,
) -> Reply<Empty> {
    with_users(&service)?;
    let UpdatePassword { username, password, current_password } = request;
    if caller.name() == username {
        if current_password.is_empty() {
            return Err(Error::invalid("Current password is required when changing your own password."));
        }
        let known = caller.require_user()?.password_hash.clone();
        if !service.passwords().check(&username, Some(&known), &current_password, "password change").await? {
            return Err(Error::invalid("Current password does not match."));
        }
        if password == current_password {
            return Err(Error::invalid("New password must differ from the current password."));
        }
    }
    auth::get_user(&mut service.db().read().await?, &username).await?;
    let hash = service.passwords().hash(&password).await?;
    let mut session = service.write(&caller).await?;
    auth::set_password(&mut session, &username, &hash).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct UpdateAdmin {
    username: String,
    is_admin: Option<bool>,
}

impl Message for UpdateAdmin {
    const REQUIRED: &'static [&'static str] = &["username", "is_admin"];
}

/// Make a user an administrator, or an ordinary user
#[utoipa::path(patch, path = "/2.0/mlflow/users/update-admin", tag = "users", request_body = UpdateAdmin,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn update_admin(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<UpdateAdmin>,
) -> Reply<Empty> {
    with_users(&service)?;
    let mut session = service.write(&caller).await?;
    auth::update_admin(&mut session, &request.username, request.is_admin.unwrap_or_default()).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

/// Delete a user
#[utoipa::path(delete, path = "/2.0/mlflow/users/delete", tag = "users", request_body = NamedUser,
    responses((status = 200, body = Empty), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn delete(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<NamedUser>,
) -> Reply<Empty> {
    with_users(&service)?;
    if caller.name() == request.username {
        return Err(Error::request(
            Code::BadRequest,
            "Users cannot delete their own account. Ask another admin to delete this user instead.",
        ));
    }
    let mut session = service.write(&caller).await?;
    auth::delete_user(&mut session, &request.username).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

/// One permission of one of a user's roles.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UserPermission {
    role_id: i64,
    role_name: String,
    workspace: String,
    resource_type: String,
    resource_pattern: String,
    permission: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UserPermissions {
    is_admin: bool,
    permissions: Vec<UserPermission>,
}

async fn permissions(service: &Service, name: &str) -> Reply<UserPermissions> {
    let mut session = service.db().read().await?;
    let user = auth::get_user(&mut session, name).await?;
    let mut permissions = Vec::new();
    for role in auth::roles_of_user(&mut session, &user).await? {
        for one in role.permissions {
            permissions.push(UserPermission {
                role_id: role.id,
                role_name: role.name.clone(),
                workspace: role.workspace.clone(),
                resource_type: one.resource_type,
                resource_pattern: one.resource_pattern,
                permission: one.permission,
            });
        }
    }
    Ok(Answer(UserPermissions { is_admin: user.is_admin, permissions }))
}

/// List the permissions of the user who asks
#[utoipa::path(get, path = "/3.0/mlflow/users/current/permissions", tag = "users",
    responses((status = 200, body = UserPermissions)))]
async fn current_permissions(State(service): State<Service>, caller: Caller) -> Reply<UserPermissions> {
    with_users(&service)?;
    permissions(&service, &caller.require_user()?.name).await
}

/// List the permissions of a user
#[utoipa::path(get, path = "/3.0/mlflow/users/permissions/list", tag = "users", params(NamedUser),
    responses((status = 200, body = UserPermissions), (status = 404, body = ErrorBody)))]
async fn list_permissions(
    State(service): State<Service>,
    Request(request): Request<NamedUser>,
) -> Reply<UserPermissions> {
    with_users(&service)?;
    permissions(&service, &request.username).await
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct OneThing {
    #[param(required = true)]
    username: String,
    /// As `experiment`, `registered_model`, `prompt`.
    #[param(required = true)]
    resource_type: String,
    /// The number of an experiment, the name of a model, `*` for all.
    #[param(required = true)]
    resource_id: String,
}

impl Message for OneThing {
    const REQUIRED: &'static [&'static str] = &["username", "resource_type", "resource_id"];
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Effective {
    /// Whether the level is `USE` or more.
    allowed: bool,
    /// The level, roles and what everybody has counted in.
    permission: &'static str,
}

/// Get what a user may do with a thing
#[utoipa::path(get, path = "/3.0/mlflow/users/permissions/get", tag = "users", params(OneThing),
    responses((status = 200, body = Effective), (status = 404, body = ErrorBody)))]
async fn get_permission(
    State(service): State<Service>,
    Request(request): Request<OneThing>,
) -> Reply<Effective> {
    let everybody = with_users(&service)?;
    let mut session = service.db().read().await?;
    let user = auth::get_user(&mut session, &request.username).await?;
    let (kind, id) = (&request.resource_type, &request.resource_id);
    let level = auth::permission_of_user(&mut session, &user, kind, id, everybody).await?;
    Ok(Answer(Effective { allowed: level.allows(Action::Use), permission: level.name() }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct GrantPermission {
    username: String,
    resource_type: String,
    resource_id: String,
    /// `READ`, `USE`, `EDIT`, `MANAGE` or `DENY`.
    permission: String,
}

impl Message for GrantPermission {
    const REQUIRED: &'static [&'static str] = &["username", "resource_type", "resource_id", "permission"];
}

/// Grant something to one user
#[utoipa::path(post, path = "/3.0/mlflow/users/permissions/grant", tag = "users", request_body = GrantPermission,
    responses((status = 200, body = Empty), (status = 400, body = ErrorBody)))]
async fn grant(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<GrantPermission>,
) -> Reply<Empty> {
    with_users(&service)?;
    let GrantPermission { username, resource_type, resource_id, permission } = request;
    let mut session = service.write(&caller).await?;
    auth::grant_to_user(&mut session, &username, &resource_type, &resource_id, &permission).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

/// Take back what was granted to one user
#[utoipa::path(post, path = "/3.0/mlflow/users/permissions/revoke", tag = "users", request_body = OneThing,
    responses((status = 200, body = Empty), (status = 404, body = ErrorBody)))]
async fn revoke(
    State(service): State<Service>,
    caller: Caller,
    Request(request): Request<OneThing>,
) -> Reply<Empty> {
    with_users(&service)?;
    let mut session = service.write(&caller).await?;
    auth::revoke_from_user(&mut session, &request.username, &request.resource_type, &request.resource_id)
        .await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RolesAnswer {
    roles: Vec<Role>,
}

/// List the roles of a user
#[utoipa::path(get, path = "/3.0/mlflow/users/roles/list", tag = "users", params(NamedUser),
    responses((status = 200, body = RolesAnswer), (status = 404, body = ErrorBody)))]
async fn list_roles(
    State(service): State<Service>,
    Request(request): Request<NamedUser>,
) -> Reply<RolesAnswer> {
    with_users(&service)?;
    let mut session = service.db().read().await?;
    let user = auth::get_user(&mut session, &request.username).await?;
    Ok(Answer(RolesAnswer { roles: auth::roles_of_user(&mut session, &user).await? }))
}
