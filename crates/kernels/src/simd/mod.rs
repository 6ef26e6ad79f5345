//! Sixteen `f32` lanes on whatever the machine has, chosen at run time.
//!
//! Every kernel is written once against [`Simd`]; an instruction set is a file of some fifteen
//! one-line operations. A kernel is a [`Kernel`], a value with a generic `run`, and [`Isa::run`]
//! instantiates it inside a function compiled for that instruction set, into which everything marked
//! `#[inline(always)]` flows.
//!
//! A lane group is always 16 wide: one AVX-512 register, two AVX registers or four NEON registers.
//! So the layouts of memory do not depend on the CPU.

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

/// Lanes of a [`Simd::V`].
pub(crate) const LANES: usize = 16;

/// Sixteen lanes of `f32` and what can be done with them.
///
/// A value of an implementing type is a proof that the CPU has the instructions.
pub(crate) trait Simd: Copy {
    /// Sixteen `f32`.
    type V: Copy;

    /// Rows of a register tile in a matrix product of 16 columns.
    const ROWS: usize;
    /// Panels of 16 columns that there are registers for beside each other in such a tile: 1 or 2.
    const PANELS: usize;

    /// Every lane `x`.
    fn splat(self, x: f32) -> Self::V;

    /// `a + b`
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a − b`
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a · b`
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `√a`
    fn sqrt(self, a: Self::V) -> Self::V;
    /// `a · b + c`
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c − a · b`
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The smaller of two lanes.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The larger of two lanes.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// 2ⁿ of whole numbers `n` from −126 to 127; 0 for −127.
    fn pow2(self, n: Self::V) -> Self::V;
    /// `x < y ? a : b`
    fn select_lt(self, x: Self::V, y: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// A lane of `a` and one of `b` in turn, within each half: `a0 b0 … a3 b3 | a8 b8 … a11 b11` and
    /// `a4 b4 … a7 b7 | a12 b12 … a15 b15`.
    fn interleave(self, a: Self::V, b: Self::V) -> [Self::V; 2];

    /// Reads 16 lanes.
    ///
    /// # Safety
    /// 16 `f32` must be readable at `p`.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// Reads 8 lanes each from two places.
    ///
    /// # Safety
    /// 8 `f32` must be readable at either place.
    unsafe fn load2(self, low: *const f32, high: *const f32) -> Self::V;
    /// Writes 16 lanes.
    ///
    /// # Safety
    /// 16 `f32` must be writable at `p`.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// Writes the lower 8 lanes.
    ///
    /// # Safety
    /// 8 `f32` must be writable at `p`.
    unsafe fn store_low(self, p: *mut f32, v: Self::V);
    /// Writes the lower and the upper 8 lanes to two places.
    ///
    /// # Safety
    /// 8 `f32` must be writable at either place.
    unsafe fn store2(self, low: *mut f32, high: *mut f32, v: Self::V);

    /// Costs nothing, and keeps the compiler from reading ahead across it: where sums fill the registers, what it reads
    /// too early pushes one of them onto the stack, for which every addition to it then waits.
    #[inline(always)]
    fn fence(self) {}

    /// Turns the bits of every value's place, row · 8 + lane, by `rounds` to the left: the lower halves of `N` rows, which is
    /// a power of two, are one array of `8 · N` values, the upper halves another.
    ///
    /// Of eight rows three rounds exchange rows and lanes.
    #[inline(always)]
    fn turn<const N: usize>(self, mut rows: [Self::V; N], rounds: usize) -> [Self::V; N] {
        for _ in 0..rounds {
            let before = rows;
            for i in 0..N / 2 {
                [rows[2 * i], rows[2 * i + 1]] = self.interleave(before[i], before[i + N / 2]);
            }
        }
        rows
    }

    /// Every lane zero.
    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }
    /// The 16 values of an array.
    #[inline(always)]
    fn lanes(self, a: &[f32; LANES]) -> Self::V {
        // SAFETY: the array has 16 values.
        unsafe { self.load(a.as_ptr()) }
    }
    /// The 16 values as an array.
    #[inline(always)]
    fn to_array(self, v: Self::V) -> [f32; LANES] {
        let mut a = [0.0; LANES];
        // SAFETY: the array has 16 values.
        unsafe { self.store(a.as_mut_ptr(), v) };
        a
    }
}

/// A computation that can be instantiated for any instruction set.
pub(crate) trait Kernel {
    /// Does it. Mark implementations `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S);
}

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, DQ and VL: one 512-bit register a lane group.
    Avx512,
    /// AVX2 with FMA: two 256-bit registers.
    Avx2,
    /// NEON, which every `AArch64` has: four 128-bit registers.
    Neon,
    /// What the compiler makes of arrays, such as SSE2 on other x86-64.
    Portable,
}

impl Isa {
    /// The best one of this machine.
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// Those of this machine, best first.
    pub fn available() -> Vec<Self> {
        let all = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];
        all.into_iter().filter(|isa| isa.present()).collect()
    }

    fn present(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.present()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => true,
            Self::Portable => true,
            _ => false,
        }
    }

    /// Runs a kernel on this instruction set.
    ///
    /// # Panics
    /// If the machine does not have it.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        assert!(self == Self::best() || self.present(), "{self:?} is not on this machine");
        match self {
            // SAFETY: the features were detected just above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { x86::run_avx512(kernel) },
            // SAFETY: the features were detected just above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::run_avx2(kernel) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => kernel.run(neon::Neon),
            _ => kernel.run(portable::Portable),
        }
    }
}
