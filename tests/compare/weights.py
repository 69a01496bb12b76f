#!/usr/bin/env python3
"""Folders that transformers writes are read and written again by test_weights; what comes back must load in transformers without a
word of warning, with nothing missing or unexpected, with the same config and the same weights in every bit.

    python tests/compare/weights.py build/gcc-x86-64-v4--O3-openmp/test_weights
"""
import io, json, logging, os, subprocess, sys, tempfile, warnings

import torch
import transformers
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

program = os.path.abspath(sys.argv[1])
log = io.StringIO()
transformers.logging.disable_progress_bar()
logging.getLogger("transformers").addHandler(logging.StreamHandler(log))

LLAMA = dict(vocab_size=37, hidden_size=24, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=32)
GPT2 = dict(vocab_size=37, n_embd=24, n_layer=2, n_head=4, n_positions=32)
LLAMA3 = dict(rope_type="llama3", rope_theta=5000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)

# name, class, config, dtype, keyword arguments of save_pretrained, changes to config.json
CASES = [
    ("llama", LlamaForCausalLM, LLAMA, torch.float32, {}, {}),
    ("llama tied, grouped, biases", LlamaForCausalLM, dict(LLAMA, tie_word_embeddings=True, num_key_value_heads=2, attention_bias=True, mlp_bias=True), torch.float32, {}, {}),
    ("llama one kv head, wide heads, f16", LlamaForCausalLM, dict(LLAMA, num_key_value_heads=1, head_dim=10), torch.float16, {}, {}),
    ("llama bf16, shards", LlamaForCausalLM, LLAMA, torch.bfloat16, dict(max_shard_size="3KB"), {}),
    ("llama rope llama3", LlamaForCausalLM, dict(LLAMA, rope_parameters=LLAMA3, eos_token_id=[2, 3], bos_token_id=None), torch.float32, {}, {}),
    ("llama rope linear", LlamaForCausalLM, dict(LLAMA, rope_parameters=dict(rope_type="linear", rope_theta=1e5, factor=2.0)), torch.float32, {}, {}),
    ("llama old keys", LlamaForCausalLM, LLAMA, torch.float32, {},
     dict(rope_parameters=None, rope_theta=777.0, rope_scaling=dict(type="linear", factor=4.0), dtype=None, torch_dtype="float32", transformers_version="4.40.0")),
    ("llama old keys, llama3", LlamaForCausalLM, LLAMA, torch.float32, {},
     dict(rope_parameters=None, rope_theta=500000.0, rope_scaling={k: v for k, v in LLAMA3.items() if k != "rope_theta"}, transformers_version="4.45.0")),
    ("gpt2", GPT2LMHeadModel, dict(GPT2, bos_token_id=0, eos_token_id=1), torch.float32, {}, {}),
    ("gpt2 with 50256 beyond its vocabulary", GPT2LMHeadModel, GPT2, torch.float32, {}, {}),
    ("gpt2 untied, n_inner, bf16, shards", GPT2LMHeadModel, dict(GPT2, tie_word_embeddings=False, n_inner=50, activation_function="gelu_pytorch_tanh"), torch.bfloat16,
     dict(max_shard_size="20KB"), {}),
    ("gpt2 without prefix", GPT2LMHeadModel, GPT2, torch.float32, "bare", {}),
]
IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
OURS = ("_name_or_path", "transformers_version", "resid_pdrop", "embd_pdrop", "attn_pdrop", "n_ctx", "n_inner", "dtype", "architectures", "activation_function")


def run(name, cls, config, dtype, save, changes, folder, kept):
    torch.manual_seed(len(name))
    source, target = os.path.join(folder, "source"), os.path.join(folder, "target")
    model = cls(cls.config_class(**config))
    for p in model.parameters():
        p.data += 0.1 * torch.randn_like(p)
    model.to(dtype)
    if save == "bare":
        model.base_model.save_pretrained(source)
    else:
        model.save_pretrained(source, **save)
    path = os.path.join(source, "config.json")
    values = {**json.load(open(path)), **changes}
    json.dump({k: v for k, v in values.items() if v is not None or k not in changes}, open(path, "w"))
    env = dict(os.environ, RESAVE_FROM=source, RESAVE_TO=target, **({"RESAVE_16BIT": "1"} if kept else {}))
    done = subprocess.run([program, "resave"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    a = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    log.seek(0), log.truncate()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        b, info = AutoModelForCausalLM.from_pretrained(target, output_loading_info=True)
    assert not log.getvalue(), log.getvalue()
    assert not any(info.values()), info
    assert b.dtype == torch.float32
    ids = torch.randint(0, 37, (2, 32))
    for (key, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y), key + " differs"
    assert torch.allclose(a(ids).logits, b(ids).logits, rtol=1e-5, atol=1e-6), "logits differ"
    one, two = a.config.to_dict(), b.config.to_dict()
    (one.get("rope_parameters") or {}).pop("type", None)  # the old name of rope_type
    different = {k: (one.get(k), two.get(k)) for k in set(one) | set(two) if one.get(k) != two.get(k) and k not in OURS}
    different = {k: v for k, v in different.items() if k not in IDS or v[1] is not None or 0 <= (v[0] if v[0] is not None else -1) < 37}
    assert not different, different


failed = 0
for case in CASES:
    for kept in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            try:
                run(*case, folder, kept)
                print("ok    ", case[0], "(16-bit kept)" if kept else "")
            except Exception as error:
                failed += 1
                print("FAILED", case[0], error)
sys.exit(1 if failed else 0)
