//! What the targets share: bytes become a file, which is opened and read as a user's would be.
//!
//! A target fails on a panic that leaves the library, on more memory than `fuzz/run` allows and on a hang.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Once};

use tempfile::TempDir;
use tomosieve_volume::{OpenOptions, Region, VoxelBuffer, open};

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder for the files"));

/// A file of this name with these bytes.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    // libfuzzer's own hook ends the process in a panic that the library goes on to contain; one that is
    // not contained ends it all the same, in libfuzzer's `catch_unwind`.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| std::panic::set_hook(Box::new(|what| eprintln!("{what}"))));
    let path = FOLDER.path().join(name);
    fs::write(&path, bytes).expect("the file can be written");
    path
}

/// Opens a file of these bytes and reads a part of it.
pub fn read(name: &str, bytes: &[u8]) {
    open_and_read(&file(name, bytes));
}

/// Opens a volume and reads a part of it; it may answer with an error.
pub fn open_and_read(path: &Path) {
    let Ok(volume) = open(path, &OpenOptions::default()) else { return };
    let shape = volume.shape();
    let size = [shape.z.min(3), shape.y.min(40), shape.x.min(40)];
    let start = [shape.z - size[0], (shape.y - size[1]) / 2, 0];
    let region = Region { start, size };
    let mut native = VoxelBuffer::default();
    let _ = volume.read(&region, &mut vec![0.0; region.voxels()]);
    let _ = volume.read_native(&region, &mut native);
}

/// The golden Zarr array whose metadata is fuzzed, as a folder that can be written to.
pub fn zarr() -> PathBuf {
    static COPY: LazyLock<PathBuf> = LazyLock::new(|| {
        let golden =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/volume/tests/golden/zarrs/v3_sharded.zarr");
        let copy = FOLDER.path().join("array.zarr");
        copy_folder(&golden, &copy);
        copy
    });
    COPY.clone()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the golden array") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}
