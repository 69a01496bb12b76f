#!/bin/sh
# finetune plan: the peak that it says against the anonymous memory that the run then takes, what it advises, what train refuses.
#
#     FINETUNE=./finetune tests/cli_plan.sh
set -u
suite=cli_plan
. tests/shell.sh

i=0
while [ $i -lt 90 ]; do
    i=$((i + 1))
    line="number $((i * 7 % 41)) sat on a mat and the dog ran to its house"
    printf '%s %s %s %s %s %s\n<|endoftext|>\n' "$line" "$line" "$line" "$line" "$line" "$line" >>text.txt
    line="$line $line $line $line"
    printf '{"text":"%s %s %s %s %s %s"}\n' "$line" "$line" "$line" "$line" "$line" "$line" >>rows.jsonl
done
value() { sed -n "s/^$1 //p" .plan; }
# The largest RssAnon, in kB, of a command while it runs; nothing where /proc does not say.
measure() {
    "$@" >.out 2>.err &
    pid=$! most=0
    while kill -0 $pid 2>/dev/null; do
        while read -r key kb _; do
            [ "$key" = RssAnon: ] && [ "$kb" -gt $most ] && most=$kb
        done 2>/dev/null </proc/$pid/status
    done
    wait $pid && ok "$1 ran: $(tail -n 1 .err)" [ $most -gt 0 ]
}
# AddressSanitizer keeps memory of its own; elsewhere there may be no /proc.
measured=yes
grep -q RssAnon /proc/self/status 2>/dev/null || measured=
case $finetune in *debug*) measured= ;; esac
[ -n "$measured" ] || echo "skipped: the memory of this build or system is not measured"

# NAME BYTES: within 5 %, or 6 MB (the issue asks for 16).
near() {
    apart=$(($2 - most * 1024)) bound=$(($2 / 20))
    [ $bound -lt 6000000 ] && bound=6000000
    ok "$1: planned $2, measured $((most * 1024))" [ $apart -lt $bound -a $apart -gt -$bound ]
}
works "a base" "$finetune" pretrain --data text.txt --valid 0.1 --size 1M --vocab 300 --batch 8 --steps 1 --out base
if [ -n "$measured" ]; then
    measure "$finetune" pretrain --data text.txt --valid 0.1 --size 1M --vocab 300 --batch 8 --steps 2 --out other
    near "pretrain" "$(sed -n 's/.*: \([0-9]*\) MB of memory at the peak.*/\1000000/p' .err)"
    for flags in "" "--recompute" "--micro-batch 2" "--lora" "--lora --rank 64 --recompute --micro-batch 4"; do
        # shellcheck disable=SC2086
        "$finetune" plan --model base --batch 8 --ctx 128 --rows 90 --steps 2 $flags >.plan 2>/dev/null
        rm -rf run
        # shellcheck disable=SC2086
        measure "$finetune" train --model base --data rows.jsonl --batch 8 --ctx 128 --steps 2 --valid 0.2 $flags --out run
        near "train $flags" "$(value peak)"
    done
fi

# ---- what it says -----------------------------------------------------------------------------------------------------
"$finetune" plan --model base --batch 8 --ctx 128 >.plan 2>.err
ok "plan ends well" [ $? -eq 0 ]
ok "the peak is the sum" [ "$(value peak)" -eq $(($(value weights) + $(value gradients) + $(value moments) + $(value activations) + $(value other))) ]
ok "moments are two numbers a weight" [ "$(value moments)" -eq $((2 * $(value weights))) ]
ok "1000 rows, three epochs, 8 a step" [ "$(value steps)" -eq 375 ]
ok "it fits" [ "$(value fits)" = true ]
ok "no advice then" [ "$(grep -c '^change' .plan)" -eq 0 ]
ok "a step takes time" grep -q '^seconds_per_step [0-9.e-]*[1-9]' .plan
works "with rows" "$finetune" plan --model base --data rows.jsonl --epochs 2
cp .out .plan
ok "their steps" [ "$(value steps)" -eq 18 ]
"$finetune" plan --model base --batch 8 --ctx 256 --memory 0.03 >.plan 2>.err
ok "a small machine: it does not fit" [ "$(value fits)" = false ]
for flags in "--micro-batch 1" "--recompute" "--micro-batch 1 --recompute" "--lora" "--lora --micro-batch 1 --recompute"; do
    advised=$(sed -n "s/^change $flags peak \([0-9]*\) fits.*/\1/p" .plan)
    case $flags in --lora*) adapter= ;; *) adapter=no ;; esac
    # shellcheck disable=SC2086
    "$finetune" plan --model base --batch 8 --ctx 256 $flags >.with 2>/dev/null
    said=$(sed -n 's/^peak //p' .with)
    ok "$flags: advised ${advised:-nothing}, planned $said" [ -n "$advised" ]
    apart=$((${advised:-0} - said))
    ok "$flags: advised $advised, planned $said" [ $apart -lt 400000 -a $apart -gt -400000 ]
done
"$finetune" plan --model base --batch 8 --ctx 256 --memory 0.03 --json >.json 2>.err
ok "--json is one object: $(cat .json)" grep -q '^{"v":1,"weights":[0-9]*,"gradients":[0-9]*,"moments":[0-9]*,"activations":[0-9]*,"other":[0-9]*,"peak":[0-9]*,.*"fits":false,"changes":\[{"flags":"--micro-batch 1","peak":[0-9]*,"fits":[a-z]*}.*\]}$' .json
ok "plan stands in the list of commands" sh -c '"$0" help | grep -q "^  plan "' "$finetune"

# ---- what is refused --------------------------------------------------------------------------------------------------
before=$(state)
refused "take a smaller model" pretrain --data text.txt --vocab 280 --layers 1000 --dim 65536 --heads 512 --ctx 4096 --batch 64 --steps 1 --out new
refused "plan needs --model" plan --batch 8
refused "is longer than the model's context" plan --model base --ctx 100000
if [ -n "$measured" ] && (ulimit -d 60000) 2>/dev/null; then
    plain=$finetune
    limited() { (ulimit -d 60000 && "$plain" "$@"); }
    finetune=limited
    refused "(fits)" train --model base --data rows.jsonl --batch 8 --micro-batch 8 --ctx 256 --valid 0 --steps 1 --out new --threads 1
    works "and as advised it fits" limited train --model base --data rows.jsonl --batch 8 --micro-batch 1 --ctx 256 --valid 0 --steps 1 --out small --threads 1
    finetune=$plain
fi

finish
