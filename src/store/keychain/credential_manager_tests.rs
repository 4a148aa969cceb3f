//! With the Credential Manager of whoever runs them, where they leave nothing.

use super::*;
use crate::store::chunked::{Chunked, LARGEST_ITEM_BYTES};

#[test]
fn records_beyond_the_2560_bytes_of_an_item_are_kept_whole_and_deleted_with_all_of_their_parts() {
    const ACCOUNT: &str = "a test of planhat-mcp";
    let secret = |length: usize| Secret::new((0..length).map(|i| b'a' + (i % 26) as u8).collect::<Vec<_>>());
    let mut keychain = Keychain::open().unwrap();
    assert!(keychain.write(ACCOUNT, &secret(2_561)).is_err(), "an item takes no more");
    let mut records = Chunked::new(keychain, LARGEST_ITEM_BYTES);
    for length in [10, 2_561, 100_000, 5_000] {
        records.write(ACCOUNT, &secret(length)).unwrap();
        assert_eq!(records.read(ACCOUNT).unwrap().unwrap(), secret(length));
    }
    assert!(records.delete(ACCOUNT).unwrap());
    let mut keychain = Keychain::open().unwrap();
    assert!(keychain.read(ACCOUNT).unwrap().is_none());
    for part in ["#0.0", "#1.0"] {
        assert!(keychain.read(&format!("{ACCOUNT}{part}")).unwrap().is_none(), "{part}");
    }
}
