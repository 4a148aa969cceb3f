//! Recognises an answer that comes from a barrier in front of a server (a protection against bots, a gateway's page) and says
//! nothing about what lies behind it.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use url::Url;

use crate::problem::{Problem, ProblemId};

/// What kept a program out of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barrier {
    /// The status of its answer.
    pub status: StatusCode,
    /// Whether it says that it wants to see a browser.
    pub is_challenge: bool,
    /// The number under which its operator finds the request.
    pub ray: Option<String>,
}

impl Barrier {
    /// The barrier that this answer comes from, if it is one: it says so, or refuses with a page. "There is nothing here" is
    /// an answer of the server, in whatever form.
    pub fn of(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let is_challenge = text("cf-mitigated").is_some_and(|value| value.eq_ignore_ascii_case("challenge"));
        let is_page =
            text(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"));
        let refuses = status.is_client_error() && !matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        let ray = text("cf-ray").filter(|ray| !ray.is_empty()).map(str::to_owned);
        (is_challenge || is_page && refuses).then_some(Self { status, is_challenge, ray })
    }

    /// In a few words.
    pub fn words(&self) -> String {
        let status = self.status.as_u16();
        match (self.is_challenge, &self.ray) {
            (true, Some(ray)) => format!("status {status} from a bot protection, ray id {ray}"),
            (true, None) => format!("status {status} from a bot protection"),
            (false, _) => format!("status {status} with a page"),
        }
    }

    /// The problem when it stands in front of `host`.
    pub fn problem(&self, host: &str) -> Problem {
        let problem = Problem::new(ProblemId::BotProtection).with("host", host).with("status", self.status.as_u16());
        match &self.ray {
            Some(ray) => problem.with("id", ray),
            None => problem,
        }
    }
}

/// The barriers that answered in place of the server.
#[derive(Debug, Default)]
pub struct Barriers {
    /// The most telling one, with the host that it stands in front of.
    met: Option<(Barrier, String)>,
    /// Whether something else than a barrier has answered, too.
    has_answered: bool,
}

impl Barriers {
    /// Notes an answer at this place, and the barrier that it comes from, if any.
    pub fn note(&mut self, barrier: Option<Barrier>, url: &Url) {
        let Some(barrier) = barrier else {
            self.has_answered = true;
            return;
        };
        let is_better = self.met.as_ref().is_none_or(|(met, _)| barrier.is_challenge && !met.is_challenge);
        if is_better {
            self.met = Some((barrier, url.host_str().unwrap_or_default().to_owned()));
        }
    }

    /// Why nothing may be concluded: a barrier said that it is one, or pages have refused every place.
    pub fn problem(&self) -> Option<Problem> {
        let met = self.met.as_ref().filter(|(barrier, _)| barrier.is_challenge || !self.has_answered);
        met.map(|(barrier, host)| barrier.problem(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_says_so_or_refuses_with_a_page() {
        for (status, kind, mitigated, is_one) in [
            (403, "text/html; charset=UTF-8", "challenge", true),
            (503, "text/html", "challenge", true),
            (429, "application/json", "challenge", true),
            (403, "text/html", "", true),
            (401, "Text/HTML", "", true),
            (406, "text/html", "", true),
            (404, "text/html", "", false),
            (410, "text/html", "", false),
            (403, "application/json", "", false),
            (200, "text/html", "", false),
            (502, "text/html", "", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            if !mitigated.is_empty() {
                headers.insert("cf-mitigated", mitigated.parse().unwrap());
            }
            headers.insert("cf-ray", "8f2-FRA".parse().unwrap());
            let found = Barrier::of(StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(found.is_some(), is_one, "{status} {kind} {mitigated}");
            if let Some(barrier) = found {
                let problem = barrier.problem("mcp.example");
                assert!(problem.what().contains("8f2-FRA") && problem.what().contains("mcp.example"));
                assert_eq!(barrier.words().contains("bot protection"), !mitigated.is_empty());
            }
        }
    }

    #[test]
    fn pages_that_refuse_say_nothing_only_where_nothing_else_answers_and_a_challenge_never_does() {
        let place = Url::parse("https://mcp.example/.well-known/x").unwrap();
        let barrier = |is_challenge| Some(Barrier { status: StatusCode::FORBIDDEN, is_challenge, ray: None });
        for (answers, is_problem) in [
            (vec![], false),
            (vec![None, None], false),
            (vec![barrier(false), barrier(false)], true),
            (vec![barrier(false), None], false),
            (vec![barrier(true), None], true),
            (vec![None, barrier(true)], true),
        ] {
            let mut met = Barriers::default();
            for answer in &answers {
                met.note(answer.clone(), &place);
            }
            assert_eq!(met.problem().is_some(), is_problem, "{answers:?}");
        }
    }
}
