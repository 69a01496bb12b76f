/* tokenizer.model (sentencepiece, a protobuf message) and tokenizer.bin (llama2.c). Both hold pieces with scores instead of merges: of
 * two neighbours whose texts joined are a piece, the pair with the greatest score is merged first. That is the same as a list of all
 * pairs (left, right) of which each half and the whole are pieces, ranked by the score of the whole; so merges are made from scores here. */
#include "tokenizer_parts.h"
#include "unicode.h"

#include <assert.h>
#include <string.h>

/* ---- protobuf ----
 * A message is a row of fields: a varint (field number << 3 | wire type), then a varint (type 0), 8 bytes (1), a length and as many
 * bytes (2), or 4 bytes (5). The numbers are those of sentencepiece_model.proto. */

typedef struct {
    const char *name;            /* of the file */
    const unsigned char *at, *end, *start;
} Message;

typedef struct {
    uint32_t number, type;
    uint64_t value;              /* types 0, 1, 5 */
    Message part;                /* type 2 */
} Field;

static _Noreturn void damaged(const Message *m, const char *what) {
    bad_input("%s: byte %zu: %s; this is no whole sentencepiece model: fetch the file again", m->name, (size_t)(m->at - m->start), what);
}

static uint64_t read_varint(Message *m) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (m->at == m->end) damaged(m, "the file ends inside a number");
        unsigned char b = *m->at++;
        if (shift == 63 && b > 1) damaged(m, "a number does not fit into 64 bits");
        value |= (uint64_t)(b & 0x7F) << shift;
        if (b < 0x80) return value;
    }
    damaged(m, "a number is longer than 10 bytes");
}

static bool next_field(Message *m, Field *f) {
    if (m->at == m->end) return false;
    uint64_t key = read_varint(m);
    *f = (Field){.number = (uint32_t)(key >> 3), .type = (uint32_t)(key & 7)};
    if (!f->number || key >> 32) damaged(m, "a field has no valid number");
    if (f->type == 0) f->value = read_varint(m);
    else if (f->type == 2) {
        uint64_t n = read_varint(m);
        if (n > (uint64_t)(m->end - m->at)) damaged(m, "a field is longer than what holds it");
        f->part = (Message){.name = m->name, .at = m->at, .end = m->at + n, .start = m->start};
        m->at += n;
    } else if (f->type == 1 || f->type == 5) {
        size_t n = f->type == 1 ? 8 : 4;
        if (n > (size_t)(m->end - m->at)) damaged(m, "the file ends inside a number");
        for (size_t i = 0; i < n; i++) f->value |= (uint64_t)m->at[i] << 8 * i;
        m->at += n;
    } else damaged(m, "a field has a type that protobuf does not know");
    return true;
}

static void need_type(Message *m, const Field *f, uint32_t type) {
    if (f->type != type) damaged(m, "a field has another type than sentencepiece gives it");
}

/* ---- the specs ---- */

typedef struct {
    bool has_trainer, suffix, byte_fallback, dummy_prefix, squeeze, escape;
    uint64_t model_type;
    char *normalizer, *unk_surface, *bos, *eos;
    bool charsmap, denormalizer;
} Specs;

static char *text_of(Message *m, const Field *f) {
    need_type(m, f, 2);
    return str_copy_n((const char *)f->part.at, (size_t)(f->part.end - f->part.at));
}

static void set_text(char **to, char *text) {
    mem_free(*to);
    *to = text;
}

static void read_trainer(Message m, Specs *s) {
    Field f;
    s->has_trainer = true;
    while (next_field(&m, &f)) {
        if (f.number == 3 || f.number == 24 || f.number == 35) need_type(&m, &f, 0);
        if (f.number == 3) s->model_type = f.value;
        if (f.number == 24) s->suffix = f.value;
        if (f.number == 35) s->byte_fallback = f.value;
        if (f.number == 44) set_text(&s->unk_surface, text_of(&m, &f));
        if (f.number == 46) set_text(&s->bos, text_of(&m, &f));
        if (f.number == 47) set_text(&s->eos, text_of(&m, &f));
    }
}

