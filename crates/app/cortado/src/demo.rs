//! `cortado demo`: a node dies under load, and every acknowledged write is found.
//!
//! Everything goes through HTTP on a real port, as any client's requests do. Start reading at
//! [`run`].

mod schema;
mod sample;
mod ledger;
mod workload;
mod failover;
mod audit;
mod stage;
mod broker_death;
mod site;
mod processes;

use crate::dev::{self, Running};
use crate::failure::{Exit, Failure};
use crate::logging::{self, LogFormat};
use crate::settings::RawSettings;
use crate::stop_signals::StopSignals;
pub(crate) use processes::{
    HELP as HELP_ON_PROCESSES, ProcessesArguments, run as run_on_processes,
};

use audit::Audit;
use clap::Args;
use cortado_client::{Client, Timeouts};
use failover::Failover;
use stage::Stage;
use std::time::Duration;
use tokio::time::sleep;
use workload::Workload;

/// What `cortado demo` is told.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Leave the server running afterwards, with the data in it
    #[arg(long)]
    serve: bool,
    /// Address to listen on [default: any free port; with --serve 127.0.0.1:7171]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
}

const NODES: u32 = 3;
/// How long the load runs before the node is killed, and after its partitions are served again.
const STEADY: Duration = Duration::from_secs(3);
/// How long one request may be repeated: far longer than any failover that we promise.
const TIMEOUTS: Timeouts =
    Timeouts { whole: Duration::from_secs(20), attempt: Duration::from_secs(10) };

/// Runs the demonstration; answers "refused" if anything was lost.
pub(crate) fn run(arguments: DemoArguments) -> Result<Exit, Failure> {
    let fallback = if arguments.serve { "127.0.0.1:7171" } else { "127.0.0.1:0" };
    let listen = Some(arguments.listen.unwrap_or_else(|| fallback.to_owned()));
    let settings = RawSettings { nodes: Some(NODES), listen, ..RawSettings::default() };
    let settings = settings.validate()?;
    logging::begin(LogFormat::Text, "off")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Failure::new)?.block_on(async {
        let mut signals = StopSignals::listen()?;
        let mut stage = Stage::new();
        stage.title("Three nodes, one log on this disk, sixteen partitions")?;
        let running = Running::start(settings).await?;
        dev::warn_if_exposed(running.address(), LogFormat::Text);
        let played = tokio::select! {
            played = play(&running, &mut stage) => played,
            () = signals.next() => Err(Failure::new("interrupted")),
        };
        let exit = match played {
            Ok(exit) if arguments.serve => {
                let url = running.url();
                let export = if running.has_default_address() {
                    String::new()
                } else {
                    format!("export CORTADO_URL={url}; ")
                };
                stage.line(&format!(
                    "\nstill serving on {url}; Ctrl-C ends it; in another terminal:\n  \
                     {export}cortado status; cortado explain; cortado list geo/place/JP --all"
                ))?;
                signals.next().await;
                Ok(exit)
            }
            played => played,
        };
        signals.end_at_once();
        running.stop().await;
        exit
    })
}

/// The acts of the play.
async fn play(running: &Running, stage: &mut Stage) -> Result<Exit, Failure> {
    let client = Client::new(running.url().parse().map_err(Failure::new)?);
    let client = client.with_timeouts(TIMEOUTS);
    stage.fact(&format!("listening on {}", running.url()))?;
    let ledger = sample::prepare(&client, stage).await?;

    stage.title("Load: every partition is written and read without a pause")?;
    let workload = Workload::start(&client, &ledger);
    sleep(STEADY).await;
    stage.fact(&workload.progress())?;

    let kill = async |node: &str| Ok(client.kill_node(node).await?);
    let failover = Failover::begin(&client, stage, kill).await?;
    failover.watch(&client, stage).await?;
    sleep(STEADY).await;
    stage.fact(&workload.progress())?;
    let start = async |node: &str| Ok(client.start_node(node).await?);
    let revived = failover.revive(&client, stage, start).await?;
    sleep(STEADY / 3).await;
    let history = workload.stop().await;
    failover.report_gaps(&history, revived, None, stage)?;

    stage.title("Audit: every acknowledged write is read back")?;
    let audit = Audit::of(&client, &ledger, &history).await?;
    audit.report(stage)?;
    if audit.is_clean() {
        return Ok(Exit::Done);
    }
    Err(Failure::new("audit failed: see above")
        .next("report it with the output of `CORTADO_LOG=debug cortado demo`"))
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado demo
  cortado demo --serve          leaves the server running, with the data in it

Takes some ten seconds and leaves nothing behind. The exit code is 0 only if no
acknowledged write was lost, none was applied twice, no refused one took effect, and every
strong read was right.";
