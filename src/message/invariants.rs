//! Invariants of every text that may be a message; fuzz targets look for a text that breaks one.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::limits::MAX_BATCH_MEMBERS;

use super::oversize::IdFinder;
use super::peek::peek_object;
use super::{IdKey, Kind, Peek, PeekError, peek, write};

/// The members of an object in order, including duplicates.
#[derive(Debug, PartialEq)]
struct Members<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for All<V> {
            type Value = Members<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All(PhantomData))
    }
}

impl Members<Value> {
    /// `None` for anything but an object, or for one too deep for the reference model.
    fn of(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|(n, _)| n == name).count()
    }

    /// The value of a member; `null` counts as absent.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, v)| n == name && !v.is_null()).map(|(_, v)| v)
    }

    fn without(&self, name: &str) -> Vec<&(String, Value)> {
        self.0.iter().filter(|(n, _)| n != name).collect()
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

/// [`peek()`] recognises JSON, accepts only JSON-RPC, sees what a full decoder sees, and refuses what two decoders
/// could read differently; the edits of [`write`] change only what they claim to.
pub fn message(text: &[u8]) {
    let peeked = peek(text);
    assert_eq!(is_json(text), !matches!(peeked, Err(PeekError::NotJson(_))), "{peeked:?}");
    match &peeked {
        Ok(Peek::One(kind)) => {
            if let Some(members) = Members::<Value>::of(text) {
                seen(kind, &members);
            }
            edits(text);
        }
        Ok(Peek::Batch(members)) => {
            assert!(!members.kept.is_empty());
            members.kept.iter().for_each(|member| message(member.get().as_bytes()));
        }
        Err(PeekError::Duplicate { member, .. }) => {
            if let Some(members) = Members::<Value>::of(text) {
                assert!(members.count(member) > 1, "{member} stands once");
            }
        }
        Err(PeekError::EmptyBatch) => {
            let nothing: Vec<IgnoredAny> = serde_json::from_slice(text).expect("a batch is an array");
            assert!(nothing.is_empty());
        }
        Err(PeekError::NotJson(_) | PeekError::NotJsonRpc { .. }) => {}
    }
}

/// What peek reports is what a full decoder finds.
fn seen(kind: &Kind<'_>, members: &Members<Value>) {
    for name in ["jsonrpc", "id", "method", "params", "result", "error"] {
        assert!(members.count(name) <= 1, "{name} stands twice");
    }
    assert_eq!(members.get("jsonrpc"), Some(&Value::from("2.0")));
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).expect("a part of JSON");
    let is_id = |value: &Value| value.is_string() || value.is_number();
    match kind {
        Kind::Request { id, method, params, .. } => {
            assert!(is_id(&value(id)));
            assert_eq!(members.get("id"), Some(&value(id)));
            assert_eq!(members.get("method").and_then(Value::as_str), Some(&**method));
            assert_eq!(members.get("params"), params.map(value).as_ref());
        }
        Kind::Notification { method, params } => {
            assert_eq!(members.count("id"), 0);
            assert_eq!(members.get("method").and_then(Value::as_str), Some(&**method));
            assert_eq!(members.get("params"), params.map(value).as_ref());
        }
        Kind::Response { id, result } => {
            assert_eq!(members.get("method"), None);
            assert_eq!(members.get("id"), id.as_ref().map(|(id, _)| value(id)).as_ref());
            assert_eq!(members.count("result") == 1, result.is_some());
            assert!(result.is_some() != members.get("error").is_some());
        }
    }
}

fn edits(text: &[u8]) {
    let line = write::one_line(Bytes::copy_from_slice(text));
    assert!(is_json(&line) && !line.contains(&b'\n') && !line.contains(&b'\r'));
    assert_eq!(Members::<Value>::of(text), Members::<Value>::of(&line));

    let id: &RawValue = serde_json::from_str("\"ours\"").expect("JSON");
    let text = std::str::from_utf8(text).expect("it was peeked at");
    let renamed = write::with_id(text, id);
    match peek(&renamed) {
        Ok(Peek::One(Kind::Request { id, .. } | Kind::Response { id: Some((id, _)), .. })) => {
            assert_eq!(id.get(), "\"ours\"");
        }
        other => panic!("{other:?}"),
    }
    if let (Some(before), Some(after)) = (Members::<Value>::of(text.as_bytes()), Members::<Value>::of(&renamed)) {
        assert_eq!(before.without("id"), after.without("id"));
    }
}

