//! What every network of the roster must do.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use tomosieve_nn::losses::{LossConfig, by_config};
use tomosieve_nn::networks::unet_plus_plus::UNetPlusPlus;
use tomosieve_nn::networks::{NAMES, Network, NetworkConfig};
use tomosieve_nn::segmenter::Segmenter;
use tomosieve_nn::{Error, checkpoint, device, teacher};

fn cpu() -> Device {
    device::by_name("cpu").unwrap()
}

fn config(name: &str) -> NetworkConfig {
    NetworkConfig { name: name.into(), widths: vec![4, 8, 12], groups: 4, dropout: 0.2 }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// A deterministic patch, whatever the device's generator.
fn patch(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let count = shape.iter().product::<usize>();
    let voxels: Vec<f32> = (0..count).map(|i| ((i * 7919) % 1009) as f32 / 1009.0).collect();
    Tensor::from_data(TensorData::new(voxels, shape), device)
}

#[test]
fn any_size_channels_and_classes_fit() {
    for name in NAMES {
        for (c, k, h, w) in [(1, 2, 16, 16), (7, 4, 19, 37), (9, 11, 32, 17)] {
            let network = Network::new(&config(name), c, k, 0, &cpu()).unwrap();
            let logits = network.forward(patch([2, c, h, w], &cpu()));
            assert_eq!(logits.dims(), [2, k, h, w], "{name}");
            assert!(values(logits).iter().all(|v| v.is_finite()), "{name}");
        }
        // Five levels of the smallest patch: one pixel is left at the bottleneck.
        let deep = NetworkConfig { widths: vec![4, 6, 8, 9, 16], ..config(name) };
        let network = Network::new(&deep, 3, 3, 0, &cpu()).unwrap();
        for (h, w) in [(16, 16), (17, 31)] {
            let logits = network.forward(patch([1, 3, h, w], &cpu()));
            assert_eq!(logits.dims(), [1, 3, h, w], "{name}");
            assert!(values(logits).iter().all(|v| v.is_finite()), "{name}");
        }
    }
}

/// Losses of a few steps on one batch of three phases in four blocks a slice, grey values noisy.
fn losses_of_training(name: &str, steps: usize) -> Vec<f32> {
    let device = cpu().autodiff();
    let small = NetworkConfig { widths: vec![8, 16, 24], dropout: 0.0, ..config(name) };
    let mut network = Network::new(&small, 3, 3, 0, &device).unwrap();
    let classes: Vec<i32> = (0..2 * 32 * 32).map(|i| (i / 1024 + i / 512 % 2 + i / 16 % 2) % 3).collect();
    let grey = patch([2, 3, 32, 32], &device); // noise in [0, 1)
    let labels = Tensor::<3, Int>::from_data(TensorData::new(classes, [2, 32, 32]), &device);
    let x = labels.clone().float().unsqueeze_dim::<4>(1) * 0.3 + grey * 0.4;
    let loss = by_config(&LossConfig { name: "cross-entropy".into(), ..LossConfig::default() }).unwrap();
    let mut optimizer = AdamConfig::new().init();
    (0..steps)
        .map(|_| {
            let log_p = log_softmax(network.forward(x.clone()), 1);
            let loss = loss.per_pixel(log_p, labels.clone()).mean();
            let value = loss.clone().into_scalar();
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(1e-2, network.clone(), gradients);
            value
        })
        .collect()
}

#[test]
fn one_batch_is_learnt_by_heart() {
    for name in NAMES {
        let losses = losses_of_training(name, 60);
        let (first, last) = (losses[0], losses[59]);
        assert!(last < first / 10.0, "{name}: {first} to {last}");
    }
}

#[test]
fn the_seed_decides() {
    for name in NAMES {
        let x = patch([1, 3, 16, 20], &cpu());
        let logits =
            |seed| values(Network::new(&config(name), 3, 3, seed, &cpu()).unwrap().forward(x.clone()));
        assert_eq!(logits(1), logits(1), "{name}");
        assert_ne!(logits(1), logits(2), "{name}");
        assert_eq!(losses_of_training(name, 3), losses_of_training(name, 3), "{name}");
    }
}

#[test]
fn the_gradient_reaches_every_parameter() {
    struct Reached<'a> {
        gradients: &'a Gradients,
        path: Vec<String>,
        count: usize,
    }
    impl ModuleVisitor for Reached<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let path = self.path.join(".");
            let gradient = param.val().grad(self.gradients).unwrap_or_else(|| panic!("{path}: no gradient"));
            let values = values(gradient);
            assert!(values.iter().all(|v| v.is_finite()), "{path}: {values:?}");
            // The one slope of a gate with one hidden value may have met nothing negative.
            let lone_slope = path.ends_with("excite.act.alpha") && values.len() == 1;
            assert!(lone_slope || values.iter().any(|v| *v != 0.0), "{path}: the gradient is zero");
            self.count += 1;
        }
    }
    for name in NAMES {
        let device = cpu().autodiff();
        let network =
            Network::new(&NetworkConfig { dropout: 0.0, ..config(name) }, 3, 3, 0, &device).unwrap();
        let logits = network.forward(patch([2, 3, 24, 20], &device));
        let gradients = logits.powi_scalar(2).sum().backward();
        let mut reached = Reached { gradients: &gradients, path: Vec::new(), count: 0 };
        network.visit(&mut reached);
        assert!(reached.count > 20, "{name}");
    }
}

