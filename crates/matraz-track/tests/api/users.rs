use axum::http::Method;
use matraz_track::auth::{Permission, policy};
use matraz_track::{auth, journal};
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// Adds ordinary users.
async fn users(fixture: &Fixture, names: &[&str]) {
    for name in names {
        let body = json!({"username": name, "password": crate::fixture::PASSWORD});
        let (status, answer) = fixture.call_as("admin", Method::POST, "users/create", body).await;
        assert_eq!(status, 200, "{answer}");
    }
}

async fn made(fixture: &Fixture, user: &str, path: &str, body: Value) -> Value {
    let (status, answer) = fixture.call_as(user, Method::POST, path, body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// Grants something to one user alone.
async fn grant(fixture: &Fixture, by: &str, user: &str, kind: &str, id: &str, permission: &str) -> u16 {
    let body = json!({"username": user, "resource_type": kind, "resource_id": id, "permission": permission});
    fixture.call_as(by, Method::POST, "/api/3.0/mlflow/users/permissions/grant", body).await.0.as_u16()
}

/// Method and pattern of every route, read from what the router says of itself.
pub fn routes(router: &axum::Router) -> Vec<(Method, String)> {
    let told = format!("{router:?}");
    let mut paths: std::collections::HashMap<String, String> = std::collections::HashMap::new();
    for part in told.split("RouteId(").skip(1) {
        let Some((id, rest)) = part.split_once("): \"") else { continue };
        paths.insert(id.to_owned(), rest.split('"').next().unwrap().to_owned());
    }
    let mut found = Vec::new();
    for part in told.split("RouteId(").skip(1) {
        let Some((id, rest)) = part.split_once("): MethodRouter(") else { continue };
        // What answers addresses that no route has.
        if paths[id] == "/" || paths[id].contains("axum_fallback") {
            continue;
        }
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let absent = format!("{}: None", method.as_str().to_lowercase());
            if !rest.contains(&absent) {
                found.push((method, paths[id].clone()));
            }
        }
    }
    found
}

#[tokio::test]
async fn every_route_says_what_it_needs() {
    let fixture = Fixture::new().await;
    let routes = routes(&fixture.service.router());
    assert!(routes.len() > 150, "the router is read wrongly: {routes:?}");
    let unnamed: Vec<_> = routes
        .iter()
        // What is below `/api` and no route is answered by a 404 to whoever is signed in.
        .filter(|(_, path)| !matches!(path.as_str(), "/api/{*path}" | "/ajax-api/{*path}"))
        .filter(|(method, path)| policy::needs(method, path).is_none())
        .collect();
    assert!(unnamed.is_empty(), "no line in auth/policy.rs for {unnamed:#?}");
}

#[tokio::test]
async fn every_route_is_in_the_document() {
    let fixture = Fixture::new().await;
    let document: Value = serde_json::from_str(&matraz_track::api::router::document(Default::default())).unwrap();
    let mut documented: Vec<(String, String)> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if !matches!(method.as_str(), "get" | "post" | "put" | "patch" | "delete") {
                continue;
            }
            documented.push((method.clone(), path.clone()));
            // Every parameter of the path is described.
            for name in path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
                let described = operation["parameters"].as_array().into_iter().flatten();
                assert!(described.into_iter().any(|known| known["name"] == name), "{method} {path}: {name}");
            }
        }
    }
    let routed: Vec<(String, String)> = routes(&fixture.service.router())
        .into_iter()
        .filter(|(_, path)| !path.starts_with("/ajax-api") && path != "/api/{*path}" && path != "/openapi.json")
        .filter(|(_, path)| !path.contains("/workspaces"))
        .map(|(method, path)| (method.as_str().to_lowercase(), path.replace("{*", "{")))
        .collect();
    assert!(routed.len() > 100, "the router is read wrongly: {routed:?}");
    let missing: Vec<_> = routed.iter().filter(|route| !documented.contains(route)).collect();
    assert!(missing.is_empty(), "not in the API document: {missing:#?}");
}

