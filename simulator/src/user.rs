//! Who asks: what authentication finds of a client, as `SelfSubjectReview` and the audit log tell it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::managed;
use crate::request;

/// The group of all whom authentication has found.
const AUTHENTICATED: &str = "system:authenticated";

/// How the user name of a service account begins; namespace and name follow.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// How the headers begin by which a client takes on another identity.
const IMPERSONATE: &str = "impersonate-";

/// A client (`UserInfo` of `authentication.k8s.io/v1`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Its name; empty for nobody.
    pub name: String,
    /// What tells it from others of its name; may be empty.
    pub uid: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Whatever else there is.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// The user that may do everything wherever roles are looked at.
    pub fn admin() -> Self {
        let groups = ["system:masters", AUTHENTICATED].map(str::to_owned).into();
        Self { name: "admin".into(), uid: "admin".into(), groups, ..Self::default() }
    }

    /// The user of a name, with the groups that a service account's brings along.
    pub fn named(name: &str) -> Self {
        let mut groups = Vec::new();
        if let Some((namespace, _)) = name.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':')) {
            groups.extend(["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]);
        }
        groups.push(AUTHENTICATED.to_owned());
        Self { name: name.to_owned(), groups, ..Self::default() }
    }

    /// The user that these headers, whose names are in lower case, ask to be taken for; `None` if they ask for none.
    pub fn impersonated<'h>(headers: impl Iterator<Item = (&'h str, &'h str)>) -> Option<Self> {
        let mut user = Self::default();
        for (name, value) in headers {
            match name.strip_prefix(IMPERSONATE) {
                Some("user") => value.clone_into(&mut user.name),
                Some("uid") => value.clone_into(&mut user.uid),
                Some("group") => user.groups.push(value.to_owned()),
                Some(other) => {
                    if let Some(key) = other.strip_prefix("extra-") {
                        user.extra.entry(request::decode(key)).or_default().push(value.to_owned());
                    }
                }
                None => {}
            }
        }
        if user.name.is_empty() {
            return None;
        }
        if user.groups.is_empty() {
            user.groups = Self::named(&user.name).groups;
        } else if !user.groups.iter().any(|group| group == AUTHENTICATED) {
            user.groups.push(AUTHENTICATED.to_owned());
        }
        Some(user)
    }

    /// The `UserInfo`.
    pub fn render(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }

    /// The answer to a client that asks who it is.
    pub fn review(&self, now: Timestamp) -> Value {
        json!({
            "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"creationTimestamp": managed::time(now)}, "status": {"userInfo": self.render()},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_is_in_the_groups_of_its_kind() {
        let user = User::named("system:serviceaccount:shop:operator");
        let groups = ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"];
        assert_eq!(user.groups, groups);
        assert_eq!(User::named("jane").groups, ["system:authenticated"]);
    }

    #[test]
    fn who_takes_on_a_name_has_its_groups_unless_others_are_asked_for() {
        let of = |headers: &[(&'static str, &'static str)]| User::impersonated(headers.iter().copied());
        assert_eq!(of(&[("accept", "a"), ("impersonate-group", "b")]), None, "groups of nobody");
        assert_eq!(of(&[("impersonate-user", "jane")]), Some(User::named("jane")));
        let jane = of(&[
            ("impersonate-group", "dev"),
            ("impersonate-user", "jane"),
            ("impersonate-uid", "1"),
            ("impersonate-extra-team%20a", "x"),
        ]);
        let jane = jane.expect("she is named");
        assert_eq!((jane.uid.as_str(), &jane.groups[..]), ("1", &["dev".to_owned(), AUTHENTICATED.to_owned()][..]));
        assert_eq!(jane.extra["team a"], ["x"]);
    }
}