#[test]
fn save_and_load_give_identical_logits_and_metadata() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let path = folder.path().join("model.safetensors");
        let network = Network::new(&config(name), 5, 3, 0, &cpu()).unwrap();
        let metadata = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "é".to_owned())]);
        checkpoint::save(&network, &metadata, &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        checkpoint::save(&network, &metadata, &path).unwrap();
        assert!(bytes == std::fs::read(&path).unwrap(), "{name}: the file's bytes vary");

        let other = Network::new(&config(name), 5, 3, 1, &cpu()).unwrap();
        let x = patch([1, 5, 20, 24], &cpu());
        let expected = values(network.forward(x.clone()));
        assert_ne!(values(other.forward(x.clone())), expected, "{name}");
        let other = checkpoint::load(other, &path).unwrap();
        assert_eq!(values(other.forward(x)), expected, "{name}");
        assert_eq!(checkpoint::metadata(&path).unwrap()["b"], "é");
    }
}

#[test]
fn a_model_file_of_another_network_or_a_damaged_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let network = |widths: Vec<usize>| {
        Network::new(&NetworkConfig { widths, ..config("unet") }, 3, 3, 0, &cpu()).unwrap()
    };
    checkpoint::save(&network(vec![4, 8]), &[].into(), &path).unwrap();
    let refused = |result: Result<Network, Error>| result.unwrap_err().to_string();
    let error = refused(checkpoint::load(network(vec![4, 16]), &path));
    assert!(error.contains("of another network: tensor"), "{error}");
    let error = refused(checkpoint::load(network(vec![4, 8, 16]), &path));
    assert!(error.contains("is missing"), "{error}");
    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 4, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let error = refused(checkpoint::load(network(vec![4, 8]), &path));
        assert!(error.contains("model.safetensors"), "{error}");
        assert!(checkpoint::metadata(&path).is_err() || cut > 100);
    }
    assert!(refused(checkpoint::load(network(vec![4, 8]), &folder.path().join("none"))).contains("none"));
}

#[test]
fn sizes_are_what_the_configuration_says() {
    let paper = |name: &str| NetworkConfig { name: name.into(), ..NetworkConfig::default() };
    let count = |name: &str| Network::new(&paper(name), 7, 4, 0, &cpu()).unwrap().num_params();
    assert_eq!(count("unet-noskip"), 1_960_484);
    for name in NAMES {
        let parameters = count(name);
        assert!((1_800_000..=2_200_000).contains(&parameters), "{name}: {parameters}");
    }
    let spelled_out = NetworkConfig { widths: vec![16, 32, 64, 128, 288], ..NetworkConfig::default() };
    assert_eq!(paper("unet-noskip").resolved(), spelled_out);
    let refused = |config: NetworkConfig| Network::new(&config, 7, 4, 0, &cpu()).unwrap_err().to_string();
    assert!(refused(paper("vgg")).contains("unet-noskip"));
    assert!(refused(NetworkConfig { widths: vec![8], ..paper("unet") }).contains("two to seven levels"));
    assert!(refused(NetworkConfig { dropout: 1.0, ..paper("unet") }).contains("network.dropout is 1"));
}

