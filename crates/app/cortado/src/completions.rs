//! `cortado completions`: a script that completes commands, options and files in a shell.
//!
//! Start reading at [`print()`].

use crate::failure::{Exit, Failure};
use crate::terminal::raw_stdout;
use clap::{Args, Command};
use clap_complete::Shell;
use std::io::Write;

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn print(
    arguments: &CompletionsArguments,
    command: &mut Command,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "cortado", &mut script);
    if arguments.shell == Shell::Bash {
        script.extend_from_slice(BASH_FILES.as_bytes());
    }
    raw_stdout().write_all(&script)?;
    Ok(Exit::Done)
}

/// What clap generates for bash offers options where an operand stands. With no candidate, bash
/// completes files by itself (`-o default`): so it is left without one there.
const BASH_FILES: &str = r#"
_cortado_or_files() {
    _cortado "$@"
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
    # An option, or the value of one.
    [[ "${current}" == -* || "${previous}" == -?* ]] && return 0
    case "${COMP_WORDS[1]}" in
        import|export|put|patch|batch|log) [[ ${COMP_CWORD} -ge 3 ]] && COMPREPLY=() ;;
        man) COMPREPLY=() ;;
    esac
    return 0
}
complete -F _cortado_or_files -o bashdefault -o default cortado
"#;

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado completions bash > ~/.local/share/bash-completion/completions/cortado
  cortado completions zsh > ~/.zfunc/_cortado
  cortado completions fish > ~/.config/fish/completions/cortado.fish";