#[tokio::test]
async fn who_does_not_sign_in_sees_nothing() {
    let fixture = Fixture::with_users(Permission::Read).await;
    for (method, path) in routes(&fixture.service.router()) {
        let asked = path.replace("{*path}", "1/x").replace(['{', '}'], "");
        let (status, answer) = fixture.call(method.clone(), &asked, json!({})).await;
        let open = matches!(asked.as_str(), "/health" | "/api/3.0/mlflow/server-info" | "/ajax-api/3.0/mlflow/server-info");
        assert_eq!(status.as_u16(), if open { 200 } else { 401 }, "{method} {asked}: {answer}");
    }
    for wrong in ["Basic !!", "Basic YWRtaW4=", "Bearer x", "Basic YWRtaW46YWRtaW46eA==", "Digest x", "Bearer "] {
        let (status, _) = fixture.call_with(wrong, Method::GET, "users/current", json!({})).await;
        assert_eq!(status, 401, "{wrong}");
    }
}

#[tokio::test]
async fn a_stranger_may_do_nothing_with_what_is_not_shared() {
    let fixture = Fixture::with_users(Permission::NoPermissions).await;
    users(&fixture, &["ann", "eve"]).await;
    let experiment = made(&fixture, "ann", "experiments/create", json!({"name": "e"})).await;
    let experiment = experiment["experiment_id"].as_str().unwrap().to_owned();
    let run = made(&fixture, "ann", "runs/create", json!({"experiment_id": experiment})).await;
    let run = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let model = made(&fixture, "ann", "logged-models", json!({"experiment_id": experiment, "name": "l"})).await;
    let model = model["model"]["info"]["model_id"].as_str().unwrap().to_owned();
    made(&fixture, "ann", "registered-models/create", json!({"name": "m"})).await;
    let source = format!("mlflow-artifacts:/{experiment}/{run}/artifacts/model");
    made(&fixture, "ann", "model-versions/create", json!({"name": "m", "source": source, "run_id": run})).await;

    // Every name of a thing, in the query, in the body and in the path, is ann's.
    let body = json!({
        "experiment_id": experiment, "experiment_ids": [experiment], "experiment_name": "e", "run_id": run,
        "run_ids": [run], "model_id": model, "name": "m", "version": "1", "key": "k", "value": "v", "new_name": "n",
        "alias": "a", "stage": "Staging", "source": source, "username": "ann", "resource_type": "experiment",
        "resource_id": experiment, "permission": "READ", "role_id": 1, "role_permission_id": 1, "timestamp": 1, "step": 1,
        "max_results": 5, "workspace": "default", "password": "another password", "is_admin": true, "params": [],
        "tags": [], "metrics": [], "trace_id": "tr-1", "request_id": "tr-1", "trace_ids": ["tr-1"], "dataset_id": "d-1",
        "dataset_ids": ["d-1"], "assessment_id": "a-1", "webhook_id": "w-1",
    });
    let query = body.as_object().unwrap().iter().map(|(key, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text = value.as_array().map_or(text, |items| items.first().and_then(Value::as_str).unwrap_or("").to_owned());
        format!("{key}={}", text.replace('/', "%2F").replace(' ', "+"))
    });
    let query = query.collect::<Vec<_>>().join("&");
    // What any user may ask; the answers are looked at below.
    let for_all = [
        "/health", "/version", "/metrics", "/openapi.json", "/search", "/users/list", "/users/current",
        "/users/current/permissions", "/server-info", "/experiments/create", "/registered-models/create",
    ];
    let mut refused = 0;
    for (method, pattern) in routes(&fixture.service.router()) {
        let pattern = pattern.replace("/api/{*path}", "/api/nothing").replace("/ajax-api/{*path}", "/ajax-api/nothing");
        let mut path = pattern.replace("{model_id}", &model).replace("{*path}", &format!("{experiment}/{run}/artifacts/x"));
        while let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
            path.replace_range(start..=end, "x");
        }
        if for_all.iter().any(|end| pattern.ends_with(end)) || policy::needs(&method, &pattern) == Some(policy::Needs::User) {
            continue;
        }
        for (ask, body) in [(format!("{path}?{query}"), json!({})), (path.clone(), body.clone())] {
            if ask == path && method == Method::GET && pattern.contains("artifact") {
                continue;
            }
            let (status, answer) = fixture.call_as("eve", method.clone(), &ask, body).await;
            // A field that only counts in the body is missing when it is in the query.
            let in_vain = status == 400 && answer["error_code"] == "INVALID_PARAMETER_VALUE";
            let nothing = status == 404 && pattern.ends_with("/nothing");
            assert!(status == 403 || in_vain || nothing, "{method} {ask}: {status} {answer}");
            refused += usize::from(status == 403);
        }
    }
    assert!(refused > 200, "{refused}");

    // Searches show nothing of it either, and no more than there is to say about pages.
    for (method, path, body) in [
        (Method::POST, "experiments/search", json!({"max_results": 5, "view_type": "ALL"})),
        (Method::GET, "experiments/search?max_results=5", json!({})),
        (Method::POST, "runs/search", json!({"experiment_ids": [experiment]})),
        (Method::POST, "logged-models/search", json!({"experiment_ids": [experiment]})),
        (Method::GET, "registered-models/search", json!({})),
        (Method::GET, "model-versions/search", json!({})),
    ] {
        let (status, answer) = fixture.call_as("eve", method.clone(), path, body.clone()).await;
        assert_eq!((status.as_u16(), answer), (200, json!({})), "{path}");
        let (_, answer) = fixture.call_as("ann", method, path, body).await;
        assert_ne!(answer, json!({}), "{path}");
    }
}

