#!/bin/sh
# Models by name: the local cache of the Hugging Face hub.
#
#     FINETUNE=./finetune tests/cli_models.sh
set -u
suite=cli_models
. tests/shell.sh

printf 'the cat sat on a mat and the dog ran to its house\n' >text.txt
works "a model" "$finetune" pretrain --data text.txt --valid 0 --vocab 270 --dim 16 --layers 1 --heads 2 --ffn 24 --ctx 32 --steps 1 --batch 1 --out m

unset HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME
HOME=$PWD/home
export HOME
hub=home/.cache/huggingface/hub/models--Some-Org--tiny.1_b
mkdir -p $hub/refs $hub/blobs $hub/snapshots/abc123
printf abc123 >$hub/refs/main
# As the hub's own tools store them: links into blobs.
for file in config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json; do
    cp m/$file $hub/blobs/$file && ln -s ../../blobs/$file $hub/snapshots/abc123/$file
done
mkdir -p home/.cache/huggingface/hub/models--plain/snapshots
cp -r m home/.cache/huggingface/hub/models--plain/snapshots/only

say() { "$finetune" generate "$@" --greedy --tokens 5 --json "Once" 2>.err; }
expected=$(say --model m)
same() { [ -n "$expected" ] && [ "$(say "$@")" = "$expected" ]; }
ok "org/name" same --model Some-Org/tiny.1_b
ok "a revision" same --model Some-Org/tiny.1_b@abc123
ok "a name alone, no refs, one snapshot" same --model plain
mv home/.cache/huggingface elsewhere
HF_HOME=$PWD/elsewhere
export HF_HOME
ok "HF_HOME" same --model Some-Org/tiny.1_b
HF_HOME=/nowhere HF_HUB_CACHE=$PWD/elsewhere/hub
export HF_HUB_CACHE
ok "HF_HUB_CACHE before HF_HOME" same --model Some-Org/tiny.1_b
mkdir -p Some-Org && cp -r m Some-Org/tiny.1_b
HF_HUB_CACHE=/nowhere
ok "a folder of that name comes first" same --model Some-Org/tiny.1_b
rm -r Some-Org
HF_HUB_CACHE=$PWD/elsewhere/hub

before=$(state)
missing() { # WORDS FLAGS…: exit 2, with the commands in the message
    words=$1
    shift
    "$finetune" "$@" >.out 2>.err
    [ $? -eq 2 ] && grep -qF -e "$words" .err
}
ok "not there: how to download it" missing "    hf download Some-Org/other" generate --model Some-Org/other x
ok "not this revision" missing "hf download Some-Org/tiny.1_b --revision v2" generate --model Some-Org/tiny.1_b@v2 x
rm elsewhere/hub/models--Some-Org--tiny.1_b/snapshots/abc123/config.json
ok "half a download" missing "its snapshot has no config.json" generate --model Some-Org/tiny.1_b x
before=$(state)
refused "no such model" generate --model nothing x
refused "no such model" generate --model ../Some-Org/other x

# An adapter names its base as it was typed.
ln -s ../../blobs/config.json elsewhere/hub/models--Some-Org--tiny.1_b/snapshots/abc123/config.json
printf '{"prompt":"a","completion":"b"}\n{"prompt":"c","completion":"d"}\n' >rows.jsonl
works "an adapter on a cached model" "$finetune" train --model Some-Org/tiny.1_b --data rows.jsonl --valid 0 --lora --steps 1 --batch 1 --out adapter
ok "its base as typed" grep -q '"base_model_name_or_path": "Some-Org/tiny.1_b"' adapter/adapter_config.json

# ---- 16 bits in, 16 bits out ----------------------------------------------------------------------------------------
kind() { grep -ao '"dtype":"[A-Z0-9]*"' "$1" | sort | uniq -c | tr -s ' \n' ' '; }
tune="--data rows.jsonl --valid 0 --batch 1"
# shellcheck disable=SC2086
works "exact" "$finetune" train --model m $tune --steps 2 --out exact
# shellcheck disable=SC2086
works "--dtype bf16" "$finetune" train --model m $tune --steps 2 --dtype bf16 --out half
all=$(kind exact/model.safetensors)
ok "f32: $all" test "$all" = "$(echo "$(kind half/model.safetensors)" | sed s/BF16/F32/)"
ok "bf16 in config.json" grep -q '"dtype": "bfloat16"' half/config.json
ok "half as large" test $(($(wc -c <half/model.safetensors) * 19)) -lt $(($(wc -c <exact/model.safetensors) * 10))
ok "checkpoints are exact" cmp -s exact/checkpoints/step-00000002/model.safetensors half/checkpoints/step-00000002/model.safetensors
# shellcheck disable=SC2086
works "--dtype source" "$finetune" train --model half $tune --steps 1 --dtype source --freeze embed_tokens --out again
ok "as the source" test "$(kind again/model.safetensors)" = "$(kind half/model.safetensors)"
before=$(state)
# shellcheck disable=SC2086
refused "--dtype is of whole models" train --model m $tune --steps 1 --lora --dtype bf16 --out x
# shellcheck disable=SC2086
refused "--dtype: unknown value" train --model m $tune --steps 1 --dtype fp16 --out x

# ---- the rows of docs/real-models.md --------------------------------------------------------------------------------
works "data/shop.sh" sh "$OLDPWD/data/shop.sh" shop
ok "the rows that its figures stand on" test "$("$finetune" check hash shop | cut -d' ' -f2)" = c16c03faffa0bcb1de677b9a42af086b2ed162b0bdebd27d0e1a302893dbc1b8
names() { sed 's/.*"role": "assistant", "content": "[^A-Z]*\(Hello \)\{0,1\}\([A-Z][a-z]*\).*/\2/' "$@" | sort -u; }
names shop/train.jsonl >learned && names shop/valid.jsonl shop/test-*.jsonl >asked
ok "no name that is asked for was learned" test "$(wc -l <learned | tr -d ' ') $(wc -l <asked | tr -d ' ') $(cat learned asked | sort | uniq -d)" = "30 12 "
finish
