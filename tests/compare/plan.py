#!/usr/bin/env python3
"""The plan's peak against the anonymous memory that the run takes, sampled from /proc: full and LoRA, 1M to 350M parameters.

    python plan.py FINETUNE [SMOLLM2_DIR …]

Each setting is one or two steps with an evaluation, a checkpoint and the publishing of the result. The models of 1M to 350M parameters are random ones
that `pretrain` makes. Model folders that are named (SmolLM2-135M, f32 or bf16) are tuned, too. Needs Linux and Python alone; some 8 GB of disk.
"""
import json, os, random, shutil, subprocess, sys, tempfile, time

finetune, folders = os.path.abspath(sys.argv[1]), [os.path.abspath(p) for p in sys.argv[2:]]
work = tempfile.mkdtemp(prefix="plan-", dir=os.environ.get("SCRATCH"))
passed = failed = 0


def peak_of(command):
    """Runs it; the largest RssAnon in bytes, and what it said."""
    with open(os.path.join(work, "err"), "w+") as err:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err)
        most = 0
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status") as status:
                    for line in status:
                        if line.startswith("RssAnon:"):
                            most = max(most, int(line.split()[1]) * 1024)
            except (FileNotFoundError, ProcessLookupError):
                pass
            time.sleep(0.001)
        err.seek(0)
        text = err.read()
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{text[-2000:]}")
    return most, text


def compare(name, planned, measured):
    global passed, failed
    bound = max(0.05 * measured, 16e6)
    good = abs(planned - measured) <= bound
    passed, failed = passed + good, failed + (not good)
    print(f"{'ok  ' if good else 'FAIL'} {name}: planned {planned / 1e6:.1f} MB, measured {measured / 1e6:.1f} MB, "
          f"{100 * (planned - measured) / measured:+.1f} %", flush=True)


def pretrain(name, *shape):
    out = os.path.join(work, name)
    measured, text = peak_of([finetune, "pretrain", "--data", corpus, "--valid", "0.05", "--steps", "1", "--sample-tokens", "8", "--out", out, *shape])
    line = [l for l in text.splitlines() if "MB of memory at the peak" in l][0]
    compare(f"pretrain {name}", float(line.split(": ")[1].split()[0]) * 1e6, measured)
    shutil.rmtree(os.path.join(out, "checkpoints"))
    return out


def tune(model, *flags):
    out = os.path.join(work, "tuned")
    plan = subprocess.run([finetune, "plan", "--model", model, "--rows", "24", "--steps", "1", "--json", *flags], check=True, capture_output=True, text=True)
    measured, _ = peak_of([finetune, "train", "--model", model, "--data", rows, "--valid", "0.25", "--steps", "1", "--out", out, *flags])
    compare(f"train {os.path.basename(model)} {' '.join(flags)}", json.loads(plan.stdout)["peak"], measured)
    shutil.rmtree(out)


random.seed(1)
words = [f"{a}{b}" for a in ("ba", "do", "ki", "lu", "me", "no", "pa", "ri", "su", "te") for b in ("ba", "do", "ki", "lu", "me", "no", "pa", "ri", "su", "te")]
text = lambda n: " ".join(random.choice(words) for _ in range(n))
corpus, rows = os.path.join(work, "corpus.txt"), os.path.join(work, "rows.jsonl")
with open(corpus, "w") as f:
    for _ in range(60):
        f.write(text(900) + "\n<|endoftext|>\n")
with open(rows, "w") as f:
    for _ in range(32):
        f.write(json.dumps({"text": text(1200)}) + "\n")
try:
    small = pretrain("1M", "--size", "1M", "--vocab", "600")
    tune(small, "--batch", "8", "--ctx", "128")
    tune(small, "--batch", "8", "--ctx", "128", "--lora")
    medium = pretrain("30M", "--size", "30M", "--vocab", "600", "--batch", "2")
    tune(medium, "--batch", "4", "--ctx", "256", "--micro-batch", "2")
    tune(medium, "--batch", "2", "--ctx", "512", "--recompute")
    large = pretrain("350M", "--size", "30M", "--vocab", "600", "--layers", "24", "--dim", "1024", "--heads", "16", "--ffn", "3584", "--ctx", "128", "--batch", "1")
    tune(large, "--batch", "1", "--ctx", "64", "--lora")
    tune(large, "--batch", "1", "--ctx", "64", "--recompute")
    for folder in folders:
        tune(folder, "--batch", "2", "--ctx", "256")
        tune(folder, "--batch", "2", "--ctx", "256", "--lora")
        tune(folder, "--batch", "4", "--ctx", "128", "--lora", "--recompute", "--micro-batch", "1")
        tune(folder, "--batch", "2", "--ctx", "64", "--lora", "--dora", "--rank", "8")
finally:
    shutil.rmtree(work)
print(f"plan: {passed} passed, {failed} failed")
sys.exit(failed > 0 or passed == 0)