#[test]
fn dropout_acts_in_training_alone_and_follows_the_seed() {
    let training = cpu().autodiff();
    for name in NAMES {
        let network = Network::new(&config(name), 3, 3, 0, &training).unwrap();
        let x = patch([2, 3, 16, 16], &training);
        let with_seed = |seed| {
            let _drawing = device::seeded(&training, seed);
            values(network.forward(x.clone()).inner())
        };
        assert_eq!(with_seed(1), with_seed(1), "{name}");
        assert!((2..6).any(|seed| with_seed(1) != with_seed(seed)), "{name}");
        let frozen = network.valid();
        let x = patch([2, 3, 16, 16], &cpu());
        assert_eq!(values(frozen.forward(x.clone())), values(frozen.forward(x)), "{name}");
    }
}

#[test]
fn the_teacher_is_the_moving_average() {
    let training = cpu().autodiff();
    let small = NetworkConfig { widths: vec![4, 8], ..config("unet-noskip") };
    let student = Network::new(&small, 1, 2, 0, &training).unwrap();
    let start = Network::new(&small, 1, 2, 1, &cpu()).unwrap();
    let flat = |network: &Network| {
        struct Flat(Vec<f32>);
        impl ModuleVisitor for Flat {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.extend(values(param.val().inner()));
            }
        }
        let mut all = Flat(Vec::new());
        network.visit(&mut all);
        all.0
    };
    let blended = flat(&teacher::blend(start.clone(), &student, 0.75));
    for ((teacher, before), student) in blended.iter().zip(flat(&start)).zip(flat(&student)) {
        assert!((teacher - (0.75 * before + 0.25 * student)).abs() < 1e-6);
    }
}

#[test]
fn taps_see_every_level_and_may_replace_it() {
    for name in NAMES {
        let network = Network::new(&config(name), 1, 2, 0, &cpu()).unwrap();
        let x = patch([1, 1, 16, 16], &cpu());
        let mut names = Vec::new();
        let seen = network.forward_tapped(x.clone(), &mut |name, activation| {
            names.push(name.to_owned());
            activation
        });
        let expected = values(network.forward(x.clone()));
        assert_eq!(values(seen), expected, "{name}");
        assert!(names.contains(&"encoder.0".to_owned()) && names.len() > 2, "{name}: {names:?}");
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{name}: {names:?}");
        for tapped in &names {
            let silenced = network.forward_tapped(x.clone(), &mut |name, activation| {
                if name == tapped { activation.map(|a| a.zeros_like()) } else { activation }
            });
            assert_ne!(values(silenced), expected, "{name}: {tapped}");
        }
    }
}

#[test]
fn a_u_net_without_its_last_activation_gives_its_bias() {
    let network = Network::new(&config("unet-noskip"), 1, 2, 0, &cpu()).unwrap();
    let silenced = network.forward_tapped(patch([1, 1, 16, 16], &cpu()), &mut |name, activation| {
        if name == "decoder.1" { activation.map(|a| a.zeros_like()) } else { activation }
    });
    let logits = values(silenced);
    assert!(logits.chunks(256).all(|plane| plane.iter().all(|v| *v == plane[0])), "only the bias is left");
}

#[test]
fn without_skips_the_encoder_speaks_through_the_bottleneck_alone() {
    for name in NAMES.iter().filter(|name| name.ends_with("-noskip")) {
        let network = Network::new(&config(name), 1, 2, 0, &cpu()).unwrap();
        let logits = |voxels: Tensor<4>| {
            let mut deepest = String::new();
            network.forward_tapped(voxels.clone(), &mut |name, activation| {
                if name.starts_with("encoder.") {
                    deepest = name.to_owned();
                }
                activation
            });
            values(network.forward_tapped(voxels, &mut |name, activation| {
                if name == deepest { activation.map(|a| a.ones_like()) } else { activation }
            }))
        };
        let x = patch([1, 1, 16, 16], &cpu());
        assert_eq!(logits(x.clone()), logits(x * 3.0 + 1.0), "{name}");
    }
}

#[test]
fn deep_supervision_averages_the_heads_of_the_finest_row() {
    let config = config("unet++");
    let network = UNetPlusPlus::new(&config, true, 1, 2, &cpu());
    assert_eq!(network.forward(patch([1, 1, 16, 16], &cpu())).dims(), [1, 2, 16, 16]);
    let plain = UNetPlusPlus::new(&config, false, 1, 2, &cpu()).num_params();
    assert_eq!(network.num_params() - plain, 4 * 2 + 2); // one more head
}
