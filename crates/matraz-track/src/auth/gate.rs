//! The one place where a request is allowed or refused: who sends it, what its route needs, and whether that is met.

use axum::RequestExt as _;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::permission::{Action, Permission, Requirement, WORKSPACE};
use super::policy::{self, Needs};
use super::{Caller, sha256};
use crate::api::{fields_of_body, pairs_of_query};
use crate::artifact::ArtifactPath;
use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::model_source::ModelUri;
use crate::registered_model::IS_PROMPT;
use crate::service::{Service, now_ms};

/// The largest body in which the gate looks for the things that a request is about, in bytes.
const MAX_BODY: usize = 64 << 20;

/// Fields whose inner names belong to the user; no thing is named below them.
const VERBATIM: &[&str] = &["tags", "trace_metadata", "value", "metadata"];

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

/// What a request tells about the things it is about: parameters of the path, of the query and of a JSON body. A handler
/// reads some of these; the gate looks at all of them, so that none can say one thing here and another there.
struct Told {
    pairs: Vec<(String, String)>,
    body: Map<String, Value>,
    header_experiment: Option<String>,
    header_run: Option<String>,
}

impl Told {
    async fn of(request: &mut Request, needs: Needs) -> Result<Self> {
        let mut pairs = Vec::new();
        if let Ok(path) = request.extract_parts::<RawPathParams>().await {
            pairs.extend(path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        pairs.extend(pairs_of_query(request.uri().query().unwrap_or("")));
        let header_experiment = header_of(request.headers(), "x-mlflow-experiment-id");
        let header_run = header_of(request.headers(), "x-mlflow-run-id");
        let of_files = matches!(
            needs,
            Needs::File(_)
                | Needs::RunInQuery(_)
                | Needs::VersionInQuery
                | Needs::Spans
                | Needs::User
                | Needs::Admin
        );
        let body = if of_files {
            Map::new()
        } else {
            let body = std::mem::take(request.body_mut());
            let bytes: Bytes = axum::body::to_bytes(body, MAX_BODY).await.map_err(|error| {
                Error::invalid(format!("the body of the request cannot be read: {error}"))
            })?;
            // GET with parameters has a body that nobody reads.
            let unread = *request.method() == Method::GET
                && request.uri().query().is_some_and(|query| !query.is_empty());
            let fields = if unread { Map::new() } else { fields_of_body(&bytes, VERBATIM)? };
            *request.body_mut() = Body::from(bytes);
            fields
        };
        Ok(Self { pairs, body, header_experiment, header_run })
    }

    /// Every value under one of these names.
    fn all(&self, names: &[&str]) -> Vec<String> {
        let mut values: Vec<String> = self
            .pairs
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(_, value)| value.clone())
            .collect();
        for name in names {
            match self.body.get(*name) {
                Some(Value::Array(items)) => values.extend(items.iter().filter_map(text)),
                Some(value) => values.extend(text(value)),
                None => {}
            }
        }
        values.sort_unstable();
        values.dedup();
        values.retain(|value| !value.is_empty());
        values
    }

    /// Like [`all`](Self::all), of something that must be there.
    fn some(&self, names: &[&str]) -> Result<Vec<String>> {
        let values = self.all(names);
        if values.is_empty() { Err(Error::required(names.first().unwrap_or(&""))) } else { Ok(values) }
    }

    /// Every value of a field of the members of a list in the body.
    fn within(&self, list: &str, field: &str) -> Vec<String> {
        let items = self.body.get(list).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .filter_map(|item| text(item.get(field)?))
            .filter(|id| !id.is_empty())
            .collect()
    }
}

fn header_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
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

/// The requirements of a request; `None` when something that it names does not exist.
async fn needed(session: &mut Session, needs: Needs, told: &Told) -> Result<Option<Vec<Requirement>>> {
    let mut list = Vec::new();
    match needs {
        Needs::Nothing
        | Needs::User
        | Needs::Admin
        | Needs::WorkspaceAdmin
        | Needs::Member
        | Needs::Oneself
        | Needs::OneselfOrWorkspaceAdmin
        | Needs::MakeExperiment => return Ok(None),
        Needs::Share => {
            let kinds = told.some(&["resource_type"])?;
            for id in told.some(&["resource_id"])? {
                for kind in &kinds {
                    // Sharing all things of a kind is for administrators.
                    let Some(kind) = SHARED.iter().find(|known| *known == kind) else { return Ok(None) };
                    if id == "*" {
                        return Ok(None);
                    }
                    list.push(Requirement::new(kind, &id, Action::Manage));
                }
            }
        }
        Needs::Experiment(action) => {
            for id in told.some(&["experiment_id"])? {
                list.push(Requirement::new("experiment", &id, action));
            }
        }
        Needs::NamedExperiment(action) => {
            for name in told.some(&["experiment_name"])? {
                let found = db::experiment::by_name(session, &name).await?;
                let id = found.map(|found| found.id.to_string()).unwrap_or_default();
                list.push(Requirement::new("experiment", &id, action));
            }
        }
        Needs::WholeExperiment => {
            for id in told.some(&["experiment_id"])? {
                list.push(Requirement::new("experiment", &id, Action::Delete));
                for kind in
                    ["run", "trace", "logged_model", "assessment", "review_queue", "scorer", "scorer_version"]
                {
                    list.push(Requirement::below(kind, "experiment", &id, Action::Delete));
                }
            }
        }
        Needs::Experiments => {
            for id in told.some(&["experiment_ids"])? {
                list.push(Requirement::new("experiment", &id, Action::Read));
            }
        }
        Needs::MakeIn(kind) => {
            for id in told.some(&["experiment_id"])? {
                list.push(Requirement::new("experiment", &id, Action::Update));
                list.push(Requirement::new(kind, "*", Action::NotDenied));
            }
        }
        Needs::Run(action) => {
            if !runs(session, &told.some(&["run_uuid", "run_id"])?, action, &mut list).await? {
                return Ok(None);
            }
            let mut models = told.all(&["model_id"]);
            models.extend(told.within("metrics", "model_id"));
            models.extend(told.within("models", "model_id"));
            if !logged_models(session, &models, action, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::RunInQuery(action) => {
            let ids = told.all(&["run_id", "run_uuid"]);
            if ids.is_empty() {
                return Err(Error::invalid("Request must specify run_id or run_uuid parameter"));
            }
            if !runs(session, &ids, action, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::Runs => {
            if !runs(session, &told.some(&["run_id", "run_ids"])?, Action::Read, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::RunOrLoggedModel(action) => {
            let (run, model) = (told.all(&["run_id"]), told.all(&["model_id"]));
            if run.is_empty() && model.is_empty() {
                return Err(Error::invalid("Exactly one of run_id and model_id must be provided."));
            }
            if !runs(session, &run, action, &mut list).await?
                || !logged_models(session, &model, action, &mut list).await?
            {
                return Ok(None);
            }
        }
        Needs::LoggedModel(action) => {
            if !logged_models(session, &told.some(&["model_id"])?, action, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::MakeLoggedModel => {
            for id in told.some(&["experiment_id"])? {
                list.push(Requirement::new("experiment", &id, Action::Update));
            }
            list.push(Requirement::new("logged_model", "*", Action::NotDenied));
            if !runs(session, &told.all(&["source_run_id"]), Action::Read, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::MakeModel => {
            let is_prompt =
                told.body.get("tags").and_then(Value::as_array).into_iter().flatten().any(|tag| {
                    tag.get("key").and_then(Value::as_str) == Some(IS_PROMPT)
                        && tag
                            .get("value")
                            .and_then(Value::as_str)
                            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
                });
            let kind = if is_prompt { "prompt" } else { "registered_model" };
            for name in told.some(&["name"])? {
                if name == "*" {
                    return Err(Error::invalid(
                        "'*' is reserved for wildcard permission grants and cannot be used as a registered model or prompt \
                         name.",
                    ));
                }
                list.push(Requirement::new(kind, &name, Action::NotDenied));
            }
        }
        Needs::Model(_)
        | Needs::WholeModel
        | Needs::Alias(_)
        | Needs::Version(_)
        | Needs::VersionInQuery
        | Needs::MakeVersion => {
            if !registry(session, needs, told, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::File(action) => {
            let paths = told.all(&["path"]);
            for path in &paths {
                list.extend(file(&ArtifactPath::parse(path)?, action));
            }
            if paths.is_empty() {
                // The listing of everything, which is narrowed to what the caller may see.
                list.push(Requirement::new("artifact", "", action));
            }
        }
        Needs::Spans => {
            let id =
                told.header_experiment.as_deref().ok_or_else(|| Error::required("x-mlflow-experiment-id"))?;
            list.push(Requirement::new("experiment", id, Action::Update));
            list.push(Requirement::new("trace", "*", Action::NotDenied));
            if let Some(run) = &told.header_run
                && !runs(session, std::slice::from_ref(run), Action::Update, &mut list).await?
            {
                return Ok(None);
            }
        }
        Needs::DeleteTraces => {
            for id in told.some(&["experiment_id"])? {
                list.push(Requirement::new("experiment", &id, Action::Read));
                list.push(Requirement::below("trace", "experiment", &id, Action::Delete));
            }
        }
        Needs::StartTrace => {
            let info = told.body.get("trace").and_then(|trace| trace.get("trace_info"));
            let place = info.and_then(|info| info.get("trace_location"));
            let place = place.and_then(|place| place.get("mlflow_experiment"));
            let id = place.and_then(|place| text(place.get("experiment_id")?));
            let mut ids = told.all(&["experiment_id"]);
            ids.extend(id);
            if ids.is_empty() {
                return Err(Error::required("experiment_id"));
            }
            for id in ids {
                list.push(Requirement::new("experiment", &id, Action::Update));
                list.push(Requirement::new("trace", "*", Action::NotDenied));
            }
        }
        Needs::SearchTraces => {
            let mut ids = told.all(&["experiment_ids"]);
            let places = told.body.get("locations").and_then(Value::as_array);
            for place in places.into_iter().flatten() {
                ids.extend(
                    place.get("mlflow_experiment").and_then(|place| text(place.get("experiment_id")?)),
                );
            }
            if ids.is_empty() {
                return Err(Error::required("experiment_ids"));
            }
            for id in ids {
                list.push(Requirement::new("experiment", &id, Action::Read));
                list.push(Requirement::below("trace", "experiment", &id, Action::Read));
            }
        }
        Needs::Trace(action) | Needs::Traces(action) | Needs::Assessment(action) => {
            let kind = if matches!(needs, Needs::Assessment(_)) { "assessment" } else { "trace" };
            let ids = told.some(&["trace_id", "request_id", "trace_ids", "request_ids"])?;
            if !traces(session, &ids, kind, action, &mut list).await? {
                return Ok(None);
            }
        }
        Needs::LinkTraces => {
            if !runs(session, &told.some(&["run_id"])?, Action::Update, &mut list).await?
                || !traces(session, &told.some(&["trace_ids"])?, "trace", Action::Update, &mut list).await?
            {
                return Ok(None);
            }
        }
        Needs::Dataset(action) => {
            for id in told.some(&["dataset_id"])? {
                let experiments = db::access::experiments_of_dataset(session, &id).await?;
                if experiments.is_empty() {
                    return Ok(None);
                }
                for experiment in experiments {
                    list.push(Requirement::new("experiment", &experiment, action));
                }
            }
            for id in told.all(&["experiment_ids"]) {
                list.push(Requirement::new("experiment", &id, action));
            }
        }
        Needs::MakeDataset => {
            for id in told.some(&["experiment_ids"])? {
                list.push(Requirement::new("experiment", &id, Action::Update));
            }
        }
    }
    Ok(Some(list))
}

/// The kinds that can be shared one by one.
const SHARED: &[&str] = &["experiment", "registered_model", "prompt", "scorer", "mcp_server", "skill"];

/// Runs are judged as runs of their experiment, which must be readable. False when one does not exist.
async fn runs(
    session: &mut Session,
    ids: &[String],
    action: Action,
    list: &mut Vec<Requirement>,
) -> Result<bool> {
    for id in ids {
        let Some(run) = db::run::by_id(session, id).await? else { return Ok(false) };
        let experiment = run.experiment_id.to_string();
        list.push(Requirement::new("experiment", &experiment, Action::Read));
        list.push(Requirement::below("run", "experiment", &experiment, action));
    }
    Ok(true)
}

async fn logged_models(
    session: &mut Session,
    ids: &[String],
    action: Action,
    list: &mut Vec<Requirement>,
) -> Result<bool> {
    for id in ids {
        let Some(model) = db::logged_model::by_id(session, id).await? else { return Ok(false) };
        let experiment = model.experiment_id.to_string();
        list.push(Requirement::new("experiment", &experiment, Action::Read));
        list.push(Requirement::below("logged_model", "experiment", &experiment, action));
    }
    Ok(true)
}

async fn traces(
    session: &mut Session,
    ids: &[String],
    kind: &'static str,
    action: Action,
    list: &mut Vec<Requirement>,
) -> Result<bool> {
    for id in ids {
        let Some(experiment) = db::access::experiment_of_trace(session, id).await? else { return Ok(false) };
        list.push(Requirement::new("experiment", &experiment, Action::Read));
        list.push(Requirement::below(
            "trace",
            "experiment",
            &experiment,
            if kind == "trace" { action } else { Action::Read },
        ));
        if kind == "assessment" {
            list.push(Requirement::below("assessment", "experiment", &experiment, action));
        }
    }
    Ok(true)
}

/// The kind of a name in the registry, and the kind of its versions; `None` when there is no such name.
async fn kind_of(session: &mut Session, name: &str) -> Result<Option<(&'static str, &'static str)>> {
    let found = db::registered_model::by_name(session, name).await?;
    Ok(found.map(|model| {
        if model.is_prompt() {
            ("prompt", "prompt_version")
        } else {
            ("registered_model", "registered_model_version")
        }
    }))
}

async fn registry(
    session: &mut Session,
    needs: Needs,
    told: &Told,
    list: &mut Vec<Requirement>,
) -> Result<bool> {
    if needs == Needs::VersionInQuery && told.all(&["name"]).is_empty() {
        return Err(Error::invalid("Request must specify name parameter"));
    }
    for name in told.some(&["name"])? {
        let known = kind_of(session, &name).await?;
        if let (Needs::Model(action), None) = (needs, known) {
            list.push(Requirement::new("registered_model", &name, action));
            continue;
        }
        let Some((kind, versions)) = known else { return Ok(false) };
        match needs {
            Needs::Model(action) => list.push(Requirement::new(kind, &name, action)),
            Needs::WholeModel => {
                list.push(Requirement::new(kind, &name, Action::Delete));
                list.push(Requirement::below(versions, kind, &name, Action::Delete));
            }
            Needs::Alias(action) => {
                list.push(Requirement::new(kind, &name, action));
                list.push(Requirement::below(versions, kind, &name, Action::Read));
            }
            Needs::Version(action) => {
                list.push(Requirement::new(kind, &name, Action::Read));
                list.push(Requirement::below(versions, kind, &name, action));
            }
            Needs::VersionInQuery => {
                list.push(Requirement::new(kind, &name, Action::Read));
                list.push(Requirement::below(versions, kind, &name, Action::Read));
            }
            _ => {
                list.push(Requirement::new(kind, &name, Action::Update));
                list.push(Requirement::new(versions, "*", Action::NotDenied));
                if !source_of_version(session, told, list).await? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Whoever registers a version must be allowed to read what it is made of.
async fn source_of_version(session: &mut Session, told: &Told, list: &mut Vec<Requirement>) -> Result<bool> {
    let mut models = told.all(&["model_id"]);
    for source in told.all(&["source"]) {
        let name = match ModelUri::parse(&source) {
            None => continue,
            Some(ModelUri::Logged(id)) => {
                models.push(id);
                continue;
            }
            Some(
                ModelUri::Version(name, _)
                | ModelUri::Stage(name, _)
                | ModelUri::Latest(name)
                | ModelUri::Alias(name, _),
            ) => name,
        };
        match kind_of(session, &name).await? {
            Some((kind, _)) => list.push(Requirement::new(kind, &name, Action::Read)),
            None => return Ok(false),
        }
    }
    Ok(runs(session, &told.all(&["run_id"]), Action::Read, list).await?
        && logged_models(session, &models, Action::Read, list).await?)
}

/// What a file below the artifact proxy needs. Its first folder is the number of an experiment; for what is in none, the
/// level that everybody has decides.
fn file(path: &ArtifactPath, action: Action) -> Vec<Requirement> {
    let mut names = path.as_str().split('/');
    let first = names.next().unwrap_or_default();
    if first.is_empty() || !first.bytes().all(|byte| byte.is_ascii_digit()) {
        return vec![Requirement::new("artifact", "", action)];
    }
    let kinds: &[&'static str] = match names.next().map(str::to_lowercase).as_deref() {
        // Deleting the folder of an experiment deletes what is in it.
        None if action == Action::Manage => &["run", "logged_model", "trace"],
        None => &[],
        Some("models") => &["logged_model"],
        Some("traces") => &["trace"],
        Some(_) => &["run"],
    };
    let mut list = vec![Requirement::new("experiment", first, Action::Read)];
    list.extend(kinds.iter().map(|kind| Requirement::below(kind, "experiment", first, action)));
    if kinds.is_empty() {
        list.push(Requirement::new("experiment", first, action));
    }
    list
}
