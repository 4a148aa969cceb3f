//! Changes that are written and taken back, under a home of their own.

use super::*;
use crate::clients::client::Scope;
use crate::clients::folders::{Folders, System};
use crate::clients::table;

struct Home {
    // Kept for as long as the home is used.
    _root: tempfile::TempDir,
    paths: Paths,
    target: Target,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let paths = Paths { config_file: root.path().join("c.toml"), state_dir: root.path().join("state") };
        let folders = Folders::of(System::Linux, root.path(), Path::new("/project"));
        let target = table::named("cursor").expect("a client").targets(&folders, Scope::User).remove(0);
        Self { _root: root, paths, target }
    }

    fn file(&self) -> Option<String> {
        std::fs::read_to_string(&self.target.file).ok()
    }

    fn put(&self, text: &str) {
        std::fs::create_dir_all(self.target.file.parent().expect("a folder")).expect("writable");
        std::fs::write(&self.target.file, text).expect("writable");
    }

    fn change(&self, deed: Deed, name: &str, after: &str) -> Change {
        let before = self.file();
        let names = vec![name.to_owned()];
        Change { target: self.target.clone(), before, after: Some(after.to_owned()), deed, names, beside: Vec::new() }
    }

    fn take_back(&self) -> Option<Change> {
        let change = take_back(&self.target, &self.paths).expect("planned")?;
        apply(&change, &self.paths).expect("written");
        Some(change)
    }
}

const WITH: &str = r#"{"mcpServers":{"a":{"x":"ä"},"planhat":{"command":"planhat-mcp"}}}"#;
const WITHOUT: &str = r#"{"mcpServers":{"a":{"x":"ä"}}}"#;

#[test]
fn what_was_written_is_taken_back_to_the_byte() {
    let home = Home::new();
    assert!(home.take_back().is_none(), "nothing was done");
    apply(&home.change(Deed::Added, "planhat", WITH), &home.paths).expect("written");
    assert_eq!(home.file().as_deref(), Some(WITH));
    home.take_back();
    assert_eq!(home.file(), None, "there was no file before");
    home.put(WITHOUT);
    apply(&home.change(Deed::Added, "planhat", WITH), &home.paths).expect("written");
    let second = WITH.replace("planhat-mcp", "/new/planhat-mcp");
    apply(&home.change(Deed::Updated, "planhat", &second), &home.paths).expect("written");
    home.take_back();
    assert_eq!(home.file().as_deref(), Some(WITHOUT), "two changes in a row are one");
    assert!(home.take_back().is_none(), "it is done once");
}

#[test]
fn when_the_file_has_changed_since_only_our_entry_is_taken_back() {
    let home = Home::new();
    home.put(WITHOUT);
    apply(&home.change(Deed::Added, "planhat", WITH), &home.paths).expect("written");
    home.put(&WITH.replace("\"ä\"", "\"b\""));
    home.take_back();
    assert_eq!(home.file(), Some(WITHOUT.replace("\"ä\"", "\"b\"")));
    // One that was changed or taken out comes back as it was.
    for (deed, after) in [(Deed::Updated, WITH.replace("planhat-mcp", "new")), (Deed::Removed, WITHOUT.to_owned())] {
        home.put(WITH);
        apply(&home.change(deed, "planhat", &after), &home.paths).expect("written");
        home.put(&after.replace("\"ä\"", "\"b\""));
        home.take_back();
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(value(&home.file().expect("a file")), value(&WITH.replace("\"ä\"", "\"b\"")), "{deed:?}");
    }
}

#[test]
fn a_file_that_somebody_changes_meanwhile_is_left_alone() {
    let home = Home::new();
    home.put(WITHOUT);
    let change = home.change(Deed::Added, "planhat", WITH);
    home.put("{}");
    let problem = apply(&change, &home.paths).expect_err("it is another");
    assert_eq!((problem.id, home.file().as_deref()), (ProblemId::ClientFileMoved, Some("{}")));
    assert!(home.take_back().is_none());
}

#[test]
fn a_read_only_file_is_named_with_the_reason_and_nothing_is_remembered() {
    let home = Home::new();
    home.put(WITHOUT);
    let set = |is_read_only: bool| {
        let mut permissions = std::fs::metadata(&home.target.file).expect("there").permissions();
        permissions.set_readonly(is_read_only);
        std::fs::set_permissions(&home.target.file, permissions).expect("ours");
    };
    set(true);
    let problem = apply(&home.change(Deed::Added, "planhat", WITH), &home.paths).expect_err("read-only");
    assert_eq!(problem.id, ProblemId::ClientFileUnwritable);
    assert!(problem.fact("detail").is_some_and(|detail| detail.contains("read-only")), "{problem:?}");
    assert!(take_back(&home.target, &home.paths).expect("planned").is_none());
    #[cfg(windows)]
    set(false);
}

#[cfg(unix)]
#[test]
fn what_was_there_before_is_kept_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.put(WITHOUT);
    apply(&home.change(Deed::Added, "planhat", WITH), &home.paths).expect("written");
    let kept = home.paths.state_dir.join("clients");
    assert_eq!(std::fs::metadata(&kept).expect("there").permissions().mode() & 0o777, 0o700);
    let files: Vec<_> = std::fs::read_dir(&kept).expect("a folder").flatten().map(|entry| entry.path()).collect();
    assert_eq!(files.len(), 3, "the record, the text and the lock: {files:?}");
    for file in files {
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    }
    assert!(keeps_any(&home.paths));
    forget_all(&home.paths).expect("ours");
    assert!(!kept.exists() && !keeps_any(&home.paths) && home.take_back().is_none());
}

#[test]
fn of_two_that_change_a_file_at_once_the_second_finds_it_changed() {
    let home = Home::new();
    home.put(WITHOUT);
    let change = home.change(Deed::Added, "planhat", WITH);
    let planned = [change.clone(), change];
    let done: Vec<bool> = std::thread::scope(|scope| {
        let each = planned.each_ref().map(|change| scope.spawn(|| apply(change, &home.paths).is_ok()));
        each.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    assert_eq!(done.iter().filter(|is_done| **is_done).count(), 1, "{done:?}");
    home.take_back();
    assert_eq!(home.file().as_deref(), Some(WITHOUT));
}

#[test]
fn without_the_kept_text_our_entry_alone_is_taken_back() {
    let home = Home::new();
    home.put(WITHOUT);
    apply(&home.change(Deed::Added, "planhat", WITH), &home.paths).expect("written");
    let kept = home.paths.state_dir.join("clients");
    for file in std::fs::read_dir(kept).expect("a folder").flatten() {
        if file.path().extension().is_some_and(|end| end == "before") {
            std::fs::remove_file(file.path()).expect("ours");
        }
    }
    home.take_back();
    assert_eq!(home.file().as_deref(), Some(WITHOUT));
}
