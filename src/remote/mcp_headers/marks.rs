//! The arguments that a tool's schema marks with `x-mcp-header`, and their values in a call.

use std::collections::{HashMap, HashSet};

use reqwest::header::HeaderName;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::limits::{MARKED_SCHEMA_BYTES, MAX_MARK_DEPTH, MAX_MARKED_ARGUMENTS};

/// The keyword with which a schema marks a property.
const MARK: &str = "x-mcp-header";

/// The marked arguments of one tool.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Marks {
    headers: Vec<HeaderName>,
    /// The arguments, as far as they lead to a marked one.
    arguments: Node,
}

/// An argument, or all of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Node {
    /// The place of its header among the headers, when it is marked.
    header: Option<usize>,
    below: HashMap<String, Node>,
}

impl Marks {
    /// The marks of an input schema.
    ///
    /// # Errors Why they are invalid.
    pub fn of(schema: &RawValue) -> Result<Self, String> {
        let text = schema.get();
        if !may_mark(text) {
            return Ok(Self::default());
        }
        // Decoded, JSON takes up to ninety times its length.
        if text.len() > MARKED_SCHEMA_BYTES {
            return Err(format!("{MARK} stands in a schema of more than {MARKED_SCHEMA_BYTES} bytes"));
        }
        // One that we cannot decode is left to the client.
        serde_json::from_str(text).map_or_else(|_| Ok(Self::default()), |schema| Self::of_value(&schema))
    }

    fn of_value(schema: &Value) -> Result<Self, String> {
        if schema.get(MARK).is_some() {
            return Err(format!("{MARK} stands on the whole schema"));
        }
        let mut walk = Walk::default();
        walk.schema(schema, Some(&mut Vec::new()))?;
        Ok(walk.marks)
    }

    /// The headers of a call with these arguments; one whose argument is absent, `null` or not a primitive is left out.
    pub fn values(&self, arguments: &RawValue) -> Vec<(&HeaderName, String)> {
        let mut found = vec![None; self.headers.len()];
        self.arguments.find(arguments, &mut found);
        self.headers.iter().zip(found).filter_map(|(header, value)| Some((header, text_of(value?)?))).collect()
    }
}

/// Whether a member of that name occurs in `schema`, however it is spelled; most schemas have none.
fn may_mark(schema: &str) -> bool {
    let occurs = |text: &str| memchr::memmem::find(schema.as_bytes(), text.as_bytes()).is_some();
    occurs(MARK)
        || occurs("\\u") && AnyMark.deserialize(&mut serde_json::Deserializer::from_str(schema)).unwrap_or(false)
}

/// Looks for the name without keeping anything of what it stands in.
struct AnyMark;

impl<'de> DeserializeSeed<'de> for AnyMark {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyMark {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a schema")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            found |= name == MARK;
            found |= map.next_value_seed(Self)?;
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(below) = seq.next_element_seed(Self)? {
            found |= below;
        }
        Ok(found)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

impl Node {
    /// Finds the marked arguments in `object`, which is gone through once for each level of the marks.
    fn find<'a>(&self, object: &'a RawValue, found: &mut [Option<&'a RawValue>]) {
        if self.below.is_empty() || !object.get().starts_with('{') {
            return;
        }
        let mut deserializer = serde_json::Deserializer::from_str(object.get());
        let Ok(members) = (MembersIn { names: &self.below }).deserialize(&mut deserializer) else { return };
        for (name, value) in members {
            let Some(node) = self.below.get(name) else { continue };
            if let Some(place) = node.header {
                found[place] = Some(value);
            }
            node.find(value, found);
        }
    }
}

/// The members of an object that have a name among these; the last, if one occurs more than once.
struct MembersIn<'n> {
    names: &'n HashMap<String, Node>,
}

impl<'de, 'n> DeserializeSeed<'de> for MembersIn<'n> {
    type Value = HashMap<&'n str, &'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, 'n> Visitor<'de> for MembersIn<'n> {
    type Value = HashMap<&'n str, &'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = HashMap::new();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match self.names.get_key_value(&*name) {
                Some((name, _)) => drop(members.insert(name.as_str(), map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members)
    }
}

/// A primitive value as the text of a header.
fn text_of(value: &RawValue) -> Option<String> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str(text).ok(),
        b't' | b'f' | b'-' | b'0'..=b'9' => Some(text.to_owned()),
        _ => None,
    }
}

/// The walk through a schema that collects its marks.
#[derive(Default)]
struct Walk {
    marks: Marks,
    seen: HashSet<HeaderName>,
}

