//! A file read at given offsets, from several threads at once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

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
    pub(crate) fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> Result<()> {
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
