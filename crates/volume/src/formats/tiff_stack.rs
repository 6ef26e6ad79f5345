//! One TIFF file with a page for each slice: TIFF and `BigTIFF`, `ImageJ`'s and OME's included.
//!
//! The chain of pages is walked once, when the file is opened; then each page is reached at once.

use std::path::Path;

use rayon::prelude::*;

use super::convert::Voxel;
use super::flat::{Flat, Order};
use super::partial::{Partial, Progress};
use super::source::Source;
use super::tiff_header::{TiffHeader, page_offsets};
use super::tiff_meta::{TiffMeta, imagej_description};
use super::tiff_page::Page;
use super::tiff_write::{Encoder, Packed, PageMeta, slice};
use super::typed::Typed;
use super::{OutputMeta, TIFF_STACK, TiffCompression};
use crate::error::{Error, Result};
use crate::region::{Region, Shape};
use crate::volume::{VolumeInfo, VolumeReader, VolumeWriter, VoxelType};
use crate::voxels::{VoxelBuffer, Voxels};

/// Reads a multi-page TIFF file.
#[derive(Debug)]
pub struct TiffStack {
    info: VolumeInfo,
    first: Page,
    pages: Pages,
}

#[derive(Debug)]
enum Pages {
    /// The directory of each page.
    Chain { source: Source, header: TiffHeader, offsets: Vec<u64> },
    /// `ImageJ`'s way past 4 GiB: one directory, and the other slices follow the first bare.
    Bare(Flat),
}

impl TiffStack {
    /// Opens a file; only its directories are read.
    ///
    /// # Errors
    ///
    /// If the file is no TIFF, is damaged, holds pages that are not one grey value a voxel or
    /// that differ in shape or type, or several channels or times.
    pub fn open(path: &Path) -> Result<Self> {
        let source = Source::open(path)?;
        let header = TiffHeader::read(&source)?;
        let meta = TiffMeta::read(&source)?;
        let first = Page::open(&source, &header, None)?;
        let offsets = page_offsets(&source, &header)?;
        check_pages(&source, &header, &first, &offsets)?;
        let mut info = VolumeInfo {
            shape: Shape::new(offsets.len(), first.height, first.width),
            voxel_type: first.voxel_type,
            format: TIFF_STACK,
            voxel_size: meta.voxel_size,
            unit: meta.unit,
            origin: meta.origin,
            notes: meta.notes,
            source: path.to_path_buf(),
        };
        info.notes.extend(first.note());
        if let Some(slices) = meta.slices.filter(|&slices| slices != offsets.len()) {
            return Err(Error::unsupported(
                path,
                format!("an OME-TIFF of {slices} slices of which this file holds {} is", offsets.len()),
                "all of them in one file",
            ));
        }
        let told = meta.images.unwrap_or(1);
        if offsets.len() == 1 && told > 1 {
            return Self::bare(source, &header, first, told, info);
        }
        info.notes.insert(0, format!("z runs over the {} pages.", offsets.len()));
        Ok(Self { info, first, pages: Pages::Chain { source, header, offsets } })
    }

    fn bare(
        source: Source,
        header: &TiffHeader,
        first: Page,
        slices: usize,
        mut info: VolumeInfo,
    ) -> Result<Self> {
        let offset = first.raw_offset().ok_or_else(|| {
            Error::damaged(
                source.path(),
                format!("ImageJ tells of {slices} slices, the file has one compressed page"),
            )
        })?;
        info.shape.z = slices;
        info.notes.insert(
            0,
            format!("z runs over the {slices} slices ImageJ tells of; they follow the only page bare."),
        );
        let flat = Flat {
            source,
            offset,
            shape: info.shape,
            voxel_type: first.voxel_type,
            big_endian: header.big_endian,
            order: Order::C,
        };
        flat.check_length()?;
        Ok(Self { info, first, pages: Pages::Bare(flat) })
    }
}

/// Every page is like the first.
fn check_pages(source: &Source, header: &TiffHeader, first: &Page, offsets: &[u64]) -> Result<()> {
    let pages: Vec<Result<Page>> =
        offsets.par_iter().map(|&ifd| Page::open(source, header, Some(ifd))).collect();
    for (number, page) in pages.into_iter().enumerate() {
        let page = page?;
        // Pages have no file of their own: the message gets the number instead.
        let path = source.path().join(format!("page {number}"));
        page.check_like(&path, [first.height, first.width], first.voxel_type)?;
    }
    Ok(())
}

impl VolumeReader for TiffStack {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn read_overhead(&self, threads: usize) -> usize {
        self.first.read_overhead(&self.info, threads)
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> Result<()> {
        self.fill(at, into)
    }

