/* Byte-level tokenizers: splits, training and encoding against their plain definitions. */
#include "../tokenizer_parts.h"
#include "../unicode.h"
#include "scratch.h"
#include "test.h"

/* ---- helpers ---- */

/* "1 2 3"; stays valid for eight calls. */
static const char *ids_of(Tokenizer *t, const char *text, size_t n, bool special) {
    static Buf ring[8];
    static int turn;
    Buf *b = &ring[turn++ % 8];
    *b = (Buf){0};
    Ids ids = {0};
    tokenizer_encode(t, text, n, special, &ids);
    buf_str(b, "");
    for (size_t i = 0; i < ids.count; i++) buf_format(b, "%s%d", i ? " " : "", (int)ids.data[i]);
    ids_free(&ids);
    return b->data;
}

static const char *ids_text(Tokenizer *t, const char *text) { return ids_of(t, text, strlen(text), false); }

static Buf decoded(const Tokenizer *t, const char *ids, bool keep_special) {
    Ids list = {0};
    Buf out = {0};
    for (const char *c = ids; *c;) {
        char *end;
        ids_push(&list, (int32_t)strtol(c, &end, 10));
        c = *end ? end + 1 : end;
    }
    buf_str(&out, "");
    tokenizer_decode(t, list.data, list.count, keep_special, &out);
    ids_free(&list);
    return out;
}

static bool encodes_back(Tokenizer *t, const void *text, size_t n) {
    Ids ids = {0};
    Buf out = {0};
    tokenizer_encode(t, text, n, false, &ids);
    tokenizer_decode(t, ids.data, ids.count, true, &out);
    bool same = out.len == n && (!n || !memcmp(out.data, text, n));
    ids_free(&ids), buf_free(&out);
    return same;
}

static bool same_file(const char *a, const char *b) {
    Buf x = os_read(a), y = os_read(b);
    bool same = x.len == y.len && !memcmp(x.data, y.data, x.len);
    buf_free(&x), buf_free(&y);
    return same;
}

static Tokenizer *trained_on(const char *text, size_t n, size_t vocab) {
    BpeTrainer *b = bpe_trainer_new();
    bpe_trainer_add(b, text, n);
    return bpe_train(b, vocab);
}

/* A text of words that repeat, from few letters, with all sorts of bytes between. */
static Buf some_text(uint32_t seed, size_t words) {
    Buf b = {0};
    for (size_t i = 0; i < words; i++) {
        uint32_t kind = rng_below(12, seed, RNG_TEST, i, 0), n = 1 + rng_below(7, seed, RNG_TEST, i, 1);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t r = rng_below(256, seed, RNG_TEST, i, 2 + k);
            if (kind < 9) buf_char(&b, (char)("abcdet"[r % 6]));
            else if (kind == 9) buf_char(&b, (char)r);
            else if (kind == 10) buf_str(&b, r % 2 ? "\xE4\xB8\xAD" : "'s");
            else buf_char(&b, " \n1!"[r % 4]);
        }
        buf_char(&b, ' ');
    }
    return b;
}

/* ---- characters and splits ---- */

static void test_utf8(void) {
    static const struct {
        const char *bytes;
        size_t n, length;
        uint32_t c;
    } cases[] = {{"a", 1, 1, 'a'}, {"\xC3\xA9", 2, 2, 0xE9}, {"\xE2\x96\x81", 3, 3, 0x2581}, {"\xF4\x8F\xBF\xBF", 4, 4, 0x10FFFF},
        {"\xED\x9F\xBF", 3, 3, 0xD7FF},
                 {"\xC3", 1, 1, CHAR_INVALID}, {"\xC1\xBF", 2, 1, CHAR_INVALID}, {"\xE0\x9F\xBF", 3, 1, CHAR_INVALID}, {"\xED\xA0\x80", 3, 1, CHAR_INVALID},
                 {"\xF0\x8F\xBF\xBF", 4, 1, CHAR_INVALID}, {"\xF4\x90\x80\x80", 4, 1, CHAR_INVALID}, {"\x80", 1, 1, CHAR_INVALID},
                     {"\xE2\x96x", 3, 1, CHAR_INVALID}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t c;
        size_t n = utf8_next((const unsigned char *)cases[i].bytes, cases[i].n, &c);
        CHECK(n == cases[i].length && c == cases[i].c, "case %zu: %zu bytes, U+%X", i, n, (unsigned)c);
    }
    size_t wrong = 0, count[4] = {0};
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (c >= 0xD800 && c < 0xE000) continue;
        unsigned char s[4];
        uint32_t again;
        size_t n = utf8_put(s, c);
        wrong += utf8_next(s, n, &again) != n || again != c;
        count[char_class(c)]++;
    }
    CHECK(!wrong);
    CHECK(count[CHAR_LETTER] == 141028 && count[CHAR_NUMBER] == 1911 && count[CHAR_SPACE] == 25, "Unicode 16: %zu %zu %zu", count[1], count[2], count[3]);
}

