//! How often a refresh token was presented without knowing what became of it. The server may have replaced it, and one
//! that detects reuse (RFC 9700, 4.14.2) takes a replaced one for stolen and revokes the sign-in. But most servers that
//! fail have not, and bear the same one once more; without any repetition each outage would cost a sign-in.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::grants::grant::Grant;
use crate::blocking;
use crate::limits::{LONGEST_PRESENTATION_PAUSE, SHORTEST_PRESENTATION_PAUSE};
use crate::pacing::Backoff;
use crate::store::{Note, StateDir};

/// The pauses after the repetition.
const PAUSES: Backoff = Backoff::new(SHORTEST_PRESENTATION_PAUSE, LONGEST_PRESENTATION_PAUSE);

/// The note, which all processes share: it is written before a token is presented, and taken back when the server surely
/// has not taken it. So it holds also for a process that is killed meanwhile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Presented {
    /// The id of the grant.
    grant: String,
    /// As [`Grant::renewals`]: each renewal has a token of its own, or makes sure that the old one is still good.
    renewals: u64,
    /// How many times it was presented.
    times: u32,
    /// The last time, in seconds since 1970.
    at: u64,
}

/// The note of the profile.
pub(crate) fn note(files: &StateDir) -> Note {
    files.note("presented.json")
}

impl Presented {
    /// What these notes say about the token of `grant`: the one that knows of more.
    pub(crate) fn of(grant: &Grant, notes: impl IntoIterator<Item = Self>) -> Self {
        let fits = |note: &Self| note.grant == grant.id && note.renewals == grant.renewals;
        let never = Self { grant: grant.id.clone(), renewals: grant.renewals, times: 0, at: 0 };
        notes.into_iter().filter(fits).max_by_key(|note| (note.times, note.at)).unwrap_or(never)
    }

    /// How long the token must not be presented, `now` being in seconds since 1970.
    ///
    /// The second time needs no pause; the third and every later one comes after a pause that doubles.
    pub(crate) fn pause(&self, now: u64) -> Duration {
        let pause = match self.times {
            0 | 1 => Duration::ZERO,
            times => PAUSES.ceiling(times - 1),
        };
        // A clock that was set back by more than the pause has nothing to say.
        pause.saturating_sub(Duration::from_secs(now.abs_diff(self.at)))
    }

    /// Whether it may be presented once more at once, after an unknown outcome.
    pub(crate) fn may_be_repeated(&self) -> bool {
        self.times <= 1
    }

    /// The note while it is presented once more.
    pub(crate) fn once_more(&self, now: u64) -> Self {
        Self { times: self.times.saturating_add(1), at: now, ..self.clone() }
    }
}

/// The note, and this process's copy in case that it cannot be written.
#[derive(Debug, Default)]
pub(crate) struct Presentations(Mutex<Presented>);

impl Presentations {
    /// How often the refresh token of `grant` was presented, by whatever process; the caller holds the token lock.
    pub(crate) async fn of(&self, files: &StateDir, grant: &Grant) -> Presented {
        let note = note(files);
        let noted = blocking::run(move || note.read()).await;
        let own = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Presented::of(grant, noted.into_iter().chain([own]))
    }

    /// Writes the note; the caller holds the token lock.
    pub(crate) async fn note(&self, files: &StateDir, presented: Presented) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&presented);
        let note = note(files);
        if let Err(problem) = blocking::run(move || note.write(&presented)).await {
            tracing::warn!(%problem, "other processes do not know that the refresh token is presented");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::grants::grant::example;

    #[test]
    fn a_token_of_unknown_fate_is_repeated_once_and_then_after_pauses_that_grow() {
        let (mut presented, mut now, mut pauses) = (Presented::of(&example(), []), 1_000_000, Vec::new());
        for _ in 0..9 {
            let pause = presented.pause(now);
            pauses.push(pause.as_secs());
            assert_eq!(presented.pause(now + pause.as_secs()), Duration::ZERO);
            now += pause.as_secs();
            presented = presented.once_more(now);
        }
        assert_eq!(pauses, [0, 0, 30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(presented.pause(now - 7_200), Duration::ZERO, "a clock that was set back");
        assert_eq!(presented.pause(now - 60).as_secs(), 540);
    }

    #[test]
    fn a_note_counts_for_the_token_that_it_is_about_and_the_one_that_knows_of_more_wins() {
        let grant = example();
        let once = Presented::of(&grant, []).once_more(7);
        let twice = once.once_more(8);
        assert_eq!(Presented::of(&grant, [once.clone(), twice.clone()]), twice);
        assert!(once.may_be_repeated() && !twice.may_be_repeated());
        let renewed = Grant { renewals: grant.renewals + 1, ..grant.clone() };
        let other = Grant { id: "another".to_owned(), ..grant };
        for other in [renewed, other] {
            assert_eq!(Presented::of(&other, [twice.clone()]).times, 0);
        }
    }
}
