"""What a prefix cache can find in a trace, and the memory that it takes.

`figures` (arguments, JSON, frames) → `analyze`, `plan` (public functions) → `text`, `plan_text`, `plots` (for people).
"""
