//! Does a request again whose transaction PostgreSQL broke off, because it and another one waited for each other.
//!
//! Nothing of such a transaction is left, and every request that changes something has one only, so the same request may
//! come again as if for the first time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::json::MAX_BODY;
use crate::error::Error;

/// How often a request is tried.
const ATTEMPTS: u32 = 4;

/// Says in an answer that its request may be done again.
#[derive(Clone, Copy, Debug)]
pub(super) struct BrokenOff;

/// The middleware around the routes of a service on PostgreSQL.
pub(super) async fn repeat(request: Request, next: Next) -> Response {
    let is_json = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("application/json"));
    // Files are sent by PUT, and are not held in memory.
    if !is_json || ![Method::POST, Method::PATCH, Method::DELETE].contains(request.method()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match axum::body::to_bytes(body, MAX_BODY).await {
        Ok(body) => body,
        Err(error) => return Error::unreadable_body(&error).into_response(),
    };
    for attempt in 1..ATTEMPTS {
        let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
        let answer = next.clone().run(request).await;
        if answer.extensions().get::<BrokenOff>().is_none() {
            return answer;
        }
        // The other transaction goes on meanwhile.
        tokio::time::sleep(Duration::from_millis(20) * attempt).await;
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}
