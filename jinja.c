#include "jinja.h"

#include <string.h>

typedef struct {
    const char *s;
    size_t n, at;
    bool line_starts;                 /* what was read last ended a line */
    Buf *out;
} Template;

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

/* ---- tokens of a tag ---- */

typedef enum { TOKEN_NAME, TOKEN_STRING, TOKEN_SIGN } TokenKind;
typedef struct {
    TokenKind kind;
    size_t at, length;                /* in the tag's own text; strings are decoded */
} Token;
typedef struct {
    Token *tokens;
    size_t count, room;
    Buf text;
} Tag;

static void add_token(Tag *t, TokenKind kind, const char *text, size_t n) {
    if (t->count == t->room) {
        t->room = 2 * t->room + 32;
        t->tokens = mem_resize(t->tokens, t->room, sizeof *t->tokens);
    }
    t->tokens[t->count++] = (Token){kind, t->text.len, n};
    buf_put(&t->text, text, n);
}

static bool token_is(const Tag *t, size_t i, TokenKind kind, const char *text) {
    return i < t->count && t->tokens[i].kind == kind && t->tokens[i].length == strlen(text) &&
           !memcmp(t->text.data + t->tokens[i].at, text, t->tokens[i].length);
}

/* The string that begins at t->at; false when it has no end or an escape that is not known here. */
static bool read_string(Template *t, Tag *tag) {
    static const char names[] = "ntr\\'\"", bytes[] = "\n\t\r\\'\"";
    char quote = t->s[t->at++];
    Buf text = {0};
    buf_str(&text, "");
    for (; t->at < t->n && t->s[t->at] != quote; t->at++) {
        char c = t->s[t->at];
        if (c == '\\') {
            const char *name = ++t->at < t->n ? strchr(names, t->s[t->at]) : NULL;
            if (!name || !*name) return buf_free(&text), false;
            c = bytes[name - names];
        }
        if ((unsigned char)c <= JINJA_HOLE) return buf_free(&text), false;
        buf_char(&text, c);
    }
    add_token(tag, TOKEN_STRING, text.data, text.len);
    buf_free(&text);
    return t->at++ < t->n;
}

/* Tokens up to the closing }} or %}; at stands behind it. Sets whether white space behind it goes. */
static bool read_tag(Template *t, char close, Tag *tag, bool *strip) {
    for (size_t depth = 0; t->at < t->n;) {
        char c = t->s[t->at], next = t->at + 1 < t->n ? t->s[t->at + 1] : 0, third = t->at + 2 < t->n ? t->s[t->at + 2] : 0;
        bool dash = (c == '-' || c == '+') && next == close && third == '}';
        if (!depth && (dash || (c == close && next == '}'))) {
            *strip = dash && c == '-';
            t->at += dash ? 3 : 2;
            return true;
        }
        if (is_space(c)) t->at++;
        else if (c == '\'' || c == '"') {
            if (!read_string(t, tag)) return false;
        } else if (is_word(c)) {
            size_t start = t->at;
            while (t->at < t->n && is_word(t->s[t->at])) t->at++;
            add_token(tag, TOKEN_NAME, t->s + start, t->at - start);
        } else {
            bool two = (next == '=' && strchr("=!<>", c)) || (c == next && strchr("*/", c));
            if (strchr("([{", c)) depth++;
            if (strchr(")]}", c) && depth) depth--;
            if (c < ' ' || c > '~') return false;
            add_token(tag, TOKEN_SIGN, t->s + t->at, two ? 2 : 1);
            t->at += two ? 2 : 1;
        }
    }
    return false;
}

/* ---- the canonical form ---- */

/* Tokens [from, to), each closed by NEXT; x.name as x['name'], but for calls. */
static void put_tokens(const Tag *tag, size_t from, size_t to, Buf *out) {
    for (size_t i = from; i < to; i++) {
        const Token *x = &tag->tokens[i];
        const char *text = tag->text.data + x->at;
        bool attribute =
            token_is(tag, i, TOKEN_SIGN, ".") && i + 1 < to && x[1].kind == TOKEN_NAME && !token_is(tag, i + 2, TOKEN_SIGN, "(");
        if (attribute) {
            i++;
            buf_format(out, "[%c%c", JINJA_NEXT, JINJA_QUOTE);
            buf_put(out, tag->text.data + x[1].at, x[1].length);
            buf_format(out, "%c%c]%c", JINJA_QUOTE, JINJA_NEXT, JINJA_NEXT);
            continue;
        }
        if (x->kind == TOKEN_STRING) buf_char(out, JINJA_QUOTE);
        buf_put(out, text, x->length);
        if (x->kind == TOKEN_STRING) buf_char(out, JINJA_QUOTE);
        buf_char(out, JINJA_NEXT);
    }
}

/* A sum of strings is its parts, one after the other; other operators bind less tightly than + or join numbers. */
static bool is_plain_sum(const Tag *tag) {
    static const char *const words[] = {"if", "else", "or", "and", "not", "in", "is"}, *const signs[] = {"~",  "==", "!=", "<", ">",
                                                                                                         "<=", ">=", "-",  ","};
    int depth = 0;
    for (size_t i = 0; i < tag->count; i++) {
        const Token *x = &tag->tokens[i];
        if (x->kind == TOKEN_SIGN && x->length == 1)
            depth += strchr("([{", tag->text.data[x->at]) ? 1 : strchr(")]}", tag->text.data[x->at]) ? -1 : 0;
        for (size_t k = 0; !depth && k < sizeof words / sizeof *words; k++)
            if (token_is(tag, i, TOKEN_NAME, words[k])) return false;
        for (size_t k = 0; !depth && k < sizeof signs / sizeof *signs; k++)
            if (token_is(tag, i, TOKEN_SIGN, signs[k])) return false;
    }
    return tag->count > 0;
}

