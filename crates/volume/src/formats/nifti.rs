//! NIfTI-1 and -2: `.nii`, the pair `.hdr` and `.img`, and `.nii.gz`.
//!
//! A `.nii.gz` is one packed stream: see `stored.rs` for what that costs.
//! Format: <https://nifti.nimh.nih.gov/nifti-1> and <https://nifti.nimh.nih.gov/nifti-2>.

use std::io::Read;
use std::path::Path;

use super::binary::Fields;
use super::flat::Order;
use super::flat_write::FlatWriter;
use super::header::{TURNED, X_FASTEST, lengths};
use super::partial::Progress;
use super::source::Source;
use super::stored::{Layout, Packing, Stored, unpack};
use super::{NIFTI, OpenOptions, OutputMeta, units};
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::{VolumeInfo, VoxelType};

const HEADER_1: usize = 348;
const HEADER_2: usize = 540;
/// The name, the code and the voxel type of what can be read.
const TYPES: [(i16, VoxelType); 9] = [
    (2, VoxelType::U8),
    (4, VoxelType::I16),
    (8, VoxelType::I32),
    (16, VoxelType::F32),
    (64, VoxelType::F64),
    (256, VoxelType::I8),
    (512, VoxelType::U16),
    (768, VoxelType::U32),
    // Not of the standard; some programs write half floats so.
    (16_384, VoxelType::F16),
];
/// Codes and names of units.
const UNITS: [(i32, &str); 3] = [(1, "m"), (2, "mm"), (3, "µm")];

/// Where the fields of a version lie.
struct Version {
    /// 1 or 2.
    number: u8,
    header: usize,
    fields: Fields,
}

impl Version {
    /// Recognises version and byte order by the header's length, which is its first field.
    fn of(path: &Path, bytes: &[u8]) -> Result<Self> {
        for big_endian in [false, true] {
            let fields = Fields { bytes: bytes.to_vec(), big_endian };
            let found = match fields.i32(0) {
                Some(348) => (1, HEADER_1),
                Some(540) => (2, HEADER_2),
                _ => continue,
            };
            if fields.bytes.len() >= found.1 {
                return Ok(Self { number: found.0, header: found.1, fields });
            }
        }
        Err(Error::unsupported(path, "a file without a NIfTI header is", "a .nii, .nii.gz or .hdr file"))
    }

    /// The field that lies at `one` in version 1 as a smaller type, and at `two` in version 2.
    fn int(&self, one: usize, two: usize) -> Option<i64> {
        if self.number == 1 { self.fields.i16(one).map(i64::from) } else { self.fields.i64(two) }
    }

    fn float(&self, one: usize, two: usize) -> Option<f64> {
        if self.number == 1 { self.fields.f32(one).map(f64::from) } else { self.fields.f64(two) }
    }

    fn code(&self, one: usize, two: usize) -> Option<i32> {
        if self.number == 1 { self.fields.i16(one).map(i32::from) } else { self.fields.i32(two) }
    }
}

/// Opens a file; only its header is read.
///
/// # Errors
///
/// If it is no NIfTI, holds other than three axes of one real number, or is too short.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Stored> {
    let mut source = Source::open(path)?;
    let mut start = [0; 2];
    let packed = source.read_at(0, &mut start).is_ok() && start == [0x1f, 0x8b];
    let mut bytes = vec![0; HEADER_2.min(if packed { HEADER_2 } else { source.len() as usize })];
    if packed {
        let mut read = Vec::new();
        let stream = unpack(&source, 0, Packing::Gzip);
        stream
            .take(HEADER_2 as u64)
            .read_to_end(&mut read)
            .map_err(|e| Error::damaged(path, format!("the packed stream: {e}")))?;
        bytes = read;
    } else {
        source.read_at(0, &mut bytes)?;
    }
    let version = Version::of(path, &bytes)?;
    let damaged = |what: &str| Error::damaged(path, format!("the header tells no {what}"));
    let fields = &version.fields;
    let dims =
        version.int(40, 16).filter(|n| (1..=7).contains(n)).ok_or_else(|| damaged("number of axes"))?;
    let sizes: Option<Vec<usize>> =
        (1..=dims as usize).map(|n| usize::try_from(version.int(40 + 2 * n, 16 + 8 * n)?).ok()).collect();
    let shape = super::header::shape(path, &sizes.ok_or_else(|| damaged("sizes that can be"))?)?;
    let code = fields.i16(if version.number == 1 { 70 } else { 12 }).unwrap_or_default();
    let voxel_type = TYPES.iter().find(|(known, _)| *known == code).map(|(_, t)| *t).ok_or_else(|| {
        let expected = "integers of up to 32 bits, or floats";
        Error::unsupported(path, format!("a NIfTI of type {code} is"), expected)
    })?;
    let mut info = VolumeInfo::new(NIFTI, path, shape, voxel_type);
    let offset =
        if version.number == 1 { fields.f32(108).map(f64::from) } else { fields.i64(168).map(|n| n as f64) };
    let mut offset = offset.filter(|&n| (0.0..9e15).contains(&n)).ok_or_else(|| damaged("offset"))? as u64;
    if fields.bytes.get(if version.number == 1 { 344..346 } else { 4..6 }) == Some(b"ni") {
        source = Source::open(&path.with_extension("img"))?;
        info.notes.push("the voxels lie in the `.img` file beside the header.".into());
    } else {
        offset = offset.max(version.header as u64);
    }
    scale(&version, &mut info);
    info.notes.push(X_FASTEST.into());
    let (offset, skip, packing) = if packed { (0, offset, Some(Packing::Gzip)) } else { (offset, 0, None) };
    let big_endian = fields.big_endian;
    let layout = Layout { source, offset, skip, packing, shape, voxel_type, big_endian, order: Order::C };
    let [slope, intercept] =
        [(112, 176), (116, 184)].map(|(one, two)| version.float(one, two).unwrap_or_default() as f32);
    Ok(Stored::new(info, layout, options)?.scaled(slope, intercept))
}

