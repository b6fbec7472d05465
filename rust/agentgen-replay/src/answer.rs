//! Answers of servers: events and documents, read as they come.
