#!/usr/bin/env python3
"""Adapters here and in PEFT are the same thing. PEFT's of every kind are computed here with logits within 1e-4 and gradients within
1e-4 of each tensor's size, and read and written again they load in PEFT without a word of warning; ours, trained a few steps, load in
PEFT with logits within 1e-4.

    python tests/compare/peft_adapters.py build/gcc-x86-64-v4--O3-openmp
"""
import json, os, subprocess, sys, tempfile, warnings

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
build = os.path.abspath(sys.argv[1])
finetune, test_adapters = os.path.join(build, "finetune"), os.path.join(build, "test_adapters")

LLAMA = dict(vocab_size=61, hidden_size=32, intermediate_size=44, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32)
GPT2 = dict(vocab_size=61, n_embd=32, n_layer=3, n_head=4, n_positions=32, bos_token_id=0, eos_token_id=1, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
TIED = dict(LLAMA, tie_word_embeddings=True, attention_bias=True)
L, G = (LlamaForCausalLM, LlamaConfig), (GPT2LMHeadModel, GPT2Config)
CASES = [
    ("llama q, v", L, LLAMA, dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    ("llama all-linear", L, TIED, dict(r=8, lora_alpha=16, target_modules="all-linear")),
    ("llama rsLoRA", L, LLAMA, dict(r=6, lora_alpha=3, use_rslora=True, target_modules=["up_proj", "down_proj"])),
    ("llama DoRA", L, TIED, dict(r=5, lora_alpha=9, use_dora=True, target_modules="all-linear")),
    ("llama patterns", L, LLAMA, dict(r=4, lora_alpha=8, target_modules=["q_proj", "o_proj", "gate_proj"], use_rslora=True,
                                      rank_pattern={"q_proj": 2, r"layers\.[01]\.mlp\.gate_proj": 7, "model.layers.2.self_attn.o_proj": 9},
                                      alpha_pattern={"layers.1.self_attn.q_proj": 3, "o_proj": 5})),
    ("llama regular expression", L, LLAMA, dict(r=3, lora_alpha=6, target_modules=r".*\.layers\.(0|2)\.(self_attn\.[qk]_proj|mlp\..*_proj)")),
    ("llama some layers", L, LLAMA, dict(r=3, lora_alpha=6, target_modules=["q_proj", "down_proj"], layers_to_transform=[0, 2], exclude_modules=["layers.0.mlp.down_proj"])),
    ("llama trained rows", L, TIED, dict(r=3, lora_alpha=6, target_modules=["q_proj"], trainable_token_indices=[60, 3, 17])),
    ("llama trained rows, untied", L, LLAMA, dict(r=3, lora_alpha=6, use_dora=True, target_modules=["v_proj"], trainable_token_indices={"embed_tokens": [5, 2], "lm_head": [2, 9, 5]})),
    ("llama trained rows of the embedding", L, LLAMA, dict(r=3, lora_alpha=6, target_modules=["v_proj"], trainable_token_indices=[8])),
    ("gpt2 c_attn", G, GPT2, dict(r=4, lora_alpha=8, target_modules=["c_attn"], fan_in_fan_out=True)),
    ("gpt2 all-linear, DoRA", G, GPT2, dict(r=4, lora_alpha=8, target_modules="all-linear", fan_in_fan_out=True, use_dora=True)),
    ("gpt2 patterns, rows", G, GPT2, dict(r=4, lora_alpha=8, target_modules=["c_attn", "c_proj"], rank_pattern={"mlp.c_proj": 2}, fan_in_fan_out=True,
                                         trainable_token_indices={"wte": [4, 60]})),
]


def run(*words, **env):
    done = subprocess.run(words, capture_output=True, text=True, env=dict(os.environ, **env))
    assert done.returncode == 0, (words, done.stdout, done.stderr)


def distance(a, b):
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def logits_of(model, ids):
    with torch.no_grad():
        return model.eval()(ids).logits


def ours(folder, base, adapter, ids, what):
    out = os.path.join(folder, "out.safetensors")
    json.dump(ids.tolist(), open(os.path.join(folder, "ids.json"), "w"))
    run(finetune, "check", what, "--model", base, "--adapter", adapter, "--ids", os.path.join(folder, "ids.json"), "--out", out, "--force")
    return load_file(out)


def from_peft(name, kind, config, lora, folder):
    torch.manual_seed(len(name))
    base, adapter, again = (os.path.join(folder, n) for n in ("base", "adapter", "again"))
    model = kind[0](kind[1](**config))
    for p in model.parameters():
        p.data += 0.05 * torch.randn_like(p)
    model.save_pretrained(base)
    peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora))
    for n, p in peft.named_parameters():
        if p.requires_grad:
            p.data += (0.01 if "tokens_delta" in n else 0.1) * torch.randn_like(p)
    peft.save_pretrained(adapter)
    ids = torch.randint(0, config["vocab_size"], (3, 17))
    expected, got = logits_of(peft, ids), ours(folder, base, adapter, ids, "logits")["logits"]
    worst = (expected - got).abs().max().item()
    peft.train()
    loss = torch.nn.functional.cross_entropy(peft(ids[:, :-1]).logits.flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()
    grads = ours(folder, base, adapter, ids, "grad")
    trained = {n.replace(".default", "").replace("modules_to_save.", ""): p.grad for n, p in peft.named_parameters() if p.requires_grad}
    trained = {n + (".weight" if n.endswith(("lora_A", "lora_B")) else ""): g for n, g in trained.items()}
    rows = lora.get("trainable_token_indices")
    error = 0
    assert len(trained) == len(grads), (sorted(trained), sorted(grads))
    for n, g in trained.items():
        n = n.replace("lora_magnitude_vector.weight", "lora_magnitude_vector")
        if "tokens_delta" in n:  # ours ascend by id
            ids_of = rows if isinstance(rows, list) else next(v for k, v in rows.items() if "." + k + "." in n)
            g = g[torch.tensor(ids_of).argsort()]
        error = max(error, distance(grads[n], g))
    # read and written again
    run(test_adapters, "resave", RESAVE_MODEL=base, RESAVE_FROM=adapter, RESAVE_TO=again)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")  # of PEFT about transformers
        back = PeftModel.from_pretrained(kind[0].from_pretrained(base), again)
    resaved = (logits_of(back, ids) - expected).abs().max().item()
    print(f"{name:40} logits {worst:.1e}  gradients {error:.1e}  written again {resaved:.1e}")
    assert worst < 1e-4 and error < 1e-4 and resaved < 1e-5
    return worst


def to_peft(name, options, kind, config, folder):
    """Ours, trained three steps by tests/test_adapters.c."""
    torch.manual_seed(7)
    base, adapter = os.path.join(folder, "base"), os.path.join(folder, "adapter")
    model = kind[0](kind[1](**config))
    model.save_pretrained(base)
    ids = torch.randint(0, config["vocab_size"], (3, 17))
    before = logits_of(model, ids)
    run(test_adapters, "make", MAKE_MODEL=base, MAKE_TO=adapter, MAKE_OPTIONS=options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")  # of PEFT about transformers
        peft = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    theirs, got = logits_of(peft, ids), ours(folder, base, adapter, ids, "logits")["logits"]
    worst = (theirs - got).abs().max().item()
    print(f"{name + ' ' + options:40} logits {worst:.1e}  moved from the base {(theirs - before).abs().max().item():.1e}")
    assert worst < 1e-4 and (theirs - before).abs().max() > 1e-2


for name, kind, config, lora in CASES:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from_peft(name, kind, config, lora, folder)
for name, kind, config in (("llama", L, LLAMA), ("llama tied", L, TIED), ("gpt2", G, GPT2)):
    for options in ("lora", "rslora", "dora", "tokens"):
        with tempfile.TemporaryDirectory() as folder:
            to_peft(name, options, kind, config, folder)
print("all adapters agree")
