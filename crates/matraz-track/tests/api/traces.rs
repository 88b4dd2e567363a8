//! Traces: spans through OpenTelemetry's protocol, what clients say about the whole, searches, assessments.

use std::io::Write as _;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::fixture::Fixture;

const TRACE: &str = "0123456789abcdef0123456789abcdef";
const TRACES: &str = "/api/3.0/mlflow/traces";

fn attribute(key: &str, text: &str) -> Value {
    json!({"key": key, "value": {"stringValue": text}})
}

fn span(id: &str, parent: &str, name: &str, attributes: &[Value]) -> Value {
    json!({"traceId": TRACE, "spanId": id, "parentSpanId": parent, "name": name, "attributes": attributes,
        "startTimeUnixNano": "1767323045678000000", "endTimeUnixNano": "1767323046678000000"})
}

fn export(spans: &[Value]) -> Value {
    json!({"resourceSpans": [{"resource": {"attributes": [attribute("service.name", "svc")]}, "scopeSpans": [{"spans": spans}]}]})
}

fn tree() -> Value {
    export(&[
        span(
            "00000000000000a1",
            "",
            "root",
            &[
                attribute("mlflow.spanInputs", r#"{"q": "hé"}"#),
                attribute("mlflow.traceTag.color", "red"),
                attribute("mlflow.traceTag.mlflow.artifactLocation", "/etc"),
                attribute("session.id", "s1"),
            ],
        ),
        span(
            "00000000000000a2",
            "00000000000000a1",
            "child",
            &[
                attribute("mlflow.spanType", "\"LLM\""),
                attribute(
                    "mlflow.chat.tokenUsage",
                    r#"{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}"#,
                ),
            ],
        ),
    ])
}

async fn send(fixture: &Fixture, experiment: &str, body: Vec<u8>, encoding: Option<&str>) -> (StatusCode, Value) {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri("/v1/traces")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("x-mlflow-experiment-id", experiment);
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    fixture.send(request.body(Body::from(body)).unwrap()).await
}

async fn log(fixture: &Fixture, body: &Value) {
    let (status, answer) = send(fixture, "0", body.to_string().into_bytes(), None).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({})));
}

