//! The elements of a tensor on their way into another file: rearranged and converted as they are written, a block at a
//! time, so that a tensor is in memory once.

use crate::cast::cast;
use crate::permute::{extent, gather, row_major};
use crate::standardize::standardize;
use crate::tensor::DType;
use std::borrow::Cow;

/// Bytes of a block, unless what has to stay together is more.
const BLOCK: usize = 4 << 20;

/// What is done to the elements of each block.
#[derive(Debug, Clone, Copy)]
enum Step {
    Cast(DType, DType),
    Standardize,
}

/// Little-endian bytes, the order in which axes walk over them, and what is still to be done to them.
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    bytes: Cow<'a, [u8]>,
    dtype: DType,
    shape: Vec<usize>,
    /// Counts elements.
    stride: Vec<usize>,
    steps: Vec<Step>,
    /// Whether all that belongs to one index of the first axis has to stay in one block.
    keeps_rows: bool,
}

impl<'a> Elements<'a> {
    /// Elements that lie in the order of their axes.
    pub(crate) fn row_major(bytes: impl Into<Cow<'a, [u8]>>, dtype: DType, shape: &[usize]) -> Self {
        Self::strided(bytes, dtype, shape, &row_major(shape))
    }

    /// Elements of which the one at an index lies at the sum of index times stride.
    pub(crate) fn strided(
        bytes: impl Into<Cow<'a, [u8]>>,
        dtype: DType,
        shape: &[usize],
        stride: &[usize],
    ) -> Self {
        Self {
            bytes: bytes.into(),
            dtype,
            shape: shape.to_vec(),
            stride: stride.to_vec(),
            steps: vec![],
            keeps_rows: false,
        }
    }

    /// Bytes that are there and bytes that there must be.
    pub(crate) fn given_and_expected(&self) -> (usize, Option<usize>) {
        let expected = extent(&self.shape, &self.stride).and_then(|n| n.checked_mul(self.dtype.size()));
        (self.bytes.len(), expected)
    }

    /// Axis `i` of the result is axis `axes[i]`.
    pub(crate) fn permuted(mut self, axes: &[usize]) -> Self {
        self.shape = axes.iter().map(|&axis| self.shape[axis]).collect();
        self.stride = axes.iter().map(|&axis| self.stride[axis]).collect();
        self
    }

    /// Another shape that differs in axes of extent 1 only.
    pub(crate) fn reshaped(mut self, shape: &[usize]) -> Self {
        let mut strides = self.shape.iter().zip(&self.stride).filter(|(dim, _)| **dim != 1);
        let stride = shape.iter().map(|&dim| match dim {
            1 => 0,
            _ => strides.next().map_or(0, |(_, &stride)| stride),
        });
        self.stride = stride.collect();
        self.shape = shape.to_vec();
        self
    }

    /// The elements as another floating-point type, rounded to nearest even.
    pub(crate) fn cast(mut self, from: DType, to: DType) -> Self {
        self.steps.push(Step::Cast(from, to));
        self
    }

    /// Each index of the first axis at mean 0 and variance 1. The elements are f32 by now.
    pub(crate) fn standardized(mut self) -> Self {
        self.steps.push(Step::Standardize);
        self.keeps_rows = true;
        self
    }

    /// Gives the bytes in the order of the axes to `write`, a block at a time.
    pub(crate) fn write<E>(self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let size = self.dtype.size();
        let in_order = is_in_order(&self.shape, &self.stride);
        for_each_block(
            &self.shape,
            &self.stride,
            BLOCK / size,
            self.keeps_rows,
            |start, shape, stride| {
                let from = &self.bytes[start * size..];
                let block = match in_order {
                    true => Cow::Borrowed(&from[..shape.iter().product::<usize>() * size]),
                    false => Cow::Owned(gathered(from, shape, stride, size)),
                };
                let row = self.shape.iter().skip(1).product();
                write(
                    &self
                        .steps
                        .iter()
                        .fold(block, |block, step| step.apply(block, row)),
                )
            },
        )
    }

    /// All bytes in the order of the axes.
    pub(crate) fn into_bytes(self) -> Cow<'a, [u8]> {
        if self.steps.is_empty() && is_in_order(&self.shape, &self.stride) {
            return self.bytes;
        }
        let mut bytes = Vec::with_capacity(self.shape.iter().product::<usize>() * self.dtype.size());
        let Ok(()) = self.write(|block| {
            bytes.extend_from_slice(block);
            Ok::<(), std::convert::Infallible>(())
        });
        Cow::Owned(bytes)
    }
}

