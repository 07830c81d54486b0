//! What a listener has open now, beside what it may: connections, streams, bodies, answers.
//!
//! Changes nothing. Start reading at [`Occupancy`]. Source: docs/metrics.md lists every family.

use crate::api::Api;
use cortado_metrics::{Samples, Source};
use std::sync::Weak;
use std::sync::atomic::Ordering;

/// Connections, streams, bodies and answers of a listener, as long as it is there.
pub(crate) struct Occupancy(pub(crate) Weak<Api>);

impl Source for Occupancy {
    fn collect(&self, samples: &mut Samples<'_>) {
        let Some(api) = self.0.upgrade() else { return };
        let limits = api.limits();
        let connections = api.connections().load(Ordering::Relaxed);
        samples.gauge("cortado_http_connections", "Open connections", connections);
        let help = "Limit of open connections; one more takes the place of an idle one, or is \
                    refused with 503";
        samples.gauge("cortado_http_connections_limit", help, limits.connections_max);
        let streams = api.streams().load(Ordering::Relaxed);
        samples.gauge("cortado_http_streams", "Open change streams", streams);
        let help = "Limit of open change streams; beyond it they are refused with 429";
        samples.gauge("cortado_http_streams_limit", help, limits.streams_max);
        let help = "Memory of request bodies, until their requests are answered";
        samples.gauge("cortado_http_body_bytes", help, api.bodies().used_bytes());
        let help = "Limit of that memory; beyond it requests are refused with 503";
        samples.gauge("cortado_http_body_limit_bytes", help, limits.bodies_bytes_max);
        let help = "Memory of answers that are being sent";
        samples.gauge("cortado_http_answer_bytes", help, api.answers().used_bytes());
        let help = "Limit of that memory; beyond it large reads are refused with 503 and change \
                    streams break off";
        samples.gauge("cortado_http_answer_limit_bytes", help, limits.answers_bytes_max);
    }
}
