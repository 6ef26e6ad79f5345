//! A folder of TIFF files, one slice each: what reconstruction programs write by default.
//!
//! Slices are ordered as people count (`s_9` before `s_10`); their headers are all checked when
//! the folder is opened, their voxels are read when asked for.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::convert::Voxel;
use super::numbering;
use super::partial::{Partial, Progress};
use super::source::Source;
use super::tiff_header::TiffHeader;
use super::tiff_meta::{TiffMeta, imagej_description};
use super::tiff_page::Page;
use super::tiff_write::{Encoder, Packed, PageMeta};
use super::typed::Typed;
use super::{OutputMeta, TIFF_FOLDER};
use crate::error::{Error, Result};
use crate::region::{Region, Shape};
use crate::volume::{VolumeInfo, VolumeReader, VolumeWriter, VoxelType};
use crate::voxels::{VoxelBuffer, Voxels};

/// Reads a folder of TIFF slices.
#[derive(Debug)]
pub struct TiffFolder {
    info: VolumeInfo,
    first: Page,
    names: Vec<String>,
}

impl TiffFolder {
    /// Opens a folder; only file headers are read.
    ///
    /// # Errors
    ///
    /// If there are no slices, a number is missing in their names, a file is no TIFF image of one
    /// grey value a voxel, or they differ in shape or type.
    pub fn open(folder: &Path) -> Result<Self> {
        let (names, others) = list(folder)?;
        let mut notes = vec![format!("z runs over the {} files in natural order.", names.len())];
        notes.extend(numbering::check(folder, &names)?);
        if others > 0 {
            notes.push(format!("{others} other entries of the folder are ignored."));
        }
        // Collected before the first failure is picked, so that it is the same on every run.
        let pages: Vec<Result<Page>> =
            names.par_iter().map(|name| open_slice(&folder.join(name)).map(|(.., page)| page)).collect();
        let mut first: Option<Page> = None;
        for (name, page) in names.iter().zip(pages) {
            let page = page?;
            match &first {
                Some(first) => {
                    page.check_like(&folder.join(name), [first.height, first.width], first.voxel_type)?;
                }
                None => first = Some(page),
            }
        }
        let first =
            first.ok_or_else(|| Error::NoSlices { path: folder.to_path_buf(), found: String::new() })?;
        let meta = TiffMeta::read(&Source::open(&folder.join(&names[0]))?)?;
        notes.extend(meta.notes);
        notes.extend(first.note());
        let info = VolumeInfo {
            shape: Shape::new(names.len(), first.height, first.width),
            voxel_type: first.voxel_type,
            format: TIFF_FOLDER,
            voxel_size: meta.voxel_size,
            unit: meta.unit,
            origin: meta.origin,
            notes,
            source: folder.to_path_buf(),
        };
        Ok(Self { info, first, names })
    }
}

/// The one TIFF file of a folder that holds just one: it may be a stack of pages.
pub(super) fn only_file(folder: &Path) -> Option<PathBuf> {
    match &list(folder).ok()?.0[..] {
        [name] => Some(folder.join(name)),
        _ => None,
    }
}

/// The names of the TIFF files in natural order, and how many other entries there are.
fn list(folder: &Path) -> Result<(Vec<String>, usize)> {
    let mut names = Vec::new();
    let mut others: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::read(folder, e))? {
        let entry = entry.map_err(|e| Error::read(folder, e))?;
        let name = entry.file_name();
        let path = PathBuf::from(&name);
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let tiff = ["tif", "tiff"].iter().any(|known| extension.eq_ignore_ascii_case(known));
        match name.into_string() {
            // Hidden files are the file system's and the file manager's own.
            Ok(name) if name.starts_with('.') => {}
            Ok(name) if tiff && !entry.path().is_dir() => names.push(name),
            Ok(name) => others.push(name),
            Err(name) if tiff => {
                let path = folder.join(name);
                return Err(Error::unsupported(path, "a file name outside UTF-8 is", "a name in UTF-8"));
            }
            Err(name) => others.push(name.display().to_string()),
        }
    }
    if names.is_empty() {
        others.sort_unstable();
        let found = others.first().map(|name| format!("; found `{name}`"));
        return Err(Error::NoSlices { path: folder.to_path_buf(), found: found.unwrap_or_default() });
    }
    // Names that count alike (`a1`, `a01`) are put in one order on every machine.
    names.sort_unstable_by(|a, b| natord::compare(a, b).then_with(|| a.cmp(b)));
    Ok((names, others.len()))
}

