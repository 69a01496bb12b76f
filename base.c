#include "base.h"

#include "os.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- failure ---- */

static Catch *catching;
static void mem_free_after(void *mark);
static void *mem_mark(void);

Catch *catch_begin(Catch *c) {
    c->outer = catching;
    c->mark = mem_mark();
    c->code = 0;
    c->text[0] = 0;
    catching = c;
    return c;
}

void catch_end(Catch *c) {
    assert(catching == c);
    catching = c->outer;
}

static _Noreturn void fail(int code, const char *format, va_list args) {
    Catch *c = catching;
    if (!c) { /* outside every catch: only before main has begun its own */
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        exit(code);
    }
    /* The arguments may point into memory that is freed next, so the text is made first. */
    vsnprintf(c->text, sizeof c->text, format, args);
    c->code = code;
    catching = c->outer;
    mem_free_after(c->mark);
    longjmp(c->jump, 1);
}

void bad_input(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fail(EXIT_BAD_INPUT, format, args);
}

void work_failed(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fail(EXIT_WORK_FAILED, format, args);
}

/* ---- memory ----
 * Every block carries a header and stands in one list, newest first:
 *
 *     malloc'ed                  header (64 bytes)           what the caller sees
 *     | padding up to 64 bytes | newer, older, size, base  | size bytes ... |
 */

enum { MEM_ALIGN = 64 };

typedef struct Block {
    struct Block *newer, *older;
    size_t size;
    void *base;
    uint64_t serial;
} Block;

static Block *newest;
static size_t in_use, peak;
static uint64_t serials;

static void *mem_mark(void) { return (void *)(uintptr_t)serials; }

size_t size_mul(size_t a, size_t b, const char *what) {
    if (b && a > SIZE_MAX / b) bad_input("%s: %zu x %zu does not fit into memory", what, a, b);
    return a * b;
}

size_t size_add(size_t a, size_t b, const char *what) {
    if (a > SIZE_MAX - b) bad_input("%s: %zu + %zu does not fit into memory", what, a, b);
    return a + b;
}

void *mem_new(size_t count, size_t size) {
    size_t bytes = size_mul(count, size, "an allocation");
    size_t whole = size_add(bytes, 2 * MEM_ALIGN, "an allocation");
    /* calloc: large blocks come as untouched pages, which cost nothing until they are written */
    unsigned char *base = os_fault("alloc") ? NULL : calloc(whole, 1);
    if (!base) work_failed("out of memory: %zu bytes more than the %zu in use (a smaller --micro-batch or --batch needs less)", bytes, in_use);
    uintptr_t at = ((uintptr_t)base + sizeof(Block) + MEM_ALIGN - 1) & ~(uintptr_t)(MEM_ALIGN - 1);
    Block *block = (Block *)(at - sizeof(Block));
    *block = (Block){.older = newest, .size = bytes, .base = base, .serial = ++serials};
    if (newest) newest->newer = block;
    newest = block;
    in_use += bytes;
    if (in_use > peak) peak = in_use;
    return (void *)at;
}

static Block *block_of(void *p) { return (Block *)((uintptr_t)p - sizeof(Block)); }

void mem_free(void *p) {
    if (!p) return;
    Block *block = block_of(p);
    if (block->newer) block->newer->older = block->older;
    else newest = block->older;
    if (block->older) block->older->newer = block->newer;
    in_use -= block->size;
    free(block->base);
}

void *mem_resize(void *p, size_t count, size_t size) {
    void *q = mem_new(count, size);
    if (!p) return q;
    Block *old = block_of(p), *new = block_of(q);
    memcpy(q, p, old->size < new->size ? old->size : new->size);
    mem_free(p);
    return q;
}

static void mem_free_after(void *mark) {
    while (newest && newest->serial > (uint64_t)(uintptr_t)mark) mem_free((unsigned char *)newest + sizeof(Block));
}

size_t mem_in_use(void) { return in_use; }
size_t mem_peak(void) { return peak; }

/* ---- text ---- */

char *str_copy_n(const char *s, size_t n) {
    char *copy = mem_new(n + 1, 1);
    memcpy(copy, s, n);
    return copy;
}

char *str_copy(const char *s) { return str_copy_n(s, strlen(s)); }

char *str_format(const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    assert(n >= 0);
    char *text = mem_new((size_t)n + 1, 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

bool str_starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

bool str_ends(const char *s, const char *suffix) {
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && strcmp(s + n - k, suffix) == 0;
}

static void buf_room(Buf *b, size_t more) {
    size_t need = size_add(size_add(b->len, more, "a text"), 1, "a text");
    if (need <= b->cap) return;
    size_t cap = b->cap < 128 ? 256 : b->cap * 2;
    b->cap = cap < need ? need : cap;
    b->data = mem_resize(b->data, b->cap, 1);
}

void buf_put(Buf *b, const void *bytes, size_t n) {
    buf_room(b, n);
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = 0;
}

void buf_str(Buf *b, const char *s) { buf_put(b, s, strlen(s)); }
void buf_char(Buf *b, char c) { buf_put(b, &c, 1); }

void buf_format(Buf *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    assert(n >= 0);
    buf_room(b, (size_t)n);
    vsnprintf(b->data + b->len, (size_t)n + 1, format, again);
    b->len += (size_t)n;
    va_end(again);
    va_end(args);
}

void buf_free(Buf *b) {
    mem_free(b->data);
    *b = (Buf){0};
}

/* ---- SHA-256 (FIPS 180-4) ---- */

static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void sha_block(uint32_t h[8], const unsigned char *p) {
    uint32_t w[64];
    for (int i = 0; i < 16; i++) w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotr(a, 7) ^ rotr(a, 18) ^ a >> 3) + w[i - 7] + (rotr(b, 17) ^ rotr(b, 19) ^ b >> 10);
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7];
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = k + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + sha_k[i] + w[i];
        uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        k = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += k;
}

