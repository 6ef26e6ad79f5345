//! Reading ahead: threads of their own read the next slab while the last one is worked on, so that
//! nobody who has something to compute waits for a disk.

use std::sync::mpsc::{channel, sync_channel};

use crate::error::Error;
use crate::slab::{Slabs, whole_layers};
use crate::volume::VolumeReader;
use crate::voxels::{VoxelBuffer, Voxels};

/// Hands the voxels of `volume` to `each` in slabs of `depth` slices, in z order, until it answers
/// that it wants no more; returns whether it got all.
///
/// Two slabs are in memory, the one at hand and the next, in the type that [`VolumeReader::read_native`] hands out.
///
/// # Errors
///
/// If the volume cannot be read or there are no threads to read with ([`Error::Threads`]), and what
/// `each` fails with.
///
/// ```
/// use tomosieve_volume::{Error, Memory, Shape, Voxels, read_ahead};
///
/// let volume = Memory::new(Shape::new(3, 1, 2), vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])?;
/// let mut slabs = Vec::new();
/// let whole = read_ahead(&volume, 2, |voxels| {
///     let Voxels::F32(values) = voxels else { panic!("it is in memory as f32") };
///     slabs.push(values.to_vec());
///     Ok::<_, Error>(true)
/// })?;
/// assert!(whole);
/// assert_eq!(slabs, [vec![0.0, 1.0, 2.0, 3.0], vec![4.0, 5.0]]);
/// # Ok::<(), Error>(())
/// ```
pub fn read_ahead<E: From<Error>>(
    volume: &dyn VolumeReader,
    depth: usize,
    mut each: impl FnMut(Voxels<'_>) -> Result<bool, E>,
) -> Result<bool, E> {
    let shape = volume.shape();
    let readers = rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads()).build();
    let readers = readers.map_err(|e| Error::Threads { what: e.to_string() })?;
    std::thread::scope(|scope| {
        // Two buffers go round: one is read into while the other is looked at.
        let (give_back, emptied) = channel();
        for _ in 0..2 {
            let _ = give_back.send(VoxelBuffer::default());
        }
        let (send, filled) = sync_channel(0);
        scope.spawn(move || {
            for slab in Slabs::new(shape, depth, 0) {
                let Ok(mut buffer) = emptied.recv() else { break };
                let read = slab.region(shape);
                let read = read.and_then(|at| readers.install(|| volume.read_native(&at, &mut buffer)));
                if send.send(read.map(|()| buffer)).is_err() {
                    break; // nobody wants more
                }
            }
        });
        for buffer in filled {
            let buffer = buffer?;
            if !each(buffer.voxels())? {
                return Ok(false);
            }
            let _ = give_back.send(buffer); // after the last slab nobody takes it
        }
        Ok(true)
    })
}

/// Bytes of a slab that a processor's cache holds until they are worked on.
const CACHED: usize = 1 << 23;

/// Slices of the slabs in which a volume is best streamed: as many as stay in the processor's cache, but one for each
/// thread, and in whole layers of what decodes together; `most` that memory allows.
pub fn slab_depth(volume: &dyn VolumeReader, most: usize) -> usize {
    let shape = volume.shape();
    let layer = volume.slices_at_once().clamp(1, shape.z.max(1));
    let bytes = shape.slice_voxels().saturating_mul(volume.info().voxel_type.native().bytes());
    let enough = (CACHED / bytes.max(1)).max(rayon::current_num_threads());
    whole_layers(most.min(enough.next_multiple_of(layer)), layer)
}
