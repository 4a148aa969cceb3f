//! Files and folders that belong to this user alone: written atomically, never through another user's link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::in_use::once_free;
use super::open_own;

use crate::limits::OWN_FILE_BYTES;

/// Opens a file to lock it, creating it for this user alone.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    open_own(path, options)
}

/// Opens a file to add lines to its end, creating it for this user alone. A person names it, so a link of theirs to a file
/// of theirs is followed.
pub fn open_log(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    open_own(&super::behind_own_link(path), options)
}

/// Opens a file to read it.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    open_own(path, options)
}

/// The content, or `None` when there is no such file.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    file.take(OWN_FILE_BYTES).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Replaces the content atomically, even across a power cut: a new file of mode 0600, flushed, renamed over the old.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or_else(|| io::Error::other("the path has no folder"))?;
    put(path, content, true)?;
    // The rename is on disk only once the folder is synced; not every system lets a folder be opened for this.
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
    Ok(())
}

/// Replaces the content atomically for other processes, though not across a power cut: quicker, for what is soon out of
/// date.
pub fn replace_brief(path: &Path, content: &[u8]) -> io::Result<()> {
    put(path, content, false)
}

fn put(path: &Path, content: &[u8], is_flushed: bool) -> io::Result<()> {
    #[cfg(test)]
    let _waited = super::stuck::wait_for(path);
    let fresh = fresh_name(path)?;
    let written = write_new(&fresh, content, is_flushed).and_then(|()| rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

/// Replaces the content as [`replace`] does, with these permissions.
pub(super) fn put_with(path: &Path, content: &[u8], permissions: Option<fs::Permissions>) -> io::Result<()> {
    let fresh = fresh_name(path)?;
    let written = write_new(&fresh, content, true)
        .and_then(|()| permissions.map_or(Ok(()), |permissions| fs::set_permissions(&fresh, permissions)))
        .and_then(|()| rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

/// Creates the file with its whole content; leaves an existing file alone. A power cut may leave it short: flushing takes
/// milliseconds, and what is created so can be made anew.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = fresh_name(path)?;
    let linked = write_new(&fresh, content, false).and_then(|()| fs::hard_link(&fresh, path));
    let _ = fs::remove_file(&fresh);
    linked.or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
}

/// Renames the file, over one that has the new name.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    once_free(|| fs::rename(from, to))
}

/// Removes the file; `false` when there was none.
pub fn remove(path: &Path) -> io::Result<bool> {
    match once_free(|| fs::remove_file(path)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates a folder if needed and makes it private to the user; refuses another user's.
///
/// What others put there while it was open to them is no regular file of this user, and refused when it is opened.
#[cfg(unix)]
pub fn own_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let me = rustix::process::geteuid().as_raw();
    // Check the link too, if it is one: its owner can redirect it at any time.
    let found = fs::metadata(dir)?;
    if found.uid() != me || fs::symlink_metadata(dir)?.uid() != me {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        if found.mode() & 0o022 != 0 {
            tracing::warn!(dir = %dir.display(), "others could write to this folder; it is closed now");
        }
    }
    Ok(())
}

/// Creates a folder if needed; on Windows it inherits its privacy from the user's profile directory.
#[cfg(not(unix))]
pub fn own_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// Why the folder or the file must not be trusted with secrets, in words; `None` if they may.
#[cfg(unix)]
pub fn exposure(dir: &Path, file: &Path) -> io::Result<Option<String>> {
    exposure_to_others(rustix::process::geteuid().as_raw(), dir, file)
}

/// The same for the user with this number.
#[cfg(unix)]
fn exposure_to_others(me: u32, dir: &Path, file: &Path) -> io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt;

    // Do not follow the link: another user could redirect their link at any time.
    let link = fs::symlink_metadata(dir)?;
    if link.file_type().is_symlink() && link.uid() != me {
        return Ok(Some(format!("the folder {} is a link that belongs to another user", dir.display())));
    }
    let folder = fs::metadata(dir)?;
    if folder.uid() != me {
        return Ok(Some(format!("the folder {} belongs to another user", dir.display())));
    }
    if folder.mode() & 0o022 != 0 {
        return Ok(Some(format!("others can write to the folder {}", dir.display())));
    }
    let meta = match fs::symlink_metadata(file) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let path = file.display();
    Ok(if meta.file_type().is_symlink() {
        Some(format!("{path} is a link"))
    } else if !meta.is_file() {
        Some(format!("{path} is no regular file"))
    } else if meta.uid() != me {
        Some(format!("{path} belongs to another user"))
    } else if meta.mode() & 0o077 != 0 {
        Some(format!("others can read or write {path} (its mode is {:o})", meta.mode() & 0o777))
    } else {
        None
    })
}

/// On Windows the user's own folders are private by inheritance; only a link is refused.
#[cfg(not(unix))]
pub fn exposure(_dir: &Path, file: &Path) -> io::Result<Option<String>> {
    match fs::symlink_metadata(file) {
        Ok(meta) if meta.file_type().is_symlink() => Ok(Some(format!("{} is a link", file.display()))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_new(path: &Path, content: &[u8], is_flushed: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = open_own(path, options)?;
    file.write_all(content)?;
    if is_flushed { file.sync_all() } else { Ok(()) }
}

/// An unpredictable name in the same folder.
fn fresh_name(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut name = path.file_name().ok_or_else(|| io::Error::other("the path has no file name"))?.to_owned();
    name.push(format!(".{:016x}.new", u64::from_le_bytes(random)));
    Ok(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use crate::files::private::*;

    #[test]
    fn of_two_that_create_a_file_the_first_one_wins_and_both_find_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create(&path, b"first").unwrap();
        create(&path, b"second").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_replaced_file_has_the_new_content_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn files_and_folders_are_for_this_user_alone_whatever_was_there_before() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        own_dir(&inner).unwrap();
        let path = inner.join("f");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(exposure(&inner, &path).unwrap().unwrap().contains("644"));
        replace(&path, b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(exposure(&inner, &path).unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_or_a_folder_that_others_can_write_to_is_exposed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        replace(&target, b"x").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(exposure(dir.path(), &link).unwrap().unwrap().contains("is a link"));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(exposure(dir.path(), &target).unwrap().unwrap().contains("others can write"));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_another_user_s_or_a_link_of_theirs_is_exposed() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let (folder, link) = (dir.path().join("folder"), dir.path().join("link"));
        own_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        let me = fs::metadata(dir.path()).unwrap().uid();
        // A link of one's own is one's own business.
        assert_eq!(exposure_to_others(me, &link, &link.join("f")).unwrap(), None);
        // To anybody else, both are another user's.
        let why = |dir: &Path| exposure_to_others(me + 1, dir, &dir.join("f")).unwrap().unwrap();
        assert!(why(&link).contains("is a link that belongs to another user"), "{}", why(&link));
        assert!(why(&folder).contains("belongs to another user"), "{}", why(&folder));
    }

    #[test]
    fn a_reader_sees_the_old_content_or_the_new_and_never_a_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let contents = [vec![b'a'; 64 * 1024], vec![b'b'; 64 * 1024]];
        replace(&path, &contents[0]).unwrap();
        let (replaced, round) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let (path, contents) = (&path, &contents);
            scope.spawn(move || {
                for n in 0..40 {
                    replace(path, &contents[n % 2]).unwrap();
                    replaced.send(()).unwrap();
                }
            });
            for _ in 0..40 {
                // Not without a pause: where no open file can be replaced, that would hold up the writer for ever.
                for _ in 0..20 {
                    let seen = read(path).unwrap().unwrap();
                    assert!(contents.contains(&seen), "{} bytes", seen.len());
                }
                round.recv().expect("the writer goes on");
            }
        });
    }
}
