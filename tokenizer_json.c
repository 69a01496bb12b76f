/* tokenizer.json is a pipeline description: normalizer, pre_tokenizer, model, post_processor, decoder. Each part is either one whose
 * effect is known here, or refused by its name. post_processor only adds BOS and EOS, truncation and padding only shape batches:
 * none of them changes the ids of a text, so they are checked for their type or passed over. */
#include "json.h"
#include "os.h"
#include "tokenizer_parts.h"
#include "unicode.h"

#include <string.h>

/* ---- reading: small steps ---- */

static _Noreturn void refuse(const JsonDoc *doc, const Json *at, const char *what, const char *found, const char *known) {
    bad_input("%s: line %zu: %s %s is not known here (known: %s); a model with this tokenizer cannot be used as it is",
              json_name(doc), at->line, what, found, known);
}

static const char *type_of(const JsonDoc *doc, const Json *part) { return json_need(doc, part, "type", JSON_STRING)->string; }

static bool is_null(const Json *value) { return !value || value->kind == JSON_NULL; }

/* A part may be alone or a list: {"type": "Sequence", list_key: [...]}. Calls `each` for every single part. */
typedef void (*EachPart)(Tokenizer *t, const JsonDoc *doc, const Json *part, size_t position, size_t count);

static void each_part(Tokenizer *t, const JsonDoc *doc, const Json *part, const char *list_key, EachPart each) {
    if (is_null(part)) return;
    if (part->kind != JSON_OBJECT) bad_input("%s: line %zu: expected an object or null, found %s", json_name(doc), part->line, json_kind_name(part->kind));
    if (strcmp(type_of(doc, part), "Sequence")) {
        each(t, doc, part, 0, 1);
        return;
    }
    const Json *list = json_need(doc, part, list_key, JSON_ARRAY);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].kind != JSON_OBJECT)
            bad_input("%s: line %zu: a part of a Sequence must be an object, found %s", json_name(doc), list->items[i].line,
                json_kind_name(list->items[i].kind));
        each(t, doc, &list->items[i], i, list->count);
    }
}

/* The "String" or "Regex" of a pattern. */
static const Json *pattern_of(const JsonDoc *doc, const Json *part, const char *kind) {
    const Json *pattern = json_need(doc, part, "pattern", JSON_OBJECT);
    const Json *text = json_get(pattern, kind);
    return text && text->kind == JSON_STRING ? text : NULL;
}

/* ---- normalizer ---- */

static const char squeeze_ends[] = "\\A +|[ " MARK "]+\\z", squeeze_runs[] = " {2,}";

static void read_normalizer(Tokenizer *t, const JsonDoc *doc, const Json *part, size_t position, size_t count) {
    (void)position, (void)count;
    const char *type = type_of(doc, part);
    if (t->kind == KIND_BYTE_LEVEL) {
        if (strcmp(type, "NFC")) refuse(doc, part, "normalizer", type, "NFC or null, for a byte-level tokenizer");
        t->nfc = true;
        return;
    }
    if (!strcmp(type, "Prepend")) {
        const Json *text = json_need(doc, part, "prepend", JSON_STRING);
        if (!json_is(text, MARK)) refuse(doc, text, "Prepend of", text->string, "“" MARK "”");
        t->prepend = true;
    } else if (!strcmp(type, "Replace")) {
        const Json *text = pattern_of(doc, part, "String"), *regex = pattern_of(doc, part, "Regex");
        const Json *with = json_need(doc, part, "content", JSON_STRING);
        bool before = !t->prepend && !t->replace; /* what takes spaces away must come first */
        if (text && json_is(text, " ") && json_is(with, MARK)) t->replace = true;
        else if (regex && json_is(regex, squeeze_ends) && json_is(with, "") && before) t->squeeze = true;
        else if (regex && json_is(regex, squeeze_runs) && json_is(with, " ") && before && t->squeeze) t->squeeze = true;
        else refuse(doc, part, "Replace of", text ? text->string : regex ? regex->string : "an unknown pattern", "“ ” by “" MARK "”");
    } else refuse(doc, part, "normalizer", type, "Prepend, Replace, Sequence, null");
}

