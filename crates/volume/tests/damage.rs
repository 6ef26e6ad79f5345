//! Whatever is cut off, flipped or overwritten in a file, the answer is an error or voxels: no
//! panic, no hang, no memory taken for what a damaged header promises.
//!
//! Damage is seeded: a failure names the format, the file and the number of the mutation, and comes
//! again. `cargo test --test damage -- --ignored` does ten thousand mutations a format and more.
#![expect(clippy::print_stderr, reason = "a run of a quarter of a million mutations tells what it saw")]

mod common;

use std::alloc::System;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use cap::Cap;
use common::{entries, open_plain, read};
use tomosieve_volume::Region;

/// Files here have some kilobytes; a reader that asks for more than this trusts their headers.
const MEMORY: usize = 1 << 30;
/// One mutation is opened and read within this, or the run is ended.
const PATIENCE: Duration = Duration::from_secs(30);

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, MEMORY);

/// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((n ^ (n >> 31)) % below.max(1) as u64) as usize
    }

    /// A place in a file, half of the time in its header.
    fn place(&mut self, len: usize) -> usize {
        if self.roll(2) == 0 { self.roll(len.min(512)) } else { self.roll(len) }
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        match self.roll(6) {
            0 => bytes.truncate(self.roll(bytes.len() + 1)),
            1 => {
                let at = self.place(bytes.len());
                let end = (at + 1 + self.roll(8)).min(bytes.len());
                let value = [0x00, 0xff, 0x7f, 0x80, 0x01][self.roll(5)];
                bytes[at.min(end)..end].fill(value);
            }
            2 => {
                let at = self.place(bytes.len());
                let count = 1 + self.roll(8);
                let more: Vec<u8> = (0..count).map(|_| self.roll(256) as u8).collect();
                bytes.splice(at..at, more);
            }
            3 => {
                let at = self.place(bytes.len());
                let end = (at + 1 + self.roll(8)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            _ => {
                for _ in 0..=self.roll(4) {
                    let at = self.place(bytes.len());
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.roll(8);
                    }
                }
            }
        }
    }
}

/// What is being done, for the one who ends a hang.
type Now = Arc<Mutex<Option<(Instant, String)>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process when a mutation takes too long: no other way leads out of a loop.
fn watch() -> Now {
    let now: Now = Arc::default();
    let watched = Arc::downgrade(&now);
    std::thread::spawn(move || {
        while let Some(now) = watched.upgrade() {
            if let Some((started, what)) = &*lock(&now)
                && started.elapsed() > PATIENCE
            {
                eprintln!("hang: {what}");
                std::process::abort();
            }
            drop(now);
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    now
}

fn golden(room: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(room)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in entries(from) {
        if from.join(&name).is_dir() {
            copy_folder(&from.join(&name), &to.join(&name));
        } else {
            fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

/// All files of a volume: itself, or what its folder holds.
fn files_of(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    entries(path).into_iter().flat_map(|name| files_of(&path.join(name))).collect()
}

fn try_read(path: &Path) -> bool {
    let Ok(volume) = open_plain(path) else { return false };
    let shape = volume.shape();
    let region = if shape.voxels() < 1 << 16 {
        Region::whole(shape)
    } else {
        Region { start: [0; 3], size: [1, shape.y.min(9), shape.x.min(9)] }
    };
    read(&*volume, &region).is_ok()
}

/// Damages the volumes of a room in turn.
fn mutate(room: &str, mutations: usize) {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            before(info);
        }));
    });
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join(room);
    copy_folder(&golden(room), &home);
    if room == "hdf5s" {
        copy_folder(&golden("hdf5_parts"), &folder.path().join("hdf5_parts"));
    }
    let now = watch();
    let names = entries(&home);
    let (mut read, mut slowest) = (0, Duration::ZERO);
    for number in 0..mutations {
        let name = &names[number % names.len()];
        let mut dice = Dice(number as u64);
        let files = files_of(&home.join(name));
        let file = &files[dice.roll(files.len())];
        let whole = fs::read(file).unwrap();
        let mut damaged = whole.clone();
        dice.damage(&mut damaged);
        fs::write(file, damaged).unwrap();
        let what = format!("{room}, mutation {number}: {}", file.display());
        let started = Instant::now();
        *lock(&now) = Some((started, what.clone()));
        // A damaged sidecar is read with what it lies beside.
        let opened = home.join(name.strip_suffix(".json").unwrap_or(name));
        let answer = catch_unwind(AssertUnwindSafe(|| try_read(&opened)));
        *lock(&now) = None;
        slowest = slowest.max(started.elapsed());
        read += usize::from(answer.unwrap_or_else(|_| panic!("panic: {what}")));
        fs::write(file, whole).unwrap();
    }
    let contained = PANICS.load(Ordering::Relaxed);
    eprintln!(
        "{room}: {mutations} mutations, {read} read, slowest {slowest:?}; {contained} panics contained in all"
    );
}

macro_rules! rooms {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                mutate(stringify!($name), 1500);
            }
        )*

        mod long {
            $(
                #[test]
                #[ignore = "takes minutes"]
                fn $name() {
                    super::mutate(stringify!($name), 20_000);
                }
            )*
        }
    };
}

rooms!(tiffs, npys, hdf5s, nrrds, mhas, niftis, mrcs, raws, zarrs);
