//! The result of a check, and how all results are shown.

use std::path::MAIN_SEPARATOR;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::style::{Style, WIDTH};
use crate::problem::Problem;
use crate::problem::wrap;

/// The column where texts start: after the outcome and the widest name.
const TEXT_COLUMN: usize = 23;
/// The width of the widest name.
const NAME_WIDTH: usize = 13;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Ok,
    /// It works, and something needs attention.
    Warn,
    /// It does not work.
    Fail,
    /// It could not be checked, because an earlier check failed.
    Skip,
}

impl Outcome {
    /// As it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Warn => "warn",
            Outcome::Fail => "fail",
            Outcome::Skip => "skip",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was checked.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// The finding, if there is no problem to explain.
    text: String,
    /// What is wrong.
    pub problem: Option<Problem>,
    /// Details, one line each.
    pub details: Vec<String>,
}

/// Checks that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their heading.
    pub title: &'static str,
    /// In order of dependency.
    pub rows: Vec<Row>,
}

impl Row {
    /// All is well.
    pub fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Ok, text: text.into(), problem: None, details: Vec::new() }
    }

    /// It works, and something needs attention.
    pub fn warn(name: &'static str, problem: Problem) -> Self {
        Self { name, outcome: Outcome::Warn, text: String::new(), problem: Some(problem), details: Vec::new() }
    }

    /// It does not work.
    pub fn fail(name: &'static str, problem: Problem) -> Self {
        Self { name, outcome: Outcome::Fail, text: String::new(), problem: Some(problem), details: Vec::new() }
    }

    /// It could not be checked; `why` completes "not checked:".
    pub fn skip(name: &'static str, why: &str) -> Self {
        let text = format!("not checked: {why}");
        Self { name, outcome: Outcome::Skip, text, problem: None, details: Vec::new() }
    }

    /// Adds details.
    #[must_use]
    pub fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// The finding, or what is wrong.
    pub fn text(&self) -> String {
        self.problem.as_ref().map_or_else(|| self.text.clone(), Problem::what)
    }

    /// Writes the user's home directory as `~` in findings, but not in problems, whose paths the user may have to copy.
    pub fn shorten(&mut self, home: &str) {
        let text = std::iter::once(&mut self.text).chain(&mut self.details);
        text.for_each(|text| *text = text.replace(&format!("{home}{MAIN_SEPARATOR}"), &format!("~{MAIN_SEPARATOR}")));
    }

    fn to_text(&self, style: Style) -> String {
        let outcome = format!("{:<4}", self.outcome.as_str());
        let outcome = match self.outcome {
            Outcome::Ok => style.good(&outcome),
            Outcome::Warn => style.attention(&outcome),
            Outcome::Fail => style.bad(&outcome),
            Outcome::Skip => style.quiet(&outcome),
        };
        let text = wrap(&self.text(), TEXT_COLUMN, WIDTH);
        let text = if self.outcome == Outcome::Skip { style.quiet(&text) } else { text };
        let mut out = format!("  {outcome}  {:<NAME_WIDTH$}  {text}\n", self.name);
        let mut add = |label: &str, text: &str| {
            if !text.is_empty() {
                let text = wrap(text, TEXT_COLUMN + 5, WIDTH);
                out.push_str(&format!("{:TEXT_COLUMN$}{}  {text}\n", "", style.strong(label)));
            }
        };
        if let Some(problem) = &self.problem {
            add("why", &problem.cause());
            add("fix", &problem.fix());
            add("more", &problem.more());
        }
        for detail in &self.details {
            out.push_str(&format!("{:TEXT_COLUMN$}{}\n", "", style.quiet(&wrap(detail, TEXT_COLUMN + 2, WIDTH))));
        }
        out
    }

    fn json(&self, group: &str) -> Value {
        let mut value =
            json!({ "group": group, "name": self.name, "state": self.outcome.as_str(), "text": self.text() });
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

fn count(groups: &[Group], outcome: Outcome) -> usize {
    rows(groups).filter(|row| row.outcome == outcome).count()
}

/// 0 when nothing failed, else the code of the first failure.
pub fn exit_code(groups: &[Group]) -> ExitCode {
    let failed = rows(groups).find(|row| row.outcome == Outcome::Fail);
    failed.map_or(ExitCode::SUCCESS, |row| row.problem.as_ref().map_or(ExitCode::FAILURE, Problem::exit_code))
}

/// For a person at a terminal.
pub fn text(head: &str, groups: &[Group], style: Style) -> String {
    let mut out = format!("{head}\n");
    for group in groups.iter().filter(|group| !group.rows.is_empty()) {
        out.push_str(&format!("\n{}\n", style.strong(group.title)));
        for row in &group.rows {
            out.push_str(&row.to_text(style));
        }
    }
    out.push_str(&format!("\n{}\n", summary(groups, style)));
    out
}

/// Whether a row fails where any other does: what it advises then fails for the same cause.
fn depends_on_others(row: &str) -> u8 {
    match row {
        "tools" => 2,
        "sign-in" => 1,
        _ => 0,
    }
}

/// The failure that is the cause of others, if there are any.
pub fn begin_with(groups: &[Group]) -> Option<&Row> {
    // `min_by_key` takes the first of equals.
    rows(groups).filter(|row| row.outcome == Outcome::Fail).min_by_key(|row| depends_on_others(row.name))
}

fn summary(groups: &[Group], style: Style) -> String {
    let counted = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let all = |count: usize| if count == 1 { "The check".to_owned() } else { format!("All {count} checks") };
    let (failed, warned) = (count(groups, Outcome::Fail), count(groups, Outcome::Warn));
    let warnings = counted(warned, "warning", "warnings");
    let first = begin_with(groups).map_or("", |row| row.name);
    match (failed, warned) {
        (0, 0) => style.good(&format!("{} passed.", all(count(groups, Outcome::Ok)))),
        (0, _) => style.attention(&format!("Working, with {warnings}.")),
        (_, 0) => style.bad(&format!("{}. Fix first: {first}.", counted(failed, "problem", "problems"))),
        (_, _) => {
            let problems = counted(failed, "problem", "problems");
            style.bad(&format!("{problems}, {warnings}. Fix first: {first}."))
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
        assert!(text.ends_with("\n2 problems, 1 warning. Fix first: discovery.\n"), "{text}");
        let failed = |names: &[&'static str]| {
            let rows = names.iter().map(|name| Row::fail(name, ProblemId::SignInNeeded.into())).collect();
            self::text("", &[Group { title: "All", rows }], Style::PLAIN)
        };
        for (names, first) in [
            (&["sign-in", "tools", "client id"][..], "client id"),
            (&["sign-in", "redirect", "sign-in page"], "redirect"),
            (&["tools", "sign-in"], "sign-in"),
            (&["tools"], "tools"),
        ] {
            let text = failed(names);
            assert!(text.ends_with(&format!("Fix first: {first}.\n")), "{names:?}: {text}");
        }
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
