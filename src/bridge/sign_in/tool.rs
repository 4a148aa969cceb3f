//! The sign-in tool: the one tool that a client has while nobody is signed in. Its call is never forwarded.

use rmcp::model::{ListToolsResult, Tool, ToolAnnotations};
use serde_json::{Value, json};

use crate::bridge::lists::check_tool;
use crate::bridge::lists::own_tool::without_result_type;
pub use crate::bridge::lists::own_tool::{SIGN_IN_TOOL, text_result, with_tool};
use crate::config::Settings;
use crate::problem::desk;

/// Describes the tool.
pub fn definition(settings: &Settings) -> Value {
    let name = settings.service_name();
    let description = format!(
        "Signs the user in to {name} in their browser. The user is not signed in at the moment. Call this when the user wants \
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
    list["tools"] = if desk::is_in_extension() {
        json!([definition(settings), check_tool::beside_others()])
    } else {
        json!([definition(settings)])
    };
    list
}
