# What the tests of the command line share: a folder of their own, and checks that count. Sourced, with $suite set, from the top of the checkout.
#
#     suite=cli . tests/shell.sh
finetune=${FINETUNE:-./finetune}
case $finetune in /*) ;; *) finetune=$PWD/$finetune ;; esac
export OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive
unset FINETUNE_FAIL
passed=0 failed=0
top=${SCRATCH:-$PWD/build}/$suite-$$
mkdir -p "$top"
trap 'rm -rf "$top"' EXIT
trap 'exit 130' INT TERM
cd "$top" || exit 1

pass() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    printf '%s: %s\n' "$suite" "$*"
}
ok() { # WHAT COMMAND…: it succeeds
    what=$1
    shift
    if "$@"; then pass; else fail "$what"; fi
}
works() { # WHAT COMMAND…: the same, with what it says kept in .out and .err
    what=$1
    shift
    if "$@" >.out 2>.err; then pass; else fail "$what: $(tail -n 1 .err)"; fi
}
# Every file of the working folder but what this script itself writes.
state() { find . -type f ! -name '.*' ! -name run.lock -exec cksum {} + | LC_ALL=C sort | cksum; }

# refused WORDS FLAGS…: exit 2, one line that holds the words, nothing on standard output, no file changed.
refused() {
    words=$1
    shift
    "$finetune" "$@" >.out 2>.err </dev/null
    code=$?
    now=$(state)
    if [ $code -ne 2 ]; then fail "finetune $*: exit $code, not 2: $(tail -n 1 .err)"
    elif [ "$(grep -c "^finetune: " .err)" -ne 1 ] || ! tail -n 1 .err | grep -q "^finetune: "; then fail "finetune $*: not one line of error: $(cat .err)"
    elif ! grep -qF -e "$words" .err; then fail "finetune $*: does not say \"$words\": $(cat .err)"
    elif [ -s .out ]; then fail "finetune $*: refused, but wrote to standard output"
    elif [ "$now" != "$before" ]; then fail "finetune $*: refused, but changed files" && before=$now
    else pass; fi
}
# failing CODE WORDS COMMAND…: another exit code, the words somewhere on standard error.
failing() {
    expected=$1 words=$2
    shift 2
    "$@" >.out 2>.err </dev/null
    code=$?
    if [ $code -ne "$expected" ]; then fail "$*: exit $code, not $expected: $(tail -n 1 .err)"
    elif ! grep -qF -e "$words" .err; then fail "$*: does not say \"$words\": $(cat .err)"
    else pass; fi
}
# repeat N COMMAND…: N times, $i counting from 1.
repeat() {
    i=0 times=$1
    shift
    while [ $i -lt "$times" ]; do i=$((i + 1)) && "$@"; done
}
# What most suites train on: documents that are alike, and rows that ask about them.
cat_text() { printf 'the cat number %d sat on a mat and the dog ran to its house\n<|endoftext|>\n' $((i * 7 % 41)); }
cat_row() { printf '{"prompt":"the cat number %d","completion":" is %d, it sat%.*s"}\n' $i $((i * 3)) $((i % 7)) "on mat"; }

# What a run of seven steps leaves: its folder, and the checkpoint of its last step.
whole() { "$finetune" check hash "$1" "$1/checkpoints/step-00000007" 2>&1 | cut -d' ' -f1,2; }
# same NAME FLAGS…: seven steps at once, and the same in pieces; held-out rows and early stopping take part.
same() {
    name=$1
    shift
    set -- train --data rows.jsonl --valid 0.2 --steps 7 --eval-every 2 --batch 5 --lr 0.01 "$@"
    rm -rf one cut parts
    works "$name" "$finetune" "$@" --out one --threads 1
    works "$name, one sample at a time, recomputed" "$finetune" "$@" --out cut --micro-batch 1 --recompute --threads 2
    works "$name, until step 3" "$finetune" "$@" --out parts --micro-batch 2 --stop-at 3 --threads 3
    works "$name, resumed" "$finetune" "$@" --out parts --micro-batch 3 --resume --recompute
    ok "$name: micro-batches and recomputing leave every byte" test "$(whole cut)" = "$(whole one)"
    ok "$name: stopping and resuming leave every byte" test "$(whole parts)" = "$(whole one)"
}
# The last command of a suite.
finish() {
    echo "$suite: $passed passed, $failed failed"
    [ $failed -eq 0 ] && [ $passed -gt 0 ]
}
