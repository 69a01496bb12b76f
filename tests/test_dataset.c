/* Texts, documents, pairs, rows, hold-out, the order of samples: against lists made the naive way. */
#include "../dataset.h"
#include "random.h"
#include "scratch.h"
#include "test.h"

/* ---- documents ---- */

static void check_documents(const char *text, const char *const *expected, size_t count) {
    Texts t = texts_read(scratch_text("documents.txt", text));
    size_t bytes = 0;
    CHECK(t.count == count, "\"%s\": %zu documents", text, t.count);
    for (size_t i = 0; i < count && i < t.count; i++) {
        CHECK(t.documents[i].length == strlen(expected[i]) && !memcmp(t.documents[i].text, expected[i], t.documents[i].length),
              "\"%s\": document %zu", text, i);
        bytes += strlen(expected[i]);
    }
    CHECK(t.bytes == bytes);
    texts_free(&t);
}

#define DOCUMENTS(text, ...) \
    do { \
        const char *const list[] = {__VA_ARGS__}; \
        check_documents(text, list, sizeof list / sizeof *list); \
    } while (0)

static void test_documents(void) {
    DOCUMENTS("a", "a");
    DOCUMENTS("a<|endoftext|>", "a");
    DOCUMENTS("<|endoftext|>a", "a");
    DOCUMENTS("a<|endoftext|>b", "a", "b");
    DOCUMENTS("a<|endoftext|><|endoftext|>\n\r\n<|endoftext|>b", "a", "b");
    DOCUMENTS("\n\r\na\n\nb\r\n\n<|endoftext|>\nc\n", "a\n\nb", "c");
    DOCUMENTS(" a \n<|endoftext|>\t", " a ", "\t");
    DOCUMENTS("<<|endoftext|>>", "<", ">");
    DOCUMENTS("<|endoftext|", "<|endoftext|");
    DOCUMENTS("<|endof<|endoftext|>text|>", "<|endof", "text|>");
    DOCUMENTS("\xEF\xBB\xBF\xC3\xA4<|endoftext|>\xFF", "\xEF\xBB\xBF\xC3\xA4", "\xFF");
    const char zero[] = "a\0b<|endoftext|>c";
    Texts t = texts_read(scratch_file("zero.txt", zero, sizeof zero - 1));
    CHECK(t.count == 2 && t.documents[0].length == 3 && !memcmp(t.documents[0].text, "a\0b", 3));
    texts_free(&t);
}

static void test_nothing_to_read(void) {
    static const char *const empty[] = {"", "\n\r\n\n", "<|endoftext|>", "\n<|endoftext|>\n<|endoftext|>\r\n"};
    for (volatile size_t i = 0; i < 4; i++) CHECK_FAILS(2, "empty.txt: no text in it", texts_read(scratch_text("empty.txt", empty[i])));
    CHECK_FAILS(2, "missing.txt", texts_read(scratch("missing.txt")));
    os_make_dir(scratch("folder of nothing"));
    CHECK_FAILS(2, "holds no *.txt", texts_read(scratch("folder of nothing")));
    scratch_text("folder of nothing/a.md", "text");
    CHECK_FAILS(2, "holds no *.txt", texts_read(scratch("folder of nothing")));
    scratch_text("folder of nothing/a.txt", "\n");
    CHECK_FAILS(2, "no text in it", texts_read(scratch("folder of nothing")));
}

/* ---- folders and hashes ---- */

static void folder_hash(char hash[65]) {
    Texts t = texts_read(scratch("folder"));
    memcpy(hash, t.hash, 65);
    texts_free(&t);
}

