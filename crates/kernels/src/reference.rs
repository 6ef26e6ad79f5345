//! Every kernel once more in plain loops over `[n, c, h, w]`, sums in `f64`: what the fast ones are held
//! against, and what to read first.

use crate::conv::{Conv, Kind};
use crate::depthwise::Depthwise;
use crate::norm::NormAct;
use crate::resample::Resample;
use crate::shape::Blocked;
use crate::update::Adam;

/// Calls `visit(output, input, weight)` with the indices of every product of a convolution.
fn products(conv: Conv, mut visit: impl FnMut(usize, usize, usize)) {
    let Blocked { n, c, h, w } = conv.input;
    let out = conv.output();
    let size = match conv.kind {
        Kind::Square => 3,
        Kind::Point => 1,
        Kind::Spread | Kind::Collect => 2,
    };
    let count = [n, conv.c_out, c, h, w, size, size];
    for flat in 0..count.iter().product() {
        let mut rest = flat;
        let mut index = [0; 7];
        for (i, len) in index.iter_mut().zip(count).rev() {
            (*i, rest) = (rest % len, rest / len);
        }
        let [image, o, i, y, x, ky, kx] = index;
        let input = ((image * c + i) * h + y) * w + x;
        let (to_y, to_x, weight) = match conv.kind {
            Kind::Spread => (2 * y + ky, 2 * x + kx, ((i * conv.c_out + o) * 2 + ky) * 2 + kx),
            // Each input has one tap.
            Kind::Collect if [y % 2, x % 2] != [ky, kx] => continue,
            Kind::Collect => (y / 2, x / 2, ((o * c + i) * 2 + ky) * 2 + kx),
            // Output (to_y, to_x) reads input (to_y + ky − pad, to_x + kx − pad).
            _ => (
                (y + size / 2).wrapping_sub(ky),
                (x + size / 2).wrapping_sub(kx),
                ((o * c + i) * size + ky) * size + kx,
            ),
        };
        if to_y < out.h && to_x < out.w {
            visit(((image * conv.c_out + o) * out.h + to_y) * out.w + to_x, input, weight);
        }
    }
}

fn rounded(values: Vec<f64>) -> Vec<f32> {
    values.into_iter().map(|v| v as f32).collect()
}

/// `y = x ∗ weight + bias`
pub fn conv_forward(conv: Conv, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let out = conv.output();
    let pixels = out.h * out.w;
    let mut y: Vec<f64> = (0..out.n * out.c * pixels).map(|i| f64::from(bias[i / pixels % out.c])).collect();
    products(conv, |o, i, k| y[o] += f64::from(x[i]) * f64::from(weight[k]));
    rounded(y)
}

/// The input's gradient.
pub fn conv_backward_input(conv: Conv, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let Blocked { n, c, h, w } = conv.input;
    let mut dx = vec![0.0; n * c * h * w];
    products(conv, |o, i, k| dx[i] += f64::from(dy[o]) * f64::from(weight[k]));
    rounded(dx)
}

/// The weights' gradient.
pub fn conv_backward_weight(conv: Conv, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let mut dw = vec![0.0; conv.weights()];
    products(conv, |o, i, k| dw[k] += f64::from(dy[o]) * f64::from(x[i]));
    rounded(dw)
}

/// A depthwise convolution and its gradients: `y`, and of `dy` those of `x` and of the weights.
pub fn depthwise(of: Depthwise, x: &[f32], weight: &[f32], bias: &[f32], dy: &[f32]) -> [Vec<f32>; 3] {
    let Blocked { n, c, h, w } = of.input;
    let mut y: Vec<f64> = (0..n * c * h * w).map(|i| f64::from(bias[i / (h * w) % c])).collect();
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
    for i in 0..x.len() * 9 {
        let (to, tap) = (i / 9, i % 9);
        let (plane, row, column) = (to / (h * w), to / w % h, to % w);
        let from_y = (row + tap / 3 * of.rate).wrapping_sub(of.rate);
        let from_x = (column + tap % 3 * of.rate).wrapping_sub(of.rate);
        if from_y < h && from_x < w {
            let (from, k) = ((plane * h + from_y) * w + from_x, plane % c * 9 + tap);
            y[to] += f64::from(x[from]) * f64::from(weight[k]);
            dx[from] += f64::from(dy[to]) * f64::from(weight[k]);
            dw[k] += f64::from(dy[to]) * f64::from(x[from]);
        }
    }
    [y, dx, dw].map(rounded)
}