/// The least level of a share that a line of the table asks for: 1 READ, 2 EDIT, 3 MANAGE, 4 no share is enough. `None` when
/// the line is not about a thing that is shared.
fn least_level(needs: policy::Needs) -> Option<u8> {
    use matraz_track::auth::Action;
    use policy::Needs::*;
    let level = |action: Action| match action {
        Action::Read | Action::Use => 1,
        Action::Update => 2,
        Action::Delete | Action::Manage => 3,
        Action::NotDenied => 0,
    };
    Some(match needs {
        Experiment(action) | NamedExperiment(action) | Run(action) | RunInQuery(action) | RunOrLoggedModel(action)
        | LoggedModel(action) | Model(action) | Alias(action) | Version(action) | File(action) | Trace(action)
        | Traces(action) | Assessment(action) | Dataset(action) | Scorer(action) => level(action),
        Experiments | Runs | SearchDatasets | SearchTraces | VersionInQuery | ListScorers => 1,
        MakeScorer | MakeIn(_) | MakeLoggedModel | MakeVersion | LinkTraces | StartTrace | Spans | MakeDataset => 2,
        Share | WholeExperiment | WholeModel | DeleteTraces => 3,
        Admin | WorkspaceAdmin | Oneself | OneselfOrWorkspaceAdmin => 4,
        // What all may ask, and what concerns the caller alone.
        Nothing | User | Member | MakeExperiment | MakeModel => return None,
    })
}

/// Things of ann's, and a request that names all of them in every field that any route reads.
struct Things {
    experiment: String,
    run: String,
    model: String,
    trace: String,
    dataset: String,
    name: String,
}

