//! What the C library keeps of memory that is given back to it.

/// A block of so many bytes is memory of its own, which the system has back as soon as it is freed; and so has it what is
/// free at the end of a heap of smaller blocks when it is more. With less than that a training step, which frees some such
/// blocks and asks for them again, would have them from the system each time, page by page.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN: std::ffi::c_int = 1 << 20;

/// Keeps the process nearly as small as what it uses: large blocks go back to the system as soon as they are freed.
///
/// glibc begins that way, but takes up to 32 MiB for small once a block of that size was freed; what is freed after that
/// stays with the thread that asked for it (`M_MMAP_THRESHOLD` and `M_TRIM_THRESHOLD` in mallopt(3)). Elsewhere nothing
/// needs to be done. Large blocks that are wanted again and again lie on a [shelf](crate::buffer), and cost no more for that.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for threshold in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: this sets a number of the allocator under its own lock; no memory of ours is touched. The answer tells
        // whether it was set, and without it nothing goes wrong, it only takes more memory or time.
        let _ = unsafe { libc::mallopt(threshold, OWN) };
    }
}

/// Gives back now what was freed of small blocks.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the allocator gives whole pages that nobody uses back to the system, under its own locks.
    let _ = unsafe { libc::malloc_trim(0) };
}
