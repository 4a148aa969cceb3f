//! Owns the log: one line per event, to stderr and to a file if one is set; never to stdout.
//!
//! Redaction ([`redact`]) and [`guarded`] are the last guard, not the first: no caller logs a secret, or a server's words as
//! they came. Here an event is one line of bounded length in which nothing hides, whatever its fields hold. Libraries are limited to warnings
//! except at the most verbose level, because their details are about bytes, not events.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Once;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::files::private;
use crate::limits::MAX_LINE_BYTES;
use crate::problem::{Problem, ProblemId};
use crate::secret::visible;

#[cfg(any(test, fuzzing))]
pub mod invariants;
mod redact;

pub use redact::redact;

/// Starts the log of this process, with everything up to `level`; a second call changes nothing.
pub fn start(level: Level, file: Option<&Path>) -> Result<(), Problem> {
    let file = file.map(open).transpose()?;
    let layer = tracing_subscriber::fmt::layer().event_format(Redacted(Format::default())).with_writer(Sinks { file });
    // This fails only if the process already has a log.
    let _ = tracing_subscriber::registry().with(layer).with(targets(level)).try_init();
    Ok(())
}

/// Sends panics through the log, and so through redaction, instead of straight to stderr.
///
/// A panic in a library's own thread (the callback listener's, when a browser resets at the wrong moment) is contained
/// there and does no harm; one in our code is a bug to report.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| (at.file(), at.line()));
        let payload = panic.payload();
        let text =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let what = text.unwrap_or("no message");
        match place {
            // Our own files have paths relative to the crate; those of libraries are absolute.
            Some((file, line)) if std::path::Path::new(file).is_relative() => {
                tracing::error!("internal fault at {file}:{line}: {what}");
            }
            _ => tracing::debug!("a library's fault, contained: {what}"),
        }
    }));
}

fn targets(level: Level) -> Targets {
    // Even at the most verbose, frames and headers (h2 prints both) stay out.
    let theirs = if level == Level::TRACE { Level::INFO } else { level.min(Level::WARN) };
    Targets::new().with_default(theirs).with_target("planhat_mcp", level)
}

fn open(path: &Path) -> Result<File, Problem> {
    private::open_log(path)
        .map_err(|error| Problem::new(ProblemId::LogFileFailed).with("file", path.display()).with("detail", error))
}

/// stderr, and optionally a file.
#[derive(Debug)]
struct Sinks {
    file: Option<File>,
}

/// Writes one event to every sink, in one piece, so that lines of several processes do not mix.
#[derive(Debug)]
struct SinkWriter<'a> {
    file: Option<&'a File>,
}

impl<'a> MakeWriter<'a> for Sinks {
    type Writer = SinkWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        SinkWriter { file: self.file.as_ref() }
    }
}

impl io::Write for SinkWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A log that cannot be written (a closed stderr, a full disk) must not get in the way.
        let _ = io::stderr().write_all(line);
        if let Some(mut file) = self.file
            && let Err(error) = file.write_all(line)
        {
            static TELL: Once = Once::new();
            TELL.call_once(|| {
                let _ = writeln!(io::stderr(), "the log file cannot be written: {error}");
            });
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the log writes of an event: one line without what looks like a secret.
pub fn guarded(event: &str) -> String {
    let event = event.trim_end_matches('\n');
    // Both before, because it takes time to look through, and after, because what hides is longer when it is shown.
    let shown = visible(up_to_bound(event));
    let line = redact(up_to_bound(&shown));
    let more = if shown.len() > MAX_LINE_BYTES || event.len() > MAX_LINE_BYTES { "…" } else { "" };
    format!("{line}{more}\n")
}

fn up_to_bound(text: &str) -> &str {
    let end = (0..=MAX_LINE_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// The usual one-line format, then guarded.
#[derive(Debug)]
struct Redacted<F>(F);

impl<S, N, F> FormatEvent<S, N> for Redacted<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        to.write_str(&guarded(&line))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Collects what would be written.
    #[derive(Debug, Clone, Default)]
    struct Collected(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Collected {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: Level, events: impl FnOnce()) -> String {
        let collected = Collected::default();
        let sink = collected.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Redacted(Format::default()))
            .with_writer(move || sink.clone());
        let subscriber = tracing_subscriber::registry().with(layer).with(targets(level));
        tracing::subscriber::with_default(subscriber, events);
        String::from_utf8(collected.0.lock().expect("no writer panics").clone()).expect("UTF-8")
    }

    #[test]
    fn a_secret_that_slipped_into_an_event_is_masked() {
        let shown = logged(Level::TRACE, || {
            tracing::info!(header = "Bearer canary-1", "sent client_secret=canary-2&grant_type=x");
        });
        assert!(shown.contains("grant_type=x") && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn a_line_of_the_log_is_one_line_and_bounded_whatever_its_fields_hold() {
        let hostile = "x\u{1b}[2J\u{9b}31m\u{202e}\u{200b}\r\n2026 ERROR forged\u{2028}\u{e0041}";
        let long = "å".repeat(3 * MAX_LINE_BYTES);
        let shown = logged(Level::TRACE, || {
            tracing::info!(field = hostile, display = %hostile, debug = ?hostile, "{hostile}");
            tracing::info!(%long, "much");
            tracing::info!("{long}");
            tracing::info!("{}", "\u{1b}".repeat(MAX_LINE_BYTES));
        });
        assert_eq!(shown.lines().count(), 4, "{shown}");
        let is_shown = |c: char| c == '\n' || visible(c.encode_utf8(&mut [0; 4])).chars().eq([c]);
        assert_eq!(shown.chars().find(|c| !is_shown(*c)), None, "{shown}");
        assert!(shown.contains(r"\u001b[2J") && shown.contains(r"\u202e"), "{shown}");
        assert!(shown.lines().all(|line| line.len() <= MAX_LINE_BYTES + '…'.len_utf8()));
    }

    #[test]
    fn a_level_that_is_not_asked_for_is_silent_and_libraries_are_quieter_than_we_are() {
        let events = || {
            tracing::debug!("ours in detail");
            tracing::info!(target: "hyper", "theirs in detail");
            tracing::warn!(target: "hyper", "their warning");
            tracing::debug!(target: "h2", "frame with headers");
        };
        let shown = logged(Level::DEBUG, events);
        assert!(shown.contains("ours in detail") && shown.contains("their warning"), "{shown}");
        assert!(!shown.contains("theirs in detail"), "{shown}");
        let shown = logged(Level::ERROR, events);
        assert_eq!(shown, "");
        let shown = logged(Level::TRACE, events);
        assert!(shown.contains("theirs in detail") && !shown.contains("frame"), "{shown}");
    }

    #[test]
    fn the_log_has_no_colors_because_clients_keep_it_in_files() {
        let shown = logged(Level::INFO, || tracing::warn!("plain"));
        assert!(!shown.contains('\u{1b}') && shown.ends_with("plain\n"), "{shown:?}");
    }

    #[test]
    fn a_log_file_that_cannot_be_written_names_itself() {
        let problem = start(Level::INFO, Some(Path::new("/nonexistent/dir/log"))).expect_err("no such folder");
        assert_eq!((problem.id, problem.fact("file")), (ProblemId::LogFileFailed, Some("/nonexistent/dir/log")));
    }
}
