//! Outputs grow under a temporary name and take their own only when they are whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::VoxelType;
use crate::voxels::Voxels;

/// A file or folder under `.<name>.partial`; removed when dropped before [`Partial::commit`].
#[derive(Debug)]
pub(crate) struct Partial {
    temporary: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl Partial {
    /// The temporary name beside `target`, free of what an interrupted run may have left there.
    pub(crate) fn new(target: &Path) -> Result<Self> {
        let name = target.file_name().ok_or_else(|| {
            let nameless = io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name");
            Error::write(target, nameless)
        })?;
        let temporary = target.with_file_name(format!(".{}.partial", name.display()));
        remove(&temporary).map_err(|e| Error::write(&temporary, e))?;
        Ok(Self { temporary, target: target.to_path_buf(), committed: false })
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    /// The final name.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    pub(crate) fn create_file(&self) -> Result<File> {
        File::create(&self.temporary).map_err(|e| Error::write(&self.target, e))
    }

    pub(crate) fn create_folder(&self) -> Result<()> {
        fs::create_dir(&self.temporary).map_err(|e| Error::write(&self.target, e))
    }

    /// Flushes everything to the disk and gives it the final name.
    pub(crate) fn commit(mut self) -> Result<()> {
        self.rename().map_err(|e| Error::write(&self.target, e))?;
        self.committed = true;
        Ok(())
    }

    fn rename(&self) -> io::Result<()> {
        sync_all(&self.temporary)?;
        // A file replaces a file in one step. A folder must make way first; it is kept aside
        // until the new one has its name, so that one of the two is always there.
        let aside = self.temporary.with_extension("replaced");
        let in_the_way = self.target.is_dir() || (self.temporary.is_dir() && self.target.exists());
        if in_the_way {
            remove(&aside)?;
            fs::rename(&self.target, &aside)?;
        }
        if let Err(e) = fs::rename(&self.temporary, &self.target) {
            if in_the_way {
                fs::rename(&aside, &self.target)?;
            }
            return Err(e);
        }
        sync_folder_of(&self.target)?;
        if in_the_way { remove(&aside) } else { Ok(()) }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing can be done about a failure here, and the next run tries again.
            let _ = remove(&self.temporary);
        }
    }
}

/// Removes a file or a folder with all it holds; what is not there is fine.
fn remove(path: &Path) -> io::Result<()> {
    let gone = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match gone {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn sync_all(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        return File::open(path)?.sync_all();
    }
    for entry in fs::read_dir(path)? {
        sync_all(&entry?.path())?;
    }
    sync_folder(path)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Folders cannot be flushed elsewhere.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Counts the slices that came against those announced; every writer asks it first.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) shape: Shape,
    pub(crate) voxel_type: VoxelType,
    pub(crate) written: usize,
    format: &'static str,
}

impl Progress {
    /// Checks that the output can be counted and its type written.
    pub(crate) fn new(
        target: &Path,
        format: &'static str,
        shape: Shape,
        voxel_type: VoxelType,
    ) -> Result<Self> {
        let storable = [VoxelType::U8, VoxelType::U16, VoxelType::F32];
        if !storable.contains(&voxel_type) {
            return Err(Error::OutputType {
                path: target.to_path_buf(),
                found: voxel_type,
                format,
                expected: "uint8, uint16 or float32".into(),
            });
        }
        if shape.voxels() == 0 || shape.checked_bytes(voxel_type.bytes()).is_none() {
            return Err(Error::OutputSlices {
                path: target.to_path_buf(),
                found: format!("a volume of {shape} voxels cannot be written"),
                expected: "at least one voxel along each axis and at most 2^63 bytes".into(),
            });
        }
        Ok(Self { shape, voxel_type, written: 0, format })
    }

    /// Checks the voxels that come next; returns how many slices they are.
    pub(crate) fn check(&self, target: &Path, voxels: Voxels<'_>) -> Result<usize> {
        if voxels.voxel_type() != self.voxel_type {
            return Err(Error::OutputType {
                path: target.to_path_buf(),
                found: voxels.voxel_type(),
                format: self.format,
                expected: format!("{}, as announced", self.voxel_type),
            });
        }
        let slice = self.shape.slice_voxels();
        let slices = voxels.len() / slice;
        if !voxels.len().is_multiple_of(slice) || self.written + slices > self.shape.z {
            return Err(Error::OutputSlices {
                path: target.to_path_buf(),
                found: format!("{} voxels came after slice {}", voxels.len(), self.written),
                expected: format!("whole slices of {slice} voxels, {} in all", self.shape.z),
            });
        }
        Ok(slices)
    }

    /// Checks that every slice came.
    pub(crate) fn check_complete(&self, target: &Path) -> Result<()> {
        if self.written == self.shape.z {
            return Ok(());
        }
        Err(Error::OutputSlices {
            path: target.to_path_buf(),
            found: format!("only {} slices were written", self.written),
            expected: format!("{}", self.shape.z),
        })
    }
}
