//! Percentile bootstrap (Efron 1979), where an interval has no closed form. The seed is fixed: the same cases give the same interval.

/// Resamples of the cases.
pub const REPLICATES: usize = 2000;
const SEED: u64 = 0x6f72_7468_616e_6361;

/// SplitMix64 (Steele, Lea and Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0..n
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

/// The 95 % interval of `statistic` over resamples of `cases` cases; it gets how often each case is in the resample. None where it is
/// undefined in more than one of twenty resamples, or the same in all.
pub fn percentile_interval(cases: usize, statistic: impl FnMut(&[u32]) -> Option<f64>) -> Option<[f64; 2]> {
    interval_of(&mut replicate(cases, statistic))
}

/// The statistic's values over the resamples where it has one.
fn replicate(cases: usize, mut statistic: impl FnMut(&[u32]) -> Option<f64>) -> Vec<f64> {
    let mut random = SplitMix(SEED);
    let mut weights = vec![0u32; cases];
    let mut values = Vec::with_capacity(REPLICATES);
    let replicates = if cases < 2 { 0 } else { REPLICATES };
    for _ in 0..replicates {
        weights.fill(0);
        for _ in 0..cases {
            weights[random.below(cases)] += 1;
        }
        values.extend(statistic(&weights).filter(|v| v.is_finite()));
    }
    values
}

fn interval_of(values: &mut [f64]) -> Option<[f64; 2]> {
    if values.len() * 20 < REPLICATES * 19 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let interval = [quantile(values, 0.025)?, quantile(values, 0.975)?];
    (interval[0] < interval[1]).then_some(interval)
}

/// The quantile of ascending values, linear between neighbours (numpy's default; Hyndman and Fan's type 7). None of no value.
pub fn quantile(ascending: &[f64], share: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    Some(ascending[below] + (place - below as f64) * (ascending[above] - ascending[below]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_about_the_normal_one() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let mean =
            |w: &[u32]| Some(values.iter().zip(w).map(|(v, w)| v * f64::from(*w)).sum::<f64>() / values.len() as f64);
        let [low, high] = percentile_interval(values.len(), mean).unwrap();
        // Standard deviation 5.766, standard error 0.2883.
        assert!((low - (9.5 - 0.565)).abs() < 0.05 && (high - (9.5 + 0.565)).abs() < 0.05, "{low} {high}");
        assert_eq!(percentile_interval(values.len(), mean), Some([low, high]), "the same cases, the same interval");
    }

    #[test]
    fn what_the_cases_say_nothing_about_has_no_interval() {
        assert_eq!(percentile_interval(30, |_| Some(1.0)), None);
        assert_eq!(percentile_interval(30, |w| (w[0] > 0).then_some(f64::from(w[0]))), None);
        assert_eq!(percentile_interval(1, |w| Some(f64::from(w[0]))), None);
        assert_eq!(percentile_interval(0, |_| Some(1.0)), None);
    }

    #[test]
    fn quantiles_are_numpys() {
        let values = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&values, 0.5), Some(3.0));
        assert!((quantile(&values, 0.95).unwrap() - 7.4).abs() < 1e-12);
        assert_eq!((quantile(&values, 1.0), quantile(&[], 0.5), quantile(&[5.0], 0.3)), (Some(8.0), None, Some(5.0)));
    }
}
