//! The one place where a request is allowed or refused: who sends it, what its route needs, and whether that is met.

mod needed;
mod told;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::permission::{Action, Permission, Requirement, WORKSPACE};
use super::policy::{self, Needs};
use super::{Caller, sha256};
use crate::db;
use crate::error::Result;
use crate::service::{Service, now_ms};
use needed::{inside, needed};
use told::Told;

/// The middleware around every route of a server where users sign in.
pub(crate) async fn guard(State(service): State<Service>, mut request: Request, next: Next) -> Response {
    let Some(options) = service.options().auth.clone() else {
        let name = service.options().actor.clone();
        request.extensions_mut().insert(Caller::program(&name));
        return next.run(request).await;
    };
    let pattern = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let needs = match &pattern {
        Some(pattern) => policy::needs(request.method(), pattern).unwrap_or(Needs::Admin),
        // No route: a page of the web app, or an address that does not exist.
        None => Needs::User,
    };
    if needs == Needs::Nothing {
        return next.run(request).await;
    }
    let from = request.extensions().get::<ConnectInfo<std::net::SocketAddr>>();
    let from = from.map(|ConnectInfo(address)| address.ip().to_string()).unwrap_or_default();
    let signed_in = sign_in(&service, request.headers(), &from, options.default_permission).await;
    let caller = match signed_in {
        Ok(Some(caller)) => caller,
        Ok(None) => return not_signed_in(),
        Err(error) => return error.into_response(),
    };
    if !caller.is_admin() {
        let told = match Told::of(&mut request, needs).await {
            Ok(told) => told,
            Err(error) => return error.into_response(),
        };
        match allowed(&service, &caller, needs, &told).await {
            Ok(true) => {}
            Ok(false) => return (StatusCode::FORBIDDEN, "Permission denied").into_response(),
            Err(error) => return error.into_response(),
        }
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn not_signed_in() -> Response {
    let message = "You are not authenticated. Sign in with a user name and a password, or send a token.";
    let mut answer = (StatusCode::UNAUTHORIZED, message).into_response();
    let challenge = HeaderValue::from_static("Basic realm=\"mlflow\"");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    answer
}

/// The user whose password or token the request carries.
async fn sign_in(
    service: &Service,
    headers: &HeaderMap,
    from: &str,
    everybody: Permission,
) -> Result<Option<Caller>> {
    let Some((scheme, secret)) = credentials(headers) else { return Ok(None) };
    let mut session = service.db().read().await?;
    let user = if scheme.eq_ignore_ascii_case("bearer") {
        db::user::by_token(&mut session, &sha256(secret.trim().as_bytes()), now_ms()).await?
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD.decode(secret.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((name, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) else {
            return Ok(None);
        };
        let user = db::user::by_name(&mut session, name).await?;
        // Others read while the hash is computed.
        drop(session);
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let right = service.passwords().check(name, hash, password, from).await?;
        session = service.db().read().await?;
        user.filter(|_| right)
    } else {
        None
    };
    let Some(user) = user else { return Ok(None) };
    let grants = if user.is_admin {
        Vec::new()
    } else {
        db::role::grants_of_user(&mut session, user.id, WORKSPACE).await?
    };
    Ok(Some(Caller::user(user, grants, everybody)))
}

fn credentials(headers: &HeaderMap) -> Option<(&str, &str)> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')
}

/// Whether a user who is no administrator may send this.
async fn allowed(service: &Service, caller: &Caller, needs: Needs, told: &Told) -> Result<bool> {
    let oneself = |names: &[&str]| told.all(names).iter().all(|name| name == caller.name());
    match needs {
        Needs::Nothing | Needs::User => return Ok(true),
        Needs::Admin => return Ok(false),
        Needs::WorkspaceAdmin => {
            return Ok(caller.administers(WORKSPACE)
                && told.all(&["workspace"]).iter().all(|name| name == WORKSPACE));
        }
        Needs::Member => {
            let asked = told.all(&["workspace"]);
            let (Some(user), true) = (caller.signed_in(), asked.iter().all(|name| name == WORKSPACE)) else {
                return Ok(false);
            };
            if asked.is_empty() && told.all(&["role_id"]).is_empty() {
                return Ok(false);
            }
            return Ok(!db::role::of_user(&mut service.db().read().await?, user.id).await?.is_empty());
        }
        Needs::Oneself => return Ok(!told.some(&["username"])?.is_empty() && oneself(&["username"])),
        Needs::OneselfOrWorkspaceAdmin => {
            told.some(&["username"])?;
            return Ok(oneself(&["username"]) || caller.administers(WORKSPACE));
        }
        Needs::MakeExperiment => {
            // A place inside this server may belong to another experiment.
            let places = told.all(&["artifact_location"]);
            let foreign = places.iter().all(|place| is_elsewhere(place));
            return Ok(foreign && caller.may(&[Requirement::new("experiment", "*", Action::NotDenied)]));
        }
        _ => {}
    }
    let mut session = service.db().read().await?;
    match needed(&mut session, needs, told).await? {
        Some(needed) => Ok(caller.may(&needed)),
        // What does not exist is refused like what is not allowed, so that refusals tell nothing.
        None => Ok(false),
    }
}

/// Whether a place for artifacts is in a store that this server does not open.
fn is_elsewhere(place: &str) -> bool {
    place.split_once("://").is_some_and(|(scheme, _)| {
        !matches!(scheme.to_ascii_lowercase().as_str(), "file" | "mlflow-artifacts" | "runs" | "models")
    })
}

/// Whether somebody may look at all of some runs. A run that does not exist may not be looked at.
pub(crate) async fn may_read_runs(service: &Service, caller: &Caller, ids: &[String]) -> Result<bool> {
    if caller.is_admin() {
        return Ok(true);
    }
    let mut list = Vec::new();
    let mut session = service.db().read().await?;
    Ok(inside(&mut session, "run", ids, Action::Read, &mut list).await? && caller.may(&list))
}
