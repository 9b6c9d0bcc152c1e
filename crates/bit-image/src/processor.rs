//! The two image processors.

use std::sync::{Mutex, PoisonError};

use bit_config::{ChannelDimension, ImageProcessorConfig};
use rayon::prelude::*;

use crate::decode::Limits;
use crate::input::ImageInput;
use crate::options::{PreprocessOptions, Settings};
use crate::pipeline::Pipeline;
use crate::resize::PassOrder;
use crate::scratch::{Scratch, Spare};
use crate::tensor::{ImageValues, PixelValues, Prepared, batch_shape};
use crate::{ImageError, geometry};

/// Whose arithmetic a processor follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcessorKind {
    /// Pillow and numpy, as transformers' `BitImageProcessorPil`.
    Pil,
    /// torch and torchvision, as transformers' `BitImageProcessor`.
    Torchvision,
}

/// An image processor whose arithmetic is chosen at run time.
///
/// It can be shared between threads; each call borrows a set of buffers that is kept for the next one.
#[derive(Debug)]
pub struct Processor {
    kind: ProcessorKind,
    config: ImageProcessorConfig,
    limits: Limits,
    pass_order: PassOrder,
    scratch: Mutex<Vec<Scratch>>,
    /// Memory of images that have been written: a batch has more of them than threads.
    spare: Spare,
}

impl Clone for Processor {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            scratch: Mutex::default(),
            spare: Spare::default(),
            ..*self
        }
    }
}

impl Processor {
    /// A processor with these settings.
    ///
    /// # Errors
    /// [`ImageError::Argument`] with transformers' message when a step is switched on without what it needs.
    pub fn new(kind: ProcessorKind, config: ImageProcessorConfig) -> Result<Self, ImageError> {
        config.validate()?;
        Settings::new(&config, &PreprocessOptions::default(), kind)?;
        let (limits, pass_order) = (Limits::default(), PassOrder::default());
        Ok(Self {
            kind,
            config,
            limits,
            pass_order,
            scratch: Mutex::default(),
            spare: Spare::default(),
        })
    }

    /// Replaces the limits against hostile files.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Replaces the pass order of Pillow's resize; the torchvision processor has only one.
    pub fn with_pass_order(self, pass_order: PassOrder) -> Self {
        Self { pass_order, ..self }
    }

    /// The settings.
    pub fn config(&self) -> &ImageProcessorConfig {
        &self.config
    }

    /// Whose arithmetic this processor follows.
    pub fn kind(&self) -> ProcessorKind {
        self.kind
    }

    /// The limits against hostile files.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Prepares a batch, its images in parallel on rayon's current pool.
    ///
    /// # Errors
    /// [`ImageError::InImage`] that names the first image with a fault, [`ImageError::Ragged`] when the images end
    /// with different shapes, [`ImageError::Argument`] for settings that do not go together.
    pub fn preprocess(
        &self,
        images: &[ImageInput<'_>],
        options: &PreprocessOptions,
    ) -> Result<PixelValues, ImageError> {
        let mut data = Vec::new();
        let shape = self.preprocess_batch_into(images, options, &mut data)?;
        let layout = self.layout(options);
        Ok(PixelValues { data, shape, layout })
    }

    /// [`preprocess`](Self::preprocess) into `out`, whose memory is reused; returns the shape
    /// `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// As [`preprocess`](Self::preprocess); `out` then holds anything.
    pub fn preprocess_batch_into(
        &self,
        images: &[ImageInput<'_>],
        options: &PreprocessOptions,
        out: &mut Vec<f32>,
    ) -> Result<[usize; 4], ImageError> {
        let settings = Settings::new(&self.config, options, self.kind)?;
        let pipeline = self.pipeline(&settings);
        let prepared = self.prepare_all(&pipeline, images)?;
        let shape = batch_shape(&prepared, &settings, |index| images[index].name(index))?;
        let [channels, height, width] = shape;
        geometry::check_result(height, width, &self.limits)?;

        let length = channels * height * width;
        fit(out, images.len() * length);
        let slots = out.par_chunks_mut(length).zip(prepared).enumerate();
        slots.try_for_each(|(index, (slot, image))| {
            let written =
                self.with_scratch(|scratch| image.write(&settings, self.kind, shape, &mut scratch.map, slot));
            self.spare.pools().keep(image.values);
            written.map_err(|error| error.in_image(images[index].name(index)))
        })?;
        Ok([images.len(), channels, height, width])
    }

    /// Prepares one image on the calling thread.
    ///
    /// # Errors
    /// As [`preprocess`](Self::preprocess).
    pub fn preprocess_one(
        &self,
        image: &ImageInput<'_>,
        options: &PreprocessOptions,
    ) -> Result<ImageValues, ImageError> {
        let mut data = Vec::new();
        let shape = self.preprocess_into(image, options, &mut data)?;
        let layout = self.layout(options);
        Ok(ImageValues { data, shape, layout })
    }

    /// Prepares one image on the calling thread into `out`, whose memory is reused, and returns its shape
    /// `[channels, height, width]`.
    ///
    /// After a few images of a kind, this takes no memory but what the decoders of other crates take for themselves:
    /// none for baseline JPEGs, raw pixels and opened pictures.
    ///
    /// # Errors
    /// As [`preprocess`](Self::preprocess); `out` then holds anything.
    pub fn preprocess_into(
        &self,
        image: &ImageInput<'_>,
        options: &PreprocessOptions,
        out: &mut Vec<f32>,
    ) -> Result<[usize; 3], ImageError> {
        let settings = Settings::new(&self.config, options, self.kind)?;
        let pipeline = self.pipeline(&settings);
        let named = |error: ImageError| error.in_image(image.name(0));
        self.with_scratch(|scratch| {
            let prepared = self.prepare(&pipeline, image, scratch).map_err(named)?;
            let shape = batch_shape(std::slice::from_ref(&prepared), &settings, |_| image.name(0))?;
            geometry::check_result(shape[1], shape[2], &self.limits)?;
            fit(out, shape.iter().product());
            let written = prepared.write(&settings, self.kind, shape, &mut scratch.map, out);
            self.spare.pools().keep(prepared.values);
            written.map(|()| shape).map_err(named)
        })
    }

    fn layout(&self, options: &PreprocessOptions) -> ChannelDimension {
        let layout = options.data_format.or(self.config.data_format);
        layout.unwrap_or(ChannelDimension::First)
    }

    fn pipeline<'a>(&'a self, settings: &'a Settings<'a>) -> Pipeline<'a> {
        Pipeline {
            kind: self.kind,
            settings,
            limits: self.limits,
            pass_order: self.pass_order,
            spare: &self.spare,
        }
    }

