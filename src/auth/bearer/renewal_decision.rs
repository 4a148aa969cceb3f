//! Decides what to do about a token that was rejected or is about to expire: pure functions.

use crate::auth::bearer::cache::Current;
use crate::auth::grants::grant::{Grant, GrantKind};

/// What a renewal does, after re-reading the store under the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// A newer token already exists.
    Use,
    /// The user typed the token in, so it cannot be renewed.
    RejectTyped,
    /// Nothing renews it: somebody has to sign in.
    End(EndReason),
    /// Gets another token.
    Refresh,
    /// The same for a token that the server rejects long before it expires; limited.
    RefreshRejected,
}

/// Why nothing renews a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// It came without a refresh token.
    NoRefreshToken,
    /// The sign-in has ended before; what the server said about that was told then.
    EndedBefore,
    /// The server rejects what it has just issued.
    RejectsWhatItIssues,
}

impl EndReason {
    /// What there is to say of the server.
    pub(crate) fn words(self) -> Option<&'static str> {
        match self {
            EndReason::NoRefreshToken => Some("it issued no refresh token"),
            EndReason::EndedBefore => None,
            EndReason::RejectsWhatItIssues => Some("it rejects the tokens that it issues"),
        }
    }
}

/// What is known of the token in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RenewalFacts {
    /// The server accepts neither it nor its refresh token any more.
    pub(crate) is_ended: bool,
    /// It is newer than the rejected one.
    pub(crate) is_newer: bool,
    /// It has expired by the clock.
    pub(crate) has_expired: bool,
    /// It is due for renewal anyway, even without the rejection.
    pub(crate) is_due: bool,
    pub(crate) is_typed: bool,
    pub(crate) has_refresh_token: bool,
}

impl RenewalFacts {
    pub(crate) fn of(current: &Current, rejected: Option<u64>, now: u64) -> Self {
        let grant = &current.grant;
        Self {
            is_ended: current.is_ended,
            is_newer: rejected.is_none_or(|serial| current.bearer.serial > serial),
            has_expired: grant.ends_within(now, 0),
            is_due: grant.ends_within(now, grant.renewal_margin_seconds()),
            is_typed: grant.kind == GrantKind::Static,
            has_refresh_token: grant.refresh_token.is_some(),
        }
    }

    /// For a person's grant.
    pub(crate) fn decide(&self) -> Renewal {
        if self.is_newer && !self.is_ended && !self.has_expired {
            return Renewal::Use;
        }
        if self.is_typed {
            return Renewal::RejectTyped;
        }
        if self.is_ended {
            return Renewal::End(EndReason::EndedBefore);
        }
        if !self.has_refresh_token {
            return Renewal::End(EndReason::NoRefreshToken);
        }
        if self.is_due { Renewal::Refresh } else { Renewal::RefreshRejected }
    }

    /// For a client that gets tokens for itself, with or without one.
    pub(crate) fn decide_for_client(current: Option<&Self>) -> Renewal {
        match current {
            Some(current) if current.is_newer && !current.has_expired => Renewal::Use,
            Some(current) if !current.is_due => Renewal::RefreshRejected,
            Some(_) | None => Renewal::Refresh,
        }
    }
}

/// When to renew a token that was not rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenewalDue {
    /// Not yet, or never: without a refresh token the server decides whether it is still valid; our clock may be wrong.
    No,
    /// In the background: it is still valid for a little longer.
    Ahead,
    /// Before the request: it has expired.
    Now,
}

impl RenewalDue {
    /// `is_renewable`: whether another token can be obtained without a person.
    pub(crate) fn of(grant: &Grant, is_renewable: bool, now: u64) -> Self {
        if !is_renewable || !grant.ends_within(now, grant.renewal_margin_seconds()) {
            RenewalDue::No
        } else if grant.ends_within(now, 0) {
            RenewalDue::Now
        } else {
            RenewalDue::Ahead
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REJECTED: RenewalFacts = RenewalFacts {
        is_ended: false,
        is_newer: false,
        has_expired: false,
        is_due: false,
        is_typed: false,
        has_refresh_token: true,
    };
    const NEWER: RenewalFacts = RenewalFacts { is_newer: true, ..REJECTED };
    const EXPIRED: RenewalFacts = RenewalFacts { is_due: true, has_expired: true, ..REJECTED };

    #[test]
    fn a_token_is_renewed_only_when_there_is_no_newer_one_and_something_renews_it() {
        let no_refresh_token = Renewal::End(EndReason::NoRefreshToken);
        let ended_before = Renewal::End(EndReason::EndedBefore);
        for (facts, expected) in [
            (REJECTED, Renewal::RefreshRejected),
            (EXPIRED, Renewal::Refresh),
            (RenewalFacts { is_due: true, ..REJECTED }, Renewal::Refresh),
            (NEWER, Renewal::Use),
            (RenewalFacts { has_refresh_token: false, ..NEWER }, Renewal::Use),
            (RenewalFacts { is_typed: true, has_refresh_token: false, ..NEWER }, Renewal::Use),
            // Newer, and no good all the same.
            (RenewalFacts { is_newer: true, ..EXPIRED }, Renewal::Refresh),
            (RenewalFacts { is_ended: true, ..NEWER }, ended_before),
            (RenewalFacts { is_typed: true, has_refresh_token: false, ..REJECTED }, Renewal::RejectTyped),
            (RenewalFacts { has_refresh_token: false, ..REJECTED }, no_refresh_token),
            (RenewalFacts { has_refresh_token: false, ..EXPIRED }, no_refresh_token),
            (RenewalFacts { is_ended: true, ..EXPIRED }, ended_before),
        ] {
            assert_eq!(facts.decide(), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_client_gets_itself_a_token_whenever_there_is_no_newer_one() {
        for (facts, expected) in [
            (None, Renewal::Refresh),
            (Some(NEWER), Renewal::Use),
            (Some(REJECTED), Renewal::RefreshRejected),
            (Some(EXPIRED), Renewal::Refresh),
            (Some(RenewalFacts { is_newer: true, ..EXPIRED }), Renewal::Refresh),
        ] {
            assert_eq!(RenewalFacts::decide_for_client(facts.as_ref()), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_token_is_renewed_ahead_of_its_end_and_one_that_cannot_be_is_sent_to_the_end_and_beyond() {
        let grant = Grant { obtained_at: 1_000, expires_at: Some(4_600), ..crate::auth::grants::grant::example() };
        for (now, renewable, expected) in [
            (4_539, true, RenewalDue::No),
            (4_540, true, RenewalDue::Ahead),
            (4_599, true, RenewalDue::Ahead),
            (4_600, true, RenewalDue::Now),
            (4_600, false, RenewalDue::No),
        ] {
            assert_eq!(RenewalDue::of(&grant, renewable, now), expected, "{now} {renewable}");
        }
        let endless = Grant { expires_at: None, ..grant };
        assert_eq!(RenewalDue::of(&endless, true, u64::MAX), RenewalDue::No);
    }
}
