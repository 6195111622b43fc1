//! Trace context (W3C): to which reconcile a request belongs, for the header `traceparent` and the log.
//!
//! The context of a task is found by whatever runs within it, and by nothing that the task spawns: who spawns carries it over
//! with [`Context::current`] and [`Context::scope`]. Where spans are exported (feature `otlp`), they bear the same ids.

#[cfg(feature = "otlp")]
mod exported;

use std::fmt;

#[cfg(feature = "otlp")]
pub(crate) use self::exported::Ids;

/// Name of the header that carries a context (W3C Trace Context, section 3.2).
pub const HEADER: &str = "traceparent";

tokio::task_local! {
    static CURRENT: Context;
}

/// One span, and the trace that it is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Not zero, which the standard forbids.
    trace: u128,
    /// Not zero, which the standard forbids.
    span: u64,
    /// Whether this span is recorded, and exported in the end.
    sampled: bool,
}

impl Context {
    /// The first span of a new trace.
    pub fn root() -> Self {
        let (trace, span) = (fastrand::u128(1..), fastrand::u64(1..));
        Self { trace, span, sampled: false }
    }

    /// A span below this one.
    pub fn child(self) -> Self {
        Self { span: fastrand::u64(1..), ..self }
    }

    /// The context of the running task, if it has one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|context| *context).ok()
    }

    /// Runs `task` within this context.
    pub async fn scope<F: Future>(self, task: F) -> F::Output {
        CURRENT.scope(self, task).await
    }

    /// The trace's id; its `Display` is 32 hexadecimal digits.
    pub fn trace_id(self) -> TraceId {
        TraceId(self.trace)
    }

    /// The span's id; its `Display` is 16 hexadecimal digits.
    pub fn span_id(self) -> SpanId {
        SpanId(self.span)
    }

    /// Returns true if this span is exported, as those who hear of it may want to know.
    pub fn is_sampled(self) -> bool {
        self.sampled
    }

    /// This context, after `span` was given its ids where spans are exported, and with what the sampler says of it. To be
    /// called once, when nothing has happened in the span yet.
    #[cfg_attr(not(feature = "otlp"), expect(unused_variables, reason = "nothing is exported"))]
    pub(crate) fn of_span(self, span: &tracing::Span) -> Self {
        #[cfg(feature = "otlp")]
        return exported::identify(span, self);
        #[cfg(not(feature = "otlp"))]
        self
    }
}

/// The value of [`HEADER`]: version, trace, span, and whether the caller records it. Where it does not, that is left to the
/// server.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id(), self.span_id(), u8::from(self.sampled))
    }
}

/// Id of a trace: 128 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Id of a span: 64 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_written_as_the_standard_has_it() {
        let context =
            Context { trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, span: 0xb7ad_6b71_6920_3331, sampled: false };
        assert_eq!(context.to_string(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        let small = Context { trace: 1, span: 2, sampled: true };
        assert_eq!(small.to_string(), "00-00000000000000000000000000000001-0000000000000002-01");
    }

    #[tokio::test]
    async fn a_context_holds_within_its_task_and_nowhere_else() {
        assert_eq!(Context::current(), None);
        let (one, other) = (Context::root(), Context::root());
        assert_ne!(one.trace_id(), other.trace_id());
        let child = one.child();
        assert_eq!(child.trace_id(), one.trace_id());
        assert_ne!(child.span_id(), one.span_id());
        let seen = one.scope(async { (Context::current(), other.scope(async { Context::current() }).await) }).await;
        assert_eq!(seen, (Some(one), Some(other)));
        assert_eq!(Context::current(), None);
    }
}
