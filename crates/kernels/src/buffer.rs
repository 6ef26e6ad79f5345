//! Memory that is used again: activations and scratch space, aligned to cache lines.
//!
//! A training step asks for the same sizes over and over. Fresh memory from the system costs a page
//! fault every 4 kB, which would be a large part of the time of a fused kernel, so a dropped
//! [`Buffer`] goes back to a shelf for the next one of its length.

use std::collections::BTreeMap;
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

    fn bytes(&self) -> usize {
        self.lines() * size_of::<Line>()
    }
}

/// Bytes that buffers and shelf may have together, even if the buffers never had as many.
const LIMIT: usize = 512 << 20;

/// Memory for the next buffers. Buffers and shelf together have no more than the buffers once had alone, or [`LIMIT`].
///
/// A buffer gets memory of its own size, or where there is no room for more, a larger piece rather than that one goes back
/// to the system: on the way down and up a network every size comes and goes, and pages anew each time were a fifth of
/// the time of a slice of 2048².
#[derive(Default)]
struct Shelf {
    /// By the number of lines.
    free: BTreeMap<usize, Vec<Memory>>,
    /// Bytes on the shelf, in buffers, and in buffers at most.
    spare: usize,
    used: usize,
    most: usize,
}

impl Shelf {
    /// Memory for a new buffer, if there is some, and what has to go back to the system for it.
    fn take(&mut self, lines: usize) -> (Option<Memory>, Vec<Memory>) {
        let asked = lines * size_of::<Line>();
        let most = self.most.max(LIMIT);
        let full = asked >= LARGE && self.used + self.spare + asked > most;
        let fits = if full { lines..usize::MAX } else { lines..lines + 1 };
        let mut fitting = self.free.range(fits).filter(|(_, pieces)| !pieces.is_empty());
        let found = fitting.next().map(|(&lines, _)| lines).map(|lines| self.pick(lines));
        self.used += found.as_ref().map_or(asked, Memory::bytes);
        self.most = self.most.max(self.used);
        let mut surplus = Vec::new();
        while self.used + self.spare > self.most.max(LIMIT) {
            let largest = self.free.iter().rfind(|(_, pieces)| !pieces.is_empty()).map(|(&lines, _)| lines);
            surplus.push(self.pick(largest.expect("what is spare lies on the shelf")));
        }
        (found, surplus)
    }

    /// A piece of so many lines, of which the shelf must have one.
    fn pick(&mut self, lines: usize) -> Memory {
        let pieces = self.free.get_mut(&lines).expect("a size on the shelf");
        let piece = pieces.pop().expect("a piece of the size");
        self.spare -= piece.bytes();
        piece
    }

    fn put(&mut self, memory: Memory) {
        self.used -= memory.bytes();
        self.spare += memory.bytes();
        self.free.entry(memory.lines()).or_default().push(memory);
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

    /// The values of all parts, one after the other.
    pub fn concat(parts: &[impl std::ops::Deref<Target = [f32]>]) -> Self {
        let mut buffer = Self::dirty(parts.iter().map(|part| part.len()).sum());
        let mut rest = &mut *buffer;
        for part in parts {
            let (to, after) = rest.split_at_mut(part.len());
            to.copy_from_slice(part);
            rest = after;
        }
        buffer
    }
}

impl std::fmt::Debug for Buffer {
    /// The length; nobody wants to read a million values in a message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

impl Default for Buffer {
    /// No values.
    fn default() -> Self {
        Self::dirty(0)
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<&[f32]> for Buffer {
    fn from(values: &[f32]) -> Self {
        Self::concat(&[values])
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(values: Vec<f32>) -> Self {
        Self::from(&*values)
    }
}

impl FromIterator<f32> for Buffer {
    fn from_iter<I: IntoIterator<Item = f32>>(values: I) -> Self {
        Self::from(Vec::from_iter(values))
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
    fn where_there_is_no_room_a_larger_piece_serves() {
        const LINES: usize = 4 << 20; // 256 MiB
        let mut shelf = Shelf::default();
        let take = |shelf: &mut Shelf, lines| shelf.take(lines).0.unwrap_or_else(|| Memory::new(lines));
        let both: Vec<Memory> = (0..2).map(|_| take(&mut shelf, LINES)).collect(); // as much as the limit
        for memory in both {
            shelf.put(memory);
        }
        let half = take(&mut shelf, LINES / 2);
        assert_eq!((half.lines(), shelf.used, shelf.spare), (LINES, 256 << 20, 256 << 20));
        // What is small takes no such piece: one has to go.
        let small = take(&mut shelf, 16);
        assert_eq!((small.lines(), shelf.spare), (16, 0));
        for memory in [half, small] {
            shelf.put(memory);
        }
    }

    #[test]
    fn memory_is_aligned_and_used_again() {
        let first = Buffer::dirty(1_234_567);
        let address = first.as_ptr() as usize;
        assert_eq!(address % 64, 0);
        drop(first);
        assert_eq!(Buffer::dirty(1_234_567).as_ptr() as usize, address);
        assert!(Buffer::zeroed(1_234_567).iter().all(|&v| v == 0.0));
    }
}