impl Step {
    fn apply(self, block: Cow<'_, [u8]>, row: usize) -> Cow<'_, [u8]> {
        match self {
            Self::Cast(from, to) => Cow::Owned(cast(&block, from, to)),
            Self::Standardize => {
                let mut block = block.into_owned();
                standardize(&mut block, row);
                Cow::Owned(block)
            }
        }
    }
}

/// As [`gather`], without the axes that do not matter to it: it copies tiles of the others.
fn gathered(window: &[u8], shape: &[usize], stride: &[usize], size: usize) -> Vec<u8> {
    let axes = shape.iter().zip(stride).filter(|(dim, _)| **dim != 1);
    let (shape, stride): (Vec<_>, Vec<_>) = axes.unzip();
    gather(window, &shape, &stride, size)
}

/// Whether the elements lie in the order of the axes.
fn is_in_order(shape: &[usize], stride: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(stride).rev().all(|(&dim, &stride)| {
        let matches = dim == 1 || stride == expected;
        expected *= dim;
        matches
    }) || shape.contains(&0)
}

/// Cuts a view along its axes into parts of about `max` elements, and calls `visit` with where each starts and what its
/// shape and strides are, in the order of the axes.
fn for_each_block<E>(
    shape: &[usize],
    stride: &[usize],
    max: usize,
    keeps_rows: bool,
    mut visit: impl FnMut(usize, &[usize], &[usize]) -> Result<(), E>,
) -> Result<(), E> {
    if shape.is_empty() {
        return visit(0, shape, stride);
    }
    if shape.contains(&0) {
        return Ok(()); // the other extents may be anything
    }
    let inner = |axis: usize| shape[axis + 1..].iter().product::<usize>();
    let last = if keeps_rows { 0 } else { shape.len() - 1 };
    let axis = (0..last).find(|&axis| inner(axis) <= max).unwrap_or(last);
    let rows = (max / inner(axis).max(1)).max(1);
    let outer: usize = shape[..axis].iter().product();
    let mut block = shape[axis..].to_vec();
    for index in 0..outer {
        let start = offset(index, &shape[..axis], &stride[..axis]);
        for row in (0..shape[axis]).step_by(rows) {
            block[0] = rows.min(shape[axis] - row);
            visit(start + row * stride[axis], &block, &stride[axis..])?;
        }
    }
    Ok(())
}

/// Where the element with this number in the order of the axes lies.
fn offset(mut number: usize, shape: &[usize], stride: &[usize]) -> usize {
    let axes = shape.iter().zip(stride).rev();
    axes.map(|(&dim, &stride)| {
        let index = number % dim;
        number /= dim;
        index * stride
    })
    .sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::permute::permute;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_of_any_length_put_together_are_the_whole(
            shape in prop::collection::vec(1usize..6, 1..5),
            axes in Just([0, 1, 2, 3]).prop_shuffle(),
            max in 1usize..40,
            keeps_rows: bool,
        ) {
            let axes: Vec<_> = axes.into_iter().filter(|&axis| axis < shape.len()).collect();
            let bytes: Vec<u8> = (0..shape.iter().product::<usize>() * 2).map(|i| i as u8).collect();
            let view = Elements::row_major(bytes.as_slice(), DType::F16, &shape).permuted(&axes);
            let mut found = vec![];
            let Ok(()) = for_each_block(&view.shape, &view.stride, max, keeps_rows, |start, shape, stride| {
                let block = gathered(&bytes[start * 2..], shape, stride, 2);
                let rows = view.shape[1..].iter().product::<usize>();
                if keeps_rows {
                    assert_eq!(block.len() / 2 % rows, 0);
                } else {
                    assert!(block.len() / 2 <= max);
                }
                found.extend(block);
                Ok::<(), std::convert::Infallible>(())
            });
            prop_assert_eq!(&found, &permute(&bytes, &shape, &axes, 2));
            prop_assert_eq!(found, view.into_bytes().into_owned());
        }
    }

    #[test]
    fn a_tensor_above_the_length_of_a_block_is_rearranged_and_converted_in_several() {
        let shape = [1500, 1100];
        let values: Vec<u8> = (0..1500 * 1100).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let whole = cast(&permute(&values, &shape, &[1, 0], 4), DType::F32, DType::F64);
        let view = Elements::row_major(values, DType::F32, &shape).permuted(&[1, 0]);
        let (mut blocks, mut found) = (0, vec![]);
        let view = view.reshaped(&[1, 1100, 1, 1500]).cast(DType::F32, DType::F64);
        let Ok(()) = view.write(|block| {
            blocks += 1;
            found.extend_from_slice(block);
            Ok::<(), std::convert::Infallible>(())
        });
        assert!(blocks == 2 && found == whole, "{blocks} blocks");
    }

    #[test]
    fn scalars_and_empty_tensors_have_their_bytes() {
        assert_eq!(
            Elements::row_major(vec![7, 8], DType::F16, &[])
                .into_bytes()
                .as_ref(),
            [7, 8]
        );
        assert_eq!(
            Elements::row_major(vec![], DType::F16, &[0, 3])
                .permuted(&[1, 0])
                .into_bytes()
                .as_ref(),
            [0u8; 0]
        );
        assert_eq!(
            Elements::strided(vec![7, 8], DType::F16, &[3], &[0])
                .into_bytes()
                .as_ref(),
            [7, 8, 7, 8, 7, 8]
        );
    }
}
