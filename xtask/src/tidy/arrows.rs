//! Which crate may depend on which.
//!
//! Source: ARCHITECTURE.md, "Code map". A crate that is not in the table here is a finding: where
//! it stands must be decided before it is used. Start reading at [`CRATES`].

use super::finding::{Findings, Rule};
use crate::project::{Crate, Dependency, Table};
use std::collections::BTreeMap;

/// What a crate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Decides; no clock, I/O, randomness or unstable order.
    Pure,
    /// A trait, an in-memory implementation and a conformance suite.
    Port,
    /// One implementation of a port.
    Adapter,
    /// What crosses the network, and its compatibility.
    Boundary,
    /// Drives the pure crates.
    Shell,
    /// Built to test the others.
    Test,
    /// The only place that names adapters.
    Binary,
    /// A library of its own, or the project's own commands; knows nothing of the rest.
    Apart,
}

/// A crate of the workspace and the other members it may depend on.
pub(super) struct Place {
    /// The crate.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) kind: Kind,
    /// Where its arrows may point.
    may: May,
}

/// Members of the workspace.
enum May {
    /// These.
    Only(&'static [&'static str]),
    /// All but adapters and binaries.
    AllButAdapters,
    /// All but binaries.
    All,
}

const MODEL: &str = "cortado-model";
const DOCUMENT: &str = "cortado-document";
const LOG: &str = "cortado-log";
const STORE: &str = "cortado-store";
const WIRE: &str = "cortado-wire";
const NODE_REACHES: &[&str] = &[MODEL, DOCUMENT, "cortado-replica", "cortado-cluster", LOG, STORE];

/// The workspace, from the bottom up: binary → shell → port → pure.
pub(super) const CRATES: &[Place] = &[
    only(MODEL, Kind::Pure, &[]),
    only(DOCUMENT, Kind::Pure, &[MODEL]),
    only("cortado-replica", Kind::Pure, &[MODEL]),
    only("cortado-cluster", Kind::Pure, &[MODEL]),
    only(LOG, Kind::Port, &[MODEL]),
    only(STORE, Kind::Port, &[MODEL, DOCUMENT]),
    only("cortado-log-embedded", Kind::Adapter, &[MODEL, LOG]),
    only("cortado-log-kafka", Kind::Adapter, &[MODEL, LOG]),
    only("cortado-store-fjall", Kind::Adapter, &[MODEL, DOCUMENT, STORE]),
    only("cortado-store-mysql", Kind::Adapter, &[MODEL, DOCUMENT, STORE]),
    only(WIRE, Kind::Boundary, &[MODEL, DOCUMENT]),
    only("cortado-node", Kind::Shell, NODE_REACHES),
    only("cortado-http", Kind::Shell, &[MODEL, DOCUMENT, WIRE, "cortado-node"]),
    only("cortado-client", Kind::Shell, &[MODEL, DOCUMENT, WIRE, "cortado-aperture"]),
    only("cortado-aperture", Kind::Apart, &[]),
    only("xtask", Kind::Apart, &[]),
    Place { name: "cortado-sim", kind: Kind::Test, may: May::AllButAdapters },
    only("cortado-aperture-sim", Kind::Test, &["cortado-aperture"]),
    Place { name: "cortado-bench", kind: Kind::Test, may: May::All },
    Place { name: "cortado", kind: Kind::Binary, may: May::All },
];

const fn only(name: &'static str, kind: Kind, to: &'static [&'static str]) -> Place {
    Place { name, kind, may: May::Only(to) }
}

/// Checks every dependency between members of the workspace.
///
/// Tests are freer: any member but adapters and binaries; an adapter's tests may use everything.
pub(super) fn check(crates: &BTreeMap<String, Crate>, findings: &mut Findings) {
    for (name, member) in crates {
        let manifest = format!("{}/Cargo.toml", member.folder);
        let Some(from) = find(name) else {
            let detail = format!("`{name}` has no place in xtask/src/tidy/arrows.rs");
            findings.add(&manifest, 0, Rule::Arrow, detail);
            continue;
        };
        for dependency in member.dependencies.iter().filter(|d| crates.contains_key(&d.name)) {
            // A member without a place is found above.
            let Some(to) = find(&dependency.name) else { continue };
            if !is_allowed(from, to, dependency) {
                let detail = format!("`{name}` must not depend on `{}`", dependency.name);
                findings.add(&manifest, 0, Rule::Arrow, detail);
            }
        }
    }
}

/// The place of the crate named `name`.
pub(super) fn find(name: &str) -> Option<&'static Place> {
    CRATES.iter().find(|place| place.name == name)
}

