//! The record of the profile's newest sign-in, running or ended, for every process of the profile to read. It holds no
//! secret: the link carries a PKCE challenge and a `state`, useless outside the process that made them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::context::Context;
use crate::blocking;
use crate::limits::FAILED_SIGN_IN_PAUSE;
use crate::problem::catalogue::facts::FACTS;
use crate::problem::{Problem, ProblemId, printable};
use crate::store::{Note, StateDir};

/// How long past its deadline a sign-in may still be finishing its last step.
const OVERDUE_GRACE: Duration = Duration::from_secs(150);

/// The newest sign-in of the profile. It is running while the login lock is held; otherwise it is over, and a record
/// without an outcome means that its process was killed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number among the profile's sign-ins.
    #[serde(default)]
    pub number: u64,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// When it gives up waiting, in seconds since 1970.
    #[serde(default)]
    pub ends: u64,
    /// The id of the process that runs it.
    #[serde(default)]
    pub process: u32,
    /// Whether that process opens the page itself.
    #[serde(default)]
    pub opens: bool,
    /// The authorization URL, once known.
    pub link: Option<String>,
    /// The redirect URL.
    #[serde(default)]
    pub redirect_url: Option<String>,
    /// When it ended, in seconds since 1970.
    #[serde(default)]
    pub ended: Option<u64>,
    /// Why it failed.
    pub failure: Option<StoredProblem>,
    /// The client that registered itself and waits for an answer; it stays when none came: the server may have forgotten
    /// the client, and say so on its page alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<String>,
    /// The same of the sign-in before.
    #[serde(skip)]
    pub unanswered_before: Option<String>,
    /// How many sign-ins in a row before this one were killed before they ended.
    #[serde(default, rename = "deaths")]
    pub killed_in_a_row: u32,
}

/// The state of things when a sign-in was requested: any newer sign-in satisfies the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// The number of the newest sign-in.
    pub number: u64,
    /// The id of the grant that was not good enough.
    pub grant: Option<String>,
}

/// When a page was last opened, in any process.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct PageOpened {
    /// The number of the sign-in.
    pub number: u64,
    /// In milliseconds since 1970.
    pub at: u64,
}

/// A problem in the form that other processes read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredProblem {
    problem: String,
    facts: Vec<(String, String)>,
    source: Option<String>,
}

/// The file of the record.
pub fn note(files: &StateDir) -> Note {
    files.note("sign-in.json")
}

/// The record, read on a thread that may block.
pub async fn load(files: &StateDir) -> Option<Attempt> {
    let note = note(files);
    blocking::run(move || note.read()).await
}

/// Replaces the record, on a thread that may block.
pub(crate) async fn save(ctx: &Context, attempt: &Attempt) -> Result<(), Problem> {
    let (note, attempt) = (note(&ctx.files), attempt.clone());
    ctx.record_writer.run(move || note.write(&attempt)).await
}

/// The file with the time at which the newest sign-in's page was last opened.
pub fn opened(files: &StateDir) -> Note {
    files.note("page.json")
}

/// The file with the number of the sign-in to cancel.
pub fn stop(files: &StateDir) -> Note {
    files.note("stop.json")
}

impl Attempt {
    /// The record of the sign-in after `before`.
    pub fn after(before: Option<&Attempt>, now: u64, within: Duration, opens: bool) -> Self {
        let (number, killed_in_a_row) = before.map_or((0, 0), |before| (before.number, before.killed_including_this()));
        Self {
            number: number + 1,
            started: now,
            ends: now.saturating_add(within.as_secs()),
            process: std::process::id(),
            opens,
            killed_in_a_row,
            // It stays doubted until this one has shown a page: an attempt may fail before.
            unanswered: before.and_then(|before| before.unanswered.clone()),
            unanswered_before: before.and_then(|before| before.unanswered.clone()),
            ..Self::default()
        }
    }

    /// The number of the running sign-in while `last` is the newest record: its process may not have written its own
    /// yet.
    pub fn awaited(last: Option<&Attempt>) -> u64 {
        last.map_or(1, |last| if last.ended.is_some() { last.number + 1 } else { last.number })
    }

    /// Records that it is over.
    pub fn end(&mut self, now: u64, failure: Option<&Problem>) {
        self.ended = Some(now);
        self.link = None;
        self.failure = failure.map(StoredProblem::from);
    }

    /// Whether it is past its deadline.
    pub fn is_overdue(&self, now: u64) -> bool {
        self.ended.is_none() && now > self.ends.saturating_add(OVERDUE_GRACE.as_secs())
    }

