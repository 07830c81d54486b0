//! Which crate may depend on which, derived from the folders they stand in.
//!
//! Source: ARCHITECTURE.md, "Code map". A crate's folder is its floor, and the floor says what its
//! manifest may name; between two crates of one floor an arrow is a line with a reason.
//! Start reading at [`Floor`].

use super::finding::{Findings, Rule};
use crate::project::{Crate, Dependency, Table};
use std::collections::BTreeMap;

/// What a crate is, told by its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Floor {
    /// `crates/pure/`: decides; no clock, I/O, randomness or unstable order.
    Pure,
    /// `crates/port/`: a trait, an in-memory implementation and a conformance suite.
    Port,
    /// `crates/adapter/`: one implementation of a port.
    Adapter,
    /// `crates/boundary/`: what crosses the network, and its compatibility.
    Boundary,
    /// `crates/shell/`: drives the pure crates.
    Shell,
    /// `crates/app/`: the binary, the only product crate that names adapters.
    App,
    /// `crates/test/`: built to test the others.
    Test,
    /// `lib/`: of use without the rest, and knows nothing of it.
    Library,
    /// `bench/`: measures the others.
    Bench,
    /// `xtask/`: the project's own commands; knows nothing of the rest.
    Tool,
}

/// The folders that are floors.
const FOLDERS: &[(&str, Floor)] = &[
    ("crates/pure/", Floor::Pure),
    ("crates/port/", Floor::Port),
    ("crates/adapter/", Floor::Adapter),
    ("crates/boundary/", Floor::Boundary),
    ("crates/shell/", Floor::Shell),
    ("crates/app/", Floor::App),
    ("crates/test/", Floor::Test),
    ("lib/", Floor::Library),
    ("bench/", Floor::Bench),
    ("xtask", Floor::Tool),
];

/// The arrows within a floor, and why they are there.
const BESIDE: &[(&str, &str, &str)] = &[
    ("cortado-document", "cortado-model", "keys and limits"),
    ("cortado-replica", "cortado-model", "ids and positions"),
    ("cortado-cluster", "cortado-model", "ids and generations"),
    ("cortado-driver", "cortado-model", "ids, batches and what stores answer"),
    ("cortado-driver", "cortado-document", "evaluates operations"),
    ("cortado-driver", "cortado-replica", "feeds the core and sorts its effects"),
    ("cortado-peer-http", "cortado-peer-security", "proves who a node is as all adapters do"),
    ("cortado-gossip-foca", "cortado-peer-security", "proves who a node is as all adapters do"),
    ("cortado-log-kafka", "cortado-kafka-ffi", "the few unsafe calls that its client needs"),
    ("cortado-node", "cortado-gateway", "stands behind the door, and shares what it knows"),
    ("cortado-node", "cortado-lanes", "calls its store on the lanes' threads"),
    ("cortado-sim", "cortado-kafka-model", "runs its database on brokers"),
    ("cortado-http", "cortado-gateway", "serves it"),
    ("cortado-http", "cortado-node", "kills and starts nodes in development mode"),
];

/// Arrows that the floors would allow and that are refused all the same, and why.
const REFUSED: &[(&str, Floor, &str)] = &[
    ("cortado-http", Floor::Port, "does not know which log or store it runs on"),
    ("cortado-client", Floor::Port, "speaks HTTP only"),
    ("cortado-wire", Floor::Port, "clients use it, and they have no log or store"),
];

impl Floor {
    /// The floor of the crate whose manifest stands in `folder`.
    pub(super) fn of(folder: &str) -> Option<Floor> {
        let found = FOLDERS.iter().find(|(prefix, _)| folder.starts_with(prefix));
        found.map(|(_, floor)| *floor)
    }

    /// Whether what ships from this floor may depend on what stands on `to`.
    fn may_reach(self, to: Floor) -> bool {
        use Floor::{Adapter, App, Bench, Boundary, Library, Port, Pure, Shell, Test, Tool};
        match self {
            Pure | Library | Tool => false,
            Port => to == Pure,
            Adapter => matches!(to, Port | Pure),
            Boundary => matches!(to, Port | Pure),
            Shell => matches!(to, Boundary | Port | Pure | Library),
            App => matches!(to, Shell | Boundary | Adapter | Port | Pure | Library),
            Test => matches!(to, Shell | Boundary | Port | Pure | Library),
            Bench => !matches!(to, App | Bench | Tool),
        }
    }

    /// Whether the tests on this floor may depend on what stands on `to`.
    fn tests_may_reach(self, to: Floor) -> bool {
        match to {
            Floor::App | Floor::Bench | Floor::Tool => false,
            Floor::Adapter => matches!(self, Floor::Adapter | Floor::App),
            Floor::Pure
            | Floor::Port
            | Floor::Boundary
            | Floor::Shell
            | Floor::Test
            | Floor::Library => true,
        }
    }
}

/// Checks every dependency between members of the workspace.
///
/// Tests are freer: any member but adapters and binaries; an adapter's tests may use everything.
pub(super) fn check(crates: &BTreeMap<String, Crate>, findings: &mut Findings) {
    for (name, member) in crates {
        let manifest = format!("{}/Cargo.toml", member.folder);
        let Some(floor) = Floor::of(&member.folder) else {
            let detail = format!("`{name}` stands in no folder that is a floor");
            findings.add(&manifest, 0, Rule::Arrow, detail);
            continue;
        };
        for dependency in &member.dependencies {
            // A crate from outside is not an arrow; a member without a floor is found above.
            let target = crates.get(&dependency.name).and_then(|to| Floor::of(&to.folder));
            if target.is_some_and(|to| !is_allowed(name, floor, dependency, to)) {
                let detail = format!("`{name}` must not depend on `{}`", dependency.name);
                findings.add(&manifest, 0, Rule::Arrow, detail);
            }
        }
    }
}

