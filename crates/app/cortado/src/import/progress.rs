//! How an import shows that it moves: a bar on a terminal, plain lines elsewhere.
//!
//! Start reading at [`Progress`].

use super::tally::Tally;
use crate::output::{tell, thousands};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How often the bar moves.
const BAR_PERIOD: Duration = Duration::from_millis(100);
/// How often a line is printed where there is no terminal.
const LINE_PERIOD: Duration = Duration::from_secs(5);

/// A task that shows a tally until it is ended.
#[derive(Debug)]
pub(crate) struct Progress {
    task: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to show `tally`.
    ///
    /// * `bytes_total`: the length of the file, where it is known.
    pub(crate) fn begin(tally: Arc<Tally>, bytes_total: Option<u64>) -> Progress {
        let bar = io::stderr().is_terminal().then(|| bar(bytes_total));
        if let Some(bar) = &bar {
            tally.print_through(bar.clone());
        }
        let shown = bar.clone();
        let task = tokio::spawn(async move { show(&tally, bytes_total, shown).await });
        Progress { task, bar }
    }

    /// Shows nothing more.
    pub(crate) fn end(self) {
        self.task.abort();
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(bytes_total: Option<u64>) -> ProgressBar {
    let (bar, template) = match bytes_total {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{wide_bar} {percent:>3} %  {msg}  {elapsed} gone, about {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed} gone"),
    };
    let style = ProgressStyle::with_template(template).expect("the templates are constants");
    bar.with_style(style)
}

async fn show(tally: &Tally, bytes_total: Option<u64>, bar: Option<ProgressBar>) {
    let begun = Instant::now();
    let mut ticks = interval(if bar.is_some() { BAR_PERIOD } else { LINE_PERIOD });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // The first tick is at once, and there is nothing to show yet.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let seconds = begun.elapsed().as_secs_f64();
        let (documents, bytes) = (tally.counts().all(), tally.bytes());
        let rate = thousands((documents as f64 / seconds) as u64);
        let counts = format!("{} documents, {rate}/s", thousands(documents));
        match &bar {
            Some(bar) => {
                bar.set_position(bytes);
                bar.set_message(counts);
            }
            None => {
                let rest = bytes_total.and_then(|total| left(bytes, total, seconds));
                tell(&format!("{counts}{}", rest.unwrap_or_default()));
            }
        }
    }
}

/// `, 29 %, about 15 s left`.
fn left(bytes: u64, total: u64, seconds: f64) -> Option<String> {
    if bytes == 0 || total == 0 {
        return None;
    }
    let share = (bytes as f64 / total as f64).min(1.0);
    let left_seconds = (seconds / share - seconds).ceil();
    Some(format!(", {:.0} %, about {left_seconds:.0} s left", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_estimated_from_what_is_done() {
        assert_eq!(left(0, 100, 1.0), None);
        assert_eq!(left(25, 100, 5.0).as_deref(), Some(", 25 %, about 15 s left"));
        assert_eq!(left(100, 100, 5.0).as_deref(), Some(", 100 %, about 0 s left"));
    }
}
