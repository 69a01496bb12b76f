#include "os.h"
#include "tokenizer_parts.h"
#include "unicode.h"

#include <assert.h>
#include <string.h>

void ids_push(Ids *ids, int32_t id) {
    if (ids->count == ids->cap) {
        ids->cap = ids->cap ? 2 * ids->cap : 64;
        ids->data = mem_resize(ids->data, ids->cap, sizeof *ids->data);
    }
    ids->data[ids->count++] = id;
}

void ids_free(Ids *ids) {
    mem_free(ids->data);
    *ids = (Ids){0};
}

/* ---- bytes as printable characters ----
 * A byte-level vocabulary is stored as text. The bytes that are printable in Latin-1 stand for themselves, the others in order
 * for U+0100, U+0101, …: a space (0x20) is "Ġ" (U+0120), a line end is "Ċ". */

static bool byte_prints(unsigned b) { return (b >= '!' && b <= '~') || (b >= 0xA1 && b != 0xAD); }

uint32_t byte_char(unsigned byte) {
    if (byte_prints(byte)) return byte;
    uint32_t c = 0x100;
    for (unsigned b = 0; b < byte; b++) c += !byte_prints(b);
    return c;
}

void byte_order(unsigned char order[256]) {
    size_t n = 0;
    for (int prints = 1; prints >= 0; prints--)
        for (unsigned b = 0; b < 256; b++)
            if (byte_prints(b) == prints) order[n++] = (unsigned char)b;
}

/* ---- pieces ---- */

Tokenizer *tokenizer_new(TokenizerKind kind, const char *name, size_t most_pieces) {
    Tokenizer *t = mem_new(1, sizeof *t);
    t->kind = kind;
    t->name = str_copy(name);
    t->pieces = mem_new(most_pieces, sizeof *t->pieces);
    t->bos = t->eos = t->unk = NO_PIECE;
    t->adds_bos = -1;
    return t;
}

static void added_free(AddedSet *set) {
    for (size_t i = 0; i < set->count; i++) mem_free(set->items[i].match);
    mem_free(set->items);
}

void tokenizer_free(Tokenizer *t) {
    if (!t) return;
    added_free(&t->raw);
    added_free(&t->normalized);
    added_free(&t->user);
    for (size_t i = 0; i < t->file_count; i++) {
        mem_free(t->files[i].name);
        buf_free(&t->files[i].bytes);
    }
    mem_free(t->files);
    mem_free(t->name);
    mem_free(t->pieces);
    buf_free(&t->arena);
    mem_free(t->table);
    mem_free(t->merges);
    mem_free(t->unk_surface);
    mem_free(t->cache);
    mem_free(t);
}

void piece_set(Tokenizer *t, size_t index, const char *text, size_t n, PieceKind kind, bool symbol) {
    assert(!t->pieces[index].set && n <= UINT32_MAX);
    t->pieces[index] = (Piece){.text = t->arena.len, .text_len = (uint32_t)n, .kind = kind, .set = true, .symbol = symbol};
    buf_put(&t->arena, text, n);
    buf_char(&t->arena, 0);
}

const char *piece_text(const Tokenizer *t, int32_t id) { return t->arena.data + t->pieces[id].text; }

static uint64_t hash_bytes(const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    uint64_t h = 14695981039346656037u; /* FNV-1a, and a last mix for the high bits */
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    return h ^ h >> 32;
}

static size_t power_above(size_t n) {
    size_t size = 16;
    while (size < n) size *= 2;
    return size;
}

/* The slot where this text is or would be. */
static size_t piece_slot(const Tokenizer *t, const char *text, size_t n) {
    size_t slot = hash_bytes(text, n) & (t->table_size - 1);
    for (; t->table[slot]; slot = (slot + 1) & (t->table_size - 1)) {
        const Piece *p = &t->pieces[t->table[slot] - 1];
        if (p->text_len == n && !memcmp(t->arena.data + p->text, text, n)) break;
    }
    return slot;
}

