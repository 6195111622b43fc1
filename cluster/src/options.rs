//! What a caller may choose about a cluster.

use crate::Component;

/// Which components run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Components {
    /// All of them: Deployments become ready, owned objects are garbage collected.
    #[default]
    Full,
    /// etcd and the API server: objects are kept, admitted and watched, and nothing acts on them.
    /// Starts in half the time.
    ApiOnly,
}

impl Components {
    /// The components, in the order in which they start.
    pub fn list(self) -> &'static [Component] {
        match self {
            Self::Full => &Component::ALL,
            Self::ApiOnly => &[Component::Etcd, Component::ApiServer],
        }
    }
}

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The name of its folder; without one it gets a name that no other cluster has, which is what
    /// a test wants.
    pub name: Option<String>,
    /// Which components run.
    pub components: Components,
    /// How many fake nodes there are; only [`Components::Full`] has any.
    pub nodes: u32,
    /// Whether the API server logs each request it has answered.
    pub audit: bool,
    /// Users that may do nothing until a test binds a role to them. Each has its own kubeconfig.
    pub users: Vec<String>,
    /// Further flags, such as `(Component::ApiServer, "--min-request-timeout=5".to_owned())`.
    pub flags: Vec<(Component, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            components: Components::default(),
            nodes: 1,
            audit: true,
            users: vec!["limited".to_owned()],
            flags: Vec::new(),
        }
    }
}

impl Options {
    /// The default but for the components.
    pub fn api_only() -> Self {
        Self { components: Components::ApiOnly, ..Self::default() }
    }
}