fn is_allowed(name: &str, floor: Floor, dependency: &Dependency, to: Floor) -> bool {
    let is_beside = BESIDE.iter().any(|(from, to, _)| *from == name && *to == dependency.name);
    let is_refused = REFUSED.iter().any(|(from, refused, _)| *from == name && *refused == to);
    let ships = (floor.may_reach(to) && !is_refused) || is_beside;
    match dependency.table {
        Table::Normal | Table::Build => ships,
        Table::Dev => ships || floor.tests_may_reach(to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace in which `from` depends on `to`, and what is found in it.
    fn findings(from: &str, table: Table, to: &str) -> Vec<String> {
        let name = |folder: &str| folder.rsplit('/').next().unwrap_or(folder).to_owned();
        let dependency = Dependency { name: name(to), table };
        let member = |folder: &str, dependencies| Crate {
            folder: folder.to_owned(),
            dependencies,
            ..Crate::default()
        };
        let crates = BTreeMap::from([
            (name(to), member(to, Vec::new())),
            (name(from), member(from, vec![dependency])),
        ]);
        let mut findings = Findings::default();
        check(&crates, &mut findings);
        findings.into_sorted().iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn check_arrow(from: &str, table: Table, to: &str, allowed: bool) {
        assert_eq!(findings(from, table, to).is_empty(), allowed, "{from} {table:?} {to}");
    }

    const MODEL: &str = "crates/pure/cortado-model";
    const DOCUMENT: &str = "crates/pure/cortado-document";
    const REPLICA: &str = "crates/pure/cortado-replica";
    const LOG: &str = "crates/port/cortado-log";
    const EMBEDDED: &str = "crates/adapter/cortado-log-embedded";
    const FJALL: &str = "crates/adapter/cortado-store-fjall";
    const WIRE: &str = "crates/boundary/cortado-wire";
    const GATEWAY: &str = "crates/shell/cortado-gateway";
    const NODE: &str = "crates/shell/cortado-node";
    const HTTP: &str = "crates/shell/cortado-http";
    const CLIENT: &str = "crates/shell/cortado-client";
    const BINARY: &str = "crates/app/cortado";
    const SIM: &str = "crates/test/cortado-sim";

    #[test]
    fn arrows_point_from_app_to_shell_to_boundary_to_port_to_pure() {
        use Table::{Build, Dev, Normal};
        check_arrow(BINARY, Normal, NODE, true);
        check_arrow(NODE, Normal, WIRE, true);
        check_arrow(NODE, Normal, REPLICA, true);
        check_arrow(LOG, Normal, MODEL, true);
        check_arrow(REPLICA, Normal, NODE, false);
        check_arrow(REPLICA, Build, NODE, false);
        check_arrow(LOG, Normal, WIRE, false);
        check_arrow(WIRE, Normal, NODE, false);
        check_arrow(NODE, Normal, BINARY, false);
        check_arrow(NODE, Dev, SIM, true);
        check_arrow(NODE, Normal, SIM, false);
    }

    #[test]
    fn an_arrow_within_a_floor_is_listed() {
        use Table::Normal;
        check_arrow(DOCUMENT, Normal, MODEL, true);
        check_arrow(MODEL, Normal, DOCUMENT, false);
        check_arrow(REPLICA, Normal, DOCUMENT, false);
        check_arrow(HTTP, Normal, NODE, true);
        check_arrow(NODE, Normal, GATEWAY, true);
        check_arrow(GATEWAY, Normal, NODE, false);
        check_arrow(CLIENT, Normal, NODE, false);
        for (from, to, reason) in BESIDE {
            assert!(from != to && !reason.is_empty(), "{from} -> {to}");
        }
    }

    #[test]
    fn some_arrows_down_are_refused() {
        check_arrow(HTTP, Table::Normal, LOG, false);
        check_arrow(HTTP, Table::Dev, LOG, true);
        check_arrow(CLIENT, Table::Normal, LOG, false);
        check_arrow(WIRE, Table::Normal, LOG, false);
    }

    #[test]
    fn only_the_binary_and_benches_name_adapters() {
        use Table::{Dev, Normal};
        for adapter in [EMBEDDED, FJALL] {
            check_arrow(BINARY, Normal, adapter, true);
            check_arrow(BINARY, Dev, adapter, true);
            check_arrow("bench/load", Normal, adapter, true);
            check_arrow(NODE, Normal, adapter, false);
            check_arrow(NODE, Dev, adapter, false);
            check_arrow(SIM, Normal, adapter, false);
        }
        check_arrow(FJALL, Dev, EMBEDDED, true);
        check_arrow(FJALL, Normal, EMBEDDED, false);
        check_arrow(SIM, Normal, BINARY, false);
    }

    #[test]
    fn a_crate_outside_of_the_floors_is_found() {
        let got = findings("crates/cortado-new", Table::Normal, MODEL);
        assert_eq!(got.len(), 1);
        assert!(got[0].starts_with("crates/cortado-new/Cargo.toml: arrow:"), "{got:?}");
    }
}