static void put_expression(const Tag *tag, Buf *out) {
    bool sum = is_plain_sum(tag);
    int depth = 0;
    for (size_t i = 0, start = 0; i <= tag->count; i++) {
        const Token *x = i < tag->count ? &tag->tokens[i] : NULL;
        if (x && x->kind == TOKEN_SIGN && x->length == 1)
            depth += strchr("([{", tag->text.data[x->at]) ? 1 : strchr(")]}", tag->text.data[x->at]) ? -1 : 0;
        if (x && !(sum && !depth && token_is(tag, i, TOKEN_SIGN, "+"))) continue;
        if (sum && i == start + 1 && tag->tokens[start].kind == TOKEN_STRING)
            buf_put(out, tag->text.data + tag->tokens[start].at, tag->tokens[start].length);
        else {
            buf_format(out, "%c{%c", JINJA_TAG, JINJA_NEXT);
            put_tokens(tag, start, i, out);
            buf_char(out, JINJA_END);
        }
        start = i + 1;
    }
}

static bool is_training_mark(const Tag *tag) {
    return tag->count == 1 && (token_is(tag, 0, TOKEN_NAME, "generation") || token_is(tag, 0, TOKEN_NAME, "endgeneration"));
}

/* ---- text between tags ---- */

/* The text up to the next tag, without the white space that the tag takes away. */
static void put_text(Template *t, size_t end, bool dash, bool plus, char kind) {
    size_t stop = end;
    if (dash)
        while (stop > t->at && is_space(t->s[stop - 1])) stop--;
    else if (!plus && kind != '{' && end < t->n) { /* a statement or comment that stands first in its line */
        size_t line = end;
        while (line > t->at && t->s[line - 1] != '\n' && is_space(t->s[line - 1])) line--;
        if (line == t->at ? t->line_starts : t->s[line - 1] == '\n') stop = line;
    }
    buf_put(t->out, t->s + t->at, stop - t->at);
}

static bool read_next(Template *t) {
    size_t open = t->at;
    while (open + 1 < t->n && !(t->s[open] == '{' && strchr("{%#", t->s[open + 1]))) open++;
    if (open + 1 >= t->n) {
        put_text(t, t->n, false, false, 0);
        t->at = t->n;
        return true;
    }
    char kind = t->s[open + 1], sign = open + 2 < t->n ? t->s[open + 2] : 0;
    put_text(t, open, sign == '-', sign == '+', kind);
    t->at = open + 2 + (sign == '-' || sign == '+');
    bool strip = false, whole = true;
    if (kind == '#') {
        while (t->at + 1 < t->n && !(t->s[t->at] == '#' && t->s[t->at + 1] == '}')) t->at++;
        if (t->at + 1 >= t->n) return false;
        strip = t->s[t->at - 1] == '-';
        t->at += 2;
    } else {
        Tag tag = {0};
        buf_str(&tag.text, "");
        whole = read_tag(t, kind == '{' ? '}' : '%', &tag, &strip) && !token_is(&tag, 0, TOKEN_NAME, "raw");
        if (whole && kind == '{') put_expression(&tag, t->out);
        else if (whole && !is_training_mark(&tag)) {
            buf_format(t->out, "%c%%%c", JINJA_TAG, JINJA_NEXT);
            put_tokens(&tag, 0, tag.count, t->out);
            buf_char(t->out, JINJA_END);
        }
        mem_free(tag.tokens), buf_free(&tag.text);
    }
    t->line_starts = false;
    if (strip)
        while (t->at < t->n && is_space(t->s[t->at])) t->line_starts = t->s[t->at++] == '\n';
    else if (kind != '{' && t->at < t->n && t->s[t->at] == '\n') t->at++, t->line_starts = true;
    return whole;
}

bool jinja_canonical(const char *text, size_t n, Buf *out) {
    Buf lines = {0};
    bool whole = true;
    buf_str(&lines, "");
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] <= JINJA_HOLE) whole = false;
        if (text[i] == '\r') buf_char(&lines, '\n'), i += i + 1 < n && text[i + 1] == '\n';
        else buf_char(&lines, text[i]);
    }
    Template t = {.s = lines.data, .n = lines.len - (lines.len && lines.data[lines.len - 1] == '\n'), .line_starts = true, .out = out};
    buf_str(out, "");
    while (whole && t.at < t.n) whole = read_next(&t);
    buf_free(&lines);
    return whole;
}

void jinja_quote(Buf *b, const char *text) {
    buf_char(b, '\'');
    for (; *text; text++) {
        if (*text == '\n') buf_str(b, "\\n");
        else if (*text == '\r') buf_str(b, "\\r");
        else if (*text == '\\' || *text == '\'') buf_char(b, '\\'), buf_char(b, *text);
        else buf_char(b, *text);
    }
    buf_char(b, '\'');
}