static void test_splits(void) {
    static const struct {
        Split split;
        bool digits;
        const char *text, *words;
    } cases[] = {
        {SPLIT_GPT2, false, "Hello, it's  me\n\n  2024!", "Hello|,| it|'s| | me|\n\n | 2024|!"},
        {SPLIT_GPT2, false, "don't I'LL we'll''s", "don|'t| I|'|LL| we|'ll|''|s"},
        {SPLIT_GPT2, false, "a  ", "a|  "},
        {SPLIT_GPT2, false, " \xC2\xA0x\xE3\x80\x80y", " |\xC2\xA0|x|\xE3\x80\x80|y"},
        {SPLIT_GPT2, false, "a\xCC\x81z \xFF\xC3!b", "a|\xCC\x81|z| \xFF\xC3!|b"},
        {SPLIT_GPT2, true, "a 12b", "a| |1|2|b"},
        {SPLIT_GPT2, true, "\xC2\xBD 3", "\xC2\xBD| |3"},
        {SPLIT_QWEN2, false, "I'LL 'S'\xC5\xBF 1234 .x\n!!\r\n\n  \n y", "I|'LL| '|S|'\xC5\xBF| |1|2|3|4| .|x|\n|!!\r\n\n|  \n| y"},
        {SPLIT_QWEN2, false, "x'\xC5\xBFy 'Sy", "x|'\xC5\xBF|y| '|Sy"},
        {SPLIT_LLAMA3, false, "1234567 (a\tb", "123|456|7| (|a|\tb"},
        {SPLIT_LLAMA3, false, "  a   1", " | a|  | |1"},
        {SPLIT_NONE, false, "a b", "a b"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buf out = {0};
        const unsigned char *word;
        size_t n;
        Pretokens p = pretokens(cases[i].split, cases[i].digits, (const unsigned char *)cases[i].text, strlen(cases[i].text));
        while (pretoken_next(&p, &word, &n)) {
            if (out.len) buf_char(&out, '|');
            buf_put(&out, word, n);
        }
        CHECK(!strcmp(out.data, cases[i].words), "case %zu: %s", i, out.data);
        buf_free(&out);
    }
}

/* ---- training ---- */

static void test_worked_example(void) {
    Tokenizer *t = trained_on("aaabdaaabac", 11, 300);
    CHECK(tokenizer_size(t) == 260, "%zu", tokenizer_size(t));
    CHECK(tokenizer_id(t, "aa") == 257 && tokenizer_id(t, "aaa") == 258 && tokenizer_id(t, "aaab") == 259);
    CHECK(!strcmp(ids_text(t, "aaabdaaabac"), "259 68 259 65 67"), "%s", ids_text(t, "aaabdaaabac"));
    CHECK(!strcmp(ids_text(t, ""), ""));
    CHECK(tokenizer_id(t, END_OF_TEXT) == 0 && tokenizer_bos(t) == 0 && tokenizer_eos(t) == 0 && tokenizer_unk(t) == -1 && tokenizer_id(t, "zz") == -1);
    tokenizer_free(t);
    t = trained_on("one<|endoftext|>one<|endoftext|><|endoftext|>one<|endoftex", 58, 265);
    CHECK(tokenizer_id(t, "one") > 0 && tokenizer_id(t, "|>") == -1, "the separator is no text");
    tokenizer_free(t);
    t = trained_on("", 0, 257);
    CHECK(tokenizer_size(t) == 257);
    tokenizer_free(t);
    CHECK_FAILS(2, "at least 257", trained_on("abc", 3, 256));
}

/* The definition: count all pairs, join the most frequent, of equals the one with the greatest bytes. Words and tokens as byte strings. */
typedef struct {
    const char *at[400];
    size_t length[400], count;
} PlainWord;

static int bytes_order(const char *a, size_t n, const char *b, size_t m) {
    int order = memcmp(a, b, n < m ? n : m);
    return order ? order : (n > m) - (n < m);
}

static size_t plain_count(const PlainWord *words, size_t n, const PlainWord *w, size_t i) {
    size_t count = 0;
    for (size_t k = 0; k < n; k++)
        for (size_t j = 0; j + 1 < words[k].count; j++)
            count += words[k].length[j] == w->length[i] && words[k].length[j + 1] == w->length[i + 1] &&
                     !memcmp(words[k].at[j], w->at[i], w->length[i] + w->length[i + 1]);
    return count;
}

static void plain_join(PlainWord *w, const char *text, size_t left, size_t right) {
    size_t to = 0;
    for (size_t i = 0; i < w->count; i++, to++) {
        w->at[to] = w->at[i], w->length[to] = w->length[i];
        if (i + 1 < w->count && w->length[i] == left && w->length[i + 1] == right && !memcmp(w->at[i], text, left + right)) w->length[to] = left + right, i++;
    }
    w->count = to;
}

static void test_training_definition(void) {
    for (uint32_t seed = 0; seed < 12; seed++) {
        Buf text = some_text(seed, 30 + 10 * seed);
        PlainWord *words = mem_new(text.len + 1, sizeof *words);
        size_t n = 0, length;
        const unsigned char *word;
        Pretokens p = pretokens(SPLIT_GPT2, false, (const unsigned char *)text.data, text.len);
        for (; pretoken_next(&p, &word, &length); n++)
            for (size_t i = 0; i < length && i < 400; i++) words[n].at[i] = (const char *)word + i, words[n].length[i] = 1, words[n].count++;
        Tokenizer *t = trained_on(text.data, text.len, 290);
        for (size_t id = 257;; id++) {
            const char *best = NULL;
            size_t left = 0, right = 0, most = 1;
            for (size_t k = 0; k < n; k++)
                for (size_t i = 0; i + 1 < words[k].count; i++) {
                    size_t count = plain_count(words, n, &words[k], i), l = words[k].length[i], r = words[k].length[i + 1];
                    const char *at = words[k].at[i];
                    int order = count != most || !best ? 0 : bytes_order(at, l, best, left);
                    if (best && count == most && !order) order = bytes_order(at + l, r, best + left, right);
                    if (count > most || (count == most && best && order > 0)) best = at, left = l, right = r, most = count;
                }
            if (!best || id == 290) {
                CHECK(tokenizer_size(t) == id, "seed %u: %zu tokens, expected %zu", seed, tokenizer_size(t), id);
                break;
            }
            size_t have = 0;
            const char *bytes = id < tokenizer_size(t) ? tokenizer_piece_bytes(t, (int32_t)id, &have) : "";
            CHECK(have == left + right && !memcmp(bytes, best, have), "seed %u: token %zu", seed, id);
            if (have != left + right) break;
            for (size_t k = 0; k < n; k++) plain_join(&words[k], best, left, right);
        }
        tokenizer_free(t), mem_free(words), buf_free(&text);
    }
}

static void test_golden(void) {
    Buf text = some_text(7, 20000);
    Tokenizer *t = trained_on(text.data, text.len, 700);
    os_make_dir(scratch("golden"));
    tokenizer_save(t, scratch("golden"));
    Buf file = os_read(scratch("golden/tokenizer.json"));
    char hex[65];
    sha256_of(file.data, file.len, hex);
    CHECK(!strcmp(hex, "9266f20399971245fd5794667652244583505a1730ccfbc62a2a4bf9a263a9cc"), "tokenizer.json is now %s", hex);
    Ids ids = {0};
    tokenizer_encode(t, text.data, text.len, false, &ids);
    sha256_of(ids.data, ids.count * sizeof *ids.data, hex);
    CHECK(!strcmp(hex, "633e914c18d98665d79ab82d254af170d48d860660ce20912141e09b91100439"), "the ids are now %s", hex);
    tokenizer_free(t), buf_free(&text), buf_free(&file), ids_free(&ids);
}

/* ---- encoding ---- */

/* One word: join the pair of least rank, leftmost first, until there is none. */
static void plain_encode(const Tokenizer *t, const unsigned char *s, size_t n, Ids *ids) {
    int32_t *a = mem_new(n, sizeof *a);
    for (size_t i = 0; i < n; i++) a[i] = t->byte_ids[s[i]];
    for (;;) {
        const Merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const Merge *m = merge_find(t, a[i], a[i + 1]);
            if (m && (!best || m->rank < best->rank)) best = m, at = i;
        }
        if (!best) break;
        a[at] = best->id;
        memmove(a + at + 1, a + at + 2, (--n - at - 1) * sizeof *a);
    }
    for (size_t i = 0; i < n; i++) ids_push(ids, a[i]);
    mem_free(a);
}

