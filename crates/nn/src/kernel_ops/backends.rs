//! Which function serves which operation on which back end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::{Autodiff, Flex};
use tomosieve_kernels::{Deferred, Kind, Resample};

use super::channelwise::{prelu, prelu_tracked, weigh, weigh_tracked};
use super::conv::{conv, conv_tracked};
use super::conv_norm_act::{self, Layer};
use super::deferred::{Pending, settled};
use super::depthwise::{depthwise, depthwise_tracked};
use super::layout::{self, Tracked};
use super::norm_act;
use super::paths::{fork_tracked, join, join_tracked, pixels_tracked, sum_tracked};
use super::pool::{max_pool2, max_pool2_tracked};
use super::resample::{resample, resample_tracked};
use super::root::{root, root_tracked};
use super::storage::{Cpu, Values};
use super::update::sum;
use super::{BlockedOps, Judge, Others};

impl BlockedOps for Flex {
    fn blocked_enter(x: Cpu) -> Cpu {
        layout::enter(x)
    }

    fn blocked_leave(x: Cpu, channels: usize) -> Cpu {
        layout::leave(x, channels)
    }

    fn blocked_conv(x: Cpu, weight: Cpu, bias: Cpu, kind: Kind, pending: Pending) -> Cpu {
        conv(&Values::new(x), &pending, &Values::new(weight), &Values::new(bias), kind)
    }

    fn blocked_depthwise(x: Cpu, weight: Cpu, bias: Cpu, rate: usize) -> Cpu {
        depthwise(&Values::new(x), &Values::new(weight), &Values::new(bias), rate)
    }

    fn blocked_conv_norm_act(
        x: Cpu,
        weight: Cpu,
        bias: Cpu,
        gamma: Cpu,
        beta: Cpu,
        slope: Cpu,
        mask: Option<Vec<f32>>,
        groups: usize,
        epsilon: f32,
        pending: &mut Pending,
    ) -> Cpu {
        let [weight, bias, gamma, beta, slope] = [weight, bias, gamma, beta, slope].map(Values::new);
        let after = norm_act::Layer { gamma, beta, slope, mask, groups, epsilon };
        let (y, after) = Layer { weight, bias, after }.infer(&Values::new(x), pending);
        *pending = after;
        y
    }

    fn blocked_norm_act(
        x: Cpu,
        gamma: Cpu,
        beta: Cpu,
        slope: Cpu,
        mask: Option<Vec<f32>>,
        groups: usize,
        epsilon: f32,
        pending: &mut Pending,
    ) -> Cpu {
        let [gamma, beta, slope] = [gamma, beta, slope].map(Values::new);
        let layer = norm_act::Layer { gamma, beta, slope, mask, groups, epsilon };
        let x = settled(x, pending.take());
        let shape = layer.shape(&Values::new(x.clone()));
        let (y, after) = layer.infer(x, shape, None);
        *pending = after;
        y
    }

    fn blocked_max_pool2(x: Cpu, pending: Pending) -> Cpu {
        max_pool2(&Values::new(x), &pending)
    }

    fn blocked_settle(x: Cpu, norm: Arc<Deferred>) -> Cpu {
        settled(x, Some(norm))
    }

    fn blocked_resample(x: Cpu, how: Resample) -> Cpu {
        resample(&Values::new(x), how)
    }

    fn blocked_prelu(x: Cpu, slope: Cpu) -> Cpu {
        prelu(&Values::new(x), &Values::new(slope))
    }

    fn blocked_weigh(x: Cpu, factors: Cpu) -> Cpu {
        weigh(&Values::new(x), &Values::new(factors))
    }

    fn blocked_fork(x: Cpu, _: Arc<AtomicBool>) -> Cpu {
        x
    }

    fn blocked_pixels(x: Cpu) -> Cpu {
        x
    }

    fn blocked_sum(a: Cpu, b: Cpu) -> Cpu {
        sum(a, b)
    }

    fn blocked_join(first: Cpu, others: Others<Self>) -> Cpu {
        match others {
            Others::One(a) => join(&[first, a].map(Values::new)),
            Others::Two(a, b) => join(&[first, a, b].map(Values::new)),
            Others::Three(a, b, c) => join(&[first, a, b, c].map(Values::new)),
            Others::Four(a, b, c, d) => join(&[first, a, b, c, d].map(Values::new)),
        }
    }

