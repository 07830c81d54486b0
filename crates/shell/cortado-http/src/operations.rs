//! What machines and people ask a server about itself.
//!
//! Start reading at [`readyz`].

use crate::answer::{Answer, Content, JSON, json};
use crate::call::Call;
use crate::failure::Failure;
use bytes::Bytes;
use cortado_metrics::CONTENT_TYPE;
use cortado_wire::Code;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json as value;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// The version of the software.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where to go.
pub(crate) fn landing() -> Answer {
    let links = value!({
        "name": "Cortado",
        "version": VERSION,
        "api": "/openapi.json",
        "databases": "/admin/v1/databases",
        "cluster": "/admin/v1/cluster",
        "health": "/healthz",
        "readiness": "/readyz",
        "metrics": "/metrics",
    });
    json(StatusCode::OK, &links)
}

/// The process runs and answers: that is all.
pub(crate) fn healthz(call: &Call<'_>) -> Answer {
    let warnings = call.shared.warnings();
    if warnings.is_empty() {
        return json(StatusCode::OK, &value!({ "alive": true }));
    }
    json(StatusCode::OK, &value!({ "alive": true, "warnings": warnings }))
}

/// Every partition is served; of one node of many: it has registered, and its replicas work.
pub(crate) async fn readyz(call: &Call<'_>) -> Result<Answer, Failure> {
    let ready = match &call.shared.own {
        Some(own) => own.ready().map(|mut warnings| {
            warnings.extend(own.warnings());
            warnings
        }),
        None => call.services().ready().await,
    };
    match ready {
        Ok(warnings) if warnings.is_empty() => Ok(json(StatusCode::OK, &value!({ "ready": true }))),
        // Reads are served, and it is for the operator to find out what is not.
        Ok(warnings) => Ok(json(StatusCode::OK, &value!({ "ready": true, "warnings": warnings }))),
        Err(why) => Err(Failure::new(Code::Unavailable, why.to_string())),
    }
}

/// Everything that is counted and shown, for Prometheus.
pub(crate) async fn metrics(call: &Call<'_>) -> Result<Answer, Failure> {
    let registry = Arc::clone(&call.shared.registry);
    // It looks into the file system, and with many partitions it takes milliseconds.
    let text = spawn_blocking(move || registry.encode())
        .await
        .map_err(|_| Failure::new(Code::Internal, "reading the metrics panicked"))?;
    let mut answer = Response::new(Content::Whole(Bytes::from(text)));
    let media_type = HeaderValue::from_static(CONTENT_TYPE);
    answer.headers_mut().insert(header::CONTENT_TYPE, media_type);
    Ok(answer)
}

/// The description of all routes.
pub(crate) fn openapi(call: &Call<'_>) -> Answer {
    let mut answer = Response::new(Content::Whole(call.about.openapi()));
    answer.headers_mut().insert(header::CONTENT_TYPE, JSON);
    answer
}
