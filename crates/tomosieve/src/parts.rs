//! The result in parts, each of them whole on the disk: a stopped segmentation goes on after the last one.
//!
//! Outputs in their own formats are written from the parts at the end, so that no format has to know how to
//! be continued.

use std::path::PathBuf;

use tomosieve_volume::{
    OpenOptions, OutputKind, OutputMeta, Region, Shape, TiffCompression, VoxelType, Voxels,
};

use crate::inference::Segmented;
use crate::{Error, Result};

/// Voxels of a part, about, if a slice has no more: what a stopped segmentation loses at most.
const VOXELS: usize = 1 << 22;

/// The parts of one result: files of slices, labels first, then their confidence.
#[derive(Debug)]
pub struct Parts {
    folder: PathBuf,
    shape: Shape,
    labels: Vec<u8>,
    confidence: Vec<u8>,
}

impl Parts {
    /// The parts in `folder`, which is made if there is none, of a volume of `shape`.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be made.
    pub fn new(folder: PathBuf, shape: Shape) -> Result<Self> {
        std::fs::create_dir_all(&folder).map_err(|e| Error::file(&folder, format!("cannot be made: {e}")))?;
        Ok(Self { folder, shape, labels: Vec::new(), confidence: Vec::new() })
    }

    /// Slices of a part.
    fn depth(shape: Shape) -> usize {
        (VOXELS / shape.slice_voxels().max(1)).clamp(1, shape.z.max(1))
    }

    /// Bytes of a part, which is in memory until it is whole.
    pub fn bytes(shape: Shape) -> usize {
        2 * Self::depth(shape) * shape.slice_voxels()
    }

    /// The file of the part that begins with slice `z`.
    fn file(&self, z: usize) -> PathBuf {
        self.folder.join(format!("{z:06}.tif"))
    }

    /// Slices that are on the disk, counted from the first.
    pub fn done(&self) -> usize {
        let begins = (0..self.shape.z).step_by(Self::depth(self.shape));
        begins.into_iter().find(|z| !self.file(*z).is_file()).unwrap_or(self.shape.z)
    }

    /// Takes the slice that follows those that are [`done`](Self::done) or pushed.
    ///
    /// # Errors
    /// [`Error::Volume`] when a part cannot be written.
    pub fn push(&mut self, slice: Segmented<'_>) -> Result<()> {
        self.labels.extend_from_slice(slice.labels);
        self.confidence.extend_from_slice(slice.confidence);
        let (after, depth) = (slice.z + 1, Self::depth(self.shape));
        if !after.is_multiple_of(depth) && after != self.shape.z {
            return Ok(());
        }
        let slices = self.labels.len() / self.shape.slice_voxels();
        let shape = Shape { z: 2 * slices, ..self.shape };
        let meta = OutputMeta { compression: TiffCompression::Lzw, ..OutputMeta::default() };
        let path = self.file(after - slices);
        let mut writer = tomosieve_volume::create(OutputKind::TiffStack, &path, shape, VoxelType::U8, &meta)?;
        writer.write(Voxels::U8(&self.labels))?;
        writer.write(Voxels::U8(&self.confidence))?;
        writer.finish()?;
        self.labels.clear();
        self.confidence.clear();
        Ok(())
    }

    /// Hands every slice to `sink`, in order of z.
    ///
    /// # Errors
    /// [`Error::Volume`] when a part cannot be read, or what the sink says.
    pub fn each(&self, mut sink: impl FnMut(Segmented<'_>) -> Result<()>) -> Result<()> {
        let plane = self.shape.slice_voxels();
        let mut values = vec![0.0_f32; plane];
        let (mut labels, mut confidence) = (vec![0_u8; plane], vec![0_u8; plane]);
        for begin in (0..self.shape.z).step_by(Self::depth(self.shape)) {
            let part = tomosieve_volume::open(&self.file(begin), &OpenOptions::default())?;
            let slices = part.shape().z / 2;
            for slice in 0..slices {
                for (at, bytes) in [(slice, &mut labels), (slices + slice, &mut confidence)] {
                    part.read(&Region::slab(part.shape(), at..at + 1)?, &mut values)?;
                    bytes.iter_mut().zip(&values).for_each(|(byte, value)| *byte = *value as u8);
                }
                sink(Segmented { z: begin + slice, labels: &labels, confidence: &confidence })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_come_back_in_order_and_a_broken_off_part_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape::new(5, 1024, 2048); // two slices to a part
        let push = |parts: &mut Parts, z: usize| {
            let (labels, confidence) = (vec![z as u8; 1 << 21], vec![100 + z as u8; 1 << 21]);
            parts.push(Segmented { z, labels: &labels, confidence: &confidence }).unwrap();
        };
        let mut parts = Parts::new(folder.path().join("parts"), shape).unwrap();
        (0..3).for_each(|z| push(&mut parts, z));
        assert_eq!(parts.done(), 2);

        let mut again = Parts::new(folder.path().join("parts"), shape).unwrap();
        assert_eq!(again.done(), 2);
        (2..5).for_each(|z| push(&mut again, z));
        assert_eq!(again.done(), 5);
        let mut seen = Vec::new();
        again
            .each(|slice| {
                assert!(slice.labels.iter().all(|&label| usize::from(label) == slice.z));
                assert!(slice.confidence.iter().all(|&sure| usize::from(sure) == 100 + slice.z));
                seen.push(slice.z);
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }
}
