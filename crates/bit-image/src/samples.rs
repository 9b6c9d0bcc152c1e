//! Between bytes and other types: torch's resize of floats, and what Pillow resizes instead.

use crate::ImageError;
use crate::array::{Array, Values, check_range};
use crate::resize::{FloatPlane, Kernel, Resize, resize_f32};
use crate::scratch::{Memory, Scratch};

/// torch's resize of anything but bytes, and the crop of floats, into `out`.
pub(crate) fn resize_floats(
    array: Array,
    resize: &Resize,
    kernel: Kernel,
    scratch: &mut Scratch,
    mut out: Vec<f32>,
) -> Values {
    let (words, bits) = (
        matches!(array.values, Values::U16(_)),
        matches!(array.values, Values::Bool(_)),
    );
    let floats = array.values.into_f32(&mut scratch.memory);
    let plane = FloatPlane {
        data: &floats,
        width: array.width,
        channels: array.channels,
    };
    let filter = match kernel {
        Kernel::Torch(filter) => Some(filter),
        _ => None,
    };
    resize_f32(resize, plane, filter, &mut scratch.buffers, &mut out);
    scratch.memory.floats.keep(floats);
    // The result goes back to the type it came from: words are cut off (and wrap), booleans are "not zero".
    if words && !resize.is_copy() {
        out.iter_mut()
            .for_each(|value| *value = f32::from(*value as i32 as u16));
    } else if bits && !resize.is_copy() {
        out.iter_mut()
            .for_each(|value| *value = f32::from(u8::from(*value != 0.0)));
    }
    Values::F32(out)
}

/// transformers' `to_pil_image`: values for an 8-bit picture, and whether they were fractions of 255.
pub(crate) fn to_bytes(values: Values, memory: &mut Memory) -> Result<(Vec<u8>, bool), ImageError> {
    let floats = match values {
        Values::U8(bytes) | Values::Bool(bytes) => return Ok((bytes, false)),
        other => other.into_f32(memory),
    };
    const TARGET: &str = "a PIL image";
    let whole = |&value: &f32| {
        let (value, whole) = (f64::from(value), f64::from(value.trunc()));
        (value - whole).abs() <= 1e-8 + 1e-5 * whole.abs()
    };
    let unit = !floats.iter().all(whole);
    check_range(&floats, if unit { 1 } else { 255 }, TARGET)?;
    let byte = |value: f32| {
        if unit {
            (f64::from(value) * 255.0) as f32 as u8
        } else {
            value as u8
        }
    };
    let bytes = memory.bytes.filled(floats.iter().map(|&value| byte(value)));
    memory.floats.keep(floats);
    Ok((bytes, unit))
}
