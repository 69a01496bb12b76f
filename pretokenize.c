#include "pretokenize.h"

#include "unicode.h"

#include <string.h>

#define CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"
#define SPACES "\\s+(?!\\S)|\\s+"
#define NEWER(number) \
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" number "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|" SPACES

static const char *const regexes[] = {
    [SPLIT_NONE] = "",
    [SPLIT_GPT2] = CONTRACTIONS "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|" SPACES,
    [SPLIT_QWEN2] = NEWER("\\p{N}"),
    [SPLIT_LLAMA3] = NEWER("\\p{N}{1,3}"),
};

const char *split_regex(Split split) { return regexes[split]; }

bool split_of_regex(const char *regex, size_t n, Split *split) {
    for (int i = SPLIT_GPT2; i <= SPLIT_LLAMA3; i++)
        if (strlen(regexes[i]) == n && !memcmp(regexes[i], regex, n)) return *split = (Split)i, true;
    return false;
}

/* 's 't 're 've 'm 'll 'd at the start: its length, or 0. Without case, 's is also met by U+017F, the long s. */
static size_t contraction(const unsigned char *s, size_t n, bool any_case) {
    if (n < 2 || s[0] != '\'') return 0;
    if (any_case && n >= 3 && s[1] == 0xC5 && s[2] == 0xBF) return 3;
    unsigned fold = any_case ? 0x20 : 0; /* sets the bit that makes an ASCII letter small */
    unsigned a = s[1] | fold, b = n > 2 ? s[2] | fold : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* Where the run of characters of this class ends that begins at `at`; at most `most` characters. */
static size_t run_end(const unsigned char *s, size_t n, size_t at, CharClass class, size_t most) {
    size_t length;
    for (; at < n && most && class_next(s + at, n - at, &length) == class; most--) at += length;
    return at;
}

/* \s+(?!\S)|\s+ on a text that begins with white space: all of it at the end of the text; else all but the last
 * character, which goes with what follows; a single one stays alone. */
static size_t spaces(const unsigned char *s, size_t n) {
    size_t at = 0, last = 0, length;
    for (; at < n && class_next(s + at, n - at, &length) == CHAR_SPACE; at += length) last = at;
    return at < n && last ? last : at;
}

static size_t gpt2_length(const unsigned char *s, size_t n) {
    size_t at = contraction(s, n, false), length;
    if (at) return at;
    at = s[0] == ' ' ? 1 : 0;
    if (at < n) {
        CharClass class = class_next(s + at, n - at, &length);
        if (class != CHAR_SPACE) return run_end(s, n, at + length, class, n);
    }
    return spaces(s, n);
}

static size_t newer_length(const unsigned char *s, size_t n, size_t digits) {
    size_t at = contraction(s, n, true), length, next;
    if (at) return at;
    CharClass class = class_next(s, n, &length);
    if (class == CHAR_LETTER) return run_end(s, n, length, CHAR_LETTER, n);
    if (class == CHAR_NUMBER) return run_end(s, n, length, CHAR_NUMBER, digits - 1);
    /* [^\r\n\p{L}\p{N}]?\p{L}+: one other character in front of letters goes with them */
    if (s[0] != '\r' && s[0] != '\n' && length < n && class_next(s + length, n - length, &next) == CHAR_LETTER)
        return run_end(s, n, length + next, CHAR_LETTER, n);
    /*  ?[^\s\p{L}\p{N}]+[\r\n]* */
    at = run_end(s, n, s[0] == ' ' ? 1 : 0, CHAR_OTHER, n);
    if (at > (s[0] == ' ' ? 1 : 0)) {
        while (at < n && (s[at] == '\r' || s[at] == '\n')) at++;
        return at;
    }
    /* \s*[\r\n]+: white space up to its last line end */
    at = run_end(s, n, 0, CHAR_SPACE, n);
    while (at && s[at - 1] != '\r' && s[at - 1] != '\n') at--;
    return at ? at : spaces(s, n);
}

static size_t first_length(Split split, const unsigned char *s, size_t n) {
    switch (split) {
    case SPLIT_GPT2: return gpt2_length(s, n);
    case SPLIT_QWEN2: return newer_length(s, n, 1);
    case SPLIT_LLAMA3: return newer_length(s, n, 3);
    default: return n;
    }
}

Pretokens pretokens(Split split, bool each_digit, const unsigned char *text, size_t size) {
    return (Pretokens){.split = split, .each_digit = each_digit, .text = text, .size = size, .limit = each_digit ? 0 : size};
}

bool pretoken_next(Pretokens *p, const unsigned char **word, size_t *length) {
    const unsigned char *s = p->text + p->at;
    size_t rest = p->size - p->at;
    if (!rest) return false;
    if (p->each_digit && p->at == p->limit) { /* the next stretch: one digit, or all up to the next digit */
        size_t n, at = 0;
        while (at < rest && class_next(s + at, rest - at, &n) != CHAR_NUMBER) at += n;
        p->limit += at ? at : n;
    }
    *word = s;
    *length = first_length(p->split, s, p->limit - p->at);
    p->at += *length;
    return true;
}
