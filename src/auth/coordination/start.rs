//! Decides, as a pure function, when a sign-in may start without a command, and explains a refusal.

use std::time::Duration;

use crate::auth::login::browser;
use crate::auth::login::sign_in_page::PageOpening;
use crate::config::SignInPolicy;
use crate::problem::{Problem, ProblemId};

/// Why a sign-in starts; nothing else may start one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInReason {
    /// The client requested the list of tools for the first time.
    FirstList,
    /// A call needs it.
    Call,
    /// The user asked for it: overrides the pause after a failure.
    UserAsked,
}

impl SignInReason {
    /// How the user gets to the page. A list cannot carry a link.
    pub(crate) fn page_opening(self) -> PageOpening {
        if browser::is_expected() || self == SignInReason::FirstList { PageOpening::Browser } else { PageOpening::Link }
    }
}

/// The facts when a sign-in is requested and none is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StartFacts {
    pub(crate) reason: SignInReason,
    pub(crate) opening: PageOpening,
    pub(crate) policy: SignInPolicy,
    /// The last sign-in succeeded, but the server rejects its tokens.
    pub(crate) is_rejected_afresh: bool,
    /// The rest of the pause after the last failed sign-in of any process.
    pub(crate) recorded_pause: Option<Duration>,
    /// The rest of the pause after this process's last failed sign-in.
    pub(crate) own_pause: Option<Duration>,
    /// Whether a browser can be expected to open here.
    pub(crate) has_browser: bool,
    /// Whether the budget of tabs is spent.
    pub(crate) are_tabs_shut: bool,
}

/// Why no sign-in starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartRefusal {
    /// Only the user may start one.
    Manual,
    /// It would end like the last one.
    RejectedAfresh,
    /// One has failed recently, in any process.
    RecordedPause(Duration),
    /// The same, in this process.
    OwnPause(Duration),
    /// There is no browser to open.
    NoBrowser,
    /// No tab opens for now, and nobody would see the link.
    TabsShut,
}

impl StartFacts {
    /// How the user gets to the page of the sign-in that may start.
    ///
    /// While no tab may open, the page is for those who open its link, and the user's wish starts no sign-in soon after one
    /// that failed: it may be a program that wishes, again and again, and each sign-in is a process.
    pub(crate) fn decide(&self) -> Result<PageOpening, StartRefusal> {
        let user_asked = self.reason == SignInReason::UserAsked;
        if !user_asked && self.policy == SignInPolicy::Manual {
            return Err(StartRefusal::Manual);
        }
        if !user_asked || self.are_tabs_shut {
            if self.is_rejected_afresh {
                return Err(StartRefusal::RejectedAfresh);
            }
            if let Some(left) = self.recorded_pause {
                return Err(StartRefusal::RecordedPause(left));
            }
            if let Some(left) = self.own_pause {
                return Err(StartRefusal::OwnPause(left));
            }
        }
        match (self.are_tabs_shut, self.reason) {
            (true, SignInReason::FirstList) => Err(StartRefusal::TabsShut),
            (true, SignInReason::Call | SignInReason::UserAsked) => Ok(PageOpening::Link),
            (false, _) if self.opening == PageOpening::Browser && !self.has_browser => Err(StartRefusal::NoBrowser),
            (false, _) => Ok(self.opening),
        }
    }
}

/// Why no sign-in starts automatically for now, and what was wrong with the last one: otherwise nobody would ever fix
/// it.
pub(crate) fn cool_down(left: Duration, failure: Option<&Problem>) -> Problem {
    let problem = Problem::new(ProblemId::SignInCoolDown).with("minutes", left.as_secs().div_ceil(60).max(1));
    match failure {
        Some(failure) if failure.id.is_fixed_by_settings() => failure.clone(),
        // Its advice is to sign in again, which the cool-down's own advice says.
        Some(failure) if failure.id == ProblemId::SignInStopped => problem.with("detail", failure.what()),
        Some(failure) => problem.with("detail", failure.what()).with("advice", failure.model_line()),
        None => problem,
    }
}

