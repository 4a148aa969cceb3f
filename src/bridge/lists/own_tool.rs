//! Keeps the name of the bridge's own tool for it: a server's tool of that name is left out of every list.
//!
//! Calls of this name never reach the server, whoever is signed in, so its tool would be a promise that nobody keeps; and
//! beside the bridge's own, the list would hold one name twice, which the interfaces of models refuse as a whole. A name
//! that the server itself lists twice stays as it is.

use std::fmt;
use std::sync::Once;

use bytes::Bytes;
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::message::{Kind, Peek, peek, write};
use crate::problem::desk;

/// The name of the sign-in tool.
pub const SIGN_IN_TOOL: &str = "planhat_sign_in";
/// The name of the tool that checks the connection, for those who have nothing but a client's extension.
pub const CHECK_TOOL: &str = "planhat_check";

/// `text` without the tools of that name in `list`, the result of `tools/list`, which borrows from it; `None` if there is
/// none, or `list` is no list.
pub fn without_own_tool(text: &str, list: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        tools: &'a RawValue,
    }
    static TELL: Once = Once::new();
    let tools = serde_json::from_str::<List<'_>>(list.get()).ok()?.tools;
    // Nothing is kept of the usual list, however many members it has.
    let mut own = None;
    each_member(tools, |member| own = own.or_else(|| taken_name(member)))?;
    let own = own?;
    let mut kept = String::from("[");
    each_member(tools, |member| {
        if taken_name(member).is_none() {
            kept.push_str(if kept.len() > 1 { "," } else { "" });
            kept.push_str(member.get());
        }
    })?;
    kept.push(']');
    TELL.call_once(|| tracing::warn!("the server's tool {own} is left out: the name is that of the bridge's own"));
    Some(write::replaced(text, tools, &kept))
}

fn taken_name(member: &RawValue) -> Option<&'static str> {
    serde_json::from_str::<Tool>(member.get()).ok()?.taken
}

/// Calls `see` with each member of an array, of which none is kept; `None` when it is no array.
fn each_member<'a>(array: &'a RawValue, see: impl FnMut(&'a RawValue)) -> Option<()> {
    struct Each<F>(F);
    impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Each<F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: SeqAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
            while let Some(member) = members.next_element()? {
                (self.0)(member);
            }
            Ok(())
        }
    }
    serde_json::Deserializer::from_str(array.get()).deserialize_seq(Each(see)).ok()
}

/// The same for the server's whole answer.
pub fn answer_without_own_tool(answer: Bytes) -> Bytes {
    let Ok(Peek::One(Kind::Response { result: Some(result), .. })) = peek(&answer) else { return answer };
    let text = std::str::from_utf8(&answer).unwrap_or_default();
    without_own_tool(text, result).map_or_else(|| answer.clone(), Bytes::from)
}

/// The same for a list that stands alone.
pub fn list_without_own_tool(list: Box<RawValue>) -> Box<RawValue> {
    without_own_tool(list.get(), &list).and_then(|text| RawValue::from_string(text).ok()).unwrap_or(list)
}

/// A list of tools with one more at its end; the others keep their original text.
pub fn with_tool(list: &RawValue, tool: &Value) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        tools: &'a RawValue,
    }
    let tools = serde_json::from_str::<List<'_>>(list.get()).ok()?.tools;
    let inner = tools.get().strip_prefix('[')?.strip_suffix(']')?;
    let comma = if inner.trim_ascii().is_empty() { "" } else { "," };
    RawValue::from_string(write::replaced(list.get(), tools, &format!("[{inner}{comma}{tool}]"))).ok()
}

/// The result of a tool call with this text.
pub fn text_result(text: &str) -> Value {
    without_result_type(
        serde_json::to_value(CallToolResult::success(vec![ContentBlock::text(text)])).unwrap_or_default(),
    )
}

/// The model's results name their type, which revisions of the handshake era do not know.
pub fn without_result_type(mut result: Value) -> Value {
    if let Value::Object(members) = &mut result {
        members.remove("resultType");
    }
    result
}

