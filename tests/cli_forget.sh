#!/bin/sh
# finetune forget as a user meets it: a base, what was tuned from it, suites and texts; the base itself; a sequence of tasks; what is refused.
#
#     FINETUNE=./finetune tests/cli_forget.sh
set -u
suite=cli_forget
. tests/shell.sh

repeat 24 cat_text >text.txt
rows() {
    if [ $((i % 2)) -eq 1 ]; then # in pairs, so that both halves have all
        printf '{"prompt":"cat %d:","completion":" mat"}\n' $i $((i + 1)) >>old.jsonl
    else
        printf '{"prompt":"dog %d:","completion":" house"}\n' $((i - 1)) $i >>old.jsonl
    fi
    printf '{"prompt":"number %d:","completion":" %d"}\n' $i $((i % 4)) >>new.jsonl
    printf '{"query":"the cat number %d sat on a","choices":["mat","dog"],"gold":0}\n' $i >>choice.jsonl
    printf 'a cat that is number %d\n<|endoftext|>\n' $i >>cats.txt
}
repeat 24 rows
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
known() { sed -n "/\"name\": \"$1\",/,/^    }/p" cost/forget.json | sed -n "/\"model\": \"$2\"/,/}/s/.*\"$3\": \([-0-9.e]*\),*\$/\1/p"; }
column() { awk -F, -v s="$1" -v m="$2" -v c="$3" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } $1 == s && $3 == m { print $at[c] }' cost/forget.csv; }
near() { awk -v x="$1" -v y="$2" 'BEGIN { d = x - y; exit !(x != "" && y != "" && d < 1e-6 && d > -1e-6) }'; }
minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.9f", a - b }'; }
ok "kept: of what was there: $(known old full kept)" near "$(known old full kept)" "$(awk -v a="$(column old full after)" -v b="$(column old full before)" 'BEGIN { printf "%.9f", a / b }')"
for one in likelihood choice form; do
    ok "change of $one: $(known old full ${one}_change)" near "$(known old full ${one}_change)" "$(minus "$(column old full ${one}_after)" "$(column old full ${one}_before)")"
done
ok "likelihood: the mean over the items" near "$(column old full likelihood_after)" \
    "$(sed -n 's/.*"model":"full","right":[a-z]*,"likelihood":\([-0-9.e]*\).*/\1/p' cost/items-old.jsonl | awk '{ s += $1 } END { printf "%.9f", s / NR }')"
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
scores() { sed -n '/"sequence"/,$p' sequence/forget.json | tr -d ' \n' | sed -n "s/.*\"$1\":\(\[*[-0-9.,e]*\).*/\1/p"; }
ok "before any training: the base's scores: $(scores before)" test "$(scores before)" = "[0,0"
metric() { sed -n "s/^tasks .* $1 \([^ ]*\).*/\1/p" .out; }
ok "learning accuracy is each task's score after its own stage: $(metric learning)" near "$(metric learning)" \
    "$(awk -v a="$(value old base after)" -v b="$(value new full after)" 'BEGIN { print (a + b) / 2 }')"
ok "intransigence: what joint training, here the last stage itself, reaches beyond: $(metric intransigence)" near "$(metric intransigence)" \
    "$(awk -v a="$(value old base after)" -v b="$(value old full after)" 'BEGIN { print (b - a) / 2 }')"
works "a sequence of texts" "$finetune" forget --base raw --texts text.txt,cats=cats.txt --sequence text,cats --joint base --other-base --out text-sequence base full
ok "of bits a byte more is worse: $(metric bwt)" near "$(metric bwt)" "$(awk -v a="$(value text base after)" -v b="$(value text full after)" 'BEGIN { print a - b }')"
ok "joint training is the last model's: $(metric intransigence)" near "$(metric intransigence)" \
    "$(awk -v a="$(value cats full after)" -v b="$(value cats base after)" 'BEGIN { print (a - b) / 2 }')"

