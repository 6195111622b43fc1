//! Of the engine's `transport`, the name of its error: nothing is sent here.

/// None that ever happens.
#[derive(Debug, thiserror::Error)]
#[error("nothing is sent here")]
pub struct Error;

impl Error {
    /// As in the engine.
    pub fn is_unsent(&self) -> bool {
        true
    }
}
