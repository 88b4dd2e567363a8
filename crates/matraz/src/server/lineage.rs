//! `GET /api/2.0/matraz/lineage?subject=…`: what is behind a run, model version, commit or digest, and what was made from it.
//!
//! The questions to the store are asked in the caller's name, through the same router, so that nobody learns more by them
//! than by asking the store.

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use matraz_base::{Explain, Kind};
use matraz_loop::lineage::{self, Directions, Lineage, Store};
use matraz_track::api::error::ErrorBody;
use matraz_track::client::Client;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Question {
    /// `runs:/ID`, `models:/NAME@ALIAS`, `models:/NAME/VERSION`, a commit, an MD5, or the name of a run.
    subject: String,
}

/// The route, which is served beside those of the store.
pub fn routes<S>(store: Router) -> OpenApiRouter<S> {
    OpenApiRouter::new().routes(routes!(answer)).with_state(store)
}

/// What is behind a thing, and what was made from it
#[utoipa::path(get, path = "/2.0/matraz/lineage", tag = "lineage", params(Question),
    responses((status = 200, body = Lineage), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn answer(
    State(store): State<Router>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Response {
    let in_name_of = move |mut request: Request<Body>, next: Next| {
        for name in [header::AUTHORIZATION, header::COOKIE] {
            if let Some(value) = headers.get(&name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        next.run(request)
    };
    let client = Client::local(Router::new().fallback_service(store).layer(from_fn(in_name_of)));
    let store = Store::new(Some(&client));
    let found = async {
        let subject = lineage::resolve(&store, None, &question.subject).await?;
        lineage::trace(&store, None, &subject, Directions::BOTH).await
    };
    match found.await {
        Ok(lineage) => Json(lineage).into_response(),
        Err(error) => {
            let (status, code) = match error.kind() {
                Kind::Missing => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
                Kind::Usage => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
                _ => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
            };
            let message = error.to_string();
            (status, Json(ErrorBody { error_code: code, message, sqlstate: None, error_class: None }))
                .into_response()
        }
    }
}
