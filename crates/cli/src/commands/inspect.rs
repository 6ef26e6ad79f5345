//! `tomosieve inspect`: what a volume is, and how that was inferred.

use serde_json::json;
use tomosieve::input::Input;
use tomosieve::stages::{Context, cluster};
use tomosieve::{Config, Result, plan, run_dir::RunDir};

use super::print;
use crate::args::{self, Inspect};
use crate::progress::Screen;

/// Prints axes, shape, type and range of a volume.
pub(super) fn run(args: &Inspect, as_json: bool, screen: &Screen) -> Result<()> {
    args::must_exist(&args.input)?;
    let input = Input::open(&args.input, &args.raw.options())?;
    let info = input.reader.info();
    let config = Config::defaults()?;
    let memory = plan::memory_limit(&config)?;
    let folder = RunDir::beside(&args.input);
    let context = Context { config: &config, input: &input, run: &folder, progress: screen, memory };
    let values = cluster::histogram(&context)?;
    let finite = values.total() > 0;
    let range = finite.then(|| [values.min(), values.max()]);
    let robust = finite.then(|| [values.quantile(0.005), values.quantile(0.995)]);
    let shape = info.shape;
    if as_json {
        return print(
            &json!({
                "path": input.path, "format": info.format, "axes": "zyx",
                "shape": [shape.z, shape.y, shape.x], "voxel_type": info.voxel_type.name(),
                "voxel_size": info.voxel_size, "unit": info.unit, "origin": info.origin,
                "range": range, "percentiles": { "0.5": robust.map(|r| r[0]), "99.5": robust.map(|r| r[1]) },
                "mean": finite.then(|| values.mean()), "non_finite": values.non_finite(),
                "bytes": shape.voxels() * info.voxel_type.bytes(),
                "fingerprint": input.fingerprint, "inferred": info.notes,
            })
            .to_string(),
        );
    }
    let size = plan::bytes((shape.voxels() * info.voxel_type.bytes()) as u64);
    print(&format!("format      {}", info.format))?;
    print(&format!("shape       {shape} (z × y × x), {size}"))?;
    print(&format!("type        {}", info.voxel_type))?;
    if let Some([z, y, x]) = info.voxel_size {
        let unit = info.unit.as_deref().unwrap_or("of an unknown unit");
        print(&format!("voxel size  {z} × {y} × {x} {unit}"))?;
    }
    if let Some([z, y, x]) = info.origin {
        print(&format!("origin      {z}, {y}, {x} (z, y, x)"))?;
    }
    if let (Some([low, high]), Some([p_low, p_high])) = (range, robust) {
        print(&format!(
            "range       {low} to {high}; 0.5 % to 99.5 %: {p_low} to {p_high}; mean {:.4}",
            values.mean()
        ))?;
    }
    if values.non_finite() > 0 {
        print(&format!("not finite  {} voxels", values.non_finite()))?;
    }
    print(&format!("fingerprint {}", input.fingerprint))?;
    info.notes.iter().try_for_each(|note| print(&format!("inferred    {note}")))?;
    Ok(())
}
