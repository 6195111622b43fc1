//! The ids of spans that are exported: those of the [`Context`], so that the log, the header and the collector name the same
//! span.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceContextExt as _, TraceId};
use opentelemetry_sdk::trace::IdGenerator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::Context;

thread_local! {
    /// The ids of the span that is just begun on this thread.
    static NEXT: Cell<Option<Context>> = const { Cell::new(None) };
}

/// Gives out the ids that [`identify`] has laid out, and random ones to spans that nobody identifies.
#[derive(Debug)]
pub(crate) struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let next = NEXT.get().map_or_else(|| fastrand::u128(1..), |context| context.trace);
        TraceId::from_bytes(next.to_be_bytes())
    }

    fn new_span_id(&self) -> SpanId {
        let next = NEXT.get().map_or_else(|| fastrand::u64(1..), |context| context.span);
        SpanId::from_bytes(next.to_be_bytes())
    }
}

/// See [`Context::of_span`].
pub(super) fn identify(span: &tracing::Span, context: Context) -> Context {
    NEXT.set(Some(context));
    // Begins the span if it has not been, which asks for its ids on this thread.
    let begun = span.context();
    NEXT.set(None);
    let begun = begun.span().span_context().clone();
    // Not if nobody exports it.
    if !begun.is_valid() {
        return context;
    }
    let (trace, span) = (begun.trace_id().to_bytes(), begun.span_id().to_bytes());
    Context { trace: u128::from_be_bytes(trace), span: u64::from_be_bytes(span), sampled: begun.is_sampled() }
}
