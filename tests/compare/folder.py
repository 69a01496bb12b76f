"""A folder written here in transformers: loads without a word of warning, weights, ids, chat template and greedy text the same, and it stops.

    python tests/compare/folder.py FINETUNE TOKENIZER_FOLDER…        each with a chat template, e.g. SmolLM2's folder

Of each family a small random model gets the tokenizer, is tuned on four chats until it repeats them, and what is written is loaded by AutoModelForCausalLM
and AutoTokenizer with every warning an error.
"""
import io
import json
import logging
import os
import sys
import tempfile
import warnings

import reference
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

SMALL = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256)
FAMILIES = [("gpt2", GPT2Config, dict(n_embd=24, n_layer=2, n_head=4, n_positions=256)), ("llama", LlamaConfig, SMALL), ("llama tied", LlamaConfig, dict(SMALL, tie_word_embeddings=True)),
            ("mistral", MistralConfig, dict(SMALL, sliding_window=None)), ("qwen2", Qwen2Config, SMALL), ("qwen3", Qwen3Config, dict(SMALL, head_dim=8))]
CHAT = [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "4."}, {"role": "user", "content": "Sure?"}]


def main():
    program, verdict, log = sys.argv[1], reference.Verdict(), io.StringIO()
    transformers.logging.set_verbosity_warning()
    logging.getLogger("transformers").addHandler(logging.StreamHandler(log))
    for source in sys.argv[2:]:
        tokenizer = AutoTokenizer.from_pretrained(source)
        for name, config, settings in FAMILIES:
            for dtype in ("f32", "bf16"):
                with tempfile.TemporaryDirectory() as scratch:
                    torch.manual_seed(1)
                    model = AutoModelForCausalLM.from_config(config(vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=0, pad_token_id=None, **settings))
                    start, tuned, rows = (os.path.join(scratch, x) for x in ("start", "tuned", "rows.jsonl"))
                    model.save_pretrained(start), tokenizer.save_pretrained(start)
                    with open(rows, "w") as f:
                        for i in range(4):
                            f.write(json.dumps({"messages": [{"role": "user", "content": "Say %d" % i}, {"role": "assistant", "content": "%d!" % i}]}) + "\n")
                    reference.run(program, "train", "--model", start, "--data", rows, "--valid", "0", "--steps", "100", "--lr", "1e-2", "--batch", "4", "--dtype", dtype, "--out", tuned)
                    what = "%s, %s, %s" % (os.path.basename(source), name, dtype)
                    log.seek(0), log.truncate()
                    with warnings.catch_warnings():
                        warnings.simplefilter("error")
                        loaded, info = AutoModelForCausalLM.from_pretrained(tuned, output_loading_info=True)
                        again = AutoTokenizer.from_pretrained(tuned)
                    verdict.check(what + ": says nothing: " + log.getvalue()[:200], len(log.getvalue()), 0)
                    verdict.check(what + ": nothing missing or left over", sum(len(v) for v in info.values()), 0)
                    verdict.check(what + ": its type", loaded.dtype != (torch.float32 if dtype == "f32" else torch.bfloat16), 0)
                    text = again.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
                    verdict.check(what + ": template", text != tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True), 0)
                    ids = again(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
                    verdict.check(what + ": ids", ids[0].tolist() != tokenizer(text, add_special_tokens=False)["input_ids"], 0)
                    model = AutoModelForCausalLM.from_pretrained(tuned, dtype=torch.float32).eval()
                    file, out = os.path.join(scratch, "ids.json"), os.path.join(scratch, "out.safetensors")
                    json.dump(ids.tolist(), open(file, "w"))
                    reference.run(program, "check", "logits", "--model", tuned, "--ids", file, "--out", out)
                    with torch.no_grad():
                        want = model(ids).logits
                    verdict.check(what + ": logits", float((load_file(out)["logits"] - want).abs().max() / want.abs().max()), 1e-5)
                    question = again.apply_chat_template([{"role": "user", "content": "Say 2"}], return_tensors="pt", add_generation_prompt=True, return_dict=True)
                    said = model.generate(**question, do_sample=False, max_new_tokens=20)[0, question["input_ids"].shape[1]:].tolist()
                    end = again.convert_tokens_to_ids("<|im_end|>")
                    verdict.check(what + ": stops at the template's end (%s)" % said, said[-1:] != [end], 0)
    verdict.end()


if __name__ == "__main__":
    main()
