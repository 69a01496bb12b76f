#!/bin/sh
# What keeps tuning from forgetting, from the command line: replay, self-replay, L2-SP, EWC, distillation to the base. Each leaves the same
# bytes however the work is cut, interrupted and shared out; each does what it says; wrong uses are refused.
#
#     FINETUNE=./finetune tests/cli_remedies.sh
set -u
suite=cli_remedies
. tests/shell.sh

repeat 20 cat_text >text.txt
repeat 20 cat_row >rows.jsonl
old_row() {
    printf '{"text":"the dog ran to house %d"}\n' $i
}
repeat 20 old_row >old.jsonl
for family in llama gpt2; do
    works "a base, $family" "$finetune" pretrain --data text.txt --valid 0 --vocab 280 --family $family --layers 2 --dim 16 --heads 2 --ffn 24 --ctx 48 --batch 4 \
        --steps 30 --lr 0.01 --out $family
    works "Fisher, $family" "$finetune" check fisher --model $family --data text.txt --out $family.fisher --sequences 10 --threads 1
    cp .out $family.line
done

# ---- Fisher information ---------------------------------------------------------------------------------------------------
ok "Fisher: its line: $(cat llama.line)" grep -q '^sequences 10 variant true mean [0-9.e-]* largest [0-9.e-]*$' llama.line
works "Fisher again" "$finetune" check fisher --model llama --data text.txt --out again.fisher --sequences 10 --threads 3
ok "Fisher: the same bytes" cmp -s llama.fisher again.fisher
works "Fisher, another seed" "$finetune" check fisher --model llama --data text.txt --out other.fisher --sequences 10 --seed 2
ok "Fisher: another seed draws other tokens" sh -c '! cmp -s llama.fisher other.fisher'
works "Fisher, empirical, of rows" "$finetune" check fisher --model llama --data rows.jsonl --out rows.fisher --empirical
ok "Fisher: all rows" grep -q '^sequences 20 variant empirical' .out
works "Fisher, plus an earlier one" "$finetune" check fisher --model llama --data rows.jsonl --out both.fisher --plus llama.fisher --decay 0.5

# ---- the same bytes -----------------------------------------------------------------------------------------------------
logged() { sed -n "s/.*\"$1\":\([-0-9.e]*\).*/\1/p" one/log.jsonl; }
same "replay" --model llama --replay old.jsonl --replay-ratio 0.4
ok "replay is recorded" grep -q '"replay": "[0-9a-f]*"' one/run.json
same "replay of text, file order" --model gpt2 --replay text.txt --replay-ratio 0.5 --order file
same "self-replay" --model llama --self-replay 20 --self-replay-tokens 12
ok "self-replay: its texts" test "$(grep -c '^{"input_ids":\[[0-9,]*\]}$' one/self-replay.jsonl)" -gt 10
same "L2-SP" --model llama --l2-sp 0.1
ok "L2-SP: nothing at the first step, then more: $(logged penalty | tr '\n' ' ')" test "$(logged penalty | head -n 1)" = 0 -a "$(logged penalty | sed -n 3p)" != 0
same "EWC" --model gpt2 --ewc gpt2.fisher --ewc-lambda 100
same "LoRA, L2-SP, EWC" --model llama --lora --l2-sp 0.1 --ewc llama.fisher --ewc-lambda 100 --train-embeddings a
rm -rf first && mv one first
works "Fisher at an adapter" "$finetune" check fisher --model llama --adapter first --data text.txt --out adapter.fisher --sequences 5
same "going on, EWC" --model llama --adapter first --ewc adapter.fisher --ewc-lambda 100
ok "going on: the anchor is the adapter: $(logged penalty | tr '\n' ' ')" test "$(logged penalty | head -n 1)" = 0 -a "$(logged penalty | sed -n 3p)" != 0
same "distillation on new rows" --model llama --kl-base 0.5
ok "distillation: 0 at the base, then more: $(logged kl | tr '\n' ' ')" test "$(logged kl | head -n 1)" = 0 -a "$(logged kl | sed -n 3p)" != 0
same "distillation on replay" --model gpt2 --kl-base 0.5 --replay old.jsonl --replay-ratio 0.4
same "LoRA, dropout, distillation on self-replay" --model llama --lora --lora-dropout 0.2 --self-replay 20 --self-replay-tokens 12 --kl-base 1
same "DoRA, rows, distillation, replay" --model gpt2 --lora --dora --train-embeddings a --replay old.jsonl --kl-base 1 --kl-on new

# ---- what each does -----------------------------------------------------------------------------------------------------
# Shares: of 20 samples at a ratio of 0.4 every fifth part of five has two replayed ones; --epochs 1 goes once through the new rows.
works "an epoch with replay" "$finetune" train --model llama --data rows.jsonl --valid 0 --replay old.jsonl --replay-ratio 0.5 --epochs 1 --batch 5 --out epoch
ok "an epoch of 20 rows with as many replayed is eight batches of five" test "$(grep -c '"loss"' epoch/log.jsonl)" -eq 8
distance() { # OUT: greatest difference of logits from the base
    "$finetune" merge --model llama --tuned "$1" --scale 1 --out between --force >.distance 2>.err && sed -n 's/.*base_max_logit_difference \([^ ]*\).*/\1/p' .distance
}
tune="--model llama --data rows.jsonl --valid 0 --steps 30 --batch 5 --lr 0.01 --schedule constant"
# shellcheck disable=SC2086
{
    works "plain" "$finetune" train $tune --out plain
    works "held by L2-SP" "$finetune" train $tune --l2-sp 30 --out l2
    works "held by EWC" "$finetune" train $tune --ewc llama.fisher --ewc-lambda 1e6 --out ewc
    works "held by the base" "$finetune" train $tune --kl-base 30 --out kl
}
plain=$(distance plain)
for remedy in l2 ewc kl; do
    held=$(distance $remedy)
    ok "$remedy holds the logits nearer to the base: $held of $plain" awk -v a="$held" -v b="$plain" 'BEGIN { exit !(a < 0.7 * b && a > 0) }'
done

# ---- what is refused ----------------------------------------------------------------------------------------------------
before=$(state)
new="train --model llama --data rows.jsonl --out new"
# shellcheck disable=SC2086
{
    refused "give one of them" $new --replay old.jsonl --self-replay 3
    refused "belongs to --replay" $new --replay-ratio 0.3
    refused "replays nothing" $new --replay old.jsonl --replay-ratio 0
    refused "belong together" $new --ewc llama.fisher
    refused "belong together" $new --ewc-lambda 3
    refused "--kl-on belongs to" $new --kl-on new
    refused "needs --replay" $new --kl-base 1 --kl-on replay
    refused "unknown value" $new --kl-base 1 --kl-on old
    refused "leave out --dora" $new --lora --dora --l2-sp 1
    refused "no tensor" $new --ewc gpt2.fisher --ewc-lambda 1
    refused "taken at an adapter" train --model llama --adapter first --data rows.jsonl --out new --ewc llama.fisher --ewc-lambda 1
    refused "taken at a model" train --model plain --data rows.jsonl --out new --ewc llama.fisher --ewc-lambda 1
    refused "no file of Fisher information" $new --ewc llama/model.safetensors --ewc-lambda 1
    refused "no such file" $new --replay nowhere.jsonl
    refused "llama.fisher exists" check fisher --model llama --data text.txt --out llama.fisher
    refused "--decay belongs to" check fisher --model llama --data text.txt --out new.fisher --decay 0.5
}

finish
