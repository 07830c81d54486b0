//! Patterns: ECMA 262 regular expressions without look-around, matched in time that is linear in
//! the text and counted.
//!
//! Start reading at [`Patterns::add`] and [`Matchers::is_match`].

use crate::budget::{Budget, TooExpensive};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{NFA, WhichCaptures};
use regex_automata::{Input, MatchErrorKind};
use regex_syntax::ast::{ErrorKind, parse::Parser};
use std::collections::BTreeMap;

/// Counts the patterns of a schema.
pub(super) type PatternNumber = usize;

/// All patterns of a schema, each once.
#[derive(Default)]
pub(super) struct Patterns {
    compiled: Vec<Pattern>,
    numbers: BTreeMap<String, PatternNumber>,
    /// What all of them together take.
    bytes: usize,
}

struct Pattern {
    /// Builds its states as a text needs them; gives up if that were too many.
    dfa: DFA,
    /// Never gives up, but looks at every state for every byte.
    vm: PikeVM,
}

/// Why a pattern is refused.
pub(super) enum PatternError {
    /// Not a regular expression, or one that cannot be matched in linear time.
    Invalid(&'static str),
    TooExpensive,
}

impl From<TooExpensive> for PatternError {
    fn from(TooExpensive: TooExpensive) -> PatternError {
        PatternError::TooExpensive
    }
}

/// Bytes of the compiled form of one pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// And of all patterns of a schema.
const PATTERNS_BYTES_MAX: usize = 8 << 20;
/// Bytes of states that one pattern builds in one validation.
const CACHE_BYTES: usize = 1 << 20;
/// And all patterns together, before those of all are built anew.
const CACHES_BYTES_MAX: usize = 16 << 20;
/// What it costs to begin a match.
const MATCH_STEPS: usize = 8;
/// What a compiled pattern costs to build, and states to be found.
const STEP_BYTES_BUILT: usize = 8;
/// Bytes of a state that are looked at in one step.
const STEP_BYTES_LOOKED_AT: usize = 32;

impl Patterns {
    /// Compiles `pattern`, unless it is known.
    ///
    /// # Errors
    /// See [`PatternError`].
    pub(super) fn add(
        &mut self,
        pattern: &str,
        budget: &mut Budget,
    ) -> Result<PatternNumber, PatternError> {
        if let Some(number) = self.numbers.get(pattern) {
            return Ok(*number);
        }
        let compiled = Pattern::compile(pattern, budget)?;
        self.bytes += compiled.vm.get_nfa().memory_usage();
        if self.bytes > PATTERNS_BYTES_MAX {
            return Err(PatternError::TooExpensive);
        }
        self.compiled.push(compiled);
        let number = self.compiled.len() - 1;
        self.numbers.insert(pattern.to_owned(), number);
        Ok(number)
    }
}

impl Pattern {
    fn compile(pattern: &str, budget: &mut Budget) -> Result<Pattern, PatternError> {
        // The translation reads the whole text again for each of the one, and moves the text behind
        // each of the others.
        let read_again = 2 * pattern.matches("\\c").count();
        let moved = pattern.matches(['\\', '.']).count() / 4;
        budget.charge(pattern.len().saturating_mul(1 + read_again + moved))?;
        if let Err(error) = Parser::new().parse(pattern) {
            match error.kind() {
                ErrorKind::UnsupportedLookAround => {
                    return Err(PatternError::Invalid(
                        "look-around, such as (?=…) or (?!…), is not supported, since patterns \
                         are matched in linear time",
                    ));
                }
                ErrorKind::UnsupportedBackreference => {
                    return Err(PatternError::Invalid(
                        "back-references, such as \\1, are not supported, since patterns are \
                         matched in linear time",
                    ));
                }
                // What the translation knows how to read, or refuses.
                _ => {}
            }
        }
        if refers_back_by_name(pattern) {
            return Err(PatternError::Invalid(
                "back-references, such as \\k<name>, are not supported, since patterns are matched \
                 in linear time",
            ));
        }
        let invalid = PatternError::Invalid("must be a regular expression (ECMA 262)");
        let Ok(translated) = jsonschema_regex::to_rust_regex(pattern) else {
            return Err(invalid);
        };
        let config = NFA::config()
            .nfa_size_limit(Some(PATTERN_BYTES_MAX))
            .which_captures(WhichCaptures::None);
        let nfa =
            NFA::compiler().configure(config).build(&translated).map_err(|error| {
                match error.size_limit() {
                    Some(_) => PatternError::Invalid("is too large when it is compiled"),
                    None => invalid,
                }
            })?;
        budget.charge(nfa.memory_usage() / STEP_BYTES_BUILT)?;
        let lazy = DFA::config()
            .cache_capacity(CACHE_BYTES)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(0))
            .unicode_word_boundary(true);
        let too_large = |_| PatternError::TooExpensive;
        let dfa = DFA::builder().configure(lazy).build_from_nfa(nfa.clone()).map_err(too_large)?;
        let vm = PikeVM::builder().build_from_nfa(nfa).map_err(|_| PatternError::TooExpensive)?;
        Ok(Pattern { dfa, vm })
    }
}

