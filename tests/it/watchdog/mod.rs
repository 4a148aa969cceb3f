//! While somebody attacks, in whatever way of the sandbox's table, everything else goes on: other calls on the same bridge
//! are answered at once, memory, log and requests stay within bounds, and SIGTERM ends it.
//!
//! `cargo test` plays each attack for a moment and with a twentieth of the megabytes, and is generous with times, because
//! neither the build nor the machine is made for measuring. The strict figures are for the release build, with all there is
//! to an attack:
//!
//! ```sh
//! WATCHDOG_BIN=target/release/planhat-mcp cargo test --test it watchdog -- --ignored --nocapture
//! ```
//!
//! `WATCHDOG_ONLY=marks,get-401` plays these alone, in both.

mod from_client;
mod from_server;
pub mod judge;
mod watched;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use planhat_sandbox::attack::{ATTACKS, Strength};

use from_client::FLOODS;
use judge::Quiet;

/// How an attack is played and what must hold.
#[derive(Debug, Clone)]
pub struct Manner {
    /// The program; `None` is the one that these tests belong to.
    pub program: Option<PathBuf>,
    pub strength: Strength,
    /// How long each attack goes on.
    pub time: Duration,
    /// An innocent call is made once in this time, whether the one before was answered or not.
    pub tick: Duration,
    /// The 99th percentile of the times in which innocent calls are answered.
    pub answered_within: Duration,
    /// How many times the same figure of a bridge that nobody attacks, measured at the same time, is allowed as well: then
    /// it is the machine that is slow. `None` where nothing else runs.
    pub times_quiet: Option<u32>,
    /// SIGTERM ends it within this.
    pub ends_within: Duration,
    /// How many cases go beside each other.
    pub beside: usize,
}

impl Manner {
    /// What every build on every machine must hold.
    fn quick() -> Self {
        Self {
            program: None,
            strength: Strength::Short,
            time: Duration::from_millis(500),
            tick: Duration::from_millis(20),
            // Code without optimisation is about ten times slower, and other tests run beside these.
            answered_within: Duration::from_secs(2),
            times_quiet: Some(5),
            ends_within: Duration::from_secs(20),
            beside: 3,
        }
    }

    /// What is promised.
    fn strict(program: PathBuf) -> Self {
        Self {
            program: Some(program),
            strength: Strength::Full,
            time: Duration::from_millis(1_500),
            tick: Duration::from_millis(10),
            answered_within: Duration::from_millis(200),
            times_quiet: None,
            ends_within: Duration::from_secs(2),
            beside: 1,
        }
    }
}

#[test]
fn while_anybody_attacks_other_calls_are_answered_and_memory_log_and_requests_stay_bounded() {
    watch(&Manner::quick());
}

/// For about three minutes, with the figures that are promised.
#[test]
#[ignore = "takes minutes, and wants the release build in WATCHDOG_BIN"]
fn watchdog() {
    let program = std::env::var_os("WATCHDOG_BIN").expect("WATCHDOG_BIN names the release build");
    let program = std::fs::canonicalize(program).expect("WATCHDOG_BIN names a file");
    watch(&Manner::strict(program));
}

/// A case by its name, and what tells the figures or what did not hold.
type Case = (String, Box<dyn Fn(&Manner, &mut Quiet) -> Result<String, String> + Send + Sync>);

fn cases(strength: Strength) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for attack in ATTACKS {
        for era in attack.eras {
            let run = move |manner: &Manner, quiet: &mut Quiet| from_server::play(attack, *era, manner, quiet);
            cases.push((format!("{} ({era:?})", attack.name), Box::new(run)));
        }
    }
    for flood in FLOODS.iter().filter(|flood| strength == Strength::Full || !flood.takes_long) {
        for era in flood.eras {
            let run = move |manner: &Manner, quiet: &mut Quiet| from_client::play(flood, *era, manner, quiet);
            cases.push((format!("{} ({era:?})", flood.name), Box::new(run)));
        }
    }
    cases
}

/// Plays every case, and says of all of them what did not hold.
fn watch(manner: &Manner) {
    let only = std::env::var("WATCHDOG_ONLY").unwrap_or_default();
    let only: Vec<&str> = only.split(',').filter(|name| !name.is_empty()).collect();
    let chosen =
        |name: &str| only.is_empty() || only.iter().any(|one| name.starts_with(&format!("{one} ")) || *one == "all");
    let cases: Vec<Case> = cases(manner.strength).into_iter().filter(|(name, _)| chosen(name)).collect();
    let tells = manner.program.is_some() || !only.is_empty();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..manner.beside {
            scope.spawn(|| {
                let mut quiet = Quiet::start(manner);
                while let Some((name, play)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut once = || {
                        catch_unwind(AssertUnwindSafe(|| play(manner, &mut quiet))).unwrap_or_else(|reason| {
                            let text = reason.downcast_ref::<&str>().map(|text| (*text).to_owned());
                            Err(reason.downcast_ref::<String>().cloned().or(text).unwrap_or_default())
                        })
                    };
                    let mut outcome = once();
                    if outcome.is_err() && manner.program.is_none() {
                        // Of the few calls beside a short attack, one that the machine held up decides.
                        outcome = once();
                    }
                    match outcome {
                        Ok(figures) if tells => tell(&format!("  ok    {name}: {figures}")),
                        Ok(_) => {}
                        Err(wrong) => {
                            if tells {
                                tell(&format!("  FAIL  {name}: {wrong}"));
                            }
                            failed.lock().expect("no panic while held").push(format!("{name}: {wrong}"));
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic while held");
    assert!(!cases.is_empty(), "no attack has such a name: {only:?}");
    assert!(failed.is_empty(), "{} of {} do not hold:\n{}", failed.len(), cases.len(), failed.join("\n\n"));
}

/// The figures are worth reading also when all is well.
fn tell(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
