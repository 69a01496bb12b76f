#!/bin/sh
# The command line as a user meets it: help, mistakes, damaged files, full disks, power cuts, Ctrl-C. A mistake gives one line on
# standard error that names the place and the remedy, exit code 2, and leaves every file as it was.
#
#     FINETUNE=./finetune tests/cli.sh [--full]      --full: every fault instead of one in four
set -u
suite=cli
. tests/shell.sh
stride=4
[ "${1:-}" = --full ] && stride=1

# ---- a small model ----------------------------------------------------------------------------------------------------
repeat 40 cat_text >text.txt
shape="--data text.txt --valid 0.1 --vocab 280 --layers 1 --dim 8 --heads 2 --ffn 8 --ctx 8 --batch 3 --sample-tokens 4"
train() { "$finetune" pretrain $shape --steps 6 --eval-every 2 "$@"; }   # shellcheck disable=SC2086
run_hash() { "$finetune" check hash "$1" "$1/checkpoints/step-00000006" 2>&1 | cut -d' ' -f1,2; }
works "a first run" train --out model
works "another family and vocabulary" "$finetune" pretrain --data text.txt --vocab 300 --family gpt2 --layers 1 --dim 8 --heads 2 --ctx 16 --steps 1 --out other
whole=$(run_hash model)
printf '[[1,2,3,4,5],[5,4,3,2,1]]\n' >ids.json
printf '{"prompt":"the cat","completion":" sat"}\n' >task.jsonl

# ---- help -------------------------------------------------------------------------------------------------------------
commands=$("$finetune" --help | sed -n 's/^  \([a-z-]*\)  *[A-Za-z].*/\1/p')
for command in $commands "tokenizer train" "tokenizer encode" "tokenizer decode" "check hash" "check logits" "check grad"; do
    # shellcheck disable=SC2086
    "$finetune" $command --help >.out 2>.err
    code=$?
    if [ $code -eq 0 ] && grep -q '^example' .out && grep -q '^  finetune ' .out && [ ! -s .err ]; then pass; else fail "finetune $command --help: exit $code"; fi
done
ok "help lists the commands" test "$(echo "$commands" | wc -l)" -ge 7
ok "version" test "$("$finetune" version | grep -c '^bits_version [0-9]*$')" -eq 1

# ---- the call is wrong ------------------------------------------------------------------------------------------------
before=$(state)
refused "did you mean pretrain?" pretrian
refused "did you mean --steps?" pretrain $shape --out new --stesp 5
refused "see finetune pretrain --help" pretrain --zzzzzzzzz 1
for pair in learning-rate:lr max-seq-length:ctx gradient-accumulation-steps:micro-batch iters:steps batch-size:batch output-dir:out; do
    refused "did you mean --${pair#*:}?" pretrain $shape --out new "--${pair%:*}" 1
done
refused "--steps needs a value" pretrain $shape --out new --steps
refused "--steps takes a number" pretrain $shape --out new --steps many
refused "--steps takes a whole number" pretrain $shape --out new --steps 1.5
refused "--beta1 lies between 0 and" pretrain $shape --out new --beta1 1.5
refused "--resume is a switch" pretrain $shape --out new --resume=yes
refused "--schedule" pretrain $shape --out new --schedule cosin
refused "give one of them" pretrain $shape --out new --steps 3 --epochs 2
refused "--family" pretrain $shape --out new --family lama
refused "--size" pretrain --data text.txt --out new --size 3M
refused "no multiple of --heads" pretrain --data text.txt --out new --dim 10 --heads 4
refused "needs --data" pretrain --out new
refused "needs --model" generate
refused "did not expect" generate --model model one two
refused "check what?" check
refused "tokenizer what?" tokenizer
refused "no such file" pretrain --data nowhere.txt --out new
refused "no such model" generate --model nowhere
refused "no such file" pretrain --config nowhere.json
printf '{"steps": "six"}' >config.json
printf '{"stesp": 6}' >config2.json
printf '{"steps": 6' >config3.json
before=$(state)
refused "config.json: line 1: --steps cannot be a string" pretrain $shape --out new --config config.json
refused "did you mean --steps?" pretrain $shape --out new --config config2.json
refused "config3.json" pretrain $shape --out new --config config3.json

