//! The micro-kernel: a tile of at most `ROWS` pixels by one panel of output channels, kept in registers while
//! the whole depth of the product runs through it, and written once.
//!
//! Packed inputs ("tiles") are `[depth / 16][rows][16]`, so that a tile is read front to back in whole cache lines;
//! packed weights ("panels") are `[depth][panel width]`. The epilogue adds bias and shortcut, stores, and takes the
//! tile's part of the GroupNorm statistics from the registers.

use super::moments::add_moments;
use super::simd::{Kernel, Simd};

/// Floats of depth in a row of a packed tile: one cache line.
pub(super) const BLOCK: usize = 16;

/// The widest panel of any instruction set.
pub(super) const WIDEST: usize = 32;
/// The tallest micro-tile of any instruction set.
pub(super) const TALLEST: usize = 14;

/// One micro-tile's work. Null pointers mean absence.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// Products summed for one output value.
    pub(super) depth: usize,
    /// Pixels, at most the instruction set's `ROWS`.
    pub(super) rows: usize,
    /// Output channels, at most the panel's width.
    pub(super) columns: usize,
    /// The packed tile.
    pub(super) a: *const f32,
    /// The packed panel.
    pub(super) b: *const f32,
    /// Sums of whole tiles' products, `[rows][panel width]`, each next to the one above: added to this product, kept of
    /// the sum, and added after that.
    pub(super) before: *const f32,
    pub(super) keep: *mut f32,
    pub(super) after: *const f32,
    /// A panel's width of values to add to each row.
    pub(super) bias: *const f32,
    /// The output's first value; a row is `stride` floats after the one above. Null where nothing but `keep` is written.
    pub(super) out: *mut f32,
    /// Rows that are in the output.
    pub(super) stored: usize,
    /// Values to add, laid out as `out`; may be `out` itself.
    pub(super) residual: *const f32,
    /// Floats from one output row to the next.
    pub(super) stride: usize,
    /// Running mean of each channel in the panel; sums of squared deviations `moments_stride` floats after.
    pub(super) moments: *mut f32,
    /// Floats from the means to the sums of squared deviations.
    pub(super) moments_stride: usize,
    /// Rows already in the running moments; 0 starts them.
    pub(super) seen: usize,
    /// Whether output and residual are in memory rather than in a cache.
    pub(super) far: bool,
    /// Weights to bring closer while this tile computes (its share of the next panel).
    pub(super) next: *const f32,
    /// Cache lines of `next`.
    pub(super) next_lines: usize,
}

impl Kernel for Tile {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller vouches for the pointers over `rows` by `columns`; the partial tile only ever
        // touches that many values of them and its own buffers beyond.
        unsafe {
            if self.columns == 2 * S::LANES {
                self.whole::<S>()
            } else {
                self.partial::<S>()
            }
        }
    }
}

impl Tile {
    /// A tile with all of its panel's channels, by its number of rows.
    #[inline(always)]
    pub(super) unsafe fn whole<S: Simd>(self) {
        macro_rules! by_rows {
            ($($rows:literal)*) => {
                match self.rows {
                    // SAFETY: `S` is in use already, so the processor has it.
                    $($rows if $rows <= S::ROWS => unsafe { S::enter(Rows::<$rows>(self)) },)*
                    rows => unreachable!("a micro-tile has 1 to {} rows, not {rows}", S::ROWS),
                }
            };
        }
        by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    }
}

/// A whole tile of a number of rows that the compiler knows.
struct Rows<const R: usize>(Tile);

impl<const R: usize> Kernel for Rows<R> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as `Tile::run`.
        unsafe {
            if self.0.far && !self.0.out.is_null() {
                prefetch_rows::<S>(&self.0, R);
            }
            let mut sums = product::<S, R>(&self.0);
            add_rows::<S, R>(&mut sums, self.0.before);
            if !self.0.keep.is_null() {
                keep_rows::<S, R>(&sums, self.0.keep);
            }
            add_rows::<S, R>(&mut sums, self.0.after);
            if self.0.out.is_null() {
                return;
            }
            if self.0.stored == R {
                epilogue::<S>(&self.0, &mut sums);
            } else {
                // Only memory can be cut short; the other sums must stay in registers.
                let mut sums = sums;
                epilogue::<S>(&self.0, &mut sums[..self.0.stored]);
            }
        }
    }
}

/// Adds what is kept at `from`, unless that is null.
#[inline(always)]
unsafe fn add_rows<S: Simd, const R: usize>(sums: &mut [[S::V; 2]; R], from: *const f32) {
    if from.is_null() {
        return;
    }
    for (r, row) in sums.iter_mut().enumerate() {
        // SAFETY: the caller vouches for `R` rows of a panel's width.
        unsafe {
            let from = from.add(r * 2 * S::LANES);
            row[0] = S::add(row[0], S::load(from));
            row[1] = S::add(row[1], S::load(from.add(S::LANES)));
        }
    }
}

