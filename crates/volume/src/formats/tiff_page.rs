//! One page of a TIFF file: its header, and windows of its voxels.
//!
//! Uncompressed strips are read straight from their place in the file, only the rows asked for;
//! everything else (tiles, LZW, deflate, packbits, zstd, predictors) is decoded by the `tiff`
//! crate, only the strips and tiles the window touches.

use std::ops::Range;
use std::path::Path;

use tiff::decoder::Limits;

use super::convert::{BIG_ENDIAN, Voxel};
use super::flat::{Order, Plane};
use super::source::Source;
use super::tiff_header::{Reader, TiffHeader, from_tiff};
use super::tiff_tags::{PALETTE, PHOTOMETRIC, Tags};
use crate::error::{Error, Result};
use crate::volume::{VolumeInfo, VoxelType};

/// No compression here shrinks further than this; a header that promises more is damaged, and is
/// refused before memory is taken for it.
const MAX_EXPANSION: u64 = 1 << 17;

/// A page as its directory describes it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) voxel_type: VoxelType,
    /// What its values mean: see [`Page::note`].
    photometric: u16,
    /// Whether another page follows.
    pub(crate) more: bool,
    big_endian: bool,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    /// Strips of stored voxels.
    Raw { rows_per_strip: usize, offsets: Vec<u64> },
    /// Anything that needs decoding; the directory's offset, if it is not the first, and where in it
    /// a page with a palette says so.
    Coded { ifd: Option<u64>, palette_at: Option<u64> },
}

impl Page {
    /// Reads the directory at `ifd`, or the first.
    pub(crate) fn open(source: &Source, header: &TiffHeader, ifd: Option<u64>) -> Result<Self> {
        let mut decoder = header.decoder(source, ifd, None)?;
        let path = source.path();
        let tags = Tags::read(&mut decoder).map_err(|e| from_tiff(path, &e))?;
        let voxel_type = tags.voxel_type(path)?;
        let (width, height) = decoder.dimensions().map_err(|e| from_tiff(path, &e))?;
        let mut page = Self {
            height: height as usize,
            width: width as usize,
            voxel_type,
            photometric: tags.photometric,
            more: decoder.more_images(),
            big_endian: header.big_endian,
            layout: Layout::Coded { ifd, palette_at: None },
        };
        if page.height == 0 || page.width == 0 {
            return Err(Error::damaged(path, "a page without voxels"));
        }
        if tags.is_raw() {
            page.layout =
                Layout::Raw { rows_per_strip: page.height.min(tags.rows_per_strip), offsets: tags.offsets };
        } else {
            page.check_chunks(source, &tags.offsets, &tags.byte_counts)?;
            if page.photometric == PALETTE {
                // The decoder refuses palettes, though what it would decode is the same.
                let palette_at = header.value_at(source, ifd, PHOTOMETRIC)?;
                page.layout = Layout::Coded { ifd, palette_at };
            }
        }
        page.check_raw(source)?;
        Ok(page)
    }

    /// What is worth telling of the way values stand for grey, or for colours.
    pub(crate) fn note(&self) -> Option<String> {
        match self.photometric {
            // The `tiff` crate turns them over, as the standard says.
            0 => Some("0 is white in the file; the values are turned over.".into()),
            PALETTE => Some("its colours come from a palette; the values are read, not the colours.".into()),
            _ => None,
        }
    }

    /// The offset of the first voxel, if the page's voxels lie in the file as they are.
    pub(crate) fn raw_offset(&self) -> Option<u64> {
        match &self.layout {
            Layout::Raw { offsets, .. } => offsets.first().copied(),
            Layout::Coded { .. } => None,
        }
    }

    /// See [`crate::VolumeReader::read_overhead`]: with pages like this one a block a thread, or a page that is unpacked.
    pub(crate) fn read_overhead(&self, info: &VolumeInfo, threads: usize) -> usize {
        match self.layout {
            Layout::Raw { .. } => Order::C.read_overhead(info, threads),
            Layout::Coded { .. } => {
                2 * threads.min(info.shape.z) * info.shape.slice_voxels() * info.voxel_type.bytes()
            }
        }
    }

