#!/bin/sh
# finetune export as a user meets it: the three forms, what is proved, what is refused; and GGUF files as models.
#
#     FINETUNE=./finetune tests/cli_export.sh
set -u
suite=cli_export
. tests/shell.sh

repeat 20 cat_text >text.txt
row() {
    printf '{"messages":[{"role":"user","content":"the cat number %d"},{"role":"assistant","content":"is %d"}]}\n' $i $((i * 3))
}
repeat 20 row >rows.jsonl
head -n 8 text.txt >proof.txt
works "a base" "$finetune" pretrain --data text.txt --valid 0 --vocab 280 --layers 2 --dim 32 --heads 2 --kv-heads 1 --ffn 64 --ctx 32 --batch 4 --steps 20 --lr 0.01 --out base
tune="--model base --data rows.jsonl --valid 0 --steps 5 --batch 4 --lr 0.01 --template chatml"
# shellcheck disable=SC2086
works "an adapter" "$finetune" train $tune --lora --rank 2 --out adapter
# shellcheck disable=SC2086
works "an adapter with DoRA" "$finetune" train $tune --lora --rank 2 --dora --out dora
value() { sed -n "s/.*\b$1 \([^ ]*\).*/\1/p" .out | head -n 1; }
text_of() { "$finetune" generate --model "$1" --greedy --tokens 12 "the cat"; }

works "export F32" "$finetune" export --model base --gguf F32 --out base.gguf --text proof.txt
ok "F32 is the model: $(cat .out)" test "$(value max_logit_difference)" = 0 -a "$(value greedy_agreement)" = 1 -a "$(value bpb)" = "$(value file_bpb)"
ok "the file's hash is printed" test "$(value sha256)" = "$("$finetune" check hash base.gguf | cut -d' ' -f2)"
works "the same again" "$finetune" export --model base.gguf --gguf F32 --out again.gguf --text proof.txt
ok "from the file, all tensors again" test "$(value max_logit_difference)" = 0
ok "the file writes what the folder writes" test "$(text_of base)" = "$(text_of base.gguf)"
works "eval of the file" "$finetune" eval --model base.gguf --data proof.txt
bpb=$(value bpb)
works "eval of the folder" "$finetune" eval --model base --data proof.txt
ok "eval of both" test "$(value bpb)" = "$bpb"
for type in F16 BF16 Q8_0; do
    works "export $type" "$finetune" export --model base --gguf $type --out $type.gguf --text proof.txt
    ok "$type: near the model: $(cat .out)" awk -v d="$(value max_logit_difference)" 'BEGIN { exit !(d > 0 && d < 1) }'
done
ok "16 bits are half" test "$(wc -c <F16.gguf)" -lt "$(($(wc -c <base.gguf) * 7 / 10))" -a "$(wc -c <Q8_0.gguf)" -lt "$(wc -c <F16.gguf)"
works "an adapter merged" "$finetune" export --model base --adapter adapter --gguf F32 --out merged.gguf --text proof.txt
works "DoRA merged" "$finetune" export --model base --adapter dora --gguf F32 --out dora.gguf --text proof.txt --json
ok "as JSON" grep -q '^{.*"file_bpb":[0-9.]*,"greedy_agreement":1' .out

works "an adapter alone" "$finetune" export --model base --adapter adapter --gguf-lora --out adapter.gguf
works "it opens" "$finetune" eval --model base --adapter adapter.gguf --data proof.txt
bpb=$(value bpb)
works "the folder opens" "$finetune" eval --model base --adapter adapter --data proof.txt
ok "both compute the same" test "$(value bpb)" = "$bpb"
# shellcheck disable=SC2086
works "training goes on from a file" "$finetune" train --model base.gguf --adapter adapter.gguf --data rows.jsonl --valid 0 --steps 2 --batch 4 --template chatml --out further
works "tuning a file" "$finetune" train --model F16.gguf --data rows.jsonl --valid 0 --steps 2 --batch 4 --out tuned
# What tuning a file writes is a folder: in f32, or as the file had its matrices. An adapter on it is merged as on a folder of the same weights.
works "tuning a file of 16 bits" "$finetune" train --model BF16.gguf --data rows.jsonl --valid 0 --steps 2 --batch 4 --dtype source --out source
ok "is written in them" grep -q '"dtype": "bfloat16"' source/config.json
works "tuning a quantised file" "$finetune" train --model Q8_0.gguf --data rows.jsonl --valid 0 --steps 2 --batch 4 --dtype source --out floats
ok "is written in floats" grep -q '"dtype": "float32"' floats/config.json
works "an adapter merged into a file" "$finetune" merge --model base.gguf --adapter adapter --other-base --out merged-file
works "and into the folder" "$finetune" merge --model base --adapter adapter --out merged-folder
ok "are the same weights" cmp -s merged-file/model.safetensors merged-folder/model.safetensors
works "in 16 bits" "$finetune" merge --model BF16.gguf --adapter adapter --other-base --dtype bf16 --max-diff 1 --out merged-half
ok "are half as large" test "$(wc -c <merged-half/model.safetensors)" -lt "$(($(wc -c <merged-file/model.safetensors) * 6 / 10))"
works "part of the way from a file" "$finetune" merge --model base.gguf --tuned tuned --scale 0.5 --out halfway
ok "a whole folder comes of it" test -e tuned/config.json -a -e tuned/tokenizer.json -a -e tuned/tokenizer_config.json -a -e tuned/chat_template.jinja
works "which opens" "$finetune" generate --model tuned --greedy --tokens 3 "the cat"

works "ollama" "$finetune" export --model base --adapter adapter --ollama ollama --name cat
ok "a model and a Modelfile" test -e ollama/model.gguf -a -e ollama/Modelfile
ok "its parts" grep -q '^FROM ./model.gguf$' ollama/Modelfile
ok "its template" grep -q '{{ $m.Content }}<|im_end|>' ollama/Modelfile
ok "its stops" grep -q '^PARAMETER stop "<|im_end|>"$' ollama/Modelfile
ok "each end token" grep -q '^PARAMETER stop "<|endoftext|>"$' ollama/Modelfile
ok "the commands" grep -q '^ollama create cat -f ollama/Modelfile$' .err

before=$(state)
refused "needs --gguf TYPE, --gguf-lora, or --ollama DIR" export --model base --out x.gguf
refused "export needs --out" export --model base --gguf F16
refused "--gguf-lora needs --adapter" export --model base --gguf-lora --out x.gguf
refused "DoRA; llama.cpp's adapters have no such thing: merge it first" export --model base --adapter dora --gguf-lora --out x.gguf
refused "base.gguf exists" export --model base --gguf F16 --out base.gguf
refused "ends in .gguf" export --model base --gguf F16 --out x.bin
refused "is what is exported" export --model base.gguf --gguf F16 --out base.gguf --force
refused "unknown value" export --model base --gguf Q8 --out x.gguf
refused "has no chat template" export --model base --ollama other
refused "expected adapter and lora" export --model base --adapter base.gguf --gguf F16 --out x.gguf
refused "is named with --adapter" generate --model adapter.gguf "the"
head -c 5000 base.gguf >cut.gguf
before=$(state)
refused "cut short" generate --model cut.gguf "the"
refused "no such model" generate --model nowhere.gguf "the"
FINETUNE_FAIL=write:1 failing 1 "x.gguf" "$finetune" export --model base --gguf F32 --out x.gguf
ok "a full disk: no file" test ! -e x.gguf

finish
