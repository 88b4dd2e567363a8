//! The checks of Host and Origin that keep web pages of strangers away from a server on the user's own machine.
//!
//! The rules are MLflow's: a Host header must name this machine or a private address (against DNS rebinding), a
//! foreign Origin may read but not change anything, and answers say `nosniff` and who may frame them.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::service::Service;

/// What the checks let through.
#[derive(Clone, Debug)]
pub struct Security {
    /// Off for servers behind a proxy that checks by itself.
    pub enabled: bool,
    /// Host patterns with `*`; empty means this machine and private addresses.
    pub allowed_hosts: Vec<String>,
    /// Origins (patterns with `*`) that may change things, beside localhost.
    pub allowed_origins: Vec<String>,
    /// The value of `X-Frame-Options`; `None` sends none.
    pub x_frame_options: Option<String>,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            enabled: true,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            x_frame_options: Some("SAMEORIGIN".to_owned()),
        }
    }
}

impl Security {
    /// Whether a request with this Host header is served.
    pub fn allows_host(&self, host: &str) -> bool {
        if host.is_empty() {
            return false;
        }
        if self.allowed_hosts.is_empty() {
            return is_local_or_private(host);
        }
        self.allowed_hosts.iter().any(|pattern| {
            // A pattern of digits means addresses: `10.*` must not let `10.evil.example` in.
            let for_addresses =
                pattern.contains('*') && pattern.chars().all(|c| c.is_ascii_digit() || ".*:".contains(c));
            matches(host, pattern)
                && (pattern == "*" || !for_addresses || name_of(host).parse::<Ipv4Addr>().is_ok())
        })
    }

    /// Whether a page of this origin may change things.
    pub fn allows_origin(&self, origin: &str) -> bool {
        is_local_origin(origin) || self.allowed_origins.iter().any(|pattern| matches(origin, pattern))
    }

    /// The value of `Access-Control-Allow-Origin` for this origin.
    fn cors_origin(&self, origin: &str) -> Option<&'static str> {
        (self.allowed_origins.iter().any(|pattern| pattern == "*") && !is_local_origin(origin)).then_some("*")
    }
}

/// The middleware around every route.
pub(crate) async fn guard(State(service): State<Service>, request: Request, next: Next) -> Response {
    let security = &service.options().security;
    if !security.enabled {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    let host =
        text(request.headers(), header::HOST).or_else(|| request.uri().authority().map(ToString::to_string));
    if !matches!(path.as_str(), "/health" | "/version")
        && !security.allows_host(host.as_deref().unwrap_or(""))
    {
        return (StatusCode::FORBIDDEN, "Invalid Host header - possible DNS rebinding attack detected")
            .into_response();
    }
    let method = request.method().clone();
    let origin = text(request.headers(), header::ORIGIN).unwrap_or_default();
    let is_api = path.starts_with("/api/") || path.starts_with("/ajax-api/");
    let changes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&method);
    let allowed = origin.is_empty() || security.allows_origin(&origin);
    let mut answer = if is_api && changes && !allowed {
        (StatusCode::FORBIDDEN, "Cross-origin request blocked").into_response()
    } else if method == Method::OPTIONS && is_api {
        preflight(request.headers(), allowed)
    } else {
        next.run(request).await
    };
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(value) =
        security.x_frame_options.as_deref().and_then(|value| HeaderValue::from_str(value).ok())
    {
        headers.insert(header::X_FRAME_OPTIONS, value);
    }
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if !origin.is_empty() && allowed {
        let any = security.cors_origin(&origin);
        if any.is_none() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Ok(value) = HeaderValue::from_str(any.unwrap_or(&origin)) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
        }
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    }
    answer
}

/// The answer to a browser's question before a request from another origin.
fn preflight(headers: &HeaderMap, allowed: bool) -> Response {
    if !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return StatusCode::NO_CONTENT.into_response();
    }
    if !allowed {
        return (StatusCode::BAD_REQUEST, "Disallowed CORS origin").into_response();
    }
    let mut answer = "OK".into_response();
    let methods = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS, PATCH");
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    answer.headers_mut().insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    answer
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The name or address of a Host header, without the port. An IPv6 address stands in brackets there; what does not is left
/// as it is, colons and all, which is the name of nothing.
fn name_of(host: &str) -> &str {
    if let Some((address, port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_port = port.strip_prefix(':').is_some_and(|port| port.chars().all(|c| c.is_ascii_digit()));
        return if port.is_empty() || is_port { address } else { host };
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) && !name.contains(':') => name,
        _ => host,
    }
}

fn is_local_or_private(host: &str) -> bool {
    let name = name_of(host);
    if name == "localhost" {
        return true;
    }
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        return address.is_private() || address == Ipv4Addr::LOCALHOST || address.is_unspecified();
    }
    if host.starts_with('[')
        && let Ok(address) = name.parse::<Ipv6Addr>()
    {
        return address.is_loopback() || address.is_unique_local();
    }
    false
}

fn is_local_origin(origin: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    if !matches!(scheme, "http" | "https") || rest.contains(['/', '@']) {
        return false;
    }
    let name = name_of(rest);
    matches!(name, "localhost" | "127.0.0.1") || (name == "::1" && rest.starts_with('['))
}

/// Shell-like match where `*` stands for any run of characters.
fn matches(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut tail: Option<&str> = None;
    for part in parts {
        if let Some(middle) = tail {
            match rest.find(middle) {
                Some(at) => rest = &rest[at + middle.len()..],
                None => return false,
            }
        }
        tail = Some(part);
    }
    match tail {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let standard = Security::default();
        let own = Security {
            allowed_hosts: vec!["mlflow.example".into(), "*.lab.example:8080".into(), "10.*".into()],
            ..Security::default()
        };
        for (host, by_default, by_own) in [
            ("localhost", true, false),
            ("localhost:5000", true, false),
            ("127.0.0.1:5000", true, false),
            ("0.0.0.0:5000", true, false),
            ("[::1]:5000", true, false),
            ("192.168.1.7:80", true, false),
            ("10.0.0.1", true, true),
            ("172.16.0.1", true, false),
            ("172.32.0.1", false, false),
            ("[fd00::1]:5000", true, false),
            ("::1", false, false),
            ("[::1", false, false),
            ("[::1]x", false, false),
            ("[2001:db8::1]", false, false),
            ("8.8.8.8", false, false),
            ("10.evil.example", false, false),
            ("localhost.evil.example", false, false),
            ("evil.example", false, false),
            ("", false, false),
            ("mlflow.example", false, true),
            ("a.lab.example:8080", false, true),
            ("a.lab.example", false, false),
        ] {
            assert_eq!(standard.allows_host(host), by_default, "{host}");
            assert_eq!(own.allows_host(host), by_own, "{host}");
        }
        assert!(Security { allowed_hosts: vec!["*".into()], ..standard }.allows_host("evil.example"));
    }

    #[test]
    fn origins() {
        let standard = Security::default();
        let own = Security { allowed_origins: vec!["https://*.lab.example".into()], ..Security::default() };
        for (origin, by_default, by_own) in [
            ("http://localhost:3000", true, true),
            ("https://127.0.0.1", true, true),
            ("http://[::1]:5000", true, true),
            ("http://localhost.evil.example", false, false),
            ("http://localhost@evil.example", false, false),
            ("null", false, false),
            ("http://::1", false, false),
            ("https://a.lab.example", false, true),
            ("http://a.lab.example", false, false),
        ] {
            assert_eq!(standard.allows_origin(origin), by_default, "{origin}");
            assert_eq!(own.allows_origin(origin), by_own, "{origin}");
        }
    }
}
