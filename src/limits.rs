//! Owns every limit on what the outside (a server, a client, another user of the machine) may make this program spend:
//! bytes held, items, attempts, requests that it makes by itself, tabs, log lines, time that others may take, time without
//! yielding.
//!
//! The rows stand in one file for each kind of thing that is spent; together they are one table ([`TABLE`]).
//! `docs/limits.md` is made from it; a test compares them, and checks that the tests exist. A new limit is a row here
//! and its use: no other module has a limit of its own, which `tests/it/layout.rs` checks. A loop over what the outside
//! sent goes through [`Yielding`].

pub mod entry;
mod messages;
mod requests;
mod sign_in;
mod time;
mod words;
mod yielding;

pub use messages::*;
pub use requests::*;
pub use sign_in::*;
pub use time::*;
pub use words::*;
pub use yielding::Yielding;

use entry::Limit;

/// Every limit, in the order of the page; each area stands in one place.
pub const TABLE: [&[Limit]; 5] = [messages::ROWS, requests::ROWS, time::ROWS, sign_in::ROWS, words::ROWS];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_files_of_the_table_make_one_table() {
        let mut areas = HashSet::new();
        let mut names = HashSet::new();
        let mut last = "";
        for limit in TABLE.into_iter().flatten() {
            assert!(limit.area == last || areas.insert(limit.area), "{} stands in two places", limit.area);
            assert!(names.insert(limit.name), "{} stands there twice", limit.name);
            last = limit.area;
        }
    }
}
