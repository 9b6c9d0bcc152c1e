//! Rearranging the elements of a tensor: strided views to rows, axes exchanged.

/// Rows and columns of a tile that is copied at once, so that both of its sides stay in the cache.
const TILE: usize = 32;

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
    let elements: usize = shape.iter().product();
    let mut out = vec![0; elements * N];
    if elements == 0 {
        return out;
    }
    let (from, _) = window.as_chunks::<N>();
    let (to, _) = out.as_chunks_mut::<N>();
    // Walk along the axis on which reads are nearest to each other; writes are nearest along the last.
    let far = |&axis: &usize| {
        if shape[axis] == 1 {
            usize::MAX
        } else {
            stride[axis]
        }
    };
    let Some(read_axis) = (0..shape.len()).min_by_key(far) else {
        to[0] = from[0];
        return out;
    };
    let write_axis = shape.len() - 1;
    let strides = row_major(shape);
    let rest: Vec<_> = (0..shape.len())
        .filter(|&axis| axis != read_axis && axis != write_axis)
        .collect();
    let rows = if read_axis == write_axis {
        1
    } else {
        shape[read_axis]
    };
    for_each_index(&rest, shape, |index| {
        let start = |strides: &[usize]| {
            index
                .iter()
                .zip(&rest)
                .map(|(i, &axis)| i * strides[axis])
                .sum::<usize>()
        };
        let plane = Plane {
            rows,
            columns: shape[write_axis],
            read: (start(stride), stride[read_axis], stride[write_axis]),
            write: (start(&strides), strides[read_axis]),
        };
        plane.copy(from, to);
    });
    out
}

/// Two axes of a tensor: elements of row `r` and column `c` lie at `start + r * row + c * column`.
struct Plane {
    rows: usize,
    columns: usize,
    /// Start, row and column strides of the source.
    read: (usize, usize, usize),
    /// Start and row stride of the destination, where columns are neighbours.
    write: (usize, usize),
}

impl Plane {
    fn copy<const N: usize>(&self, from: &[[u8; N]], to: &mut [[u8; N]]) {
        for row_tile in (0..self.rows).step_by(TILE) {
            for column_tile in (0..self.columns).step_by(TILE) {
                for row in row_tile..self.rows.min(row_tile + TILE) {
                    let (read, write) = (self.read.0 + row * self.read.1, self.write.0 + row * self.write.1);
                    for column in column_tile..self.columns.min(column_tile + TILE) {
                        to[write + column] = from[read + column * self.read.2];
                    }
                }
            }
        }
    }
}

/// Calls `visit` with every index over some axes of a shape without zero extents, the last axis fastest.
fn for_each_index(axes: &[usize], shape: &[usize], mut visit: impl FnMut(&[usize])) {
    let mut index = vec![0; axes.len()];
    let count: usize = axes.iter().map(|&axis| shape[axis]).product();
    for _ in 0..count {
        visit(&index);
        for (i, &axis) in index.iter_mut().zip(axes).rev() {
            *i += 1;
            if *i < shape[axis] {
                break;
            }
            *i = 0;
        }
    }
}

/// The bytes of a row-major tensor with its axes in another order: axis `i` of the result is
/// axis `axes[i]` of the input. What [`Elements`](crate::elements::Elements) does in blocks.
#[cfg(test)]
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

/// Elements from a view's first to one past its last, or `None` when that overflows or the ranks differ.
pub(crate) fn extent(shape: &[usize], stride: &[usize]) -> Option<usize> {
    if shape.len() != stride.len() {
        return None;
    }
    if shape.contains(&0) {
        return Some(0);
    }
    let step =
        |last: usize, (dim, stride): (&usize, &usize)| last.checked_add((dim - 1).checked_mul(*stride)?);
    shape.iter().zip(stride).try_fold(0, step)?.checked_add(1)
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
        let shape = [35, 3, 4, 67];
        let bytes: Vec<u8> = (0..35 * 3 * 4 * 67 * 2).map(|i| (i / 3) as u8).collect();
        let there = permute(&bytes, &shape, &[3, 2, 0, 1], 2);
        assert_ne!(there, bytes);
        assert_eq!(permute(&there, &[67, 4, 35, 3], &[2, 3, 1, 0], 2), bytes);
    }

    #[test]
    fn every_element_of_a_permutation_is_where_its_index_says() {
        let shape = [2, 3, 4, 5];
        let bytes: Vec<u8> = (0..120).collect();
        for axes in [
            [3, 2, 0, 1],
            [2, 3, 1, 0],
            [0, 1, 2, 3],
            [0, 2, 1, 3],
            [1, 0, 3, 2],
        ] {
            let found = permute(&bytes, &shape, &axes, 1);
            let new_shape = axes.map(|axis| shape[axis]);
            let (old, new) = (row_major(&shape), row_major(&new_shape));
            for_each_index(&[0, 1, 2, 3], &new_shape, |index| {
                let at: usize = index.iter().zip(&new).map(|(i, s)| i * s).sum();
                let from: usize = index.iter().zip(axes).map(|(i, axis)| i * old[axis]).sum();
                assert_eq!(found[at], bytes[from], "{axes:?} {index:?}");
            });
        }
    }

    #[test]
    fn a_view_may_skip_and_repeat_elements() {
        assert_eq!(gather(&[0, 1, 2, 3, 4, 5], &[3], &[2], 1), [0, 2, 4]);
        assert_eq!(gather(&[7, 8], &[2, 2], &[0, 1], 1), [7, 8, 7, 8]);
    }

    #[test]
    fn a_scalar_and_an_empty_tensor_are_fine() {
        assert_eq!(gather(&[7, 8], &[], &[], 2), [7, 8]);
        assert_eq!(gather(&[], &[0, 3], &[3, 1], 4), [0u8; 0]);
    }
}