/// The sums of each channel.
pub fn channel_sums(shape: Blocked, dy: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; shape.c];
    for (i, &value) in dy.iter().enumerate() {
        sums[i / (shape.h * shape.w) % shape.c] += f64::from(value);
    }
    rounded(sums)
}

/// For each value its image, channel and the mean and inverse deviation of its group.
fn normed(shape: Blocked, x: &[f32], params: NormAct<'_>) -> Vec<(usize, usize, f64, f64)> {
    let members = shape.c / params.groups * shape.h * shape.w;
    let mut found = Vec::with_capacity(x.len());
    for (g, group) in x.chunks_exact(members).enumerate() {
        let mean = group.iter().map(|&v| f64::from(v)).sum::<f64>() / members as f64;
        let variance = group.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / members as f64;
        let inverse = 1.0 / (variance + f64::from(params.epsilon)).sqrt();
        for (i, &value) in group.iter().enumerate() {
            let channel = (g * members + i) / (shape.h * shape.w) % shape.c;
            found.push((g / params.groups, channel, (f64::from(value) - mean) * inverse, inverse));
        }
    }
    found
}

fn factor(params: NormAct<'_>, shape: Blocked, image: usize, channel: usize) -> f64 {
    params.mask.map_or(1.0, |mask| f64::from(mask[image * shape.c + channel]))
}

/// `y = m · prelu(norm(x))`
pub fn norm_act(shape: Blocked, x: &[f32], params: NormAct<'_>) -> Vec<f32> {
    let activate = |(image, c, hat, _): (usize, usize, f64, f64)| {
        let value = hat * f64::from(params.gamma[c]) + f64::from(params.beta[c]);
        let slope = if value < 0.0 { f64::from(params.slope[c]) } else { 1.0 };
        (factor(params, shape, image, c) * slope * value) as f32
    };
    normed(shape, x, params).into_iter().map(activate).collect()
}

/// The gradients of [`norm_act`]: of `x`, `γ`, `β` and the slopes.
pub fn norm_act_backward(shape: Blocked, x: &[f32], params: NormAct<'_>, dy: &[f32]) -> [Vec<f32>; 4] {
    let values = normed(shape, x, params);
    let mut sums = [vec![0.0; shape.c], vec![0.0; shape.c], vec![0.0; shape.c]];
    let mut inner = Vec::with_capacity(x.len()); // ∂ / ∂ x̂
    for (&(image, c, hat, _), &dy) in values.iter().zip(dy) {
        let before = hat * f64::from(params.gamma[c]) + f64::from(params.beta[c]);
        let dy = f64::from(dy) * factor(params, shape, image, c);
        let g = if before < 0.0 { dy * f64::from(params.slope[c]) } else { dy };
        sums[0][c] += g * hat;
        sums[1][c] += g;
        sums[2][c] += dy * before.min(0.0);
        inner.push(g * f64::from(params.gamma[c]));
    }
    let members = shape.c / params.groups * shape.h * shape.w;
    let mut dx = Vec::with_capacity(x.len());
    for (values, inner) in values.chunks_exact(members).zip(inner.chunks_exact(members)) {
        let mean = inner.iter().sum::<f64>() / members as f64;
        let along = values.iter().zip(inner).map(|(v, g)| v.2 * g).sum::<f64>() / members as f64;
        dx.extend(values.iter().zip(inner).map(|(v, g)| v.3 * (g - mean - v.2 * along)));
    }
    let [gamma, beta, slope] = sums;
    [dx, gamma, beta, slope].map(rounded)
}

/// The index of the first maximum of each 2×2.
fn winners(shape: Blocked, x: &[f32]) -> Vec<usize> {
    let Blocked { n, c, h, w } = shape;
    let mut found = Vec::new();
    for plane in 0..n * c {
        for y in 0..h / 2 {
            for x0 in 0..w / 2 {
                let at = |k: usize| (plane * h + 2 * y + k / 2) * w + 2 * x0 + k % 2;
                found.push((1..4).map(at).fold(at(0), |best, i| if x[i] > x[best] { i } else { best }));
            }
        }
    }
    found
}

/// Maximum of 2×2.
pub fn max_pool2(shape: Blocked, x: &[f32]) -> Vec<f32> {
    winners(shape, x).into_iter().map(|i| x[i]).collect()
}

/// Its gradient.
pub fn max_pool2_backward(shape: Blocked, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; x.len()];
    for (i, &dy) in winners(shape, x).into_iter().zip(dy) {
        dx[i] = dy;
    }
    dx
}