# shellcheck disable=SC2086
works "--relearn" "$finetune" forget $measures --half report --relearn 20 --out relearned full lora
ok "--relearn: a line for each model and known suite: $(grep '^relearn' .out | tr '\n' ' ')" test "$(grep -c '^relearn [a-z]* model [a-z]* rows [0-9notback-]* score [0-9.]*$' .out)" -eq 2
ok "--relearn: rows of the select half" test "$(cat relearned/relearn/0-old-2.jsonl)" = "$(sed -n '1p;3p' old.jsonl)"
relearned() { sed -n '/"relearn"/,$p' relearned/forget.json | tr -d ' \n' | sed -n "s/.*\"model\":\"$1\",\"rows\":\[[0-9,]*\],\"scores\":\[\([0-9.,]*\)\],\"back\":\([0-9a-z]*\).*/\1 \2/p"; }
works "--relearn by hand" "$finetune" train --model full --data relearned/relearn/0-old-20.jsonl --valid 0 --epochs 10 --out relearned-full
works "--relearn by hand: an adapter goes on" "$finetune" train --model base --adapter lora --data relearned/relearn/0-old-20.jsonl --valid 0 --epochs 10 --out relearned-lora
ok "--relearn: the bits of a run by hand" cmp -s relearned-full/model.safetensors relearned/relearn/0-old-20/model.safetensors
ok "--relearn: the bits of an adapter by hand" cmp -s relearned-lora/adapter_model.safetensors relearned/relearn/1-old-20/adapter_model.safetensors
works "--relearn: scores by hand" "$finetune" forget --base base --suites old.jsonl --half report --other-base --out relearned-hand relearned-full relearned-lora
for one in full lora; do
    ok "--relearn: the score after twenty rows: $one: $(relearned $one)" near "$(relearned $one | sed 's/ .*//; s/.*,//')" "$(value old relearned-$one after)"
    # Whether a score reaches the base's, which is 1: its interval, of 24 items, holds 1 where all are right.
    ok "--relearn: back at the first of these: $one: $(relearned $one)" test "$(relearned $one | awk '{ n = split($1, s, ","); r = "null"; split("1 2 4 8 16 20", rows, " ")
        for (i = n; i > 0; i--) if (s[i] == 1) r = rows[i]; print r }')" = "$(relearned $one | sed 's/.* //')"
done
ok "--relearn: more than one of these bring it back" sh -c "echo '$(relearned full) $(relearned lora)' | grep -q ',1,1'"
ok "--relearn: 1, 2, 4, 8, 16 and 20 rows" test "$(echo relearned/relearn/0-old-? relearned/relearn/0-old-??)" = "$(printf "relearned/relearn/0-old-%s " 1 2 4 8 16 20 | sed 's/ $//')"
works "--json" "$finetune" forget --base base --texts text.txt --json --out json full
ok "--json: an object a line" grep -q '^{"v":1,"suite":"text","model":"full",.*"kl":[0-9.e-]*}$' .out
works "--chance" "$finetune" forget --base base --suites old.jsonl --chance old=0.99 --out chance full
ok "--chance: not known, when the score before includes it" test "$(value old full forgetting)" = not-known

# ---- a sweep ------------------------------------------------------------------------------------------------------------
# What every other pair of rows says differs from what the rest say, so that learning comes step by step; the halves say the same.
i=0
while [ $i -lt 24 ]; do
    i=$((i + 1))
    printf '{"prompt":"%d number:","completion":" %d"}\n' $i $(((i + 1) / 2 % 2)) >>sum.jsonl
    printf '{"text":"the cat number %d sat on a mat and the dog ran to its house"}\n' $i >>text.jsonl
done
cat >sweep.json <<EOF2
{"base":"base","train":"sum.jsonl","test":"sum.jsonl","suites":["old.jsonl"],"tau":0.3,"steps":60,"evaluations":3,"flags":{"batch":8,"schedule":"constant","warmup":"0"},
 "methods":[{"name":"full","rates":[1e-9,0.01]},{"name":"lora","flags":{"lora":true},"rates":[0.01],"ranks":[2,4]}]}
