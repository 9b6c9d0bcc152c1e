//! The orientation that a file asks for.

use std::borrow::Cow;

use image::metadata::Orientation;

use super::directory::Directory;
use super::segments::segments;
use crate::ProcessorKind;

/// EXIF's tag of the orientation.
const ORIENTATION: u16 = 0x0112;

/// What EXIF data in a JPEG starts with, and some writers put before it elsewhere too.
const EXIF: &[u8] = b"Exif\0\0";

/// What a file says about its orientation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Turns {
    pillow: Option<Orientation>,
    torchvision: Option<Orientation>,
}

/// Where a file has its metadata, as far as each library looks.
#[derive(Debug, Clone, Default)]
pub(super) struct Metadata<'a> {
    /// The EXIF block that Pillow reads.
    pub(super) exif: Option<Cow<'a, [u8]>>,
    /// The XMP packet, which Pillow asks when EXIF has no orientation.
    pub(super) xmp: Option<Cow<'a, [u8]>>,
    /// The EXIF block that torchvision's reader takes; it knows no XMP.
    pub(super) for_torchvision: Option<&'a [u8]>,
}

impl Turns {
    pub(super) fn new(metadata: &Metadata<'_>) -> Self {
        let exif = metadata.exif.as_deref().map(without_prefix);
        let exif = exif.and_then(Directory::first);
        // A field that is no number, or no orientation, is one: XMP is asked only where there is none.
        let pillow = match exif.and_then(|exif| exif.field(ORIENTATION)) {
            Some(field) if field.is_whole() => field.numbers().next().and_then(known),
            Some(_) => None,
            None => metadata.xmp.as_deref().and_then(orientation_of_xmp),
        };
        let torchvision = metadata.for_torchvision.and_then(Directory::first);
        let torchvision = torchvision.and_then(|exif| exif.word(ORIENTATION));
        Self {
            pillow,
            torchvision: torchvision.and_then(|value| known(value.into())),
        }
    }

    /// From the APP1 segments of a JPEG.
    pub(crate) fn of_jpeg(bytes: &[u8]) -> Self {
        let bodies = || {
            segments(bytes)
                .filter(|segment| segment.marker == 0xE1)
                .map(|segment| segment.body)
        };
        let packets = bodies().filter_map(|body| body.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0"));
        Self::new(&Metadata {
            exif: joined(bodies().filter_map(|body| body.strip_prefix(EXIF))),
            xmp: packets.last().map(Cow::Borrowed),
            // The first segment, whatever is in it.
            for_torchvision: bodies().next().and_then(|body| body.get(EXIF.len()..)),
        })
    }

    pub(crate) fn of_kind(self, kind: ProcessorKind) -> Orientation {
        let orientation = match kind {
            ProcessorKind::Pil => self.pillow,
            ProcessorKind::Torchvision => self.torchvision,
        };
        orientation.unwrap_or(Orientation::NoTransforms)
    }
}

fn known(value: u64) -> Option<Orientation> {
    u8::try_from(value).ok().and_then(Orientation::from_exif)
}

/// EXIF data may be cut into several segments.
fn joined<'a>(mut parts: impl Iterator<Item = &'a [u8]>) -> Option<Cow<'a, [u8]>> {
    let mut whole = Cow::Borrowed(parts.next()?);
    parts.for_each(|part| whole.to_mut().extend_from_slice(part));
    Some(whole)
}

/// Pillow takes up to two prefixes away.
fn without_prefix(exif: &[u8]) -> &[u8] {
    let once = exif.strip_prefix(EXIF).unwrap_or(exif);
    once.strip_prefix(EXIF).unwrap_or(once)
}

/// The EXIF block in ImageMagick's text `Raw profile type exif`: three lines, then hexadecimal digits.
pub(super) fn raw_profile(text: &str) -> Option<Vec<u8>> {
    let digits = text.split('\n').skip(3).flat_map(str::bytes);
    let digits: Option<Vec<u8>> = digits
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| char::from(byte).to_digit(16).map(|digit| digit as u8))
        .collect();
    let (pairs, rest) = digits.as_ref()?.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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

    #[test]
    fn a_raw_profile_is_hexadecimal_after_three_lines() {
        assert_eq!(raw_profile("\nexif\n       3\n4d4D\n2a\n").unwrap(), b"MM*");
        assert_eq!(raw_profile("\nexif\n       3\n4d4D\n2"), None);
        assert_eq!(raw_profile("\nexif\n       3\n4d4Dxy"), None);
        assert_eq!(raw_profile("").unwrap(), b"");
    }
}
