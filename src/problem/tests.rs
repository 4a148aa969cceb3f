//! How a problem is shown.

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
    let problem =
        Problem::new(ProblemId::PortInUse).with("port", 7526).because(std::io::Error::other("address in use"));
    let plain = problem.to_terminal(false);
    assert!(!plain.contains('\u{1b}'));
    assert!(plain.starts_with("error: The port for the sign-in, 7526, is already in use.\n  why: "), "{plain}");
    assert!(plain.contains("\n  fix: Quit that program"), "{plain}");
    assert!(plain.ends_with("\n more: address in use\n name: port-in-use\n"), "{plain}");
    assert!(problem.to_terminal(true).contains("\u{1b}[1;31merror:\u{1b}[0m The port"));
}

#[test]
fn where_a_request_went_is_told_below_the_remedy() {
    let problem = Problem::new(ProblemId::TokenEndpointUnavailable).with("endpoint", "https://as.example/token");
    assert_eq!(problem.more(), "the request went to https://as.example/token");
    let shown = problem.because(std::io::Error::other("refused")).to_terminal(false);
    assert!(shown.contains("\n more: refused; the request went to https://as.example/token\n"), "{shown}");
    assert_eq!(Problem::new(ProblemId::PortInUse).more(), "");
}

#[test]
fn a_json_rpc_error_reads_alone_and_carries_its_facts_as_numbers_and_strings() {
    let error = Problem::new(ProblemId::RateLimited)
        .with("retry_after_seconds", 7)
        .with("status", 429)
        .said("server_request_id", crate::secret::Secrets::none().words("req-1"))
        .to_json_rpc_error();
    assert_eq!(error["code"], 7504);
    assert_eq!(
        error["message"],
        "Too many requests: the server is rate-limiting (HTTP 429). Try again later. The server asks you to wait 7 s."
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

#[test]
fn neither_a_fact_nor_a_cause_shows_a_secret_that_this_process_holds() {
    let _held = crate::secret::Secret::from("fact-canary/1");
    let text = "asked https://as.example/?t=fact-canary%2F1, then fact-canary/1";
    let problem = Problem::new(ProblemId::NotJson).with("detail", text).because(std::io::Error::other(text));
    let masked = "asked https://as.example/?t=[redacted], then [redacted]";
    assert_eq!(problem.fact("detail"), Some(masked));
    assert_eq!(problem.source.as_deref(), Some(masked));
}
