#!/bin/sh
# finetune chat through a pipe: turns, commands, messages of many lines, what the cache keeps, Ctrl-C; and on a terminal, where there is one to be had.
#
#     FINETUNE=./finetune tests/cli_chat.sh
set -u
suite=cli_chat
. tests/shell.sh

repeat 20 cat_text >text.txt
works "a model" "$finetune" pretrain --data text.txt --valid 0 --vocab 280 --layers 3 --dim 48 --heads 2 --ffn 64 --ctx 1000 --batch 1 --steps 1 --lr 0.01 --out m
talk() { "$finetune" chat --model m --template chatml --ctx 400 --tokens 9 "$@" >.out 2>.err; }
saved() { "$finetune" check data "$1" --model m --template chatml --show 0 >/dev/null 2>&1; }

# Of three turns the last is answered as by one who reads the whole conversation at once: what the cache kept has the same bits.
# shellcheck disable=SC2016
printf 'Hello\n"""\nmany\n  lines\n"""\n//a \\\nb\n/save talk.json\n/exit\nnever\n' | talk --greedy
ok "it ends well" [ $? -eq 0 ]
ok "saved" grep -qF '{"role":"user","content":"many\n  lines"}' talk.json
ok "a doubled / and a line that goes on" grep -qF '{"role":"user","content":"/a \nb"}' talk.json
ok "six messages" [ "$(grep -o '"role"' talk.json | wc -l)" -eq 6 ]
works "its row is read" "$finetune" check data talk.json --model m --template chatml
works "all at once" "$finetune" generate --model m --template chatml --data talk.json --out answers.jsonl --greedy --tokens 9
last=$(sed 's/.*"content":\("[^"]*"\)}\]}$/\1/' talk.json)
ok "the cache has the bits of one reading: $last" grep -qF "$last" answers.jsonl

# Another answer draws other numbers, and the same session is the same again.
printf 'Hello\n/retry\n/save again.json\n/reset\n/save empty.json\n' | talk --temperature 1.5 --top-p 1
cp .out first
ok "after retry there is one answer" [ "$(grep -o '"assistant"' again.json | wc -l)" -eq 1 ]
ok "and reset leaves none" grep -qx '{"messages":\[\]}' empty.json
printf 'Hello\n/retry\n/reset\nHello\n' | talk --temperature 1.5 --top-p 1
head -c "$(wc -c <first)" .out | cmp -s - first && pass || fail "the same seed says the same"
printf 'Hello\n' | talk --temperature 1.5 --top-p 1
ok "retry said something else" [ "$(cat first)" != "$(cat .out; cat .out)" ]

# A disk that fails under /save ends nothing, and leaves nothing half.
printf '/save lost.json\nHello\n/save kept.json\n' | FINETUNE_FAIL=write:1 talk --greedy
ok "a failed /save ends nothing" [ $? -eq 0 ]
ok "it says why" grep -q '^/save: lost.json: cannot be written: .*; nothing was written, the conversation goes on$' .err
ok "and leaves nothing" [ ! -e lost.json ]
ok "the next one is whole" [ "$(grep -o '"role"' kept.json | wc -l)" -eq 2 ]

# What does not go says why, and the conversation goes on.
long=$(printf 'a very long question %.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30)
printf '/rset\n/save\n/save no/where.json\n/save talk.json\n/retry\n%s %s\nHello\n/system Be kind.\n/system\n' "$long" "$long" | talk --greedy
ok "it went on" [ $? -eq 0 ]
for words in "did you mean /reset" "/save FILE: name a file" "no such folder" "it exists: name another" "nothing was asked yet" "shorten it" "system: Be kind."; do
    ok "says: $words" grep -qF "$words" .err
done
ok "one answer" [ "$(wc -l <.out)" -ge 1 ]
short=$(printf 'a question %.0s' 1 2 3 4 5 6 7 8 9 10)
printf '%s\n%s\n%s\n%s\n%s\n/save full.json\n' "$short" "$short" "$short" "$short" "$short" | talk --greedy
ok "the oldest turns are forgotten" grep -qF "turns are forgotten" .err
ok "the newest stays" grep -qF "$short" full.json

# Ctrl-C stops the answer, which is kept as far as it came; the next message is answered. (By a model that is slow enough to be stopped.)
works "a slow model" "$finetune" pretrain --data text.txt --valid 0 --vocab 280 --layers 6 --dim 384 --heads 6 --ffn 1024 --ctx 1000 --batch 1 --steps 1 --out slow
rm -f .out
mkfifo in
("$finetune" chat --model slow --template chatml --tokens 300 --ctx 0 --greedy <in >.out 2>.err; echo $? >code) &
exec 3>in
echo Hello >&3
while [ ! -s .out ]; do sleep 0.05; done
kill -INT "$(ps -eo pid,args | awk -v f="$finetune" '$2 == f && / chat / && / 300 / { print $1; exit }')"
printf '/save stopped.json\n/exit\n' >&3
exec 3>&-
wait
ok "an interrupt does not end it" [ "$(cat code)" -eq 0 ]
ok "its answer is there" grep -qaF '"role":"assistant","content":"' stopped.json
ok "as far as it came" [ "$(grep -caF '"content":""' stopped.json)" -eq 0 ]
printf 'Hello\n/save whole.json\n' | "$finetune" chat --model slow --template chatml --tokens 300 --ctx 0 --greedy >.out 2>.err
ok "and it was cut short" [ "$(wc -c <stopped.json)" -lt "$(wc -c <whole.json)" ]

# On a terminal lines are edited; util-linux's script is one. Keys come when they are asked for, so that none is typed ahead.
asked() { grep -ac '2004h' .out; } # how often a line was begun to be read
typed() { # N KEYS...: printf's texts, each when the next line is asked for
    n=$1
    shift
    for keys; do
        waited=0
        while [ "$(asked)" -lt "$n" ] && [ $waited -lt 600 ]; do sleep 0.1 && waited=$((waited + 1)); done
        # shellcheck disable=SC2059
        printf "$keys"
        n=$((n + 1))
    done
}
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    rm -f .out edited.json && : >.out
    typed 1 'Hllo\033[D\033[D\033[De\r' '\033[A, you\r' '\033[200~many\n  lines\033[201~\r' '"""dropped\r' 'x\003' '/sa\tedited.json\r' '\003' '\003' |
        TERM=xterm script -qec "'$finetune' chat --model m --template chatml --ctx 400 --tokens 9 --greedy; echo \$? >code" /dev/null >.out 2>&1
    ok "Ctrl-C twice ends it: $(cat code)" [ "$(cat code)" -eq 130 ]
    for text in "Hello" "Hello, you" "many\\n  lines"; do ok "typed: $text" grep -qF "{\"role\":\"user\",\"content\":\"$text\"}" edited.json; done
    ok "three messages" [ "$(grep -o '"user"' edited.json | wc -l)" -eq 3 ]
    ok "each reading was begun and ended" [ "$(asked)" -eq "$(grep -ac '2004l' .out)" ]
    : >.out
    echo 'Hello' | TERM=dumb script -qec "'$finetune' chat --model m --template chatml --tokens 9" /dev/null >.out 2>&1
    ok "a dumb terminal gets no sequences but the colour of the figures" [ "$(asked)" -eq 0 ]
    ok "and an answer" grep -qa 'tokens read' .out
else echo "skipped: lines edited on a terminal need script of util-linux"; fi

before=$(state)
refused "chat needs --model" chat
refused "knows no thinking" chat --model slow --template chatml --no-thinking
finish
