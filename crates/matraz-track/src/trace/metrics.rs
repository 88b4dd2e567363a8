//! Numbers over many traces, spans or assessments: counts, latencies, tokens, costs, by group and by time.

mod filter;

use jiff::Timestamp;
use matraz_base::value::python_float;

use crate::db::{Session, Statement};
use crate::error::{Code, Error, Result};
use crate::search::Fault;
use crate::search::filter::parse;
use filter::push_filter;

/// Data points when the client does not say.
const DEFAULT_POINTS: i64 = 1000;

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Traces.
    #[default]
    Traces,
    /// Their spans.
    Spans,
    /// What is said about them.
    Assessments,
}

/// How values become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregation {
    /// How many.
    Count,
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// The value below which so many percent lie, interpolated.
    Percentile(f64),
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

impl Aggregation {
    /// Its name in answers.
    pub fn label(self) -> String {
        match self {
            Self::Percentile(percent) => format!("P{}", python_float(percent)),
            other => other.kind().to_owned(),
        }
    }

    /// Its name in requests.
    fn kind(self) -> &'static str {
        match self {
            Self::Count => "COUNT",
            Self::Sum => "SUM",
            Self::Avg => "AVG",
            Self::Percentile(_) => "PERCENTILE",
            Self::Min => "MIN",
            Self::Max => "MAX",
        }
    }
}

/// What a client wants to know.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Where.
    pub experiment_ids: Vec<i64>,
    /// Of what.
    pub view: View,
    /// Which number, as `latency`.
    pub metric: String,
    /// How numbers become one.
    pub aggregations: Vec<Aggregation>,
    /// By what they are grouped, as `trace_status`.
    pub dimensions: Vec<String>,
    /// Each `thing = 'value'`, as `trace.status = 'OK'`.
    pub filters: Vec<String>,
    /// Group by time, in steps of so many seconds.
    pub interval_seconds: Option<i64>,
    /// From here on, in milliseconds since 1970.
    pub start_time: Option<i64>,
    /// Up to here, in milliseconds since 1970.
    pub end_time: Option<i64>,
    /// How many points at most.
    pub max_results: Option<i64>,
}

/// The numbers of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What the members of the group have in common.
    pub dimensions: Vec<(String, String)>,
    /// The numbers, by the labels of their aggregations.
    pub values: Vec<(String, f64)>,
}

/// A number that can be asked for.
struct Metric {
    name: &'static str,
    /// Its column or expression.
    sql: &'static str,
    aggregations: &'static [&'static str],
    dimensions: &'static [&'static str],
}

const NUMBERS: &[&str] = &["AVG", "MAX", "MIN", "PERCENTILE", "SUM"];
const VALUES: &[&str] = &["AVG", "MAX", "MIN", "PERCENTILE"];
const MODEL_DIMENSIONS: &[&str] = &["span_model_name", "span_model_provider"];

const TRACES: &[Metric] = &[
    Metric {
        name: "trace_count",
        sql: "t.request_id",
        aggregations: &["COUNT"],
        dimensions: &["trace_name", "trace_status"],
    },
    Metric { name: "session_count", sql: "DISTINCT t.session_id", aggregations: &["COUNT"], dimensions: &[] },
    Metric { name: "latency", sql: "t.execution_time_ms", aggregations: VALUES, dimensions: &["trace_name"] },
    Metric {
        name: "input_tokens",
        sql: "t.input_tokens",
        aggregations: NUMBERS,
        dimensions: &["trace_name"],
    },
    Metric {
        name: "output_tokens",
        sql: "t.output_tokens",
        aggregations: NUMBERS,
        dimensions: &["trace_name"],
    },
    Metric {
        name: "total_tokens",
        sql: "t.total_tokens",
        aggregations: NUMBERS,
        dimensions: &["trace_name"],
    },
    Metric {
        name: "cache_read_input_tokens",
        sql: "t.cache_read_input_tokens",
        aggregations: NUMBERS,
        dimensions: &["trace_name"],
    },
    Metric {
        name: "cache_creation_input_tokens",
        sql: "t.cache_creation_input_tokens",
        aggregations: NUMBERS,
        dimensions: &["trace_name"],
    },
];

