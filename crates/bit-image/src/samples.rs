//! Between bytes and other types: torch's resize of floats, and what Pillow resizes instead.

use crate::ImageError;
use crate::array::{Array, Values, check_range};
use crate::resize::{FloatPlane, Kernel, Resize, resize_f32};

/// torch's resize of anything but bytes, and the crop of floats.
pub(crate) fn resize_floats(array: &Array, resize: &Resize, kernel: Kernel) -> Values {
    let floats = array.values.to_f32();
    let plane = FloatPlane {
        data: &floats,
        width: array.width,
        channels: array.channels,
    };
    let filter = match kernel {
        Kernel::Torch(filter) => Some(filter),
        _ => None,
    };
    let resized = resize_f32(resize, plane, filter);
    if resize.is_copy() {
        return Values::F32(resized);
    }
    // The result goes back to the type it came from: words are cut off (and wrap), booleans are "not zero".
    Values::F32(match array.values {
        Values::U16(_) => resized
            .into_iter()
            .map(|value| f32::from(value as i32 as u16))
            .collect(),
        Values::Bool(_) => resized
            .into_iter()
            .map(|value| f32::from(u8::from(value != 0.0)))
            .collect(),
        _ => resized,
    })
}

/// transformers' `to_pil_image`: values for an 8-bit picture, and whether they were fractions of 255.
pub(crate) fn to_bytes(values: Values) -> Result<(Vec<u8>, bool), ImageError> {
    let floats = match values {
        Values::U8(bytes) | Values::Bool(bytes) => return Ok((bytes, false)),
        other => other.to_f32(),
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
    Ok((floats.into_iter().map(byte).collect(), unit))
}
