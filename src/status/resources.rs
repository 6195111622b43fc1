//! How each child is, for `status.resources`. Pure.

use super::{progress, route};
use crate::application::{Application, ChildState, Reason};
use crate::observe::{Found, Kind, Live, Observed};
use crate::plan;
use crate::plan::rollout::Rollout;

/// The children that are wished for, in the order of [`Kind::ALL`].
pub(super) fn resources(application: &Application, observed: &Observed, rollout: &Rollout) -> Box<[ChildState]> {
    let state = |kind: Kind| {
        let fault = match observed.of(kind) {
            Found::Absent => Some("Missing".to_owned()),
            Found::Leaving(_) => Some(Reason::Terminating.to_string()),
            Found::Foreign(_) => Some(Reason::ChildConflict.to_string()),
            Found::Own(child) => fault(application, observed, kind, child),
        };
        let name = kind.name(&application.metadata.name);
        ChildState { kind: kind.to_string(), name, ready: fault.is_none(), reason: fault.unwrap_or_default() }
    };
    plan::wished(application, rollout).map(state).collect()
}

/// Why the own child of that kind does not do what it is there for; `None` if it does, as far as that shows.
fn fault(application: &Application, observed: &Observed, kind: Kind, child: &Live) -> Option<String> {
    match kind {
        Kind::Deployment if child.status.observed_generation < child.metadata.generation => {
            Some(Reason::Pending.to_string())
        }
        Kind::Deployment => {
            let verdict = progress(application, &child.status, observed.failure.as_ref());
            (!verdict.ready).then(|| verdict.reason.to_string())
        }
        Kind::HttpRoute => route::refusal(child).map(|refused| refused.reason.to_string()),
        Kind::Service | Kind::PodDisruptionBudget | Kind::HorizontalPodAutoscaler | Kind::Ingress => None,
    }
}