EOF2
works "a sweep" "$finetune" forget --sweep sweep.json --out frontier
cells() { grep '^method' .out; }
field() { sed -n "s/^method $1 .*\b$2 \([^ ]*\).*/\1/p" .out | head -n 1; }
ok "a sweep: a line for each cell, and for the chosen one of each method" test "$(cells | wc -l) $(grep -c '^chosen' .out)" = "4 2"
ok "a rate that learns nothing: not reached" grep -q '^method full rate 1e-9 tau not-reached$' .out
ok "a rate that learns: where it reached tau: $(sed -n 2p .out)" grep -q \
    '^method full rate 0.01 step [0-9]* bracket [0-9]* above [0-9.]* new_tokens [0-9]* total_tokens [0-9]* learning [0-9.]* reported [0-9.]* forgetting [-0-9.e]* low [-0-9.e]* high [-0-9.e]* seconds [0-9.e-]*$' .out
ok "the frontier's files" test -s frontier/frontier.json -a "$(wc -l <frontier/frontier.csv)" -eq 5 -a "$(wc -l <frontier/timing.jsonl)" -eq "$(grep -c ",yes,[a-z]*,[0-9]" frontier/frontier.csv)"
ok "each curve begins at the base: nothing forgotten" test \
    "$(grep -o '"curve":\[{"step":0,"new_tokens":0,"total_tokens":0,"learning":[0-9.]*,"reported":[0-9.]*,"reported_low":[0-9.e-]*,"reported_high":[0-9.]*,"forgetting":0,"low":0,"high":0,"select_forgetting":0}' frontier/frontier.json | wc -l)" -eq 4

# Where it was matched, by hand: the bits of a straight run, the scores that forget gives them, and one step before.
step=$(field "full rate 0.01" step) bracket=$(field "full rate 0.01" bracket) learning=$(field "full rate 0.01" learning)
reported=$(field "full rate 0.01" reported) forgetting=$(field "full rate 0.01" forgetting) low=$(field "full rate 0.01" low)
ok "matched at $learning, between two evaluations: step $step, bracket $bracket" test "$bracket" -eq 1 -a $((step % 20)) -ne 0
tune="--model base --data sum.jsonl --valid 0 --steps 60 --lr 0.01 --save-every 60 --batch 8 --schedule constant --warmup 0"
# shellcheck disable=SC2086
works "the same run by hand" "$finetune" train $tune --stop-at "$step" --out byhand
# shellcheck disable=SC2086
works "one step less" "$finetune" train $tune --stop-at $((step - 1)) --out below
ok "the matched weights are train's own" cmp -s byhand/checkpoints/step-*/model.safetensors frontier/cells/full-0.01/checkpoints/matched/model.safetensors
works "the select half by hand" "$finetune" forget --base base --suites sum.jsonl,old.jsonl --half select --out hand-select byhand below
ok "learning is the select half's: $learning" test "$(value sum byhand after)" = "$learning"
ok "learning has reached tau" awk -v x="$learning" 'BEGIN { exit !(x >= 0.3) }'
ok "one step before it had not: $(value sum below after)" awk -v x="$(value sum below after)" 'BEGIN { exit !(x < 0.3) }'
ok "what chooses is forgetting on the select half" near "-$(sed -n 's/^full,0.01,.*,//p' frontier/frontier.csv)" "$(value old byhand change)"
works "the report half by hand" "$finetune" forget --base base --suites sum.jsonl,old.jsonl --half report --out hand-report byhand
ok "what is reported is the report half's: $reported" test "$(value sum byhand after)" = "$reported"
ok "forgetting is the report half's: $forgetting" test "-$forgetting" = "$(value old byhand change)"
high=$(sed -n 's/^full,0.01,.*,\([-0-9.e]*\),[-0-9.e]*$/\1/p' frontier/frontier.csv)
ok "and so is the width of its interval: $low to $high" awk -v a="$low" -v b="$high" -v c="$(value old byhand low)" -v d="$(value old byhand high)" \
    'BEGIN { e = (b - a) - (d - c); exit !(b > a && e < 1e-6 && e > -1e-6) }'

