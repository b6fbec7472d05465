//! Conversations replayed in place.
