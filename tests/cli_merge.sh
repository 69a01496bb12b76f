#!/bin/sh
# finetune merge as a user meets it: what it proves, what it refuses, and that it then writes nothing.
#
#     FINETUNE=./finetune tests/cli_merge.sh
set -u
suite=cli_merge
. tests/shell.sh

repeat 20 cat_text >text.txt
row() {
    printf '{"prompt":"the cat number %d","completion":" is %d"}\n' $i $((i * 3))
}
repeat 20 row >rows.jsonl
works "a base" "$finetune" pretrain --data text.txt --valid 0 --vocab 280 --layers 2 --dim 16 --heads 2 --kv-heads 1 --ffn 24 --ctx 32 --batch 4 --steps 20 --lr 0.01 --out base
tune="--model base --data rows.jsonl --valid 0 --steps 5 --batch 4 --lr 0.01"
# shellcheck disable=SC2086
works "an adapter" "$finetune" train $tune --lora --rank 2 --out adapter
# shellcheck disable=SC2086
works "an adapter with DoRA and trained rows" "$finetune" train $tune --lora --rank 2 --dora --train-embeddings a,t --out dora
# shellcheck disable=SC2086
works "a tuned model" "$finetune" train $tune --out tuned
tensors() { "$finetune" check hash --tensors "$1" | cut -d' ' -f2; }

ok "check hash --adapter: its file's tensors" test "$("$finetune" check hash --tensors --adapter adapter | cut -d' ' -f2)" = "$(tensors adapter/adapter_model.safetensors)"
ok "check hash --adapter: behind the paths" test "$("$finetune" check hash base --adapter adapter | sed 's/.* //' | tr '\n' ' ')" = "base adapter "

value() { sed -n "s/.*\b$1 \([^ ]*\).*/\1/p" .out | head -n 1; }
works "merge" "$finetune" merge --model base --adapter adapter --out merged --text text.txt
ok "merge: a difference, and it is small: $(cat .out)" awk -v d="$(value max_logit_difference)" 'BEGIN { exit !(d < 1e-5 && d >= 0) }'
ok "merge: every choice agrees" test "$(value greedy_agreement)" = 1
ok "merge: a whole model folder" test -e merged/config.json -a -e merged/model.safetensors -a -e merged/tokenizer.json -a -e merged/tokenizer_config.json
ok "merge: with the template that the adapter was trained with" cmp -s adapter/chat_template.jinja merged/chat_template.jinja
printf '[[1,2,3,4,5,6,7,8]]\n' >ids.json
works "what is merged opens" "$finetune" generate --model merged --greedy --tokens 5 "the cat"
works "merge with random tokens" "$finetune" merge --model base --adapter dora --out merged2
ok "merge, DoRA: small: $(cat .out)" awk -v d="$(value max_logit_difference)" 'BEGIN { exit !(d < 1e-4) }'
works "merge --scale 0" "$finetune" merge --model base --adapter adapter --out nothing --scale 0
ok "--scale 0 is the base" test "$(tensors nothing)" = "$(tensors base)"
works "merge --scale 0.5, DoRA" "$finetune" merge --model base --adapter dora --out half --scale 0.5
ok "--scale 0.5 is neither" test "$(tensors half)" != "$(tensors base)" -a "$(tensors half)" != "$(tensors merged2)"
ok "--scale 0.5, DoRA: small: $(cat .out)" awk -v d="$(value max_logit_difference)" 'BEGIN { exit !(d < 1e-4) }'
works "merge --dtype bf16" "$finetune" merge --model base --adapter adapter --out bf16 --dtype bf16
ok "bf16: half the file" test "$(wc -c <bf16/model.safetensors)" -lt "$(($(wc -c <merged/model.safetensors) * 6 / 10))"
works "what is merged in 16 bits opens" "$finetune" check logits --model bf16 --ids ids.json --out logits.safetensors
works "merge --dtype source" "$finetune" merge --model bf16 --other-base --adapter adapter --out source --dtype source
ok "source: as the base has them" test "$(wc -c <source/model.safetensors)" -eq "$(wc -c <bf16/model.safetensors)"
works "merge --dtype source, f32" "$finetune" merge --model base --adapter adapter --out source32 --dtype source
ok "source of f32 is f32" test "$(tensors source32)" = "$(tensors merged)"
works "interpolation" "$finetune" merge --model base --tuned tuned --scale 1 --out all
ok "interpolation by 1 is the tuned model" test "$(tensors all)" = "$(tensors tuned)"
ok "interpolation: equal to the tuned model, not to the base: $(cat .out)" test "$(value tuned_max_logit_difference)" = 0 -a "$(value base_max_logit_difference)" != 0
works "interpolation by a half" "$finetune" merge --model base --tuned tuned --scale 0.5 --out between --json
ok "as JSON" grep -q '^{.*"base_max_logit_difference":[0-9.e-]*,"base_greedy_agreement"' .out
works "--force replaces a model" "$finetune" merge --model base --adapter adapter --out half --force
ok "--force replaced it" test "$(tensors half)" = "$(tensors merged)"

before=$(state)
failing 1 "out is not written: max_logit_difference" "$finetune" merge --model base --adapter adapter --out out --dtype bf16 --max-diff 1e-7
ok "refused: nothing is written" test "$(state)" = "$before" -a ! -e out
ok "refused: what was measured is printed" grep -q "max_logit_difference" .out
refused "one of them" merge --model base --out out
refused "one of them" merge --model base --adapter adapter --tuned tuned --out out
refused "merged exists" merge --model base --adapter adapter --out merged
refused "no model folder" merge --model base --adapter adapter --out rows.jsonl --force
refused "is what is merged" merge --model base --adapter adapter --out base --force
refused "is an adapter" merge --model base --tuned adapter --out out
refused "no adapter_config.json" merge --model base --adapter tuned --out out
refused "--other-base" merge --model tuned --adapter adapter --out out
refused "--max-diff is for an adapter" merge --model base --tuned tuned --out out --max-diff 1
refused "unknown value" merge --model base --adapter adapter --out out --dtype f8
refused "no such file" merge --model base --adapter adapter --out out --text nowhere.txt
FINETUNE_FAIL=write:9 failing 1 "out" "$finetune" merge --model base --adapter adapter --out out
ok "a full disk: no folder out" test ! -e out
rm -rf out.tmp-merge

finish
