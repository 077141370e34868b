//! A progress line on a terminal: share done, rate, time left. Nothing when standard error is piped.

use super::Globals;
use super::console::{complain, print};
use crate::progress::Step;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Draws [`Step`]s on standard error, at most ten times a second.
pub struct Progress {
    state: Option<Mutex<State>>,
}

struct State {
    label: String,
    started: Instant,
    first: u64,
    drawn: Option<Instant>,
}

impl Progress {
    /// A line that is drawn when standard error is a terminal and `quiet` is off.
    pub fn new(quiet: bool) -> Self {
        let wanted = !quiet && std::io::stderr().is_terminal();
        let state = || Mutex::new(State { label: String::new(), started: Instant::now(), first: 0, drawn: None });
        Progress { state: wanted.then(state) }
    }

    /// Takes one report.
    pub fn step(&self, step: Step<'_>) {
        let Some(state) = &self.state else { return };
        let Ok(mut state) = state.lock() else { return };
        if state.label != step.label {
            *state = State { label: step.label.to_owned(), started: Instant::now(), first: step.done, drawn: None };
        }
        let due = state.drawn.is_none_or(|drawn| drawn.elapsed() > Duration::from_millis(100));
        if due || step.done >= step.total {
            state.drawn = Some(Instant::now());
            complain(format_args!("\r\x1b[K{}", line(step, step.done.saturating_sub(state.first), state.started.elapsed())));
        }
    }

    /// Prints a line of its own, unless what is printed is for machines or nobody.
    pub(super) fn notice(&self, globals: &Globals, line: &str) {
        if !globals.quiet && !globals.json {
            self.finish();
            let _ = print(line);
        }
    }

    /// Ends the line, if one was drawn.
    pub fn finish(&self) {
        let Some(state) = &self.state else { return };
        if state.lock().is_ok_and(|state| state.drawn.is_some()) {
            complain('\n');
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The text of one report: `worked` units were done in `elapsed` (a resumed job starts above zero).
fn line(step: Step<'_>, worked: u64, elapsed: Duration) -> String {
    let share = if step.total == 0 { 100.0 } else { 100.0 * step.done as f64 / step.total as f64 };
    let mut text = format!("{}: {}/{} {} ({share:.0} %)", step.label, step.done, step.total, step.unit);
    let rate = worked as f64 / elapsed.as_secs_f64().max(1e-9);
    if worked > 0 && rate.is_finite() {
        let left = (step.total.saturating_sub(step.done)) as f64 / rate;
        text += &format!(", {} {}/s, {} left", significant(rate), step.unit, clock(left));
    }
    if !step.note.is_empty() {
        text += &format!(", {}", step.note);
    }
    text
}

fn significant(rate: f64) -> String {
    if rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.2}") }
}

/// Seconds as `42 s`, `3:07 min` or `2:15 h`.
fn clock(seconds: f64) -> String {
    let s = seconds.round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{}:{:02} min", s / 60, s % 60),
        _ => format!("{}:{:02} h", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_and_time_left() {
        let step = Step { label: "training pr", done: 50, total: 200, unit: "steps", note: "loss 3.2" };
        assert_eq!(line(step, 50, Duration::from_secs(5)), "training pr: 50/200 steps (25 %), 10 steps/s, 15 s left, loss 3.2");
        assert_eq!(clock(187.0), "3:07 min");
        assert_eq!(clock(8100.0), "2:15 h");
    }
}