# ---- what exists is not overwritten -----------------------------------------------------------------------------------
refused "model exists" pretrain $shape --out model
refused "text.txt exists" pretrain $shape --out text.txt
refused "text.txt exists" pretrain $shape --out text.txt --force
refused "is no run of finetune" pretrain $shape --out "$top" --force
refused "holds no run to resume" pretrain $shape --out new --resume
refused "this run was begun with" pretrain $shape --out model --steps 7 --eval-every 2 --resume
refused "exists" stories --out model
refused "exists" tokenizer train --data text.txt --vocab 300 --out model
refused "ids.json exists" check logits --model model --ids ids.json --out ids.json
refused "ids.json exists" check grad --model model --ids ids.json --out ids.json
refused "ids.json exists" eval --model model --data task.jsonl --score exact --answers ids.json

# ---- texts, ids, vocabularies -----------------------------------------------------------------------------------------
: >empty.txt
printf '<|endoftext|>\n\n<|endoftext|>\n' >blank.txt
printf '[[1,2,3]' >ids1.json
printf '[[1,2,3],[1,2]]' >ids2.json
printf '[[1,2,99999]]' >ids3.json
printf '[[1,2,2.5]]' >ids4.json
printf '[[1,2,3,4,5,6,7,8,9,1,2]]' >ids5.json
awk 'BEGIN { printf "[[1"; for (i = 0; i < 300000; i++) printf ",1"; printf "]"; for (i = 0; i < 300000; i++) printf ",[]"; print "]" }' >ids6.json
printf '{"prompt":"a","completion":"b"}\n{"prompt":"a"}\n' >task1.jsonl
printf '{"prompt":"a","completion":"b"}\n{"prompt":"a",\n' >task2.jsonl
before=$(state)
for text in empty.txt blank.txt; do
    refused "$text" pretrain --data $text --out new
    refused "$text" eval --model model --data $text
    refused "$text" tokenizer train --data $text --vocab 300 --out new
done
refused "ids1.json" check logits --model model --ids ids1.json --out new
refused "equally long" check logits --model model --ids ids2.json --out new
refused "row 1 has 0 token ids" check logits --model model --ids ids6.json --out new # not room for 300000 times 300000
refused "token id" check grad --model model --ids ids3.json --out new
refused "token id" check logits --model model --ids ids4.json --out new
refused "context of 8" check logits --model model --ids ids5.json --out new
refused "context of 8" check grad --model model --ids ids5.json --out new
refused "context of 8" eval --model model --data text.txt --ctx 9
refused "context is 8" generate --model model "the cat number 1 sat on a mat and the dog ran to its house"
refused "task1.jsonl: line 2" eval --model model --data task1.jsonl --score exact
refused "task2.jsonl: line 2" eval --model model --data task2.jsonl --score exact
refused "do not fit the model's vocabulary of 280" generate --model model --tokenizer other
refused "do not fit the model's vocabulary of 280" eval --model model --tokenizer other --data text.txt
refused "--score" eval --model model --data task.jsonl --score exakt
refused "99999" tokenizer decode --tokenizer model 99999

