//! `cortado completions`: a script by which a shell asks this binary what to complete.
//!
//! Commands, options, values and files come from the command line's own description, names from the
//! server. Start reading at [`print()`].

use crate::failure::{Exit, Failure};
use crate::terminal::raw_stdout;
use clap::{Args, Command};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};
use std::io::Write;

/// Set, to the shell's name, where the script asks.
const VARIABLE: &str = "CORTADO_COMPLETE";

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    #[arg(value_enum)]
    shell: Shell,
}

/// Answers and ends if the script asks.
pub(crate) fn answer_a_shell(command: fn() -> Command) {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

/// Prints the script.
pub(crate) fn print(arguments: &CompletionsArguments) -> Result<Exit, Failure> {
    let shells = Shells::builtins();
    let shell = shells.completer(&arguments.shell.to_string()).expect("every shell is built in");
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "cortado", "cortado", "cortado", &mut script)?;
    raw_stdout().write_all(&script)?;
    Ok(Exit::Done)
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado completions bash > ~/.local/share/bash-completion/completions/cortado
  cortado completions zsh > ~/.zfunc/_cortado
  cortado completions fish > ~/.config/fish/completions/cortado.fish

The script calls `cortado`, which must be on the path. Names of databases, tables and nodes come
from the server that --url or CORTADO_URL names, within a second or not at all.";