void piece_table(Tokenizer *t) {
    mem_free(t->table);
    t->table_size = power_above(2 * (t->count + t->hidden));
    t->table = mem_new(t->table_size, sizeof *t->table);
    for (size_t i = 0; i < t->count + t->hidden; i++) {
        size_t slot = piece_slot(t, piece_text(t, (int32_t)i), t->pieces[i].text_len);
        if (t->table[slot])
            bad_input("%s: ids %u and %zu are both “%s”, and each piece may stand once only: the file is damaged, take it from its source again",
                      t->name, t->table[slot] - 1, i, piece_text(t, (int32_t)i));
        t->table[slot] = (uint32_t)(i + 1);
    }
}

void piece_index(Tokenizer *t, int32_t id) {
    if (2 * (t->count + t->hidden) > t->table_size) piece_table(t);
    else t->table[piece_slot(t, piece_text(t, id), t->pieces[id].text_len)] = (uint32_t)id + 1;
}

int32_t piece_find(const Tokenizer *t, const char *text, size_t n) { return (int32_t)t->table[piece_slot(t, text, n)] - 1; }

/* ---- merges ---- */

static size_t merge_slot(const Tokenizer *t, uint64_t pair) {
    uint64_t h = pair * 0x9E3779B97F4A7C15u;
    size_t slot = (h ^ h >> 32) & (t->merges_size - 1);
    while (t->merges[slot].pair != pair && t->merges[slot].pair != MERGE_EMPTY) slot = (slot + 1) & (t->merges_size - 1);
    return slot;
}

void merges_begin(Tokenizer *t, size_t most) {
    t->merges_size = power_above(2 * most);
    t->merges = mem_new(t->merges_size, sizeof *t->merges);
    for (size_t i = 0; i < t->merges_size; i++) t->merges[i].pair = MERGE_EMPTY;
}

bool merge_add(Tokenizer *t, int32_t left, int32_t right, uint32_t rank, int32_t id) {
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    Merge *m = &t->merges[merge_slot(t, pair)];
    if (m->pair == pair) return false;
    *m = (Merge){.pair = pair, .rank = rank, .id = id};
    t->merge_count++;
    return true;
}

const Merge *merge_find(const Tokenizer *t, int32_t left, int32_t right) {
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    const Merge *m = &t->merges[merge_slot(t, pair)];
    return m->pair == pair ? m : NULL;
}

/* ---- added tokens ---- */

static int added_before(const void *a, const void *b, const void *context) {
    (void)context;
    const Added *x = a, *y = b;
    unsigned char p = (unsigned char)x->match[0], q = (unsigned char)y->match[0];
    return p != q ? (p < q ? -1 : 1) : x->len != y->len ? (x->len > y->len ? -1 : 1) : 0;
}

void added_sort(AddedSet *set) {
    sort_stable(set->items, set->count, sizeof *set->items, added_before, NULL);
    size_t i = 0;
    for (size_t b = 0; b <= 256; b++) {
        while (i < set->count && (unsigned char)set->items[i].match[0] < b) i++;
        set->first[b] = i;
    }
}

/* ---- completing ---- */

/* The value of "<0xHH>", or -1. Only capital digits: that is how vocabularies spell it. */
static int byte_piece(const char *text, size_t n) {
    static const char digits[] = "0123456789ABCDEF";
    if (n != 6 || memcmp(text, "<0x", 3) || text[5] != '>') return -1;
    const char *high = memchr(digits, text[3], 16), *low = memchr(digits, text[4], 16);
    return high && low ? (int)((high - digits) * 16 + (low - digits)) : -1;
}

