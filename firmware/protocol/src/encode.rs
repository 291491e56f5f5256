//! Writes messages in postcard's encoding with little code.
//!
//! As in reading ([`ocellus::format::take_record`]), a field is one call that cannot fail: where bytes go to keeps a failure until the message's end.
//! So the encoder of a message of many variants is a straight line of calls for each.

use core::fmt;

use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};
use serde::{Serialize, Serializer};

/// Where the bytes of a message go; it keeps its failures to itself.
pub(crate) trait Sink {
    /// Takes a byte.
    fn push(&mut self, byte: u8);
}

/// The message has no encoding here: it holds text in the making, a map, or a list of unknown length.
#[derive(Debug)]
pub(crate) struct Unencodable;

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message has no encoding")
    }
}

impl core::error::Error for Unencodable {}

impl Error for Unencodable {
    #[inline(always)]
    fn custom<T: fmt::Display>(_: T) -> Self {
        Unencodable
    }
}

/// Encodes into a sink.
pub(crate) struct Encoder<'s, S>(pub(crate) &'s mut S);

impl<S: Sink> Encoder<'_, S> {
    /// A number, seven bits a byte, the lowest first.
    #[inline(never)]
    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    #[inline(never)]
    fn varint_u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Bytes as they are.
    #[inline(never)]
    fn plain(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0.push(byte);
        }
    }

    /// Bytes behind their count.
    #[inline(never)]
    fn counted(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u32);
        self.plain(bytes);
    }
}

macro_rules! numbers {
    ($($method:ident($value:ident: $type:ty) $body:expr;)*) => {$(
        #[inline(always)]
        fn $method(self, $value: $type) -> Result<(), Unencodable> {
            let write: fn(Self, $type) = $body;
            write(self, $value);
            Ok(())
        }
    )*};
}

impl<S: Sink> Serializer for &mut Encoder<'_, S> {
    type Ok = ();
    type Error = Unencodable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_bool(value: bool) |encoder, value| encoder.0.push(u8::from(value));
        serialize_u8(value: u8) |encoder, value| encoder.0.push(value);
        serialize_i8(value: i8) |encoder, value| encoder.0.push(value as u8);
        serialize_u16(value: u16) |encoder, value| encoder.varint(value.into());
        serialize_i16(value: i16) |encoder, value| encoder.varint((value << 1 ^ value >> 15) as u16 as u32);
        serialize_u32(value: u32) |encoder, value| encoder.varint(value);
        serialize_i32(value: i32) |encoder, value| encoder.varint((value << 1 ^ value >> 31) as u32);
        serialize_u64(value: u64) |encoder, value| encoder.varint_u64(value);
        serialize_i64(value: i64) |encoder, value| encoder.varint_u64((value << 1 ^ value >> 63) as u64);
        serialize_f32(value: f32) |encoder, value| encoder.plain(&value.to_le_bytes());
        serialize_f64(value: f64) |encoder, value| encoder.plain(&value.to_le_bytes());
        serialize_str(value: &str) |encoder, value| encoder.counted(value.as_bytes());
        serialize_bytes(value: &[u8]) |encoder, value| encoder.counted(value);
    }

    #[inline(always)]
    fn serialize_char(self, value: char) -> Result<(), Unencodable> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline(always)]
    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<(), Unencodable> {
        Err(Unencodable)
    }

    #[inline(always)]
    fn serialize_none(self) -> Result<(), Unencodable> {
        self.0.push(0);
        Ok(())
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unencodable> {
        self.0.push(1);
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_unit(self) -> Result<(), Unencodable> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unencodable> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), Unencodable> {
        self.varint(index);
        Ok(())
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unencodable> {
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unencodable> {
        self.varint(index);
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_seq(self, len: Option<usize>) -> Result<Self, Unencodable> {
        self.varint(len.ok_or(Unencodable)? as u32);
        Ok(self)
    }

    #[inline(always)]
    fn serialize_tuple(self, _: usize) -> Result<Self, Unencodable> {
        Ok(self)
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Unencodable> {
        Ok(self)
    }

    #[inline(always)]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Unencodable> {
        self.varint(index);
        Ok(self)
    }

    #[inline(always)]
    fn serialize_map(self, _: Option<usize>) -> Result<Self, Unencodable> {
        Err(Unencodable)
    }

    #[inline(always)]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Unencodable> {
        Ok(self)
    }

    #[inline(always)]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Unencodable> {
        self.varint(index);
        Ok(self)
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! compounds {
    ($($compound:ident $method:ident($($name:ident: $type:ty)?);)*) => {$(
        impl<S: Sink> $compound for &mut Encoder<'_, S> {
            type Ok = ();
            type Error = Unencodable;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: $type,)?
                value: &T,
            ) -> Result<(), Unencodable> {
                value.serialize(&mut **self)
            }

            #[inline(always)]
            fn end(self) -> Result<(), Unencodable> {
                Ok(())
            }
        }
    )*};
}