static void read_normalizer(Message m, Specs *s) {
    Field f;
    while (next_field(&m, &f)) {
        if (f.number >= 3 && f.number <= 5) need_type(&m, &f, 0);
        if (f.number == 1) set_text(&s->normalizer, text_of(&m, &f));
        if (f.number == 2) need_type(&m, &f, 2), s->charsmap = f.part.end > f.part.at;
        if (f.number == 3) s->dummy_prefix = f.value;
        if (f.number == 4) s->squeeze = f.value;
        if (f.number == 5) s->escape = f.value;
    }
}

static void read_denormalizer(Message m, Specs *s) {
    Field f;
    while (next_field(&m, &f))
        if (f.number == 2) need_type(&m, &f, 2), s->denormalizer = f.part.end > f.part.at;
}

static void check_specs(const char *name, const Specs *s) {
    static const char *const types[] = {"of no type", "UNIGRAM", "BPE", "WORD", "CHAR"};
    if (s->model_type != 2)
        bad_input("%s: the sentencepiece model is %s; only BPE is known here", name, s->model_type < 5 ? types[s->model_type] : "of an unknown type");
    if (s->charsmap)
        bad_input("%s: the model normalises texts by “%s”; only “identity” is known here", name, s->normalizer ? s->normalizer : "a table of its own");
    if (s->denormalizer) bad_input("%s: the model changes texts when decoding (denormalizer_spec), which is not known here", name);
    if (s->suffix) bad_input("%s: the model puts the space behind a word (treat_whitespace_as_suffix), which is not known here", name);
    if (!s->escape) bad_input("%s: the model does not write spaces as “" MARK "” (escape_whitespaces is false), which is not known here", name);
}

/* ---- pieces ---- */

enum { LONGEST_PIECE = 1024 };
enum { SP_NORMAL = 1, SP_UNKNOWN, SP_CONTROL, SP_USER_DEFINED, SP_UNUSED, SP_BYTE };

