#!/bin/sh
# The main job, whole: a story world, a tokenizer, a model trained on it, what it writes and what it knows; a task that it is tuned on, twice, and
# what that cost; a report. `make demo` and `make base`.
#
#     demo.sh demo|base OUT        OUT must not exist
set -eu
size=${1:?demo or base}
out=${2:?a folder to write}
here=$(cd "$(dirname "$0")" && pwd)
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
# Results alone; when it fails, why.
quiet() { "$@" 2> quiet.log || { cat quiet.log >&2; exit 1; }; }

say "1. Stories: a world whose entropy is known"
"$finetune" stories --out "$out/stories" --bytes $bytes --seed 1
cd "$out" # an adapter remembers its base's path as it was typed

say "2. A model of about a million parameters reads them"
# shellcheck disable=SC2086
"$finetune" pretrain --data stories/train.txt --valid stories/valid.txt --out base --size 1M --vocab 3072 \
    $length --batch 4 --lr 3e-3 --warmup 100 --schedule wsd --beta2 0.99 --weight-decay 0.03 --eval-every $evaluations --seed 1

say "3. Stories it writes"
"$finetune" generate --model base --samples 100 --tokens 252 --separators --seed 1 > samples.txt
awk -v RS='<\\|endoftext\\|>\n' '/^(Question|Text|Instruction):/ { next } n++ < 2 { gsub(/\n/, "\n   "); print "   " $0 "\n   ..." }' samples.txt
"$finetune" stories --check samples.txt --train stories/train.txt

say "4. What it knows: unseen stories, and four skills"
quiet "$finetune" eval --model base --data stories/valid.txt
printf 'the exact entropy of these stories: bpb '
sed -n '/"valid"/,/}/s/.*"story_bits_per_byte": \([0-9.]*\).*/\1/p' stories/world.json
for skill in $skills; do
    chance=$(sed -n "/\"skill\": \"$skill\"/,/}/s/.*\"chance\": \([0-9.]*\).*/\1/p" stories/world.json)
    printf '%-8s chance %.4s  ' "$skill" "$chance"
    quiet "$finetune" eval --model base --data "stories/suite-$skill.jsonl" --score exact
done

say "5. A new task, what somebody counted as JSON: all weights tuned, then a LoRA"
"$finetune" train --model base --data stories/task-json-train.jsonl --out full --seed 1
"$finetune" train --model base --data stories/task-json-train.jsonl --out lora --lora --seed 1

say "6. What that cost: the skills, the stories, and the new task, before and after"
suites=JSON=stories/task-json-test.jsonl
for skill in $skills; do suites=$suites,$skill=stories/suite-$skill.jsonl; done
quiet "$finetune" forget --base base --suites "$suites" --texts stories=stories/valid.txt --out forget full lora > /dev/null
awk -F, 'NR > 1 {
    if (!($1 in before)) order[n++] = $1; before[$1] = $7; after[$1, $3] = sprintf("%7.3f %+7.3f [%+.3f, %+.3f]", $10, $13, $14, $15)
} END {
    printf "%-10s %7s %34s %34s\n", "", "before", "all weights: after, change", "LoRA: after, change"
    for (i = 0; i < n; i++) printf "%-10s %7.3f %34s %34s\n", order[i], before[order[i]], after[order[i], "full"], after[order[i], "lora"]
}' forget/forget.csv

say "7. What learning costs: three methods at two rates, read where the new task is at 0.80"
cat > sweep.json <<END
{"base": "base", "train": "stories/task-json-train.jsonl", "test": "stories/task-json-test.jsonl",
 "suites": ["stories/suite-reading.jsonl", "stories/suite-form.jsonl"],
 "tau": 0.8, "steps": 200, "evaluations": 2, "flags": {"batch": 8, "schedule": "constant", "warmup": "10"},
 "methods": [{"name": "full", "rates": [1e-3, 2e-3]},
             {"name": "lora", "flags": {"lora": true}, "rates": [4e-3, 5e-3]},
             {"name": "l2-sp", "flags": {"l2-sp": 0.01}, "rates": [1e-3, 2e-3]}]}
END
quiet "$finetune" forget --sweep sweep.json --out frontier > /dev/null
awk -F, 'NR == 1 { printf "%-8s %6s %6s %11s %11s %8s   %s\n", "", "rate", "step", "new tokens", "all tokens", "learned", "forgotten of reading and form"; next } {
    forgotten = sprintf("%+.3f [%+.3f, %+.3f]%s", $16, $17, $18, $6 == "yes" ? "  chosen" : "")
    if ($5 == "yes") printf "%-8s %6s %6s %11s %11s %8.3f   %s\n", $1, $2, $7, $9, $10, $13, forgotten
    else printf "%-8s %6s %6s\n", $1, $2, "not reached"
}' frontier/frontier.csv
"$finetune" report base full lora forget/forget.json frontier/frontier.json --stories stories --out report.html

say "8. The same bits on every machine"
"$finetune" check hash stories base samples.txt full lora forget frontier report.html | tee hashes.txt
golden=$here/golden-$size.txt
if [ ! -e "$golden" ]; then
    echo "there are no golden hashes of $size to compare with"
elif cmp -s hashes.txt "$golden"; then
    echo "the hashes are the golden ones of $golden"
else
    echo "the hashes differ from the golden ones of $golden:" >&2
    cat "$golden" >&2
    exit 1
fi
