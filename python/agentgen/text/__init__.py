"""Output for people: number formats, text and tables, progress.

- `format`: numbers, sizes and durations as strings (`counted`, `percent`, `number`, ...), and `printable`.
- `layout`: `line`, `Clauses`, `Facts` and `Table`, which rich draws at any width; `plain` and `show` print them.
- `progress`: progress on standard error.

What a command prints is a function that yields pieces of `layout` from plain data:

    def pieces(summary: Mapping[str, Any]) -> Iterator[RenderableType]:
        yield line(summary["trace"])
        yield Facts([("requests", ["12,035 planned:", "12,030 succeeded,", "5 failed"])])
        yield BLANK
        yield Table("latency, ms", ["p50", "p99"], [("first token", ["12.5", "1,034"])])

    show(*pieces(summary))         # on standard output: at the terminal's width, in 80 columns without colours if piped
    plain(*pieces(summary))        # the same as a string of 80 columns

Only `layout` and `progress` import rich; import them where something is printed, so that `--help` stays fast.
"""