/* ---- pre_tokenizer ---- */

static bool has_byte_level(const Json *part) {
    if (is_null(part) || part->kind != JSON_OBJECT) return false;
    const Json *type = json_get(part, "type"), *list = json_get(part, "pretokenizers");
    if (type && json_is(type, "ByteLevel")) return true;
    for (size_t i = 0; list && list->kind == JSON_ARRAY && i < list->count; i++)
        if (has_byte_level(&list->items[i])) return true;
    return false;
}

/* In order: Digits, Split, ByteLevel; the last is always there. */
static void read_byte_level_part(Tokenizer *t, const JsonDoc *doc, const Json *part, size_t position, size_t count) {
    const char *type = type_of(doc, part);
    bool last = position + 1 == count;
    if (!strcmp(type, "Digits") && position == 0 && !last) {
        if (!json_bool(doc, part, "individual_digits", false)) refuse(doc, part, "Digits", "with individual_digits false", "individual_digits true");
        t->each_digit = true;
    } else if (!strcmp(type, "Split") && position + 2 == count) {
        const Json *regex = pattern_of(doc, part, "Regex");
        const char *behavior = json_string(doc, part, "behavior", "");
        bool invert = json_bool(doc, part, "invert", false);
        if (!regex || !split_of_regex(regex->string, regex->length, &t->split))
            refuse(doc, part, "the split pattern", regex ? regex->string : "that is no Regex", "those of GPT-2, Llama 3 and Qwen2");
        if (strcmp(behavior, invert ? "Removed" : "Isolated")) refuse(doc, part, "Split behavior", behavior, "Isolated; or Removed with invert");
    } else if (!strcmp(type, "ByteLevel") && last) {
        t->prefix_space = json_bool(doc, part, "add_prefix_space", true);
        if (t->prefix_space && count > 1) refuse(doc, part, "ByteLevel add_prefix_space true", "inside a Sequence", "false there");
        if (json_bool(doc, part, "use_regex", true)) {
            if (t->split != SPLIT_NONE) refuse(doc, part, "ByteLevel use_regex true", "behind a Split", "false there");
            t->split = SPLIT_GPT2;
        }
    } else refuse(doc, part, "at this place the pre_tokenizer", type, "Digits, then Split, then ByteLevel");
}

static void read_metaspace_part(Tokenizer *t, const JsonDoc *doc, const Json *part, size_t position, size_t count) {
    (void)position;
    const char *type = type_of(doc, part);
    if (strcmp(type, "Metaspace") || count != 1) refuse(doc, part, "pre_tokenizer", type, "Metaspace, null, or one that ends in ByteLevel");
    const Json *mark = json_need(doc, part, "replacement", JSON_STRING);
    if (!json_is(mark, MARK)) refuse(doc, mark, "Metaspace replacement", mark->string, "“" MARK "”");
    const char *scheme = json_string(doc, part, "prepend_scheme", json_bool(doc, part, "add_prefix_space", true) ? "always" : "never");
    if (!strcmp(scheme, "always")) t->front = FRONT_ALWAYS;
    else if (!strcmp(scheme, "first")) t->front = FRONT_FIRST;
    else if (strcmp(scheme, "never")) refuse(doc, part, "Metaspace prepend_scheme", scheme, "always, first, never");
    t->metaspace = true;
    t->cut = json_bool(doc, part, "split", true) ? CUT_EACH : CUT_NOWHERE;
}

/* ---- post_processor and decoder ---- */

static void read_post_processor(Tokenizer *t, const JsonDoc *doc, const Json *part, size_t position, size_t count) {
    (void)position, (void)count;
    const char *type = type_of(doc, part);
    if (strcmp(type, "ByteLevel") && strcmp(type, "TemplateProcessing"))
        refuse(doc, part, "post_processor", type, "ByteLevel, TemplateProcessing, Sequence, null");
    const Json *single = json_get(part, "single"), *first = single && single->kind == JSON_ARRAY && single->count ? &single->items[0] : NULL;
    if (first && first->kind == JSON_OBJECT && json_get(first, "SpecialToken")) t->adds_bos = 1;
    else if (t->adds_bos < 0) t->adds_bos = 0;
}

