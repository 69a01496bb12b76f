#include "test.h"

#include "../json.h"
#include "../os.h"
#include "scratch.h"

#define PARSE(text) json_parse(text, strlen(text), "a.json", 1)

/* Compact, from the tree: what was understood. */
static char *again(const JsonDoc *doc) {
    JsonWriter w = {0};
    jw_copy(&w, NULL, json_root(doc));
    return w.text.data;
}

static void test_accepted(void) {
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"null", "null"},
        {" true ", "true"},
        {"\t\r\nfalse\n", "false"},
        {"0", "0"},
        {"-0", "-0"},
        {"1.50e+03", "1.50e+03"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"\"\"", "\"\""},
        {"\"a\\/b\"", "\"a/b\""},
        {"\"\\\"\\\\\\b\\f\\n\\r\\t\"", "\"\\\"\\\\\\b\\f\\n\\r\\t\""},
        {"\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\"", "\"A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""},
        {"\"\\u0000\\u001f\x7F\"", "\"\\u0000\\u001f\x7F\""},
        {"\"\\uFFFF\\uDBFF\\uDFFF\"", "\"\xEF\xBF\xBF\xF4\x8F\xBF\xBF\""},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\ud7ff\\ue000\\ud800\\udc00\"",
         "\"\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\""},
        {"[]", "[]"},
        {"{}", "{}"},
        {"[ ]", "[]"},
        {"{ \n}", "{}"},
        {"[1 , [2,[]] ,{ \"a\" : {} }]", "[1,[2,[]],{\"a\":{}}]"},
        {"{\"b\":1,\"a\":2,\"\":3,\"\\u0000\":4,\"\\u0000b\":5}", "{\"b\":1,\"a\":2,\"\":3,\"\\u0000\":4,\"\\u0000b\":5}"},
        {"[1,\"x\",null,true,-2.5e-3]", "[1,\"x\",null,true,-2.5e-3]"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        JsonDoc *doc = PARSE(cases[i].in);
        char *text = again(doc);
        CHECK(!strcmp(text, cases[i].out), "%s gave %s", cases[i].in, text);
        mem_free(text), json_free(doc);
    }
}

static void check_refused(const char *text, const char *words) { CHECK_FAILS(EXIT_BAD_INPUT, words, PARSE(text)); }

