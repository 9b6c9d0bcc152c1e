//! How a parameter's axes are stored in each dialect, and how to get from one to the other.

use crate::names::{Dialect, Part, Slot};
use crate::permute::permute;
use std::borrow::Cow;

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

    /// The bytes of a tensor stored with `shape`, in transformers' order.
    pub(crate) fn rearrange_to_transformers<'a>(
        self,
        bytes: Cow<'a, [u8]>,
        shape: &[usize],
        size: usize,
    ) -> Cow<'a, [u8]> {
        match (self, shape) {
            (Self::Hwio, _) | (Self::HeadIo, [_, _, _, _]) => {
                Cow::Owned(permute(&bytes, shape, &[3, 2, 0, 1], size))
            }
            (Self::HeadIo, _) => Cow::Owned(permute(&bytes, shape, &[1, 0], size)),
            _ => bytes,
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

    /// The bytes of a tensor with transformers' `shape`, in a dialect's order.
    pub(crate) fn rearrange_to_stored<'a>(
        self,
        bytes: Cow<'a, [u8]>,
        shape: &[usize],
        size: usize,
    ) -> Cow<'a, [u8]> {
        match self {
            Self::Hwio => Cow::Owned(permute(&bytes, shape, &[2, 3, 1, 0], size)),
            Self::HeadIo => Cow::Owned(permute(&bytes, shape, &[1, 0], size)),
            _ => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_head_of_one_class_keeps_its_axis() {
        assert_eq!(Layout::HeadOi.to_transformers(&[1, 64, 1, 1]), Some(vec![1, 64]));
        assert_eq!(Layout::HeadIo.to_transformers(&[1, 1, 64, 1]), Some(vec![1, 64]));
    }

    #[test]
    fn a_kernel_goes_there_and_back() {
        let bytes: Vec<u8> = (0..2 * 3 * 4 * 5).collect();
        let stored = Layout::Hwio.rearrange_to_stored(Cow::Borrowed(&bytes), &[2, 3, 4, 5], 1);
        let shape = Layout::Hwio.stored_shape(&[2, 3, 4, 5], Dialect::GoogleNpz);
        assert_eq!(shape, [4, 5, 3, 2]);
        assert_eq!(
            Layout::Hwio.rearrange_to_transformers(stored, &shape, 1).as_ref(),
            bytes
        );
    }

    #[test]
    fn shapes_of_another_kind_are_refused() {
        assert_eq!(Layout::Hwio.to_transformers(&[3, 3]), None);
        assert_eq!(Layout::Vector.to_transformers(&[2, 3]), None);
        assert_eq!(Layout::HeadOi.to_transformers(&[5, 4, 3, 3]), None);
    }
}
