//! Rearranging the elements of a tensor: strided views to rows, axes exchanged.

/// The row-major bytes of a strided view. `window` starts at the view's first element, and the caller has checked
/// that every element of the view lies within it. Strides count elements.
pub(crate) fn gather(window: &[u8], shape: &[usize], stride: &[usize], element_size: usize) -> Vec<u8> {
    match element_size {
        1 => gather_elements::<1>(window, shape, stride),
        2 => gather_elements::<2>(window, shape, stride),
        4 => gather_elements::<4>(window, shape, stride),
        _ => gather_elements::<8>(window, shape, stride),
    }
}

fn gather_elements<const N: usize>(window: &[u8], shape: &[usize], stride: &[usize]) -> Vec<u8> {
    let elements = shape.iter().product::<usize>();
    let mut out = Vec::with_capacity(elements * N);
    let Some((&columns, outer)) = shape.split_last() else {
        return window[..N].to_vec();
    };
    if elements == 0 {
        return out;
    }
    let step = stride[outer.len()] * N;
    let mut index = vec![0; outer.len()];
    for _ in 0..elements / columns {
        let row = index
            .iter()
            .zip(stride)
            .map(|(i, stride)| i * stride)
            .sum::<usize>()
            * N;
        for column in 0..columns {
            let start = row + column * step;
            out.extend_from_slice(&window[start..start + N]);
        }
        // Count up like an odometer, the last axis fastest.
        for (i, &dim) in index.iter_mut().zip(outer).rev() {
            *i += 1;
            if *i < dim {
                break;
            }
            *i = 0;
        }
    }
    out
}

/// The bytes of a row-major tensor with its axes in another order, and the new shape: axis `i` of the result is
/// axis `axes[i]` of the input.
pub(crate) fn permute(bytes: &[u8], shape: &[usize], axes: &[usize], element_size: usize) -> Vec<u8> {
    let stride = row_major(shape);
    let new_shape: Vec<_> = axes.iter().map(|&axis| shape[axis]).collect();
    let new_stride: Vec<_> = axes.iter().map(|&axis| stride[axis]).collect();
    gather(bytes, &new_shape, &new_stride, element_size)
}

/// Strides of a row-major tensor, in elements.
pub(crate) fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut stride = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        stride[axis - 1] = stride[axis] * shape[axis];
    }
    stride
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_transposed() {
        assert_eq!(
            permute(&[1, 2, 3, 4, 5, 6], &[2, 3], &[1, 0], 1),
            [1, 4, 2, 5, 3, 6]
        );
    }

    #[test]
    fn permuting_there_and_back_changes_nothing() {
        let bytes: Vec<u8> = (0..2 * 3 * 4 * 5 * 2).map(|i| i as u8).collect();
        let there = permute(&bytes, &[2, 3, 4, 5], &[3, 2, 0, 1], 2);
        assert_eq!(permute(&there, &[5, 4, 2, 3], &[2, 3, 1, 0], 2), bytes);
    }

    #[test]
    fn a_scalar_and_an_empty_tensor_are_fine() {
        assert_eq!(gather(&[7, 8], &[], &[], 2), [7, 8]);
        assert_eq!(gather(&[], &[0, 3], &[3, 1], 4), [0u8; 0]);
    }
}
