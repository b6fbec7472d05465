//! What happened to each request, in files.
