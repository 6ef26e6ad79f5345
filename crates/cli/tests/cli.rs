//! The command as a user meets it: words, exit codes, and nothing lost when something is wrong.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use tomosieve_volume::{
    OpenOptions, OutputKind, OutputMeta, Region, Shape, TiffCompression, VoxelType, Voxels, create, open,
};

/// A scratch folder to run the command in.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tomosieve"))
            .args(args.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    /// Runs and expects an exit code; returns stdout.
    fn ok(&self, args: &str) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs, expects this exit code and a one-line error; returns the line.
    fn fails(&self, code: i32, args: &str) -> String {
        let output = self.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args}: {stderr}");
        let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{args}: {stderr}");
        errors[0].to_owned()
    }

    /// A folder of u16 slices with these values.
    fn volume(&self, name: &str, shape: Shape, value: impl Fn(usize) -> f32) -> PathBuf {
        self.packed(name, shape, value, TiffCompression::None)
    }

    fn packed(
        &self,
        name: &str,
        shape: Shape,
        value: impl Fn(usize) -> f32,
        compression: TiffCompression,
    ) -> PathBuf {
        let path = self.path(name);
        let meta = OutputMeta { compression, ..OutputMeta::default() };
        let mut writer = create(OutputKind::TiffFolder, &path, shape, VoxelType::F32, &meta).unwrap();
        let voxels: Vec<f32> = (0..shape.voxels()).map(value).collect();
        writer.write(Voxels::F32(&voxels)).unwrap();
        writer.finish().unwrap();
        path
    }
}

