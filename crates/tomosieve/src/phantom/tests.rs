//! The generator as a whole: reproducible, statistically as specified, at any size.

use super::*;

const SMALL: [usize; 3] = [8, 40, 48];

fn phantom(sample: Sample, shape: [usize; 3], acquisition: Acquisition, noise: f32) -> Phantom {
    Phantom::new(PhantomSpec { shape, acquisition, noise, ..PhantomSpec::new(sample, 0) }).unwrap()
}

/// Pixel shares in per cent of every class over every `step`-th slice.
fn shares(phantom: &Phantom, step: usize) -> Vec<f64> {
    let mut counts = vec![0.0; phantom.classes().len()];
    for z in (0..phantom.spec().shape[0]).step_by(step) {
        for label in phantom.slice(z).truth {
            counts[usize::from(label)] += 1.0;
        }
    }
    let total: f64 = counts.iter().sum();
    counts.iter().map(|count| 100.0 * count / total).collect()
}

/// Standard deviation of the image's error over truth class 1: noise and rings without the blur, which
/// an image without errors has too.
fn object_noise(spec: PhantomSpec, slices: &[usize]) -> f64 {
    let noisy = Phantom::new(spec).unwrap();
    let clean = Phantom::new(PhantomSpec { noise: 0.0, ..spec }).unwrap();
    let mut errors = Vec::new();
    for z in slices {
        let (noisy, clean) = (noisy.slice(*z), clean.slice(*z));
        let pairs = noisy.image.iter().zip(&clean.image).zip(&clean.truth);
        errors.extend(pairs.filter(|(_, t)| **t == 1).map(|((a, b), _)| f64::from(a - b)));
    }
    let count = errors.len() as f64;
    let mean = errors.iter().sum::<f64>() / count;
    (errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / count).sqrt()
}

fn bits(slice: &Slice) -> (Vec<u32>, Vec<u32>, &[u8]) {
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect();
    (bits(&slice.attenuation), bits(&slice.image), &slice.truth)
}

#[test]
fn a_seed_determines_every_bit_whatever_the_order() {
    for sample in Sample::ALL {
        for acquisition in [Acquisition::Ct, Acquisition::Noise] {
            let first = phantom(sample, SMALL, acquisition, 1.0);
            let forward: Vec<Slice> = (0..SMALL[0]).map(|z| first.slice(z)).collect();
            let second = &phantom(sample, SMALL, acquisition, 1.0);
            std::thread::scope(|scope| {
                let jobs: Vec<_> =
                    (0..SMALL[0]).rev().map(|z| (z, scope.spawn(move || second.slice(z)))).collect();
                for (z, job) in jobs {
                    assert_eq!(bits(&job.join().unwrap()), bits(&forward[z]), "{sample} {z}");
                }
            });

            let spec = PhantomSpec { seed: 1, ..*first.spec() };
            let other = Phantom::new(spec).unwrap().slice(4);
            assert_ne!(other.attenuation, forward[4].attenuation, "{sample}");
        }
    }
}

#[test]
fn classes_have_the_specified_shares() {
    // Least and greatest share in per cent, around what seeds 0–29 give.
    let specified: [(Sample, &[(f64, f64)]); 3] = [
        (Sample::Intergrowth, &[(50.0, 57.0), (24.0, 30.0), (11.5, 16.5), (4.7, 5.6)]),
        (Sample::Sand, &[(59.0, 64.0), (26.5, 31.5), (9.4, 9.6)]),
        (Sample::Ceramic, &[(48.0, 48.4), (47.5, 50.6), (0.3, 0.5), (0.9, 3.5)]),
    ];
    for (sample, ranges) in specified {
        let shares = shares(&phantom(sample, [32, 192, 192], Acquisition::Noise, 1.0), 8);
        for ((share, (least, greatest)), class) in shares.iter().zip(ranges).zip(sample.info().classes) {
            assert!((least..=greatest).contains(&share), "{sample} {class}: {share} %");
        }
    }
}

#[test]
fn intergrowth_seed_0_has_drifted_sample() {
    let phantom = phantom(Sample::Intergrowth, [32, 192, 192], Acquisition::Noise, 0.0);
    let slice = phantom.slice(16);
    let sample =
        |mu: f32| slice.truth.iter().zip(&slice.attenuation).filter(|(t, m)| **t == 1 && **m > mu).count();
    let share = sample(1.2) as f64 / sample(0.0) as f64;
    assert!((0.15..0.35).contains(&share), "{share}");
}

