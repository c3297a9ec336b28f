//! The machine's own file system with other files laid over it: for configurations that name absolute paths.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Mounts the layers below `$1` and runs the rest of the arguments with that as the root. Nobody outside sees the mounts.
const ENTER: &str = r#"
top=$1; shift
mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$top/merged" &&
mount --rbind /dev "$top/merged/dev" &&
mount -t proc proc "$top/merged/proc" &&
exec chroot "$top/merged" "$@"
"#;

/// A root of its own, in which nothing is written to the machine.
pub struct Room {
    top: TempDir,
}

impl Room {
    /// The machine as it is.
    pub fn new() -> io::Result<Room> {
        let top = tempfile::Builder::new().prefix("why403-room-").tempdir()?;
        for name in ["upper", "work", "merged"] {
            fs::create_dir(top.path().join(name))?;
        }
        for dir in [top.path(), &top.path().join("upper")] {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Room { top })
    }

    /// Where a path of the room lies outside of it, before it is entered.
    pub fn outside(&self, path: &Path) -> PathBuf {
        self.top.path().join("upper").join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Makes a directory, with those around it.
    pub fn make_dir(&self, path: &Path) -> io::Result<()> {
        let mut made = self.top.path().join("upper");
        for part in path.strip_prefix("/").unwrap_or(path) {
            made.push(part);
            match fs::create_dir(&made) {
                Ok(()) => fs::set_permissions(&made, fs::Permissions::from_mode(0o755))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lays a file.
    pub fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.make_dir(path.parent().unwrap_or(Path::new("/")))?;
        let place = self.outside(path);
        fs::write(&place, bytes)?;
        fs::set_permissions(place, fs::Permissions::from_mode(0o644))
    }

    /// Lays a link.
    pub fn link(&self, path: &Path, target: &str) -> io::Result<()> {
        self.make_dir(path.parent().unwrap_or(Path::new("/")))?;
        symlink(target, self.outside(path))
    }

    /// Adds lines to a file of the machine.
    pub fn append(&self, path: &Path, text: &str) -> io::Result<()> {
        let place = self.outside(path);
        let own = if place.exists() { place } else { path.to_path_buf() };
        let before = fs::read_to_string(own)?;
        self.put(path, format!("{before}{text}").as_bytes())
    }

    /// The beginning of a command that runs what follows inside, in a mount and process namespace of its own; `more` are
    /// further options of unshare.
    pub fn enter(&self, more: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(more).args(["--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", ENTER, "room"]);
        command.arg(self.top.path());
        command
    }

    /// Runs a program inside and waits for it.
    pub fn run(&self, words: &[&str]) -> io::Result<Output> {
        self.enter(&[]).args(words).env("LC_ALL", "C").output()
    }
}
