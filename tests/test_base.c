#include "test.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

/* ---- SHA-256 ---- */

static void test_sha256_vectors(void) {
    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"}};
    char hex[65];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sha256_of(cases[i].text, strlen(cases[i].text), hex);
        CHECK(!strcmp(hex, cases[i].hex), "\"%s\" gave %s", cases[i].text, hex);
    }
    char *million = mem_new(1000000, 1);
    memset(million, 'a', 1000000);
    sha256_of(million, 1000000, hex);
    CHECK(!strcmp(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"), "a million a's gave %s", hex);
    mem_free(million);
}

/* Every length around the padding's edges: the digest of the digests of the first n bytes 0, 1, 2, …, n < 300. */
static void test_sha256_lengths(void) {
    Sha256 all;
    unsigned char bytes[300], digest[32];
    char hex[65];
    for (int i = 0; i < 300; i++) bytes[i] = (unsigned char)i;
    sha256_begin(&all);
    for (size_t n = 0; n < 300; n++) {
        Sha256 one;
        sha256_begin(&one);
        sha256_add(&one, bytes, n);
        sha256_end(&one, digest);
        sha256_add(&all, digest, 32);
    }
    sha256_end(&all, digest);
    sha256_hex(digest, hex);
    CHECK(!strcmp(hex, "df90175783c44235cf6aefd935a2c2747f42399416d16789ece339f1fd26d835"), "gave %s", hex);
}

static void test_sha256_pieces(void) {
    unsigned char bytes[200], whole[32], pieces[32];
    for (int i = 0; i < 200; i++) bytes[i] = (unsigned char)(7 * i);
    Sha256 s;
    sha256_begin(&s);
    sha256_add(&s, bytes, 200);
    sha256_end(&s, whole);
    for (size_t a = 0; a <= 200; a++)
        for (size_t b = a; b <= 200; b += 13) {
            sha256_begin(&s);
            sha256_add(&s, bytes, a), sha256_add(&s, bytes + a, b - a), sha256_add(&s, bytes + b, 200 - b);
            sha256_end(&s, pieces);
            CHECK(!memcmp(whole, pieces, 32), "cut at %zu and %zu", a, b);
        }
}

/* ---- random numbers ---- */

/* The known answers that the authors of Philox publish: counter, key, result. */
static void test_philox(void) {
    static const uint32_t cases[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int i = 0; i < 3; i++) {
        const uint32_t *c = cases[i];
        uint32_t out[4];
        philox(out, c[4], c[5], c[0] | (uint64_t)c[1] << 32, c[2] | (uint64_t)c[3] << 32);
        CHECK(!memcmp(out, c + 6, sizeof out), "case %d: %08x %08x %08x %08x", i, out[0], out[1], out[2], out[3]);
    }
}

static void test_uniform(void) {
    double sum = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t word[4];
        philox(word, 5, RNG_TEST, i, 9);
        float u = rng_uniform(5, RNG_TEST, i, 9);
        CHECK(u >= 0 && u < 1 && (double)u == (word[0] >> 8) / 16777216.0, "draw %u", i);
        sum += (double)u;
    }
    CHECK(sum > 4900 && sum < 5100, "the mean of 10000 draws is %g", sum / 10000);
}

static void test_below(void) {
    /* Each remainder as often as the next: with 5 degrees of freedom chi-square stays below 25 (p = 0.0001). */
    int seen[6] = {0};
    for (uint32_t i = 0; i < 60000; i++) seen[rng_below(6, 3, RNG_TEST, i, 0)]++;
    double chi = 0;
    for (int k = 0; k < 6; k++) chi += (seen[k] - 10000.0) * (seen[k] - 10000.0) / 10000;
    CHECK(chi < 25, "chi-square %g", chi);
    /* A quarter of the words is refused for n = 3 * 2^30: the attempts in order, by the definition in exact integers. */
    uint32_t n = 3u << 30;
    int refused = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        uint32_t got = rng_below(n, 8, RNG_TEST, i, 7), want = 0;
        for (uint32_t a = 0;; a++) {
            uint32_t word[4];
            philox(word, 8, RNG_TEST, i, 7 + ((uint64_t)(a / 4) << 32));
            uint64_t product = (uint64_t)word[a % 4] * n;
            want = (uint32_t)(product >> 32);
            if ((product & 0xffffffff) >= ((uint64_t)1 << 32) % n) break;
            refused++;
        }
        CHECK(got == want && got < n, "draw %u: %u, not %u", i, got, want);
    }
    CHECK(refused > 1200 && refused < 1450, "%d words refused", refused); /* expected 4000/3 */
    for (uint32_t i = 0; i < 20; i++) CHECK(rng_below(1, 0, RNG_TEST, i, 0) == 0, "n = 1");
}

