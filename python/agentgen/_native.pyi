"""The compiled core. Public names live in `agentgen`; nothing here is for direct use.

Structured values cross as JSON text. Errors are the exceptions of `agentgen.errors`, `OSError` (with `filename`), and
`KeyboardInterrupt`; every call that takes long lets go of the GIL and stops within half a second of Ctrl-C.
"""

from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from typing import Literal, TypedDict, final, type_check_only

from agentgen.replay.records import RequestRecord, SessionRecord

__all__ = [
    "CONCURRENCY",
    "DECODE_TOKENS_PER_SECOND",
    "FORMAT_VERSION",
    "MAX_BODY_BYTES",
    "MAX_SESSIONS",
    "MAX_TOKENS",
    "MIN_ISL",
    "PREFILL_TOKENS_PER_SECOND",
    "Answer",
    "Batch",
    "BatchStream",
    "Recorder",
    "RecordingProxy",
    "ReplayRequest",
    "ReplaySession",
    "ReplaySource",
    "Secrets",
    "Server",
    "SourceProblems",
    "__version__",
    "agenttrace_frame",
    "agenttrace_times",
    "analyze",
    "capacity_blocks",
    "check_listed",
    "compare_runs",
    "compare_traces",
    "convert",
    "describe_replay",
    "export_formats",
    "export_trace",
    "fit",
    "generate",
    "import_formats",
    "import_sessions",
    "inspect",
    "is_agenttrace",
    "merge",
    "model",
    "model_names",
    "open_rollouts",
    "plan",
    "preset",
    "preset_names",
    "preset_summary",
    "read",
    "remove_shards",
    "replay_probe",
    "resolve",
    "rollout_formats",
    "run_tool_times",
    "schema",
    "simulate",
    "simulation_sample",
    "summarize",
    "survey",
    "validate",
    "verify_run",
    "write_file",
    "write_rollouts",
    "write_run",
]

__version__: str
FORMAT_VERSION: int
MAX_SESSIONS: int
MAX_TOKENS: int
MIN_ISL: int
CONCURRENCY: int
MAX_BODY_BYTES: int
PREFILL_TOKENS_PER_SECOND: float
DECODE_TOKENS_PER_SECOND: float

def preset_names() -> list[str]:
    """Names of the bundled configurations, the default one first."""

def preset(name: str) -> str:
    """A bundled configuration, complete, as JSON. Raises KeyError."""

def preset_summary(name: str) -> str:
    """What a bundled configuration is, in one line. Raises KeyError."""

def resolve(config: str, *, sessions: int, seed: int, max_isl: int | None = None, max_osl: int | None = None) -> str:
    """Check a complete configuration, solve its calibration, and make its first sessions.

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
    `progress(sessions_done, sessions_in_all)` is called at most ten times per second. A shard (count > 1) also writes
    `statistics.json`. Raises ConfigError, OSError, KeyboardInterrupt; nothing that looks whole is left behind.
    """

def import_formats() -> list[tuple[str, str]]:
    """Names and titles of the formats that can be imported."""

