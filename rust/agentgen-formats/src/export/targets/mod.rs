//! Writers of the formats.

pub(super) mod agentic;
pub(super) mod bailian;
pub(super) mod chat;
pub(super) mod csv;
pub(super) mod dag;
pub(super) mod mlperf;
pub(super) mod mooncake;
pub(super) mod weka;
