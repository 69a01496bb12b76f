#!/bin/sh
# finetune train as a user meets it: for every option the same bytes however the work is cut, interrupted and shared out; the search for
# a learning rate; large and wrong data.
#
#     FINETUNE=./finetune tests/cli_tune.sh [--full]      --full: data of 100 MB instead of 40
set -u
suite=cli_tune
. tests/shell.sh
megabytes=40 bound=30
[ "${1:-}" = --full ] && megabytes=100 bound=40

repeat 20 cat_text >text.txt
repeat 20 cat_row >rows.jsonl
for family in llama gpt2; do
    works "a base, $family" "$finetune" pretrain --data text.txt --valid 0 --vocab 280 --family $family --layers 2 --dim 16 --heads 2 --ffn 24 --ctx 48 --batch 4 \
        --steps 12 --lr 0.01 --out $family
done

# ---- the same bytes ---------------------------------------------------------------------------------------------------
for family in llama gpt2; do
    same "$family, all weights" --model $family
    same "$family, LoRA" --model $family --lora --rank 3
    same "$family, dropout, LoRA+, rows" --model $family --lora --rank 3 --lora-dropout 0.2 --lora-plus 4 --train-embeddings a,t
    same "$family, DoRA, rsLoRA, dropout, rows" --model $family --lora --rank 3 --dora --rslora --lora-dropout 0.2 --train-embeddings t,o
done
same "weight decay, wsd" --model llama --weight-decay 0.1 --schedule wsd --warmup 2 --patience 1
same "frozen parts" --model llama --freeze embed_tokens,layers.0.mlp
same "LoRA with frozen parts" --model gpt2 --lora --freeze h.0.attn
rm -rf first && mv one first
same "going on from an adapter" --model gpt2 --adapter first --lora-dropout 0.1 --lora-plus 2
cp -R first read-only
same "going on, DoRA" --model llama --lora --dora
rm -rf first && mv one first
same "going on from DoRA" --model llama --adapter first
ok "another seed is another adapter" test "$(
    "$finetune" train --model llama --data rows.jsonl --lora --steps 1 --seed 9 --valid 0 --out other >.out 2>.err
    "$finetune" check hash --tensors other/adapter_model.safetensors | cut -d' ' -f1,2
)" != "$("$finetune" check hash --tensors one/adapter_model.safetensors | cut -d' ' -f1,2)"

# ---- the search for a learning rate -------------------------------------------------------------------------------------
before=$(state)
works "--find-lr" "$finetune" train --model llama --data rows.jsonl --find-lr --threads 1
cp .out .first
ok "--find-lr writes nothing" test "$(state)" = "$before"
ok "--find-lr: rates rise" awk '$1 == "lr" { if ($2 + 0 <= last) exit 1; last = $2 + 0; n++ } END { exit n < 20 }' .out
ok "--find-lr suggests: $(tail -n 1 .out)" sh -c 'tail -n 1 .out | grep -q "^suggested_lr [0-9.e-]* lowest_at [0-9.e-]* lowest_loss [0-9.]*$"'
ok "--find-lr: the rate suggested lies below the one with the lowest loss" awk '$1 == "suggested_lr" { exit !($2 + 0 <= $4 + 0) }' .out
works "--find-lr again" "$finetune" train --model llama --data rows.jsonl --find-lr --threads 3 --micro-batch 1 --recompute
ok "--find-lr: the same lines" cmp -s .out .first
works "--find-lr with an adapter" "$finetune" train --model llama --data rows.jsonl --find-lr --lora
ok "--find-lr with an adapter: other lines" sh -c '! cmp -s .out .first'

# ---- large data, wrong data ---------------------------------------------------------------------------------------------
rows() { # MEGABYTES
    awk -v bytes=$(($1 * 1000000)) 'BEGIN {
        for (i = 0; n < bytes; i++) {
            line = "{\"prompt\":\"the cat number " i " sat on a mat"
            for (k = 0; k < 8; k++) line = line " and the dog " (i * 7919 + k * 104729) % 1000003 " ran to its house"
            line = line "\",\"completion\":\" it is " i "\"}"
            print line
            n += length(line) + 1
        }
    }'
}
peak() { sed -n 's/.*"peak_memory":\([0-9]*\).*/\1/p' "$1/timing.jsonl" | sort -n | tail -n 1; }
# AddressSanitizer keeps what was freed, to see it used again: of this run little, or its memory would be measured.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
export ASAN_OPTIONS
rows 1 >small.jsonl
rows $megabytes >large.jsonl
works "1 MB of rows" "$finetune" train --model llama --data small.jsonl --lora --steps 1 --valid 0 --threads 1 --out small
works "$megabytes MB of rows" "$finetune" train --model llama --data large.jsonl --lora --steps 1 --valid 0 --threads 1 --out large
more=$(($(peak large) - $(peak small)))
ok "$megabytes MB of rows need $more bytes more than 1 MB does: more than $bound MB" test $more -lt $((bound * 1000000))
ok "rows that were cut are counted: $(cat .err)" grep -q "rows were too long (--long cut), the first on line 1" .err
before=$(state)
refused "rows have more tokens than the context of 48 takes, the first at line 1" train --model llama --data small.jsonl --out new --long refuse
refused "every row is longer" train --model llama --data small.jsonl --out new --long skip
printf '{"prompt":"a","completion":"b"}\n{"prompt":"a","completion":"\377"}\n' >wrong1.jsonl
printf '{"prompt":"a","completion":"b"}\n\n{"prompt":"a","completion":["b"]}\n' >wrong2.jsonl
: >wrong3.jsonl
before=$(state)
refused "wrong1.jsonl: line 2, column 29" train --model llama --data wrong1.jsonl --out new
refused "wrong2.jsonl: line 3" train --model llama --data wrong2.jsonl --out new
refused "wrong3.jsonl" train --model llama --data wrong3.jsonl --out new

finish
