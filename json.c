#include "json.h"

#include "decimal.h"
#include "os.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

/* ---- the document: two blocks, of which a survey of the text knows the sizes ---- */

struct JsonDoc {
    Json root;
    char *name;
    Json *values;        /* the members of every container, one container after the other */
    unsigned char *text; /* the strings, decoded, and the numbers, as they are written: never longer than where they stood */
};

const Json *json_root(const JsonDoc *doc) { return &doc->root; }
const char *json_name(const JsonDoc *doc) { return doc->name; }

void json_free(JsonDoc *doc) {
    if (!doc) return;
    mem_free(doc->values), mem_free(doc->text), mem_free(doc->name), mem_free(doc);
}

/* ---- UTF-8 ---- */

/* The bytes of the character at p, and whether it is a whole and allowed one (RFC 3629: nothing longer than
 * needed, no surrogates, at most U+10FFFF). If not: the bytes that could have begun one, at least 1. */
static size_t utf8_step(const unsigned char *p, size_t n, bool *valid) {
    unsigned char lead = p[0], low = 0x80, high = 0xBF;
    size_t need = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0, have = 1;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    while (have < need && have < n && p[have] >= low && p[have] <= high) have++, low = 0x80, high = 0xBF;
    *valid = have == need;
    return have;
}

static size_t utf8_put(unsigned char *to, uint32_t c) {
    if (c < 0x80) return to[0] = (unsigned char)c, 1;
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) to[i] = (unsigned char)(0x80 | (c & 0x3F));
    to[0] = (unsigned char)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | c);
    return n;
}

/* ---- the reader: recursive descent ---- */

typedef struct {
    JsonDoc *doc;
    const unsigned char *at, *end, *line_start;
    size_t line;
    int depth;
    Json *values;         /* what is not yet taken of doc->values */
    unsigned char *text;  /* … and of doc->text */
    const size_t *counts; /* the members of the next container that opens */
} Reader;

static bool is_letter(unsigned char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

/* What stands at p, in words. */
static void describe(const Reader *r, const unsigned char *p, char text[40]) {
    size_t n = 0;
    while (n < 20 && p + n < r->end && is_letter(p[n])) n++;
    if (p >= r->end) snprintf(text, 40, "the end of the text");
    else if (*p == '\n' || *p == '\r') snprintf(text, 40, "the end of the line");
    else if (n > 1) snprintf(text, 40, "%.*s", (int)n, (const char *)p);
    else if (*p > 0x20 && *p < 0x7F) snprintf(text, 40, "'%c'", *p);
    else snprintf(text, 40, "byte 0x%02X", (unsigned)*p);
}

/* found NULL: what stands there */
static _Noreturn void refuse(const Reader *r, const unsigned char *p, const char *found, const char *expected) {
    char there[40];
    size_t column = 1;
    if (!found) describe(r, p, there);
    for (const unsigned char *q = r->line_start; q < p; q++) column += (*q & 0xC0) != 0x80;
    bad_input("%s: line %zu, column %zu: found %s, expected %s", r->doc->name, r->line, column, found ? found : there, expected);
}

static void skip_space(Reader *r) {
    for (; r->at < r->end; r->at++) {
        if (*r->at == '\n') r->line++, r->line_start = r->at + 1;
        else if (*r->at != ' ' && *r->at != '\t' && *r->at != '\r') return;
    }
}

static bool take(Reader *r, char c) {
    if (r->at == r->end || *r->at != (unsigned char)c) return false;
    r->at++;
    return true;
}

static uint32_t read_hex4(Reader *r, const unsigned char *p) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, p++) {
        unsigned char c = p < r->end ? *p : 0;
        uint32_t digit = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
        if (digit == 16) refuse(r, p, NULL, "four hexadecimal digits after \\u");
        value = value << 4 | digit;
    }
    return value;
}

