"""stories260K through the command line: against its float64 reference, against transformers, and transformers' greedy text.

    python tests/compare/golden.py FINETUNE [MATERIAL]                needs: see reference.py, and sentencepiece

tests/test_golden_real.c does the same without Python; the ids it compares are those printed here.
"""
import json
import os
import sys
import tempfile

import sentencepiece
import torch

import reference

TOKENS = 200


def greedy(folder):
    """Ids after BOS, and the least distance between the two likeliest logits."""
    model, ids, least = reference.load(folder, torch.float32), [1], float("inf")
    with torch.no_grad():
        for _ in range(TOKENS):
            best = model(torch.tensor([ids])).logits[0, -1].topk(2)
            least = min(least, (best.values[0] - best.values[1]).item())
            ids.append(best.indices[0].item())
    return ids[1:], least


def main():
    program, material = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "../shared/material"
    stories, golden = os.path.join(material, "stories260K"), os.path.join(material, "golden", "llama_stories260K")
    folder, verdict = os.path.join(stories, "hf"), reference.Verdict()
    torch.set_num_threads(1)
    with open(golden + ".json") as f:
        true_loss = json.load(f)["loss"]
    ids = torch.frombuffer(bytearray(open(golden + "_ids.i32", "rb").read()), dtype=torch.int32).reshape(2, 65).long()
    logits, loss, grads = reference.gradients(reference.load(folder), ids)
    verdict.check("the reference's own loss", abs(loss - true_loss), 1e-7)  # its RoPE angles are float32
    print("%9s %9s %9s" % ("loss", "logits", "gradient"))
    for model in (folder, os.path.join(stories, "stories260K.bin")):
        with tempfile.TemporaryDirectory() as scratch:
            our_logits, our_loss, our_grads = reference.ours(program, model, ids, scratch)
        assert set(grads) == set(our_grads)
        figures = (abs(our_loss - true_loss), ((our_logits - logits).abs().max() / logits.abs().max()).item(),
                   max(reference.relative(our_grads[name] - g, g) for name, g in grads.items()))
        print("%9.1e %9.1e %9.1e  %s" % (*figures, os.path.basename(model)))
        for what, figure, tolerance in zip(("loss", "logits", "gradient"), figures, (1e-6, 1e-5, 1e-5)):
            verdict.check(model + ", " + what, figure, tolerance)
    ids, least = greedy(folder)
    text = sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, "tokenizer.model")).decode(ids)
    print("greedy ids of transformers, the two likeliest nowhere closer than %.4f: %s" % (least, ", ".join(map(str, ids))))
    for model in (folder, os.path.join(stories, "stories260K.bin")):
        answer = reference.run(program, "generate", "--model", model, "--tokenizer", folder, "--greedy", "--tokens", TOKENS, "")
        verdict.check("%s: greedy text %r, expected %r" % (model, answer, text), float(answer != text + "\n"), 0)
    verdict.end()


if __name__ == "__main__":
    main()