const SPANS: &[Metric] = &[
    Metric {
        name: "span_count",
        sql: "s.span_id",
        aggregations: &["COUNT"],
        dimensions: &["span_model_name", "span_model_provider", "span_name", "span_status", "span_type"],
    },
    Metric {
        name: "latency",
        sql: "(s.end_time_unix_nano - s.start_time_unix_nano) / 1000000",
        aggregations: VALUES,
        dimensions: &["span_name", "span_status"],
    },
    Metric { name: "input_cost", sql: "s.input_cost", aggregations: NUMBERS, dimensions: MODEL_DIMENSIONS },
    Metric { name: "output_cost", sql: "s.output_cost", aggregations: NUMBERS, dimensions: MODEL_DIMENSIONS },
    Metric { name: "total_cost", sql: "s.total_cost", aggregations: NUMBERS, dimensions: MODEL_DIMENSIONS },
];

const ASSESSMENTS: &[Metric] = &[
    Metric {
        name: "assessment_count",
        sql: "a.assessment_id",
        aggregations: &["COUNT"],
        dimensions: &["assessment_name", "assessment_value"],
    },
    Metric {
        name: "assessment_value",
        sql: "a.aggregate_value",
        aggregations: VALUES,
        dimensions: &["assessment_name"],
    },
];

/// Columns of dimensions.
const DIMENSIONS: &[(&str, &str)] = &[
    ("trace_name", "t.trace_name"),
    ("trace_status", "t.status"),
    ("span_name", "s.name"),
    ("span_type", "s.type"),
    ("span_status", "s.status"),
    ("span_model_name", "s.model_name"),
    ("span_model_provider", "s.model_provider"),
    ("assessment_name", "a.name"),
    ("assessment_value", "a.value"),
];

impl View {
    fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Traces => TRACES,
            Self::Spans => SPANS,
            Self::Assessments => ASSESSMENTS,
        }
    }
}

/// The numbers, in the order of time and dimensions.
pub async fn query(session: &mut Session, query: &Query) -> Result<Vec<Point>> {
    let metric = checked(query)?;
    if query.experiment_ids.is_empty() {
        return Ok(Vec::new());
    }
    let groups = groups(query);
    let by_hand = query.aggregations.iter().any(|how| matches!(how, Aggregation::Percentile(_)));
    let mut statement = Statement::built("SELECT ");
    for (_, sql) in &groups {
        statement.push(sql).push(", ");
    }
    if by_hand {
        statement.push(&format!("CAST({} AS DOUBLE PRECISION)", metric.sql));
    } else {
        let values: Vec<String> = query
            .aggregations
            .iter()
            .map(|how| format!("CAST({}({}) AS DOUBLE PRECISION)", how.kind(), metric.sql))
            .collect();
        statement.push(&values.join(", "));
    }
    push_from(&mut statement, query, metric)?;
    let places: Vec<String> = (1..=groups.len()).map(|place| place.to_string()).collect();
    if by_hand {
        statement.push(" ORDER BY ").push(&places.join(", ")).push(if places.is_empty() { "" } else { ", " });
        statement.push(&(groups.len() + 1).to_string());
    } else if !places.is_empty() {
        statement.push(" GROUP BY ").push(&places.join(", ")).push(" ORDER BY ").push(&places.join(", "));
    }
    let most = query.max_results.unwrap_or(DEFAULT_POINTS);
    if !by_hand {
        statement.push(" LIMIT ").push_bind(most);
    }
    let rows = session.rows(statement).await?;
    let mut points: Vec<Point> = Vec::new();
    let mut values: Vec<f64> = Vec::new();
    for row in &rows {
        let mut dimensions = Vec::with_capacity(groups.len());
        for (column, (name, _)) in groups.iter().enumerate() {
            let value = if name == "time_bucket" { iso(row.int(column)?) } else { row.text(column)? };
            dimensions.push((name.clone(), value));
        }
        if by_hand {
            // Rows come sorted by group and value.
            if points.last().is_none_or(|last| last.dimensions != dimensions) {
                finish(&mut points, &mut values, &query.aggregations);
                points.push(Point { dimensions, values: Vec::new() });
            }
            values.push(row.real(groups.len())?);
            continue;
        }
        let mut point = Point { dimensions, values: Vec::new() };
        for (index, how) in query.aggregations.iter().enumerate() {
            if let Some(value) = row.real_or_null(groups.len() + index)? {
                point.values.push((how.label(), value));
            }
        }
        points.push(point);
    }
    finish(&mut points, &mut values, &query.aggregations);
    points.retain(|point| !point.values.is_empty());
    points.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(points)
}