/* r->at stands behind the backslash; afterwards behind the escape. */
static size_t read_escape(Reader *r, unsigned char *to) {
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const unsigned char *p = r->at;
    const char *name = p < r->end && *p ? strchr(names, *p) : NULL;
    if (name) {
        r->at++;
        *to = (unsigned char)bytes[name - names];
        return 1;
    }
    if (p == r->end || *p != 'u') refuse(r, p, NULL, "one of \" \\ / b f n r t u after the backslash");
    uint32_t c = read_hex4(r, p + 1);
    r->at = p + 5;
    if (c >= 0xDC00 && c < 0xE000) refuse(r, p, "a low surrogate without the high one", "a character or a pair of surrogates");
    if (c >= 0xD800 && c < 0xDC00) {
        bool pair = r->end - r->at >= 2 && r->at[0] == '\\' && r->at[1] == 'u';
        uint32_t low = pair ? read_hex4(r, r->at + 2) : 0;
        if (low < 0xDC00 || low >= 0xE000) refuse(r, p, "a high surrogate alone", "its low surrogate after it");
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        r->at += 6;
    }
    return utf8_put(to, c);
}

static void read_string(Reader *r, Json *v) {
    v->kind = JSON_STRING;
    r->at++;
    unsigned char *text = r->text, *to = text; /* no escape decodes to more bytes than it is written with */
    while (r->at < r->end && *r->at != '"') {
        unsigned char c = *r->at;
        if (c == '\\') {
            r->at++;
            to += read_escape(r, to);
        } else if (c < 0x20) {
            refuse(r, r->at, NULL, c == '\n' || c == '\r' ? "the closing quote (a line break inside a string is written \\n)"
                                                           : "no control character inside a string (write \\u00XX)");
        } else if (c < 0x80) {
            *to++ = *r->at++;
        } else {
            bool valid;
            size_t n = utf8_step(r->at, (size_t)(r->end - r->at), &valid);
            if (!valid) refuse(r, r->at, NULL, "UTF-8 text (was the file saved in another encoding?)");
            while (n--) *to++ = *r->at++;
        }
    }
    if (!take(r, '"')) refuse(r, r->at, NULL, "the closing quote of a string");
    *to = 0;
    v->string = (const char *)text;
    v->length = (size_t)(to - text);
    r->text = to + 1;
}

static void read_number(Reader *r, Json *v) {
    const unsigned char *start = r->at;
    bool negative = take(r, '-'), whole = true;
    const unsigned char *first = r->at;
    while (r->at < r->end && is_digit(*r->at)) r->at++;
    if (r->at == first) refuse(r, r->at, NULL, "a digit");
    if (*first == '0' && r->at - first > 1) refuse(r, first, "a number that begins with 0", "no zeros in front of a number");
    const unsigned char *last = r->at;
    if (take(r, '.')) {
        whole = false;
        const unsigned char *fraction = r->at;
        while (r->at < r->end && is_digit(*r->at)) r->at++;
        if (r->at == fraction) refuse(r, r->at, NULL, "a digit after the decimal point");
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        whole = false;
        r->at++;
        if (!take(r, '-')) take(r, '+');
        const unsigned char *exponent = r->at;
        while (r->at < r->end && is_digit(*r->at)) r->at++;
        if (r->at == exponent) refuse(r, r->at, NULL, "a digit in the exponent");
    }
    v->kind = JSON_NUMBER;
    v->length = (size_t)(r->at - start);
    if (!decimal_parse((const char *)start, v->length, &v->number))
        refuse(r, start, "a number too large for a double", "at most 1.797e308");
    /* Gathered below zero, where there is room for one more. */
    int64_t sum = 0;
    for (const unsigned char *p = first; p < last && whole; p++) {
        int digit = *p - '0';
        if (sum < (INT64_MIN + digit) / 10) whole = false;
        else sum = sum * 10 - digit;
    }
    if (!negative && sum == INT64_MIN) whole = false;
    v->is_integer = whole;
    v->integer = !whole ? 0 : negative ? sum : -sum;
    v->string = memcpy(r->text, start, v->length); /* as it is written, for jw_copy */
    r->text += v->length;
    *r->text++ = 0;
}

