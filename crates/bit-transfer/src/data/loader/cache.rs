//! Resized pictures that are kept.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Resized pictures by their index, as many as the bound allows.
#[derive(Debug)]
pub(super) struct Cache {
    pictures: Vec<OnceLock<Box<[u8]>>>,
    /// Bytes that may still be kept.
    left: AtomicU64,
}

impl Cache {
    pub(super) fn new(pictures: usize, bytes: u64) -> Self {
        let pictures = if bytes > 0 { pictures } else { 0 };
        Self {
            pictures: (0..pictures).map(|_| OnceLock::new()).collect(),
            left: AtomicU64::new(bytes),
        }
    }

    /// The picture from here, or else made and kept if there is room.
    ///
    /// Two threads may make the same picture: one that waited for the other could be asked by it for help.
    pub(super) fn get<E>(
        &self,
        index: usize,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Cow<'_, [u8]>, E> {
        let Some(kept) = self.pictures.get(index) else {
            return make().map(Cow::Owned);
        };
        if let Some(picture) = kept.get() {
            return Ok(Cow::Borrowed(picture));
        }
        let picture = make()?;
        let size = picture.len() as u64;
        let room = |left: u64| left.checked_sub(size);
        if self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_err()
        {
            return Ok(Cow::Owned(picture));
        }
        if let Err(picture) = kept.set(picture.into()) {
            self.left.fetch_add(size, Ordering::Relaxed);
            return Ok(Cow::Owned(picture.into()));
        }
        Ok(Cow::Borrowed(kept.get().map_or(&[], |picture| picture)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pictures_are_kept_up_to_the_bound() {
        let cache = Cache::new(3, 7);
        let made = |index: usize| {
            let mut made = false;
            let make = || {
                made = true;
                Ok::<_, ()>(vec![index as u8; 3])
            };
            assert_eq!(&cache.get(index, make).unwrap()[..], [index as u8; 3]);
            made
        };
        let twice = [0, 1, 2, 0, 1, 2].map(made);
        assert_eq!(twice, [true, true, true, false, false, true]);
    }
}
