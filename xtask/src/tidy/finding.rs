//! What a rule found, and the closed list of rules.
//!
//! Start reading at [`Finding`].

use std::fmt;

/// One place that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Path from the root of the checkout.
    pub(super) path: String,
    /// 1-based; 0 means the file as a whole.
    pub(super) line: usize,
    /// What is broken.
    pub(super) rule: Rule,
    /// For rules about a size, the size found, so that an exemption can hold it there.
    pub(super) size: Option<usize>,
    /// What is wrong here.
    pub(super) detail: String,
}

/// The rules. Their names are what findings show and exemptions name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// A crate depends on one it must not know.
    Arrow,
    /// Files of one crate that use one another.
    Circle,
    /// A pure crate could reach a clock, I/O, randomness or unstable order.
    Purity,
    /// A crate does not take the workspace's lints, or code says `unsafe`.
    Unsafe,
    /// A file name that says nothing, or `mod.rs`.
    FileName,
    /// A public type's name that a crate below has given to another one.
    TypeName,
    /// A function over its limit of lines.
    FunctionLines,
    /// A file over its limit of lines, tests aside.
    FileLines,
    /// Tests inside a file over their limit of lines.
    InlineTestLines,
    /// A line over its limit of columns.
    LineColumns,
    /// A README or ARCHITECTURE.md over its limit of lines.
    PageLines,
    /// A file too large to be in the repository.
    FileBytes,
    /// A module without a header.
    Header,
    /// A crate without a README.
    Readme,
    /// `todo!`, `unimplemented!` or `dbg!`.
    Todo,
    /// Code in a comment.
    CommentedOut,
    /// `allow` or `expect` without a reason.
    AllowReason,
    /// A test that does not run.
    Ignore,
    /// A sleep in a test.
    TestSleep,
    /// A word that GLOSSARY.md forbids; the word is the name of the rule.
    Word(String),
    /// A page of docs/formats and the code it describes have parted.
    Format,
    /// A promise without a check, or a check that is not there.
    Promise,
    /// A reference to a file or section that is not there.
    Link,
    /// A dashboard or an alert asks for what no server exports, or an alert says not what to do.
    Metric,
    /// A path of some machine, or the host of a registry.
    Place,
    /// A line of the exemption list that exempts nothing, or cannot be read.
    Exemption,
}

impl Rule {
    /// The name, as findings and exemptions spell it.
    pub(super) fn name(&self) -> &str {
        match self {
            Rule::Arrow => "arrow",
            Rule::Circle => "circle",
            Rule::Purity => "purity",
            Rule::Unsafe => "unsafe",
            Rule::FileName => "file-name",
            Rule::TypeName => "type-name",
            Rule::FunctionLines => "function-lines",
            Rule::FileLines => "file-lines",
            Rule::InlineTestLines => "inline-test-lines",
            Rule::LineColumns => "line-columns",
            Rule::PageLines => "page-lines",
            Rule::FileBytes => "file-bytes",
            Rule::Header => "header",
            Rule::Readme => "readme",
            Rule::Todo => "todo",
            Rule::CommentedOut => "commented-out",
            Rule::AllowReason => "allow-reason",
            Rule::Ignore => "ignore",
            Rule::TestSleep => "test-sleep",
            Rule::Word(word) => word,
            Rule::Format => "format",
            Rule::Promise => "promise",
            Rule::Link => "link",
            Rule::Metric => "metric",
            Rule::Place => "place",
            Rule::Exemption => "exemption",
        }
    }
}

impl Finding {
    /// Where and which rule, without the words.
    #[cfg(test)]
    pub(super) fn place_and_rule(&self) -> String {
        format!("{}:{}: {}", self.path, self.line, self.rule.name())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}: {}", self.rule.name(), self.detail)
    }
}

/// Collects findings.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds one about a line, or about the whole file when `line` is 0.
    pub(super) fn add(&mut self, path: &str, line: usize, rule: Rule, detail: impl Into<String>) {
        let detail = detail.into();
        self.0.push(Finding { path: path.to_owned(), line, rule, size: None, detail });
    }

    /// Adds one about a size over its limit.
    pub(super) fn add_size(
        &mut self,
        path: &str,
        line: usize,
        rule: Rule,
        size: usize,
        detail: String,
    ) {
        self.0.push(Finding { path: path.to_owned(), line, rule, size: Some(size), detail });
    }

    /// Takes those out for which `keep` says no.
    pub(super) fn retain(&mut self, keep: impl FnMut(&Finding) -> bool) {
        self.0.retain(keep);
    }

    /// In the order of paths and lines.
    pub(super) fn into_sorted(mut self) -> Vec<Finding> {
        self.0.sort();
        self.0
    }
}
