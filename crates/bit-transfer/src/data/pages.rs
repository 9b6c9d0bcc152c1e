//! Parquet's row groups with pages that are unpacked here, where a limit holds before memory is taken.
//!
//! The `parquet` crate's codecs write whatever the packed bytes come to: a few kilobytes may be as many gigabytes. Told
//! that nothing is packed, it hands pages over as they are stored; everything else is its own reader.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use parquet::basic::{Compression, Encoding};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::RowGroupReader;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

/// Bytes that may be made of however few.
const ALWAYS: usize = 64 << 20;
/// Bytes that may be made of each stored one where that is more. Pictures are packed already.
const GROWTH: usize = 64;
/// Values that the crate decodes at a time. With [`Encoding::DELTA_BYTE_ARRAY`] each of them can be as long as all that
/// its page holds.
const DECODED: usize = 1024;

/// Most bytes that so many stored ones may become.
pub(super) fn limit(stored: u64) -> usize {
    let stored = usize::try_from(stored).unwrap_or(usize::MAX);
    stored.saturating_mul(GROWTH).max(ALWAYS)
}

/// A row group of a file.
pub(super) struct RowGroup<'a> {
    pub(super) file: &'a Arc<File>,
    /// The file's length, in bytes.
    pub(super) length: u64,
    /// Its number, from 0.
    pub(super) number: usize,
    pub(super) metadata: &'a RowGroupMetaData,
}

