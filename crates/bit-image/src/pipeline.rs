//! One image from input to tensor: decode, RGB, resize and crop, then rescale and normalize.

use bit_config::{PerChannel, Resample};
use image::metadata::Orientation;

use crate::ImageError;
use crate::array::{self, Array, Values};
use crate::convert::{self, Alpha};
use crate::decode::{self, Limits, Turns};
use crate::geometry::{self, Crop};
use crate::input::ImageInput;
use crate::jpeg::Baseline;
use crate::options::Settings;
use crate::orient::upright;
use crate::picture::{Picture, Samples};
use crate::premultiply;
use crate::processor::ProcessorKind;
use crate::resize::{Filter, Kernel, PassOrder, Plane, Resize, Stream};
use crate::samples::{resize_floats, to_bytes};
use crate::scratch::{Memory, Scratch, Spare};
use crate::tensor::Prepared;

/// What is computed of a picture of a certain size.
struct Plan {
    resize: Resize,
    rows: Crop,
    columns: Crop,
}

/// Everything that is the same for all images of a call.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline<'a> {
    pub(crate) kind: ProcessorKind,
    pub(crate) settings: &'a Settings<'a>,
    pub(crate) limits: Limits,
    pub(crate) pass_order: PassOrder,
    pub(crate) spare: &'a Spare,
}

