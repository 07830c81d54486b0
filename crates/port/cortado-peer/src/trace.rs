//! Which request of which trace the work at hand belongs to, as W3C's trace context spells it.
//!
//! It goes along with a task: whoever answers a request runs its work in [`TraceContext::scope`],
//! an adapter hands it on to the node that is asked, and the log asks for
//! [`TraceContext::current`]. It decides nothing. Start reading at [`TraceContext::parse`].
//! Source: <https://www.w3.org/TR/trace-context/>, "Traceparent Header".

use std::fmt;
use std::future::Future;
use std::num::{NonZeroU64, NonZeroU128};

/// A span of a trace: one request at one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: NonZeroU128,
    span: NonZeroU64,
    /// Whose work this is a part of, if that is known.
    parent: Option<NonZeroU64>,
    is_sampled: bool,
}

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The header field that carries it.
pub const TRACEPARENT: &str = "traceparent";
/// `00-` trace `-` span `-` flags.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;

impl TraceContext {
    /// Reads the header field of a caller. `None` if it is malformed: then a new trace begins, and
    /// the request is answered all the same.
    pub fn parse(text: &str) -> Option<TraceContext> {
        let (version, rest) = (digits(text.get(..2)?)?, text.get(2..)?);
        let is_whole = match version {
            0xff => false,
            0 => text.len() == LENGTH,
            // Later versions may say more behind it.
            _ => text.len() == LENGTH || text.as_bytes().get(LENGTH) == Some(&b'-'),
        };
        let mut parts = rest.strip_prefix('-')?.get(..LENGTH - 3)?.split('-');
        let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
        let has_lengths = (trace.len(), span.len(), flags.len()) == (32, 16, 2);
        if !is_whole || !has_lengths || parts.next().is_some() {
            return None;
        }
        Some(TraceContext {
            trace: NonZeroU128::new(digits(trace)?)?,
            span: NonZeroU64::new(u64::try_from(digits(span)?).ok()?)?,
            parent: None,
            is_sampled: u8::try_from(digits(flags)?).ok()? & SAMPLED != 0,
        })
    }

    /// A trace of its own.
    ///
    /// * `trace`, `span`: random numbers.
    pub fn begin(trace: u128, span: u64) -> TraceContext {
        TraceContext {
            trace: NonZeroU128::new(trace).unwrap_or(NonZeroU128::MAX),
            span: NonZeroU64::new(span).unwrap_or(NonZeroU64::MAX),
            parent: None,
            is_sampled: false,
        }
    }

    /// Work that is a part of this one.
    ///
    /// * `span`: a random number.
    pub fn child(self, span: u64) -> TraceContext {
        let child = NonZeroU64::new(span).unwrap_or(NonZeroU64::MAX);
        TraceContext { span: child, parent: Some(self.span), ..self }
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    /// 16 hexadecimal digits.
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span)
    }

    /// Of the work that this is a part of, if it has told.
    pub fn parent_id(self) -> Option<String> {
        self.parent.map(|parent| format!("{parent:016x}"))
    }

    /// That of the task at hand.
    pub fn current() -> Option<TraceContext> {
        CURRENT.try_with(|current| *current).ok()
    }

    /// Does `work` as this span.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// Does `work`, which goes to a task of its own, as what the task at hand is.
    pub fn handed_on<F: Future>(work: F) -> impl Future<Output = F::Output> {
        let current = TraceContext::current();
        async move {
            match current {
                Some(current) => current.scope(work).await,
                None => work.await,
            }
        }
    }
}

impl fmt::Display for TraceContext {
    /// As the header field that hands it on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled) * SAMPLED;
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

/// Lower-case hexadecimal digits, and nothing else.
fn digits(text: &str) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.bytes().all(is_digit) { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_callers_header_is_read_and_handed_on() {
        let caller = TraceContext::parse(HEADER).expect("the example of the standard");
        assert_eq!(caller.to_string(), HEADER);
        let own = caller.child(0x12);
        let want = "00-0af7651916cd43dd8448eb211c80319c-0000000000000012-01";
        assert_eq!(own.to_string(), want);
        assert_eq!(own.parent_id().as_deref(), Some("b7ad6b7169203331"));
        assert_eq!(own.trace_id(), caller.trace_id());
    }

    #[test]
    fn what_is_malformed_begins_a_new_trace() {
        let refused = [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "+0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-01",
            "日本語日本語日本語日本語日本語日本語日本語日本語日本語",
        ];
        for text in refused {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
        // A later version may say more.
        let later = HEADER.replacen("00", "01", 1);
        assert!(TraceContext::parse(&later).is_some());
        assert!(TraceContext::parse(&format!("{later}-more")).is_some());
        assert!(TraceContext::parse(&format!("{later}more")).is_none());
    }

    #[tokio::test]
    async fn it_goes_along_with_the_work_and_no_further() {
        assert_eq!(TraceContext::current(), None);
        let span = TraceContext::begin(7, 8);
        let seen = span.scope(async { TraceContext::current() }).await;
        assert_eq!(seen, Some(span));
        let handed = span.scope(async {
            let work = TraceContext::handed_on(async { TraceContext::current() });
            tokio::spawn(work).await.expect("it does not panic")
        });
        assert_eq!(handed.await, Some(span));
        assert_eq!(TraceContext::current(), None);
    }
}