async fn found(fixture: &Fixture, filter: &str) -> usize {
    let body = json!({"locations": [{"mlflow_experiment": {"experiment_id": "0"}}], "filter": filter});
    fixture.post(&format!("{TRACES}/search"), body).await["traces"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn spans_make_a_trace_and_later_ones_complete_it() {
    let fixture = Fixture::new().await;
    log(&fixture, &tree()).await;
    let id = format!("tr-{TRACE}");
    let info = fixture.get(&format!("{TRACES}/{id}")).await["trace"]["trace_info"].clone();
    assert_eq!((&info["state"], &info["execution_duration"]), (&json!("OK"), &json!("1s")));
    assert_eq!(info["request_preview"], r#"{"q": "hé"}"#);
    assert_eq!(info["tags"]["color"], "red");
    assert_eq!(info["tags"]["service.name"], "svc");
    assert!(info["tags"]["mlflow.artifactLocation"].as_str().unwrap().starts_with("mlflow-artifacts:/0/traces/"));
    assert_eq!(info["trace_metadata"]["mlflow.trace.session"], "s1");
    let usage = "{\"input_tokens\": 3, \"output_tokens\": 4, \"total_tokens\": 7}";
    assert_eq!(info["trace_metadata"]["mlflow.trace.tokenUsage"], usage);

    let more = r#"{"input_tokens": 30, "output_tokens": 40, "total_tokens": 70}"#;
    let mut late =
        span("00000000000000a3", "00000000000000a1", "late", &[attribute("mlflow.chat.tokenUsage", more)]);
    late["endTimeUnixNano"] = json!("1767323050678000000");
    log(&fixture, &export(&[late])).await;
    let trace = fixture.get(&format!("{TRACES}/get?trace_id={id}")).await["trace"].clone();
    assert_eq!(trace["trace_info"]["execution_duration"], "5s");
    let usage = "{\"input_tokens\": 33, \"output_tokens\": 44, \"total_tokens\": 77}";
    assert_eq!(trace["trace_info"]["trace_metadata"]["mlflow.trace.tokenUsage"], usage);
    let names: Vec<&str> =
        trace["spans"].as_array().unwrap().iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!((names[0], names.len()), ("root", 3));

    // What the client says about the whole is final.
    let said = json!({"trace": {"trace_info": {"trace_id": id, "trace_location": {"mlflow_experiment": {"experiment_id": "0"}},
        "request_time": "2026-01-02T03:04:05.678Z", "execution_duration": "2.500s", "state": "OK",
        "trace_metadata": {"mlflow.trace.sizeStats": "{\"num_spans\": 4}"}, "tags": {"mlflow.traceName": "n"}}}});
    fixture.post(TRACES, said).await;
    log(&fixture, &tree()).await;
    let info = fixture.get(&format!("{TRACES}/{id}")).await["trace"]["trace_info"].clone();
    assert_eq!((&info["execution_duration"], &info["tags"]["mlflow.traceName"]), (&json!("2.500s"), &json!("n")));
    let path = format!("{TRACES}/get?trace_id={id}");
    let message = fixture.refused(Method::GET, &path, json!({}), 404, "RESOURCE_DOES_NOT_EXIST").await;
    assert!(message.contains("not fully exported"), "{message}");
    fixture.get(&format!("{path}&allow_partial=true")).await;
}

#[tokio::test]
async fn bodies_are_unpacked_up_to_a_limit() {
    let fixture = Fixture::new().await;
    let gzip = |bytes: &[u8]| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    let packed = gzip(tree().to_string().as_bytes());
    assert_eq!(send(&fixture, "0", packed, Some("gzip")).await.0, StatusCode::OK);
    let bomb = gzip(&vec![b' '; 100 << 20]);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(send(&fixture, "0", bomb, Some("gzip")).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    for (body, encoding) in [(&b"xx"[..], Some("gzip")), (b"xx", Some("br")), (b"xx", None), (b"{}", None)] {
        assert_eq!(send(&fixture, "0", body.to_vec(), encoding).await.0, StatusCode::BAD_REQUEST, "{body:?}");
    }
    let other = fixture.experiment("other").await;
    let (status, answer) = send(&fixture, &other, tree().to_string().into_bytes(), None).await;
    assert_eq!((status.as_u16(), &answer["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")));
}

#[tokio::test]
async fn searches() {
    let fixture = Fixture::new().await;
    log(&fixture, &tree()).await;
    let id = format!("tr-{TRACE}");
    let run = fixture.run().await;
    fixture.post("traces/link-to-run", json!({"trace_ids": [id], "run_id": run})).await;
    let prompt = json!([{"name": "p", "version": "1"}]);
    fixture.post("traces/link-prompts", json!({"trace_id": id, "prompt_versions": prompt})).await;
    let judged = json!({"assessment_name": "q", "feedback": {"value": 5}, "source": {"source_type": "HUMAN"}});
    fixture.post(&format!("{TRACES}/{id}/assessments"), json!({"assessment": judged})).await;
    for (filter, want) in [
        ("", 1),
        ("status = 'OK' AND timestamp_ms > 5 AND end_time <= 1767323046678", 1),
        ("tags.color = 'red' AND tags.nope IS NULL", 1),
        ("tags.nope != 'x'", 0),
        ("metadata.`mlflow.trace.session` = 's1'", 1),
        ("span.name = 'child' AND span.type = 'LLM'", 1),
        ("span.name = 'root' AND span.type = 'LLM'", 0),
        ("trace.text LIKE '%hé%'", 1),
        ("span.attributes.`session.id` LIKE '%s1%'", 1),
        ("feedback.q > 4", 1),
        ("feedback.q = '5.0'", 1),
        ("feedback.q != '5.0'", 0),
        ("feedback.other IS NULL", 1),
        ("expectation.q IS NOT NULL", 0),
        (&format!("run_id = '{run}'"), 1),
        ("run_id = 'other'", 0),
        ("prompt = 'p/1'", 1),
        ("prompt = 'p/2'", 0),
    ] {
        assert_eq!(found(&fixture, filter).await, want, "{filter}");
    }
    let query = json!({"experiment_ids": ["0"], "view_type": "SPANS", "metric_name": "latency", "dimensions": ["span_name"],
        "aggregations": [{"aggregation_type": "AVG"}, {"aggregation_type": "PERCENTILE", "percentile_value": 50}]});
    let points = fixture.post(&format!("{TRACES}/metrics"), query).await["data_points"].clone();
    assert_eq!(points[0]["dimensions"]["span_name"], "child");
    assert_eq!(points[1]["values"], json!({"AVG": 1000.0, "P50.0": 1000.0}));
    let query = json!({"experiment_ids": ["0"], "view_type": "TRACES", "metric_name": "trace_count", "time_interval_seconds": 3600,
        "start_time_ms": 0, "end_time_ms": 1_800_000_000_000_i64, "aggregations": [{"aggregation_type": "COUNT"}],
        "filters": ["trace.status = 'OK'", "trace.tag.color = 'red'"]});
    let points = fixture.post(&format!("{TRACES}/metrics"), query).await["data_points"].clone();
    assert_eq!(points[0]["dimensions"]["time_bucket"], "2026-01-02T03:00:00+00:00");
    assert_eq!(points[0]["values"]["COUNT"], 1.0);
    let body = json!({"experiment_id": "0", "request_ids": [id]});
    let deleted = fixture.post(&format!("{TRACES}/delete-traces"), body).await;
    assert_eq!(deleted, json!({"traces_deleted": 1}));
    assert_eq!(found(&fixture, "").await, 0);
}

#[tokio::test]
async fn assessments() {
    let fixture = Fixture::new().await;
    log(&fixture, &tree()).await;
    let path = format!("{TRACES}/tr-{TRACE}/assessments");
    let make = async |value: Value| {
        let mut assessment = json!({"assessment_name": "n", "source": {"source_type": "HUMAN", "source_id": "me"},
            "metadata": {"aB": "x"}, "rationale": "r"});
        for (key, value) in value.as_object().unwrap() {
            assessment[key] = value.clone();
        }
        fixture.post(&path, json!({"assessment": assessment})).await["assessment"].clone()
    };
    assert_eq!(make(json!({"feedback": {"value": null}})).await["feedback"], json!({"value": null}));
    assert_eq!(make(json!({"feedback": {"value": {"aB": 1}}})).await["feedback"]["value"], json!({"aB": 1.0}));
    let serialized = json!({"serialization_format": "JSON_FORMAT", "value": "{\"x\": 1}"});
    let expectation = make(json!({"expectation": {"serialized_value": serialized}})).await;
    assert_eq!(expectation["expectation"]["serialized_value"], serialized);
    let first = make(json!({"feedback": {"value": true}})).await;
    assert_eq!((&first["metadata"]["aB"], &first["valid"]), (&json!("x"), &json!(true)));
    let one = format!("{path}/{}", first["assessment_id"].as_str().unwrap());
    let change = json!({"assessment": {"feedback": {"value": false}, "metadata": {"z": "1"}}, "update_mask": "feedback,metadata"});
    let (status, changed) = fixture.call(Method::PATCH, &one, change).await;
    assert_eq!((status.as_u16(), &changed["assessment"]["feedback"]["value"]), (200, &json!(false)));
    assert_eq!(changed["assessment"]["metadata"], json!({"aB": "x", "z": "1"}));
    let second = make(json!({"feedback": {"value": 1}, "overrides": first["assessment_id"]})).await;
    assert_eq!(fixture.get(&one).await["assessment"]["valid"], false);
    let other = format!("{path}/{}", second["assessment_id"].as_str().unwrap());
    fixture.call(Method::DELETE, &other, json!({})).await;
    assert_eq!(fixture.get(&one).await["assessment"]["valid"], true);
    fixture.refused(Method::GET, &other, json!({}), 404, "RESOURCE_DOES_NOT_EXIST").await;
    let body = json!({"assessment": {"expectation": {"value": 1}}, "update_mask": "expectation"});
    fixture.refused(Method::PATCH, &one, body, 400, "INVALID_PARAMETER_VALUE").await;
    fixture.refused(Method::POST, &path, json!({"assessment": {}}), 400, "INVALID_PARAMETER_VALUE").await;
}
