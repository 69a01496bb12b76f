#!/usr/bin/env python3
"""What tuning costs a model that was really trained, and what each remedy saves: stories260K is tuned on Shakespeare, and on instructions; learning
is bits a byte saved on held-out text of the new kind, forgetting is bits a byte gained on held-out TinyStories; `forget --sweep` compares the
methods where they have learned the same, each with four settings, chosen on the select half and reported on the report half.

    python tests/compare/forgetting.py FINETUNE MATERIAL OUT [TASKS [METHODS]]        MATERIAL: holds stories260K/hf, tinyshakespeare, instruct, tinystories;
                                                                                       standard library alone; OUT is gone on with when it is there

Prints a table for each task. Checked: that every figure lies within a point of tau, or one step after what lies below it, and not before its
curve has left what lies below.
"""
import csv, json, os, subprocess, sys

TESTS, OLD, STEPS, TRIALS = 96, 400, 96, 4
TAU = {"shakespeare": 1.5, "instructions": 4}
passed = failed = 0


def check(good, *words):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good: print("FAILED", *words)


def run(*words):
    done = subprocess.run([finetune, *map(str, words)], capture_output=True, text=True)
    if done.returncode: raise SystemExit("%s: exit code %d\n%s" % (" ".join(map(str, words)), done.returncode, done.stderr))


# ---- texts ----

def rows(path, texts):
    with open(path, "w") as f: f.writelines(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in texts)


def documents(path, texts):
    with open(path, "w") as f: f.writelines(t + "\n<|endoftext|>\n" for t in texts)


def passages(play):
    """Speeches, as many as make 250 characters, at most 500."""
    part = ""
    for speech in play.split("\n\n"):
        part = part + "\n\n" + speech if part else speech
        if len(part) < 250: continue
        yield part.strip()[:500]
        part = ""


def instruction(r):
    given = "\n\n### Input:\n" + r["input"] if r["input"] else ""
    return "### Instruction:\n%s%s\n\n### Response:\n%s" % (r["instruction"], given, r["output"])


