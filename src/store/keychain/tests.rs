//! Run by `tests/interop/keychain.sh`, which puts the Secret Service of a session into each of these states.

use std::process::Command;

use super::*;
use crate::store::chunked::Chunked;
use crate::store::credential_store::Store;

fn secret(length: usize) -> Secret<Vec<u8>> {
    Secret::new((0..length).map(|i| b'a' + (i % 26) as u8).collect())
}

/// Runs one of the script's functions.
fn rig(function: &str) {
    let script = std::env::var("KEYCHAIN_RIG").expect("run by tests/interop/keychain.sh");
    let status = Command::new(script).arg(function).status().expect("the script runs");
    assert!(status.success(), "{function}");
}

#[test]
#[ignore = "run by tests/interop/keychain.sh"]
fn unlocked_keeps_records_of_any_size() {
    for largest in [2_400, 32 * 1024] {
        let mut ring = Chunked::new(Keychain::open().unwrap(), largest);
        for length in [0, 10, 5_000, 100_000] {
            ring.write("interop a", &secret(length)).unwrap();
            assert_eq!(ring.read("interop a").unwrap().unwrap(), secret(length));
        }
        assert!(ring.delete("interop a").unwrap());
        assert!(!ring.delete("interop a").unwrap());
        assert!(ring.read("interop a").unwrap().is_none());
    }
    Keychain::open().unwrap().write("interop kept", &secret(5_000)).unwrap();
}

#[test]
#[ignore = "run by tests/interop/keychain.sh"]
fn locked_is_told_from_absent_and_from_empty() {
    let mut ring = Keychain::open().unwrap();
    ring.write("interop kept", &secret(100)).unwrap();
    rig("lock");
    assert!(matches!(ring.read("interop kept"), Err(StoreError::Locked)));
    assert!(matches!(ring.write("interop kept", &secret(1)), Err(StoreError::Locked)));
    assert!(matches!(ring.write("interop new", &secret(1)), Err(StoreError::Locked)));
    assert!(matches!(ring.delete("interop kept"), Err(StoreError::Locked)));
    rig("restart");
    assert_eq!(ring.read("interop kept").unwrap().unwrap(), secret(100));
}

#[test]
#[ignore = "run by tests/interop/keychain.sh"]
fn a_restarted_service_is_connected_to_anew() {
    let mut ring = Keychain::open().unwrap();
    ring.write("interop kept", &secret(100)).unwrap();
    rig("restart");
    assert_eq!(ring.read("interop kept").unwrap().unwrap(), secret(100));
    rig("restart");
    ring.write("interop kept", &secret(200)).unwrap();
    assert_eq!(ring.read("interop kept").unwrap().unwrap(), secret(200));
}

#[test]
#[ignore = "run by tests/interop/keychain.sh"]
fn absent_is_found_out_and_does_not_last_longer_than_it_is_true() {
    assert!(matches!(Keychain::open(), Err(StoreError::Absent(_))));
    let settings = crate::config::Settings::for_url(
        "https://h/".parse().unwrap(),
        crate::config::Paths { config_file: "/nonexistent".into(), state_dir: "/nonexistent".into() },
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::open(&settings, Store::UNATTENDED_TIMEOUT);
    let error = runtime.block_on(store.read("x")).unwrap_err();
    assert!(matches!(error, StoreError::Absent(_)), "{error}");
    rig("start_bus");
    assert!(runtime.block_on(store.read("x")).unwrap().is_none());
}

#[test]
fn an_item_that_stands_there_twice_is_deleted_each_time() {
    assert!(deleted([Ok(()), Err(Error::NoEntry)]).unwrap());
    assert!(deleted([Ok(()), Ok(())]).unwrap());
    assert!(!deleted([Err(Error::NoEntry)]).unwrap());
    let locked = Error::NoStorageAccess("locked".into());
    assert!(matches!(deleted([Ok(()), Err(locked)]), Err(StoreError::Locked)));
    // Reading it says how many there are, and not what is in them.
    assert!(matches!(failure(Error::Ambiguous(vec![])), StoreError::Corrupt(words) if words.contains("items")));
}
