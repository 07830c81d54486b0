//! Who asks a driver something: the driver carries it and gives it back with the answer.
//!
//! Decides nothing. Start reading at [`Asker`].

use crate::database::documents::{AttemptId, KeyNumber};
use cortado_driver::{Caller, Proof};
use std::cell::Cell;
use std::rc::Rc;

/// A caller that a driver must answer.
#[derive(Clone, Debug)]
pub enum Asker {
    /// A client's try, and what becomes of the answer.
    Client {
        /// Who.
        client: usize,
        /// Which try.
        attempt: AttemptId,
        /// What is wanted.
        purpose: Purpose,
        /// Whether it was begun; shared with the unanswered request, which may be withdrawn.
        stage: Rc<Cell<Stage>>,
    },
    /// An operator who orders a handoff and does not wait for it.
    Operator,
    /// A reader that checks whether a leader still serves under its lease.
    Prober,
}

/// What becomes of a driver's answer.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// It is the write's.
    Write,
    /// When ready, look at these documents.
    Read(Look),
}

/// A look at a store that waits for its proof.
#[derive(Clone, Debug)]
pub struct Look {
    /// The documents.
    pub keys: Vec<KeyNumber>,
    /// What must still hold afterwards.
    pub proof: Proof,
}

/// How far a try has come at its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was begun for it.
    Waits,
    /// It may take effect.
    Begun,
    /// Its client was told that nothing was begun.
    Withdrawn,
}

impl Caller for Asker {
    fn begin(&self) -> bool {
        match self {
            Asker::Client { stage, .. } if stage.get() == Stage::Withdrawn => false,
            Asker::Client { stage, .. } => {
                stage.set(Stage::Begun);
                true
            }
            Asker::Operator | Asker::Prober => true,
        }
    }
}