impl Pipeline<'_> {
    /// Decodes, converts, resizes and crops.
    pub(crate) fn prepare(
        &self,
        input: &ImageInput<'_>,
        scratch: &mut Scratch,
    ) -> Result<Prepared, ImageError> {
        let memory = &mut scratch.memory;
        let array = match input {
            ImageInput::Path(path) => {
                decode::read_file(path, &self.limits, &mut scratch.file)?;
                let bytes = std::mem::take(&mut scratch.file);
                let prepared = self.prepare_file(&bytes, scratch);
                scratch.file = bytes;
                return prepared;
            }
            ImageInput::Bytes(bytes) => return self.prepare_file(bytes, scratch),
            ImageInput::Dynamic(image) => {
                let mut picture = Picture::copied(image, memory);
                let samples = std::mem::take(&mut picture.samples);
                self.opened(&picture, samples, memory)
            }
            ImageInput::Picture(picture) => self.opened(picture, picture.samples.copied(memory), memory),
            ImageInput::Raw(raw) => {
                let (format, rgb) = (self.settings.input_data_format, self.settings.convert_rgb);
                self.broadcast(Array::from_raw(raw, format, rgb, self.kind, memory)?)
            }
        };
        self.prepare_array(array, scratch)
    }

    /// What transformers makes of an opened picture.
    fn opened(&self, picture: &Picture, samples: Samples, memory: &mut Memory) -> Array {
        match self.settings.convert_rgb {
            true => convert::to_rgb(picture, samples, Alpha::OnWhite, memory),
            false => convert::to_array(picture, samples, memory),
        }
    }

    fn prepare_file(&self, bytes: &[u8], scratch: &mut Scratch) -> Result<Prepared, ImageError> {
        match self.stream(bytes, scratch)? {
            Some(prepared) => Ok(prepared),
            None => self.prepare_array(self.file(bytes, scratch)?, scratch),
        }
    }

    fn prepare_array(&self, array: Array, scratch: &mut Scratch) -> Result<Prepared, ImageError> {
        if array.height == 0 || array.width == 0 {
            let (width, height) = (array.width, array.height);
            return Err(ImageError::Argument(format!(
                "the picture has {width}x{height} pixels: nothing to process"
            )));
        }
        let plan = self.plan((array.height, array.width))?;
        let channels = array.channels;
        let (values, unit) = self.resize(array, &plan.resize, scratch)?;
        Ok(Prepared {
            values,
            unit,
            channels,
            rows: plan.rows,
            columns: plan.columns,
        })
    }

    /// What a picture of this (height, width) becomes.
    fn plan(&self, size: (usize, usize)) -> Result<Plan, ImageError> {
        let target = match &self.settings.resize {
            Some((size_dict, _)) => geometry::resized(size_dict, size)?,
            None => size,
        };
        let crop = |side, crop| match crop {
            Some(crop) => Crop::center(side, crop, self.kind),
            None => Crop::none(side),
        };
        let rows = crop(target.0, self.settings.crop.map(|(height, _)| height));
        let columns = crop(target.1, self.settings.crop.map(|(_, width)| width));
        geometry::check_result(rows.side, columns.side, &self.limits)?;
        let resize = Resize::new(size, target, (rows.window.clone(), columns.window.clone()));
        Ok(Plan {
            resize,
            rows,
            columns,
        })
    }

    /// Decodes and resizes a JPEG at the same time; `None` for all files and settings that need a whole picture.
    fn stream(&self, bytes: &[u8], scratch: &mut Scratch) -> Result<Option<Prepared>, ImageError> {
        let jpeg = Baseline::open(bytes, &mut scratch.jpeg.baseline);
        let (Some(jpeg), Some((_, resample))) = (jpeg, &self.settings.resize) else {
            return Ok(None);
        };
        if Turns::of_jpeg(bytes).of_kind(self.kind) != Orientation::NoTransforms {
            return Ok(None);
        }
        let (height, width) = jpeg.size();
        self.limits.check(width as u64, height as u64)?;
        let Plan {
            resize,
            rows,
            columns,
        } = self.plan((height, width))?;
        if resize.is_copy() {
            return Ok(None);
        }
        let kernel = self.kernel(*resample)?;
        resize.check(kernel, false, &self.limits)?;
        let Some(stream) = Stream::new(&resize, kernel, &mut scratch.buffers) else {
            return Ok(None);
        };
        let window = jpeg.window(stream.rows(), stream.columns());
        let (memory, mut out) = (&mut scratch.jpeg.baseline, self.spare.pools().bytes.take());
        let decode = |sink: &mut dyn FnMut(usize, Plane<'_>)| jpeg.decode(&window, memory, sink);
        let streamed = stream.run(window.first_column, &mut scratch.buffers, &mut out, decode);
        Ok(streamed.map(|()| Prepared {
            values: Values::U8(out),
            unit: false,
            channels: 3,
            rows,
            columns,
        }))
    }

    /// torch broadcasts one float channel over several means (not over several standard deviations).
    fn broadcast(&self, array: Array) -> Array {
        let count = |values: &PerChannel| {
            if let PerChannel::Each(values) = values {
                values.len()
            } else {
                1
            }
        };
        let stats = self.settings.normalize.as_ref();
        let channels = stats.map_or(1, |(mean, _)| count(mean)).max(1);
        match array.values {
            Values::F32(values) if self.kind == ProcessorKind::Torchvision && array.channels == 1 => Array {
                channels,
                values: Values::F32(array::repeated(values, channels)),
                ..array
            },
            values => Array { values, ..array },
        }
    }

    /// transformers' `load_image` or torchvision's `decode_image`: upright and RGB, without alpha.
    fn file(&self, bytes: &[u8], scratch: &mut Scratch) -> Result<Array, ImageError> {
        let pixels = scratch.memory.bytes.take();
        let mut picture = decode::decode(bytes, &self.limits, &mut scratch.jpeg, pixels)?;
        let orientation = picture.turns.of_kind(self.kind);
        let memory = &mut scratch.memory;
        let rgb = match self.kind {
            ProcessorKind::Torchvision => convert::to_torchvision(picture, memory),
            ProcessorKind::Pil => {
                let alpha = if self.settings.convert_rgb {
                    Alpha::DropButKey
                } else {
                    Alpha::Drop
                };
                let samples = std::mem::take(&mut picture.samples);
                convert::to_rgb(&picture, samples, alpha, memory)
            }
        };
        Ok(upright(rgb, orientation, memory))
    }

    /// Resizes to the window; true when bytes stand for fractions of 255.
    fn resize(
        &self,
        array: Array,
        resize: &Resize,
        scratch: &mut Scratch,
    ) -> Result<(Values, bool), ImageError> {
        let filter = match &self.settings.resize {
            Some((_, resample)) if !resize.is_copy() => self.kernel(*resample)?,
            // Without a change of size every kernel is a crop.
            _ => Kernel::PillowNearest,
        };
        let float = match (self.kind, &array.values) {
            (_, Values::U8(_)) => false,
            (ProcessorKind::Pil, Values::Bool(_)) => false,
            (ProcessorKind::Pil, _) => self.settings.resize.is_none(),
            (ProcessorKind::Torchvision, _) => true,
        };
        resize.check(filter, float, &self.limits)?;
        if float {
            let out = self.spare.pools().floats.take();
            return Ok((resize_floats(array, resize, filter, scratch, out), false));
        }
        let Array {
            height,
            width,
            channels,
            values,
        } = array;
        let (mut bytes, unit) = to_bytes(values, &mut scratch.memory)?;
        let plane = |data| Plane {
            data,
            height,
            width,
            channels,
        };
        // Pillow multiplies colour with alpha before it averages; torch does not know alpha.
        let premultiply = match filter {
            Kernel::Pillow(..) => premultiply::applies(channels) && !resize.is_copy(),
            _ => false,
        };
        if premultiply {
            premultiply::multiply(&mut bytes, channels);
        }
        let mut out = self.spare.pools().bytes.take();
        resize.run(plane(&bytes), filter, &mut scratch.buffers, &mut out);
        if premultiply {
            premultiply::divide(&mut out, channels);
        }
        scratch.memory.bytes.keep(bytes);
        Ok((Values::U8(out), unit))
    }

    fn kernel(&self, resample: Resample) -> Result<Kernel, ImageError> {
        let filter = match resample {
            Resample::Nearest => None,
            Resample::Box => Some(Filter::Box),
            Resample::Bilinear => Some(Filter::Bilinear),
            Resample::Hamming => Some(Filter::Hamming),
            Resample::Bicubic => Some(Filter::Bicubic),
            Resample::Lanczos => Some(Filter::Lanczos),
        };
        match (self.kind, filter) {
            (ProcessorKind::Pil, None) => Ok(Kernel::PillowNearest),
            (ProcessorKind::Pil, Some(filter)) => Ok(Kernel::Pillow(filter, self.pass_order)),
            (ProcessorKind::Torchvision, None) => Ok(Kernel::TorchNearestExact),
            (ProcessorKind::Torchvision, Some(Filter::Box | Filter::Hamming)) => {
                Err(ImageError::Argument(format!(
                    "Interpolation mode {} is not implemented by torchvision: use nearest, bilinear, bicubic or \
                     lanczos, or the Pillow processor",
                    resample.name()
                )))
            }
            (ProcessorKind::Torchvision, Some(filter)) => Ok(Kernel::Torch(filter)),
        }
    }
}