static void read_decoder(Tokenizer *t, const JsonDoc *doc, const Json *part, size_t position, size_t count) {
    const char *type = type_of(doc, part);
    if (t->kind == KIND_BYTE_LEVEL) {
        if (strcmp(type, "ByteLevel") || count != 1) refuse(doc, part, "decoder", type, "ByteLevel, for a byte-level tokenizer");
    } else if (!strcmp(type, "Metaspace") && count == 1) {
        t->strip = t->front == FRONT_NEVER && !t->prepend ? STRIP_NOTHING : STRIP_FIRST_TOKEN;
    } else if (!strcmp(type, "Strip") && position + 1 == count) {
        if (!json_is(json_need(doc, part, "content", JSON_STRING), " ") || json_int(doc, part, "start", 0, INT32_MAX, 0) != 1 ||
            json_int(doc, part, "stop", 0, INT32_MAX, 0) != 0)
            refuse(doc, part, "decoder Strip", "of this kind", "one “ ” at the start");
        t->strip = STRIP_SPACE;
    } else if (!strcmp(type, "Replace")) {
        const Json *text = pattern_of(doc, part, "String");
        if (!text || !json_is(text, MARK) || !json_is(json_need(doc, part, "content", JSON_STRING), " "))
            refuse(doc, part, "decoder Replace", "of this kind", "“" MARK "” by “ ”");
    } else if (strcmp(type, "ByteFallback") && strcmp(type, "Fuse")) {
        refuse(doc, part, "decoder", type, "Sequence of Replace, ByteFallback, Fuse, Strip; or Metaspace");
    }
}

/* ---- model ---- */

static void check_model(const JsonDoc *doc, const Json *model) {
    const Json *type = json_get(model, "type");
    if (!is_null(type) && !json_is(type, "BPE"))
        refuse(doc, type, "model type", type->kind == JSON_STRING ? type->string : json_kind_name(type->kind), "BPE");
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        const char *affix = json_string(doc, model, affixes[i], "");
        if (*affix) refuse(doc, model, affixes[i], affix, "none");
    }
    if (json_double(doc, model, "dropout", 0) != 0) refuse(doc, model, "BPE dropout", "above 0", "null; it would make ids random: set it to null");
}

static void read_vocab(Tokenizer *t, const JsonDoc *doc, const Json *vocab, size_t most) {
    for (size_t i = 0; i < vocab->count; i++) {
        const Json *key = &vocab->keys[i], *id = &vocab->items[i];
        if (id->kind != JSON_NUMBER || !id->is_integer || id->integer < 0 || (uint64_t)id->integer >= most)
            bad_input("%s: line %zu: vocab “%s”: expected an id from 0 to %zu, found %s", json_name(doc), id->line, key->string, most - 1,
                      id->kind == JSON_NUMBER ? "another number" : json_kind_name(id->kind));
        if (!key->length) bad_input("%s: line %zu: vocab: the piece of id %d is empty", json_name(doc), id->line, (int)id->integer);
        if (t->pieces[id->integer].set)
            bad_input("%s: line %zu: vocab: id %d belongs to “%s” already, found “%s”", json_name(doc), id->line, (int)id->integer,
                      piece_text(t, (int32_t)id->integer), key->string);
        piece_set(t, (size_t)id->integer, key->string, key->length, PIECE_NORMAL, true);
    }
}