static void finish_byte_level(Tokenizer *t) {
    short byte_of[0x180]; /* the byte that a character stands for */
    for (size_t i = 0; i < 0x180; i++) byte_of[i] = -1;
    for (unsigned b = 0; b < 256; b++) byte_of[byte_char(b)] = (short)b;
    Buf bytes = {0};
    for (size_t i = 0; i < t->count; i++) {
        Piece *p = &t->pieces[i];
        if (p->kind != PIECE_NORMAL) continue;
        bytes.len = 0;
        for (size_t at = 0; at < p->text_len;) {
            uint32_t c;
            at += utf8_next((const unsigned char *)t->arena.data + p->text + at, p->text_len - at, &c);
            if (c >= 0x180 || byte_of[c] < 0) { /* such a piece stands for its own text */
                bytes.len = 0;
                buf_put(&bytes, t->arena.data + p->text, p->text_len);
                break;
            }
            buf_char(&bytes, (char)byte_of[c]);
        }
        p->bytes = t->arena.len;
        p->bytes_len = (uint32_t)bytes.len;
        buf_put(&t->arena, bytes.data, bytes.len);
    }
    buf_free(&bytes);
    for (unsigned b = 0; b < 256; b++) {
        unsigned char text[4];
        int32_t id = piece_find(t, (char *)text, utf8_put(text, byte_char(b)));
        t->byte_ids[b] = id >= 0 && t->pieces[id].symbol ? id : NO_PIECE;
    }
}

static void finish_metaspace(Tokenizer *t) {
    for (unsigned b = 0; b < 256; b++) t->byte_ids[b] = NO_PIECE;
    bool cuts = t->cut == CUT_NOWHERE;
    for (size_t i = 0; i < t->count; i++) {
        Piece *p = &t->pieces[i];
        int byte = byte_piece(piece_text(t, (int32_t)i), p->text_len);
        if (byte >= 0 && t->byte_fallback && (p->kind == PIECE_NORMAL || p->kind == PIECE_BYTE)) {
            p->kind = PIECE_BYTE;
            t->byte_ids[byte] = (int32_t)i;
            p->bytes = t->arena.len;
            p->bytes_len = 1;
            buf_char(&t->arena, (char)byte);
        } else if (p->kind == PIECE_NORMAL || p->kind == PIECE_ADDED) {
            p->bytes = t->arena.len;
            for (size_t at = 0; at < p->text_len;) {
                const char *text = piece_text(t, (int32_t)i) + at;
                bool mark = p->text_len - at >= MARK_LEN && !memcmp(text, MARK, MARK_LEN);
                if (mark && at && p->symbol && (at < MARK_LEN || memcmp(text - MARK_LEN, MARK, MARK_LEN))) cuts = false;
                buf_char(&t->arena, mark ? ' ' : *text);
                at += mark ? MARK_LEN : 1;
            }
            p->bytes_len = (uint32_t)(t->arena.len - p->bytes);
        }
    }
    int32_t mark = piece_find(t, MARK, MARK_LEN);
    if (cuts && mark >= 0 && t->pieces[mark].symbol) t->cut = CUT_RUNS;
}

void tokenizer_finish(Tokenizer *t) {
    if (t->kind == KIND_BYTE_LEVEL) finish_byte_level(t);
    else finish_metaspace(t);
    for (size_t i = 0; i < t->count; i++) { /* an added token of a byte-level vocabulary is its own text */
        Piece *p = &t->pieces[i];
        if (p->kind == PIECE_ADDED && t->kind == KIND_BYTE_LEVEL) p->bytes = p->text, p->bytes_len = p->text_len;
    }
    added_sort(&t->raw);
    added_sort(&t->normalized);
    added_sort(&t->user);
    t->cache = mem_new(CACHE_LINES, sizeof *t->cache);
}

/* ---- folders ---- */

void keep_file(Tokenizer *t, const char *name, Buf bytes) {
    t->files = mem_resize(t->files, t->file_count + 1, sizeof *t->files);
    t->files[t->file_count++] = (KeptFile){.name = str_copy(name), .bytes = bytes};
}

