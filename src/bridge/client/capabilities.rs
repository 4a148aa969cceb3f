//! What a client has declared that a server may ask it for (MCP, "Capability Negotiation").

use serde::Deserialize;
use serde_json::value::RawValue;

/// The capabilities of a client to which methods of the server are bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientCapabilities {
    sampling: bool,
    elicitation: bool,
    roots: bool,
    tasks: bool,
}

impl ClientCapabilities {
    /// Reads the `capabilities` of `initialize`.
    pub fn of(capabilities: Option<&RawValue>) -> Self {
        #[derive(Deserialize, Default)]
        struct Declared<'a> {
            #[serde(borrow, default)]
            sampling: Option<&'a RawValue>,
            #[serde(borrow, default)]
            elicitation: Option<&'a RawValue>,
            #[serde(borrow, default)]
            roots: Option<&'a RawValue>,
            #[serde(borrow, default)]
            tasks: Option<&'a RawValue>,
        }
        let declared = capabilities.and_then(|raw| serde_json::from_str::<Declared<'_>>(raw.get()).ok());
        let Declared { sampling, elicitation, roots, tasks } = declared.unwrap_or_default();
        Self {
            sampling: sampling.is_some(),
            elicitation: elicitation.is_some(),
            roots: roots.is_some(),
            tasks: tasks.is_some(),
        }
    }

    /// Whether a server may send this request. A method that is bound to no capability, or is not known here, it may.
    pub fn allow(self, method: &str) -> bool {
        match method {
            "sampling/createMessage" => self.sampling,
            "elicitation/create" => self.elicitation,
            "roots/list" => self.roots,
            "tasks/get" | "tasks/result" | "tasks/list" | "tasks/cancel" => self.tasks,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_ask_for_what_the_client_declared_and_for_what_needs_no_declaration() {
        const BOUND: [&str; 4] = ["sampling/createMessage", "elicitation/create", "roots/list", "tasks/get"];
        for (declared, allowed) in [
            ("{}", [false; 4]),
            ("[]", [false; 4]),
            ("null", [false; 4]),
            (r#"{"sampling":{}}"#, [true, false, false, false]),
            (r#"{"sampling":null,"elicitation":{"url":{}}}"#, [false, true, false, false]),
            (r#"{"roots":{"listChanged":true},"tasks":{}}"#, [false, false, true, true]),
        ] {
            let capabilities = ClientCapabilities::of(Some(serde_json::from_str(declared).expect("JSON")));
            assert_eq!(BOUND.map(|method| capabilities.allow(method)), allowed, "{declared}");
            for method in ["ping", "vendor/ask", "sampling/other"] {
                assert!(capabilities.allow(method), "{method}");
            }
        }
        assert!(!ClientCapabilities::of(None).allow("roots/list"));
    }
}
