//! Runs the seeds of the fuzz targets as a test: each target has some, and each keeps its invariant.

use std::path::Path;

/// Panics when its invariant does not hold.
type Check = fn(&[u8]);

const TARGETS: &[(&str, Check)] = &[
    ("batch", crate::message::invariants::batch),
    ("callback", crate::auth::invariants::callback),
    ("challenge", crate::auth::invariants::challenge),
    ("config", crate::config::invariants::config),
    ("cookies", crate::http::invariants::cookies),
    ("id", crate::message::invariants::id),
    ("lines", crate::bridge::client::input::invariants::lines),
    ("marks", crate::remote::invariants::marks),
    ("mcp_headers", crate::remote::invariants::mcp_headers),
    ("message", crate::message::invariants::message),
    ("metadata", crate::auth::invariants::metadata),
    ("oversize", crate::message::invariants::oversize),
    ("redact", crate::logging::invariants::redacted),
    ("retry_after", crate::http::invariants::retry_after),
    ("server_words", crate::problem::invariants::server_words),
    ("sse", crate::remote::invariants::sse),
    ("token_answer", crate::auth::invariants::token_answer),
];

#[test]
fn every_seed_keeps_the_invariant_of_its_fuzz_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut files: Vec<_> =
        std::fs::read_dir(fuzz.join("fuzz_targets")).expect("readable").collect::<Result<_, _>>().expect("readable");
    files.sort_by_key(std::fs::DirEntry::file_name);
    let names: Vec<String> = files.iter().map(|file| file.file_name().to_string_lossy().replace(".rs", "")).collect();
    assert_eq!(names, TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (name, check) in TARGETS {
        let seeds = std::fs::read_dir(fuzz.join("seeds").join(name)).expect("each target has seeds");
        let mut count = 0;
        for seed in seeds {
            let bytes = std::fs::read(seed.expect("readable").path()).expect("readable");
            check(&bytes);
            // Also cut anywhere, as the fuzzer would try first.
            (0..bytes.len()).for_each(|end| check(&bytes[..end]));
            count += 1;
        }
        assert!(count > 0, "{name} has no seeds");
    }
}