impl Walk {
    /// Visits a schema and its subschemas. `path` is `None` where a property may be missing from the arguments, so that no
    /// mark is allowed: below `items`, a `$ref` or a condition.
    fn schema<'s>(&mut self, schema: &'s Value, mut path: Option<&mut Vec<&'s str>>) -> Result<(), String> {
        let Value::Object(members) = schema else {
            for member in schema.as_array().into_iter().flatten() {
                self.schema(member, None)?;
            }
            return Ok(());
        };
        for (key, value) in members {
            match (key.as_str(), &mut path) {
                (MARK, Some(path)) => self.mark(schema, value, path)?,
                (MARK, None) => return Err(format!("{MARK} stands where the argument may not be")),
                ("properties", path) => {
                    for (name, property) in value.as_object().into_iter().flatten() {
                        match path {
                            Some(path) => {
                                path.push(name);
                                self.schema(property, Some(path))?;
                                path.pop();
                            }
                            None => self.schema(property, None)?,
                        }
                    }
                }
                // The keys are names, not keywords; their schemas are reached only by reference.
                ("$defs" | "definitions" | "dependentSchemas" | "patternProperties" | "dependencies", _) => {
                    for definition in value.as_object().into_iter().flat_map(|object| object.values()) {
                        self.schema(definition, None)?;
                    }
                }
                // Data, which may contain anything.
                ("default" | "const" | "enum" | "examples" | "dependentRequired", _) => {}
                _ => self.schema(value, None)?,
            }
        }
        Ok(())
    }

    /// Adds the mark that `value` puts on the property at `path`, which has this schema.
    fn mark(&mut self, schema: &Value, value: &Value, path: &[&str]) -> Result<(), String> {
        let name = value.as_str().filter(|name| !name.is_empty()).ok_or_else(|| format!("{MARK} is no name"))?;
        let header = HeaderName::from_bytes(format!("mcp-param-{name}").as_bytes())
            .map_err(|_| format!("{MARK} {name:?} is no header name"))?;
        if !matches!(schema.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean")) {
            return Err(format!("the argument marked {name:?} is no string, integer or boolean"));
        }
        if path.len() > MAX_MARK_DEPTH {
            return Err(format!("the argument marked {name:?} lies deeper than {MAX_MARK_DEPTH} levels"));
        }
        if !self.seen.insert(header.clone()) {
            return Err(format!("two arguments are marked {header}"));
        }
        if self.marks.headers.len() == MAX_MARKED_ARGUMENTS {
            return Err(format!("more than {MAX_MARKED_ARGUMENTS} arguments are marked"));
        }
        let mut node = &mut self.marks.arguments;
        for step in path {
            node = node.below.entry((*step).to_owned()).or_default();
        }
        node.header = Some(self.marks.headers.len());
        self.marks.headers.push(header);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(schema: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(schema).expect("JSON")
    }

    fn marks(schema: &Value) -> Result<usize, String> {
        Marks::of(&raw(schema)).map(|marks| marks.headers.len())
    }

    fn with_marks(count: usize) -> Value {
        let property = |n| (format!("a{n}"), json!({"type": "string", "x-mcp-header": format!("A{n}")}));
        json!({"properties": (0..count).map(property).collect::<serde_json::Map<_, _>>()})
    }

    #[test]
    fn a_tool_with_too_many_marked_arguments_leaves_the_list_and_none_costs_more_than_its_length() {
        assert_eq!(marks(&with_marks(MAX_MARKED_ARGUMENTS)), Ok(MAX_MARKED_ARGUMENTS));
        let error = marks(&with_marks(MAX_MARKED_ARGUMENTS + 1)).expect_err("too many");
        assert!(error.contains("more than 64 arguments"), "{error}");
        // Compared with each other, these would be 1.8 thousand million pairs; and as headers, a panic.
        assert!(marks(&with_marks(60_000)).is_err());
        let deep = |depth: usize| {
            let innermost = json!({"type": "string", "x-mcp-header": "A"});
            (0..depth).fold(innermost, |schema, _| json!({"properties": {"p": schema}}))
        };
        assert_eq!(marks(&deep(MAX_MARK_DEPTH)), Ok(1));
        assert!(marks(&deep(MAX_MARK_DEPTH + 1)).is_err());
    }

    #[test]
    fn a_long_schema_is_decoded_only_to_find_marks_in_it_and_then_has_a_bound() {
        let described = |mark: &str, length: usize| {
            let text = format!(
                r#"{{"description":"\u00e9{}","properties":{{"a":{{"type":"string"{mark}}}}}}}"#,
                "x".repeat(length)
            );
            let schema: Box<RawValue> = serde_json::from_str(&text).expect("JSON");
            Marks::of(&schema).map(|marks| marks.headers.len())
        };
        for mark in [r#","x-mcp-header":"A""#, r#","\u0078-mcp-header":"A""#] {
            assert_eq!(described(mark, 10), Ok(1), "{mark}");
            let error = described(mark, MARKED_SCHEMA_BYTES).expect_err("too long");
            assert!(error.contains("more than 131072 bytes"), "{error}");
        }
        assert_eq!(described("", MARKED_SCHEMA_BYTES), Ok(0));
        assert_eq!(described(r#","enum":[1,-1,1.5,true,null,{"x":[]}]"#, MARKED_SCHEMA_BYTES), Ok(0));
        assert_eq!(described(r#","x-mcp-header":"A","title":"\ud800""#, 10), Ok(0), "not decodable");
    }

    #[test]
    fn marked_arguments_are_found_at_their_places_and_the_last_of_two_counts() {
        let property = |name: &str| json!({"type": "string", "x-mcp-header": name});
        let schema = json!({"properties": {
            "a": property("A"),
            "o": {"properties": {"a": property("B"), "o": {"properties": {"a": property("C")}}}}}});
        let marks = Marks::of(&raw(&schema)).expect("valid");
        let values = |arguments: &str| {
            let arguments: Box<RawValue> = serde_json::from_str(arguments).expect("JSON");
            let mut values: Vec<String> =
                marks.values(&arguments).into_iter().map(|(header, value)| format!("{header}={value}")).collect();
            values.sort();
            values.join(" ")
        };
        for (arguments, expected) in [
            (r#"{"a":"1","o":{"a":2,"o":{"a":true}},"x":{"a":3}}"#, "mcp-param-a=1 mcp-param-b=2 mcp-param-c=true"),
            (r#"{"\u0061":"1","o":[{"a":2}]}"#, "mcp-param-a=1"),
            (r#"{"o":{"a":1,"o":{"a":2}},"o":{"a":3}}"#, "mcp-param-b=3"),
            (r#"{"a":null,"o":{"a":[],"o":1e400}}"#, ""),
            (r#"{"a":"\ud800","o":{"a":1,"\ud800":2,"o":{"a":1}}}"#, ""),
            ("[]", ""),
        ] {
            assert_eq!(values(arguments), expected, "{arguments}");
        }
    }
}
