/* json: a strict reader (RFC 8259) into a tree, and a writer.
 *
 * The reader refuses what the standard refuses, and also duplicate keys, nesting beyond 64, invalid UTF-8,
 * unpaired surrogates and anything after the value: bad_input with file, line, column, what was found.
 * A text of n bytes takes at most 33 n bytes of memory while it is read, whatever stands in it.
 */
#ifndef JSON_H
#define JSON_H

#include "base.h"

typedef enum { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } JsonKind;

typedef struct Json {
    JsonKind kind;
    bool boolean;             /* JSON_BOOL */
    bool is_integer;          /* JSON_NUMBER: written without fraction or exponent and within int64 */
    const char *string;       /* JSON_STRING, decoded; may hold NUL bytes, closed by one more. JSON_NUMBER: as written */
    size_t length;            /* bytes of the string */
    size_t count;             /* members of an array or object */
    union {
        double number;        /* JSON_NUMBER */
        struct Json *items;   /* a container's values, in file order */
    };
    union {
        int64_t integer;      /* JSON_NUMBER, when is_integer */
        struct Json *keys;    /* JSON_OBJECT: keys[i] is the JSON_STRING of items[i] */
    };
    size_t line;              /* where it starts, from 1 */
} Json;

typedef struct JsonDoc JsonDoc;
/* `name` stands in the messages. first_line: the number of the text's first line (1; a row of a JSONL: its own). */
JsonDoc *json_parse(const char *text, size_t len, const char *name, size_t first_line);
/* A file of settings: of more than 16 MB bad_input. */
JsonDoc *json_read(const char *path);
/* The whole lines of a file, one value each; a last line without its end was being written when the writer stopped, and is left out.
 *     JsonLines l = json_lines(path);  for (const Json *value; (value = json_next(&l));) …      l.doc is that line's; the end frees all */
typedef struct {
    char *path;
    Buf text;
    size_t at, line;
    JsonDoc *doc;
} JsonLines;
JsonLines json_lines(const char *path);
const Json *json_next(JsonLines *l);
const Json *json_root(const JsonDoc *doc);
const char *json_name(const JsonDoc *doc);
void json_free(JsonDoc *doc);

const char *json_kind_name(JsonKind kind);    /* "an object", "a string", … for messages */
/* The member, or NULL when absent. */
const Json *json_get(const Json *object, const char *key);
bool json_is(const Json *string, const char *text);

/* Members that must have a type; absent (or null): the fallback. Messages name doc, line, key, what was found. */
int64_t json_int(const JsonDoc *doc, const Json *object, const char *key, int64_t least, int64_t most, int64_t fallback);
double json_double(const JsonDoc *doc, const Json *object, const char *key, double fallback);
bool json_bool(const JsonDoc *doc, const Json *object, const char *key, bool fallback);
const char *json_string(const JsonDoc *doc, const Json *object, const char *key, const char *fallback);
/* Must be there: bad_input when absent. */
const Json *json_need(const JsonDoc *doc, const Json *object, const char *key, JsonKind kind);

/* ---- writer ---- */
/* Keys are written in the order of the calls. key NULL inside arrays and at the root. */
typedef struct {
    Buf text;
    bool pretty;              /* two spaces a level, one member a line; else no spaces at all. No closing line break */
    int depth;
    bool first;
} JsonWriter;
void jw_object(JsonWriter *w, const char *key);
void jw_array(JsonWriter *w, const char *key);
void jw_end_object(JsonWriter *w);
void jw_end_array(JsonWriter *w);
void jw_string(JsonWriter *w, const char *key, const char *value);
void jw_string_n(JsonWriter *w, const char *key, const char *value, size_t n);
void jw_int(JsonWriter *w, const char *key, int64_t value);
void jw_uint(JsonWriter *w, const char *key, uint64_t value);
void jw_float(JsonWriter *w, const char *key, float value);      /* shortest that reads back as the float */
void jw_double(JsonWriter *w, const char *key, double value);    /* NaN and infinity, which JSON lacks: null */
void jw_bool(JsonWriter *w, const char *key, bool value);
void jw_null(JsonWriter *w, const char *key);
/* Writes the value of a read tree as it is. */
void jw_copy(JsonWriter *w, const char *key, const Json *value);
/* Quotes and escapes: what must be (" \ and below 0x20); everything else as it is, UTF-8. Invalid UTF-8 becomes U+FFFD. */
void json_quote(Buf *b, const char *s, size_t n);

#endif
