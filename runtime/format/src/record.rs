//! Reads postcard records with little code.
//!
//! A field is one call, and whether all of them were there is asked once, at a record's end: until then a damaged record reads as zeros. So a
//! record's decoder is a straight line of calls, a fraction of the flash and of the instructions of one that looks after each field. What it
//! accepts is what the crate `postcard` accepts, which writes the records; `tests/records.rs` compares the two.

use core::fmt;

use serde::Deserialize;
use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

/// Reads a record from the front of `bytes`, and leaves what is behind it; `None` where the bytes are no such record.
pub fn take_record<'m, T: Deserialize<'m>>(bytes: &mut &'m [u8]) -> Option<T> {
    let mut reader = Reader {
        rest: bytes,
        damaged: false,
    };
    let record = T::deserialize(&mut reader).ok()?;
    if reader.damaged {
        return None;
    }
    *bytes = reader.rest;
    Some(record)
}

/// Why a record is refused, as far as a device says.
#[derive(Debug)]
struct Damaged;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record is damaged")
    }
}

impl core::error::Error for Damaged {}

// Every way to make one is named, so that none formats a text.
impl Error for Damaged {
    #[inline(always)]
    fn custom<T: fmt::Display>(_: T) -> Self {
        Damaged
    }

    #[inline(always)]
    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Damaged
    }

    #[inline(always)]
    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Damaged
    }

    #[inline(always)]
    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Damaged
    }

    #[inline(always)]
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Damaged
    }
}

struct Reader<'m> {
    rest: &'m [u8],
    /// A field was missing or wrong.
    damaged: bool,
}

impl<'m> Reader<'m> {
    #[inline(never)]
    fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((&byte, rest)) => {
                self.rest = rest;
                byte
            }
            None => {
                self.damaged = true;
                0
            }
        }
    }

    /// A number of so many bits, 16 or 32, seven a byte, the lowest first.
    #[inline(never)]
    fn varint(&mut self, bits: u32) -> u32 {
        // Most are small.
        match self.rest.split_first() {
            Some((&byte @ ..0x80, rest)) => {
                self.rest = rest;
                u32::from(byte)
            }
            _ => self.varint_of_many(bits),
        }
    }

    #[inline(never)]
    fn varint_of_many(&mut self, bits: u32) -> u32 {
        let mut rest = self.rest;
        let mut value = 0;
        let mut shift = 0;
        while let Some((&byte, after)) = rest.split_first() {
            let digit = u32::from(byte & 0x7F);
            value |= digit.wrapping_shl(shift);
            if byte < 0x80 {
                let room = bits.wrapping_sub(shift);
                self.damaged |= room < 7 && digit >> room != 0;
                self.rest = after;
                return value;
            }
            shift += 7;
            if shift >= bits {
                break;
            }
            rest = after;
        }
        self.damaged = true;
        0
    }

    /// A number of 64 bits.
    #[inline(never)]
    fn varint_u64(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            let digit = u64::from(byte & 0x7F);
            value |= digit << shift;
            if byte < 0x80 {
                self.damaged |= shift == 63 && digit > 1;
                return value;
            }
        }
        self.damaged = true;
        0
    }

    /// As many bytes as the number before them says.
    #[inline(never)]
    fn bytes(&mut self) -> &'m [u8] {
        let len = self.varint(32) as usize;
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                bytes
            }
            None => {
                self.damaged = true;
                &[]
            }
        }
    }

    #[inline(never)]
    fn text(&mut self) -> &'m str {
        let text = core::str::from_utf8(self.bytes());
        self.damaged |= text.is_err();
        text.unwrap_or_default()
    }

    /// 0 or 1.
    #[inline(never)]
    fn flag(&mut self) -> bool {
        let byte = self.byte();
        self.damaged |= byte > 1;
        byte != 0
    }

    /// `N` bytes as they are.
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte();
        }
        bytes
    }

    #[inline(never)]
    fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }
}

/// The number that `value` stands for: 0, -1, 1, -2, ...
#[inline(always)]
fn signed(value: u32) -> i32 {
    (value >> 1) as i32 ^ (value & 1).wrapping_neg() as i32
}