static void add_token(Tokenizer *t, const JsonDoc *doc, const Json *token, size_t most) {
    if (token->kind != JSON_OBJECT)
        bad_input("%s: line %zu: added_tokens: expected an object, found %s", json_name(doc), token->line, json_kind_name(token->kind));
    const Json *content = json_need(doc, token, "content", JSON_STRING);
    json_need(doc, token, "id", JSON_NUMBER);
    int32_t id = (int32_t)json_int(doc, token, "id", 0, (int64_t)most - 1, 0);
    Added a = {.id = id, .special = json_bool(doc, token, "special", false), .lstrip = json_bool(doc, token, "lstrip", false),
        .rstrip = json_bool(doc, token, "rstrip", false)};
    a.normalized = json_bool(doc, token, "normalized", !a.special);
    if (!content->length) bad_input("%s: line %zu: added_tokens: the content of id %d is empty", json_name(doc), content->line, (int)id);
    if (json_bool(doc, token, "single_word", false)) refuse(doc, token, "single_word true of the added token", content->string, "single_word false");
    PieceKind kind = a.special ? PIECE_SPECIAL : PIECE_ADDED;
    Piece *p = &t->pieces[id];
    if (!p->set) piece_set(t, (size_t)id, content->string, content->length, kind, false);
    else if (p->kind != PIECE_NORMAL || p->text_len != content->length || memcmp(piece_text(t, id), content->string, content->length))
        bad_input("%s: line %zu: added_tokens: id %d belongs to “%s” already, found “%s”", json_name(doc), content->line, (int)id,
            piece_text(t, id), content->string);
    p->kind = kind;

    Buf match = {0};
    if (a.normalized && t->kind == KIND_METASPACE) metaspace_normalize(t, (const unsigned char *)content->string, content->length, &match);
    else if (a.normalized && t->nfc) nfc((const unsigned char *)content->string, content->length, &match);
    else buf_put(&match, content->string, content->length);
    a.match = str_copy_n(match.data ? match.data : "", match.len);
    a.len = match.len;
    buf_free(&match);
    AddedSet *set = a.normalized ? &t->normalized : &t->raw;
    if (a.len) set->items[set->count++] = a;
    else mem_free(a.match);
}

/* The two halves of a merge: "left right" or ["left", "right"]. */
static void halves(const JsonDoc *doc, const Json *merge, const char *text[2], size_t length[2]) {
    if (merge->kind == JSON_STRING) {
        const char *space = memchr(merge->string, ' ', merge->length);
        if (!space || memchr(space + 1, ' ', merge->length - (size_t)(space + 1 - merge->string)))
            bad_input("%s: line %zu: merges: expected two pieces with one space between, found “%s”", json_name(doc), merge->line, merge->string);
        text[0] = merge->string, length[0] = (size_t)(space - merge->string);
        text[1] = space + 1, length[1] = merge->length - length[0] - 1;
        return;
    }
    if (merge->kind != JSON_ARRAY || merge->count != 2 || merge->items[0].kind != JSON_STRING || merge->items[1].kind != JSON_STRING)
        bad_input("%s: line %zu: merges: expected \"left right\" or [\"left\", \"right\"], found %s of another form", json_name(doc),
            merge->line, json_kind_name(merge->kind));
    for (size_t i = 0; i < 2; i++) text[i] = merge->items[i].string, length[i] = merge->items[i].length;
}

static void read_merges(Tokenizer *t, const JsonDoc *doc, const Json *merges) {
    Buf joined = {0};
    merges_begin(t, merges->count);
    for (size_t i = 0; i < merges->count; i++) {
        const char *text[2];
        size_t length[2];
        int32_t id[3];
        halves(doc, &merges->items[i], text, length);
        joined.len = 0;
        buf_put(&joined, text[0], length[0]);
        buf_put(&joined, text[1], length[1]);
        for (size_t k = 0; k < 3; k++) {
            const char *piece = k < 2 ? text[k] : joined.data;
            size_t n = k < 2 ? length[k] : joined.len;
            id[k] = piece_find(t, piece, n);
            if (id[k] == NO_PIECE || !t->pieces[id[k]].symbol)
                bad_input("%s: line %zu: merge %zu needs the piece “%.*s”, which is not in vocab: the file is damaged, take it from its source again",
                          json_name(doc), merges->items[i].line, i, (int)n, piece);
        }
        if (!merge_add(t, id[0], id[1], (uint32_t)i, id[2]))
            bad_input("%s: line %zu: merge %zu, “%s” + “%s”, stands there twice", json_name(doc), merges->items[i].line, i,
                piece_text(t, id[0]), piece_text(t, id[1]));
    }
    buf_free(&joined);
}

