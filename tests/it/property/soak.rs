//! The same traffic against one bridge for a long time: nothing grows.

use std::time::{Duration, Instant};

use super::round::{Kind, Round};
use crate::watchdog::judge::MOST_KILOBYTES;

/// What a process holds.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    kilobytes: u64,
    descriptors: u64,
    threads: u64,
}

impl Held {
    fn by(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says it");
            line.trim_start_matches(':').split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
        };
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count() as u64;
        Self { kilobytes: number("VmRSS"), descriptors, threads: number("Threads") }
    }

    fn most(samples: &[Self]) -> Self {
        let most = |of: fn(&Self) -> u64| samples.iter().map(of).max().unwrap_or_default();
        Self { kilobytes: most(|h| h.kilobytes), descriptors: most(|h| h.descriptors), threads: most(|h| h.threads) }
    }
}

/// For a minute, or `SOAK_SECONDS`: `cargo test --test it soak -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute, or as long as SOAK_SECONDS says"]
fn soak() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    std::thread::scope(|scope| {
        for (kind, seed, attacks) in [
            (Kind::SignedIn, 1_000_000, Attacks::Played),
            (Kind::Stateless, 2_000_000, Attacks::Played),
            (Kind::Stateless, 3_000_000, Attacks::Spared),
        ] {
            scope.spawn(move || run(kind, seed, attacks, Duration::from_secs(seconds)));
        }
    });
}

/// Whether the server is hostile besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attacks {
    Played,
    Spared,
}

fn run(kind: Kind, seed: u64, attacks: Attacks, time: Duration) {
    let end = Instant::now() + time;
    let mut round = Round::start(seed, kind, false);
    // What is allocated for an attack goes back to the allocator, which may keep it for the next.
    // Some attacks hold connections and threads for a while, and chance decides how many do so at once; whatever stays behind
    // once in each round, however, is more than this from one of the compared quarters to the other.
    let (slack_kilobytes, slack_descriptors, slack_threads) = match attacks {
        Attacks::Played => (16 * 1_024, 12, 4),
        Attacks::Spared => (2_048, 8, 2),
    };
    if attacks == Attacks::Spared {
        round.spare_attacks();
    }
    let mut samples = Vec::new();
    while Instant::now() < end {
        round.traffic(30);
        round.check();
        round.next();
        samples.push(Held::by(round.client.pid()));
    }
    assert!(samples.len() >= 8, "{} rounds are too few to tell", samples.len());
    // The first quarter warms up.
    let quarter = samples.len() / 4;
    let (early, late) = (Held::most(&samples[quarter..2 * quarter]), Held::most(&samples[3 * quarter..]));
    let report = format!(
        "{kind:?}, attacks {attacks:?}: {} rounds in {time:?}; second quarter {early:?}, last quarter {late:?}",
        samples.len()
    );
    tell(&report);
    assert!(late.kilobytes <= early.kilobytes + early.kilobytes / 5 + slack_kilobytes, "memory grows: {report}");
    let most = Held::most(&samples).kilobytes;
    assert!(most < MOST_KILOBYTES, "{most} kB at the most: {report}");
    assert!(late.descriptors <= early.descriptors + slack_descriptors, "descriptors grow: {report}");
    assert!(late.threads <= early.threads + slack_threads, "threads grow: {report}");
    round.end();
}

/// The figures are worth reading also when all is well.
fn tell(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