/// Sums the values of the last point up.
fn finish(points: &mut [Point], values: &mut Vec<f64>, aggregations: &[Aggregation]) {
    if let Some(last) = points.last_mut().filter(|_| !values.is_empty()) {
        last.values = aggregations.iter().map(|how| (how.label(), aggregate(*how, values))).collect();
    }
    values.clear();
}

/// One number for sorted values.
fn aggregate(how: Aggregation, sorted: &[f64]) -> f64 {
    let count = sorted.len() as f64;
    match how {
        Aggregation::Count => count,
        Aggregation::Sum => sorted.iter().sum(),
        Aggregation::Avg => sorted.iter().sum::<f64>() / count,
        Aggregation::Min => sorted[0],
        Aggregation::Max => sorted[sorted.len() - 1],
        Aggregation::Percentile(percent) => {
            let place = percent / 100.0 * (count - 1.0);
            let below = place.floor().max(0.0) as usize;
            let above = (below + 1).min(sorted.len() - 1);
            let below = below.min(sorted.len() - 1);
            sorted[below] + (sorted[above] - sorted[below]) * place.fract()
        }
    }
}

fn checked(query: &Query) -> Result<&'static Metric> {
    let list = |names: &[&str]| {
        let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        format!("[{}]", quoted.join(", "))
    };
    let metrics = query.view.metrics();
    let Some(metric) = metrics.iter().find(|metric| metric.name == query.metric) else {
        let names: Vec<&str> = metrics.iter().map(|metric| metric.name).collect();
        return Err(Error::invalid(format!(
            "metric_name must be one of {}, got '{}'",
            list(&names),
            query.metric
        )));
    };
    if query.aggregations.is_empty() {
        return Err(Error::request(Code::BadRequest, "at least one of `aggregations` is needed"));
    }
    let mut wrong: Vec<&str> = query.aggregations.iter().map(|how| how.kind()).collect();
    wrong.retain(|kind| !metric.aggregations.contains(kind));
    wrong.sort_unstable();
    wrong.dedup();
    if !wrong.is_empty() {
        return Err(Error::invalid(format!(
            "Found invalid aggregation_type(s): {}. Supported aggregation types: {}",
            list(&wrong),
            list(metric.aggregations)
        )));
    }
    let mut wrong: Vec<&str> = query.dimensions.iter().map(String::as_str).collect();
    wrong.retain(|name| !metric.dimensions.contains(name));
    wrong.sort_unstable();
    wrong.dedup();
    if !wrong.is_empty() {
        return Err(Error::invalid(format!(
            "Found invalid dimension(s): {}. Supported dimensions: {}",
            list(&wrong),
            list(metric.dimensions)
        )));
    }
    if query.interval_seconds.is_some_and(|seconds| seconds != 0)
        && (query.start_time.is_none() || query.end_time.is_none())
    {
        return Err(Error::invalid(
            "start_time_ms and end_time_ms are required if time_interval_seconds is set",
        ));
    }
    Ok(metric)
}

/// Names and SQL of what is grouped by.
fn groups(query: &Query) -> Vec<(String, String)> {
    let mut groups = Vec::new();
    if let Some(seconds) = query.interval_seconds.filter(|seconds| *seconds > 0) {
        let step = seconds.saturating_mul(1000);
        let sql = match query.view {
            View::Traces => format!("(t.timestamp_ms / {step}) * {step}"),
            View::Spans => {
                format!("(s.start_time_unix_nano / {}) * {step}", step.saturating_mul(1_000_000))
            }
            View::Assessments => format!("(a.trace_timestamp_ms / {step}) * {step}"),
        };
        groups.push(("time_bucket".to_owned(), sql));
    }
    for name in &query.dimensions {
        if let Some((_, column)) = DIMENSIONS.iter().find(|(known, _)| known == name) {
            groups.push((name.clone(), (*column).to_owned()));
        }
    }
    groups
}

