//! Labels within the image they belong to: `IMAGE/labels/NAME`, listed in the group `labels`.
//!
//! <https://ngff.openmicroscopy.org/0.5/#labels-md>: viewers find them through the list. The image and its
//! labels are of one version of Zarr.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::ome_zarr::is_zarr;
use super::{OmeVersion, ome_zarr_attributes};
use crate::error::{Error, Result};

/// The group that lists an image's labels.
pub(super) struct LabelsGroup {
    folder: PathBuf,
    pub(super) version: OmeVersion,
}

impl LabelsGroup {
    /// The group `path` lies in, if it is that of an image.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let folder =
            path.parent().filter(|folder| folder.file_name().is_some_and(|name| name == "labels"))?;
        let image = folder.parent().filter(|image| is_zarr(image))?;
        let version = if image.join("zarr.json").is_file() { OmeVersion::V05 } else { OmeVersion::V04 };
        Some(Self { folder: folder.to_path_buf(), version })
    }

    /// Makes the folder, so that labels can be written into it.
    pub(super) fn create(&self) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(|e| Error::write(&self.folder, e))
    }

    /// Puts a name on the list.
    pub(super) fn list(&self, name: &str) -> Result<()> {
        let mut names = self.names()?;
        if names.iter().any(|known| known == name) {
            return Ok(());
        }
        names.push(name.into());
        let mut attributes = Map::new();
        attributes.insert("labels".into(), names.into());
        for (file, value) in ome_zarr_attributes::group(self.version, attributes) {
            let (path, temporary) = (self.folder.join(file), self.folder.join(format!(".{file}.partial")));
            fs::write(&temporary, format!("{value:#}\n"))
                .and_then(|()| fs::rename(&temporary, &path))
                .map_err(|e| Error::write(&path, e))?;
        }
        Ok(())
    }

    /// The names on the list.
    fn names(&self) -> Result<Vec<Value>> {
        let file = self.folder.join(match self.version {
            OmeVersion::V04 => ".zattrs",
            OmeVersion::V05 => "zarr.json",
        });
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::read(&file, e)),
        };
        let group: Value = serde_json::from_slice(&bytes)
            .map_err(|e| Error::damaged(&file, format!("no valid JSON: {e}")))?;
        let list = match self.version {
            OmeVersion::V04 => &group["labels"],
            OmeVersion::V05 => &group["attributes"]["ome"]["labels"],
        };
        Ok(list.as_array().cloned().unwrap_or_default())
    }
}

/// Where a label image within the image finds it.
pub(super) fn source() -> Value {
    json!({ "image": "../../" })
}
