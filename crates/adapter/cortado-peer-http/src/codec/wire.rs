//! How values of every type are written and read, and the shapes of which the others are made.
//!
//! A struct is its fields in their order, an enum a byte and the fields of that variant. Start
//! reading at [`Wire`].

use super::input::{Input, WireError};
use bytes::{BufMut, Bytes, BytesMut};
use std::ops::Bound;

/// A value that crosses the wire.
pub(super) trait Wire: Sized {
    /// Appends it.
    fn put(&self, out: &mut BytesMut);

    /// Takes one off the front.
    ///
    /// # Errors
    /// See [`WireError`]. Total: whatever the bytes, it ends, and allocates little more than they
    /// are long.
    fn take(input: &mut Input) -> Result<Self, WireError>;
}

/// Writes a number as [`Input::number`] reads it.
pub(super) fn put_number(mut number: u64, out: &mut BytesMut) {
    while number >= 0x80 {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

/// Writes bytes behind their length.
pub(super) fn put_string(bytes: &[u8], out: &mut BytesMut) {
    put_number(bytes.len() as u64, out);
    out.put_slice(bytes);
}

/// Structs: all of their fields, in this order.
macro_rules! wire_struct {
    ($($type:ident { $($field:ident),+ $(,)? })+) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut BytesMut) {
                let $type { $($field),+ } = self;
                $($field.put(out);)+
            }

            fn take(input: &mut Input) -> Result<$type, WireError> {
                Ok($type { $($field: Wire::take(input)?),+ })
            }
        }
    )+};
}

/// Newtypes: what is inside.
macro_rules! wire_newtype {
    ($($type:ident),+ $(,)?) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut BytesMut) {
                self.0.put(out);
            }

            fn take(input: &mut Input) -> Result<$type, WireError> {
                Wire::take(input).map($type)
            }
        }
    )+};
}

/// Enums: a byte that is never given to another variant, and the fields.
macro_rules! wire_enum {
    ($type:ident { $(
        $tag:literal => $variant:ident $(($($item:ident),+))? $({ $($field:ident),+ })?
    ),+ $(,)? }) => {
        impl Wire for $type {
            fn put(&self, out: &mut BytesMut) {
                match self {$(
                    $type::$variant $(($($item),+))? $({ $($field),+ })? => {
                        out.put_u8($tag);
                        $($($item.put(out);)+)?
                        $($($field.put(out);)+)?
                    }
                )+}
            }

            fn take(input: &mut Input) -> Result<$type, WireError> {
                Ok(match input.byte()? {
                    $($tag => $type::$variant
                        $(($({
                            let $item = Wire::take(input)?;
                            $item
                        }),+))?
                        $({ $($field: Wire::take(input)?),+ })?,
                    )+
                    tag => {
                        return Err(WireError::UnknownVariant { what: stringify!($type), tag });
                    }
                })
            }
        }
    };
}

impl Wire for bool {
    fn put(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(*self));
    }

    fn take(input: &mut Input) -> Result<bool, WireError> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Invalid("boolean")),
        }
    }
}

impl Wire for u8 {
    fn put(&self, out: &mut BytesMut) {
        out.put_u8(*self);
    }

    fn take(input: &mut Input) -> Result<u8, WireError> {
        input.byte()
    }
}

impl Wire for u32 {
    fn put(&self, out: &mut BytesMut) {
        put_number(u64::from(*self), out);
    }

    fn take(input: &mut Input) -> Result<u32, WireError> {
        u32::try_from(input.number()?).map_err(|_| WireError::Invalid("number"))
    }
}

impl Wire for u64 {
    fn put(&self, out: &mut BytesMut) {
        put_number(*self, out);
    }

    fn take(input: &mut Input) -> Result<u64, WireError> {
        input.number()
    }
}

impl Wire for usize {
    fn put(&self, out: &mut BytesMut) {
        put_number(*self as u64, out);
    }

    fn take(input: &mut Input) -> Result<usize, WireError> {
        usize::try_from(input.number()?).map_err(|_| WireError::Invalid("number"))
    }
}

impl Wire for u128 {
    fn put(&self, out: &mut BytesMut) {
        out.put_u128_le(*self);
    }

    fn take(input: &mut Input) -> Result<u128, WireError> {
        input.array().map(u128::from_le_bytes)
    }
}

impl Wire for Bytes {
    fn put(&self, out: &mut BytesMut) {
        put_string(self, out);
    }

    fn take(input: &mut Input) -> Result<Bytes, WireError> {
        input.string()
    }
}

impl Wire for String {
    fn put(&self, out: &mut BytesMut) {
        put_string(self.as_bytes(), out);
    }

    fn take(input: &mut Input) -> Result<String, WireError> {
        String::from_utf8(input.string()?.into()).map_err(|_| WireError::Invalid("text"))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut BytesMut) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Input) -> Result<Option<T>, WireError> {
        if bool::take(input)? { T::take(input).map(Some) } else { Ok(None) }
    }
}

impl<T: Wire> Wire for Box<T> {
    fn put(&self, out: &mut BytesMut) {
        T::put(self, out);
    }

    fn take(input: &mut Input) -> Result<Box<T>, WireError> {
        T::take(input).map(Box::new)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut BytesMut) {
        put_number(self.len() as u64, out);
        self.iter().for_each(|value| value.put(out));
    }

    fn take(input: &mut Input) -> Result<Vec<T>, WireError> {
        // Grows as entries are read: a length that is a lie costs nothing.
        (0..input.count()?).map(|_| T::take(input)).collect()
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut BytesMut) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(input: &mut Input) -> Result<(A, B), WireError> {
        Ok((A::take(input)?, B::take(input)?))
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn put(&self, out: &mut BytesMut) {
        self.is_ok().put(out);
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }

    fn take(input: &mut Input) -> Result<Result<T, E>, WireError> {
        Ok(if bool::take(input)? { Ok(T::take(input)?) } else { Err(E::take(input)?) })
    }
}

impl Wire for Bound<Vec<u8>> {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Bound::Unbounded => out.put_u8(0),
            Bound::Included(name) => {
                out.put_u8(1);
                put_string(name, out);
            }
            Bound::Excluded(name) => {
                out.put_u8(2);
                put_string(name, out);
            }
        }
    }

    fn take(input: &mut Input) -> Result<Bound<Vec<u8>>, WireError> {
        match input.byte()? {
            0 => Ok(Bound::Unbounded),
            1 => input.string().map(|name| Bound::Included(name.into())),
            2 => input.string().map(|name| Bound::Excluded(name.into())),
            tag => Err(WireError::UnknownVariant { what: "bound", tag }),
        }
    }
}
