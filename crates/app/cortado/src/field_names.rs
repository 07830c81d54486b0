//! The names of a struct's fields, as its deserializer knows them: no second list of them is kept.
//!
//! Start reading at [`field_names`].

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The fields of the struct `T`, as they are spelled in a file; none if it is no struct.
pub(crate) fn field_names<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It is asked for its fields, and gets none.
    let _ = T::deserialize(FieldNames(&mut names));
    names
}

struct FieldNames<'n>(&'n mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("only the names are wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("no struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[test]
    fn all_fields_are_named_as_a_file_spells_them() {
        #[derive(Deserialize)]
        struct Written {
            #[serde(rename = "b-c")]
            _renamed: u8,
            _plain: Option<String>,
        }
        assert_eq!(field_names::<Written>(), ["b-c", "_plain"]);
        assert_eq!(field_names::<u8>(), <[&str; 0]>::default());
    }
}