fn is_allowed(from: &Place, to: &Place, dependency: &Dependency) -> bool {
    match dependency.table {
        Table::Normal | Table::Build => from.may.reach(to),
        Table::Dev => match from.kind {
            Kind::Adapter | Kind::Binary => to.kind != Kind::Binary,
            Kind::Pure | Kind::Port | Kind::Boundary | Kind::Shell | Kind::Test | Kind::Apart => {
                May::AllButAdapters.reach(to) || from.may.reach(to)
            }
        },
    }
}

impl May {
    fn reach(&self, to: &Place) -> bool {
        match self {
            May::Only(names) => names.contains(&to.name),
            May::AllButAdapters => !matches!(to.kind, Kind::Adapter | Kind::Binary),
            May::All => to.kind != Kind::Binary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace in which `from` depends on `to`, and what is found in it.
    fn findings(from: &str, table: Table, to: &str) -> Vec<String> {
        let dependency = Dependency { name: to.to_owned(), table };
        let member = |name: &str, dependencies| Crate {
            folder: format!("crates/{name}"),
            dependencies,
            ..Crate::default()
        };
        let crates = BTreeMap::from([
            (to.to_owned(), member(to, Vec::new())),
            (from.to_owned(), member(from, vec![dependency])),
        ]);
        let mut findings = Findings::default();
        check(&crates, &mut findings);
        findings.into_sorted().iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn check_arrow(from: &str, table: Table, to: &str, allowed: bool) {
        assert_eq!(findings(from, table, to).is_empty(), allowed, "{from} {table:?} {to}");
    }

    #[test]
    fn arrows_point_from_shell_to_port_to_pure() {
        use Table::{Build, Dev, Normal};
        check_arrow("cortado-node", Normal, "cortado-replica", true);
        check_arrow("cortado-replica", Normal, "cortado-node", false);
        check_arrow("cortado-replica", Build, "cortado-node", false);
        check_arrow("cortado-replica", Normal, "cortado-document", false);
        check_arrow("cortado-model", Normal, "cortado-document", false);
        check_arrow("cortado-http", Normal, "cortado-node", true);
        check_arrow("cortado-client", Normal, "cortado-node", false);
        check_arrow("cortado-node", Dev, "cortado-sim", true);
    }

    #[test]
    fn only_the_binary_and_benches_name_adapters() {
        use Table::{Dev, Normal};
        for adapter in ["cortado-log-embedded", "cortado-store-fjall"] {
            check_arrow("cortado", Normal, adapter, true);
            check_arrow("cortado", Dev, adapter, true);
            check_arrow("cortado-bench", Normal, adapter, true);
            check_arrow("cortado-node", Normal, adapter, false);
            check_arrow("cortado-node", Dev, adapter, false);
            check_arrow("cortado-sim", Normal, adapter, false);
        }
        check_arrow("cortado-store-fjall", Dev, "cortado-log-embedded", true);
        check_arrow("cortado-store-fjall", Normal, "cortado-log-embedded", false);
        check_arrow("cortado-sim", Normal, "cortado", false);
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let got = findings("cortado-new", Table::Normal, "cortado-model");
        assert_eq!(got.len(), 1);
        assert!(got[0].starts_with("crates/cortado-new/Cargo.toml: arrow:"), "{got:?}");
    }

    #[test]
    fn the_table_itself_holds_no_arrow_upwards() {
        for (at, place) in CRATES.iter().enumerate() {
            let May::Only(names) = place.may else { continue };
            for name in names {
                let below = CRATES.iter().position(|other| other.name == *name);
                // The library apart stands where it reads best.
                let is_fine = below.is_some_and(|below| below < at) || *name == "cortado-aperture";
                assert!(is_fine, "{} -> {name}", place.name);
            }
        }
    }
}
