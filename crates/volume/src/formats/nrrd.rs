//! NRRD and NHDR: a text header, then the voxels, bare or packed by gzip.
//!
//! Read with the data attached or in one file of its own; written attached and bare, with the keys
//! 3D Slicer reads segments from where the voxels are labels.
//! Format: <https://teem.sourceforge.net/nrrd/format.html>; keys of segments:
//! <https://slicer.readthedocs.io/en/latest/developer_guide/modules/segmentations.html>.

use std::fmt::Write as _;
use std::path::Path;

use super::flat::Order;
use super::flat_write::FlatWriter;
use super::header::{Lines, TURNED, X_FASTEST, beside, first_of, lengths, numbers, oblique, to_zyx};
use super::partial::Progress;
use super::source::Source;
use super::stored::{Layout, Packing, Stored};
use super::{LabelTable, NRRD, OpenOptions, OutputMeta};
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::{VolumeInfo, VoxelType};

/// Opens a file; only its header is read.
///
/// # Errors
///
/// If it is no NRRD, holds other than three axes of one real number, is packed in a way not known
/// here, spread over several files, or too short.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Stored> {
    let source = Source::open(path)?;
    let lines = Lines::read(&source, b"NRRD000", str::is_empty)?;
    let field = |names: &[&str]| first_of(names, |name| lines.field(name, ':'));
    let missing = |what: &str| Error::damaged(path, format!("the header tells no {what}"));

    let kind = field(&["type"]).ok_or_else(|| missing("type"))?;
    let voxel_type = voxel_type(kind).ok_or_else(|| {
        let expected = "integers of up to 32 bits, float or double";
        Error::unsupported(path, format!("an NRRD of `{kind}` is"), expected)
    })?;
    let sizes = numbers::<usize>(field(&["sizes"]).unwrap_or_default()).ok_or_else(|| missing("sizes"))?;
    let shape = super::header::shape(path, &sizes)?;
    let (packing, raw) = match field(&["encoding"]).unwrap_or_default() {
        "raw" => (None, true),
        "gzip" | "gz" => (Some(Packing::Gzip), false),
        other => {
            let found = format!("an NRRD in the encoding `{other}` is");
            return Err(Error::unsupported(path, found, "the encoding raw or gzip"));
        }
    };
    let big_endian = match field(&["endian"]) {
        Some("big") => true,
        None if voxel_type.bytes() > 1 => return Err(missing("endian")),
        _ => false,
    };
    let mut layout =
        Layout { source, offset: 0, skip: 0, packing, shape, voxel_type, big_endian, order: Order::C };
    let mut info = VolumeInfo::new(NRRD, path, shape, voxel_type);
    let mut from = lines.end;
    if let Some(name) = field(&["data file", "datafile"]) {
        layout.source = beside(path, name)?;
        info.notes.push(format!("the voxels lie in `{name}`."));
        from = 0;
    }
    if field(&["line skip", "lineskip"]).is_some_and(|n| n != "0") {
        return Err(Error::unsupported(path, "an NRRD with lines to skip is", "`line skip: 0`"));
    }
    let skip = field(&["byte skip", "byteskip"]).map_or(Some(0), |n| n.parse::<i64>().ok());
    (layout.offset, layout.skip) = match (skip, raw) {
        (Some(-1), true) => (layout.at_end().ok_or_else(|| short(&layout))?, 0),
        (Some(skip), true) if skip >= 0 => (from.saturating_add(skip as u64), 0),
        (Some(skip), false) if skip >= 0 => (from, skip as u64),
        _ => return Err(missing("byte skip that is a number")),
    };
    scale(&lines, &mut info);
    info.notes.push(X_FASTEST.into());
    Stored::new(info, layout, options)
}

fn short(layout: &Layout) -> Error {
    Error::damaged(layout.source.path(), format!("the file is too short for {} voxels", layout.shape))
}

fn voxel_type(name: &str) -> Option<VoxelType> {
    Some(match name {
        "signed char" | "int8" | "int8_t" => VoxelType::I8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => VoxelType::U8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => VoxelType::I16,
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => VoxelType::U16,
        "int" | "signed int" | "int32" | "int32_t" => VoxelType::I32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => VoxelType::U32,
        "float" => VoxelType::F32,
        "double" => VoxelType::F64,
        _ => return None,
    })
}

