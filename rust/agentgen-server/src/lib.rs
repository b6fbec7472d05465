//! An OpenAI-compatible server that models time and cache instead of computing tokens.
#![forbid(unsafe_code)]
