//! How much memory this process has.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::{Error, Result};

/// From one look to the next.
const INTERVAL: Duration = Duration::from_millis(1);

/// What `work` returns, and the most bytes that are resident while it goes on.
///
/// # Errors
/// [`Error::Resources`] when the system does not tell.
pub(super) fn most_resident<R>(work: impl FnOnce() -> R) -> Result<(R, u64)> {
    let fails =
        |e: sysinfo::Error| Error::Resources(format!("cannot tell how much memory this process has: {e}"));
    let pid = sysinfo::get_current_pid().map_err(fails)?;
    let mut system = System::new().map_err(fails)?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            loop {
                let last = done.load(Ordering::Acquire);
                most = most.max(resident(&mut system, pid));
                if last {
                    return most;
                }
                thread::sleep(INTERVAL);
            }
        });
        let result = work();
        done.store(true, Ordering::Release);
        match watch.join() {
            Ok(most) => Ok((result, most)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Resident bytes of a process, 0 when it is not there.
fn resident(system: &mut System, pid: Pid) -> u64 {
    let memory = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, memory);
    system.process(pid).map_or(0, sysinfo::Process::memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_gone_at_the_end_counts_too() {
        const BYTES: usize = 256 << 20;
        let ((), before) = most_resident(|| ()).unwrap();
        let (sum, most) = most_resident(|| {
            let block = vec![1_u8; BYTES];
            thread::sleep(20 * INTERVAL);
            block.iter().step_by(4096).map(|&v| usize::from(v)).sum::<usize>()
        })
        .unwrap();
        assert_eq!(sum, BYTES / 4096);
        assert!(most >= before + (BYTES as u64) * 9 / 10, "{most} bytes, {before} before");
    }
}
