//! What `/metrics` answers and what docs/metrics.md says about it: the same, both ways.
//!
//! Start reading at [`Family`].

use crate::harness::Server;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is said about a family.
#[derive(Debug, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    /// Empty for a number of things.
    unit: String,
    labels: BTreeSet<String>,
}

/// Families by name.
type Families = BTreeMap<String, Family>;

/// What a server answers that has been used.
fn scrape() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"));
    server.create_table("geo", "place", &["id"]);
    let mut http = server.http();
    assert_eq!(http.put("/v1/geo/place/kokura", &json!({"lat": 33})).status, 201);
    assert_eq!(http.get("/v1/geo/place/kokura").status, 200);
    let answer = http.get("/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    String::from_utf8(answer.body).expect("UTF-8")
}

/// The families of an exposition. Each has its help and its type once, then its samples.
fn exported(text: &str) -> Families {
    let mut families = Families::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let help = line.strip_prefix("# HELP ").unwrap_or_else(|| panic!("no help: {line}"));
        let (name, help) = help.split_once(' ').expect("a help");
        assert!(help.ends_with('.') && !help.ends_with(".."), "{line}");
        let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name));
        let kind = kind.unwrap_or_else(|| panic!("{name} has no type")).trim().to_owned();
        let whole = name.strip_suffix("_total").unwrap_or(name);
        let unit = ["seconds", "bytes"].into_iter().find(|unit| whole.ends_with(unit));
        let unit = unit.unwrap_or_default().to_owned();
        let mut labels = None;
        while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
            let found = labels_of(name, &kind, sample);
            assert_eq!(*labels.get_or_insert_with(|| found.clone()), found, "{sample}");
        }
        let labels = labels.unwrap_or_else(|| panic!("{name} has no sample"));
        let twice = families.insert(name.to_owned(), Family { kind, unit, labels });
        assert_eq!(twice, None, "{name} twice");
    }
    families
}

/// The names of a sample's labels, but for the bound of a histogram's counts.
fn labels_of(name: &str, kind: &str, sample: &str) -> BTreeSet<String> {
    let rest = sample.strip_prefix(name).unwrap_or_else(|| panic!("{sample} among {name}"));
    let (suffix, labels) = match rest.split_once('{') {
        Some((suffix, rest)) => (suffix, rest.split_once('}').expect("a brace").0),
        None => (rest.split(' ').next().unwrap_or_default(), ""),
    };
    let allowed: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
    assert!(allowed.contains(&suffix), "{sample}");
    let names = labels.split_terminator(',').map(|label| label.split('=').next().expect("a name"));
    names.filter(|name| *name != "le").map(str::to_owned).collect()
}

/// The families of the page's tables: `family`, type, labels, unit, and two columns of prose.
fn documented(page: &str) -> Families {
    let mut families = Families::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let columns: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, unit, meaning, _worry] = columns[..] else {
            panic!("not six columns: {line}");
        };
        assert!(!meaning.is_empty(), "{line}");
        let labels = labels.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let family = Family { kind: kind.to_owned(), unit: unit.to_owned(), labels };
        let twice = families.insert(name.trim_matches('`').to_owned(), family);
        assert_eq!(twice, None, "{name} twice");
    }
    families
}

#[test]
fn every_family_is_documented_and_every_documented_family_exported() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/metrics.md");
    let documented = documented(&std::fs::read_to_string(page).expect("docs/metrics.md"));
    let exported = exported(&scrape());
    let names = |families: &Families| families.keys().cloned().collect::<BTreeSet<_>>();
    let (said, seen) = (names(&documented), names(&exported));
    let missing: Vec<_> = seen.difference(&said).collect();
    assert!(missing.is_empty(), "not in docs/metrics.md: {missing:?}");
    let unknown: Vec<_> = said.difference(&seen).collect();
    assert!(unknown.is_empty(), "only in docs/metrics.md: {unknown:?}");
    for (name, family) in &documented {
        assert_eq!(family, &exported[name], "{name}: the page, then the server");
    }
}
