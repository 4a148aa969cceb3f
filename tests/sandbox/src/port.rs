//! Loopback ports that are known before anybody binds them.

use std::fs::{File, create_dir_all};
use std::net::{Ipv4Addr, TcpListener};

/// Where ports are reserved: below those that systems hand out by themselves to listeners and connections.
const FIRST: u16 = 10_000;
/// How many there are.
const COUNT: u16 = 20_000;

/// A loopback port that nobody listens on and that no other test of this machine gets while this is held.
///
/// Redirect URLs are compared exactly, so a test must know the callback's port before the bridge binds it.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    /// Locked as long as it is open.
    _lock: File,
}

impl ReservedPort {
    /// Reserves one.
    ///
    /// # Panics
    ///
    /// When there is none left.
    pub fn new() -> Self {
        let begin = getrandom::u32().unwrap_or_default() % u32::from(COUNT);
        let offsets = (0..u32::from(COUNT)).map(|n| (begin + n) % u32::from(COUNT));
        let mut numbers = offsets.filter_map(|offset| u16::try_from(offset).ok()).map(|offset| FIRST + offset);
        numbers.find_map(Self::reserve).expect("a loopback port is free")
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    fn reserve(number: u16) -> Option<Self> {
        let folder = std::env::temp_dir().join("planhat-sandbox-ports");
        create_dir_all(&folder).ok()?;
        let lock =
            File::options().create(true).truncate(false).write(true).open(folder.join(number.to_string())).ok()?;
        lock.try_lock().ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _lock: lock })
    }
}

impl Default for ReservedPort {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_reserved_once_as_long_as_it_is_held_and_can_be_bound() {
        let port = ReservedPort::new();
        assert!(ReservedPort::reserve(port.number()).is_none());
        TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).expect("nobody listens on it");
        assert_ne!(ReservedPort::new().number(), port.number());
        let number = port.number();
        drop(port);
        // Another test may have it by now, but the lock that this one held does not stay.
        let again = (0..100).any(|_| {
            ReservedPort::reserve(number).is_some() || TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_err()
        });
        assert!(again);
    }
}
