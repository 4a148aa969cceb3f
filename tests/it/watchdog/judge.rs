//! What is measured while an attack goes on, and whether it is within its bounds.

use std::process::Command;
use std::time::{Duration, Instant};

use planhat_sandbox::Config;

use super::Manner;
use super::watched::Watched;
use crate::support::{PATIENCE, Setup};

/// The most that the program may hold whatever a server or a client does, in kB.
pub const MOST_KILOBYTES: u64 = 200 * 1024;
/// The most that it may log in a minute, in bytes.
const LOGGED_A_MINUTE_BYTES: f64 = 1_048_576.0;
/// What it may have logged before the first minute has begun, so to speak: some lines are written once.
const LOGGED_ONCE_BYTES: f64 = 32_768.0;
/// Answers that take longer than this are not waited for.
const GIVEN_UP: Duration = Duration::from_secs(20);

/// The same command for another program.
pub fn for_program(command: Command, manner: &Manner) -> Command {
    let Some(program) = &manner.program else { return command };
    let mut other = Command::new(program);
    other.args(command.get_args()).env_clear();
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        other.current_dir(folder);
    }
    other
}

/// A bridge that nobody attacks, to measure beside the one that is attacked.
pub struct Quiet {
    bridge: Watched,
    calls: Calls,
    _setup: Setup,
}

impl Quiet {
    pub fn start(manner: &Manner) -> Self {
        let setup = Setup::with_token(Config { record: false, ..Config::default() });
        let mut bridge = Watched::start(for_program(setup.command(), manner), setup.home.path(), false);
        bridge.open("2025-11-25", PATIENCE);
        Self { bridge, calls: Calls::default(), _setup: setup }
    }
}

/// Innocent calls, and when each was made.
#[derive(Default)]
struct Calls {
    made: Vec<(String, Instant)>,
    count: u64,
}

impl Calls {
    fn make(&mut self, bridge: &mut Watched) {
        self.count += 1;
        let id = format!("w-{}", self.count);
        bridge.call(&id, "echo", r#"{"w":1}"#);
        self.made.push((id, Instant::now()));
    }

    /// The times in which the calls so far were answered, the shortest first; those that were not answered count as if
    /// they were now. They are then forgotten.
    fn take_times(&mut self, bridge: &Watched) -> Times {
        let made = std::mem::take(&mut self.made);
        let ids: Vec<String> = made.iter().map(|(id, _)| id.clone()).collect();
        let all_answered = bridge.wait_answers(&ids, GIVEN_UP);
        let mut times = Times { all_answered, ..Times::default() };
        for (id, at) in made {
            let answer = bridge.answer(&id);
            times.sorted.push(answer.as_ref().map_or_else(|| at.elapsed(), |answer| answer.at - at));
            if let Some(answer) = answer.filter(|answer| !answer.head.contains(r#"{\"w\":1}"#)) {
                times.refused.get_or_insert(answer.head);
            }
        }
        times.sorted.sort();
        times
    }
}

/// How long answers took.
#[derive(Debug, Default)]
struct Times {
    sorted: Vec<Duration>,
    all_answered: bool,
    /// The first answer that is not what was asked for.
    refused: Option<String>,
}

impl Times {
    fn percentile_99(&self) -> Duration {
        let at = (self.sorted.len() * 99).div_ceil(100).saturating_sub(1);
        self.sorted.get(at).copied().unwrap_or_default()
    }
}

/// What an attack is watched with.
pub struct Watch<'a> {
    pub bridge: Watched,
    manner: &'a Manner,
    quiet: &'a mut Quiet,
    calls: Calls,
    started: Instant,
    wrong: Vec<String>,
    figures: Vec<String>,
}

impl<'a> Watch<'a> {
    pub fn new(bridge: Watched, manner: &'a Manner, quiet: &'a mut Quiet) -> Self {
        let started = Instant::now();
        Self { bridge, manner, quiet, calls: Calls::default(), started, wrong: Vec::new(), figures: Vec::new() }
    }

