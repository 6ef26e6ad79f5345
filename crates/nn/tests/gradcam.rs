//! Grad-CAM: against PyTorch, and what must hold of every network of the roster.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use golden::{Fill, Golden};
use tomosieve_nn::device;
use tomosieve_nn::gradcam::{GradCam, default_layer, layers, normalise};
use tomosieve_nn::networks::unet::UNet;
use tomosieve_nn::networks::{NAMES, Network, NetworkConfig};

#[path = "golden/file.rs"]
mod golden;

/// Four levels: with fewer the decoder of DeepLabv3+ is as coarse as its pyramid.
const WIDTHS: [usize; 4] = [4, 8, 8, 12];

fn training() -> Device {
    device::by_name("cpu").unwrap().autodiff()
}

fn config(name: &str, widths: &[usize]) -> NetworkConfig {
    NetworkConfig { name: name.into(), widths: widths.to_vec(), groups: 4, dropout: 0.0 }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// A deterministic patch: a bright disc in noise.
fn patch([n, c, h, w]: [usize; 4]) -> Tensor<4> {
    let voxel = |i: usize| {
        let (y, x) = (i / w % h, i % w);
        let bright = (y as f32 - 9.0).hypot(x as f32 - 7.0) < 6.0;
        f32::from(u8::from(bright)) * 0.6 + ((i * 7919) % 1009) as f32 / 2522.5
    };
    let voxels: Vec<f32> = (0..n * c * h * w).map(voxel).collect();
    Tensor::from_data(TensorData::new(voxels, [n, c, h, w]), &training())
}

#[test]
fn maps_are_pytorchs() {
    let golden = Golden::new("gradcam.safetensors", "TOMOSIEVE_GRADCAM_GOLDEN", "unet");
    let x = golden.tensor::<4>("in/0", &training());
    for layer in ["encoder.1", "decoder.0"] {
        let network = UNet::new(&config("unet", &[4, 8]), true, 2, 3, &training());
        let network = network.map(&mut Fill(&golden, Vec::new()));
        let cam = GradCam::new(network, 2, Some(layer), &training()).unwrap();
        golden.holds(&format!("map/{layer}"), cam.maps(&x, &[0, 1, 2]));
    }
}

#[test]
fn every_network_has_a_default_layer_that_says_something() {
    for (name, expected) in [
        ("unet", "encoder.3"),
        ("unet-noskip", "encoder.3"),
        ("unet++", "encoder.3"),
        ("unet3+", "encoder.3"),
        ("attention-unet", "encoder.3"),
        ("attention-unet-noskip", "encoder.3"),
        ("resunet", "encoder.3"),
        ("resunet-noskip", "encoder.3"),
        ("resunet++", "bridge"),
        ("resunet++-noskip", "bridge"),
        ("deeplabv3+", "pyramid"),
        ("segformer", "encoder.2"),
    ] {
        assert!(NAMES.contains(&name), "{name}");
        let network = Network::new(&config(name, &WIDTHS), 3, 3, 0, &training()).unwrap();
        let found = layers(&network, 3, &training());
        assert_eq!(default_layer(&found), expected, "{name}: {found:?}");
    }
    let x = patch([2, 3, 30, 21]);
    for name in NAMES {
        let network = || Network::new(&config(name, &WIDTHS), 3, 3, 0, &training()).unwrap();
        for layer in layers(&network(), 3, &training()) {
            let cam = GradCam::new(network(), 3, Some(&layer.name), &training()).unwrap();
            let maps = cam.maps(&x, &[0, 1, 2]);
            assert_eq!(maps.dims(), [2, 3, 30, 21], "{name}, {}", layer.name);
            assert!(values(maps).iter().all(|v| v.is_finite() && *v >= 0.0), "{name}, {}", layer.name);
        }
        let cam = GradCam::new(network(), 3, None, &training()).unwrap();
        let maps = values(cam.maps(&x, &[0, 1, 2]));
        let varied = maps.chunks(30 * 21).filter(|map| map.iter().any(|v| *v != map[0])).count();
        assert!(varied > 0, "{name}: every map is constant");
    }
}

#[test]
fn patches_of_a_batch_do_not_see_each_other() {
    let network = || Network::new(&config("unet-noskip", &[4, 8]), 1, 2, 0, &training()).unwrap();
    let cam = GradCam::new(network(), 1, None, &training()).unwrap();
    let x = patch([2, 1, 16, 20]);
    let both = values(cam.maps(&x, &[1, 0]));
    for item in 0..2 {
        let alone = values(cam.maps(&x.clone().narrow(0, item, 1), &[1, 0]));
        assert_eq!(alone, both[item * alone.len()..][..alone.len()]);
        let one_class = values(cam.maps(&x.clone().narrow(0, item, 1), &[0]));
        assert_eq!(one_class, alone[16 * 20..]);
    }
}

#[test]
fn a_class_without_a_pixel_has_a_map_of_zeros() {
    let network = Network::new(&config("unet-noskip", &[4, 8]), 1, 9, 0, &training()).unwrap();
    let cam = GradCam::new(network, 1, None, &training()).unwrap();
    // A constant patch can show few of nine classes.
    let x = Tensor::<4>::ones([1, 1, 16, 16], &training()) * 0.5;
    let maps = values(cam.maps(&x, &[0, 1, 2, 3, 4, 5, 6, 7, 8]));
    let empty = maps.chunks(256).filter(|map| map.iter().all(|v| *v == 0.0)).count();
    assert!(empty >= 1, "every class has a map");
}

#[test]
fn an_unknown_layer_is_named_with_those_there_are() {
    let network = Network::new(&config("unet", &[4, 8]), 1, 2, 0, &training()).unwrap();
    let error = GradCam::new(network, 1, Some("encoder.9"), &training()).unwrap_err().to_string();
    assert_eq!(error, "unknown layer `encoder.9`; known: encoder.0, encoder.1, decoder.0");
}

#[test]
fn normalising_divides_by_the_peak() {
    let mut map = [0.0, 1.0, 4.0];
    assert_eq!((normalise(&mut map), map), (4.0, [0.0, 0.25, 1.0]));
    let mut nothing = [0.0; 3];
    assert_eq!((normalise(&mut nothing), nothing), (0.0, [0.0; 3]));
}