static void test_permute(void) {
    static int seen[120];
    for (uint32_t round = 0; round < 12000; round++) {
        uint32_t order[5], index = 0;
        rng_permute(order, 5, 1, RNG_TEST, round);
        for (uint32_t i = 0; i < 5; i++) { /* the rank among all orders */
            uint32_t smaller = 0;
            for (uint32_t j = i + 1; j < 5; j++) smaller += order[j] < order[i];
            index = index * (5 - i) + smaller;
        }
        seen[index]++;
    }
    double chi = 0;
    for (int k = 0; k < 120; k++) chi += (seen[k] - 100.0) * (seen[k] - 100.0) / 100;
    CHECK(chi > 70 && chi < 185, "chi-square %g with 119 degrees of freedom", chi);
    uint32_t *order = mem_new(1000, sizeof *order), none[1] = {77};
    rng_permute(order, 1000, 1, RNG_TEST, 0);
    unsigned char there[1000] = {0};
    for (int i = 0; i < 1000; i++) there[order[i]] = 1;
    CHECK(!memchr(there, 0, 1000), "a number is missing");
    rng_permute(none, 0, 1, RNG_TEST, 0);
    CHECK(none[0] == 77, "an empty permutation writes nothing");
    mem_free(order);
}

/* ---- sorting ---- */

typedef struct {
    uint16_t key, place;
} Item;

static int by_key(const void *a, const void *b, const void *context) {
    int sign = context ? *(const int *)context : 1;
    return sign * ((int)((const Item *)a)->key - (int)((const Item *)b)->key);
}

static void test_sort(void) {
    static Item items[3000];
    static const int down = -1;
    for (uint32_t n = 0; n < 3000; n += n < 70 ? 1 : 977)
        for (uint32_t keys = 1; keys < 1000; keys = keys * 3 + 1)
            for (int direction = 1; direction >= -1; direction -= 2) {
                for (uint32_t i = 0; i < n; i++) items[i] = (Item){(uint16_t)rng_below(keys, n, RNG_TEST, i, keys), (uint16_t)i};
                sort_stable(items, n, sizeof *items, by_key, direction < 0 ? &down : NULL);
                bool ordered = true;
                uint64_t sum = 0;
                for (uint32_t i = 0; i < n; i++) {
                    sum += items[i].place;
                    if (i == 0) continue;
                    int step = direction * ((int)items[i].key - (int)items[i - 1].key);
                    ordered &= step > 0 || (step == 0 && items[i].place > items[i - 1].place);
                }
                CHECK(ordered, "%u items of %u keys, direction %d", n, keys, direction);
                CHECK(sum == (uint64_t)n * (n - (n > 0)) / 2, "items lost");
            }
}

/* ---- memory ---- */

static void test_memory(void) {
    size_t before = mem_in_use();
    for (size_t n = 0; n < 300; n += 7) {
        unsigned char *p = mem_new(n, 1);
        CHECK((uintptr_t)p % 64 == 0, "%zu bytes at %p", n, (void *)p);
        for (size_t i = 0; i < n; i++) CHECK(p[i] == 0, "byte %zu of %zu is not 0", i, n);
        memset(p, 0xA5, n);
        CHECK(mem_in_use() == before + n, "%zu in use", mem_in_use());
        p = mem_resize(p, n + 100, 1);
        for (size_t i = 0; i < n + 100; i++) CHECK(p[i] == (i < n ? 0xA5 : 0), "byte %zu of %zu after growing", i, n);
        p = mem_resize(p, n / 2, 1);
        for (size_t i = 0; i < n / 2; i++) CHECK(p[i] == 0xA5, "byte %zu of %zu after shrinking", i, n);
        mem_free(p);
        CHECK(mem_in_use() == before, "%zu in use", mem_in_use());
    }
    int *q = mem_resize(NULL, 3, sizeof *q);
    CHECK(q && q[2] == 0, "resize of nothing");
    mem_free(q), mem_free(NULL);
    void *large = mem_new(1 << 20, 3);
    CHECK(mem_peak() >= before + (3 << 20), "peak %zu", mem_peak());
    mem_free(large);
    CHECK(mem_peak() >= before + (3 << 20), "the peak stays");
    CHECK(size_mul(1 << 10, 1 << 12, "x") == 1 << 22 && size_add(3, 4, "x") == 7 && size_mul(0, SIZE_MAX, "x") == 0, "sizes");
    CHECK(size_add(SIZE_MAX - 1, 1, "x") == SIZE_MAX && size_mul(SIZE_MAX, 1, "x") == SIZE_MAX, "the largest sizes");
    CHECK_FAILS(EXIT_BAD_INPUT, "the tensor", size_mul(SIZE_MAX / 2, 3, "the tensor"));
    CHECK_FAILS(EXIT_BAD_INPUT, "the file", size_add(SIZE_MAX, 1, "the file"));
    CHECK_FAILS(EXIT_BAD_INPUT, "an allocation", mem_new(SIZE_MAX / 2, 8));
#ifndef SANITIZED /* AddressSanitizer ends the process instead */
    CHECK_FAILS(EXIT_WORK_FAILED, "out of memory", mem_new(SIZE_MAX / 4, 1));
#endif
}

