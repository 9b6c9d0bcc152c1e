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
