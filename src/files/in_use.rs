//! Owns the patience with files that somebody else has open, which Windows does not let be replaced, removed or opened: a
//! reader of ours (where the file system knows no POSIX renames, as those of older versions and of the network), a virus
//! scanner, a backup. All of them let go within moments.

use std::io;
use std::time::{Duration, Instant};

use crate::limits::FILE_IN_USE_WAIT;
use crate::pacing::Backoff;

/// The system does not tell when a file is free, and between two readers it may be so for a moment only.
const POLL: Backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(5));

/// What Windows says then: `ERROR_ACCESS_DENIED`, `ERROR_SHARING_VIOLATION`. Other systems refuse nothing for this reason.
const IN_USE: &[i32] = if cfg!(windows) { &[5, 32] } else { &[] };

/// Does it, again and again for [`FILE_IN_USE_WAIT`] while somebody else has the file open. Blocks.
pub fn once_free<T>(mut action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let end = Instant::now() + FILE_IN_USE_WAIT;
    let mut attempts = 0;
    loop {
        match action() {
            Err(error) if is_in_use(&error) && Instant::now() < end => {
                attempts += 1;
                std::thread::sleep(POLL.ceiling(attempts));
            }
            result => return result,
        }
    }
}

fn is_in_use(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| IN_USE.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_for_good_is_told_at_once() {
        let mut tries = 0;
        let result: io::Result<()> = once_free(|| {
            tries += 1;
            Err(io::ErrorKind::NotFound.into())
        });
        assert_eq!((result.unwrap_err().kind(), tries), (io::ErrorKind::NotFound, 1));
    }

    #[cfg(windows)]
    #[test]
    fn a_file_that_somebody_has_open_is_replaced_once_they_let_go_and_not_waited_for_for_long() {
        use std::os::windows::fs::OpenOptionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        crate::files::private::replace(&path, b"old").unwrap();
        // As programs open files that know nothing of us: nobody else may do anything with it.
        let open = || std::fs::OpenOptions::new().read(true).share_mode(0).open(&path).unwrap();
        let held = open();
        let start = Instant::now();
        let error = crate::files::private::replace(&path, b"new").unwrap_err();
        assert!(is_in_use(&error) && start.elapsed() >= FILE_IN_USE_WAIT, "{error}");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| crate::files::private::replace(&path, b"new"));
            drop(held);
            writer.join().unwrap().unwrap();
        });
        assert_eq!(crate::files::private::read(&path).unwrap().unwrap(), b"new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    }
}
