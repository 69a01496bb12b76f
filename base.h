/* base: what every room stands on.
 *
 *   failure     one way out for bad input and for failed work; only main (or a test) catches it
 *   memory      64-byte aligned, zeroed, counted, freed as a whole after a failure
 *   Buf         a growable run of bytes
 *   sha256      FIPS 180-4
 *   rng         Philox4x32-10: every random number is a function of (seed, purpose, index)
 *   sort        a stable merge sort: the same order whatever the libc
 *
 * Nothing here is called from inside a parallel region, but for the rng.
 */
#ifndef BASE_H
#define BASE_H

#ifdef _WIN32
#define __USE_MINGW_ANSI_STDIO 1 /* the printf of the standard, which knows %zu */
#endif

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(__GNUC__) && !defined(__TINYC__)
#define PRINTF_LIKE(f, a) __attribute__((format(__gnu_printf__, f, a)))
#elif defined(__GNUC__) && !defined(__TINYC__)
#define PRINTF_LIKE(f, a) __attribute__((format(__printf__, f, a)))
#else
#define PRINTF_LIKE(f, a)
#endif

/* Raised by every change that moves a golden hash; written into every artifact. */
#define BITS_VERSION 1

/* ---- failure ------------------------------------------------------------------------------- */

enum { EXIT_WORK_FAILED = 1, EXIT_BAD_INPUT = 2, EXIT_INTERRUPTED = 130 };

/* The call or a file is wrong (exit 2). Say where (file, line or byte), what was found, what was
 * expected, what to do. */
_Noreturn void bad_input(const char *format, ...) PRINTF_LIKE(1, 2);

/* The work failed: no memory, no disk, a non-finite loss (exit 1). */
_Noreturn void work_failed(const char *format, ...) PRINTF_LIKE(1, 2);

/* Where a failure lands:  Catch c; if (!setjmp(catch_begin(&c)->jump)) { work(); catch_end(&c); } else
 * { c.code and c.text say what happened; everything allocated since catch_begin is freed }. */
typedef struct Catch {
    jmp_buf jump;
    struct Catch *outer;
    void *mark;
    int code;
    char text[2048];
} Catch;
Catch *catch_begin(Catch *c);
void catch_end(Catch *c);

/* ---- memory -------------------------------------------------------------------------------- */

/* count * size bytes, zeroed, aligned to 64 bytes; never NULL (count 0 gives a valid block). */
void *mem_new(size_t count, size_t size);
/* The first bytes keep their values, bytes beyond the old size are zero. p may be NULL. */
void *mem_resize(void *p, size_t count, size_t size);
void mem_free(void *p);
size_t mem_in_use(void);
size_t mem_peak(void);

/* a*b and a+b; bad_input naming `what` when the result does not fit. */
size_t size_mul(size_t a, size_t b, const char *what);
size_t size_add(size_t a, size_t b, const char *what);

char *str_copy(const char *s);
char *str_copy_n(const char *s, size_t n);
char *str_format(const char *format, ...) PRINTF_LIKE(1, 2);
bool str_ends(const char *s, const char *suffix);
bool str_starts(const char *s, const char *prefix);

/* ---- bytes --------------------------------------------------------------------------------- */

/* data[len] is always a readable 0 after the first put, so that text can be used as a C string. */
typedef struct {
    char *data;
    size_t len, cap;
} Buf;
void buf_put(Buf *b, const void *bytes, size_t n);
void buf_str(Buf *b, const char *s);
void buf_char(Buf *b, char c);
/* Integers and strings only: numbers with a fraction go through decimal.h. */
void buf_format(Buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_free(Buf *b);

/* ---- SHA-256 ------------------------------------------------------------------------------- */

typedef struct {
    uint32_t h[8];
    uint64_t bytes;
    unsigned char block[64];
} Sha256;
void sha256_begin(Sha256 *s);
void sha256_add(Sha256 *s, const void *bytes, size_t n);
void sha256_end(Sha256 *s, unsigned char digest[32]);
/* 64 hexadecimal digits and a 0. */
void sha256_hex(const unsigned char digest[32], char hex[65]);
void sha256_of(const void *bytes, size_t n, char hex[65]);

/* ---- random numbers ------------------------------------------------------------------------ */

/* Never renumbered: a purpose is part of the bits. For initialisation the purpose is the first four
 * bytes of SHA-256 of the tensor's name instead, which these small numbers do not meet in practice. */
enum {
    RNG_ORDER = 1,
    RNG_SPLIT = 2,
    RNG_SAMPLE = 3,
    RNG_DROPOUT = 4,
    RNG_STORIES = 5,
    RNG_FISHER = 6,
    RNG_TEST = 7,
    RNG_DISTRACTORS = 8
};

/* Philox4x32-10 (Salmon et al. 2011): four words from key (seed, purpose) and the counter (low, high). */
void philox(uint32_t out[4], uint32_t seed, uint32_t purpose, uint64_t low, uint64_t high);
/* The same of the counters (low, high) .. (low, high + 15) at once: word w of counter j is out[w][j]. */
void philox_16(uint32_t out[4][16], uint32_t seed, uint32_t purpose, uint64_t low, uint64_t high);
/* Uniform in [0, 1): word 0 >> 8, times 2^-24. */
float rng_uniform(uint32_t seed, uint32_t purpose, uint64_t low, uint64_t high);
/* Uniform in 0..n-1 without bias: multiply-high with rejection; attempt a uses word a%4 of counter
 * (low, high + (a/4 << 32)), so callers keep high below 2^32. */
uint32_t rng_below(uint32_t n, uint32_t seed, uint32_t purpose, uint64_t low, uint64_t high);
/* A permutation of 0..n-1 by Fisher-Yates, draw i with the index (i, high). */
void rng_permute(uint32_t *order, uint32_t n, uint32_t seed, uint32_t purpose, uint64_t high);

/* ---- sorting ------------------------------------------------------------------------------- */

typedef int (*Compare)(const void *a, const void *b, const void *context);
void sort_stable(void *base, size_t count, size_t size, Compare compare, const void *context);

#endif
