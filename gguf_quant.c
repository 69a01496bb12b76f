/* Blocks of few bits and back. A block has one or two 16-bit scales; the K types have scales of their own for every 16 or 32 of their 256
 * elements. Each product and sum below is rounded by itself, in the order in which ggml (and the Python package gguf) computes it, so that
 * everybody reads the same floats out of a file. */
#include "fp.h"
#include "gguf.h"

#include <assert.h>
#include <string.h>

enum { QK = 32, QK_K = 256 };

static const struct {
    GgmlType type;
    size_t elements, bytes;
} blocks[] = {{GGML_F32, 1, 4},          {GGML_F16, 1, 2},           {GGML_BF16, 1, 2},         {GGML_Q4_0, QK, 2 + 16},
              {GGML_Q4_1, QK, 4 + 16},   {GGML_Q5_0, QK, 2 + 4 + 16}, {GGML_Q5_1, QK, 4 + 4 + 16}, {GGML_Q8_0, QK, 2 + 32},
              {GGML_IQ4_NL, QK, 2 + 16}, {GGML_Q2_K, QK_K, 84},      {GGML_Q3_K, QK_K, 110},     {GGML_Q4_K, QK_K, 144},
              {GGML_Q5_K, QK_K, 176},    {GGML_Q6_K, QK_K, 210}};

const char *ggml_type_name(uint32_t type) {
    static const char *const names[] = {"F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
        "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M", "BF16",
        "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0", "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4"};
    return type < sizeof names / sizeof *names ? names[type] : NULL;
}

bool ggml_block(uint32_t type, size_t *elements, size_t *bytes) {
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if ((uint32_t)blocks[i].type == type) return *elements = blocks[i].elements, *bytes = blocks[i].bytes, true;
    return false;
}

static float half(const unsigned char *at) { return f16_widen((uint16_t)(at[0] | at[1] << 8)); }

/* ---- blocks of 32: element i in the low half of byte i, element i + 16 in the high half ---- */

static unsigned nibble(const unsigned char *qs, int i) { return i < 16 ? qs[i] & 15u : qs[i - 16] >> 4; }

static unsigned fifth_bit(const unsigned char *qh, int i) { return (qh[i / 8] >> i % 8 & 1u) << 4; }

static void q4_0(const unsigned char *b, float *y) {
    for (int i = 0; i < QK; i++) y[i] = half(b) * (float)((int)nibble(b + 2, i) - 8);
}

static void q4_1(const unsigned char *b, float *y) {
    for (int i = 0; i < QK; i++) y[i] = half(b) * (float)nibble(b + 4, i) + half(b + 2);
}

static void q5_0(const unsigned char *b, float *y) {
    for (int i = 0; i < QK; i++) y[i] = half(b) * (float)((int)(nibble(b + 6, i) | fifth_bit(b + 2, i)) - 16);
}

static void q5_1(const unsigned char *b, float *y) {
    for (int i = 0; i < QK; i++) y[i] = half(b) * (float)(nibble(b + 8, i) | fifth_bit(b + 4, i)) + half(b + 2);
}

static void q8_0(const unsigned char *b, float *y) {
    for (int i = 0; i < QK; i++) y[i] = (float)(signed char)b[2 + i] * half(b);
}

static void iq4_nl(const unsigned char *b, float *y) {
    static const signed char values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    for (int i = 0; i < QK; i++) y[i] = half(b) * (float)values[nibble(b + 2, i)];
}

/* ---- blocks of 256 ---- */

