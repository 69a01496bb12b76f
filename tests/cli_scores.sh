#!/bin/sh
# Answers and scores as a user meets them: generate --data, eval --score, the base beside the tuned model, train --metric and --test.
#
#     FINETUNE=./finetune tests/cli_scores.sh
set -u
suite=cli_scores
. tests/shell.sh

rows() {
    printf 'the cat number %d sat on a mat\n<|endoftext|>\n' $((i * 7 % 41)) >>text.txt
    printf '{"prompt":"cat %d:","completion":" %s"}\n' $i "$([ $((i % 2)) = 0 ] && echo even || echo odd)" >>rows.jsonl
    printf '{"query":"cat %d:","choices":["even","odd","on a mat"],"gold":%d}\n' $i $((i % 2)) >>choices.jsonl
}
repeat 60 rows
works "a base" "$finetune" pretrain --data text.txt --valid 0 --vocab 280 --layers 2 --dim 16 --heads 2 --ffn 32 --ctx 64 --batch 8 --steps 20 --lr 0.01 --out base
tune() { "$finetune" train --model base --data rows.jsonl --lr 0.02 --batch 8 --warmup 0 "$@"; }
works "an adapter that knows" tune --lora --valid 0 --epochs 20 --out adapter
works "and all weights" tune --valid 0 --epochs 8 --out tuned
score() { "$finetune" eval --data rows.jsonl --score exact "$@"; }
field() { sed -n "$1p" .out | tr ' ' '\n' | grep -A 1 -x "$2" | tail -n 1; }   # LINE NAME: of the last results

# ---- eval -------------------------------------------------------------------------------------------------------------
works "eval of the base" score --model base
ok "one line, as ever" grep -qx 'exact 0 low 0 high 0.06017[0-9]* right 0 rows 60' .out
works "an adapter beside its base" score --model base --adapter adapter --answers a1.jsonl --threads 1
ok "four words begin its lines" test "$(cut -d' ' -f1,2 .out | tr '\n' ' ')" = "model tuned model base difference exact "
exact=$(field 1 exact) && right=$(field 1 right)
ok "it has learned something: $exact" test "$right" -ge 30
ok "the base is what it is alone" test "$(field 2 right)" -eq 0
ok "the difference is paired: $(sed -n 3p .out)" test "$(field 3 mean) $(field 3 better) $(field 3 worse)" = "$exact $right 0"
works "the same with three threads" score --model base --adapter adapter --answers a3.jsonl --threads 3
ok "threads change no byte of the answers" cmp -s a1.jsonl a3.jsonl
ok "a line holds both models' answers" test "$(grep -c '"answer":.*"right":.*"base_answer":.*"base_right":false' a1.jsonl)" -eq 60
ok "rights are counted" test "$(grep -c '"right":true' a1.jsonl)" -eq "$right"
works "another folder as the base" score --model tuned --base base
ok "the same three lines" test "$(cut -d' ' -f1,2 .out | tr '\n' ' ')" = "model tuned model base difference exact "
works "a model beside itself" score --model tuned --base tuned
ok "differs by 0" test "$(field 3 mean) $(field 3 better) $(field 3 worse)" = "0 0 0"
works "contains" "$finetune" eval --model tuned --data rows.jsonl --score contains --tokens 8
works "regex, one for all rows" "$finetune" eval --model tuned --data rows.jsonl --score regex --pattern '^(even|odd)$'
ok "the form is kept: $(cat .out)" test "$(field 1 right)" -ge 55
printf '{"prompt":"cat 1:","completion":"{\\"a\\": 1}"}\n' >json.jsonl
works "json" "$finetune" eval --model tuned --data json.jsonl --score json --json
ok "json says how many are JSON at all" grep -q '"json":0,.*"valid_json":0' .out
sed 's/"completion":.*/"completion":" 7"}/' rows.jsonl >sevens.jsonl
sed 's/"completion":.*/"completion":" 8"}/' rows.jsonl >eights.jsonl
works "a model that says 7" "$finetune" train --model base --data sevens.jsonl --lr 0.02 --batch 8 --warmup 0 --valid 0 --epochs 4 --out seven
works "json that is equal" "$finetune" eval --model seven --data sevens.jsonl --score json
ok "7 is 7: $(cat .out)" test "$(field 1 json) $(field 1 valid_json)" = "1 1"
works "json that is not" "$finetune" eval --model seven --data eights.jsonl --score json --answers eights.answers
ok "7 is JSON, but not 8: $(cat .out)" test "$(field 1 json) $(field 1 valid_json)" = "0 1"
ok "and so says each row" test "$(grep -c '"right":false,"valid_json":true' eights.answers)" -eq 60
works "choices" "$finetune" eval --model tuned --data choices.jsonl --score choice --answers c1.jsonl --threads 1
ok "choices have three measures and their errors" grep -qE '^acc [0-9.]+ low [0-9.]+ high [0-9.]+ acc_stderr [0-9.]+ acc_norm [0-9.]+ acc_norm_stderr [0-9.]+ acc_bytes [0-9.]+ acc_bytes_stderr [0-9.]+ right [0-9]+ rows 60$' .out
works "choices with three threads" "$finetune" eval --model tuned --data choices.jsonl --score choice --answers c3.jsonl --threads 3
ok "threads change no byte of the likelihoods" cmp -s c1.jsonl c3.jsonl
works "choices of an adapter and its base" "$finetune" eval --model base --adapter adapter --data choices.jsonl --score choice
ok "each measure's difference" test "$(grep -c '^difference acc' .out)" -eq 3
mkdir folder && cp rows.jsonl folder/test.jsonl && cp json.jsonl folder/train.jsonl
works "a folder's test file" "$finetune" eval --model tuned --data folder --score exact
ok "its rows" test "$(field 1 rows)" -eq 60
printf '{"prompt":"%0100d cat 2:","completion":" even"}\n' 1 >long.jsonl
works "a prompt beyond the context is cut" "$finetune" eval --model tuned --data long.jsonl --score exact --answers long.answers
ok "and said to be" grep -q '1 prompts were longer than the context and lost their left' .err
ok "and marked" grep -q '"cut":true' long.answers