/// Three levels and some deterministic noise.
fn textured(i: usize) -> f32 {
    let noise = (i as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32;
    (i / 700 % 3) as f32 * 100.0 + 40.0 * noise
}

const TINY: &str = "--preset quick --classes 3 --set network.widths=[4,8] --set train.steps=3 --set correct.steps=2 \
                    --set train.crop=32 --set correct.crop=32";

#[test]
fn help_names_every_command() {
    let scratch = Scratch::new();
    insta::assert_snapshot!(scratch.ok("--help"));
}

#[test]
fn list_as_words_and_as_json() {
    let scratch = Scratch::new();
    let words = scratch.ok("list");
    let json: serde_json::Value = serde_json::from_str(&scratch.ok("list --json")).unwrap();
    for (kind, expected) in [
        ("clusterings", "kmeans"),
        ("networks", "unet-noskip"),
        ("losses", "label-smoothing"),
        ("views", "clahe"),
        ("presets", "paper"),
        ("recipes", "robust"),
        ("studies", "stage2-epochs"),
        ("formats", "ome-zarr"),
        ("devices", "cpu"),
        ("phantoms", "ceramic"),
    ] {
        assert!(json[kind].as_array().unwrap().iter().any(|name| name == expected), "{kind}");
        assert!(words.lines().any(|line| line.starts_with(kind) && line.contains(expected)), "{kind}");
    }
}

#[test]
fn mistyped_flags_and_settings_are_usage_errors() {
    let scratch = Scratch::new();
    let output = scratch.run("segment v -o r --clases 4");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--classes"));
    scratch.volume("v", Shape::new(3, 32, 32), textured);
    let error = scratch.fails(2, "segment v -o r --set train.stepz=3");
    assert!(error.contains("unknown setting `train.stepz`"), "{error}");
    assert!(scratch.fails(2, "segment v -o r --classes 1").contains("input.classes is 1"));
    assert!(scratch.fails(2, "segment v -o r --classes 256").contains("2 to 255"));
    assert!(scratch.fails(2, "segment v -o r --device cuda").contains("rebuild with `--features cuda`"));
    assert!(scratch.fails(2, "segment v -o r --device gpu").contains("unknown device `gpu`"));
    assert!(scratch.fails(2, "segment v -o r --config none.toml").contains("none.toml"));
    assert!(scratch.fails(2, "phantom granite -o p").contains("intergrowth"));
    assert!(!scratch.path("r").exists(), "a refused run left a folder");
}

#[test]
fn inputs_that_cannot_be_read_exit_with_3() {
    let scratch = Scratch::new();
    assert!(scratch.fails(3, "segment none -o r").contains("`none`: no such file or folder"));
    std::fs::create_dir(scratch.path("empty")).unwrap();
    assert!(scratch.fails(3, "segment empty -o r").contains("no .tif or .tiff files"));
    std::fs::write(scratch.path("text.tif"), "no image").unwrap();
    assert!(scratch.fails(3, "segment text.tif -o r").contains("text.tif"));

    let mixed = scratch.volume("mixed", Shape::new(4, 32, 32), textured);
    let other = scratch.volume("other", Shape::new(1, 32, 40), textured);
    std::fs::copy(first_tiff(&other), nth_tiff(&mixed, 2)).unwrap();
    let error = scratch.fails(3, "segment mixed -o r");
    assert!(error.contains("slice_00002.tif") && error.contains("32×40"), "{error}");

    let cut = scratch.volume("cut", Shape::new(4, 32, 32), textured);
    let victim = nth_tiff(&cut, 1);
    let bytes = std::fs::read(&victim).unwrap();
    std::fs::write(&victim, &bytes[..bytes.len() / 2]).unwrap();
    let error = scratch.fails(3, "segment cut -o r");
    assert!(error.contains("slice_00001.tif"), "{error}");

    scratch.volume("constant", Shape::new(4, 32, 32), |_| 7.0);
    let error = scratch.fails(3, &format!("segment constant -o r1 {TINY}"));
    assert!(error.contains("distinct"), "{error}");
    scratch.volume("thin", Shape::new(4, 8, 32), textured);
    assert!(scratch.fails(3, "segment thin -o r").contains("at least 16×16"));
}

#[test]
fn too_little_memory_is_found_before_work_starts() {
    let scratch = Scratch::new();
    scratch.volume("v", Shape::new(3, 64, 64), textured);
    let error = scratch.fails(4, "segment v -o r --max-memory 64MiB");
    assert!(error.contains("max_memory allows 64.0 MiB"), "{error}");
    assert!(!scratch.path("r").exists());
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let scratch = Scratch::new();
    scratch.volume("v", Shape::new(3, 32, 32), textured);
    std::fs::write(scratch.path("file"), "in the way").unwrap();
    let error = scratch.fails(1, &format!("segment v -o file/run {TINY}"));
    assert!(error.contains("file"), "{error}");
    assert_eq!(std::fs::read_to_string(scratch.path("file")).unwrap(), "in the way");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_not_a_loss() {
    let scratch = Scratch::new();
    scratch.volume("v", Shape::new(3, 32, 32), textured);
    // /dev/full takes no byte: the preview folder's place is taken by it, after all labels are written.
    scratch.ok(&format!("segment v -o r {TINY}"));
    std::fs::remove_file(scratch.path("r/report.md")).unwrap();
    std::os::unix::fs::symlink("/dev/full", scratch.path("r/report.md.partial")).unwrap();
    let error = scratch.fails(1, &format!("segment v -o r {TINY}"));
    assert!(error.contains("report.md") && error.contains("No space left"), "{error}");
    std::fs::remove_file(scratch.path("r/report.md.partial")).unwrap();
    scratch.ok(&format!("segment v -o r {TINY}"));
    assert!(scratch.path("r/report.md").is_file());
}

#[test]
fn voxels_that_are_no_numbers_are_counted_and_become_background() {
    let scratch = Scratch::new();
    scratch.volume("v", Shape::new(5, 32, 32), |i| match i % 512 {
        0 => f32::NAN,
        1 => f32::INFINITY,
        _ => textured(i),
    });
    let output = scratch.run(&format!("segment v -o r {TINY}"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("20 voxels are NaN or infinite; they are treated as background"), "{stderr}");
    let metrics: serde_json::Value =
        serde_json::from_slice(&std::fs::read(scratch.path("r/metrics.json")).unwrap()).unwrap();
    assert_eq!(metrics["non_finite"], 20);
}

#[test]
fn stages_one_by_one_are_the_whole() {
    let scratch = Scratch::new();
    scratch.volume("v", Shape::new(5, 40, 40), textured);
    scratch.ok(&format!("segment v -o whole {TINY}"));
    assert!(scratch.fails(3, "train none").contains("not a run folder"));
    scratch.ok(&format!("cluster v -o parts {TINY}"));
    assert!(scratch.fails(3, "correct parts").contains("run `tomosieve train` first"));
    for stage in ["train", "correct", "predict"] {
        scratch.ok(&format!("{stage} parts"));
    }
    for file in ["model.safetensors", "metrics.json", "log.jsonl", "clusters.json", "config.toml"] {
        let read = |run: &str| std::fs::read(scratch.path(run).join(file)).unwrap();
        assert!(read("whole") == read("parts"), "{file} differs");
    }
    let plan: serde_json::Value =
        serde_json::from_str(&scratch.ok("predict parts --dry-run --json")).unwrap();
    assert!(plan["stages"].as_array().unwrap().iter().all(|stage| stage["standing"] == "done"));
}

#[test]
fn evaluate_prints_what_other_programs_rely_on() {
    let scratch = Scratch::new();
    scratch.ok("phantom sand -o p --shape 8,48,48 --seed 3 -q");
    assert!(scratch.fails(2, "phantom sand -o p --shape 8,48,48").contains("--force"));
    scratch.ok(&format!("segment p/volume -o r -q {TINY}"));
    let json: serde_json::Value = serde_json::from_str(&scratch.ok("evaluate r p/truth --json -q")).unwrap();
    for stage in ["pseudo_labels", "train", "correct"] {
        let scores = &json["stages"][stage];
        for key in ["accuracy", "miou", "dice", "accuracy_all", "miou_all", "dice_all"] {
            let value = scores[key].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&value), "{stage} {key} {value}");
        }
        assert_eq!(scores["iou"].as_array().unwrap().len(), 3);
    }
    let json = scratch.ok("evaluate p/truth p/truth --json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["stages"]["labels"]["miou"], 1.0);
    let json = scratch.ok("evaluate p/truth p/truth --json --background 1 --ignore 0");
    assert!(json.contains("\"background\":1"), "{json}");
    scratch.ok("evaluate p/truth p/truth --fail-under 0.99");
    assert!(scratch.fails(5, "evaluate r p/truth --fail-under 0.99").contains("--fail-under asks for 0.99"));
    assert!(scratch.fails(3, "evaluate r p/none").contains("no such file or folder"));
    scratch.volume("grey", Shape::new(8, 48, 48), textured);
    assert!(scratch.fails(3, "evaluate p/truth grey").contains("is no label"));
}

#[test]
fn every_kind_of_input_gets_labels_in_its_own_form() {
    let scratch = Scratch::new();
    let shape = Shape::new(5, 40, 36);
    let values: Vec<u16> = (0..shape.voxels()).map(|i| textured(i) as u16).collect();
    for (kind, name) in [(OutputKind::TiffStack, "v.tif"), (OutputKind::Npy, "v.npy")] {
        let mut writer =
            create(kind, &scratch.path(name), shape, VoxelType::U16, &OutputMeta::default()).unwrap();
        writer.write(Voxels::U16(&values)).unwrap();
        writer.finish().unwrap();
    }
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
    std::fs::write(scratch.path("v.raw"), bytes).unwrap();
    let raw = "v.raw --shape 5,40,36 --dtype u16 --endian big";
    let mut labels = Vec::new();
    for (run, input) in [("stack", "v.tif"), ("npy", "v.npy"), ("raw", raw)] {
        scratch.ok(&format!("segment {input} -o {run} -q {TINY}"));
        labels.push(std::fs::read(scratch.path(run).join("segmentation/segmentation.tif")).unwrap());
        assert!(scratch.path(run).join("pseudo_labels/pseudo_labels.tif").is_file());
        // A stage on its own finds the volume again, raw or not.
        scratch.ok(&format!("predict {run} -q --force"));
    }
    assert!(labels[0] == labels[1] && labels[0] == labels[2], "one volume in three forms, three results");
    assert!(scratch.fails(3, "inspect v.raw --shape 5,40,37 --dtype u16").contains("v.raw"));
    let json = scratch.ok("inspect stack/segmentation --json -q");
    assert!(json.contains("[5,40,36]"), "{json}");
}

#[test]
fn convert_goes_from_any_format_to_any_other() {
    let scratch = Scratch::new();
    let shape = Shape::new(9, 20, 30);
    scratch.volume("v", shape, |i| (i % 251) as f32);
    let chain = ["a.nrrd", "b.h5", "c.mha", "d.ome.zarr", "e.nii.gz", "f.npy", "g.tif", "h"];
    let mut from = "v".to_owned();
    for to in chain {
        scratch.ok(&format!("convert {from} {to} --to u8 -q"));
        to.clone_into(&mut from);
    }
    let original = scratch.ok("inspect v --json -q");
    let copied = scratch.ok("inspect h --json -q");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(json(&copied)["voxel_type"], "uint8");
    // Floats are counted in fine bins, whole numbers exactly.
    assert_eq!(json(&copied)["range"], serde_json::json!([0.0, 250.0]));
    let mean = |text: &str| json(text)["mean"].as_f64().unwrap();
    assert!((mean(&original) - mean(&copied)).abs() < 0.01);
    assert_eq!(json(&original)["shape"], json(&copied)["shape"]);
    for named in ["b.h5::/exchange/data", "b.h5/exchange/data"] {
        let inspected = scratch.ok(&format!("inspect {named} --json -q"));
        assert_eq!(mean(&inspected), mean(&copied));
    }

    let plan = scratch.ok("convert b.h5 i.nrrd --dry-run -q");
    assert!(plan.contains("hdf5 9×20×30 uint8 from b.h5") && plan.contains("nrrd 9×20×30 uint8"), "{plan}");
    assert!(!scratch.path("i.nrrd").exists());
    let told = json(&scratch.ok("convert b.h5 i.dat --format nrrd --labels --json -q"));
    assert_eq!(told["format"], "nrrd");
    assert!(std::fs::read(scratch.path("i.dat")).unwrap().starts_with(b"NRRD"));
    scratch.ok("convert b.h5 shards.zarr --ome-version 0.5 -q");
    assert!(scratch.path("shards.zarr/zarr.json").is_file());
    assert!(scratch.fails(2, "convert v a.nrrd").contains("`a.nrrd` exists; --force replaces it"));
    scratch.ok("convert v a.nrrd --force -q");
    assert!(scratch.fails(2, "convert v a.jpg").contains("its name tells no format that is written"));
    assert!(scratch.fails(3, "convert none a.npy").contains("no such file or folder"));
    scratch.volume("halves", shape, |i| i as f32 / 2.0);
    let refused = scratch.fails(2, "convert halves k.npy --to u8 -q");
    assert!(refused.contains("the value 0.5 does not fit uint8"), "{refused}");
    assert!(!scratch.path("k.npy").exists());
    assert!(
        scratch.fails(4, "convert v k.npy --max-memory 5KB -q").contains("bytes of memory do not suffice")
    );
}

#[test]
fn scanning_the_number_of_classes_leaves_curves() {
    let scratch = Scratch::new();
    scratch.volume("v", Shape::new(5, 40, 40), textured);
    let words = scratch.ok("cluster v -o r --scan-k 2..6 -q");
    assert!(words.contains("silhouette") && words.contains("classes, the larger of"), "{words}");
    assert_eq!(words.lines().count(), 7, "{words}");
    let scan: serde_json::Value =
        serde_json::from_slice(&std::fs::read(scratch.path("r/scan.json")).unwrap()).unwrap();
    assert_eq!(scan["candidates"].as_array().unwrap().len(), 5);
    assert_eq!(scan["silhouette_best"], 3);
    assert!(scratch.path("r/scan.png").is_file() && !scratch.path("r/pseudo_labels").exists());
    assert!(scratch.ok("cluster v -o r --scan-k 2..3 --json -q").contains("\"knee\":"));
    let refused = scratch.run("cluster v -o r --scan-k 1..3");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("such as 2..12"));
}

#[test]
fn a_study_is_shown_then_run_then_done() {
    let scratch = Scratch::new();
    scratch.ok("phantom sand -o p --shape 8,40,40 -q");
    scratch.ok("phantom ceramic -o q --shape 8,40,40 -q");
    assert!(scratch.fails(2, "study netwroks p/volume -o s").contains("did you mean `networks`?"));
    assert!(
        scratch.fails(2, "study classes p/volume -o s --truth a --truth b").contains("one for each volume")
    );
    assert!(scratch.fails(3, "study classes none -o s").contains("no such file or folder"));
    let study = format!("study classes p/volume -o s -q --truth p/truth {TINY} --set correct.guard=false");
    let plan = scratch.ok(&format!("{study} --dry-run"));
    assert_eq!(plan.lines().count(), 3, "{plan}");
    assert!(plan.lines().next().unwrap().starts_with("classes=3   to do: cluster, train, correct"), "{plan}");
    assert!(!scratch.path("s").exists(), "a dry run left a folder");
    let table = scratch.ok(&study);
    assert!(table.contains("| classes=10 |") && table.contains("pseudo labels"), "{table}");
    assert!(scratch.ok(&format!("{study} --dry-run")).contains("cluster, train, correct, predict done"));
    for extension in ["md", "csv", "json", "png"] {
        assert!(scratch.path(&format!("s/classes.{extension}")).is_file(), "{extension}");
    }
    // Two volumes, only one of them with a truth; stage 2 of the first is taken over from the other study.
    let both = format!(
        "study samples p/volume q/volume -o s -q --truth p/truth --truth - {TINY} \
                        --set correct.guard=false"
    );
    let plan = scratch.ok(&format!("{both} --dry-run"));
    assert!(
        plan.contains("p  cluster, train, correct, predict from runs/volume/classes/classes=3"),
        "{plan}"
    );
    let json: serde_json::Value = serde_json::from_str(&scratch.ok(&format!("{both} --json"))).unwrap();
    assert_eq!(json["rows"][1]["name"], "q");
    assert!(json["rows"][0]["evaluation"]["stages"]["correct"]["miou"].is_f64());
    assert!(json["rows"][1]["evaluation"].is_null());
}

#[test]
fn explain_leaves_a_picture_and_maps() {
    let scratch = Scratch::new();
    scratch.ok("phantom sand -o p --shape 8,44,36 -q");
    assert!(scratch.fails(3, "explain none --slice 0").contains("not a run folder"));
    scratch.ok(&format!("cluster p/volume -o r -q {TINY}"));
    let error = scratch.fails(3, "explain r --slice 0");
    assert!(error.contains("no network to explain yet; run `tomosieve train r` first"), "{error}");
    scratch.ok("train r -q");
    let words = scratch.ok("explain r --slice 0 -q");
    assert!(words.contains("slice_00000_encoder.1_train.tif") && !words.contains("correct"), "{words}");

    scratch.ok("correct r -q");
    let json: serde_json::Value = serde_json::from_str(&scratch.ok("explain r --slice 5 --json -q")).unwrap();
    assert_eq!((&json["slice"], &json["layer"]), (&serde_json::json!(5), &serde_json::json!("encoder.1")));
    let picture = scratch.path(json["picture"].as_str().unwrap());
    assert_eq!(picture, scratch.path("r/explain/slice_00005_encoder.1.png"));
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
    for stage in ["train", "correct"] {
        let of = &json["stages"][stage];
        let maps = scratch.path(of["maps"].as_str().unwrap());
        let maps = open(&maps, &OpenOptions::default()).unwrap();
        assert_eq!(maps.info().voxel_type, VoxelType::F32);
        assert_eq!(maps.shape(), Shape::new(3, 44, 36));
        let mut values = vec![0.0; maps.shape().voxels()];
        maps.read(&Region::whole(maps.shape()), &mut values).unwrap();
        let classes = of["classes"].as_array().unwrap();
        let shares: f64 = classes.iter().map(|class| class["fraction"].as_f64().unwrap()).sum();
        assert!((shares - 1.0).abs() < 1e-9);
        for (class, map) in classes.iter().zip(values.chunks_exact(44 * 36)) {
            let highest = map.iter().copied().fold(0.0, f32::max);
            let expected = if class["peak"].as_f64().unwrap() > 0.0 { 1.0 } else { 0.0 };
            assert_eq!(highest, expected, "{stage} {class}");
            assert!(map.iter().all(|v| (0.0..=1.0).contains(v)));
        }
        assert!(classes.iter().any(|class| class["peak"].as_f64().unwrap() > 0.0), "{stage}: {of}");
    }
    scratch.ok("explain r --slice 5 --class 1 --layer decoder.0 -q");
    assert!(scratch.path("r/explain/slice_00005_decoder.0_class_1_correct.tif").is_file());
    for (arguments, message) in [
        ("--slice 8", "there is no slice 8; expected 0 to 7"),
        ("--slice 0 --class 3", "there is no class 3; expected 0 to 2"),
        (
            "--slice 0 --layer encoder1",
            "unknown layer `encoder1`; did you mean `encoder.1`? known: encoder.0, encoder.1, decoder.0",
        ),
    ] {
        assert!(scratch.fails(2, &format!("explain r {arguments}")).contains(message), "{arguments}");
    }
}

#[test]
fn inspect_tells_what_it_found() {
    let scratch = Scratch::new();
    scratch.ok("phantom ceramic -o p --shape 8,40,36 -q");
    let words = scratch.ok("inspect p/volume -q");
    assert!(words.contains("8×40×36 (z × y × x)") && words.contains("uint16"), "{words}");
    let json: serde_json::Value = serde_json::from_str(&scratch.ok("inspect p/volume --json -q")).unwrap();
    assert_eq!(json["shape"], serde_json::json!([8, 40, 36]));
    assert_eq!(json["axes"], "zyx");
    assert!(json["range"][0].as_f64().unwrap() < json["range"][1].as_f64().unwrap());
}

#[test]
fn however_many_threads_count_the_values_are_the_same_and_the_first_damage_is_named() {
    let scratch = Scratch::new();
    let folder = scratch.packed("v", Shape::new(40, 96, 96), textured, TiffCompression::Lzw);
    let inspected = |threads: usize| scratch.ok(&format!("inspect v --json -q --threads {threads}"));
    let one = inspected(1);
    (2..6).for_each(|threads| assert_eq!(inspected(threads), one, "{threads} threads"));
    for n in [9, 11, 30] {
        let slice = nth_tiff(&folder, n);
        let mut bytes = std::fs::read(&slice).unwrap();
        let middle = bytes.len() / 3..bytes.len() / 2; // of what is packed: the headers are whole
        bytes[middle].fill(0xff);
        std::fs::write(slice, bytes).unwrap();
    }
    for threads in 1..6 {
        let error = scratch.fails(3, &format!("inspect v -q --threads {threads}"));
        assert!(error.contains("slice_00009.tif") && error.contains("damaged"), "{threads} threads: {error}");
    }
}

#[test]
fn init_writes_a_configuration_that_is_the_default() {
    let scratch = Scratch::new();
    scratch.ok("init");
    assert!(scratch.fails(2, "init").contains("--force replaces it"));
    scratch.volume("v", Shape::new(3, 32, 32), textured);
    let with = scratch.ok("segment v -o r --dry-run --json --config tomosieve.toml");
    let without = scratch.ok("segment v -o r --dry-run --json");
    let work = |text: &str| -> Vec<String> {
        let plan: serde_json::Value = serde_json::from_str(text).unwrap();
        plan["stages"].as_array().unwrap().iter().map(|s| s["work"].to_string()).collect()
    };
    assert_eq!(work(&with), work(&without));
    assert!(!scratch.path("r").exists(), "a dry run left a folder");
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_a_checkpoint_and_the_same_command_goes_on() {
    let scratch = Scratch::new();
    scratch.volume("v", Shape::new(5, 40, 40), textured);
    let command = format!("segment v -o r {TINY} --set train.steps=400");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tomosieve"))
        .args(command.split_whitespace())
        .current_dir(scratch.0.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let log = scratch.path("r/log.jsonl");
    while !log.exists() {
        assert!(child.try_wait().unwrap().is_none(), "ended before it could be stopped");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{stderr}");
    assert!(stderr.contains("the same command continues from here"), "{stderr}");
    assert_eq!(std::fs::read_dir(scratch.path("r/checkpoint")).unwrap().count(), 1);
    scratch.ok(&command);
    assert!(scratch.path("r/report.md").is_file());
}

fn nth_tiff(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("slice_{n:05}.tif"))
}

fn first_tiff(folder: &Path) -> PathBuf {
    nth_tiff(folder, 0)
}