    fn blocked_root(x: Cpu, judge: Judge<'_>) -> Cpu {
        root(&Values::new(x), judge).0
    }
}

/// What holds wherever there may be gradients.
const AWAITS_NONE: &str = "what may have gradients awaits no norm";

impl<C: CheckpointStrategy> BlockedOps for Autodiff<Flex, C> {
    fn blocked_enter(x: Tracked<C>) -> Tracked<C> {
        layout::enter_tracked::<C>(x)
    }

    fn blocked_leave(x: Tracked<C>, channels: usize) -> Tracked<C> {
        layout::leave_tracked::<C>(x, channels)
    }

    fn blocked_conv(
        x: Tracked<C>,
        weight: Tracked<C>,
        bias: Tracked<C>,
        kind: Kind,
        pending: Pending,
    ) -> Tracked<C> {
        assert!(pending.is_none(), "{AWAITS_NONE}");
        conv_tracked::<C>(x, weight, bias, kind)
    }

    fn blocked_depthwise(x: Tracked<C>, weight: Tracked<C>, bias: Tracked<C>, rate: usize) -> Tracked<C> {
        depthwise_tracked::<C>(x, weight, bias, rate)
    }

    fn blocked_conv_norm_act(
        x: Tracked<C>,
        weight: Tracked<C>,
        bias: Tracked<C>,
        gamma: Tracked<C>,
        beta: Tracked<C>,
        slope: Tracked<C>,
        mask: Option<Vec<f32>>,
        groups: usize,
        epsilon: f32,
        pending: &mut Pending,
    ) -> Tracked<C> {
        assert!(pending.is_none(), "{AWAITS_NONE}");
        conv_norm_act::tracked::<C>(x, [weight, bias, gamma, beta, slope], mask, groups, epsilon)
    }

    fn blocked_norm_act(
        x: Tracked<C>,
        gamma: Tracked<C>,
        beta: Tracked<C>,
        slope: Tracked<C>,
        mask: Option<Vec<f32>>,
        groups: usize,
        epsilon: f32,
        pending: &mut Pending,
    ) -> Tracked<C> {
        assert!(pending.is_none(), "{AWAITS_NONE}");
        norm_act::tracked::<C>(x, [gamma, beta, slope], mask, groups, epsilon)
    }

    fn blocked_max_pool2(x: Tracked<C>, pending: Pending) -> Tracked<C> {
        assert!(pending.is_none(), "{AWAITS_NONE}");
        max_pool2_tracked::<C>(x)
    }

    fn blocked_settle(_: Tracked<C>, _: Arc<Deferred>) -> Tracked<C> {
        unreachable!("{AWAITS_NONE}")
    }

    fn blocked_resample(x: Tracked<C>, how: Resample) -> Tracked<C> {
        resample_tracked::<C>(x, how)
    }

    fn blocked_prelu(x: Tracked<C>, slope: Tracked<C>) -> Tracked<C> {
        prelu_tracked::<C>(x, slope)
    }

    fn blocked_weigh(x: Tracked<C>, factors: Tracked<C>) -> Tracked<C> {
        weigh_tracked::<C>(x, factors)
    }

    fn blocked_fork(x: Tracked<C>, arrived: Arc<AtomicBool>) -> Tracked<C> {
        fork_tracked::<C>(x, arrived)
    }

    fn blocked_pixels(x: Tracked<C>) -> Tracked<C> {
        pixels_tracked::<C>(x)
    }

    fn blocked_sum(a: Tracked<C>, b: Tracked<C>) -> Tracked<C> {
        sum_tracked::<C>(a, b)
    }

    fn blocked_join(first: Tracked<C>, others: Others<Self>) -> Tracked<C> {
        match others {
            Others::One(a) => join_tracked::<C, 2>([first, a]),
            Others::Two(a, b) => join_tracked::<C, 3>([first, a, b]),
            Others::Three(a, b, c) => join_tracked::<C, 4>([first, a, b, c]),
            Others::Four(a, b, c, d) => join_tracked::<C, 5>([first, a, b, c, d]),
        }
    }

    fn blocked_root(x: Tracked<C>, judge: Judge<'_>) -> Tracked<C> {
        root_tracked::<C>(x, judge)
    }
}
