//! `tomosieve convert`: a volume from one format into another.

use std::path::Path;

use serde_json::json;
use tomosieve::progress::Progress;
use tomosieve::{Error, Result, plan};
use tomosieve_volume::{LabelTable, OutputKind, OutputMeta, copy, create, open, output_type};

use super::print;
use crate::args::{self, Convert};
use crate::progress::Screen;

/// Copies the volume, or says what that would take.
pub(super) fn run(args: &Convert, as_json: bool, screen: &Screen) -> Result<()> {
    args::must_exist(&args.input)?;
    let volume = open(&args.input, &args.raw.options())?;
    let info = volume.info();
    let kind = args.format.or_else(|| OutputKind::of(&args.output)).ok_or_else(|| unknown(&args.output))?;
    let voxel_type = args.to.unwrap_or_else(|| output_type(info.voxel_type, args.labels));
    let voxels = info.shape.voxels() as u64 * voxel_type.bytes() as u64;
    // The pyramid adds a seventh at most; nothing else writes more than the voxels and a little.
    let disk = voxels.saturating_add(if kind == OutputKind::OmeZarr { voxels / 7 } else { voxels / 100 });
    let free = plan::free_space(&args.output);
    let report = json!({
        "input": args.input, "output": args.output, "format": kind.name(),
        "shape": <[usize; 3]>::from(info.shape), "voxel_type": voxel_type.name(),
        "voxel_size": info.voxel_size, "unit": info.unit, "origin": info.origin, "bytes": disk,
    });
    if args.dry_run && as_json {
        print(&report.to_string())?;
    } else if args.dry_run {
        print(&format!("{} {} {} from {}", info.format, info.shape, info.voxel_type, args.input.display()))?;
        info.notes.iter().try_for_each(|note| print(&format!("  {note}")))?;
        print(&format!("{} {} {voxel_type} to {}", kind.name(), info.shape, args.output.display()))?;
        print(&format!("disk     up to {} of {} free", plan::bytes(disk), plan::bytes(free)))?;
    }
    if disk > free {
        let (needed, free) = (plan::bytes(disk), plan::bytes(free));
        let reason = format!("the output takes up to {needed}, the disk has {free} free; make room");
        return Err(Error::Resources(reason));
    }
    if args.output.exists() && !args.force {
        return Err(Error::Exists(format!("`{}` exists; --force replaces it", args.output.display())));
    }
    if args.dry_run {
        return Ok(());
    }
    let labels = args.labels.then(LabelTable::default);
    let (names, ome_version) = (volume.slice_names(), args.ome_version);
    let meta = OutputMeta { names, labels, ome_version, ..OutputMeta::like(info) };
    let writer = create(kind, &args.output, info.shape, voxel_type, &meta)?;
    screen.begin("convert", info.shape.z as u64, 0, "slices");
    let whole = copy(volume.as_ref(), writer, voxel_type, args.max_memory.as_u64(), &mut |slices| {
        screen.advance(slices as u64, "");
        !screen.stopped()
    });
    screen.end();
    if !whole? {
        screen.note("nothing is kept of an output that is not whole; the same command starts anew");
        return Err(Error::Stopped { stage: "convert" });
    }
    if as_json {
        return print(&report.to_string());
    }
    screen.note(&format!("{}: {} {} {voxel_type}", args.output.display(), kind.name(), info.shape));
    Ok(())
}

/// No format answers to the output's name.
fn unknown(output: &Path) -> Error {
    let one = |kind: OutputKind| match kind.extension() {
        Some(extension) => format!("{} (.{extension})", kind.name()),
        None => format!("{} (no extension)", kind.name()),
    };
    let known: Vec<String> = OutputKind::ALL.into_iter().map(one).collect();
    Error::Config(format!(
        "`{}`: its name tells no format that is written; give --format, or one of {}",
        output.display(),
        known.join(", ")
    ))
}
