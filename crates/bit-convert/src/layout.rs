//! How a parameter's axes are stored in each dialect, and how to get from one to the other.

use crate::names::{Dialect, Part, Slot};

/// What a stored tensor looks like next to transformers' version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A vector, perhaps stored as `[1, 1, 1, C]`.
    Vector,
    /// A kernel `[out, in, height, width]`, as transformers has it.
    Oihw,
    /// A kernel `[height, width, in, out]`.
    Hwio,
    /// The head as a matrix `[classes, features]`, as transformers has it, or as a 1x1 convolution
    /// `[classes, features, 1, 1]`. Never squeezed: with one class that would lose an axis.
    HeadOi,
    /// The head as `[features, classes]` or `[1, 1, features, classes]`.
    HeadIo,
}

impl Layout {
    pub(crate) fn of(slot: Slot, dialect: Dialect) -> Self {
        let is_kernel = slot
            .name(Dialect::Transformers)
            .is_some_and(|name| name.contains("conv"));
        match (slot.part, dialect.is_hwio()) {
            (Part::Head, _) if slot.is_bias => Self::Vector,
            (Part::Head, false) => Self::HeadOi,
            (Part::Head, true) => Self::HeadIo,
            (_, false) if is_kernel => Self::Oihw,
            (_, true) if is_kernel => Self::Hwio,
            _ => Self::Vector,
        }
    }

    /// Whether the bytes are in transformers' order.
    pub(crate) fn is_transformers(self) -> bool {
        !matches!(self, Self::Hwio | Self::HeadIo)
    }

    /// The shapes this layout comes in, for a message.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Vector => "one axis [C] or [1, 1, 1, C]",
            Self::Oihw => "a kernel [out, in, height, width]",
            Self::Hwio => "a kernel [height, width, in, out]",
            Self::HeadOi => "[classes, features] or [classes, features, 1, 1]",
            Self::HeadIo => "[features, classes] or [1, 1, features, classes]",
        }
    }

    /// The shape transformers gives a tensor stored with `shape`, or `None` when this layout has no such shape.
    pub(crate) fn to_transformers(self, shape: &[usize]) -> Option<Vec<usize>> {
        match (self, shape) {
            (Self::Vector, &[c] | &[1, 1, 1, c]) => Some(vec![c]),
            (Self::Oihw, &[_, _, _, _]) => Some(shape.to_vec()),
            (Self::Hwio, &[h, w, i, o]) => Some(vec![o, i, h, w]),
            (Self::HeadOi, &[o, i] | &[o, i, 1, 1]) => Some(vec![o, i]),
            (Self::HeadIo, &[i, o] | &[1, 1, i, o]) => Some(vec![o, i]),
            _ => None,
        }
    }

    /// The order of a stored tensor's axes in transformers, apart from axes of extent 1; `None` when it is the same.
    pub(crate) fn axes_to_transformers(self, rank: usize) -> Option<&'static [usize]> {
        match (self, rank) {
            (Self::Hwio, _) | (Self::HeadIo, 4) => Some(&[3, 2, 0, 1]),
            (Self::HeadIo, _) => Some(&[1, 0]),
            _ => None,
        }
    }

    /// The shape in which a dialect stores a tensor of transformers' `shape`.
    pub(crate) fn stored_shape(self, shape: &[usize], dialect: Dialect) -> Vec<usize> {
        match (self, shape) {
            (Self::Hwio, &[o, i, h, w]) => vec![h, w, i, o],
            (Self::HeadOi, &[o, i]) if dialect != Dialect::Transformers => vec![o, i, 1, 1],
            (Self::HeadIo, &[o, i]) => vec![1, 1, i, o],
            _ => shape.to_vec(),
        }
    }

    /// The order of transformers' axes as stored, apart from axes of extent 1; `None` when it is the same.
    pub(crate) fn axes_to_stored(self) -> Option<&'static [usize]> {
        match self {
            Self::Hwio => Some(&[2, 3, 1, 0]),
            Self::HeadIo => Some(&[1, 0]),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::entry::Entry;
    use crate::tensor::{DType, TensorInfo};
    use std::path::Path;

    #[test]
    fn a_head_of_one_class_keeps_its_axis() {
        assert_eq!(Layout::HeadOi.to_transformers(&[1, 64, 1, 1]), Some(vec![1, 64]));
        assert_eq!(Layout::HeadIo.to_transformers(&[1, 1, 64, 1]), Some(vec![1, 64]));
    }

    #[test]
    fn a_tensor_goes_there_and_back() {
        let bytes: Vec<u8> = (0..2 * 3 * 4 * 5).collect();
        for (layout, shape, stored) in [
            (Layout::Hwio, &[2, 3, 4, 5][..], &[4, 5, 3, 2][..]),
            (Layout::HeadIo, &[24, 5], &[1, 1, 5, 24]),
            (Layout::HeadIo, &[1, 120], &[1, 1, 120, 1]),
        ] {
            assert_eq!(layout.stored_shape(shape, Dialect::GoogleNpz), stored);
            assert_eq!(layout.to_transformers(stored).unwrap(), shape);
            let info = |shape: &[usize]| TensorInfo {
                name: "w".to_owned(),
                dtype: DType::U8,
                shape: shape.to_vec(),
            };
            let there = Entry::from_bytes("w", DType::U8, shape, bytes.as_slice())
                .rearranged(info(stored), layout.axes_to_stored());
            let there = there.into_bytes(Path::new("")).unwrap().into_owned();
            assert_eq!(there == bytes, shape[0] == 1);
            let back = Entry::from_bytes("w", DType::U8, stored, there)
                .rearranged(info(shape), layout.axes_to_transformers(4));
            assert_eq!(back.into_bytes(Path::new("")).unwrap().as_ref(), bytes);
        }
    }

    #[test]
    fn shapes_of_another_kind_are_refused() {
        assert_eq!(Layout::Hwio.to_transformers(&[3, 3]), None);
        assert_eq!(Layout::Vector.to_transformers(&[2, 3]), None);
        assert_eq!(Layout::HeadOi.to_transformers(&[5, 4, 3, 3]), None);
    }
}