/// Voxel size, unit and origin.
fn scale(version: &Version, info: &mut VolumeInfo) {
    let size = [3, 2, 1].map(|n| version.float(76 + 4 * n, 104 + 8 * n).unwrap_or_default().abs());
    let code = match version.number {
        1 => version.fields.bytes.get(123).map(|&code| i32::from(code)),
        _ => version.fields.i32(500),
    };
    let unit = UNITS.iter().find(|(known, _)| Some(known & 7) == code.map(|code| code & 7));
    let Some(size) = lengths(size) else { return };
    // Files that tell nothing hold ones without a unit.
    if unit.is_none() && size == [1.0; 3] {
        return;
    }
    info.voxel_size = Some(size);
    info.unit = unit.map(|(_, name)| (*name).to_string());
    let affine = version.code(254, 348).unwrap_or_default() > 0;
    let turned = version.code(252, 344).unwrap_or_default() > 0;
    // The rows of the affine, or of the offset a rotation is followed by.
    let at = |one: usize, two: usize| version.float(one, two).filter(|n| n.is_finite()).unwrap_or_default();
    if affine {
        info.origin = Some([2, 1, 0].map(|row| at(280 + 16 * row + 12, 400 + 32 * row + 24)));
        let cell = |row: usize, column: usize| at(280 + 16 * row + 4 * column, 400 + 32 * row + 8 * column);
        let mirrored = (0..3).any(|n| cell(n, n) < 0.0);
        if mirrored || (0..9).any(|n| n / 3 != n % 3 && cell(n / 3, n % 3) != 0.0) {
            info.notes.push(TURNED.into());
        }
    } else if turned {
        info.origin = Some([2, 1, 0].map(|row| at(268 + 4 * row, 376 + 8 * row)));
    }
}

/// Starts a file; NIfTI-2 where an axis is longer than version 1 can count.
pub(super) fn create(
    path: &Path,
    shape: Shape,
    voxel_type: VoxelType,
    meta: &OutputMeta,
) -> Result<FlatWriter> {
    let progress = Progress::new(path, NIFTI, shape, voxel_type)?;
    let gzip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let header = header(shape, voxel_type, meta);
    FlatWriter::create(path, progress, &header, gzip)
}

fn header(shape: Shape, voxel_type: VoxelType, meta: &OutputMeta) -> Vec<u8> {
    let axes = [3, shape.x, shape.y, shape.z, 1, 1, 1, 1];
    let one = axes.iter().all(|&n| i16::try_from(n).is_ok());
    let code = TYPES.iter().find(|(_, t)| *t == voxel_type).map_or(0, |(code, _)| *code);
    // The units there are; others are turned into micrometres.
    let unit = meta.unit.as_deref().filter(|_| meta.voxel_size.is_some());
    let kept = UNITS.iter().find(|(_, name)| unit.is_some_and(|unit| units::ratio(unit, name) == Some(1.0)));
    let known = kept
        .or_else(|| UNITS.iter().rev().find(|(_, name)| unit.and_then(|u| units::ratio(u, name)).is_some()));
    let ratio = known.zip(unit).and_then(|((_, name), unit)| units::ratio(unit, name)).unwrap_or(1.0);
    let unit_code = known.map_or(0, |(code, _)| *code);
    let size = meta.voxel_size.unwrap_or([1.0; 3]).map(|n| n * ratio);
    let origin = meta.origin.unwrap_or_default().map(|n| n * ratio);
    let mut bytes = Vec::new();
    let len = if one { HEADER_1 } else { HEADER_2 };
    bytes.resize(len + 4, 0u8);
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    let real =
        |value: f64| if one { (value as f32).to_le_bytes().to_vec() } else { value.to_le_bytes().to_vec() };
    put(0, &(len as i32).to_le_bytes());
    put(if one { 344 } else { 4 }, if one { b"n+1\0" } else { b"n+2\0\r\n\x1a\n" });
    put(if one { 70 } else { 12 }, &code.to_le_bytes());
    put(if one { 72 } else { 14 }, &(8 * voxel_type.bytes() as i16).to_le_bytes());
    for (n, &axis) in axes.iter().enumerate() {
        let value =
            if one { (axis as i16).to_le_bytes().to_vec() } else { (axis as i64).to_le_bytes().to_vec() };
        put(if one { 40 + 2 * n } else { 16 + 8 * n }, &value);
    }
    for (n, value) in [1.0, size[2], size[1], size[0], 1.0, 1.0, 1.0, 1.0].into_iter().enumerate() {
        put(if one { 76 + 4 * n } else { 104 + 8 * n }, &real(value));
    }
    let offset = (len + 4) as i64;
    if one {
        put(108, &(offset as f32).to_le_bytes());
        put(123, &[unit_code as u8]);
    } else {
        put(168, &offset.to_le_bytes());
        put(500, &unit_code.to_le_bytes());
    }
    put(if one { 112 } else { 176 }, &real(1.0));
    if meta.voxel_size.is_some() {
        // "Scanner" coordinates, told by the affine.
        put(if one { 254 } else { 348 }, &1i32.to_le_bytes()[..if one { 2 } else { 4 }]);
        for row in 0..3 {
            let (diagonal, shift) = if one { (4 * row, 12) } else { (8 * row, 24) };
            let start = if one { 280 + 16 * row } else { 400 + 32 * row };
            put(start + diagonal, &real(size[2 - row]));
            put(start + shift, &real(origin[2 - row]));
        }
    }
    bytes
}
