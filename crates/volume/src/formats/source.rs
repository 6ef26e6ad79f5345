//! A file read at given offsets, from several threads at once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes that are moved in one go where [`copies_slowly`]: they are in the processor's cache still.
const MOVED: usize = 1 << 18;

/// How far they are moved: far enough to be copied fast.
const SHIFT: usize = 64;

/// An open file with its path (for messages) and its length when it was opened.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    path: PathBuf,
    len: u64,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::read(path, e))?;
        let meta = file.metadata().map_err(|e| Error::read(path, e))?;
        if meta.is_dir() {
            return Err(Error::unsupported(path, "a folder is", "a file"));
        }
        Ok(Self { file, path: path.to_path_buf(), len: meta.len() })
    }

    /// A file already open, such as one without a name; messages name `path`.
    pub(crate) fn of(file: File, path: &Path, len: u64) -> Self {
        Self { file, path: path.to_path_buf(), len }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `buffer` with the bytes from `offset` on; a file that ends before is damaged.
    pub(crate) fn read_at(&self, mut offset: u64, buffer: &mut [u8]) -> Result<()> {
        if !copies_slowly(offset, buffer) {
            return self.fill(offset, buffer);
        }
        for block in buffer.chunks_mut(MOVED) {
            let first = block.len().saturating_sub(SHIFT);
            if first > 0 {
                self.fill(offset, &mut block[SHIFT..])?;
                block.copy_within(SHIFT.., 0);
            }
            self.fill(offset + first as u64, &mut block[first..])?;
            offset += block.len() as u64;
        }
        Ok(())
    }

    fn fill(&self, mut offset: u64, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            match read_some(&self.file, buffer, offset) {
                Ok(0) => {
                    return Err(Error::damaged(
                        &self.path,
                        format!("the file ends at byte {}, where voxels should follow", self.len),
                    ));
                }
                Ok(n) => {
                    offset += n as u64;
                    buffer = &mut buffer[n..];
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::read(&self.path, e)),
            }
        }
        Ok(())
    }

    /// A reader with a position of its own.
    ///
    /// Each patch shows other bytes from an offset on than are there. A TIFF decoder shown a header
    /// that names a page's directory reaches the page at once, however long the chain is.
    pub(crate) fn cursor(&self, patches: Vec<(u64, Vec<u8>)>) -> Cursor<'_> {
        Cursor { source: self, position: 0, patches }
    }

    /// A reader that starts at `offset`.
    pub(crate) fn cursor_at(&self, offset: u64) -> Cursor<'_> {
        Cursor { source: self, position: offset, patches: Vec::new() }
    }
}

/// Whether the system needs several times as long as it might to copy from `offset` of a file to `buffer`.
///
/// It copies with `rep movsb`, which AMD's processors (of Zen 3 at least) do at a fifth of their speed where the target
/// lies less than half a cache line beyond the source, whole pages left out; here a whole line counts. Large buffers start
/// 16 bytes into a page, and the voxels of many files at the start of one or a few bytes into it, so that this is no rare
/// case.
/// `cargo bench -p tomosieve-volume -- offset` measures it.
fn copies_slowly(offset: u64, buffer: &[u8]) -> bool {
    const PAGE: u64 = 1 << 12;
    let beyond = (buffer.as_ptr().addr() as u64).wrapping_sub(offset) % PAGE;
    buffer.len() as u64 > PAGE && (1..SHIFT as u64).contains(&beyond)
}

#[cfg(unix)]
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// See [`Source::cursor`].
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    source: &'a Source,
    position: u64,
    patches: Vec<(u64, Vec<u8>)>,
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut limit = buffer.len();
        let mut patched = None;
        for (start, bytes) in &self.patches {
            match self.position.checked_sub(*start) {
                Some(into) if into < bytes.len() as u64 => patched = bytes.get(into as usize..),
                Some(_) => {}
                None => limit = limit.min(usize::try_from(start - self.position).unwrap_or(limit)),
            }
        }
        let n = match patched {
            Some(mut bytes) => bytes.read(buffer)?,
            None => read_some(&self.source.file, &mut buffer[..limit], self.position)?,
        };
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(by) => (self.source.len, by),
            SeekFrom::Current(by) => (self.position, by),
        };
        self.position =
            base.checked_add_signed(by).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wherever_bytes_lie_and_go_they_are_the_files() {
        let bytes: Vec<u8> =
            (0..2 * MOVED as u32 + 200).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        let source = Source::open(file.path()).unwrap();
        let mut slow = 0;
        // The last blocks are whole, as long as the shift, shorter than that, and none.
        for len in
            [SHIFT - 1, 1 << 12, (1 << 12) + 1, MOVED, MOVED + 1, MOVED + SHIFT, 2 * MOVED - 1, 2 * MOVED]
        {
            let mut buffer = vec![0; len + (1 << 13)];
            let page = buffer.as_ptr().align_offset(1 << 12);
            for offset in [0, 1, 7, 100, 200] {
                for at in [0, 1, 16, 64, 80] {
                    let into = &mut buffer[page + at..][..len];
                    slow += usize::from(copies_slowly(offset, into));
                    source.read_at(offset, into).unwrap();
                    assert!(*into == bytes[offset as usize..][..len], "{len} bytes from {offset} on to {at}");
                }
            }
        }
        // Six pairs lie less than the shift apart, the target beyond the source; six lengths are long enough.
        assert_eq!(slow, 6 * 6, "times the longer way");
        let mut buffer = vec![0; bytes.len() + SHIFT];
        for at in 0..SHIFT {
            let into = &mut buffer[at..];
            assert!(source.read_at(at as u64 + 1, into).unwrap_err().to_string().contains("the file ends"));
        }
    }
}
