#!/bin/sh
# finetune forget as a user meets it: a base, what was tuned from it, suites and texts; the base itself; a sequence of tasks; what is refused.
#
#     FINETUNE=./finetune tests/cli_forget.sh
set -u
suite=cli_forget
. tests/shell.sh

i=0
while [ $i -lt 24 ]; do
    i=$((i + 1))
    printf 'the cat number %d sat on a mat and the dog ran to its house\n<|endoftext|>\n' $((i * 7 % 41)) >>text.txt
    printf '{"prompt":"cat %d:","completion":" mat"}\n{"prompt":"dog %d:","completion":" house"}\n' $i $i >>old.jsonl
    printf '{"prompt":"number %d:","completion":" %d"}\n' $i $((i % 4)) >>new.jsonl
    printf '{"query":"the cat number %d sat on a","choices":["mat","dog"],"gold":0}\n' $i >>choice.jsonl
done
shape="--vocab 280 --layers 2 --dim 16 --heads 2 --kv-heads 1 --ffn 24 --ctx 64 --batch 4 --lr 0.01"
# shellcheck disable=SC2086
works "a base" "$finetune" pretrain --data text.txt --valid 0 $shape --steps 30 --out raw
works "a base that knows the old task" "$finetune" train --model raw --data old.jsonl --valid 0 --steps 60 --batch 8 --lr 0.01 --out base
tune="--model base --data new.jsonl --valid 0 --batch 8 --lr 0.01"
# shellcheck disable=SC2086
works "a tuned model" "$finetune" train $tune --steps 60 --out full
# shellcheck disable=SC2086
works "an adapter" "$finetune" train $tune --steps 30 --lora --rank 2 --out lora
# shellcheck disable=SC2086
works "an adapter that learned nothing" "$finetune" train $tune --steps 1 --lr 1e-30 --weight-decay 0 --lora --rank 2 --out idle
measures="--base base --suites old.jsonl,new=new.jsonl,choice.jsonl --texts text=text.txt"

# shellcheck disable=SC2086
works "forget" "$finetune" forget $measures --out cost full lora base idle
value() { sed -n "s/^suite $1 model $2 .*\b$3 \([^ ]*\).*/\1/p" .out; }
ok "before: the base knows the old task: $(value old full before)" awk -v x="$(value old full before)" 'BEGIN { exit !(x > 0.9) }'
ok "full tuning forgets it: $(value old full change)" awk -v x="$(value old full change)" 'BEGIN { exit !(x < -0.1) }'
ok "the base does not know the new task" test "$(value new base forgetting)" = not-known
ok "full tuning learns it: $(value new full after)" awk -v x="$(value new full after)" 'BEGIN { exit !(x > 0.3) }'
for untouched in base idle; do
    for one in old choice text; do
        ok "$untouched: no change of $one: $(value $one $untouched change)" test "$(value $one $untouched change)" = 0
        ok "$untouched: no drift on $one: $(value $one $untouched kl)" test "$(value $one $untouched kl)" = 0
    done
done
ok "drift of what was tuned" awk -v x="$(value old full kl)" 'BEGIN { exit !(x > 0.01) }'
ok "the files" test -s cost/forget.json -a -s cost/forget.csv -a -s cost/items-old.jsonl -a -s cost/items-text.jsonl
ok "every item of a suite" test "$(wc -l <cost/items-old.jsonl)" -eq 48
ok "a line of the CSV for each suite and model" test "$(wc -l <cost/forget.csv)" -eq 17
works "the base alone" "$finetune" forget --base base --texts text.txt --out alone base
ok "the base alone: no weight moved" test "$(awk '/"(distance|relative)"/ { print $2 + 0 }' alone/forget.json | sort -u)" = 0
# shellcheck disable=SC2086
works "again" "$finetune" forget $measures --out again --threads 1 full lora base idle
ok "again: the same bytes" sh -c 'for f in cost/*; do cmp -s "$f" "again/${f#cost/}" || exit 1; done'
works "report" "$finetune" report full lora cost/forget.json --out report.html
ok "report: the suites stand in it" grep -q 'What tuning cost' report.html
# shellcheck disable=SC2086
works "halves" "$finetune" forget $measures --half select --out select full
ok "the select half: items of even number" test "$(sed -n 's/.*"item":\([0-9]*\).*/\1/p' select/items-old.jsonl | awk '$1 % 2' | wc -l)" -eq 0
# shellcheck disable=SC2086
works "the other half" "$finetune" forget $measures --half report --out rest full
ok "both halves are all items" test "$(cat select/items-old.jsonl rest/items-old.jsonl | wc -l)" -eq 48
works "a sequence" "$finetune" forget --base raw --suites old.jsonl,new.jsonl --sequence old,new --joint full --other-base --out sequence base full
ok "R matrix: two tasks, all metrics: $(tail -n 1 .out)" grep -q '^tasks 2 acc .* bwt .* fwt .* forgetting .* learning .* intransigence ' .out
bwt() { sed -n 's/^tasks .* bwt \([^ ]*\).*/\1/p' .out; }
ok "backward transfer is the change of the first task: $(bwt)" awk -v x="$(bwt)" -v a="$(value old full after)" -v b="$(value old base after)" \
    'BEGIN { d = x - (a - b); exit !(d < 1e-6 && d > -1e-6) }'
