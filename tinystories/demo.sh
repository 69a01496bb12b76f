#!/bin/sh
# The main job, whole: a story world, a tokenizer, a model trained on it, what it writes and what it knows. `make demo` and `make base`.
#
#     demo.sh demo|base OUT        OUT must not exist
set -eu
size=${1:?demo or base}
out=${2:?a folder to write}
finetune=$(cd "$(dirname "${FINETUNE:-./finetune}")" && pwd)/finetune
skills="reading words numbers form"

if [ -e "$out" ]; then
    echo "$out exists: remove it first, or name another: make demo OUT=DIR" >&2
    exit 2
fi
case $size in
demo) bytes=11000000 length="--steps 2200" evaluations=550 ;;
base) bytes=60000000 length="--steps 18000" evaluations=2000 ;;
*) echo "demo.sh: demo or base, not $size" >&2; exit 2 ;;
esac

say() { printf '\n== %s\n' "$*"; }

say "1. Stories: a world whose entropy is known"
"$finetune" stories --out "$out/stories" --bytes $bytes --seed 1

say "2. A model of about a million parameters reads them"
# shellcheck disable=SC2086
"$finetune" pretrain --data "$out/stories/train.txt" --valid "$out/stories/valid.txt" --out "$out/base" --size 1M --vocab 3072 \
    $length --batch 4 --lr 3e-3 --warmup 100 --schedule wsd --beta2 0.99 --weight-decay 0.03 --eval-every $evaluations --seed 1

say "3. Stories it writes"
"$finetune" generate --model "$out/base" --samples 100 --tokens 252 --separators --seed 1 > "$out/samples.txt"
awk -v RS='<\\|endoftext\\|>\n' '/^(Question|Text|Instruction):/ { next } n++ < 2 { gsub(/\n/, "\n   "); print "   " $0 "\n   ..." }' "$out/samples.txt"
"$finetune" stories --check "$out/samples.txt" --train "$out/stories/train.txt"

say "4. What it knows: unseen stories, and four skills"
"$finetune" eval --model "$out/base" --data "$out/stories/valid.txt"
printf 'the exact entropy of these stories: bpb '
sed -n '/"valid"/,/}/s/.*"story_bits_per_byte": \([0-9.]*\).*/\1/p' "$out/stories/world.json"
for skill in $skills; do
    chance=$(sed -n "/\"skill\": \"$skill\"/,/}/s/.*\"chance\": \([0-9.]*\).*/\1/p" "$out/stories/world.json")
    printf '%-8s chance %.4s  ' "$skill" "$chance"
    "$finetune" eval --model "$out/base" --data "$out/stories/suite-$skill.jsonl" --score exact
done

say "5. A new task, what somebody counted as JSON: all weights tuned, then a LoRA"
"$finetune" train --model "$out/base" --data "$out/stories/task-json-train.jsonl" --out "$out/full" --seed 1
"$finetune" train --model "$out/base" --data "$out/stories/task-json-train.jsonl" --out "$out/lora" --lora --seed 1
score() { # ROWS MODEL…: the share of rows answered exactly
    rows=$1
    shift
    "$finetune" eval "$@" --data "$out/stories/$rows.jsonl" --score exact | cut -d ' ' -f 2
}
line() { # NAME MODEL…
    name=$1
    shift
    printf '%-10s %8s' "$name" "$(score task-json-test "$@")"
    for skill in $skills; do printf ' %8s' "$(score "suite-$skill" "$@")"; done
    printf ' %9.4f\n' "$("$finetune" eval "$@" --data "$out/stories/valid.txt" | cut -d ' ' -f 4)"
}
{
    printf '%-10s %8s %8s %8s %8s %8s %9s\n' "" JSON $skills stories
    line before --model "$out/base"
    line full --model "$out/full"
    line LoRA --model "$out/base" --adapter "$out/lora"
} | tee "$out/tuning.txt"

say "6. The same bits on every machine"
(cd "$out" && "$finetune" check hash stories base samples.txt full lora tuning.txt) | tee "$out/hashes.txt"
golden=$(dirname "$0")/golden-$size.txt
if [ ! -e "$golden" ]; then
    echo "there are no golden hashes of $size to compare with"
elif cmp -s "$out/hashes.txt" "$golden"; then
    echo "the hashes are the golden ones of $golden"
else
    echo "the hashes differ from the golden ones of $golden:" >&2
    cat "$golden" >&2
    exit 1
fi