static void read_pieces(Tokenizer *t, const JsonDoc *doc, const Json *vocab, const Json *added, size_t most) {
    read_vocab(t, doc, vocab, most);
    t->raw.items = mem_new(added ? added->count : 0, sizeof(Added));
    t->normalized.items = mem_new(added ? added->count : 0, sizeof(Added));
    for (size_t i = 0; added && i < added->count; i++) add_token(t, doc, &added->items[i], most);
    for (size_t i = 0; i < most; i++) {
        if (!t->pieces[i].set) continue;
        if (i != t->count)
            bad_input("%s: no piece has id %zu, but “%s” has id %zu: ids must be 0, 1, 2, … without a gap", json_name(doc), t->count,
                piece_text(t, (int32_t)i), i);
        t->count++;
    }
    if (!t->count) bad_input("%s: the vocabulary is empty", json_name(doc));
    piece_table(t);
}

Tokenizer *tokenizer_json_read(const char *path, const Buf *text) {
    JsonDoc *doc = json_parse(text->data ? text->data : "", text->len, path, 1);
    const Json *root = json_root(doc);
    if (root->kind != JSON_OBJECT) bad_input("%s: expected an object, found %s", path, json_kind_name(root->kind));
    if (json_get(json_get(root, "config"), "pattern") && !json_get(root, "model"))
        bad_input("%s: this is Mistral's tekken.json: take the tokenizer.json that transformers has of the same model", path);
    const Json *model = json_need(doc, root, "model", JSON_OBJECT), *pre = json_get(root, "pre_tokenizer"), *decoder = json_get(root, "decoder");
    check_model(doc, model);
    const Json *vocab = json_need(doc, model, "vocab", JSON_OBJECT), *added = json_get(root, "added_tokens");
    if (is_null(added)) added = NULL;
    else if (added->kind != JSON_ARRAY) bad_input("%s: line %zu: added_tokens: expected an array, found %s", path, added->line, json_kind_name(added->kind));
    size_t most = vocab->count + (added ? added->count : 0);
    if (most > INT32_MAX / 2) bad_input("%s: %zu pieces are more than a vocabulary can have", path, most);

    Tokenizer *t = tokenizer_new(has_byte_level(pre) ? KIND_BYTE_LEVEL : KIND_METASPACE, path, most);
    each_part(t, doc, pre, "pretokenizers", t->kind == KIND_BYTE_LEVEL ? read_byte_level_part : read_metaspace_part);
    each_part(t, doc, json_get(root, "normalizer"), "normalizers", read_normalizer);
    if (t->kind == KIND_METASPACE && !t->metaspace && !t->replace)
        refuse(doc, root, "pre_tokenizer null", "without a normalizer that replaces “ ” by “" MARK "”", "ByteLevel, Metaspace, that normalizer");
    each_part(t, doc, json_get(root, "post_processor"), "processors", read_post_processor);
    each_part(t, doc, decoder, "decoders", read_decoder);
    if (is_null(decoder)) refuse(doc, root, "decoder", "null", "ByteLevel, Metaspace, Sequence");

    read_pieces(t, doc, vocab, added, most);
    t->byte_fallback = t->kind == KIND_METASPACE && json_bool(doc, model, "byte_fallback", false);
    t->fuse_unk = json_bool(doc, model, "fuse_unk", false);
    t->ignore_merges = json_bool(doc, model, "ignore_merges", false);
    const char *unk = json_string(doc, model, "unk_token", NULL);
    if (unk && (t->unk = piece_find(t, unk, strlen(unk))) == NO_PIECE) bad_input("%s: unk_token “%s” is not in vocab", path, unk);
    read_merges(t, doc, json_need(doc, model, "merges", JSON_ARRAY));
    json_free(doc);
    tokenizer_finish(t);
    return t;
}