static void read_word(Reader *r, Json *v) {
    static const struct {
        const char *word;
        JsonKind kind;
        bool boolean;
    } words[] = {{"null", JSON_NULL, false}, {"true", JSON_BOOL, true}, {"false", JSON_BOOL, false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].word);
        if ((size_t)(r->end - r->at) < n || memcmp(r->at, words[i].word, n) || (r->at + n < r->end && is_letter(r->at[n]))) continue;
        v->kind = words[i].kind;
        v->boolean = words[i].boolean;
        r->at += n;
        return;
    }
    refuse(r, r->at, NULL, "a value (an object, an array, a string, a number, true, false or null)");
}

static uint64_t hash_of(const Json *string) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < string->length; i++) h = (h ^ (unsigned char)string->string[i]) * 1099511628211u;
    return h ^ h >> 32;
}

static bool same_string(const Json *a, const Json *b) {
    return a->length == b->length && !memcmp(a->string, b->string, a->length);
}

/* A key that stands twice, or NULL. The table holds index + 1 of each key, in open addressing. */
static const Json *find_duplicate(const Json *object) {
    size_t n = object->count, slots = 16;
    const Json *found = NULL;
    if (n <= 8) {
        for (size_t i = 1; i < n; i++)
            for (size_t j = 0; j < i; j++)
                if (same_string(&object->keys[i], &object->keys[j])) return &object->keys[i];
        return NULL;
    }
    while (slots < 2 * n) slots *= 2;
    size_t *table = mem_new(slots, sizeof *table);
    for (size_t i = 0; i < n && !found; i++) {
        size_t at = (size_t)hash_of(&object->keys[i]) & (slots - 1);
        while (table[at] && !found) {
            if (same_string(&object->keys[i], &object->keys[table[at] - 1])) found = &object->keys[i];
            at = (at + 1) & (slots - 1);
        }
        table[at] = i + 1;
    }
    mem_free(table);
    return found;
}

static void read_value(Reader *r, Json *v);

static void read_container(Reader *r, Json *v) {
    bool object = *r->at == '{';
    char close = object ? '}' : ']';
    if (++r->depth > MAX_DEPTH) refuse(r, r->at, "a container 65 levels deep", "at most 64 levels");
    size_t room = *r->counts++;
    v->kind = object ? JSON_OBJECT : JSON_ARRAY;
    v->items = r->values;
    v->keys = object ? v->items + room : NULL;
    r->values += object ? 2 * room : room;
    r->at++;
    skip_space(r);
    while (!take(r, close)) {
        bool first = !v->count;
        if (!first && !take(r, ',')) refuse(r, r->at, NULL, object ? "',' or '}'" : "',' or ']'");
        skip_space(r);
        Json key = {.line = r->line}, value = {0};
        if (object) {
            if (r->at == r->end || *r->at != '"')
                refuse(r, r->at, NULL, first ? "a key in double quotes or '}'" : "a key in double quotes (no comma after the last member)");
            read_string(r, &key);
            skip_space(r);
            if (!take(r, ':')) refuse(r, r->at, NULL, "':' after the key");
        } else if (r->at < r->end && *r->at == ']') refuse(r, r->at, NULL, "a value (no comma after the last one)");
        read_value(r, &value);
        assert(v->count < room);
        if (object) v->keys[v->count] = key;
        v->items[v->count++] = value;
        skip_space(r);
    }
    const Json *twice = object ? find_duplicate(v) : NULL;
    if (twice)
        bad_input("%s: line %zu: found the key \"%.200s\" a second time, expected each key once", r->doc->name, twice->line, twice->string);
    r->depth--;
}

static void read_value(Reader *r, Json *v) {
    skip_space(r);
    v->line = r->line;
    unsigned char c = r->at < r->end ? *r->at : 0;
    if (c == '{' || c == '[') read_container(r, v);
    else if (c == '"') read_string(r, v);
    else if (c == '-' || is_digit(c)) read_number(r, v);
    else read_word(r, v);
}