def spread(texts, count): return texts[::max(1, len(texts) // count)][:count]


def write_texts(material):
    def read(*path):
        with open(os.path.join(material, *path), encoding="utf-8") as f: return f.read()
    stories = [t.strip() for t in read("tinystories", "train-v2.txt").split("<|endoftext|>") if t.strip()]
    rows("stories.jsonl", stories[:OLD]), documents("stories.txt", stories[-TESTS:])
    play = list(passages(read("tinyshakespeare", "input.txt")))
    cut = len(play) * 9 // 10
    rows("shakespeare.jsonl", spread(play[:cut], 500)), documents("shakespeare.txt", spread(play[cut:], TESTS))
    tasks = [instruction(r) for r in json.loads(read("instruct", "instruction-data.json"))]
    rows("instructions.jsonl", [t for i, t in enumerate(tasks) if i % 6 != 5])
    documents("instructions.txt", spread([t for i, t in enumerate(tasks) if i % 6 == 5], TESTS))


# ---- the sweep ----

def methods():
    return [m for m in all_methods() if not wanted or m["name"] in wanted]


def all_methods():
    few, low = [1e-3, 3e-3], [3e-4, 1e-3, 3e-3, 1e-2]
    def lora(rank): return {"name": "lora-r%d" % rank, "flags": {"lora": True, "rank": rank}, "rates": [1e-3, 3e-3, 1e-2, 3e-2]}
    yield {"name": "full", "rates": low}
    yield {"name": "replay", "flags": {"replay": "stories.jsonl"}, "rates": few, "strengths": {"replay-ratio": [0.25, 0.5]}}
    yield lora(8)
    yield {"name": "l2-sp", "rates": few, "strengths": {"l2-sp": [0.1, 1]}}
    yield {"name": "kl-replay", "flags": {"replay": "stories.jsonl"}, "rates": few, "strengths": {"kl-base": [0.5, 2]}}
    yield {"name": "freeze", "flags": {"freeze": "embed_tokens"}, "rates": low}
    yield {"name": "ewc", "flags": {"ewc": "fisher.safetensors"}, "rates": few, "strengths": {"ewc-lambda": [1, 10]}}
    yield {"name": "kl-new", "rates": few, "strengths": {"kl-base": [0.3, 1]}}
    yield {"name": "self-replay", "flags": {"self-replay": 96, "self-replay-tokens": 200}, "rates": few, "strengths": {"replay-ratio": [0.25, 0.5]}}
    yield lora(2)
    yield lora(32)


def sweep(base, task):
    spec = {"base": base, "train": task + ".jsonl", "test_text": task + ".txt", "texts": ["stories.txt"], "tau": TAU[task], "steps": STEPS, "evaluations": 3,
            "flags": {"batch": 4, "schedule": "constant", "warmup": "5"}, "methods": methods()}
    with open(task + ".json", "w") as f: json.dump(spec, f, indent=1)
    run("forget", "--sweep", task + ".json", "--out", task, *["--resume"] * os.path.exists(task))
    with open(task + "/frontier.csv") as f: return list(csv.DictReader(f))


# ---- part of the way: merge --scale between the base and a run at its end ----

def scores(base, task, model, half):
    """Learned, forgotten with its interval, in bits a byte."""
    run("forget", "--base", base, "--texts", "new=%s.txt,old=stories.txt" % task, "--half", half, "--kl-tokens", 1, "--out", "part", "--force", model)
    with open("part/forget.csv") as f: new, old = csv.DictReader(f)
    return -float(new["change"]), [float(old["change" + k]) for k in ("", "_low", "_high")]


def between(base, task):
    """Four trials: for each rate the least of 32nds of the way whose select half reaches tau; of them the one that forgets least on the select half."""
    best = None
    for rate in [3e-4, 1e-3, 3e-3, 1e-2]:
        tuned, low, high = "%s-whole-%g" % (task, rate), 0, 32
        if not os.path.exists(tuned):
            run("train", "--model", base, "--data", task + ".jsonl", "--valid", 0, "--steps", STEPS, "--lr", rate, "--batch", 4, "--schedule", "constant", "--warmup", 5, "--out", tuned)
        def at(scale):
            run("merge", "--model", base, "--tuned", tuned, "--scale", scale / 32, "--out", "between", "--force")
            return scores(base, task, "between", "select")
        if scores(base, task, tuned, "select")[0] < TAU[task]: continue
        while high - low > 1:
            middle = (low + high) // 2
            if at(middle)[0] >= TAU[task]: high = middle
            else: low = middle
        learned, lost = at(high)
        check(learned >= TAU[task], task, "between", rate, high)
        if not best or lost[0] < best[0]: best = lost[0], rate, high, scores(base, task, "between", "report")
    if best:
        _, rate, scale, (learned, (lost, a, b)) = best
        print("| interpolation | rate %s, %d steps, scale %.3g | %d | | | %.2f | %+.3f [%+.3f, %+.3f] |" % (number(rate), STEPS, scale / 32, STEPS, learned, lost, a, b))
    else: print("| interpolation | | not reached | | | | |")


# ---- the table ----

def number(x): return "%.3g" % float(x)


def line(name, r):
    setting = "rate " + number(r["rate"]) + (", %s %s" % (r["flag"], number(r["strength"])) if r["flag"] else "")
    learned, forgotten, low, high = (float(r[k]) for k in ("reported", "forgetting", "low", "high"))
    print("| %s | %s | %s | %s | %s | %.2f | %+.3f [%+.3f, %+.3f] |" % (name, setting, r["step"], r["new_tokens"], r["total_tokens"], learned, forgotten, low, high))


def check_matched(task, r, curve):
    """At tau within a point or a step; and between the first point of its curve that reaches tau and the one before."""
    first = next(i for i, p in enumerate(curve) if p["learning"] >= TAU[task])
    check(float(r["learning"]) >= TAU[task] and (float(r["above"]) <= TAU[task] / 100 or r["bracket"] == "1"), task, r)
    check(curve[first - 1]["step"] < int(r["step"]) <= curve[first]["step"], task, r)


def table(base, task):
    cells = sweep(base, task)
    with open(task + "/frontier.json") as f: curves = [c["curve"] for c in json.load(f)["cells"]]
    for r, curve in zip(cells, curves):
        if r["reached"] == "yes": check_matched(task, r, curve)
    print("\n%s: at %g bits a byte saved; %d settings a method\n" % (task, TAU[task], TRIALS))
    print("| method | setting | steps | new tokens | all tokens | learned | forgotten [95 %] |\n|---|---|---|---|---|---|---|")
    highest = [r for r in cells if r["method"] == "full" and r["reached"] == "yes"][-1:]
    for r in highest: line("full, highest rate", r)
    for m in methods():
        chosen = [r for r in cells if r["method"] == m["name"] and r["chosen"] == "yes"]
        if chosen: line(m["name"], chosen[0])
        else: print("| %s | | not reached | | | | |" % m["name"])
    if not wanted or "interpolation" in wanted: between(base, task)
    for r, curve in zip(cells, curves):
        if r["method"] == "full":
            print("full tuning at rate %s, after all %d steps: learned %.2f, forgotten %+.3f" % (number(r["rate"]), STEPS, curve[-1]["reported"], curve[-1]["forgetting"]))


def main():
    global finetune, wanted
    finetune, material, out = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
    tasks, wanted = sys.argv[4].split(",") if sys.argv[4:] else list(TAU), sys.argv[5].split(",") if sys.argv[5:] else []
    os.makedirs(out, exist_ok=True), os.chdir(out)
    base = os.path.join(material, "stories260K", "hf")
    write_texts(material)
    if not os.path.exists("fisher.safetensors"): run("check", "fisher", "--model", base, "--data", "stories.jsonl", "--out", "fisher.safetensors")
    for task in tasks: table(base, task)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(failed > 0 or not passed)


main()
