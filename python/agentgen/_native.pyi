"""The compiled core. Public names live in `agentgen`; nothing here is for direct use.

Structured values cross as JSON text. Errors are the exceptions of `agentgen.errors`, `OSError` (with `filename`), and
`KeyboardInterrupt`; every call that takes long lets go of the GIL and stops within half a second of Ctrl-C.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypedDict, final, type_check_only

__all__ = [
    "CONCURRENCY",
    "DECODE_TOKENS_PER_SECOND",
    "FORMAT_VERSION",
    "PREFILL_TOKENS_PER_SECOND",
    "Batch",
    "BatchStream",
    "__version__",
    "analyze",
    "convert",
    "generate",
    "inspect",
    "merge",
    "model",
    "model_names",
    "plan",
    "preset",
    "preset_names",
    "read",
    "resolve",
    "schema",
    "validate",
    "verify_run",
    "write_run",
]

__version__: str
FORMAT_VERSION: int
CONCURRENCY: int
PREFILL_TOKENS_PER_SECOND: float
DECODE_TOKENS_PER_SECOND: float

def preset_names() -> list[str]:
    """Names of the bundled configurations, the default one first."""

def preset(name: str) -> str:
    """A bundled configuration, complete, as JSON. Raises KeyError."""

def resolve(config: str, *, sessions: int, max_isl: int | None = None, max_osl: int | None = None) -> str:
    """Check a complete configuration and solve its calibration.

    Returns JSON: `config` (after overrides), `effective` (per field: stated, solved and effective values), `warnings`,
    `ids` (the id space: first free id, stride, total). Raises ConfigError.
    """

@final
class Batch:
    """Rows of the canonical table; hands itself to any Arrow library without a copy."""

    @property
    def num_rows(self) -> int: ...
    @property
    def column_names(self) -> list[str]: ...
    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...

@final
class BatchStream:
    """Batches in order, made while they are taken. Can be consumed once."""

    def __iter__(self) -> Iterator[Batch]: ...
    def __next__(self) -> Batch: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def close(self) -> None:
        """Stop the work behind the stream."""

def generate(
    config: str,
    *,
    seed: int,
    sessions: int,
    layout: str = "incremental",
    shard: tuple[int, int] = ...,
    threads: int | None = None,
    columns: Sequence[str] | None = None,
    max_isl: int | None = None,
    max_osl: int | None = None,
) -> BatchStream:
    """Generate batches. `shard` is (index, count); `columns` None means all. Raises ConfigError, TraceError."""

def write_run(
    directory: str,
    config: str,
    *,
    seed: int,
    sessions: int,
    created: str,
    layout: str = "incremental",
    shard: tuple[int, int] = ...,
    threads: int | None = None,
    formats: Sequence[str] = ...,
    compression: str = "none",
    max_isl: int | None = None,
    max_osl: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Write a run into a directory (made if missing); returns its manifest as JSON.

    Files appear under their names only when complete; the manifest comes last. Existing files of a run are replaced.
    `progress(sessions_done, sessions_in_all)` is called at most ten times a second. A shard (count > 1) also writes
    `statistics.json`. Raises ConfigError, OSError, KeyboardInterrupt; nothing that looks whole is left behind.
    """

def verify_run(directory: str) -> bool:
    """Whether a run directory is complete: manifest readable, every file there with its size and SHA-256."""

def merge(runs: Sequence[str], directory: str, *, created: str) -> str:
    """Join all shards of one data set: writes manifest, quality and comparison into `directory`; returns the manifest.

    Raises RunError naming what does not belong together, is missing, or does not have its digest.
    """

def inspect(paths: Sequence[str], *, layout: str | None = None, block_size: int | None = None) -> str:
    """What a trace is, as JSON.

    `layout`, `block_size`; `layout_from`, `block_size_from` (manifest, metadata, option or inferred); `files`; `origin`
    (or null). `validate` alone assumes both (`assumed`) of a file without a row that can be read.
    """

def read(
    paths: Sequence[str],
    *,
    layout: str | None = None,
    block_size: int | None = None,
    columns: Sequence[str] | None = None,
    threads: int | None = None,
) -> BatchStream:
    """Read a trace as the canonical table.

    Paths: JSONL (.gz, .zst) or Parquet files, run directories, sets of shards. Raises TraceError, OSError.
    """

def validate(
    paths: Sequence[str],
    *,
    layout: str | None = None,
    block_size: int | None = None,
    max_errors: int = 20,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Check a trace; returns the report as JSON. `progress(bytes_done, bytes_in_all)`.

    Raises TraceError (not readable as a trace at all), OSError.
    """

def convert(
    sources: Sequence[str],
    target: str,
    *,
    layout: str | None = None,
    block_size: int | None = None,
    to_layout: str | None = None,
    sort: bool = False,
    threads: int | None = None,
) -> str:
    """Rewrite a trace; the target's name decides its format (.jsonl, .jsonl.zst, .parquet). Replaces the target.

    Returns JSON: rows, sessions, layout, bytes, sha256. Raises TraceError, OSError.
    """

@type_check_only
class Assumptions(TypedDict):
    """How traces are read, what the cache does, and the reference timeline's parameters."""

    layout: str | None
    trace_block_size: int | None
    block_size: int | None
    cached_outputs: bool
    concurrency: int
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    threads: int | None

def analyze(
    traces: Sequence[str], assumptions: Assumptions, *, progress: Callable[[int, int], None] | None = None
) -> str:
    """Analyse each of the traces (JSON: `schema("analysis")`). `progress(sessions_done, 0)`.

    Raises TraceError, OSError, KeyboardInterrupt.
    """

def plan(
    trace: str,
    assumptions: Assumptions,
    *,
    target_hit_rate: float,
    kv_bytes_per_token: int,
    kv_bytes_per_session: int = 0,
    sessions: int | None = None,
    replica_bytes: int | None = None,
    model: str | None = None,
    kv_dtype: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """How much KV memory a trace needs (JSON: `schema("plan")`). `progress` as for `analyze`.

    `sessions`: slots, instead of those of the assumptions. `model` and `kv_dtype` are told with the answer.

    Raises PlanError, TraceError, OSError, KeyboardInterrupt.
    """

def schema(name: str) -> str:
    """The JSON Schema of what `analysis` or `plan` is. Raises ValueError."""

def model_names() -> list[str]:
    """Names of the models whose KV bytes are known, sorted."""

def model(*, name: str | None = None, config_json: str | None = None, kv_dtype: str = "bf16") -> str:
    """A model of the catalogue, or one by the text of its `config.json`.

    Returns JSON: `source` (or null), `kv_dtype`, `kv_bytes_per_token`, `kv_bytes_per_session`. Raises ModelError,
    ValueError (no such name).
    """
