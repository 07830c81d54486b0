//! Counters and latencies of the API, as plain atomics and as Prometheus reads them.
//!
//! Counting never waits and never looks a label up. Start reading at [`Metrics::count`].

use crate::routes::ROUTES;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the latency buckets, in microseconds; a last one has none.
const BOUNDS_MICROS: [u64; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000,
];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// What a listener has counted since it started.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// By index of the route; the last for requests without one.
    routes: Vec<RouteMetrics>,
    connections: AtomicU64,
    connections_refused: AtomicU64,
}

#[derive(Debug, Default)]
struct RouteMetrics {
    classes: [AtomicU64; CLASSES.len()],
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let routes = (0..=ROUTES.len()).map(|_| RouteMetrics::default()).collect();
        Metrics { routes, connections: AtomicU64::new(0), connections_refused: AtomicU64::new(0) }
    }

    /// Counts one answer.
    ///
    /// * `route`: its index in the table of routes; `None` if the request found none.
    pub(crate) fn count(&self, route: Option<usize>, status: http::StatusCode, took: Duration) {
        let Some(route) = self.routes.get(route.unwrap_or(ROUTES.len())) else { return };
        // 100 to 599, so that 1xx counts as 2xx, and nothing is out of bounds.
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        route.classes[class].fetch_add(1, Ordering::Relaxed);
        // 2^64 microseconds are half a million years.
        let micros = took.as_micros() as u64;
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        route.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        route.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_refused_connection(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Appends the exposition; routes that were never asked for are left out.
    ///
    /// * `streams`: change streams that are open now.
    pub(crate) fn write(&self, streams: usize, out: &mut String) {
        let names = ROUTES.iter().map(|route| route.description.id).chain(["none"]);
        let routes: Vec<(&str, &RouteMetrics)> = names
            .zip(&self.routes)
            .filter(|(_, metrics)| metrics.classes.iter().any(|count| load(count) > 0))
            .collect();
        family(out, "cortado_http_requests_total", "counter", "Answers by route and status class.");
        for (name, metrics) in &routes {
            for (class, count) in CLASSES.iter().zip(&metrics.classes) {
                let labels = format!("route=\"{name}\",class=\"{class}\"");
                sample(out, "cortado_http_requests_total", &labels, load(count));
            }
        }
        let help = "From a request's head to its answer's head.";
        family(out, "cortado_http_request_seconds", "histogram", help);
        for (name, metrics) in &routes {
            metrics.write_histogram(name, out);
        }
        family(out, "cortado_http_streams", "gauge", "Open change streams.");
        sample(out, "cortado_http_streams", "", streams as u64);
        family(out, "cortado_http_connections_total", "counter", "Accepted connections.");
        sample(out, "cortado_http_connections_total", "", load(&self.connections));
        let help = "Connections beyond the limit.";
        family(out, "cortado_http_connections_refused_total", "counter", help);
        let refused = load(&self.connections_refused);
        sample(out, "cortado_http_connections_refused_total", "", refused);
    }
}

impl RouteMetrics {
    fn write_histogram(&self, name: &str, out: &mut String) {
        let mut cumulated = 0;
        let bounds = BOUNDS_MICROS.iter().map(|micros| format!("{}", *micros as f64 / 1e6));
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&self.buckets) {
            cumulated += load(count);
            let labels = format!("route=\"{name}\",le=\"{bound}\"");
            sample(out, "cortado_http_request_seconds_bucket", &labels, cumulated);
        }
        let labels = format!("route=\"{name}\"");
        let sum_seconds = load(&self.sum_micros) as f64 / 1e6;
        sample(out, "cortado_http_request_seconds_sum", &labels, sum_seconds);
        sample(out, "cortado_http_request_seconds_count", &labels, cumulated);
    }
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = match labels {
        "" => writeln!(out, "{name} {value}"),
        labels => writeln!(out, "{name}{{{labels}}} {value}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn answers_are_counted_by_route_class_and_latency() {
        let metrics = Metrics::new();
        metrics.count(Some(0), StatusCode::OK, Duration::from_micros(100));
        metrics.count(Some(0), StatusCode::OK, Duration::from_micros(101));
        metrics.count(Some(0), StatusCode::NOT_FOUND, Duration::from_secs(60));
        metrics.count(None, StatusCode::INTERNAL_SERVER_ERROR, Duration::ZERO);
        let mut text = String::new();
        metrics.write(3, &mut text);
        let has = |line: &str| assert!(text.lines().any(|l| l == line), "{line} in {text}");
        has(r#"cortado_http_requests_total{route="get_document",class="2xx"} 2"#);
        has(r#"cortado_http_requests_total{route="get_document",class="4xx"} 1"#);
        has(r#"cortado_http_requests_total{route="none",class="5xx"} 1"#);
        has(r#"cortado_http_request_seconds_bucket{route="get_document",le="0.0001"} 1"#);
        has(r#"cortado_http_request_seconds_bucket{route="get_document",le="0.00025"} 2"#);
        has(r#"cortado_http_request_seconds_bucket{route="get_document",le="+Inf"} 3"#);
        has(r#"cortado_http_request_seconds_count{route="get_document"} 3"#);
        has("cortado_http_streams 3");
        assert!(!text.contains("put_document"));
    }
}
