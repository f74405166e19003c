//! The file that keeps the keys when none is configured: one a line, the first is current, the rest are older.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::{KeyRing, SecretKey, VaultError};

/// A key file by its path. Only its owner may read it; on systems without Unix permissions that is not looked at.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The key file at `path`, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys of the file.
    pub fn load(&self) -> Result<KeyRing, VaultError> {
        let file = File::open(&self.path).map_err(|source| self.failed("read", source))?;
        self.check_permissions(&file)?;
        let text = Zeroizing::new(io::read_to_string(&file).map_err(|source| self.failed("read", source))?);
        let mut keys = Vec::new();
        for (index, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
        {
            keys.push(
                SecretKey::from_base64(line).map_err(|error| VaultError::KeyFileLine {
                    path: self.path.clone(),
                    line: index + 1,
                    source: Box::new(error),
                })?,
            );
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or_else(|| VaultError::KeyFileEmpty {
            path: self.path.clone(),
        })?;
        Ok(KeyRing::new(current, keys.collect()))
    }

    /// The keys of the file, and whether it was made just now with a new key.
    pub fn load_or_create(&self) -> Result<(KeyRing, bool), VaultError> {
        let ring = KeyRing::new(SecretKey::generate(), Vec::new());
        match write_new(&self.path, &ring) {
            Ok(()) => Ok((ring, true)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok((self.load()?, false)),
            Err(error) => Err(self.failed("write", error)),
        }
    }

    /// Puts a new key before the others, which stay as older ones. The file is replaced as a whole or not at all.
    pub fn rotate(&self) -> Result<KeyRing, VaultError> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let new = PathBuf::from(name);
        // The new file is the lock as well. It is claimed before the keys are read, so that no rotation's key is lost.
        let claim = match create(&new) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(VaultError::RotationUnderWay { path: new });
            }
            Err(error) => return Err(self.failed("write", error)),
        };
        let rotated = self.load().and_then(|old| {
            let older = std::iter::once(old.current().clone())
                .chain(old.older().iter().cloned())
                .collect();
            let ring = KeyRing::new(SecretKey::generate(), older);
            write(claim, &ring).map_err(|source| self.failed("write", source))?;
            fs::rename(&new, &self.path).map_err(|source| self.failed("write", source))?;
            sync_folder(&self.path).map_err(|source| self.failed("write", source))?;
            Ok(ring)
        });
        if rotated.is_err() {
            // Gone already if only the last step failed.
            drop(fs::remove_file(&new));
        }
        rotated
    }

    #[cfg(unix)]
    fn check_permissions(&self, file: &File) -> Result<(), VaultError> {
        use std::os::unix::fs::PermissionsExt;
        let mode = file
            .metadata()
            .map_err(|source| self.failed("read", source))?
            .permissions()
            .mode();
        let of_others = mode & 0o077;
        if of_others == 0 {
            Ok(())
        } else {
            Err(VaultError::KeyFileOpen {
                path: self.path.clone(),
            })
        }
    }

    #[cfg(not(unix))]
    fn check_permissions(&self, _: &File) -> Result<(), VaultError> {
        Ok(())
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> VaultError {
        VaultError::KeyFile {
            doing,
            path: self.path.clone(),
            source,
        }
    }
}

/// Fails if the file is there already, so that two processes that start at once do not each make a key.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn write(mut file: File, ring: &KeyRing) -> io::Result<()> {
    for key in std::iter::once(ring.current()).chain(ring.older()) {
        file.write_all(key.to_base64().expose_secret().as_bytes())?;
        file.write_all(b"\n")?;
    }
    file.sync_all()
}

fn write_new(path: &Path, ring: &KeyRing) -> io::Result<()> {
    write(create(path)?, ring)?;
    sync_folder(path)
}

/// Makes the file's name survive a power cut as well.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(folder: &tempfile::TempDir) -> KeyFile {
        KeyFile::at(folder.path().join("trunkline.key"))
    }

    #[test]
    fn the_first_start_makes_a_key_that_only_its_owner_reads_and_the_next_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let (first, created) = file(&folder).load_or_create().unwrap();
        assert!(created);
        assert_eq!(
            fs::metadata(file(&folder).path()).unwrap().permissions().mode() & 0o777,
            0o600
        );

        let (second, created) = file(&folder).load_or_create().unwrap();
        assert!(!created);
        assert_eq!(second.current().id(), first.current().id());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_that_helps() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder).load_or_create().unwrap();
        fs::set_permissions(file(&folder).path(), fs::Permissions::from_mode(0o640)).unwrap();
        let error = file(&folder).load().unwrap_err().to_string();
        assert!(
            error.contains(&format!("chmod 600 {}", file(&folder).path().display())),
            "{error}"
        );
    }

    #[test]
    fn rotation_puts_a_new_key_first_and_keeps_the_rest_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let first = file(&folder).load_or_create().unwrap().0.current().id();
        let second = file(&folder).rotate().unwrap().current().id();
        let third = file(&folder).rotate().unwrap().current().id();

        let ring = file(&folder).load().unwrap();
        assert_eq!(ring.current().id(), third);
        assert_eq!(
            ring.older().iter().map(SecretKey::id).collect::<Vec<_>>(),
            [second, first]
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(
            fs::metadata(file(&folder).path()).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn two_rotations_at_once_do_not_lose_a_key() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder).load_or_create().unwrap();
        fs::write(folder.path().join("trunkline.key.new"), "").unwrap();
        assert!(matches!(
            file(&folder).rotate(),
            Err(VaultError::RotationUnderWay { .. })
        ));
    }

    #[test]
    fn a_rotation_that_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            file(&folder).rotate(),
            Err(VaultError::KeyFile { doing: "read", .. })
        ));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_empty_file_and_a_bad_line_are_told_apart_and_not_echoed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trunkline.key");
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        write("\n");
        assert!(matches!(
            file(&folder).load(),
            Err(VaultError::KeyFileEmpty { .. })
        ));
        write(&format!(
            "{}\ngeheim\n",
            SecretKey::generate().to_base64().expose_secret()
        ));
        let error = file(&folder).load().unwrap_err();
        assert!(matches!(error, VaultError::KeyFileLine { line: 2, .. }));
        assert!(!format!("{error:?}").contains("geheim"));
    }
}
