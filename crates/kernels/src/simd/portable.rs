//! Sixteen lanes as an array, which the compiler vectorises with what the target guarantees.

use super::{LANES, Simd};

/// Lanes in an array.
#[derive(Clone, Copy)]
pub(super) struct Portable;

type V = [f32; LANES];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    std::array::from_fn(|i| f(a[i], b[i]))
}

/// Fused where the target has the instruction; the library function would be very slow.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) { a.mul_add(b, c) } else { a * b + c }
}

impl Simd for Portable {
    type V = V;
    const ROWS: usize = 4;
    const PANELS: usize = 1;

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; LANES]
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        std::array::from_fn(|i| multiply_add(a[i], b[i], c[i]))
    }
    #[inline(always)]
    fn fnma(self, a: V, b: V, c: V) -> V {
        std::array::from_fn(|i| multiply_add(-a[i], b[i], c[i]))
    }
    #[inline(always)]
    fn pow2(self, n: V) -> V {
        n.map(|n| f32::from_bits(((n as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn select_lt(self, x: V, y: V, a: V, b: V) -> V {
        std::array::from_fn(|i| if x[i] < y[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn interleave(self, a: V, b: V) -> [V; 2] {
        [0, 4].map(|start| {
            std::array::from_fn(|i| if i % 2 == 0 { a } else { b }[i / 8 * 8 + start + i % 8 / 2])
        })
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        p.cast::<V>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn load2(self, low: *const f32, high: *const f32) -> V {
        let (low, high) = (low.cast::<[f32; 8]>().read_unaligned(), high.cast::<[f32; 8]>().read_unaligned());
        std::array::from_fn(|i| if i < 8 { low[i] } else { high[i - 8] })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: V) {
        p.cast::<V>().write_unaligned(v);
    }
    #[inline(always)]
    unsafe fn store_low(self, p: *mut f32, v: V) {
        std::ptr::copy_nonoverlapping(v.as_ptr(), p, 8);
    }
    #[inline(always)]
    unsafe fn store2(self, low: *mut f32, high: *mut f32, v: V) {
        std::ptr::copy_nonoverlapping(v.as_ptr(), low, 8);
        std::ptr::copy_nonoverlapping(v.as_ptr().add(8), high, 8);
    }
}
