//! Owns how soon and how often something is retried: waits that grow ([`Backoff`]), and bounds on a rate
//! ([`RateWindow`]). Both are pure: time and randomness are arguments.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The shortest wait after jitter: less would be no wait at all.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Waits that double with each attempt, up to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// At most `first` after the first attempt, and never more than `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The longest wait after attempt `attempt` (the first is 1); the wait itself, where jitter is not needed.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }

    /// The wait after attempt `attempt` with full jitter, so that many clients do not all return at once: a random part of
    /// the ceiling, chosen by `noise` in 0..=1.
    pub fn wait(&self, attempt: u32, noise: f64) -> Duration {
        let ceiling = self.ceiling(attempt);
        ceiling.mul_f64(unit(noise)).max(SHORTEST_WAIT.min(ceiling))
    }
}

/// `wait` plus up to a tenth of it, at most `most`: for waits that jitter must not shorten. `noise` in 0..=1 chooses
/// how much.
pub fn spread(wait: Duration, most: Duration, noise: f64) -> Duration {
    wait.saturating_add((wait / 10).mul_f64(unit(noise)).min(most))
}

/// A random number in 0..=1 for jitter; nothing secret depends on it.
pub fn noise() -> f64 {
    // Without randomness the waits are correct, just not spread.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}

fn unit(noise: f64) -> f64 {
    // `clamp` lets NaN through.
    if noise.is_nan() { 1.0 } else { noise.clamp(0.0, 1.0) }
}

/// At most so many events within any window of this length.
#[derive(Debug, Clone)]
pub struct RateWindow {
    limit: usize,
    length: Duration,
    /// The events of the last `length`, oldest first; never more than `limit`.
    events: VecDeque<Instant>,
}

impl RateWindow {
    /// No event so far.
    pub const fn new(limit: usize, length: Duration) -> Self {
        Self { limit, length, events: VecDeque::new() }
    }

    /// Counts an event at `now`; `false`, without counting it, when the window is full.
    pub fn admit(&mut self, now: Instant) -> bool {
        while self.events.front().is_some_and(|at| now.saturating_duration_since(*at) >= self.length) {
            self.events.pop_front();
        }
        let has_room = self.events.len() < self.limit;
        if has_room {
            self.events.push_back(now);
        }
        has_room
    }

    /// Forgets all events.
    pub fn clear(&mut self) {
        self.events.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_wait_doubles_up_to_its_bound_and_jitter_chooses_a_part_of_it() {
        let backoff = Backoff::new(SECOND, 30 * SECOND);
        for (attempt, noise, wait) in [
            (0, 1.0, SECOND),
            (1, 1.0, SECOND),
            (2, 1.0, 2 * SECOND),
            (3, 1.0, 4 * SECOND),
            (3, 0.5, 2 * SECOND),
            (5, 1.0, 16 * SECOND),
            (6, 1.0, 30 * SECOND),
            (u32::MAX, 1.0, 30 * SECOND),
            (u32::MAX, 0.5, 15 * SECOND),
            (1, 0.0, SHORTEST_WAIT),
            (u32::MAX, -1.0, SHORTEST_WAIT),
            (2, 7.0, 2 * SECOND),
            (2, f64::NAN, 2 * SECOND),
        ] {
            assert_eq!(backoff.wait(attempt, noise), wait, "{attempt} {noise}");
        }
        assert_eq!(backoff.ceiling(3), 4 * SECOND);
        let short = Backoff::new(Duration::from_millis(5), SECOND);
        assert_eq!(short.wait(1, 0.0), Duration::from_millis(5), "never longer than its own ceiling");
        assert_eq!(Backoff::new(Duration::MAX, Duration::MAX).ceiling(9), Duration::MAX);
    }

    #[test]
    fn a_spread_wait_is_never_shorter_than_it_was_asked_to_be_and_little_longer() {
        for (wait, most, noise, spread_wait) in [
            (10 * SECOND, SECOND, 0.0, 10 * SECOND),
            (10 * SECOND, SECOND, 1.0, 11 * SECOND),
            (10 * SECOND, SECOND / 2, 1.0, 10 * SECOND + SECOND / 2),
            (Duration::ZERO, SECOND, 1.0, Duration::ZERO),
            (Duration::MAX, SECOND, 1.0, Duration::MAX),
        ] {
            assert_eq!(spread(wait, most, noise), spread_wait, "{wait:?} {most:?} {noise}");
        }
    }

    #[test]
    fn no_window_holds_more_events_than_its_limit() {
        let start = Instant::now();
        let mut window = RateWindow::new(3, 60 * SECOND);
        for (at, admitted) in [
            (0, true),
            (10, true),
            (20, true),
            (30, false),
            (59, false),
            (60, true),
            (69, false),
            (70, true),
            (71, false),
        ] {
            assert_eq!(window.admit(start + at * SECOND), admitted, "at {at} s");
        }
        window.clear();
        assert!(window.admit(start + 72 * SECOND));
        assert!(!RateWindow::new(0, SECOND).admit(start));
    }

    #[test]
    fn noise_lies_between_nothing_and_all() {
        assert!((0..100).map(|_| noise()).all(|noise| (0.0..=1.0).contains(&noise)));
    }
}
