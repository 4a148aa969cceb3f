//! When a stream that ended is opened again. A server decides when its streams end and what it says about the next
//! attempt (`retry:`), so it is this side that bounds how often there is one.

use tokio::time::{Duration, Instant};

use crate::limits::{
    LONGEST_POLL_WAIT, LONGEST_REOPENING_WAIT, LONGEST_RESUMPTION_WAIT, MAX_RESUMPTIONS_WITHOUT_MESSAGE,
    SHORTEST_FIRST_RESUMPTION_WAIT, SHORTEST_REOPENING_WAIT, STREAM_LIFE,
};
use crate::message::{Kind, Peek, peek};
use crate::pacing::{Backoff, Reopening, noise, spread};

/// Before a listening stream is opened again.
pub const LISTENING_BACKOFF: Backoff = Backoff::new(SHORTEST_REOPENING_WAIT, LONGEST_REOPENING_WAIT);
/// Before the stream of a call is resumed.
const RESUMPTION_BACKOFF: Backoff = Backoff::new(SHORTEST_REOPENING_WAIT, LONGEST_RESUMPTION_WAIT);

/// The streams that follow each other in one place.
#[derive(Debug)]
pub(super) struct StreamLife {
    reopening: Reopening,
    /// How many in a row may be short and bring nothing.
    most_in_vain: u32,
    /// Whether a server that ends its streams may have this side ask again and again: by a `retry:` of a second or more.
    is_polled: bool,
    /// Whether none has ended yet.
    is_first: bool,
    /// Since when the present one is open; `None` while none is.
    open_since: Option<Instant>,
    /// Whether it has brought a message.
    has_brought: bool,
}

impl StreamLife {
    /// For the standing stream.
    pub(super) fn listening() -> Self {
        Self::new(LISTENING_BACKOFF, u32::MAX, false)
    }

    /// For the stream of a call.
    pub(super) fn answering() -> Self {
        Self::new(RESUMPTION_BACKOFF, MAX_RESUMPTIONS_WITHOUT_MESSAGE, true)
    }

    fn new(backoff: Backoff, most_in_vain: u32, is_polled: bool) -> Self {
        Self {
            reopening: Reopening::new(backoff),
            most_in_vain,
            is_polled,
            is_first: true,
            open_since: None,
            has_brought: false,
        }
    }

    /// A stream is open.
    pub(super) fn opened(&mut self) {
        (self.open_since, self.has_brought) = (Some(Instant::now()), false);
    }

    /// It has brought a message for the client.
    pub(super) fn brought_message(&mut self) {
        self.has_brought = true;
    }

    /// It has brought something; a priming event and what is no message for the client prove nothing.
    pub(super) fn received(&mut self, message: &[u8]) {
        self.has_brought = self.has_brought || is_message(message);
    }

    /// The stream has ended, or could not be opened. Returns how long to wait before the next attempt, if there is to be
    /// one; `asked` is the server's `retry:`.
    pub(super) fn ended(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let has_lasted = self.open_since.take().is_some_and(|since| since.elapsed() >= STREAM_LIFE);
        let has_lived = has_lasted || std::mem::take(&mut self.has_brought);
        let asked = asked.map(|asked| asked.min(LONGEST_REOPENING_WAIT));
        let noise = noise();
        let wait = self.reopening.after_end(has_lived, asked, noise);
        let is_first = std::mem::replace(&mut self.is_first, false);
        let wait = match asked {
            // Clients must keep to `retry:` ("Streamable HTTP", 2025-11-25). Once for each call, that costs little.
            Some(asked) if self.is_polled && is_first && asked >= SHORTEST_FIRST_RESUMPTION_WAIT => {
                spread(asked, Duration::MAX, noise)
            }
            // Who waits for an answer gets it when the server has promised to have looked.
            Some(asked) if self.is_polled && asked >= SHORTEST_REOPENING_WAIT => {
                wait.min(spread(asked.max(LONGEST_POLL_WAIT), Duration::MAX, noise))
            }
            _ => wait,
        };
        (self.reopening.short_lived() <= self.most_in_vain).then_some(wait)
    }
}

