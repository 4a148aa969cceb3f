//! Which requests may be sent again if the effect of the first attempt is unknown.
//!
//! A blindly repeated write is executed twice, so the rule is narrow: methods that the specification defines as
//! read-only, tools whose annotations say that repeating is harmless (learned from `tools/list` as it passes through),
//! and Planhat's read tools by name.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::limits::{LIST_BYTES, MAX_KNOWN_TOOLS};

/// What is known about the server's tools.
#[derive(Debug)]
pub struct RetrySafety {
    tools: Mutex<KnownTools>,
    planhat: bool,
}

#[derive(Debug)]
struct KnownTools {
    safe: HashSet<String>,
    unsafe_: HashSet<String>,
    /// Whether all that were listed are there.
    knows_all: bool,
}

impl Default for KnownTools {
    fn default() -> Self {
        Self { safe: HashSet::new(), unsafe_: HashSet::new(), knows_all: true }
    }
}

impl RetrySafety {
    /// No tool is known yet, except Planhat's if the server is Planhat.
    pub fn new(planhat: bool) -> Self {
        Self { tools: Mutex::default(), planhat }
    }

    /// Whether executing it twice is harmless.
    pub fn may_repeat(&self, method: &str, tool: Option<&str>) -> bool {
        match method {
            "tools/call" => tool.is_some_and(|tool| self.tool_may_repeat(tool)),
            "resources/read"
            | "prompts/get"
            | "ping"
            | "completion/complete"
            | "server/discover"
            | "subscriptions/listen"
            | "initialize" => true,
            method => method.ends_with("/list"),
        }
    }

    fn tool_may_repeat(&self, tool: &str) -> bool {
        let known = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if known.safe.contains(tool) {
            return true;
        }
        let reads_by_name = ["get_", "list_", "search_"].iter().any(|prefix| tool.starts_with(prefix));
        // The tool's annotations outweigh its name.
        self.planhat && reads_by_name && known.knows_all && !known.unsafe_.contains(tool)
    }

    /// Reads the annotations in the result of `tools/list`; after one that is longer than [`LIST_BYTES`], nothing is known.
    pub fn learn(&self, result: &RawValue) {
        #[derive(Deserialize)]
        struct List {
            tools: Vec<Tool>,
        }
        #[derive(Deserialize)]
        struct Tool {
            name: String,
            #[serde(default)]
            annotations: Option<Annotations>,
        }
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Annotations {
            read_only_hint: Option<bool>,
            idempotent_hint: Option<bool>,
        }
        let known = || self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if result.get().len() > LIST_BYTES {
            // It may say of any tool that it writes.
            *known() = KnownTools { knows_all: false, ..KnownTools::default() };
            return;
        }
        let Ok(list) = serde_json::from_str::<List>(result.get()) else { return };
        let mut known = known();
        for tool in list.tools {
            let hints = tool.annotations.unwrap_or_default();
            known.safe.remove(&tool.name);
            known.unsafe_.remove(&tool.name);
            if hints.read_only_hint == Some(true) || hints.idempotent_hint == Some(true) {
                known.safe.insert(tool.name);
            } else if hints.read_only_hint == Some(false) {
                known.unsafe_.insert(tool.name);
            }
            if known.safe.len() + known.unsafe_.len() > MAX_KNOWN_TOOLS {
                // A server may list ever new names. Without the unsafe ones, no name may be taken for a safe one.
                *known = KnownTools { knows_all: false, ..KnownTools::default() };
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::bridge::lists::retry_safety::*;

    fn learned(planhat: bool) -> RetrySafety {
        let safety = RetrySafety::new(planhat);
        let list = r#"{"tools":[
            {"name":"look","annotations":{"readOnlyHint":true}},
            {"name":"put","annotations":{"readOnlyHint":false,"idempotentHint":true}},
            {"name":"add","annotations":{"readOnlyHint":false}},
            {"name":"get_and_clear","annotations":{"readOnlyHint":false}},
            {"name":"quiet"}]}"#;
        safety.learn(serde_json::from_str(list).expect("JSON"));
        safety
    }

    #[test]
    fn only_what_the_specification_or_the_tool_itself_calls_harmless_is_repeated() {
        let safety = learned(false);
        for method in ["tools/list", "resources/templates/list", "resources/read", "prompts/get", "completion/complete"]
        {
            assert!(safety.may_repeat(method, None), "{method}");
        }
        for method in ["logging/setLevel", "resources/subscribe", "vendor/anything", "tasks/cancel"] {
            assert!(!safety.may_repeat(method, None), "{method}");
        }
        assert!(safety.may_repeat("tools/call", Some("look")));
        assert!(safety.may_repeat("tools/call", Some("put")));
        for tool in ["add", "quiet", "unheard_of", "get_and_clear", "get_model_record"] {
            assert!(!safety.may_repeat("tools/call", Some(tool)), "{tool}");
        }
    }

    #[test]
    fn planhats_reading_tools_are_known_by_name_unless_it_says_otherwise() {
        let safety = learned(true);
        for tool in ["get_model_record", "list_model_records", "search_documents"] {
            assert!(safety.may_repeat("tools/call", Some(tool)), "{tool}");
        }
        for tool in ["create_model_record", "update_model_record", "perform_model_action", "get_and_clear"] {
            assert!(!safety.may_repeat("tools/call", Some(tool)), "{tool}");
        }
    }

    #[test]
    fn after_a_list_that_is_too_long_to_be_read_no_name_counts_as_safe() {
        let safety = learned(true);
        let list = format!(r#"{{"tools":[],"more":"{}"}}"#, "x".repeat(LIST_BYTES));
        safety.learn(serde_json::from_str(&list).expect("JSON"));
        assert!(!safety.may_repeat("tools/call", Some("look")) && !safety.may_repeat("tools/call", Some("get_x")));
    }

    #[test]
    fn what_is_known_of_tools_is_bounded_and_what_does_not_fit_is_not_repeated() {
        let safety = learned(true);
        assert!(safety.may_repeat("tools/call", Some("look")) && safety.may_repeat("tools/call", Some("get_x")));
        for n in 0..=MAX_KNOWN_TOOLS {
            let list = format!(r#"{{"tools":[{{"name":"tool {n}","annotations":{{"readOnlyHint":true}}}}]}}"#);
            safety.learn(serde_json::from_str(&list).expect("JSON"));
            let known = safety.tools.lock().unwrap();
            assert!(known.safe.len() + known.unsafe_.len() <= MAX_KNOWN_TOOLS);
        }
        for tool in ["look", "get_x", "get_and_clear", "tool 1"] {
            assert!(!safety.may_repeat("tools/call", Some(tool)), "{tool}");
        }
        // A list that fits is learned again.
        safety.learn(
            serde_json::from_str(r#"{"tools":[{"name":"look","annotations":{"readOnlyHint":true}}]}"#).expect("JSON"),
        );
        assert!(safety.may_repeat("tools/call", Some("look")));
    }

    #[test]
    fn a_list_that_changed_its_mind_is_believed() {
        let safety = learned(false);
        safety.learn(serde_json::from_str(r#"{"tools":[{"name":"look"}]}"#).expect("JSON"));
        assert!(!safety.may_repeat("tools/call", Some("look")));
    }
}
