//! How far pods are secured where the user says nothing else. Pure.
//!
//! The Pod Security Standards name what is asked for: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>.

use serde_json::{Value, json};

use crate::application::SecurityProfile;

/// The security settings of a pod and of each of its containers.
#[derive(Debug, Clone)]
pub(super) struct Security {
    pod: Value,
    container: Value,
}

impl Security {
    /// What `profile` means in a namespace that enforces `restricted`, or doesn't.
    pub(super) fn of(profile: Option<SecurityProfile>, enforces_restricted: bool) -> Self {
        let is_restricted = match profile.unwrap_or_default() {
            SecurityProfile::None => return Self { pod: Value::Null, container: Value::Null },
            SecurityProfile::Baseline => false,
            SecurityProfile::Restricted => true,
            SecurityProfile::Auto => enforces_restricted,
        };
        let mut pod = json!({"seccompProfile": {"type": "RuntimeDefault"}});
        let mut container = json!({"allowPrivilegeEscalation": false});
        if is_restricted {
            pod["runAsNonRoot"] = json!(true);
            container["capabilities"] = json!({"drop": ["ALL"]});
        }
        Self { pod, container }
    }

    /// The pod's settings, with the user's before them.
    pub(super) fn pod(&self, user: Option<&Value>) -> Option<Value> {
        merged(self.pod.clone(), user)
    }

    /// A container's settings, with the user's before them.
    pub(super) fn container(&self, user: Option<&Value>) -> Option<Value> {
        let mut settings = self.container.clone();
        let user_adds = |capability: &str| {
            let added = user.and_then(|user| user["capabilities"]["add"].as_array());
            added.is_some_and(|added| added.iter().any(|added| added == capability))
        };
        // The API server refuses a container that is to have these and not to escalate.
        let escalates = user.is_some_and(|user| user["privileged"] == true) || user_adds("CAP_SYS_ADMIN");
        if let Some(settings) = settings.as_object_mut().filter(|_| escalates) {
            settings.remove("allowPrivilegeEscalation");
        }
        merged(settings, user)
    }
}

/// `settings`, with those of `user` in place of them or beside them; `None` if there are none.
fn merged(mut settings: Value, user: Option<&Value>) -> Option<Value> {
    if let Some(user) = user {
        merge(&mut settings, user);
    }
    (!settings.is_null()).then_some(settings)
}

fn merge(settings: &mut Value, user: &Value) {
    match (settings, user) {
        (Value::Object(settings), Value::Object(user)) => {
            for (field, value) in user {
                merge(settings.entry(field.clone()).or_insert(Value::Null), value);
            }
        }
        (settings, user) => *settings = user.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_restricted_where_the_namespace_is() {
        for (profile, namespace, restricted) in [
            (None, false, false),
            (None, true, true),
            (Some(SecurityProfile::Auto), true, true),
            (Some(SecurityProfile::Baseline), true, false),
            (Some(SecurityProfile::Restricted), false, true),
        ] {
            let security = Security::of(profile, namespace);
            let (pod, container) = (security.pod(None).unwrap(), security.container(None).unwrap());
            assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault");
            assert_eq!(container["allowPrivilegeEscalation"], false);
            assert_eq!(pod["runAsNonRoot"] == true, restricted, "{profile:?} {namespace}");
            assert_eq!(container["capabilities"]["drop"] == json!(["ALL"]), restricted, "{profile:?} {namespace}");
        }
        let none = Security::of(Some(SecurityProfile::None), true);
        assert_eq!((none.pod(None), none.container(None)), (None, None));
    }

    #[test]
    fn the_users_settings_go_first_and_leave_the_others_in_place() {
        let security = Security::of(Some(SecurityProfile::Restricted), false);
        let user = json!({"capabilities": {"add": ["NET_BIND_SERVICE"]}, "runAsNonRoot": false});
        assert_eq!(
            security.container(Some(&user)),
            Some(json!({"allowPrivilegeEscalation": false, "runAsNonRoot": false,
                "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}}))
        );
        let user = json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"}});
        assert_eq!(security.pod(Some(&user)).unwrap()["seccompProfile"], user["seccompProfile"]);
    }

    #[test]
    fn a_privileged_container_is_not_forbidden_to_escalate() {
        let security = Security::of(None, false);
        for user in [json!({"privileged": true}), json!({"capabilities": {"add": ["CAP_SYS_ADMIN"]}})] {
            assert_eq!(security.container(Some(&user)), Some(user));
        }
    }
}