def import_sessions(
    sources: Sequence[str],
    directory: str,
    *,
    created: str,
    format: str | None = None,  # noqa: A002  the option's name
    block_size: int | None = None,
    keep: Sequence[str] = ...,
    hide: Sequence[str] = ...,
    strict: bool = False,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Import recorded sessions into a run directory. `hide` has `tools`, `models`, `agents`.

    Returns JSON: `manifest` (null if `strict` and there are problems: nothing is written then), `summary`, `problems`,
    `names`. `progress(bytes_read, bytes_in_all)` is called at most ten times per second. Raises TraceError, OSError.
    """

@type_check_only
class RolloutSelection(TypedDict):
    sources: Sequence[str]
    format: str | None
    partition: tuple[int, int] | None
    shuffle_seed: int | None
    limit: int | None
    threads: int | None

@final
class SourceProblems:
    """Parts of the sources that could not be used, as a stream of their rows goes on."""

    def take(self) -> str:
        """Those since the last call, as JSON: `file`, `line` (or null), `reason`."""

def rollout_formats() -> list[str]:
    """Names of the import formats whose messages can be read."""

def open_rollouts(selection: RolloutSelection) -> tuple[BatchStream, SourceProblems]:
    """Rows of messages, read while they are taken. Raises TraceError, UsageError, OSError."""

def write_rollouts(
    selection: RolloutSelection,
    path: str,
    *,
    strict: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Write rows of messages as a Parquet file.

    Returns JSON: `is_written` (false if `strict` and there are problems), `rows`, `messages`, `tool_calls`, `files`,
    `files_of_other_formats`, `bytes`, `left_out` (by reason), `problems`. `progress(bytes_read, bytes_in_all)` is
    called at most ten times per second. Raises TraceError, UsageError, OSError.
    """

def is_agenttrace(path: str) -> bool:
    """Whether a file is an AgentTrace data set."""

def agenttrace_times(paths: Sequence[str]) -> str:
    """Time in tools and in the model of AgentTrace data sets, as JSON. Raises TraceError, OSError."""

def run_tool_times(directory: str) -> str | None:
    """The same of an imported run; None if no tool of it has a time. Raises TraceError, OSError."""

def agenttrace_frame(paths: Sequence[str], name: Literal["spans", "llm_steps"]) -> BatchStream:
    """The tool calls or the model calls of AgentTrace data sets."""

def verify_run(directory: str) -> bool:
    """Whether a run directory is complete: manifest readable, every file there with its size and SHA-256."""

def check_listed(path: PathLike[str]) -> None:
    """Raise TraceError for a file that differs from its entry in the manifest beside it."""

def write_file(path: PathLike[str], content: bytes) -> None:
    """Write a file that has its name only when it is complete; a link in its place is replaced, not followed."""

def remove_shards(directory: PathLike[str], keep: Sequence[PathLike[str]]) -> None:
    """Remove the shards of an older set from a directory, except those to keep; files of others stay."""

def merge(runs: Sequence[str], directory: str, *, created: str) -> str:
    """Join all shards of one data set: writes manifest, quality and comparison into `directory`; returns the manifest.

    Raises RunError naming what does not belong together, is missing, or does not have its digest.
    """

def inspect(paths: Sequence[str], *, trace_layout: str | None = None, trace_block_size: int | None = None) -> str:
    """What a trace is, as JSON.

    `layout`, `block_size`; `layout_from`, `block_size_from` (manifest, metadata, option or inferred); `files`; `origin`
    (or null). `validate` alone assumes both (`assumed`) of a file without a row that can be read.
    """

def read(
    paths: Sequence[str],
    *,
    trace_layout: str | None = None,
    trace_block_size: int | None = None,
    columns: Sequence[str] | None = None,
    threads: int | None = None,
) -> BatchStream:
    """Read a trace as the canonical table.

    Paths: JSONL (.gz, .zst) or Parquet files, run directories, sets of shards. Raises TraceError, OSError.
    """

def validate(
    paths: Sequence[str],
    *,
    trace_layout: str | None = None,
    trace_block_size: int | None = None,
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
    trace_layout: str | None = None,
    trace_block_size: int | None = None,
    layout: str | None = None,
    sort: bool = False,
    group: bool = False,
    renumber_ids: bool = False,
    threads: int | None = None,
) -> str:
    """Rewrite a trace; the target's name decides its format (.jsonl, .jsonl.zst, .parquet). Replaces the target.

    Returns JSON: rows, sessions, layout, bytes, sha256. Raises TraceError, OSError.
    """

def export_formats() -> str:
    """The table of formats as JSON: name, title, readers, properties, and how each holds the parts of a trace."""

def export_trace(
    sources: Sequence[str],
    target: str | None,
    *,
    to: str,
    source_layout: str | None = None,
    source_block_size: int | None = None,
    trace_block_size: int | None = None,
    text: bool = False,
    words: Sequence[str] | None = None,
    strict: bool = False,
    threads: int | None = None,
) -> str:
    """Write a trace in the format `to`; a target of None is standard output. Replaces the target.

    Returns JSON: format, title, sessions, requests, files, bytes, sha256, block_size, block_size_option, losses.
    Raises TraceError, OSError.
    """

@type_check_only
class Assumptions(TypedDict):
    """How traces are read, what the cache does, and the reference timeline's parameters."""

    trace_layout: str | None
    trace_block_size: int | None
    block_size: int | None
    cached_outputs: bool
    concurrency: int | None
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    threads: int | None

def analyze(
    traces: Sequence[str], assumptions: Assumptions, *, progress: Callable[[int, int], None] | None = None
) -> str:
    """Analyse each of the traces (JSON: `schema("analysis")`). `progress(sessions_done, 0)`.

    Raises TraceError, OSError, KeyboardInterrupt.
    """

def compare_traces(source: Sequence[str], generated: str, assumptions: Assumptions, *, odd: bool | None = None) -> str:
    """How far a trace is from its source (JSON: `schema("fidelity")`).

    `odd`: the half of the source's sessions that is compared; None for all.

    Raises TraceError, OSError, KeyboardInterrupt.
    """

def fit(runs: Sequence[str], assumptions: Assumptions, *, odd: bool | None = None) -> str:
    """A configuration estimated from traces (JSON: `schema("fit")`).

    `odd`: the half of their sessions that is used; None for all.

    Raises TraceError, OSError, KeyboardInterrupt.
    """

def survey(
    traces: Sequence[str],
    assumptions: Assumptions,
    *,
    sessions: int,
    turns: int,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """What the pages show of traces, of which the first `sessions` sessions are looked at.

    Returns JSON: `analysis` (as of `analyze`), `cut` (of each trace, whether it has more sessions), and `explored`:
    sessions of the first trace request by request, about `turns` turns in all. Raises as `analyze`.
    """

def plan(
    trace: str,
    assumptions: Assumptions,
    *,
    target_hit_rate: float,
    kv_bytes_per_token: int,
    kv_bytes_per_session: int = 0,
    replica_bytes: int | None = None,
    model: str | None = None,
    kv_dtype: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """How much KV memory a trace needs (JSON: `schema("plan")`). `progress` as for `analyze`.

    `model` and `kv_dtype` are only repeated in the result.

    Raises PlanError, TraceError, OSError, KeyboardInterrupt.
    """

def simulation_sample(trace: str, assumptions: Assumptions, *, max_bytes: int) -> str:
    """The first sessions of a trace in the order in which they start, as JSON of about `max_bytes` at most.

    Raises TraceError, OSError, KeyboardInterrupt.
    """

def simulate(
    trace: str,
    assumptions: Assumptions,
    *,
    capacities: Sequence[int],
    unit: str = "bytes",
    kv_bytes_per_token: int | None = None,
    replicas: int = 1,
    routing: str = "sticky",
    ttl_ms: float | None = None,
    belady_bound: bool = False,
    slo: Sequence[tuple[str, str, float]] | None = None,
    requests: str | None = None,
    model: str | None = None,
    kv_dtype: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Simulate a trace at each capacity (JSON: `schema("simulation")`). `progress` as for `analyze`.

    `slo`: metric, statistic and limit in ms. `requests`: a Parquet file to be written, of one capacity. `model` and
    `kv_dtype` are told with the answer.

    Raises TraceError, OSError, KeyboardInterrupt.
    """

def schema(name: str) -> str:
    """The JSON Schema of what `analysis`, `plan`, `replay` (a summary), `comparison`, … is, or a row of `messages`.

    Raises ValueError.
    """

def model_names() -> list[str]:
    """Names of the models whose KV bytes are known, sorted."""

def capacity_blocks(bytes: int, kv_bytes_per_token: int, block_tokens: int) -> int:  # noqa: A002
    """Blocks that so much KV memory holds. Raises ValueError (not one)."""

def model(*, name: str | None = None, config_json: str | None = None, kv_dtype: str = "bf16") -> str:
    """A model of the catalogue, or one by the text of its `config.json`.

    Returns JSON: `source` (or null), `kv_dtype`, `kv_bytes_per_token`, `kv_bytes_per_session`. Raises ModelError,
    ValueError (no such name).
    """

@final
class Secrets:
    """Header values that are kept out of everything of a server's that is stored or shown."""

    def __new__(cls, values: list[str]) -> Secrets: ...
    def line(self, text: str) -> str:
        """The text of a server as one line of at most 500 characters, without the secrets."""

@final
class Answer:
    """A server's answer, fed with the reads of its body and ended once.

    `endpoint` is chat, completions, responses or messages.

    Stamps are nanoseconds of the caller's clock; each is that of the read which brought what it is of. Lengths are
    tokens, as the server says. What has not come, or is not told, is None.
    """

    def __new__(
        cls, endpoint: str, stream: bool, *, max_bytes: int = ..., secrets: Secrets | None = None
    ) -> Answer: ...
    def feed(self, data: bytes, stamp_ns: int) -> bool:
        """Take one network read of the body; False if no more is needed: the answer is complete, or too large."""

    def end(self, end: str, stamp_ns: int) -> None:
        """The body is over.

        `end` is "complete" (as HTTP frames it), "closed" (with the connection, HTTP does not frame it), "lost" (not all
        of it arrived), or "refused" (the status is an error). Raises ValueError (none of these).
        """

    @property
    def failure(self) -> str | None:
        """None (a success after `end`), "stream_truncated", "server_error", "bad_response", "response_too_large"."""

    @property
    def message(self) -> str:
        """The failure in one line; empty without one."""

    @property
    def first_byte_ns(self) -> int | None: ...
    @property
    def first_token_ns(self) -> int | None:
        """First text, reasoning or part of a tool call of a stream."""

    @property
    def first_answer_ns(self) -> int | None:
        """First of these that is not reasoning."""

    @property
    def last_token_ns(self) -> int | None: ...
    @property
    def last_byte_ns(self) -> int | None: ...
    @property
    def ended_ns(self) -> int | None: ...
    @property
    def prompt_tokens(self) -> int | None: ...
    @property
    def completion_tokens(self) -> int | None: ...
    @property
    def cached_tokens(self) -> int | None: ...
    @property
    def output_events(self) -> int:
        """Events that brought text, reasoning or a part of a tool call."""

    @property
    def malformed_events(self) -> int:
        """Events that were not understood, and left out."""

    @property
    def finish_reason(self) -> str | None: ...
    @property
    def text(self) -> str: ...
    @property
    def reasoning(self) -> str: ...
    @property
    def tool_calls(self) -> str:
        """JSON array as it goes into the next prompt; `[]` without calls."""

@final
class Recorder:
    """A worker's record file `NAME.jsonl`, which must not exist. Raises OSError.

    Flushed every 64 KiB, or 500 ms by the records' own times; `flush` writes at once.
    """

    def __new__(cls, path: str | PathLike[str], worker: int) -> Recorder: ...
    def request(self, record: RequestRecord, answer: Answer | None) -> None:
        """Add a request that succeeded, failed or was cancelled; each has exactly one record.

        Raises ValueError: the record has a field missing, unknown or invalid.
        """

    def session(self, record: SessionRecord) -> None:
        """Add a session that ended. Raises ValueError: the record has a field missing, unknown or invalid."""

    def loop_lag(self, late_ns: int) -> None:
        """Count how late the event loop ran a timer, ns; the next flush writes the histogram of these."""

    def flush(self) -> None: ...
    def close(self) -> None: ...

def describe_replay(path: str | PathLike[str], *, trace_block_size: int | None = None, selection: str = "{}") -> str:
    """What a replay of a trace will be, as JSON: kind, files, clock, sums and maxima in tokens, ms.

    Reads the trace through. Raises TraceError, OSError.
    """

def replay_probe(options: str) -> bytes:
    """The body of a short request with the fields of a run; `options` as for `ReplaySource`. Raises ReplayError."""

@final
class ReplaySource:
    """The sessions of a trace that worker `worker` of `workers` replays, in the order in which they start.

    Session n belongs to worker n modulo workers; a continuation to its parent's. `options` is a JSON object: endpoint
    ("chat", "completions"), prompt_mode ("text", "token-ids"), history ("live", "recorded"), salt, words (null: common
    English ones), model, stream, request (fields of every body; null drops one), max_tokens_field, is_linked,
    transcripts (a directory for those of sessions that will be continued, or null), trace_block_size (null: as the
    trace says).

    Raises TraceError, OSError, ValueError.
    """

    def __new__(cls, path: str | PathLike[str], options: str, worker: int = 0, workers: int = 1) -> ReplaySource: ...
    @property
    def has_bundles(self) -> bool:
        """Whether sessions may begin in the bundles of others, as breaks and sub-agents."""

    def next(self) -> ReplaySession | None:
        """The next session with a slot or an arrival of its own; None after the last. Raises TraceError, OSError."""

    def responded(self, number: int, turn: int) -> list[ReplaySession]:
        """The sub-agents that begin after the response of a turn of session `number`."""

    def may_send(self, number: int, turn: int) -> bool:
        """Whether a session may send a turn; if not, `over` of another session names it later."""

    def over(self, number: int, turns: int, has_failed: bool) -> tuple[list[ReplaySession], list[int], bool]:
        """End a session after `turns` of its turns.

        Returns the sessions that begin, the numbers of those that may go on, and whether a slot is free.
        """

@final
class ReplaySession:
    """One session of a trace: gives a request, takes the answer, and so on until it is over."""

    @property
    def key(self) -> str:
        """What the trace calls it."""

    @property
    def number(self) -> int:
        """Its number in the order of the file."""

    @property
    def turns(self) -> int:
        """How many requests it makes."""

    @property
    def start_ms(self) -> float:
        """When it arrives; 0 where the trace does not say."""

    @property
    def parent(self) -> int | None:
        """Number of the session that it continues: that one must be over before."""

    def at_ms(self) -> float | None:
        """The recorded time of the next request, on the clock of `start_ms`, where each request has its own."""

    def delay_ms(self) -> float:
        """From the end of the response before, or the session's start, to the next request."""

    def request(self) -> ReplayRequest:
        """The next request. Raises HistoryError: it cannot be made, the session has failed."""

    def answered(self, answer: Answer) -> None:
        """Take the answer to the last request into the history. Raises HistoryError."""

    def over(self) -> None:
        """After the last answer, or a failure. Raises HistoryError if the transcript cannot be kept."""

@final
class ReplayRequest:
    """A request, ready to be sent; lengths in tokens (of messages: estimates)."""

    @property
    def body(self) -> bytes: ...
    @property
    def turn(self) -> int: ...
    @property
    def context_tokens(self) -> int:
        """Of the prompt, as far as they are known: answers count as the server counted them."""

    @property
    def input_tokens(self) -> int:
        """Those of them that no request of the session had before."""

    @property
    def output_tokens(self) -> int:
        """Asked for, or recorded."""

    @property
    def stream(self) -> bool:
        """Whether it asks for a stream of events."""

def summarize(directory: str | PathLike[str], options: str) -> str:
    """Read the record files `DIRECTORY/records/*.jsonl` of a run, write `DIRECTORY/requests.parquet`.

    Returns the summary as JSON (`schema("replay")`). `options` is JSON, all of it optional:

    `incomplete` (text: why the run ended early), `clock` ("closed" or "open"), `concurrency` (slots of all workers),
    `slo` ({"ttft_ms", "tpot_ms", "e2e_ms"}), `prediction` (what cached tokens are predicted from: {"trace", "history",
    "block_tokens", "trace_block_size"}), `server_tokenizes`, `server_cache` ({"before", "after"}, each
    {"queries", "hits"} in tokens), `started` and `ended` (text), `settings` and `trace` (any JSON, told as they are).

    Raises TraceError (no record files), OSError, ValueError (options).
    """

def compare_runs(directories: Sequence[str | PathLike[str]], options: str) -> str:
    """Compare run directories by their records; the first is what others are divided by.

    Warns of what their summaries differ in. Returns JSON (`schema("comparison")`). `options` is JSON, all of it
    optional: `groups` (list of {"label", "runs"}: so many of the directories, in order, are repeats), `resamples`,
    `seed`, `confidence`.

    Raises TraceError (no record files, a run twice), OSError, ValueError (options).
    """

@final
class Server:
    """An OpenAI-compatible server that models time and cache, on threads of its own.

    `options`: JSON, all fields optional: `host`, `port` (0: any), `model`, `block_tokens`, `capacity_blocks` (null:
    unlimited), `prefill_tokens_per_second` and `decode_tokens_per_second` (0: in no time), `max_model_len`,
    `max_body_bytes`, `max_connections`, `header_timeout_s`, `body_timeout_s`, `events` ("token" or "coalesced"),
    `tool_calls`, `faults` ([{"fault", "probability"}]), `seed`, `debug`, `threads`.

    Raises ValueError (options), OSError (cannot listen).
    """

    def __new__(cls, options: str = "{}") -> Server: ...
    @property
    def url(self) -> str:
        """`http://host:port`."""

    @property
    def port(self) -> int:
        """The port that it listens at."""

    def stats(self) -> str:
        """What was counted until now, as JSON.

        Requests `answered`, `refused`, `disconnected`, `fault`, `running`, `waiting`; `queried_tokens`,
        `cached_tokens`, `generated_tokens`; `used_blocks`.
        """

    def stop(self) -> None:
        """Close all connections and end all threads. Again: nothing."""

@final
class RecordingProxy:
    """A proxy that writes a journal of the model calls that pass through it, on threads of its own.

    `options`: JSON with `proxy` (`upstream`; optional `ca_file`, `insecure`, `host`, `port` (0: any),
    `max_connections`, `header_timeout_s`, `body_timeout_s`, `connect_timeout_s`, `threads`), `journal` (a new file)
    and optional `messages` (a new file) and `session_headers`.

    Raises ValueError (options), OSError (cannot listen, or write the journal).
    """

    def __new__(cls, options: str) -> RecordingProxy: ...
    @property
    def url(self) -> str:
        """`http://host:port`."""

    @property
    def port(self) -> int:
        """The port that it listens at."""

    def stats(self) -> str:
        """What was counted until now, as JSON.

        `open`, `calls`, `failed`, `unread`, `sessions`, `other_requests`; tokens by the server's count `prompt_tokens`,
        `cached_tokens`, `output_tokens`, by estimate `estimated_tokens`, `known_tokens` (an infinite cache finds them);
        `conversations` that were written with their texts; `error` (null unless a file cannot be written).
        """

    def close(self) -> None:
        """Take no more connections and requests; calls that are passing go on."""

    def is_over(self) -> bool:
        """Whether all connections of clients have ended."""

    def stop(self) -> None:
        """End all calls and threads; the journal is complete then. Again: nothing."""
