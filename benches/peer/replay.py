"""Compare `agentgen replay` with `aiperf profile` on one server; print a Markdown table (`make bench-peer-replay`).

`--server` names a program that takes a port and answers without delay. Sessions have 5 turns of 512 new and 16 output
tokens; 32 of them are active at a time, and responses are streamed. Each program reports its own time to first token.
`--endpoints` names the `inference-endpoint` program of MLCommons, which is in no package index; its load is another one
(prompts of the same mean length without sessions, 32 requests in flight), so its row has no ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from process import machine

sys.path.insert(0, str(Path(__file__).parents[1] / "replay"))
from throughput import OUTPUT, SLOTS, TURNS, fast, rate, replay, write_trace

BLOCK_TOKENS = 512
# AIPerf loads tokenizers by name and, offline, only from the cache of the Hugging Face hub: this writes one there.
TOKENIZER = """
import json, pathlib, sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
home = pathlib.Path(sys.argv[1]) / "hub/models--agentgen--small"
snapshot = home / "snapshots" / ("0" * 40)
snapshot.mkdir(parents=True)
(home / "refs").mkdir()
(home / "refs/main").write_text("0" * 40)
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
end = "<|endoftext|>"
trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=[end], show_progress=False)
tokenizer.train_from_iterator(["the quick brown fox jumps over the lazy dog"], trainer)
tokenizer.save(str(snapshot / "tokenizer.json"))
config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": end, "eos_token": end, "model_max_length": 10**6}
(snapshot / "tokenizer_config.json").write_text(json.dumps(config))
(snapshot / "config.json").write_text('{"model_type": "gpt2"}')
"""


def check(command: list[str | Path], **environment: str) -> None:
    """Run a command to its end; exits with its output when it fails."""
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command} -> {done.returncode}\n{done.stdout}{done.stderr}")


def peer(binaries: Path, trace: Path, url: str, requests: int, scratch: Path) -> tuple[float, float, float]:
    """Requests/s of AIPerf, and its time to first token in ms: median and 99th percentile."""
    home = scratch / "tokenizers"
    check([binaries / "python", "-c", TOKENIZER, home])
    out = scratch / "aiperf"
    check(
        [
            *(binaries / "aiperf", "profile", "--input-file", trace, "--custom-dataset-type", "mooncake_trace"),
            *("--no-fixed-schedule", "--concurrency", str(SLOTS), "--isl-block-size", str(BLOCK_TOKENS)),
            *("--model", "m", "--tokenizer", "agentgen/small", "--url", url.removesuffix("/v1")),
            *("--endpoint-type", "chat", "--streaming", "--ui", "none", "--request-count", str(requests)),
            *("--artifact-dir", out),
        ],
        HF_HOME=str(home),
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
    )
    report = json.loads((out / "profile_export_aiperf.json").read_text())
    first = report["time_to_first_token"]
    return report["request_throughput"]["avg"], first["p50"], first["p99"]


def endpoints(program: Path, url: str, requests: int, scratch: Path) -> tuple[float, float, float]:
    """The same figures of the client of MLCommons, with one worker."""
    context_tokens = sum(BLOCK_TOKENS + turn * (BLOCK_TOKENS + OUTPUT) for turn in range(TURNS)) // TURNS
    prompts, out = scratch / "prompts.jsonl", scratch / "endpoints"
    with prompts.open("w", encoding="utf-8") as file:
        file.writelines(
            json.dumps({"prompt": f"{number} word" + " word" * (context_tokens - 2)}) + "\n" for number in range(1000)
        )
    check(
        [
            *(program, "benchmark", "online", "--load-pattern", "concurrency", "--concurrency", str(SLOTS)),
            *("--endpoints", url.removesuffix("/v1"), "--model", "m", "--dataset", prompts, "--workers", "1"),
            *("--num-samples", str(requests), "--duration", "1s", "--max-output-tokens", str(OUTPUT)),
            *("--streaming", "on", "--report-dir", out),
        ],
    )
    report = json.loads((out / "performance" / "result_summary.json").read_text())
    milliseconds = {name: value / 1e6 for name, value in report["ttft"]["percentiles"].items()}
    return report["qps"], milliseconds["50.0"], milliseconds["99.0"]


def ours(trace: Path, url: str, workers: int) -> tuple[float, float, float]:
    """The same figures of agentgen."""
    summary, _ = replay(trace, url, "--concurrency", SLOTS, "--workers", workers)
    first = summary["run"]["latency"]["ttft_ms"]
    return rate(summary), first["p50"], first["p99"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True, type=Path, help="bin directory of an environment with AIPerf")
    parser.add_argument("--server", required=True, help="program that takes a port")
    parser.add_argument("--endpoints", type=Path, help="the `inference-endpoint` program of MLCommons")
    parser.add_argument("--peer-sessions", type=int, default=600)
    parser.add_argument("--sessions", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, fast(arguments.server) as url:
        scratch = Path(folder)
        small = write_trace(scratch / "small.jsonl", arguments.peer_sessions)
        large = write_trace(scratch / "large.jsonl", arguments.sessions)
        rows = [("AIPerf", peer(arguments.peer.absolute(), small, url, arguments.peer_sessions * TURNS, scratch))]
        if arguments.endpoints:
            requests = arguments.sessions * TURNS // 4
            rows.append(("MLCommons endpoints", endpoints(arguments.endpoints.absolute(), url, requests, scratch)))
        rows += [(f"agentgen, workers: {n}", ours(large, url, n)) for n in (1, 2)]
    print(f"{machine()}, shared with the server. {SLOTS} active sessions.\n")
    print("| | requests/s | time to first token as reported, p50 / p99 |\n|---|---|---|")
    first_rate = rows[0][1][0]
    for name, (per_second, median, high) in rows:
        ratio = f" ({per_second / first_rate:.0f} x)" if name.startswith("agentgen") else ""
        print(f"| {name} | {per_second:,.0f}{ratio} | {median:.2f} / {high:.2f} ms |")


if __name__ == "__main__":
    main()
