//! Everything that can go wrong here, each with its file, what was found and what was expected.

use std::io;
use std::path::{Path, PathBuf};

use crate::region::Shape;
use crate::volume::VoxelType;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What a program can do about an [`Error`]; decides its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The input is missing, damaged or of a kind that is not understood.
    Input,
    /// The output could not be written.
    Output,
    /// The memory allowed, or what the system has of threads, does not suffice.
    Memory,
    /// The caller asked for something impossible, e.g. a region outside the volume.
    Usage,
}

/// Why a volume could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system could not read.
    #[error("`{}`: cannot be read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system could not write.
    #[error("`{}`: cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An encoder could not write.
    #[error("`{}`: cannot be written: {what}", path.display())]
    Encode {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        what: String,
    },
    /// The input is not there.
    #[error("`{}`: no such file or folder", path.display())]
    NotFound {
        /// The path given.
        path: PathBuf,
    },
    /// The file ends early or contradicts itself.
    #[error("`{}`: damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file is sound but holds what is not understood here.
    #[error("`{}`: {found} not supported; expected {expected}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it holds, with its verb: "a palette image is".
        found: String,
        /// What would be read.
        expected: String,
    },
    /// No format answers to the path.
    #[error("`{}`: not a format known here; expected one of {known}", path.display())]
    UnknownFormat {
        /// The path given.
        path: PathBuf,
        /// The formats read.
        known: String,
    },
    /// A folder without slices.
    #[error("`{}`: no .tif or .tiff files in the folder{found}", path.display())]
    NoSlices {
        /// The folder.
        path: PathBuf,
        /// What lies there instead, or nothing.
        found: String,
    },
    /// A number is missing in the names of the slices.
    #[error(
        "`{}`: slice number {missing} is missing (`{before}` is followed by `{after}`); \
         restore the file or renumber the slices", path.display()
    )]
    MissingSlice {
        /// The folder.
        path: PathBuf,
        /// The first missing number.
        missing: u64,
        /// The file before the gap.
        before: String,
        /// The file after the gap.
        after: String,
    },
    /// Two slices bear one number.
    #[error("`{}`: `{first}` and `{second}` bear the same slice number; remove one", path.display())]
    DuplicateSlice {
        /// The folder.
        path: PathBuf,
        /// The first file.
        first: String,
        /// The second file.
        second: String,
    },
    /// A slice has another shape than the first.
    #[error(
        "`{}`: slice is {}×{}, the first slice is {}×{}; every slice must have one shape",
        path.display(), found[0], found[1], expected[0], expected[1]
    )]
    SliceShape {
        /// The slice's file.
        path: PathBuf,
        /// Its `[y, x]`.
        found: [usize; 2],
        /// The first slice's `[y, x]`.
        expected: [usize; 2],
    },
    /// A slice has another voxel type than the first.
    #[error(
        "`{}`: slice is {found}, the first slice is {expected}; every slice must have one type",
        path.display()
    )]
    SliceType {
        /// The slice's file.
        path: PathBuf,
        /// Its type.
        found: VoxelType,
        /// The first slice's type.
        expected: VoxelType,
    },
    /// What the file does not say must be told.
    #[error("`{}`: {what} is not known; {remedy}", path.display())]
    Untold {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
        /// How to tell it.
        remedy: &'static str,
    },
    /// A file of several volumes.
    #[error(
        "`{}`: which of its volumes is meant is not known: {candidates}; name one as `{}::/{example}`",
        path.display(), path.display()
    )]
    WhichDataset {
        /// The file.
        path: PathBuf,
        /// The path of one of them.
        example: String,
        /// The paths of all.
        candidates: String,
    },
    /// A region reaches out of the volume.
    #[error("region at {start:?} of size {size:?} does not lie within the volume of {shape}")]
    OutsideVolume {
        /// Its corner `[z, y, x]`.
        start: [usize; 3],
        /// Its size `[z, y, x]`.
        size: [usize; 3],
        /// The volume's shape.
        shape: Shape,
    },
    /// A buffer does not fit its region.
    #[error("the buffer holds {found} voxels, the region has {expected}")]
    BufferSize {
        /// The buffer's length.
        found: usize,
        /// The region's voxels.
        expected: usize,
    },
    /// A tile size and overlap that cannot cover anything.
    #[error("tiles of {tile} voxels cannot overlap by {overlap}; the overlap must be below the tile size")]
    TileOverlap {
        /// The tile's edge.
        tile: usize,
        /// The overlap asked for.
        overlap: usize,
    },
    /// Not even one slice with its halo fits.
    #[error(
        "{budget} bytes of memory do not suffice: one slice with a halo of {halo} needs {needed} \
         bytes; allow more memory or take smaller slices"
    )]
    Memory {
        /// The memory allowed.
        budget: u64,
        /// What the thinnest slab takes.
        needed: u64,
        /// Slices on either side.
        halo: usize,
    },
    /// The system gives no more threads.
    #[error("no threads to read with: {what}")]
    Threads {
        /// What the system said.
        what: String,
    },
    /// The writer cannot store this type.
    #[error("`{}`: {found} voxels cannot be written as {format}; expected {expected}", path.display())]
    OutputType {
        /// The output.
        path: PathBuf,
        /// The type given.
        found: VoxelType,
        /// The format's name.
        format: &'static str,
        /// What it stores.
        expected: String,
    },
    /// A value the output's type cannot hold.
    #[error(
        "`{}`: the value {found} does not fit {expected}; choose a type that holds it, such as float32",
        path.display()
    )]
    Value {
        /// The input.
        path: PathBuf,
        /// The value.
        found: f32,
        /// The output's type.
        expected: VoxelType,
    },
    /// The slices written are not those announced.
    #[error("`{}`: {found}; expected {expected}", path.display())]
    OutputSlices {
        /// The output.
        path: PathBuf,
        /// What came.
        found: String,
        /// What was to come.
        expected: String,
    },
}

impl Error {
    /// What can be done about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read { .. }
            | Self::NotFound { .. }
            | Self::Damaged { .. }
            | Self::Unsupported { .. }
            | Self::UnknownFormat { .. }
            | Self::NoSlices { .. }
            | Self::MissingSlice { .. }
            | Self::DuplicateSlice { .. }
            | Self::SliceShape { .. }
            | Self::SliceType { .. }
            | Self::Untold { .. } => ErrorKind::Input,
            Self::Write { .. } | Self::Encode { .. } => ErrorKind::Output,
            Self::Memory { .. } | Self::Threads { .. } => ErrorKind::Memory,
            Self::OutsideVolume { .. }
            | Self::WhichDataset { .. }
            | Self::BufferSize { .. }
            | Self::TileOverlap { .. }
            | Self::OutputType { .. }
            | Self::Value { .. }
            | Self::OutputSlices { .. } => ErrorKind::Usage,
        }
    }

    /// A system error while reading `path`; absence gets its own message.
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::UnexpectedEof => Self::damaged(path, "the file ends early"),
            _ => Self::Read { path, source },
        }
    }

    /// A system error while writing `path`.
    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_path_buf(), source }
    }

    /// A file that contradicts itself.
    pub(crate) fn damaged(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), what: what.into() }
    }

    /// A sound file that is not understood; `found` carries its verb.
    pub(crate) fn unsupported(
        path: impl Into<PathBuf>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Unsupported { path: path.into(), found: found.into(), expected: expected.into() }
    }
}
