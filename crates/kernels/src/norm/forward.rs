//! The forward pass.

use super::moments::{ChannelMoments, Measure, Moments};
use super::{NormAct, NormStats, Part, Stats, affine, channels, each_part, mask_lanes, share_line};
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
    params.check(shape);
    if let Some(known) = &known {
        known.check(shape);
    }
    let measure = known.is_none();
    let mut moments = known.unwrap_or_else(|| ChannelMoments::unknown(shape));
    let mut stats = NormStats::new(shape);
    let (found, combined) = (moments.shared(), stats.shared());
    each_part(shape, params.groups, |part| {
        let of_part = |i| part.planes.start + i;
        if measure {
            each(part.planes.len(), |i| isa.run(Measure { shape, plane: of_part(i), x, found }));
        }
        // SAFETY: the planes are this task's alone, and nobody writes to them now.
        let stats = unsafe {
            let moments = found.part(part.planes.start, part.planes.len());
            let stats = combined.part(part.planes.start, part.planes.len());
            combine(shape, params, &part, moments, stats);
            &*stats
        };
        each(part.planes.len(), |i| {
            isa.run(Apply { shape, plane: of_part(i), x, params, stats: stats[i], y });
        });
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
struct Apply<'a> {
    shape: Blocked,
    plane: usize,
    x: Source,
    params: NormAct<'a>,
    stats: Stats,
    y: Shared,
}

impl Kernel for Apply<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { shape, plane, params, .. } = self;
        let block = plane % shape.blocks();
        let [scale, offset] = affine(shape, params, &self.stats, plane).map(|lanes| s.lanes(&lanes));
        let slope = s.lanes(&channels(params.slope, block));
        let mask = s.lanes(&mask_lanes(shape, params.mask, plane));
        let zero = s.zero();
        let of = |value| {
            let value = s.fma(value, scale, offset);
            s.mul(s.fma(slope, s.min(value, zero), s.max(value, zero)), mask)
        };
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