impl Things {
    async fn of_ann(fixture: &Fixture, name: &str) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let experiment = made(fixture, "ann", "experiments/create", json!({"name": name})).await;
        let experiment = text(&experiment["experiment_id"]);
        let run = made(fixture, "ann", "runs/create", json!({"experiment_id": experiment})).await;
        let run = text(&run["run"]["info"]["run_id"]);
        let model = json!({"experiment_id": experiment, "name": "l", "source_run_id": run});
        let model = text(&made(fixture, "ann", "logged-models", model).await["model"]["info"]["model_id"]);
        made(fixture, "ann", "registered-models/create", json!({"name": name})).await;
        let version = json!({"name": name, "source": format!("models:/{model}"), "model_id": model, "run_id": run});
        made(fixture, "ann", "model-versions/create", version).await;
        let trace = format!("tr-{name}");
        let place = json!({"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}});
        let info = json!({"trace_id": trace, "trace_location": place, "request_time": "2026-01-02T03:04:05Z"});
        made(fixture, "ann", "/api/3.0/mlflow/traces", json!({"trace": {"trace_info": info}})).await;
        let dataset = json!({"name": name, "experiment_ids": [experiment]});
        let dataset = made(fixture, "ann", "/api/3.0/mlflow/datasets/create", dataset).await;
        let dataset = text(&dataset["dataset"]["dataset_id"]);
        let scorer = json!({"experiment_id": experiment, "name": name, "serialized_scorer": "{}"});
        made(fixture, "ann", "/api/3.0/mlflow/scorers/register", scorer).await;
        Self { experiment, run, model, trace, dataset, name: name.to_owned() }
    }

    fn body(&self) -> Value {
        let Self { experiment, run, model, trace, dataset, name } = self;
        let place = json!({"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}});
        json!({
            "experiment_id": experiment, "experiment_ids": [experiment], "experiment_name": name, "run_id": run,
            "run_ids": [run], "model_id": model, "name": name, "version": "1", "new_name": name, "alias": "a",
            "source": format!("models:/{model}"), "source_run_id": run, "username": "ann", "resource_type": "experiment",
            "resource_id": experiment, "permission": "READ", "trace_id": trace, "request_id": trace, "trace_ids": [trace],
            "request_ids": [trace], "dataset_id": dataset, "locations": [place],
            "trace": {"trace_info": {"trace_id": trace, "trace_location": place}},
        })
    }

    fn address(&self, pattern: &str) -> String {
        let mut path = pattern
            .replace("{model_id}", &self.model)
            .replace("{trace_id}", &self.trace)
            .replace("{request_id}", &self.trace)
            .replace("{dataset_id}", &self.dataset)
            .replace("{*path}", &format!("{}/{}/artifacts/x", self.experiment, self.run));
        while let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
            path.replace_range(start..=end, "x");
        }
        let query: Vec<String> = self
            .body()
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(key, value)| {
                let text = value.as_str().or_else(|| value.as_array()?.first()?.as_str())?;
                Some(format!("{key}={}", text.replace('/', "%2F")))
            })
            .collect();
        // The proxy lists the folder that the query names.
        let path_of_files = format!("path={}%2F{}%2Fartifacts", self.experiment, self.run);
        format!("{path}?{}&{path_of_files}", query.join("&"))
    }
}

#[tokio::test]
async fn every_route_asks_for_the_level_that_its_line_says() {
    let fixture = Fixture::with_users(Permission::NoPermissions).await;
    users(&fixture, &["ann", "none", "read", "use", "edit", "manage"]).await;
    let mut judged = 0;
    // What is deleted on the way is gone for the rest, so that each has things of its own.
    for (user, has) in [("none", 0), ("read", 1), ("use", 1), ("edit", 2), ("manage", 3), ("admin", 4)] {
        let things = Things::of_ann(&fixture, user).await;
        if has > 0 && user != "admin" {
            let scorer = format!("{}/{}", things.experiment, things.name);
            let kinds = [("experiment", &things.experiment), ("registered_model", &things.name), ("scorer", &scorer)];
            for (kind, id) in kinds {
                assert_eq!(grant(&fixture, "ann", user, kind, id, &user.to_uppercase()).await, 200, "{user} {kind}");
            }
        }
        let mut routes = routes(&fixture.service.router());
        routes.retain(|(_, pattern)| !pattern.starts_with("/ajax-api"));
        // First what leaves the things there.
        routes.sort_by_key(|(method, pattern)| {
            let deletes = *method == Method::DELETE || pattern.contains("delete");
            let ends = ["datasets/{dataset_id}", "registered-models/delete", "delete-traces"];
            (deletes, ends.iter().any(|end| pattern.ends_with(end)))
        });
        for (method, pattern) in routes {
            let Some(needs) = policy::needs(&method, &pattern) else { continue };
            let Some(least) = least_level(needs).filter(|_| !pattern.contains("/users/")) else { continue };
            let (status, answer) = fixture
                .call_as_with(user, method.clone(), &things.address(&pattern), things.body(), &things.experiment)
                .await;
            let allowed = has >= least;
            assert_eq!(status != 403, allowed, "{user}: {method} {pattern} ({needs:?}): {status} {answer}");
            assert!(status != 401 && (!status.is_server_error() || status == 501), "{user}: {method} {pattern}: {answer}");
            judged += 1;
            if allowed && pattern.ends_with("/remove-experiments") {
                let back = format!("/api/3.0/mlflow/datasets/{}/add-experiments", things.dataset);
                made(&fixture, "admin", &back, json!({"experiment_ids": [things.experiment]})).await;
            }
        }
    }
    assert!(judged > 500, "{judged}");
}

#[tokio::test]
async fn datasets_of_no_experiment_are_for_administrators() {
    let fixture = Fixture::with_users(Permission::Manage).await;
    users(&fixture, &["ann", "eve"]).await;
    Things::of_ann(&fixture, "e").await;
    for body in [json!({}), json!({"experiment_ids": []}), json!({"experiment_ids": [""]})] {
        let path = "/api/3.0/mlflow/datasets/search";
        assert_eq!(fixture.call_as("eve", Method::POST, path, body.clone()).await.0, 403, "{body}");
    }
    let (_, all) = fixture.call_as("admin", Method::POST, "/api/3.0/mlflow/datasets/search", json!({})).await;
    assert_eq!(all["datasets"].as_array().map(Vec::len), Some(1), "{all}");
}

#[tokio::test]
async fn what_is_shared_can_be_used_as_far_as_it_is_shared() {
    let fixture = Fixture::with_users(Permission::NoPermissions).await;
    users(&fixture, &["ann", "bob"]).await;
    let experiment = made(&fixture, "ann", "experiments/create", json!({"name": "e"})).await;
    let experiment = experiment["experiment_id"].as_str().unwrap().to_owned();
    let run = made(&fixture, "ann", "runs/create", json!({"experiment_id": experiment})).await;
    let run = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let can = async |method: Method, path: &str, body: Value| {
        fixture.call_as("bob", method, path, body).await.0.as_u16()
    };
    let tag = || json!({"run_id": run, "key": "k", "value": "v"});
    let levels = [("READ", 200, 403, 403), ("EDIT", 200, 200, 403), ("MANAGE", 200, 200, 200), ("DENY", 403, 403, 403)];
    for (level, reads, writes, deletes) in levels {
        // Bob cannot give it to himself.
        assert_eq!(grant(&fixture, "bob", "bob", "experiment", &experiment, "MANAGE").await, 403);
        assert_eq!(grant(&fixture, "ann", "bob", "experiment", &experiment, level).await, 200);
        assert_eq!(can(Method::GET, &format!("runs/get?run_id={run}"), json!({})).await, reads, "{level}");
        assert_eq!(can(Method::POST, "runs/set-tag", tag()).await, writes, "{level}");
        assert_eq!(can(Method::POST, "runs/delete", json!({"run_id": run})).await, deletes, "{level}");
        if deletes == 200 {
            assert_eq!(can(Method::POST, "runs/restore", json!({"run_id": run})).await, 200);
        }
        let file = format!("/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/f.txt");
        assert_eq!(can(Method::PUT, &file, json!("x")).await, writes, "{level}");
        assert_eq!(can(Method::GET, &file, json!({})).await, if level == "READ" { 404 } else { reads }, "{level}");
        let found = fixture.call_as("bob", Method::POST, "runs/search", json!({"experiment_ids": [experiment]})).await;
        assert_eq!(found.1["runs"].as_array().map_or(0, Vec::len), usize::from(reads == 200), "{level}");
        let body = json!({"username": "bob", "resource_type": "experiment", "resource_id": experiment});
        made(&fixture, "ann", "/api/3.0/mlflow/users/permissions/revoke", body).await;
    }
    // Nobody reaches another's files by an experiment whose artifacts are said to be there.
    for place in ["mlflow-artifacts:/1", "file:///etc", "/etc", "MLFLOW-ARTIFACTS:/1", "mlflow-artifacts://host/1", "runs:/x"] {
        let body = json!({"name": "mine", "artifact_location": place});
        assert_eq!(can(Method::POST, "experiments/create", body).await, 403, "{place}");
    }
}

#[tokio::test]
async fn roles_give_what_they_hold_and_searches_page_by_what_is_seen() {
    let fixture = Fixture::with_users(Permission::NoPermissions).await;
    users(&fixture, &["ann", "bob"]).await;
    for number in 0..9 {
        made(&fixture, "ann", "registered-models/create", json!({"name": format!("m{number}")})).await;
    }
    let role = made(&fixture, "admin", "/api/3.0/mlflow/roles/create", json!({"name": "r", "workspace": "default"})).await;
    let id = role["role"]["id"].as_i64().unwrap();
    for number in [1, 3, 4, 6, 8] {
        let body = json!({"role_id": id, "resource_type": "registered_model", "resource_pattern": format!("m{number}"), "permission": "READ"});
        made(&fixture, "admin", "/api/3.0/mlflow/roles/permissions/add", body).await;
    }
    made(&fixture, "admin", "/api/3.0/mlflow/roles/assign", json!({"role_id": id, "username": "bob"})).await;
    assert_eq!(grant(&fixture, "admin", "bob", "registered_model", "m4", "DENY").await, 200);
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let path = format!("registered-models/search?max_results=2&page_token={token}");
        let (_, answer) = fixture.call_as("bob", Method::GET, &path, json!({})).await;
        let names: Vec<String> = answer["registered_models"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|model| model["name"].as_str().unwrap().to_owned())
            .collect();
        pages.push(names);
        match answer["next_page_token"].as_str() {
            Some(next) => token = next.replace('=', "%3D"),
            None => break,
        }
    }
    assert_eq!(pages, [["m1", "m3"], ["m6", "m8"]]);

