//! One admin request: its options, its queue, its one answer.
//!
//! Start reading at [`AdminCall::answer`].

use rdkafka::bindings as sys;
use std::ffi::{CStr, c_char};
use std::time::Duration;

/// Why an admin request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminCallError {
    /// No answer came in time.
    #[error("no answer came within {waited_ms} ms")]
    NoAnswer {
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// The request failed as a whole.
    #[error("{text} (error {code})")]
    Failed {
        /// The code of the Kafka protocol, or a negative one of librdkafka.
        code: i32,
        /// What librdkafka says of it.
        text: String,
    },
}

/// How much longer than its own bound an answer is waited for, which then says why it failed.
const ANSWER_GRACE: Duration = Duration::from_millis(500);

/// Options and queue of one request; freed when it is dropped.
pub(crate) struct AdminCall {
    options: *mut sys::rd_kafka_AdminOptions_t,
    queue: *mut sys::rd_kafka_queue_t,
    timeout: Duration,
}

/// The answer; what is read from it lives as long as it does.
pub(crate) struct AdminAnswer(*mut sys::rd_kafka_event_t);

impl AdminCall {
    /// # Safety
    /// `client` is alive until the call is dropped.
    pub(crate) unsafe fn new(
        client: *mut sys::rd_kafka_t,
        operation: sys::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<AdminCall, AdminCallError> {
        // SAFETY: the client is alive, by the caller; both are freed on drop.
        let (options, queue) = unsafe {
            (sys::rd_kafka_AdminOptions_new(client, operation), sys::rd_kafka_queue_new(client))
        };
        let call = AdminCall { options, queue, timeout };
        let mut text = [0 as c_char; 256];
        // SAFETY: the options were made above; the buffer has the length that is told.
        let code = unsafe {
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options,
                i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
                text.as_mut_ptr(),
                text.len(),
            )
        };
        if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            Ok(call)
        } else {
            // SAFETY: librdkafka has put a terminated text into the buffer, which was zero.
            let text = unsafe { text_of(text.as_ptr()) };
            Err(AdminCallError::Failed { code: code as i32, text })
        }
    }

    pub(crate) fn options(&self) -> *mut sys::rd_kafka_AdminOptions_t {
        self.options
    }

    pub(crate) fn queue(&self) -> *mut sys::rd_kafka_queue_t {
        self.queue
    }

    /// Waits for the answer to the request that was sent with these options to this queue.
    pub(crate) fn answer(
        &self,
        kind: sys::rd_kafka_event_type_t,
    ) -> Result<AdminAnswer, AdminCallError> {
        let waited = self.timeout + ANSWER_GRACE;
        let waited_ms = i32::try_from(waited.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive; the event is ours, and freed on drop.
        let event = unsafe { sys::rd_kafka_queue_poll(self.queue, waited_ms) };
        let no_answer = AdminCallError::NoAnswer { waited_ms: u64::from(waited_ms.unsigned_abs()) };
        if event.is_null() {
            return Err(no_answer);
        }
        let answer = AdminAnswer(event);
        // SAFETY: the event is alive; the text is copied before it is freed.
        let (found, code, text) = unsafe {
            let code = sys::rd_kafka_event_error(event);
            let text = text_of(sys::rd_kafka_event_error_string(event));
            (sys::rd_kafka_event_type(event), code, text)
        };
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(AdminCallError::Failed { code: code as i32, text });
        }
        if found == kind { Ok(answer) } else { Err(no_answer) }
    }
}

impl Drop for AdminCall {
    fn drop(&mut self) {
        // SAFETY: both were made in `new` and are freed here only; an answer that comes later has a
        // count of its own on the queue.
        unsafe {
            sys::rd_kafka_AdminOptions_destroy(self.options);
            sys::rd_kafka_queue_destroy(self.queue);
        }
    }
}

impl AdminAnswer {
    pub(crate) fn event(&self) -> *mut sys::rd_kafka_event_t {
        self.0
    }
}

impl Drop for AdminAnswer {
    fn drop(&mut self) {
        // SAFETY: the event is ours, and freed here only.
        unsafe { sys::rd_kafka_event_destroy(self.0) };
    }
}

/// Copies a text of librdkafka; none for the null pointer.
///
/// # Safety
/// `text` is null, or a terminated string that lives until this returns.
pub(crate) unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and terminated by the caller's word.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The items of an array that librdkafka lends.
///
/// # Safety
/// `first` is null, or the first of `count` items that live as long as `'a`.
pub(crate) unsafe fn items_of<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if first.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: by the caller's word.
    unsafe { std::slice::from_raw_parts(first, count) }
}
