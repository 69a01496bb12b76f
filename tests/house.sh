#!/bin/sh
# The house, by grep: includes run strictly downward, nothing that decides bits comes from libc, OpenMP stands in one header, files
# and lines have the length of a page. Run from the top of the checkout.
set -u
passed=0 failed=0
product=$(ls ./*.c ./*.h tinystories/*.c tinystories/*.h | sed 's|^\./||')

check() { # WHAT FINDINGS: passes when there are none
    if [ -z "$2" ]; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        printf 'house: %s\n%s\n' "$1" "$2"
    fi
}

# ---- includes -------------------------------------------------------------------------------------------------------
# From the ground up. A header includes only what stands before it in the list; a .c file only what stands before its header, and
# that header. A .c file that needs something above its header has a place of its own. A new file has to find its place.
order="
fp.h simd.h fp.c stats.h parallel.h
base.h os.h base.c os_system.h os.c decimal.h json.h hash.h progress.h gguf.h
unicode_data.h width_data.h nfc_data.h unicode.h regex.h line.h
matmul.h kernel.h matmul.c ops.h attention.h
linear.h model.h pattern.h lora.h model.c pass.h gradcheck.h merge.h optim.h penalty.h
pretokenize.h tokenizer.h tokenizer_parts.h tokenizer.c
weights.h hf.h gguf_model.h cli.h opening.h dataset.h jinja.h rows.h overlap.h chat.h chat_parts.h chat.c examples.h eval.h sample.h
fisher.h material.h
suite.h likelihood.h score.h metric.h
run.h peft.h train.h train_parts.h plan.h
remedy.h
forget.h measure.h outcome.h trainer.h relearn.h sweep.h sweep_parts.h svg.h report.h
tinystories/tinystories.h tinystories/world.h
claims.h
commands.h"
# A .c file without a header of its own name stands with this one.
owner() {
    case " $(echo $order) " in *" $1 "*) echo "$1" && return ;; esac
    case $1 in
    main.c | cmd_*.c) echo commands.h ;;
    os_posix.c | os_windows.c) echo os_system.h ;;
    nfc.c) echo unicode.h ;;
    bpe_train.c | sentencepiece.c | tokenizer_*.c) echo tokenizer_parts.h ;;
    safetensors.c) echo weights.h ;;
    hf_*.c | llama2c.c) echo hf.h ;;
    gguf_quant.c | gguf_write.c) echo gguf.h ;;
    gguf_*.c) echo gguf_model.h ;;
    mlx.c) echo peft.h ;;
    decode.c | distil.c) echo pass.h ;;
    train.c | trial.c) echo train_parts.h ;;
    rows_*.c) echo rows.h ;;
    report_*.c) echo report.h ;;
    claims_*.c) echo claims.h ;;
    chat_*.c) echo chat_parts.h ;;
    sweep.c | sweep_*.c) echo sweep_parts.h ;;
    tinystories/*.c) echo tinystories/world.h ;;
    *.c) echo "${1%.c}.h" ;;
    *) echo unknown ;;
    esac
}
place() {
    n=0
    for header in $order; do
        n=$((n + 1))
        [ "$header" = "$1" ] && echo $n && return
    done
}
findings=
for file in $product; do
    own=$(owner "$file")
    at=$(place "$own")
    if [ -z "$at" ]; then
        findings="$findings$file: stands nowhere in the order of tests/house.sh
"
        continue
    fi
    for included in $(sed -n 's/^#include "\(.*\)".*/\1/p' "$file"); do
        case $file in tinystories/*) case $included in ../*) included=${included#../} ;; *) included=tinystories/$included ;; esac ;; esac
        below=$(place "$included")
        if [ -z "$below" ]; then findings="$findings$file includes $included, which stands nowhere in the order
"
        elif [ "$below" -gt "$at" ] || { [ "$below" -eq "$at" ] && [ "${file%.h}" != "$file" ]; }; then
            [ "$included" = "$own" ] && continue
            findings="$findings$file includes $included, which stands above $own
"
        fi
    done
done
check "includes run downward" "$findings"

# ---- what decides bits ------------------------------------------------------------------------------------------------
# Names of functions that differ between libc's, or that a compiler may round otherwise. Comments are cut away first.
code() { # FILE: without comments and strings, with line numbers
    awk '{
        line = $0; out = ""
        gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
        while (length(line)) {
            if (inside) { i = index(line, "*/"); if (!i) { line = ""; break } inside = 0; line = substr(line, i + 2) }
            else { i = index(line, "/*"); if (!i) { out = out line; line = "" } else { out = out substr(line, 1, i - 1); line = substr(line, i + 2); inside = 1 } }
        }
        print FILENAME ":" FNR ": " out
    }' "$1"
}
search() { # PATTERN FILES…
    pattern=$1
    shift
    for file; do code "$file"; done | grep -E "$pattern"
}
forbidden='(^|[^a-z_A-Z0-9.>])(fma|fmaf|fmax|fmaxf|fmin|fminf|expf?|exp2f?|logf?|log2f?|log1pf?|expm1f?|powf?|sinf?|cosf?|tanhf?|erff?|cbrtf?|hypotf?|fmodf?|roundf?|rintf?|lrintf?|nearbyintf?|ldexpf?|frexpf?|qsort|rand|srand|random|drand48|strtod|strtof|atof|atoi|atol|strtol|setlocale|isalpha|isspace|isdigit|isupper|islower|tolower|toupper|strcoll|sprintf|gets|strcpyn|strtok) *\('
# shellcheck disable=SC2086
check "no function of libc decides a bit" "$(search "$forbidden" $product)"
# shellcheck disable=SC2086
check "no number with a fraction is printed into a file by printf" "$(grep -nE '(buf_format|out_text|str_format)\(.*%[-+0-9.]*[aefgAEFG]' $product)"
# shellcheck disable=SC2086
check "no reciprocal estimates, no reductions" "$(search '_rcp14|_rsqrt|_mm[0-9]*_rcp|reduction *\(|_mm512_reduce|_mm[0-9]*_hadd' $product)"
# shellcheck disable=SC2086
check "OpenMP stands in parallel.h alone" "$(search '# *pragma *omp|omp_(set|get)_[a-z]*threads|include <omp' $product | grep -v '^parallel\.h:')"
# shellcheck disable=SC2086
check "operating-system headers stand in os_posix.c and os_windows.c alone" \
    "$(search '# *include <(unistd|fcntl|windows|io|sys/[a-z]*|dirent|termios|time|poll|pthread|direct|process)\.h>' $product | grep -vE '^os_(posix|windows)\.c:')"
# shellcheck disable=SC2086
check "only main exits" "$(search '(^|[^a-z_])(exit|abort|_exit|quick_exit) *\(' $product | grep -vE '^(os[_a-z]*|base)\.c:')"

# ---- pages -----------------------------------------------------------------------------------------------------------
# shellcheck disable=SC2086
check "lines of at most 160 columns, better 140; texts of tests may be longer" \
    "$(LC_ALL=C awk '{ gsub(/[\200-\277]/, "") } length > (FILENAME ~ /^tests/ ? 205 : 160) { print FILENAME ":" FNR ": " length " columns" }' \
        $product tests/*.c tests/*.h)"
# shellcheck disable=SC2086
check "files of at most 700 lines, better 600" "$(wc -l $product tests/*.c tests/*.h | awk '$1 > 700 && $2 != "total" { print $2 ": " $1 " lines" }')"
# shellcheck disable=SC2086
check "no tabs, no spaces at the end of a line" "$(grep -nE "$(printf '\t')| \$" $product tests/*.c tests/*.h)"

echo "house: $passed passed, $failed failed"
[ $failed -eq 0 ]