static void test_folder(void) {
    char hash[65], other[65], hex[65];
    os_make_dir(scratch("folder"));
    scratch_text("folder/b.txt", "two<|endoftext|>three");
    scratch_text("folder/a.txt", "one\n");
    scratch_text("folder/c.md", "not this");
    Texts t = texts_read(scratch("folder"));
    CHECK(t.count == 3 && t.file_count == 2);
    CHECK(!memcmp(t.documents[0].text, "one", 3) && t.documents[0].length == 3 && !memcmp(t.documents[1].text, "two", 3),
          "in the order of the names");
    texts_free(&t);
    folder_hash(hash);
    Sha256 sha; /* SHA-256 of each text's hash, then its name with a 0 */
    unsigned char digest[32];
    sha256_begin(&sha);
    sha256_of("one\n", 4, hex), sha256_add(&sha, hex, 64), sha256_add(&sha, "a.txt", 6);
    sha256_of("two<|endoftext|>three", 21, hex), sha256_add(&sha, hex, 64), sha256_add(&sha, "b.txt", 6);
    sha256_end(&sha, digest), sha256_hex(digest, other);
    CHECK(!strcmp(hash, other));
    scratch_text("folder/c.md", "nor that");
    folder_hash(other);
    CHECK(!strcmp(hash, other), "what is no text does not count");
    scratch_text("folder/a.txt", "One\n");
    folder_hash(other);
    CHECK(strcmp(hash, other), "a byte");
    scratch_text("folder/a.txt", "one\n");
    folder_hash(other);
    CHECK(!strcmp(hash, other), "and back");
    os_rename(scratch("folder/a.txt"), scratch("folder/aa.txt"));
    folder_hash(other);
    CHECK(strcmp(hash, other), "a name");
    t = texts_read(scratch_text("one.txt", "one\n"));
    sha256_of("one\n", 4, hex);
    CHECK(!strcmp(t.hash, hex), "a file's hash is that of its bytes");
    texts_free(&t);
}

/* ---- hold-out ---- */

static Texts numbered(size_t count) {
    Buf b = {0};
    for (size_t i = 0; i < count; i++) buf_format(&b, "document %zu%.*s<|endoftext|>\n", i, (int)(i % 7), "abcdefg");
    Texts t = texts_read(scratch_file("numbered.txt", b.data, b.len));
    buf_free(&b);
    return t;
}

static size_t number_of(const Document *d) { return (size_t)strtoul(d->text + 9, NULL, 10); }

static void test_hold_out(void) {
    static const struct { size_t documents; double fraction; size_t held; } cases[] = {{20, 0.05, 1}, {20, 0.01, 1}, {41, 0.25, 10},
                                                                                       {200, 0.5, 100}, {33, 0.99, 32}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        size_t n = cases[k].documents, bytes, seen = 0;
        Texts t = numbered(n);
        bytes = t.bytes;
        Texts held = texts_hold_out(&t, cases[k].fraction, 5);
        bool *taken = mem_new(n, sizeof *taken), ordered = true;
        CHECK(held.count == cases[k].held && t.count == n - held.count && held.bytes + t.bytes == bytes, "%zu of %zu", held.count, n);
        for (int side = 0; side < 2; side++) {
            const Texts *half = side ? &held : &t;
            for (size_t i = 0; i < half->count; i++) {
                size_t number = number_of(&half->documents[i]);
                ordered &= !i || number > number_of(&half->documents[i - 1]);
                seen += !taken[number], taken[number] = true;
            }
        }
        CHECK(seen == n && ordered, "each document once, in its order");
        texts_free(&held), texts_free(&t), mem_free(taken);
    }
}

static size_t held_numbers(uint32_t seed, size_t documents) { /* as a number of 64 bits */
    Texts t = numbered(documents), held = texts_hold_out(&t, 0.3, seed);
    size_t bits = 0;
    for (size_t i = 0; i < held.count; i++) bits |= (size_t)1 << number_of(&held.documents[i]);
    texts_free(&held), texts_free(&t);
    return bits;
}

static void test_hold_out_seed(void) {
    CHECK(held_numbers(1, 60) == held_numbers(1, 60));
    CHECK(held_numbers(1, 60) != held_numbers(2, 60));
}

