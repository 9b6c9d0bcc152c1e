//! Random numbers as a pure function of a seed, a purpose and an index.

/// A stream of random numbers that depends on nothing but what it was made from, on every machine and in every
/// release: a resumed run draws what the undisturbed one drew.
///
/// SplitMix64 (Steele, Lea, Flood 2014): every seed is a good one, so that streams can be made for each step.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of `index` (a step, an epoch) for one purpose of a run with this seed.
    pub fn new(seed: u64, purpose: &str, index: u64) -> Self {
        // FNV-1a makes a number of the purpose.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let purpose = purpose.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
        Self(mix(mix(mix(seed) ^ purpose) ^ index))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        // Lemire's multiplication without rejection: the bias is end / 2^64.
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True half of the time.
    pub fn coin(&mut self) -> bool {
        self.bits() >> 63 == 1
    }

    /// Brings the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// The numbers below `len` in a random order.
    pub fn permutation(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        self.shuffle(&mut order);
        order
    }
}

/// SplitMix64's finalizer.
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_splitmix64s_in_every_release() {
        let mut random = Random(0);
        assert_eq!(
            [random.bits(), random.bits()],
            [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]
        );
        let mut stream = Random::new(42, "augment", 7);
        assert_eq!(
            [stream.below(1000), stream.below(1000), stream.below(1000)],
            [964, 261, 541]
        );
    }

    #[test]
    fn seed_purpose_and_index_each_make_another_stream() {
        let streams = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)];
        let firsts = streams.map(|(seed, purpose, index)| Random::new(seed, purpose, index).bits());
        let different: std::collections::BTreeSet<u64> = firsts.into_iter().collect();
        assert_eq!(different.len(), 4);
    }

    #[test]
    fn numbers_are_uniform() {
        let mut random = Random::new(3, "test", 0);
        let mut counts = [0; 5];
        (0..10_000).for_each(|_| counts[random.below(5)] += 1);
        assert!(
            counts.iter().all(|count| (1850..2150).contains(count)),
            "{counts:?}"
        );
        let mean = (0..10_000).map(|_| random.unit()).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        let heads = (0..10_000).filter(|_| random.coin()).count();
        assert!((4800..5200).contains(&heads), "{heads}");
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn a_permutation_has_every_number_once_and_each_place_is_as_likely() {
        let mut counts = [[0; 4]; 4];
        for index in 0..8000 {
            let order = Random::new(0, "test", index).permutation(4);
            order
                .iter()
                .enumerate()
                .for_each(|(place, number)| counts[place][*number] += 1);
        }
        let counts = counts.concat();
        assert!(
            counts.iter().all(|count| (1850..2150).contains(count)),
            "{counts:?}"
        );
    }
}
