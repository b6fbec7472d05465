//! Declares JSON objects: one declaration makes the type, its reader and its JSON Schema.

use crate::diagnostic::Diagnostic;
use crate::source::json_object::Members;
use serde_json::value::RawValue;

use super::field::{Field, JsonPath, wrong};

/// The members of a value that must be an object.
pub(super) fn members<'a>(json: &'a RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Members<'a>> {
    if !json.get().starts_with('{') {
        diagnostics.push(wrong("type", json, at, "an object"));
        return None;
    }
    crate::source::json_object::members(json.get().as_bytes(), diagnostics)
}

/// Reads one field of an object.
pub(super) fn take<T: Field>(
    members: &Members,
    key: &str,
    at: &JsonPath,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<T> {
    let at = JsonPath::Key(at, key);
    match members.iter().find(|(name, _)| name == key) {
        Some((_, json)) => T::read(json, &at, diagnostics),
        None => T::absent(&at, diagnostics),
    }
}

/// Declares an object: its fields and, after `+`, groups of fields that it shares with other objects.
macro_rules! object {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$doc:meta])* $field:ident: $kind:ty,)*
        $(+ $group:ident: $part:ty,)*
    }) => {
        $(#[$meta])*
        // Some fields are only checked, never used.
        #[allow(dead_code)]
        #[derive(Debug, Clone, schemars::JsonSchema)]
        pub(crate) struct $name {
            $($(#[$doc])* pub $field: $kind,)*
            $(#[schemars(flatten)] pub $group: $part,)*
        }

        impl $name {
            /// Names of the object's own fields.
            #[allow(dead_code)]
            pub(super) const KEYS: &'static [&'static str] = &[$($crate::transcript::flat::object::key(stringify!($field))),*];

            pub(super) fn of(
                members: &crate::source::json_object::Members,
                at: &$crate::transcript::flat::field::JsonPath,
                diagnostics: &mut Vec<crate::diagnostic::Diagnostic>,
            ) -> Option<Self> {
                use $crate::transcript::flat::object::{key, take};
                // All fields are read before the first failure returns, so that all faults are reported.
                $(let $group = <$part>::of(members, at, diagnostics);)*
                $(let $field = take(members, key(stringify!($field)), at, diagnostics);)*
                Some(Self { $($field: $field?,)* $($group: $group?,)* })
            }
        }

        impl $crate::transcript::flat::field::Field for $name {
            fn read(
                json: &serde_json::value::RawValue,
                at: &$crate::transcript::flat::field::JsonPath,
                diagnostics: &mut Vec<crate::diagnostic::Diagnostic>,
            ) -> Option<Self> {
                let members = $crate::transcript::flat::object::members(json, at, diagnostics)?;
                Self::of(&members, at, diagnostics)
            }
        }
    };
}
pub(super) use object;

/// The JSON key of a field whose identifier may be raw (`r#type`).
pub(super) const fn key(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', ..] => identifier.split_at(2).1,
        _ => identifier,
    }
}
