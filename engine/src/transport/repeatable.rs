//! What the sender of a request knows about sending it again.

/// Whether a request may be sent again although it may have been carried out already. An extension of a request
/// ([`http::Extensions`]); where it is absent, reads may be and writes may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeatable {
    /// Carried out twice it does what it does once, or its precondition keeps it from being carried out twice. The second
    /// answer may then be a conflict with the first, which its sender settles by a look.
    Yes,
    /// Carried out twice it does more than once (two objects of a generated name, two entries in a list), or what it does not
    /// want (it undoes what another writer has changed in between).
    No,
}
