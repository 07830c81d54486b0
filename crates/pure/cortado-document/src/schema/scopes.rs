//! Dynamic scopes: where dynamic references lead, which depends on the way that led to them.
//!
//! A scope binds each anchor to the schema that bears it in the outermost resource on that way.

use super::rules::{AnchorNumber, SchemaNumber};
use crate::budget::{Budget, TooExpensive};
use std::collections::BTreeMap;

/// Counts the scopes that one evaluation has met; 0 binds nothing.
pub(super) type ScopeNumber = usize;

type Bindings = BTreeMap<AnchorNumber, SchemaNumber>;

/// All scopes that one evaluation has met.
pub(super) struct Scopes {
    known: Vec<Bindings>,
    numbers: BTreeMap<Bindings, ScopeNumber>,
    /// Which scope comes of which when a resource is entered.
    entered: BTreeMap<(ScopeNumber, usize), ScopeNumber>,
}

impl Scopes {
    pub(super) fn new() -> Scopes {
        let (known, numbers) = (vec![Bindings::new()], BTreeMap::from([(Bindings::new(), 0)]));
        Scopes { known, numbers, entered: BTreeMap::new() }
    }

    /// The scope inside a resource that has `anchors`.
    ///
    /// # Errors
    /// To find it would cost more than is left.
    pub(super) fn enter(
        &mut self,
        scope: ScopeNumber,
        resource: usize,
        anchors: &[(AnchorNumber, SchemaNumber)],
        budget: &mut Budget,
    ) -> Result<ScopeNumber, TooExpensive> {
        if anchors.is_empty() {
            return Ok(scope);
        }
        if let Some(entered) = self.entered.get(&(scope, resource)) {
            return Ok(*entered);
        }
        budget.charge(4 * (1 + anchors.len() + self.known[scope].len()))?;
        let mut bindings = self.known[scope].clone();
        for (anchor, schema) in anchors {
            bindings.entry(*anchor).or_insert(*schema);
        }
        let next = self.known.len();
        let entered = *self.numbers.entry(bindings.clone()).or_insert(next);
        if entered == next {
            self.known.push(bindings);
        }
        self.entered.insert((scope, resource), entered);
        Ok(entered)
    }

    /// The schema that an anchor is bound to.
    pub(super) fn bound(&self, scope: ScopeNumber, anchor: AnchorNumber) -> Option<SchemaNumber> {
        self.known[scope].get(&anchor).copied()
    }
}
