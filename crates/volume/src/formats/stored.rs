//! Voxels behind a header: as they are, or packed as one stream.
//!
//! A packed stream cannot be read in the middle. It is unpacked once, when voxels are first asked
//! for, into a scratch file without a name, which is gone when the program is.

use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::OpenOptions;
use super::convert::Voxel;
use super::flat::{Flat, Order};
use super::source::Source;
use super::typed::Typed;
use crate::error::{Error, Result};
use crate::region::{Region, Shape};
use crate::volume::{VolumeInfo, VolumeReader, VoxelType};
use crate::voxels::VoxelBuffer;

/// Deflate shrinks no more than this; a header that promises more is damaged, and is refused
/// before the scratch file fills the disk.
const MAX_EXPANSION: u64 = 1032;

/// How a stream is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// gzip, of one member or several.
    Gzip,
    /// zlib.
    Zlib,
}

/// What a header tells of the voxels behind it.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The file they lie in.
    pub(crate) source: Source,
    /// Where they start in it; where it is packed, where the stream starts.
    pub(crate) offset: u64,
    /// Packed bytes before the first voxel, once unpacked.
    pub(crate) skip: u64,
    pub(crate) packing: Option<Packing>,
    pub(crate) shape: Shape,
    pub(crate) voxel_type: VoxelType,
    pub(crate) big_endian: bool,
    pub(crate) order: Order,
}

impl Layout {
    /// Where bare voxels start that end the file; none if it is too short for them.
    pub(crate) fn at_end(&self) -> Option<u64> {
        let bytes = self.shape.checked_bytes(self.voxel_type.bytes())?;
        self.source.len().checked_sub(bytes)
    }
}

/// Reads what lies behind a header.
#[derive(Debug)]
pub(crate) struct Stored {
    info: VolumeInfo,
    voxels: Voxels,
    order: Order,
    /// What values are multiplied by and what is added then.
    scale: Option<[f32; 2]>,
}

#[derive(Debug)]
enum Voxels {
    Plain(Flat),
    Packed(Box<Packed>),
}

#[derive(Debug)]
struct Packed {
    layout: Layout,
    packing: Packing,
    scratch: PathBuf,
    unpacked: OnceLock<Flat>,
    /// Held by the thread that unpacks; others wait for it.
    turn: Mutex<()>,
}

impl Stored {
    /// Checks that the file can hold what its header tells.
    pub(super) fn new(mut info: VolumeInfo, layout: Layout, options: &OpenOptions) -> Result<Self> {
        let (path, order) = (layout.source.path(), layout.order);
        if layout.shape.voxels() == 0 {
            return Err(Error::damaged(path, format!("a shape of {} holds no voxels", layout.shape)));
        }
        let Some(packing) = layout.packing else {
            let Layout { source, offset, shape, voxel_type, big_endian, order, .. } = layout;
            let flat = Flat { source, offset, shape, voxel_type, big_endian, order };
            flat.check_length()?;
            return Ok(Self { info, voxels: Voxels::Plain(flat), order, scale: None });
        };
        let promised = layout
            .shape
            .checked_bytes(layout.voxel_type.bytes())
            .and_then(|bytes| bytes.checked_add(layout.skip))
            .ok_or_else(|| Error::damaged(path, format!("a shape of {} cannot be counted", layout.shape)))?;
        let stored = layout.source.len().saturating_sub(layout.offset);
        if promised > stored.saturating_mul(MAX_EXPANSION).saturating_add(1 << 12) {
            let what = format!("{} voxels cannot come from {stored} packed bytes", layout.shape);
            return Err(Error::damaged(path, what));
        }
        let scratch = options.scratch.clone().unwrap_or_else(std::env::temp_dir);
        info.notes.push(format!(
            "it is packed as one stream: the first read unpacks all {:.1} MB of it into a scratch file in `{}`.",
            promised as f64 / 1e6,
            scratch.display()
        ));
        let packed = Packed { layout, packing, scratch, unpacked: OnceLock::new(), turn: Mutex::new(()) };
        Ok(Self { info, voxels: Voxels::Packed(Box::new(packed)), order, scale: None })
    }

    /// The same volume with each value times `slope` plus `intercept`.
    pub(super) fn scaled(mut self, slope: f32, intercept: f32) -> Self {
        if slope.is_finite() && intercept.is_finite() && slope != 0.0 && [slope, intercept] != [1.0, 0.0] {
            self.info.notes.push(format!("values are stored times {slope} plus {intercept}."));
            self.info.voxel_type = VoxelType::F32;
            self.scale = Some([slope, intercept]);
        }
        self
    }
}

impl Packed {
    /// The unpacked voxels, unpacking them if no one has.
    fn flat(&self) -> Result<&Flat> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flat) = self.unpacked.get() {
            return Ok(flat);
        }
        let Layout { source, offset, skip, shape, voxel_type, big_endian, order, .. } = &self.layout;
        let mut stream = unpack(source, *offset, self.packing);
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
                Error::damaged(source.path(), format!("the packed stream: {e}"))
            }
            _ => Error::read(source.path(), e),
        };
        io::copy(&mut stream.by_ref().take(*skip), &mut io::sink()).map_err(failed)?;
        let bytes = shape.checked_bytes(voxel_type.bytes()).unwrap_or(u64::MAX);
        let spilt = |e| Error::write(&self.scratch, e);
        let mut file = tempfile::tempfile_in(&self.scratch).map_err(spilt)?;
        let (mut block, mut left) = (vec![0; 1 << 20], bytes);
        while left > 0 {
            let wanted = left.min(block.len() as u64) as usize;
            match stream.read(&mut block[..wanted]) {
                Ok(0) => {
                    let what = format!("the packed stream ends {left} bytes before the last voxel");
                    return Err(Error::damaged(source.path(), what));
                }
                Ok(n) => {
                    file.write_all(&block[..n]).map_err(spilt)?;
                    left -= n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(e)),
            }
        }
        let source = Source::of(file, source.path(), bytes);
        let flat = Flat {
            source,
            offset: 0,
            shape: *shape,
            voxel_type: *voxel_type,
            big_endian: *big_endian,
            order: *order,
        };
        Ok(self.unpacked.get_or_init(|| flat))
    }
}

/// The unpacked stream from `offset` on.
pub(super) fn unpack(source: &Source, offset: u64, packing: Packing) -> Box<dyn Read + '_> {
    let stream = BufReader::with_capacity(1 << 16, source.cursor_at(offset));
    match packing {
        Packing::Gzip => Box::new(MultiGzDecoder::new(stream)),
        Packing::Zlib => Box::new(ZlibDecoder::new(stream)),
    }
}

impl VolumeReader for Stored {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn slices_at_once(&self) -> usize {
        self.order.slices_at_once(self.info.shape)
    }

    fn read_overhead(&self, threads: usize) -> usize {
        self.order.read_overhead(&self.info, threads)
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> Result<()> {
        self.fill(at, into)?;
        if let Some([slope, intercept]) = self.scale {
            into.iter_mut().for_each(|value| *value = *value * slope + intercept);
        }
        Ok(())
    }

    fn read_native(&self, at: &Region, into: &mut VoxelBuffer) -> Result<()> {
        self.fill_native(at, into)
    }
}

impl Typed for Stored {
    /// The values before they are scaled.
    fn fill<T: Voxel>(&self, at: &Region, into: &mut [T]) -> Result<()> {
        at.check_read(self.info.shape, into.len())?;
        match &self.voxels {
            Voxels::Plain(flat) => flat.read(at, into),
            Voxels::Packed(packed) => packed.flat()?.read(at, into),
        }
    }
}
