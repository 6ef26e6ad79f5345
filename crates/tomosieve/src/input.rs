//! The volume a run works on: its reader, and a fingerprint by which a run knows it again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tomosieve_volume::{OpenOptions, Region, Shape, VolumeReader};

use crate::Result;

/// Slices that go into a fingerprint.
const FINGERPRINT_SLICES: usize = 16;

/// An opened volume.
pub struct Input {
    /// Where it was found.
    pub path: PathBuf,
    /// Its voxels.
    pub reader: Box<dyn VolumeReader>,
    /// SHA-256 over shape, type and up to 16 evenly spaced slices: the same for the same voxels,
    /// wherever they lie.
    pub fingerprint: String,
}

impl Input {
    /// Opens the volume at `path`.
    ///
    /// # Errors
    /// What the reader says of a path that holds no readable volume.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        let reader = tomosieve_volume::open(path, options)?;
        let fingerprint = fingerprint(reader.as_ref())?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { path, reader, fingerprint })
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        self.reader.shape()
    }
}

/// Hash of the volume's shape, type and evenly spaced slices.
fn fingerprint(reader: &dyn VolumeReader) -> Result<String> {
    let shape = reader.shape();
    let picked = shape.z.min(FINGERPRINT_SLICES);
    let digests: Vec<[u8; 32]> = (0..picked)
        .into_par_iter()
        .map(|i| {
            let z = if picked > 1 { i * (shape.z - 1) / (picked - 1) } else { 0 };
            let mut slice = vec![0.0_f32; shape.slice_voxels()];
            reader.read(&Region::slab(shape, z..z + 1)?, &mut slice)?;
            let mut hash = Sha256::new();
            for block in slice.chunks(4096) {
                let bytes: Vec<u8> = block.iter().flat_map(|v| v.to_le_bytes()).collect();
                hash.update(&bytes);
            }
            Ok(hash.finalize().into())
        })
        .collect::<Result<_>>()?;
    let mut hash = Sha256::new();
    hash.update(format!("{shape} {}", reader.info().voxel_type));
    digests.iter().for_each(|digest| hash.update(digest));
    Ok(hex(&hash.finalize()))
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a string cannot fail
        text
    })
}
