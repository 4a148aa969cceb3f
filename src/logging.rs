//! Owns the log: one line per event, to stderr and to a file if one is set; never to stdout. How much may be written in a
//! minute is bounded ([`volume`]), whoever logs and whatever makes them log.
//!
//! Redaction ([`redact`]) and [`guarded`] are the last guard, not the first: no caller logs a secret, or a server's words as
//! they came. Here an event is one line of bounded length in which nothing hides, whatever its fields hold. Libraries are limited to warnings
//! except at the most verbose level, because their details are about bytes, not events.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::files::private;
use crate::limits::LOG_LINE_BYTES;
use crate::problem::{Problem, ProblemId};
use crate::secret::{visible, without_held_secrets};

mod cut_line;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod panics;
mod redact;
mod volume;

pub use panics::report_panics;
pub use redact::redact;

use cut_line::CutLine;
use volume::Volume;

/// The log of this process.
static LOG: OnceLock<Arc<Log>> = OnceLock::new();

/// Starts the log of this process, with everything up to `level`; a second call changes nothing.
///
/// # Errors [`ProblemId::LogFileFailed`].
pub fn start(level: Level, file: Option<&Path>) -> Result<(), Problem> {
    let file = file.map(open).transpose()?.flatten();
    let log = Arc::new(Log::new(Sinks { to_stderr: true, file }));
    // This fails only if the process already has a log.
    if subscriber(level, Arc::clone(&log)).try_init().is_ok() {
        let _ = LOG.set(log);
    }
    Ok(())
}

/// Sums up what the log has left out so far; called at the end of the process.
pub fn finish() {
    if let Some(log) = LOG.get() {
        log.sum_up();
    }
}

fn subscriber(level: Level, log: Arc<Log>) -> impl Subscriber + Send + Sync {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(Arc::clone(&log))
        .event_format(Bounded { format: Format::default(), log });
    tracing_subscriber::registry().with(layer).with(targets(level))
}

fn targets(level: Level) -> Targets {
    // Even at the most verbose, frames and headers (h2 prints both) stay out.
    let theirs = if level == Level::TRACE { Level::INFO } else { level.min(Level::WARN) };
    Targets::new().with_default(theirs).with_target("planhat_mcp", level)
}

/// The file at `path`; `None` for those that stand for no file, or for the stderr that the log goes to anyway.
fn open(path: &Path) -> Result<Option<File>, Problem> {
    if ["/dev/null", "/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"].iter().any(|name| path == Path::new(name)) {
        return Ok(None);
    }
    private::open_log(path)
        .map(Some)
        .map_err(|error| Problem::new(ProblemId::LogFileFailed).with("file", path.display()).with("detail", error))
}

/// Where the log goes, and how much of it has gone there.
#[derive(Debug)]
struct Log {
    volume: Mutex<Volume>,
    sinks: Sinks,
    /// Whether a thread waits for the end of the minute.
    is_awaited: AtomicBool,
}

/// stderr, and optionally a file.
#[derive(Debug)]
struct Sinks {
    to_stderr: bool,
    file: Option<File>,
}

