"""A tiny Llama with random weights and a tokenizer of its own: `python model.py FOLDER CONTEXT_TOKENS`.

The folder is as vLLM loads it, the GGUF file in it as llama.cpp does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYERS = 2
HEADS = 2
HEAD = 64  # the smallest that all kernels have
HIDDEN = HEADS * HEAD
FEED_FORWARD = 256
ROPE_BASE = 10_000.0
NORM = 1e-5
SPECIAL = ["<|begin|>", "<|end|>"]

# Renders all that a request may hold, so that nothing of a prompt is lost on its way to the tokens.
CHAT_TEMPLATE = (
    "{%- if tools %}{{ tools | tojson }}\n{% endif %}"
    "{%- for message in messages %}{{ message.role }}: {{ message.content or '' }}"
    "{%- if message.tool_calls %}{{ message.tool_calls | tojson }}{% endif %}\n{% endfor %}"
    "{%- if add_generation_prompt %}assistant:{% endif %}"
)


def make(folder: Path, context_tokens: int) -> None:
    """Writes `config.json`, `model.safetensors`, `tokenizer.json`, `tokenizer_config.json` and `model.gguf`."""
    folder.mkdir(parents=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    weights = _weights(tokenizer.get_vocab_size())
    _write_folder(folder, weights, context_tokens)
    _write_gguf(folder / "model.gguf", weights, tokenizer, context_tokens)


def _tokenizer() -> Tokenizer:
    """Byte-level BPE that has learnt 18,000 nonsense words, at the beginning of a text and after a space.

    It has more than the 30,000 tokens that prompts of token ids are made of.
    """
    syllables = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
    words = [f"{one}{two}{three}" for one in syllables for two in syllables for three in syllables[:5]]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=40_000,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text for word in words for text in (word, f"{word} {word}")], trainer)
    return tokenizer


def _weights(vocabulary: int) -> dict[str, NDArray[np.float32]]:
    """Hugging Face's names; matrices as (outputs, inputs)."""
    random = np.random.default_rng(0)

    def matrix(*shape: int) -> NDArray[np.float32]:
        return (random.standard_normal(shape) * 0.1).astype(np.float32)

    def ones() -> NDArray[np.float32]:
        return np.ones(HIDDEN, dtype=np.float32)

    weights = {
        "model.embed_tokens.weight": matrix(vocabulary, HIDDEN),
        "model.norm.weight": ones(),
        "lm_head.weight": matrix(vocabulary, HIDDEN),
    }
    for layer in range(LAYERS):
        here = f"model.layers.{layer}"
        for name in "qkvo":
            weights[f"{here}.self_attn.{name}_proj.weight"] = matrix(HIDDEN, HIDDEN)
        weights[f"{here}.mlp.gate_proj.weight"] = matrix(FEED_FORWARD, HIDDEN)
        weights[f"{here}.mlp.up_proj.weight"] = matrix(FEED_FORWARD, HIDDEN)
        weights[f"{here}.mlp.down_proj.weight"] = matrix(HIDDEN, FEED_FORWARD)
        weights[f"{here}.input_layernorm.weight"] = ones()
        weights[f"{here}.post_attention_layernorm.weight"] = ones()
    return weights


def _write_folder(folder: Path, weights: dict[str, NDArray[np.float32]], context_tokens: int) -> None:
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(weights["lm_head.weight"]),
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "max_position_embeddings": context_tokens,
        "rms_norm_eps": NORM,
        "rope_theta": ROPE_BASE,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    (folder / "config.json").write_text(json.dumps(config))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[0],
        "eos_token": SPECIAL[1],
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _write_gguf(path: Path, weights: dict[str, NDArray[np.float32]], tokenizer: Tokenizer, context_tokens: int) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context_tokens)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(HEAD)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_layer_norm_rms_eps(NORM)
    writer.add_vocab_size(tokenizer.get_vocab_size())
    vocabulary = tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    kinds = [gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL for token in tokens]
    writer.add_token_types(kinds)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, LAYERS)
    for name, values in weights.items():
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
