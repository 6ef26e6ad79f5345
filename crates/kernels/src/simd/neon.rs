//! NEON lanes: four 128-bit registers a lane group.
//!
//! Every target that this file is compiled for has the instructions, so nothing has to be detected.

#[allow(clippy::wildcard_imports)] // it is what the module is for
use std::arch::aarch64::*;

use super::Simd;

/// Lanes in four registers.
#[derive(Clone, Copy)]
pub(super) struct Neon;

type V = [float32x4_t; 4];

/// An operation of lanes by an intrinsic, which is applied to every quarter.
macro_rules! op {
    ($name:ident($($arg:ident),*) = $body:expr) => {
        #[inline(always)]
        fn $name(self, $($arg: V),*) -> V {
            let quarter = |i: usize| {
                let ($($arg,)*) = ($($arg[i],)*);
                // SAFETY: the target has the instructions.
                unsafe { $body }
            };
            [quarter(0), quarter(1), quarter(2), quarter(3)]
        }
    };
}

impl Simd for Neon {
    type V = V;
    // 24 of the 32 registers hold sums.
    const ROWS: usize = 6;
    const PANELS: usize = 1;

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        // SAFETY: the target has the instructions.
        unsafe { [vdupq_n_f32(x); 4] }
    }
    op!(add(a, b) = vaddq_f32(a, b));
    op!(sub(a, b) = vsubq_f32(a, b));
    op!(mul(a, b) = vmulq_f32(a, b));
    op!(div(a, b) = vdivq_f32(a, b));
    op!(sqrt(a) = vsqrtq_f32(a));
    op!(fma(a, b, c) = vfmaq_f32(c, a, b));
    op!(fnma(a, b, c) = vfmsq_f32(c, a, b));
    // Not `vminq_f32` and `vmaxq_f32`: of a NaN the others give the second operand.
    op!(min(a, b) = vbslq_f32(vcltq_f32(a, b), a, b));
    op!(max(a, b) = vbslq_f32(vcgtq_f32(a, b), a, b));
    op!(pow2(n) = vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)))));
    op!(select_lt(x, y, a, b) = vbslq_f32(vcltq_f32(x, y), a, b));
    #[inline(always)]
    fn interleave(self, a: V, b: V) -> [V; 2] {
        let both = |i: usize| {
            // SAFETY: the target has the instructions.
            unsafe { [vzip1q_f32(a[i], b[i]), vzip2q_f32(a[i], b[i])] }
        };
        let quarters = [both(0), both(1), both(2), both(3)];
        [0, 1].map(|i| [quarters[i][0], quarters[i][1], quarters[i + 2][0], quarters[i + 2][1]])
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        self.load2(p, p.add(8))
    }
    #[inline(always)]
    unsafe fn load2(self, low: *const f32, high: *const f32) -> V {
        [vld1q_f32(low), vld1q_f32(low.add(4)), vld1q_f32(high), vld1q_f32(high.add(4))]
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: V) {
        self.store2(p, p.add(8), v);
    }
    #[inline(always)]
    unsafe fn store_low(self, p: *mut f32, v: V) {
        vst1q_f32(p, v[0]);
        vst1q_f32(p.add(4), v[1]);
    }
    #[inline(always)]
    unsafe fn store2(self, low: *mut f32, high: *mut f32, v: V) {
        self.store_low(low, v);
        vst1q_f32(high, v[2]);
        vst1q_f32(high.add(4), v[3]);
    }
}
