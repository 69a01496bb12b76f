/* overlap: which texts are nearly the same, and what two sets of texts have in common.
 *
 * The normal form of a text has its letters in lower case and its digits; punctuation and symbols go, white space of any length is
 * one space, none at the ends. Two prompts with one normal form are nearly equal: "What is 2 + 2?" and "what is  2 2".
 * A text of punctuation alone is its own normal form.
 */
#ifndef OVERLAP_H
#define OVERLAP_H

#include "base.h"

/* Replaces what is in out. */
void text_normal(const char *text, size_t n, Buf *out);
/* A number for the bytes: two texts with the same number are taken to be the same. */
uint64_t bytes_key(const void *bytes, size_t n);

/* ---- n-grams: runs of `words` words of normal forms ---- */

enum { NGRAM_WORDS = 13 };

typedef struct {
    uint64_t *keys;
    uint32_t *owners;                 /* number of the text that had it first */
    size_t count, size;               /* size: a power of two, or 0 */
} NgramSet;

/* The n-grams of a normal form; a shorter text of at least `least` words is one n-gram as a whole. */
void ngrams_add(NgramSet *s, const Buf *normal, size_t words, size_t least, uint32_t owner);
/* Marks the owners of the text's n-grams that the set has; true: there is one. */
bool ngrams_mark(const NgramSet *s, const Buf *normal, size_t words, size_t least, bool *owners);
void ngrams_free(NgramSet *s);

#endif