/// Whether it refers to a named group, which other regular expressions spell otherwise.
fn refers_back_by_name(pattern: &str) -> bool {
    let mut rest = pattern;
    while let Some((_, escaped)) = rest.split_once('\\') {
        if escaped.starts_with("k<") {
            return true;
        }
        // The character that is escaped may be a backslash itself.
        let mut behind = escaped.chars();
        behind.next();
        rest = behind.as_str();
    }
    false
}

/// The states of one pattern that a validation has met.
struct States {
    cache: Cache,
    /// Steps for ways from one state to another that may still have to be found. Each looks at all
    /// that the first state is made of, and no measure of memory shows it.
    unfound_steps: usize,
}

/// Matches the patterns of one schema during one validation.
pub(super) struct Matchers<'s> {
    patterns: &'s Patterns,
    /// The states that were built so far; `None` for a pattern that needs too many.
    caches: BTreeMap<PatternNumber, Option<States>>,
    /// What all of them together take.
    bytes: usize,
}

impl<'s> Matchers<'s> {
    pub(super) fn new(patterns: &'s Patterns) -> Matchers<'s> {
        Matchers { patterns, caches: BTreeMap::new(), bytes: 0 }
    }

    /// Whether the pattern matches somewhere in `text`.
    ///
    /// # Errors
    /// To find out would cost more than is left.
    pub(super) fn is_match(
        &mut self,
        number: PatternNumber,
        text: &str,
        budget: &mut Budget,
    ) -> Result<bool, TooExpensive> {
        let pattern = &self.patterns.compiled[number];
        let input = Input::new(text).earliest(true);
        budget.charge(MATCH_STEPS + text.len() / 16)?;
        if let Some(found) = self.search(number, pattern, &input, budget)? {
            return Ok(found);
        }
        let states = pattern.vm.get_nfa().states().len();
        budget.charge(states.saturating_mul(text.len() + 1) / 2)?;
        Ok(pattern.vm.is_match(&mut pattern.vm.create_cache(), input))
    }

    /// Searches with states that are built as they are met; `None` if that does not do.
    fn search(
        &mut self,
        number: PatternNumber,
        pattern: &Pattern,
        input: &Input<'_>,
        budget: &mut Budget,
    ) -> Result<Option<bool>, TooExpensive> {
        if self.bytes > CACHES_BYTES_MAX {
            self.caches.retain(|_, cache| cache.is_none());
            self.bytes = 0;
        }
        let is_new = !self.caches.contains_key(&number);
        let known = self.caches.entry(number).or_insert_with(|| {
            Some(States { cache: pattern.dfa.create_cache(), unfound_steps: 0 })
        });
        let Some(States { cache, unfound_steps }) = known else { return Ok(None) };
        let before = if is_new { 0 } else { cache.memory_usage() };
        let found = pattern.dfa.try_search_fwd(cache, input);
        let built = cache.memory_usage().saturating_sub(before);
        self.bytes += built;
        budget.charge(built / STEP_BYTES_BUILT)?;
        // One way for each class of bytes, found when it is first gone.
        *unfound_steps += built * pattern.dfa.byte_classes().alphabet_len() / STEP_BYTES_LOOKED_AT;
        let states = pattern.vm.get_nfa().states().len();
        let gone = states.saturating_mul(input.haystack().len() + 1) / STEP_BYTES_LOOKED_AT;
        let steps = gone.min(*unfound_steps);
        *unfound_steps -= steps;
        budget.charge(steps)?;
        match found {
            Ok(found) => Ok(Some(found.is_some())),
            Err(error) => {
                // Otherwise it is a word boundary beside a character outside ASCII.
                if matches!(error.kind(), MatchErrorKind::GaveUp { .. }) {
                    *known = None;
                }
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_between_states_are_paid_for_when_they_are_gone() {
        const STEPS: u64 = 1_000_000;
        let mut budget = Budget::new(STEPS);
        let mut patterns = Patterns::default();
        let added = patterns.add("^([a-z]|[c-x0-9]){1,300}!", &mut budget);
        let Ok(number) = added else { panic!("a pattern") };
        let mut matchers = Matchers::new(&patterns);
        let mut is_match = |text: &str| {
            let mut budget = Budget::new(STEPS);
            assert_eq!(matchers.is_match(number, text, &mut budget), Ok(false));
            let unfound = matchers.caches[&number].as_ref().map(|states| states.unfound_steps);
            (STEPS - budget.left(), unfound.expect("it builds states"))
        };
        let (_, before) = is_match("a");
        assert!(before > 0);
        // No state that is new, but a way.
        let (taken, after) = is_match("!");
        assert!(after < before && taken >= (before - after) as u64, "{taken} {before} {after}");
    }
}
