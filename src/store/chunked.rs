//! Splits records that are larger than one item of the platform's store.
//!
//! Windows' Credential Manager holds 2,560 bytes per item. So a record is one header item, which holds the record
//! itself if it fits, or else the number of part items that hold it. There are two sets of part items; a write goes to
//! the set that the header does not point to, and writes the header last. So an interrupted write leaves the old record
//! or none, never a mixture.

use crate::limits::MAX_STORED_PARTS;
use crate::store::{CredentialStore, StoreError};
// Detects a torn record; it does not defend against an attacker who can write to the keychain.
use crate::hash::fnv1a as checksum;
use crate::secret::Secret;

/// The largest item to put into the platform's store.
pub const LARGEST_ITEM_BYTES: usize = if cfg!(windows) { 2_400 } else { 32 * 1024 };

/// The start of a header, with the version of the format.
const HEADER_MARK: &str = "planhat-mcp/1";
/// The longest header line.
const HEADER_BYTES: usize = 120;

/// Stores records of any size in a store with small items.
#[derive(Debug)]
pub struct Chunked<S> {
    items: S,
    largest: usize,
}

/// The first line of a header item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    generation: u64,
    parts: usize,
    length: usize,
    checksum: u64,
}

impl<S: CredentialStore> Chunked<S> {
    /// Splits records that are larger than `largest` bytes.
    pub fn new(items: S, largest: usize) -> Self {
        Self { items, largest: largest.max(HEADER_BYTES + 1) }
    }

    fn header(&mut self, account: &str) -> Result<Option<(Header, Vec<u8>)>, StoreError> {
        match self.items.read(account)? {
            None => Ok(None),
            Some(item) => parse(item.expose()).map(Some),
        }
    }

    fn part_name(account: &str, generation: u64, index: usize) -> String {
        format!("{account}#{}.{index}", generation % 2)
    }
}

impl<S: CredentialStore> CredentialStore for Chunked<S> {
    fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
        let Some((header, inline)) = self.header(account)? else { return Ok(None) };
        let mut record = Vec::with_capacity(header.length);
        record.extend_from_slice(&inline);
        drop(Secret::new(inline));
        for index in 0..header.parts {
            let part = self
                .items
                .read(&Self::part_name(account, header.generation, index))?
                .ok_or_else(|| StoreError::Corrupt(format!("part {index} is missing")))?;
            record.extend_from_slice(part.expose());
        }
        let record = Secret::new(record);
        if record.expose().len() != header.length || checksum(record.expose()) != header.checksum {
            return Err(StoreError::Corrupt("its checksum is wrong".into()));
        }
        Ok(Some(record))
    }

    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
        let old = match self.header(account) {
            Ok(old) => old.map(|(header, _)| header),
            // A damaged record is useless, so it is replaced.
            Err(StoreError::Corrupt(_)) => None,
            Err(error) => return Err(error),
        };
        let record = record.expose();
        let inline = record.len() + HEADER_BYTES <= self.largest;
        let chunks: Vec<&[u8]> = if inline { Vec::new() } else { record.chunks(self.largest).collect() };
        if chunks.len() > MAX_STORED_PARTS {
            return Err(StoreError::Failed(format!("a record of {} bytes is too large", record.len())));
        }
        let header = Header {
            generation: old.map_or(1, |h| h.generation.wrapping_add(1)),
            parts: chunks.len(),
            length: record.len(),
            checksum: checksum(record),
        };
        for (index, chunk) in chunks.iter().enumerate() {
            self.items.write(&Self::part_name(account, header.generation, index), &Secret::new(chunk.to_vec()))?;
        }
        let mut item = header.line().into_bytes();
        if inline {
            item.extend_from_slice(record);
        }
        self.items.write(account, &Secret::new(item))?;
        if let Some(old) = old {
            // A failure is harmless: the next write to this set replaces them.
            for index in 0..old.parts {
                let _ = self.items.delete(&Self::part_name(account, old.generation, index));
            }
        }
        Ok(())
    }

    fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        let parts = match self.header(account) {
            Ok(None) => return Ok(false),
            Ok(Some((header, _))) => header.parts,
            Err(StoreError::Corrupt(_)) => 0,
            Err(error) => return Err(error),
        };
        // Delete the header first: without it the record is gone, whatever happens to the parts.
        let removed = self.items.delete(account)?;
        for set in 0..2 {
            // At least one more than the header says: an interrupted write may have left some.
            for index in 0..MAX_STORED_PARTS {
                let gone = !self.items.delete(&Self::part_name(account, set, index)).unwrap_or(false);
                if gone && index >= parts {
                    break;
                }
            }
        }
        Ok(removed)
    }
}

impl Header {
    fn line(&self) -> String {
        format!("{HEADER_MARK} {} {} {} {:016x}\n", self.generation, self.parts, self.length, self.checksum)
    }
}

