//! Turns a problem into words for a terminal, a JSON-RPC error, a tool result.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::template::fill;
use super::{Problem, ProblemId};

/// Facts that are numbers in `data`.
const NUMBERS: &[&str] =
    &["column", "days", "limit", "line", "minutes", "port", "retry_after_seconds", "seconds", "status"];

impl Problem {
    /// What happened.
    pub fn what(&self) -> String {
        self.fill(self.id.entry().what)
    }

    /// The likely cause; may be empty when the facts are missing.
    pub fn cause(&self) -> String {
        self.fill(self.id.entry().cause)
    }

    /// What to do now.
    pub fn fix(&self) -> String {
        self.fill(self.id.entry().fix)
    }

    /// What a model should do or tell its user.
    pub fn model_line(&self) -> String {
        self.fill(self.id.entry().model)
    }

    /// The exit code of a command that ends with this problem.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.id.entry().exit)
    }

    /// For a person at a terminal: labelled, wrapped at 80 columns, ending in a line break.
    pub fn to_terminal(&self, color: bool) -> String {
        let mut out = String::new();
        let mut row = |label: &str, style: &str, text: &str| {
            if !text.is_empty() {
                let label = format!("{label:>6}");
                let shown = if color { format!("\u{1b}[{style}m{label}\u{1b}[0m") } else { label };
                out.push_str(&shown);
                out.push(' ');
                out.push_str(&wrap(text, 7, 80));
                out.push('\n');
            }
        };
        row("error:", "1;31", &self.what());
        row("why:", "1", &self.cause());
        row("fix:", "1;32", &self.fix());
        row("more:", "2", self.source.as_deref().unwrap_or_default());
        row("name:", "2", self.id.entry().name);
        out
    }

    /// The `error` member of a JSON-RPC response: the message can be read alone, `data` holds the parts and the facts.
    pub fn to_json_rpc_error(&self) -> Value {
        let mut data = Map::new();
        for (key, value) in &self.facts {
            let number = NUMBERS.contains(key).then(|| value.parse::<u64>().ok()).flatten();
            data.insert((*key).to_owned(), number.map_or_else(|| json!(value), |n| json!(n)));
        }
        if let Some(source) = &self.source {
            data.insert("source".to_owned(), json!(source));
        }
        data.insert("problem".to_owned(), json!(self.id.entry().name));
        data.insert("cause".to_owned(), json!(self.cause()));
        data.insert("fix".to_owned(), json!(self.fix()));
        json!({ "code": self.id.entry().code, "message": format!("{} {}", self.what(), self.fix()), "data": data })
    }

    /// A `CallToolResult` with `isError`, in words that a model can act on.
    pub fn to_tool_result(&self) -> Value {
        let mut text = self.model_line();
        for (key, label) in [("link", "Link"), ("server_request_id", "The server's request id")] {
            if let Some(value) = self.fact(key).filter(|value| !text.contains(*value)) {
                text.push_str(&format!(" {label}: {value} ."));
            }
        }
        json!({ "content": [{ "type": "text", "text": text }], "isError": true })
    }

    fn fill(&self, template: &str) -> String {
        fill(template, &|key| self.fact(key))
    }
}

impl From<ProblemId> for Problem {
    fn from(id: ProblemId) -> Self {
        Self::new(id)
    }
}

/// `text` with line breaks at white space so that lines end before `width`; lines after the first are indented. A word
/// longer than a line (an address that somebody will click) stays whole.
pub fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if out.is_empty() {
            column += length;
        } else if column + 1 + length > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent + length;
        } else {
            out.push(' ');
            column += 1 + length;
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_text_stays_within_80_columns_except_for_whole_addresses() {
        for id in ProblemId::ALL {
            for line in Problem::new(*id).to_terminal(false).lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", id.entry().name);
            }
        }
        let link = format!("https://example.test/{}", "x".repeat(200));
        let text = Problem::new(ProblemId::SignInNeeded).with("link", &link).to_terminal(false);
        assert!(text.contains(&link), "{text}");
    }

    #[test]
    fn a_terminal_text_has_color_only_when_asked_for() {
        let problem = Problem::new(ProblemId::PortInUse).with("port", 7526).because("address in use");
        let plain = problem.to_terminal(false);
        assert!(!plain.contains('\u{1b}'));
        assert!(plain.starts_with("error: The port for the sign-in, 7526, is already in use.\n  why: "), "{plain}");
        assert!(plain.contains("\n  fix: End the other program"), "{plain}");
        assert!(plain.ends_with("\n more: address in use\n name: port-in-use\n"), "{plain}");
        assert!(problem.to_terminal(true).contains("\u{1b}[1;31merror:\u{1b}[0m The port"));
    }

    #[test]
    fn a_json_rpc_error_reads_alone_and_carries_its_facts_as_numbers_and_strings() {
        let error = Problem::new(ProblemId::RateLimited)
            .with("retry_after_seconds", 7)
            .with("status", 429)
            .with("server_request_id", "req-1")
            .to_json_rpc_error();
        assert_eq!(error["code"], -32029);
        assert_eq!(
            error["message"],
            "The server limits the rate of calls (HTTP 429). Try again later. The server asks to wait 7 s."
        );
        assert_eq!(error["data"]["problem"], "rate-limited");
        assert_eq!(error["data"]["retry_after_seconds"], 7);
        assert_eq!(error["data"]["status"], 429);
        assert_eq!(error["data"]["server_request_id"], "req-1");
        assert!(error["data"]["fix"].as_str().is_some_and(|fix| fix.ends_with("7 s.")));
    }

    #[test]
    fn a_fact_cannot_replace_the_name_of_the_problem() {
        let error = Problem::new(ProblemId::NotJson).with("problem", "x").to_json_rpc_error();
        assert_eq!(error["data"]["problem"], "not-json");
    }

    #[test]
    fn a_tool_result_is_an_error_whose_text_names_the_link_once() {
        let link = "https://example.test/authorize?x=1";
        let result = Problem::new(ProblemId::SignInNeeded).with("link", link).to_tool_result();
        assert_eq!(result["isError"], true);
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        assert_eq!(text.matches(link).count(), 1, "{text}");
        let result = Problem::new(ProblemId::AccessDenied).with("link", link).to_tool_result();
        assert!(result["content"][0]["text"].as_str().unwrap_or_default().contains(link));
    }
}
