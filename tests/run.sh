#!/bin/sh
# Runs every test program in a build folder, then the command line's tests and the house's, and adds up their closing lines
# `NAME: N passed, N failed`. A program that ends without one has crashed and counts as a failed test.
#
#     run.sh build/gcc-x86-64-v4--O3-openmp [FILTER]      FILTER: only programs whose name holds it
set -u
dir=${1:?a build folder}
filter=${2:-}
# On a busy machine a thread that waits must not keep another from working.
export OMP_WAIT_POLICY=passive
export FINETUNE="$dir/finetune"
passed=0 failed=0
log=$dir/test.log
# Hundreds of small checkpoints are made durable one by one: in memory, where there is such a file system, none waits for the disk.
if [ -w /dev/shm ] && [ -z "${SCRATCH:-}" ]; then
    SCRATCH=/dev/shm/finetune-$$
    export SCRATCH
    mkdir "$SCRATCH" && trap 'rm -rf "$SCRATCH"' EXIT
fi

run() { # NAME COMMAND…
    name=$1
    shift
    case $name in *"$filter"*) ;; *) return ;; esac
    "$@" >"$log" 2>&1
    status=$?
    closing=$(sed -n 's/^.*: \([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1)
    good=${closing% *} bad=${closing#* }
    if [ -z "$closing" ] || { [ $status -ne 0 ] && [ "$bad" = 0 ]; }; then
        good=${good:-0} bad=1
        echo "$name: ended with exit status $status" >>"$log"
    fi
    passed=$((passed + good)) failed=$((failed + bad))
    if [ "$bad" -ne 0 ]; then cat "$log"; else grep -E '^skipped|passed, ' "$log"; fi
}

for program in "$dir"/test_* "$dir"/f64/grad_* "$dir"/golden; do
    case $program in *.d | *.o | *'*') continue ;; esac
    run "$(basename "$program")" "$program"
done
run house sh tests/house.sh
for script in tests/cli*.sh; do run "$(basename "$script" .sh)" sh "$script"; done

echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
