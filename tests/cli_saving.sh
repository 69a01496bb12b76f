#!/bin/sh
# Checkpoints by time, power cuts between them, and disks without room: nothing is lost, and no bit depends on when a run was saved.
#
#     FINETUNE=./finetune tests/cli_saving.sh
set -u
suite=cli_saving
. tests/shell.sh

i=0
while [ $i -lt 60 ]; do
    i=$((i + 1))
    printf 'the cat number %d sat on a mat and the dog ran to its house\n<|endoftext|>\n' $((i * 7 % 41)) >>text.txt
    printf '{"prompt":"number %d","completion":"the cat %d sat"}\n' $i $((i * 3 % 17)) >>rows.jsonl
done
shape="--data text.txt --valid 0.1 --vocab 280 --layers 1 --dim 8 --heads 2 --ffn 8 --ctx 8 --batch 3 --sample-tokens 4"
hash() { "$finetune" check hash "$1" 2>&1 | cut -d' ' -f2; }
lines() { grep -c '"loss"' "$1" 2>/dev/null || echo 0; }

# ---- by time ----------------------------------------------------------------------------------------------------------
# NAME FLAGS…: a run that saves by time alone is killed some steps after a checkpoint, goes on from it, and ends as one that was never touched.
by_time() {
    name=$1
    shift
    rm -rf timed straight
    "$finetune" "$@" --eval-every 900000 --save-every 1s --out timed >.out 2>.err &
    trainer=$!
    i=0
    while [ $i -lt 300 ]; do
        step=$(ls timed/checkpoints 2>/dev/null | sed -n 's/^step-0*//p' | sort -n | tail -n 1)
        [ -n "$step" ] && [ "$(lines timed/log.jsonl)" -gt "$((step + 2))" ] && break
        sleep 0.1
        i=$((i + 1))
    done
    kill -KILL $trainer
    wait $trainer 2>/dev/null
    ok "$name: a checkpoint by time" [ -n "$step" ]
    stop=$(($(lines timed/log.jsonl) + 5))
    works "$name: goes on" "$finetune" "$@" --eval-every 900000 --save-every 1s --out timed --resume --stop-at $stop
    ok "$name: from a checkpoint: $(cat .err)" grep -q 'going on after step [1-9]' .err
    works "$name: the same in one piece" "$finetune" "$@" --eval-every 900000 --out straight --stop-at $stop
    ok "$name: the same log" cmp -s timed/log.jsonl straight/log.jsonl
    last=checkpoints/step-$(printf '%08d' $stop)
    ok "$name: the same bits" [ "$(hash timed/$last)" = "$(hash straight/$last)" ]
    ok "$name: none but the last was saved by steps" [ "$(ls straight/checkpoints | wc -l)" -eq 1 ]
}
# shellcheck disable=SC2086
by_time pretrain pretrain $shape --steps 900000
# shellcheck disable=SC2086
works "a base" "$finetune" pretrain $shape --steps 2 --out base
by_time "a LoRA" train --model base --data rows.jsonl --valid 0.2 --batch 1 --steps 900000 --lora --rank 2

before=$(state)
# shellcheck disable=SC2086
refused '--save-every takes a number of steps, or a time such as 90s, 10m or 2h, found "soon"' pretrain $shape --steps 2 --out new --save-every soon
printf '{"save-every": 20, "steps": 1}\n' >config.json
# shellcheck disable=SC2086
works "a number in a config file" "$finetune" pretrain $shape --config config.json --out numbered

# ---- disks without room -----------------------------------------------------------------------------------------------
# FINETUNE_FAIL=space:N: the N-th look at the disk finds nothing free. The first is before the run, then one before each checkpoint.
# shellcheck disable=SC2086
works "a whole run" "$finetune" pretrain $shape --steps 6 --eval-every 2 --out whole
before=$(state)
export FINETUNE_FAIL=space:1
# shellcheck disable=SC2086
refused "make room, or name an --out on another disk" pretrain $shape --steps 6 --eval-every 2 --out new
refused "what this run writes takes" train --model base --data rows.jsonl --valid 0 --steps 1 --out new --lora
unset FINETUNE_FAIL
for n in 2 3 4; do
    rm -rf full
    # shellcheck disable=SC2086
    FINETUNE_FAIL=space:$n failing 2 "the checkpoint of step $((2 * n - 2)) takes" "$finetune" pretrain $shape --steps 6 --eval-every 2 --out full
    ok "space:$n: says how to go on" grep -q 'make room, then go on with --resume' .err
    ok "space:$n: the checkpoints before it stay" [ "$(ls full/checkpoints | wc -l)" -eq $((n - 2)) ]
    # shellcheck disable=SC2086
    works "space:$n: goes on" "$finetune" pretrain $shape --steps 6 --eval-every 2 --out full --resume
    ok "space:$n: to the same bits" [ "$(hash full)" = "$(hash whole)" ]
done
works "an adapter" "$finetune" train --model base --data rows.jsonl --valid 0 --steps 1 --out adapter --lora
FINETUNE_FAIL=space:1 failing 2 "the merged model takes" "$finetune" merge --model base --adapter adapter --out merged
FINETUNE_FAIL=space:1 failing 2 "the model takes" "$finetune" export --model base --gguf F16 --out base.gguf
ok "neither wrote anything" [ ! -e merged -a ! -e merged.tmp-merge -a ! -e base.gguf ]

finish