    /// Every strip lies within the file.
    fn check_raw(&self, source: &Source) -> Result<()> {
        let Layout::Raw { rows_per_strip, offsets } = &self.layout else {
            return Ok(());
        };
        let expected = self.height.div_ceil(*rows_per_strip);
        if offsets.len() != expected {
            return Err(Error::damaged(
                source.path(),
                format!("the page has {} strips, {expected} are needed", offsets.len()),
            ));
        }
        for (strip, &offset) in offsets.iter().enumerate() {
            let rows = (*rows_per_strip).min(self.height - strip * rows_per_strip);
            let bytes = (rows as u64 * self.width as u64).checked_mul(self.voxel_type.bytes() as u64);
            let end = bytes.and_then(|bytes| offset.checked_add(bytes));
            check_end(source, strip, end)?;
        }
        Ok(())
    }

    /// Every strip or tile lies within the file and can hold what the header promises.
    fn check_chunks(&self, source: &Source, offsets: &[u64], counts: &[u64]) -> Result<()> {
        let mut stored = 0u64;
        for (chunk, (offset, count)) in offsets.iter().zip(counts).enumerate() {
            check_end(source, chunk, offset.checked_add(*count))?;
            stored = stored.saturating_add(*count);
        }
        let voxels = self.height as u64 * self.width as u64;
        let promised = voxels.saturating_mul(self.voxel_type.bytes() as u64);
        if promised > stored.saturating_mul(MAX_EXPANSION) {
            return Err(Error::damaged(
                source.path(),
                format!("{}×{} voxels cannot come from {stored} bytes", self.height, self.width),
            ));
        }
        Ok(())
    }

    /// Checks that the page has the shape `[y, x]` and the type of others; messages name `path`.
    pub(crate) fn check_like(&self, path: &Path, shape: [usize; 2], voxel_type: VoxelType) -> Result<()> {
        let found = [self.height, self.width];
        if found != shape {
            return Err(Error::SliceShape { path: path.to_path_buf(), found, expected: shape });
        }
        if self.voxel_type != voxel_type {
            let (found, expected) = (self.voxel_type, voxel_type);
            return Err(Error::SliceType { path: path.to_path_buf(), found, expected });
        }
        Ok(())
    }

    /// Reads a window; `into` has `rows × cols` values.
    pub(crate) fn read<T: Voxel>(
        &self,
        source: &Source,
        header: &TiffHeader,
        rows: Range<usize>,
        cols: Range<usize>,
        into: &mut [T],
    ) -> Result<()> {
        if rows.is_empty() || cols.is_empty() {
            return Ok(());
        }
        match &self.layout {
            Layout::Raw { rows_per_strip, offsets } => {
                self.read_raw(source, *rows_per_strip, offsets, rows, &cols, into)
            }
            Layout::Coded { ifd, palette_at } => {
                let decoder = header.decoder(source, *ifd, *palette_at)?;
                self.read_coded(source, decoder, &rows, &cols, into)
            }
        }
    }

    fn read_raw<T: Voxel>(
        &self,
        source: &Source,
        rows_per_strip: usize,
        offsets: &[u64],
        rows: Range<usize>,
        cols: &Range<usize>,
        into: &mut [T],
    ) -> Result<()> {
        let strip_bytes = (rows_per_strip * self.width * self.voxel_type.bytes()) as u64;
        let mut row = rows.start;
        let mut done = 0;
        while row < rows.end {
            let first = row / rows_per_strip;
            // Strips that follow one another in the file are read as one.
            let run = offsets[first..]
                .windows(2)
                .take_while(|pair| pair[0].checked_add(strip_bytes) == Some(pair[1]))
                .count();
            let end = ((first + run + 1) * rows_per_strip).min(rows.end);
            let plane = Plane {
                source,
                offset: offsets[first],
                width: self.width,
                voxel_type: self.voxel_type,
                big_endian: self.big_endian,
            };
            let above = first * rows_per_strip;
            let values = (end - row) * cols.len();
            plane.read(row - above..end - above, cols.clone(), &mut into[done..done + values])?;
            done += values;
            row = end;
        }
        Ok(())
    }

