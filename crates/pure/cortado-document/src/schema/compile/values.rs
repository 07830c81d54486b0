//! Values of the types that keywords have, or what is wrong with them, with its place.

use super::{Compiler, Read};
use crate::budget::rounds;
use crate::decimal::Decimal;
use crate::json::{Json, Object};
use crate::schema::assertion::Bound;
use crate::schema::index::ResourceNumber;
use crate::schema::pattern::{PatternError, PatternNumber};
use crate::schema::rules::SchemaNumber;
use crate::schema::schema_error::SchemaError;
use crate::types::Types;

impl<'a> Compiler<'a> {
    pub(super) fn invalid(&self, at: &Json<'_>, why: &str) -> SchemaError {
        SchemaError::Invalid { path: self.index.path_of(at), why: why.to_owned() }
    }

    pub(super) fn nowhere(&self, reference: &Json<'_>) -> SchemaError {
        SchemaError::Reference { path: self.index.path_of(reference) }
    }

    pub(super) fn text(&self, value: &'a Json<'a>) -> Read<&'a str> {
        value.as_str().ok_or_else(|| self.invalid(value, "must be a string"))
    }

    pub(super) fn boolean(&self, value: &Json<'_>) -> Read<bool> {
        match value {
            Json::Bool(value) => Ok(*value),
            other => Err(self.invalid(other, "must be true or false")),
        }
    }

    pub(super) fn array(&self, value: &'a Json<'a>) -> Read<&'a [Json<'a>]> {
        value.as_array().ok_or_else(|| self.invalid(value, "must be an array"))
    }

    pub(super) fn object(&self, value: &'a Json<'a>) -> Read<&'a Object<'a>> {
        value.as_object().ok_or_else(|| self.invalid(value, "must be an object"))
    }

    pub(super) fn decimal(&self, value: &Json<'_>) -> Read<(Decimal, String)> {
        match value {
            Json::Number(text) => Ok((Decimal::read(text), text.clone().into_owned())),
            other => Err(self.invalid(other, "must be a number")),
        }
    }

    pub(super) fn bound(&self, value: &Json<'_>, is_exclusive: bool) -> Read<Bound> {
        let (limit, text) = self.decimal(value)?;
        Ok(Bound { limit, text, is_exclusive })
    }

    pub(super) fn count(&self, value: &Json<'_>) -> Read<u64> {
        let count = match value {
            Json::Number(text) => Decimal::read(text).as_count(),
            _ => None,
        };
        count.ok_or_else(|| self.invalid(value, "must be an integer from 0 on"))
    }

    pub(super) fn types(&self, value: &'a Json<'a>) -> Read<Types> {
        let one = |name: &Json<'_>| {
            let types = name.as_str().and_then(Types::named);
            types.ok_or_else(|| {
                let why = "must be array, boolean, integer, null, number, object or string";
                self.invalid(name, why)
            })
        };
        match value {
            Json::Array(names) if !names.is_empty() => {
                names.iter().try_fold(Types::NONE, |types, name| Ok(types.or(one(name)?)))
            }
            other => one(other),
        }
    }

    /// A list of names without repetition.
    pub(super) fn names(&mut self, value: &'a Json<'a>) -> Read<Vec<String>> {
        let list = self.array(value)?;
        self.budget.charge(list.len() * rounds(list.len()))?;
        let mut names = Vec::with_capacity(list.len());
        let mut seen = std::collections::BTreeSet::new();
        for value in list {
            let name = self.text(value)?;
            if !seen.insert(name) {
                return Err(self.invalid(value, "must not stand there twice"));
            }
            names.push(name.to_owned());
        }
        Ok(names)
    }

    pub(super) fn list(
        &mut self,
        value: &'a Json<'a>,
        resource: ResourceNumber,
    ) -> Read<Vec<SchemaNumber>> {
        self.array(value)?.iter().map(|schema| self.number(schema, resource)).collect()
    }

    pub(super) fn named(
        &mut self,
        value: &'a Json<'a>,
        resource: ResourceNumber,
    ) -> Read<Vec<(String, SchemaNumber)>> {
        let members = self.object(value)?.members().iter();
        members
            .map(|member| Ok((member.name().to_owned(), self.number(&member.value, resource)?)))
            .collect()
    }

    pub(super) fn pattern(&mut self, pattern: &str, at: &Json<'_>) -> Read<PatternNumber> {
        let added = self.rules.patterns.add(pattern, &mut self.budget);
        added.map_err(|error| match error {
            PatternError::Invalid(why) => self.invalid(at, why),
            PatternError::TooExpensive => SchemaError::TooExpensive,
        })
    }
}
