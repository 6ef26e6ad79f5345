//! ResUNet, ResUNet++ and DeepLabv3+: what the tests of the whole roster leave open.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use tomosieve_nn::device;
use tomosieve_nn::networks::{Network, NetworkConfig};
use tomosieve_nn::segmenter::Segmenter;

/// Each network with the widths of its documentation.
const PUBLISHED: [(&str, [usize; 5]); 5] = [
    ("resunet", [16, 32, 64, 128, 256]),
    ("resunet-noskip", [16, 32, 64, 128, 272]),
    ("resunet++", [16, 24, 48, 88, 176]),
    ("resunet++-noskip", [16, 24, 48, 96, 184]),
    ("deeplabv3+", [16, 32, 64, 144, 304]),
];

fn cpu() -> Device {
    device::by_name("cpu").unwrap()
}

fn small(name: &str, widths: &[usize]) -> NetworkConfig {
    NetworkConfig { name: name.into(), widths: widths.to_vec(), groups: 4, dropout: 0.0 }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// A deterministic patch.
fn patch(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let count = shape.iter().product::<usize>();
    let voxels: Vec<f32> = (0..count).map(|i| ((i * 7919) % 1009) as f32 / 1009.0).collect();
    Tensor::from_data(TensorData::new(voxels, shape), device)
}

#[test]
fn about_two_million_parameters() {
    for (name, widths) in PUBLISHED {
        let network = Network::new(&small(name, &widths), 7, 4, 0, &cpu()).unwrap();
        let count = network.num_params();
        assert!((1_800_000..=2_200_000).contains(&count), "{name}: {count}");
    }
}

#[test]
fn the_coarsest_level_may_be_a_pixel_and_two_levels_are_enough() {
    for (name, _) in PUBLISHED {
        for widths in [&[4, 8, 8, 8, 8][..], &[4, 6]] {
            let network = Network::new(&small(name, widths), 1, 3, 0, &cpu().autodiff()).unwrap();
            let x = patch([1, 1, 16, 16], &cpu().autodiff());
            let logits = network.forward(x);
            assert_eq!(logits.dims(), [1, 3, 16, 16], "{name}");
            logits.clone().sum().backward();
            assert!(values(logits.inner()).iter().all(|v| v.is_finite()), "{name}");
        }
    }
}
