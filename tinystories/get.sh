#!/bin/sh
# Fetches the real TinyStories (Eldan & Li 2023, GPT-4 version; CDLA-Sharing-1.0) for those who have a network:
#
#     sh tinystories/get.sh DIR          DIR/train.txt (2.2 GB) and DIR/valid.txt (22 MB)
#     sh tinystories/get.sh DIR 50       only the first 50 MB of the training stories
#
# TINYSTORIES_URL is the address of the folder both files lie in; file:///some/folder works without a network.
# Stories end at <|endoftext|>, as `finetune pretrain --data DIR/train.txt --valid DIR/valid.txt` expects.
set -eu

if [ $# -lt 1 ] || [ "$1" = --help ]; then
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
    exit 2
fi
dir=$1
megabytes=${2:-0}
case $megabytes in *[!0-9]*) echo "get.sh: $megabytes is not a number of megabytes" >&2; exit 2 ;; esac
url=${TINYSTORIES_URL:-https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main}
url=${url%/}

# $1: address; to standard output
fetch() {
    case $1 in
    file://*) cat "${1#file://}" ;;
    *)
        if command -v curl >/dev/null; then curl -fsSL --retry 3 "$1"
        elif command -v wget >/dev/null; then wget -qO- "$1"
        else echo "get.sh: needs curl or wget" >&2; return 1
        fi ;;
    esac
}

# $1: remote name, $2: local name, $3: megabytes, 0 for all. The file appears whole or not at all.
get() {
    if [ -e "$dir/$2" ]; then
        echo "get.sh: $dir/$2 is there already: remove it to fetch it again" >&2
        return
    fi
    part=$dir/.$2.part
    trap 'rm -f "$part" "$part.failed"' EXIT
    rm -f "$part.failed"
    if [ "$3" -gt 0 ]; then
        # head closes the pipe early, so a fetch that ends for that reason is no failure: judge by what came
        { fetch "$url/$1" 2>"$part.failed" || true; } | head -c "$3"000000 >"$part"
        [ -s "$part" ] || { cat "$part.failed" >&2; echo "get.sh: nothing came from $url/$1" >&2; exit 1; }
        # the story that was cut off goes
        last=$(grep -bao '<|endoftext|>' "$part" | tail -n 1 | cut -d: -f1)
        if [ -n "$last" ]; then head -c $((last + 13)) "$part" >"$part.failed" && echo >>"$part.failed" && mv "$part.failed" "$part"; fi
    else
        fetch "$url/$1" >"$part" || { echo "get.sh: cannot fetch $url/$1; TINYSTORIES_URL names another folder" >&2; exit 1; }
    fi
    rm -f "$part.failed"
    grep -qaF '<|endoftext|>' "$part" || { echo "get.sh: $url/$1 holds no <|endoftext|>: not the stories expected" >&2; exit 1; }
    mv "$part" "$dir/$2"
    trap - EXIT
    echo "$dir/$2 $(wc -c <"$dir/$2" | tr -d ' ') bytes"
}

mkdir -p "$dir"
get TinyStoriesV2-GPT4-valid.txt valid.txt 0
get TinyStoriesV2-GPT4-train.txt train.txt "$megabytes"
