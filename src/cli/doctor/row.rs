//! What a check has found, and how all of it is shown.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::style::{Style, WIDTH};
use crate::problem::Problem;
use crate::problem::wrap;

/// Where the texts begin: after the state and the widest name.
const INDENT: usize = 23;
/// The widest name.
const NAME: usize = 13;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All is well.
    Ok,
    /// It works, and something should be looked at.
    Warn,
    /// It does not work.
    Fail,
    /// It could not be checked, because an earlier check failed.
    Skip,
}

impl State {
    /// As it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
            State::Skip => "skip",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was checked.
    pub name: &'static str,
    /// How it ended.
    pub state: State,
    /// What was seen, where there is no problem to explain.
    text: String,
    /// What is wrong.
    pub problem: Option<Problem>,
    /// What was seen on the way, one line each.
    pub details: Vec<String>,
}

/// Checks that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their headline.
    pub title: &'static str,
    /// In the order in which one builds on the other.
    pub rows: Vec<Row>,
}

impl Row {
    /// All is well.
    pub fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, state: State::Ok, text: text.into(), problem: None, details: Vec::new() }
    }

    /// Something should be looked at.
    pub fn warn(name: &'static str, problem: Problem) -> Self {
        Self { name, state: State::Warn, text: String::new(), problem: Some(problem), details: Vec::new() }
    }

    /// It does not work.
    pub fn fail(name: &'static str, problem: Problem) -> Self {
        Self { name, state: State::Fail, text: String::new(), problem: Some(problem), details: Vec::new() }
    }

    /// It could not be checked; `why` completes "not checked:".
    pub fn skip(name: &'static str, why: &str) -> Self {
        let text = format!("not checked: {why}");
        Self { name, state: State::Skip, text, problem: None, details: Vec::new() }
    }

    /// Adds what was seen on the way.
    #[must_use]
    pub fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// What was seen, or what is wrong.
    pub fn text(&self) -> String {
        self.problem.as_ref().map_or_else(|| self.text.clone(), Problem::what)
    }

    /// Writes the user's home directory as `~` in what was seen; what a problem names may have to be copied.
    pub fn shorten(&mut self, home: &str) {
        let text = std::iter::once(&mut self.text).chain(&mut self.details);
        text.for_each(|text| *text = text.replace(&format!("{home}{}", std::path::MAIN_SEPARATOR), "~/"));
    }

    fn shown(&self, style: Style) -> String {
        let state = format!("{:<4}", self.state.as_str());
        let state = match self.state {
            State::Ok => style.good(&state),
            State::Warn => style.attention(&state),
            State::Fail => style.bad(&state),
            State::Skip => style.quiet(&state),
        };
        let text = wrap(&self.text(), INDENT, WIDTH);
        let text = if self.state == State::Skip { style.quiet(&text) } else { text };
        let mut out = format!("  {state}  {:<NAME$}  {text}\n", self.name);
        let mut add = |label: &str, text: &str| {
            if !text.is_empty() {
                let text = wrap(text, INDENT + 5, WIDTH);
                out.push_str(&format!("{:INDENT$}{}  {text}\n", "", style.strong(label)));
            }
        };
        if let Some(problem) = &self.problem {
            add("why", &problem.cause());
            add("fix", &problem.fix());
        }
        for detail in &self.details {
            out.push_str(&format!("{:INDENT$}{}\n", "", style.quiet(&wrap(detail, INDENT + 2, WIDTH))));
        }
        out
    }

    fn json(&self, group: &str) -> Value {
        let mut value = json!({ "group": group, "name": self.name, "state": self.state.as_str(), "text": self.text() });
        if !self.details.is_empty() {
            value["details"] = json!(self.details);
        }
        if let Some(problem) = &self.problem {
            value["problem"] = json!(problem.id.entry().name);
            value["cause"] = json!(problem.cause());
            value["fix"] = json!(problem.fix());
            if let Some(source) = &problem.source {
                value["source"] = json!(source);
            }
        }
        value
    }
}

fn rows(groups: &[Group]) -> impl Iterator<Item = &Row> {
    groups.iter().flat_map(|group| &group.rows)
}

