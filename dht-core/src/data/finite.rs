//! Looks through a value for floats that JSON has no number for: serde_json would write them as null, and what was stored
//! would not be what was given.

use std::fmt::{self, Display};

use serde::ser::{self, Serialize, Serializer};

/// Whether `value` has such a float. A value whose own `Serialize` fails has not: it is for the writer to say so.
pub(crate) fn has_unwritable_float<T: Serialize + ?Sized>(value: &T) -> bool {
    value.serialize(Finite).is_err_and(|found| found.0)
}

/// True: a float without a number in JSON.
#[derive(Debug)]
struct Found(bool);

impl Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "a float that is no number, or infinite" } else { "a value that cannot be written" })
    }
}

impl std::error::Error for Found {}

impl ser::Error for Found {
    fn custom<T: Display>(_: T) -> Self {
        Self(false)
    }
}

struct Finite;

type Looked = Result<(), Found>;

macro_rules! fine {
    ($($name:ident: $type:ty,)*) => { $(fn $name(self, _: $type) -> Looked { Ok(()) })* };
}

impl Serializer for Finite {
    type Ok = ();
    type Error = Found;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fine! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_unit_struct: &'static str,
    }

    fn serialize_f32(self, value: f32) -> Looked {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Looked {
        if value.is_finite() { Ok(()) } else { Err(Found(true)) }
    }

    fn serialize_none(self) -> Looked {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Looked {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Looked {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Looked {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Looked {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Looked {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Found> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Found> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Found> {
        Ok(self)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Found> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Found> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Found> {
        Ok(self)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Found> {
        Ok(self)
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Looked {
        Ok(())
    }
}

macro_rules! each {
    ($($trait:ident::$name:ident,)*) => { $(
        impl ser::$trait for Finite {
            type Ok = ();
            type Error = Found;

            fn $name<T: Serialize + ?Sized>(&mut self, value: &T) -> Looked {
                value.serialize(Self)
            }

            fn end(self) -> Looked {
                Ok(())
            }
        }
    )* };
}

each! {
    SerializeSeq::serialize_element, SerializeTuple::serialize_element, SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! each_named {
    ($($trait:ident,)*) => { $(
        impl ser::$trait for Finite {
            type Ok = ();
            type Error = Found;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Looked {
                value.serialize(Self)
            }

            fn end(self) -> Looked {
                Ok(())
            }
        }
    )* };
}

each_named! { SerializeStruct, SerializeStructVariant, }

impl ser::SerializeMap for Finite {
    type Ok = ();
    type Error = Found;

    /// Keys of JSON are texts: a float among them is for the writer to refuse.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Looked {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Looked {
        value.serialize(Self)
    }

    fn end(self) -> Looked {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::has_unwritable_float;

    #[derive(Serialize)]
    enum Shape {
        Unit,
        New(f64),
        Tuple(i32, f32),
        Struct { at: Option<Box<Self>> },
    }

    #[test]
    fn floats_are_found_wherever_they_are() {
        let deep = |at: Shape| Shape::Struct { at: Some(Box::new(at)) };
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(has_unwritable_float(&bad) && has_unwritable_float(&(1, "x", [0.0, bad])));
            assert!(has_unwritable_float(&BTreeMap::from([("a", vec![Some(bad)])])));
            assert!(has_unwritable_float(&deep(deep(Shape::New(bad)))));
            assert!(has_unwritable_float(&deep(Shape::Tuple(1, bad as f32))));
        }
        for good in [0.0, -1.5, f64::MAX, f64::MIN_POSITIVE] {
            assert!(!has_unwritable_float(&good) && !has_unwritable_float(&(1, "x", [0.0, good])));
            assert!(!has_unwritable_float(&BTreeMap::from([("a", vec![Some(good), None])])));
            assert!(!has_unwritable_float(&deep(deep(Shape::New(good)))));
        }
        assert!(!has_unwritable_float(&deep(Shape::Unit)) && !has_unwritable_float(&Shape::Tuple(1, 2.0)));
    }
}
