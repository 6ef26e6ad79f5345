//! Every kernel once more in plain loops over `[n, c, h, w]`, sums in `f64`: what the fast ones are held
//! against, and what to read first.

use crate::conv::{Conv, Kind};
use crate::depthwise::Depthwise;
use crate::norm::NormAct;
use crate::shape::Blocked;

/// Calls `visit(output, input, weight)` with the indices of every product of a convolution.
fn products(conv: Conv, mut visit: impl FnMut(usize, usize, usize)) {
    let Blocked { n, c, h, w } = conv.input;
    let out = conv.output();
    let size = match conv.kind {
        Kind::Square => 3,
        Kind::Point => 1,
        Kind::Spread => 2,
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
