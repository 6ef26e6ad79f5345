//! Writing a header and then the voxels, one after another: `.npy`, NRRD, MHA, NIfTI.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::convert::little_endian;
use super::partial::{Partial, Progress};
use crate::error::{Error, Result};
use crate::volume::VolumeWriter;
use crate::voxels::Voxels;

/// Writes a file of a header and little-endian voxels.
pub(super) struct FlatWriter {
    partial: Partial,
    progress: Progress,
    file: Sink,
}

enum Sink {
    Plain(File),
    Gzip(GzEncoder<File>),
}

impl FlatWriter {
    /// Starts the file; with `gzip` all of it, the header too, is packed as one stream.
    pub(super) fn create(path: &Path, progress: Progress, header: &[u8], gzip: bool) -> Result<Self> {
        let partial = Partial::new(path)?;
        let file = partial.create_file()?;
        // No name and no time in gzip's header: the same voxels give the same bytes.
        let file =
            if gzip { Sink::Gzip(GzEncoder::new(file, Compression::fast())) } else { Sink::Plain(file) };
        let mut writer = Self { partial, progress, file };
        writer.put(header)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Sink::Plain(file) => file.write_all(bytes),
            Sink::Gzip(file) => file.write_all(bytes),
        }
        .map_err(|e| Error::write(self.partial.target(), e))
    }
}

impl VolumeWriter for FlatWriter {
    fn write(&mut self, voxels: Voxels<'_>) -> Result<()> {
        let slices = self.progress.check(self.partial.target(), voxels)?;
        self.put(&little_endian(voxels))?;
        self.progress.written += slices;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.progress.check_complete(self.partial.target())?;
        if let Sink::Gzip(file) = self.file {
            file.finish().map_err(|e| Error::write(self.partial.target(), e))?;
        }
        self.partial.commit()
    }
}
