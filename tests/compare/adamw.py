"""Fifty steps of `finetune pretrain` against PyTorch: the same initial weights, rows, schedule, AdamW; in float64; each loss within 1e-4.

    python tests/compare/adamw.py FINETUNE [STEPS]                    needs: see reference.py

The initial weights come from a run of one step at --lr 1e-30, which leaves every weight as it was. PyTorch gets each segment of a row
alone, as a sequence of its own: no packing, no mask, no padding.
"""
import json
import math
import os
import random
import sys
import tempfile

import torch

import reference

RUNS = {
    "llama, tied, cosine": "--family llama --dim 48 --heads 4 --kv-heads 2 --ffn 80 --ctx 32 --batch 4 --micro-batch 3 "
                           "--schedule cosine --warmup 10 --lr 0.003 --min-lr 0.0003",
    "llama, untied, linear": "--family llama --untied --dim 30 --heads 3 --ffn 52 --ctx 19 --batch 5 --micro-batch 1 "
                             "--schedule linear --warmup 0 --lr 0.01 --clip 0.3 --beta1 0.85 --weight-decay 0.5",
    "llama, one kv head, constant": "--family llama --dim 32 --heads 4 --kv-heads 1 --ffn 64 --ctx 64 --batch 1 "
                                   "--schedule constant --warmup 0 --lr 0.002",
    "gpt2, tied, cosine": "--family gpt2 --dim 40 --heads 5 --ctx 24 --batch 4 --micro-batch 4 "
                          "--schedule cosine --warmup 10% --lr 0.003 --beta2 0.99",
    "gpt2, untied, wsd, short end": "--family gpt2 --untied --dim 33 --heads 3 --ffn 47 --ctx 40 --batch 6 --micro-batch 4 "
                                    "--schedule wsd --warmup 7 --lr 0.005 --clip 0 --eps 0.000001",
}


def settings(words):
    """{"lr": "0.003", …}; a switch is True."""
    words, o = words.split(), {}
    for word, after in zip(words, words[1:] + ["--"]):
        if word.startswith("--"):
            o[word[2:]] = True if after.startswith("--") else after
    return o


def flags(o):
    return [word for name, value in o.items() for word in (["--" + name] if value is True else ["--" + name, value])]


def documents(rng):
    """Sentences of a few words; documents of one word up to many rows."""
    words = ["".join(rng.choice("abcdefghijklmnop") for _ in range(rng.randrange(2, 8))) for _ in range(60)]
    counts = [rng.choice([1, 3, 12, 40, 150]) for _ in range(40)]
    return [" ".join(rng.choice(words[:20] if rng.random() < 0.7 else words) for _ in range(count)) + "." for count in counts]


def token_rows(program, tokenizer, texts, ctx, scratch):
    """Rows of ctx pairs: a list of segments each, a segment being one id more than its pairs."""
    file = os.path.join(scratch, "rows.jsonl")
    with open(file, "w") as f:
        f.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    end = int(reference.run(program, "tokenizer", "encode", "--tokenizer", tokenizer, "--special", "<|endoftext|>").strip("[]\n"))
    rows, room = [], 0
    for line in reference.run(program, "tokenizer", "encode", "--tokenizer", tokenizer, "--jsonl", "--file", file).splitlines():
        ids, at = [end] + json.loads(line) + [end], 0
        while at + 1 < len(ids):
            if not room:
                rows.append([])
                room = ctx
            pairs = min(room, len(ids) - 1 - at)
            rows[-1].append(torch.tensor(ids[at:at + pairs + 1]))
            at, room = at + pairs, room - pairs
    return rows


def learning_rate(o, t, steps):
    """spec: peak (t+1)/warmup, then the schedule at (t-warmup)/(steps-warmup); wsd falls over the last fifth of all steps."""
    warmup = o["warmup"]
    warmup = round(float(warmup[:-1]) / 100 * steps) if warmup.endswith("%") else int(warmup)
    peak, least = float(o["lr"]), float(o.get("min-lr", 0))
    if t < warmup:
        return peak * (t + 1) / warmup
    x, fall = (t - warmup) / (steps - warmup), steps // 5
    share = {"constant": 1, "linear": 1 - x, "cosine": (1 + math.cos(math.pi * x)) / 2, "wsd": min(1, (steps - t) / fall)}[o["schedule"]]
    return peak if o["schedule"] == "constant" else least + (peak - least) * share


