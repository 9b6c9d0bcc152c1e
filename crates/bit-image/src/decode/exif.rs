//! The orientation that a file asks for.

use image::metadata::Orientation;

/// The orientation in an EXIF block (a TIFF header and its directories).
pub(super) fn orientation(exif: &[u8]) -> Orientation {
    Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms)
}

/// The orientation in a JPEG's APP1 segments.
pub(crate) fn jpeg_orientation(bytes: &[u8]) -> Orientation {
    segments(bytes)
        .filter(|(marker, _)| *marker == 0xE1)
        .find_map(|(_, body)| body.strip_prefix(b"Exif\0\0"))
        .map_or(Orientation::NoTransforms, orientation)
}

/// The marker segments of a JPEG up to its first scan: each marker with its body.
pub(super) fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        while let [0xFF, 0xFF, ..] = rest {
            rest = &rest[1..];
        }
        let [0xFF, marker, high, low, tail @ ..] = rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(2)?;
        let body = tail.get(..length)?;
        rest = &tail[length..];
        (*marker != 0xDA).then_some((*marker, body))
    })
}
