"""Analysis, capacity planning and simulation of traces.

`figures` (arguments, JSON, frames) → `analyze`, `plan`, `simulate` (public functions) → `text`, `plan_text`,
`simulate_text`, `plots` (output for people).
"""
