//! The run folder: the only place where stages meet. Every file name stands here, once.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tomosieve_volume::{
    LabelTable, OpenOptions, OutputKind, OutputMeta, Shape, TiffCompression, VolumeReader, VolumeWriter,
    VoxelType,
};

use crate::input::Input;
use crate::{Error, Result};

/// A folder that holds everything one run reads and writes besides the volume itself.
#[derive(Debug, Clone)]
pub struct RunDir {
    root: PathBuf,
}

impl RunDir {
    /// The run folder at `root`, made if there is none.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be made or written to.
    pub fn create(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root)
            .map_err(|e| Error::file(root, format!("cannot make the run folder: {e}")))?;
        let probe = root.join(".writable");
        std::fs::write(&probe, b"")
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|e| Error::file(root, format!("the run folder cannot be written to: {e}")))?;
        Ok(Self { root: root.to_owned() })
    }

    /// The run folder at `root`, which must exist.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no run in it.
    pub fn open(root: &Path) -> Result<Self> {
        let run = Self { root: root.to_owned() };
        if run.config().is_file() {
            return Ok(run);
        }
        Err(Error::Input(format!(
            "`{}`: not a run folder (no config.toml in it); `tomosieve segment VOLUME -o {}` makes one",
            root.display(),
            root.display()
        )))
    }

    /// A run folder that is never written to, for looking at a volume.
    pub fn beside(path: &Path) -> Self {
        Self { root: path.to_owned() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// Which stages are done, from what.
    pub fn stages(&self) -> PathBuf {
        self.root.join("stages.json")
    }

    /// Who made this, from what, with what, how fast.
    pub fn provenance(&self) -> PathBuf {
        self.root.join("provenance.json")
    }

    /// The fitted clustering and the scale of grey values.
    pub fn clusters(&self) -> PathBuf {
        self.root.join("clusters.json")
    }

    /// How many classes were found, and why.
    pub fn classes(&self) -> PathBuf {
        self.root.join("classes.json")
    }

    /// How many classes were learned instead of more.
    pub fn merged(&self) -> PathBuf {
        self.root.join("merged.json")
    }

    /// Where the number of classes is looked for.
    pub fn trial(&self) -> PathBuf {
        self.root.join("classes")
    }

    /// Curves over the number of classes.
    pub fn scan(&self) -> PathBuf {
        self.root.join("scan.json")
    }

    /// The same as a picture.
    pub fn scan_picture(&self) -> PathBuf {
        self.root.join("scan.png")
    }

    /// One line per training step.
    pub fn log(&self) -> PathBuf {
        self.root.join("log.jsonl")
    }

    /// The network after stage 2 of a start, counted from 0.
    pub fn student(&self, start: usize) -> PathBuf {
        match start {
            0 => self.root.join("student.safetensors"),
            _ => self.root.join(format!("student_{}.safetensors", start + 1)),
        }
    }

    /// How each start of stage 2 went, and when it ended.
    pub fn learning(&self) -> PathBuf {
        self.root.join("learning.json")
    }

    /// Histograms of grey values with and without noise, as stage 2 knows them.
    pub fn denoised(&self) -> PathBuf {
        self.root.join("denoised.json")
    }

    /// The same as a picture.
    pub fn denoised_picture(&self) -> PathBuf {
        self.previews().join("denoised.png")
    }

    /// The same as a picture.
    pub fn learning_picture(&self) -> PathBuf {
        self.previews().join("learning.png")
    }

    /// Removes the students of all starts.
    ///
    /// # Errors
    /// [`Error::RunFile`] when one cannot be removed.
    pub fn remove_students(&self) -> Result<()> {
        (0..)
            .map(|start| self.student(start))
            .take_while(|path| path.is_file())
            .try_for_each(|path| self.remove(&path))
    }

    /// The network that segments: the teacher of stage 3, or what the guard fell back to.
    pub fn model(&self) -> PathBuf {
        self.root.join("model.safetensors")
    }

    /// State from which an interrupted stage goes on.
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoint")
    }

    /// State at the end of stage 2, from which a longer one can go on.
    pub fn trained(&self) -> PathBuf {
        self.root.join("trained")
    }

    /// Class fractions, flow from pseudo labels to result, scores where there is a truth.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.json")
    }

    /// Pictures of the result.
    pub fn previews(&self) -> PathBuf {
        self.root.join("previews")
    }

    /// What became of each pseudo label, as a picture.
    pub fn flow_picture(&self) -> PathBuf {
        self.previews().join("flow.png")
    }

    /// How often the result is right where it is so sure, as a picture; once there has been a truth.
    pub fn reliability_picture(&self) -> PathBuf {
        self.previews().join("reliability.png")
    }

    /// Heat maps of `tomosieve explain`.
    pub fn explanations(&self) -> PathBuf {
        self.root.join("explain")
    }

    /// A file of one explanation: of which slice, at which layer, of one class or all.
    pub fn explanation(&self, slice: usize, layer: &str, class: Option<usize>, ending: &str) -> PathBuf {
        let class = class.map_or(String::new(), |class| format!("_class_{class}"));
        self.explanations().join(format!("slice_{slice:05}_{layer}{class}{ending}"))
    }

    /// The report.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.md")
    }

    /// The labels of stage 1.
    pub fn pseudo_labels(&self) -> PathBuf {
        self.root.join("pseudo_labels")
    }

    /// The labels of the result.
    pub fn segmentation(&self) -> PathBuf {
        self.root.join("segmentation")
    }

    /// The teacher's confidence, 0..255 for 0..1.
    pub fn confidence(&self) -> PathBuf {
        self.root.join("confidence")
    }

    /// The labels of the result as OME-Zarr.
    pub fn segmentation_zarr(&self) -> PathBuf {
        self.root.join("segmentation.ome.zarr")
    }

    /// The teacher's confidence as OME-Zarr.
    pub fn confidence_zarr(&self) -> PathBuf {
        self.root.join("confidence.ome.zarr")
    }

    /// Reads a JSON file of the run; `None` when there is none yet.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be read or is damaged.
    pub fn read_json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file(path, format!("cannot be read: {e}"))),
        };
        serde_json::from_str(&text).map(Some).map_err(|e| {
            Error::file(path, format!("damaged ({e}); delete it to redo the stage that writes it"))
        })
    }

    /// Writes a JSON file of the run, whole or not at all.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be written.
    pub fn write_json<T: Serialize>(&self, path: &Path, value: &T) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value).map_err(|e| Error::file(path, e))?;
        text.push('\n');
        self.write(path, text.as_bytes())
    }

    /// Writes a file of the run, whole or not at all.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be written.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let temporary = path.with_file_name(name);
        let write = || {
            let mut file = std::fs::File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&temporary, path)
        };
        write().map_err(|e| Error::file(path, format!("cannot be written: {e}")))
    }

    /// Removes the folder with all it holds.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be removed.
    pub fn remove_all(self) -> Result<()> {
        std::fs::remove_dir_all(&self.root)
            .map_err(|e| Error::file(&self.root, format!("cannot be removed: {e}")))
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be removed.
    pub fn remove(&self, path: &Path) -> Result<()> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file(path, format!("cannot be removed: {e}")))
            }
            _ => Ok(()),
        }
    }

    /// A writer for u8 voxels in the input's own form below `folder`: a folder of slices named as the
    /// input's, or one multipage TIFF.
    ///
    /// # Errors
    /// What the writer says.
    pub fn create_like(
        &self,
        folder: &Path,
        input: &Input,
        table: Option<LabelTable>,
    ) -> Result<Box<dyn VolumeWriter>> {
        let info = input.reader.info();
        let names = input.reader.slice_names();
        let (kind, path) = if names.is_some() {
            (OutputKind::TiffFolder, folder.to_owned())
        } else {
            std::fs::create_dir_all(folder)
                .map_err(|e| Error::file(folder, format!("cannot be made: {e}")))?;
            (OutputKind::TiffStack, stack_in(folder))
        };
        let compression = TiffCompression::Lzw;
        let meta = OutputMeta { names, labels: table, compression, ..OutputMeta::like(info) };
        Ok(tomosieve_volume::create(kind, &path, info.shape, VoxelType::U8, &meta)?)
    }

    /// Opens labels written by [`create_like`](Self::create_like), or any other label volume.
    ///
    /// # Errors
    /// What the reader says.
    pub fn open_labels(path: &Path) -> Result<Box<dyn VolumeReader>> {
        Ok(tomosieve_volume::open(path, &OpenOptions::default())?)
    }

    /// Bytes of pseudo labels and checkpoints that are there already.
    pub fn kept_bytes(&self) -> u64 {
        bytes_below(&self.pseudo_labels()) + bytes_below(&self.checkpoint())
    }

    /// Bytes that a run on a volume of this shape writes at most, uncompressed: pseudo labels, the result in
    /// parts until it is whole, and the result.
    pub fn expected_bytes(shape: Shape, zarr: bool, confidence: bool) -> u64 {
        let copies = 4 + u64::from(confidence);
        let copies = if zarr { copies + 1 + u64::from(confidence) } else { copies };
        shape.voxels() as u64 * copies
    }
}

/// Bytes of all files below a folder; 0 if there is none.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// Where a multipage TIFF lies inside its folder.
fn stack_in(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    folder.join(format!("{name}.tif"))
}
