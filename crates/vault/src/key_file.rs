//! The key file, which holds the encryption keys when none is configured: one key a line, the current one first.
//!
//! Every write replaces the whole file: a process that is killed at any point leaves either the old file or the new one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::key::EncryptionKey;
use crate::key_ring::KeyRing;

/// The largest key file in bytes: more than a thousand keys.
const MAX_SIZE: u64 = 64 * 1024;

/// The path of a key file. Only the file's owner may read it; this is checked on Unix only.
///
/// All functions block, so call them on a thread that may block.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// Creates a handle to the key file at `path`, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the keys. Never creates the file: [`VaultError::KeyFileMissing`] if there is none.
    pub fn load(&self) -> Result<KeyRing, VaultError> {
        let text = self.read()?;
        let mut keys = Vec::new();
        let lines = (1..).zip(text.lines());
        for (line, key) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let invalid = |error| self.invalid(format!("has no valid key in line {line} ({error})"));
            keys.push(EncryptionKey::from_base64(key).map_err(invalid)?);
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or_else(|| self.invalid("is empty"))?;
        Ok(KeyRing::new(current, keys.collect()))
    }

    /// Creates the file with a new key. Returns `None` and changes nothing if a file exists.
    ///
    /// Call it only for a database that was never used with a key.
    pub fn create(&self) -> Result<Option<KeyRing>, VaultError> {
        let ring = KeyRing::new(EncryptionKey::generate(), Vec::new());
        let created =
            write_temporary(&ring, &self.path).and_then(|file| match file.persist_noclobber(&self.path) {
                Ok(_) => sync_folder(&self.path).map(|()| Some(ring)),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
                Err(error) => Err(error.error),
            });
        created.map_err(self.io_error("write"))
    }

    /// Puts a new key before the existing ones, which stay as older keys.
    ///
    /// Two rotations at the same time would lose a new key, so the caller must run one at a time.
    pub fn rotate(&self) -> Result<KeyRing, VaultError> {
        let older = self.load()?.keys().cloned().collect();
        let ring = KeyRing::new(EncryptionKey::generate(), older);
        // Replaces the target of a symbolic link, not the link.
        let path = fs::canonicalize(&self.path).map_err(self.io_error("read"))?;
        write_temporary(&ring, &path)
            .and_then(|file| file.persist(&path).map_err(io::Error::from))
            .and_then(|_| sync_folder(&path))
            .map_err(self.io_error("write"))?;
        Ok(ring)
    }

    fn read(&self) -> Result<Zeroizing<String>, VaultError> {
        // Checks the type before opening, because opening a pipe would wait for a writer.
        match fs::metadata(&self.path) {
            Ok(found) if found.is_file() => {}
            Ok(found) if found.is_dir() => return Err(self.invalid("is a folder")),
            Ok(_) => return Err(self.invalid("is not a regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(VaultError::KeyFileMissing(self.path.clone()));
            }
            Err(error) => return Err(self.io_error("read")(error)),
        }
        let file = File::open(&self.path).map_err(self.io_error("read"))?;
        if !is_private(&file).map_err(self.io_error("read"))? {
            return Err(VaultError::KeyFileNotPrivate(self.path.clone()));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        let size = file.take(MAX_SIZE + 1).read_to_end(&mut bytes);
        let size = size.map_err(self.io_error("read"))?;
        if u64::try_from(size).is_ok_and(|size| size > MAX_SIZE) {
            return Err(self.invalid("is larger than a key file can be"));
        }
        let text = str::from_utf8(&bytes).map_err(|_| self.invalid("is not text"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn invalid(&self, problem: impl Into<String>) -> VaultError {
        VaultError::KeyFileInvalid {
            path: self.path.clone(),
            problem: problem.into(),
        }
    }

    fn io_error(&self, action: &'static str) -> impl Fn(io::Error) -> VaultError {
        move |source| VaultError::KeyFileIo {
            action,
            path: self.path.clone(),
            source,
        }
    }
}

/// Writes the keys to a new file in the folder of `path`. Only the owner can read it.
fn write_temporary(ring: &KeyRing, path: &Path) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(".trunkline-key-")
        .tempfile_in(folder_of(path))?;
    for key in ring.keys() {
        writeln!(file, "{}", key.to_base64().expose_secret())?;
    }
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(unix)]
fn is_private(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let others = file.metadata()?.permissions().mode() & 0o077;
    Ok(others == 0)
}

#[cfg(not(unix))]
fn is_private(_: &File) -> io::Result<bool> {
    Ok(true)
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Makes the new name of the file survive a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder_of(path))?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "helpers of tests may panic too")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    /// A key file that does not exist yet, and its folder, which is deleted when dropped.
    fn key_file() -> (TempDir, KeyFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("trunkline.key"));
        (folder, file)
    }

    fn files_in(folder: &TempDir) -> usize {
        fs::read_dir(folder.path()).unwrap().count()
    }

    fn mode(file: &KeyFile) -> u32 {
        fs::metadata(file.path()).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(file: &KeyFile, mode: u32) {
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_created_file_is_private_and_creating_again_does_not_replace_it() {
        let (folder, file) = key_file();
        let first = file.create().unwrap().unwrap();
        assert_eq!(mode(&file), 0o600);

        assert!(file.create().unwrap().is_none());
        assert_eq!(file.load().unwrap().ids(), first.ids());
        assert_eq!(files_in(&folder), 1);
    }

    #[test]
    fn concurrent_creations_end_with_one_key() {
        let (_folder, file) = key_file();
        let created: Vec<_> = std::thread::scope(|scope| {
            let all: [_; 8] = std::array::from_fn(|_| scope.spawn(|| file.create().unwrap()));
            all.into_iter()
                .filter_map(|creation| creation.join().unwrap())
                .collect()
        });
        assert_eq!(created.len(), 1);
        assert_eq!(file.load().unwrap().ids(), created[0].ids());
    }

    #[test]
    fn loading_never_creates() {
        let (folder, file) = key_file();
        for outcome in [file.load(), file.rotate()] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, VaultError::KeyFileMissing(_)));
            assert!(error.to_string().contains("trunkline.key is missing"), "{error}");
        }
        assert_eq!(files_in(&folder), 0);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_to_fix_it() {
        let (_folder, file) = key_file();
        file.create().unwrap();
        set_mode(&file, 0o640);
        let error = file.load().unwrap_err().to_string();
        let command = format!("chmod 600 {}", file.path().display());
        assert!(error.contains(&command), "{error}");
    }

    #[test]
    fn rotation_puts_a_new_key_first_and_keeps_the_rest_in_order() {
        let (folder, file) = key_file();
        let first = file.create().unwrap().unwrap().current().id();
        let second = file.rotate().unwrap().current().id();
        let third = file.rotate().unwrap().current().id();

        assert_eq!(file.load().unwrap().ids(), [third, second, first]);
        assert_eq!(files_in(&folder), 1);
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn rotation_through_a_symbolic_link_changes_its_target() {
        let (folder, file) = key_file();
        file.create().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(file.path(), &link).unwrap();

        let rotated = KeyFile::at(&link).rotate().unwrap();

        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(file.load().unwrap().ids(), rotated.ids());
    }

    #[test]
    fn the_error_of_an_invalid_file_says_what_is_wrong_and_quotes_no_key() {
        let (_folder, file) = key_file();
        let path = file.path();
        let key = EncryptionKey::generate().to_base64();
        let good = key.expose_secret().as_bytes();
        let cases: [(&[u8], &str); 6] = [
            (b"", "is empty"),
            (b"\n \n", "is empty"),
            (&[good, b"\ngeheim\n"].concat(), "line 2"),
            (&good[..40], "line 1"),
            (&[0xff; 44], "is not text"),
            (&b"\n".repeat(70_000), "is larger"),
        ];
        for (text, wanted) in cases {
            fs::write(path, text).unwrap();
            set_mode(&file, 0o600);
            let error = file.load().unwrap_err();
            let message = error.to_string();
            for part in [wanted, "trunkline.key", "backup"] {
                assert!(message.contains(part), "{message}");
            }
            assert!(!format!("{error:?}").contains("geheim"));
            // A rotation would overwrite the keys that could still be restored.
            assert!(file.rotate().is_err());
            assert_eq!(fs::read(path).unwrap(), text);
        }
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        let error = file.load().unwrap_err().to_string();
        assert!(error.contains("is a folder"), "{error}");
    }
}
