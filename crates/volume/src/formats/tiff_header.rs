//! The start of a TIFF file, the chain of its pages, and decoders that stand on any of them.

use std::io::BufReader;
use std::path::Path;

use tiff::TiffError;
use tiff::decoder::Decoder;

use super::source::{Cursor, Source};
use crate::error::{Error, Result};

/// What is read here.
pub(super) const GREY: &str = "one grey value a voxel (8, 16 or 32-bit integer, or 16, 32 or 64-bit float)";

/// What every access to a TIFF file needs: the byte order and where the header ends.
#[derive(Debug, Clone)]
pub(crate) struct TiffHeader {
    bytes: Vec<u8>,
    pub(crate) big_endian: bool,
}

impl TiffHeader {
    pub(crate) fn read(source: &Source) -> Result<Self> {
        let not_tiff = || Error::unsupported(source.path(), "a file without a TIFF header is", "a TIFF file");
        let mut bytes = vec![0; 8];
        source.read_at(0, &mut bytes).map_err(|_| not_tiff())?;
        let big_tiff = match &bytes[..4] {
            b"II\x2a\0" | b"MM\0\x2a" => false,
            b"II\x2b\0" | b"MM\0\x2b" => true,
            _ => return Err(not_tiff()),
        };
        if big_tiff {
            bytes.resize(16, 0);
            source.read_at(0, &mut bytes)?;
        }
        let big_endian = bytes[0] == b'M';
        Ok(Self { bytes, big_endian })
    }

    /// Where the value of a tag of a directory lies, if it has the tag and keeps its value inside.
    pub(super) fn value_at(&self, source: &Source, ifd: Option<u64>, tag: u16) -> Result<Option<u64>> {
        let wide = self.bytes.len() == 16;
        let number = |bytes: &[u8]| {
            let shift = |all: u64, &byte: &u8| all << 8 | u64::from(byte);
            if self.big_endian { bytes.iter().fold(0, shift) } else { bytes.iter().rev().fold(0, shift) }
        };
        let ifd = ifd.unwrap_or_else(|| number(&self.bytes[if wide { 8..16 } else { 4..8 }]));
        let (count, entry, value) = if wide { (8, 20, 12) } else { (2, 12, 8) };
        let mut bytes = vec![0; count];
        source.read_at(ifd, &mut bytes)?;
        // No directory has more tags than there are numbers for them.
        let tags = number(&bytes).min(1 << 16);
        bytes.resize(entry, 0);
        for at in (0..tags).map(|n| ifd.saturating_add(count as u64).saturating_add(n * entry as u64)) {
            source.read_at(at, &mut bytes)?;
            if number(&bytes[..2]) == u64::from(tag) {
                return Ok(Some(at + value));
            }
        }
        Ok(None)
    }

    /// A decoder that stands on the page whose directory lies at `ifd`, or on the first page.
    /// Where `palette_at` tells the place of its photometric interpretation, it is shown as grey.
    pub(super) fn decoder<'a>(
        &self,
        source: &'a Source,
        ifd: Option<u64>,
        palette_at: Option<u64>,
    ) -> Result<Reader<'a>> {
        let mut patch = self.bytes.clone();
        if let Some(ifd) = ifd {
            let wide = patch.len() == 16;
            let place = if wide { 8..16 } else { 4..8 };
            let le = ifd.to_le_bytes();
            let width = place.len();
            patch[place.clone()].copy_from_slice(&le[..width]);
            if self.big_endian {
                patch[place].reverse();
            }
        }
        let mut patches = vec![(0, patch)];
        let grey = if self.big_endian { vec![0, 1] } else { vec![1, 0] };
        patches.extend(palette_at.map(|at| (at, grey)));
        let cursor = BufReader::new(source.cursor(patches));
        Decoder::new(cursor).map_err(|e| from_tiff(source.path(), &e))
    }
}

/// The `tiff` crate's decoder over a shared file.
pub(super) type Reader<'a> = Decoder<BufReader<Cursor<'a>>>;

/// Where the directories of all pages lie, in order.
pub(crate) fn page_offsets(source: &Source, header: &TiffHeader) -> Result<Vec<u64>> {
    let mut decoder = header.decoder(source, None, None)?;
    let mut offsets = Vec::new();
    loop {
        let page = offsets.len();
        let pointer = decoder
            .ifd_pointer()
            .ok_or_else(|| Error::damaged(source.path(), format!("page {page} has no directory")))?;
        offsets.push(pointer.0);
        if !decoder.more_images() {
            return Ok(offsets);
        }
        decoder.next_image().map_err(|e| match from_tiff(source.path(), &e) {
            Error::Damaged { path, what } => Error::damaged(path, format!("page {}: {what}", page + 1)),
            other => other,
        })?;
    }
}

/// What the `tiff` crate could not do, with the file's name.
pub(crate) fn from_tiff(path: &Path, error: &TiffError) -> Error {
    match error {
        TiffError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::damaged(path, "the file ends early")
        }
        TiffError::UnsupportedError(e) => Error::unsupported(path, format!("this TIFF ({e}) is"), GREY),
        other => Error::damaged(path, other.to_string()),
    }
}
