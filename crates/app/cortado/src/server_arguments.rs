//! The options of every command that talks to a server.
//!
//! Start reading at [`ServerArguments`].

use crate::failure::Failure;
use crate::output::tell;
use crate::terminal::stdout;
use clap::{Args, ValueEnum};
use cortado_client::{Client, ServerAddresses, Timeouts};
use std::env;
use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::sync::{Once, OnceLock};
use std::time::Duration;

/// Which servers, and how long to try.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerArguments {
    /// The server's address, or several servers of one cluster, separated by commas [environment:
    /// CORTADO_URL]
    #[arg(long, default_value = url_default(), value_name = "URL", help_heading = "Server")]
    url: ServerAddresses,
    /// How long to retry what was definitely not done, such as during a failover [default: 15;
    /// 1 if a server on this machine refuses the first connection]
    #[arg(long, value_name = "SECONDS", help_heading = "Server")]
    retry_for: Option<u64>,
}

/// The servers where `--url` names none. Not left to clap's `env`, which would name `--url` in
/// usage lines as if it were required.
pub(crate) fn url_default() -> &'static OsStr {
    static FOUND: OnceLock<OsString> = OnceLock::new();
    FOUND.get_or_init(|| {
        let named = env::var_os("CORTADO_URL").filter(|text| !text.is_empty());
        named.unwrap_or_else(|| "http://127.0.0.1:7171".into())
    })
}

/// How long a server of this machine may refuse connections: it may have been started just now.
const REFUSED_MAX: Duration = Duration::from_secs(1);

impl ServerArguments {
    /// A client of those servers.
    pub(crate) fn client(&self) -> Client {
        let client = Client::new(self.url.clone()).on_retry(tell_waiting);
        if self.retry_for.is_none() {
            return client.with_refused_max(REFUSED_MAX);
        }
        let whole = self.retry_for();
        let attempt = whole.min(Timeouts::default().attempt);
        client.with_timeouts(Timeouts { whole, attempt })
    }

    /// How long one request may take, its repetitions included.
    pub(crate) fn retry_for(&self) -> Duration {
        let given = |seconds: u64| Duration::from_secs(seconds.max(1));
        self.retry_for.map_or(Timeouts::default().whole, given)
    }

    /// The servers, where they are others than those without `--url`.
    pub(crate) fn other_url(&self) -> Option<String> {
        let spelled = self.url.to_string();
        (url_default() != spelled.as_str()).then_some(spelled)
    }
}

/// Says once that nothing is wrong with this terminal: we wait for a server.
fn tell_waiting(what: &str) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tell(&format!("waiting (--retry-for says how long; Ctrl-C ends it): {what}"));
    });
}

/// How to print what was found.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputArguments {
    /// Output format; commands that list print JSON unless they print to a terminal
    #[arg(long, value_enum, value_name = "FORM")]
    output: Option<Form>,
}

/// The two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Aligned columns
    Table,
    /// One JSON value, or one for each line
    Json,
}

impl OutputArguments {
    /// The form of a command that lists things.
    pub(crate) fn form(self) -> Form {
        let by_itself = if stdout().is_terminal() { Form::Table } else { Form::Json };
        self.output.unwrap_or(by_itself)
    }

    /// The form of a document: JSON already.
    pub(crate) fn form_of_document(self) -> Form {
        self.output.unwrap_or(Form::Json)
    }

    /// The form of a command that shows how things stand, or says what it did.
    pub(crate) fn form_of_report(self) -> Form {
        self.output.unwrap_or(Form::Table)
    }
}

/// Runs one command's requests on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::new)?.block_on(work)
}
