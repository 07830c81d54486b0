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
    let source = format!("cortado {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source).manual("Cortado manual");
    man.render(&mut page).map_err(Failure::new)?;
    let page = String::from_utf8(page).map_err(Failure::new)?;
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    Ok(in_ascii(&with_examples(&page, &examples)).into_bytes())
}

/// The page with `text`, which stands below the options, in place of its rendering as prose: lines
/// that are indented are commands and tables, which must neither be filled nor hyphenated.
fn with_examples(page: &str, text: &str) -> String {
    const EXTRA: &str = "\n.SH EXTRA\n";
    let Some((before, rendered)) = page.split_once(EXTRA) else { return page.to_owned() };
    let after = rendered.find("\n.SH ").map_or("", |at| &rendered[at..]);
    let mut section = String::from("\n.SH EXAMPLES AND NOTES\n");
    let mut is_filled = true;
    for line in text.lines() {
        if line.is_empty() {
            section.push_str(".PP\n");
            continue;
        }
        if is_filled == line.starts_with(' ') {
            is_filled = !is_filled;
            section.push_str(if is_filled { ".fi\n" } else { ".nf\n" });
        }
        section.push_str(&as_roff(line));
        section.push('\n');
    }
    if !is_filled {
        section.push_str(".fi\n");
    }
    format!("{before}{section}{}", after.trim_start_matches('\n'))
}

/// A line of text as the formatter takes it for that text, and what is copied from it for a
/// command. Source: man-pages(7), "Generating optimal glyphs"; groff(7).
fn as_roff(line: &str) -> String {
    let mut text = String::new();
    // Behind it, a dot or a quote begins no request.
    if line.starts_with(['.', '\'']) {
        text.push_str("\\&");
    }
    for c in line.chars() {
        match c {
            '\\' => text.push_str("\\e"),
            '-' => text.push_str("\\-"),
            '\'' => text.push_str("\\(aq"),
            '`' => text.push_str("\\(ga"),
            '^' => text.push_str("\\(ha"),
            '~' => text.push_str("\\(ti"),
            c => text.push(c),
        }
    }
    text
}

/// Every formatter reads ASCII, whatever the locale.
fn in_ascii(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    for c in page.chars() {
        match c {
            c if c.is_ascii() => text.push(c),
            // Not every device has it.
            '…' => text.push_str("..."),
            c => text.push_str(&format!("\\[u{:04X}]", u32::from(c))),
        }
    }
    text
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado man | man -l -
  cortado man ~/.local/share/man/man1 && man cortado-import";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    #[test]
    fn examples_stand_as_they_are_typed_and_prose_is_filled() {
        let help = "Examples:\n  a --b 'é\u{2026}\\n' ~\n  b\n\nProse goes\non.";
        let command = Command::new("cortado").version("1").about("A \u{2026}").after_help(help);
        let mut command = command.arg(Arg::new("KEY\u{2026}"));
        command.build();
        let page = String::from_utf8(page_of(&command).expect("a page")).expect("UTF-8");
        let want = [
            ".SH EXAMPLES AND NOTES\nExamples:\n.nf\n",
            "  a \\-\\-b \\(aq\\[u00E9]...\\en\\(aq \\(ti\n  b\n.PP\n",
            ".fi\nProse goes\non.\n.SH VERSION\n",
        ];
        let want = want.concat();
        assert!(page.contains(&want), "{page}");
        assert!(page.is_ascii() && !page.contains("EXTRA"), "{page}");
        assert!(page.contains(concat!("\"cortado ", env!("CARGO_PKG_VERSION"), "\"")), "{page}");
    }
}
