//! The orientation that a file asks for.

use image::metadata::Orientation;

use crate::ProcessorKind;

/// What a file says about its orientation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Turns {
    exif: Option<Orientation>,
    xmp: Option<Orientation>,
}

impl Turns {
    /// From an EXIF block (a TIFF header and its directories) and an XMP packet.
    pub(super) fn new(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Self {
        Self {
            exif: exif.and_then(Orientation::from_exif_chunk),
            // An orientation that does not exist is one that is known.
            xmp: xmp
                .filter(|_| !exif.is_some_and(has_orientation))
                .and_then(orientation_of_xmp),
        }
    }

    /// From the APP1 segments of a JPEG.
    pub(crate) fn of_jpeg(bytes: &[u8]) -> Self {
        let bodies = || {
            segments(bytes)
                .filter(|(marker, _)| *marker == 0xE1)
                .map(|(_, body)| body)
        };
        Self::new(
            bodies().find_map(|body| body.strip_prefix(b"Exif\0\0")),
            bodies()
                .filter_map(|body| body.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0"))
                .last(),
        )
    }

    /// Pillow asks XMP when EXIF says nothing, torchvision does not.
    pub(crate) fn of_kind(self, kind: ProcessorKind) -> Orientation {
        let xmp = self.xmp.filter(|_| kind == ProcessorKind::Pil);
        self.exif.or(xmp).unwrap_or(Orientation::NoTransforms)
    }
}

/// True when the first directory of an EXIF block has the tag of the orientation, whatever its value.
fn has_orientation(exif: &[u8]) -> bool {
    const TAG: u16 = 0x0112;
    let little = exif.starts_with(b"II");
    let word = |at: usize| {
        let word = *exif.get(at..)?.first_chunk()?;
        Some(if little {
            u16::from_le_bytes(word)
        } else {
            u16::from_be_bytes(word)
        })
    };
    let offset = exif.get(4..).and_then(<[u8]>::first_chunk).map(|&offset| {
        if little {
            u32::from_le_bytes(offset)
        } else {
            u32::from_be_bytes(offset)
        }
    });
    let start = offset.map_or(usize::MAX, |offset| offset as usize);
    let entries = usize::from(word(start).unwrap_or(0));
    (0..entries).any(|entry| word(start + 2 + 12 * entry) == Some(TAG))
}

/// The first digit after `tiff:Orientation="` or `tiff:Orientation>`, as Pillow looks for it.
fn orientation_of_xmp(xmp: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    let values = (0..xmp.len()).filter_map(|at| xmp[at..].strip_prefix(NAME));
    let digits = values.filter_map(|rest| rest.strip_prefix(b"=\"").or(rest.strip_prefix(b">")));
    let digit = digits
        .filter_map(|rest| rest.first().filter(|byte| byte.is_ascii_digit()))
        .next()?;
    Orientation::from_exif(digit - b'0')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xmp_says_the_orientation_as_an_attribute_or_an_element() {
        for (text, expected) in [
            (&b"<a tiff:Orientation=\"6\"/>"[..], Some(Orientation::Rotate90)),
            (
                b"<tiff:Orientation>3</tiff:Orientation>",
                Some(Orientation::Rotate180),
            ),
            (
                b"tiff:Orientation= tiff:Orientation=\"8",
                Some(Orientation::Rotate270),
            ),
            (b"tiff:Orientation=\"0\"", None),
            (b"tiff:Orientation", None),
        ] {
            assert_eq!(orientation_of_xmp(text), expected);
        }
    }
}
