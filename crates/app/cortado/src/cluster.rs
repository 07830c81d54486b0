//! `cortado cluster …`: what concerns a whole cluster whose log is Apache Kafka.
//!
//! Start reading at [`ClusterCommand`].

mod upgrade;

use crate::demo;
use crate::failure::{Exit, Failure};
use crate::kafka_arguments::KafkaArguments;
use crate::serve::{RawServe, open_beats, open_log};
use crate::server_arguments::{Form, OutputArguments};
use crate::terminal::stdout;
use clap::{Args, Subcommand, ValueHint};
use cortado_log_kafka::{KafkaLog, KafkaSettings, SurveyedBroker};
use cortado_model::{ClusterUuid, with_causes};
use cortado_node::{IdentityError, begin_cluster};
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;

/// What can be done with a cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Begin a cluster: make its topics, and check the brokers
    #[command(after_help = INIT_HELP)]
    Init(Box<InitArguments>),
    /// Show which node reads which format, and use a newer one when all do
    #[command(after_help = upgrade::HELP)]
    Upgrade(upgrade::UpgradeArguments),
    /// Watch nodes and a broker be killed under load, each a process of its own
    #[command(after_help = demo::HELP_ON_PROCESSES)]
    Demo(demo::ProcessesArguments),
}

/// What `cortado cluster init` is told.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    #[command(flatten)]
    log: KafkaArguments,
    /// TOML file of `cortado serve`, of which this takes what concerns the log
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "CORTADO_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArguments,
}

/// Runs `cortado cluster …`.
pub(crate) fn run(command: ClusterCommand) -> Result<Exit, Failure> {
    match command {
        ClusterCommand::Init(arguments) => init(*arguments),
        ClusterCommand::Upgrade(arguments) => upgrade::run(&arguments),
        ClusterCommand::Demo(arguments) => demo::run_on_processes(arguments),
    }
}

fn init(arguments: InitArguments) -> Result<Exit, Failure> {
    let InitArguments { log, config, output } = arguments;
    let file = config.as_deref().map(RawServe::read).transpose()?.unwrap_or_default();
    let settings = RawServe::of_log(log).over(file).kafka().validate()?;
    // The log's own tasks need a thread besides the one that waits for answers.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().map_err(Failure::new)?;
    let begun = runtime.block_on(begin(&settings))?;
    report(output, &settings, &begun)?;
    Ok(Exit::Done)
}

/// What was done, and found.
struct Begun {
    cluster: ClusterUuid,
    is_new: bool,
    brokers: Vec<SurveyedBroker>,
    advice: Vec<String>,
}

async fn begin(settings: &KafkaSettings) -> Result<Begun, Failure> {
    let log = open_log(settings).await?;
    // Makes their topic.
    drop(open_beats(settings).await?);
    let (brokers, mut advice) = match KafkaLog::survey(settings).await {
        Ok(brokers) => {
            let advice = brokers.iter().flat_map(SurveyedBroker::advice).collect();
            (brokers, advice)
        }
        Err(error) => (
            Vec::new(),
            vec![format!(
                "the brokers do not tell their settings ({error}): allow this user to describe the \
                 cluster's configuration, or look after broker.session.timeout.ms yourself"
            )],
        ),
    };
    let begun = begin_cluster(&log).await;
    let (cluster, is_new) = begun.map_err(|error| not_begun(&error, settings))?;
    if settings.replication_factor == 1 {
        advice.push(
            "the log is not replicated: a lost disk of a broker is a lost log; start every node \
             with --allow-unreplicated-log, too"
                .to_owned(),
        );
    }
    Ok(Begun { cluster, is_new, brokers, advice })
}

fn not_begun(error: &IdentityError, settings: &KafkaSettings) -> Failure {
    let failure = Failure::new(with_causes(error));
    let topic = format!("{}-cluster", settings.topic_prefix);
    match error {
        IdentityError::LogForeign { .. } => {
            failure.next(format!("topic {topic} is something else: choose another --prefix"))
        }
        IdentityError::IdentityLost => failure
            .next(format!("there is a cluster in topic {topic} already: start its nodes"))
            .next("for another one, choose another --prefix"),
        IdentityError::LogDrifted { .. } => failure
            .next(format!("set topic {topic} as docs/operations/kafka.md says"))
            .next("or delete it, if nothing is in it, and let this command make it"),
        IdentityError::LogUnverified(_) => {
            failure.next(format!("set topic {topic} as docs/operations/kafka.md says"))
        }
        IdentityError::LogUnwritable(_)
        | IdentityError::LogUnreadable(_)
        | IdentityError::LogEmpty
        | IdentityError::StoreForeign { .. }
        | IdentityError::DataForeign { .. }
        | IdentityError::Store { .. } => {
            failure.next("look at the brokers, then repeat the command: it does nothing twice")
        }
    }
}

fn report(output: OutputArguments, settings: &KafkaSettings, begun: &Begun) -> io::Result<()> {
    let Begun { cluster, is_new, brokers, advice } = begun;
    let prefix = &settings.topic_prefix;
    let mut out = stdout();
    if output.form_of_report() == Form::Json {
        let sessions = brokers.iter().map(|broker| {
            json!({"broker": broker.id, "session_timeout_ms": broker.session_timeout_ms()})
        });
        let answer = json!({
            "done": if *is_new { "created" } else { "existed" },
            "cluster": cluster.to_string(),
            "prefix": prefix,
            "brokers": sessions.collect::<Vec<_>>(),
            "advice": advice,
        });
        return writeln!(out, "{answer}");
    }
    if *is_new {
        writeln!(
            out,
            "created cluster {cluster} in the topics {prefix}-cluster and {prefix}-liveness"
        )?;
    } else {
        writeln!(
            out,
            "there is a cluster already: {cluster}, in topic {prefix}-cluster; nothing was changed"
        )?;
    }
    for sentence in advice {
        writeln!(out, "advice: {sentence}")?;
    }
    let servers = &settings.bootstrap_servers;
    let prefix = if prefix == "cortado" { String::new() } else { format!(" --prefix {prefix}") };
    writeln!(out, "next: cortado serve --kafka {servers}{prefix} --node NAME --data DIR")
}

const INIT_HELP: &str = "\
Examples:
  cortado cluster init --kafka broker1:9092,broker2:9092,broker3:9092
  cortado cluster init --kafka 127.0.0.1:9092 --allow-unreplicated-log
  cortado cluster init --config /etc/cortado.toml --output json

Makes the topics of the cluster's own log and of the nodes' signs of life, verifies them, and
begins the log. If there is a cluster already, says which, and changes nothing. Several
clusters share brokers under different prefixes.";
