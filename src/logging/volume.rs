//! Owns how much is written to the log in a minute, whatever happens: so many lines of one kind, so many bytes of one level.
//! The rest is counted, and summed up in one line for each kind. Pure: the time is an argument.
//!
//! A kind is a place in the source, so no caller has to think of it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Level, Metadata};

use crate::limits::{
    LOG_DETAIL_LEVEL_BYTES, LOG_LEVEL_BYTES, LOG_SAMPLE_BYTES, MAX_LOG_DETAIL_LINES_PER_KIND, MAX_LOG_LINES_PER_KIND,
};

/// The time that the bounds are about.
const MINUTE: Duration = Duration::from_secs(60);

/// How much has been written since the minute began.
#[derive(Debug, Default)]
pub struct Volume {
    /// When the minute began; `None` before the first line.
    since: Option<Instant>,
    kinds: HashMap<Identifier, Kind>,
    /// The bytes of each level.
    bytes: HashMap<Level, usize>,
}

/// The lines of one place in the source.
#[derive(Debug)]
struct Kind {
    place: &'static Metadata<'static>,
    written: usize,
    left_out: u64,
    /// The start of the line that was last written, without its time.
    sample: String,
}

impl Kind {
    fn of(place: &'static Metadata<'static>) -> Self {
        Self { place, written: 0, left_out: 0, sample: String::new() }
    }

    /// What stands for the lines that were left out.
    fn summary(&self) -> String {
        let (level, target) = (self.place.level(), self.place.target());
        let sample = if self.sample.is_empty() { format!("{level:>5} {target}:") } else { self.sample.clone() };
        format!("{sample} [and {} more lines of this kind within a minute]", self.left_out)
    }
}

impl Volume {
    /// Whether a line of this kind may be written now. One that may not is counted.
    pub fn admits(&mut self, line: &'static Metadata<'static>, now: Instant) -> bool {
        self.since.get_or_insert(now);
        let (lines, bytes) = bounds(*line.level());
        let has_bytes = self.bytes.get(line.level()).is_none_or(|spent| *spent < bytes);
        let kind = self.kinds.entry(line.callsite()).or_insert_with(|| Kind::of(line));
        let is_admitted = has_bytes && kind.written < lines;
        if is_admitted {
            kind.written += 1;
        } else {
            kind.left_out += 1;
        }
        is_admitted
    }

    /// Accounts for a line that was admitted, now that its length is known; `false` when it must not be written after
    /// all. `without_time` is the line as people recognise it.
    pub fn spend(&mut self, line: &'static Metadata<'static>, bytes: usize, without_time: &str) -> bool {
        let (_, most) = bounds(*line.level());
        let spent = self.bytes.entry(*line.level()).or_default();
        let kind = self.kinds.entry(line.callsite()).or_insert_with(|| Kind::of(line));
        if *spent + bytes > most {
            // So that shorter lines do not come out of their order later.
            *spent = most;
            kind.left_out += 1;
            return false;
        }
        *spent += bytes;
        let end = (0..=LOG_SAMPLE_BYTES.min(without_time.len())).rev().find(|at| without_time.is_char_boundary(*at));
        kind.sample.clear();
        kind.sample.push_str(without_time[..end.unwrap_or(0)].trim_end());
        true
    }

    /// How much is left of the minute, if one has begun.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        Some(MINUTE.saturating_sub(now.saturating_duration_since(self.since?)))
    }

    /// Ends the minute, and returns a text for each kind of which lines were left out, without the time.
    pub fn sum_up(&mut self) -> Vec<String> {
        self.since = None;
        self.bytes.clear();
        let kinds = self.kinds.drain().map(|(_, kind)| kind);
        let mut texts: Vec<_> = kinds.filter(|kind| kind.left_out > 0).map(|kind| kind.summary()).collect();
        texts.sort();
        texts
    }
}

