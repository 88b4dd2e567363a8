//! `POST /v1/traces`: spans in OpenTelemetry's protocol, in protobuf or JSON.

use std::io::Read as _;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::Service;
use crate::trace::otlp::ExportTraceRequest;
use crate::trace::span::Span;
use crate::trace::{self, ingest};

/// The largest body, before and after it is unpacked, in bytes.
const MAX_BODY: usize = 64 << 20;

pub(crate) fn root_routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(export))
}

/// An error of this route, in the form of the framework that MLflow uses for it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Refusal {
    /// A sentence, or a list of faults in headers.
    detail: Json,
}

fn refused(status: StatusCode, detail: impl Into<Json>) -> Response {
    (status, axum::Json(Refusal { detail: detail.into() })).into_response()
}

/// Take spans in
///
/// The experiment stands in the header `x-mlflow-experiment-id`; `x-mlflow-run-id` links finished traces to a run. The body
/// is an `ExportTraceServiceRequest` in protobuf (`application/x-protobuf`) or JSON (`application/json`), as it is or
/// packed with gzip or deflate. All spans are stored, or none.
#[utoipa::path(post, path = "/v1/traces", tag = "traces",
    params(("x-mlflow-experiment-id" = String, Header, description = "the experiment"),
        ("x-mlflow-run-id" = Option<String>, Header, description = "a run to which finished traces are linked")),
    request_body(content = Vec<u8>, content_type = "application/x-protobuf"),
    responses((status = 200, body = Object), (status = 400, body = Refusal), (status = 422, body = Refusal)))]
async fn export(State(service): State<Service>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(experiment_id) = header("x-mlflow-experiment-id") else {
        let fault = json!([{"type": "missing", "loc": ["header", "x-mlflow-experiment-id"], "msg": "Field required", "input": null}]);
        return refused(StatusCode::UNPROCESSABLE_ENTITY, fault);
    };
    let media_type = header("content-type").and_then(|text| text.split(';').next()).map(str::trim);
    let is_json = match media_type {
        Some("application/json") => true,
        Some("application/x-protobuf") => false,
        _ => {
            let found = header("content-type").unwrap_or("None");
            let expected = "Expected: application/x-protobuf or application/json";
            return refused(StatusCode::BAD_REQUEST, format!("Invalid Content-Type: {found}. {expected}"));
        }
    };
    let Ok(bytes) = axum::body::to_bytes(body, MAX_BODY).await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, format!("more than {MAX_BODY} bytes"));
    };
    let bytes = match unpacked(&parts.headers, bytes.to_vec()) {
        Ok(bytes) => bytes,
        Err(answer) => return *answer,
    };
    let message = if is_json {
        ExportTraceRequest::from_json(&bytes)
    } else {
        ExportTraceRequest::from_protobuf(&bytes)
    };
    let Some(message) = message else {
        return refused(StatusCode::BAD_REQUEST, "Invalid OpenTelemetry format");
    };
    if message.resource_spans.is_empty() {
        return refused(StatusCode::BAD_REQUEST, "Invalid OpenTelemetry format - no spans found");
    }
    let mut spans = Vec::new();
    for group in &message.resource_spans {
        for span in group.scope_spans.iter().flat_map(|scope| &scope.spans) {
            match Span::from_otlp(span, group.resource.as_ref()) {
                Some(span) => spans.push(span),
                None => {
                    let why = "Cannot convert OpenTelemetry span to MLflow span";
                    return refused(StatusCode::UNPROCESSABLE_ENTITY, why);
                }
            }
        }
    }
    if let Err(error) = store(&service, experiment_id, header("x-mlflow-run-id"), &mut spans).await {
        return error.into_response();
    }
    if is_json {
        return axum::Json(json!({})).into_response();
    }
    ([(header::CONTENT_TYPE, "application/x-protobuf")], Vec::new()).into_response()
}

async fn store(
    service: &Service,
    experiment_id: &str,
    run_id: Option<&str>,
    spans: &mut [Span],
) -> crate::Result<()> {
    if spans.is_empty() {
        return Ok(());
    }
    let mut session = service.db().write().await?;
    ingest::log_spans(&mut session, experiment_id, spans).await?;
    if let Some(run_id) = run_id {
        let roots = spans.iter().filter(|span| span.parent_id.is_none());
        let mut finished: Vec<String> = roots.map(|span| span.trace_id.clone()).collect();
        finished.sort();
        finished.dedup();
        for part in finished.chunks(100) {
            trace::link_to_run(&mut session, part, run_id).await?;
        }
    }
    session.commit().await
}

/// The body as it was before it was packed. A small body that unpacks to a huge one is refused.
fn unpacked(headers: &HeaderMap, bytes: Vec<u8>) -> Result<Vec<u8>, Box<Response>> {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    let failed = |kind: &str| {
        Box::new(refused(StatusCode::BAD_REQUEST, format!("Failed to decompress {kind} payload")))
    };
    let read = |reader: &mut dyn std::io::Read| -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        let limit = MAX_BODY as u64 + 1;
        reader.take(limit).read_to_end(&mut plain).ok().map(|_| plain)
    };
    let encoding = encoding.to_ascii_lowercase();
    let plain = match encoding.as_str() {
        "" | "identity" => return Ok(bytes),
        "gzip" => read(&mut GzDecoder::new(bytes.as_slice())).ok_or_else(|| failed("gzip"))?,
        "deflate" => read(&mut ZlibDecoder::new(bytes.as_slice()))
            .or_else(|| read(&mut DeflateDecoder::new(bytes.as_slice())))
            .ok_or_else(|| failed("deflate"))?,
        other => {
            let message = format!("Unsupported Content-Encoding: {other}");
            return Err(Box::new(refused(StatusCode::BAD_REQUEST, message)));
        }
    };
    if plain.len() > MAX_BODY {
        let message = format!("more than {MAX_BODY} bytes when unpacked");
        return Err(Box::new(refused(StatusCode::PAYLOAD_TOO_LARGE, message)));
    }
    Ok(plain)
}