/* ---- tokenizer_config.json ---- */

/* A token there is a string, or an object with "content", or null. */
static int32_t config_token(const Tokenizer *t, const JsonDoc *doc, const char *key, int32_t fallback) {
    const Json *token = json_get(json_root(doc), key);
    if (!token) return fallback;
    if (token->kind == JSON_OBJECT) token = json_need(doc, token, "content", JSON_STRING);
    if (token->kind == JSON_NULL) return NO_PIECE;
    if (token->kind != JSON_STRING)
        bad_input("%s: line %zu: %s: expected a string, an object or null, found %s", json_name(doc),
            token->line, key, json_kind_name(token->kind));
    int32_t id = tokenizer_id(t, token->string);
    if (id == NO_PIECE) bad_input("%s: line %zu: %s “%s” is not in the vocabulary of %s", json_name(doc), token->line, key, token->string, t->name);
    return id;
}

/* transformers adds what stands here and not in tokenizer.json; such a folder has more ids than its tokenizer.json says. */
static void check_added(const Tokenizer *t, const JsonDoc *doc) {
    const Json *added = json_get(json_root(doc), "added_tokens_decoder");
    if (is_null(added)) return;
    if (added->kind != JSON_OBJECT)
        bad_input("%s: line %zu: added_tokens_decoder: expected an object, found %s", json_name(doc),
            added->line, json_kind_name(added->kind));
    for (size_t i = 0; i < added->count; i++) {
        const Json *content = added->items[i].kind == JSON_OBJECT ? json_need(doc, &added->items[i], "content", JSON_STRING) : NULL;
        int32_t id = content ? tokenizer_id(t, content->string) : NO_PIECE;
        char *number = str_format("%d", (int)id);
        if (id == NO_PIECE || strcmp(number, added->keys[i].string))
            bad_input("%s: line %zu: added_tokens_decoder: %s is “%s”, which %s does not say; load and save the tokenizer with transformers to make them agree",
                      json_name(doc), added->items[i].line, added->keys[i].string, content ? content->string : "?", t->name);
        mem_free(number);
    }
}

void tokenizer_config_read(Tokenizer *t, const char *path, const Buf *text) {
    JsonDoc *doc = json_parse(text->data ? text->data : "", text->len, path, 1);
    if (json_root(doc)->kind != JSON_OBJECT) bad_input("%s: expected an object, found %s", path, json_kind_name(json_root(doc)->kind));
    const char *class = json_string(doc, json_root(doc), "tokenizer_class", "");
    int32_t end = t->kind == KIND_BYTE_LEVEL && (!*class || str_starts(class, "GPT2")) ? tokenizer_id(t, END_OF_TEXT) : NO_PIECE;
    t->bos = config_token(t, doc, "bos_token", t->sentencepiece ? t->bos : end);
    t->eos = config_token(t, doc, "eos_token", t->sentencepiece ? t->eos : end);
    t->adds_bos = json_bool(doc, json_root(doc), "add_bos_token", t->adds_bos != 0);
    check_added(t, doc);
    json_free(doc);
}

/* ---- writing ---- */

static void write_added(JsonWriter *w, const Tokenizer *t) {
    jw_array(w, "added_tokens");
    for (size_t i = 0; i < t->count; i++) {
        const Piece *p = &t->pieces[i];
        if (p->kind != PIECE_SPECIAL && p->kind != PIECE_UNKNOWN) continue;
        jw_object(w, NULL);
        jw_int(w, "id", (int64_t)i);
        jw_string_n(w, "content", piece_text(t, (int32_t)i), p->text_len);
        jw_bool(w, "single_word", false);
        jw_bool(w, "lstrip", false);
        jw_bool(w, "rstrip", false);
        jw_bool(w, "normalized", false);
        jw_bool(w, "special", true);
        jw_end_object(w);
    }
    jw_end_array(w);
}

