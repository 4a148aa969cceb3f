//! The tools as they are listed: Planhat's, and those for tests.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

/// The names of the tools that exist for tests only.
pub(crate) const TEST_TOOLS: [&str; 6] = ["echo", "slow", "ask_user", "ask_model", "list_roots", "blob"];

enum Effect {
    Reads,
    Adds,
    Changes,
    Removes,
}

pub(crate) fn planhat() -> Vec<Tool> {
    use Effect::{Adds, Changes, Reads, Removes};
    vec![
        tool(
            "get_model_action_parameters",
            "Tells which actions a data model has and what each needs.",
            &["MODEL"],
            &["MODEL"],
            Reads,
        ),
        tool(
            "list_model_records",
            "Lists records of a data model; can filter, sort, page and choose fields.",
            &["MODEL", "FILTER", "SELECT", "LIMIT", "OFFSET", "SORT"],
            &["MODEL"],
            Reads,
        ),
        tool("get_model_record", "Gets one record by its id.", &["MODEL", "OBJECT_ID"], &["MODEL", "OBJECT_ID"], Reads),
        tool(
            "search_records",
            "Finds records in which every word of the query occurs.",
            &["QUERY", "MODEL", "LIMIT"],
            &["QUERY"],
            Reads,
        ),
        tool(
            "create_model_record",
            "Creates a record from PARAMETERS.",
            &["MODEL", "PARAMETERS"],
            &["MODEL", "PARAMETERS"],
            Adds,
        ),
        tool(
            "update_model_record",
            "Sets the fields in PARAMETERS of one record.",
            &["MODEL", "OBJECT_ID", "PARAMETERS"],
            &["MODEL", "OBJECT_ID", "PARAMETERS"],
            Changes,
        ),
        tool("delete_model_record", "Deletes one record.", &["MODEL", "OBJECT_ID"], &["MODEL", "OBJECT_ID"], Removes),
        tool("create_document", "Writes a new document.", &["PARAMETERS"], &["PARAMETERS"], Adds),
        tool("get_document", "Gets one document by its id.", &["OBJECT_ID"], &["OBJECT_ID"], Reads),
        tool("search_documents", "Finds documents by their words.", &["QUERY", "LIMIT"], &["QUERY"], Reads),
    ]
}

pub(crate) fn for_tests() -> Vec<Tool> {
    use Effect::{Adds, Reads};
    vec![
        tool("echo", "Gives its arguments back as they came, to the byte.", &[], &[], Reads),
        tool(
            "slow",
            "Reports STEPS steps of progress over MS milliseconds; with HOLD it then waits until it is released.",
            &["STEPS", "MS", "HOLD"],
            &[],
            Reads,
        ),
        tool("ask_user", "Asks the user through the client (elicitation).", &["QUERY"], &[], Adds),
        tool("ask_model", "Asks the client's model (sampling).", &["QUERY"], &[], Adds),
        tool("list_roots", "Asks the client for its roots.", &[], &[], Reads),
        tool("blob", "Returns BYTES bytes of text.", &["BYTES"], &["BYTES"], Reads),
    ]
}

/// A tool without arguments that changes nothing.
pub(crate) fn plain(name: &str, description: &str) -> Tool {
    let schema = JsonObject::from_iter([("type".to_owned(), json!("object"))]);
    let hints = ToolAnnotations::new().read_only(true).open_world(false);
    Tool::new(name.to_owned(), description.to_owned(), Arc::new(schema)).with_annotations(hints)
}

fn tool(name: &'static str, description: &'static str, arguments: &[&str], required: &[&str], effect: Effect) -> Tool {
    let properties: JsonObject = arguments.iter().map(|&name| (name.to_owned(), argument(name))).collect();
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    let schema: JsonObject = match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    };
    let hints = ToolAnnotations::new();
    let hints = match effect {
        Effect::Reads => hints.read_only(true),
        Effect::Adds => hints.read_only(false).destructive(false).idempotent(false),
        Effect::Changes => hints.read_only(false).destructive(true).idempotent(true),
        Effect::Removes => hints.read_only(false).destructive(true).idempotent(true),
    };
    Tool::new(name, description, Arc::new(schema)).with_title(title(name)).with_annotations(hints.open_world(false))
}

fn argument(name: &str) -> Value {
    match name {
        "MODEL" => json!({ "type": "string", "description": "Company, End User, Conversation, Task or Document." }),
        "FILTER" => json!({
            "type": "object",
            "description": "Fields and their values; a value may also be {\"contains\": x}, {\"gt\": x} or {\"lt\": x}.",
        }),
        "SELECT" => json!({ "type": "array", "items": { "type": "string" }, "description": "Names of fields." }),
        "SORT" => json!({ "type": "string", "description": "A field; with a leading minus, downwards." }),
        "PARAMETERS" => json!({ "type": "object", "description": "Fields and their values." }),
        "OBJECT_ID" => json!({ "type": "string", "description": "The record's _id." }),
        "HOLD" => json!({ "type": "boolean" }),
        "LIMIT" | "OFFSET" | "STEPS" | "MS" | "BYTES" => json!({ "type": "integer", "minimum": 0 }),
        _ => json!({ "type": "string" }),
    }
}

/// `get_model_record` as `Get model record`.
fn title(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut characters = words.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::actions;

    #[test]
    fn every_tool_that_is_listed_is_carried_out() {
        let names = |tools: Vec<Tool>| tools.into_iter().map(|tool| tool.name.into_owned()).collect::<Vec<_>>();
        assert_eq!(names(planhat()), actions::TOOLS);
        assert_eq!(names(for_tests()), TEST_TOOLS);
    }
}
