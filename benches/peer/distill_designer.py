"""The recipe of `agentgen distill` in Data Designer, for benches/peer/distill.py: folder, URL and rows are arguments.

Prints the rows that came out and the seconds that the run took, without the start of Python.
"""

import json
import sys
import tempfile
import time

import data_designer.config as dd
from data_designer.interface import DataDesigner

TEXTS = ("user_goal", "repository_context", "task_type", "useful_outcome", "quality_notes")
DIGEST = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in TEXTS},
        "notable_actions": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 6},
        "training_value": {"type": "string", "enum": ["high", "medium", "low"]},
    },
    "required": ["user_goal", "training_value"],
}
RECORD = {
    "type": "object",
    "properties": {
        "instruction": {"type": "string"},
        "response": {"type": "string"},
        "skill_tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 6},
        "difficulty": {"type": "string", "enum": ["easy", "medium", "hard"]},
    },
    "required": ["instruction", "response"],
}
CRITERIA = ("groundedness", "standalone_task", "response_quality", "faithfulness", "training_utility")
LOG = """Write a digest of this session.
{{ trace_id }} {{ project_path }} {{ cwd }} {{ message_count }} messages, {{ tool_call_count }} tool calls
{{ source_meta }}
{% for message in messages[:4] %}{{ message }}
{% endfor %}{% for message in messages[-4:] %}{{ message }}
{% endfor %}{{ final_assistant_message }}"""


def builder(folder: str) -> dd.DataDesignerConfigBuilder:
    """The recipe."""
    model = dd.ModelConfig(
        alias="writer",
        model="fake",
        provider="local",
        inference_parameters=dd.ChatCompletionInferenceParams(max_parallel_requests=32),
    )
    made = dd.DataDesignerConfigBuilder(model_configs=[model])
    made.with_seed_dataset(dd.AgentRolloutSeedSource(path=folder, format=dd.AgentRolloutFormat.CLAUDE_CODE))
    made.add_column(
        dd.LLMStructuredColumnConfig(name="trace_digest", model_alias="writer", prompt=LOG, output_format=DIGEST)
    )
    made.add_column(
        dd.LLMStructuredColumnConfig(
            name="sft_record",
            model_alias="writer",
            prompt="Write a record from this digest.\n{{ trace_digest }}",
            output_format=RECORD,
        )
    )
    options = {4 - at: f"level {4 - at}" for at in range(5)}
    scores = [dd.Score(name=name, description=name, options=options) for name in CRITERIA]
    prompt = "Judge this record.\n{{ trace_digest }}\n{{ sft_record.instruction }}\n{{ sft_record.response }}"
    made.add_column(
        dd.LLMJudgeColumnConfig(name="sft_quality_judge_result", model_alias="writer", prompt=prompt, scores=scores)
    )
    return made


def main() -> None:
    """Run and print."""
    folder, url, rows = sys.argv[1:]
    provider = dd.ModelProvider(name="local", endpoint=f"{url}/v1", api_key="none")
    with tempfile.TemporaryDirectory() as target:
        designer = DataDesigner(artifact_path=target, model_providers=[provider])
        start = time.perf_counter()
        results = designer.create(builder(folder), num_records=int(rows), dataset_name="peer")
        seconds = time.perf_counter() - start
        print(json.dumps({"rows": len(results.load_dataset()), "seconds": seconds}))


if __name__ == "__main__":
    main()
