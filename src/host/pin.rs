//! The hash that a plugin's program must have, checked on what is executed.

use std::fmt;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use sha2::Digest;
use sha2::Sha256;
use thiserror::Error;

/// Bytes that are read from a program at once while it is hashed.
const CHUNK: usize = 64 * 1024;

/// The SHA-256 that a plugin's program must have to be executed.
///
/// The check is on the very bytes that get executed: the program is copied
/// into memory that nobody can change any more, the copy is hashed, and the
/// copy is what runs. Replacing the file at any time changes nothing. The copy
/// stays in memory for as long as the plugin runs.
///
/// Limits: Linux only, and no `#!` scripts ([`LaunchError::PinUnsupported`]
/// otherwise). Shared libraries that the program loads are not covered. A
/// pinned program that asks for its own path (`current_exe`, `$ORIGIN`) does
/// not learn where its file lies; its `argv[0]` says so.
///
/// Written and parsed as 64 hexadecimal digits, as `sha256sum` prints them.
///
/// [`LaunchError::PinUnsupported`]: crate::host::LaunchError::PinUnsupported
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Pin([u8; 32]);

/// A pin that is not written as 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParsePinError {
    /// The text has another length.
    #[error("a SHA-256 pin has 64 hexadecimal digits, this text is {bytes} bytes long")]
    Length {
        /// The length of the text.
        bytes: usize,
    },
    /// A digit is not hexadecimal.
    #[error("a SHA-256 pin has only hexadecimal digits, the byte at position {position} is none")]
    Digit {
        /// Where the first such byte stands, counted from 0.
        position: usize,
    },
}

impl Sha256Pin {
    /// The pin with these bytes.
    #[must_use]
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The pin that the file has now. Reads the whole file and blocks meanwhile.
    ///
    /// # Errors
    ///
    /// What opening or reading the file fails with.
    pub fn of_file(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::of_reader(File::open(path)?)
    }

    /// The pin of all that can be read. Blocks meanwhile.
    pub(crate) fn of_reader(from: impl Read) -> io::Result<Self> {
        hash_all(from, |_| Ok(()))
    }
}

/// Reads to the end, shows every chunk to `each` in order, and hashes them all.
fn hash_all(
    mut from: impl Read,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Sha256Pin> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let chunk = match from.read(&mut buffer) {
            Ok(0) => return Ok(Sha256Pin(hasher.finalize().into())),
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(chunk);
        each(chunk)?;
    }
}

impl FromStr for Sha256Pin {
    type Err = ParsePinError;

    fn from_str(text: &str) -> Result<Self, ParsePinError> {
        if text.len() != 64 {
            return Err(ParsePinError::Length { bytes: text.len() });
        }
        let mut hash = [0; 32];
        for (position, digit) in text.bytes().enumerate() {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                b'A'..=b'F' => digit - b'A' + 10,
                _ => return Err(ParsePinError::Digit { position }),
            };
            hash[position / 2] = hash[position / 2] << 4 | value;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for Sha256Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Pin({self})")
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::checked_copy;

#[cfg(target_os = "linux")]
mod linux {
    //! The sealed copy in memory that is hashed and executed.

    use std::fs::File;
    use std::io;
    use std::io::Seek;
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::MemfdFlags;
    use rustix::fs::OFlags;
    use rustix::fs::SealFlags;
    use rustix::io::Errno;

    use super::Sha256Pin;
    use super::hash_all;
    use crate::host::command::may_execute;
    use crate::host::error::ExecObstacle;
    use crate::host::error::LaunchError;
    use crate::host::error::PinObstacle;

    /// Copies `program` into a sealed memory file and compares the copy with
    /// `pin`. Blocks for as long as reading the file takes.
    pub(crate) fn checked_copy(program: &Path, pin: Sha256Pin) -> Result<OwnedFd, LaunchError> {
        let not_executable =
            |obstacle| LaunchError::NotExecutable { program: program.to_owned(), obstacle };
        let unsupported =
            |obstacle| LaunchError::PinUnsupported { program: program.to_owned(), obstacle };
        let failed = |source| LaunchError::Spawn { program: program.to_owned(), source };

        let source = open(program)?;
        if !source.metadata().map_err(failed)?.is_file() {
            return Err(not_executable(ExecObstacle::NotAFile));
        }
        // What the file holds is of no concern if executing it is not allowed:
        // the copy would be executable regardless.
        if !may_execute(program) {
            return Err(not_executable(ExecObstacle::Permission));
        }
        let copy = memory_file().map_err(|error| unsupported(PinObstacle::Kernel(error)))?;
        let mut copy = File::from(copy);
        let actual = hash_all(source, |chunk| copy.write_all(chunk)).map_err(failed)?;
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&copy, seals).map_err(|error| failed(error.into()))?;
        if actual != pin {
            let program = program.to_owned();
            return Err(LaunchError::PinMismatch { program, expected: pin, actual });
        }
        if is_script(&mut copy).map_err(failed)? {
            return Err(unsupported(PinObstacle::Script));
        }
        Ok(copy.into())
    }

    fn open(program: &Path) -> Result<File, LaunchError> {
        // Without NONBLOCK, opening a named pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::open(program, flags, rustix::fs::Mode::empty()) {
            Ok(file) => Ok(File::from(file)),
            Err(error) => {
                let program = program.to_owned();
                Err(match error {
                    Errno::NOENT | Errno::NOTDIR => LaunchError::NotFound { program },
                    Errno::ACCESS => {
                        LaunchError::NotExecutable { program, obstacle: ExecObstacle::Permission }
                    }
                    other => LaunchError::Spawn { program, source: other.into() },
                })
            }
        }
    }