    // The grants of single users move with the name, and go with the model.
    made(&fixture, "ann", "registered-models/rename", json!({"name": "m0", "new_name": "n0"})).await;
    assert_eq!(fixture.call_as("ann", Method::GET, "registered-models/get?name=n0", json!({})).await.0, 200);
    let (status, answer) =
        fixture.call_as("ann", Method::POST, "registered-models/rename", json!({"name": "m1", "new_name": "n1"})).await;
    assert_eq!(status, 400, "a role names it: {answer}");
    assert_eq!(fixture.call_as("ann", Method::DELETE, "registered-models/delete", json!({"name": "m2"})).await.0, 200);
    made(&fixture, "bob", "registered-models/create", json!({"name": "m2"})).await;
    assert_eq!(fixture.call_as("ann", Method::GET, "registered-models/get?name=m2", json!({})).await.0, 403);
}

#[tokio::test]
async fn tokens_stand_for_their_user_until_they_end() {
    let fixture = Fixture::with_users(Permission::Read).await;
    users(&fixture, &["ann"]).await;
    let caller = auth::Caller::program("test");
    let mut session = fixture.service.write(&caller).await.unwrap();
    let good = auth::create_token(&mut session, "ann", "ci", None).await.unwrap();
    let old = auth::create_token(&mut session, "ann", "old", Some(1)).await.unwrap();
    assert!(auth::create_token(&mut session, "ann", "ci", None).await.is_err());
    session.commit().await.unwrap();
    let ask = async |secret: &str| {
        fixture.call_with(&format!("Bearer {secret}"), Method::GET, "users/current", json!({})).await
    };
    assert_eq!(ask(&good.secret).await.1["user"]["username"], "ann");
    assert_eq!(ask(&old.secret).await.0, 401);
    assert_eq!(ask(&good.secret[..good.secret.len() - 1]).await.0, 401);
    let mut session = fixture.service.write(&caller).await.unwrap();
    auth::revoke_token(&mut session, "ann", "ci").await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(ask(&good.secret).await.0, 401);
}