/* Each with the place and the words of its message. */
static void test_refused(void) {
    static const struct {
        const char *in, *words;
    } cases[] = {
        {"", "a.json: line 1, column 1: found the end of the text, expected a value"},
        {" \n ", "line 2, column 2: found the end of the text, expected a value"},
        {"nul", "column 1: found nul, expected a value"},
        {"nulll", "column 1: found nulll"},
        {"True", "found True"},
        {"None", "found None"},
        {"[NaN]", "column 2: found NaN"},
        {"[Infinity]", "found Infinity"},
        {"[-Infinity]", "column 3: found Infinity, expected a digit"},
        {"[+1]", "column 2: found '+'"},
        {"[01]", "column 2: found a number that begins with 0"},
        {"[-01]", "column 3: found a number that begins with 0"},
        {"[-]", "column 3: found ']', expected a digit"},
        {"[.5]", "found '.'"},
        {"[5.]", "column 4: found ']', expected a digit after the decimal point"},
        {"[5.e1]", "expected a digit after the decimal point"},
        {"[1e]", "expected a digit in the exponent"},
        {"[1e+]", "expected a digit in the exponent"},
        {"[1e999]", "column 2: found a number too large for a double"},
        {"0x10", "column 2: found 'x', expected nothing after the value"},
        {"1 2", "column 3: found '2', expected nothing after the value"},
        {"{}\n}", "line 2, column 1: found '}', expected nothing after the value"},
        {"[1,]", "column 4: found ']', expected a value (no comma after the last one)"},
        {"[,1]", "column 2: found ','"},
        {"[1 2]", "column 4: found '2', expected ',' or ']'"},
        {"[1}", "column 3: found '}', expected ',' or ']'"},
        {"[1", "column 3: found the end of the text, expected ',' or ']'"},
        {"[", "column 2: found the end of the text"},
        {"{", "found the end of the text, expected a key in double quotes or '}'"},
        {"{\"a\":1,}", "column 8: found '}', expected a key in double quotes (no comma after the last member)"},
        {"{\"a\":1 \"b\":2}", "column 8: found '\"', expected ',' or '}'"},
        {"{\"a\" 1}", "column 6: found '1', expected ':' after the key"},
        {"{\"a\":}", "column 6: found '}', expected a value"},
        {"{a:1}", "column 2: found 'a', expected a key in double quotes"},
        {"{'a':1}", "column 2: found ''', expected a key in double quotes"},
        {"{1:1}", "column 2: found '1', expected a key in double quotes"},
        {"{\"a\":1,\n \"b\":2,\n \"a\":3}", "line 3: found the key \"a\" a second time"},
        {"{\"a\":1,\"\\u0061\":3}", "found the key \"a\" a second time"},
        {"\"abc", "column 5: found the end of the text, expected the closing quote"},
        {"\"abc\\", "column 6: found the end of the text, expected one of"},
        {"\"abc\\\"", "found the end of the text, expected the closing quote"},
        {"\"a\nb\"", "line 1, column 3: found the end of the line, expected the closing quote"},
        {"\"a\x01\"", "column 3: found byte 0x01, expected no control character"},
        {"\"\\x41\"", "found 'x', expected one of"},
        {"\"\\'\"", "found ''', expected one of"},
        {"\"\\u12\"", "column 6: found '\"', expected four hexadecimal digits"},
        {"\"\\u12g4\"", "column 6: found 'g', expected four hexadecimal digits"},
        {"\"\\u+123\"", "found '+', expected four hexadecimal digits"},
        {"\"\\ud800\"", "found a high surrogate alone"},
        {"\"\\ud800x\"", "found a high surrogate alone"},
        {"\"\\ud800\\n\"", "found a high surrogate alone"},
        {"\"\\ud800\\ud800\"", "found a high surrogate alone"},
        {"\"\\ud800\\ue000\"", "found a high surrogate alone"},
        {"\"\\ud800\\u\"", "expected four hexadecimal digits"},
        {"\"\\udc00\"", "found a low surrogate without the high one"},
        {"\"\xFF\"", "column 2: found byte 0xFF, expected UTF-8"},
        {"\"\x80\"", "found byte 0x80, expected UTF-8"},
        {"\"\xC0\xAF\"", "found byte 0xC0, expected UTF-8"},
        {"\"\xC1\xBF\"", "expected UTF-8"},
        {"\"\xE0\x80\x80\"", "expected UTF-8"},
        {"\"\xE2\x82\"", "expected UTF-8"},
        {"\"\xED\xA0\x80\"", "expected UTF-8"},
        {"\"\xF0\x8F\xBF\xBF\"", "expected UTF-8"},
        {"\"\xF4\x90\x80\x80\"", "expected UTF-8"},
        {"\"\xF5\x80\x80\x80\"", "expected UTF-8"},
        {"\xEF\xBB\xBF{}", "found a byte order mark"},
        {"[1] // note", "found '/', expected nothing after the value"},
        {"\"\xC3\xA9\xE2\x82\xAC\" x", "column 6: found 'x'"}, /* columns count characters */
        {"[1,\n2,\n  x]", "line 3, column 3: found 'x'"},
        {"\xC2\xA0 1", "column 1: found byte 0xC2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_refused(cases[i].in, cases[i].words);
    CHECK_FAILS(EXIT_BAD_INPUT, "column 2: found byte 0x00", json_parse("1\0", 2, "a.json", 1));
    CHECK_FAILS(EXIT_BAD_INPUT, "rows.jsonl: line 78, column 2", json_parse("{x", 2, "rows.jsonl", 78));
    JsonDoc *doc = json_parse("[1]xxx", 3, "a.json", 1);
    CHECK(json_root(doc)->count == 1, "only len bytes are read");
    json_free(doc);
}

static void test_depth(void) {
    char text[200];
    for (int object = 0; object < 2; object++)
        for (int depth = 1; depth < 67; depth++) {
            Buf b = {0};
            for (int i = 0; i < depth; i++) buf_str(&b, object ? "{\"a\":" : "[");
            buf_char(&b, '1');
            for (int i = 0; i < depth; i++) buf_char(&b, object ? '}' : ']');
            if (depth > 64) check_refused(b.data, "65 levels deep");
            else {
                JsonDoc *doc = json_parse(b.data, b.len, "a.json", 1);
                char *same = again(doc);
                CHECK(!strcmp(same, b.data), "depth %d", depth);
                mem_free(same), json_free(doc);
            }
            buf_free(&b);
        }
    memset(text, '[', sizeof text);
    CHECK_FAILS(EXIT_BAD_INPUT, "line 1, column 65: found a container 65 levels deep, expected at most 64",
                json_parse(text, 200, "a.json", 1));
}

static void test_values(void) {
    JsonDoc *doc = PARSE("{\"s\":\"a\\u0000b\",\n\"i\":-9223372036854775808,\"j\":9223372036854775807,\"k\":9223372036854775808,\n"
                         "\"l\":-9223372036854775809,\"d\":2.5,\"e\":1e2,\"z\":-0,\"t\":true,\"n\":null,\n\n\"a\":[1,\n[]]}");
    const Json *root = json_root(doc), *s = json_get(root, "s"), *a = json_get(root, "a");
    CHECK(!strcmp(json_name(doc), "a.json") && root->kind == JSON_OBJECT && root->count == 11 && root->line == 1, "root");
    CHECK(s->kind == JSON_STRING && s->length == 3 && !memcmp(s->string, "a\0b", 4), "a string with a NUL inside");
    CHECK(json_is(&root->keys[0], "s") && !json_is(s, "a") && !json_is(a, "a") && !json_is(NULL, "a"), "json_is");
    const Json *i = json_get(root, "i"), *j = json_get(root, "j"), *k = json_get(root, "k");
    const Json *l = json_get(root, "l"), *d = json_get(root, "d");
    CHECK(i->is_integer && i->integer == INT64_MIN && i->line == 2, "least");
    CHECK(j->is_integer && j->integer == INT64_MAX, "most");
    CHECK(!k->is_integer && k->number > 9.2e18 && !l->is_integer && l->number < -9.2e18, "beyond 64 bits only a double");
    CHECK(!d->is_integer && d->number > 2.4 && d->number < 2.6 && !json_get(root, "e")->is_integer, "fractions");
    CHECK(json_get(root, "z")->is_integer && json_get(root, "z")->integer == 0, "-0");
    CHECK(json_get(root, "t")->boolean && json_get(root, "n")->kind == JSON_NULL && !json_get(root, "x") && !json_get(a, "x"), "others");
    CHECK(a->line == 5 && a->items[0].line == 5 && a->items[1].line == 6, "lines");

    CHECK(json_int(doc, root, "z", -1, 1, 9) == 0 && json_int(doc, root, "x", 1, 2, 9) == 9, "int");
    CHECK(json_int(doc, root, "n", 1, 2, 9) == 9, "null is absent");
    CHECK(json_double(doc, root, "d", 0) > 2 && json_double(doc, root, "j", 0) > 9e18 && json_double(doc, root, "x", 7) > 6, "double");
    CHECK(json_bool(doc, root, "t", false) && json_bool(doc, root, "x", true) && !json_bool(doc, root, "n", false), "bool");
    CHECK(json_string(doc, root, "x", NULL) == NULL && json_need(doc, root, "a", JSON_ARRAY) == a, "string, need");
    CHECK_FAILS(EXIT_BAD_INPUT, "a.json: line 3: \"d\": found 2.5, expected a whole number from 1 to 5", json_int(doc, root, "d", 1, 5, 0));
    CHECK_FAILS(EXIT_BAD_INPUT, "\"z\": found -0, expected a whole number from 1", json_int(doc, root, "z", 1, 5, 0));
    CHECK_FAILS(EXIT_BAD_INPUT, "\"j\": found 9223372036854775807", json_int(doc, root, "j", 1, 5, 0));
    CHECK_FAILS(EXIT_BAD_INPUT, "\"k\": found 9223372036854775808", json_int(doc, root, "k", INT64_MIN, INT64_MAX, 0));
    CHECK_FAILS(EXIT_BAD_INPUT, "\"s\": found the string \"a\", expected a number", json_double(doc, root, "s", 0));
    CHECK_FAILS(EXIT_BAD_INPUT, "line 5: \"a\": found an array, expected true or false", json_bool(doc, root, "a", false));
    CHECK_FAILS(EXIT_BAD_INPUT, "\"t\": found true, expected a string", json_string(doc, root, "t", ""));
    CHECK_FAILS(EXIT_BAD_INPUT, "expected a string without", json_string(doc, root, "s", ""));
    CHECK_FAILS(EXIT_BAD_INPUT, "line 1: found no \"x\" in this object, expected an object", json_need(doc, root, "x", JSON_OBJECT));
    CHECK_FAILS(EXIT_BAD_INPUT, "found no \"n\"", json_need(doc, root, "n", JSON_STRING));
    CHECK_FAILS(EXIT_BAD_INPUT, "\"t\": found true, expected an object", json_need(doc, root, "t", JSON_OBJECT));
    CHECK_FAILS(EXIT_BAD_INPUT, "line 5: found an array, expected an object with \"q\"", json_int(doc, a, "q", 0, 1, 0));
    json_free(doc);
    json_free(NULL);
}

/* ---- the writer ---- */

static void write_sample(JsonWriter *w) {
    volatile double huge = 1e300;
    jw_object(w, NULL);
    jw_string(w, "name", "a \"b\"\n");
    jw_int(w, "least", INT64_MIN);
    jw_uint(w, "most", UINT64_MAX);
    jw_float(w, "lr", 3e-4f);
    jw_double(w, "loss", 0.1 + 0.2);
    jw_array(w, "list");
    jw_int(w, NULL, 1);
    jw_object(w, NULL);
    jw_end_object(w);
    jw_array(w, NULL);
    jw_bool(w, NULL, false);
    jw_end_array(w);
    jw_end_array(w);
    jw_null(w, "none");
    jw_array(w, "empty");
    jw_end_array(w);
    jw_double(w, "nan", huge * huge);
    jw_string_n(w, "n", "a\0b", 3);
    jw_end_object(w);
}

static void test_writer(void) {
    JsonWriter compact = {0}, pretty = {.pretty = true};
    write_sample(&compact), write_sample(&pretty);
    static const char want_compact[] =
        "{\"name\":\"a \\\"b\\\"\\n\",\"least\":-9223372036854775808,\"most\":18446744073709551615,\"lr\":0.0003,"
        "\"loss\":0.30000000000000004,\"list\":[1,{},[false]],\"none\":null,\"empty\":[],\"nan\":null,\"n\":\"a\\u0000b\"}";
    static const char want_pretty[] =
        "{\n  \"name\": \"a \\\"b\\\"\\n\",\n  \"least\": -9223372036854775808,\n  \"most\": 18446744073709551615,\n  \"lr\": 0.0003,\n"
        "  \"loss\": 0.30000000000000004,\n  \"list\": [\n    1,\n    {},\n    [\n      false\n    ]\n  ],\n"
        "  \"none\": null,\n  \"empty\": [],\n"
        "  \"nan\": null,\n  \"n\": \"a\\u0000b\"\n}";
    CHECK(!strcmp(compact.text.data, want_compact), "%s", compact.text.data);
    CHECK(!strcmp(pretty.text.data, want_pretty), "%s", pretty.text.data);
    JsonDoc *doc = PARSE(pretty.text.data);
    char *text = again(doc);
    CHECK(!strcmp(text, want_compact), "%s", text);
    mem_free(text), json_free(doc), buf_free(&compact.text), buf_free(&pretty.text);
}

static void test_quote(void) {
    static const struct {
        const char *in, *out;
        size_t n;
    } cases[] = {{"", "\"\"", 0},
                 {"plain / text", "\"plain / text\"", 12},
                 {"\"\\/\b\f\n\r\t", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"", 8},
                 {"\0\x01\x1F\x20\x7F", "\"\\u0000\\u0001\\u001f \x7F\"", 5},
                 {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xE2\x80\xA8", "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xE2\x80\xA8\"", 12},
                 {"a\xFF" "b", "\"a\xEF\xBF\xBD" "b\"", 3},
                 {"\xE2\x82", "\"\xEF\xBF\xBD\"", 2},                                         /* one for a character cut short */
                 {"\xF0\x9F\x98", "\"\xEF\xBF\xBD\"", 3},
                 {"\xF0\x9F\"", "\"\xEF\xBF\xBD\\\"\"", 3},
                 {"\xE2\x82\xE2\x82\xAC", "\"\xEF\xBF\xBD\xE2\x82\xAC\"", 5},
                 {"\xC0\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\"", 2},
                 {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"", 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buf b = {0};
        json_quote(&b, cases[i].in, cases[i].n);
        CHECK(!strcmp(b.data, cases[i].out), "case %zu gave %s", i, b.data);
        buf_free(&b);
    }
    /* Any bytes at all become a text that our own reader takes. */
    for (uint32_t i = 0; i < 3000; i++) {
        char bytes[24];
        uint32_t n = rng_below(24, 4, RNG_TEST, i, 0);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t r = rng_below(256, 4, RNG_TEST, i * 32 + k, 1);
            bytes[k] = (char)(k % 3 == 0 ? 0xE0 + r % 24 : k % 3 == 1 ? 0x80 + r % 64 : r);
        }
        Buf b = {0};
        json_quote(&b, bytes, n);
        JsonDoc *doc = json_parse(b.data, b.len, "quoted", 1);
        CHECK(json_root(doc)->kind == JSON_STRING, "%s", b.data);
        json_free(doc), buf_free(&b);
    }
}

/* ---- random trees and broken texts ---- */

typedef struct {
    uint32_t seed;
    uint64_t drawn;
} Dice;

static uint32_t roll(Dice *d, uint32_t n) { return rng_below(n, d->seed, RNG_TEST, d->drawn++, 5); }

static void grow(JsonWriter *w, Dice *d, const char *key, int depth) {
    char name[16];
    uint32_t kind = roll(d, depth > 5 ? 6 : 8), n = roll(d, 12);
    if (kind == 0) jw_null(w, key);
    else if (kind == 1) jw_bool(w, key, roll(d, 2));
    else if (kind == 2) jw_int(w, key, (int64_t)((uint64_t)roll(d, ~0u) << 32 | roll(d, ~0u)));
    else if (kind == 3) jw_double(w, key, (double)roll(d, 1000) / 8 - 60);
    else if (kind <= 5) {
        char text[12];
        for (uint32_t i = 0; i < n; i++) text[i] = "ab\"\\\n\x01\xC3\xA9/ "[roll(d, 10)];
        jw_string_n(w, key, text, n);
    } else {
        kind == 6 ? jw_array(w, key) : jw_object(w, key);
        for (uint32_t i = 0; i < n; i++) {
            snprintf(name, sizeof name, "%c%u", "ab\"\n"[roll(d, 4)], i);
            grow(w, d, kind == 6 ? NULL : name, depth + 1);
        }
        kind == 6 ? jw_end_array(w) : jw_end_object(w);
    }
}

/* Both ways to a fixed point: what was written is read, written again, and equal; compact or pretty. */
static void test_random_trees(void) {
    for (uint32_t seed = 0; seed < 300; seed++) {
        JsonWriter w = {.pretty = seed % 2}, other = {.pretty = !w.pretty}, back = {.pretty = w.pretty};
        Dice d = {.seed = seed};
        grow(&w, &d, NULL, 0);
        JsonDoc *one = json_parse(w.text.data, w.text.len, "tree", 1);
        jw_copy(&other, NULL, json_root(one));
        JsonDoc *two = json_parse(other.text.data, other.text.len, "tree", 1);
        jw_copy(&back, NULL, json_root(two));
        CHECK(!strcmp(w.text.data, back.text.data), "seed %u: %s became %s", seed, w.text.data, back.text.data);
        json_free(one), json_free(two), buf_free(&w.text), buf_free(&other.text), buf_free(&back.text);
    }
}

/* Taken, or refused with exit 2 and a place; nothing else, and nothing left in memory. */
static bool survives(const char *text, size_t n, const char *what) {
    size_t before = mem_in_use();
    Catch c;
    volatile bool taken = false;
    /* a block of exactly n bytes, so that AddressSanitizer sees the first byte beyond */
    char *exact = malloc(n ? n : 1);
    memcpy(exact, text, n);
    if (!setjmp(catch_begin(&c)->jump)) {
        JsonDoc *doc = json_parse(exact, n, "broken", 1);
        JsonWriter w = {0};
        jw_copy(&w, NULL, json_root(doc));
        json_free(json_parse(w.text.data, w.text.len, "again", 1));
        buf_free(&w.text), json_free(doc);
        catch_end(&c);
        taken = true;
    } else {
        bool told = str_starts(c.text, "broken: line ") && strstr(c.text, ", expected ");
        CHECK(c.code == EXIT_BAD_INPUT && told, "%s: %d %s", what, c.code, c.text);
    }
    CHECK(mem_in_use() == before, "%s: memory left", what);
    free(exact);
    return taken;
}

static void test_broken_texts(void) {
    static const char *const samples[] = {
        "{\"architectures\":[\"LlamaForCausalLM\"],\"rope_theta\":10000.0,\"rms_norm_eps\":1e-05,\"x\":null,\"nest\":{\"a\":[1,2,{}]}}",
        "[\"\\ud83d\\ude00 \xF0\x9F\x98\x80 \\u0000\\n\\\\\", -0.0, 1E+2, [], [[[]]], {\"\":\"\"}, \"\xC3\xA9\"]",
        "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10}"};
    static const char odd[] = "{}[]\",:\\0123456789.eE+-tfnu \n\x00\x1F\x7F\x80\xC2\xE2\xED\xF0\xFF";
    uint32_t taken = 0, tried = 0;
    for (size_t s = 0; s < sizeof samples / sizeof *samples; s++) {
        size_t n = strlen(samples[s]);
        CHECK(survives(samples[s], n, "whole"), "sample %zu is good", s);
        for (size_t cut = 0; cut < n; cut++) CHECK(!survives(samples[s], cut, "cut"), "sample %zu cut to %zu bytes was taken", s, cut);
        Dice d = {.seed = (uint32_t)s};
        for (int round = 0; round < 4000; round++) {
            char text[300];
            size_t len = n;
            memcpy(text, samples[s], n);
            for (uint32_t edits = 1 + roll(&d, 3); edits > 0; edits--) {
                size_t at = roll(&d, (uint32_t)len), from = roll(&d, (uint32_t)len);
                uint32_t what = roll(&d, 4);
                char byte = roll(&d, 4) ? odd[roll(&d, sizeof odd - 1)] : (char)roll(&d, 256);
                if (what == 0) text[at] = byte;
                else if (what == 1) memmove(text + at, text + at + 1, len - at - 1), len--;
                else if (what == 2) memmove(text + at + 1, text + at, len - at), text[at] = byte, len++;
                else {
                    size_t run = len - (at > from ? at : from);
                    memmove(text + at, text + from, run < 12 ? run : 12);
                }
            }
            taken += survives(text, len, "changed"), tried++;
        }
    }
    CHECK(taken > tried / 50 && taken < tried / 2, "%u of %u changed texts were taken", taken, tried);
}

/* ---- size ---- */

static void test_large(void) {
    Buf b = {0};
    buf_str(&b, "{\"model\":{\"vocab\":{");
    for (int i = 0; i < 150000; i++) buf_format(&b, "%s\"tok%x\\u0120%d\": %d", i ? ",\n" : "", (unsigned)i * 2654435761u, i, i);
    buf_str(&b, "},\"merges\":[");
    for (int i = 0; i < 150000; i++) buf_format(&b, "%s\"a%d b%d\"", i ? ",\n" : "", i, i % 7);
    buf_str(&b, "]}}");
    double start = os_seconds();
    JsonDoc *doc = json_parse(b.data, b.len, "large", 1);
    double seconds = os_seconds() - start;
    const Json *vocab = json_get(json_get(json_root(doc), "model"), "vocab");
    CHECK(vocab->count == 150000 && json_get(json_get(json_root(doc), "model"), "merges")->count == 150000, "counts");
    bool same = true;
    for (size_t i = 0; i < 150000; i++) same &= vocab->items[i].integer == (int64_t)i && vocab->items[i].line == i + 1;
    CHECK(same, "values and lines");
    printf("%.1f MB, 300000 members: %.3f s\n", (double)b.len / 1e6, seconds);
    CHECK(seconds < 5, "%g s: this looks quadratic", seconds);
    json_free(doc);
    /* One key of 150000 twice, the two far apart. */
    char *first = strstr(b.data, "\":"), *last = strstr(b.data, "},\"merges");
    CHECK(first && last, "places");
    Buf twice = {0};
    buf_put(&twice, b.data, (size_t)(last - b.data));
    buf_str(&twice, ",\n\"tok9e3779b1\\u01201\":0}}}");
    CHECK_FAILS(EXIT_BAD_INPUT, "line 150001: found the key \"tok9e3779b1\xC4\xA0" "1\" a second time",
                json_parse(twice.data, twice.len, "large", 1));
    buf_free(&b), buf_free(&twice);
}

/* What a hostile text costs before it is refused, or taken: the densest of each kind of value. */
static void test_memory(void) {
    static const char *const dense[] = {"0,", "[],", "{},", "\"\",", "[[]],", "[0,0],", "{\"\":0},", "-0,", "1.5,"};
    enum { BYTES = 1 << 20 };
    for (volatile size_t i = 0; i < sizeof dense / sizeof *dense; i++) { /* volatile: kept across longjmp */
        Buf b = {0};
        buf_str(&b, "[");
        while (b.len < BYTES) buf_str(&b, dense[i]);
        size_t before = mem_in_use();
        CHECK_FAILS(EXIT_BAD_INPUT, "found '!', expected a value", (buf_char(&b, '!'), json_parse(b.data, b.len, "dense", 1)));
        b.data[b.len - 2] = ' ', b.data[b.len - 1] = ']';
        json_free(json_parse(b.data, b.len, "dense", 1));
        CHECK(mem_peak() <= before + 33 * b.len + 4096, "%s: %.1f times its size", dense[i], (double)(mem_peak() - before) / (double)b.len);
        buf_free(&b);
    }
    Buf keys = {0};
    buf_str(&keys, "{");
    for (unsigned i = 0; keys.len < BYTES; i++) buf_format(&keys, "%s\"%x\":0", i ? "," : "", i);
    buf_str(&keys, "}");
    size_t before = mem_in_use();
    json_free(json_parse(keys.data, keys.len, "keys", 1));
    CHECK(mem_peak() <= before + 33 * keys.len, "keys: %.1f times their size", (double)(mem_peak() - before) / (double)keys.len);
    buf_free(&keys);
}

static void test_files(void) {
    CHECK_FAILS(EXIT_BAD_INPUT, "no/such/file.json: no such file", json_read("no/such/file.json"));
    CHECK_FAILS(EXIT_BAD_INPUT, "this is a folder", json_read("."));
    size_t large = ((size_t)16 << 20) + 1;
    char *spaces = memset(mem_new(large, 1), ' ', large);
    spaces[0] = '[', spaces[1] = ']';
    json_free(json_read(scratch_file("large.json", spaces, large - 1)));
    CHECK_FAILS(EXIT_BAD_INPUT, "large.json: 16777217 bytes, expected at most 16777216", json_read(scratch_file("large.json", spaces, large)));
    mem_free(spaces);
    static const char *const files[] = {"tokenizers/gpt2/tokenizer.json", "tokenizers/qwen2.5/tokenizer.json",
                                        "stories260K/hf/config.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = os_join("../shared/material", files[i]);
        if (!os_exists(path)) SKIP("%s is not here", path);
        else {
            /* Its own layout is ours, but for how some write non-ASCII: parse, write, parse, write. */
            JsonDoc *doc = json_read(path);
            JsonWriter w = {.pretty = true};
            jw_copy(&w, NULL, json_root(doc));
            JsonDoc *back = json_parse(w.text.data, w.text.len, path, 1);
            char *a = again(doc), *c = again(back);
            CHECK(!strcmp(a, c), "%s", path);
            mem_free(a), mem_free(c), json_free(doc), json_free(back), buf_free(&w.text);
        }
        mem_free(path);
    }
}

/* Whole lines alone; an error names the line. */
static size_t count_lines(const char *text, double *sum) {
    JsonLines l = json_lines(scratch_text("lines.jsonl", text));
    size_t n = 0;
    for (const Json *value; (value = json_next(&l)); n++) *sum += json_double(l.doc, value, "a", 0);
    return n;
}

static void test_lines(void) {
    static const struct {
        const char *text;
        size_t lines;
        double sum;
    } cases[] = {{"", 0, 0}, {"{\"a\":1}\n", 1, 1}, {"{\"a\":1}\n{\"a\":2}\n", 2, 3}, {"{\"a\":1}\n{\"a\":2}", 1, 1}, {"{\"a\":1}\n{\"a", 1, 1}, {"{\"a", 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double sum = 0;
        size_t before = mem_in_use(), n = count_lines(cases[i].text, &sum);
        CHECK(n == cases[i].lines && sum - cases[i].sum == 0, "\"%s\": %zu lines, sum %g", cases[i].text, n, sum);
        CHECK(mem_in_use() == before, "\"%s\": all is freed", cases[i].text);
    }
    double sum = 0;
    CHECK_FAILS(EXIT_BAD_INPUT, "lines.jsonl: line 2", count_lines("{\"a\":1}\n{\"a\":}\n", &sum));
}

TESTS({"lines", test_lines}, {"accepted", test_accepted}, {"refused", test_refused}, {"depth", test_depth}, {"values", test_values}, {"writer", test_writer},
      {"quote", test_quote}, {"random trees", test_random_trees}, {"broken texts", test_broken_texts}, {"memory", test_memory},
      {"large", test_large}, {"files", test_files})
