//! Decides what follows a failed attempt: pure, without waiting.
//!
//! A request whose effect is unknown is sent again only when repeating it is safe ([`crate::bridge::lists::retry_safety`]).

use tokio::time::{Duration, Instant};

use crate::bridge::reconnection::RECONNECTION_BACKOFF;
use crate::http::retry_after;
use crate::limits::{MAX_LOST_SESSIONS, MAX_REPEATS, MAX_SIGN_INS, RATE_LIMIT_WAIT};
use crate::pacing::Reopening;
use crate::problem::Problem;
use crate::remote::Failure;
use crate::remote::stream_life::LISTENING_BACKOFF;

/// The attempts for one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts {
    lost_sessions: u32,
    sign_ins: u32,
    repeats: u32,
    unsent: u32,
    unsent_since: Option<Instant>,
    /// For a listening stream, once it has broken.
    reopening: Option<Reopening>,
}

impl Attempts {
    /// Whether the request has asked for a sign-in.
    pub fn asked_for_sign_in(&self) -> bool {
        self.sign_ins > 0
    }
}

/// What the decision depends on besides the failure.
#[derive(Debug, Clone, Copy)]
pub struct RetryContext {
    /// When the attempt failed.
    pub now: Instant,
    /// Chooses the jitter, in 0..=1.
    pub noise: f64,
    /// Whether the request opens a stream that stays open.
    pub listens: bool,
    /// Whether such a stream stayed open for a while, or brought anything since the last failure.
    pub has_lived: bool,
    /// Whether executing the request twice is harmless.
    pub may_repeat: bool,
    /// Whether the answer could come from memory.
    pub is_remembered: bool,
    /// How long a request may go without a byte.
    pub idle: Duration,
    /// How long connecting may take in all.
    pub connecting: Duration,
}

/// What follows a failed attempt.
#[derive(Debug)]
pub enum RetryDecision {
    /// Send it again in a session that replaces the one of this epoch.
    Reopen(u64),
    /// Get somebody signed in, then send it again.
    SignIn(Problem),
    /// Get a token with a wider scope than the narrow one, then send it again.
    Widen {
        /// What is missing.
        problem: Problem,
        /// The token that is too narrow, as in [`Bearer::serial`](crate::auth::Bearer::serial).
        narrow: Option<u64>,
    },
    /// Send it again after this wait.
    Resend {
        /// How long to wait.
        wait: Duration,
        /// Whether the server may have the previous attempt, so that this one needs its own id.
        is_repeat: bool,
        /// Why it has to wait.
        problem: Problem,
    },
    /// Answer from memory.
    AnswerFromMemory(Problem),
    /// Answer with this problem.
    GiveUp(Problem),
    /// Do nothing more: nobody waits for an answer.
    Drop,
}

/// Whether the server cannot be asked now, so that its earlier answer is the best available.
pub fn is_out_of_reach(failure: &Failure) -> bool {
    match failure {
        Failure::NotSent(_) | Failure::Unclear { .. } => true,
        Failure::Explained(problem) | Failure::Refused { problem, .. } => problem.id.is_out_of_reach(),
        Failure::SignIn(_)
        | Failure::Scope { .. }
        | Failure::SessionLost { .. }
        | Failure::Redirected(_)
        | Failure::Withdrawn => false,
    }
}

