//! `v1 Secret`: what is written as text is kept in base64, and a type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::pod::fill;
use crate::object;

pub(super) fn default(object: &mut Value) {
    if let Some(Value::Object(texts)) = object::map(object).remove("stringData") {
        let data = object::child(object, "data");
        for (name, text) in texts {
            data.insert(name, STANDARD.encode(text.as_str().unwrap_or_default()).into());
        }
    }
    fill(object::map(object), "type", || "Opaque".into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_goes_before_what_is_encoded_and_is_not_kept_as_such() {
        let mut secret = json!({"data": {"a": "MQ==", "b": "Mg=="}, "stringData": {"a": "3"}});
        default(&mut secret);
        assert_eq!(secret, json!({"data": {"a": "Mw==", "b": "Mg=="}, "type": "Opaque"}));
    }
}
