//! The file that keeps the keys when none is configured: one a line, the first is current, the rest are older.
//!
//! The file is written as a whole or not at all: a process that is killed at any point leaves the old file or the new one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::{KeyRing, SecretKey, VaultError};

/// Bytes of a key file at most: more than a thousand keys.
const MAX_SIZE: u64 = 64 * 1024;

/// A key file by its path. Only its owner may read it; systems without Unix permissions do not check that.
///
/// All functions block: call them on a thread that may.
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

    /// Reads the keys of the file. Never creates it: [`VaultError::KeyFileMissing`] if there is none.
    pub fn load(&self) -> Result<KeyRing, VaultError> {
        let text = self.read()?;
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

    /// Creates the file with a new key; returns `None` if there is a file already, which stays as it is.
    ///
    /// Only for a database that has never been used with a key.
    pub fn create(&self) -> Result<Option<KeyRing>, VaultError> {
        let ring = KeyRing::new(SecretKey::generate(), Vec::new());
        let written = self.write(&ring, &self.path)?;
        match written.persist_noclobber(&self.path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(self.failed("write", error.error)),
        }
        sync_folder(&self.path).map_err(|source| self.failed("write", source))?;
        Ok(Some(ring))
    }

    /// Puts a new key before the others, which stay as older ones.
    ///
    /// Two rotations at once would lose one of the new keys: the caller lets one process at a time do it.
    pub fn rotate(&self) -> Result<KeyRing, VaultError> {
        let old = self.load()?;
        let older = std::iter::once(old.current().clone())
            .chain(old.older().iter().cloned())
            .collect();
        let ring = KeyRing::new(SecretKey::generate(), older);
        // A link to the file stays one.
        let path = fs::canonicalize(&self.path).map_err(|source| self.failed("read", source))?;
        let written = self.write(&ring, &path)?;
        written
            .persist(&path)
            .map_err(|error| self.failed("write", error.error))?;
        sync_folder(&path).map_err(|source| self.failed("write", source))?;
        Ok(ring)
    }

    fn read(&self) -> Result<Zeroizing<String>, VaultError> {
        let invalid = |problem| VaultError::KeyFileInvalid {
            path: self.path.clone(),
            problem,
        };
        // Before it is opened: opening a pipe would wait for a writer.
        match fs::metadata(&self.path) {
            Ok(found) if found.is_file() => {}
            Ok(found) if found.is_dir() => return Err(invalid("is a folder")),
            Ok(_) => return Err(invalid("is not a regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(VaultError::KeyFileMissing {
                    path: self.path.clone(),
                });
            }
            Err(error) => return Err(self.failed("read", error)),
        }
        let file = File::open(&self.path).map_err(|source| self.failed("read", source))?;
        self.check_permissions(&file)?;
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(MAX_SIZE + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| self.failed("read", source))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_SIZE) {
            return Err(invalid("is larger than a key file can be"));
        }
        let text = str::from_utf8(&bytes).map_err(|_| invalid("is not text"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Writes the keys into a new file in the folder of `path`, readable by its owner alone.
    fn write(&self, ring: &KeyRing, path: &Path) -> Result<NamedTempFile, VaultError> {
        let write = || {
            let mut file = tempfile::Builder::new()
                .prefix(".trunkline-key-")
                .tempfile_in(folder_of(path))?;
            for key in std::iter::once(ring.current()).chain(ring.older()) {
                file.write_all(key.to_base64().expose_secret().as_bytes())?;
                file.write_all(b"\n")?;
            }
            file.as_file().sync_all()?;
            Ok(file)
        };
        write().map_err(|source| self.failed("write", source))
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

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Makes the file's name survive a power cut as well.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder_of(path))?.sync_all()
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

    #[expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
    fn mode(file: &KeyFile) -> u32 {
        fs::metadata(file.path()).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_created_file_is_for_its_owner_and_is_never_replaced_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let first = file(&folder).create().unwrap().unwrap();
        assert_eq!(mode(&file(&folder)), 0o600);

        assert!(file(&folder).create().unwrap().is_none());
        assert_eq!(file(&folder).load().unwrap().current().id(), first.current().id());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn many_creations_at_once_end_with_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let created: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| file(&folder).create().unwrap()))
                .collect();
            all.into_iter()
                .filter_map(|creation| creation.join().unwrap())
                .collect()
        });
        assert_eq!(created.len(), 1);
        let loaded = file(&folder).load().unwrap();
        assert_eq!(loaded.current().id(), created[0].current().id());
    }

    #[test]
    fn loading_never_creates() {
        let folder = tempfile::tempdir().unwrap();
        for outcome in [file(&folder).load(), file(&folder).rotate()] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, VaultError::KeyFileMissing { .. }));
            assert!(error.to_string().contains("trunkline.key is missing"), "{error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_that_helps() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder).create().unwrap();
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
        let first = file(&folder).create().unwrap().unwrap().current().id();
        let second = file(&folder).rotate().unwrap().current().id();
        let third = file(&folder).rotate().unwrap().current().id();

        let ring = file(&folder).load().unwrap();
        assert_eq!(ring.current().id(), third);
        assert_eq!(
            ring.older().iter().map(SecretKey::id).collect::<Vec<_>>(),
            [second, first]
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(mode(&file(&folder)), 0o600);
    }

    #[test]
    fn rotation_through_a_link_changes_the_file_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder).create().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(file(&folder).path(), &link).unwrap();

        let rotated = KeyFile::at(&link).rotate().unwrap();

        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            file(&folder).load().unwrap().current().id(),
            rotated.current().id()
        );
    }

    #[test]
    fn a_file_without_good_keys_says_what_is_wrong_and_echoes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trunkline.key");
        let key = SecretKey::generate().to_base64();
        let key = key.expose_secret();
        let good = key.as_bytes();
        let cases: [(&[u8], &str); 6] = [
            (b"", "is empty"),
            (b"\n \n", "is empty"),
            (&[good, b"\ngeheim\n"].concat(), "line 2"),
            (&good[..40], "line 1"),
            (&[0xff; 44], "is not text"),
            (&b"\n".repeat(70_000), "is larger"),
        ];
        for (text, wanted) in cases {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = file(&folder).load().unwrap_err();
            let told = error.to_string();
            assert!(
                told.contains(wanted) && told.contains("trunkline.key") && told.contains("backup"),
                "{told}"
            );
            assert!(!format!("{error:?}").contains("geheim"));
            // A rotation would write what is lost over what is left.
            assert!(file(&folder).rotate().is_err());
            assert_eq!(fs::read(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(
            file(&folder)
                .load()
                .unwrap_err()
                .to_string()
                .contains("is a folder")
        );
    }
}
