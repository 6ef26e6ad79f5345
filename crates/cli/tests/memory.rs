//! What the plan says a stage takes is near what it takes. `benches/memory.sh` does the same for large volumes, other
//! formats and more networks.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const STAGES: [&str; 4] = ["cluster", "train", "correct", "predict"];

fn tomosieve(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tomosieve"));
    command.current_dir(folder).args(arguments.split(' ')).stdin(Stdio::null());
    command
}

/// The most bytes a command had resident, as the system counts them (`VmHWM`), looked at until it ends.
fn most_resident(mut command: Command) -> f64 {
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0.0_f64;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        most = most.max(found.map_or(0.0, |kib| 1024.0 * kib.trim().parse::<f64>().unwrap()));
        sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    most
}

#[test]
fn the_plan_is_near_what_is_used() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let phantom = "phantom intergrowth -o p --shape 8,1024,1024 --acquisition noise -q";
    assert!(tomosieve(folder, phantom).status().unwrap().success());
    let common = "--preset quick --slices 3 --threads 2 --max-memory 1GiB -q --set segment.overlap=0.1 \
                  --set train.steps=200 --set train.settled=0 --set correct.steps=100 --set correct.guard=false --set starts=2";
    // A teacher that is sure of nothing would leave the student nothing to learn, so stage 2 is not too short.
    for settings in ["--set segment.tile=128", "--set starts=1 --set train.crop=128 --set correct.crop=128"] {
        let run = format!("p/volume -o r {common} {settings}");
        let plan = tomosieve(folder, &format!("segment {run} --dry-run --json")).output().unwrap();
        let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
        for (stage, planned) in STAGES.into_iter().zip(plan["stages"].as_array().unwrap()) {
            assert_eq!(planned["stage"], stage);
            let arguments =
                if stage == "cluster" { format!("cluster {run}") } else { format!("{stage} r -q") };
            let share = most_resident(tomosieve(folder, &arguments)) / planned["memory"].as_f64().unwrap();
            assert!(
                (0.8..=1.0).contains(&share),
                "{settings}: {stage} uses {:.0} % of its plan",
                100.0 * share
            );
        }
        std::fs::remove_dir_all(folder.join("r")).unwrap();
    }
}