/// Voxel size, unit and origin: from the directions of the axes in space, or from their spacings.
fn scale(lines: &Lines, info: &mut VolumeInfo) {
    let field = |name: &str| lines.field(name, ':');
    // A vector is written `(1,0,0)`, that of an axis without one `none`.
    let vectors = |text: &str| -> Vec<Vec<f64>> {
        text.split('(').skip(1).filter_map(|v| numbers(v.split(')').next()?)).collect()
    };
    let directions = vectors(field("space directions").unwrap_or_default());
    let size = if let [x, y, z] = &directions[..] {
        if oblique([x, y, z]) {
            info.notes.push(TURNED.into());
        }
        Some([z, y, x].map(|v| v.iter().map(|n| n * n).sum::<f64>().sqrt()))
    } else {
        field("spacings").and_then(numbers::<f64>).as_deref().and_then(to_zyx)
    };
    let Some(size) = size.and_then(lengths) else { return };
    info.voxel_size = Some(size);
    info.origin = vectors(field("space origin").unwrap_or_default()).first().and_then(|v| to_zyx(v));
    let units = field("space units").or_else(|| field("units")).unwrap_or_default();
    let unit = units.rsplit('"').find(|unit| !unit.trim().is_empty()).map(str::to_string);
    // Spaces such as left-posterior-superior are those of medicine, measured in millimetres.
    info.unit = unit.or_else(|| field("space").map(|_| "mm".to_string()));
}

/// Starts a file.
pub(super) fn create(
    path: &Path,
    shape: Shape,
    voxel_type: VoxelType,
    meta: &OutputMeta,
) -> Result<FlatWriter> {
    let progress = Progress::new(path, NRRD, shape, voxel_type)?;
    let kind = match voxel_type {
        VoxelType::U8 => "uint8",
        VoxelType::U16 => "uint16",
        _ => "float",
    };
    let mut header = format!(
        "NRRD0004\ntype: {kind}\ndimension: 3\nsizes: {} {} {}\nencoding: raw\n",
        shape.x, shape.y, shape.z
    );
    // Writing to a string cannot fail.
    if voxel_type.bytes() > 1 {
        header += "endian: little\n";
    }
    if let Some([z, y, x]) = meta.voxel_size {
        header +=
            if meta.labels.is_some() { "space: left-posterior-superior\n" } else { "space dimension: 3\n" };
        let _ = writeln!(header, "space directions: ({x},0,0) (0,{y},0) (0,0,{z})");
        let [z, y, x] = meta.origin.unwrap_or_default();
        let _ = writeln!(header, "space origin: ({x},{y},{z})");
        if let Some(unit) = &meta.unit {
            let unit = unit.replace(['"', '\n', '\r'], "");
            let _ = writeln!(header, "space units: \"{unit}\" \"{unit}\" \"{unit}\"");
        }
    }
    header += "kinds: domain domain domain\n";
    if let Some(table) = &meta.labels {
        segments(&mut header, table, shape);
    }
    header.push('\n');
    FlatWriter::create(path, progress, header.as_bytes(), false)
}

/// The keys of 3D Slicer: one segment a label above zero, which is no segment there.
fn segments(header: &mut String, table: &LabelTable, shape: Shape) {
    let labels = table.names.len().max(table.colours.len());
    let extent = format!("0 {} 0 {} 0 {}", shape.x - 1, shape.y - 1, shape.z - 1);
    for label in 1..labels {
        let id = label - 1;
        let name = table.names.get(label).cloned().unwrap_or_else(|| format!("class {label}"));
        let name = name.replace(['\n', '\r'], " ");
        let [r, g, b] = match table.colours.get(label) {
            Some(&[r, g, b, _]) => [r, g, b].map(|c| f64::from(c) / 255.0),
            None => [0.5; 3],
        };
        let _ = write!(
            header,
            "Segment{id}_ID:=Segment_{label}\nSegment{id}_Name:={name}\nSegment{id}_NameAutoGenerated:=0\n\
             Segment{id}_Color:={r:.6} {g:.6} {b:.6}\nSegment{id}_ColorAutoGenerated:=0\n\
             Segment{id}_LabelValue:={label}\nSegment{id}_Layer:=0\nSegment{id}_Extent:={extent}\n"
        );
    }
    *header += "Segmentation_MasterRepresentation:=Binary labelmap\n\
                Segmentation_ContainedRepresentationNames:=Binary labelmap|\n\
                Segmentation_ReferenceImageExtentOffset:=0 0 0\n";
}
