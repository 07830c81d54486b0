//! The examples of docs/api.md and README.md, run from top to bottom as a reader would.
//!
//! Each block `sh` runs as it stands against one fresh server; the block `text` right below it is
//! what it prints, line by line, where `…` stands for what differs from run to run.

use crate::harness::Server;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the page says of one example.
struct Example {
    /// Line of the page on which it begins, from 1.
    line: usize,
    script: String,
    output: String,
}

#[test]
fn the_examples_of_the_api_print_what_the_page_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/api.md");
    let page = std::fs::read_to_string(page).expect("docs/api.md can be read");
    let examples = examples(&page);
    assert!(examples.len() >= 10, "only {} examples", examples.len());
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"));
    for Example { line, script, output } in examples {
        let here = script.replace("localhost:7171", &server.address.to_string());
        let mut command = Command::new("sh");
        command.args(["-e", "-c", &here]).stdin(Stdio::null());
        let ran = command.output().expect("sh can be run");
        let got = String::from_utf8(ran.stdout).expect("UTF-8");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "docs/api.md:{line}: {}\n{said}{got}", ran.status);
        assert!(
            fits(&got, &output),
            "docs/api.md:{line}: the page says\n{output}\nand this was printed:\n{got}"
        );
    }
}

#[test]
fn the_first_steps_of_the_readme_run_as_they_stand() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../README.md");
    let page = std::fs::read_to_string(page).expect("README.md can be read");
    let (_, steps) = page.split_once("alias cortado=").expect("the steps begin with an alias");
    let (steps, _) = steps.split_once("```").expect("the block ends");
    // The alias itself, and what goes on until it is interrupted.
    let is_run = |line: &&str| !["--follow", "--watch"].iter().any(|word| line.contains(word));
    let steps: Vec<&str> = steps.lines().skip(1).filter(is_run).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"));
    let script = steps.join("\n").replace("127.0.0.1:7171", &server.address.to_string());
    let binary = Path::new(env!("CARGO_BIN_EXE_cortado")).parent().expect("it has a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-e", "-c", &script]).current_dir(&folder).stdin(Stdio::null());
    command.env("PATH", path).env("CORTADO_URL", format!("http://{}", server.address));
    let ran = command.output().expect("sh can be run");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "README.md: {}\n{said}", ran.status);
    let exported = std::fs::read_to_string(folder.path().join("music.ndjson")).expect("exported");
    assert_eq!(exported.lines().count(), 4, "{exported}");
    // Whoever takes the steps in a checkout, and then runs the tests, is not told of these files.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let ignored = std::fs::read_to_string(root.join(".gitignore")).expect("it can be read");
    for made in std::fs::read_dir(&folder).expect("a folder") {
        let name = made.expect("an entry").file_name().into_string().expect("UTF-8");
        assert!(ignored.lines().any(|line| line == format!("/{name}")), "{name}: {ignored}");
    }
}

/// All examples of a page.
#[track_caller]
fn examples(page: &str) -> Vec<Example> {
    let mut lines = (1..).zip(page.lines());
    let mut examples: Vec<Example> = Vec::new();
    let mut open = None;
    while let Some((line, text)) = lines.next() {
        let mut block = || -> String {
            let block = lines.by_ref().map(|(_, text)| text).take_while(|text| *text != "```");
            block.map(|text| format!("{text}\n")).collect()
        };
        match (text, open.take()) {
            ("```sh", None) => open = Some((line, block())),
            ("```text", Some((line, script))) => {
                examples.push(Example { line, script, output: block() });
            }
            ("", example) => open = example,
            (_, None) if text.starts_with("```") => drop(block()),
            (_, None) => {}
            (_, Some((line, _))) => panic!("docs/api.md:{line}: an example without its output"),
        }
    }
    examples
}

/// Whether `got` is `want`, but for empty lines and for what `…` stands for.
fn fits(got: &str, want: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    };
    let (got, want) = (lines(got), lines(want));
    got.len() == want.len() && got.iter().zip(&want).all(|(got, want)| line_fits(got, want))
}

/// Each part between two `…` at its first place behind the one before; the last one at the end.
fn line_fits(got: &str, want: &str) -> bool {
    let Some((first, rest)) = want.split_once('…') else { return got == want };
    let Some(mut left) = got.strip_prefix(first) else { return false };
    let mut parts = rest.split('…').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[test]
fn an_elided_output_fits_what_it_stands_for_and_nothing_else() {
    let check = |got: &str, want: &str, fit: bool| assert_eq!(fits(got, want), fit, "{got} {want}");
    check("a\n\nb", "a\nb\n", true);
    check("a", "a\nb", false);
    check(r#"{"etag":"12","n":1}"#, r#"{"etag":"…","n":1}"#, true);
    check(r#"{"etag":"12","n":2}"#, r#"{"etag":"…","n":1}"#, false);
    check(r#"{"a":"1","b":"2","c":3}"#, r#"{"a":"…","b":"…","c":3}"#, true);
    check("abc", "abc…", true);
    check("xabc", "abc…", false);
}