    fn memory_file() -> io::Result<OwnedFd> {
        const NAME: &str = "trunkline-plugin";
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        match rustix::fs::memfd_create(NAME, flags | MemfdFlags::EXEC) {
            // Kernels before 6.3 do not know the flag: all their memory files
            // are executable.
            Err(Errno::INVAL) => Ok(rustix::fs::memfd_create(NAME, flags)?),
            other => Ok(other?),
        }
    }

    fn is_script(copy: &mut File) -> io::Result<bool> {
        use std::io::Read;
        let mut start = Vec::with_capacity(2);
        copy.rewind()?;
        copy.take(2).read_to_end(&mut start)?;
        Ok(start == b"#!")
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_copy_that_was_checked_cannot_be_changed() {
            let program = Path::new("/bin/true");
            let pin = Sha256Pin::of_file(program).unwrap();
            let copy = checked_copy(program, pin).unwrap();

            let written = rustix::io::pwrite(&copy, b"evil", 0);
            assert_eq!(written, Err(Errno::PERM));
            assert_eq!(rustix::fs::ftruncate(&copy, 1), Err(Errno::PERM));
            assert_eq!(rustix::fs::fcntl_add_seals(&copy, SealFlags::WRITE), Err(Errno::PERM));
        }

        #[test]
        fn a_file_that_is_replaced_after_the_check_does_not_matter() {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("plugin");
            std::fs::copy("/bin/true", &program).unwrap();
            let pin = Sha256Pin::of_file(&program).unwrap();
            let copy = checked_copy(&program, pin).unwrap();

            std::fs::write(&program, b"replaced").unwrap();
            let mut copy = File::from(copy);
            copy.rewind().unwrap();
            assert_eq!(hash_all(copy, |_| Ok(())).unwrap(), pin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_pin_is_written_as_it_is_read() {
        let pin: Sha256Pin = EMPTY.parse().unwrap();
        assert_eq!(pin.to_string(), EMPTY);
        assert_eq!(EMPTY.to_uppercase().parse(), Ok(pin));
        assert_eq!(Sha256Pin::new(*pin.as_bytes()), pin);
    }

    #[test]
    fn the_pin_of_a_file_is_its_sha256() {
        assert_eq!(Sha256Pin::of_file("/dev/null").unwrap().to_string(), EMPTY);
        let missing = Sha256Pin::of_file("/nonexistent").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_text_that_is_no_pin_is_refused_with_the_reason() {
        let short = "abc".parse::<Sha256Pin>();
        assert_eq!(short, Err(ParsePinError::Length { bytes: 3 }));
        let wrong = EMPTY.replacen('c', "g", 1).parse::<Sha256Pin>();
        assert_eq!(wrong, Err(ParsePinError::Digit { position: 4 }));
        let two_byte_letters = "é".repeat(32).parse::<Sha256Pin>();
        assert_eq!(two_byte_letters, Err(ParsePinError::Digit { position: 0 }));
    }
}