    fn read_native(&self, at: &Region, into: &mut VoxelBuffer) -> Result<()> {
        self.fill_native(at, into)
    }
}

impl Typed for TiffStack {
    fn fill<T: Voxel>(&self, at: &Region, into: &mut [T]) -> Result<()> {
        at.check_read(self.info.shape, into.len())?;
        let (source, header, offsets) = match &self.pages {
            Pages::Bare(flat) => return flat.read(at, into),
            Pages::Chain { source, header, offsets } => (source, header, offsets),
        };
        if into.is_empty() {
            return Ok(());
        }
        let results: Vec<Result<()>> = into
            .par_chunks_mut(at.size[1] * at.size[2])
            .zip(&offsets[at.range(0)])
            .map(|(into, &ifd)| {
                let page = Page::open(source, header, Some(ifd))?;
                let Shape { y, x, .. } = self.info.shape;
                if (page.height, page.width, page.voxel_type) != (y, x, self.info.voxel_type) {
                    return Err(Error::damaged(source.path(), "the file changed while in use"));
                }
                page.read(source, header, at.range(1), at.range(2), into)
            })
            .collect();
        results.into_iter().collect()
    }
}

/// Writes a multi-page TIFF file.
pub(super) struct TiffStackWriter {
    partial: Partial,
    progress: Progress,
    encoder: Encoder,
    page: PageMeta,
}

impl TiffStackWriter {
    pub(super) fn create(
        path: &Path,
        shape: Shape,
        voxel_type: VoxelType,
        meta: &OutputMeta,
    ) -> Result<Self> {
        let big = needs_big(shape, voxel_type, meta.compression);
        Self::with_offsets(big, path, shape, voxel_type, meta)
    }

    fn with_offsets(
        big: bool,
        path: &Path,
        shape: Shape,
        voxel_type: VoxelType,
        meta: &OutputMeta,
    ) -> Result<Self> {
        let progress = Progress::new(path, TIFF_STACK, shape, voxel_type)?;
        let description = imagej_description(shape.z, meta);
        let page = PageMeta::new(meta, Some(description));
        let partial = Partial::new(path)?;
        let encoder = Encoder::new(partial.create_file()?, big, path)?;
        Ok(Self { partial, progress, encoder, page })
    }
}

/// Whether offsets of 32 bits might not suffice.
fn needs_big(shape: Shape, voxel_type: VoxelType, compression: TiffCompression) -> bool {
    let voxels = shape.checked_bytes(voxel_type.bytes()).unwrap_or(u64::MAX);
    // LZW grows noise by up to a half; a directory takes 400 bytes and 8 a strip of a megabyte.
    let worst = match compression {
        TiffCompression::None => voxels,
        TiffCompression::Lzw => voxels.saturating_add(voxels / 2),
    };
    worst.saturating_add(worst >> 10).saturating_add(shape.z as u64 * 1024) > u64::from(u32::MAX)
}

impl VolumeWriter for TiffStackWriter {
    fn write(&mut self, voxels: Voxels<'_>) -> Result<()> {
        let target = self.partial.target();
        let slices = self.progress.check(target, voxels)?;
        let (shape, compression) = (self.progress.shape, self.page.compression);
        let pack = |index| Packed::new(slice(voxels, index, shape), shape, compression);
        let indices: Vec<usize> = (0..slices).collect();
        // Packed side by side, but not all of them held.
        for indices in indices.chunks(4 * rayon::current_num_threads()) {
            let pages: Vec<Packed<'_>> = indices.par_iter().map(|&index| pack(index)).collect();
            for page in &pages {
                self.encoder.page(target, page, &self.page)?;
                // Only the first page bears the description.
                self.page.description = None;
                self.progress.written += 1;
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.progress.check_complete(self.partial.target())?;
        drop(self.encoder);
        self.partial.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_tiff_from_four_gib_on() {
        let none = TiffCompression::None;
        assert!(!needs_big(Shape::new(500, 2000, 2000), VoxelType::U16, none));
        assert!(needs_big(Shape::new(1024, 2048, 2048), VoxelType::U8, none));
        assert!(needs_big(Shape::new(800, 2048, 2048), VoxelType::U8, TiffCompression::Lzw));
    }

    #[test]
    fn big_tiff_reads_back_equal() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("big.tif");
        let shape = Shape::new(3, 4, 5);
        let (meta, voxels) = (OutputMeta::default(), (0..60u16).collect::<Vec<_>>());
        let writer = TiffStackWriter::with_offsets(true, &path, shape, VoxelType::U16, &meta)?;
        let mut writer = Box::new(writer);
        writer.write(Voxels::U16(&voxels))?;
        writer.finish()?;
        let start = std::fs::read(&path).map_err(|e| Error::read(&path, e))?;
        assert!(start.starts_with(b"II\x2b\0"), "no BigTIFF");
        let mut back = vec![0.0; 60];
        TiffStack::open(&path)?.read(&Region::whole(shape), &mut back)?;
        assert_eq!(back, voxels.into_iter().map(f32::from).collect::<Vec<_>>());
        Ok(())
    }
}
