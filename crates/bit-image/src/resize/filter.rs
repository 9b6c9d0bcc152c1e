//! The resampling filters, in `f64` as Pillow and torchvision evaluate them.

use std::f64::consts::PI;

/// A convolution filter, without the nearest-neighbour rule that needs no weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Filter {
    Box,
    Bilinear,
    Hamming,
    Bicubic,
    Lanczos,
}

/// Pillow writes the Hamming window's constants as C floats.
const HAMMING: (f64, f64) = (0.54_f32 as f64, 0.46_f32 as f64);

/// Keys' parameter, in Pillow and in torch's antialiased path (OpenCV and torch's plain path use -0.75).
const CUBIC_A: f64 = -0.5;

impl Filter {
    /// Half the width, in source pixels, at a scale of one.
    pub(crate) fn support(self) -> f64 {
        match self {
            Filter::Box => 0.5,
            Filter::Bilinear | Filter::Hamming => 1.0,
            Filter::Bicubic => 2.0,
            Filter::Lanczos => 3.0,
        }
    }

    /// The filter at distance `x` from the centre.
    pub(crate) fn weight(self, x: f64) -> f64 {
        match self {
            Filter::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Filter::Bilinear => (1.0 - x.abs()).max(0.0),
            Filter::Hamming => hamming(x.abs()),
            Filter::Bicubic => bicubic(x.abs()),
            Filter::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Filter::Lanczos => 0.0,
        }
    }
}

fn hamming(x: f64) -> f64 {
    match x {
        0.0 => 1.0,
        x if x >= 1.0 => 0.0,
        x => (x * PI).sin() / (x * PI) * (HAMMING.0 + HAMMING.1 * (x * PI).cos()),
    }
}

fn bicubic(x: f64) -> f64 {
    if x < 1.0 {
        ((CUBIC_A + 2.0) * x - (CUBIC_A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * CUBIC_A
    } else {
        0.0
    }
}

/// `sin(pi x) / (pi x)`.
pub(crate) fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Filter; 5] = [
        Filter::Box,
        Filter::Bilinear,
        Filter::Hamming,
        Filter::Bicubic,
        Filter::Lanczos,
    ];

    #[test]
    fn every_filter_is_one_at_its_centre_and_zero_outside_its_support() {
        for filter in ALL {
            assert_eq!(filter.weight(0.0), 1.0, "{filter:?}");
            assert_eq!(filter.weight(filter.support() + 1e-9), 0.0, "{filter:?}");
            assert_eq!(filter.weight(-filter.support() - 1e-9), 0.0, "{filter:?}");
        }
    }

    #[test]
    fn whole_distances_other_than_zero_weigh_nothing() {
        for filter in ALL {
            for x in [1.0, 2.0, 3.0, -1.0, -2.0, -3.0] {
                assert!(filter.weight(x).abs() < 1e-15, "{filter:?} at {x}");
            }
        }
    }
}
