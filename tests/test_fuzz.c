/* Every parser on the corpus in tests/fuzz/corpus, and on changed copies of it: no fuzzer is needed for that. make fuzz looks for more. */
#include "fuzz/targets.h"
#include "scratch.h"
#include "test.h"

#define CORPUS "tests/fuzz/corpus/"
enum { CHANGES = 60 }; /* copies of each file */

static uint32_t drawn;
static uint32_t draw(uint32_t n) { return rng_below(n, 1, RNG_TEST, drawn++, 77); }

/* Cut short, a byte changed, a few bytes doubled or taken out. */
static size_t change(unsigned char *to, const Buf *from) {
    size_t n = from->len, at = n ? draw((uint32_t)n) : 0, run = 1 + draw(8);
    memcpy(to, from->data, n);
    if (!n) return 0;
    switch (draw(5)) {
    case 0: return at;
    case 1: to[at] = (unsigned char)draw(256); return n;
    case 2: to[at] = (unsigned char)(to[at] ^ 1u << draw(8)); return n;
    case 3:
        if (at + run > n) run = n - at;
        memmove(to + at, to + at + run, n - at - run);
        return n - run;
    default:
        if (at + run > n) run = n - at;
        memmove(to + at + run, to + at, n - at);
        return n + run;
    }
}

static void try_one(size_t target, const char *file, const unsigned char *data, size_t n) {
    const char *wrong = fuzz_one(targets[target].run, data, n);
    CHECK(!wrong, "%s: %s: %s", targets[target].name, file, wrong);
    if (!wrong) return;
    FILE *f = fopen("build/fuzz-found", "wb");
    if (f) fwrite(data, 1, n, f), fclose(f);
}

static void replay(size_t target) {
    size_t count, taken = 0;
    char *dir = str_format(CORPUS "%s", targets[target].name), **names = os_list(dir, &count);
    CHECK(count > 0, "%s: no corpus", dir);
    for (size_t i = 0; i < count; i++) {
        char *path = os_join(dir, names[i]);
        Buf file = os_read(path);
        unsigned char *copy = mem_new(file.len + 8, 1);
        try_one(target, names[i], (const unsigned char *)(file.data ? file.data : ""), file.len);
        taken += !*fuzz_refusal;
        if (getenv("FUZZ_SHOW")) printf("%s %s: %s\n", targets[target].name, names[i], fuzz_refusal);
        for (int k = 0; k < CHANGES; k++) try_one(target, names[i], copy, change(copy, &file));
        mem_free(copy), buf_free(&file), mem_free(path), mem_free(names[i]);
    }
    CHECK(taken > 0, "%s: every file is refused", dir);
    mem_free(names), mem_free(dir);
}

static void test_corpus(void) {
    fuzz_begin(scratch("files"));
    for (size_t i = 0; i < TARGETS; i++) replay(i);
}

/* Each on a quarter of a megabyte as dense as values can stand: what it takes is in proportion. */
static void test_costs(void) {
    enum { BYTES = 1 << 18, TIMES = 40 };
    static const char *const fronts[] = {"[", "{\"a\":[", "12345678{\"a\":["};
    for (size_t target = 0; target < TARGETS; target++)
        for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++) {
            Buf b = {0};
            buf_str(&b, fronts[i]);
            while (b.len < BYTES) buf_str(&b, "0,");
            for (size_t k = 0; i == 2 && k < 8; k++) b.data[k] = (char)((b.len - 8) >> 8 * k & 255); /* the length that a safetensors begins with */
            size_t before = mem_in_use(), peak = mem_peak(), most = before + TIMES * b.len;
            const char *wrong = fuzz_one(targets[target].run, (const unsigned char *)b.data, b.len);
            CHECK(!wrong, "%s: %s", targets[target].name, wrong);
            CHECK(mem_peak() <= (most > peak ? most : peak), "%s: %.1f times its %zu bytes", targets[target].name,
                  (double)(mem_peak() - before) / (double)b.len, b.len);
            buf_free(&b);
        }
}

static void keeps(const unsigned char *data, size_t n) { (void)str_copy_n((const char *)data, n); }
static void fails(const unsigned char *data, size_t n) { (void)data, work_failed("%zu bytes", n); }
static void refuses(const unsigned char *data, size_t n) { (void)mem_new(n, 1), bad_input("byte %d", data[0]); }

static void test_oracle(void) {
    const unsigned char data[] = "1";
    const char *wrong = fuzz_one(keeps, data, 1);
    CHECK(wrong && strstr(wrong, "bytes kept"), "%s", wrong);
    wrong = fuzz_one(fails, data, 1);
    CHECK(wrong && strstr(wrong, "failed with 1: 1 bytes"), "%s", wrong);
    CHECK(!fuzz_one(refuses, data, 1));
}

TESTS({"corpus", test_corpus}, {"costs", test_costs}, {"oracle", test_oracle})
