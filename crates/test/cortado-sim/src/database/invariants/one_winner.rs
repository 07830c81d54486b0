//! One winner per generation, the same for every replica, and no other node serves in it.

use crate::database::truth::{Truth, Winner};
use crate::kernel::violation::Violation;
use cortado_model::{Generation, Scn};
use std::collections::BTreeMap;

const NAME: &str = "one_winner";

/// Who has been seen to serve in which generation of one partition.
#[derive(Debug, Default)]
pub struct Servers {
    serving: BTreeMap<Generation, Winner>,
}

/// A replica has folded a claim and says who won.
///
/// # Errors
/// The log says otherwise.
pub fn check_claim(
    truth: &Truth,
    generation: Generation,
    node: cortado_model::NodeId,
) -> Result<(), Violation> {
    match truth.winners.get(&generation) {
        Some((winner, _)) if *winner == node => Ok(()),
        winner => {
            let details =
                format!("a replica believes that {node} won {generation}, not {winner:?}");
            Err(Violation::new(NAME, details))
        }
    }
}

impl Servers {
    /// `server` begins to serve in `generation`.
    ///
    /// # Errors
    /// It has not won it, another one serves in it, or no record of its own has proven that the
    /// claim was not the last that it could append.
    pub fn serve(
        &mut self,
        truth: &Truth,
        generation: Generation,
        server: Winner,
    ) -> Result<(), Violation> {
        let winner = truth.winners.get(&generation);
        if winner != Some(&server) {
            let details = format!("{server:?} serves in {generation}, which {winner:?} has won");
            return Err(Violation::new(NAME, details));
        }
        let other = *self.serving.entry(generation).or_insert(server);
        if other != server {
            let details = format!("{server:?} and {other:?} both serve in {generation}");
            return Err(Violation::new(NAME, details));
        }
        if truth.last <= Scn::opening(generation) {
            let details = format!("{server:?} serves in {generation}, and only its claim is there");
            return Err(Violation::new(NAME, details));
        }
        Ok(())
    }
}
