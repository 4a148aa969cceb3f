//! Owns how files are opened: never through a link that somebody planted, never with a wait, and only if they are files.
//!
//! What has the name of a file may be something else: a pipe (FIFO), which makes whoever opens it wait for the other end; a
//! link to another file, which would be written in its place; a device. So the kind is checked on the open file itself, and
//! opening waits for nothing.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::limits::GIVEN_FILE_BYTES;

pub mod foreign;
pub mod in_use;
pub mod private;
#[cfg(test)]
pub(crate) mod stuck;

/// Opens a file of this program as `options` say. A new one is for this user alone.
///
/// # Errors
/// The system's, and [`io::ErrorKind::InvalidInput`] if the path leads to something else than a regular file of this user:
/// a link, too, because its owner can redirect it at any time.
pub fn open_own(path: &Path, mut options: OpenOptions) -> io::Result<File> {
    #[cfg(test)]
    let _waited = stuck::wait_for(path);
    system::follow_no_link(&mut options, path)?;
    let file = in_use::once_free(|| options.open(path)).map_err(|error| in_words(error, fs::symlink_metadata(path)))?;
    let found = file.metadata()?;
    require_file(found.file_type())?;
    system::require_owner(&found, system::me())?;
    Ok(file)
}

/// Opens a file that a person names, to read it. It may be a link, and may belong to anybody.
///
/// # Errors
/// The system's, and [`io::ErrorKind::InvalidInput`] if the path does not lead to a regular file.
pub fn open_given(path: &Path) -> io::Result<File> {
    #[cfg(test)]
    let _waited = stuck::wait_for(path);
    let mut options = OpenOptions::new();
    options.read(true);
    system::wait_for_nothing(&mut options);
    // Some devices act when they are opened.
    if let Ok(found) = fs::metadata(path) {
        require_file(found.file_type())?;
    }
    let file = options.open(path)?;
    require_file(file.metadata()?.file_type())?;
    Ok(file)
}

/// The content of a file that a person names.
///
/// # Errors
/// As [`open_given`], and [`io::ErrorKind::FileTooLarge`] beyond [`GIVEN_FILE_BYTES`].
pub fn read_given(path: &Path) -> io::Result<Vec<u8>> {
    if path == Path::new("/dev/null") {
        // People name it where they want no file.
        return Ok(Vec::new());
    }
    let mut content = Vec::new();
    open_given(path)?.take(GIVEN_FILE_BYTES as u64 + 1).read_to_end(&mut content)?;
    if content.len() > GIVEN_FILE_BYTES {
        let detail = format!("it is larger than {GIVEN_FILE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, detail));
    }
    Ok(content)
}

/// The same as text.
///
/// # Errors
/// As [`read_given`], and [`io::ErrorKind::InvalidData`] if it is not UTF-8.
pub fn read_given_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_given(path)?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Where the path leads, if it is a link of this user that leads somewhere; else the path.
pub fn behind_own_link(path: &Path) -> PathBuf {
    let link = fs::symlink_metadata(path).ok().filter(|found| found.file_type().is_symlink());
    let own = link.filter(|found| system::require_owner(found, system::me()).is_ok());
    own.and_then(|_| fs::canonicalize(path).ok()).unwrap_or_else(|| path.to_owned())
}

/// The mode of the file at `path`, such as 0644, if others can read or change it; `None` also on Windows, where a file
/// inherits its privacy from its folder.
pub fn mode_for_others(path: &Path) -> Option<u32> {
    system::mode(&fs::metadata(path).ok()?).filter(|mode| mode & 0o066 != 0)
}

/// Whether the file at `path` is this user's, and others can read or change it.
pub fn is_own_and_open_to_others(path: &Path) -> bool {
    own_mode(path).is_some_and(|mode| mode & 0o066 != 0)
}

/// The same for one that others may read.
pub fn is_own_and_written_by_others(path: &Path) -> bool {
    own_mode(path).is_some_and(|mode| mode & 0o022 != 0)
}

/// Takes all rights on this user's file from others; does nothing to a file that is not theirs.
///
/// # Errors The system's.
pub fn close_to_others(path: &Path) -> io::Result<()> {
    match own_mode(path) {
        Some(mode) => system::set_mode(path, mode & 0o700),
        None => Ok(()),
    }
}

/// The mode of a regular file of this user, to which no link leads.
fn own_mode(path: &Path) -> Option<u32> {
    let found = fs::symlink_metadata(path).ok()?;
    let is_own = found.file_type().is_file() && system::require_owner(&found, system::me()).is_ok();
    is_own.then(|| system::mode(&found)).flatten()
}

fn require_file(kind: FileType) -> io::Result<()> {
    match name_of(kind) {
        None => Ok(()),
        Some(name) => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {name}, and no regular file"))),
    }
}

/// What the path leads to explains an error better than the system does: "too many levels of symbolic links", "no such
/// device or address".
fn in_words(error: io::Error, found: io::Result<Metadata>) -> io::Error {
    found.ok().and_then(|found| require_file(found.file_type()).err()).unwrap_or(error)
}

fn name_of(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        return None;
    }
    Some(if kind.is_symlink() {
        "a link"
    } else if kind.is_dir() {
        "a folder"
    } else {
        system::name_of(kind)
    })
}

#[cfg(unix)]
mod system {
    use std::fs::{FileType, Metadata, OpenOptions};
    use std::io;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    use rustix::fs::OFlags;

    pub fn follow_no_link(options: &mut OpenOptions, _: &Path) -> io::Result<()> {
        options.mode(0o600);
        flags(options, OFlags::NOFOLLOW | OFlags::NONBLOCK);
        Ok(())
    }

    pub fn wait_for_nothing(options: &mut OpenOptions) {
        flags(options, OFlags::NONBLOCK);
    }

    fn flags(options: &mut OpenOptions, flags: OFlags) {
        options.custom_flags(i32::try_from((flags | OFlags::NOCTTY).bits()).unwrap_or_default());
    }

    pub fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    pub fn require_owner(found: &Metadata, me: u32) -> io::Result<()> {
        if found.uid() == me {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"))
    }

    pub fn mode(found: &Metadata) -> Option<u32> {
        Some(found.mode() & 0o777)
    }

    pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    }

    pub fn name_of(kind: FileType) -> &'static str {
        if kind.is_fifo() {
            "a pipe"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a device"
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::{self, FileType, Metadata, OpenOptions};
    use std::io;
    use std::path::Path;

    /// Only somebody with the right to make links in this user's own folders could swap one in after this look.
    pub fn follow_no_link(_: &mut OpenOptions, path: &Path) -> io::Result<()> {
        match fs::symlink_metadata(path) {
            Ok(found) => super::require_file(found.file_type()),
            Err(_) => Ok(()),
        }
    }

    pub fn wait_for_nothing(_: &mut OpenOptions) {}

    pub fn me() {}

    pub fn require_owner(_: &Metadata, (): ()) -> io::Result<()> {
        Ok(())
    }

    pub fn mode(_: &Metadata) -> Option<u32> {
        None
    }

    pub fn set_mode(_: &Path, _: u32) -> io::Result<()> {
        Ok(())
    }

    pub fn name_of(_: FileType) -> &'static str {
        "a device"
    }
}

#[cfg(all(test, unix))]
mod tests;