/// Decides what follows `failure`, and counts it in `attempts`.
pub fn decide(attempts: &mut Attempts, failure: Failure, context: &RetryContext) -> RetryDecision {
    let is_repeated = matches!(failure, Failure::Unclear { .. }) && attempts.repeats < MAX_REPEATS;
    if context.is_remembered && !is_repeated && is_out_of_reach(&failure) {
        return RetryDecision::AnswerFromMemory(failure.into_problem());
    }
    match failure {
        Failure::SessionLost { epoch, .. } if attempts.lost_sessions < MAX_LOST_SESSIONS => {
            attempts.lost_sessions += 1;
            RetryDecision::Reopen(epoch)
        }
        Failure::Scope { problem, narrow } if attempts.sign_ins < MAX_SIGN_INS => {
            attempts.sign_ins += 1;
            RetryDecision::Widen { problem, narrow }
        }
        Failure::SignIn(problem) if attempts.sign_ins < MAX_SIGN_INS => {
            attempts.sign_ins += 1;
            RetryDecision::SignIn(problem)
        }
        Failure::NotSent(problem) => {
            let since = *attempts.unsent_since.get_or_insert(context.now);
            attempts.unsent += 1;
            let wait = RECONNECTION_BACKOFF.wait(attempts.unsent, context.noise);
            let limit = if context.listens { context.idle } else { context.connecting };
            if context.now.saturating_duration_since(since) + wait > limit {
                return RetryDecision::GiveUp(problem);
            }
            RetryDecision::Resend { wait, is_repeat: false, problem }
        }
        Failure::Unclear { problem, wait } => {
            // The client would time out before the end of a longer wait; the problem names the seconds.
            let fits = context.listens || wait.is_none_or(|wait| wait <= context.idle);
            if attempts.repeats >= MAX_REPEATS || !context.may_repeat || !fits {
                return RetryDecision::GiveUp(problem);
            }
            attempts.unsent_since = None;
            if context.listens {
                // It may break any number of times; the longer none lives, the less often it is reopened.
                let reopening = attempts.reopening.get_or_insert_with(|| Reopening::new(LISTENING_BACKOFF));
                let asked = wait.map(|wait| wait.min(RATE_LIMIT_WAIT));
                let wait = reopening.after_end(context.has_lived, asked, context.noise);
                // The server identifies a listening stream by its request's id, so the id stays.
                return RetryDecision::Resend { wait, is_repeat: false, problem };
            }
            attempts.repeats += 1;
            let wait = retry_after::wait(wait, attempts.repeats, context.noise);
            RetryDecision::Resend { wait, is_repeat: true, problem }
        }
        Failure::Withdrawn => RetryDecision::Drop,
        // The same failure in a new session or after a sign-in is about the request.
        failure => RetryDecision::GiveUp(failure.into_problem()),
    }
}

#[cfg(test)]
mod tests {
    use crate::problem::ProblemId;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn context() -> RetryContext {
        RetryContext {
            now: Instant::now(),
            noise: 1.0,
            listens: false,
            has_lived: false,
            may_repeat: true,
            is_remembered: false,
            idle: 300 * SECOND,
            connecting: 20 * SECOND,
        }
    }

    fn not_sent() -> Failure {
        Failure::NotSent(ProblemId::ConnectFailed.into())
    }

    fn unclear(wait: Option<Duration>) -> Failure {
        Failure::Unclear { problem: ProblemId::ConnectionLost.into(), wait }
    }

    fn lost() -> Failure {
        Failure::SessionLost { epoch: 7, otherwise: Box::new(ProblemId::NotFound.into()) }
    }

    fn sign_in() -> Failure {
        Failure::SignIn(ProblemId::SignInNeeded.into())
    }

    fn scope() -> Failure {
        Failure::Scope { problem: ProblemId::InsufficientScope.into(), narrow: Some(3) }
    }

    fn explained(id: ProblemId) -> Failure {
        Failure::Explained(id.into())
    }

    /// The decision in short.
    fn short(decision: &RetryDecision) -> String {
        match decision {
            RetryDecision::Reopen(epoch) => format!("reopen {epoch}"),
            RetryDecision::SignIn(_) => "sign in".to_owned(),
            RetryDecision::Widen { narrow, .. } => format!("widen {narrow:?}"),
            RetryDecision::Resend { wait, is_repeat: false, .. } => format!("resend after {} s", wait.as_secs()),
            RetryDecision::Resend { wait, is_repeat: true, .. } => format!("repeat after {} s", wait.as_secs()),
            RetryDecision::AnswerFromMemory(_) => "memory".to_owned(),
            RetryDecision::GiveUp(problem) => problem.id.entry().name.to_owned(),
            RetryDecision::Drop => "drop".to_owned(),
        }
    }

    fn decisions(failures: impl IntoIterator<Item = Failure>, context: &RetryContext) -> Vec<String> {
        let mut attempts = Attempts::default();
        failures.into_iter().map(|failure| short(&decide(&mut attempts, failure, context))).collect()
    }