impl io::Write for &Log {
    /// Writes to every sink, in one piece, so that lines of several processes do not mix.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        // A log that cannot be written (a closed stderr, a full disk) must not get in the way.
        if self.sinks.to_stderr {
            let _ = io::stderr().write_all(lines);
        }
        if let Some(mut file) = self.sinks.file.as_ref()
            && let Err(error) = file.write_all(lines)
        {
            static TELL: Once = Once::new();
            TELL.call_once(|| {
                let _ = writeln!(io::stderr(), "the log file cannot be written: {error}");
            });
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the log writes of an event: one line without the secrets that this process holds, and without what looks like one.
pub fn guarded(event: &str) -> String {
    let event = event.trim_end_matches('\n');
    // Both before, because it takes time to look through, and after, because what hides is longer when it is shown.
    let masked = without_held_secrets(up_to_bound(event));
    let shown = visible(&masked);
    let line = redact(up_to_bound(&shown));
    let more = if shown.len() > LOG_LINE_BYTES || event.len() > LOG_LINE_BYTES { "…" } else { "" };
    format!("{line}{more}\n")
}

fn up_to_bound(text: &str) -> &str {
    let end = (0..=LOG_LINE_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

impl Log {
    fn new(sinks: Sinks) -> Self {
        Self { volume: Mutex::default(), sinks, is_awaited: AtomicBool::new(false) }
    }

    /// Nothing is formatted while this is held: that could panic, and a panic is logged.
    fn volume(&self) -> MutexGuard<'_, Volume> {
        self.volume.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sum_up(&self) {
        let lines = with_time(self.volume().sum_up());
        let mut to = self;
        let _ = to.write_all(lines.as_bytes());
    }

    /// Sums up at the end of the minute, when no other line may come by then.
    fn sum_up_later(self: &Arc<Self>) {
        if self.is_awaited.swap(true, Ordering::AcqRel) {
            return;
        }
        let log = Arc::clone(self);
        let wait = move || {
            loop {
                let left = log.volume().left(Instant::now()).unwrap_or_default();
                if left == Duration::ZERO {
                    break;
                }
                std::thread::sleep(left);
            }
            log.is_awaited.store(false, Ordering::Release);
            log.sum_up();
        };
        // Without the thread, the next line or the end of the process sums up.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(wait);
    }
}

fn with_time(texts: Vec<String>) -> String {
    let mut lines = String::new();
    for text in texts {
        let _ = SystemTime.format_time(&mut Writer::new(&mut lines));
        let _ = writeln!(lines, " {text}");
    }
    lines
}

/// The usual one-line format, within the bounds of [`Volume`], then redacted.
#[derive(Debug)]
struct Bounded<F> {
    format: F,
    log: Arc<Log>,
}

impl<S, N, F> FormatEvent<S, N> for Bounded<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (kind, now) = (event.metadata(), Instant::now());
        let (summary, is_admitted) = {
            let mut volume = self.log.volume();
            let is_over = volume.left(now) == Some(Duration::ZERO);
            let summary = if is_over { volume.sum_up() } else { Vec::new() };
            (summary, volume.admits(kind, now))
        };
        to.write_str(&with_time(summary))?;
        if !is_admitted {
            self.log.sum_up_later();
            return Ok(());
        }
        let mut line = CutLine::new(LOG_LINE_BYTES);
        // What fails is a line that is too long.
        let _ = self.format.format_event(context, Writer::new(&mut line), event);
        let line = guarded(&line.finish());
        let without_time = line.split_once(' ').map_or("", |(_, rest)| rest);
        if self.log.volume().spend(kind, line.len(), without_time) {
            return to.write_str(&line);
        }
        self.log.sum_up_later();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(level: Level, events: impl FnOnce()) -> String {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log");
        let log = Arc::new(Log::new(Sinks { to_stderr: false, file: open(&path).expect("a new file") }));
        // The thread that sums up at the end of the minute is not needed here.
        log.is_awaited.store(true, Ordering::Release);
        tracing::subscriber::with_default(subscriber(level, Arc::clone(&log)), events);
        log.sum_up();
        std::fs::read_to_string(path).expect("UTF-8")
    }

    #[test]
    fn a_line_shows_no_secret_that_this_process_holds_whatever_its_shape() {
        let held = crate::secret::Secret::from("log-canary/1");
        let shown = logged(Level::INFO, || tracing::info!("went to /a/log-canary%2F1/b, for {}", held.expose()));
        assert!(shown.ends_with("went to /a/[redacted]/b, for [redacted]\n"), "{shown}");
    }

    #[test]
    fn what_is_left_out_is_summed_up_in_one_line_for_each_kind() {
        let shown = logged(Level::INFO, || {
            for n in 0..1_000 {
                tracing::warn!(n, "the server said access_token=canary");
            }
            tracing::info!("another kind");
        });
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), crate::limits::MAX_LOG_LINES_PER_KIND + 2, "{shown}");
        let last = lines.last().expect("some");
        assert!(last.contains("  WARN planhat_mcp::logging::tests: the server said access_token=[redacted]"), "{last}");
        assert!(last.ends_with("[and 980 more lines of this kind within a minute]"), "{last}");
        assert_eq!(
            last.split_once(' ').map(|(time, _)| time.len()),
            lines[0].split_once(' ').map(|(time, _)| time.len())
        );
    }

    #[test]
    fn a_long_line_is_cut_off_and_stays_one_line() {
        let shown = logged(Level::INFO, || tracing::warn!("{} {}", "x".repeat(10_000_000), "token=a ".repeat(1_000)));
        assert!(shown.len() < LOG_LINE_BYTES + 100 && shown.ends_with("x…\n"), "{} bytes", shown.len());
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
        let long = "å".repeat(3 * LOG_LINE_BYTES);
        let shown = logged(Level::TRACE, || {
            tracing::info!(field = hostile, display = %hostile, debug = ?hostile, "{hostile}");
            tracing::info!(%long, "much");
            tracing::info!("{long}");
            tracing::info!("{}", "\u{1b}".repeat(LOG_LINE_BYTES));
        });
        assert_eq!(shown.lines().count(), 4, "{shown}");
        let is_shown = |c: char| c == '\n' || visible(c.encode_utf8(&mut [0; 4])).chars().eq([c]);
        assert_eq!(shown.chars().find(|c| !is_shown(*c)), None, "{shown}");
        assert!(shown.contains(r"\u001b[2J") && shown.contains(r"\u202e"), "{shown}");
        assert!(shown.lines().all(|line| line.len() <= LOG_LINE_BYTES + '…'.len_utf8()));
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
    fn what_stands_for_no_file_is_no_reason_to_end() {
        for name in ["/dev/null", "/dev/stderr", "/proc/self/fd/2"] {
            assert!(open(Path::new(name)).expect("not an error").is_none(), "{name}");
        }
    }

    #[test]
    fn a_log_file_that_cannot_be_written_names_itself() {
        let problem = start(Level::INFO, Some(Path::new("/nonexistent/dir/log"))).expect_err("no such folder");
        assert_eq!((problem.id, problem.fact("file")), (ProblemId::LogFileFailed, Some("/nonexistent/dir/log")));
    }
}
