//! Counters for Prometheus, under the names that `mlflow server --expose-prometheus` gives them, and a few of our own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use matraz_track::api::router::MLFLOW_VERSION;

/// The path of the page.
pub const PATH: &str = "/metrics";
/// The upper ends of the buckets of durations, in seconds, as Prometheus' client for Python has them.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What was counted since the start.
#[derive(Debug)]
pub struct Metrics {
    started: SystemTime,
    under_way: AtomicI64,
    answers: Mutex<BTreeMap<(String, u16), Answers>>,
}

/// Answers with one method and status.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    count: u64,
    seconds: f64,
    buckets: [u64; BUCKETS.len()],
}

impl Metrics {
    /// Counts from now on.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { started: SystemTime::now(), under_way: AtomicI64::new(0), answers: Mutex::default() })
    }

    /// Counts what a router answers, but not who asks how the server is.
    pub fn count(self: &Arc<Self>, router: Router) -> Router {
        router.layer(from_fn_with_state(Arc::clone(self), measure))
    }

    fn add(&self, method: &Method, status: u16, took: Duration) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        // Anybody may send methods that nobody knows; they share a line.
        let known = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ];
        let name = if known.contains(method) { method.as_str() } else { "other" };
        let of = answers.entry((name.to_owned(), status)).or_default();
        of.count += 1;
        of.seconds += took.as_secs_f64();
        for (count, end) in of.buckets.iter_mut().zip(BUCKETS) {
            *count += u64::from(took.as_secs_f64() <= end);
        }
    }

    /// The page.
    pub fn page(&self) -> Response {
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], self.text()).into_response()
    }

    fn text(&self) -> String {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::new();
        let head = |text: &mut String, name: &str, kind: &str, help: &str| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        };
        let duration = "mlflow_http_request_duration_seconds";
        head(&mut text, duration, "histogram", "HTTP request duration in seconds");
        for ((method, status), of) in &answers {
            let labels =
                format!("method=\"{method}\",mlflow_version=\"{MLFLOW_VERSION}\",status=\"{status}\"");
            for (count, end) in of.buckets.iter().zip(BUCKETS) {
                let _ = writeln!(text, "{duration}_bucket{{le=\"{end:?}\",{labels}}} {count}");
            }
            let _ = writeln!(text, "{duration}_bucket{{le=\"+Inf\",{labels}}} {}", of.count);
            let _ = writeln!(text, "{duration}_sum{{{labels}}} {}", of.seconds);
            let _ = writeln!(text, "{duration}_count{{{labels}}} {}", of.count);
        }
        let counters = [
            ("mlflow_http_request_total", "Total number of HTTP requests", 0),
            (
                "mlflow_http_request_exceptions_total",
                "Total number of HTTP requests which failed in the server",
                500,
            ),
        ];
        for (name, help, from) in counters {
            head(&mut text, name, "counter", help);
            for ((method, status), of) in answers.iter().filter(|((_, status), _)| *status >= from) {
                let _ = writeln!(text, "{name}{{method=\"{method}\",status=\"{status}\"}} {}", of.count);
            }
        }
        let started = self.started.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let numbers = [
            (
                "matraz_http_requests_under_way",
                "Requests that are being answered",
                self.under_way.load(Ordering::Relaxed) as f64,
            ),
            ("process_resident_memory_bytes", "Resident memory size in bytes", resident()),
            (
                "process_start_time_seconds",
                "Start time of the process since the Unix epoch in seconds",
                started,
            ),
        ];
        for (name, help, value) in numbers {
            head(&mut text, name, "gauge", help);
            let _ = writeln!(text, "{name} {value}");
        }
        head(&mut text, "matraz_info", "gauge", "The version of the program");
        let _ = writeln!(text, "matraz_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
        text
    }
}

/// The resident memory of this process, in bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next())
        .and_then(|kib| kib.parse::<f64>().ok())
        .unwrap_or(0.0)
        * 1024.0
}

async fn measure(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/health") || path.starts_with("/version") || path == PATH {
        return next.run(request).await;
    }
    let (method, start) = (request.method().clone(), Instant::now());
    metrics.under_way.fetch_add(1, Ordering::Relaxed);
    // Also counted off when the client goes away before its answer is there.
    let under_way = UnderWay(&metrics.under_way);
    let answer = next.run(request).await;
    drop(under_way);
    metrics.add(&method, answer.status().as_u16(), start.elapsed());
    answer
}

struct UnderWay<'a>(&'a AtomicI64);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_counts_by_method_and_status() {
        let metrics = Metrics::new();
        metrics.add(&Method::GET, 200, Duration::from_millis(7));
        metrics.add(&Method::GET, 200, Duration::from_secs(60));
        metrics.add(&Method::POST, 500, Duration::from_millis(1));
        metrics.add(&Method::from_bytes(b"BREW").unwrap(), 405, Duration::ZERO);
        let text = metrics.text();
        for line in [
            "mlflow_http_request_total{method=\"GET\",status=\"200\"} 2",
            "mlflow_http_request_total{method=\"other\",status=\"405\"} 1",
            "mlflow_http_request_exceptions_total{method=\"POST\",status=\"500\"} 1",
            "mlflow_http_request_duration_seconds_bucket{le=\"0.005\",method=\"GET\",mlflow_version=\"3.18.0\",status=\"200\"} 0",
            "mlflow_http_request_duration_seconds_bucket{le=\"10.0\",method=\"GET\",mlflow_version=\"3.18.0\",status=\"200\"} 1",
            "mlflow_http_request_duration_seconds_count{method=\"GET\",mlflow_version=\"3.18.0\",status=\"200\"} 2",
            "# TYPE mlflow_http_request_duration_seconds histogram",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("exceptions_total{method=\"GET\""), "{text}");
        assert!(resident() > 1e6);
    }
}