#[tokio::test]
async fn passwords_change_and_take_effect_at_once() {
    let fixture = Fixture::with_users(Permission::Read).await;
    users(&fixture, &["ann", "bob"]).await;
    let change = async |user: &str, body: Value| fixture.call_as(user, Method::PATCH, "users/update-password", body).await;
    let new = "a new long password";
    assert_eq!(change("bob", json!({"username": "ann", "password": new})).await.0, 403);
    assert_eq!(change("ann", json!({"username": "ann", "password": new})).await.0, 400);
    assert_eq!(change("ann", json!({"username": "ann", "password": new, "current_password": "wrong"})).await.0, 400);
    let right = json!({"username": "ann", "password": new, "current_password": crate::fixture::PASSWORD});
    assert_eq!(change("ann", right).await.0, 200);
    assert_eq!(change("ann", json!({"username": "ann", "password": new})).await.0, 401);
    assert_eq!(change("admin", json!({"username": "nobody", "password": new})).await.0, 404);
    let delete = json!({"username": "bob"});
    assert_eq!(fixture.call_as("bob", Method::DELETE, "users/delete", delete.clone()).await.0, 403);
    assert_eq!(fixture.call_as("admin", Method::DELETE, "users/delete", delete).await.0, 200);
    assert_eq!(fixture.call_as("bob", Method::GET, "users/current", json!({})).await.0, 401);
    let oneself = json!({"username": "admin"});
    assert_eq!(fixture.call_as("admin", Method::DELETE, "users/delete", oneself).await.0, 400);
}