fn parse(item: &[u8]) -> Result<(Header, Vec<u8>), StoreError> {
    let damaged = || StoreError::Corrupt("its header is not ours".into());
    let end = memchr::memchr(b'\n', item).ok_or_else(damaged)?;
    let line = std::str::from_utf8(&item[..end]).map_err(|_| damaged())?;
    let mut words = line.split(' ');
    if words.next() != Some(HEADER_MARK) {
        return Err(damaged());
    }
    let mut word = || words.next().ok_or_else(damaged);
    let header = Header {
        generation: word()?.parse().map_err(|_| damaged())?,
        parts: word()?.parse().map_err(|_| damaged())?,
        length: word()?.parse().map_err(|_| damaged())?,
        checksum: u64::from_str_radix(word()?, 16).map_err(|_| damaged())?,
    };
    if header.parts > MAX_STORED_PARTS || header.length > MAX_STORED_PARTS * 64 * 1024 {
        return Err(damaged());
    }
    Ok((header, item[end + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use crate::store::chunked::*;
    use crate::store::memory::Memory;

    fn secret(length: usize, fill: u8) -> Secret<Vec<u8>> {
        Secret::new((0..length).map(|i| fill.wrapping_add((i % 251) as u8)).collect())
    }

    /// Lets a number of writes through, then fails.
    struct Failing {
        inner: Memory,
        writes_left: usize,
        largest_seen: usize,
    }

    impl CredentialStore for Failing {
        fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
            self.inner.read(account)
        }
        fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
            if self.writes_left == 0 {
                return Err(StoreError::Locked);
            }
            self.writes_left -= 1;
            self.largest_seen = self.largest_seen.max(record.expose().len());
            self.inner.write(account, record)
        }
        fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
            self.inner.delete(account)
        }
    }

    fn store(largest: usize) -> Chunked<Failing> {
        Chunked::new(Failing { inner: Memory::default(), writes_left: usize::MAX, largest_seen: 0 }, largest)
    }

    #[test]
    fn records_of_every_size_come_back_and_no_item_is_larger_than_allowed() {
        let mut chunked = store(200);
        for length in [0, 1, 79, 80, 81, 199, 200, 201, 400, 5_000] {
            chunked.write("a", &secret(length, 7)).unwrap();
            assert_eq!(chunked.read("a").unwrap().unwrap(), secret(length, 7), "{length}");
        }
        assert!(chunked.items.largest_seen <= 200);
    }

    #[test]
    fn a_write_that_is_cut_off_anywhere_leaves_the_old_record() {
        for allowed in 0..=6 {
            let mut chunked = store(200);
            chunked.write("a", &secret(900, 1)).unwrap();
            chunked.write("a", &secret(900, 2)).unwrap();
            chunked.items.writes_left = allowed;
            let result = chunked.write("a", &secret(1_000, 3));
            // Five parts and a header.
            assert_eq!(result.is_ok(), allowed == 6, "cut after {allowed} writes");
            let expected = if allowed == 6 { secret(1_000, 3) } else { secret(900, 2) };
            assert_eq!(chunked.read("a").unwrap().unwrap(), expected, "cut after {allowed} writes");
            chunked.items.writes_left = usize::MAX;
            chunked.write("a", &secret(1_000, 4)).unwrap();
            assert_eq!(chunked.read("a").unwrap().unwrap(), secret(1_000, 4), "after a cut after {allowed} writes");
        }
    }

    #[test]
    fn deleting_leaves_nothing_behind_even_after_a_cut_write() {
        let mut chunked = store(200);
        chunked.write("a", &secret(900, 1)).unwrap();
        chunked.items.writes_left = 4;
        assert!(chunked.write("a", &secret(900, 2)).is_err());
        assert!(chunked.delete("a").unwrap());
        assert!(!chunked.delete("a").unwrap());
        assert!(chunked.read("a").unwrap().is_none());
        for name in ["a#0.0", "a#0.3", "a#1.0", "a#1.4"] {
            assert!(chunked.items.inner.read(name).unwrap().is_none(), "{name}");
        }
    }

    #[test]
    fn what_was_changed_behind_our_back_is_damage_and_can_be_overwritten() {
        let mut chunked = store(200);
        chunked.write("a", &secret(900, 1)).unwrap();
        chunked.items.inner.write("a#1.2", &secret(200, 9)).unwrap();
        assert!(matches!(chunked.read("a"), Err(StoreError::Corrupt(_))));
        chunked.items.inner.write("a", &Secret::new(b"something else".to_vec())).unwrap();
        assert!(matches!(chunked.read("a"), Err(StoreError::Corrupt(_))));
        chunked.write("a", &secret(10, 4)).unwrap();
        assert_eq!(chunked.read("a").unwrap().unwrap(), secret(10, 4));
    }

    #[test]
    fn a_record_of_more_parts_than_any_has_is_refused() {
        let mut chunked = store(200);
        assert!(matches!(chunked.write("a", &secret(200 * MAX_STORED_PARTS + 1, 1)), Err(StoreError::Failed(_))));
        let header = Header { generation: 1, parts: MAX_STORED_PARTS + 1, length: 1, checksum: 0 };
        chunked.items.inner.write("a", &Secret::new(header.line().into_bytes())).unwrap();
        assert!(matches!(chunked.read("a"), Err(StoreError::Corrupt(_))));
    }
}