    fn read_coded<T: Voxel>(
        &self,
        source: &Source,
        decoder: Reader<'_>,
        rows: &Range<usize>,
        cols: &Range<usize>,
        into: &mut [T],
    ) -> Result<()> {
        let (tile_width, tile_height) = decoder.chunk_dimensions();
        let (tile_width, tile_height) = (tile_width as usize, tile_height as usize);
        if tile_width == 0 || tile_height == 0 {
            return Err(Error::damaged(source.path(), "strips or tiles without voxels"));
        }
        let bytes = tile_width.saturating_mul(tile_height).saturating_mul(8);
        let mut limits = Limits::default();
        // The page was checked to be no larger than its bytes allow; a tile may exceed it.
        limits.decoding_buffer_size = limits
            .decoding_buffer_size
            .max(bytes.min(8 * self.height.saturating_mul(self.width).max(1 << 24)));
        limits.intermediate_buffer_size = limits.decoding_buffer_size;
        limits.ifd_value_size = usize::MAX;
        let mut decoder = decoder.with_limits(limits);
        let across = self.width.div_ceil(tile_width);
        let mut voxels = Vec::new();
        for down in rows.start / tile_height..rows.end.div_ceil(tile_height) {
            for right in cols.start / tile_width..cols.end.div_ceil(tile_width) {
                let index = (down * across + right) as u32;
                let (data_width, data_height) = decoder.chunk_data_dimensions(index);
                let tile = Tile {
                    rows: down * tile_height..down * tile_height + data_height as usize,
                    cols: right * tile_width..right * tile_width + data_width as usize,
                };
                voxels.resize(tile.rows.len() * tile.cols.len() * self.voxel_type.bytes(), 0);
                decoder.read_chunk_bytes(index, &mut voxels).map_err(|e| from_tiff(source.path(), &e))?;
                self.copy_decoded(&voxels, &tile, rows, cols, into)
                    .ok_or_else(|| Error::damaged(source.path(), "a strip or tile is short"))?;
            }
        }
        Ok(())
    }

    /// Copies what a tile and the window share; none if the tile has too few voxels.
    fn copy_decoded<T: Voxel>(
        &self,
        voxels: &[u8],
        tile: &Tile,
        rows: &Range<usize>,
        cols: &Range<usize>,
        into: &mut [T],
    ) -> Option<()> {
        let voxel = self.voxel_type.bytes();
        let left = tile.cols.start.max(cols.start);
        let right = tile.cols.end.min(cols.end);
        for row in tile.rows.start.max(rows.start)..tile.rows.end.min(rows.end) {
            let from = (row - tile.rows.start) * tile.cols.len();
            let from = from + left - tile.cols.start..from + right - tile.cols.start;
            let to = (row - rows.start) * cols.len() + left - cols.start;
            let from = voxels.get(from.start * voxel..from.end * voxel)?;
            // The decoder hands out the machine's own byte order.
            T::decode(from, self.voxel_type, BIG_ENDIAN, into.get_mut(to..to + right - left)?);
        }
        Some(())
    }
}

/// The window of the page that a decoded strip or tile covers.
struct Tile {
    rows: Range<usize>,
    cols: Range<usize>,
}

fn check_end(source: &Source, chunk: usize, end: Option<u64>) -> Result<()> {
    if end.is_some_and(|end| end <= source.len()) {
        return Ok(());
    }
    let end = end.map_or("beyond any file".into(), |end| format!("at byte {end}"));
    Err(Error::damaged(
        source.path(),
        format!("strip or tile {chunk} ends {end}, the file has {} bytes", source.len()),
    ))
}