static void write_byte_level(JsonWriter *w, const char *key) {
    jw_object(w, key);
    jw_string(w, "type", "ByteLevel");
    jw_bool(w, "add_prefix_space", false);
    jw_bool(w, "trim_offsets", true);
    jw_bool(w, "use_regex", true);
    jw_end_object(w);
}

static void write_replace(JsonWriter *w, const char *kind, const char *from, const char *to) {
    jw_object(w, NULL);
    jw_string(w, "type", "Replace");
    jw_object(w, "pattern");
    jw_string(w, kind, from);
    jw_end_object(w);
    jw_string(w, "content", to);
    jw_end_object(w);
}

static void write_type(JsonWriter *w, const char *type) {
    jw_object(w, NULL);
    jw_string(w, "type", type);
    jw_end_object(w);
}

static void write_metaspace_normalizer(JsonWriter *w, const Tokenizer *t) {
    jw_object(w, "normalizer");
    jw_string(w, "type", "Sequence");
    jw_array(w, "normalizers");
    if (t->squeeze) {
        write_replace(w, "Regex", squeeze_ends, "");
        write_replace(w, "Regex", squeeze_runs, " ");
    }
    if (t->prepend) {
        jw_object(w, NULL);
        jw_string(w, "type", "Prepend");
        jw_string(w, "prepend", MARK);
        jw_end_object(w);
    }
    write_replace(w, "String", " ", MARK);
    jw_end_array(w);
    jw_end_object(w);
}

/* A text begins with BOS, as Llama's tokenizers have it. */
static void write_template(JsonWriter *w, const Tokenizer *t) {
    static const char *const forms[] = {"single", "pair"};
    if (t->bos == NO_PIECE) {
        jw_null(w, "post_processor");
        return;
    }
    jw_object(w, "post_processor");
    jw_string(w, "type", "TemplateProcessing");
    for (int form = 0; form < 2; form++) {
        jw_array(w, forms[form]);
        for (int part = 0; part < 2 * (form + 1); part++) {
            jw_object(w, NULL);
            jw_object(w, part % 2 ? "Sequence" : "SpecialToken");
            jw_string(w, "id", part % 2 == 0 ? piece_text(t, t->bos) : part == 1 ? "A" : "B");
            jw_int(w, "type_id", part / 2);
            jw_end_object(w);
            jw_end_object(w);
        }
        jw_end_array(w);
    }
    jw_object(w, "special_tokens");
    jw_object(w, piece_text(t, t->bos));
    jw_string(w, "id", piece_text(t, t->bos));
    jw_array(w, "ids");
    jw_int(w, NULL, t->bos);
    jw_end_array(w);
    jw_array(w, "tokens");
    jw_string(w, NULL, piece_text(t, t->bos));
    jw_end_array(w);
    jw_end_object(w);
    jw_end_object(w);
    jw_end_object(w);
}

