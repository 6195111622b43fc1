//! What is wished and what is there in, the patch from one to the other out. Pure.

use serde_json::{Map, Value};

/// The merge patch (RFC 7396) by which `kubectl apply` makes `live` what `wish` says: it sets what differs, and removes
/// what `former`, the configuration that it applied last, has and `wish` has not. What others have set stays.
pub fn three_way(former: Option<&Value>, wish: &Value, live: &Value) -> Value {
    Value::Object(patch(former, wish, live))
}

fn patch(former: Option<&Value>, wish: &Value, live: &Value) -> Map<String, Value> {
    let mut patch = Map::new();
    for (field, wish) in wish.as_object().into_iter().flatten() {
        let (former, live) = (former.and_then(|former| former.get(field)), live.get(field));
        match live {
            Some(live) if live == wish => {}
            Some(live @ Value::Object(_)) if wish.is_object() => {
                let below = self::patch(former, wish, live);
                if !below.is_empty() {
                    patch.insert(field.clone(), Value::Object(below));
                }
            }
            _ => drop(patch.insert(field.clone(), wish.clone())),
        }
    }
    for field in former.and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        if wish.get(field).is_none() && live.get(field).is_some() {
            patch.insert(field.clone(), Value::Null);
        }
    }
    patch
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_set_what_left_the_file_goes_and_the_rest_stays() {
        let former =
            json!({"spec": {"image": "i:1", "paused": true, "env": [{"name": "A"}], "service": {"type": "ClusterIP"}}});
        let wish = json!({"spec": {"image": "i:2", "env": [{"name": "B"}]}});
        let live =
            json!({"spec": {"image": "i:1", "paused": true, "replicas": 5, "env": [{"name": "A"}]}, "status": {}});
        assert_eq!(
            three_way(Some(&former), &wish, &live),
            json!({"spec": {"image": "i:2", "paused": null, "env": [{"name": "B"}]}})
        );
        assert_eq!(three_way(None, &wish, &live), json!({"spec": {"image": "i:2", "env": [{"name": "B"}]}}));
        assert_eq!(three_way(Some(&wish), &wish, &wish), json!({}));
    }

    #[test]
    fn maps_are_merged_below_and_lists_are_not() {
        let wish = json!({"a": {"b": {"c": 1}}, "l": [1]});
        let live = json!({"a": {"b": {"c": 2, "d": 3}}, "l": [1, 2]});
        assert_eq!(three_way(None, &wish, &live), json!({"a": {"b": {"c": 1}}, "l": [1]}));
        assert_eq!(three_way(Some(&json!({"a": {"b": {"d": 3}}})), &wish, &live)["a"]["b"]["d"], Value::Null);
        assert_eq!(three_way(None, &wish, &json!({})), wish);
    }
}
