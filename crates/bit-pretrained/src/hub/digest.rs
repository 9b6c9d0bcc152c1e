//! Whether a file is the one that the server promised.

use std::fmt;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// What a server says that a file's content sums up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Digest {
    /// Hexadecimal: the Hub's etag of a large file.
    Sha256(String),
    /// Hexadecimal: the Hub's etag of a small file, which is git's sum over the content and its size.
    Git {
        /// The SHA-1.
        sum: String,
        /// Bytes of the content.
        size: u64,
    },
    /// Base64 of the big-endian sum: Google's header.
    Crc32c(String),
}

impl Digest {
    /// From an etag of the Hub, for a file of this size. git's sum begins with the size: without it, nothing is known.
    pub fn of_etag(etag: &str, size: Option<u64>) -> Option<Self> {
        let is_hexadecimal = etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let sum = is_hexadecimal.then(|| etag.to_ascii_lowercase())?;
        match sum.len() {
            64 => Some(Self::Sha256(sum)),
            40 => size.map(|size| Self::Git { sum, size }),
            _ => None,
        }
    }

    /// From a value of `x-goog-hash`: `crc32c=n03x6A==,md5=…`.
    pub fn of_google(header: &str) -> Option<Self> {
        let sum = header
            .split(',')
            .find_map(|part| part.trim().strip_prefix("crc32c="))?;
        Some(Self::Crc32c(sum.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(sum) => write!(f, "SHA-256 {sum}"),
            Self::Git { sum, .. } => write!(f, "git SHA-1 {sum}"),
            Self::Crc32c(sum) => write!(f, "CRC-32C {sum}"),
        }
    }
}

/// A sum over what has come so far.
pub(super) enum Sum {
    Sha256(Box<Sha256>),
    Git(Box<Sha1>, u64),
    Crc32c(u32),
    /// There is nothing to compare with.
    None,
}

impl Sum {
    pub fn new(expected: Option<&Digest>) -> Self {
        match expected {
            Some(Digest::Sha256(_)) => Self::Sha256(Box::default()),
            Some(Digest::Git { size, .. }) => {
                let start = Sha1::new().chain_update(format!("blob {size}\0"));
                Self::Git(Box::new(start), *size)
            }
            Some(Digest::Crc32c(_)) => Self::Crc32c(0),
            None => Self::None,
        }
    }

    pub fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Git(hasher, _) => hasher.update(bytes),
            Self::Crc32c(sum) => *sum = crc32c::crc32c_append(*sum, bytes),
            Self::None => {}
        }
    }

    pub fn finish(self) -> Option<Digest> {
        match self {
            Self::Sha256(hasher) => Some(Digest::Sha256(format!("{:x}", hasher.finalize()))),
            Self::Git(hasher, size) => Some(Digest::Git {
                sum: format!("{:x}", hasher.finalize()),
                size,
            }),
            Self::Crc32c(sum) => Some(Digest::Crc32c(base64(sum))),
            Self::None => None,
        }
    }
}

fn base64(sum: u32) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = u64::from(sum) << 4;
    let mut text: String = (0..6)
        .rev()
        .map(|digit| char::from(ALPHABET[(bits >> (6 * digit)) as usize & 63]))
        .collect();
    text.push_str("==");
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sum(expected: &Digest, parts: &[&str]) -> Option<Digest> {
        let mut sum = Sum::new(Some(expected));
        for part in parts {
            sum.add(part.as_bytes());
        }
        sum.finish()
    }

    #[test]
    fn sums_are_written_as_the_servers_write_them() {
        let sha256 = "64ec88ca00b268e5ba1a35678a1b5316d212f4f366b2477232534a8aeca37f3c";
        let etag = Digest::of_etag(sha256, None).unwrap();
        assert_eq!(sum(&etag, &["Hello ", "world"]), Some(etag));
        // `git hash-object` of the same text.
        let git = Digest::of_etag("70C379B63FFA0795FDBFBC128E5A2818397B7EF8", Some(11)).unwrap();
        assert_eq!(sum(&git, &["Hello ", "world"]), Some(git));
        // RFC 3720: the sum over 32 zeros is 8a9136aa.
        let google = Digest::of_google("md5=XUFAKrxLKna5cZ2REBfFkg==, crc32c=ipE2qg==").unwrap();
        assert_eq!(
            sum(&google, &["\0".repeat(20).as_str(), &"\0".repeat(12)]),
            Some(google)
        );
    }

    #[test]
    fn other_etags_say_nothing_of_the_content() {
        assert_eq!(
            Digest::of_etag("70c379b63ffa0795fdbfbc128e5a2818397b7ef8", None),
            None
        );
        for etag in ["", "0123", "xyc379b63ffa0795fdbfbc128e5a2818397b7ef8"] {
            assert_eq!(Digest::of_etag(etag, Some(11)), None, "{etag}");
        }
    }
}