def replay(folder, o, rows, steps, samples):
    """Losses, learning rates and gradient norms of PyTorch, and the model at the end."""
    model, batch, log = reference.load(folder), int(o["batch"]), []
    matrices, others = [p for p in model.parameters() if p.dim() == 2], [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": float(o.get("weight-decay", 0.1))}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(float(o.get("beta1", 0.9)), float(o.get("beta2", 0.95))),
                                  eps=float(o.get("eps", 1e-8)))
    clip = float(o.get("clip", 1))
    for t in range(steps):
        segments = [s for i in range(t * batch, min((t + 1) * batch, samples)) for s in rows[i % len(rows)]]
        optimizer.zero_grad()
        loss = sum(reference.pair_losses(model, s[None]).sum() for s in segments) / sum(len(s) - 1 for s in segments)
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), clip or math.inf))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(o, t, steps)
        optimizer.step()
        log.append((loss.item(), learning_rate(o, t, steps), norm))
    return log, model


def compare(name, o, program, data, texts, tokenizer, steps, scratch, verdict):
    rows = token_rows(program, tokenizer, texts, int(o["ctx"]), scratch)
    samples = steps * int(o["batch"]) - (2 if "short end" in name else 0)
    length = {"epochs": repr(samples / len(rows))} if "short end" in name else {"steps": steps}
    first, run = (os.path.join(scratch, name + end) for end in (" first", " run"))
    common = {"data": data, "valid": "0", "tokenizer": tokenizer, "order": "file", "sample-tokens": "0", "layers": "2", **o}
    reference.run(program, "pretrain", *flags({**common, "steps": 1, "lr": "1e-30", "min-lr": "0", "warmup": "0", "out": first}))
    reference.run(program, "pretrain", *flags({**common, **length, "out": run}))
    with open(os.path.join(run, "log.jsonl")) as f:
        ours = [line for line in map(json.loads, f) if "loss" in line]
    theirs, model = replay(first, o, rows, steps, samples)
    assert len(ours) == steps
    loss = max(abs(a["loss"] - b[0]) for a, b in zip(ours, theirs))
    rate = max(abs(a["lr"] / b[1] - 1) for a, b in zip(ours, theirs))
    norm = max(abs(a["grad_norm"] / b[2] - 1) for a, b in zip(ours, theirs))
    ended = dict(reference.load(run).named_parameters())
    begun = dict(reference.load(first).named_parameters())
    weights = max(reference.relative((ended[k] - p).detach(), (p - begun[k]).detach()) for k, p in model.named_parameters())
    print("%9.1e %9.1e %9.1e %9.1e  %s: %d rows of %d segments at most, loss %.4f to %.4f" % (
        loss, rate, norm, weights, name, len(rows), max(map(len, rows)), theirs[0][0], theirs[-1][0]))
    verdict.check(name + ", loss", loss, 1e-4)
    verdict.check(name + ", learning rate", rate, 1e-6)


def main():
    program, steps = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 50
    torch.set_num_threads(1)
    verdict, texts = reference.Verdict(), documents(random.Random(1))
    print("%9s %9s %9s %9s  worst of %d steps; weights: of each tensor's change at the end" % ("loss", "rate", "norm", "weights", steps))
    with tempfile.TemporaryDirectory() as scratch:
        data, tokenizer = os.path.join(scratch, "text"), os.path.join(scratch, "tokenizer")
        with open(data, "w", newline="\n") as f:
            f.write("\n<|endoftext|>\n".join(texts))
        reference.run(program, "tokenizer", "train", "--data", data, "--vocab", 300, "--out", tokenizer)
        for name, words in RUNS.items():
            compare(name, settings(words), program, data, texts, tokenizer, steps, scratch, verdict)
    verdict.end()


if __name__ == "__main__":
    main()