# shellcheck disable=SC2086
works "--relearn" "$finetune" forget $measures --half report --relearn 6 --out relearned full lora
ok "--relearn: a line for each model and known suite: $(grep '^relearn' .out | tr '\n' ' ')" test "$(grep -c '^relearn [a-z]* model [a-z]* rows [0-9notback-]* score [0-9.]*$' .out)" -eq 2
ok "--relearn: 1, 2, 4 and 6 rows" test "$(ls -d relearned/relearn/0-old-?)" = "$(printf "relearned/relearn/0-old-%s\n" 1 2 4 6)"
works "--json" "$finetune" forget --base base --texts text.txt --json --out json full
ok "--json: an object a line" grep -q '^{"v":1,"suite":"text","model":"full",.*"kl":[0-9.e-]*}$' .out
works "--chance" "$finetune" forget --base base --suites old.jsonl --chance old=0.99 --out chance full
ok "--chance: not known, when the score before includes it" test "$(value old full forgetting)" = not-known

# ---- a sweep ------------------------------------------------------------------------------------------------------------
cat >sweep.json <<EOF2
{"base":"base","train":"new.jsonl","test":"new.jsonl","suites":["old.jsonl"],"tau":0.3,"steps":60,"evaluations":3,"flags":{"batch":8,"schedule":"constant","warmup":"0"},
 "methods":[{"name":"full","rates":[1e-9,0.01]},{"name":"lora","flags":{"lora":true},"rates":[0.02],"ranks":[2,4]}]}
EOF2
works "a sweep" "$finetune" forget --sweep sweep.json --out frontier
ok "a sweep: a line for each cell" test "$(wc -l <.out)" -eq 4
ok "a rate that learns nothing: not reached" grep -q '^method full rate 1e-9 tau not-reached$' .out
ok "a rate that learns: where it reached tau: $(sed -n 2p .out)" grep -q '^method full rate 0.01 step [246]0 learning [0-9.]* forgetting [-0-9.e]* low [-0-9.e]* high [-0-9.e]*$' .out
ok "the frontier's files" test -s frontier/frontier.json -a "$(wc -l <frontier/frontier.csv)" -eq 5
ok "each curve begins at the base: nothing forgotten" test "$(grep -o '"curve":\[{"step":0,"tokens":0,"learning":[0-9.]*,"forgetting":0,"low":0,"high":0}' frontier/frontier.json | wc -l)" -eq 4
# shellcheck disable=SC2086
works "the same run by hand" "$finetune" train --model base --data new.jsonl --valid 0 --steps 60 --lr 0.01 --save-every 60 --batch 8 --schedule constant --warmup 0 --stop-at 60 --out byhand
ok "a cell is train's own run" cmp -s byhand/checkpoints/step-00000060/model.safetensors frontier/cells/full-0.01/checkpoints/step-00000060/model.safetensors
cp -R frontier cut && rm -r cut/cells/lora-0.02-r4 cut/cells/lora-0.02-r4.json cut/cells/full-0.01 cut/frontier.json
works "a sweep that was cut goes on" "$finetune" forget --sweep sweep.json --out cut --resume
ok "a finished cell is not run again" test ! -e cut/cells/full-0.01 -a -e cut/cells/lora-0.02-r4
ok "a sweep that was cut: the same bytes" cmp -s cut/frontier.json frontier/frontier.json
sed 's/"test":"new.jsonl"/"test_text":"text.txt"/; s/"suites":\["old.jsonl"\]/"suites":["choice.jsonl"]/; s/"tau":0.3/"tau":9/' sweep.json >text.json
works "a sweep over a text" "$finetune" forget --sweep text.json --out texts
ok "a sweep over a text: bits saved, from 0 on" grep -q '"curve":\[{"step":0,"tokens":0,"learning":0,' texts/frontier.json
works "report of a sweep" "$finetune" report frontier/frontier.json --out frontier.html
ok "report of a sweep: the cell that did not reach tau" grep -q 'not reached' frontier.html

before=$(state)
sed 's/"ranks":\[2,4\]/"ranks":[2]/' sweep.json >uneven.json
sed 's/"tau"/"taus"/' sweep.json >unknown.json
before=$(state)
refused "give each the same number of trials" forget --sweep uneven.json --out out
refused "did you mean tau?" forget --sweep unknown.json --out out
sed 's/"test":"new.jsonl",//' sweep.json >nothing.json
before=$(state)
refused "says what is to be learned" forget --sweep nothing.json --out out
refused "stand in sweep.json" forget --sweep sweep.json --base base --out out
refused "frontier exists" forget --sweep sweep.json --out frontier
refused "measure the other one" forget --base base --suites old.jsonl --relearn 4 --out out full
refused "needs --base" forget --out out full
refused "at least one tuned model" forget --base base --texts text.txt --out out
refused "--suites or --texts" forget --base base --out out full
refused "cost exists" forget --base base --texts text.txt --out cost full
refused "no such model folder" forget --base base --texts text.txt --out out nowhere
refused "two suites are called text" forget --base base --texts text.txt --suites text=old.jsonl --out out full
refused "no suite is called else" forget --base base --texts text.txt --sequence else --out out full
refused "only 1 models are given" forget --base base --suites old.jsonl,new.jsonl --sequence old,new --out out full
refused "--joint is for a sequence" forget --base base --texts text.txt --joint full --out out full
refused "unknown value" forget --base base --texts text.txt --half second --out out full
refused "--chance: old lies from 0" forget --base base --suites old.jsonl --chance old=2 --out out full
refused "no such file" forget --base base --suites nowhere.jsonl --out out full

finish
