//! Files of other programs that a person has asked to change: written atomically, where their links lead, with the mode that
//! they had.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{private, system};

/// Replaces the content. A file that is there keeps its mode, and links to it stay. One that is read-only, or another
/// user's, is left alone.
///
/// # Errors The system's, and [`io::ErrorKind::PermissionDenied`] with the reason.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = behind_links(path)?;
    let found = writable(&path)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    private::put_with(&path, content, found.map(|found| found.permissions()))
}

/// Removes the file, not a link to it.
///
/// # Errors As [`replace`].
pub fn remove(path: &Path) -> io::Result<bool> {
    let path = behind_links(path)?;
    writable(&path)?;
    private::remove(&path)
}

/// Why the file must not be changed.
///
/// # Errors That.
pub fn require_writable(path: &Path) -> io::Result<()> {
    writable(&behind_links(path)?).map(|_| ())
}

/// Where the path leads. A link that leads nowhere yet names the file that is to be made.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(target) => Ok(path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target))),
            Err(_) => Ok(path.to_owned()),
        },
        Err(error) => Err(error),
    }
}

fn writable(path: &Path) -> io::Result<Option<fs::Metadata>> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    super::require_file(found.file_type())?;
    system::require_owner(&found, system::me())?;
    if found.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_file_is_made_with_its_folders_and_replaced_as_a_whole() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().join("a/b/file.json");
        replace(&path, b"one").expect("made");
        replace(&path, b"two").expect("replaced");
        assert_eq!(fs::read(&path).expect("readable"), b"two");
        assert_eq!(fs::read_dir(root.path().join("a/b")).expect("a folder").count(), 1, "nothing is left beside it");
        assert!(remove(&path).expect("removed") && !path.exists());
    }

    #[test]
    fn a_read_only_file_is_left_alone() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().join("file.json");
        fs::write(&path, "one").expect("writable");
        let mut permissions = fs::metadata(&path).expect("there").permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions.clone()).expect("ours");
        let error = replace(&path, b"two").expect_err("read-only");
        assert!(error.to_string().contains("read-only"), "{error}");
        assert!(remove(&path).is_err() && require_writable(&path).is_err());
        assert_eq!(fs::read(&path).expect("readable"), b"one");
        #[cfg(windows)]
        {
            // Else the folder cannot be removed.
            #[allow(clippy::permissions_set_readonly_false)]
            permissions.set_readonly(false);
            fs::set_permissions(&path, permissions).expect("ours");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_and_the_links_of_a_foreign_file_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let root = tempfile::tempdir().expect("a temporary directory");
        let (file, link, further) = (root.path().join("real"), root.path().join("link"), root.path().join("further"));
        fs::write(&file, "one").expect("writable");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("ours");
        symlink("real", &link).expect("a link");
        symlink("link", &further).expect("a link");
        replace(&further, b"two").expect("replaced");
        assert_eq!(fs::read(&file).expect("readable"), b"two");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).expect("there").file_type().is_symlink());
        fs::remove_file(&file).expect("ours");
        replace(&link, b"new").expect("made where the link leads");
        assert_eq!(fs::read(&file).expect("readable"), b"new");
        fs::create_dir(root.path().join("folder")).expect("writable");
        assert!(replace(&root.path().join("folder"), b"x").is_err(), "a folder is no file");
    }
}
