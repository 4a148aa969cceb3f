//! Owns how soon and how often something is retried: waits that grow ([`Backoff`], [`Reopening`]), and bounds on a rate
//! ([`RateWindow`], [`Allowance`]). All are pure: time and randomness are arguments.

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

/// When something that ended is opened again: after a wait that grows until one has lived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reopening {
    backoff: Backoff,
    /// How many in a row have ended without having lived; the last one counts even if it has.
    short_lived: u32,
}

impl Reopening {
    /// Nothing has ended yet.
    pub const fn new(backoff: Backoff) -> Self {
        Self { backoff, short_lived: 0 }
    }

    /// The wait after an end, with up to a tenth more as `noise` in 0..=1 chooses: at least as long as the other side
    /// asks, which can make it longer but not shorter.
    pub fn after_end(&mut self, has_lived: bool, asked: Option<Duration>, noise: f64) -> Duration {
        self.short_lived = if has_lived { 1 } else { self.short_lived.saturating_add(1) };
        let wait = self.backoff.ceiling(self.short_lived).max(asked.unwrap_or_default());
        spread(wait, Duration::MAX, noise)
    }

    /// How many in a row have ended without having lived; the first of them may have.
    pub fn short_lived(&self) -> u32 {
        self.short_lived
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

    /// How long from `now` until it has room: until the oldest event that fills it leaves the window. Zero when it has room.
    pub fn room_in(&self, now: Instant) -> Duration {
        let age = |at: &Instant| now.saturating_duration_since(*at);
        if self.events.iter().filter(|at| age(at) < self.length).count() < self.limit {
            return Duration::ZERO;
        }
        self.events.front().map_or(self.length, |oldest| self.length.saturating_sub(age(oldest)))
    }

    /// Forgets all events.
    pub fn clear(&mut self) {
        self.events.clear();
    }
}

/// So many events at once, and after that one in each interval. Within any time there are no more of them than `at_once`
/// and those of its intervals together.
#[derive(Debug, Clone)]
pub struct Allowance {
    at_once: u32,
    interval: Duration,
    /// When all of it will be there again; `None` before the first event.
    whole_at: Option<Instant>,
}

impl Allowance {
    /// All of it is there. `per_minute` says how fast it grows back.
    pub fn new(at_once: u32, per_minute: u32) -> Self {
        Self { at_once: at_once.max(1), interval: Duration::from_secs(60) / per_minute.max(1), whole_at: None }
    }

    /// Spends one, and returns how long to wait with it. Those who wait take their turns in this order.
    pub fn spend(&mut self, now: Instant) -> Duration {
        let wait = self.wait(now);
        self.whole_at = Some(self.whole_at.map_or(now, |at| at.max(now)) + self.interval);
        wait
    }

    /// Spends one if there is one now.
    pub fn try_spend(&mut self, now: Instant) -> bool {
        let has_one = self.wait(now).is_zero();
        if has_one {
            self.spend(now);
        }
        has_one
    }

    fn wait(&self, now: Instant) -> Duration {
        let lacking = self.whole_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        lacking.saturating_sub(self.interval * (self.at_once - 1))
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
            let now = start + at * SECOND;
            let room_in = window.room_in(now);
            assert_eq!(window.admit(now), admitted, "at {at} s");
            assert_eq!(room_in.is_zero(), admitted, "at {at} s");
            // The time when it has room is the same, whenever somebody asks.
            assert!(
                admitted || now + room_in == start + if at < 60 { 60 } else { 70 + 10 * u32::from(at > 70) } * SECOND
            );
        }
        window.clear();
        assert!(window.admit(start + 72 * SECOND));
        assert!(!RateWindow::new(0, SECOND).admit(start));
        assert_eq!(RateWindow::new(0, SECOND).room_in(start), SECOND);
    }

    #[test]
    fn the_wait_before_reopening_grows_until_one_has_lived_and_no_server_shortens_it() {
        let mut reopening = Reopening::new(Backoff::new(SECOND, 60 * SECOND));
        for (has_lived, asked, seconds) in [
            (true, None, 1),
            (false, None, 2),
            (false, Some(0), 4),
            (false, Some(5), 8),
            (false, Some(20), 20),
            (false, Some(0), 32),
            (false, None, 60),
            (false, Some(300), 300),
            (true, Some(0), 1),
            (true, Some(0), 1),
            (false, None, 2),
        ] {
            let wait = reopening.after_end(has_lived, asked.map(|asked| asked * SECOND), 0.0);
            assert_eq!(wait, seconds * SECOND, "{has_lived} {asked:?}");
        }
        assert_eq!(reopening.short_lived(), 2);
        assert_eq!(reopening.after_end(true, None, 1.0), SECOND * 11 / 10);
    }

    #[test]
    fn an_allowance_is_spent_at_once_and_grows_back_steadily() {
        let start = Instant::now();
        let mut allowance = Allowance::new(3, 30);
        let waits: Vec<u64> = (0..5).map(|_| allowance.spend(start).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 2, 4], "those who wait go one after the other");
        assert!(!allowance.try_spend(start + 5 * SECOND));
        assert!(allowance.try_spend(start + 6 * SECOND));
        assert!(!allowance.try_spend(start + 6 * SECOND), "asking in vain costs nothing");
        assert!(allowance.try_spend(start + 8 * SECOND));
        let later = start + 3600 * SECOND;
        assert_eq!((0..9).filter(|_| allowance.try_spend(later)).count(), 3, "and never to more than all of it");
    }

    #[test]
    fn noise_lies_between_nothing_and_all() {
        assert!((0..100).map(|_| noise()).all(|noise| (0.0..=1.0).contains(&noise)));
    }
}