#[tokio::test]
async fn the_journal_holds_every_change_and_shows_when_it_was_altered() {
    let fixture = Fixture::with_users(Permission::Read).await;
    users(&fixture, &["ann"]).await;
    made(&fixture, "ann", "registered-models/create", json!({"name": "m"})).await;
    made(&fixture, "ann", "registered-models/set-tag", json!({"name": "m", "key": "k", "value": "v"})).await;
    let run = made(&fixture, "admin", "runs/create", json!({"experiment_id": "0"})).await;
    let run = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let source = format!("mlflow-artifacts:/0/{run}/artifacts/model");
    for _ in 0..2 {
        made(&fixture, "admin", "model-versions/create", json!({"name": "m", "source": source, "run_id": run})).await;
    }
    for version in ["1", "2"] {
        made(&fixture, "ann", "registered-models/alias", json!({"name": "m", "alias": "champion", "version": version})).await;
    }
    let (status, _) = fixture.call_as("ann", Method::DELETE, "registered-models/delete", json!({"name": "m"})).await;
    assert_eq!(status, 200);
    let mut session = fixture.service.db().read().await.unwrap();
    let entries = journal::newest(&mut session, None, None, 100).await.unwrap();
    let moved = entries.iter().find(|entry| entry.kind == "alias").unwrap();
    assert_eq!((moved.who.as_str(), moved.name.as_str()), ("ann", "m@champion"));
    assert_eq!((moved.before.as_deref(), moved.after.as_deref()), (Some("{\"version\":1}"), Some("{\"version\":2}")));
    let told: Vec<String> = entries.iter().rev().map(|entry| format!("{} {} {}", entry.who, entry.action, entry.kind)).collect();
    for want in ["first start create user", "admin create user", "ann create registered_model", "ann create permission", "admin create model_version", "ann delete registered_model", "ann delete permission"] {
        assert!(told.iter().any(|line| line == want), "{want}: {told:#?}");
    }
    assert_eq!(journal::check(&mut session).await.unwrap(), Ok(entries.len() as i64));
    drop(session);

    use matraz_track::db::Statement;
    for (sql, want) in [
        ("UPDATE matraz_journal SET who = 'eve' WHERE seq = 3", "entry 3 is not as it was written"),
        ("DELETE FROM matraz_journal WHERE seq = 4", "entry 4 is missing"),
        ("DELETE FROM matraz_journal WHERE seq >= 5", "entries are missing"),
    ] {
        let mut session = fixture.service.db().write().await.unwrap();
        session.run(Statement::new(sql)).await.unwrap();
        let found = journal::check(&mut session).await.unwrap().unwrap_err();
        assert!(found.contains(want), "{found}");
    }
}

