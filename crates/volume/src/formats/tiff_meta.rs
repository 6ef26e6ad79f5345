//! What TIFF files say of their axes and voxel size: `ImageJ`'s description and OME's.
//!
//! `ImageJ` writes lines such as `images=64`, `slices=64`, `unit=micron`, `spacing=0.65` into the
//! first page's description, and the pixels per unit into the resolution tags.

use std::io::BufReader;

use tiff::decoder::Decoder;
use tiff::decoder::ifd::Value;
use tiff::encoder::Rational;
use tiff::tags::Tag;

use super::OutputMeta;
use super::source::Source;
use super::units;
use crate::error::{Error, Result};

/// What the first page tells of the whole.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct TiffMeta {
    /// `ImageJ`'s number of pages.
    pub(crate) images: Option<usize>,
    /// OME's number of slices.
    pub(crate) slices: Option<usize>,
    pub(crate) voxel_size: Option<[f64; 3]>,
    pub(crate) unit: Option<String>,
    pub(crate) origin: Option<[f64; 3]>,
    pub(crate) notes: Vec<String>,
}

impl TiffMeta {
    /// Reads the first page's description.
    ///
    /// # Errors
    ///
    /// If it tells of several channels or times, which are no volume.
    pub(crate) fn read(source: &Source) -> Result<Self> {
        // The pages themselves are checked elsewhere; a description that cannot be read is none.
        let Ok(mut decoder) = Decoder::new(BufReader::new(source.cursor(Vec::new()))) else {
            return Ok(Self::default());
        };
        let Ok(text) = decoder.get_tag_ascii_string(Tag::ImageDescription) else {
            return Ok(Self::default());
        };
        let mut resolution = |tag| match decoder.find_tag(tag) {
            Ok(Some(Value::Rational(n, d))) if n > 0 && d > 0 => Some(f64::from(d) / f64::from(n)),
            _ => None,
        };
        let size = [resolution(Tag::YResolution), resolution(Tag::XResolution)];
        if text.starts_with("ImageJ=") {
            return Self::imagej(source, &text, size);
        }
        Self::ome(source, &text)
    }

    fn imagej(source: &Source, text: &str, size: [Option<f64>; 2]) -> Result<Self> {
        let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let count = |key| field(key).and_then(|v| v.parse::<usize>().ok()).unwrap_or(1);
        let (channels, slices, frames) = (count("channels"), count("slices"), count("frames"));
        let mut notes = Vec::new();
        if channels > 1 || (slices > 1 && frames > 1) {
            return Err(Error::unsupported(
                source.path(),
                format!("an ImageJ stack of {channels} channels, {slices} slices and {frames} frames is"),
                "one channel and one frame; save each as a stack of its own",
            ));
        }
        if frames > 1 {
            notes.push(format!("ImageJ calls the {frames} pages frames; they are taken as z."));
        }
        let unit = field("unit").map(unescape).filter(|unit| unit != "pixel");
        let voxel_size = match (&unit, size) {
            (Some(_), [Some(y), Some(x)]) => {
                let spacing = field("spacing").and_then(|v| v.parse().ok());
                let z: f64 = spacing.unwrap_or(x);
                notes.push("the voxel size comes from ImageJ's description.".into());
                Some([z.abs(), y, x])
            }
            _ => None,
        };
        // ImageJ tells in voxels where the origin of the coordinates lies in the image.
        let at = ["zorigin", "yorigin", "xorigin"].map(|key| field(key)?.parse::<f64>().ok());
        let origin = voxel_size.filter(|_| at.iter().any(Option::is_some)).map(|size| {
            std::array::from_fn(|axis| 0.0 - at[axis].filter(|at| at.is_finite()).unwrap_or(0.0) * size[axis])
        });
        Ok(Self {
            images: field("images").and_then(|v| v.parse().ok()),
            slices: None,
            origin,
            unit: unit.filter(|_| voxel_size.is_some()),
            voxel_size,
            notes,
        })
    }

