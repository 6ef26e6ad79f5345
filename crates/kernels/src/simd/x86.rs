//! AVX-512 and AVX2 lanes.
//!
//! The lane types are private to this module and are made by `run_avx512` and `run_avx2` alone, whose
//! callers must have detected the features; so holding one proves that the intrinsics may be called.

#[allow(clippy::wildcard_imports)] // it is what the module is for
use std::arch::x86_64::*;

use super::{Kernel, Simd};

/// A proof of AVX-512 F, DQ and VL.
#[derive(Clone, Copy)]
struct Avx512(());

/// A proof of AVX2 and FMA.
#[derive(Clone, Copy)]
struct Avx2(());

/// Runs a kernel with 512-bit registers.
///
/// # Safety
/// The CPU must have AVX-512 F, DQ and VL, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) {
    kernel.run(Avx512(()));
}

/// Runs a kernel with 256-bit registers.
///
/// # Safety
/// The CPU must have AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) {
    kernel.run(Avx2(()));
}

/// An operation of lanes by intrinsics.
macro_rules! op {
    ($name:ident($($arg:ident),*) = $body:expr) => {
        #[inline(always)]
        fn $name(self, $($arg: Self::V),*) -> Self::V {
            // SAFETY: `self` proves that the CPU has the instructions.
            unsafe { $body }
        }
    };
}

impl Simd for Avx512 {
    type V = __m512;
    const ROWS: usize = 12;
    const PANELS: usize = 2;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe { _mm512_set1_ps(x) }
    }
    op!(add(a, b) = _mm512_add_ps(a, b));
    op!(sub(a, b) = _mm512_sub_ps(a, b));
    op!(mul(a, b) = _mm512_mul_ps(a, b));
    op!(div(a, b) = _mm512_div_ps(a, b));
    op!(sqrt(a) = _mm512_sqrt_ps(a));
    op!(fma(a, b, c) = _mm512_fmadd_ps(a, b, c));
    op!(fnma(a, b, c) = _mm512_fnmadd_ps(a, b, c));
    op!(min(a, b) = _mm512_min_ps(a, b));
    op!(max(a, b) = _mm512_max_ps(a, b));
    op!(pow2(n) = _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(
        _mm512_cvtps_epi32(n),
        _mm512_set1_epi32(127)
    ))));
    op!(select_lt(x, y, a, b) = _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, y), b, a));
    #[inline(always)]
    fn interleave(self, a: __m512, b: __m512) -> [__m512; 2] {
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe {
            // Lanes of `b` count from 16 on.
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27);
            let high = _mm512_setr_epi32(4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31);
            [_mm512_permutex2var_ps(a, low, b), _mm512_permutex2var_ps(a, high, b)]
        }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        _mm512_loadu_ps(p)
    }
    #[inline(always)]
    unsafe fn load2(self, low: *const f32, high: *const f32) -> __m512 {
        _mm512_insertf32x8::<1>(_mm512_castps256_ps512(_mm256_loadu_ps(low)), _mm256_loadu_ps(high))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        _mm512_storeu_ps(p, v);
    }
    #[inline(always)]
    unsafe fn store_low(self, p: *mut f32, v: __m512) {
        _mm256_storeu_ps(p, _mm512_castps512_ps256(v));
    }
    #[inline(always)]
    unsafe fn store2(self, low: *mut f32, high: *mut f32, v: __m512) {
        _mm256_storeu_ps(low, _mm512_castps512_ps256(v));
        _mm256_storeu_ps(high, _mm512_extractf32x8_ps::<1>(v));
    }
}

/// Applies an intrinsic to both halves.
macro_rules! halves {
    ($f:ident $(::<$n:literal>)?($($arg:ident),*)) => {
        [$f$(::<$n>)?($($arg[0]),*), $f$(::<$n>)?($($arg[1]),*)]
    };
}

impl Simd for Avx2 {
    type V = [__m256; 2];
    const ROWS: usize = 6;
    const PANELS: usize = 1;

    #[inline(always)]
    fn fence(self) {
        // SAFETY: no instruction at all.
        unsafe { std::arch::asm!("", options(nostack, preserves_flags)) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [__m256; 2] {
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    op!(add(a, b) = halves!(_mm256_add_ps(a, b)));
    op!(sub(a, b) = halves!(_mm256_sub_ps(a, b)));
    op!(mul(a, b) = halves!(_mm256_mul_ps(a, b)));
    op!(div(a, b) = halves!(_mm256_div_ps(a, b)));
    op!(sqrt(a) = halves!(_mm256_sqrt_ps(a)));
    op!(fma(a, b, c) = halves!(_mm256_fmadd_ps(a, b, c)));
    op!(fnma(a, b, c) = halves!(_mm256_fnmadd_ps(a, b, c)));
    op!(min(a, b) = halves!(_mm256_min_ps(a, b)));
    op!(max(a, b) = halves!(_mm256_max_ps(a, b)));
    op!(pow2(n) = n.map(|n| {
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(
            _mm256_cvtps_epi32(n),
            _mm256_set1_epi32(127),
        )))
    }));
    op!(select_lt(x, y, a, b) = [
        _mm256_blendv_ps(b[0], a[0], _mm256_cmp_ps::<_CMP_LT_OQ>(x[0], y[0])),
        _mm256_blendv_ps(b[1], a[1], _mm256_cmp_ps::<_CMP_LT_OQ>(x[1], y[1])),
    ]);
    #[inline(always)]
    fn interleave(self, a: [__m256; 2], b: [__m256; 2]) -> [[__m256; 2]; 2] {
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe {
            // Of four lanes each: `a0 b0 a1 b1 | a4 b4 a5 b5` and `a2 b2 a3 b3 | a6 b6 a7 b7`.
            let (even, odd) = (halves!(_mm256_unpacklo_ps(a, b)), halves!(_mm256_unpackhi_ps(a, b)));
            [
                halves!(_mm256_permute2f128_ps::<0x20>(even, odd)),
                halves!(_mm256_permute2f128_ps::<0x31>(even, odd)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> [__m256; 2] {
        [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))]
    }
    #[inline(always)]
    unsafe fn load2(self, low: *const f32, high: *const f32) -> [__m256; 2] {
        [_mm256_loadu_ps(low), _mm256_loadu_ps(high)]
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: [__m256; 2]) {
        _mm256_storeu_ps(p, v[0]);
        _mm256_storeu_ps(p.add(8), v[1]);
    }
    #[inline(always)]
    unsafe fn store_low(self, p: *mut f32, v: [__m256; 2]) {
        _mm256_storeu_ps(p, v[0]);
    }
    #[inline(always)]
    unsafe fn store2(self, low: *mut f32, high: *mut f32, v: [__m256; 2]) {
        _mm256_storeu_ps(low, v[0]);
        _mm256_storeu_ps(high, v[1]);
    }
}
