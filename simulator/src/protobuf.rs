//! A body in Kubernetes' protobuf → the same in JSON.
//!
//! Clients with types of their own send it (`kubectl create namespace NAME`), and take JSON for an answer. The real server reads
//! both; its own wire format is `runtime.Unknown` around the object's message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::proto::{self, Field, Form};
use crate::request::Request;

/// The media type.
pub const MEDIA: &str = "application/vnd.kubernetes.protobuf";

/// How each body begins.
const MAGIC: &[u8] = b"k8s\0";

/// The longest number, in bytes of seven bits.
const LONGEST: usize = 10;

/// A field's value on the wire.
#[derive(Debug, Clone, Copy)]
enum Wire<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The request with its body as JSON, if that is protobuf of a type that is known. Any other stays as it is.
pub fn request(request: Request) -> Request {
    if request.content_type != MEDIA {
        return request;
    }
    let Some(body) = object(&request.body) else { return request };
    Request { content_type: "application/json".into(), body: body.to_string().into_bytes(), ..request }
}

/// The object that a body holds.
fn object(body: &[u8]) -> Option<Value> {
    let (mut version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for (number, wire) in wires(body.strip_prefix(MAGIC)?)? {
        match (number, wire) {
            (1, Wire::Bytes(inner)) => {
                for (number, wire) in wires(inner)? {
                    match (number, wire) {
                        (1, Wire::Bytes(text)) => version = utf8(text)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(inner)) => raw = inner,
            _ => {}
        }
    }
    let mut fields = message(&proto::name(&version, &kind), raw)?;
    fields.insert("apiVersion".into(), version.into());
    fields.insert("kind".into(), kind.into());
    Some(fields.into())
}

fn message(of: &str, bytes: &[u8]) -> Option<Map<String, Value>> {
    let fields = proto::fields(of)?;
    let mut object = Map::new();
    for (number, wire) in wires(bytes)? {
        // A newer client may know of more.
        let Some(field) = fields.iter().find(|field| field.number == number) else { continue };
        add(&mut object, field, wire)?;
    }
    Some(object)
}

/// Adds a value to the field that it is of.
fn add(object: &mut Map<String, Value>, field: &Field, wire: Wire<'_>) -> Option<()> {
    let Some(name) = &field.name else {
        let Wire::Bytes(bytes) = wire else { return None };
        object.extend(message(&field.of, bytes)?);
        return Some(());
    };
    match field.form {
        Form::One => {
            let value = value(&field.of, wire)?;
            // A text that Go leaves out of JSON where it is empty.
            if value != "" {
                object.insert(name.clone(), value);
            }
        }
        Form::List => {
            let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut()?.push(value(&field.of, wire)?);
        }
        Form::Map => {
            let Wire::Bytes(bytes) = wire else { return None };
            let (mut key, mut held) = (String::new(), Value::from(""));
            for (number, wire) in wires(bytes)? {
                match (number, wire) {
                    (1, Wire::Bytes(text)) => key = utf8(text)?,
                    (2, wire) => held = value(&field.of, wire)?,
                    _ => {}
                }
            }
            let map = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
            map.as_object_mut()?.insert(key, held);
        }
    }
    Some(())
}

fn value(of: &str, wire: Wire<'_>) -> Option<Value> {
    Some(match (of, wire) {
        ("bool", Wire::Number(number)) => (number != 0).into(),
        ("int32" | "int64", Wire::Number(number)) => number.cast_signed().into(),
        ("string", Wire::Bytes(bytes)) => utf8(bytes)?.into(),
        ("bytes", Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        ("Quantity", Wire::Bytes(bytes)) => utf8(first(bytes, 1)?)?.into(),
        ("RawExtension" | "FieldsV1", Wire::Bytes(bytes)) => serde_json::from_slice(first(bytes, 1)?).ok()?,
        ("Time" | "MicroTime", Wire::Bytes(bytes)) => time(of, bytes)?,
        ("IntOrString", Wire::Bytes(bytes)) => match (number(bytes, 1)?, number(bytes, 2)?) {
            (0, number) => number.into(),
            _ => utf8(first(bytes, 3)?)?.into(),
        },
        (of, Wire::Bytes(bytes)) => message(of, bytes)?.into(),
        (_, Wire::Number(_)) => return None,
    })
}

/// Seconds and nanoseconds as a text; nothing for Go's zero time.
fn time(of: &str, bytes: &[u8]) -> Option<Value> {
    let (seconds, nanos) = (number(bytes, 1)?, number(bytes, 2)?);
    if (seconds, nanos) == (0, 0) {
        return Some(Value::Null);
    }
    let time = Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()?;
    Some(if of == "Time" { format!("{time:.0}") } else { format!("{time:.6}") }.into())
}

/// The bytes of a field; empty if it is absent.
fn first(bytes: &[u8], wanted: u64) -> Option<&[u8]> {
    let found = wires(bytes)?.into_iter().find_map(|(number, wire)| match wire {
        Wire::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    });
    Some(found.unwrap_or_default())
}

/// The number in a field; zero if it is absent.
fn number(bytes: &[u8], wanted: u64) -> Option<i64> {
    let found = wires(bytes)?.into_iter().find_map(|(number, wire)| match wire {
        Wire::Number(value) if number == wanted => Some(value.cast_signed()),
        _ => None,
    });
    Some(found.unwrap_or_default())
}

/// Numbers and values of a message's fields; `None` if it is none. No type here has numbers of fixed width.
fn wires(mut bytes: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let wire = match key & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (inner, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Wire::Bytes(inner)
            }
            _ => return None,
        };
        found.push((key >> 3, wire));
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..LONGEST {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn utf8(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bytes(number: u8, inner: &[u8]) -> Vec<u8> {
        let length = u8::try_from(inner.len()).expect("short enough");
        [&[number << 3 | 2, length], inner].concat()
    }

    fn enveloped(kind: &str, raw: &[u8]) -> Vec<u8> {
        let about = [bytes(1, b"v1"), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &about), bytes(2, raw)].concat()
    }

    #[test]
    fn an_object_is_what_its_fields_say() {
        let metadata = [bytes(1, b"sky"), bytes(5, b""), vec![7 << 3, 0], bytes(8, b"")].concat();
        let entry = [bytes(1, b"colour"), bytes(2, b"blue")].concat();
        let binary = [bytes(1, b"raw"), bytes(2, &[255])].concat();
        let raw = [bytes(1, &metadata), bytes(2, &entry), bytes(3, &binary), vec![4 << 3, 1]].concat();
        assert_eq!(
            object(&enveloped("ConfigMap", &raw)).expect("an object"),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": {"colour": "blue"}, "binaryData": {"raw": "/w=="},
                "immutable": true, "metadata": {"name": "sky", "generation": 0, "creationTimestamp": null},
            })
        );
    }

    #[test]
    fn what_breaks_off_or_is_unknown_is_no_object() {
        let whole = enveloped("ConfigMap", &bytes(1, &bytes(1, b"sky")));
        assert!(object(&whole).is_some());
        for end in 0..whole.len() {
            assert!(object(&whole[..end]).is_none_or(|object| object["metadata"]["name"] != "sky"), "{end}");
        }
        assert!(object(&enveloped("Colour", b"")).is_none());
        assert!(object(br#"{"kind": "ConfigMap"}"#).is_none());
    }
}
