"""Training data from recorded sessions: a digest of each, a record for fine-tuning, and a judge's scores.

- `settings`: what a run is told; `sources`: sessions, `masking`: without secrets, `excerpt`: what a prompt shows.
- `digest`, `sft`, `judge`: the columns that a model fills, each with its instructions and the shape of its answer
  (`shapes`, `schema`).
- `structured`: answers of that shape, with a correction and a fresh try; `answers`: JSON in the text of an answer.
- `client`, `limiter`: requests, repeated when a server is busy; `journal`: every answer that was paid for.
- `pipeline`: the rows of a run, several at a time; `run`: from the sources to the files, `result`: what it made.
- `rating`, `duplicates`: which rows are recommended, nearly equal, in which part.
- `dataset`, `manifest`, `card`, `summary_text`: what is written and printed; the page is `agentgen.pages.distill`.
"""
