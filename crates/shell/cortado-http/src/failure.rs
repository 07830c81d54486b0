//! Why a request was not done, on its way to becoming a problem document.
//!
//! Never repeats what a client sent. Start reading at [`Failure`]; statuses are in
//! [`crate::status`].

use crate::answer::{Answer, Content, etag_header};
use crate::request_id::RequestId;
use crate::status;
use bytes::Bytes;
use cortado_model::Etag;
use cortado_wire::{Code, Outcome, Problem, Reason, headers, media};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use std::borrow::Cow;

/// An error of a request. Small to pass around; errors are not the hot path.
#[derive(Debug)]
pub(crate) struct Failure(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    detail: Cow<'static, str>,
    outcome: Option<Outcome>,
    operation: Option<usize>,
    offset: Option<usize>,
    etag: Option<Etag>,
    reasons: Vec<Reason>,
    retry_after_ms: u64,
    headers: HeaderMap,
}

impl Failure {
    /// * `detail`: what happened this time, and what to do next; a sentence without a full stop.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Failure {
        Failure(Box::new(Parts {
            code,
            detail: detail.into(),
            outcome: None,
            operation: None,
            offset: None,
            etag: None,
            reasons: Vec::new(),
            retry_after_ms: 0,
            headers: HeaderMap::new(),
        }))
    }

    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    pub(crate) fn status(&self) -> StatusCode {
        status::of_code(self.0.code)
    }

    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is known about the effect: nothing was done, unless the failure says otherwise.
    pub(crate) fn outcome(&self) -> Outcome {
        self.0.outcome.unwrap_or(Outcome::None)
    }

    /// The state of the document that it is about, if it names one.
    pub(crate) fn etag(&self) -> Option<Etag> {
        self.0.etag
    }

    pub(crate) fn into_reasons(self) -> Vec<Reason> {
        self.0.reasons
    }

    /// Says what is known about the effect, unless that has been said.
    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Failure {
        self.0.outcome.get_or_insert(outcome);
        self
    }

    pub(crate) fn with_operation(mut self, operation: usize) -> Failure {
        self.0.operation = Some(operation);
        self
    }

    /// The same once the client's own deadline has passed: `deadline_passed` in place of
    /// `no_leader`, `unavailable` or `outcome_unknown`.
    pub(crate) fn into_late(mut self) -> Failure {
        let open = [Code::NoLeader, Code::Unavailable, Code::OutcomeUnknown];
        if open.contains(&self.0.code) {
            self.0.code = Code::DeadlinePassed;
        }
        self
    }

    /// For a request with only one operation, which need not be named.
    pub(crate) fn without_operation(mut self) -> Failure {
        self.0.operation = None;
        self
    }

    pub(crate) fn with_offset(mut self, offset: usize) -> Failure {
        self.0.offset = Some(offset);
        self
    }

    /// Names the state of the document that the request, or its operation, is about.
    pub(crate) fn with_etag(mut self, etag: Etag) -> Failure {
        self.0.etag = Some(etag);
        self
    }

    pub(crate) fn with_reasons(mut self, reasons: Vec<Reason>) -> Failure {
        self.0.reasons = reasons;
        self
    }

    /// Says when to come back. Rounded up to whole seconds, at least one.
    pub(crate) fn with_retry_after_ms(mut self, retry_after_ms: u64) -> Failure {
        self.0.retry_after_ms = retry_after_ms;
        self
    }

    /// Adds a header, unless it is there already.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Failure {
        self.0.headers.entry(name).or_insert(value);
        self
    }

    /// The answer.
    pub(crate) fn into_answer(self, id: RequestId) -> Answer {
        let (status, body) = (self.status(), self.body(id));
        let Parts { retry_after_ms, headers, etag, operation, .. } = *self.0;
        let mut answer = Response::new(Content::Whole(Bytes::from(body)));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        let fields = answer.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(media::PROBLEM));
        // Of a transaction there are several documents.
        if let (Some(etag), None) = (etag, operation) {
            fields.insert(header::ETAG, etag_header(etag));
        }
        if status::asks_to_come_back(status) {
            let seconds = retry_after_ms.div_ceil(1_000).max(1);
            fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }

    /// The answer as text, for a connection that hyper has given up.
    pub(crate) fn to_http1(&self, id: RequestId) -> Vec<u8> {
        let body = self.body(id);
        let head = format!(
            "HTTP/1.1 {}\r\ncontent-type: {}\r\ncontent-length: {}\r\n\
             {}: {id}\r\nretry-after: 1\r\nconnection: close\r\n\r\n",
            self.status(),
            media::PROBLEM,
            body.len(),
            headers::REQUEST_ID,
        );
        [head.into_bytes(), body].concat()
    }

    fn body(&self, id: RequestId) -> Vec<u8> {
        let Parts { code, detail, outcome, operation, offset, etag, reasons, .. } = &*self.0;
        let mut problem = Problem::new(*code, self.status().as_u16(), detail.to_string());
        problem.request_id = id.to_string();
        problem.outcome = *outcome;
        problem.operation = *operation;
        problem.offset = *offset;
        problem.etag = etag.map(|etag| etag.to_string());
        problem.reasons.clone_from(reasons);
        let mut text = serde_json::to_vec(&problem).unwrap_or_default();
        // It is read on terminals, too.
        text.push(b'\n');
        text
    }
}
