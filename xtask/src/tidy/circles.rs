//! No circles of files within a crate: what two modules share is a third one below them.
//!
//! Two files that use each other can only be read together. Two or three that are one thing may be
//! exempted, held at their number; a larger circle is a module that has not been found yet. What
//! counts as using is said in [`modules`]. Start reading at [`check`].

mod modules;
mod paths;

use super::finding::{Findings, Rule};
use super::tree::Tree;
use modules::{Arrows, Modules};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Checks the files of every `src` folder.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    let folders: BTreeSet<&str> = tree.sources().filter_map(|(path, _)| folder_of(path)).collect();
    for folder in folders {
        let arrows = Modules::of(folder, tree).arrows();
        for circle in circles(&arrows) {
            let way = shortest_way_round(&arrows, &circle);
            let line = way.get(1).map_or(0, |next| arrows[way[0]][*next]);
            let detail = describe(folder, &way, &circle);
            findings.add_size(way[0], line, Rule::Circle, circle.len(), detail);
        }
    }
}

/// Shows a way round, and which files belong to the circle besides.
fn describe(folder: &str, way: &[&str], circle: &BTreeSet<&str>) -> String {
    let shown = |paths: &mut dyn Iterator<Item = &&str>, between| {
        paths.map(|path| &path[folder.len()..]).collect::<Vec<_>>().join(between)
    };
    let round = shown(&mut way.iter(), " → ");
    let others = shown(&mut circle.iter().filter(|path| !way.contains(path)), ", ");
    let besides = if others.is_empty() { String::new() } else { format!("; also {others}") };
    format!("{} files use one another: {round}{besides}", circle.len())
}

/// The `src/` folder that a file stands in.
fn folder_of(path: &str) -> Option<&str> {
    const FOLDER: &str = "/src/";
    path.find(FOLDER).map(|at| &path[..at + FOLDER.len()])
}

/// The largest sets of files of which each reaches each other one, single files left out.
fn circles<'t>(arrows: &Arrows<'t>) -> Vec<BTreeSet<&'t str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|from| (*from, reached_from(arrows, from))).collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (from, to) in &reached {
        let is_known = circles.iter().any(|circle| circle.contains(from));
        if to.contains(from) && !is_known {
            circles.push(to.iter().copied().filter(|each| reached[each].contains(from)).collect());
        }
    }
    circles
}

/// Every file that arrows lead to from `from`.
fn reached_from<'t>(arrows: &Arrows<'t>, from: &'t str) -> BTreeSet<&'t str> {
    let mut reached = BTreeSet::new();
    let mut left = vec![from];
    while let Some(at) = left.pop() {
        left.extend(arrows[at].keys().filter(|next| reached.insert(**next)));
    }
    reached
}

/// A shortest way along the arrows from a file of `circle` back to itself: `a b a`.
fn shortest_way_round<'t>(arrows: &Arrows<'t>, circle: &BTreeSet<&'t str>) -> Vec<&'t str> {
    let ways = circle.iter().map(|start| way_round(arrows, start));
    ways.min_by_key(Vec::len).unwrap_or_default()
}

fn way_round<'t>(arrows: &Arrows<'t>, start: &'t str) -> Vec<&'t str> {
    let mut came_from = BTreeMap::new();
    let mut left = VecDeque::from([start]);
    while let Some(at) = left.pop_front() {
        for next in arrows[at].keys() {
            if came_from.contains_key(next) {
                continue;
            }
            came_from.insert(*next, at);
            left.push_back(next);
        }
    }
    let mut way = vec![start];
    let mut at = came_from[start];
    while at != start {
        way.push(at);
        at = came_from[at];
    }
    way.push(start);
    way.reverse();
    way
}

#[cfg(test)]
mod tests;
