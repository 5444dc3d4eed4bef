//! Which types can take the place of which.

use neurolake_model::Type;

/// The type without the fields of its structs and without nested nullability of them.
pub(super) fn shape(data_type: &Type) -> Type {
    match data_type {
        Type::Struct { .. } => Type::Struct { fields: Vec::new() },
        Type::List { item, nullable } => Type::List {
            item: Box::new(shape(item)),
            nullable: *nullable,
        },
        Type::Map {
            key,
            value,
            nullable,
        } => Type::Map {
            key: Box::new(shape(key)),
            value: Box::new(shape(value)),
            nullable: *nullable,
        },
        data_type => data_type.clone(),
    }
}

/// Both types for people, with the nullability of elements where it differs.
pub(super) fn retyped(old: &Type, new: &Type) -> (String, String) {
    fn nullable(data_type: &Type) -> Option<bool> {
        match data_type {
            Type::List { nullable, .. } | Type::Map { nullable, .. } => Some(*nullable),
            _ => None,
        }
    }
    let differs = nullable(old) != nullable(new);
    let name = |data_type: &Type| match nullable(data_type) {
        Some(true) if differs => format!("{data_type} with null elements"),
        _ => data_type.to_string(),
    };
    (name(old), name(new))
}

/// Whether every value of `old` is one of `new`, and expressions over it mean what they meant. An
/// integer that becomes a float doesn't qualify: it divides and prints in another way. Nor does a
/// date that becomes a timestamp: it no longer equals its day.
pub(super) fn widens(old: &Type, new: &Type) -> bool {
    fn integer(data_type: &Type) -> Option<(bool, u8)> {
        Some(match data_type {
            Type::Int8 => (true, 8),
            Type::Int16 => (true, 16),
            Type::Int32 => (true, 32),
            Type::Int64 => (true, 64),
            Type::UInt8 => (false, 8),
            Type::UInt16 => (false, 16),
            Type::UInt32 => (false, 32),
            Type::UInt64 => (false, 64),
            _ => return None,
        })
    }
    if let (Some((old_signed, old_bits)), Some((new_signed, new_bits))) =
        (integer(old), integer(new))
    {
        return if old_signed == new_signed {
            old_bits <= new_bits
        } else {
            new_signed && old_bits < new_bits
        };
    }
    match (old, new) {
        (Type::Float32, Type::Float64) => true,
        (
            Type::Decimal {
                precision: old_precision,
                scale: old_scale,
            },
            Type::Decimal {
                precision: new_precision,
                scale: new_scale,
            },
        ) => {
            old_scale <= new_scale
                && old_precision.saturating_sub(*old_scale)
                    <= new_precision.saturating_sub(*new_scale)
        }
        (
            Type::List {
                item: old,
                nullable: old_nullable,
            },
            Type::List {
                item: new,
                nullable: new_nullable,
            },
        ) => widens(old, new) && (*old_nullable || !*new_nullable),
        (
            Type::Map {
                key: old_key,
                value: old,
                nullable: old_nullable,
            },
            Type::Map {
                key: new_key,
                value: new,
                nullable: new_nullable,
            },
        ) => widens(old_key, new_key) && widens(old, new) && (*old_nullable || !*new_nullable),
        (old, new) => old == new,
    }
}
