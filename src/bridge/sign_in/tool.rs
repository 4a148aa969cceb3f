//! The sign-in tool: the one tool that a client has while nobody is signed in. Its call is never forwarded.

use rmcp::model::{CallToolResult, ContentBlock, ListToolsResult, Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub use crate::bridge::lists::own_tool::SIGN_IN_TOOL;
use crate::config::Settings;
use crate::message::write;

/// Describes the tool.
pub fn definition(settings: &Settings) -> Value {
    let name = settings.service_name();
    let description = format!(
        "Signs the user in to {name} in their browser. Nobody is signed in at the moment. Call this when the user wants \
         to use {name}: a browser page opens, the user signs in there, and the real tools appear. If no page opens, \
         show the user the link that this tool returns."
    );
    let schema = match json!({ "type": "object", "properties": {}, "additionalProperties": false }) {
        Value::Object(schema) => schema,
        _ => serde_json::Map::new(),
    };
    let title = format!("Sign in to {name}");
    let annotations = ToolAnnotations::with_title(title.clone()).read_only(false).destructive(false).idempotent(true);
    let tool = Tool::new(SIGN_IN_TOOL, description, schema).with_title(title).with_annotations(annotations);
    serde_json::to_value(tool).unwrap_or_default()
}

/// A list of tools with only this one.
pub fn list_with_only_tool(settings: &Settings) -> Value {
    let list = ListToolsResult::with_all_items(Vec::new());
    let mut list = without_result_type(serde_json::to_value(list).unwrap_or_default());
    list["tools"] = json!([definition(settings)]);
    list
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
fn without_result_type(mut result: Value) -> Value {
    if let Value::Object(members) = &mut result {
        members.remove("resultType");
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

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
