//! The first directory of a TIFF file or of an EXIF block, read where it lies: nothing is allocated for it.

/// Where the fields of a directory lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory<'a> {
    bytes: &'a [u8],
    little: bool,
    /// Offsets and counts of 8 bytes.
    big: bool,
    fields: usize,
    count: u64,
}

/// A value of a directory: `kind` is TIFF's number for its type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    kind: u16,
    /// Where the value begins in the file.
    at: usize,
    pub(super) value: &'a [u8],
    little: bool,
}

impl<'a> Directory<'a> {
    /// `None` when the bytes do not start like a TIFF file or end before the directory.
    pub(super) fn first(bytes: &'a [u8]) -> Option<Self> {
        let little = match bytes.first_chunk()? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let number = |at: usize, length: usize| Some(number(bytes.get(at..)?.get(..length)?, little));
        let big = match number(2, 2)? {
            42 => false,
            43 => true,
            _ => return None,
        };
        let start = usize::try_from(if big { number(8, 8)? } else { number(4, 4)? }).ok()?;
        let length = if big { 8 } else { 2 };
        Some(Self {
            bytes,
            little,
            big,
            fields: start.checked_add(length)?,
            count: number(start, length)?,
        })
    }

    /// The first field with this tag whose value lies in the file, as Pillow chooses it.
    pub(super) fn field(&self, tag: u16) -> Option<Field<'a>> {
        self.entries(tag).find_map(|(at, entry)| {
            let (count, inline) = entry[4..].split_at(entry.len() / 2 - 2);
            let kind = number(&entry[2..4], self.little) as u16;
            let count = usize::try_from(number(count, self.little)).ok()?;
            let length = count.checked_mul(width(kind)?)?;
            let at = if length <= inline.len() {
                at + entry.len() - inline.len()
            } else {
                usize::try_from(number(inline, self.little)).ok()?
            };
            let value = self.bytes.get(at..)?.get(..length)?;
            (length > 0).then_some(Field {
                kind,
                at,
                value,
                little: self.little,
            })
        })
    }

    /// The whole numbers of a field; none when it is absent or of another type.
    pub(super) fn numbers(&self, tag: u16) -> impl Iterator<Item = u64> {
        let field = self.field(tag).filter(Field::is_whole);
        field.into_iter().flat_map(|field| field.numbers())
    }

    /// The first whole number of a field.
    pub(super) fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag).next()
    }

    /// The two bytes at the start of a field's value, whatever its type and count say.
    pub(super) fn word(&self, tag: u16) -> Option<u16> {
        let (_, entry) = self.entries(tag).next()?;
        Some(number(&entry[entry.len() / 2 + 2..][..2], self.little) as u16)
    }

    /// The entries with this tag: where each lies, and its 12 or 20 bytes.
    fn entries(&self, tag: u16) -> impl Iterator<Item = (usize, &'a [u8])> {
        let (bytes, length) = (self.bytes, if self.big { 20 } else { 12 });
        let entries = bytes.get(self.fields..).unwrap_or_default().chunks_exact(length);
        let little = self.little;
        (self.fields..)
            .step_by(length)
            .zip(entries)
            .take(usize::try_from(self.count).unwrap_or(usize::MAX))
            .filter(move |(_, entry)| number(&entry[..2], little) == u64::from(tag))
    }
}

impl<'a> Field<'a> {
    /// True for the types that Pillow reads as whole numbers; a byte's value stays bytes there.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.kind, 3 | 4 | 6 | 8 | 9 | 13 | 16)
    }

    /// Where the lowest byte of the first value lies.
    pub(super) fn low_byte(&self) -> usize {
        let width = width(self.kind).unwrap_or(1);
        if self.little { self.at } else { self.at + width - 1 }
    }

    /// The values as unsigned numbers.
    pub(super) fn numbers(self) -> impl Iterator<Item = u64> + 'a {
        let values = self.value.chunks_exact(width(self.kind).unwrap_or(1));
        values.map(move |value| number(value, self.little))
    }
}

/// Bytes of one value of a type.
fn width(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16 => Some(8),
        _ => None,
    }
}

fn number(bytes: &[u8], little: bool) -> u64 {
    let append = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
    if little {
        bytes.iter().rev().fold(0, append)
    } else {
        bytes.iter().fold(0, append)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A directory of one field in both byte orders and both sizes of offsets.
    fn files(tag: u16, kind: u16, count: u32, value: u32) -> Vec<Vec<u8>> {
        let mut files = Vec::new();
        for little in [true, false] {
            let bytes = |value: u64, length: usize| {
                let bytes = value.to_le_bytes()[..length].to_vec();
                if little {
                    bytes
                } else {
                    bytes.into_iter().rev().collect()
                }
            };
            let mark = if little { b"II" } else { b"MM" };
            for (version, offset, rest) in [
                (42, 4, vec![bytes(8, 4)]),
                (43, 8, vec![bytes(8, 2), bytes(0, 2), bytes(16, 8)]),
            ] {
                let mut parts = vec![mark.to_vec(), bytes(version, 2)];
                parts.extend(rest);
                parts.push(bytes(1, if version == 42 { 2 } else { 8 }));
                parts.extend([
                    bytes(tag.into(), 2),
                    bytes(kind.into(), 2),
                    bytes(count.into(), offset),
                ]);
                let value = bytes(value.into(), width(kind).unwrap_or(4).min(offset));
                parts.extend([value.clone(), vec![0; offset - value.len()]]);
                files.push(parts.concat());
            }
        }
        files
    }

    #[test]
    fn a_number_is_read_in_every_byte_order_and_whole_type() {
        for kind in [3, 4, 6, 8, 9, 13] {
            for file in files(274, kind, 1, 6) {
                let directory = Directory::first(&file).unwrap();
                assert_eq!(directory.number(274), Some(6), "type {kind}: {file:?}");
                assert_eq!(directory.number(275), None);
            }
        }
    }

    #[test]
    fn a_value_outside_the_file_is_no_field() {
        for (kind, count) in [(3, u32::MAX), (5, 1), (12, u32::MAX), (99, 1), (3, 0)] {
            for file in files(274, kind, count, u32::MAX) {
                let field = Directory::first(&file).unwrap().field(274);
                assert!(
                    field.is_none() || file[2..4].contains(&43),
                    "type {kind}: {file:?}"
                );
            }
        }
        for length in 0..8 {
            assert!(Directory::first(&b"II*\0\x08\0\0\0"[..length]).is_none());
        }
    }
}
