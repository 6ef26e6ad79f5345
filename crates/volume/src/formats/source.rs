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
    /// `patch` shows other bytes at the start of the file than are there. A TIFF decoder shown a
    /// header that names a page's directory reaches the page at once, however long the chain is.
    pub(crate) fn cursor(&self, patch: Option<Vec<u8>>) -> Cursor<'_> {
        Cursor { source: self, position: 0, patch: patch.unwrap_or_default() }
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
    patch: Vec<u8>,
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let patched = self.patch.len() as u64;
        let n = if self.position < patched {
            (&self.patch[self.position as usize..]).read(buffer)?
        } else {
            read_some(&self.source.file, buffer, self.position)?
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
