//! Where memory comes from, and what the C library keeps of it when it is given back.

use std::alloc::{GlobalAlloc, Layout, System};

use mimalloc::MiMalloc;

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

/// An allocator for programs: small blocks are mimalloc's, larger ones the system's.
///
/// burn asks for hundreds of small blocks for every layer of a network at every step, some of them aligned to cache lines,
/// which takes glibc a tenth of a step of a network of many small layers. Larger blocks stay with the system, which has them back
/// as soon as they are freed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heap;

/// Bytes of the largest small block.
const SMALL: usize = 1 << 15;

fn is_small(layout: Layout) -> bool {
    layout.size() <= SMALL && layout.align() <= SMALL
}

// SAFETY: both allocators keep the contract, and the layout that a block comes back with tells whose it is. A block that
// is small no longer, or only now, moves from one to the other.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_small(layout) { MiMalloc.alloc(layout) } else { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_small(layout) { MiMalloc.dealloc(block, layout) } else { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_small(layout) { MiMalloc.alloc_zeroed(layout) } else { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let new = Layout::from_size_align_unchecked(size, layout.align());
        match [layout, new].map(is_small) {
            [true, true] => MiMalloc.realloc(block, layout, size),
            [false, false] => System.realloc(block, layout, size),
            _ => {
                let moved = self.alloc(new);
                if !moved.is_null() {
                    block.copy_to_nonoverlapping(moved, size.min(layout.size()));
                    self.dealloc(block, layout);
                }
                moved
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_keep_their_values() {
        for align in [1, 8, 16, 64, 128, SMALL, 2 * SMALL] {
            for size in [1, 100, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: every block is written within its size, and goes back with the layout that it has then.
                unsafe {
                    let zeroed = Heap.alloc_zeroed(layout);
                    assert!((0..size).all(|i| zeroed.add(i).read() == 0));
                    let (mut block, mut has) = (Heap.alloc(layout), layout);
                    (0..size).for_each(|i| block.add(i).write(i as u8));
                    for other in [size / 2 + 1, size + SMALL, size] {
                        block = Heap.realloc(block, has, other);
                        assert_eq!(block as usize % align, 0);
                        assert!((0..other.min(has.size())).all(|i| block.add(i).read() == i as u8));
                        has = Layout::from_size_align(other, align).unwrap();
                        (0..other).for_each(|i| block.add(i).write(i as u8));
                    }
                    Heap.dealloc(block, has);
                    Heap.dealloc(zeroed, layout);
                }
            }
        }
    }
}
