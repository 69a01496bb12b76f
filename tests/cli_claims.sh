#!/bin/sh
# finetune claims as a user meets it, on a base that knows nothing: a cell runs once, a record that was cut is mended, a killed run keeps what is finished.
#
#     FINETUNE=./finetune tests/cli_claims.sh
set -u
suite=cli_claims
. tests/shell.sh

works "a world" "$finetune" stories --out world --bytes 20000
works "a base" "$finetune" pretrain --data world/train.txt --valid 0 --vocab 300 --layers 1 --dim 8 --heads 1 --ffn 8 --ctx 128 --batch 2 --steps 2 --out base
run="claims --base base --out out --record cells.jsonl"
# shellcheck disable=SC2086
works "two cells" "$finetune" $run --only overfitting
cp .out first
ok "two lines in the record" test "$(grep -c '"row":"overfitting"' cells.jsonl)" = 2
ok "the section is printed" grep -q '^## Risk of overfitting' first
ok "both were run: $(tail -n 1 first)" grep -q '^base [0-9a-f]* seeds 1 run 2 cells 2 results [0-9a-f]*$' first
cp cells.jsonl whole
# shellcheck disable=SC2086
works "the same again" "$finetune" $run --only overfitting
ok "finished cells are not run again" grep -q ' run 0 cells 2 ' .out
ok "and the record stays" cmp -s cells.jsonl whole
ok "the page is the same, the seconds too" test "$(sed '$d' .out)" = "$(sed '$d' first)"

# A record whose last line was being written when the machine stopped.
head -c "$(($(wc -c <whole) - 40))" whole >cells.jsonl
# shellcheck disable=SC2086
works "a line that was cut" "$finetune" $run --only overfitting
ok "its cell alone is run again" grep -q ' run 1 cells 2 ' .out
ok "to the same results" test "$(sed 's/.*results //;$!d' .out)" = "$(sed 's/.*results //;$!d' first)"
ok "and the same line but for the seconds" test "$(sed 's/,"seconds".*//' cells.jsonl)" = "$(sed 's/,"seconds".*//' whole)"

# Another seed is another cell; a change of the base too.
# shellcheck disable=SC2086
works "two seeds" "$finetune" $run --only overfitting --seeds 2
ok "two more cells" grep -q ' run 2 cells 4 ' .out
works "another base" "$finetune" pretrain --data world/train.txt --valid 0 --vocab 300 --layers 1 --dim 8 --heads 1 --ffn 8 --ctx 128 --batch 2 --steps 3 --out other
works "its cells" "$finetune" claims --base other --out out --record cells.jsonl --only overfitting
ok "are new ones" grep -q ' run 2 cells 2 ' .out

# The second cell's run ends as in a power cut: the first one is in the record.
rm -f cells.jsonl
(
    FINETUNE_FAIL=kill:150
    export FINETUNE_FAIL
    # shellcheck disable=SC2086
    "$finetune" $run --only overfitting >.out 2>.err
)
ok "killed" test ! -s .out
# shellcheck disable=SC2086
works "after a kill" "$finetune" $run --only overfitting
ok "the same results" test "$(sed 's/.*results //;$!d' .out)" = "$(sed 's/.*results //;$!d' first)"

before=$(state)
refused "claims needs --base DIR" claims --out out
refused "claims needs --out DIR" claims --base base
refused "did you mean labels" claims --base base --out out --only label
refused "no such model" claims --base none --out out
printf '{"key":1}\n' >bad.jsonl
before=$(state)
refused "bad.jsonl" claims --base base --out out --record bad.jsonl --only overfitting
# make claims without a base
failing 2 "make base first" sh "$OLDPWD/tinystories/claims.sh" nobase out 1

finish
