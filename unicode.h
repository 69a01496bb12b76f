/* unicode: UTF-8, the three classes of characters that the splits of tokenizers speak of, widths on a terminal, and NFC. */
#ifndef UNICODE_H
#define UNICODE_H

#include "base.h"

/* \p{L}, \p{N}, \s; CHAR_OTHER is everything else: marks, punctuation, symbols, unassigned, and bytes that are no UTF-8. */
typedef enum { CHAR_OTHER, CHAR_LETTER, CHAR_NUMBER, CHAR_SPACE } CharClass;

enum { CHAR_INVALID = 0x110000 };

/* The character at s (n > 0 bytes are there) and its length in bytes. A byte that begins no valid sequence
 * (RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF) is CHAR_INVALID of length 1. */
size_t utf8_next(const unsigned char *s, size_t n, uint32_t *c);
/* Writes 1 to 4 bytes. */
size_t utf8_put(unsigned char *s, uint32_t c);
bool utf8_valid(const unsigned char *s, size_t n);

CharClass char_class(uint32_t c);
/* The class of the character at s, and its length. */
CharClass class_next(const unsigned char *s, size_t n, size_t *length);
/* Cells that a terminal takes for it: 0 (drawn on the one before, not drawn, or a control character), 1 or 2. */
int char_width(uint32_t c);
/* Without what is white at both ends, as Python's strip: White_Space, and the four separators below the space. */
void text_trim(const char **text, size_t *n);

/* Appends the text in Normalization Form C (nfc.c). Bytes that are no UTF-8 stay as they are. */
void nfc(const unsigned char *s, size_t n, Buf *out);

#endif