fn count(groups: &[Group], state: State) -> usize {
    rows(groups).filter(|row| row.state == state).count()
}

/// 0 when nothing failed, else the code of the first failure.
pub fn exit_code(groups: &[Group]) -> ExitCode {
    let failed = rows(groups).find(|row| row.state == State::Fail);
    failed.map_or(ExitCode::SUCCESS, |row| row.problem.as_ref().map_or(ExitCode::FAILURE, Problem::exit_code))
}

/// For a person at a terminal.
pub fn text(head: &str, groups: &[Group], style: Style) -> String {
    let mut out = format!("{head}\n");
    for group in groups.iter().filter(|group| !group.rows.is_empty()) {
        out.push_str(&format!("\n{}\n", style.strong(group.title)));
        for row in &group.rows {
            out.push_str(&row.shown(style));
        }
    }
    out.push_str(&format!("\n{}\n", summary(groups, style)));
    out
}

fn summary(groups: &[Group], style: Style) -> String {
    let counted = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let (failed, warned) = (count(groups, State::Fail), count(groups, State::Warn));
    let warnings = counted(warned, "warning", "warnings");
    let first = rows(groups).find(|row| row.state == State::Fail).map_or("", |row| row.name);
    match (failed, warned) {
        (0, 0) => style.good(&format!("All is well: {}.", counted(count(groups, State::Ok), "check", "checks"))),
        (0, _) => style.attention(&format!("It works, with {warnings}.")),
        (_, 0) => style.bad(&format!("{}. Begin with: {first}.", counted(failed, "failure", "failures"))),
        (_, _) => {
            let failures = counted(failed, "failure", "failures");
            style.bad(&format!("{failures}, {warnings}. Begin with: {first}."))
        }
    }
}

/// For programs.
pub fn json(groups: &[Group]) -> Vec<Value> {
    groups.iter().flat_map(|group| group.rows.iter().map(|row| row.json(group.title))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ProblemId;

    fn groups() -> Vec<Group> {
        vec![
            Group { title: "Network", rows: vec![Row::ok("proxy", "none"), Row::ok("name", "x".repeat(200))] },
            Group { title: "Empty", rows: Vec::new() },
            Group {
                title: "Signing in",
                rows: vec![
                    Row::warn("clock", ProblemId::ClockWrong.into()),
                    Row::fail("discovery", ProblemId::NoAuthorizationServer.into()).with_details(vec!["a: 404".into()]),
                    Row::fail("tools", ProblemId::SignInNeeded.into()),
                    Row::skip("redirect URL", "discovery failed"),
                ],
            },
        ]
    }

    #[test]
    fn every_row_that_is_not_well_says_what_to_do_and_every_skipped_one_why() {
        let text = text("head", &groups(), Style::PLAIN);
        assert_eq!(text.matches("fix  ").count(), 3, "{text}");
        assert!(text.contains("  skip  redirect URL   not checked: discovery failed\n"), "{text}");
        assert!(!text.contains("Empty"), "{text}");
        assert!(text.ends_with("\n2 failures, 1 warning. Begin with: discovery.\n"), "{text}");
        let wide = text.lines().filter(|line| line.chars().count() > 80).count();
        assert_eq!(wide, 1, "only the word of 200 characters: {text}");
    }

    #[test]
    fn the_exit_code_is_that_of_the_first_failure() {
        assert_eq!(exit_code(&groups()), ExitCode::from(3));
        assert_eq!(exit_code(&groups()[..1]), ExitCode::SUCCESS);
        let warned = [Group { title: "x", rows: vec![Row::warn("clock", ProblemId::ClockWrong.into())] }];
        assert_eq!(exit_code(&warned), ExitCode::SUCCESS);
    }

    #[test]
    fn programs_get_the_same_with_the_names_of_the_problems() {
        let all = json(&groups());
        assert_eq!(all.len(), 6);
        assert_eq!((&all[2]["state"], &all[2]["problem"]), (&json!("warn"), &json!("clock-wrong")));
        assert_eq!(all[3]["details"], json!(["a: 404"]));
        assert!(all[3]["fix"].is_string() && all[0].get("fix").is_none());
    }
}
