//! The web app: files of `ui/dist`, built into the program.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::web::Files;

/// Everything comes from this server; images may be drawn from memory.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; \
                      frame-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'self'";

const NOT_BUILT: &str = "<!doctype html><title>Matraz</title><p>This program was built without the web app. \
                         Run <code>make build</code>, which builds both. The API is here all the same.";

/// Answers a request that no route of the API takes: a file of the app, or the app's page for its own addresses.
pub async fn serve(request: Request<Body>) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if let Some(file) = Files::get(path).filter(|_| !path.is_empty()) {
        let cache =
            if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
        let kind = file.metadata.mimetype().to_owned();
        return answer(file.data.into_owned(), &kind, cache);
    }
    let names_a_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    if names_a_file && path.starts_with("assets/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    match Files::get("index.html") {
        Some(page) => answer(page.data.into_owned(), "text/html; charset=utf-8", "no-cache"),
        None => (StatusCode::NOT_FOUND, Html(NOT_BUILT)).into_response(),
    }
}

fn answer(bytes: Vec<u8>, kind: &str, cache: &'static str) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
