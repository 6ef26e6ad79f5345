//! The forward pass.

use super::deferred::{Active, Lanes, lanes};
use super::moments::{ChannelMoments, Measure, Moments};
use super::{NormAct, NormStats, Part, Stats, each_part, mask_lanes, share_line, twice};
use crate::change::Change;
use crate::parallel::{Shared, Source, each};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{Isa, Kernel, LANES, Simd};

/// `values` become `m · prelu(norm(values))`, with the halo; `known` are their moments, if whoever made them measured them.
///
/// # Panics
/// If a length is not that of the shape, or the groups do not divide the channels.
pub fn norm_act(
    isa: Isa,
    shape: Blocked,
    values: Change<'_>,
    known: Option<ChannelMoments>,
    params: NormAct<'_>,
) -> NormStats {
    shape.check_len(values.len());
    let (x, y) = values.ends();
    measured(isa, shape, x, known, params, |plane, stats| {
        let (lanes, mask) = (lanes(shape, params, stats, plane), mask_lanes(shape, params.mask, plane));
        isa.run(Apply { shape, plane, x, lanes, mask, y });
    })
}

/// The norm's statistics of `x`. As soon as those of some planes are there, `then` is done with each of them, which may still
/// lie in a cache.
pub(super) fn measured(
    isa: Isa,
    shape: Blocked,
    x: Source,
    known: Option<ChannelMoments>,
    params: NormAct<'_>,
    then: impl Fn(usize, &Stats) + Sync + Send,
) -> NormStats {
    params.check(shape);
    if let Some(known) = &known {
        known.check(shape);
    }
    let measure = known.is_none();
    let mut moments = known.unwrap_or_else(|| ChannelMoments::unknown(shape));
    let mut stats = NormStats::new(shape);
    let (found, combined) = (moments.shared(), stats.shared());
    each_part(shape, params.groups, |part| {
        let (first, count) = (part.planes.start, part.planes.len());
        if measure {
            each(count, |i| isa.run(Measure { shape, plane: first + i, x, found }));
        }
        // SAFETY: the planes are this task's alone, and nobody writes to them now.
        let stats = unsafe {
            let (moments, stats) = (found.part(first, count), combined.part(first, count));
            combine(shape, params, &part, moments, stats);
            &*stats
        };
        each(count, |i| then(first + i, &stats[i]));
    });
    stats
}

/// The groups' means and inverse deviations from the moments of their channels.
fn combine(shape: Blocked, params: NormAct<'_>, part: &Part, moments: &[Moments], stats: &mut [Stats]) {
    let (pixels, each) = ((shape.h * shape.w) as f64, shape.c / params.groups);
    let first = part.groups.start * each;
    for group in part.groups.clone() {
        let members = group * each - first..(group + 1) * each - first;
        let of = |channel: usize| {
            let [means, squares] = &moments[channel / BLOCK];
            (means[channel % BLOCK], squares[channel % BLOCK])
        };
        let mean = members.clone().map(|c| of(c).0).sum::<f64>() / each as f64;
        let spread = |c| {
            let (own, within) = of(c);
            within + pixels * (own - mean).powi(2)
        };
        let variance = members.clone().map(spread).sum::<f64>() / (pixels * each as f64);
        let inverse = 1.0 / (variance.max(0.0) + f64::from(params.epsilon)).sqrt();
        for channel in members {
            let found = [mean, inverse, of(channel).0 - mean];
            for (stats, found) in stats[channel / BLOCK].iter_mut().zip(found) {
                stats[channel % BLOCK] = found as f32;
            }
        }
    }
}

/// Normalises and activates a plane.
pub(super) struct Apply {
    pub(super) shape: Blocked,
    pub(super) plane: usize,
    pub(super) x: Source,
    pub(super) lanes: Lanes,
    pub(super) mask: [f32; BLOCK],
    pub(super) y: Shared,
}

impl Kernel for Apply {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { shape, plane, lanes, .. } = self;
        let active = Active::new(s, &lanes, &lanes);
        let mask = s.lanes(&twice(&self.mask));
        let of = |value| s.mul(active.of(s, value), mask);
        // SAFETY: the plane lies within the shape, for which the caller checked the pointers; each task writes a plane of its
        // own, and where the input is the output, each value is read before it is written.
        unsafe {
            let (start, x, y) = (plane * shape.plane(), self.x.at(0), self.y.at(0));
            for row in 1..=shape.h {
                let mut at = start + row * shape.row() + BLOCK;
                let end = at + shape.w * BLOCK;
                while at < end {
                    if share_line(at, end) {
                        s.store(y.add(at), of(s.load(x.add(at))));
                        at += LANES;
                    } else {
                        s.store_low(y.add(at), of(s.load2(x.add(at), x.add(at))));
                        at += BLOCK;
                    }
                }
            }
            shape.clear_plane_halo(self.y.part(plane * shape.plane(), shape.plane()));
        }
    }
}
