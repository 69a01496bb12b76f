/* pretokenize: cuts a text into pre-tokens, the pieces inside which BPE merges.
 *
 * Tokenizer files give the cut as a regular expression. There is no regex engine here: the expressions that are in
 * use are known by their text, and each is one function over the character classes of unicode.h.
 * Every byte of the text lands in exactly one pre-token. Bytes that are no UTF-8 count as characters of class "other".
 */
#ifndef PRETOKENIZE_H
#define PRETOKENIZE_H

#include "base.h"

typedef enum {
    SPLIT_NONE,       /* the whole text is one pre-token */
    SPLIT_GPT2,       /* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
    SPLIT_QWEN2,      /* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
    SPLIT_LLAMA3      /* the same with \p{N}{1,3} */
} Split;

/* The split whose regular expression has this text; false when it is none of the known ones. */
bool split_of_regex(const char *regex, size_t n, Split *split);
const char *split_regex(Split split);

/* A walk over the pre-tokens of a text:  Pretokens p = pretokens(...); while (pretoken_next(&p, &word, &n)) … */
typedef struct {
    Split split;
    bool each_digit;              /* every character of \p{N} is cut off by itself before the split */
    const unsigned char *text;
    size_t size, at, limit;       /* limit: where the stretch without digits ends (each_digit) */
} Pretokens;
Pretokens pretokens(Split split, bool each_digit, const unsigned char *text, size_t size);
bool pretoken_next(Pretokens *p, const unsigned char **word, size_t *length);

#endif
