//! Fields that other managers own, taken over: `managedFields` in, `managedFields` out, and the request around that.
//!
//! An apply removes a field that left its configuration only if its own manager has applied it before. What was once written
//! by a POST or a PUT, by another program or by this one's former version, stays for ever. client-go's `csaupgrade` mends
//! that for kubectl; this does for any manager.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Client, Error};
use crate::object::{Key, Object, ResourceVersion, Uid};

/// Who owns some of an object's fields: an entry of `metadata.managedFields` (`meta/v1` `ManagedFieldsEntry`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldOwner<'a> {
    /// The name that it gave itself (`fieldManager`).
    pub manager: &'a str,
    /// `Apply` for what was applied, `Update` for any other write.
    pub operation: &'a str,
    /// `status`, say; empty for the object itself.
    pub subresource: &'a str,
    /// Which fields, in the server's own form (`fieldsV1`).
    pub fields: &'a Value,
}

impl<'a> FieldOwner<'a> {
    fn of(entry: &'a Value) -> Self {
        let text = |name| entry[name].as_str().unwrap_or_default();
        let (manager, operation, subresource) = (text("manager"), text("operation"), text("subresource"));
        Self { manager, operation, subresource, fields: &entry["fieldsV1"] }
    }
}

/// `managedFields` after `manager` has applied all that those owned whom `from` names, who own nothing any more; `None` if it
/// names nobody. What is owned in a subresource stays in it.
///
/// ```
/// # use serde_json::json;
/// let before = [json!({"manager": "old", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:a": {}}}})];
/// let after = engine::api::take_over(&before, "new", |owner| owner.manager == "old");
/// let expected = json!([{"manager": "new", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:a": {}}}}]);
/// assert_eq!(after.map(serde_json::Value::from), Some(expected));
/// ```
pub fn take_over(entries: &[Value], manager: &str, from: impl Fn(FieldOwner<'_>) -> bool) -> Option<Vec<Value>> {
    let is_own = |entry: &Value| {
        let owner = FieldOwner::of(entry);
        owner.manager == manager && owner.operation == "Apply"
    };
    let is_taken = |entry: &Value| !is_own(entry) && from(FieldOwner::of(entry));
    let (taken, mut kept): (Vec<Value>, Vec<Value>) = entries.iter().cloned().partition(is_taken);
    if taken.is_empty() {
        return None;
    }
    for mut entry in taken {
        let subresource = FieldOwner::of(&entry).subresource;
        let own = kept.iter_mut().find(|kept| is_own(kept) && FieldOwner::of(kept).subresource == subresource);
        if let Some(own) = own {
            unite(&mut own["fieldsV1"], &entry["fieldsV1"]);
        } else {
            entry["manager"] = json!(manager);
            entry["operation"] = json!("Apply");
            kept.push(entry);
        }
    }
    Some(kept)
}

/// The fields of both. A set of fields is an object of objects.
fn unite(into: &mut Value, from: &Value) {
    let Value::Object(from) = from else { return };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    for (name, below) in from {
        unite(&mut into[name.as_str()], below);
    }
}

impl Client {
    /// Makes this client the one who has applied all that those own whom `from` names, so that its next apply removes what it
    /// does not have; returns the object's new state, or `None` if there was nothing to take over: nobody whom `from` names,
    /// no such object, or one that is not this life of its name. No value is changed by it.
    ///
    /// Former managers that go on writing own their fields again: take over from those who have ended.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; [`Error::is_conflict`] where the object was changed at the same moment, after which it can be tried again.
    ///
    /// ```no_run
    /// # async fn example<T: engine::object::Object>(client: engine::api::Client, object: T) -> Result<(), engine::api::Error> {
    /// let (key, uid) = (object.metadata().key(), &object.metadata().uid);
    /// // What `kubectl create` and `kubectl apply` have left behind.
    /// let of_kubectl = |owner: engine::api::FieldOwner<'_>| {
    ///     owner.operation == "Update" && owner.subresource.is_empty() && owner.manager.starts_with("kubectl-")
    /// };
    /// client.take_over_fields::<T>(&key, uid, of_kubectl).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn take_over_fields<T: Object>(
        &self,
        key: &Key,
        uid: &Uid,
        from: impl Fn(FieldOwner<'_>) -> bool + Send,
    ) -> Result<Option<T>, Error> {
        #[derive(Deserialize)]
        struct Owned {
            metadata: OwnedMetadata,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct OwnedMetadata {
            uid: Uid,
            resource_version: ResourceVersion,
            #[serde(default)]
            managed_fields: Vec<Value>,
        }
        let Some(Owned { metadata: live }) = self.get_as::<Owned>(&T::RESOURCE, key).await? else { return Ok(None) };
        if live.uid != *uid {
            return Ok(None);
        }
        let Some(managed_fields) = take_over(&live.managed_fields, self.field_manager(), from) else { return Ok(None) };
        let body = json!({"metadata": {"resourceVersion": live.resource_version, "managedFields": managed_fields}});
        self.merge(key, None, &body).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, subresource: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "subresource": subresource, "fieldsV1": fields})
    }

    #[test]
    fn fields_of_several_are_united_and_those_of_others_stay() {
        let before = [
            entry("kubectl-edit", "Update", "", &json!({"f:spec": {".": {}, "f:a": {"f:x": {}}}})),
            entry("me", "Apply", "", &json!({"f:spec": {"f:a": {"f:y": {}}}})),
            entry("kubectl-create", "Update", "", &json!({"f:spec": {"f:b": {}}})),
            entry("other", "Update", "", &json!({"f:spec": {"f:c": {}}})),
            entry("me", "Update", "", &json!({"f:spec": {"f:d": {}}})),
        ];
        let mine = |owner: FieldOwner<'_>| owner.operation == "Update" && owner.manager != "other";
        let after = take_over(&before, "me", mine).expect("there is something");
        let fields = json!({"f:spec": {".": {}, "f:a": {"f:x": {}, "f:y": {}}, "f:b": {}, "f:d": {}}});
        assert_eq!(after, [entry("me", "Apply", "", &fields), before[3].clone()]);
        assert_eq!(take_over(&after, "me", mine), None, "once is enough");
    }

    #[test]
    fn what_is_owned_in_a_subresource_stays_in_it_and_ones_own_is_never_taken() {
        let before = [
            entry("old", "Update", "status", &json!({"f:status": {}})),
            entry("me", "Apply", "", &json!({"f:spec": {}})),
        ];
        let after = take_over(&before, "me", |_| true).expect("there is something");
        let expected = [
            entry("me", "Apply", "", &json!({"f:spec": {}})),
            entry("me", "Apply", "status", &json!({"f:status": {}})),
        ];
        assert_eq!(after, expected);
        assert_eq!(take_over(&expected, "me", |_| true), None);
    }
}
