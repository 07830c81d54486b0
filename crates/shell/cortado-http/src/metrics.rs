//! What a listener counts as it happens: answers and connections.
//!
//! Counting never waits, and looks labels up once for each route. What is measured on a scrape is
//! in [`crate::occupancy`]. Start reading at [`Metrics::count`].
//! Source: docs/metrics.md lists every family.

use crate::routes::ROUTES;
use cortado_metrics::{Counter, Histogram, Registry, Series};
use std::sync::OnceLock;
use std::time::Duration;

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// What a listener has counted since it started.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Series<Counter>,
    durations: Series<Histogram>,
    /// By index of the route; the last for requests without one. Made by a route's first answer,
    /// so that unused routes are left out.
    routes: [OnceLock<RouteMetrics>; ROUTES.len() + 1],
    pub(crate) connections_accepted: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) accepts_failed: Counter,
}

#[derive(Debug)]
struct RouteMetrics {
    classes: [Counter; CLASSES.len()],
    durations: Histogram,
}

impl Metrics {
    /// Registers what is counted.
    pub(crate) fn register(registry: &Registry) -> Metrics {
        Metrics {
            requests: registry.counters(
                "cortado_http_requests_total",
                "Requests answered, by route and class of the status",
            ),
            durations: registry.histograms(
                "cortado_http_request_seconds",
                "From the head of a request to the head of its answer",
            ),
            routes: [const { OnceLock::new() }; ROUTES.len() + 1],
            connections_accepted: registry
                .counter("cortado_http_connections_total", "Connections accepted"),
            connections_refused: registry.counter(
                "cortado_http_connections_refused_total",
                "Connections refused because the limit was reached",
            ),
            accepts_failed: registry.counter(
                "cortado_http_accepts_failed_total",
                "Attempts to accept connections that failed for want of descriptors or memory",
            ),
        }
    }

    /// Counts one answer.
    ///
    /// * `route`: its index in the table of routes; `None` if the request found none.
    pub(crate) fn count(&self, route: Option<usize>, status: http::StatusCode, took: Duration) {
        let index = route.unwrap_or(ROUTES.len());
        let Some(route) = self.routes.get(index) else { return };
        let route = route.get_or_init(|| self.of_route(index));
        // 100 to 599, so that 1xx counts as 2xx, and nothing is out of bounds.
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        route.classes[class].add(1);
        route.durations.observe(took);
    }

    fn of_route(&self, index: usize) -> RouteMetrics {
        let route = ("route", ROUTES.get(index).map_or("none", |route| route.description.id));
        RouteMetrics {
            classes: CLASSES.map(|class| self.requests.with(&[route, ("class", class)])),
            durations: self.durations.with(&[route]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn answers_are_counted_by_route_class_and_latency() {
        let registry = Registry::default();
        let metrics = Metrics::register(&registry);
        metrics.count(Some(0), StatusCode::OK, Duration::from_micros(100));
        metrics.count(Some(0), StatusCode::OK, Duration::from_micros(101));
        metrics.count(Some(0), StatusCode::NOT_FOUND, Duration::from_secs(60));
        metrics.count(None, StatusCode::INTERNAL_SERVER_ERROR, Duration::ZERO);
        let text = registry.encode();
        let has = |line: &str| assert!(text.lines().any(|l| l == line), "{line} in {text}");
        has(r#"cortado_http_requests_total{route="get_document",class="2xx"} 2"#);
        has(r#"cortado_http_requests_total{route="get_document",class="4xx"} 1"#);
        has(r#"cortado_http_requests_total{route="none",class="5xx"} 1"#);
        let name = "cortado_http_request_seconds";
        for (bound, count) in [("0.0001", 1), ("0.00025", 2), ("+Inf", 3)] {
            has(&format!(r#"{name}_bucket{{route="get_document",le="{bound}"}} {count}"#));
        }
        has(r#"cortado_http_request_seconds_count{route="get_document"} 3"#);
        assert!(!text.contains("put_document"));
    }
}
