//! What a network loses, as real networks do: packets, without a word to anybody.
//!
//! Start reading at [`lose_all`].

use super::broken_site::{BrokenSite, NODES, leadership_of};
use super::machine_faults::{CUT, pass};
use crate::namespaces::Lost::{self, Between, From, To};
use crate::namespaces::{BROKERS, Namespaces};
use std::net::Ipv4Addr;

/// Everything that a node sends, and that is sent to it, by nodes, brokers and the router.
pub(crate) fn lose_all(site: &BrokenSite, node: usize) {
    let address = Namespaces::address(node);
    lose_until_replaced(site, node, &[To(address), From(address)]);
}

/// What nodes and a node send one another.
pub(crate) fn lose_between_nodes(site: &BrokenSite, node: usize) {
    let (own, others) = (Namespaces::address(node), others(node));
    let to = others.clone().map(|other| Between { from: own, to: other });
    let from = others.map(|other| Between { from: other, to: own });
    lose_until_alone(site, node, &to.chain(from).collect::<Vec<_>>());
}

/// What a node and the brokers send one another.
pub(crate) fn lose_to_and_from_log(site: &BrokenSite, node: usize) {
    let address = Namespaces::address(node);
    let both = [Between { from: address, to: BROKERS }, Between { from: BROKERS, to: address }];
    lose_until_replaced(site, node, &both);
}

/// What a node sends to brokers.
pub(crate) fn lose_to_log(site: &BrokenSite, node: usize) {
    lose_until_replaced(site, node, &[Between { from: Namespaces::address(node), to: BROKERS }]);
}

/// What brokers send to a node.
pub(crate) fn lose_from_log(site: &BrokenSite, node: usize) {
    lose_until_replaced(site, node, &[Between { from: BROKERS, to: Namespaces::address(node) }]);
}

/// What other nodes send to a node.
pub(crate) fn lose_from_nodes(site: &BrokenSite, node: usize) {
    let own = Namespaces::address(node);
    let from = others(node).map(|other| Between { from: other, to: own });
    lose_until_alone(site, node, &from.collect::<Vec<_>>());
}

/// Loses packets until other nodes lead what this one led, and for a while more.
fn lose_until_replaced(site: &BrokenSite, node: usize, lost: &[Lost]) {
    site.network().lose(lost);
    let name = BrokenSite::name(node);
    site.wait_until("led by others", |http| leadership_of(http, &name) == 0);
    pass(CUT);
}

/// Loses packets until the node knows that it hears no other, and for a while more: it reaches the
/// log, so it leads on.
fn lose_until_alone(site: &BrokenSite, node: usize, lost: &[Lost]) {
    let times = || site.node(node).said().matches("no peer answers this node").count();
    let before = times();
    site.network().lose(lost);
    site.wait_until("alone", |_| times() > before);
    pass(CUT);
}

fn others(node: usize) -> impl Iterator<Item = Ipv4Addr> + Clone {
    (0..NODES).filter(move |other| *other != node).map(Namespaces::address)
}