/// Why no tab opens, to a user who asks for a sign-in that does not start for another reason: what was wrong with the last
/// one, and when the next may start.
pub(crate) fn shut_after(shut: Problem, refusal: &Problem) -> Problem {
    let reason = match refusal.id {
        ProblemId::SignInCoolDown => refusal.fact("detail").map(str::to_owned),
        _ => Some(refusal.what()),
    };
    let shut = match reason {
        Some(reason) => shut.with("advice", reason.trim_end_matches('.')),
        None => shut,
    };
    match refusal.fact("minutes") {
        Some(minutes) if refusal.id == ProblemId::SignInCoolDown => shut.with("minutes", minutes),
        _ => shut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: StartFacts = StartFacts {
        reason: SignInReason::Call,
        opening: PageOpening::Browser,
        policy: SignInPolicy::Auto,
        is_rejected_afresh: false,
        recorded_pause: None,
        own_pause: None,
        has_browser: true,
        are_tabs_shut: false,
    };

    #[test]
    fn a_sign_in_starts_for_a_reason_and_not_soon_after_one_that_failed_and_the_user_s_wish_is_stronger() {
        let minute = Some(Duration::from_secs(60));
        let (tab, by_link) = (Ok(PageOpening::Browser), Ok(PageOpening::Link));
        let second = Some(Duration::from_secs(1));
        for (facts, alone, asked) in [
            (CALL, tab, tab),
            (StartFacts { reason: SignInReason::FirstList, ..CALL }, tab, tab),
            (StartFacts { policy: SignInPolicy::Manual, ..CALL }, Err(StartRefusal::Manual), tab),
            (StartFacts { is_rejected_afresh: true, ..CALL }, Err(StartRefusal::RejectedAfresh), tab),
            (
                StartFacts { recorded_pause: minute, own_pause: second, ..CALL },
                Err(StartRefusal::RecordedPause(Duration::from_secs(60))),
                tab,
            ),
            (StartFacts { own_pause: second, ..CALL }, Err(StartRefusal::OwnPause(Duration::from_secs(1))), tab),
            // Nobody can wish for a browser that there is not.
            (StartFacts { has_browser: false, ..CALL }, Err(StartRefusal::NoBrowser), Err(StartRefusal::NoBrowser)),
            (StartFacts { has_browser: false, opening: PageOpening::Link, ..CALL }, by_link, by_link),
        ] {
            assert_eq!(facts.decide(), alone, "{facts:?}");
            assert_eq!(StartFacts { reason: SignInReason::UserAsked, ..facts }.decide(), asked, "{facts:?}");
        }
    }

    #[test]
    fn while_no_tab_may_open_a_sign_in_starts_for_its_link_alone_and_no_wish_starts_one_that_would_fail() {
        let shut = StartFacts { are_tabs_shut: true, has_browser: false, ..CALL };
        let minute = Duration::from_secs(60);
        let by_link = Ok(PageOpening::Link);
        for (facts, alone, asked) in [
            (shut, by_link, by_link),
            (StartFacts { policy: SignInPolicy::Manual, ..shut }, Err(StartRefusal::Manual), by_link),
            (
                StartFacts { is_rejected_afresh: true, ..shut },
                Err(StartRefusal::RejectedAfresh),
                Err(StartRefusal::RejectedAfresh),
            ),
            (
                StartFacts { recorded_pause: Some(minute), ..shut },
                Err(StartRefusal::RecordedPause(minute)),
                Err(StartRefusal::RecordedPause(minute)),
            ),
            (
                StartFacts { own_pause: Some(minute), ..shut },
                Err(StartRefusal::OwnPause(minute)),
                Err(StartRefusal::OwnPause(minute)),
            ),
        ] {
            assert_eq!(facts.decide(), alone, "{facts:?}");
            assert_eq!(StartFacts { reason: SignInReason::UserAsked, ..facts }.decide(), asked, "{facts:?}");
        }
        let list = StartFacts { reason: SignInReason::FirstList, ..shut };
        assert_eq!(list.decide(), Err(StartRefusal::TabsShut), "a list carries no link");
    }

    #[test]
    fn a_user_whose_sign_in_has_to_wait_hears_once_what_was_wrong_and_when_the_next_may_start() {
        let shut = || Problem::new(ProblemId::TooManyTabs).with("until", "08:49:37 UTC");
        let denied = Problem::new(ProblemId::AccessDenied);
        let words = shut_after(shut(), &cool_down(Duration::from_secs(61), Some(&denied))).model_line();
        assert!(words.contains("last sign-in: Access was not granted. Ask"), "{words}");
        assert!(
            words.contains("In 2 min, planhat_sign_in gives a link again, but it opens no tab before 08:49"),
            "{words}"
        );
        assert_eq!(words.matches("did not succeed").count(), 0, "{words}");
        let words = shut_after(shut(), &cool_down(Duration::from_secs(61), None)).model_line();
        assert!(!words.contains("last sign-in") && words.contains("In 2 min"), "{words}");
        let words = shut_after(shut(), &Problem::new(ProblemId::TokenRejected)).model_line();
        assert!(
            words.contains("last sign-in: ") && words.contains("Calling planhat_sign_in again opens no"),
            "{words}"
        );
    }

    #[test]
    fn a_pause_says_what_was_wrong_and_a_fault_of_the_settings_is_told_as_it_is() {
        let left = Duration::from_secs(61);
        assert_eq!(cool_down(left, None).fact("minutes"), Some("2"));
        let denied = cool_down(left, Some(&Problem::new(ProblemId::AccessDenied)));
        assert!(denied.id == ProblemId::SignInCoolDown && denied.fact("advice").is_some());
        let stopped = cool_down(left, Some(&Problem::new(ProblemId::SignInStopped)));
        assert!(stopped.fact("detail").is_some() && stopped.fact("advice").is_none());
        let port = Problem::new(ProblemId::PortInUse).with("port", 7526);
        assert_eq!(cool_down(left, Some(&port)), port);
    }
}
