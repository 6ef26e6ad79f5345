//! What the user sees while a run is at work: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tomosieve::progress::Progress;

/// Time between plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The rate is taken over this long a time, so that it follows what happens now.
const WINDOW: Duration = Duration::from_secs(20);

/// Shows progress on stderr.
pub(crate) struct Screen {
    quiet: bool,
    terminal: bool,
    stop: Arc<AtomicBool>,
    now: Mutex<Option<Stretch>>,
}

/// The stretch of work under way.
struct Stretch {
    stage: String,
    unit: String,
    total: u64,
    done: u64,
    started: Instant,
    last_line: Instant,
    /// Recent marks of time and amount done, oldest first.
    marks: std::collections::VecDeque<(Instant, u64)>,
    bar: ProgressBar,
}

impl Screen {
    /// A screen; `stop` is set when a signal asks for an end.
    pub(crate) fn new(quiet: bool, stop: Arc<AtomicBool>) -> Self {
        Self { quiet, terminal: std::io::stderr().is_terminal(), stop, now: Mutex::new(None) }
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }
}

/// Writes a line to stderr; nobody listening is no reason to fail.
pub(crate) fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

impl Stretch {
    /// Units per second over the last while, and the seconds left at that rate.
    fn pace(&self) -> (f64, Option<f64>) {
        let Some(&(since, before)) = self.marks.front() else { return (0.0, None) };
        let seconds = since.elapsed().as_secs_f64();
        let rate = (self.done - before) as f64 / seconds.max(1e-9);
        let left = (rate > 0.0).then(|| (self.total.saturating_sub(self.done)) as f64 / rate);
        (rate, left)
    }

    fn mark(&mut self) {
        let now = Instant::now();
        if self.marks.back().is_none_or(|(at, _)| now - *at > Duration::from_millis(200)) {
            self.marks.push_back((now, self.done));
        }
        while self.marks.len() > 2 && now - self.marks[1].0 > WINDOW {
            self.marks.pop_front();
        }
    }
}

impl Progress for Screen {
    fn begin(&self, stage: &str, total: u64, done: u64, unit: &str) {
        let bar = if self.quiet || !self.terminal {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        } else {
            let template = "{prefix:>20} {bar:30} {pos}/{len} {msg}";
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style).with_prefix(stage.to_owned())
        };
        bar.set_position(done);
        let now = Instant::now();
        let stretch = Stretch {
            stage: stage.to_owned(),
            unit: unit.to_owned(),
            total,
            done,
            started: now,
            last_line: now,
            marks: [(now, done)].into(),
            bar,
        };
        if let Ok(mut slot) = self.now.lock() {
            *slot = Some(stretch);
        }
    }

    fn advance(&self, by: u64, detail: &str) {
        let Ok(mut slot) = self.now.lock() else { return };
        let Some(stretch) = slot.as_mut() else { return };
        stretch.done += by;
        stretch.mark();
        let (rate, left) = stretch.pace();
        let left = left.map_or("…".to_owned(), duration);
        let detail = if detail.is_empty() { String::new() } else { format!(" · {detail}") };
        if self.terminal {
            stretch.bar.set_message(format!(
                "{} {} {}/s · {left} left{detail}",
                stretch.unit,
                number(rate),
                stretch.unit
            ));
            stretch.bar.set_position(stretch.done);
        } else if stretch.last_line.elapsed() > LINE_EVERY {
            stretch.last_line = Instant::now();
            let (stage, done, total, unit) = (&stretch.stage, stretch.done, stretch.total, &stretch.unit);
            self.line(&format!(
                "{stage}: {done}/{total} {unit} · {} {unit}/s · {left} left{detail}",
                number(rate)
            ));
        }
    }

    fn shorten(&self, total: u64) {
        if let Ok(mut slot) = self.now.lock()
            && let Some(stretch) = slot.as_mut()
        {
            stretch.total = total;
            stretch.bar.set_length(total);
        }
    }

    fn end(&self) {
        let Ok(mut slot) = self.now.lock() else { return };
        let Some(stretch) = slot.take() else { return };
        stretch.bar.finish_and_clear();
        let took = stretch.started.elapsed().as_secs_f64();
        self.line(&format!("{}: {} {} in {}", stretch.stage, stretch.done, stretch.unit, duration(took)));
    }

    fn note(&self, message: &str) {
        match self.now.lock().ok().and_then(|slot| slot.as_ref().map(|stretch| stretch.bar.clone())) {
            Some(bar) if self.terminal => bar.suspend(|| self.line(message)),
            _ => self.line(message),
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A rate in few digits.
fn number(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.1} M", v / 1e6),
        v if v >= 1e4 => format!("{:.0} k", v / 1e3),
        v if v >= 10.0 => format!("{v:.0}"),
        v => format!("{v:.1}"),
    }
}

/// Seconds in words.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, number};

    #[test]
    fn words_for_times_and_rates() {
        assert_eq!(duration(0.04), "0.0 s");
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(61.0), "1 min 01 s");
        assert_eq!(duration(7500.0), "2 h 05 min");
        assert_eq!(number(3.21), "3.2");
        assert_eq!(number(2_500_000.0), "2.5 M");
    }
}