fn is_message(message: &[u8]) -> bool {
    match peek(message) {
        Ok(Peek::One(kind)) => matches!(kind, Kind::Notification { .. } | Kind::Request { .. }),
        Ok(Peek::Batch(members)) => !members.kept.is_empty(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_stream_has_lived_when_it_brought_a_message_or_stayed_open_for_a_while() {
        let note = br#"{"jsonrpc":"2.0","method":"notifications/message"}"#.as_slice();
        let stray = br#"{"jsonrpc":"2.0","id":77,"result":{}}"#.as_slice();
        let mut life = StreamLife::listening();
        for (open, brings, short_lived) in [
            (Some(Duration::ZERO), None, 1),
            (Some(Duration::ZERO), None, 2),
            (None, None, 3),
            (Some(SECOND), Some(b"priming".as_slice()), 4),
            (Some(SECOND), Some(stray), 5),
            (Some(SECOND), Some(note), 1),
            (Some(SECOND), None, 2),
            (Some(STREAM_LIFE), None, 1),
        ] {
            if let Some(open) = open {
                life.opened();
                tokio::time::advance(open).await;
            }
            if let Some(brings) = brings {
                life.received(brings);
            }
            life.ended(Some(Duration::ZERO));
            assert_eq!(life.reopening.short_lived(), short_lived, "{open:?} {brings:?}");
        }
    }

    /// How many streams there are in an hour at a server that ends each at once, after it has brought this.
    async fn streams_in_an_hour(mut life: StreamLife, retry: Option<Duration>, brings: Option<&[u8]>) -> u32 {
        let start = Instant::now();
        let mut streams = 0;
        while start.elapsed() < Duration::from_secs(3600) && streams < 100_000 {
            streams += 1;
            life.opened();
            if let Some(brings) = brings {
                life.received(brings);
            }
            let Some(wait) = life.ended(retry) else { break };
            assert!(wait >= SHORTEST_REOPENING_WAIT, "{wait:?}");
            tokio::time::sleep(wait).await;
        }
        streams
    }

    #[tokio::test(start_paused = true)]
    async fn a_standing_stream_that_ends_at_once_is_opened_ever_less_often_whatever_its_retry_says() {
        for retry in [None, Some(Duration::ZERO), Some(Duration::from_millis(1))] {
            for brings in [None, Some(b"priming".as_slice())] {
                let streams = streams_in_an_hour(StreamLife::listening(), retry, brings).await;
                assert!((55..70).contains(&streams), "{streams} {retry:?} {brings:?}");
            }
        }
        // Even a message each time is no reason to ask more than once in a second.
        let note = br#"{"jsonrpc":"2.0","method":"notifications/message"}"#;
        let streams = streams_in_an_hour(StreamLife::listening(), Some(Duration::ZERO), Some(note)).await;
        assert!(streams <= 3600, "{streams}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_s_stream_is_resumed_ever_less_often_while_it_brings_nothing_and_given_up_in_the_end() {
        let start = Instant::now();
        let streams = streams_in_an_hour(StreamLife::answering(), Some(Duration::ZERO), Some(b"")).await;
        assert_eq!(streams, MAX_RESUMPTIONS_WITHOUT_MESSAGE + 1);
        let minutes = start.elapsed().as_secs() / 60;
        assert!((20..40).contains(&minutes), "{minutes} min");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_s_stream_is_first_resumed_when_the_server_says_and_later_not_before_a_second() {
        let millis = Duration::from_millis;
        for (asked, first) in [(500, millis(500)), (200, millis(200)), (199, SECOND), (0, SECOND)] {
            let mut life = StreamLife::answering();
            for at_least in [first, SECOND, SECOND] {
                life.opened();
                life.brought_message();
                let wait = life.ended(Some(millis(asked))).expect("not too often yet");
                assert!((at_least..=at_least * 11 / 10).contains(&wait), "{asked} ms: {wait:?}");
            }
        }
        assert!(StreamLife::listening().ended(Some(millis(500))).expect("without end") >= SECOND);
    }

    /// By ending a stream with a `retry:`, a server makes its clients poll ("Streamable HTTP", 2025-11-25).
    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_polled_for_an_answer_is_asked_when_it_says_or_some_seconds_later() {
        for (asked, longest) in [(SECOND, LONGEST_POLL_WAIT), (20 * SECOND, 20 * SECOND)] {
            let mut life = StreamLife::answering();
            for _ in 0..20 {
                life.opened();
                let wait = life.ended(Some(asked)).expect("not too often yet");
                assert!((asked..=longest * 11 / 10).contains(&wait), "{wait:?}");
            }
        }
        let mut standing = StreamLife::listening();
        let waits = std::iter::repeat_with(|| standing.ended(Some(SECOND)).expect("without end")).take(10);
        assert!(waits.last().expect("ten") > LONGEST_POLL_WAIT * 2, "nobody waits for a standing stream");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_s_retry_makes_the_wait_longer_up_to_its_bound_and_never_shorter() {
        let mut life = StreamLife::answering();
        for (asked, at_least, at_most) in [
            (Some(Duration::ZERO), SECOND, 2 * SECOND),
            (Some(Duration::MAX), LONGEST_REOPENING_WAIT, LONGEST_REOPENING_WAIT * 11 / 10),
            (None, 4 * SECOND, 5 * SECOND),
        ] {
            let wait = life.ended(asked).expect("not too often yet");
            assert!((at_least..=at_most).contains(&wait), "{asked:?}: {wait:?}");
        }
    }
}