fn open_slice(path: &Path) -> Result<(Source, TiffHeader, Page)> {
    let source = Source::open(path)?;
    let header = TiffHeader::read(&source)?;
    let page = Page::open(&source, &header, None)?;
    if page.more {
        let remedy = "one page a file in a folder of slices; open the file itself instead";
        return Err(Error::unsupported(path, "a file of several pages is", remedy));
    }
    Ok((source, header, page))
}

impl VolumeReader for TiffFolder {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn slice_names(&self) -> Option<Vec<String>> {
        Some(self.names.iter().map(|name| numbering::stem(name).to_string()).collect())
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

impl Typed for TiffFolder {
    fn fill<T: Voxel>(&self, at: &Region, into: &mut [T]) -> Result<()> {
        at.check_read(self.info.shape, into.len())?;
        if into.is_empty() {
            return Ok(());
        }
        let results: Vec<Result<()>> = into
            .par_chunks_mut(at.size[1] * at.size[2])
            .zip(&self.names[at.range(0)])
            .map(|(into, name)| {
                let path = self.info.source.join(name);
                let (source, header, page) = open_slice(&path)?;
                // The file may have been replaced since the folder was opened.
                page.check_like(&path, [self.info.shape.y, self.info.shape.x], self.info.voxel_type)?;
                page.read(&source, &header, at.range(1), at.range(2), into)
            })
            .collect();
        results.into_iter().collect()
    }
}

/// Writes a folder of TIFF slices.
pub(super) struct TiffFolderWriter {
    partial: Partial,
    progress: Progress,
    names: Vec<String>,
    page: PageMeta,
}

impl TiffFolderWriter {
    pub(super) fn create(
        path: &Path,
        shape: Shape,
        voxel_type: VoxelType,
        meta: &OutputMeta,
    ) -> Result<Self> {
        let progress = Progress::new(path, TIFF_FOLDER, shape, voxel_type)?;
        let names = file_names(path, shape.z, meta.names.as_deref())?;
        let description = meta.voxel_size.map(|_| imagej_description(1, meta));
        let partial = Partial::new(path)?;
        partial.create_folder()?;
        Ok(Self { partial, progress, names, page: PageMeta::new(meta, description) })
    }
}

/// `slice_00000.tif` and so on, or the stems given.
fn file_names(path: &Path, slices: usize, stems: Option<&[String]>) -> Result<Vec<String>> {
    let Some(stems) = stems else {
        let digits = slices.to_string().len().max(5);
        return Ok((0..slices).map(|z| format!("slice_{z:0digits$}.tif")).collect());
    };
    let mut sorted: Vec<&String> = stems.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let plain = |stem: &&String| !stem.is_empty() && !stem.contains(['/', '\\']) && !stem.starts_with('.');
    if sorted.len() != slices || !sorted.iter().all(plain) {
        return Err(Error::OutputSlices {
            path: path.to_path_buf(),
            found: format!("{} distinct file names were given", sorted.len()),
            expected: format!("{slices} plain ones, one a slice"),
        });
    }
    Ok(stems.iter().map(|stem| format!("{stem}.tif")).collect())
}

impl VolumeWriter for TiffFolderWriter {
    fn write(&mut self, voxels: Voxels<'_>) -> Result<()> {
        let target = self.partial.target();
        let slices = self.progress.check(target, voxels)?;
        let first = self.progress.written;
        let shape = self.progress.shape;
        let results: Vec<Result<()>> = (0..slices)
            .into_par_iter()
            .map(|slice| {
                let name = &self.names[first + slice];
                let path = self.partial.path().join(name);
                let file = fs::File::create(&path).map_err(|e| Error::write(&target.join(name), e))?;
                let mut encoder = Encoder::new(file, false, target)?;
                let voxels = super::tiff_write::slice(voxels, slice, shape);
                encoder.page(target, &Packed::new(voxels, shape, self.page.compression), &self.page)
            })
            .collect();
        results.into_iter().collect::<Result<()>>()?;
        self.progress.written += slices;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.progress.check_complete(self.partial.target())?;
        self.partial.commit()
    }
}
