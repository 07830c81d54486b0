//! What one judgement may cost: steps that are counted, so that every machine gives up alike.

/// Steps that are left.
///
/// One step is a comparison, a look at a member, or some bytes that are scanned: 10 to 30 ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    left: u64,
    /// More was asked for than there was.
    is_spent: bool,
}

/// A judgement would cost more than it may. It depends on what is judged alone, never on a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooExpensive;

/// Bytes of text that are scanned in one step.
const STEP_BYTES: usize = 16;

impl Budget {
    pub(crate) const fn new(steps: u64) -> Budget {
        Budget { left: steps, is_spent: false }
    }

    #[cfg(test)]
    pub(crate) fn left(self) -> u64 {
        self.left
    }

    /// Takes `steps`; if there are not so many left, takes all.
    pub(crate) fn charge(&mut self, steps: usize) -> Result<(), TooExpensive> {
        match self.left.checked_sub(steps as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.spend();
                Err(TooExpensive)
            }
        }
    }

    /// Takes all that is left.
    pub(crate) fn spend(&mut self) {
        *self = Budget { left: 0, is_spent: true };
    }

    /// Takes what it costs to scan some text.
    pub(crate) fn charge_bytes(&mut self, bytes: usize) -> Result<(), TooExpensive> {
        self.charge(1 + bytes / STEP_BYTES)
    }

    /// Whether more was asked for than there was.
    pub(crate) fn is_spent(self) -> bool {
        self.is_spent
    }
}

/// How often a sort or a search of `count` elements looks at each, at most.
pub(crate) fn rounds(count: usize) -> usize {
    count.checked_ilog2().map_or(1, |log| log as usize + 1)
}
