#!/usr/bin/env python3
"""`finetune eval --score choice` against lm-evaluation-harness, item for item: acc, acc_norm, acc_bytes and each log-likelihood.

    python tests/compare/choice.py [--finetune ./finetune] [--model DIR] [--rows FILE.jsonl] [--own]

--model: a model folder (default: ../shared/material/stories260K/hf); --rows: {"query", "choices", "gold"} (default: 200 rows made from the
TinyStories there, and hard ones: white space around the border, no query, letters beyond ASCII, queries longer than the context).
The harness's own HFLM scores where lm-eval can be imported (tried: 0.4.13). Elsewhere, or with --own, its published formulas are computed
here from transformers' log-likelihoods; the closing lines say which it was.
"""
import argparse
import json
import os
import random
import sys
import tempfile

import torch
import transformers

import reference

HERE = os.path.dirname(os.path.abspath(__file__))
MATERIAL = os.path.join(HERE, "..", "..", "..", "shared", "material")


def make_rows(count):
    """The next words of a story against words of other stories; every tenth row is a hard one."""
    rng, rows = random.Random(7), []
    with open(os.path.join(MATERIAL, "tinystories", "train-v2.txt"), encoding="utf-8") as f:
        stories = [s.split() for s in f.read().split("<|endoftext|>") if len(s.split()) > 60]
    while len(rows) < count:
        words, at = rng.choice(stories), rng.randrange(3, 40)
        choices = [" ".join(words[at:at + rng.randrange(1, 5)])]
        for _ in range(rng.randrange(1, 4)):
            other = rng.choice(stories)
            begin = rng.randrange(len(other) - 6)
            choices.append(" ".join(other[begin:begin + rng.randrange(1, 6)]))
        gold = rng.randrange(len(choices))
        choices[0], choices[gold] = choices[gold], choices[0]
        query = " ".join(words[:at])
        if len(rows) % 10 == 0:
            kind = len(rows) // 10 % 5
            query = [query + "  ", query + " \n", "", " ".join(w for s in rng.sample(stories, 6) for w in s), query + "\u00a0"][kind]
            choices[-1] = "caf\u00e9 \u2014 " + choices[-1] if kind != 2 else choices[-1]
        rows.append({"query": query, "choices": choices, "gold": gold})
    return rows


def harness_scores(folder, tokenizer, requests):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    # Its cache of logits (on by default) groups requests by context + continuation[:-1]: a request that splits the same ids elsewhere then gets
    # the logits of another place (0.4.13: one of these 200 items, where "Once upon a time, there" + " was" meets "Once upon a time," + " there …").
    lm = HFLM(pretrained=model, tokenizer=tokenizer, device="cpu", batch_size=1, logits_cache=False)
    instances = [Instance(request_type="loglikelihood", doc={}, arguments=r, idx=0) for r in requests]
    return [log_p for log_p, _ in lm.loglikelihood(instances, disable_tqdm=True)]


def own_scores(folder, tokenizer, requests):
    """api/model.py (_encode_pair, loglikelihood) and models/huggingface.py (_loglikelihood_tokens), in float64."""
    model, out = reference.load(folder), []
    longest = model.config.max_position_embeddings
    begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    for context, continuation in requests:
        if context == "":
            ids = tokenizer.encode(continuation, add_special_tokens=False)
            before, after = ([begin], ids) if ids[0] != begin else (ids[:1], ids[1:])
        else:
            spaces = len(context) - len(context.rstrip())
            if spaces:
                context, continuation = context[:-spaces], context[-spaces:] + continuation
            before = tokenizer.encode(context)
            after = tokenizer.encode(context + continuation)[len(before):]
        ids = torch.tensor((before + after)[-(longest + 1):])
        with torch.no_grad():
            log_p = torch.log_softmax(model(ids[None, :-1]).logits[0], -1)
        out.append(float(log_p[-len(after):].gather(1, ids[-len(after):, None]).sum()))
    return out


def load_tokenizer(program, folder, scratch):
    """transformers' own reader; a folder with a sentencepiece model alone gets the tokenizer.json that the program writes beside a tuned model."""
    if not os.path.exists(os.path.join(folder, "tokenizer.json")):
        data, out = os.path.join(scratch, "one.jsonl"), os.path.join(scratch, "tuned")
        with open(data, "w") as f:
            f.write('{"prompt": "a", "completion": " b"}\n')
        reference.run(program, "train", "--model", folder, "--data", data, "--valid", 0, "--steps", 1, "--out", out)
        os.remove(os.path.join(out, "tokenizer.model"))
        folder = out
    return transformers.AutoTokenizer.from_pretrained(folder)


def judge(row, log_p):
    """api/task.py, process_results of multiple_choice: the first of the largest."""
    chars, sizes = [len(c) for c in row["choices"]], [len(c.encode()) for c in row["choices"]]
    best = [max(range(len(log_p)), key=lambda i: (log_p[i] / n[i], -i)) for n in ([1] * len(log_p), chars, sizes)]
    return [b == row["gold"] for b in best]


def margin(row, log_p):
    """How far apart the best two choices are in the closest of the three measures: items nearer than rounding may fall either way."""
    least = float("inf")
    for n in ([1] * len(log_p), [len(c) for c in row["choices"]], [len(c.encode()) for c in row["choices"]]):
        values = sorted((x / k for x, k in zip(log_p, n)), reverse=True)
        least = min(least, values[0] - values[1])
    return least


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--finetune", default="./finetune")
    parser.add_argument("--model", default=os.path.join(MATERIAL, "stories260K", "hf"))
    parser.add_argument("--rows")
    parser.add_argument("--own", action="store_true")
    o = parser.parse_args()
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in open(o.rows, encoding="utf-8")] if o.rows else make_rows(200)
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = load_tokenizer(o.finetune, o.model, scratch)
    requests = [(row["query"], " " + choice) for row in rows for choice in row["choices"]]
    try:
        if o.own:
            raise ImportError("--own")
        theirs, by = harness_scores(o.model, tokenizer, requests), "lm-eval's HFLM"
    except ImportError as why:
        theirs, by = own_scores(o.model, tokenizer, requests), "its formulas, computed here (%s)" % why
    with tempfile.TemporaryDirectory() as scratch:
        data, answers = os.path.join(scratch, "rows.jsonl"), os.path.join(scratch, "answers.jsonl")
        with open(data, "w", encoding="utf-8", newline="\n") as f:
            f.writelines(json.dumps(row) + "\n" for row in rows)
        print(reference.run(o.finetune, "eval", "--model", o.model, "--data", data, "--score", "choice", "--answers", answers).strip())
        ours = [json.loads(line) for line in open(answers, encoding="utf-8")]
    assert len(ours) == len(rows)
    at = passed = failed = near = 0
    worst = 0.0
    for row, mine in zip(rows, ours):
        log_p = theirs[at:at + len(row["choices"])]
        at += len(log_p)
        apart = max(abs(a - b) for a, b in zip(mine["log_likelihoods"], log_p))
        worst = max(worst, apart / (1 + max(map(abs, log_p))))
        same = judge(row, log_p) == [mine["acc"], mine["acc_norm"], mine["acc_bytes"]]
        near += margin(row, log_p) < 1e-4
        if same and apart <= 1e-4 * (1 + max(map(abs, log_p))):
            passed += 1
        else:
            failed += 1
            print("line %d: %s, %s" % (mine["line"], mine["log_likelihoods"], log_p))
    print("%d items against %s: worst log-likelihood %.1e apart (relative to 1 + its size); %d items within 1e-4 of a tie" % (
        len(rows), by, worst, near))
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