macro_rules! refused {
    ($($method:ident)*) => {$(
        #[inline(always)]
        fn $method<V: Visitor<'m>>(self, _: V) -> Result<V::Value, Damaged> {
            Err(Damaged)
        }
    )*};
}

impl<'m> Deserializer<'m> for &mut Reader<'m> {
    type Error = Damaged;

    // No record has these.
    refused! {
        deserialize_any deserialize_ignored_any deserialize_identifier deserialize_char deserialize_string
        deserialize_byte_buf deserialize_seq deserialize_map
    }

    #[inline(always)]
    fn deserialize_bool<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_bool(self.flag())
    }

    #[inline(always)]
    fn deserialize_u8<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_u8(self.byte())
    }

    #[inline(always)]
    fn deserialize_i8<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_i8(self.byte() as i8)
    }

    #[inline(always)]
    fn deserialize_u16<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_u16(self.varint(16) as u16)
    }

    #[inline(always)]
    fn deserialize_i16<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_i16(signed(self.varint(16)) as i16)
    }

    #[inline(always)]
    fn deserialize_u32<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_u32(self.varint(32))
    }

    #[inline(always)]
    fn deserialize_i32<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_i32(signed(self.varint(32)))
    }

    #[inline(always)]
    fn deserialize_u64<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_u64(self.varint_u64())
    }

    #[inline(always)]
    fn deserialize_i64<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        let value = self.varint_u64();
        visitor.visit_i64((value >> 1) as i64 ^ (value & 1).wrapping_neg() as i64)
    }

    #[inline(always)]
    fn deserialize_f32<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_f32(f32::from_bits(self.word()))
    }

    #[inline(always)]
    fn deserialize_f64<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_f64(f64::from_le_bytes(self.array()))
    }

    #[inline(always)]
    fn deserialize_str<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_borrowed_str(self.text())
    }

    #[inline(always)]
    fn deserialize_bytes<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_borrowed_bytes(self.bytes())
    }

    #[inline(always)]
    fn deserialize_option<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        if self.flag() {
            visitor.visit_some(self)
        } else {
            visitor.visit_none()
        }
    }

    #[inline(always)]
    fn deserialize_unit<V: Visitor<'m>>(self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_unit_struct<V: Visitor<'m>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Damaged> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_newtype_struct<V: Visitor<'m>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Damaged> {
        visitor.visit_newtype_struct(self)
    }

    #[inline(always)]
    fn deserialize_tuple<V: Visitor<'m>>(self, _: usize, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_seq(self)
    }

    #[inline(always)]
    fn deserialize_tuple_struct<V: Visitor<'m>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Damaged> {
        visitor.visit_seq(self)
    }

    #[inline(always)]
    fn deserialize_struct<V: Visitor<'m>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Damaged> {
        visitor.visit_seq(self)
    }

    #[inline(always)]
    fn deserialize_enum<V: Visitor<'m>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Damaged> {
        visitor.visit_enum(self)
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The fields of a record; whoever asks knows how many there are.
impl<'m> SeqAccess<'m> for &mut Reader<'m> {
    type Error = Damaged;

    #[inline(always)]
    fn next_element_seed<S: DeserializeSeed<'m>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Damaged> {
        seed.deserialize(&mut **self).map(Some)
    }
}

impl<'m> EnumAccess<'m> for &mut Reader<'m> {
    type Error = Damaged;
    type Variant = Self;

    #[inline(always)]
    fn variant_seed<S: DeserializeSeed<'m>>(self, seed: S) -> Result<(S::Value, Self), Damaged> {
        let index: U32Deserializer<Damaged> = self.varint(32).into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'m> VariantAccess<'m> for &mut Reader<'m> {
    type Error = Damaged;

    #[inline(always)]
    fn unit_variant(self) -> Result<(), Damaged> {
        Ok(())
    }

    #[inline(always)]
    fn newtype_variant_seed<S: DeserializeSeed<'m>>(self, seed: S) -> Result<S::Value, Damaged> {
        seed.deserialize(self)
    }

    #[inline(always)]
    fn tuple_variant<V: Visitor<'m>>(self, _: usize, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_seq(self)
    }

    #[inline(always)]
    fn struct_variant<V: Visitor<'m>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Damaged> {
        visitor.visit_seq(self)
    }
}