static void check_piece(const char *name, size_t id, const char *text, size_t n, float score) {
    if (!n || n > LONGEST_PIECE) bad_input("%s: piece %zu has %zu bytes, expected 1 to %d: the file is damaged", name, id, n, LONGEST_PIECE);
    if (!utf8_valid((const unsigned char *)text, n)) bad_input("%s: piece %zu is no UTF-8: the file is damaged", name, id);
    if (!(score - score == 0)) bad_input("%s: piece %zu, “%.*s”, has a score that is no finite number: the file is damaged", name, id, (int)n, text);
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void read_piece(Message m, Tokenizer *t, size_t id) {
    Field f;
    const unsigned char *text = NULL;
    size_t n = 0;
    uint64_t type = SP_NORMAL;
    float score = 0;
    while (next_field(&m, &f)) {
        if (f.number == 1) need_type(&m, &f, 2), text = f.part.at, n = (size_t)(f.part.end - f.part.at);
        if (f.number == 2) need_type(&m, &f, 5), score = float_of((uint32_t)f.value);
        if (f.number == 3) need_type(&m, &f, 0), type = f.value;
    }
    check_piece(t->name, id, (const char *)text, n, score);
    static const PieceKind kinds[] = {[SP_NORMAL] = PIECE_NORMAL, [SP_UNKNOWN] = PIECE_UNKNOWN, [SP_CONTROL] = PIECE_SPECIAL,
                                      [SP_USER_DEFINED] = PIECE_ADDED, [SP_BYTE] = PIECE_BYTE};
    if (type < SP_NORMAL || type > SP_BYTE || type == SP_UNUSED)
        bad_input("%s: piece %zu, “%.*s”, is %s, which is not known here", t->name, id, (int)n, (const char *)text,
                  type == SP_UNUSED ? "UNUSED" : "of an unknown type");
    piece_set(t, id, (const char *)text, n, kinds[type], type == SP_NORMAL || type == SP_USER_DEFINED);
    t->pieces[id].score = score;
    if (type == SP_UNKNOWN) {
        if (t->unk != NO_PIECE) bad_input("%s: pieces %d and %zu are both the unknown piece: the file is damaged", t->name, (int)t->unk, id);
        t->unk = (int32_t)id;
    }
}

/* <0x00> … <0xFF>: all of them with byte_fallback, none without. */
static void check_bytes(const Tokenizer *t) {
    size_t bytes = 0;
    for (size_t i = 0; i < t->count; i++) bytes += t->pieces[i].kind == PIECE_BYTE;
    for (unsigned b = 0; b < 256 && t->byte_fallback; b++) {
        char *text = str_format("<0x%02X>", b);
        int32_t id = piece_find(t, text, 6);
        if (id == NO_PIECE || t->pieces[id].kind != PIECE_BYTE)
            bad_input("%s: byte_fallback needs the byte piece %s, which is not there: the file is damaged", t->name, text);
        mem_free(text);
    }
    size_t expected = t->byte_fallback ? 256 : 0;
    if (bytes != expected) bad_input("%s: %zu byte pieces, expected %zu: the file is damaged", t->name, bytes, expected);
}

/* ---- merges from scores ---- */

static int by_value(const void *a, const void *b, const void *context) {
    (void)context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Characters that occur inside pieces but are none: while a word is merged they are symbols, too. */
static void add_hidden(Tokenizer *t) {
    Buf missing = {0};
    for (size_t i = 0; i < t->count; i++) {
        if (t->pieces[i].kind != PIECE_NORMAL) continue;
        for (size_t at = 0, n; at < t->pieces[i].text_len; at += n) {
            uint32_t c;
            const char *s = piece_text(t, (int32_t)i) + at;
            n = utf8_next((const unsigned char *)s, t->pieces[i].text_len - at, &c);
            if (piece_find(t, s, n) == NO_PIECE) buf_put(&missing, &c, sizeof c);
        }
    }
    size_t count = missing.len / sizeof(uint32_t);
    uint32_t *chars = mem_new(count, sizeof *chars);
    if (count) memcpy(chars, missing.data, missing.len);
    sort_stable(chars, count, sizeof *chars, by_value, NULL);
    if (count) t->pieces = mem_resize(t->pieces, t->count + count, sizeof *t->pieces);
    for (size_t i = 0; i < count; i++) {
        char text[4];
        if (!i || chars[i] != chars[i - 1]) piece_set(t, t->count + t->hidden++, text, utf8_put((unsigned char *)text, chars[i]), PIECE_HIDDEN, true);
    }
    if (count) piece_table(t);
    mem_free(chars);
    buf_free(&missing);
}

static int greater_score(const void *a, const void *b, const void *context) {
    const Tokenizer *t = context;
    float x = t->pieces[*(const int32_t *)a].score, y = t->pieces[*(const int32_t *)b].score;
    return x > y ? -1 : x < y;
}

/* Puts every cut of the piece whose halves are symbols. */
static size_t cuts_of(Tokenizer *t, int32_t id, uint32_t rank, bool add) {
    size_t cuts = 0, n = t->pieces[id].text_len;
    const char *text = piece_text(t, id);
    for (size_t at = 1; at < n; at++) {
        if (((unsigned char)text[at] & 0xC0) == 0x80) continue; /* inside a character */
        int32_t left = piece_find(t, text, at), right = piece_find(t, text + at, n - at);
        if (left == NO_PIECE || right == NO_PIECE || !t->pieces[left].symbol || !t->pieces[right].symbol) continue;
        if (add) merge_add(t, left, right, rank, id);
        cuts++;
    }
    return cuts;
}

static void merges_from_scores(Tokenizer *t) {
    int32_t *order = mem_new(t->count, sizeof *order);
    size_t count = 0, cuts = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (!t->pieces[i].symbol) continue;
        order[count++] = (int32_t)i;
        cuts += cuts_of(t, (int32_t)i, 0, false);
    }
    sort_stable(order, count, sizeof *order, greater_score, t);
    merges_begin(t, cuts);
    uint32_t rank = 0;
    for (size_t i = 0; i < count; i++) {
        if (i && greater_score(&order[i - 1], &order[i], t)) rank++; /* equal scores: the leftmost pair goes first */
        cuts_of(t, order[i], rank, true);
    }
    mem_free(order);
}

/* What both files have in common once their pieces are there. */
static void finish(Tokenizer *t) {
    t->sentencepiece = true;
    t->replace = true;
    t->fuse_unk = true;
    piece_table(t);
    check_bytes(t);
    add_hidden(t);
    merges_from_scores(t);
    size_t user = 0, control = 0;
    for (size_t i = 0; i < t->count; i++) user += t->pieces[i].kind == PIECE_ADDED, control += t->pieces[i].kind == PIECE_SPECIAL;
    t->user.items = mem_new(user, sizeof(Added));
    t->raw.items = mem_new(control, sizeof(Added));
    for (size_t i = 0; i < t->count; i++) {
        const Piece *p = &t->pieces[i];
        if (p->kind != PIECE_ADDED && p->kind != PIECE_SPECIAL) continue;
        AddedSet *set = p->kind == PIECE_ADDED ? &t->user : &t->raw;
        set->items[set->count++] = (Added){.id = (int32_t)i, .match = str_copy_n(piece_text(t, (int32_t)i), p->text_len),
            .len = p->text_len, .special = p->kind == PIECE_SPECIAL};
    }
    tokenizer_finish(t);
}

static int32_t control_piece(const Tokenizer *t, const char *text) {
    int32_t id = tokenizer_id(t, text);
    return id != NO_PIECE && t->pieces[id].kind == PIECE_SPECIAL ? id : NO_PIECE;
}

Tokenizer *sentencepiece_read(const char *path, const Buf *bytes) {
    const unsigned char *data = (const unsigned char *)bytes->data;
    Message whole = {.name = path, .at = data, .end = data + bytes->len, .start = data}, m = whole;
    Specs s = {.dummy_prefix = true, .squeeze = true, .escape = true, .model_type = 1};
    Field f;
    size_t count = 0;
    while (next_field(&m, &f)) {
        if (f.number == 1 || f.number == 2 || f.number == 3 || f.number == 5) need_type(&m, &f, 2);
        if (f.number == 1) count++;
        if (f.number == 2) read_trainer(f.part, &s);
        if (f.number == 3) read_normalizer(f.part, &s);
        if (f.number == 5) read_denormalizer(f.part, &s);
    }
    if (!count || !s.has_trainer) bad_input("%s: this is no sentencepiece model (%zu pieces, %s trainer_spec)", path, count, s.has_trainer ? "a" : "no");
    if (count > INT32_MAX / 2) bad_input("%s: %zu pieces are more than a vocabulary can have", path, count);
    check_specs(path, &s);

    Tokenizer *t = tokenizer_new(KIND_METASPACE, path, count);
    for (m = whole; next_field(&m, &f);)
        if (f.number == 1) read_piece(f.part, t, t->count++);
    if (t->unk == NO_PIECE) bad_input("%s: no piece is the unknown piece: the file is damaged", path);
    t->byte_fallback = s.byte_fallback;
    t->prepend = s.dummy_prefix;
    t->squeeze = s.squeeze;
    t->strip = s.squeeze ? STRIP_MARKS : s.dummy_prefix ? STRIP_MARK : STRIP_NOTHING;
    t->unk_surface = s.unk_surface ? s.unk_surface : str_copy(" \xE2\x81\x87 ");
    finish(t);
    t->bos = control_piece(t, s.bos ? s.bos : "<s>");
    t->eos = control_piece(t, s.eos ? s.eos : "</s>");
    mem_free(s.normalizer), mem_free(s.bos), mem_free(s.eos);
    return t;
}

/* ---- llama2.c ----
 *
 *     u32 length of the longest piece, then for each piece: f32 score, i32 length, as many bytes       little-endian, to the end of the file
 *
 * The pieces are those of a sentencepiece model with byte fallback: <unk>, <s>, </s> (the last two with a line end before and behind),
 * <0x00> … <0xFF>, then the others, "▁" written as a space. Whether spaces in a row are one is not said; a vocabulary that has a
 * piece of two spaces has seen them in a row, one without has not. */

static uint32_t u32_at(const unsigned char *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

enum { BIN_HEAD = 4, BIN_PIECE = 8, BIN_FIRST = 259 };

/* Counts the pieces and checks the frame. */
static size_t check_frame(const char *path, const unsigned char *data, size_t size) {
    size_t at = BIN_HEAD, count = 0;
    if (size < BIN_HEAD) bad_input("%s: %zu bytes are no llama2.c tokenizer", path, size);
    for (uint32_t n; at < size; at += BIN_PIECE + n, count++) {
        if (size - at < BIN_PIECE) bad_input("%s: byte %zu: the file ends inside piece %zu: fetch it again", path, at, count);
        n = u32_at(data + at + 4);
        if (n > u32_at(data) || n > size - at - BIN_PIECE)
            bad_input("%s: byte %zu: piece %zu has %u bytes, expected at most %zu: this is no whole llama2.c tokenizer", path, at, count, n,
                      u32_at(data) < size - at - BIN_PIECE ? u32_at(data) : size - at - BIN_PIECE);
    }
    if (count < BIN_FIRST) bad_input("%s: %zu pieces; a llama2.c tokenizer has at least the 3 special and 256 byte pieces", path, count);
    return count;
}

static void read_bin_piece(Tokenizer *t, size_t id, const char *text, size_t n, float score) {
    static const char *const heads[] = {"<unk>", "\n<s>\n", "\n</s>\n"}, *const clean[] = {"<unk>", "<s>", "</s>"};
    check_piece(t->name, id, text, n, score);
    if (id < BIN_FIRST) {
        char *byte = id < 3 ? NULL : str_format("<0x%02X>", (unsigned)(id - 3));
        const char *expected = id < 3 ? heads[id] : byte, *plain = id < 3 ? clean[id] : byte;
        bool same = (strlen(expected) == n && !memcmp(expected, text, n)) || (strlen(plain) == n && !memcmp(plain, text, n));
        if (!same) bad_input("%s: piece %zu is “%.*s”, expected “%s”: this is no llama2.c tokenizer", t->name, id, (int)n, text, plain);
        piece_set(t, id, plain, strlen(plain), id == 0 ? PIECE_UNKNOWN : id < 3 ? PIECE_SPECIAL : PIECE_BYTE, false);
        mem_free(byte);
        return;
    }
    Buf marked = {0};
    for (size_t i = 0; i < n; i++) {
        if (text[i] == ' ') buf_str(&marked, MARK);
        else buf_char(&marked, text[i]);
        if (i && text[i] == ' ' && text[i - 1] == ' ') t->squeeze = false;
    }
    piece_set(t, id, marked.data, marked.len, PIECE_NORMAL, true);
    t->pieces[id].score = score;
    buf_free(&marked);
}

Tokenizer *llama2c_tokenizer_read(const char *path, const Buf *bytes) {
    const unsigned char *data = (const unsigned char *)bytes->data;
    size_t count = check_frame(path, data, bytes->len), at = BIN_HEAD;
    Tokenizer *t = tokenizer_new(KIND_METASPACE, path, count);
    t->byte_fallback = t->prepend = t->squeeze = true;
    for (uint32_t n; t->count < count; at += BIN_PIECE + n) {
        n = u32_at(data + at + 4);
        read_bin_piece(t, t->count++, (const char *)data + at + BIN_PIECE, n, float_of(u32_at(data + at)));
    }
    t->strip = t->squeeze ? STRIP_MARKS : STRIP_MARK;
    t->unk = 0, t->bos = 1, t->eos = 2;
    finish(t);
    return t;
}