static void write_metaspace_decoder(JsonWriter *w, const Tokenizer *t) {
    jw_object(w, "decoder");
    jw_string(w, "type", "Sequence");
    jw_array(w, "decoders");
    write_replace(w, "String", MARK, " ");
    write_type(w, "ByteFallback");
    write_type(w, "Fuse");
    if (t->strip != STRIP_NOTHING) {
        jw_object(w, NULL);
        jw_string(w, "type", "Strip");
        jw_string(w, "content", " ");
        jw_int(w, "start", 1);
        jw_int(w, "stop", 0);
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_end_object(w);
}

static int merge_before(const void *a, const void *b, const void *context) {
    (void)context;
    const Merge *x = a, *y = b;
    return x->rank != y->rank ? (x->rank < y->rank ? -1 : 1) : x->pair != y->pair ? (x->pair < y->pair ? -1 : 1) : 0;
}

Merge *merges_in_order(const Tokenizer *t) {
    Merge *merges = mem_new(t->merge_count, sizeof *merges);
    size_t count = 0;
    for (size_t i = 0; i < t->merges_size; i++)
        if (t->merges[i].pair != MERGE_EMPTY) merges[count++] = t->merges[i];
    sort_stable(merges, count, sizeof *merges, merge_before, NULL);
    return merges;
}

void merge_text(const Tokenizer *t, const Merge *m, Buf *text) {
    text->len = 0;
    buf_str(text, piece_text(t, (int32_t)(m->pair >> 32)));
    buf_char(text, ' ');
    buf_str(text, piece_text(t, (int32_t)(m->pair & 0xFFFFFFFFu)));
}

static void write_merges(JsonWriter *w, const Tokenizer *t) {
    Merge *merges = merges_in_order(t);
    Buf text = {0};
    jw_array(w, "merges");
    for (size_t i = 0; i < t->merge_count; i++) {
        merge_text(t, &merges[i], &text);
        jw_string_n(w, NULL, text.data, text.len);
    }
    jw_end_array(w);
    buf_free(&text);
    mem_free(merges);
}

static void write_model(JsonWriter *w, const Tokenizer *t) {
    jw_object(w, "model");
    jw_string(w, "type", "BPE");
    jw_null(w, "dropout");
    if (t->unk == NO_PIECE) jw_null(w, "unk_token");
    else jw_string(w, "unk_token", piece_text(t, t->unk));
    jw_null(w, "continuing_subword_prefix");
    jw_null(w, "end_of_word_suffix");
    jw_bool(w, "fuse_unk", t->fuse_unk);
    jw_bool(w, "byte_fallback", t->byte_fallback);
    jw_bool(w, "ignore_merges", false);
    jw_object(w, "vocab");
    for (size_t i = 0; i < t->count; i++) jw_int(w, piece_text(t, (int32_t)i), (int64_t)i);
    jw_end_object(w);
    write_merges(w, t);
    jw_end_object(w);
}

/* Whether a tokenizer.json can say the same: not for user-defined pieces with spaces, nor for merges of characters that are no pieces. */
bool tokenizer_json_fits(const Tokenizer *t) {
    for (size_t i = 0; i < t->count; i++)
        if (t->pieces[i].kind == PIECE_ADDED || memchr(piece_text(t, (int32_t)i), ' ', t->pieces[i].text_len) ||
            memchr(piece_text(t, (int32_t)i), 0, t->pieces[i].text_len))
            return false;
    return !t->hidden;
}

void tokenizer_json_write(const Tokenizer *t, const char *dir) {
    JsonWriter w = {.pretty = true};
    jw_object(&w, NULL);
    jw_string(&w, "version", "1.0");
    jw_null(&w, "truncation");
    jw_null(&w, "padding");
    write_added(&w, t);
    if (t->kind == KIND_BYTE_LEVEL) {
        jw_null(&w, "normalizer");
        write_byte_level(&w, "pre_tokenizer");
        jw_null(&w, "post_processor");
        write_byte_level(&w, "decoder");
    } else {
        write_metaspace_normalizer(&w, t);
        jw_null(&w, "pre_tokenizer");
        write_template(&w, t);
        write_metaspace_decoder(&w, t);
    }
    write_model(&w, t);
    jw_end_object(&w);
    char *path = os_join(dir, "tokenizer.json");
    os_write_file(path, w.text.data, w.text.len);
    mem_free(path);
    buf_free(&w.text);
}

void tokenizer_config_write(const Tokenizer *t, const char *dir) {
    JsonWriter w = {.pretty = true};
    jw_object(&w, NULL);
    jw_string(&w, "tokenizer_class", "PreTrainedTokenizerFast");
    if (t->bos != NO_PIECE) jw_string(&w, "bos_token", piece_text(t, t->bos));
    if (t->eos != NO_PIECE) jw_string(&w, "eos_token", piece_text(t, t->eos));
    if (t->unk != NO_PIECE) jw_string(&w, "unk_token", piece_text(t, t->unk));
    jw_bool(&w, "clean_up_tokenization_spaces", false);
    jw_end_object(&w);
    char *path = os_join(dir, "tokenizer_config.json");
    os_write_file(path, w.text.data, w.text.len);
    mem_free(path);
    buf_free(&w.text);
}
