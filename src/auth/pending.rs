//! The sign-in that is under way, or how the last one ended, as any process of the profile can read it. No secret is in
//! it: the link holds a PKCE challenge and a `state`, which are of no use without the process that made them.

use serde::{Deserialize, Serialize};

use crate::problem::catalogue::FACTS;
use crate::problem::{Problem, ProblemId};
use crate::store::{Note, StateDir};

/// A sign-in that some process is at, or was.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pending {
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// The page to sign in at, once it is known.
    pub link: Option<String>,
    /// Whether the page opens by itself; otherwise only the link leads there.
    #[serde(default)]
    pub opens: bool,
    /// Why it failed; `None` while it goes on.
    pub failure: Option<Told>,
}

/// A problem as it is told to another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Told {
    problem: String,
    facts: Vec<(String, String)>,
    source: Option<String>,
}

/// Where the record lies.
pub fn note(files: &StateDir) -> Note {
    files.note("sign-in.json")
}

/// Under which name a sign-in was stored, so that its absence can be doubted.
pub fn kept(files: &StateDir) -> Note {
    files.note("stored")
}

impl From<&Problem> for Told {
    fn from(problem: &Problem) -> Self {
        Self {
            problem: problem.id.entry().name.to_owned(),
            facts: problem.facts.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            source: problem.source.clone(),
        }
    }
}

impl From<Told> for Problem {
    fn from(told: Told) -> Self {
        let id = ProblemId::ALL.iter().find(|id| id.entry().name == told.problem).copied();
        let mut problem = Problem::new(id.unwrap_or(ProblemId::SignInProcessFailed));
        for (key, value) in told.facts {
            if let Some(key) = FACTS.iter().find(|known| **known == key) {
                problem = problem.with(key, value);
            }
        }
        match told.source {
            Some(source) => problem.because(source),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_arrives_as_it_was_told() {
        let problem =
            Problem::new(ProblemId::AuthorizationFailed).with("error", "x").with("error_description", "y").because("z");
        let text = serde_json::to_string(&Told::from(&problem)).unwrap();
        assert_eq!(Problem::from(serde_json::from_str::<Told>(&text).unwrap()), problem);
    }
}
