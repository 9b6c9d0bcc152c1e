//! Which pictures a step gets.

use crate::data::Random;

/// The order of the pictures, as big_transfer's PyTorch code has it: shuffled anew each epoch, whose last batch may
/// be short; drawn with replacement where a batch is larger than the data.
#[derive(Debug)]
pub(super) struct Order {
    examples: usize,
    batch: usize,
    seed: u64,
    /// The order of the epoch that was asked for last.
    epoch: Option<(u64, Vec<usize>)>,
}

impl Order {
    pub(super) fn new(examples: usize, batch: usize, seed: u64) -> Self {
        Self {
            examples,
            batch,
            seed,
            epoch: None,
        }
    }

    /// The pictures of a step.
    pub(super) fn batch(&mut self, step: usize) -> Vec<usize> {
        let (examples, seed) = (self.examples, self.seed);
        if self.batch > examples {
            let mut random = Random::new(seed, "replacement", step as u64);
            return (0..self.batch).map(|_| random.below(examples)).collect();
        }
        let batches = examples.div_ceil(self.batch);
        let (epoch, start) = ((step / batches) as u64, step % batches * self.batch);
        let order = match self.epoch.take() {
            Some((current, order)) if current == epoch => order,
            _ => Random::new(seed, "epoch", epoch).permutation(examples),
        };
        let batch = order[start..(start + self.batch).min(examples)].to_vec();
        self.epoch = Some((epoch, order));
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_picture_once_and_its_last_batch_is_short() {
        let mut order = Order::new(10, 4, 7);
        let epochs: Vec<Vec<usize>> = (0..2)
            .map(|epoch| (0..3).flat_map(|step| order.batch(epoch * 3 + step)).collect())
            .collect();
        for epoch in &epochs {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_eq!(order.batch(2).len(), 2);
    }

    #[test]
    fn a_step_gets_the_same_pictures_whatever_came_before() {
        for batch in [3, 20] {
            let mut walked = Order::new(10, batch, 1);
            let steps: Vec<_> = (0..9).map(|step| walked.batch(step)).collect();
            for (step, expected) in steps.iter().enumerate().rev() {
                assert_eq!(Order::new(10, batch, 1).batch(step), *expected);
            }
            assert_ne!(Order::new(10, batch, 2).batch(0), steps[0]);
        }
    }

    #[test]
    fn a_batch_that_is_larger_than_the_data_is_drawn_with_replacement() {
        let batch = Order::new(3, 100, 0).batch(5);
        let counts = [0, 1, 2].map(|example| batch.iter().filter(|index| **index == example).count());
        assert_eq!(batch.len(), 100);
        assert!(counts.iter().all(|count| *count > 15), "{counts:?}");
    }
}
