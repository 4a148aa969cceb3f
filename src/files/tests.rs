use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use super::private;
use super::*;
use crate::limits::OWN_FILE_BYTES;

/// Everything that can have a file's name and is none, with the word that an error says of it.
fn impostors(dir: &Path) -> Vec<(PathBuf, &'static str)> {
    let at = |name: &str| dir.join(name);
    assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo starts").success());
    // The path of a socket outlives its listener.
    drop(UnixListener::bind(at("socket")).expect("a socket"));
    fs::create_dir(at("folder")).expect("a folder");
    fs::write(at("target"), "kept").expect("a file");
    symlink(at("target"), at("link")).expect("a link");
    symlink(at("nowhere"), at("dangling")).expect("a link");
    symlink(at("pipe"), at("link-to-pipe")).expect("a link");
    symlink("/dev/zero", at("link-to-device")).expect("a link");
    let links = ["link", "dangling", "link-to-pipe", "link-to-device"].map(|name| (at(name), "a link"));
    let others = [("pipe", "a pipe"), ("socket", "a socket"), ("folder", "a folder")];
    others.map(|(name, word)| (at(name), word)).into_iter().chain(links).collect()
}

/// The result of `work`, which fails the test instead of hanging it.
fn at_once<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(Duration::from_secs(30)).expect("opening a file waits for nothing")
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_followed_nor_used_whatever_it_is_opened_for() {
    type Open = fn(&Path) -> io::Result<()>;
    let ways: [(&str, Open); 3] = [
        ("lock", |path| private::open_lock(path).map(drop)),
        ("open", |path| private::open(path).map(drop)),
        ("read", |path| private::read(path).map(drop)),
    ];
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, word) in impostors(dir.path()) {
        for (way, open) in ways {
            let opened = path.clone();
            let error = at_once(move || open(&opened)).expect_err("it is no file");
            assert!(error.to_string().contains(word), "{way} {}: {error}", path.display());
        }
    }
    assert_eq!(fs::read(dir.path().join("target")).expect("still there"), b"kept");
    assert!(!dir.path().join("nowhere").exists(), "nothing is created through a link");
}

#[test]
fn a_log_may_lie_behind_a_link_of_this_user_and_is_a_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, word) in impostors(dir.path()) {
        let is_file = path.ends_with("link");
        let opened = at_once(move || private::open_log(&path).map(drop).map_err(|error| error.to_string()));
        assert_eq!(opened.is_ok(), is_file, "{word}: {opened:?}");
    }
    assert!(!dir.path().join("nowhere").exists(), "nothing is created through a link");
}

#[test]
fn a_file_that_is_replaced_takes_the_place_of_a_link_and_leaves_its_target() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, word) in impostors(dir.path()) {
        let replaced = {
            let path = path.clone();
            at_once(move || private::replace(&path, b"new"))
        };
        match word {
            "a folder" => assert!(replaced.is_err()),
            _ => assert_eq!(private::read(&path).expect("a file now").as_deref(), Some(&b"new"[..])),
        }
    }
    assert_eq!(fs::read(dir.path().join("target")).expect("still there"), b"kept");
    assert!(!dir.path().join("nowhere").exists());
}

#[test]
fn a_file_that_a_person_names_may_be_a_link_and_must_be_a_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, word) in impostors(dir.path()) {
        let is_file = path.ends_with("link");
        let read = at_once(move || read_given_text(&path).map_err(|error| error.to_string()));
        assert_eq!(read.clone().ok(), is_file.then(|| "kept".to_owned()), "{word}: {read:?}");
    }
    assert_eq!(read_given(Path::new("/dev/null")).expect("no file"), b"");
    assert!(at_once(|| read_given(Path::new("/dev/zero"))).is_err());
    let large = dir.path().join("large");
    fs::write(&large, vec![b'x'; GIVEN_FILE_BYTES]).expect("writable");
    assert_eq!(read_given(&large).expect("just small enough").len(), GIVEN_FILE_BYTES);
    fs::write(&large, vec![b'x'; GIVEN_FILE_BYTES + 1]).expect("writable");
    assert_eq!(read_given(&large).expect_err("too large").kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn what_others_planted_while_a_folder_was_open_to_them_is_not_used_once_it_is_closed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("state");
    fs::create_dir(&state).expect("a folder");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("ours");
    let planted = impostors(&state);
    private::own_dir(&state).expect("closed");
    assert_eq!(fs::metadata(&state).expect("there").permissions().mode() & 0o777, 0o700);
    for (path, _) in planted {
        assert!(at_once(move || private::open_lock(&path)).is_err());
    }
    for in_place_of_the_folder in ["dangling", "pipe", "target"] {
        let path = state.join(in_place_of_the_folder);
        assert!(at_once(move || private::own_dir(&path)).is_err(), "{in_place_of_the_folder}");
    }
}

#[test]
fn a_file_of_another_user_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    private::replace(&dir.path().join("f"), b"x").expect("writable");
    let found = fs::metadata(dir.path().join("f")).expect("there");
    let me = system::me();
    assert!(system::require_owner(&found, me).is_ok());
    // To anybody else it is another user's.
    let error = system::require_owner(&found, me + 1).expect_err("not theirs");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn a_file_of_the_program_s_own_is_read_up_to_its_bound() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("large");
    private::replace(&path, b"").expect("writable");
    fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(2 * OWN_FILE_BYTES)).expect("grown");
    assert_eq!(private::read(&path).expect("a file").expect("there").len() as u64, OWN_FILE_BYTES);
}