const Buf *kept_file(const Tokenizer *t, const char *name) {
    for (size_t i = 0; i < t->file_count; i++)
        if (!strcmp(t->files[i].name, name)) return &t->files[i].bytes;
    return NULL;
}

static const char *const known_files[] = {"tokenizer.json", "tokenizer.model", "tokenizer.bin"};

/* The parts of a Hugging Face folder that say something about the tokenizer beside its main file; written back as they are. */
static void read_companions(Tokenizer *t, const char *dir, const char *main_name) {
    static const char *const names[] = {"tokenizer.json",     "tokenizer.model",       "tokenizer_config.json", "special_tokens_map.json",
                                        "added_tokens.json", "chat_template.jinja", "vocab.json",            "merges.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = os_join(dir, names[i]);
        if (strcmp(names[i], main_name) && os_exists(path)) {
            keep_file(t, names[i], os_read(path));
            if (!strcmp(names[i], "tokenizer_config.json")) tokenizer_config_read(t, path, kept_file(t, names[i]));
        }
        mem_free(path);
    }
}

/* Where no tokenizer_config.json says otherwise. */
static void default_ends(Tokenizer *t) {
    if (t->kind == KIND_BYTE_LEVEL) t->bos = t->eos = tokenizer_id(t, END_OF_TEXT);
    else if (!t->sentencepiece) t->bos = tokenizer_id(t, "<s>"), t->eos = tokenizer_id(t, "</s>");
}

