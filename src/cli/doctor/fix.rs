//! `doctor --fix`: says what is wrong here and can be mended, what will be done and what is lost by it, asks, and does it.

use serde_json::{Value, json};

use crate::auth::Authorizer;
use crate::auth::mending::{self, Fault};
use crate::cli::style::{Style, WIDTH};
use crate::config::Settings;
use crate::problem::{Problem, ProblemId, wrap};

use super::row::Row;

/// A fault, and what became of it.
#[derive(Debug)]
pub struct Fix {
    fault: Fault,
    /// `None` before it is mended.
    outcome: Option<Result<(), Problem>>,
}

/// What is planned for these faults.
pub fn plan(faults: Vec<Fault>) -> Vec<Fix> {
    faults.into_iter().map(|fault| Fix { fault, outcome: None }).collect()
}

/// Mends them, one after the other; one that cannot be mended does not stop the others.
pub async fn mend(auth: &Authorizer, fixes: &mut [Fix]) {
    for fix in fixes {
        fix.outcome = Some(mending::mend(auth, &fix.fault).await);
    }
}

/// The first that could not be mended.
pub fn failed(fixes: &[Fix]) -> Option<&Problem> {
    fixes.iter().find_map(|fix| fix.outcome.as_ref()?.as_ref().err())
}

/// The row about them; none where nothing is to be mended.
pub fn row(settings: &Settings, faults: &[Fault]) -> Option<Row> {
    let details: Vec<String> = faults.iter().map(|fault| fault.words().what).collect();
    let problem = Problem::new(ProblemId::Mendable).with("command", settings.command("doctor --fix"));
    (!details.is_empty()).then(|| Row::warn("to repair", problem).with_details(details))
}

/// For a person.
pub fn text(fixes: &[Fix], style: Style) -> String {
    if fixes.is_empty() {
        return "\nThere is nothing for --fix to repair.\n".to_owned();
    }
    let is_plan = fixes.iter().all(|fix| fix.outcome.is_none());
    let mut out = format!("\n{}\n", style.strong(if is_plan { "What can be repaired" } else { "What was repaired" }));
    for fix in fixes {
        let words = fix.fault.words();
        let mut add = |label: &str, text: &str| {
            out.push_str(&format!("  {:<6}  {}\n", style.strong(&format!("{label:<6}")), wrap(text, 10, WIDTH)));
        };
        match &fix.outcome {
            None => {
                add("wrong", &words.what);
                add("fix", words.action);
                add("lost", words.loss);
            }
            Some(Ok(())) => add("done", &format!("{}: {}", words.what, words.action)),
            Some(Err(problem)) => add("failed", &format!("{}: {}", words.what, problem.what())),
        }
    }
    out
}

/// For programs.
pub fn json(fixes: &[Fix]) -> Vec<Value> {
    let each = |fix: &Fix| {
        let words = fix.fault.words();
        let state = match &fix.outcome {
            None => "planned",
            Some(Ok(())) => "mended",
            Some(Err(_)) => "failed",
        };
        let mut value = json!({ "what": words.what, "action": words.action, "loss": words.loss, "state": state });
        if let Some(Err(problem)) = &fix.outcome {
            value["problem"] = json!(problem.id.entry().name);
        }
        value
    };
    fixes.iter().map(each).collect()
}
