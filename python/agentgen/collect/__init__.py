"""Collection: a reference agent works on tasks, and every model call and tool call is measured (`docs/collect.md`)."""