fn push_from(statement: &mut Statement, query: &Query, metric: &Metric) -> Result<()> {
    let (from, time, unit) = match query.view {
        View::Traces => (" FROM trace_info t WHERE t.experiment_id IN ", "t.timestamp_ms", 1),
        // Costs count for the day on which they arose, everything else for the day of the trace.
        View::Spans if metric.name.ends_with("_cost") => (
            " FROM spans s JOIN trace_info t ON t.request_id = s.trace_id WHERE t.experiment_id IN ",
            "s.start_time_unix_nano",
            1_000_000,
        ),
        View::Spans => (
            " FROM spans s JOIN trace_info t ON t.request_id = s.trace_id WHERE t.experiment_id IN ",
            "t.timestamp_ms",
            1,
        ),
        View::Assessments => {
            (" FROM assessments a WHERE a.valid = TRUE AND a.experiment_id IN ", "a.trace_timestamp_ms", 1)
        }
    };
    statement.push(from).push_list(query.experiment_ids.iter().copied());
    if let Some(start) = query.start_time {
        statement.push(&format!(" AND {time} >= ")).push_bind(start.saturating_mul(unit));
    }
    if let Some(end) = query.end_time {
        // The last millisecond counts in full.
        let last = end.saturating_mul(unit).saturating_add(unit - 1);
        statement.push(&format!(" AND {time} <= ")).push_bind(last);
    }
    statement.push(&format!(" AND {} IS NOT NULL", metric.sql.trim_start_matches("DISTINCT ")));
    for name in &query.dimensions {
        if let Some((_, column)) = DIMENSIONS.iter().find(|(known, _)| known == name) {
            statement.push(&format!(" AND {column} IS NOT NULL"));
        }
    }
    for text in &query.filters {
        let refused = |fault: Fault| fault.in_text("filter", text);
        let clauses = parse(text).map_err(refused)?;
        let [clause] = clauses.as_slice() else {
            return Err(Error::invalid(format!("Invalid filter: '{text}'. Expected one filter clause.")));
        };
        statement.push(" AND ");
        push_filter(statement, query.view, clause).map_err(refused)?;
    }
    Ok(())
}

/// A time as Python writes it in ISO 8601.
fn iso(milliseconds: i64) -> String {
    let time = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregates_of_sorted_values() {
        let values = [1.0, 2.0, 4.0, 8.0];
        for (how, want) in [
            (Aggregation::Count, 4.0),
            (Aggregation::Sum, 15.0),
            (Aggregation::Avg, 3.75),
            (Aggregation::Min, 1.0),
            (Aggregation::Max, 8.0),
            (Aggregation::Percentile(50.0), 3.0),
            (Aggregation::Percentile(100.0), 8.0),
            (Aggregation::Percentile(0.0), 1.0),
        ] {
            assert_eq!(aggregate(how, &values), want, "{how:?}");
        }
        assert_eq!(Aggregation::Percentile(99.9).label(), "P99.9");
        assert_eq!(iso(1_767_322_800_000), "2026-01-02T03:00:00+00:00");
    }

    #[test]
    fn wrong_questions() {
        for (metric, aggregation, dimension, want) in [
            ("bogus", Aggregation::Count, "", "metric_name must be one of ['trace_count', 'session_count', "),
            (
                "trace_count",
                Aggregation::Sum,
                "",
                "Found invalid aggregation_type(s): ['SUM']. Supported aggregation types: ['COUNT']",
            ),
            (
                "latency",
                Aggregation::Avg,
                "span_name",
                "Found invalid dimension(s): ['span_name']. Supported dimensions: ['trace_name']",
            ),
        ] {
            let query = Query {
                metric: metric.to_owned(),
                aggregations: vec![aggregation],
                dimensions: Some(dimension.to_owned()).into_iter().filter(|name| !name.is_empty()).collect(),
                ..Query::default()
            };
            let message = checked(&query).err().unwrap().to_string();
            assert!(message.starts_with(want), "{message}");
        }
    }
}
