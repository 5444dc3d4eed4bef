//! Numbers that look random and are the same on every machine.

/// A small generator (SplitMix64). Each column, session or part gets one of its own, derived from
/// names, so that adding a table changes no other.
#[derive(Debug, Clone)]
pub struct Random(u64);

/// FNV-1a, for names.
pub(crate) fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

impl Random {
    /// The generator of this name.
    pub fn new(seed: u64, name: &str) -> Self {
        let mut random = Self(seed ^ hash(name.bytes()));
        // Neighbouring seeds should part at once.
        random.0 = random.next();
        random
    }

    /// The generator number `index` of this one, which stays as it is.
    #[must_use]
    pub fn nth(&self, index: i64) -> Self {
        let mut random = Self(self.0 ^ index.cast_unsigned().wrapping_mul(0xd6e8_feb8_6659_fd93));
        random.0 = random.next();
        random
    }

    /// 64 random bits.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From `low` to `high`, without `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number from `low` to `high`, both included.
    pub fn whole(&mut self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low).saturating_add(1);
        low.wrapping_add_unsigned(self.next() % span)
    }

    /// True in a share of all cases.
    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// One of these.
    ///
    /// # Panics
    /// There are none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let last = i64::try_from(from.len()).unwrap_or(i64::MAX) - 1;
        let index = self.whole(0, last.max(0));
        from[usize::try_from(index).unwrap_or(0)]
    }

    /// Normally distributed. The sum of four uniform numbers is near enough, and has no far tails.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        // Four uniform numbers have the variance 4/12.
        #[expect(clippy::cast_precision_loss, reason = "18 bits fit")]
        let centred = sum as f64 / 65_536.0 - 2.0;
        mean + deviation * centred * 1.732_050_8
    }

    /// Log-normally distributed around a median.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * self.normal(0.0, sigma).exp()
    }

    /// Lower-case hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(digits);
        text
    }
}
