//! Random traffic under random faults: whatever happens, each request gets one answer, stdout holds whole messages alone,
//! what passes is not changed, and no write is executed twice.
//!
//! A run is told by its seed, which a failure prints; `PROPERTY_SEED=N` repeats it (the order in which things meet on the
//! network is not the seed's). `PROPERTY_SECONDS=N` looks for longer.

mod client;
mod dice;
mod round;
#[cfg(target_os = "linux")]
mod soak;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use round::{Kind, Round};

/// How many runs go beside each other: most of the time they wait.
const BESIDE: u64 = 6;
/// How many runs there are at least.
const LEAST: u64 = 12;

#[test]
fn whatever_happens_each_request_is_answered_once_and_no_write_is_repeated() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("PROPERTY_SEED") {
        return run(seed);
    }
    let end = Instant::now() + Duration::from_secs(number("PROPERTY_SECONDS").unwrap_or(4));
    let next = AtomicU64::new(1);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > LEAST && Instant::now() >= end {
                        return;
                    }
                    if let Err(reason) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
                        let reason = reason.downcast_ref::<String>().cloned().unwrap_or_default();
                        failed.lock().expect("no panic while held").push(format!("PROPERTY_SEED={seed}: {reason}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic while held");
    assert!(
        failed.is_empty(),
        "{} of {} runs failed:\n{}",
        failed.len(),
        next.into_inner() - BESIDE,
        failed.join("\n\n")
    );
}

/// One bridge, one round of traffic, and its end.
fn run(seed: u64) {
    let kind = match seed % 4 {
        0 => Kind::Stateless,
        1 => Kind::SignedIn,
        _ => Kind::Handshake,
    };
    let mut round = Round::start(seed, kind, true);
    round.traffic(40);
    round.check();
    round.check_payloads();
    round.end();
}
