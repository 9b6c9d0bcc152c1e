//! The BiT-HyperRule: how to fine-tune on a data set of which only the size is known.
//!
//! Source: section 3.3 of "Big Transfer" (arXiv:1912.11370) as `bit_hyperrule.py` of
//! google-research/big_transfer runs it, number for number.
//!
//! ```
//! use bit_config::hyperrule::{self, Schedule};
//!
//! let schedule = Schedule::for_examples(50_000);
//! assert_eq!(schedule.steps(), 10_000);
//! assert_eq!(schedule.learning_rate(250, hyperrule::BASE_LEARNING_RATE), Some(0.0015));
//! assert_eq!(hyperrule::mixup_alpha(50_000), 0.1);
//! ```

use serde::{Deserialize, Serialize};

/// Learning rate for [`BATCH_SIZE`].
pub const BASE_LEARNING_RATE: f64 = 0.003;
/// Images in an optimizer step.
pub const BATCH_SIZE: usize = 512;
/// Learning rate for [`SMALL_BATCH_SIZE`], the README's setting for small machines.
pub const SMALL_LEARNING_RATE: f64 = 0.001;
/// Images in an optimizer step on a small machine.
pub const SMALL_BATCH_SIZE: usize = 128;
/// Momentum of the stochastic gradient descent. There is no weight decay.
pub const MOMENTUM: f64 = 0.9;

/// Data sets below this many examples are small: short schedule, no mixup.
const SMALL: usize = 20_000;
/// Data sets from this many examples on are large.
const LARGE: usize = 500_000;

/// Sides of the square images in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Side after the resize.
    pub resize: usize,
    /// Side of the random crop; evaluation resizes straight to it.
    pub crop: usize,
}

/// The resolution to train at, for a data set with images of `height` by `width` pixels: 128 below an area of
/// 96 x 96, otherwise 480.
pub fn resolution(height: usize, width: usize) -> Resolution {
    if height.saturating_mul(width) < 96 * 96 {
        Resolution {
            resize: 160,
            crop: 128,
        }
    } else {
        Resolution {
            resize: 512,
            crop: 480,
        }
    }
}

/// Parameter of mixup's Beta distribution; 0 is no mixup.
pub fn mixup_alpha(examples: usize) -> f64 {
    if examples < SMALL { 0.0 } else { 0.1 }
}

/// The steps at which the learning rate changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Steps over which the rate grows linearly from 0.
    pub warmup: usize,
    /// After each of these steps the rate falls by a factor of 10.
    pub decays: [usize; 3],
    /// The first step that is not run.
    pub end: usize,
}

impl Schedule {
    /// The schedule for a data set with this many training examples (few-shot: `k * classes`).
    pub fn for_examples(examples: usize) -> Self {
        match examples {
            0..SMALL => Self {
                warmup: 100,
                decays: [200, 300, 400],
                end: 500,
            },
            SMALL..LARGE => Self {
                warmup: 500,
                decays: [3000, 6000, 9000],
                end: 10_000,
            },
            _ => Self {
                warmup: 500,
                decays: [6000, 12_000, 18_000],
                end: 20_000,
            },
        }
    }

    /// The same course in another number of steps: every boundary is moved in proportion.
    ///
    /// ```
    /// let schedule = bit_config::hyperrule::Schedule::for_examples(1000).in_steps(50);
    /// assert_eq!((schedule.warmup, schedule.decays, schedule.end), (10, [20, 30, 40], 50));
    /// ```
    pub fn in_steps(&self, steps: usize) -> Self {
        let moved = |step: usize| (step as u128 * steps as u128 / self.end.max(1) as u128) as usize;
        Self {
            warmup: moved(self.warmup),
            decays: self.decays.map(moved),
            end: steps,
        }
    }

    /// Number of optimizer steps.
    pub fn steps(&self) -> usize {
        self.end
    }

    /// The learning rate of a step, counted from 0; `None` once training is over.
    pub fn learning_rate(&self, step: usize, base: f64) -> Option<f64> {
        if step < self.warmup {
            return Some(base * step as f64 / self.warmup as f64);
        }
        if step >= self.end {
            return None;
        }
        let passed = self.decays.iter().filter(|decay| **decay < step).count();
        // Divided one by one: dividing by 100 at once may round differently from the reference.
        Some((0..passed).fold(base, |rate, _| rate / 10.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of the recipe's table: examples, end of the warm-up, decays and end.
    const TABLE: [(usize, usize, [usize; 3], usize); 3] = [
        (19_999, 100, [200, 300, 400], 500),
        (20_000, 500, [3000, 6000, 9000], 10_000),
        (500_000, 500, [6000, 12_000, 18_000], 20_000),
    ];

    #[test]
    fn rate_falls_after_each_boundary_step_of_the_table() {
        for (examples, warmup, [first, second, third], end) in TABLE {
            let schedule = Schedule::for_examples(examples);
            let rates = [
                0.003,
                0.003 / 10.0,
                0.003 / 10.0 / 10.0,
                0.003 / 10.0 / 10.0 / 10.0,
            ];
            let spans = [
                (warmup, first),
                (first + 1, second),
                (second + 1, third),
                (third + 1, end - 1),
            ];
            for (rate, (from, through)) in rates.into_iter().zip(spans) {
                assert_eq!(
                    schedule.learning_rate(from, BASE_LEARNING_RATE),
                    Some(rate),
                    "step {from}"
                );
                assert_eq!(
                    schedule.learning_rate(through, BASE_LEARNING_RATE),
                    Some(rate),
                    "step {through}"
                );
            }
            assert_eq!(schedule.learning_rate(end, BASE_LEARNING_RATE), None);
            assert_eq!(schedule.learning_rate(usize::MAX, BASE_LEARNING_RATE), None);
            assert_eq!(schedule.steps(), end);
        }
    }

    #[test]
    fn warm_up_starts_at_zero_and_reaches_the_base_rate() {
        for (examples, warmup, ..) in TABLE {
            let schedule = Schedule::for_examples(examples);
            assert_eq!(schedule.learning_rate(0, 0.003), Some(0.0));
            assert_eq!(schedule.learning_rate(1, 0.003), Some(0.003 / warmup as f64));
            let last = 0.003 * (warmup - 1) as f64 / warmup as f64;
            assert_eq!(schedule.learning_rate(warmup - 1, 0.003), Some(last));
        }
    }

    #[test]
    fn schedule_is_the_same_up_to_the_next_size_of_data_set() {
        assert_eq!(Schedule::for_examples(0), Schedule::for_examples(19_999));
        assert_eq!(Schedule::for_examples(20_000), Schedule::for_examples(499_999));
        assert_eq!(
            Schedule::for_examples(500_000),
            Schedule::for_examples(usize::MAX)
        );
    }

    #[test]
    fn small_images_are_trained_at_128_and_others_at_480() {
        assert_eq!(
            resolution(32, 32),
            Resolution {
                resize: 160,
                crop: 128
            }
        );
        assert_eq!(
            resolution(96, 95),
            Resolution {
                resize: 160,
                crop: 128
            }
        );
        assert_eq!(
            resolution(96, 96),
            Resolution {
                resize: 512,
                crop: 480
            }
        );
        assert_eq!(
            resolution(usize::MAX, 2),
            Resolution {
                resize: 512,
                crop: 480
            }
        );
    }

    #[test]
    fn small_data_sets_are_not_mixed() {
        assert_eq!((mixup_alpha(19_999), mixup_alpha(20_000)), (0.0, 0.1));
    }
}