# ---- generate --data --------------------------------------------------------------------------------------------------
answer() { "$finetune" generate --model tuned --data "$@"; }
works "answers to rows" answer rows.jsonl --out g1.jsonl --threads 1 --tokens 20 --stop '\n'
ok "a line a row, in order" test "$(sed -n 's/.*"row":\([0-9]*\),.*/\1/p' g1.jsonl | tr '\n' ' ')" = "$(i=0; while [ $i -lt 60 ]; do printf '%d ' $i; i=$((i + 1)); done)"
ok "eval's answers are these" test "$(sed 's/.*"answer":\("[^"]*"\).*/\1/' g1.jsonl | cksum)" = "$(score --model tuned --tokens 20 --answers e.jsonl >.out 2>.err; sed 's/.*"answer":\("[^"]*"\).*/\1/' e.jsonl | cksum)"
works "with three threads" answer rows.jsonl --out g3.jsonl --threads 3 --tokens 20 --stop '\n'
ok "threads change no byte" cmp -s g1.jsonl g3.jsonl
works "an adapter's answers" "$finetune" generate --model base --adapter adapter --data rows.jsonl --out ga.jsonl --tokens 9
works "drawn answers" answer rows.jsonl --out d1.jsonl --temperature 1 --seed 3 --tokens 9
works "drawn again" answer rows.jsonl --out d2.jsonl --temperature 1 --seed 3 --tokens 9 --threads 1
ok "the same draws" cmp -s d1.jsonl d2.jsonl
printf '{"messages":[{"role":"user","content":"hello"},{"role":"assistant","content":"hi"},{"role":"user","content":"cat 3:"},{"role":"assistant","content":"odd"}]}\n' >messages.jsonl
works "messages up to the last assistant turn" answer messages.jsonl --out m.jsonl --template chatml --system none --tokens 5
ok "are the prompt" grep -qF '"prompt":"<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\nhi<|im_end|>\n<|im_start|>user\ncat 3:<|im_end|>\n<|im_start|>assistant\n","completion":"odd"' m.jsonl
printf '[{"instruction":"cat 3:","input":"now"}]' >alpaca.json
works "Alpaca without an answer" answer alpaca.json --out al.jsonl --template alpaca --tokens 5
ok "has the form that training gives it" grep -qF '### Instruction:\ncat 3:\n\n### Input:\nnow\n\n### Response:\n","answer":' al.jsonl
works "input_ids" sh -c 'printf "%s\n" "{\"input_ids\":[0,70,71,72],\"labels\":[-100,-100,71,72]}" >ids.jsonl; "$0" generate --model tuned --data ids.jsonl --out i.jsonl --tokens 3' "$finetune"