    fn ome(source: &Source, text: &str) -> Result<Self> {
        let Some(pixels) = text.split("<Pixels").nth(1) else {
            return Ok(Self::default());
        };
        let attribute = |key: &str| {
            let value = pixels.split(&format!(" {key}=\"")).nth(1)?;
            value.split('"').next()
        };
        let count = |key| attribute(key).and_then(|v| v.parse::<usize>().ok()).unwrap_or(1);
        let (channels, times) = (count("SizeC"), count("SizeT"));
        if channels > 1 || times > 1 {
            return Err(Error::unsupported(
                source.path(),
                format!("an OME-TIFF of {channels} channels and {times} times is"),
                "one channel and one time; save each as a stack of its own",
            ));
        }
        let length = |axis: &str| attribute(&format!("PhysicalSize{axis}"))?.parse::<f64>().ok();
        let voxel_size = length("X").zip(length("Y")).map(|(x, y)| [length("Z").unwrap_or(x), y, x]);
        let unit = attribute("PhysicalSizeXUnit").unwrap_or("µm");
        Ok(Self {
            images: None,
            slices: attribute("SizeZ").and_then(|v| v.parse().ok()),
            origin: None,
            unit: voxel_size.map(|_| unit.to_string()),
            notes: voxel_size
                .map(|_| "the voxel size comes from the OME description.".into())
                .into_iter()
                .collect(),
            voxel_size,
        })
    }
}

/// The description `ImageJ` understands; `images` pages along z.
pub(crate) fn imagej_description(images: usize, meta: &OutputMeta) -> String {
    use std::fmt::Write as _;
    let mut text = format!("ImageJ=1.54f\nimages={images}\n");
    if images > 1 {
        let _ = writeln!(text, "slices={images}");
    }
    if let Some([z, y, x]) = meta.voxel_size {
        let unit = units::imagej(meta.unit.as_deref().unwrap_or("pixel"));
        let _ = writeln!(text, "unit={}\nspacing={z}", escape(unit));
        for (name, at, size) in meta
            .origin
            .into_iter()
            .flat_map(|[oz, oy, ox]| [("xorigin", ox, x), ("yorigin", oy, y), ("zorigin", oz, z)])
        {
            let _ = writeln!(text, "{name}={}", 0.0 - at / size);
        }
    }
    text + "loop=false\n"
}

/// Voxels per unit, as precisely as a TIFF rational tells.
pub(crate) fn per_unit(size: f64) -> Option<Rational> {
    let value = 1.0 / size;
    if !value.is_finite() || value <= 0.0 || value >= 4e9 {
        return None;
    }
    let d = (0..=9).rev().map(|k| 10u32.pow(k)).find(|&d| value * f64::from(d) < 4e9)?;
    let n = (value * f64::from(d)).round() as u32;
    (n > 0).then_some(Rational { n, d })
}

/// `ImageJ` writes letters outside ASCII as `\u00B5`.
fn escape(text: &str) -> String {
    let one = |c: char| match c {
        c if c.is_ascii() => c.to_string(),
        c => format!("\\u{:04X}", c as u32),
    };
    text.chars().map(one).collect()
}

fn unescape(text: &str) -> String {
    let mut parts = text.split("\\u");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let code = part.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let (letter, rest) = match code.and_then(char::from_u32) {
            Some(letter) => (letter.to_string(), &part[4..]),
            None => ("\\u".to_string(), part),
        };
        out.extend([letter.as_str(), rest]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_outside_ascii_survive() {
        assert_eq!(escape("µm"), "\\u00B5m");
        assert_eq!(unescape("\\u00B5m"), "µm");
        assert_eq!(unescape("\\uzz"), "\\uzz");
    }

    #[test]
    fn voxel_sizes_become_precise_rationals() {
        for size in [0.65, 3.25e-4, 1.0, 1000.0] {
            let Rational { n, d } = per_unit(size).expect("within range");
            let back = f64::from(d) / f64::from(n);
            assert!((back / size - 1.0).abs() < 1e-6, "{size} became {back}");
        }
        assert!(per_unit(0.0).is_none() && per_unit(f64::NAN).is_none());
    }
}