static void test_encoding_definition(void) {
    Buf text = some_text(3, 4000), other = some_text(4, 4000);
    Tokenizer *t = trained_on(text.data, text.len, 600);
    for (int pass = 0; pass < 2; pass++) { /* the second finds words remembered */
        Ids ids = {0}, plain = {0};
        const unsigned char *word;
        size_t n;
        tokenizer_encode(t, other.data, other.len, false, &ids);
        Pretokens p = pretokens(SPLIT_GPT2, false, (const unsigned char *)other.data, other.len);
        while (pretoken_next(&p, &word, &n)) plain_encode(t, word, n, &plain);
        CHECK(ids.count == plain.count && !memcmp(ids.data, plain.data, ids.count * sizeof *ids.data), "pass %d: %zu ids, expected %zu",
            pass, ids.count, plain.count);
        ids_free(&ids), ids_free(&plain);
    }
    for (uint32_t i = 0; i < 300; i++) { /* the identity on random bytes */
        unsigned char bytes[200];
        uint32_t n = rng_below(200, 1, RNG_TEST, i, 0);
        for (uint32_t k = 0; k < n; k++) bytes[k] = (unsigned char)rng_below(256, 1, RNG_TEST, i, 1 + k);
        CHECK(encodes_back(t, bytes, n), "random bytes %u", i);
    }
    tokenizer_free(t), buf_free(&text), buf_free(&other);
}

