#!/usr/bin/env python3
"""Thirty steps of `finetune train` against PEFT and PyTorch from the same weights, in the same order, with the same settings: each loss within
1e-4 of float64's, learning rate and gradient norm with it; what was trained opens in PEFT (or transformers) with our logits within 1e-4.

    python tests/compare/tuning.py FINETUNE [STEPS]                    needs torch, transformers, peft, safetensors

Rows of input_ids and labels of unequal lengths. PyTorch gets each row alone: no packing, no mask, no padding. Weight decay is of tensors of two
dimensions. Adapters begin as PEFT saved them (--adapter), with B moved away from 0 or not, or as ours begin (--lora), read from a run of one
step at --lr 1e-30.
"""
import json, os, random, sys, tempfile, warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import reference

LLAMA = dict(vocab_size=61, hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=40)
GPT2 = dict(vocab_size=61, n_embd=32, n_layer=2, n_head=4, n_positions=40, bos_token_id=0, eos_token_id=1, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
TIED = dict(LLAMA, tie_word_embeddings=True, attention_bias=True)
L, G = (LlamaForCausalLM, LlamaConfig), (GPT2LMHeadModel, GPT2Config)
SETTINGS = "--order file --batch 4 --steps 30 --lr 1e-3 --schedule constant --warmup 0 --beta1 0.9 --beta2 0.95 --weight-decay 0.1 --clip 1.0".split()

FULL = [("llama, full", L, LLAMA), ("llama, tied, biases, full", L, TIED), ("gpt2, full", G, GPT2)]
# kind, config, PEFT's options, whether B begins away from 0, more flags
PEFT = [
    ("llama, LoRA q, v", L, LLAMA, dict(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"]), False, []),
    ("llama, LoRA going on, tied", L, TIED, dict(r=4, lora_alpha=8, target_modules="all-linear"), True, []),
    ("llama, rsLoRA", L, LLAMA, dict(r=6, lora_alpha=3, use_rslora=True, target_modules=["up_proj", "down_proj", "o_proj"]), True, []),
    ("llama, DoRA", L, TIED, dict(r=5, lora_alpha=9, use_dora=True, target_modules="all-linear"), False, []),
    ("llama, DoRA going on", L, LLAMA, dict(r=3, lora_alpha=6, use_dora=True, target_modules=["q_proj", "gate_proj"]), True, []),
    ("llama, rank and alpha patterns", L, LLAMA, dict(r=4, lora_alpha=8, target_modules=["q_proj", "o_proj", "gate_proj"], use_rslora=True,
        rank_pattern={"q_proj": 2, r"layers\.0\.mlp\.gate_proj": 7, "model.layers.1.self_attn.o_proj": 9},
        alpha_pattern={"layers.1.self_attn.q_proj": 3, "o_proj": 5}), True, []),
    ("llama, regular expression", L, LLAMA, dict(r=3, lora_alpha=6, target_modules=r".*\.layers\.1\.(self_attn\.[qk]_proj|mlp\..*_proj)"), True, []),
    ("llama, LoRA+", L, LLAMA, dict(r=4, lora_alpha=8, target_modules="all-linear"), False, ["--lora-plus", "4"]),
    ("llama, trained rows, tied", L, TIED, dict(r=3, lora_alpha=6, target_modules=["q_proj"], trainable_token_indices=[60, 3, 17]), True, []),
    ("llama, trained rows, untied", L, LLAMA, dict(r=3, lora_alpha=6, target_modules=["v_proj"], trainable_token_indices={"embed_tokens": [5, 2], "lm_head": [2, 9, 5]}), True, []),
    ("gpt2, c_attn", G, GPT2, dict(r=4, lora_alpha=8, target_modules=["c_attn"], fan_in_fan_out=True), False, []),
    ("gpt2, all Linears, DoRA", G, GPT2, dict(r=4, lora_alpha=8, target_modules="all-linear", fan_in_fan_out=True, use_dora=True), True, []),
    ("gpt2, patterns, rsLoRA", G, GPT2, dict(r=4, lora_alpha=8, target_modules=["c_attn", "c_proj"], rank_pattern={"mlp.c_proj": 2}, use_rslora=True, fan_in_fan_out=True), True, []),
]
OURS = [
    ("llama, ours, LoRA", L, TIED, ["--lora", "--rank", "4", "--alpha", "12"]),
    ("llama, ours, rsLoRA, some targets", L, LLAMA, ["--lora", "--rank", "4", "--rslora", "--targets", "q_proj,down_proj"]),
    ("llama, ours, DoRA", L, LLAMA, ["--lora", "--rank", "3", "--dora"]),
    ("gpt2, ours, LoRA", G, GPT2, ["--lora", "--rank", "4"]),
    ("gpt2, ours, DoRA", G, GPT2, ["--lora", "--rank", "4", "--dora", "--targets", "c_attn"]),
]
passed = failed = 0


def check(good, *words):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good: print("FAILED", *words)


def rows(file, vocab, seed):
    """Ragged rows; labels of -100 at prompts, inside answers, and nowhere."""
    r, out = random.Random(seed), []
    for i in range(37):
        n = r.choice([2, 3, 7, 16, 23, 40])
        ids = [r.randrange(vocab) for _ in range(n)]
        kind = i % 3
        labels = list(ids) if kind == 0 else [-100] * (n // 2) + ids[n // 2:] if kind == 1 else [x if r.random() < 0.6 else -100 for x in ids]
        if all(x == -100 for x in labels[1:]): labels[-1] = ids[-1]
        out.append((ids, labels))
    with open(file, "w") as f:
        for ids, labels in out: f.write(json.dumps({"input_ids": ids} if labels == ids else {"input_ids": ids, "labels": labels}) + "\n")
    return out


def replay(model, data, steps, plus=1):
    """Losses, gradient norms of PyTorch; the model is trained."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    groups = [{"params": [p for n, p in trained.items() if (p.dim() == 2) == matrix and ("lora_B" in n) == b], "lr": 1e-3 * (plus if b else 1),
               "weight_decay": 0.1 if matrix else 0.0} for matrix in (True, False) for b in (True, False)]
    optimizer, log = torch.optim.AdamW([g for g in groups if g["params"]], betas=(0.9, 0.95), eps=1e-8), []
    model.eval()
    for t in range(steps):
        batch = [data[i % len(data)] for i in range(4 * t, 4 * t + 4)]
        loss = count = 0
        for ids, labels in batch:
            targets = torch.tensor(labels[1:])
            loss = loss + torch.nn.functional.cross_entropy(model(torch.tensor([ids[:-1]])).logits[0], targets, ignore_index=-100, reduction="sum")
            count += (targets != -100).sum().item()
        optimizer.zero_grad()
        (loss / count).backward()
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), 1.0).item()
        optimizer.step()
        log.append((loss.item() / count, norm))
    return log


def train(base, data, out, steps, *flags):
    settings = [str(steps) if before == "--steps" else word for before, word in zip([""] + SETTINGS, SETTINGS)]
    reference.run(sys.argv[1], "train", "--model", base, "--data", data, "--out", out, *settings, *flags)
    with open(os.path.join(out, "log.jsonl")) as f: return [line for line in map(json.loads, f) if "loss" in line]


def logits(model, ids):
    with torch.no_grad(): return model.eval()(ids).logits.float()


def ours(base, out, ids, folder):
    file, result = os.path.join(folder, "ids.json"), os.path.join(folder, "logits.safetensors")
    json.dump(ids.tolist(), open(file, "w"))
    adapter = ["--adapter", out] if os.path.exists(os.path.join(out, "adapter_config.json")) else []
    reference.run(sys.argv[1], "check", "logits", "--model", base if adapter else out, *adapter, "--ids", file, "--out", result, "--force")
    return load_file(result)["logits"]


def judge(name, log, expected, got, theirs):
    loss = max(abs(a["loss"] - b[0]) for a, b in zip(log, expected))
    norm = max(abs(a["grad_norm"] / b[1] - 1) for a, b in zip(log, expected))
    apart = (got - theirs).abs().max().item()
    print("%9.1e %9.1e %9.1e  %s: loss %.4f to %.4f" % (loss, norm, apart, name, expected[0][0], expected[-1][0]))
    check(len(log) == len(expected), name, "steps", len(log))
    check(loss < 1e-4, name, "loss", loss)
    check(norm < 1e-2, name, "norm", norm)
    check(apart < 1e-4, name, "logits", apart)


def make_base(folder, kind, config, seed):
    torch.manual_seed(seed)
    base = os.path.join(folder, "base")
    model = kind[0](kind[1](**config))
    for p in model.parameters(): p.data += 0.05 * torch.randn_like(p)
    model.save_pretrained(base)
    return base, model


def full(name, kind, config, steps, folder):
    base, _ = make_base(folder, kind, config, len(name))
    data, out, file = rows(os.path.join(folder, "rows.jsonl"), config["vocab_size"], len(name)), os.path.join(folder, "out"), os.path.join(folder, "rows.jsonl")
    log = train(base, file, out, steps)
    expected = replay(reference.load(base), data, steps)
    ids = torch.randint(0, config["vocab_size"], (3, 17))
    judge(name, log, expected, ours(base, out, ids, folder), logits(reference.load(out, torch.float32), ids))


def adapter(name, kind, config, start, flags, steps, folder, plus=1):
    """start(base, model): where PEFT's adapter to begin with stands; --adapter unless ours begins by itself."""
    base, model = make_base(folder, kind, config, len(name))
    file, out = os.path.join(folder, "rows.jsonl"), os.path.join(folder, "out")
    data = rows(file, config["vocab_size"], len(name))
    begin, begin_flags = start(base, model, file)
    log = train(base, file, out, steps, *begin_flags, *flags)
    peft = PeftModel.from_pretrained(reference.load(base), begin, is_trainable=True).double()
    expected = replay(peft, data, steps, plus)
    ids = torch.randint(0, config["vocab_size"], (3, 17))
    again = PeftModel.from_pretrained(reference.load(base, torch.float32), out)
    judge(name, log, expected, ours(base, out, ids, folder), logits(again, ids))


def from_peft(folder, lora, moved):
    def start(base, model, file):
        place = os.path.join(folder, "adapter")
        peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora))
        for n, p in peft.named_parameters():
            if p.requires_grad and moved: p.data += (0.01 if "tokens_delta" in n else 0.1) * torch.randn_like(p)
        peft.save_pretrained(place)
        return place, ["--adapter", place]
    return start


def from_ours(folder, flags):
    def start(base, model, file):
        place = os.path.join(folder, "first")
        reference.run(sys.argv[1], "train", "--model", base, "--data", file, "--out", place, "--order", "file", "--steps", "1", "--lr", "1e-30", *flags)
        return place, []
    return start


def main():
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    torch.set_num_threads(1)
    print("%9s %9s %9s  worst of %d steps; logits of what was trained, there and here" % ("loss", "norm", "logits", steps))
    for name, kind, config in FULL:
        with tempfile.TemporaryDirectory() as folder: full(name, kind, config, steps, folder)
    for name, kind, config, lora, moved, flags in PEFT:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapter(name, kind, config, from_peft(folder, lora, moved), flags, steps, folder, float(flags[1]) if flags else 1)
    for name, kind, config, flags in OURS:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapter(name, kind, config, from_ours(folder, flags), flags, steps, folder)
    print("%d passed, %d failed" % (passed, failed))
    return failed or not passed


if __name__ == "__main__":
    sys.exit(main())
