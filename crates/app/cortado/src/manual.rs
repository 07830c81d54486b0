//! `cortado man`: the manual pages, from the same texts as `--help`.
//!
//! Start reading at [`write()`].

use crate::failure::{Exit, Failure};
use crate::terminal::stdout;
use clap::{Args, Command, ValueHint};
use clap_mangen::Man;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What `cortado man` is told.
#[derive(Debug, Args)]
pub(crate) struct ManualArguments {
    /// The folder for the pages of all commands; without it, cortado(1) goes to standard output
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
}

/// Writes the pages of `command` and of everything below it.
pub(crate) fn write(arguments: &ManualArguments, mut command: Command) -> Result<Exit, Failure> {
    command.build();
    let Some(folder) = &arguments.folder else {
        stdout().write_all(&page_of(&command)?)?;
        return Ok(Exit::Done);
    };
    let unwritable =
        |error| Failure::new(format!("{} cannot be written: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(unwritable)?;
    let mut pages = Vec::new();
    collect(&command, &mut pages);
    for command in pages {
        let path = file_of(folder, command);
        fs::write(&path, page_of(command)?).map_err(|error| {
            Failure::new(format!("{} cannot be written: {error}", path.display()))
        })?;
    }
    Ok(Exit::Done)
}

fn collect<'a>(command: &'a Command, pages: &mut Vec<&'a Command>) {
    pages.push(command);
    for deeper in command.get_subcommands().filter(|deeper| deeper.get_name() != "help") {
        collect(deeper, pages);
    }
}

/// `cortado-db-create.1`.
fn file_of(folder: &Path, command: &Command) -> PathBuf {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    folder.join(format!("{name}.1"))
}

fn page_of(command: &Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page).map_err(Failure::new)?;
    Ok(page)
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado man | man -l -
  cortado man ~/.local/share/man/man1 && man cortado-import";
