//! Memory that a processor keeps from image to image.

use std::sync::{Mutex, PoisonError};

use crate::array::Values;
use crate::decode::JpegDecoder;
use crate::resize::Buffers;
use crate::tensor::Prepared;

/// Buffers that one thread keeps from image to image.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) jpeg: JpegDecoder,
    pub(crate) file: Vec<u8>,
    pub(crate) pixels: Vec<u8>,
    pub(crate) buffers: Buffers,
}

/// Buffers of resized images, which live until their batch is written.
#[derive(Debug, Default)]
pub(crate) struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    /// The largest batch whose memory is kept for the next one.
    const MOST: usize = 64;

    pub(crate) fn take(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_default()
    }

    /// Takes back the buffer of an image that has been written.
    pub(crate) fn give_back(&self, image: Prepared) {
        if let Values::U8(bytes) = image.values {
            let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if spare.len() < Self::MOST {
                spare.push(bytes);
            }
        }
    }
}