ok "how far above tau" grep -q "\"above\":$(sed -n 's/.* above \([0-9.]*\).*/\1/p;2q' .out)" frontier/frontier.json
seconds() { sed -n 's/.*"event":"\([a-z]*\)","step":\([0-9]*\),.*"update_seconds":\([0-9.e-]*\),.*/\1 \2 \3/p' frontier/cells/full-0.01/timing.jsonl |
    awk -v at="$step" '$1 == "begin" { from = $2 } $1 == "end" { steps += $2 - from; s += $3 } END { print s / steps * at }'; }
ok "seconds: the mean step's, times the steps: $(seconds)" awk -v x="$(seconds)" -v y="$(sed -n 's/.*"cell":"full-0.01".*"seconds":\([0-9.e-]*\).*/\1/p' frontier/timing.jsonl)" \
    'BEGIN { exit !(x > 0 && y > 0.999 * x && y < 1.001 * x) }'

# Tokens: whole epochs of 24 rows.
rows_tokens() { sed -n 's/^ *"tokens": \([0-9]*\),*$/\1/p' "$1/run.json"; }
point() { grep -o "\"cell\":\"$2\".*" "$1/frontier.json" | grep -o "{\"step\":$3,[^}]*}" | head -n 1; }
tokens=$(rows_tokens byhand)
ok "tokens after 60 steps of 8: 20 epochs of $tokens" sh -c "echo '$(point frontier full-0.01 60)' | grep -q '\"new_tokens\":$((20 * tokens)),\"total_tokens\":$((20 * tokens)),'"

cp -R frontier cut && rm -r cut/cells/lora-0.01-r4 cut/cells/lora-0.01-r4.json cut/cells/full-0.01 cut/frontier.json
works "a sweep that was cut goes on" "$finetune" forget --sweep sweep.json --out cut --resume
ok "a finished cell is not run again" test ! -e cut/cells/full-0.01 -a -e cut/cells/lora-0.01-r4
ok "a sweep that was cut: the same bytes" cmp -s cut/frontier.json frontier/frontier.json
works "again, on one thread" "$finetune" forget --sweep sweep.json --out again-swept --threads 1
ok "again: the same bytes" sh -c 'for f in frontier.json frontier.csv cells/full-0.01.json cells/lora-0.01-r4.json; do cmp -s frontier/$f again-swept/$f || exit 1; done'

# Another tau: what the curve answers is not trained again; what lies between is, and comes to what a fresh sweep finds.
exactly=$(awk -F, '$1 == "full" && $5 == "yes" { print $12 }' frontier/frontier.csv)
sed "s/\"tau\":0.3/\"tau\":$exactly/" sweep.json >same.json
sed 's/"tau":0.3/"tau":0.45/' sweep.json >other.json
sed 's/"tau":0.3/"tau":1.1/' sweep.json >never.json
works "a tau that a checkpoint meets" "$finetune" forget --sweep same.json --out cut --resume
ok "it is met at once: $(field "full rate 0.01" step)" test "$(field "full rate 0.01" step) $(field "full rate 0.01" above)" = "$step 0"
at=$(point frontier full-0.01 20 | sed 's/.*"learning":\([0-9.]*\).*/\1/')
sed "s/\"tau\":0.3/\"tau\":$(minus "$at" 0.005)/" sweep.json >within.json
works "a tau within a point of an evaluation" "$finetune" forget --sweep within.json --out cut --resume
ok "within a point nothing is searched: step $(field "full rate 0.01" step)" test "$(field "full rate 0.01" step) $(field "full rate 0.01" bracket)" = "20 20"
sed 's/"steps":60/"steps":30/' sweep.json >shorter.json
cp -R frontier shorter
works "fewer steps" "$finetune" forget --sweep shorter.json --out shorter --resume
ok "fewer steps: other cells" sh -c '! grep -q "\"step\":60," shorter/frontier.json'
rm -r cut/cells/*/
works "a tau that no cell reaches" "$finetune" forget --sweep never.json --out cut --resume
ok "it is found without training" test -z "$(ls -d cut/cells/*/ 2>/dev/null)"
ok "all are not reached, none is chosen" test "$(cells | grep -c 'tau not-reached$') $(grep -c '^chosen' .out)" = "4 0"
works "the first tau again" "$finetune" forget --sweep sweep.json --out cut --resume
ok "it stands in the cells' files" test -z "$(ls -d cut/cells/*/ 2>/dev/null)"
ok "and is what it was" cmp -s cut/frontier.json frontier/frontier.json
works "another tau" "$finetune" forget --sweep other.json --out cut --resume
works "another tau, from the start" "$finetune" forget --sweep other.json --out fresh
ok "another tau: what a fresh sweep finds" cmp -s cut/frontier.json fresh/frontier.json
ok "another tau: another step: $(field "full rate 0.01" step)" test "$(field "full rate 0.01" step)" -gt "$step"
matched=cells/full-0.01/checkpoints/matched/model.safetensors # not there where a point of the curve is the answer, whose weights are gone
ok "its weights: the same" sh -c "[ -e fresh/$matched ] && { [ ! -e cut/$matched ] || cmp -s cut/$matched fresh/$matched; }"
rm -r cut/cells/*/
works "another tau, once more" "$finetune" forget --sweep other.json --out cut --resume
ok "what was found for it stands in the cells' files, too" test -z "$(ls -d cut/cells/*/ 2>/dev/null)"
cp -R fresh/cells/full-0.01 cut/cells
works "the first tau, with the folders of the other" "$finetune" forget --sweep sweep.json --out cut --resume
ok "another tau's weights do not stay for this one's" test ! -e cut/cells/full-0.01/checkpoints/matched
ok "the first tau: the same bytes whatever was asked between" cmp -s cut/frontier.json frontier/frontier.json

