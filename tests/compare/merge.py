#!/usr/bin/env python3
"""finetune merge beside PEFT's merge_and_unload: every weight within 1e-6 of its tensor's size, the merged folder opens in transformers with
PEFT's logits within 1e-4 (f32), and in 16 bits each weight is PEFT's float32 rounded once, but for the few that lie between two.

    python tests/compare/merge.py FINETUNE                    needs torch, transformers, peft, safetensors
"""
import json, os, sys, tempfile, warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import reference

LLAMA = dict(vocab_size=61, hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32)
GPT2 = dict(vocab_size=61, n_embd=32, n_layer=2, n_head=4, n_positions=32, bos_token_id=0, eos_token_id=1, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
TIED = dict(LLAMA, tie_word_embeddings=True, attention_bias=True)
L, G = (LlamaForCausalLM, LlamaConfig), (GPT2LMHeadModel, GPT2Config)
CASES = {
    "llama LoRA": (L, LLAMA, dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    "llama rsLoRA, all Linears, tied": (L, TIED, dict(r=8, lora_alpha=16, use_rslora=True, target_modules="all-linear")),
    "llama DoRA": (L, TIED, dict(r=5, lora_alpha=9, use_dora=True, target_modules="all-linear")),
    "llama patterns": (L, LLAMA, dict(r=4, lora_alpha=8, target_modules=["q_proj", "o_proj", "gate_proj"],
                                      rank_pattern={"q_proj": 2, r"layers\.[01]\.mlp\.gate_proj": 7}, alpha_pattern={"o_proj": 5})),
    "llama trained rows, tied": (L, TIED, dict(r=3, lora_alpha=6, target_modules=["q_proj"], trainable_token_indices=[60, 3, 17])),
    "llama trained rows, untied": (L, LLAMA, dict(r=3, lora_alpha=6, target_modules=["v_proj"], trainable_token_indices={"embed_tokens": [5, 2], "lm_head": [2, 9]})),
    "gpt2 c_attn": (G, GPT2, dict(r=4, lora_alpha=8, target_modules=["c_attn"], fan_in_fan_out=True)),
    "gpt2 all Linears, DoRA": (G, GPT2, dict(r=4, lora_alpha=8, target_modules="all-linear", fan_in_fan_out=True, use_dora=True)),
}
passed = failed = 0


def check(good, *words):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good: print("FAILED", *words)


def make(folder, kind, config, lora):
    base, adapter = os.path.join(folder, "base"), os.path.join(folder, "adapter")
    model = kind[0](kind[1](**config))
    for p in model.parameters(): p.data += 0.05 * torch.randn_like(p)
    model.save_pretrained(base)
    peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora))
    for n, p in peft.named_parameters():
        if p.requires_grad: p.data += (0.01 if "tokens_delta" in n else 0.1) * torch.randn_like(p)
    peft.save_pretrained(adapter)
    return base, adapter


def logits(model, ids):
    with torch.no_grad(): return model.eval()(ids).logits.float()


def compare(name, folder, kind, config, lora):
    base, adapter = make(folder, kind, config, lora)
    ids = torch.randint(0, config["vocab_size"], (3, 17))
    theirs = PeftModel.from_pretrained(kind[0].from_pretrained(base), adapter).merge_and_unload()
    expected, weights = logits(theirs, ids), dict(theirs.state_dict())
    for dtype, torch_type in ("f32", torch.float32), ("bf16", torch.bfloat16), ("f16", torch.float16):
        out = os.path.join(folder, dtype)
        line = reference.run(sys.argv[1], "merge", "--model", base, "--adapter", adapter, "--out", out, "--dtype", dtype).split()
        ours = load_file(os.path.join(out, "model.safetensors"))
        worst, off, count = 0, 0, 0
        for key, value in ours.items():
            check(value.dtype == torch_type, name, key, value.dtype)
            reference_weight = weights[key]
            if dtype == "f32": worst = max(worst, reference.relative(value - reference_weight, reference_weight))
            else:
                rounded = reference_weight.to(torch_type)
                off, count = off + (rounded != value).sum().item(), count + value.numel()
        loaded = AutoModelForCausalLM.from_pretrained(out)
        check(loaded.dtype == torch_type, name, "opens as", loaded.dtype)
        apart = (logits(loaded.float(), ids) - expected).abs().max().item()
        if dtype == "f32":
            check(worst < 1e-6 and apart < 1e-4, name, "weights", worst, "logits", apart)
            report = "weights %.1e  logits %.1e" % (worst, apart)
        else:
            check(off <= 1e-3 * count, name, dtype, off, "of", count, "weights are rounded otherwise")
            report += "  %s: %d of %d rounded otherwise, logits %.1e" % (dtype, off, count, apart)
        check(line[0] == "max_logit_difference" and float(line[1]) < (1e-4 if dtype == "f32" else 1), name, line)
    print("%-34s %s" % (name, report))


def main():
    for name, (kind, config, lora) in CASES.items():
        torch.manual_seed(len(name))
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compare(name, folder, kind, config, lora)
    print("%d passed, %d failed" % (passed, failed))
    return failed or not passed


if __name__ == "__main__":
    sys.exit(main())