# ---- damaged model folders --------------------------------------------------------------------------------------------
# damage FILE OFFSET BYTES(printf): a copy of the model with bytes of one file replaced; cut FILE BYTES: with it cut short
copy() {
    rm -rf damaged
    mkdir damaged
    cp model/*.json model/model.safetensors damaged/
}
damage() {
    copy
    printf "$3" | dd of="damaged/$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
    before=$(state)
}
cut_to() {
    copy
    head -c "$2" "model/$1" >"damaged/$1"
    before=$(state)
}
weights=$(($(wc -c <model/model.safetensors)))
header=$(($(od -A n -t u4 -N 4 model/model.safetensors)))
for size in 0 7 8 $((header / 2)) $((header + 8)) $((weights - 1)); do
    cut_to model.safetensors $size
    refused "damaged/model.safetensors" eval --model damaged --data text.txt
done
copy
printf 'x' >>damaged/model.safetensors
before=$(state)
refused "damaged/model.safetensors" generate --model damaged
damage model.safetensors 7 '\377'
refused "damaged/model.safetensors" generate --model damaged
damage model.safetensors 9 'x'
refused "damaged/model.safetensors" generate --model damaged
damage model.safetensors $((header + 8)) '\377\377\377\377'
refused "damaged/model.safetensors" generate --model damaged
refused "NaN" eval --model damaged --data text.txt
damage model.safetensors $((weights - 2)) '\200\177'
refused "infinite" eval --model damaged --data text.txt
for file in config.json tokenizer.json; do
    size=$(($(wc -c <model/$file)))
    for part in 0 1 $((size / 3)) $((size - 3)); do
        cut_to $file $part
        refused "damaged/$file" generate --model damaged
    done
    damage $file $((size / 2)) '\001'
    refused "damaged/$file" generate --model damaged
    rm damaged/$file && before=$(state)
    refused "damaged" generate --model damaged
done
copy
rm damaged/model.safetensors && before=$(state)
refused "damaged: no model.safetensors" generate --model damaged
sed 's/"num_hidden_layers": 1/"num_hidden_layers": 2/' model/config.json >damaged/config.json
cp model/model.safetensors damaged/ && before=$(state)
refused "damaged" generate --model damaged
sed 's/"model_type": "llama"/"model_type": "mamba"/' model/config.json >damaged/config.json && before=$(state)
refused "mamba" generate --model damaged
rm -rf damaged

# ---- full disks -------------------------------------------------------------------------------------------------------
if [ -c /dev/full ]; then
    for command in version --help "pretrain --help" "generate --model model the" "generate --model model --json the" "eval --model model --data text.txt" \
        "tokenizer encode --tokenizer model the" "tokenizer decode --tokenizer model 70 71" "check hash model"; do
        # shellcheck disable=SC2086
        failing 1 "standard output" sh -c '"$0" "$@" >/dev/full' "$finetune" $command
    done
    failing 1 "/dev/full" "$finetune" check logits --model model --ids ids.json --out /dev/full --force
    failing 1 "/dev/full" "$finetune" check grad --model model --ids ids.json --out /dev/full --force
    failing 1 "/dev/full" "$finetune" eval --model model --data task.jsonl --score exact --answers /dev/full --force
else echo "skipped: no /dev/full here"; fi
ok "the model is as it was" test "$(run_hash model)" = "$whole"

# ---- other ways to the same run ---------------------------------------------------------------------------------------
printf '{"data":"text.txt","valid":"0.1","vocab":280,"layers":1,"dim":8,"heads":2,"ffn":8,"ctx":8,"batch":3,"sample-tokens":4,"steps":99,"eval-every":2}' >config.json
works "--config, and flags that win over it" "$finetune" pretrain --config config.json --steps 6 --out configured
ok "--config gives the same bits" test "$(run_hash configured)" = "$whole"
works "--dry-run" train --out dry --dry-run
ok "--dry-run prints the settings" grep -q '^  steps 6' .err
ok "--dry-run writes nothing" test ! -e dry
works "one sample at a time, recomputed" train --out cut --micro-batch 1 --recompute --threads 1
ok "one sample at a time, recomputed: the same bits" test "$(run_hash cut)" = "$whole"
works "--stop-at" train --out stopped --stop-at 3
ok "--stop-at says how to go on" grep -q -- '--resume' .err
works "--resume after --stop-at" train --out stopped --resume
ok "--resume after --stop-at gives the same bits" test "$(run_hash stopped)" = "$whole"
works "--force replaces a run" train --out stopped --force
ok "--force gives the same bits" test "$(run_hash stopped)" = "$whole"
rm -rf configured cut stopped

# ---- faults while saving ----------------------------------------------------------------------------------------------
# From a run stopped after step 3 on, every write, sync, rename or allocation fails once, or the power goes. Whatever then stands
# there resumes to the same bits.
train --out half --stop-at 3 >.out 2>.err
faults() { # KIND EXIT-CODE STRIDE LEAST: faults that this kind must have had, at least
    n=1 tried=0
    while :; do
        rm -rf faulty && cp -R half faulty
        FINETUNE_FAIL=$1:$n train --out faulty --resume >.out 2>.err
        code=$?
        [ $code -eq 0 ] && break
        if [ $code -ne "$2" ]; then fail "$1:$n: exit $code, not $2: $(tail -n 1 .err)"
        elif [ "$2" -eq 1 ] && ! grep -q '^finetune: ' .err; then fail "$1:$n: no error line"
        elif ! train --out faulty --resume >.out 2>.err; then fail "$1:$n: does not resume: $(tail -n 1 .err)"
        elif [ "$(run_hash faulty)" != "$whole" ]; then fail "$1:$n: resumed to other bits"
        else pass; fi
        n=$((n + $3))
        tried=$((tried + 1))
        [ $tried -gt 400 ] && break
    done
    [ $n -gt "$4" ] || fail "$1: only $n faults in a run"
    rm -rf faulty
}
faults write 1 $stride 20
faults sync 1 $stride 20
faults rename 1 $stride 10
faults kill 137 $stride 60
# Allocations are many; failures of the first ones come before the run begins.
for n in 1 2 3 5 9 17 40 100 250 600 1500; do
    rm -rf faulty && cp -R half faulty
    FINETUNE_FAIL=alloc:$n train --out faulty --resume >.out 2>.err
    code=$?
    if [ $code -ne 0 ] && [ $code -ne 1 ]; then fail "alloc:$n: exit $code: $(tail -n 1 .err)"
    elif [ $code -eq 1 ] && ! grep -q 'memory' .err; then fail "alloc:$n: does not speak of memory: $(cat .err)"
    elif ! train --out faulty --resume >.out 2>.err || [ "$(run_hash faulty)" != "$whole" ]; then fail "alloc:$n: does not resume to the same bits"
    else pass; fi
done
# The same in a run that begins: before its first checkpoint it can be resumed from nothing, or replaced.
for n in 1 2 3 4 5 7 9; do
    rm -rf faulty
    FINETUNE_FAIL=kill:$n train --out faulty >.out 2>.err
    works "kill:$n of a new run" train --out faulty --resume
    ok "kill:$n of a new run: the same bits" test "$(run_hash faulty)" = "$whole"
    rm -rf faulty
    FINETUNE_FAIL=kill:$n train --out faulty >.out 2>.err
    works "kill:$n of a new run: --force" train --out faulty --force
done
# A file that is written over a good one: the old one stays.
"$finetune" check logits --model model --ids ids.json --out logits >.out 2>.err
old=$(cksum <logits)
for fault in write:1 sync:1 rename:1; do
    FINETUNE_FAIL=$fault failing 1 logits "$finetune" check logits --model other --ids ids.json --out logits --force
    ok "$fault: the old file is whole" test "$(cksum <logits)" = "$old"
done

# ---- damaged checkpoints ----------------------------------------------------------------------------------------------
newest=checkpoints/step-00000003
for file in model.safetensors state.safetensors state.json config.json; do
    rm -rf faulty && cp -R half faulty
    head -c 50 half/$newest/$file >faulty/$newest/$file
    works "a damaged $file: goes on from the checkpoint before" train --out faulty --resume
    ok "a damaged $file is named" grep -q "passed over: .*$file" .err
    ok "a damaged $file: the same bits" test "$(run_hash faulty)" = "$whole"
done
rm -rf faulty && cp -R half faulty
for file in faulty/checkpoints/*/state.safetensors; do printf 'x' >>"$file"; done
before=$(state)
"$finetune" pretrain $shape --steps 6 --eval-every 2 --out faulty --resume >.out 2>.err
code=$?
ok "no checkpoint is whole: exit $code, not 2" test $code -eq 2
ok "no checkpoint is whole: says so: $(tail -n 1 .err)" grep -q '^finetune: faulty/checkpoints: ' .err
ok "no checkpoint is whole: nothing changed" test "$(state)" = "$before"
rm -rf faulty

# ---- Ctrl-C, and two trainers -----------------------------------------------------------------------------------------
long="$shape --steps 4000 --eval-every 1000 --save-every 1000"
# shellcheck disable=SC2086
"$finetune" pretrain $long --out interrupted >.out 2>.err &
trainer=$!
i=0
while [ $i -lt 100 ] && [ "$(cat interrupted/log.jsonl 2>/dev/null | wc -l)" -lt 5 ]; do sleep 0.1 && i=$((i + 1)); done
# shellcheck disable=SC2086
failing 2 "another finetune is training here" "$finetune" pretrain $long --out interrupted --resume
kill -INT $trainer
wait $trainer
code=$?
ok "Ctrl-C: exit $code, not 130" test $code -eq 130
ok "Ctrl-C says how to go on" grep -q -- "finetune pretrain .* --out interrupted --resume" .err
ok "Ctrl-C finishes the step: as many lines as steps" test "$(grep -c '"loss"' interrupted/log.jsonl)" -eq "$(sed -n 's/.*stopped after step \([0-9]*\).*/\1/p' .err)"
steps=$(sed -n 's/.*stopped after step \([0-9]*\).*/\1/p' .err)
stop=$((steps + 5))
# shellcheck disable=SC2086
works "resumes after Ctrl-C" "$finetune" pretrain $long --out interrupted --resume --stop-at $stop
# shellcheck disable=SC2086
"$finetune" pretrain $long --out straight --stop-at $stop >.out 2>.err
name=checkpoints/step-$(printf '%08d' $stop)
ok "resumed after Ctrl-C: the same bits" test "$("$finetune" check hash interrupted/$name | cut -d' ' -f2)" = "$("$finetune" check hash straight/$name | cut -d' ' -f2)"
ok "resumed after Ctrl-C: the same log" cmp -s interrupted/log.jsonl straight/log.jsonl

finish