/// How many lines of one kind, and how many bytes of all kinds, a level may have in a minute.
fn bounds(level: Level) -> (usize, usize) {
    if level <= Level::INFO {
        (MAX_LOG_LINES_PER_KIND, LOG_LEVEL_BYTES)
    } else {
        (MAX_LOG_DETAIL_LINES_PER_KIND, LOG_DETAIL_LEVEL_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use tracing::field::FieldSet;
    use tracing::metadata::Kind as MetadataKind;

    use super::*;

    /// A place in the source that logs.
    struct Place(Metadata<'static>);

    impl tracing::Callsite for Place {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            &self.0
        }
    }

    macro_rules! place {
        ($level:expr) => {{
            static PLACE: Place = Place(Metadata::new(
                "event",
                "planhat_mcp::place",
                $level,
                None,
                None,
                None,
                FieldSet::new(&[], Identifier(&PLACE)),
                MetadataKind::EVENT,
            ));
            &PLACE.0
        }};
    }

    /// How many of `count` lines of `bytes` bytes are written.
    fn written(
        volume: &mut Volume,
        line: &'static Metadata<'static>,
        now: Instant,
        (count, bytes): (usize, usize),
    ) -> usize {
        let text = "x".repeat(bytes);
        (0..count).filter(|_| volume.admits(line, now) && volume.spend(line, bytes, &text)).count()
    }

    #[test]
    fn so_many_lines_of_a_kind_and_bytes_of_a_level_are_written_in_a_minute_and_the_rest_is_counted() {
        let (stray, other, detail) = (place!(Level::WARN), place!(Level::WARN), place!(Level::DEBUG));
        let (mut volume, start) = (Volume::default(), Instant::now());
        assert_eq!(volume.left(start), None);
        assert_eq!(written(&mut volume, stray, start, (10_000, 10)), MAX_LOG_LINES_PER_KIND);
        assert_eq!(written(&mut volume, other, start, (1, 10)), 1, "of another kind");
        assert_eq!(written(&mut volume, detail, start, (10_000, 10)), MAX_LOG_DETAIL_LINES_PER_KIND);
        let later = start + MINUTE / 4;
        assert_eq!(volume.left(later), Some(MINUTE * 3 / 4));
        assert_eq!(written(&mut volume, stray, later, (1, 10)), 0, "in the same minute");
        assert_eq!(volume.left(start + 2 * MINUTE), Some(Duration::ZERO));
        let left_out =
            |kind: usize, count| format!("xxxxxxxxxx [and {} more lines of this kind within a minute]", count - kind);
        assert_eq!(
            volume.sum_up(),
            [left_out(MAX_LOG_DETAIL_LINES_PER_KIND, 10_000), left_out(MAX_LOG_LINES_PER_KIND, 10_001)]
        );
        assert_eq!(volume.sum_up(), [""; 0], "said once");
        assert_eq!(written(&mut volume, stray, start + 2 * MINUTE, (1, 10)), 1, "in the next minute");
    }

    #[test]
    fn long_lines_of_many_kinds_fill_their_own_level_and_no_other() {
        let kinds = [
            place!(Level::INFO),
            place!(Level::INFO),
            place!(Level::INFO),
            place!(Level::INFO),
            place!(Level::INFO),
            place!(Level::INFO),
            place!(Level::INFO),
            place!(Level::INFO),
        ];
        let (mut volume, now) = (Volume::default(), Instant::now());
        let longest = crate::limits::LOG_LINE_BYTES;
        let lines: usize = kinds.iter().map(|kind| written(&mut volume, kind, now, (1_000, longest))).sum();
        assert_eq!(lines, LOG_LEVEL_BYTES / longest);
        assert_eq!(written(&mut volume, place!(Level::ERROR), now, (1, longest)), 1, "an error is not drowned out");
        let texts = volume.sum_up();
        assert_eq!(texts.len(), kinds.len());
        assert!(texts.iter().all(|text| text.len() < LOG_SAMPLE_BYTES + 100), "{texts:?}");
        assert!(texts.iter().any(|text| text.starts_with(" INFO planhat_mcp::place: [and 1000 more")), "{texts:?}");
    }
}
