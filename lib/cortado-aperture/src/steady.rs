//! Hysteresis on the number of peers.
//!
//! Peers that disagree about their number do not tile the ring: with half of them at 100 and half
//! at 110, some endpoint gets 1.5 times its share. They learn of a change at different
//! times, and are not told when all have. So a client waits until the number has stayed the
//! same for a while, and then moves its traffic to its new place in small parts: a peer that is
//! late is then late by a few parts, not by the whole.
//!
//! Pure: time is an argument. Start reading at [`SteadyCoordinate`].

use crate::coordinate::Coordinate;
use crate::subset::{Move, Position};
use crate::time::Nanos;
use std::time::Duration;

/// Turns what a client learns about its coordinate into a position that changes rarely and slowly.
#[derive(Clone, Debug)]
pub struct SteadyCoordinate {
    pace: Pace,
    /// What was learnt last, and since when it has been so.
    seen: Option<(Coordinate, Nanos)>,
    place: Place,
}

/// How long a client waits, and how long it takes to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A coordinate must have stayed the same for so long before anything moves.
    pub settle: Duration,
    /// How long a move takes. Peers that learn of a change within a sixth of it keep the most
    /// loaded endpoint within 1.15 of the mean.
    pub glide: Duration,
}

impl Default for Pace {
    /// Waits 10 seconds and moves within 60: for peers that learn of changes within 10 seconds.
    fn default() -> Pace {
        Pace { settle: Duration::from_secs(10), glide: Duration::from_secs(60) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Has learnt nothing yet.
    Nowhere,
    /// A newcomer, until what it has learnt has stayed the same for a while.
    Waiting,
    At(Coordinate),
    Gliding {
        from: Option<Coordinate>,
        to: Coordinate,
        since: Nanos,
    },
}

impl SteadyCoordinate {
    /// A client that has just started and does not know by which count its peers go.
    pub fn new(pace: Pace) -> SteadyCoordinate {
        SteadyCoordinate { pace, seen: None, place: Place::Nowhere }
    }

    /// A client that knows that its peers have gone by this count for a while, because it has been
    /// restarted, or because the source of coordinates says since when they have not changed.
    pub fn settled(pace: Pace, coordinate: Coordinate) -> SteadyCoordinate {
        SteadyCoordinate { pace, seen: Some((coordinate, Nanos(0))), place: Place::At(coordinate) }
    }

    /// The source of coordinates says so at `now`, which must not go backwards.
    pub fn observe(&mut self, now: Nanos, coordinate: Coordinate) {
        if self.seen.is_none_or(|(seen, _)| seen != coordinate) {
            self.seen = Some((coordinate, now));
        }
        if self.place == Place::Nowhere {
            self.place = Place::Waiting;
        }
    }

    /// Where the client stands at `now`. To be asked several times a second while it moves.
    pub fn position(&mut self, now: Nanos) -> Position {
        let Some((seen, since)) = self.seen else { return Position::Unknown };
        if let Place::Gliding { to, since, .. } = self.place
            && now >= since.after(self.pace.glide)
        {
            self.place = Place::At(to);
        }
        // A move is finished before another one begins, so that peers do the same moves.
        let due = since.after(self.pace.settle);
        match self.place {
            Place::Waiting if now >= due => self.glide(None, seen, due),
            Place::At(place) if place != seen && now >= due => {
                // Later if the client was on another move when it was due.
                self.glide(Some(place), seen, now);
            }
            Place::Nowhere | Place::Waiting | Place::At(_) | Place::Gliding { .. } => {}
        }
        match self.place {
            Place::Nowhere => Position::Unknown,
            Place::Waiting => Position::Moving(Move { from: None, to: seen, step: 0 }),
            Place::At(coordinate) => Position::Settled(coordinate),
            Place::Gliding { from, to, since } => {
                Position::Moving(Move { from, to, step: self.step(now.since(since)) })
            }
        }
    }

    fn glide(&mut self, from: Option<Coordinate>, to: Coordinate, since: Nanos) {
        self.place = if self.pace.glide.is_zero() {
            Place::At(to)
        } else {
            Place::Gliding { from, to, since }
        };
    }

    fn step(&self, passed: Duration) -> u8 {
        let part = passed.as_secs_f64() / self.pace.glide.as_secs_f64();
        (part * f64::from(Move::STEPS)).min(f64::from(Move::STEPS)) as u8
    }
}

#[cfg(test)]
mod tests;