typedef struct {
    uint32_t hash;
    char word[7];
} Hashed;

static int by_hash(const void *a, const void *b, const void *context) {
    (void)context;
    const Hashed *x = a, *y = b;
    return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1) : strcmp(x->word, y->word);
}

/* Two words that share a hash (FNV-1a) must not share their ids. */
static void test_remembered_words(void) {
    enum { N = 300000 };
    Hashed *h = mem_new(N, sizeof *h);
    for (uint32_t i = 0; i < N; i++) {
        h[i].hash = 2166136261u;
        for (uint32_t k = 0; k < 6; k++) {
            h[i].word[k] = (char)('a' + rng_below(26, 9, RNG_TEST, i, k));
            h[i].hash = (h[i].hash ^ (unsigned char)h[i].word[k]) * 16777619u;
        }
    }
    sort_stable(h, N, sizeof *h, by_hash, NULL);
    Tokenizer *t = trained_on("", 0, 257);
    size_t pairs = 0;
    for (size_t i = 1; i < N; i++) {
        if (h[i].hash != h[i - 1].hash || !strcmp(h[i].word, h[i - 1].word)) continue;
        pairs++;
        CHECK(encodes_back(t, h[i - 1].word, 6) && encodes_back(t, h[i].word, 6), "%s %s", h[i - 1].word, h[i].word);
    }
    CHECK(pairs, "no two words with one hash");
    tokenizer_free(t), mem_free(h);
}

