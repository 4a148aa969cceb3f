//! The sign-in that is under way, or how the last one ended, as any process of the profile can read it. No secret is in
//! it: the link holds a PKCE challenge and a `state`, which are of no use without the process that made them.

use serde::{Deserialize, Serialize};

use crate::problem::{Problem, ProblemId};
use crate::store::{Note, StateDir};

/// The facts that problems of a sign-in carry.
const FACTS: &[&str] = &[
    "client_id",
    "command",
    "config_file",
    "content_type",
    "detail",
    "dir",
    "endpoint",
    "error",
    "error_description",
    "expected",
    "file",
    "found",
    "host",
    "issuer",
    "limit",
    "link",
    "location",
    "minutes",
    "origin",
    "other_url",
    "owner",
    "path",
    "place",
    "port",
    "proxy",
    "purpose",
    "redirect_url",
    "scope",
    "seconds",
    "service",
    "setting",
    "status",
    "url",
];

/// A sign-in that some process is at, or was.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pending {
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// The page to sign in at, once it is known.
    pub link: Option<String>,
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

    #[test]
    fn every_fact_of_a_sign_in_problem_is_carried() {
        let areas = ["Signing in", "The way to the server", "Keychain and files"];
        let mut seen = 0;
        for (_, ids) in crate::problem::catalogue::AREAS.iter().filter(|(title, _)| areas.contains(title)) {
            for entry in ids.iter().map(|id| id.entry()) {
                for text in [entry.what, entry.cause, entry.fix, entry.model] {
                    for key in text.split('{').skip(1).filter_map(|part| part.split('}').next()) {
                        assert!(FACTS.contains(&key), "{key} of {}", entry.name);
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen > 20);
    }
}