/* Few documents: the end of the last one, from a line's beginning. */
static void test_hold_out_tail(void) {
    Texts t = texts_read(scratch_text("tail.txt", "first<|endoftext|>line one\nline two\nline three\nline four"));
    Texts held = texts_hold_out(&t, 0.4, 1); /* 0.4 of 37 bytes: from byte 23, so from the next line */
    CHECK(t.count == 2 && held.count == 1);
    CHECK(held.documents[0].length == 9 && !memcmp(held.documents[0].text, "line four", 9), "%.*s", (int)held.documents[0].length,
          held.documents[0].text);
    CHECK(t.documents[1].length == 28 && !memcmp(t.documents[1].text, "line one\nline two\nline three", 28), "%zu", t.documents[1].length);
    CHECK(t.bytes == 5 + 28 && held.bytes == 9);
    texts_free(&held), texts_free(&t);
    t = texts_read(scratch_text("tail.txt", "ab\n\n\nc"));
    held = texts_hold_out(&t, 0.5, 1);
    CHECK(t.documents[0].length == 2 && held.documents[0].length == 1 && t.bytes == 2 && held.bytes == 1,
          "no line ends left over at either end");
    texts_free(&held), texts_free(&t);
    static const char *const short_ones[] = {"one line", "a\nb", "x"};
    for (volatile size_t i = 0; i < 3; i++) {
        t = texts_read(scratch_text("tail.txt", short_ones[i]));
        CHECK_FAILS(2, "cannot hold out", texts_hold_out(&t, 0.1, 1));
    }
}

/* ---- rows ---- */

static Tokenizer *small_tokenizer(void) {
    BpeTrainer *b = bpe_trainer_new();
    for (int i = 0; i < 4; i++) bpe_trainer_add(b, "the cat sat on the mat and the dog sat on the cat", 49);
    return bpe_train(b, 270);
}

/* Without an end of text: ids are the letters. */
#define LETTERS \
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":null," \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\"}," \
    "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"vocab\":{\"a\":0,\"b\":1,\"c\":2},\"merges\":[]}}"

/* Every pair of every document in order, then cut every ctx: what the rows must be. */
static void check_rows(const Texts *t, Tokenizer *tok, size_t ctx) {
    Corpus c = corpus_new(t, tok, ctx);
    Ids from = {0}, to = {0};
    size_t *place = NULL, pairs = 0;
    int32_t bos = tokenizer_bos(tok), eos = tokenizer_eos(tok);
    for (size_t d = 0; d < t->count; d++) {
        Ids ids = {0};
        if (bos >= 0) ids_push(&ids, bos);
        tokenizer_encode(tok, t->documents[d].text, t->documents[d].length, false, &ids);
        if (eos >= 0) ids_push(&ids, eos);
        for (size_t i = 0; i + 1 < ids.count; i++) {
            place = mem_resize(place, pairs + 1, sizeof *place);
            place[pairs++] = i;
            ids_push(&from, ids.data[i]), ids_push(&to, ids.data[i + 1]);
        }
        ids_free(&ids);
    }
    CHECK(c.pairs == pairs && corpus_rows(&c) == (pairs + ctx - 1) / ctx && c.bytes == t->bytes, "ctx %zu", ctx);
    size_t at = 0, wrong = 0;
    Batch b = {0};
    for (size_t row = 0; row < corpus_rows(&c); row++) {
        batch_clear(&b);
        size_t n = corpus_add_row(&c, row, &b), segments = 0, covered = 0;
        CHECK(n == b.tokens && n == (pairs - at < ctx ? pairs - at : ctx), "row %zu has %zu pairs", row, n);
        for (size_t i = 0; i < n; i++, at++) {
            wrong += b.ids[i] != from.data[at] || b.targets[i] != to.data[at] || b.weights[i] != 1;
            if (!i || !place[at]) { /* a row's beginning and a document's begin a segment */
                wrong += segments >= b.segment_count || b.segments[segments].row != i;
                segments++;
            }
        }
        for (size_t i = 0; i < b.segment_count; i++) covered += b.segments[i].length;
        CHECK(segments == b.segment_count && covered == n, "row %zu: %zu segments, expected %zu", row, b.segment_count, segments);
    }
    CHECK(at == pairs && !wrong, "ctx %zu: %zu wrong", ctx, wrong);
    batch_free(&b), ids_free(&from), ids_free(&to), mem_free(place), corpus_free(&c);
}

