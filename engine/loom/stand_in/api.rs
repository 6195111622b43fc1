//! Of the engine's `api`, what caches know of it: objects and selections of them, and nothing of requests.

mod decode;
mod error;
mod selector;

pub use self::decode::{Entry, Event, Invalid, Page};
pub use self::error::{Error, Status};
pub use self::selector::{Collection, Field, Label, Labels, Scope, Selector};
use crate::object::ResourceVersion;

/// Where a watch starts, as in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// After this version.
    After(ResourceVersion),
    /// With every object that exists.
    WithList,
}
