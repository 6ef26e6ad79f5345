//! Nothing is lost: whatever interrupts a run, at whatever instant, the same command run again ends in the
//! bytes of a run that nothing interrupted.
//!
//! A few of each fault are tried in every test run; `cargo test --test faults -- --ignored` tries hundreds.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A small volume, and what a run makes of it that nothing interrupts.
struct Scene {
    folder: TempDir,
    expected: BTreeMap<PathBuf, Vec<u8>>,
    takes: Duration,
    draw: u64,
}

/// What became of a run that was disturbed.
struct End {
    status: ExitStatus,
    stderr: String,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let phantom = "phantom intergrowth -o p --shape 24,48,48 --seed 1 -q";
        assert!(tomosieve(folder.path()).args(phantom.split(' ')).status().unwrap().success());
        let mut scene = Self { folder, expected: BTreeMap::new(), takes: Duration::ZERO, draw: seed };
        let started = Instant::now();
        let end = Self::ended(scene.start("expected"));
        assert!(end.status.success(), "{}", end.stderr);
        scene.takes = started.elapsed();
        scene.expected = results(&scene.path("expected"));
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, run: &str) -> Child {
        tomosieve(self.folder.path()).args(words(run)).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn ended(child: Child) -> End {
        let output = child.wait_with_output().unwrap();
        End { status: output.status, stderr: String::from_utf8(output.stderr).unwrap() }
    }

    /// A time at which a run is still going on, drawn evenly (SplitMix64).
    fn instant(&mut self) -> Duration {
        self.draw = self.draw.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.draw;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        self.takes.mul_f64(share)
    }

    /// Fails unless a run holds what it should, and nothing half done.
    fn check(&self, run: &str) {
        let found = results(&self.path(run));
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&self.expected));
        for (name, bytes) in &found {
            assert!(self.expected[name] == *bytes, "{} differs", name.display());
        }
    }

    /// Kills runs until it was done `count` times, each run as often as it takes to end.
    fn kill(&mut self, count: usize) {
        let mut kills = 0;
        while kills < count {
            loop {
                let mut child = self.start("killed");
                std::thread::sleep(self.instant());
                child.kill().unwrap();
                let end = Self::ended(child);
                if end.status.success() {
                    break;
                }
                assert_eq!(end.status.code(), None, "it failed by itself: {}", end.stderr);
                kills += 1;
            }
            self.check("killed");
            std::fs::remove_dir_all(self.path("killed")).unwrap();
        }
    }

    /// Takes the volume away in the middle of a run, `count` times.
    fn vanish(&mut self, count: usize) {
        for _ in 0..count {
            let child = self.start("blind");
            std::thread::sleep(self.instant());
            std::fs::rename(self.path("p/volume"), self.path("p/elsewhere")).unwrap();
            let end = Self::ended(child);
            std::fs::rename(self.path("p/elsewhere"), self.path("p/volume")).unwrap();
            if !end.status.success() {
                assert_eq!(end.status.code(), Some(3), "{}", end.stderr);
                one_line(&end.stderr, "p/volume");
            }
            let again = Self::ended(self.start("blind"));
            assert!(again.status.success(), "{}", again.stderr);
            self.check("blind");
            std::fs::remove_dir_all(self.path("blind")).unwrap();
        }
    }

    /// Fills the disk in the middle of a run, makes room and repeats it; then once more on a disk that can
    /// only be read. Tells whether the disk was full in time.
    #[cfg(target_os = "linux")]
    fn fill_the_disk(&mut self) -> bool {
        const SCRIPT: &str = r#"
            mkdir -p disk && mount -t tmpfs -o size=64m tmpfs disk || exit 1
            "$@" 2>full & sleep "$INSTANT"; cat /dev/zero >disk/fill 2>/dev/null
            wait $!; echo $? >full.code; rm disk/fill
            "$@" 2>roomy; echo $? >roomy.code; cp -r disk/run copy
            mount -o remount,ro disk; "$@" --force 2>locked; echo $? >locked.code"#;
        let instant = self.instant().as_secs_f64().to_string();
        let spaces = ["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"];
        let done = Command::new("unshare")
            .args(spaces)
            .arg(env!("CARGO_BIN_EXE_tomosieve"))
            .args(words("disk/run"))
            .env("INSTANT", instant)
            .current_dir(self.folder.path())
            .status();
        assert!(done.unwrap().success(), "no disk of its own");
        let read = |name: &str| std::fs::read_to_string(self.path(name)).unwrap();
        assert_eq!(read("roomy.code").trim(), "0", "{}", read("roomy"));
        self.check("copy");
        std::fs::remove_dir_all(self.path("copy")).unwrap();
        assert_eq!(read("locked.code").trim(), "1", "{}", read("locked"));
        one_line(&read("locked"), "Read-only");
        match read("full.code").trim() {
            "0" => false, // done before the disk was full
            "4" => {
                one_line(&read("full"), "0 B free"); // full before it began
                false
            }
            code => {
                assert_eq!(code, "1", "{}", read("full"));
                one_line(&read("full"), "No space left");
                true
            }
        }
    }
}

/// A command that writes a checkpoint after every step.
fn words(run: &str) -> Vec<String> {
    let words = format!(
        "segment p/volume -o {run} --preset quick --seed 0 --threads 1 -q --set checkpoint_minutes=0 \
         --set starts=2 --set network.widths=[4,8] --set train.steps=6 --set correct.steps=4 --set train.crop=32 \
         --set correct.crop=32 --set correct.guard=false"
    );
    words.split_whitespace().map(str::to_owned).collect()
}

fn tomosieve(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tomosieve"));
    command.current_dir(folder);
    command
}

/// Fails unless there is one error, in one line that says `what`.
fn one_line(stderr: &str, what: &str) {
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && errors[0].contains(what) && !stderr.contains("panicked"), "{stderr}");
}

/// How stage 3 ended, as the provenance has it.
fn correction(provenance: &Path) -> Vec<u8> {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(provenance).unwrap()).unwrap();
    assert!(json["correction"]["scores"].is_object() && json["seconds"]["predict"].is_number(), "{json}");
    json["correction"].to_string().into_bytes()
}

/// Every file below a run folder, but for those that tell the time.
fn results(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let timed = ["stages.json", "provenance.json", "report.md"];
    let mut files = BTreeMap::new();
    let mut folders = vec![run.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(run).unwrap().to_path_buf();
            if path.is_dir() {
                folders.push(path);
            } else {
                let told = timed.iter().any(|timed| name == Path::new(timed));
                let bytes = match name.to_str() {
                    Some("provenance.json") => correction(&path),
                    _ if told => Vec::new(),
                    _ => std::fs::read(path).unwrap(),
                };
                files.insert(name, bytes);
            }
        }
    }
    files
}

#[test]
fn a_few_faults_lose_nothing() {
    let mut scene = Scene::new(1);
    scene.kill(4);
    scene.vanish(2);
}

#[test]
#[ignore = "minutes"]
fn two_hundred_kills_lose_nothing() {
    Scene::new(2).kill(200);
}

#[test]
#[ignore = "minutes"]
fn a_volume_that_vanishes_is_named_and_nothing_is_lost() {
    Scene::new(3).vanish(20);
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "minutes, and mounts in a name space of its own"]
fn a_disk_that_fills_up_is_named_and_nothing_is_lost() {
    let mut scene = Scene::new(4);
    let mut in_time = 0;
    while in_time < 20 {
        in_time += usize::from(scene.fill_the_disk());
    }
}