/* What a text will need, found by its brackets, commas and quotes alone: the members of each container in the order they open (when there is
 * room for that), their number, and the values of all. In a text that is not JSON it is right as far as the reader will come. */
typedef struct {
    size_t containers, values, *counts;
} Survey;

static void survey(Survey *s, const unsigned char *p, const unsigned char *end) {
    size_t members[MAX_DEPTH + 1], number[MAX_DEPTH + 1], each[MAX_DEPTH + 1], depth = 0;
    s->containers = s->values = 0;
    for (; p < end; p++) {
        if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n') continue;
        bool open = *p == '[' || *p == '{', close = *p == ']' || *p == '}';
        if (depth && !close && (!members[depth] || *p == ',')) {
            members[depth]++, s->values += each[depth];
            if (s->counts) s->counts[number[depth]] = members[depth];
        }
        if (open) {
            if (depth++ == MAX_DEPTH) return;
            members[depth] = 0, number[depth] = s->containers++, each[depth] = *p == '{' ? 2 : 1;
        } else if (close) {
            if (!depth--) return;
        } else if (*p == '"')
            for (p++; p < end && *p != '"'; p++)
                if (*p == '\\' && p + 1 < end) p++;
    }
}

JsonDoc *json_parse(const char *text, size_t len, const char *name, size_t first_line) {
    JsonDoc *doc = mem_new(1, sizeof *doc);
    doc->name = str_copy(name);
    const unsigned char *start = (const unsigned char *)text;
    Reader r = {.doc = doc, .at = start, .end = start + len, .line_start = start, .line = first_line};
    if (len >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3))
        refuse(&r, r.at, "a byte order mark", "JSON from the first byte on (save it as UTF-8 without the mark)");
    Survey s = {0};
    survey(&s, r.at, r.end);
    s.counts = mem_new(s.containers, sizeof *s.counts);
    survey(&s, r.at, r.end);
    r.counts = s.counts;
    r.values = doc->values = mem_new(s.values, sizeof *doc->values);
    r.text = doc->text = mem_new(len + 1, 1); /* where a string had two quotes, and a number what ends it, there is a 0 */
    read_value(&r, &doc->root);
    skip_space(&r);
    if (r.at < r.end) refuse(&r, r.at, NULL, "nothing after the value");
    mem_free(s.counts);
    return doc;
}

JsonDoc *json_read(const char *path) {
    enum { MOST = 16 << 20 };
    OsMap file = os_map(path);
    if (file.size > MOST) bad_input("%s: %zu bytes, expected at most %d (16 MB) of settings: is it another file's name?", path, file.size, MOST);
    JsonDoc *doc = json_parse((const char *)file.data, file.size, path, 1);
    os_unmap(&file);
    return doc;
}

JsonLines json_lines(const char *path) { return (JsonLines){.path = str_copy(path), .text = os_read(path)}; }

const Json *json_next(JsonLines *l) {
    const char *from = l->text.data + l->at, *end = l->at < l->text.len ? memchr(from, '\n', l->text.len - l->at) : NULL;
    json_free(l->doc), l->doc = NULL;
    if (!end) {
        mem_free(l->path), buf_free(&l->text);
        return NULL;
    }
    l->doc = json_parse(from, (size_t)(end - from), l->path, ++l->line);
    l->at += (size_t)(end - from) + 1;
    return json_root(l->doc);
}

/* ---- asking ---- */

const char *json_kind_name(JsonKind kind) {
    static const char *const names[] = {"null", "true or false", "a number", "a string", "an array", "an object"};
    return names[kind];
}

bool json_is(const Json *string, const char *text) {
    size_t n = strlen(text);
    return string && string->kind == JSON_STRING && string->length == n && !memcmp(string->string, text, n);
}

const Json *json_get(const Json *object, const char *key) {
    if (!object || object->kind != JSON_OBJECT) return NULL;
    for (size_t i = 0; i < object->count; i++)
        if (json_is(&object->keys[i], key)) return &object->items[i];
    return NULL;
}

