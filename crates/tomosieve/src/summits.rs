//! The hills of a histogram: where it is high, between valleys that are deep enough.

use std::ops::Range;

/// How closely a histogram is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    /// How often it is smoothed by [¼ ½ ¼]; eight times make a Gaussian of two bins' standard deviation.
    pub(crate) smoothed: usize,
    /// Share of all that is counted, in a bin, that is as good as none.
    pub(crate) none: f64,
    /// How high a valley stands at most, as a share of the lower one of its two hills, for these to be two.
    pub(crate) filled: f64,
}

/// A hill of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hill {
    /// From the valley below it to that above.
    pub(crate) bins: Range<usize>,
    /// Where it is highest.
    pub(crate) top: usize,
    /// How high the valley below it stands, as a share of the lower one of the two hills beside it; none for the first.
    pub(crate) valley: Option<f64>,
}

impl Sight {
    /// The hills of a histogram, from its first bin to its last; none of no bins.
    pub(crate) fn hills(&self, counts: &[u64]) -> Vec<Hill> {
        let counts: Vec<f64> = counts.iter().map(|&count| count as f64).collect();
        let none = self.none * counts.iter().sum::<f64>().max(1.0);
        let heights = smoothed(&counts, self.smoothed);
        let found = summits(&heights, none, self.filled);
        let ends = found.iter().skip(1).map(|summit| summit.valley).chain([counts.len()]);
        let valleys = found.windows(2).map(|pair| Some(fill(&heights, none, &pair[0], &pair[1])));
        let hill = |((summit, end), valley): ((&Summit, usize), _)| Hill {
            bins: summit.valley..end,
            top: summit.top,
            valley,
        };
        found.iter().zip(ends).zip([None].into_iter().chain(valleys)).map(hill).collect()
    }
}

/// So many `times` [¼ ½ ¼]; what would leave stays at the ends.
fn smoothed(counts: &[f64], times: usize) -> Vec<f64> {
    (0..times).fold(counts.to_vec(), |values, _| {
        let at = |i: usize| values[i.min(values.len() - 1)];
        (0..values.len()).map(|i| 0.25 * (at(i.saturating_sub(1)) + at(i + 1)) + 0.5 * at(i)).collect()
    })
}

/// A summit of a profile.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Summit {
    /// Where the valley below it is deepest, 0 for the first.
    valley: usize,
    /// Where it is highest.
    top: usize,
}

/// The summits of a profile between which all valleys are lower than `filled` of the lower one of their summits. Both are
/// counted from `none` below 0, so that valleys of nothing are no deeper than they can be seen to be. Valleys go one by one, the shallowest first, with
/// the lower one of their summits.
fn summits(heights: &[f64], none: f64, filled: f64) -> Vec<Summit> {
    let mut found: Vec<Summit> = Vec::new();
    let (mut valley, mut rising) = (0, true);
    for i in 1..=heights.len() {
        let goes_on = i < heights.len()
            && if rising { heights[i] >= heights[i - 1] } else { heights[i] <= heights[i - 1] };
        if goes_on {
            continue;
        }
        if rising {
            found.push(Summit { valley, top: i - 1 });
        } else {
            valley = i - 1;
        }
        rising = !rising;
    }
    let height = |at: usize| heights[at] + none;
    loop {
        let valleys = found.windows(2).map(|pair| fill(heights, none, &pair[0], &pair[1])).enumerate();
        let Some((at, fill)) = valleys.max_by(|a, b| a.1.total_cmp(&b.1)) else { return found };
        if fill < filled {
            return found;
        }
        if height(found[at].top) >= height(found[at + 1].top) {
            found.remove(at + 1);
        } else {
            found[at + 1].valley = found[at].valley;
            found.remove(at);
        }
    }
}

/// How high the valley between two summits stands, as a share of the lower one.
fn fill(heights: &[f64], none: f64, below: &Summit, above: &Summit) -> f64 {
    let height = |at: usize| heights[at] + none;
    height(above.valley) / f64::min(height(below.top), height(above.top))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILLED: f64 = 2.0 / 3.0;

    fn summits_of(heights: &[f64]) -> Vec<(usize, usize)> {
        summits(heights, 0.0, FILLED).into_iter().map(|summit| (summit.valley, summit.top)).collect()
    }

    #[test]
    fn a_shallow_valley_parts_no_two_summits() {
        assert_eq!(summits_of(&[1.0, 9.0, 2.0, 6.0, 5.0, 7.0, 1.0]), [(0, 1), (2, 5)]);
        assert_eq!(summits_of(&[1.0, 9.0, 2.0, 7.0, 5.0, 6.0, 1.0]), [(0, 1), (2, 3)]);
        assert_eq!(summits_of(&[6.0, 4.0, 6.0]), [(0, 0)], "two thirds are filled");
        assert_eq!(summits_of(&[6.0, 3.9, 6.0]), [(0, 0), (1, 2)]);
        assert_eq!(summits_of(&[3.0, 3.0, 3.0]), [(0, 2)]);
        assert_eq!(summits(&[2.0, 0.0, 2.0], 8.0, FILLED).len(), 1, "there is next to nothing of both");
    }

    proptest! {
        /// Valleys are deep, summits are the highest of what lies between their valleys, and no scale of the heights
        /// changes them.
        #[test]
        fn summits_stand_out(heights in proptest::collection::vec(0_u32..20, 1..60)) {
            let heights: Vec<f64> = heights.into_iter().map(f64::from).collect();
            let found = summits(&heights, 0.5, FILLED);
            prop_assert!(!found.is_empty() && found[0].valley == 0);
            let ends = found.iter().skip(1).map(|summit| summit.valley).chain([heights.len() - 1]);
            for (summit, end) in found.iter().zip(ends) {
                prop_assert!((summit.valley..=end).contains(&summit.top));
                prop_assert!(heights[summit.valley..=end].iter().all(|h| *h <= heights[summit.top]));
            }
            for pair in found.windows(2) {
                let lower = f64::min(heights[pair[0].top], heights[pair[1].top]);
                prop_assert!(heights[pair[1].valley] + 0.5 < FILLED * (lower + 0.5));
                let between = &heights[pair[0].top..=pair[1].top];
                prop_assert!(between.iter().all(|h| *h >= heights[pair[1].valley]));
            }
            let doubled: Vec<f64> = heights.iter().map(|h| 2.0 * h).collect();
            prop_assert_eq!(summits(&doubled, 1.0, FILLED), found);
        }
    }
}