#[test]
fn noise_is_as_strong_as_specified_in_both_acquisitions() {
    // What the study behind the specification had, rings included.
    let studied = [(Sample::Intergrowth, 0.0572), (Sample::Sand, 0.0813), (Sample::Ceramic, 0.0202)];
    for (sample, studied) in studied {
        let spec = PhantomSpec::new(sample, 0);
        let scanned = object_noise(spec, &[4, 12, 20, 28]);
        let imitation = PhantomSpec { acquisition: Acquisition::Noise, ..spec };
        let imitated = object_noise(imitation, &[4, 20]);
        assert!((scanned / studied - 1.0).abs() < 0.2, "{sample}: {scanned}, {studied}");
        assert!((imitated / scanned - 1.0).abs() < 0.15, "{sample}: {imitated}, {scanned}");
    }
}

#[test]
fn noise_is_proportional_to_its_factor_and_independent_of_the_size() {
    // The ceramic, since the intergrowth's shell keeps its pixels and absorbs more of a small field.
    let spec = PhantomSpec { shape: [8, 64, 64], ..PhantomSpec::new(Sample::Ceramic, 0) };
    let mean = |spec: PhantomSpec| {
        (0..6).map(|seed| object_noise(PhantomSpec { seed, ..spec }, &[1, 6])).sum::<f64>() / 6.0
    };
    let small = mean(spec);
    let half = mean(PhantomSpec { noise: 0.5, ..spec });
    let expected = ceramic::EXPOSURE.object_noise;
    assert!((small / expected - 1.0).abs() < 0.15, "{small}, {expected}");
    assert!((small / half - 2.0).abs() < 0.1, "{small}, {half}");
}

#[test]
fn lamellae_cover_the_same_share_at_any_size() {
    let share = |n: usize| {
        let mean: f64 = (0..4)
            .map(|seed| {
                let spec = PhantomSpec {
                    shape: [8, n, n],
                    seed,
                    acquisition: Acquisition::Noise,
                    ..PhantomSpec::new(Sample::Intergrowth, 0)
                };
                let shares = shares(&Phantom::new(spec).unwrap(), 4);
                shares[2] / (shares[1] + shares[2])
            })
            .sum();
        mean / 4.0
    };
    let (small, reference, large) = (share(96), share(192), share(384));
    assert!((small / reference - 1.0).abs() < 0.2, "{small}, {reference}");
    assert!((large / reference - 1.0).abs() < 0.2, "{large}, {reference}");
}

#[test]
fn a_tall_volume_is_filled_to_its_ends() {
    for sample in Sample::ALL {
        let phantom = phantom(sample, [256, 64, 64], Acquisition::Noise, 1.0);
        for z in [0, 128, 255] {
            let filled = phantom.slice(z).truth.iter().filter(|label| **label != 0).count();
            let share = filled as f64 / (64.0 * 64.0);
            assert!((0.25..0.7).contains(&share), "{sample} {z}: {share}");
        }
    }
}

#[test]
fn an_oblong_slice_is_the_middle_of_the_square() {
    for acquisition in [Acquisition::Ct, Acquisition::Noise] {
        let square = phantom(Sample::Sand, [8, 64, 64], acquisition, 0.0).slice(3);
        let oblong = phantom(Sample::Sand, [8, 32, 64], acquisition, 0.0).slice(3);
        assert_eq!(oblong.truth, square.truth[16 * 64..48 * 64]);
        assert_eq!(oblong.attenuation, square.attenuation[16 * 64..48 * 64]);
        assert_eq!(oblong.image, square.image[16 * 64..48 * 64]);
    }
}

#[test]
fn the_smallest_shape_works_and_a_smaller_one_is_refused() {
    for sample in Sample::ALL {
        let slice = phantom(sample, SMALLEST, Acquisition::Ct, 1.0).slice(7);
        assert_eq!(slice.image.len(), 32 * 32);
        assert!(slice.image.iter().all(|mu| mu.is_finite()));
        assert!(slice.truth.contains(&1));
    }
    let spec = PhantomSpec { shape: [8, 31, 64], ..PhantomSpec::new(Sample::Sand, 0) };
    assert_eq!(Phantom::new(spec).unwrap_err(), PhantomError::TooSmall { got: [8, 31, 64] });
    let spec = PhantomSpec { noise: -1.0, ..PhantomSpec::new(Sample::Sand, 0) };
    assert_eq!(Phantom::new(spec).unwrap_err(), PhantomError::BadNoise { got: -1.0 });
}

#[test]
fn samples_are_known_by_name() {
    for sample in Sample::ALL {
        assert_eq!(sample.to_string().parse(), Ok(sample));
    }
    let error = "gravel".parse::<Sample>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "no phantom is called \"gravel\", expected one of intergrowth, sand, ceramic"
    );
    assert_eq!("noise".parse(), Ok(Acquisition::Noise));
}
