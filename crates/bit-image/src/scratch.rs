//! Memory that a processor keeps from image to image.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::array::Values;
use crate::decode::JpegDecoder;
use crate::resize::Buffers;
use crate::values::ValueMap;

/// What one thread keeps from image to image.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) jpeg: JpegDecoder,
    pub(crate) file: Vec<u8>,
    pub(crate) memory: Memory,
    pub(crate) buffers: Buffers,
    pub(crate) map: ValueMap,
}

/// Memory of pixels on their way: a picture, and what it is turned or converted into.
pub(crate) type Memory = Pools<2>;

/// Buffers of resized images, which live until their batch is written: the largest batch whose memory is kept for the
/// next one has 128 images.
#[derive(Debug, Default)]
pub(crate) struct Spare(Mutex<Pools<128>>);

impl Spare {
    pub(crate) fn pools(&self) -> MutexGuard<'_, Pools<128>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Vectors of each type, at most `MOST`.
#[derive(Debug, Default)]
pub(crate) struct Pools<const MOST: usize> {
    pub(crate) bytes: Pool<u8, MOST>,
    pub(crate) words: Pool<u16, MOST>,
    pub(crate) floats: Pool<f32, MOST>,
}

impl<const MOST: usize> Pools<MOST> {
    pub(crate) fn keep(&mut self, values: Values) {
        match values {
            Values::U8(bytes) | Values::Bool(bytes) => self.bytes.keep(bytes),
            Values::U16(words) => self.words.keep(words),
            Values::F32(floats) => self.floats.keep(floats),
        }
    }
}

/// Vectors that are used again.
#[derive(Debug, Default)]
pub(crate) struct Pool<T, const MOST: usize>(Vec<Vec<T>>);

impl<T: Copy, const MOST: usize> Pool<T, MOST> {
    /// A vector, with whatever was in it.
    pub(crate) fn take(&mut self) -> Vec<T> {
        self.0.pop().unwrap_or_default()
    }

    /// A vector that holds these values.
    pub(crate) fn filled(&mut self, values: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut vector = self.take();
        vector.clear();
        vector.extend(values);
        vector
    }

    /// A vector that holds a copy.
    pub(crate) fn copy_of(&mut self, values: &[T]) -> Vec<T> {
        let mut vector = self.take();
        vector.clear();
        vector.extend_from_slice(values);
        vector
    }

    pub(crate) fn keep(&mut self, vector: Vec<T>) {
        if self.0.len() < MOST {
            self.0.push(vector);
        }
    }
}
