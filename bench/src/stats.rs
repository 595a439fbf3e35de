//! Times and what is said of them.

use std::time::Duration;

/// Times, in order of their length.
#[derive(Clone, Default)]
pub(crate) struct Times(Vec<Duration>);

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

impl Times {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The shortest.
    pub(crate) fn min(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }

    /// The time that `percent` of them do not exceed (nearest rank).
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// The middle one.
    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// All of them together.
    pub(crate) fn merge<'a>(blocks: impl IntoIterator<Item = &'a Self>) -> Self {
        blocks.into_iter().flat_map(|block| block.0.iter().copied()).collect()
    }
}

/// How many times as long one thing takes as another: the median over blocks
/// that were measured side by side, and how far the blocks lie apart.
#[derive(Clone, Copy)]
pub(crate) struct Ratio {
    /// The median of the blocks' ratios.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The greatest.
    pub(crate) max: f64,
}

impl Ratio {
    /// The ratio of two rows of blocks.
    pub(crate) fn of(measured: &[Duration], floor: &[Duration]) -> Self {
        let pairs = measured.iter().zip(floor);
        let mut ratios: Vec<_> = pairs.map(|(measured, floor)| measured.as_secs_f64() / floor.as_secs_f64()).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| ratios.get(index).copied().unwrap_or(f64::NAN);
        let last = ratios.len().saturating_sub(1);
        Self { median: f64::midpoint(at(last / 2), at(ratios.len() / 2)), min: at(0), max: at(last) }
    }

    /// The greater of two.
    pub(crate) fn or_greater(self, other: Self) -> Self {
        if other.median > self.median { other } else { self }
    }
}

/// The median of a few durations.
pub(crate) fn median(durations: impl IntoIterator<Item = Duration>) -> Duration {
    durations.into_iter().collect::<Times>().median()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(times: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        times.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let times: Times = ms((1..=100).rev()).into_iter().collect();
        let found = [0, 50, 95, 99, 100].map(|percent| times.percentile(percent).as_millis());
        assert_eq!(found, [1, 50, 95, 99, 100]);
        assert_eq!(Times::default().median(), Duration::ZERO);
    }

    #[test]
    fn a_ratio_is_taken_within_a_block_so_that_a_slow_spell_does_not_show() {
        let ratio = Ratio::of(&ms([2, 20, 2]), &ms([1, 10, 1]));
        assert!((ratio.min - 2.0).abs() < 1e-9 && (ratio.median - 2.0).abs() < 1e-9 && (ratio.max - 2.0).abs() < 1e-9);
    }
}