/* The member, NULL when absent or null; anything but an object is refused. */
static const Json *member(const JsonDoc *doc, const Json *object, const char *key) {
    if (object->kind != JSON_OBJECT)
        bad_input("%s: line %zu: found %s, expected an object with \"%s\"", doc->name, object->line, json_kind_name(object->kind), key);
    const Json *v = json_get(object, key);
    return v && v->kind != JSON_NULL ? v : NULL;
}

static _Noreturn void wrong(const JsonDoc *doc, const Json *v, const char *key, const char *format, ...) {
    char found[80], expected[160];
    va_list args;
    va_start(args, format);
    vsnprintf(expected, sizeof expected, format, args);
    va_end(args);
    if (v->kind == JSON_NUMBER) snprintf(found, sizeof found, "%.60s", v->string);
    else if (v->kind == JSON_STRING) snprintf(found, sizeof found, "the string \"%.40s\"", v->string);
    else if (v->kind == JSON_BOOL) snprintf(found, sizeof found, "%s", v->boolean ? "true" : "false");
    else snprintf(found, sizeof found, "%s", json_kind_name(v->kind));
    bad_input("%s: line %zu: \"%s\": found %s, expected %s", doc->name, v->line, key, found, expected);
}

int64_t json_int(const JsonDoc *doc, const Json *object, const char *key, int64_t least, int64_t most, int64_t fallback) {
    const Json *v = member(doc, object, key);
    if (!v) return fallback;
    if (v->kind != JSON_NUMBER || !v->is_integer || v->integer < least || v->integer > most)
        wrong(doc, v, key, "a whole number from %lld to %lld", (long long)least, (long long)most);
    return v->integer;
}

double json_double(const JsonDoc *doc, const Json *object, const char *key, double fallback) {
    const Json *v = member(doc, object, key);
    if (!v) return fallback;
    if (v->kind != JSON_NUMBER) wrong(doc, v, key, "a number");
    return v->number;
}

bool json_bool(const JsonDoc *doc, const Json *object, const char *key, bool fallback) {
    const Json *v = member(doc, object, key);
    if (!v) return fallback;
    if (v->kind != JSON_BOOL) wrong(doc, v, key, "true or false");
    return v->boolean;
}

const char *json_string(const JsonDoc *doc, const Json *object, const char *key, const char *fallback) {
    const Json *v = member(doc, object, key);
    if (!v) return fallback;
    if (v->kind != JSON_STRING) wrong(doc, v, key, "a string");
    if (strlen(v->string) != v->length) wrong(doc, v, key, "a string without \\u0000");
    return v->string;
}

const Json *json_need(const JsonDoc *doc, const Json *object, const char *key, JsonKind kind) {
    const Json *v = member(doc, object, key);
    if (!v) bad_input("%s: line %zu: found no \"%s\" in this object, expected %s", doc->name, object->line, key, json_kind_name(kind));
    if (v->kind != kind) wrong(doc, v, key, "%s", json_kind_name(kind));
    return v;
}

/* ---- the writer ---- */

void json_quote(Buf *b, const char *s, size_t n) {
    const unsigned char *p = (const unsigned char *)s, *end = p + n;
    buf_char(b, '"');
    while (p < end) {
        const unsigned char *plain = p;
        bool valid = true;
        size_t step = 0;
        while (p < end && *p >= 0x20 && *p != '"' && *p != '\\' && (step = utf8_step(p, (size_t)(end - p), &valid), valid)) p += step;
        buf_put(b, plain, (size_t)(p - plain));
        if (p == end) break;
        static const char controls[] = "\b\t\n\f\r", letters[] = "btnfr";
        const char *control = *p ? strchr(controls, *p) : NULL;
        if (!valid) buf_str(b, "\xEF\xBF\xBD");
        else if (control) buf_char(b, '\\'), buf_char(b, letters[control - controls]);
        else if (*p < 0x20) buf_format(b, "\\u%04x", (unsigned)*p);
        else buf_char(b, '\\'), buf_char(b, (char)*p);
        p += valid ? 1 : step;
    }
    buf_char(b, '"');
}