# A text to learn: bits a byte saved; within a hundredth of tau, or between two steps.
sed 's/"train":"sum.jsonl","test":"sum.jsonl"/"train":"text.jsonl","test_text":"text.txt"/; s/"tau":0.3/"tau":0.5/' sweep.json >text.json
works "a sweep over a text" "$finetune" forget --sweep text.json --out texts
ok "a sweep over a text: bits saved, from 0 on" grep -q '"curve":\[{"step":0,"new_tokens":0,"total_tokens":0,"learning":0,' texts/frontier.json
ok "it is matched: $(field "full rate 0.01" above) above in $(field "full rate 0.01" bracket)" awk -v a="$(field "full rate 0.01" above)" -v b="$(field "full rate 0.01" bracket)" \
    'BEGIN { exit !(a != "" && a >= 0 && (a <= 0.005001 || b == 1)) }'
ok "what a point is" grep -q '"tau":0.5,"point":0.005,' texts/frontier.json
sed 's/"suites":\["old.jsonl"\]/"texts":["text.txt"]/' sweep.json >bits.json
works "forgetting of a text, where there is no suite" "$finetune" forget --sweep bits.json --out bits
ok "it is bits a byte gained" grep -q '"forgetting_is":"bits a byte gained on the texts"' bits/frontier.json
step=$(field "full rate 0.01" step) forgetting=$(field "full rate 0.01" forgetting)
# shellcheck disable=SC2086
works "by hand" "$finetune" train $tune --stop-at "$step" --out byhand --force
works "its report half by hand" "$finetune" forget --base base --texts text.txt --half report --out hand-text byhand
ok "forgetting: what the text's report half costs: $forgetting" test "$forgetting" = "$(value text byhand change)"

# Of two suites: the mean drop; their errors add as squares.
sed 's/"suites":\["old.jsonl"\]/"suites":["old.jsonl","choice.jsonl"]/; s/"methods":.*/"methods":[{"name":"full","rates":[0.01]}]}/' sweep.json >two.json
works "a sweep over two suites" "$finetune" forget --sweep two.json --out two
forgetting=$(field "full rate 0.01" forgetting) low=$(field "full rate 0.01" low) high=$(sed -n 's/^full,0.01,.*,\([-0-9.e]*\),[-0-9.e]*$/\1/p' two/frontier.csv)
cp -R two/cells/full-0.01/checkpoints/matched matched
works "their report halves by hand" "$finetune" forget --base base --suites old.jsonl,choice.jsonl --half report --out hand-two matched
ok "forgetting of two suites: the mean: $forgetting" near "-$forgetting" "$(awk -v a="$(value old matched change)" -v b="$(value choice matched change)" 'BEGIN { printf "%.9f", (a + b) / 2 }')"
ok "its interval: from $low to $high" near "$(minus "$high" "$low")" "$(awk -v a="$(minus "$(value old matched high)" "$(value old matched low)")" \
    -v b="$(minus "$(value choice matched high)" "$(value choice matched low)")" 'BEGIN { printf "%.9f", sqrt(a * a + b * b) / 2 }')"

