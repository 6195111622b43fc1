//! Tells every task that the process is to end.

use tokio::sync::watch;

/// A signal that is given once and stays given. Clones hear the same signal.
#[derive(Debug, Clone)]
pub struct Shutdown {
    given: watch::Receiver<bool>,
}

/// Gives the signal. A [`Shutdown`] whose trigger was dropped counts as given, so that no task
/// outlives the one that could stop it.
#[derive(Debug)]
pub struct Trigger {
    give: watch::Sender<bool>,
}

/// A signal and the trigger that gives it.
pub fn channel() -> (Trigger, Shutdown) {
    let (give, given) = watch::channel(false);
    (Trigger { give }, Shutdown { given })
}

impl Trigger {
    /// Gives the signal.
    pub fn give(&self) {
        self.give.send_replace(true);
    }
}

impl Shutdown {
    /// Resolves once the signal is given.
    pub async fn given(&self) {
        // An error means that the trigger is gone, which counts as given.
        let _ = self.given.clone().wait_for(|given| *given).await;
    }

    /// Returns true once the signal is given.
    pub fn is_given(&self) -> bool {
        *self.given.borrow() || self.given.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_hears_a_signal_given_before_it_listened() {
        let (trigger, shutdown) = channel();
        let clone = shutdown.clone();
        assert!(!shutdown.is_given());
        trigger.give();
        clone.given().await;
        assert!(shutdown.is_given());
    }

    #[tokio::test]
    async fn a_dropped_trigger_counts_as_given() {
        let (trigger, shutdown) = channel();
        drop(trigger);
        shutdown.given().await;
        assert!(shutdown.is_given());
    }
}
