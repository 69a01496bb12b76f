#include "pattern.h"

#include <string.h>

/* ---- names by part ---- */

/* One part of a name against one part of a pattern; a star matches as little as it can, then more. */
static bool part_matches(const char *pattern, const char *name) {
    size_t star = 0;
    while (pattern[star] && pattern[star] != '.' && pattern[star] != '*') {
        if (pattern[star] != name[star]) return false;
        star++;
    }
    pattern += star, name += star;
    if (*pattern != '*') return !*name || *name == '.';
    for (;; name++) {
        if (part_matches(pattern + 1, name)) return true;
        if (!*name || *name == '.') return false;
    }
}

static const char *next_part(const char *name) {
    name += strcspn(name, ".");
    return *name ? name + 1 : NULL;
}

bool name_covers(const char *part, const char *name) {
    for (; name; name = next_part(name)) {
        const char *p = part, *n = name;
        while (p && n && part_matches(p, n)) p = next_part(p), n = next_part(n);
        if (!p) return true;
    }
    return false;
}

bool name_ends(const char *name, const char *end) {
    size_t n = strlen(name), k = strlen(end);
    return n >= k && !strcmp(name + n - k, end) && (n == k || name[n - k - 1] == '.');
}

/* ---- regular expressions ----------------------------------------------------------------------------------------------------
 * Every part of the expression turns a set of places in the text, where a match may stand, into the set of places where it may
 * stand afterwards. A repeated part is applied until the set grows no more. So no expression takes for ever. */

enum { MOST = 1024 };

typedef struct {
    bool at[MOST + 1];
} Places;

typedef struct {
    const char *regex, *at, *text, *where;
    size_t length;                    /* of the text */
    int depth;
} Matcher;

static _Noreturn void refuse(const Matcher *m, const char *what) {
    bad_input("%s: the regular expression \"%.300s\": %s at character %zu is not understood: give the modules' names instead", m->where, m->regex,
              what, (size_t)(m->at - m->regex) + 1);
}

/* The places after one character that `fits`, a set of 256, holds. */
static Places step(const Matcher *m, const Places *in, const bool *fits) {
    Places out = {{false}};
    for (size_t i = 0; i < m->length; i++) out.at[i + 1] = in->at[i] && fits[(unsigned char)m->text[i]];
    return out;
}

static void add_escape(const Matcher *m, bool *fits, char c) {
    bool digit = c == 'd', word = c == 'w';
    if (!digit && !word && ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || !c)) refuse(m, "the escape");
    if (!digit && !word) fits[(unsigned char)c] = true;
    for (int i = '0'; i <= '9'; i++) fits[i] |= digit || word;
    for (int i = 'a'; i <= 'z'; i++) fits[i] |= word, fits[i - 'a' + 'A'] |= word;
    fits['_'] |= word;
}

/* After '[', up to and with ']'. */
static void read_class(Matcher *m, bool *fits) {
    bool inverted = *m->at == '^';
    if (inverted) m->at++;
    for (bool first = true; first || *m->at != ']'; first = false) {
        if (!*m->at) refuse(m, "a [ without its ]");
        unsigned char from = (unsigned char)*m->at++;
        if (from == '\\') {
            add_escape(m, fits, *m->at);
            m->at++;
            continue;
        }
        unsigned char to = from;
        if (m->at[0] == '-' && m->at[1] && m->at[1] != ']') to = (unsigned char)m->at[1], m->at += 2;
        if (to < from || to == '\\') refuse(m, "the range");
        for (int c = from; c <= to; c++) fits[c] = true;
    }
    m->at++;
    for (int c = 0; inverted && c < 256; c++) fits[c] = !fits[c];
}

static Places alternatives(Matcher *m, const Places *in);

static Places group(Matcher *m, const Places *in) {
    if (m->at[0] == '?') {
        if (m->at[1] != ':') refuse(m, "(?");
        m->at += 2;
    }
    if (++m->depth > 8) refuse(m, "the ninth ( within another");
    Places out = alternatives(m, in);
    if (*m->at != ')') refuse(m, "a ( without its )");
    m->at++, m->depth--;
    return out;
}

static Places atom(Matcher *m, const Places *in) {
    bool fits[256] = {false};
    char c = *m->at++;
    switch (c) {
    case '(': return group(m, in);
    case '^':
    case '$': {
        Places out = {{false}};
        size_t edge = c == '^' ? 0 : m->length;
        out.at[edge] = in->at[edge];
        return out;
    }
    case '.': memset(fits, true, sizeof fits); break;
    case '[': read_class(m, fits); break;
    case '\\':
        add_escape(m, fits, *m->at);
        m->at++;
        break;
    case '*':
    case '+':
    case '?':
    case '{':
    case '}': m->at--, refuse(m, "the quantifier");
    default: fits[(unsigned char)c] = true;
    }
    return step(m, in, fits);
}

/* a |= b; whether a grew. */
static bool join(Places *a, const Places *b, size_t length) {
    bool grew = false;
    for (size_t i = 0; i <= length; i++) grew |= b->at[i] && !a->at[i], a->at[i] |= b->at[i];
    return grew;
}

static Places repeated(Matcher *m, const Places *in) {
    const char *begin = m->at;
    Places once = atom(m, in);
    char c = *m->at;
    if (c == '{') refuse(m, "the quantifier");
    if (c != '*' && c != '+' && c != '?') return once;
    const char *end = m->at + 1;
    for (bool grew = c != '?'; grew;) {
        m->at = begin;
        Places more = atom(m, &once);
        grew = join(&once, &more, m->length);
    }
    if (c != '+') join(&once, in, m->length);
    m->at = end + (*end == '?'); /* a lazy one matches the same texts */
    return once;
}

static Places alternatives(Matcher *m, const Places *in) {
    Places out = {{false}};
    for (;;) {
        Places branch = *in;
        while (*m->at && *m->at != '|' && *m->at != ')') branch = repeated(m, &branch);
        join(&out, &branch, m->length);
        if (*m->at != '|') return out;
        m->at++;
    }
}

bool regex_matches(const char *regex, const char *text, const char *where) {
    Matcher m = {.regex = regex, .at = regex, .text = text, .where = where, .length = strlen(text)};
    if (m.length > MOST || strlen(regex) > 65536) bad_input("%s: a name of more than %d bytes, or a regular expression of more than 65536", where, MOST);
    Places start = {{true}};
    Places out = alternatives(&m, &start);
    if (*m.at) refuse(&m, "a ) without its (");
    return out.at[m.length];
}

bool regex_is_one(const char *text) { return strpbrk(text, "*+?()[]{}|^$\\") != NULL; }
