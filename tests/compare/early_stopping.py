#!/usr/bin/env python3
"""Early stopping on fifty examples: stories260K is tuned on 50 instructions, far beyond what they can teach. The kept step is the best held-out
one, training past it gets worse, and a run with patience ends by itself with the same bytes. Prints both curves.

    python tests/compare/early_stopping.py FINETUNE [MATERIAL]            MATERIAL: holds stories260K/hf and instruct; standard library alone

What is reported is the loss of a third set of rows, which stopped nothing.
"""
import json, os, subprocess, sys, tempfile

EPOCHS, BATCH, ROWS, HELD, TEST = 8, 8, 50, 80, 100
passed = failed = 0


def check(good, *words):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good: print("FAILED", *words)


def run(*words):
    done = subprocess.run([sys.argv[1], *map(str, words)], capture_output=True, text=True)
    if done.returncode: raise SystemExit("%s: exit code %d\n%s" % (" ".join(map(str, words)), done.returncode, done.stderr))
    return done.stdout


def log(folder):
    with open(os.path.join(folder, "log.jsonl")) as f: return [json.loads(line) for line in f]


def tensors(path): return run("check", "hash", "--tensors", path).split()[1]


def loss_on(model, base, rows, data, scratch):
    """Of the model as it is: a run of one step whose rate is too small for any weight to move."""
    out = os.path.join(scratch, "loss")
    run("train", "--model", model, "--tokenizer", base, "--data", data, "--valid", rows, "--template", "alpaca", "--steps", 1, "--lr", 1e-30, "--warmup", 0, "--out", out, "--force")
    return [line["valid_loss"] for line in log(out) if "valid_loss" in line][0]


def main():
    material = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/material")
    base, source = os.path.join(material, "stories260K/hf"), os.path.join(material, "instruct/instruction-data.json")
    if not os.path.exists(source): raise SystemExit("skipped: no %s" % source)
    items = json.load(open(source))
    steps_an_epoch = (ROWS + BATCH - 1) // BATCH
    with tempfile.TemporaryDirectory() as scratch:
        files = {}
        for name, start, count in ("train", 0, ROWS), ("held", ROWS, HELD), ("test", ROWS + HELD, TEST):
            files[name] = os.path.join(scratch, name + ".jsonl")
            with open(files[name], "w") as f: f.writelines(json.dumps(item) + "\n" for item in items[start:start + count])
        flags = ["train", "--model", base, "--data", files["train"], "--valid", files["held"], "--steps", EPOCHS * steps_an_epoch, "--batch", BATCH,
                 "--eval-every", steps_an_epoch]
        long, short = os.path.join(scratch, "long"), os.path.join(scratch, "short")
        run(*flags, "--patience", 0, "--out", long)
        run(*flags, "--out", short)
        lines = log(long)
        held = [(line["step"], line["valid_loss"]) for line in lines if "valid_loss" in line]
        train = [line["loss"] for line in lines if "loss" in line]
        best_step, best = min(held, key=lambda pair: pair[1])
        print("epoch  step  train  held-out")
        for i, (step, loss) in enumerate(held):
            mean = sum(train[step - steps_an_epoch:step]) / steps_an_epoch
            print("%5d %5d  %.3f  %.3f%s" % (i + 1, step, mean, loss, "  kept" if step == best_step else ""))
        kept = [line["step"] for line in lines if line.get("best")][-1]
        check(len(held) == EPOCHS, "evaluations", len(held))
        check(kept == best_step, "the step marked best", kept, "the best held-out one", best_step)
        at_best = os.path.join(long, "checkpoints", "step-%08d" % best_step)
        at_end = os.path.join(long, "checkpoints", "step-%08d" % (EPOCHS * steps_an_epoch))
        check(tensors(long) == tensors(at_best) != tensors(at_end), "what is published is the best step's")
        check(best_step < EPOCHS * steps_an_epoch and held[-1][1] > best + 0.05, "past it: worse", best, held[-1][1])
        check(train[-1] < min(train[:steps_an_epoch]), "while the training loss fell on", train[0], train[-1])
        first = [line for line in log(short) if "valid_loss" in line]
        check(len(first) < EPOCHS, "patience ended the run", len(first))
        stopped = min(first, key=lambda line: line["valid_loss"])["step"]
        check(stopped == best_step and tensors(short) == tensors(long), "stopped early: the same bytes", stopped, best_step)
        reported = [loss_on(place, base, files["test"], files["train"], scratch) for place in (base, long, at_end)]
        print("loss on %d other rows: before %.3f, kept %.3f, at the end %.3f; the run with patience made %d of %d steps" % (
            TEST, *reported, max(line["step"] for line in first), EPOCHS * steps_an_epoch))
        check(reported[1] < reported[0] and reported[1] < reported[2], "on rows that stopped nothing the kept step is the better one", reported)
    print("%d passed, %d failed" % (passed, failed))
    return failed or not passed


if __name__ == "__main__":
    sys.exit(main())
