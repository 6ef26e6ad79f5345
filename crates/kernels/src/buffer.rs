//! Memory that is used again: activations and scratch space, aligned to cache lines.
//!
//! A training step asks for the same sizes over and over. Fresh memory from the system costs a page
//! fault every 4 kB, which would be a large part of the time of a fused kernel, so a dropped
//! [`Buffer`] goes back to a shelf for the next one of its length.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use memmap2::MmapMut;

use crate::heap;

/// A cache line; a `Vec` of them is aligned as we want it.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// From so many bytes on memory comes from the system itself, in huge pages where it has them: there is a page
/// fault for every 2 MB then, and few addresses to look up.
const LARGE: usize = 4 << 20;

/// Memory of whole lines.
#[derive(Debug)]
enum Memory {
    Lines(Vec<Line>),
    Pages(MmapMut),
}

impl Memory {
    fn new(lines: usize) -> Self {
        let bytes = lines * size_of::<Line>();
        let pages = if bytes < LARGE { None } else { MmapMut::map_anon(bytes).ok() };
        let Some(pages) = pages else { return Self::Lines(vec![Line([0.0; 16]); lines]) };
        #[cfg(target_os = "linux")]
        let _ = pages.advise(memmap2::Advice::HugePage); // as good as it goes
        Self::Pages(pages)
    }

    fn as_ptr(&self) -> *const f32 {
        match self {
            Self::Lines(lines) => lines.as_ptr().cast(),
            Self::Pages(pages) => pages.as_ptr().cast(),
        }
    }

    fn as_mut_ptr(&mut self) -> *mut f32 {
        match self {
            Self::Lines(lines) => lines.as_mut_ptr().cast(),
            Self::Pages(pages) => pages.as_mut_ptr().cast(),
        }
    }

    fn lines(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.len(),
            Self::Pages(pages) => pages.len() / size_of::<Line>(),
        }
    }
}

/// Bytes that buffers and shelf may have together, even if the buffers never had as many.
const LIMIT: usize = 512 << 20;

/// Memory for the next buffers. Buffers and shelf together have no more than the buffers once had alone, or [`LIMIT`].
#[derive(Default)]
struct Shelf {
    /// By the number of lines.
    free: HashMap<usize, Vec<Memory>>,
    /// Bytes on the shelf, in buffers, and in buffers at most.
    spare: usize,
    used: usize,
    most: usize,
}

impl Shelf {
    /// Memory for a new buffer, if there is some, and what has to go back to the system for it.
    fn take(&mut self, lines: usize) -> (Option<Memory>, Vec<Memory>) {
        let bytes = lines * size_of::<Line>();
        self.used += bytes;
        self.most = self.most.max(self.used);
        let found = self.free.get_mut(&lines).and_then(Vec::pop);
        let mut surplus = Vec::new();
        if found.is_some() {
            self.spare -= bytes;
        }
        while self.used + self.spare > self.most.max(LIMIT) {
            surplus.push(self.largest());
        }
        (found, surplus)
    }

    /// The largest piece on the shelf, which must not be empty.
    fn largest(&mut self) -> Memory {
        let pieces = self.free.iter_mut().filter(|(_, pieces)| !pieces.is_empty());
        let largest = pieces.max_by_key(|(lines, _)| **lines).and_then(|(_, pieces)| pieces.pop());
        let largest = largest.expect("what is spare lies on the shelf");
        self.spare -= largest.lines() * size_of::<Line>();
        largest
    }

    fn put(&mut self, memory: Memory) {
        let lines = memory.lines();
        let bytes = lines * size_of::<Line>();
        self.used -= bytes;
        self.spare += bytes;
        self.free.entry(lines).or_default().push(memory);
    }
}

static SHELF: Mutex<Option<Shelf>> = Mutex::new(None);

/// Gives the memory of dropped buffers, and small blocks that were freed, back to the system: for when what comes next has
/// other sizes.
pub fn release() {
    let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
    let shelf = shelf.get_or_insert_default();
    let free = std::mem::take(&mut shelf.free);
    (shelf.spare, shelf.most) = (0, shelf.used);
    drop(free);
    heap::trim();
}

/// `len` values of `f32`, aligned to 64 bytes.
pub struct Buffer {
    memory: Memory,
    len: usize,
}

impl Buffer {
    /// Values left over from an earlier use; each is to be written before it is read.
    pub fn dirty(len: usize) -> Self {
        let lines = len.div_ceil(16);
        let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, surplus) = shelf.get_or_insert_default().take(lines);
        drop(shelf); // the system may take its time
        drop(surplus);
        Self { memory: found.unwrap_or_else(|| Memory::new(lines)), len }
    }

    /// Zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Self::dirty(len);
        buffer.fill(0.0);
        buffer
    }
}

impl std::fmt::Debug for Buffer {
    /// The length; nobody wants to read a million values in a message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::replace(&mut self.memory, Memory::Lines(Vec::new()));
        let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.get_or_insert_default().put(memory);
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the memory has at least `len` values, initialised (pages with zeros) and without gaps.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.len) }
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: any `f32` is four initialised bytes.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.len * size_of::<f32>()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shelf_holds_no_more_than_was_once_in_use() {
        const LINES: usize = 1 << 18; // 16 MiB
        let mut shelf = Shelf::default();
        let take = |shelf: &mut Shelf, lines| shelf.take(lines).0.unwrap_or_else(|| Memory::new(lines));
        let taken: Vec<Memory> = (0..64).map(|_| take(&mut shelf, LINES)).collect(); // 1 GiB, twice the limit
        for memory in taken {
            shelf.put(memory);
        }
        assert_eq!((shelf.used, shelf.spare), (0, 1 << 30));
        let other = take(&mut shelf, LINES + 1);
        assert_eq!(shelf.spare, (1 << 30) - (32 << 20)); // two pieces made room for one a line larger
        assert!(shelf.used + shelf.spare <= shelf.most);
        shelf.put(other);
        let again = take(&mut shelf, LINES);
        assert_eq!(shelf.free[&LINES].len(), 61);
        shelf.put(again);
    }

    #[test]
    fn memory_is_aligned_and_used_again() {
        let first = Buffer::dirty(1_234_567);
        let address = first.as_ptr() as usize;
        assert_eq!(address % 64, 0);
        assert_eq!(AsRef::<[u8]>::as_ref(&first).len(), 4 * first.len());
        drop(first);
        assert_eq!(Buffer::dirty(1_234_567).as_ptr() as usize, address);
        assert!(Buffer::zeroed(1_234_567).iter().all(|&v| v == 0.0));
    }
}