    /// Everything but the values; their faults are transformers' before those of padding and stacking.
    fn prepare(
        &self,
        pipeline: &Pipeline<'_>,
        image: &ImageInput<'_>,
        scratch: &mut Scratch,
    ) -> Result<Prepared, ImageError> {
        let prepared = pipeline.prepare(image, scratch)?;
        scratch
            .map
            .fill(pipeline.settings, self.kind, prepared.channels)?;
        Ok(prepared)
    }

    fn prepare_all(
        &self,
        pipeline: &Pipeline<'_>,
        images: &[ImageInput<'_>],
    ) -> Result<Vec<Prepared>, ImageError> {
        if images.is_empty() {
            return Err(ImageError::NoImages);
        }
        let prepare = |(index, image): (usize, &ImageInput<'_>)| {
            let prepared = self.with_scratch(|scratch| self.prepare(pipeline, image, scratch));
            prepared.map_err(|error| error.in_image(image.name(index)))
        };
        // Collected before the errors are looked at, so that the first image with a fault is always the one named.
        let prepared: Vec<_> = images
            .par_iter()
            .enumerate()
            .with_max_len(1)
            .map(prepare)
            .collect();
        prepared.into_iter().collect()
    }

    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let kept = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = kept.unwrap_or_default();
        let result = work(&mut scratch);
        self.scratch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(scratch);
        result
    }
}

/// Makes room for `length` values. What is there stays: all of it is written.
fn fit(out: &mut Vec<f32>, length: usize) {
    if out.capacity() < length {
        // The operating system's zeros, which cost nothing before they are written.
        *out = vec![0.0; length];
    }
    out.resize(length, 0.0);
}

macro_rules! named_processor {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        ///
        /// All methods are those of [`Processor`], which it dereferences to.
        #[derive(Debug, Clone)]
        pub struct $name(Processor);

        impl $name {
            /// A processor with these settings.
            ///
            /// # Errors
            /// As [`Processor::new`].
            pub fn new(config: ImageProcessorConfig) -> Result<Self, ImageError> {
                Processor::new($kind, config).map(Self)
            }
        }

        impl std::ops::Deref for $name {
            type Target = Processor;

            fn deref(&self) -> &Processor {
                &self.0
            }
        }

        impl From<$name> for Processor {
            fn from(processor: $name) -> Self {
                processor.0
            }
        }
    };
}

named_processor! {
    /// transformers' `BitImageProcessorPil`: Pillow's resize, numpy's arithmetic.
    BitImageProcessorPil, ProcessorKind::Pil
}

named_processor! {
    /// transformers' `BitImageProcessor`: torchvision's antialiased uint8 resize, torch's arithmetic.
    BitImageProcessor, ProcessorKind::Torchvision
}