#[tokio::test]
async fn graphql_shows_each_what_it_may_see() {
    let fixture = Fixture::with_users(Permission::NoPermissions).await;
    users(&fixture, &["ann", "bob"]).await;
    let experiment = made(&fixture, "ann", "experiments/create", json!({"name": "e"})).await;
    let experiment = experiment["experiment_id"].as_str().unwrap().to_owned();
    let run = made(&fixture, "ann", "runs/create", json!({"experiment_id": experiment, "run_name": "secret"})).await;
    let run = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let dataset = json!({"name": "d", "digest": "1", "source_type": "s", "source": "{}"});
    made(&fixture, "ann", "runs/log-inputs", json!({"run_id": run, "datasets": [{"dataset": dataset}]})).await;
    let queries = [
        format!("query {{ mlflowGetRun(input: {{runId: \"{run}\"}}) {{ run {{ info {{ runName }} }} }} }}"),
        format!("query {{ mlflowGetExperiment(input: {{experimentId: \"{experiment}\"}}) {{ experiment {{ name }} }} }}"),
        format!("query {{ mlflowListArtifacts(input: {{runId: \"{run}\"}}) {{ rootUri }} }}"),
        format!(
            "query {{ mlflowGetMetricHistoryBulkInterval(input: {{runIds: [\"{run}\"], metricKey: \"m\"}}) {{ metrics {{ key }} }} }}"
        ),
        format!(
            "mutation {{ mlflowSearchDatasets(input: {{experimentIds: [\"{experiment}\"]}}) {{ datasetSummaries {{ name }} }} }}"
        ),
    ];
    for query in &queries {
        for (who, sees) in [("bob", false), ("ann", true), ("admin", true)] {
            let body = json!({"query": query});
            let (status, answer) = fixture.call_as(who, Method::POST, "/graphql", body).await;
            assert_eq!(status.as_u16(), 200, "{who} {answer}");
            assert_eq!(answer["errors"], json!(null), "{who} {query}");
            let found = answer["data"].as_object().unwrap().values().next().unwrap();
            assert_eq!(found.is_null(), !sees, "{who}: {query}: {answer}");
        }
    }
    // Searches leave out what must not be seen.
    let query = format!("query {{ mlflowSearchRuns(input: {{experimentIds: [\"{experiment}\"]}}) {{ runs {{ info {{ runName }} }} }} }}");
    for (who, count) in [("bob", 0), ("ann", 1)] {
        let (_, answer) = fixture.call_as(who, Method::POST, "/graphql", json!({"query": query})).await;
        assert_eq!(answer["data"]["mlflowSearchRuns"]["runs"].as_array().unwrap().len(), count, "{who}");
    }
}