/* A megabyte without a place to cut: quadratic work would take minutes. */
static void test_long_words(void) {
    enum { N = 1 << 20 };
    char *text = mem_new(N, 1);
    memset(text, 'a', N);
    Tokenizer *t = trained_on(text, 4096, 270);
    CHECK(encodes_back(t, text, N), "aaaa");
    memset(text, ' ', N);
    CHECK(encodes_back(t, text, N), "spaces");
    for (size_t i = 0; i < N; i++) text[i] = (char)("acgt"[rng_below(4, 2, RNG_TEST, i, 0)]);
    tokenizer_free(t);
    t = trained_on(text, N / 4, 400);
    CHECK(encodes_back(t, text, N), "acgt");
    memset(text, '<', N);
    CHECK(encodes_back(t, text, N), "<<<<");
    tokenizer_free(t), mem_free(text);
}

/* Composed, decomposed, ordered, excluded, blocked; Hangul; what is no UTF-8. */
static void test_nfc(void) {
    static const struct {
        const char *text, *form;
    } cases[] = {{"plain", "plain"},
                 {"e\314\201", "\303\251"}, /* e U+0301 -> U+00E9 */
                 {"\303\251\303\205", "\303\251\303\205"}, /* U+00E9 U+00C5 -> U+00E9 U+00C5 */
                 {"\342\204\253 \342\204\246", "\303\205 \316\251"}, /* U+212B U+2126 -> U+00C5 U+03A9: other names of letters */
                 {"s\314\207\314\243", "\341\271\251"}, /* s U+0307 U+0323 -> U+1E69: sorted by class, then composed twice */
                 {"q\314\207\314\243", "q\314\243\314\207"}, /* q U+0307 U+0323 -> q U+0323 U+0307 */
                 {"a\314\201\314\201", "\303\241\314\201"}, /* a U+0301 U+0301 -> U+00E1 U+0301: the second of one class is blocked */
                 {"a\314\225\314\200", "\303\240\314\225"}, /* a U+0315 U+0300 -> U+00E0 U+0315 */
                 {"a\315\217\314\201", "a\315\217\314\201"}, /* a U+034F U+0301 -> a U+034F U+0301: a starter stands between */
                 {"\340\245\230", "\340\244\225\340\244\274"}, /* U+0958 -> U+0915 U+093C: never composed */
                 {"\315\204", "\314\210\314\201"}, /* U+0344 -> U+0308 U+0301 */
                 {"\314\201e", "\314\201e"}, /* U+0301 E -> U+0301 E */
                 {"\340\247\207\340\246\276", "\340\247\213"}, /* U+09C7 U+09BE -> U+09CB: a starter that a starter takes up */
                 {"\341\204\200\341\205\241\341\206\250\341\204\222\341\205\241", "\352\260\201\355\225\230"},
                 {"\352\260\200\341\206\250", "\352\260\201"}, /* U+AC00 U+11A8 -> U+AC01 */
                 {"\352\260\201\341\206\250", "\352\260\201\341\206\250"}, /* U+AC01 U+11A8 -> U+AC01 U+11A8 */
                 {"\352\260\200\341\206\247", "\352\260\200\341\206\247"}, /* U+AC00 U+11A7 -> U+AC00 U+11A7 */
                 {"\357\244\200\360\257\240\200", "\350\261\210\344\270\275"}, /* U+F900 U+2F800 -> U+8C48 U+4E3D */
                 {"\xff\314\201\xc3 e\314\201\x80", "\xff\314\201\xc3 \303\251\x80"},
                 {"\316\220 \341\277\223", "\316\220 \316\220"}, /* U+0390 U+1FD3 -> U+0390 U+0390 */
                 {"\316\261\315\205\314\223\314\200", "\341\276\202"}}; /* U+03B1 U+0345 U+0313 U+0300 -> U+1F82 */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buf once = {0}, twice = {0};
        nfc((const unsigned char *)cases[i].text, strlen(cases[i].text), &once);
        nfc((const unsigned char *)once.data, once.len, &twice);
        CHECK(!strcmp(once.data, cases[i].form), "%s gave %s", cases[i].text, once.data);
        CHECK(!strcmp(once.data, twice.data), "%s: not stable", cases[i].text);
        buf_free(&once), buf_free(&twice);
    }
    enum { MARKS = 200000 }; /* a hostile text: one letter under a heap of marks, last first */
    Buf heap = {0}, out = {0};
    buf_char(&heap, 'q');
    for (int i = 0; i < MARKS; i++) buf_str(&heap, i % 2 ? "\314\243" : "\314\201");
    nfc((const unsigned char *)heap.data, heap.len, &out);
    CHECK(out.len == heap.len && !memcmp(out.data + 1, "\314\243\314\243", 4) && !memcmp(out.data + out.len - 4, "\314\201\314\201", 4));
    buf_free(&heap), buf_free(&out);
}