/// A tool, as far as its name goes. With two names, clients differ in which one counts, so each does.
struct Tool {
    /// The name of ours that it may be taken for.
    taken: Option<&'static str>,
}

impl<'de> Deserialize<'de> for Tool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Tool;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tool")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tool, A::Error> {
                let mut tool = Tool { taken: None };
                while let Some(key) = map.next_key::<String>()? {
                    if key == "name" {
                        let name = map.next_value::<&RawValue>()?;
                        let name = serde_json::from_str::<String>(name.get()).unwrap_or_default();
                        let own = [SIGN_IN_TOOL, CHECK_TOOL].into_iter();
                        let mut own = own.filter(|own| *own == SIGN_IN_TOOL || desk::is_in_extension());
                        tool.taken = tool.taken.or_else(|| own.find(|own| is_taken_for(&name, own)));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(tool)
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// Whether a client or a model may take `name` for `own`: clients write what their model's interface does not permit in
/// names as `_`, some lower the case, and people do not see the difference of wide letters and invisible characters.
fn is_taken_for(name: &str, own: &str) -> bool {
    let folded = name.trim().chars().filter(|c| !crate::secret::is_invisible(*c)).map(|c| {
        let narrow = match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            c => c,
        };
        if narrow.is_ascii_alphanumeric() { narrow.to_ascii_lowercase() } else { '_' }
    });
    folded.eq(own.chars())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn without(list: &str) -> Option<String> {
        let list: Box<RawValue> = serde_json::from_str(list).expect("JSON");
        without_own_tool(list.get(), &list)
    }

    #[test]
    fn a_server_s_tool_of_our_name_is_left_out_however_it_is_written_and_the_others_keep_their_text() {
        for name in [
            "planhat_sign_in",
            r"planhat\u005fsign_in",
            "Planhat_Sign_In",
            "planhat-sign.in",
            "planhat sign/in",
            "\u{ff50}lanhat_sign_in",
            r"planhat_\u200bsign_in",
            r" planhat_sign_in\n",
        ] {
            let list = format!(r#"{{ "tools":[{{"name":"{name}"}} , {{"n":1.0,"name":"a"}}],"x":1}}"#);
            assert_eq!(without(&list).as_deref(), Some(r#"{ "tools":[{"n":1.0,"name":"a"}],"x":1}"#), "{name}");
        }
        let twice = r#"{"tools":[{"name":"a","name":"planhat_sign_in"},{"name":"planhat_sign_in","name":"a"}]}"#;
        assert_eq!(without(twice).as_deref(), Some(r#"{"tools":[]}"#));
        let mixed = r#"{"tools":[1,null,{"name":"planhat_sign_in"},[]]}"#;
        assert_eq!(without(mixed).as_deref(), Some(r#"{"tools":[1,null,[]]}"#));
    }

    #[test]
    fn a_list_without_our_name_passes_as_it_is_even_with_a_name_twice() {
        for list in [
            r#"{"tools":[{"name":"a"},{"name":"a"},1,null,{"name":7}]}"#,
            r#"{"tools":[{"name":"planhat_sign_in_2"},{"name":"sign_in"},{"title":"planhat_sign_in"}]}"#,
            r#"{"tools":{"name":"planhat_sign_in"}}"#,
            "{}",
        ] {
            assert_eq!(without(list), None, "{list}");
        }
    }

    #[test]
    fn one_more_tool_leaves_the_others_as_they_were_written() {
        let tool = json!({"name": "t"});
        let with = |list| with_tool(serde_json::from_str(list).expect("JSON"), &tool).map(|list| list.get().to_owned());
        assert_eq!(
            with(r#"{ "tools":[ {"n":1.0} ],"x":1}"#).unwrap(),
            r#"{ "tools":[ {"n":1.0} ,{"name":"t"}],"x":1}"#
        );
        assert_eq!(with(r#"{"tools":[ ]}"#).unwrap(), r#"{"tools":[ {"name":"t"}]}"#);
        assert!(with(r#"{"tools":{}}"#).is_none());
    }
}
