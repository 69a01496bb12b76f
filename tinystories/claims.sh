#!/bin/sh
# The claims: what is said about fine-tuning, as experiments from one base. `make claims`.
#
#     claims.sh BASE OUT SEEDS     BASE: a model folder, `make base` writes one; OUT: what runs write while they run
set -eu
base=${1:?a model folder}
out=${2:?a folder to write}
seeds=${3:?how many}
here=$(dirname "$0")
finetune=${FINETUNE:-./finetune}

if [ ! -e "$base" ]; then
    echo "$base is not there: make base first (twenty minutes), or name a model folder: make claims BASE=DIR" >&2
    exit 2
fi
mkdir -p "$out"
"$finetune" claims --base "$base" --out "$out" --seeds "$seeds" > "$out/results.txt"
cat "$out/results.txt"
golden=$here/golden-claims.txt
if grep -qxF "$(cut -d ' ' -f 1-4,7-10 "$out/results.txt")" "$golden"; then
    echo "the results are the golden ones of $golden"
elif grep -q "^$(cut -d ' ' -f 1-4 "$out/results.txt") " "$golden"; then
    echo "the results differ from the golden ones of $golden:" >&2
    cat "$golden" >&2
    exit 1
else
    echo "$golden has no results of this base with so many seeds to compare with"
fi
