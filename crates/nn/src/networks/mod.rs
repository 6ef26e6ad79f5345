//! The roster of networks (Sec. IV-E). A new network is one file and one line here.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::blocks::BlockStyle;
use crate::segmenter::{Segmenter, Tap};
use crate::{Error, Result};

pub mod attention_unet;
pub mod deeplabv3_plus;
pub mod resunet;
pub mod resunet_plus_plus;
pub mod segformer;
pub mod unet;
pub mod unet3_plus;
pub mod unet_plus_plus;

/// What a network is called and how large it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// A name of the roster.
    pub name: String,
    /// Channels of each level from the finest to the bottleneck; each level halves height and width.
    /// Empty stands for the network's own, with which it has about two million parameters.
    pub widths: Vec<usize>,
    /// Most groups of a group norm; a layer of `c` channels uses `gcd(groups, c)`.
    pub groups: usize,
    /// Probability with which dropout silences a channel while training.
    pub dropout: f64,
}

impl Default for NetworkConfig {
    /// The paper's default network at about two million parameters.
    fn default() -> Self {
        Self { name: "unet-noskip".into(), widths: Vec::new(), groups: 8, dropout: 0.1 }
    }
}

impl NetworkConfig {
    /// Checks ranges, so that nothing deeper has to.
    ///
    /// # Errors
    /// [`Error::UnknownName`] or [`Error::BadSetting`], naming the setting.
    pub fn check(&self) -> Result<()> {
        if !NAMES.contains(&self.name.as_str()) {
            return Err(Error::unknown("network", &self.name, NAMES));
        }
        let bad = |setting, got, expected| Err(Error::BadSetting { setting, got, expected });
        let widths = self.levels();
        if !(2..=7).contains(&widths.len()) || widths.iter().any(|w| !(1..=4096).contains(w)) {
            let expected = "two to seven levels of 1 to 4096 channels, or [] for the network's own";
            return bad("network.widths", format!("{widths:?}"), expected);
        }
        if self.groups == 0 {
            return bad("network.groups", self.groups.to_string(), "at least 1");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return bad("network.dropout", self.dropout.to_string(), "a probability in [0, 1)");
        }
        Ok(())
    }

    /// Channels of each level: the configured ones, or else the network's own.
    pub fn levels(&self) -> &[usize] {
        if self.widths.is_empty() { own_widths(&self.name) } else { &self.widths }
    }

    /// Bytes that a network of this configuration keeps of so many pixels for the way back.
    pub fn kept_bytes(&self, pixels: usize) -> u64 {
        copies(&self.name) * self.level_bytes(pixels)
    }

    /// Bytes of one activation of so many pixels on every level.
    pub fn level_bytes(&self, pixels: usize) -> u64 {
        let levels = self.levels().iter().enumerate();
        levels.map(|(level, width)| (pixels * width * size_of::<f32>()) as u64 >> (2 * level)).sum()
    }

    /// The same configuration with the widths spelled out, so that it means the same network for ever.
    #[must_use]
    pub fn resolved(&self) -> Self {
        Self { widths: self.levels().to_vec(), ..self.clone() }
    }

    /// The style its blocks share.
    pub fn style(&self) -> BlockStyle {
        BlockStyle { groups: self.groups, dropout: self.dropout }
    }
}

/// The network with every weight drawn now: burn draws a weight when it is first used, which would be in
/// the middle of some other sequence of random numbers.
fn drawn(network: Network) -> Network {
    struct Draw;
    impl ModuleVisitor for Draw {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            drop(param.val());
        }
    }
    network.visit(&mut Draw);
    network
}

