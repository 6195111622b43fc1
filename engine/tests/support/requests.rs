//! What a client asks for, and what it is answered: a layer at the seam between the engine and the API server.

use std::sync::{Arc, Mutex, PoisonError};

use engine::transport::{Request, Response, Service};
use tower::{ServiceExt as _, service_fn};

/// The requests that have been answered, or have failed. Clones know the same.
#[derive(Clone, Default)]
pub(crate) struct Requests {
    all: Arc<Mutex<Vec<Asked>>>,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) uri: String,
    /// The answer's status, if there was an answer.
    pub(crate) status: Option<u16>,
}

impl Asked {
    /// Returns true if everything was asked for from the beginning, in a stream or by pages.
    pub(crate) fn is_list(&self) -> bool {
        self.is_page() && !self.uri.contains("continue=") || self.uri.contains("sendInitialEvents=true")
    }

    /// Returns true if one page of everything was asked for; a single object tells no more than the server's version.
    pub(crate) fn is_page(&self) -> bool {
        self.uri.contains("limit=") && !self.uri.ends_with("limit=1")
    }
}

impl Requests {
    /// Files what goes through `service`.
    pub(crate) fn of(service: Service) -> (Service, Self) {
        let requests = Self::default();
        let filed = requests.clone();
        let filing = service_fn(move |request: Request| {
            let (service, filed) = (service.clone(), filed.clone());
            async move {
                let uri = request.uri().to_string();
                let answer = service.oneshot(request).await;
                let status = answer.as_ref().ok().map(|response: &Response| response.status().as_u16());
                filed.all.lock().unwrap_or_else(PoisonError::into_inner).push(Asked { uri, status });
                answer
            }
        });
        (Service::new(filing), requests)
    }

    /// All so far.
    pub(crate) fn all(&self) -> Vec<Asked> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often everything was asked for and granted.
    pub(crate) fn lists(&self) -> usize {
        self.all().iter().filter(|asked| asked.is_list() && asked.status == Some(200)).count()
    }
}
