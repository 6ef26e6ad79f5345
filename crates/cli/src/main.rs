//! The `tomosieve` command: flags → configuration → one library call.

mod args;
mod commands;
mod exit;
mod progress;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use clap::error::ErrorKind;
use tomosieve_nn::kernels::heap::{Heap, give_back};

use args::Cli;
use progress::{Screen, say};

#[global_allocator]
static HEAP: Heap = Heap;

fn main() -> ExitCode {
    give_back();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let _ = error.print(); // nobody listening is no reason to fail
            return ExitCode::from(if shown { 0 } else { exit::USAGE });
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = stop_on_signals(&stop) {
        say(&format!("error: cannot listen for signals: {error}"));
        return ExitCode::from(exit::FAILED);
    }
    let screen = Screen::new(cli.global.quiet, stop);
    match commands::run(&cli, &screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(exit::code(&error))
        }
    }
}

/// The first SIGINT or SIGTERM asks for a checkpoint and an orderly end, the second ends at once.
fn stop_on_signals(stop: &Arc<AtomicBool>) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    for signal in [SIGINT, SIGTERM] {
        let again = Arc::clone(stop);
        // Registered in this order: the exit sees the flag before this signal sets it.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(exit::INTERRUPTED),
            Arc::clone(&again),
        )?;
        signal_hook::flag::register(signal, again)?;
    }
    stop.store(false, Ordering::Relaxed);
    Ok(())
}