# Every remedy is a method: its flags are train's. One cell each, all steps.
works "a Fisher file" "$finetune" check fisher --model base --data old.jsonl --out fisher.safetensors
cat >remedies.json <<EOF2
{"base":"base","train":"sum.jsonl","test":"sum.jsonl","suites":["old.jsonl"],"tau":0.3,"steps":60,"evaluations":2,"rates":[0.01],"flags":{"batch":8,"schedule":"constant","warmup":"0"},
 "methods":[{"name":"full"},{"name":"replay","flags":{"replay":"old.jsonl"},"strengths":{"replay-ratio":[0.5]}},
            {"name":"self-replay","flags":{"self-replay":6,"self-replay-tokens":8}},{"name":"l2-sp","strengths":{"l2-sp":[100]}},
            {"name":"ewc","flags":{"ewc":"fisher.safetensors"},"strengths":{"ewc-lambda":[1000]}},{"name":"kl-base","strengths":{"kl-base":[5]}},
            {"name":"kl-replay","flags":{"kl-base":5,"replay":"old.jsonl"}},{"name":"freeze","flags":{"freeze":"layers.0"}},
            {"name":"lora","flags":{"lora":true},"ranks":[2]}]}
EOF2
works "a sweep over remedies" "$finetune" forget --sweep remedies.json --out remedies
ok "a line for each" test "$(cells | wc -l)" -eq 9
dir() { ls -d remedies/cells/"$1"*/; }
last() { tail -n 1 "$(dir "$1")log.jsonl"; }
ok "replay: half of the tokens' rows are old ones" sh -c "echo '$(point remedies replay-0.01-replay-ratio0.5 60)' | grep -q '\"new_tokens\":$((10 * tokens)),\"total_tokens\":$((10 * tokens + 5 * $(rows_tokens base))),'"
ok "kl on replay: its tokens count, too" sh -c "echo '$(point remedies kl-replay-0.01 60)' | grep -q '\"new_tokens\":$((10 * tokens)),\"total_tokens\":$((10 * tokens + 5 * $(rows_tokens base))),'"
ok "self-replay: texts of the base's own" test "$(wc -l <"$(dir self-replay)self-replay.jsonl")" -ge 1
ok "self-replay: they count" sh -c "echo '$(point remedies self-replay-0.01 60)' | grep -q '\"new_tokens\":$((10 * tokens)),' && ! echo '$(point remedies self-replay-0.01 60)' | grep -q '\"total_tokens\":$((10 * tokens)),'"
for one in l2-sp ewc; do ok "$one: a penalty is in the loss: $(last $one)" sh -c "echo '$(last $one)' | grep -q '\"penalty\":[0-9.]*[1-9]'"; done
for one in kl-base kl-replay; do ok "$one: the distance is in the loss: $(last $one)" sh -c "echo '$(last $one)' | grep -q '\"kl\":[0-9.]*[1-9]'"; done
ok "full: neither" sh -c "! echo '$(last full)' | grep -q 'penalty\|kl'"
ok "freeze: recorded" grep -q '"freeze": "layers.0"' "$(dir freeze)run.json"
ok "lora: an adapter" test -s "$(dir lora)adapter_model.safetensors"
# shellcheck disable=SC2086
works "replay by hand" "$finetune" train $tune --replay old.jsonl --replay-ratio 0.5 --stop-at 60 --out replayed
works "what it forgot" "$finetune" forget --base base --suites old.jsonl --half report --out hand-replay replayed
ok "replay's cell is train's own run" sh -c "echo '$(point remedies replay-0.01-replay-ratio0.5 60)' | grep -q '\"forgetting\":$(value old replayed change | tr -d - | cut -c 1-8)'"
printf '{"prompt":"cat 99:","completion":" mat"}\n' >>old.jsonl
cp -R remedies replayed-other
works "the replayed file is another one" "$finetune" forget --sweep remedies.json --out replayed-other --resume
ok "another file, another cell" sh -c '! cmp -s remedies/cells/replay-0.01-replay-ratio0.5.json replayed-other/cells/replay-0.01-replay-ratio0.5.json'
sed -i '$d' old.jsonl

