//! Objects of fields: one declaration makes the type, its reader and its JSON Schema.

use crate::diagnostic::Diagnostic;
use crate::source::json_object::Members;
use serde_json::value::RawValue;

use super::field::{At, Field, wrong};

/// The members of a value that must be an object.
pub(super) fn members<'a>(json: &'a RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Members<'a>> {
    if !json.get().starts_with('{') {
        faults.push(wrong("type", json, at, "an object"));
        return None;
    }
    crate::source::json_object::members(json.get().as_bytes(), faults)
}

/// One field of an object.
pub(super) fn take<T: Field>(members: &Members, key: &str, at: &At, faults: &mut Vec<Diagnostic>) -> Option<T> {
    let at = At::Key(at, key);
    match members.iter().find(|(name, _)| name == key) {
        Some((_, json)) => T::read(json, &at, faults),
        None => T::absent(&at, faults),
    }
}

/// Declares an object: fields, and after `+` groups of fields that other objects share.
macro_rules! object {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$doc:meta])* $field:ident: $kind:ty,)*
        $(+ $group:ident: $part:ty,)*
    }) => {
        $(#[$meta])*
        // Not every field is asked for again once its value is known to be sound.
        #[allow(dead_code)]
        #[derive(Debug, Clone, schemars::JsonSchema)]
        pub(crate) struct $name {
            $($(#[$doc])* pub $field: $kind,)*
            $(#[schemars(flatten)] pub $group: $part,)*
        }

        impl $name {
            /// Names of its own fields.
            #[allow(dead_code)]
            pub(super) const KEYS: &'static [&'static str] = &[$($crate::transcript::flat::object::key(stringify!($field))),*];

            pub(super) fn of(
                members: &crate::source::json_object::Members,
                at: &$crate::transcript::flat::field::At,
                faults: &mut Vec<crate::diagnostic::Diagnostic>,
            ) -> Option<Self> {
                use $crate::transcript::flat::object::{key, take};
                // All fields are read before any is missed, so that all faults are told.
                $(let $group = <$part>::of(members, at, faults);)*
                $(let $field = take(members, key(stringify!($field)), at, faults);)*
                Some(Self { $($field: $field?,)* $($group: $group?,)* })
            }
        }

        impl $crate::transcript::flat::field::Field for $name {
            fn read(
                json: &serde_json::value::RawValue,
                at: &$crate::transcript::flat::field::At,
                faults: &mut Vec<crate::diagnostic::Diagnostic>,
            ) -> Option<Self> {
                let members = $crate::transcript::flat::object::members(json, at, faults)?;
                Self::of(&members, at, faults)
            }
        }
    };
}
pub(super) use object;

/// The name of a field whose identifier may have to be written raw.
pub(super) const fn key(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', ..] => identifier.split_at(2).1,
        _ => identifier,
    }
}
