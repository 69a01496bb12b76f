#!/bin/sh
# The same bits from every compiler, optimisation level, instruction set and system that is here: builds tests/golden.c each way and
# lets it compare with tests/golden.txt. What is not here is named at the end.
#
#     tests/bits.sh [--quick]      --quick: one way of each kind, a few minutes on two cores
set -u
cd "$(dirname "$0")/.." || exit 1
quick=
[ "${1:-}" = --quick ] && quick=1
export OMP_WAIT_POLICY=passive
passed=0 failed=0 skipped=
log=build/bits.log
mkdir -p build

skip() {
    skipped="$skipped  $*
"
}
have() { command -v "$1" >/dev/null 2>&1; }
verdict() { # NAME STATUS: what the program said stands in the log
    if [ "$2" -eq 0 ] && grep -q '^golden: [1-9][0-9]* passed, 0 failed' "$log"; then
        passed=$((passed + 1))
        echo "same bits  $1"
    else
        failed=$((failed + 1))
        echo "FAILED     $1"
        tail -n 20 "$log"
    fi
}

# golden CC ARCH OPT OPENMP RUNNER ARGUMENTS…: builds and runs one. EXTRA: more compiler flags. No arguments: all five ways.
golden() {
    cc=$1 arch=$2 opt=$3 openmp=$4 runner=$5
    shift 5
    name="$cc $arch $opt OPENMP=$openmp ${EXTRA:-} ${runner##*/} ${*:-(five ways)}"
    if ! have "$cc"; then skip "$cc" && return; fi
    case $arch in
    *-v3) grep -qw avx2 /proc/cpuinfo 2>/dev/null || { skip "$name: this CPU has no AVX2" && return; } ;;
    *-v4) grep -qw avx512vl /proc/cpuinfo 2>/dev/null || { skip "$name: this CPU has no AVX-512" && return; } ;;
    esac
    make -s golden-program CC="$cc" ARCH="$arch" OPT="$opt" OPENMP="$openmp" CFLAGS="${EXTRA:-}" >"$log" 2>&1
    status=$?
    program=$(make -s golden-path CC="$cc" ARCH="$arch" OPT="$opt" OPENMP="$openmp" CFLAGS="${EXTRA:-}")
    [ -x "$program" ] || program=$program.exe
    if [ $status -eq 0 ]; then
        $runner "$program" "$@" >"$log" 2>&1
        status=$?
    fi
    verdict "$name" $status
}

mixed="--threads 2 --micro-batch 4 --stop 7"          # a way of each kind for builds that are too slow for all five
other="--threads 3 --micro-batch 1 --recompute"
plain="--threads 1 --micro-batch 8"

# shellcheck disable=SC2086
{
    golden gcc native -O3 1 ""
    golden gcc native -O0 1 "" $mixed
    golden gcc x86-64 -O2 1 "" $other
    golden clang native -O3 1 ""
    golden tcc x86-64 -O0 0 "" $mixed
    if [ -z "$quick" ]; then
        golden gcc x86-64 -O0 0 "" $mixed
        golden gcc x86-64 -O3 1 "" $plain
        for arch in x86-64-v3 x86-64-v4; do
            for opt in -O0 -O2 -O3; do golden gcc $arch $opt 1 ""; done
            for opt in -O0 -O3; do golden clang $arch $opt 1 ""; done
            golden gcc $arch -O3 0 "" $plain
            golden clang $arch -O3 0 "" $mixed
        done
        golden clang x86-64 -O0 0 "" $other
        golden clang x86-64 -O3 1 "" $mixed
    else golden clang x86-64 -O0 0 "" $plain
    fi
    EXTRA=-static
    golden musl-gcc x86-64-v3 -O3 0 "" $mixed
    [ -z "$quick" ] && golden musl-gcc x86-64 -O2 0 "" $plain
    for machine in aarch64 riscv64; do
        if ! have qemu-$machine; then skip "$machine: no qemu-$machine"
        elif have $machine-linux-gnu-gcc && ! echo '#include <stdio.h>' | $machine-linux-gnu-gcc -E - >/dev/null 2>&1; then skip "$machine: no C library for its compiler"
        else golden $machine-linux-gnu-gcc generic -O2 0 qemu-$machine $mixed; fi
    done
    EXTRA=
    wine=wine
    have wine64 && wine=wine64
    if [ -n "$quick" ]; then skip "Windows: not in the quick part"
    elif have $wine; then WINEDEBUG=-all golden x86_64-w64-mingw32-gcc x86-64 -O2 0 $wine $plain
    else skip "Windows: no wine"; fi
}

# Without make: one compiler call, without any flag that a tier needs.
if have cc; then
    mkdir -p build/plain
    main_free=$(ls ./*.c tinystories/*.c | grep -v '/main\.c$')
    # shellcheck disable=SC2086
    cc -O2 -ffp-contract=off $main_free tests/golden.c -lm -o build/plain/golden >"$log" 2>&1 && build/plain/golden $plain >"$log" 2>&1
    verdict "cc -O2 -ffp-contract=off *.c tinystories/*.c -lm" $?
fi

# What cannot give the same bits must not compile.
refuses() { # WORDS FLAGS…
    words=$1
    shift
    if gcc "$@" -fsyntax-only -x c fp.h >"$log" 2>&1 || ! grep -q "$words" "$log"; then
        failed=$((failed + 1))
        echo "FAILED     gcc $*: compiles, or does not say: $words"
    else passed=$((passed + 1)); fi
}
if have gcc; then
    refuses "fast-math" -Ofast
    refuses "fast-math" -ffast-math
    refuses "little-endian" -U__BYTE_ORDER__ -D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__
    case $(gcc -dumpmachine) in x86_64*) refuses "64-bit targets only" -m32 -ffreestanding -D_STRING_H -msse2 -mfpmath=sse ;; esac
fi

[ -n "$skipped" ] && printf 'skipped, not here:\n%s' "$skipped"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