impl RowGroupReader for RowGroup<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.metadata
    }

    fn num_columns(&self) -> usize {
        self.metadata.num_columns()
    }

    fn get_column_page_reader(&self, index: usize) -> Result<Box<dyn PageReader>> {
        let column = self.metadata.column(index);
        let place = format!("row group {}, column {}", self.number, column.column_path());
        let (start, bytes) = column.byte_range();
        if start.checked_add(bytes).is_none_or(|end| end > self.length) {
            let found = format!("{bytes} bytes from byte {start} on");
            return Err(wrong(
                &place,
                &found,
                &format!("no more than the file's {}", self.length),
            ));
        }
        let stored = column
            .clone()
            .into_builder()
            .set_compression(Compression::UNCOMPRESSED)
            .build()?;
        let rows = usize::try_from(self.metadata.num_rows())?;
        Ok(Box::new(Pages {
            stored: SerializedPageReader::new(self.file.clone(), &stored, rows, None)?,
            codec: column.compression(),
            values: self.length,
            place,
        }))
    }

    fn get_column_bloom_filter(&self, _: usize) -> Option<&Sbbf> {
        None
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

/// The pages of a column.
struct Pages {
    stored: SerializedPageReader<File>,
    codec: Compression,
    /// How many values may still come. As many as the file has bytes are read: a run of equal ones takes no place.
    values: u64,
    place: String,
}

impl Pages {
    fn unpacked(&mut self, mut page: Page) -> Result<Page> {
        let values = u64::from(page.num_values());
        self.values = self.values.checked_sub(values).ok_or_else(|| {
            let found = format!("a page with {values} values");
            wrong(&self.place, &found, "no more values than the file has bytes")
        })?;
        let most = match page.encoding() {
            Encoding::DELTA_BYTE_ARRAY => ALWAYS / DECODED,
            _ => limit(page.buffer().len() as u64),
        };
        // A page of the second version has its levels before what is packed, if anything is.
        let (buffer, levels, codec) = match &mut page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => (buf, 0, self.codec),
            Page::DataPageV2 {
                buf,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                ..
            } => {
                let levels = *def_levels_byte_len as usize + *rep_levels_byte_len as usize;
                let packed = if *is_compressed {
                    self.codec
                } else {
                    Compression::UNCOMPRESSED
                };
                (buf, levels, packed)
            }
        };
        let stored = buffer.len();
        let failed = |why: io::Error| {
            wrong(
                &self.place,
                &format!("a page of {stored} bytes, {codec}"),
                &why.to_string(),
            )
        };
        let Some((levels, packed)) = buffer.split_at_checked(levels) else {
            return Err(wrong(
                &self.place,
                "a page that is shorter than its levels",
                "a whole page",
            ));
        };
        match codec {
            Compression::UNCOMPRESSED if stored <= most => {}
            _ => *buffer = unpack(codec, levels, packed, most).map_err(failed)?.into(),
        }
        Ok(page)
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.stored.get_next_page()?;
        page.map(|page| self.unpacked(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.stored.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.stored.skip_next_page()
    }
}

fn wrong(place: &str, found: &str, expected: &str) -> ParquetError {
    ParquetError::General(format!("{place}: {found}; expected {expected}"))
}

/// `before`, and after it what is packed, `most` bytes in all.
fn unpack(codec: Compression, before: &[u8], packed: &[u8], most: usize) -> io::Result<Vec<u8>> {
    let too_many = || io::Error::other(format!("at most {most} bytes when it is unpacked"));
    let room = most.checked_sub(before.len()).ok_or_else(too_many)?;
    let mut unpacked = before.to_vec();
    // One more than there is room for, to see whether there is more.
    let mut read = |packed: &mut dyn Read| packed.take(room as u64 + 1).read_to_end(&mut unpacked);
    let size = match codec {
        // Nothing is packed where all values are null.
        _ if packed.is_empty() => 0,
        Compression::UNCOMPRESSED => read(&mut &*packed)?,
        Compression::GZIP(_) => read(&mut MultiGzDecoder::new(packed))?,
        Compression::ZSTD(_) => read(&mut zstd::stream::read::Decoder::with_buffer(packed)?)?,
        Compression::SNAPPY => match snap::raw::decompress_len(packed)? {
            size if size > room => size,
            _ => {
                let values = snap::raw::Decoder::new().decompress_vec(packed)?;
                read(&mut &*values)?
            }
        },
        _ => return Err(io::Error::other("UNCOMPRESSED, SNAPPY, GZIP or ZSTD")),
    };
    if size > room {
        return Err(too_many());
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use flate2::write::GzEncoder;
    use parquet::basic::{GzipLevel, ZstdLevel};

    use super::*;

    /// The same bytes by every codec.
    fn packed(bytes: &[u8]) -> [(Compression, Vec<u8>); 4] {
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(bytes).unwrap();
        [
            (Compression::UNCOMPRESSED, bytes.to_vec()),
            (
                Compression::SNAPPY,
                snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
            ),
            (Compression::GZIP(GzipLevel::default()), gzip.finish().unwrap()),
            (
                Compression::ZSTD(ZstdLevel::default()),
                zstd::encode_all(bytes, 1).unwrap(),
            ),
        ]
    }

    #[test]
    fn a_page_is_unpacked_up_to_its_limit_and_no_further() {
        let bytes: Vec<u8> = (0..100_000).map(|at: u32| (at / 1000) as u8).collect();
        for (codec, packed) in packed(&bytes) {
            let whole = [b"levels", &bytes[..]].concat();
            assert_eq!(
                unpack(codec, b"levels", &packed, 100_006).unwrap(),
                whole,
                "{codec}"
            );
            let error = unpack(codec, b"levels", &packed, 100_005)
                .unwrap_err()
                .to_string();
            assert!(error.contains("at most 100005 bytes"), "{codec}: {error}");
            assert_eq!(unpack(codec, b"levels", &[], 6).unwrap(), b"levels");
            assert!(unpack(codec, b"levels", &[], 5).is_err());
        }
    }

    #[test]
    fn damaged_pages_and_unknown_codecs_are_errors() {
        for (codec, packed) in packed(&[7; 1000]).into_iter().skip(1) {
            assert!(
                unpack(codec, &[], &packed[..packed.len() / 2], 1 << 20).is_err(),
                "{codec}"
            );
        }
        let error = unpack(Compression::LZ4, &[], &[1], 10).unwrap_err().to_string();
        assert!(error.contains("SNAPPY"), "{error}");
    }

    #[test]
    fn a_large_page_may_grow_in_proportion() {
        assert_eq!(limit(0), ALWAYS);
        assert_eq!(limit(1 << 30), 64 << 30);
    }
}