/// Keeps the rows at `to`.
#[inline(always)]
unsafe fn keep_rows<S: Simd, const R: usize>(sums: &[[S::V; 2]; R], to: *mut f32) {
    for (r, row) in sums.iter().enumerate() {
        // SAFETY: the caller vouches for `R` rows of a panel's width.
        unsafe {
            S::store(to.add(r * 2 * S::LANES), row[0]);
            S::store(to.add(r * 2 * S::LANES + S::LANES), row[1]);
        }
    }
}

/// Asks for what the epilogue will touch; its rows lie apart, where no hardware prefetcher follows.
#[inline(always)]
unsafe fn prefetch_rows<S: Simd>(tile: &Tile, rows: usize) {
    let last = 2 * S::LANES - 1;
    for at in (0..rows).map(|row| row * tile.stride) {
        // SAFETY: prefetching never faults.
        unsafe {
            S::prefetch_write(tile.out.wrapping_add(at));
            S::prefetch_write(tile.out.wrapping_add(at + last));
            if !tile.residual.is_null() && tile.residual != tile.out.cast_const() {
                S::prefetch(tile.residual.wrapping_add(at));
                S::prefetch(tile.residual.wrapping_add(at + last));
            }
        }
    }
}

/// The tile's sums over the depth.
#[inline(always)]
unsafe fn product<S: Simd, const R: usize>(tile: &Tile) -> [[S::V; 2]; R] {
    let width = 2 * S::LANES;
    let (mut a, mut b) = (tile.a, tile.b);
    // SAFETY: `a` holds `depth` rounded up to blocks by `R`, `b` holds `depth` rows; prefetching never faults.
    unsafe {
        let mut sums = [[S::splat(0.0); 2]; R];
        let blocks = tile.depth / BLOCK;
        let mut next = tile.next;
        let each = tile.next_lines.div_ceil(blocks.max(1));
        for _ in 0..blocks {
            for _ in 0..each {
                S::prefetch(next);
                next = next.wrapping_add(BLOCK);
            }
            for k in (0..BLOCK).step_by(4) {
                step::<S, R>(a.add(k), b, &mut sums);
                step::<S, R>(a.add(k + 1), b.add(width), &mut sums);
                step::<S, R>(a.add(k + 2), b.add(2 * width), &mut sums);
                step::<S, R>(a.add(k + 3), b.add(3 * width), &mut sums);
                b = b.add(4 * width);
            }
            a = a.add(R * BLOCK);
        }
        for k in 0..tile.depth % BLOCK {
            step::<S, R>(a.add(k), b.add(k * width), &mut sums);
        }
        sums
    }
}

/// One step of depth: a value from each row times a vector from each half of the panel.
#[inline(always)]
unsafe fn step<S: Simd, const R: usize>(a: *const f32, b: *const f32, sums: &mut [[S::V; 2]; R]) {
    // SAFETY: `a` is in a block of `R` rows, `b` is a row of the panel.
    unsafe {
        let columns = [S::load(b), S::load(b.add(S::LANES))];
        for (row, sums) in sums.iter_mut().enumerate() {
            let value = S::splat(*a.add(row * BLOCK));
            sums[0] = S::fma(value, columns[0], sums[0]);
            sums[1] = S::fma(value, columns[1], sums[1]);
        }
    }
}

/// Adds bias and shortcut, stores, and updates the statistics.
#[inline(always)]
unsafe fn epilogue<S: Simd>(tile: &Tile, sums: &mut [[S::V; 2]]) {
    // SAFETY: the caller vouches for the rows of a panel's width at every pointer that is not null.
    unsafe {
        if !tile.bias.is_null() {
            for half in 0..2 {
                let bias = S::load(tile.bias.add(half * S::LANES));
                sums.iter_mut()
                    .for_each(|row| row[half] = S::add(row[half], bias));
            }
        }
        // Row by row, as more of them than a cache keeps may fall on the same set.
        for (r, row) in sums.iter_mut().enumerate() {
            if !tile.residual.is_null() {
                let from = tile.residual.add(r * tile.stride);
                row[0] = S::add(row[0], S::load(from));
                row[1] = S::add(row[1], S::load(from.add(S::LANES)));
            }
            let to = tile.out.add(r * tile.stride);
            S::store(to, row[0]);
            S::store(to.add(S::LANES), row[1]);
        }
        if !tile.moments.is_null() {
            for half in [0, 1] {
                let at = tile.moments.add(half * S::LANES);
                let column = sums.iter().map(|row| row[half]);
                add_moments::<S>(column, at, tile.moments_stride, tile.seen);
            }
        }
    }
}
