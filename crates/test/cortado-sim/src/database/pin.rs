//! A leadership that an operator has placed, and the story that is told of it.
//!
//! Decides nothing: `World::place_by_hand` does. Start reading at [`STORY`].

use crate::kernel::time::SECOND;

/// The partition of the story.
pub(crate) const PARTITION: usize = 0;

/// The story and its moments, from the beginning of the world on. Handing back takes 10 s by a
/// clock that may be slow by a tenth, and 5 s leave room for what is slow besides.
pub(crate) const STORY: [(Scene, u64); 5] = [
    (Scene::HandsOver, 13 * SECOND),
    (Scene::IsDone, 14 * SECOND),
    (Scene::Dies, 34 * SECOND),
    (Scene::ComesBack, 40 * SECOND),
    (Scene::LeadsAgain, 57 * SECOND),
];

/// How long it takes.
pub(crate) const STORY_US: u64 = 60 * SECOND;

/// What an operator has ordered, and what became of it.
#[derive(Debug)]
pub(crate) struct Pin {
    pub(crate) partition: usize,
    pub(crate) to: usize,
    /// In which it was led when it had just been handed over.
    pub(crate) generation: u32,
    /// Its node is down, and starts no sooner than the story lets it.
    pub(crate) held_down: bool,
}

/// A moment of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// An operator hands over.
    HandsOver,
    /// It is done.
    IsDone,
    /// It has been quiet for 20 seconds; the pinned node dies.
    Dies,
    /// It has been dead for long; it comes back.
    ComesBack,
    /// It has been back for long.
    LeadsAgain,
}
