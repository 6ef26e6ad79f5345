//! A configuration or a model file that was damaged is refused, or still means something: it never ends the
//! program. `fuzz/` has targets for both.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;
use tomosieve::config::{DEFAULT, Layers};
use tomosieve::model;
use tomosieve::scale::Scale;
use tomosieve::stages::cluster::Stage1;
use tomosieve_cluster::{Clustering, Histogram, KMeans};
use tomosieve_nn::device;
use tomosieve_nn::networks::Network;

/// A damage: bytes overwritten, a run of them taken out, the rest cut off.
#[derive(Debug, Clone)]
struct Damage {
    flips: Vec<(Index, u8)>,
    gap: Option<(Index, u8)>,
    cut: Option<Index>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let flips = prop::collection::vec(any::<(Index, u8)>(), 0..6);
    let rarely = prop::option::weighted(0.2, any::<Index>());
    (flips, prop::option::weighted(0.3, any::<(Index, u8)>()), rarely).prop_map(|(flips, gap, cut)| Damage {
        flips,
        gap,
        cut,
    })
}

impl Damage {
    /// The damaged bytes; only the first `reach` are hit.
    fn of(&self, whole: &[u8], reach: usize) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        for (at, byte) in &self.flips {
            bytes[at.index(reach)] = *byte;
        }
        if let Some((at, length)) = self.gap {
            let at = at.index(reach);
            bytes.drain(at..(at + usize::from(length)).min(whole.len()));
        }
        if let Some(at) = self.cut {
            bytes.truncate(at.index(bytes.len()));
        }
        bytes
    }
}

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// The bytes of a small model.
static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let settings = ["network.widths=[4,8]", "input.slices=3"];
    let layers = Layers::defaults().unwrap();
    let layers = settings.iter().fold(layers, |layers, setting| layers.set(setting).unwrap());
    let config = layers.build().unwrap();
    let device = device::by_name("cpu").unwrap();
    let network = Network::new(&config.network, 3, 4, 0, &device.clone().autodiff()).unwrap();
    let mut histogram = Histogram::uniform(0.0, 100.0, 100).unwrap();
    histogram.add(&(0..=100).map(|value| value as f32).collect::<Vec<_>>());
    let clusters = KMeans::default().fit(&histogram, 4).unwrap();
    let scale = Scale { low: 0.0, high: 100.0 };
    let stage1 =
        Stage1 { clusters, scale, fractions: vec![0.25; 4], voxels: 101, non_finite: 0, shading: None };
    let path = FOLDER.path().join("whole.safetensors");
    model::save(&network, &config, &stage1, "train", &path).unwrap();
    std::fs::read(path).unwrap()
});

fn write(name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = FOLDER.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn load(path: &Path) -> tomosieve::Result<model::Model> {
    model::load(path, &device::by_name("cpu").unwrap())
}

#[test]
fn whole_files_are_read() {
    assert_eq!(load(&write("again.safetensors", &MODEL)).unwrap().classes, 4);
    let file = write("whole.toml", DEFAULT.as_bytes());
    assert!(Layers::defaults().unwrap().file(&file).unwrap().build().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_damaged_model_is_refused_in_one_line_or_read(damage in damage()) {
        let header = 8 + u64::from_le_bytes(*MODEL.first_chunk().unwrap()) as usize;
        let path = write("damaged.safetensors", &damage.of(&MODEL, header));
        if let Err(error) = load(&path) {
            let message = error.to_string();
            prop_assert!(!message.contains('\n') && message.contains("damaged.safetensors"), "{message}");
        }
    }

    #[test]
    fn a_damaged_configuration_is_refused_in_one_line_or_read(damage in damage()) {
        let path = write("damaged.toml", &damage.of(DEFAULT.as_bytes(), DEFAULT.len()));
        if let Err(error) = Layers::defaults().unwrap().file(&path).and_then(Layers::build) {
            prop_assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
