//! A rank test: how often one thing is faster than another, and how far that
//! may be from a half by chance.

use std::time::Duration;

/// The two-sided quantile of the normal distribution for 5 % over the six
/// pairs of four classes (Bonferroni).
const QUANTILE: f64 = 2.638;

/// The probability that a measurement of one is shorter than one of the other
/// (Mann and Whitney's U over the number of pairs; equal ones count half).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rank {
    /// The probability.
    pub(crate) faster: f64,
    /// How far it may be off, for all pairs together 19 times of 20.
    pub(crate) within: f64,
}

impl Rank {
    /// Of two rows of measurements; the variance as `DeLong` has it.
    pub(crate) fn of(one: &[Duration], other: &[Duration]) -> Self {
        let score = |one: &Duration, other: &Duration| match one.cmp(other) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        };
        let of_one: Vec<_> = one.iter().map(|a| mean(other.iter().map(|b| score(a, b)))).collect();
        let of_other: Vec<_> = other.iter().map(|b| mean(one.iter().map(|a| score(a, b)))).collect();
        let error = (variance(&of_one) + variance(&of_other)).sqrt();
        Self { faster: mean(of_one.iter().copied()), within: QUANTILE * error }
    }

    /// How far it is from a half.
    pub(crate) fn bias(self) -> f64 {
        (self.faster - 0.5).abs()
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

/// The variance of the mean.
fn variance(values: &[f64]) -> f64 {
    let middle = mean(values.iter().copied());
    let squares = mean(values.iter().map(|value| (value - middle).powi(2)));
    squares / (f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX)) - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(times: impl Iterator<Item = u64>) -> Vec<Duration> {
        times.map(Duration::from_micros).collect()
    }

    #[test]
    fn the_same_is_as_often_faster_as_not_and_a_lasting_difference_shows() {
        // A permutation of 0..200: no order, no luck.
        let spread = |shift: u64| us((0..200).map(move |n| n * 73 % 200 + shift));
        let same = Rank::of(&spread(0), &spread(0));
        assert!(same.bias() < 1e-9 && (0.05..0.1).contains(&same.within), "{same:?}");
        let faster = Rank::of(&spread(0), &spread(40));
        assert!(faster.faster > 0.6 && faster.bias() > faster.within, "{faster:?}");
        assert!((Rank::of(&spread(0), &spread(500)).faster - 1.0).abs() < 1e-9);
    }
}
