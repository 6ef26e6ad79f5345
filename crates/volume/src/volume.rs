//! What a volume is to the rest of the program: a description, a reader and a writer.
//!
//! Readers hand out any box of voxels as `f32` or as the file has them, `[z, y, x]` with `x` fastest; writers take whole
//! slices in z order. Integers of up to 16 bits are exact in `f32`, wider ones are rounded to the
//! nearest; NaN and infinities pass through.

use std::fmt;
use std::path::PathBuf;

use crate::error::Result;
use crate::region::{Region, Shape};
use crate::voxels::{VoxelBuffer, Voxels};

/// How one voxel is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VoxelType {
    /// 8-bit unsigned integer.
    U8,
    /// 8-bit signed integer.
    I8,
    /// 16-bit unsigned integer.
    U16,
    /// 16-bit signed integer.
    I16,
    /// 32-bit unsigned integer.
    U32,
    /// 32-bit signed integer.
    I32,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

impl VoxelType {
    /// Every voxel type.
    pub const ALL: [Self; 9] =
        [Self::U8, Self::I8, Self::U16, Self::I16, Self::U32, Self::I32, Self::F16, Self::F32, Self::F64];

    /// The name numpy and Zarr use, e.g. `uint16`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// Bytes of one voxel.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The type that [`VolumeReader::read_native`] hands such voxels out in: their own where [`Voxels`] has it, else `f32`.
    #[must_use]
    pub const fn native(self) -> Self {
        match self {
            Self::U8 | Self::U16 => self,
            _ => Self::F32,
        }
    }

    /// The type called `name`: numpy's names and the short ones (`u16`, `f32`).
    pub fn from_name(name: &str) -> Option<Self> {
        let short = |t: Self| match t {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        };
        let name = name.to_ascii_lowercase();
        Self::ALL.into_iter().find(|t| t.name() == name || short(*t) == name)
    }
}

impl fmt::Display for VoxelType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is known of a volume without reading its voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeInfo {
    /// Its size in voxels.
    pub shape: Shape,
    /// How a voxel is stored.
    pub voxel_type: VoxelType,
    /// The format's name in [`crate::formats::names`].
    pub format: &'static str,
    /// Edge lengths of a voxel `[z, y, x]`, in [`VolumeInfo::unit`].
    pub voxel_size: Option<[f64; 3]>,
    /// The unit of [`VolumeInfo::voxel_size`], as the file spells it.
    pub unit: Option<String>,
    /// Where the centre of the first voxel lies `[z, y, x]`, in [`VolumeInfo::unit`].
    pub origin: Option<[f64; 3]>,
    /// How axes, shape and type were inferred: one sentence each.
    pub notes: Vec<String>,
    /// The file or folder it was opened from.
    pub source: PathBuf,
}

impl VolumeInfo {
    /// A volume of which nothing is known but its shape and type.
    pub fn new(
        format: &'static str,
        source: impl Into<PathBuf>,
        shape: Shape,
        voxel_type: VoxelType,
    ) -> Self {
        Self {
            shape,
            voxel_type,
            format,
            voxel_size: None,
            unit: None,
            origin: None,
            notes: Vec::new(),
            source: source.into(),
        }
    }
}

/// Reads boxes of voxels from a volume that may be larger than memory.
///
/// Several threads may read at once; what they get does not depend on their number.
pub trait VolumeReader: Send + Sync {
    /// What is known of the volume.
    fn info(&self) -> &VolumeInfo;

    /// The size of the volume.
    fn shape(&self) -> Shape {
        self.info().shape
    }

    /// The stems of the files the slices lie in, if each slice is a file of its own.
    ///
    /// Outputs that are a folder of slices can take their file names from here.
    fn slice_names(&self) -> Option<Vec<String>> {
        None
    }

    /// How many slices are decoded together: slabs of a multiple of it decode nothing twice.
    fn slices_at_once(&self) -> usize {
        1
    }

    /// Bytes that a read takes beside its result, by so many threads: unless a format knows better, each has a slice as
    /// the file has it, packed and unpacked, or all of them the slices that decode together.
    fn read_overhead(&self, threads: usize) -> usize {
        let info = self.info();
        let slices = self.slices_at_once().max(threads).min(info.shape.z);
        2 * slices * info.shape.slice_voxels() * info.voxel_type.bytes()
    }

    /// Reads the voxels of `at` into a buffer of exactly as many values.
    ///
    /// # Errors
    ///
    /// If the region does not lie within the volume, the buffer does not fit it, or the file
    /// cannot be read or is damaged there.
    fn read(&self, at: &Region, into: &mut [f32]) -> Result<()>;

    /// Reads the voxels of `at` in the type [`VoxelType::native`] tells, or in `f32` where a reader has nothing else:
    /// the same values as [`VolumeReader::read`] gives, without converting what need not be.
    ///
    /// # Errors
    ///
    /// As for [`VolumeReader::read`].
    fn read_native(&self, at: &Region, into: &mut VoxelBuffer) -> Result<()> {
        at.check_within(self.shape())?;
        self.read(at, into.f32s(at.voxels()))
    }
}

impl<R: VolumeReader + ?Sized> VolumeReader for &R {
    fn info(&self) -> &VolumeInfo {
        (**self).info()
    }

    fn slice_names(&self) -> Option<Vec<String>> {
        (**self).slice_names()
    }

    fn slices_at_once(&self) -> usize {
        (**self).slices_at_once()
    }

    fn read_overhead(&self, threads: usize) -> usize {
        (**self).read_overhead(threads)
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> Result<()> {
        (**self).read(at, into)
    }

    fn read_native(&self, at: &Region, into: &mut VoxelBuffer) -> Result<()> {
        (**self).read_native(at, into)
    }
}

/// Writes a volume slice after slice.
///
/// The output lies under a temporary name beside its own until [`VolumeWriter::finish`] renames
/// it; a writer that is dropped before removes it. So a file under the final name is whole.
pub trait VolumeWriter: Send {
    /// Appends the next whole slices, in z order.
    ///
    /// # Errors
    ///
    /// If the voxels have another type than the output, are no whole number of slices, are more
    /// than the output still takes, or cannot be written.
    fn write(&mut self, voxels: Voxels<'_>) -> Result<()>;

    /// Completes the output and gives it its final name, replacing what had it.
    ///
    /// # Errors
    ///
    /// If slices are missing or the output cannot be completed.
    fn finish(self: Box<Self>) -> Result<()>;
}