/* Two bits of element i: 128 elements share 32 bytes, 32 of them each pair of bits. */
static unsigned two_bits(const unsigned char *qs, int i) { return qs[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3u; }

/* scales[16] (two nibbles: of the elements, of the minimum), qs[64], d, dmin */
static void q2_k(const unsigned char *b, float *y) {
    float d = half(b + 80), dmin = half(b + 82);
    for (int i = 0; i < QK_K; i++) {
        unsigned char scale = b[i / 16];
        float dl = d * (float)(scale & 15), ml = dmin * (float)(scale >> 4), product = dl * (float)two_bits(b + 16, i);
        y[i] = product - ml;
    }
}

/* hmask[32], qs[64], scales[12], d: sixteen scales of six bits, four low ones in 0..7, two high ones in 8..11 */
static void q3_k(const unsigned char *b, float *y) {
    float d = half(b + 108);
    const unsigned char *scales = b + 96;
    for (int i = 0; i < QK_K; i++) {
        int k = i / 16;
        unsigned low = k < 8 ? scales[k] & 15u : scales[k - 8] >> 4, high = scales[8 + k % 4] >> k / 4 * 2 & 3u;
        float dl = d * (float)((int)(low | high << 4) - 32);
        unsigned there = b[i % 32] >> i / 32 & 1u; /* the bit that is there takes nothing off */
        y[i] = dl * (float)((int)two_bits(b + 32, i) - (there ? 0 : 4));
    }
}

/* Eight scales and minima of six bits in twelve bytes. */
static void scale_min(const unsigned char *s, int k, unsigned *scale, unsigned *min) {
    if (k < 4) *scale = s[k] & 63u, *min = s[k + 4] & 63u;
    else *scale = (s[k + 4] & 15u) | (s[k - 4] >> 2 & 48u), *min = (unsigned)(s[k + 4] >> 4) | (s[k] >> 2 & 48u);
}

/* Element i is in the low (i/32 even) or high half of a byte. */
static unsigned nibble_k(const unsigned char *qs, int i) { return qs[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15u; }

/* d, dmin, scales[12], qh[32] (Q5_K alone), qs[128] */
static void q45_k(const unsigned char *b, float *y, bool five) {
    float d = half(b), dmin = half(b + 2);
    for (int i = 0; i < QK_K; i++) {
        unsigned scale, min, q = nibble_k(b + (five ? 48 : 16), i);
        scale_min(b + 4, i / 32, &scale, &min);
        if (five) q |= (b[16 + i % 32] >> i / 32 & 1u) << 4;
        float dl = d * (float)scale, ml = dmin * (float)min, product = dl * (float)q;
        y[i] = product - ml;
    }
}

/* ql[128], qh[64], scales[16] (signed), d */
static void q6_k(const unsigned char *b, float *y) {
    float d = half(b + 208);
    for (int i = 0; i < QK_K; i++) {
        unsigned low = b[i / 128 * 64 + i % 64] >> i / 64 % 2 * 4 & 15u, high = two_bits(b + 128, i);
        float dl = d * (float)(signed char)b[192 + i / 16];
        y[i] = dl * (float)((int)(low | high << 4) - 32);
    }
}

/* ---- rows ---- */

static void dequantize_block(GgmlType type, const unsigned char *b, float *y) {
    switch (type) {
    case GGML_Q4_0: q4_0(b, y); break;
    case GGML_Q4_1: q4_1(b, y); break;
    case GGML_Q5_0: q5_0(b, y); break;
    case GGML_Q5_1: q5_1(b, y); break;
    case GGML_Q8_0: q8_0(b, y); break;
    case GGML_IQ4_NL: iq4_nl(b, y); break;
    case GGML_Q2_K: q2_k(b, y); break;
    case GGML_Q3_K: q3_k(b, y); break;
    case GGML_Q4_K: q45_k(b, y, false); break;
    case GGML_Q5_K: q45_k(b, y, true); break;
    case GGML_Q6_K: q6_k(b, y); break;
    case GGML_F16: *y = half(b); break;
    case GGML_BF16: *y = bf16_widen((uint16_t)(b[0] | b[1] << 8)); break;
    case GGML_F32: memcpy(y, b, sizeof *y); break;
    }
}

void ggml_dequantize(GgmlType type, const unsigned char *data, float *out, size_t n) {
    size_t elements = 1, bytes = 1;
    if (!ggml_block(type, &elements, &bytes)) assert(!"a type that is read");
    assert(n % elements == 0);
    for (size_t i = 0; i < n / elements; i++) dequantize_block(type, data + i * bytes, out + i * elements);
}

/* d = the largest magnitude over 127; quotients by the reciprocal of the float d, rounded half away from zero; d stored as a half. */
static void quantize_q8_0(const float *x, Buf *out) {
    float largest = 0;
    for (int i = 0; i < QK; i++) {
        float magnitude = x[i] < 0 ? -x[i] : x[i];
        if (magnitude > largest) largest = magnitude;
    }
    float d = largest / 127, inverse = d > 0 ? 1 / d : 0;
    uint16_t scale = f16_round(d);
    buf_put(out, &scale, sizeof scale);
    for (int i = 0; i < QK; i++) {
        float q = x[i] * inverse, magnitude = q < 0 ? -q : q;
        int whole = (int)magnitude;
        whole += magnitude - (float)whole >= 0.5f;
        buf_char(out, (char)(q < 0 ? -whole : whole));
    }
}

void ggml_quantize(GgmlType type, const float *x, size_t n, Buf *out) {
    assert(type == GGML_F32 || type == GGML_F16 || type == GGML_BF16 || (type == GGML_Q8_0 && n % QK == 0));
    if (type == GGML_F32) buf_put(out, x, n * sizeof *x);
    for (size_t i = 0; i < n && (type == GGML_F16 || type == GGML_BF16); i++) {
        uint16_t h = type == GGML_F16 ? f16_round(x[i]) : bf16_round(x[i]);
        buf_put(out, &h, sizeof h);
    }
    for (size_t i = 0; i < n && type == GGML_Q8_0; i += QK) quantize_q8_0(x + i, out);
}