static void new_line(JsonWriter *w) {
    if (!w->pretty) return;
    buf_char(&w->text, '\n');
    for (int i = 0; i < w->depth; i++) buf_str(&w->text, "  ");
}

/* What stands before a value: the comma, the line, the key. */
static void lead_in_n(JsonWriter *w, const char *key, size_t n) {
    if (w->depth > 0) {
        if (!w->first) buf_char(&w->text, ',');
        new_line(w);
    }
    w->first = false;
    if (!key) return;
    json_quote(&w->text, key, n);
    buf_str(&w->text, w->pretty ? ": " : ":");
}

static void lead_in(JsonWriter *w, const char *key) { lead_in_n(w, key, key ? strlen(key) : 0); }

static void begin_container(JsonWriter *w, char c) {
    buf_char(&w->text, c);
    w->depth++;
    w->first = true;
}

static void end_container(JsonWriter *w, char c) {
    assert(w->depth > 0);
    w->depth--;
    if (!w->first) new_line(w);
    w->first = false;
    buf_char(&w->text, c);
}

void jw_object(JsonWriter *w, const char *key) { lead_in(w, key), begin_container(w, '{'); }
void jw_array(JsonWriter *w, const char *key) { lead_in(w, key), begin_container(w, '['); }
void jw_end_object(JsonWriter *w) { end_container(w, '}'); }
void jw_end_array(JsonWriter *w) { end_container(w, ']'); }

void jw_string_n(JsonWriter *w, const char *key, const char *value, size_t n) {
    lead_in(w, key);
    json_quote(&w->text, value, n);
}

void jw_string(JsonWriter *w, const char *key, const char *value) { jw_string_n(w, key, value, strlen(value)); }

void jw_int(JsonWriter *w, const char *key, int64_t value) {
    lead_in(w, key);
    buf_format(&w->text, "%lld", (long long)value);
}

void jw_uint(JsonWriter *w, const char *key, uint64_t value) {
    lead_in(w, key);
    buf_format(&w->text, "%llu", (unsigned long long)value);
}

void jw_float(JsonWriter *w, const char *key, float value) {
    char text[DECIMAL_MAX];
    decimal_print_float(text, value);
    lead_in(w, key);
    buf_str(&w->text, value - value == 0 ? text : "null"); /* x - x is NaN for NaN and the infinities */
}

void jw_double(JsonWriter *w, const char *key, double value) {
    char text[DECIMAL_MAX];
    decimal_print(text, value);
    lead_in(w, key);
    buf_str(&w->text, value - value == 0 ? text : "null");
}

void jw_bool(JsonWriter *w, const char *key, bool value) {
    lead_in(w, key);
    buf_str(&w->text, value ? "true" : "false");
}

void jw_null(JsonWriter *w, const char *key) {
    lead_in(w, key);
    buf_str(&w->text, "null");
}

static void copy_value(JsonWriter *w, const Json *v) {
    if (v->kind == JSON_STRING) json_quote(&w->text, v->string, v->length);
    else if (v->kind == JSON_NUMBER) buf_str(&w->text, v->string);
    else if (v->kind == JSON_BOOL) buf_str(&w->text, v->boolean ? "true" : "false");
    else if (v->kind == JSON_NULL) buf_str(&w->text, "null");
    else {
        begin_container(w, v->kind == JSON_OBJECT ? '{' : '[');
        for (size_t i = 0; i < v->count; i++) {
            if (v->kind == JSON_OBJECT) lead_in_n(w, v->keys[i].string, v->keys[i].length);
            else lead_in(w, NULL);
            copy_value(w, &v->items[i]);
        }
        end_container(w, v->kind == JSON_OBJECT ? '}' : ']');
    }
}

void jw_copy(JsonWriter *w, const char *key, const Json *value) {
    lead_in(w, key);
    copy_value(w, value);
}
