//! A volume from one form into another, slab by slab.

use std::path::Path;
use std::sync::mpsc::sync_channel;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::region::Shape;
use crate::slab::{Slabs, depth_for, whole_layers};
use crate::volume::{VolumeReader, VolumeWriter, VoxelType, Voxels};

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
/// While a slab is written the next one is read, so two of them are in memory, as `f32` and as
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
    let shape = volume.shape();
    let depth = depth(volume, memory)?;
    let (send, receive) = sync_channel(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for slab in Slabs::new(shape, depth, 0) {
                let read = slab.region(shape).and_then(|region| {
                    let mut voxels = vec![0.0; region.voxels()];
                    volume.read(&region, &mut voxels).map(|()| voxels)
                });
                // Nobody takes it where writing failed or was stopped.
                if send.send(read).is_err() {
                    return;
                }
            }
        });
        for voxels in receive {
            let voxels = voxels?;
            write(writer.as_mut(), &voxels, voxel_type, &volume.info().source)?;
            if !step(voxels.len() / shape.slice_voxels()) {
                return Ok(false);
            }
        }
        writer.finish().map(|()| true)
    })
}

/// Slices to a slab: as many as memory allows, in whole layers of what decodes together.
fn depth(volume: &dyn VolumeReader, memory: u64) -> Result<usize> {
    let shape: Shape = volume.shape();
    let layer = volume.slices_at_once().clamp(1, shape.z.max(1));
    let slice = shape.slice_voxels() as u64;
    // Two slabs as `f32`, and one as the bytes that are written and packed.
    let fits = depth_for(memory, slice.saturating_mul(16), 0, 0)?;
    // More than this at a time is no faster.
    let enough = usize::try_from((1 << 24) / slice.max(1)).unwrap_or(usize::MAX).max(1);
    let depth = fits.min(enough.next_multiple_of(layer));
    Ok(whole_layers(depth, layer))
}

/// Voxels that a thread casts at a time.
const PART: usize = 1 << 14;

fn write(writer: &mut dyn VolumeWriter, voxels: &[f32], voxel_type: VoxelType, source: &Path) -> Result<()> {
    macro_rules! cast {
        ($type:ty, $kind:ident) => {{
            let cast: Vec<$type> = voxels.par_iter().with_min_len(PART).map(|&v| v as $type).collect();
            let kept = |value: &f32, cast: &$type| f32::from(*cast) == *value;
            let changed = |(values, cast): (&[f32], &[$type])| {
                // Counting first is quick, looking for the place is not.
                if values.iter().zip(cast).filter(|(v, c)| kept(v, c)).count() == values.len() {
                    return None;
                }
                values.iter().zip(cast).find(|(v, c)| !kept(v, c)).map(|(v, _)| *v)
            };
            let parts = voxels.par_chunks(PART).zip(cast.par_chunks(PART));
            if let Some(found) = parts.map(changed).find_map_first(|changed| changed) {
                return Err(Error::Value { path: source.to_path_buf(), found, expected: voxel_type });
            }
            writer.write(Voxels::$kind(&cast))
        }};
    }
    match voxel_type {
        VoxelType::U8 => cast!(u8, U8),
        VoxelType::U16 => cast!(u16, U16),
        _ => writer.write(Voxels::F32(voxels)),
    }
}
