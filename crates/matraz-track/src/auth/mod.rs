//! Who may do what: users, roles, tokens, and the one place where a request is allowed or refused.
//!
//! The levels and rules are those of MLflow's basic-auth app ([`permission`]); users and roles are in the tracking store
//! itself. What every route needs stands in one table ([`policy`]): a route that is not in it is refused to everybody but
//! administrators.

mod caller;
pub mod gate;
pub mod permission;
pub mod policy;
mod role;
mod secret;
mod token;
mod user;

pub use caller::{Caller, Scope};
pub use permission::{Action, Grant, Permission, Requirement};
pub use role::{Assignment, Role, RolePermission};
pub(crate) use role::{
    NAMED, add_permission, assign, assignments, create as create_role, creator_manages,
    delete as delete_role, forget_thing, get as get_role, grant_to_user, list as list_roles,
    of_user as roles_of_user, permission_of_user, remove_permission, rename_thing, revoke_from_user,
    unassign, update as update_role, update_permission,
};
pub(crate) use secret::sha256;
pub use secret::{Passwords, random_secret};
pub use token::{NewToken, Token, create as create_token, list as list_tokens, revoke as revoke_token};
pub(crate) use user::update_admin;
pub use user::{
    User, create as create_user, delete as delete_user, find as find_user, get as get_user,
    list as list_users, set_password,
};

use crate::error::Result;
use crate::service::Service;

/// How a server guards what it serves.
#[derive(Clone, Debug)]
pub struct AuthOptions {
    /// What every user may do with everything, beside what is granted.
    pub default_permission: Permission,
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self { default_permission: Permission::Read }
    }
}

/// Makes the first administrator of a store, with this password or a random one. A random password is returned, for the
/// only time; `None` when the user was there already or the password was given.
pub async fn make_first_admin(
    service: &Service,
    name: &str,
    password: Option<&str>,
) -> Result<Option<String>> {
    let caller = Caller::program("first start");
    let mut session = service.write(&caller).await?;
    if find_user(&mut session, name).await?.is_some() {
        return Ok(None);
    }
    let random = match password {
        Some(_) => None,
        None => Some(random_secret()?),
    };
    let hash = service.passwords().hash(password.or(random.as_deref()).unwrap_or_default()).await?;
    create_user(&mut session, name, &hash, true).await?;
    session.commit().await?;
    Ok(random)
}