    #[test]
    fn each_failure_has_its_consequence_and_its_bound() {
        let usual = context();
        for (failures, expected) in [
            (vec![lost(), lost()], vec!["reopen 7", "not-found"]),
            (vec![sign_in(), sign_in()], vec!["sign in", "sign-in-needed"]),
            (vec![scope(), scope()], vec!["widen Some(3)", "insufficient-scope"]),
            (vec![sign_in(), scope()], vec!["sign in", "insufficient-scope"]),
            (vec![lost(), sign_in(), unclear(None)], vec!["reopen 7", "sign in", "repeat after 1 s"]),
            (
                vec![unclear(None), unclear(None), unclear(None), unclear(None)],
                vec!["repeat after 1 s", "repeat after 2 s", "repeat after 4 s", "connection-lost"],
            ),
            (vec![unclear(Some(9 * SECOND))], vec!["repeat after 9 s"]),
            (vec![unclear(Some(301 * SECOND))], vec!["connection-lost"]),
            (vec![explained(ProblemId::Forbidden)], vec!["forbidden"]),
            (vec![Failure::Withdrawn], vec!["drop"]),
        ] {
            assert_eq!(decisions(failures, &usual), expected);
        }
    }

    #[test]
    fn a_request_that_changes_something_is_repeated_only_when_the_server_surely_did_not_execute_it() {
        let writes = RetryContext { may_repeat: false, ..context() };
        assert_eq!(decisions([unclear(None)], &writes), ["connection-lost"]);
        assert_eq!(decisions([not_sent(), lost()], &writes), ["resend after 1 s", "reopen 7"]);
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_tried_for_as_long_as_connecting_may_take() {
        let start = context();
        let mut attempts = Attempts::default();
        for (at, expected) in
            [(0, "resend after 1 s"), (1, "resend after 2 s"), (3, "resend after 4 s"), (7, "resend after 8 s")]
        {
            let context = RetryContext { now: start.now + at * SECOND, ..start };
            assert_eq!(short(&decide(&mut attempts, not_sent(), &context)), expected, "at {at} s");
        }
        let context = RetryContext { now: start.now + 15 * SECOND, ..start };
        assert_eq!(short(&decide(&mut attempts.clone(), not_sent(), &context)), "connect-failed");
        let listening = RetryContext { listens: true, ..context };
        assert_eq!(short(&decide(&mut attempts, not_sent(), &listening)), "resend after 8 s");
    }

    #[test]
    fn a_listening_stream_is_opened_again_as_often_as_it_breaks_and_under_its_own_id() {
        let silent = RetryContext { listens: true, noise: 0.0, ..context() };
        let waits = ["resend after 1 s", "resend after 2 s", "resend after 4 s", "resend after 8 s"];
        assert_eq!(decisions((0..4).map(|_| unclear(None)), &silent), waits);
        let busy = RetryContext { has_lived: true, ..silent };
        assert_eq!(decisions((0..9).map(|_| unclear(None)), &busy), ["resend after 1 s"; 9]);
        assert_eq!(decisions([unclear(Some(400 * SECOND))], &busy), ["resend after 120 s"]);
        assert_eq!(decisions([unclear(Some(Duration::ZERO))], &busy), ["resend after 1 s"]);
        assert_eq!(
            decisions((0..9).map(|_| unclear(None)), &silent).last().map(String::as_str),
            Some("resend after 60 s")
        );
    }

    #[test]
    fn a_list_is_answered_from_memory_when_the_server_is_out_of_reach_and_repeating_did_not_help() {
        let remembered = RetryContext { is_remembered: true, ..context() };
        assert_eq!(decisions([not_sent()], &remembered), ["memory"]);
        assert_eq!(decisions([explained(ProblemId::AnswerTimedOut)], &remembered), ["memory"]);
        assert_eq!(decisions([explained(ProblemId::Forbidden)], &remembered), ["forbidden"]);
        assert_eq!(decisions([sign_in()], &remembered), ["sign in"]);
        assert_eq!(
            decisions((0..4).map(|_| unclear(None)), &remembered),
            ["repeat after 1 s", "repeat after 2 s", "repeat after 4 s", "memory"]
        );
    }
}
