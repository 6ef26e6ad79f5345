//! MRC-2014: what electron tomography writes, `.mrc`, `.rec`, `.map`.
//!
//! Format: <https://www.ccpem.ac.uk/mrc_format/mrc2014.php>.

use std::path::Path;

use super::binary::Fields;
use super::flat::Order;
use super::header::lengths;
use super::source::Source;
use super::stored::{Layout, Stored};
use super::{MRC, OpenOptions};
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::{VolumeInfo, VoxelType};

const HEADER: usize = 1024;

/// Opens a file; only its header is read.
///
/// # Errors
///
/// If it is no MRC file, its mode is none of real numbers, its axes are in an order other than
/// x, y, z or z, y, x, or it is too short.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Stored> {
    let source = Source::open(path)?;
    let not_mrc = || Error::unsupported(path, "a file without an MRC header is", "an MRC-2014 file");
    let mut bytes = vec![0; HEADER];
    source.read_at(0, &mut bytes).map_err(|_| not_mrc())?;
    let mut fields = Fields { bytes, big_endian: false };
    // The machine stamp tells the byte order; where old programs left it out, the axes' numbers do.
    fields.big_endian = match fields.bytes[212..214] {
        [0x44, 0x44 | 0x41] => false,
        [0x11, 0x11] => true,
        _ => !(1..=3).contains(&fields.i32(64).unwrap_or_default()),
    };
    let word = |number: usize| fields.i32(4 * (number - 1)).unwrap_or_default();
    let size = |number| usize::try_from(word(number)).ok().filter(|&n| n > 0).ok_or_else(not_mrc);
    let file = [size(1)?, size(2)?, size(3)?];
    let voxel_type = match word(4) {
        0 => VoxelType::I8,
        1 => VoxelType::I16,
        2 => VoxelType::F32,
        6 => VoxelType::U16,
        12 => VoxelType::F16,
        mode => {
            let found = format!("an MRC file of mode {mode} is");
            return Err(Error::unsupported(path, found, "mode 0, 1, 2, 6 or 12"));
        }
    };
    // Columns, rows and sections of the file run along these axes; 0 is left by old programs.
    let (shape, order) = match [word(17), word(18), word(19)] {
        [1, 2, 3] | [0, 0, 0] => (Shape::new(file[2], file[1], file[0]), Order::C),
        [3, 2, 1] => (Shape::new(file[0], file[1], file[2]), Order::Fortran),
        other => {
            let found = format!("an MRC file with its axes in the order {other:?} is");
            return Err(Error::unsupported(path, found, "the order [1, 2, 3] or [3, 2, 1]"));
        }
    };
    let mut info = VolumeInfo::new(MRC, path, shape, voxel_type);
    if order == Order::Fortran {
        info.notes.push("z runs fastest in it: each slab reads through the whole file.".into());
    }
    let real = |number: usize| f64::from(fields.f32(4 * (number - 1)).unwrap_or_default());
    // The cell's edges in ångström, over the samples along each.
    let edges = [(13, 10), (12, 9), (11, 8)].map(|(cell, samples)| real(cell) / f64::from(word(samples)));
    info.voxel_size = lengths(edges);
    if info.voxel_size.is_some() {
        info.unit = Some("angstrom".into());
        let origin = [52, 51, 50].map(real);
        info.origin = origin.iter().all(|n| n.is_finite()).then_some(origin);
    }
    info.notes.push("the axes are taken as the header tells them: x, y, z.".into());
    let extended = u64::try_from(word(24)).unwrap_or_default();
    let big_endian = fields.big_endian;
    let layout = Layout {
        source,
        offset: HEADER as u64 + extended,
        skip: 0,
        packing: None,
        shape,
        voxel_type,
        big_endian,
        order,
    };
    Stored::new(info, layout, options)
}
