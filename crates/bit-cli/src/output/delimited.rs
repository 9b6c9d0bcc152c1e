//! Lines of comma-separated values.

use anyhow::Result;

/// One line with its end, quoted where needed.
pub fn fields<T: AsRef<[u8]>>(values: impl IntoIterator<Item = T>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(values)?;
    Ok(writer.into_inner().map_err(csv::IntoInnerError::into_error)?)
}
