//! The configuration: defaults, presets, layers, and what is refused.

use tomosieve::Config;
use tomosieve::config::{DEFAULT, Layers, PRESETS};
use tomosieve_volume::Shape;

fn refused(assignment: &str) -> String {
    Layers::defaults().unwrap().set(assignment).and_then(Layers::build).unwrap_err().to_string()
}

#[test]
fn the_commented_default_holds_every_setting_and_no_other() {
    let config = Config::defaults().unwrap();
    let written: toml::Table = config.to_toml().unwrap().parse().unwrap();
    let default: toml::Table = DEFAULT.parse().unwrap();
    assert_eq!(written, default);
}

#[test]
fn every_preset_builds_and_survives_a_round_trip() {
    for (name, _) in PRESETS {
        let config = Layers::defaults().unwrap().preset(name).unwrap().build().unwrap();
        let again: Config = toml::from_str(&config.to_toml().unwrap()).unwrap();
        assert_eq!(again, config, "{name}");
    }
}

#[test]
fn a_recipe_sets_what_is_its_own_and_what_comes_later_wins() {
    let set = |settings: &[&str]| {
        let layers = Layers::defaults().unwrap();
        settings.iter().fold(layers, |layers, setting| layers.set(setting).unwrap()).build().unwrap()
    };
    let paper = set(&["train.steps=7", "recipe=paper", "views.strength=2"]);
    assert!(!paper.correct.guard && !paper.train.partial_volume && paper.train.blind == 0.0);
    assert_eq!((paper.views.strength, paper.train.steps), (2.0, 7));
    let together = ["correct.guard=true", "recipe=paper"].map(str::to_owned);
    let together = Layers::defaults().unwrap().set_all(together).unwrap().build().unwrap();
    assert!(together.correct.guard && together.recipe == "paper", "what stands beside a recipe wins");
    assert_eq!(set(&["recipe=paper", "recipe=robust"]), Config::defaults().unwrap());
    let preset = Layers::defaults().unwrap().preset("paper").unwrap().build().unwrap();
    assert!(preset.recipe == "paper" && !preset.correct.guard && preset.train.epochs == 200);
    let quick = Layers::defaults().unwrap().preset("quick").unwrap();
    let again = quick.clone().set("recipe=robust").unwrap().build().unwrap();
    assert_eq!(again, quick.build().unwrap(), "a recipe that is the present one changes nothing");
    let unknown = Layers::defaults().unwrap().set("recipe=papre").unwrap_err().to_string();
    assert!(unknown.contains("did you mean `paper`?"), "{unknown}");
}

#[test]
fn later_layers_win() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    std::fs::write(&file, "[train]\nsteps = 7\ncrop = 32\n").unwrap();
    let config = Layers::defaults()
        .unwrap()
        .preset("quick")
        .unwrap()
        .file(&file)
        .unwrap()
        .set("train.steps=9")
        .unwrap()
        .set("train.learning_rate=1")
        .unwrap()
        .set("network.widths=[4,8]")
        .unwrap()
        .set("network.name=unet")
        .unwrap()
        .build()
        .unwrap();
    assert_eq!((config.train.steps, config.train.crop), (9, 32));
    assert!((config.train.learning_rate - 1.0).abs() < 1e-12);
    assert_eq!((config.network.widths, config.network.name.as_str()), (vec![4, 8], "unet"));
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    assert_eq!(
        refused("train.stepz=3"),
        "unknown setting `train.stepz`; known in [train]: batch, blind, checks, crop, epochs, keep, \
         learning_rate, partial_volume, pool, rare, schedule, settled, steps, strong"
    );
    assert_eq!(refused("input.classes=1"), "input.classes is 1; expected 2 to 255, or 0 to have it found");
    assert_eq!(
        refused("input.classes=256"),
        "input.classes is 256; expected 2 to 255, or 0 to have it found"
    );
    assert_eq!(refused("input.slices=4"), "input.slices is 4; expected an odd number up to 99");
    assert_eq!(refused("train=3"), "`train` is a section; set one of its settings");
    assert!(
        refused("network.name=resnet")
            .starts_with("unknown network `resnet`; did you mean `resunet`? known: unet, ")
    );
    assert!(refused("cluster.method=som").contains("kmeans"));
    assert!(refused("loss.name=l2").contains("label-smoothing"));
    assert_eq!(refused("loss.q=1.2"), "loss.q is 1.2; expected 0.01 to 1");
    assert_eq!(refused("loss.gamma=-1"), "loss.gamma is -1; expected 0 to 10");
    assert_eq!(refused("loss.log_zero=4"), "loss.log_zero is 4; expected a number in [-100, 0)");
    assert!(refused("views.strong=[\"blur\"]").contains("clahe"));
    assert!(refused("max_memory=lots").contains("8GiB"));
    assert!(refused("train.steps=many").contains("train"));
    assert!(refused("correct.threshold=1.5").contains("a probability in [0, 1)"));
    let unknown = Layers::defaults().unwrap().preset("fast").unwrap_err().to_string();
    assert_eq!(unknown, "unknown preset `fast`; known: quick, standard, paper");
}

#[test]
fn every_loss_can_be_named_and_the_defaults_of_both_crates_agree() {
    for name in tomosieve_nn::losses::names() {
        let config = Layers::defaults().unwrap().set(&format!("loss.name={name}")).unwrap().build().unwrap();
        assert_eq!(config.loss.name, name);
    }
    assert_eq!(Config::defaults().unwrap().loss, tomosieve_nn::losses::LossConfig::default());
}

#[test]
fn a_damaged_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    std::fs::write(&file, "seed = 1\n[train\n").unwrap();
    let error = Layers::defaults().unwrap().file(&file).unwrap_err().to_string();
    assert!(error.contains("bad.toml, line 2"), "{error}");
}

#[test]
fn settings_are_fitted_to_a_small_volume() {
    let config = Config::defaults().unwrap();
    let (fitted, notes) = tomosieve::plan::fit(config.clone(), Shape::new(4, 40, 50));
    assert_eq!((fitted.input.slices, fitted.train.crop, fitted.correct.crop), (3, 40, 40));
    assert_eq!(notes.len(), 3);
    assert_eq!(notes[0], "input.slices 7 → 3: the volume has 4 slices");
    let (single, _) = tomosieve::plan::fit(config.clone(), Shape::new(1, 400, 400));
    assert_eq!(single.input.slices, 1);
    let (mut same, notes) = tomosieve::plan::fit(config.clone(), Shape::new(64, 400, 400));
    assert_eq!((same.segment.tile, notes.len()), (config.correct.crop, 0), "windows as large as a crop");
    same.segment.tile = config.segment.tile;
    assert_eq!(same, config);
}
