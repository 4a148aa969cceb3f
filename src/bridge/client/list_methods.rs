//! The methods whose results are lists.

use serde_json::{Value, json};

/// The member of a list's result that holds the list; `None` for other methods.
pub fn list_member(method: &str) -> Option<&'static str> {
    Some(match method {
        "tools/list" => "tools",
        "prompts/list" => "prompts",
        "resources/list" => "resources",
        "resources/templates/list" => "resourceTemplates",
        _ => return None,
    })
}

/// The result with an empty list; `None` for other methods.
pub fn empty_list(method: &str) -> Option<Value> {
    Some(json!({ list_member(method)?: [] }))
}