/// Generates the names, the enum, its constructor and its dispatch from one line a network: its name, its
/// type, its own widths, what it keeps of a crop and how it is made.
macro_rules! roster {
    ($($name:literal => $variant:ident($type:ty), $widths:expr, $kept:expr, $make:expr;)*) => {
        /// The names of all networks.
        pub const NAMES: &[&str] = &[$($name),*];

        /// The widths with which a network has about two million parameters.
        fn own_widths(name: &str) -> &'static [usize] {
            match name {
                $($name => &$widths,)*
                _ => &[],
            }
        }

        /// How many copies of one activation a level a network keeps for the way back, as measured; the others are
        /// inside of its blocks and between its levels.
        fn copies(name: &str) -> u64 {
            match name {
                $($name => $kept,)*
                _ => 0,
            }
        }

        /// Any network of the roster. `Module` is not object-safe, so an enum is the honest registry.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant)]
        pub enum Network {
            $(#[doc = concat!("`", $name, "`")] $variant($type),)*
        }

        impl Network {
            /// The configured network for patches of `slices` channels and `classes` classes, its
            /// weights drawn from `seed`.
            ///
            /// # Errors
            /// What [`NetworkConfig::check`] finds.
            pub fn new(
                config: &NetworkConfig,
                slices: usize,
                classes: usize,
                seed: u64,
                device: &Device,
            ) -> Result<Self> {
                config.check()?;
                let config = &config.resolved();
                let _drawing = crate::device::seeded(device, seed);
                match config.name.as_str() {
                    $($name => {
                        let make: fn(&NetworkConfig, usize, usize, &Device) -> $type = $make;
                        Ok(drawn(Self::$variant(make(config, slices, classes, device))))
                    })*
                    other => Err(Error::unknown("network", other, NAMES)),
                }
            }
        }

        impl Segmenter for Network {
            fn stride(&self) -> usize {
                match self { $(Self::$variant(network) => network.stride(),)* }
            }

            fn logits(&self, x: Tensor<4>, tap: Tap<'_>) -> Tensor<4> {
                match self { $(Self::$variant(network) => network.logits(x, tap),)* }
            }
        }
    };
}

roster! {
    "unet" => UNet(unet::UNet), [16, 32, 64, 128, 272], 22,
        |c, s, k, d| unet::UNet::new(c, true, s, k, d);
    "unet-noskip" => UNetNoSkip(unet::UNet), [16, 32, 64, 128, 288], 15,
        |c, s, k, d| unet::UNet::new(c, false, s, k, d);
    "unet++" => UNetPlusPlus(unet_plus_plus::UNetPlusPlus), [16, 32, 64, 128, 208], 29,
        |c, s, k, d| unet_plus_plus::UNetPlusPlus::new(c, false, s, k, d);
    "unet3+" => UNet3Plus(unet3_plus::UNet3Plus), [16, 32, 64, 128, 304], 41,
        |c, s, k, d| unet3_plus::UNet3Plus::new(c, s, k, d);
    "attention-unet" => AttentionUNet(attention_unet::AttentionUNet), [16, 32, 64, 128, 240], 17,
        |c, s, k, d| attention_unet::AttentionUNet::new(c, true, s, k, d);
    "attention-unet-noskip" => AttentionUNetNoSkip(attention_unet::AttentionUNet), [16, 32, 64, 128, 272], 17,
        |c, s, k, d| attention_unet::AttentionUNet::new(c, false, s, k, d);
    "resunet" => ResUNet(resunet::ResUNet), [16, 32, 64, 128, 256], 26,
        |c, s, k, d| resunet::ResUNet::new(c, true, s, k, d);
    "resunet-noskip" => ResUNetNoSkip(resunet::ResUNet), [16, 32, 64, 128, 272], 20,
        |c, s, k, d| resunet::ResUNet::new(c, false, s, k, d);
    "resunet++" => ResUNetPlusPlus(resunet_plus_plus::ResUNetPlusPlus), [16, 24, 48, 88, 176], 86,
        |c, s, k, d| resunet_plus_plus::ResUNetPlusPlus::new(c, true, s, k, d);
    "resunet++-noskip" => ResUNetPlusPlusNoSkip(resunet_plus_plus::ResUNetPlusPlus), [16, 24, 48, 96, 184], 74,
        |c, s, k, d| resunet_plus_plus::ResUNetPlusPlus::new(c, false, s, k, d);
    "deeplabv3+" => DeepLabV3Plus(deeplabv3_plus::DeepLabV3Plus), [16, 32, 64, 144, 304], 80,
        deeplabv3_plus::DeepLabV3Plus::new;
    "segformer" => SegFormer(segformer::SegFormer), [24, 48, 120, 192], 9,
        |c, s, k, d| segformer::SegFormer::new(c, s, k, d);
}