# ---- train --metric, --test -------------------------------------------------------------------------------------------
metric() { tune --valid 0.3 --steps 12 --eval-every 3 --metric exact --test rows.jsonl "$@"; }
works "the best step by a score" metric --out m1 --threads 1
ok "each evaluation has one" test "$(grep -c '"valid_loss":.*"valid_score":' m1/log.jsonl)" -eq 4
ok "the test set is reported: $(head -n 1 .out)" grep -qE '^test_loss [0-9.]+ test_exact [0-9.]+ low [0-9.]+ high [0-9.]+ rows 60$' .out
best=$(sed -n 's/.*"step":\([0-9]*\),"valid_loss":.*"best":true.*/\1/p' m1/log.jsonl | tail -n 1)
ok "of the best step: $best" grep -q "\"step\":$best,\"test_loss\"" m1/log.jsonl
ok "and is what eval says of OUT" test "$("$finetune" eval --model m1 --data rows.jsonl --score exact 2>.err | cut -d' ' -f2)" = "$(sed -n 's/.*"test_score":\([^,]*\),.*/\1/p' m1/log.jsonl)"
works "in pieces" metric --out m2 --stop-at 5 --threads 3 --micro-batch 1
works "resumed" metric --out m2 --resume
ok "resuming leaves every byte" test "$("$finetune" check hash m2 | cut -d' ' -f2)" = "$("$finetune" check hash m1 | cut -d' ' -f2)"
for run in m1 m2; do "$finetune" check hash $run/checkpoints/step-00000012 | cut -d' ' -f2 >.hash-$run; done
ok "and the checkpoints" cmp -s .hash-m1 .hash-m2
works "resumed when it is over" metric --out m1 --resume
ok "changes nothing" test "$("$finetune" check hash m2 | cut -d' ' -f2)" = "$("$finetune" check hash m1 | cut -d' ' -f2)"
works "an adapter's test" tune --lora --steps 2 --valid 0 --test rows.jsonl --out m3
ok "loss alone" grep -qE '^test_loss [0-9.]+ rows 60$' .out

# ---- mistakes ---------------------------------------------------------------------------------------------------------
printf '{"text":"a"}\n' >texts.jsonl
printf '{"prompt":"a","completion":"("}\n' >bad-regex.jsonl
printf '{"prompt":"a","completion":" "}\n' >blank.jsonl
printf '{"query":"a","choices":["b",""],"gold":0}\n' >blank-choice.jsonl
before=$(state)
refused "did you mean exact?" eval --model tuned --data rows.jsonl --score exakt
refused "--pattern belongs to --score regex" eval --model tuned --data rows.jsonl --score exact --pattern a
refused "a ( without its ) at character 2" eval --model tuned --data rows.jsonl --score regex --pattern '('
refused "bad-regex.jsonl: line 1: the regular expression" eval --model tuned --data bad-regex.jsonl --score regex
refused "rows.jsonl: line 1: --score json: the right answer is no JSON value" eval --model tuned --data rows.jsonl --score json
refused "blank.jsonl: line 1: the right answer is empty" eval --model tuned --data blank.jsonl --score contains
refused "texts.jsonl: line 1: no right answer" eval --model tuned --data texts.jsonl --score exact
refused "its rows are of the kind prompt/completion; --score choice wants" eval --model tuned --data rows.jsonl --score choice
refused "which --score choice scores" eval --model tuned --data choices.jsonl --score exact
refused "choice 1 is empty" eval --model tuned --data blank-choice.jsonl --score choice
refused "--tokens belongs to --score" eval --model tuned --data text.txt --tokens 3
refused "--base belongs to --score" eval --model tuned --data text.txt --base base
refused "shorten it, or let it be cut" eval --model tuned --data long.jsonl --score exact --long refuse
refused "a1.jsonl exists" eval --model tuned --data rows.jsonl --score exact --answers a1.jsonl
refused "the folder holds no test" eval --model tuned --data base --score exact
refused "g1.jsonl exists" generate --model tuned --data rows.jsonl --out g1.jsonl
refused "needs --out" generate --model tuned --data rows.jsonl
refused "--out belongs to --data" generate --model tuned --out new "the cat"
refused "a prompt and --data" generate --model tuned --data rows.jsonl --out new "the cat"
refused "--samples belongs to a prompt" generate --model tuned --data rows.jsonl --out new --samples 2
refused "needs held-out rows" train --model base --data rows.jsonl --valid 0 --metric exact --out new
refused "did you mean exact?" train --model base --data rows.jsonl --metric exat --out new
refused "did you mean regex?" train --model base --data rows.jsonl --metric regexx --out new
if [ -c /dev/full ]; then
    failing 1 "/dev/full" "$finetune" generate --model tuned --data rows.jsonl --tokens 2 --out /dev/full --force
fi
finish
