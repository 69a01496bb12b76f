/* Regular expressions against what Python's re finds. */
#include "../regex.h"
#include "test.h"

typedef struct {
    const char *pattern, *text;
    bool found, full;
} Case;

static void test_cases(void) {
    static const Case cases[] = {
        {"", "", true, true}, {"", "abc", true, false}, {"b", "abc", true, false}, {"^b", "abc", false, false}, {"b$", "ab", true, false},
        {"^abc$", "abc", true, true}, {"a$b", "ab", false, false}, {"x|^", "abc", true, false}, {"a.c", "a\nc", false, false}, {"a[^x]c", "a\nc", true, true},
        {"a.c", "a\xC3\xA9" "c", true, true}, {"^.{2}$", "\xE2\x82\xAC\xC3\xA9", true, true}, {"[\xC3\xA0-\xC3\xBF]", "\xC3\xA9", true, true},
        {"[\xC3\xA0-\xC3\xBF]", "e", false, false}, {"a{2}", "a", false, false}, {"a{2}", "aa", true, true}, {"a{2}", "aaa", true, false},
        {"a{2,}", "aaaa", true, true}, {"a{2,}", "a", false, false}, {"a{2,3}", "aaaa", true, false}, {"^a{2,3}$", "aaaa", false, false},
        {"a{0}b", "b", true, true}, {"a{0,2}", "aa", true, true}, {"(ab){2}c", "ababc", true, true}, {"(a{1,2}b){2}", "abaab", true, true},
        {"(a{1,2}b){2}", "abaaab", false, false}, {"\\d+", "x12y", true, false}, {"\\D+", "12", false, false}, {"[\\D]", "1", false, false},
        {"[^\\D]", "1", true, true}, {"\\w+", "\xC3\xA9" "a_1", true, true}, {"\\W", "a b", true, false}, {"\\s", "a\xC2\xA0" "b", true, false},
        {"\\S+", " \n", false, false}, {"[\\s\\S]*", "a\nb", true, true}, {"\\bcat\\b", "a cat.", true, false}, {"\\bcat\\b", "concat", false, false},
        {"\\b", "", false, false}, {"cat\\b", "cats", false, false}, {"a\\.b", "axb", false, false}, {"a\\nb", "a\nb", true, true},
        {"#### -?[0-9,]+$", "so 2\n#### 1,200", true, false}, {"^\\{\"a\": ?\\d+\\}$", "{\"a\": 12}", true, true}, {"(a|b|)*c", "abac", true, true},
        {"(|a)+", "aaa", true, true}, {"(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false, false}, {"a*?b+?", "aabb", true, true},
        {"[]a]+", "]a", true, true}, {"[^]a]", "]", false, false}, {"[a-]+", "-a", true, true}, {"[\\n-\\r]", "\f", true, true},
        {"yes|no", "I say no", true, false}, {"(?:yes|no)\\.?", "no.", true, true}, {"a|b|c|d", "d", true, true}, {"(a|(b|c))d", "cd", true, true},
        {".", "\xFF", true, true}, {"^(\\w+) \\w+$", "two words", true, true}, {"^$", "", true, true}, {"^$", "a", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Case *c = &cases[i];
        Regex *r = regex_new(c->pattern, strlen(c->pattern), "test");
        CHECK(regex_found(r, c->text, strlen(c->text)) == c->found, "%s in %s", c->pattern, c->text);
        CHECK(regex_full(r, c->text, strlen(c->text)) == c->full, "%s is all of %s", c->pattern, c->text);
        regex_free(r);
    }
    Regex *r = regex_new("a\\.*b", 5, "test");
    CHECK(regex_found(r, "a\0b", 3) == false && regex_found(r, "\0ab", 3), "a text may hold a byte 0");
    regex_free(r);
}

static void test_refused(void) {
    static const char *const refused[] = {"(", ")", "a)", "(a", "[a", "[", "*", "+a", "?", "a**", "{2}", "a{", "a{2", "a{2,1}", "a{x}", "a{,2}", "a{2000}", "}",
        "\\", "a\\", "\\1", "\\pL", "\\z", "(?=a)", "(?!a)", "(?i)a", "(?P<n>a)", "(?<=a)b", "[z-a]", "[a-\\d]", "[a\\", "(((((((((((a)))))))))))",
        "((a{1000}){1000}){1000}", "(((((a{1000}){0}){1000}){0}){1000}){0}"};
    for (volatile size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK_FAILS(2, "is not understood", regex_new(refused[i], strlen(refused[i]), "test"));
    CHECK_FAILS(2, "rows.jsonl: line 3: the regular expression \"a(b\": a ( without its ) at character 4", regex_new("a(b", 3, "rows.jsonl: line 3"));
}

/* Expressions and texts that make backtracking engines take for ever. */
static void test_no_explosion(void) {
    enum { LONG = 20000 };
    char *text = mem_new(LONG + 1, 1);
    memset(text, 'a', LONG);
    Regex *r = regex_new("(a|aa)*(a*)*(a?){20}b", 21, "test");
    CHECK(!regex_found(r, text, 2000) && !regex_full(r, text, LONG));
    text[LONG - 1] = 'b';
    CHECK(regex_full(r, text, LONG));
    mem_free(text), regex_free(r);
}

/* A repeated set is written anew each time: its characters count, too. */
static void test_no_flood(void) {
    Buf b = {0};
    buf_str(&b, "[");
    while (b.len < 100000) buf_str(&b, "abcdefghij");
    buf_str(&b, "]{1000}");
    CHECK_FAILS(2, "so much repetition", regex_new(b.data, b.len, "test"));
    CHECK(mem_peak() < (size_t)64 << 20, "%zu bytes", mem_peak());
    buf_free(&b);
}

TESTS({"no expression takes all memory", test_no_flood}, {"what Python finds", test_cases}, {"refused", test_refused}, {"no expression takes for ever", test_no_explosion})
