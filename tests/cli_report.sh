#!/bin/sh
# finetune report as a user meets it.
#
#     FINETUNE=./finetune tests/cli_report.sh
set -u
suite=cli_report
. tests/shell.sh

repeat 20 cat_text >text.txt
shape="--data text.txt --valid 0.2 --vocab 280 --layers 1 --dim 8 --heads 2 --ffn 8 --ctx 8 --batch 3 --steps 6 --eval-every 2 --sample-tokens 4"
# shellcheck disable=SC2086
works "a run" "$finetune" pretrain $shape --out run
# shellcheck disable=SC2086
works "a run whose name is not plain" "$finetune" pretrain $shape --seed 2 --out "名前 & <b>"
mkdir other && cp -r run other/run
hash=$("$finetune" check hash run | cut -d' ' -f2)

works "report" "$finetune" report run --out a.html
ok "report: names the file and its size" grep -q '^out a.html bytes [0-9]*$' .out
ok "report: the folder's hash stands in it" grep -q "$hash" a.html
ok "report: three charts" test "$(grep -c '<svg' a.html)" -eq 3
works "again" "$finetune" report run --out b.html
ok "again: the same bytes" cmp -s a.html b.html
ok "the run is as it was" test "$("$finetune" check hash run | cut -d' ' -f2)" = "$hash"
works "several runs, a title, a floor" "$finetune" report run other/run "名前 & <b>" --title "a < b" --floor 0.5 --out c.html
ok "names are escaped" grep -q '名前 &amp; &lt;b&gt;' c.html
ok "the title is escaped" grep -q '<h1>a &lt; b</h1>' c.html
ok "runs of one name go by their paths" grep -q 'other/run' c.html
ok "the floor is drawn" grep -q 'class="floor"' c.html
works "a story world" "$finetune" stories --out stories --bytes 20000
works "--stories" "$finetune" report run --stories stories --out d.html
ok "the source's entropy stands in it" grep -q 'entropy: 0\.[0-9]' d.html
works "--force" "$finetune" report run --out c.html --force
ok "--force replaces" cmp -s a.html c.html

before=$(state)
refused "needs a run folder" report --out e.html
refused "needs --out" report run
refused "a.html exists" report run --out a.html
refused "no run.json" report stories --out e.html
refused "inside the run folder" report run --out run/report.html
refused "no such file" report nowhere.json --out e.html
refused "no world.json" report run --stories run --out e.html
refused "leave one out" report run --stories stories --floor 1 --out e.html
refused "neither a forgetting nor a frontier" report stories/world.json --out e.html
[ -c /dev/full ] && failing 1 "/dev/full" "$finetune" report run --out /dev/full --force

finish