static void test_special(void) {
    Tokenizer *t = trained_on("aab aab", 7, 300);
    const char *text = "aab<|endoftext|>aab";
    CHECK(strstr(ids_of(t, text, strlen(text), true), " 0 "), "%s", ids_of(t, text, strlen(text), true));
    CHECK(!strstr(ids_text(t, text), " 0 ") && encodes_back(t, text, strlen(text)));
    size_t n;
    tokenizer_piece_bytes(t, 0, &n);
    CHECK(!n && tokenizer_is_special(t, 0) && !tokenizer_is_special(t, 1));
    Buf with = decoded(t, ids_of(t, text, strlen(text), true), true), without = decoded(t, ids_of(t, text, strlen(text), true), false);
    CHECK(!strcmp(with.data, text), "%s", with.data);
    CHECK(!strcmp(without.data, "aabaab"), "%s", without.data);
    buf_free(&with), buf_free(&without), tokenizer_free(t);
}

static void test_save_and_load(void) {
    Buf text = some_text(5, 3000);
    Tokenizer *t = trained_on(text.data, text.len, 400);
    tokenizer_save(t, scratch("own"));
    scratch_text("own/special_tokens_map.json", "{ \"odd\":  1}");
    Tokenizer *again = tokenizer_load(scratch("own")), *file = tokenizer_load(scratch("own/tokenizer.json"));
    CHECK(tokenizer_size(again) == 400 && tokenizer_bos(again) == 0 && tokenizer_eos(again) == 0 && tokenizer_eos(file) == 0);
    CHECK(!strcmp(ids_of(t, text.data, text.len, false), ids_of(again, text.data, text.len, false)));
    tokenizer_save(again, scratch("own2"));
    static const char *const names[][2] = {{"own/tokenizer.json", "own2/tokenizer.json"}, {"own/tokenizer_config.json", "own2/tokenizer_config.json"},
                                           {"own/special_tokens_map.json", "own2/special_tokens_map.json"}};
    for (size_t i = 0; i < 3; i++) CHECK(same_file(scratch(names[i][0]), scratch(names[i][1])), "%s", names[i][1]);
    tokenizer_free(t), tokenizer_free(again), tokenizer_free(file), buf_free(&text);
    CHECK_FAILS(2, "no tokenizer.json, tokenizer.model or tokenizer.bin", tokenizer_load(scratch("")));
    CHECK_FAILS(2, "ends in .json, .model", tokenizer_load(scratch_text("a.txt", "x")));
    CHECK_FAILS(2, "the file is empty", tokenizer_load(scratch_text("empty.json", "")));
    scratch_text("own2/tokenizer_config.json", "{\"bos_token\":\"<nope>\"}");
    CHECK_FAILS(2, "bos_token “<nope>” is not in the vocabulary", tokenizer_load(scratch("own2")));
    scratch_text("own2/tokenizer_config.json", "{\"added_tokens_decoder\":{\"400\":{\"content\":\"<pad>\"}}}");
    CHECK_FAILS(2, "added_tokens_decoder: 400 is “<pad>”", tokenizer_load(scratch("own2")));
    scratch_text("own2/tokenizer_config.json", "{\"bos_token\":null,\"eos_token\":{\"content\":\"!\"}}");
    t = tokenizer_load(scratch("own2"));
    CHECK(tokenizer_bos(t) == -1 && tokenizer_eos(t) == 1);
    tokenizer_free(t);
}

TESTS({"utf8 and classes", test_utf8}, {"splits", test_splits}, {"worked example", test_worked_example},
      {"training is its definition", test_training_definition}, {"golden hash of a trained tokenizer", test_golden},
      {"encoding is its definition", test_encoding_definition}, {"remembered words", test_remembered_words},
      {"long words", test_long_words}, {"NFC", test_nfc}, {"special tokens", test_special},
      {"save and load", test_save_and_load})
