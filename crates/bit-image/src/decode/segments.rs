//! The marker segments of a JPEG.

/// `SOS`, after whose segment the coded pixels start.
pub(super) const START_OF_SCAN: u8 = 0xDA;

/// A marker with its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    pub(super) body: &'a [u8],
    /// What follows it in the file.
    pub(super) rest: &'a [u8],
}

/// The segments up to the first scan, whose header is the last one. Bytes between them are skipped, as by Pillow and
/// libjpeg.
pub(super) fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = bytes.strip_prefix(b"\xFF\xD8").unwrap_or_default();
    std::iter::from_fn(move || {
        let (marker, after) = marker_with_body(rest)?;
        let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
        let body = after.get(2..length)?;
        let end = &after[length..];
        rest = if marker == START_OF_SCAN { &[] } else { end };
        Some(Segment {
            marker,
            body,
            rest: end,
        })
    })
}

/// The next marker that has a body, and what follows it; `None` where the picture starts again or ends.
fn marker_with_body(mut bytes: &[u8]) -> Option<(u8, &[u8])> {
    loop {
        // 0xFF before a zero is data, before another 0xFF it fills.
        let starts = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF);
        bytes = &bytes[bytes.windows(2).position(starts)? + 1..];
        let (&marker, rest) = bytes.split_first()?;
        bytes = rest;
        match marker {
            0x01 | 0xD0..=0xD7 => {}
            0xD8 | 0xD9 => return None,
            marker => return Some((marker, rest)),
        }
    }
}

/// The file with a header that libjpeg does not warn about, and takes for the same picture: nothing between segments, a
/// version of JFIF that it knows, and the Adobe transform that it assumes for an unknown one.
///
/// A warning about the header counts as an error to the wrapper around libjpeg-turbo, and so does an unknown transform to
/// the decoder in Rust.
pub(super) fn with_plain_header(bytes: &[u8]) -> Vec<u8> {
    let frame = segments(bytes).find(|segment| matches!(segment.marker, 0xC0..=0xC2 | 0xC9 | 0xCA));
    let components = frame.and_then(|frame| frame.body.get(5).copied());
    let mut out = b"\xFF\xD8".to_vec();
    for Segment { marker, body, rest } in segments(bytes) {
        out.extend([0xFF, marker]);
        out.extend((body.len() as u16 + 2).to_be_bytes());
        let start = out.len();
        out.extend(body);
        let body = &mut out[start..];
        match (marker, components) {
            (0xE0, _) if body.starts_with(b"JFIF\0") && body.len() >= 14 => body[5] = 1,
            (0xEE, Some(3)) if body.starts_with(b"Adobe") && body.len() >= 12 => body[11] = body[11].min(1),
            (0xEE, Some(4)) if body.starts_with(b"Adobe") && body.len() >= 12 && body[11] != 0 => {
                body[11] = 2
            }
            (START_OF_SCAN, _) => out.extend(rest),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] =
        b"\xFF\xD8junk\xFF\x00\xFF\xFF\xE1\0\x04ab\xFF\xD0-\xFF\xFE\0\x03c\xFF\xDA\0\x02\xFF\xE1\0\x03d";

    #[test]
    fn segments_are_found_after_junk_and_fill_bytes() {
        let found: Vec<_> = segments(FILE).map(|found| (found.marker, found.body)).collect();
        assert_eq!(found, [(0xE1, &b"ab"[..]), (0xFE, b"c"), (0xDA, b"")]);
        assert_eq!(
            segments(FILE).last().map(|scan| scan.rest),
            Some(&b"\xFF\xE1\0\x03d"[..])
        );
    }

    #[test]
    fn a_plain_header_has_the_same_segments_and_nothing_else() {
        let plain = with_plain_header(FILE);
        assert_eq!(
            plain,
            b"\xFF\xD8\xFF\xE1\0\x04ab\xFF\xFE\0\x03c\xFF\xDA\0\x02\xFF\xE1\0\x03d"
        );
    }
}