/* A vocabulary in tiktoken's form, "base64 rank" a line, which Llama 3's own tokenizer.model is too: it has neither split nor special tokens. */
static bool is_tiktoken(const Buf *b) {
    const char *end = memchr(b->data, '\n', b->len < 200 ? b->len : 200);
    size_t n = end ? (size_t)(end - b->data) : 0, letters = 0, digits = 0;
    while (letters < n && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", b->data[letters])) letters++;
    while (letters + 1 + digits < n && strchr("0123456789", b->data[letters + 1 + digits])) digits++;
    return letters && digits && b->data[letters] == ' ' && letters + 1 + digits == n;
}

static Tokenizer *read_file(const char *path, const char *name) {
    Buf bytes = os_read(path);
    Tokenizer *t = NULL;
    if (!bytes.len) bad_input("%s: the file is empty: fetch or write it again", path);
    if (is_tiktoken(&bytes))
        bad_input("%s: this is a vocabulary of tiktoken (as Llama 3's original files have it), which does not say how texts are split: take the tokenizer.json "
                  "of the same model", path);
    if (str_ends(name, ".json")) t = tokenizer_json_read(path, &bytes);
    else if (str_ends(name, ".model") || strstr(name, ".model.v")) t = sentencepiece_read(path, &bytes); /* Mistral numbers its own */
    else if (str_ends(name, ".bin")) t = llama2c_tokenizer_read(path, &bytes);
    else bad_input("%s: a tokenizer is a folder or a file whose name ends in .json, .model (sentencepiece), .gguf or .bin (llama2.c)", path);
    if (str_ends(name, ".bin")) buf_free(&bytes);
    else keep_file(t, str_ends(name, ".json") ? "tokenizer.json" : "tokenizer.model", bytes);
    return t;
}

Tokenizer *tokenizer_load(const char *path) {
    Tokenizer *t = NULL;
    if (str_ends(path, ".gguf")) return gguf_tokenizer_read(path);
    if (os_is_dir(path)) {
        for (size_t i = 0; i < 3 && !t; i++) {
            char *file = os_join(path, known_files[i]);
            if (os_exists(file)) {
                t = read_file(file, known_files[i]);
                read_companions(t, path, known_files[i]);
            }
            mem_free(file);
        }
        if (!t) bad_input("%s: the folder has no tokenizer.json, tokenizer.model or tokenizer.bin", path);
    } else {
        const char *name = path;
        for (const char *c = path; *c; c++)
            if (*c == '/' || *c == '\\') name = c + 1;
        t = read_file(path, name);
        if (!strcmp(name, known_files[0]) || !strcmp(name, known_files[1])) {
            char *dir = name == path ? str_copy(".") : str_copy_n(path, (size_t)(name - path));
            read_companions(t, dir, name);
            mem_free(dir);
        }
    }
    if (!kept_file(t, "tokenizer_config.json")) default_ends(t);
    return t;
}

void tokenizer_save(const Tokenizer *t, const char *dir) {
    os_make_dir(dir);
    for (size_t i = 0; i < t->file_count; i++) {
        char *path = os_join(dir, t->files[i].name);
        os_write_file(path, t->files[i].bytes.data, t->files[i].bytes.len);
        mem_free(path);
    }
    if (!kept_file(t, "tokenizer.json") && tokenizer_json_fits(t)) tokenizer_json_write(t, dir);
    if (!kept_file(t, "tokenizer_config.json")) tokenizer_config_write(t, dir);
}

/* ---- questions ---- */

size_t tokenizer_size(const Tokenizer *t) { return t->count; }
int32_t tokenizer_bos(const Tokenizer *t) { return t->bos; }
int32_t tokenizer_eos(const Tokenizer *t) { return t->eos; }
int32_t tokenizer_unk(const Tokenizer *t) { return t->unk; }
bool tokenizer_adds_bos(const Tokenizer *t) { return t->bos != NO_PIECE && t->adds_bos != 0; }

int32_t tokenizer_id(const Tokenizer *t, const char *piece) {
    int32_t id = piece_find(t, piece, strlen(piece));
    return id >= 0 && (size_t)id < t->count ? id : NO_PIECE;
}

bool tokenizer_is_special(const Tokenizer *t, int32_t id) {
    assert(id >= 0 && (size_t)id < t->count);
    return t->pieces[id].kind == PIECE_SPECIAL || t->pieces[id].kind == PIECE_UNKNOWN;
}

const char *tokenizer_piece_bytes(const Tokenizer *t, int32_t id, size_t *len) {
    assert(id >= 0 && (size_t)id < t->count);
    *len = t->pieces[id].bytes_len;
    return t->arena.data + t->pieces[id].bytes;
}

/* ---- decoding ---- */

void tokenizer_decode_next(const Tokenizer *t, Decoding *state, int32_t id, bool keep_special, Buf *out) {
    size_t n, skip = 0;
    const char *bytes = tokenizer_piece_bytes(t, id, &n);
    const Piece *p = &t->pieces[id];
    if (tokenizer_is_special(t, id)) {
        if (keep_special) bytes = piece_text(t, id), n = p->text_len;
        else if (p->kind == PIECE_UNKNOWN && t->unk_surface) bytes = t->unk_surface, n = strlen(bytes);
        else return;
    } else if (!state->begun && n) {
        bool mark = p->text_len >= MARK_LEN && !memcmp(piece_text(t, id), MARK, MARK_LEN);
        if (t->strip == STRIP_SPACE) skip = bytes[0] == ' ';
        else if (t->strip == STRIP_MARK || t->strip == STRIP_MARKS) skip = mark;
        else if (t->strip == STRIP_FIRST_TOKEN) {
            for (size_t i = 0; i < n; i++)
                if (bytes[i] != ' ') buf_char(out, bytes[i]);
            skip = n;
        }
    }
    buf_put(out, bytes + skip, n - skip);
    /* sentencepiece takes off the spaces of every token until there is text, if its normaliser leaves none */
    if (n > skip || t->strip != STRIP_MARKS) state->begun = true;
}

void tokenizer_decode(const Tokenizer *t, const int32_t *ids, size_t count, bool keep_special, Buf *out) {
    Decoding state = {0};
    for (size_t i = 0; i < count; i++) tokenizer_decode_next(t, &state, ids[i], keep_special, out);
}
