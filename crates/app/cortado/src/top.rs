//! `cortado top`: nodes, leaders, lag, rates and the latest decisions, live.
//!
//! Looks again every second, and goes on when servers go away. Start reading at [`run`].

mod keys;
mod picture;
mod rates;
mod seen;

use crate::failure::{Exit, Failure};
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::status::screen::{self, Size};
use crate::stop_signals::StopSignals;
use crate::terminal::{escaped, raw_stdout, stdout};
use clap::Args;
use cortado_client::{Client, Timeouts};
use keys::{Key, Keys};
use picture::Picture;
use seen::Seen;
use std::io::{self, Write};
use std::time::Duration;
use tokio::time::sleep;

/// What `cortado top` is told.
#[derive(Debug, Args)]
pub(crate) struct TopArguments {
    /// Print one picture as text, without a terminal
    #[arg(long)]
    once: bool,
    /// Seconds between two looks: rates are of that time
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    interval: u64,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// How long a look may take: later it is out of date.
const LOOK: Timeouts = Timeouts { whole: Duration::from_secs(5), attempt: Duration::from_secs(2) };
/// The alternative screen without a cursor, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Prints one picture, or draws one after the other until a key or a signal.
pub(crate) fn run(arguments: &TopArguments) -> Result<Exit, Failure> {
    let interval = Duration::from_secs(arguments.interval);
    let form = arguments.output.form_of_report();
    let client = arguments.server.client();
    if arguments.once || form == Form::Json {
        return block_on(once(&client, interval, form));
    }
    if !stdout().is_terminal() {
        return Err(Failure::usage("standard output is not a terminal")
            .next("`cortado top --once` prints one picture as text"));
    }
    block_on(live(&client.with_timeouts(LOOK), interval))
}

async fn once(client: &Client, interval: Duration, form: Form) -> Result<Exit, Failure> {
    let mut seen = Seen::default();
    seen.look(client).await?;
    // A rate takes two looks.
    sleep(interval).await;
    seen.look(client).await?;
    seen.read_decisions(client).await;
    let mut out = stdout();
    match form {
        Form::Json => writeln!(out, "{}", seen.json())?,
        Form::Table => out.write_all(Picture::of(&seen, None).text().as_bytes())?,
    }
    Ok(Exit::Done)
}

async fn live(client: &Client, interval: Duration) -> Result<Exit, Failure> {
    let mut signals = StopSignals::listen()?;
    let (mut seen, mut keys) = (Seen::default(), Keys::listen());
    write(ENTER)?;
    let drawn = tokio::select! {
        drawn = draw(client, interval, &mut seen, &mut keys) => drawn,
        () = signals.next() => Ok(()),
    };
    write(LEAVE)?;
    // The terminal is as it was before anything else is said.
    drop(keys);
    drawn.map(|()| Exit::Done)
}

async fn draw(
    client: &Client,
    interval: Duration,
    seen: &mut Seen,
    keys: &mut Keys,
) -> Result<(), Failure> {
    let mut is_paused = false;
    // Until a server has answered, the screen says what it waits for.
    show(seen, screen::size())?;
    loop {
        if !is_paused {
            match seen.look(client).await {
                Ok(()) => {
                    // Who leads is news; a long journal may take a while.
                    show(seen, screen::size())?;
                    seen.read_decisions(client).await;
                }
                Err(failure) => seen.lose(failure.what()),
            }
            show(seen, screen::size())?;
        }
        tokio::select! {
            () = sleep(interval) => {}
            key = keys.next() => match key {
                Key::Quit => return Ok(()),
                Key::Pause => is_paused = !is_paused,
                Key::Other => {}
            },
        }
    }
}

fn show(seen: &Seen, size: Option<Size>) -> io::Result<()> {
    let picture = Picture::of(seen, size);
    write(&screen::redrawn(&escaped(&picture.text()), size))
}

fn write(text: &str) -> io::Result<()> {
    let mut out = raw_stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado top
  cortado top --url http://db1:7171,http://db2:7171,http://db3:7171
  cortado top --once                    one picture as text, for scripts and reports
  cortado top --once --output json

Keys: q or Ctrl-C ends, space stops the picture and lets it go on. TX/S are committed
transactions a second, told by the positions of the partitions: reads are not among them,
/metrics has those. What is not well comes first, then the partitions with the most lag and
the highest rates. While no server answers, the last picture stays and says how old it is.";