# Of the cells that reach tau the one that forgets least on the select half is chosen.
sed 's/1e-9,0.01/0.003,0.01,0.03/; s/"ranks":\[2,4\]/"ranks":[2,4,8]/' sweep.json >chosen.json
works "a sweep to choose from" "$finetune" forget --sweep chosen.json --out choice
ok "chosen: the least forgotten on the select half, of equals the fewest tokens" awk -F, 'NR > 1 && $5 == "yes" {
        if (!($1 in least) || $NF < least[$1] || ($NF == least[$1] && $10 < tokens[$1])) { least[$1] = $NF; tokens[$1] = $10; best[$1] = $2 $4 }
        if ($6 == "yes") is[$1] = is[$1] $2 $4; n++
    } END { for (m in least) if (is[m] != best[m]) exit 1; exit !(n >= 4) }' choice/frontier.csv

works "report of a sweep" "$finetune" report frontier/frontier.json --out frontier.html
ok "report of a sweep: the cell that did not reach tau" grep -q 'not reached' frontier.html
ok "report of a sweep: the chosen cells" test "$(grep -o '<td>✓</td>' frontier.html | wc -l)" -eq 2
number() { awk -F, -v n="$1" '$1 == "full" && $5 == "yes" { print $n }' frontier/frontier.csv; }
ok "report of a sweep: how far above tau, and that it is one step" grep -q '>+0.033, one step<' frontier.html
ok "report of a sweep: tokens of the new task and of all" grep -q "<td>$(number 7)</td><td>$(number 9)</td><td>$(number 10)</td><td>[0-9.]*<small>" frontier.html
works "report of a sweep with its seconds" "$finetune" report frontier/frontier.json --seconds --out seconds.html
ok "report of a sweep: seconds beside" grep -q "<td>$(number 9)</td><td>$(number 10)</td><td>[0-9]*\.[0-9]</td>" seconds.html
cp -r frontier slower && sed 's/"seconds":/"seconds":1/' frontier/timing.jsonl >slower/timing.jsonl
works "report of the same sweep on a slower machine" "$finetune" report slower/frontier.json --out slower.html
ok "report of a sweep: the same page on every machine" cmp -s frontier.html slower.html

before=$(state)
sed 's/"ranks":\[2,4\]/"ranks":[2]/' sweep.json >uneven.json
sed 's/"tau"/"taus"/' sweep.json >unknown.json
before=$(state)
refused "give each the same number of trials" forget --sweep uneven.json --out out
refused "did you mean tau?" forget --sweep unknown.json --out out
sed 's/"tau":0.3/"tau":0/' sweep.json >low.json
sed 's/"ranks":\[2,4\]/"strengths":[2,4]/' sweep.json >list.json
sed 's/"ranks":\[2,4\]/"ranks":[2,4],"strengths":{"alpha":[2,4]}/' sweep.json >both.json
sed 's/"ranks":\[2,4\]/"strengths":{"alpha":[2,0]}/' sweep.json >zero.json
before=$(state)
refused "is what the base has learned already" forget --sweep low.json --out out
refused "is one flag of train with its values" forget --sweep list.json --out out
refused "give one of them" forget --sweep both.json --out out
refused "holds numbers above 0" forget --sweep zero.json --out out
sed 's/"test":"sum.jsonl",//' sweep.json >nothing.json
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
