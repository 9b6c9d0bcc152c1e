//! Files that appear whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::TransferError;

/// Writes a file through a temporary neighbour that takes its name only when everything succeeded.
pub(crate) fn write(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> Result<(), TransferError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as any new file
    let write = || {
        let mut temporary = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
        let mut writer = BufWriter::new(temporary.as_file_mut());
        content(&mut writer)?;
        writer.flush()?;
        drop(writer);
        temporary.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(TransferError::io(path, "write"))
}