static void test_rows(void) {
    static const size_t contexts[] = {1, 2, 3, 7, 16, 100, 1000};
    Tokenizer *own = small_tokenizer(), *letters = tokenizer_load(scratch_text("letters.json", LETTERS));
    CHECK(tokenizer_bos(own) == 0 && tokenizer_eos(own) == 0 && tokenizer_bos(letters) < 0 && tokenizer_eos(letters) < 0);
    Texts words = texts_read(scratch_text("words.txt", "the cat sat<|endoftext|>on<|endoftext|>the mat and the dog sat<|endoftext|>x"
                                                       "<|endoftext|>on the cat the cat"));
    Texts abc = texts_read(scratch_text("abc.txt", "abc<|endoftext|>a<|endoftext|>b<|endoftext|>cab<|endoftext|>ab<|endoftext|>c"));
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
        check_rows(&words, own, contexts[i]);
        check_rows(&abc, letters, contexts[i]);
    }
    Texts single = texts_read(scratch_text("single.txt", "a<|endoftext|>b"));
    Corpus c = corpus_new(&single, letters, 4);
    CHECK(c.pairs == 0 && corpus_rows(&c) == 0, "one token has no pair");
    tokenizer_free(own), tokenizer_free(letters);
}

/* ---- order ---- */

static void test_order(void) {
    enum { SAMPLES = 37, EPOCHS = 5 };
    size_t seen[EPOCHS][SAMPLES], same = 0;
    Order o = order_new(SAMPLES, 9, true), again = order_new(SAMPLES, 9, true), other = order_new(SAMPLES, 10, true),
        file = order_new(SAMPLES, 9, false);
    size_t differ = 0;
    for (size_t e = 0; e < EPOCHS; e++) {
        uint32_t expected[SAMPLES];
        bool taken[SAMPLES] = {0};
        rng_permute(expected, SAMPLES, 9, RNG_ORDER, e);
        for (size_t i = 0; i < SAMPLES; i++) {
            size_t s = seen[e][i] = order_sample(&o, e * SAMPLES + i);
            CHECK(s == expected[i] && s < SAMPLES && !taken[s]);
            taken[s] = true;
            differ += order_sample(&other, e * SAMPLES + i) != s;
            CHECK(order_sample(&file, e * SAMPLES + i) == i);
        }
    }
    for (size_t e = 1; e < EPOCHS; e++) same += !memcmp(seen[0], seen[e], sizeof seen[0]);
    CHECK(!same && differ > EPOCHS * SAMPLES / 2, "each epoch and each seed has an order of its own");
    for (int i = 0; i < 100; i++) { /* in any order of asking, as a resumed run asks */
        uint64_t at = random_below(EPOCHS * SAMPLES);
        CHECK(order_sample(&again, at) == seen[at / SAMPLES][at % SAMPLES]);
    }
    order_free(&o), order_free(&again), order_free(&other), order_free(&file);
    CHECK_FAILS(2, "4294967295 samples are more", order_new(UINT32_MAX, 1, false));
    Order one = order_new(1, 3, true);
    CHECK(order_sample(&one, 0) == 0 && order_sample(&one, 12345678901) == 0);
    order_free(&one);
}

TESTS({"documents", test_documents}, {"nothing to read", test_nothing_to_read}, {"folder", test_folder}, {"hold out", test_hold_out},
      {"hold out: seed", test_hold_out_seed}, {"hold out: tail", test_hold_out_tail}, {"rows", test_rows}, {"order", test_order})