compounds! {
    SerializeSeq serialize_element();
    SerializeTuple serialize_element();
    SerializeTupleStruct serialize_field();
    SerializeTupleVariant serialize_field();
    SerializeStruct serialize_field(_name: &'static str);
    SerializeStructVariant serialize_field(_name: &'static str);
}

/// Maps are refused before their first entry.
impl<S: Sink> SerializeMap for &mut Encoder<'_, S> {
    type Ok = ();
    type Error = Unencodable;

    #[inline(always)]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Unencodable> {
        Err(Unencodable)
    }

    #[inline(always)]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Unencodable> {
        Err(Unencodable)
    }

    #[inline(always)]
    fn end(self) -> Result<(), Unencodable> {
        Err(Unencodable)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    impl Sink for Vec<u8> {
        fn push(&mut self, byte: u8) {
            Vec::push(self, byte);
        }
    }

    /// Every kind of field that a message may have.
    #[derive(Serialize)]
    struct Fields<'a> {
        flag: bool,
        bytes: (u8, i8),
        short: (u16, i16),
        long: (u32, i32),
        longer: (u64, i64),
        real: (f32, f64),
        letter: char,
        text: &'a str,
        data: &'a [u8],
        list: [u32; 3],
        maybe: [Option<u16>; 2],
        choices: [Choice; 4],
        newtype: Newtype,
        pair: Pair,
        unit: Unit,
    }

    #[derive(Serialize)]
    enum Choice {
        Unit,
        Newtype(u32),
        Tuple(u8, u16),
        Struct { wide: u64 },
    }

    #[derive(Serialize)]
    struct Newtype(i32);

    #[derive(Serialize)]
    struct Pair(u8, u32);

    #[derive(Serialize)]
    struct Unit;

    #[test]
    fn every_kind_of_field_is_written_as_postcard_writes_it() {
        let ends = [0_u64, 1, 63, 64, 127, 128, 16_383, 16_384, u64::MAX];
        for value in ends.into_iter().flat_map(|end| [end, end.wrapping_neg()]) {
            let fields = Fields {
                flag: value & 1 == 1,
                bytes: (value as u8, value as i8),
                short: (value as u16, value as i16),
                long: (value as u32, value as i32),
                longer: (value, value as i64),
                real: (value as f32, value as f64),
                letter: 'é',
                text: "hérisson",
                data: &[0, 127, 128, 255],
                list: [0, 127, value as u32],
                maybe: [None, Some(value as u16)],
                choices: [
                    Choice::Unit,
                    Choice::Newtype(value as u32),
                    Choice::Tuple(value as u8, value as u16),
                    Choice::Struct { wide: value },
                ],
                newtype: Newtype(value as i32),
                pair: Pair(value as u8, value as u32),
                unit: Unit,
            };
            let mut bytes = Vec::new();
            fields.serialize(&mut Encoder(&mut bytes)).unwrap();
            assert_eq!(bytes, postcard::to_stdvec(&fields).unwrap(), "{value}");
        }
    }

    #[test]
    fn a_map_is_refused() {
        let map = std::collections::BTreeMap::from([(1, 2)]);
        assert!(map.serialize(&mut Encoder(&mut Vec::new())).is_err());
    }
}
