//! What stands in the way of an `HTTPRoute`: a cluster that does not know it, or a Gateway that does not accept it. Pure.

use super::Verdict;
use crate::application::{Application, Reason};
use crate::observe::child::Condition;
use crate::observe::{Gateway, Kind, Live, Observed};
use crate::plan;
use crate::plan::rollout::Rollout;

/// Conditions by which a Gateway says that it takes no requests for an `HTTPRoute`, or can't lead them on.
/// <https://gateway-api.sigs.k8s.io/geps/gep-1364/>
const ACCEPTING: [&str; 2] = ["Accepted", "ResolvedRefs"];

/// What is to be told of the `HTTPRoute`, if one is wished for and all is not well.
pub(super) fn judge(application: &Application, observed: &Observed, rollout: &Rollout) -> Option<Verdict> {
    plan::wished(application, rollout).find(|kind| *kind == Kind::HttpRoute)?;
    match observed.gateway {
        Gateway::Absent => {
            let message = "spec.http.parentRefs need an HTTPRoute, and this cluster does not know the Gateway API: \
                install its definitions, or leave parentRefs out for an Ingress";
            Some(Verdict::broken(Reason::GatewayAPIAbsent, message.to_owned()))
        }
        Gateway::Unknown => {
            let message = "Waiting until the cluster has told whether it knows HTTPRoutes, and which; if that stays so, it \
                serves no v1 of them, or the operator may not read them";
            Some(Verdict::waiting(Reason::Pending, message.to_owned()))
        }
        Gateway::Served => {
            let refused = refusal(observed.of(Kind::HttpRoute).own()?)?;
            let name = Kind::HttpRoute.name(&application.metadata.name);
            let message = format!("HTTPRoute {name}: {} {}: {}", refused.kind, refused.reason, refused.message);
            Some(Verdict::broken(Reason::RouteNotAccepted, message))
        }
    }
}

/// The condition by which a Gateway refuses the `HTTPRoute` as it is now. That none has said anything is no refusal: it may
/// be that nobody who acts on Gateways ever does.
pub(super) fn refusal(route: &Live) -> Option<&Condition> {
    let is_of_now = |condition: &Condition| {
        matches!(condition.observed_generation, 0) || condition.observed_generation >= route.metadata.generation
    };
    let conditions = route.status.parents.iter().flat_map(|parent| &parent.conditions);
    conditions
        .filter(|condition| ACCEPTING.contains(&&*condition.kind) && &*condition.status == "False")
        .find(|condition| is_of_now(condition))
}
