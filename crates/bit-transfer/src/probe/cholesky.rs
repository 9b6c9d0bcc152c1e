//! Cholesky's factorization block by block: nearly all of it is products of matrices, which are several times as fast as
//! nalgebra's own factorization column by column.

use nalgebra::{Cholesky, DMatrix};

/// Columns of a block.
const BLOCK: usize = 64;

/// `x` of `system * x = right`, for a symmetric system; `None` when it is not positive definite.
pub(super) fn solve(system: DMatrix<f64>, mut right: DMatrix<f64>) -> Option<DMatrix<f64>> {
    let lower = factor(system)?;
    let solved =
        lower.solve_lower_triangular_mut(&mut right) && lower.tr_solve_lower_triangular_mut(&mut right);
    solved.then_some(right)
}

/// The lower triangle whose product with its transpose is the matrix. What is above the diagonal is not meaningful.
fn factor(mut matrix: DMatrix<f64>) -> Option<DMatrix<f64>> {
    let size = matrix.nrows();
    for start in (0..size).step_by(BLOCK) {
        let columns = BLOCK.min(size - start);
        let (end, below) = (start + columns, size - start - columns);
        let corner = matrix.view((start, start), (columns, columns)).into_owned();
        let corner = Cholesky::new(corner)?.unpack();
        let mut panel = matrix.view((end, start), (below, columns)).transpose();
        corner.solve_lower_triangular_mut(&mut panel).then_some(())?;
        let transposed = panel.transpose();
        let mut rest = matrix.view_mut((end, end), (below, below));
        rest.gemm(-1.0, &transposed, &panel, 1.0);
        matrix
            .view_mut((start, start), (columns, columns))
            .copy_from(&corner);
        matrix
            .view_mut((end, start), (below, columns))
            .copy_from(&transposed);
    }
    Some(matrix)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn systems_of_any_size_are_solved() {
        for size in [0, 1, 5, BLOCK, BLOCK + 1, 3 * BLOCK - 7] {
            let root = DMatrix::from_fn(size, size, |row, column| ((row * 31 + column * 17) as f64).sin());
            let system = &root * root.transpose() + DMatrix::identity(size, size);
            let expected = DMatrix::from_fn(size, 2, |row, column| (row + 5 * column) as f64 / 10.0 - 1.0);
            let found = solve(system.clone(), &system * &expected).unwrap();
            assert!((found - expected).amax() < 1e-9 || size == 0, "{size}");
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_told() {
        let mut system = DMatrix::identity(100, 100);
        system[(80, 80)] = -1.0;
        assert_eq!(solve(system, DMatrix::zeros(100, 1)), None);
    }
}
