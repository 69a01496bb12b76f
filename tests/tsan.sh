#!/bin/sh
# Training steps of every family, updates and whole runs under ThreadSanitizer. OpenMP's own library is not built for it, so it needs
# libarcher.so, which tells the sanitizer where threads wait for each other; without that, loops without a race are reported.
set -u
cd "$(dirname "$0")/.." || exit 1
archer=
for place in "$(clang -print-resource-dir 2>/dev/null)/../.." /usr/lib/llvm-*/lib; do
    [ -z "$archer" ] && [ -e "$place/libarcher.so" ] && archer=$place/libarcher.so
done
if [ -z "$archer" ]; then
    echo "skipped: ThreadSanitizer needs clang, and libomp with its libarcher.so (Debian: clang libomp-dev)"
    echo "tsan: 0 passed, 0 failed"
    exit 0
fi
flags="CC=clang OPT=-O1 SAN=tsan ARCH=${ARCH:-native}"
# shellcheck disable=SC2086
make -s golden-program $flags CFLAGS="-g -fsanitize=thread" || exit 1
# shellcheck disable=SC2086
program=$(make -s golden-path $flags CFLAGS="-g -fsanitize=thread")
export OMP_TOOL_LIBRARIES="$archer" TSAN_OPTIONS="ignore_noninstrumented_modules=1 exitcode=66 log_path=stdout" OMP_WAIT_POLICY=passive
"$program" --threads 4 --micro-batch 4 >build/tsan.log 2>&1
status=$?
races=$(grep -c 'WARNING: ThreadSanitizer' build/tsan.log)
if [ $status -eq 0 ] && [ "$races" -eq 0 ] && grep -q '^golden: [1-9][0-9]* passed, 0 failed' build/tsan.log; then echo "tsan: 1 passed, 0 failed"; else
    tail -n 60 build/tsan.log
    echo "$races races, exit status $status"
    echo "tsan: 0 passed, 1 failed"
    exit 1
fi
