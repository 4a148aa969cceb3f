//! Invariants of every configuration file; the fuzz target `config` looks for a file that breaks one.

use std::path::Path;

use super::file;
use super::origin::Origin;

/// The parser accepts a file or gives a reason; each value has a position within the file, and none is a secret.
pub fn config(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let lines = text.matches('\n').count() + 1;
    match file::parse(Path::new("/config.toml"), text) {
        Ok(file) => {
            for raw in file.common.iter().chain(file.profiles.iter().flat_map(|(_, keys)| keys)) {
                assert!(!raw.key.is_secret());
                let Origin::File { line, column, .. } = raw.origin else { panic!("{:?}", raw.origin) };
                assert!((1..=lines).contains(&line) && column > 0);
            }
        }
        Err(problem) => assert!(!problem.to_string().is_empty()),
    }
}