/// Where the input of each output of a change of resolution lies, in order of the outputs.
fn sources(how: Resample, shape: Blocked) -> Vec<usize> {
    let out = how.output(shape);
    let source = |i: usize| {
        let (x, y, plane) = (i % out.w, i / out.w % out.h, i / out.w / out.h);
        let [y, x] = [y, x].map(|at| if how == Resample::Half { 2 * at } else { at / 2 });
        (plane * shape.h + y) * shape.w + x
    };
    (0..out.n * out.c * out.h * out.w).map(source).collect()
}

/// A change of resolution.
pub fn resample(how: Resample, shape: Blocked, x: &[f32]) -> Vec<f32> {
    sources(how, shape).into_iter().map(|i| x[i]).collect()
}

/// Its gradient.
pub fn resample_backward(how: Resample, shape: Blocked, dy: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; shape.n * shape.c * shape.h * shape.w];
    sources(how, shape).into_iter().zip(dy).for_each(|(i, &dy)| dx[i] += f64::from(dy));
    rounded(dx)
}

/// `PReLU` and its gradients by `x` and by the slopes.
pub fn prelu(shape: Blocked, x: &[f32], slope: &[f32], dy: &[f32]) -> [Vec<f32>; 3] {
    let channel = |i: usize| i / (shape.h * shape.w) % shape.c;
    let factor = |i: usize| if x[i] < 0.0 { slope[channel(i)] } else { 1.0 };
    let mut by_slope = vec![0.0; shape.c];
    (0..x.len()).for_each(|i| by_slope[channel(i)] += f64::from(x[i].min(0.0)) * f64::from(dy[i]));
    let times = |values: &[f32]| (0..x.len()).map(|i| factor(i) * values[i]).collect();
    [times(x), times(dy), rounded(by_slope)]
}

/// Each pixel times its factor `[n, h, w]`, and the gradients by `x` and by the factors.
pub fn weigh(shape: Blocked, x: &[f32], factors: &[f32], dy: &[f32]) -> [Vec<f32>; 3] {
    let pixels = shape.h * shape.w;
    let pixel = |i: usize| i / (pixels * shape.c) * pixels + i % pixels;
    let mut by_factor = vec![0.0; factors.len()];
    (0..x.len()).for_each(|i| by_factor[pixel(i)] += f64::from(x[i]) * f64::from(dy[i]));
    let times = |values: &[f32]| (0..x.len()).map(|i| factors[pixel(i)] * values[i]).collect();
    [times(x), times(dy), rounded(by_factor)]
}

/// Softmax over the classes of `[n, classes, plane]` values.
pub fn softmax(values: &[f32], classes: usize, plane: usize) -> Vec<f32> {
    let power = |image: &[f32], class: usize, pixel: usize| {
        let most = image.iter().skip(pixel).step_by(plane).fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        (f64::from(image[class * plane + pixel]) - f64::from(most)).exp()
    };
    let share = |image: &[f32], i: usize| {
        let sum: f64 = (0..classes).map(|class| power(image, class, i % plane)).sum();
        power(image, i / plane, i % plane) / sum
    };
    let images = values.chunks_exact(classes * plane);
    rounded(images.flat_map(|image| (0..image.len()).map(move |i| share(image, i))).collect())
}

/// A step of Adam: the new values, first and second moments.
pub fn adam(step: Adam, old: &[f32], gradient: &[f32], first: &[f32], second: &[f32]) -> [Vec<f32>; 3] {
    let [b1, b2] = step.betas;
    let mix = |beta: f64, old: f32, new: f64| beta * f64::from(old) + (1.0 - beta) * new;
    let gradient = || gradient.iter().map(|&g| f64::from(g));
    let m: Vec<f64> = first.iter().zip(gradient()).map(|(&m, g)| mix(b1, m, g)).collect();
    let v: Vec<f64> = second.iter().zip(gradient()).map(|(&v, g)| mix(b2, v, g * g)).collect();
    let moved = |((&old, m), v): ((&f32, &f64), &f64)| {
        let (m, v) = (m / (1.0 - b1.powi(step.time)), v / (1.0 - b2.powi(step.time)));
        f64::from(old) - step.rate * m / (v.sqrt() + step.epsilon)
    };
    let new = old.iter().zip(&m).zip(&v).map(moved).collect();
    [rounded(new), rounded(m), rounded(v)]
}

/// `α · average + (1 − α) · value`
pub fn blend(alpha: f64, average: &[f32], value: &[f32]) -> Vec<f32> {
    let mix = |(&a, &v): (&f32, &f32)| alpha * f64::from(a) + (1.0 - alpha) * f64::from(v);
    rounded(average.iter().zip(value).map(mix).collect())
}
