//! A volume from one form into another, slab by slab.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::read_ahead::{read_ahead, slab_depth};
use crate::slab::depth_for;
use crate::volume::{VolumeReader, VolumeWriter, VoxelType};
use crate::voxels::Voxels;

/// The output type that keeps an input's values: itself where it can be written. Labels of a wider
/// type are counted on to fit 16 bits.
pub fn output_type(input: VoxelType, labels: bool) -> VoxelType {
    match input {
        VoxelType::U8 => VoxelType::U8,
        VoxelType::U16 => VoxelType::U16,
        VoxelType::I8 if labels => VoxelType::U8,
        VoxelType::I16 | VoxelType::U32 | VoxelType::I32 if labels => VoxelType::U16,
        _ => VoxelType::F32,
    }
}

/// Copies all voxels of `volume` into `writer` and finishes it; `false` if `step` asked for a stop.
///
/// While a slab is written the next one is read, so two of them are in memory, as they are read and as
/// what is written: `memory` bytes at most, or else what decodes together. `step` is told how many
/// slices more are written, and answers whether to go on.
///
/// # Errors
///
/// If the volume cannot be read or the output cannot be written, or a value does not fit
/// `voxel_type` ([`Error::Value`]): nothing is rounded or cut.
pub fn copy(
    volume: &dyn VolumeReader,
    mut writer: Box<dyn VolumeWriter>,
    voxel_type: VoxelType,
    memory: u64,
    step: &mut dyn FnMut(usize) -> bool,
) -> Result<bool> {
    let depth = depth(volume, voxel_type, memory)?;
    let slice = volume.shape().slice_voxels();
    let unfit = |found| Error::Value { path: volume.info().source.clone(), found, expected: voxel_type };
    let (mut bytes, mut words, mut floats) = (Vec::new(), Vec::new(), Vec::new());
    let whole = read_ahead(volume, depth, |voxels| -> Result<bool> {
        if voxels.voxel_type() == voxel_type {
            writer.write(voxels)?;
        } else {
            let values = voxels.as_f32(&mut floats);
            writer.write(match voxel_type {
                VoxelType::U8 => Voxels::U8(cast(values, &mut bytes, |v| last_bits(v) as u8).map_err(unfit)?),
                VoxelType::U16 => {
                    Voxels::U16(cast(values, &mut words, |v| last_bits(v) as u16).map_err(unfit)?)
                }
                _ => Voxels::F32(values),
            })?;
        }
        Ok(step(voxels.len() / slice))
    })?;
    if whole {
        writer.finish()?;
    }
    Ok(whole)
}

/// Slices to a slab: as many as pay, if memory allows.
fn depth(volume: &dyn VolumeReader, written: VoxelType, memory: u64) -> Result<usize> {
    let read = volume.info().voxel_type.native();
    // Two slabs as they are read, one that is written, as it is and packed, and one on the way from type to type.
    let between = if read == written || read == VoxelType::F32 { 0 } else { size_of::<f32>() };
    let voxel = (2 * read.bytes() + 2 * written.bytes() + between) as u64;
    let slice = volume.shape().slice_voxels() as u64;
    Ok(slab_depth(volume, depth_for(memory, slice.saturating_mul(voxel), 0, 0)?))
}

/// Voxels that a thread casts at a time.
const PART: usize = 1 << 14;

/// The bits of a whole number from 0 to 2^23, in a way that the compiler makes vectors of; of another
/// value, those of any number.
fn last_bits(value: f32) -> u32 {
    const ONES: f32 = (1 << 23) as f32; // from here on a float's last bit is worth one
    (value + ONES).to_bits()
}

/// The values as another type, in a buffer kept for them; or else the first that it does not hold.
fn cast<'a, T>(
    values: &[f32],
    buffer: &'a mut Vec<T>,
    convert: impl Fn(f32) -> T + Sync,
) -> std::result::Result<&'a [T], f32>
where
    T: Copy + Default + Send,
    f32: From<T>,
{
    buffer.resize(values.len(), T::default());
    let changed = |(values, cast): (&[f32], &mut [T])| {
        // Whether one is changed is told quickly, which one is not.
        let mut kept = true;
        for (&value, cast) in values.iter().zip(&mut *cast) {
            *cast = convert(value);
            kept &= f32::from(*cast) == value;
        }
        let mut pairs = values.iter().zip(cast);
        if kept { None } else { pairs.find(|(value, cast)| f32::from(**cast) != **value).map(|(v, _)| *v) }
    };
    let parts = values.par_chunks(PART).zip(buffer.par_chunks_mut(PART));
    match parts.map(changed).find_map_first(|changed| changed) {
        Some(found) => Err(found),
        None => Ok(buffer),
    }
}