    /// Makes innocent calls for as long as an attack goes on; `attack` does its part once in each turn, and says whether it
    /// has been met: before that the time does not end.
    pub fn go_on(&mut self, mut attack: impl FnMut(&mut Watched, Duration) -> bool) {
        let begin = Instant::now();
        let mut next = begin;
        let mut met = false;
        while begin.elapsed() < self.manner.time || !met && begin.elapsed() < GIVEN_UP {
            met = attack(&mut self.bridge, begin.elapsed());
            self.calls.make(&mut self.bridge);
            self.quiet.calls.make(&mut self.quiet.bridge);
            next += self.manner.tick;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    /// How soon innocent calls were answered; `refusable` when a refusal is an answer, too.
    pub fn judge_times(&mut self, refusable: bool) {
        let quiet = self.quiet.calls.take_times(&self.quiet.bridge).percentile_99();
        let times = self.calls.take_times(&self.bridge);
        let (p99, most) = (times.percentile_99(), times.sorted.last().copied().unwrap_or_default());
        let strict = self.manner.answered_within;
        let limit = self.manner.times_quiet.map_or(strict, |times| strict.max(quiet * times));
        self.figures.push(format!(
            "p99 {} ms, longest {} ms of {}, quiet p99 {} ms",
            p99.as_millis(),
            most.as_millis(),
            times.sorted.len(),
            quiet.as_millis()
        ));
        if !times.all_answered {
            self.wrong.push("some calls were not answered at all".to_owned());
        }
        if p99 > limit {
            self.wrong.push(format!("answers took too long: the limit is {limit:?}"));
        }
        if let Some(refused) = times.refused.filter(|_| !refusable) {
            self.wrong.push(format!("an innocent call was refused: {refused}"));
        }
    }

    /// Whether something is at most this much.
    pub fn judge_most(&mut self, what: &str, is: u64, most: u64) {
        self.figures.push(format!("{is} {what}"));
        if is > most {
            self.wrong.push(format!("{is} {what}: {most} at most"));
        }
    }

    /// Memory, the log, what the client was asked, and what of `secrets` was written.
    pub fn judge_what_it_holds_and_writes(&mut self, secrets: &[String]) {
        self.judge_most("kB at the most", self.bridge.peak_kilobytes(), MOST_KILOBYTES);
        let minutes = self.started.elapsed().as_secs_f64() / 60.0;
        let allowed = (LOGGED_ONCE_BYTES + LOGGED_A_MINUTE_BYTES * minutes) as u64;
        let (errors, file) = self.bridge.logged_bytes();
        self.judge_most("bytes on stderr", errors, allowed);
        self.judge_most("bytes of log file", file, allowed);
        let log = self.bridge.whole_log();
        if secrets.iter().any(|secret| log.contains(secret)) {
            self.wrong.push("a secret is in the log".to_owned());
        }
        if let Some(at) = log.find(drives_a_terminal) {
            let line = log[..at].lines().last().unwrap_or_default();
            self.wrong.push(format!("the log has what drives a terminal, after {line:?}"));
        }
        let uninvited = self.bridge.uninvited();
        if let Some(method) = uninvited.first() {
            self.wrong.push(format!("{method} was passed to a client that has not declared it"));
        }
    }

    /// Ends it with SIGTERM while the attack goes on, and gives the figures, or what did not hold.
    pub fn end(mut self) -> Result<String, String> {
        match self.bridge.terminate(self.manner.ends_within) {
            None => self.wrong.push(format!("SIGTERM has not ended it within {:?}", self.manner.ends_within)),
            Some((time, _)) => self.figures.push(format!("ended within {} ms", time.as_millis())),
        }
        let took = self.started.elapsed().as_millis();
        let figures = format!("{}, {took} ms in all", self.figures.join(", "));
        if self.wrong.is_empty() {
            return Ok(figures);
        }
        let log = self.bridge.log();
        let end = log.lines().rev().take(5).map(|line| line.chars().take(300).collect::<String>());
        let end: Vec<String> = end.collect();
        Err(format!(
            "{}\n    figures: {figures}\n    the log ends with: {}",
            self.wrong.join("; "),
            end.join("\n      ")
        ))
    }
}

fn drives_a_terminal(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