void sha256_begin(Sha256 *s) {
    *s = (Sha256){.h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_add(Sha256 *s, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    size_t held = s->bytes % 64;
    s->bytes += n;
    if (held) {
        size_t take = 64 - held < n ? 64 - held : n;
        if (take) memcpy(s->block + held, p, take);
        p += take, n -= take;
        if (held + take < 64) return;
        sha_block(s->h, s->block);
    }
    for (; n >= 64; p += 64, n -= 64) sha_block(s->h, p);
    if (n) memcpy(s->block, p, n);
}

void sha256_end(Sha256 *s, unsigned char digest[32]) {
    static const unsigned char pad[64] = {0x80};
    unsigned char length[8];
    uint64_t bits = s->bytes * 8;
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)(bits >> (56 - 8 * i));
    sha256_add(s, pad, 1 + (119 - s->bytes % 64) % 64);
    sha256_add(s, length, 8);
    for (int i = 0; i < 32; i++) digest[i] = (unsigned char)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_hex(const unsigned char digest[32], char hex[65]) {
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[64] = 0;
}

void sha256_of(const void *bytes, size_t n, char hex[65]) {
    Sha256 s;
    unsigned char digest[32];
    sha256_begin(&s);
    sha256_add(&s, bytes, n);
    sha256_end(&s, digest);
    sha256_hex(digest, hex);
}

/* ---- random numbers ---- */

void philox(uint32_t out[4], uint32_t seed, uint32_t purpose, uint64_t low, uint64_t high) {
    uint32_t c[4] = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)};
    uint32_t k0 = seed, k1 = purpose;
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[0] = n0, c[1] = (uint32_t)p1, c[2] = n2, c[3] = (uint32_t)p0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    memcpy(out, c, sizeof c);
}

/* Side by side, so that the compiler can make vectors of them. */
void philox_16(uint32_t out[4][16], uint32_t seed, uint32_t purpose, uint64_t low, uint64_t high) {
    uint32_t c0[16], c1[16], c2[16], c3[16], k0 = seed, k1 = purpose;
    for (int j = 0; j < 16; j++) {
        uint64_t h = high + (uint64_t)j;
        c0[j] = (uint32_t)low, c1[j] = (uint32_t)(low >> 32), c2[j] = (uint32_t)h, c3[j] = (uint32_t)(h >> 32);
    }
    for (int round = 0; round < 10; round++) {
        for (int j = 0; j < 16; j++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[j], p1 = (uint64_t)0xCD9E8D57u * c2[j];
            c0[j] = (uint32_t)(p1 >> 32) ^ c1[j] ^ k0, c2[j] = (uint32_t)(p0 >> 32) ^ c3[j] ^ k1;
            c1[j] = (uint32_t)p1, c3[j] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    memcpy(out[0], c0, sizeof c0), memcpy(out[1], c1, sizeof c1), memcpy(out[2], c2, sizeof c2), memcpy(out[3], c3, sizeof c3);
}

float rng_uniform(uint32_t seed, uint32_t purpose, uint64_t low, uint64_t high) {
    uint32_t word[4];
    philox(word, seed, purpose, low, high);
    return (float)(word[0] >> 8) * 0x1p-24f;
}

uint32_t rng_below(uint32_t n, uint32_t seed, uint32_t purpose, uint64_t low, uint64_t high) {
    assert(n > 0 && high < (uint64_t)1 << 32);
    uint32_t refuse = (0u - n) % n; /* 2^32 mod n: the low parts that would be one too many */
    for (uint64_t attempt = 0;; attempt++) {
        uint32_t word[4];
        philox(word, seed, purpose, low, high + (attempt / 4 << 32));
        uint64_t product = (uint64_t)word[attempt % 4] * n;
        if ((uint32_t)product >= refuse) return (uint32_t)(product >> 32);
    }
}

void rng_permute(uint32_t *order, uint32_t n, uint32_t seed, uint32_t purpose, uint64_t high) {
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    for (uint32_t i = n; i-- > 1;) {
        uint32_t j = rng_below(i + 1, seed, purpose, i, high), t = order[i];
        order[i] = order[j], order[j] = t;
    }
}

/* ---- sorting: bottom-up merge sort ---- */

void sort_stable(void *base, size_t count, size_t size, Compare compare, const void *context) {
    unsigned char *from = base, *spare = mem_new(count, size), *to = spare;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = start + 2 * width < count ? start + 2 * width : count;
            for (size_t i = start, j = middle, k = start; k < end; k++) {
                bool left = i < middle && (j >= end || compare(from + i * size, from + j * size, context) <= 0);
                memcpy(to + k * size, from + (left ? i++ : j++) * size, size);
            }
        }
        unsigned char *t = from;
        from = to, to = t;
    }
    if (from != base && count) memcpy(base, from, count * size);
    mem_free(spare);
}
