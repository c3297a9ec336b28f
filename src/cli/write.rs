//! Writing files that are somebody's configuration: atomically, keeping mode and owner; and showing a change as a patch.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use similar::TextDiff;

/// Replaces the content of a file in one step: a temporary file beside it with the same mode and owner is renamed over it. A
/// link is written through, not replaced. A file that was not there gets mode 0644.
///
/// # Errors
/// Whatever the file system says; the old file is then untouched.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        Err(error) => return Err(error),
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".why403-").tempfile_in(dir)?;
    file.write_all(bytes)?;
    match fs::metadata(&path) {
        Ok(old) => {
            let new = file.as_file().metadata()?;
            if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
                fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
            }
            // After the owner: changing it clears set-user-id bits.
            file.as_file().set_permissions(old.permissions())?;
        }
        Err(_) => {
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        }
    }
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

/// A unified diff that `patch -p0` and `git apply -p0` take.
///
/// # Errors
/// Whatever the sink says.
pub(super) fn diff(out: &mut dyn Write, path: &Path, old: &[u8], new: &[u8]) -> io::Result<()> {
    let name = path.to_string_lossy();
    let diff = TextDiff::from_lines(old, new);
    diff.unified_diff().header(&name, &name).to_writer(out)
}