/* Blocks in the middle, at the end and at the front of the list go; the list stays whole. */
static void test_memory_order(void) {
    size_t before = mem_in_use();
    void *p[8];
    for (uint32_t round = 0; round < 50; round++) {
        uint32_t order[8];
        rng_permute(order, 8, 2, RNG_TEST, round);
        for (size_t i = 0; i < 8; i++) p[i] = mem_new(i + 1, 10);
        for (int i = 0; i < 8; i++) mem_free(p[order[i]]);
        CHECK(mem_in_use() == before, "%zu in use", mem_in_use());
    }
}

/* ---- failure ---- */

static void leak_and_fail(int code) {
    for (int i = 1; i < 20; i++) memset(mem_new((size_t)i, 100), 1, (size_t)i * 100);
    char *name = str_copy("a/file"); /* freed by the failure that names it */
    if (code == EXIT_BAD_INPUT) bad_input("%s: line %d: found %s", name, 12, "nothing");
    work_failed("%s: %d", name, 7);
}

static void test_catch(void) {
    size_t before = mem_in_use();
    Catch outer, inner;
    volatile int stage = 0;
    char *volatile kept = NULL;
    if (!setjmp(catch_begin(&outer)->jump)) {
        kept = str_copy("kept");
        size_t with_kept = mem_in_use();
        if (!setjmp(catch_begin(&inner)->jump)) {
            leak_and_fail(EXIT_BAD_INPUT);
            CHECK(0, "came back");
            catch_end(&inner);
        } else {
            CHECK(inner.code == EXIT_BAD_INPUT && !strcmp(inner.text, "a/file: line 12: found nothing"), "%d %s", inner.code, inner.text);
            CHECK(mem_in_use() == with_kept && !strcmp(kept, "kept"), "what is older than the catch stays");
            stage = 1;
        }
        leak_and_fail(EXIT_WORK_FAILED);
        catch_end(&outer);
    } else {
        CHECK(outer.code == EXIT_WORK_FAILED && !strcmp(outer.text, "a/file: 7"), "%d %s", outer.code, outer.text);
        CHECK(stage == 1 && mem_in_use() == before, "%zu bytes left", mem_in_use() - before);
    }
    /* A message longer than its place is cut, not overrun. */
    char *longer = mem_new(5000, 1);
    memset(longer, 'x', 4999);
    if (!setjmp(catch_begin(&inner)->jump)) bad_input("%s", longer);
    else CHECK(strlen(inner.text) == sizeof inner.text - 1, "%zu", strlen(inner.text));
    mem_free(longer);
    /* A catch that nothing fell into frees nothing. */
    char *volatile inside = NULL;
    if (!setjmp(catch_begin(&inner)->jump)) {
        inside = str_copy("inside");
        catch_end(&inner);
    }
    CHECK(inside && !strcmp(inside, "inside"), "it was freed");
    mem_free(inside);
}

/* ---- text ---- */

static void test_text(void) {
    CHECK(str_starts("model.norm", "model.") && !str_starts("mod", "model.") && str_starts("a", ""), "starts");
    CHECK(str_ends("a.safetensors", ".safetensors") && !str_ends("s", ".s") && str_ends("a.s", "a.s") && str_ends("a", ""), "ends");
    char *s = str_format("%s-%05d", "step", 42), *t = str_copy_n("abcdef", 3);
    CHECK(!strcmp(s, "step-00042") && !strcmp(t, "abc"), "%s %s", s, t);
    mem_free(s), mem_free(t);
    Buf b = {0};
    for (int i = 0; i < 1000; i++) {
        buf_format(&b, "%d,", i % 10);
        buf_char(&b, 'x'), buf_str(&b, "yz"), buf_put(&b, "\0q", 2);
        CHECK(b.data[b.len] == 0 && b.len == (size_t)(i + 1) * 7 && b.len < b.cap, "round %d", i);
    }
    for (size_t i = 0; i < 1000; i++) {
        char want[8] = {(char)('0' + i % 10), ',', 'x', 'y', 'z', 0, 'q'};
        CHECK(!memcmp(b.data + 7 * i, want, 7), "piece %zu", i);
    }
    buf_free(&b);
    CHECK(!b.data && !b.len && !b.cap, "empty after buf_free");
    buf_put(&b, NULL, 0);
    CHECK(b.data && b.data[0] == 0, "a text of nothing is still a text");
    buf_free(&b);
}

TESTS({"sha256 vectors", test_sha256_vectors}, {"sha256 of every length", test_sha256_lengths}, {"sha256 in pieces", test_sha256_pieces},
      {"philox known answers", test_philox}, {"uniform", test_uniform}, {"below", test_below}, {"permutations", test_permute},
      {"stable sort", test_sort}, {"memory", test_memory}, {"memory in any order", test_memory_order},
      {"catch", test_catch}, {"text", test_text})
