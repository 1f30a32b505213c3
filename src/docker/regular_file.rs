//! Reading files whose names others have chosen: regular ones only, and no more than a bound.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;

use rustix::fs::Mode;
use rustix::fs::OFlags;

/// The whole of a regular file, or nothing if it has more bytes than this. Follows links.
///
/// Opening a pipe would wait for somebody to write to it, and reading a device may never end,
/// so that neither is opened for long: what is there is known for certain only when it is open.
pub(super) fn read(path: &Path, most: usize) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(one_more).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}