/// An array is a batch of its elements as they stand, in their order; each of them is a message by itself or is refused by
/// itself, and no batch is in a batch.
pub fn batch(text: &[u8]) {
    message(text);
    let elements: Option<Vec<&RawValue>> = serde_json::from_slice(text).ok();
    let members = match peek(text) {
        Ok(Peek::Batch(members)) => members,
        Err(PeekError::EmptyBatch) => return assert_eq!(elements.map(|elements| elements.len()), Some(0)),
        _ => return assert!(elements.is_none(), "an array is no batch"),
    };
    let elements = elements.expect("a batch is an array");
    assert_eq!(members.kept.len() + members.excess, elements.len());
    assert!(members.excess == 0 || members.kept.len() == MAX_BATCH_MEMBERS);
    for (member, element) in members.kept.iter().zip(elements) {
        assert!(std::ptr::eq(member.get(), element.get()), "a member is a part of its text");
        let alone = peek(member.get().as_bytes());
        match peek_object(member.get()) {
            Ok(kind) => {
                let Ok(Peek::One(alone)) = alone else { panic!("{member} is a message in a batch alone") };
                assert_eq!(format!("{kind:?}"), format!("{alone:?}"));
            }
            Err(_) => assert!(!matches!(alone, Ok(Peek::One(_))), "{member} is a message outside of a batch alone"),
        }
    }
}

/// However the bytes are split, [`IdFinder`] finds the id that a decoder finds, and none if a decoder finds none or
/// two.
pub fn oversize(text: &[u8]) {
    let found = |step: usize| {
        let mut finder = IdFinder::default();
        text.chunks(step).for_each(|piece| finder.feed(piece));
        finder.request_id().map(|id| id.get().to_owned())
    };
    let whole = found(text.len().max(1));
    for step in [1, 2, 3, 7, 64] {
        assert_eq!(found(step), whole, "in steps of {step}");
    }
    if !is_json(text) {
        return;
    }
    let members = serde_json::from_slice(text).map_or_else(|_| Vec::new(), |Members::<&RawValue>(members)| members);
    let long = |name: &str| name.len() > 500;
    if members.iter().any(|(name, value)| long(name) || name == "id" && long(value.get())) {
        return; // longer than what is kept
    }
    let ids: Vec<&RawValue> = members.iter().filter(|(name, _)| name == "id").map(|(_, id)| *id).collect();
    let expected = match ids.as_slice() {
        [id] if members.iter().any(|(name, _)| name == "method") && IdKey::parse(id).is_some() => Some(id.get()),
        _ => None,
    };
    assert_eq!(whole.as_deref(), expected);
}

/// Ids, one per line, are equal exactly if their values are.
pub fn id(lines: &[u8]) {
    let ids: Vec<&RawValue> =
        lines.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).take(8).collect();
    for one in &ids {
        let Some(key) = IdKey::parse(one) else {
            assert!(!one.get().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit()));
            continue;
        };
        for other in &ids {
            let Some(other_key) = IdKey::parse(other) else { continue };
            assert_eq!(key == other_key, means_the_same(one.get(), other.get()), "{one} and {other}");
        }
    }
    // A key serves as a key.
    let table: HashMap<IdKey, usize> =
        ids.iter().enumerate().filter_map(|(n, id)| Some((IdKey::parse(id)?, n))).collect();
    for one in &ids {
        assert_eq!(IdKey::parse(one).is_some_and(|key| table.contains_key(&key)), IdKey::parse(one).is_some());
    }
}

fn means_the_same(one: &str, other: &str) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let string = |text: &str| serde_json::from_str::<String>(text).ok();
    if let (Some(one), Some(other)) = (string(one), string(other)) {
        return one == other;
    }
    if one.starts_with('"') || other.starts_with('"') {
        // Only what is no Unicode text is compared by its spelling.
        return one == other;
    }
    let whole = |text: &str| text.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && n.abs() < EXACT);
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one == other,
        _ => false,
    }
}
