//! The folder where the report is kept, and whether it is what this program would write.

use crate::chart::{self, BARS};
use crate::line::Line;
use crate::page;
use crate::plan::Plan;
use crate::scenario::Scenario;
use anyhow::{Context, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The report's folder.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
}

/// The file from which all the others are made.
const FIGURES: &str = "figures.tsv";
const OVERVIEW: &str = "README.md";
/// In the overview, the summary stands between these lines; the rest is written by people.
const SUMMARY_BEGIN: &str = "<!-- summary: written by cargo xtask sim-aperture -->\n";
const SUMMARY_END: &str = "<!-- end of summary -->\n";

impl Shelf {
    /// The report in `folder`.
    pub fn new(folder: impl AsRef<Path>) -> Shelf {
        Shelf { folder: folder.as_ref().to_owned() }
    }

    /// Writes figures, tables and pictures, and the summary into the overview.
    ///
    /// # Errors
    /// A file cannot be written, or the overview has no place for the summary.
    pub fn write(&self, seed: u64, lines: &[Line]) -> anyhow::Result<()> {
        fs::create_dir_all(&self.folder).context("cannot make the folder of the report")?;
        for (file, text) in self.files(seed, lines)? {
            let path = self.folder.join(file);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// The figures that are kept, and the seed they come from.
    ///
    /// # Errors
    /// There are none, or they are no figures.
    pub fn read(&self) -> anyhow::Result<(u64, Vec<Line>)> {
        let text = self.text(FIGURES)?;
        let mut lines = text.lines();
        let seed = lines.next().and_then(|line| line.strip_prefix("# seed ")?.parse().ok());
        let seed = seed.with_context(|| format!("{FIGURES} does not begin with its seed"))?;
        let lines: Result<Vec<Line>, String> = lines.map(str::parse).collect();
        Ok((seed, lines.map_err(anyhow::Error::msg)?))
    }

    /// Compares what is kept with what a quick part of the plan computes now, and every table and
    /// picture with the figures that are kept. Answers how many figures were computed.
    ///
    /// # Errors
    /// Something differs, or is missing.
    pub fn check(&self) -> anyhow::Result<usize> {
        let (seed, kept) = self.read()?;
        let computed = Plan::quick(seed).run(|_| {});
        for line in &computed {
            let before = kept.iter().find(|kept| kept.is_about_the_same(line));
            let Some(before) = before else { bail!("{FIGURES} lacks this line:\n{line}") };
            ensure!(before == line, "{FIGURES} says\n{before}\nbut it is\n{line}");
        }
        for (file, text) in self.files(seed, &kept)? {
            ensure!(self.text(&file)? == text, "{file} is not made of {FIGURES}");
        }
        Ok(computed.len())
    }

    /// Every file of the report with its text.
    fn files(&self, seed: u64, lines: &[Line]) -> anyhow::Result<BTreeMap<String, String>> {
        let mut files = BTreeMap::new();
        let mut figures = format!("# seed {seed}\n");
        lines.iter().for_each(|line| figures.push_str(&format!("{line}\n")));
        files.insert(FIGURES.to_owned(), figures);
        for scenario in Scenario::ALL {
            let page = page::of_scenario(scenario, lines);
            files.insert(format!("{}.md", scenario.name()), page);
        }
        for bars in BARS {
            files.insert(format!("{}.svg", bars.file), bars.draw(lines));
        }
        files.insert("stale-counts.svg".to_owned(), chart::stale_counts(lines));
        files.insert(OVERVIEW.to_owned(), self.overview(lines)?);
        Ok(files)
    }

    /// The overview with this summary.
    fn overview(&self, lines: &[Line]) -> anyhow::Result<String> {
        let text = self.text(OVERVIEW)?;
        let parts = text.split_once(SUMMARY_BEGIN);
        let parts =
            parts.and_then(|(before, rest)| Some((before, rest.split_once(SUMMARY_END)?.1)));
        let (before, after) = parts.with_context(|| format!("{OVERVIEW} has no summary"))?;
        let summary = page::summary(lines);
        Ok(format!("{before}{SUMMARY_BEGIN}\n{summary}\n{SUMMARY_END}{after}"))
    }

    fn text(&self, file: &str) -> anyhow::Result<String> {
        let path = self.folder.join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}
