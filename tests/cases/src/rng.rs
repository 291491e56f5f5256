/// A small generator (SplitMix64): the same numbers from the same seed on every machine.
pub(crate) struct Rng {
    state: u64,
}

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng {
            state: seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x6a09_e667_f3bc_c908,
        }
    }

    pub(crate) fn bits(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 32) as u32
    }

    /// `low..=high`.
    pub(crate) fn range(&mut self, low: i64, high: i64) -> i64 {
        let count = (high - low + 1).max(1) as u64;
        // 32 random bits a draw suffice: no range here is wider.
        low + ((u64::from(self.bits()) * count) >> 32) as i64
    }

    /// `low..=high`.
    pub(crate) fn size(&mut self, low: u32, high: u32) -> u32 {
        self.range(i64::from(low), i64::from(high)) as u32
    }

    /// True once in `n`.
    pub(crate) fn one_in(&mut self, n: u32) -> bool {
        self.size(1, n) == 1
    }

    /// One of the values, which are not none.
    pub(crate) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.size(0, values.len() as u32 - 1) as usize]
    }
}
