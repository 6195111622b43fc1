//! Whom requests are sent in the name of, where that is somebody else than who sends them.

/// Another identity (`as`, `as-uid`, `as-groups` and `as-user-extra` of a kubeconfig's user). The server asks whether the
/// sender may `impersonate` each part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Impersonation {
    /// The user's name; never empty, since no other part counts without it.
    pub user: String,
    /// The user's uid.
    pub uid: Option<String>,
    /// The groups, which replace those of the sender.
    pub groups: Vec<String>,
    /// Further attributes, each with its values. Names may hold any character.
    pub extra: Vec<(String, Vec<String>)>,
}
