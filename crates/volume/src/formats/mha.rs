//! MetaImage: `.mha` with its voxels, `.mhd` with the voxels in a file beside it.
//!
//! ITK's own format. Its lengths are millimetres unless the header tells another unit.
//! Format: <https://itk.org/Wiki/ITK/MetaIO/Documentation>.

use std::fmt::Write as _;
use std::path::Path;

use super::flat::Order;
use super::flat_write::FlatWriter;
use super::header::{Lines, TURNED, X_FASTEST, beside, first_of, lengths, numbers, oblique, to_zyx};
use super::partial::Progress;
use super::source::Source;
use super::stored::{Layout, Packing, Stored};
use super::{MHA, OpenOptions, OutputMeta, units};
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::{VolumeInfo, VoxelType};

/// Opens a file; only its header is read.
///
/// # Errors
///
/// If it is no MetaImage, holds other than three axes of one real number, is spread over several
/// files, or too short.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Stored> {
    let source = Source::open(path)?;
    let is_last = |line: &str| line.trim_start().starts_with("ElementDataFile");
    let lines = Lines::read(&source, b"", is_last)?;
    let field = |names: &[&str]| first_of(names, |name| lines.field(name, '='));
    let missing = |what: &str| Error::damaged(path, format!("the header tells no {what}"));
    let is_true = |names: &[&str]| field(names).is_some_and(|value| value.eq_ignore_ascii_case("true"));

    let file = field(&["ElementDataFile"]).ok_or_else(|| missing("ElementDataFile"))?;
    let kind = field(&["ElementType"]).ok_or_else(|| missing("ElementType"))?;
    let voxel_type = TYPES.iter().find(|(name, _)| *name == kind).map(|(_, t)| *t).ok_or_else(|| {
        let expected = "integers of up to 32 bits, MET_FLOAT or MET_DOUBLE";
        Error::unsupported(path, format!("a MetaImage of `{kind}` is"), expected)
    })?;
    let sizes =
        numbers::<usize>(field(&["DimSize"]).unwrap_or_default()).ok_or_else(|| missing("DimSize"))?;
    let shape = super::header::shape(path, &sizes)?;
    if let Some(channels) = field(&["ElementNumberOfChannels"]).filter(|&n| n != "1") {
        let found = format!("a MetaImage of {channels} channels is");
        return Err(Error::unsupported(path, found, "one channel"));
    }
    if field(&["BinaryData"]).is_some_and(|value| value.eq_ignore_ascii_case("false")) {
        return Err(Error::unsupported(
            path,
            "a MetaImage of numbers written as text is",
            "BinaryData = True",
        ));
    }
    let mut info = VolumeInfo::new(MHA, path, shape, voxel_type);
    let mut layout = Layout {
        source,
        offset: lines.end,
        skip: 0,
        packing: is_true(&["CompressedData"]).then_some(Packing::Zlib),
        shape,
        voxel_type,
        big_endian: is_true(&["BinaryDataByteOrderMSB", "ElementByteOrderMSB"]),
        order: Order::C,
    };
    if !file.eq_ignore_ascii_case("LOCAL") {
        layout.source = beside(path, file)?;
        layout.offset = header_size(path, field(&["HeaderSize"]), &layout)?;
        info.notes.push(format!("the voxels lie in `{file}`."));
    }
    let size = field(&["ElementSpacing", "ElementSize"]).and_then(numbers::<f64>);
    info.voxel_size = size.and_then(|size| to_zyx(&size)).and_then(lengths);
    if info.voxel_size.is_some() {
        let origin = field(&["Offset", "Position", "Origin"]).and_then(numbers::<f64>);
        info.origin = origin.and_then(|origin| to_zyx(&origin));
        let unit = field(&["DistanceUnits"]).filter(|unit| ["um", "mm", "cm"].contains(unit));
        info.unit = Some(unit.unwrap_or("mm").to_string());
    }
    let matrix = field(&["TransformMatrix", "Rotation", "Orientation"]).and_then(numbers::<f64>);
    if let Some([x, y, z]) =
        matrix.as_deref().and_then(|matrix| <&[[f64; 3]; 3]>::try_from(matrix.as_chunks().0).ok())
        && oblique([x, y, z])
    {
        info.notes.push(TURNED.into());
    }
    info.notes.push(X_FASTEST.into());
    Stored::new(info, layout, options)
}

/// Where the voxels start in a file of their own; -1 stands for "they end the file".
fn header_size(path: &Path, field: Option<&str>, layout: &Layout) -> Result<u64> {
    match field.map_or(Some(0), |n| n.parse::<i64>().ok()) {
        Some(-1) => layout
            .at_end()
            .ok_or_else(|| Error::damaged(layout.source.path(), "the file is too short for its header")),
        Some(skip) if skip >= 0 => Ok(skip as u64),
        _ => Err(Error::damaged(path, "the header tells no HeaderSize that is a number")),
    }
}

const TYPES: [(&str, VoxelType); 10] = [
    ("MET_UCHAR", VoxelType::U8),
    ("MET_CHAR", VoxelType::I8),
    ("MET_USHORT", VoxelType::U16),
    ("MET_SHORT", VoxelType::I16),
    ("MET_UINT", VoxelType::U32),
    ("MET_INT", VoxelType::I32),
    ("MET_ULONG", VoxelType::U32),
    ("MET_LONG", VoxelType::I32),
    ("MET_FLOAT", VoxelType::F32),
    ("MET_DOUBLE", VoxelType::F64),
];

/// Starts a file. Lengths are turned into millimetres, which every program takes them for.
pub(super) fn create(
    path: &Path,
    shape: Shape,
    voxel_type: VoxelType,
    meta: &OutputMeta,
) -> Result<FlatWriter> {
    let progress = Progress::new(path, MHA, shape, voxel_type)?;
    let kind = match voxel_type {
        VoxelType::U8 => "MET_UCHAR",
        VoxelType::U16 => "MET_USHORT",
        _ => "MET_FLOAT",
    };
    let mut header = String::from(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n\
         CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n",
    );
    // Writing to a string cannot fail.
    if let Some(size) = meta.voxel_size {
        let ratio = meta.unit.as_deref().and_then(|unit| units::ratio(unit, "mm")).unwrap_or(1.0);
        let [z, y, x] = meta.origin.unwrap_or_default().map(|n| n * ratio);
        let _ = writeln!(header, "Offset = {x} {y} {z}");
        let [z, y, x] = size.map(|n| n * ratio);
        let _ = writeln!(header, "ElementSpacing = {x} {y} {z}\nDistanceUnits = mm");
    }
    let _ = write!(
        header,
        "DimSize = {} {} {}\nElementType = {kind}\nElementDataFile = LOCAL\n",
        shape.x, shape.y, shape.z
    );
    FlatWriter::create(path, progress, header.as_bytes(), false)
}