    /// How much longer no other sign-in starts automatically; valid only while the login lock is free.
    ///
    /// After a killed sign-in another may start at once, but only one in a row: a program that kills each of them must
    /// not cause tab after tab. A failure that new settings can fix does not hold back a process started
    /// (`process_started`) after it.
    pub fn pause(&self, now: u64, process_started: u64) -> Option<Duration> {
        let from = match (self.ended, &self.failure) {
            (Some(ended), Some(failure)) if process_started <= ended || !failure.is_fixed_by_settings() => ended,
            (None, _) if self.killed_in_a_row > 0 => self.started,
            _ => return None,
        };
        // A time in the future means that the clock was wrong and has been corrected.
        let passed = Duration::from_secs(now.checked_sub(from)?);
        FAILED_SIGN_IN_PAUSE.checked_sub(passed).filter(|left| !left.is_zero())
    }

    fn killed_including_this(&self) -> u32 {
        if self.ended.is_none() { self.killed_in_a_row.saturating_add(1) } else { 0 }
    }
}

impl StoredProblem {
    fn id(&self) -> Option<ProblemId> {
        ProblemId::ALL.iter().find(|id| id.entry().name == self.problem).copied()
    }

    fn is_fixed_by_settings(&self) -> bool {
        self.id().is_some_and(ProblemId::is_fixed_by_settings)
    }
}

impl From<&Problem> for StoredProblem {
    fn from(problem: &Problem) -> Self {
        Self {
            problem: problem.id.entry().name.to_owned(),
            facts: problem.facts.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            source: problem.source.clone(),
        }
    }
}

impl From<StoredProblem> for Problem {
    fn from(stored: StoredProblem) -> Self {
        let mut problem = Problem::new(stored.id().unwrap_or(ProblemId::SignInProcessFailed));
        for (key, value) in stored.facts {
            if let Some(key) = FACTS.iter().find(|known| **known == key) {
                problem = problem.with(key, value);
            }
        }
        // It was free of secrets when it was written.
        Problem { source: stored.source.as_deref().map(printable), ..problem }
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::login::attempt::*;

    #[test]
    fn a_problem_arrives_as_it_was_told() {
        let problem = Problem::new(ProblemId::AuthorizationFailed)
            .with("error", "x")
            .with("error_description", "y")
            .because(std::io::Error::other("z"));
        let text = serde_json::to_string(&StoredProblem::from(&problem)).unwrap();
        assert_eq!(Problem::from(serde_json::from_str::<StoredProblem>(&text).unwrap()), problem);
    }

    const PAUSE_S: u64 = FAILED_SIGN_IN_PAUSE.as_secs();

    fn ended(at: u64, failure: ProblemId) -> Attempt {
        let mut record = Attempt::after(None, at - 10, FAILED_SIGN_IN_PAUSE, true);
        record.end(at, Some(&failure.into()));
        record
    }

    #[test]
    fn a_failed_sign_in_holds_back_others_for_a_while_and_one_that_succeeded_does_not() {
        let record = ended(1_000, ProblemId::AccessDenied);
        assert_eq!(record.pause(1_000, 0), Some(FAILED_SIGN_IN_PAUSE));
        // A process that was started since is held back too.
        assert_eq!(record.pause(1_001 + PAUSE_S - 2, 1_001), Some(Duration::from_secs(1)));
        assert_eq!(record.pause(1_000 + PAUSE_S, 0), None);
        assert_eq!(record.pause(999, 0), None, "a clock that was wrong must not hold it back for ever");
        let mut good = Attempt::after(None, 1_000, FAILED_SIGN_IN_PAUSE, true);
        good.end(1_001, None);
        assert_eq!(good.pause(1_001, 0), None);
    }

    #[test]
    fn settings_that_were_mended_are_tried_by_the_process_that_was_started_with_them() {
        let record = ended(1_000, ProblemId::InvalidClient);
        assert_eq!(record.pause(1_001, 900), Some(FAILED_SIGN_IN_PAUSE - Duration::from_secs(1)));
        assert_eq!(record.pause(1_001, 1_001), None);
    }

    #[test]
    fn sign_ins_that_are_ended_from_outside_are_followed_by_one_other_and_then_by_a_pause() {
        let first = Attempt::after(None, 1_000, FAILED_SIGN_IN_PAUSE, true);
        assert_eq!(first.pause(1_001, 0), None);
        let second = Attempt::after(Some(&first), 1_001, FAILED_SIGN_IN_PAUSE, true);
        assert_eq!((second.number, second.killed_in_a_row), (2, 1));
        assert_eq!(second.pause(1_001, 0), Some(FAILED_SIGN_IN_PAUSE));
        let mut third = Attempt::after(Some(&second), 1_002, FAILED_SIGN_IN_PAUSE, true);
        third.end(1_003, None);
        assert_eq!(Attempt::after(Some(&third), 1_004, FAILED_SIGN_IN_PAUSE, true).killed_in_a_row, 0);
    }

    #[test]
    fn a_record_of_an_earlier_version_can_be_read() {
        let record: Attempt = serde_json::from_str(r#"{"started":1,"link":null,"failure":null}"#).unwrap();
        assert_eq!((record.number, record.ended), (0, None));
        let record: Attempt = serde_json::from_str(r#"{"started":1,"link":null,"failure":null,"deaths":2}"#).unwrap();
        assert_eq!(record.killed_in_a_row, 2);
    }
}
