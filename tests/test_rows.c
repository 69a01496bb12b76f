/* Rows: every kind and format, what is refused and in which words. */
#include "../rows.h"
#include "scratch.h"
#include "test.h"

/* "role:text|role:text", * before muted ones, > before the completion */
static const char *shown(const Row *row) {
    static Buf b;
    b = (Buf){0};
    buf_str(&b, "");
    for (size_t i = 0; i < row->count; i++) {
        const Message *m = &row->messages[i];
        buf_format(&b, "%s%s%s%s:", i ? "|" : "", i == row->completion ? ">" : "", m->muted ? "*" : "", role_name(m->role));
        buf_put(&b, m->text, m->length);
    }
    for (size_t i = 0; i < row->id_count; i++) buf_format(&b, "%s%d/%d", i ? " " : "", (int)row->ids[i], (int)row->labels[i]);
    for (size_t i = 0; i < row->choice_count; i++) buf_format(&b, "%s%s%s", i ? "," : "|", i == row->gold ? "!" : "", row->choices[i]);
    return b.data;
}

static Rows *open_text(const char *name, const char *text, const char *map, bool answers) {
    return rows_open(scratch_text(name, text), map, answers);
}

static void expect(const char *name, const char *text, const char *map, bool answers, RowKind kind, const char *first, const char *second) {
    Rows *r = open_text(name, text, map, answers);
    CHECK(rows_kind(r) == kind, "%s: kind %s", text, rows_kind_name(rows_kind(r)));
    const char *found = shown(rows_get(r, 0));
    CHECK(!strcmp(found, first), "%s gave %s", text, found);
    CHECK(rows_count(r) == (second ? 2 : 1), "%s: %zu rows", text, rows_count(r));
    if (second && rows_count(r) == 2) {
        found = shown(rows_get(r, 1));
        CHECK(!strcmp(found, second), "%s gave %s", text, found);
    }
    rows_free(r);
}

static void test_kinds(void) {
    expect("a.jsonl", "{\"text\":\"one\"}\n\n{\"text\":\"two\",\"id\":7}", NULL, true, ROWS_TEXT, "assistant:one", "assistant:two");
    expect("a.jsonl", "{\"prompt\":\"p\",\"completion\":\"c\"}", NULL, true, ROWS_PROMPT, "user:p|>assistant:c", NULL);
    expect("a.jsonl",
           "{\"prompt\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"p\"}],\"completion\":[{\"role\":"
           "\"assistant\",\"content\":\"c\"}]}",
           NULL, true, ROWS_PROMPT, "system:s|user:p|>assistant:c", NULL);
    expect("a.jsonl",
           "{\"messages\":[{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":\"a\",\"weight\":0},{\"role\":"
           "\"assistant\",\"content\":\"b\",\"weight\":1}]}",
           NULL, true, ROWS_MESSAGES, "user:u|*assistant:a|assistant:b", NULL);
    expect("a.jsonl", "[{\"role\":\"user\",\"content\":\"u\"}]\n[{\"role\":\"assistant\",\"content\":\"a\"}]\n", NULL, true, ROWS_MESSAGES,
           "user:u", "assistant:a");
    expect("a.jsonl",
           "{\"system\":\"s\",\"conversations\":[{\"from\":\"human\",\"value\":\"u\"},{\"from\":\"gpt\",\"value\":\"a\"}],\"tools\":[]}",
           NULL, true, ROWS_SHAREGPT, "system:s|user:u|assistant:a", NULL);
    expect("a.json",
           "[{\"instruction\":\"i\",\"input\":\"\",\"output\":\"o\"},\n "
           "{\"instruction\":\"i\",\"input\":\"x\",\"output\":\"o\",\"system\":\"s\",\"history\":[[\"q\",\"a\"]]}]",
           NULL, true, ROWS_ALPACA, "user:i|assistant:o", "system:s|user:q|assistant:a|user:i\nx|assistant:o");
    expect("a.jsonl", "{\"input_ids\":[5,6,7],\"labels\":[-100,-100,7]}\n{\"input_ids\":[1,2]}", NULL, true, ROWS_IDS, "5/-1 6/-1 7/7",
           "1/1 2/2");
    expect("a.jsonl", "{\"query\":\"q\",\"choices\":[\"x\",\"y\"],\"gold\":1}", NULL, true, ROWS_CHOICE, "user:q|x,!y", NULL);
    expect("a.jsonl", "{\"question\":\"q\",\"answer\":\"a\",\"prompt\":1}", "prompt=question,completion=answer", true, ROWS_PROMPT,
           "user:q|>assistant:a", NULL);
    expect("a.jsonl", "{\"prompt\":\"p\"}", NULL, false, ROWS_PROMPT, "user:p", NULL);
    expect("a.jsonl", "{\"messages\":[{\"who\":\"user\",\"says\":\"u\"}]}", "role=who,content=says", true, ROWS_MESSAGES, "user:u", NULL);
    expect("a.jsonl", "\xEF\xBB\xBF{\"text\":\"\\u00e9\"}", NULL, true, ROWS_TEXT, "assistant:\xC3\xA9", NULL);
}

static void test_formats(void) {
    expect("a.csv", "prompt,completion\r\n\"a, \"\"b\"\"\nc\",d\r\n\r\n e ,\r\n", NULL, true, ROWS_PROMPT, "user:a, \"b\"\nc|>assistant:d",
           "user: e |>assistant:");
    expect("a.tsv", "text\tid\n[x]\t3\n1\t\n", NULL, true, ROWS_TEXT, "assistant:[x]", "assistant:1");
    expect("a.csv", "input_ids,labels\n\"[1,2]\",\n\"[3, 4]\",\"[-100,4]\"\n", NULL, true, ROWS_IDS, "1/1 2/2", "3/-1 4/4");
    expect("a.csv", "q,options,gold\nx,\"[\"\"a\"\",\"\"b\"\"]\",1\n", "query=q,choices=options", true, ROWS_CHOICE, "user:x|a,!b", NULL);
    expect("rows", "[\n{\"text\":\"a]\\\"\"},\n{\"text\":\"b\"}\n]\n", NULL, true, ROWS_TEXT, "assistant:a]\"", "assistant:b");
    expect("rows", "{\"text\":\"a\"}\r\n{\"text\":\"b\"}\r\n", NULL, true, ROWS_TEXT, "assistant:a", "assistant:b");
    Rows *r = open_text("a.csv", "text\n\"x\ny\"\nz\n", NULL, true);
    CHECK(rows_line(r, 0) == 2 && rows_line(r, 1) == 4, "%zu %zu", rows_line(r, 0), rows_line(r, 1));
    rows_free(r);
    r = open_text("a.json", "[\n{\"text\":\"x\"},\n\n{\"text\":\n\"y\"}]", NULL, true);
    CHECK(rows_line(r, 0) == 2 && rows_line(r, 1) == 4, "%zu %zu", rows_line(r, 0), rows_line(r, 1));
    rows_free(r);
}

static void read_all(const char *name, const char *text) {
    Rows *r = open_text(name, text, NULL, true);
    for (size_t i = 0; i < rows_count(r); i++) rows_get(r, i);
    rows_free(r);
}

static void test_refusals(void) {
    static const struct { const char *name, *text, *words;
    } cases[] = {
        {"b.jsonl", "", "empty"},
        {"b.jsonl", " \n\n", "empty"},
        {"b.csv", "prompt,completion\n", "no rows"},
        {"b.json", "[]", "no rows"},
        {"b.jsonl", "{\"text\":\"a\"}\n{\"text\":3}\n", "b.jsonl: line 2: \"text\": expected a string, found a number"},
        {"b.jsonl", "{\"text\":\"a\"}\n{\"other\":3}\n", "line 2: no \"text\""},
        {"b.jsonl", "{\"text\":\"a\"}\n\n7\n", "line 3: expected an object, found a number"},
        {"b.jsonl", "{\"text\":\"a\"}\n{\"text\":\"\xC3\x28\"}\n", "line 2, column 10"},
        {"b.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"", "line 2"},
        {"b.csv", "text\n\xFF\n", "line 2: the text is not UTF-8"},
        {"b.csv", "text,id\na\n", "line 2: 1 fields, line 1 names 2"},
        {"b.csv", "text\na,b\n", "line 2: more fields"},
        {"b.csv", "text\n\"a\n", "line 2: a quote that opens"},
        {"b.csv", "text\n\"a\"b\n", "line 2: text behind the quote"},
        {"b.csv", "text,text\na,b\n", "two columns"},
        {"b.csv", "text,\na,b\n", "a column has no name"},
        {"b.json", "[{\"text\":\"a\"},]", "b.json: line 1"},
        {"b.json", "[{\"text\":\"a\"}] x", "b.json: line 1"},
        {"b.json", "[{\"text\":\"a\"}", "b.json: line 1"},
        {"b.jsonl", "{\"question\":\"q\",\"answer\":\"a\"}", "--map prompt=question,completion=answer"},
        {"b.jsonl", "{}", "empty object"},
        {"b.jsonl", "{\"prompt\":\"p\"}", "no \"completion\""},
        {"b.jsonl", "{\"prompt\":\"p\",\"completion\":[]}", "expected a string, as the prompt is one"},
        {"b.jsonl", "{\"prompt\":[{\"role\":\"user\",\"content\":\"u\"}],\"completion\":[{\"role\":\"user\",\"content\":\"u\"}]}",
         "first message must be the assistant's"},
        {"b.jsonl", "{\"prompt\":3}", "expected a string or a list of messages"},
        {"b.jsonl", "{\"messages\":[]}", "no message"},
        {"b.jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":\"u\"}],\"tools\":[{}]}", "\"tools\" is not supported"},
        {"b.jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}", "a list of parts is not supported"},
        {"b.jsonl", "{\"messages\":[{\"role\":\"tool\",\"content\":\"u\"}]}", "found \"tool\", expected system"},
        {"b.jsonl", "{\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{}]}]}", "\"tool_calls\" is not supported"},
        {"b.jsonl", "{\"messages\":[{\"role\":\"user\"}]}", "no \"content\""},
        {"b.jsonl", "{\"messages\":[\"hi\"]}", "a message: expected an object"},
        {"b.jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":\"u\",\"weight\":0.5}]}", "expected 0 or 1"},
        {"b.jsonl", "{\"messages\":\"x\"}", "expected a list of messages"},
        {"b.jsonl", "{\"conversations\":[{\"from\":\"observation\",\"value\":\"u\"}]}", "\"observation\""},
        {"b.jsonl", "{\"system\":\"s\",\"conversations\":[{\"from\":\"system\",\"value\":\"u\"}]}", "keep one of them"},
        {"b.jsonl", "{\"instruction\":\"i\"}", "no \"output\""},
        {"b.jsonl", "{\"instruction\":\"i\",\"output\":\"o\",\"history\":[[\"q\"]]}", "pairs of strings"},
        {"b.jsonl", "{\"input_ids\":[1]}", "at least two"},
        {"b.jsonl", "{\"input_ids\":[1,-1]}", "place 1: expected a token id"},
        {"b.jsonl", "{\"input_ids\":[1,2.5]}", "found 2.5"},
        {"b.jsonl", "{\"input_ids\":[1,2],\"labels\":[1]}", "each token needs its label"},
        {"b.jsonl", "{\"input_ids\":[1,2],\"labels\":[1,-7]}", "or -100"},
        {"b.jsonl", "{\"query\":\"q\",\"choices\":[\"a\"],\"gold\":0}", "at least two strings"},
        {"b.jsonl", "{\"query\":\"q\",\"choices\":[\"a\",\"b\"],\"gold\":2}", "0 to 1, found 2"},
        {"b.jsonl", "{\"prompt\":\"p\",\"chosen\":\"c\",\"rejected\":\"r\"}", "finetune prefer"}};
    for (volatile size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_FAILS(2, cases[i].words, read_all(cases[i].name, cases[i].text));
    CHECK_FAILS(2, "no such file", rows_open("nowhere.jsonl", NULL, true));
    CHECK_FAILS(2, "is a folder", rows_open("build", NULL, true));
    CHECK_FAILS(2, "did you mean completion?", open_text("b.jsonl", "{\"text\":\"a\"}", "completon=x", true));
    CHECK_FAILS(2, "expected OURS=THEIRS", open_text("b.jsonl", "{\"text\":\"a\"}", "text", true));
}

static void test_parts(void) {
    os_make_dir(scratch("parts"));
    CHECK(!rows_part(scratch("parts"), "train"));
    scratch_text("parts/train.jsonl", "{\"text\":\"a\"}");
    scratch_text("parts/validation.csv", "text\na\n");
    char *path = rows_part(scratch("parts"), "train");
    CHECK(path && str_ends(path, "parts/train.jsonl"));
    path = rows_part(scratch("parts"), "valid");
    CHECK(path && str_ends(path, "parts/validation.csv"));
    scratch_text("parts/train.json", "[]");
    CHECK_FAILS(2, "which one is meant", rows_part(scratch("parts"), "train"));
}

/* What is kept does not grow with the rows' size. */
static void test_memory(void) {
    Buf text = {0};
    for (size_t i = 0; i < 2000; i++) {
        buf_format(&text, "{\"text\":\"row %zu ", i);
        for (size_t k = 0; k < 100; k++) buf_str(&text, "words and more words ");
        buf_str(&text, "\"}\n");
    }
    const char *path = scratch_file("large.jsonl", text.data, text.len);
    size_t before = mem_in_use();
    Rows *r = rows_open(path, NULL, true);
    size_t most = 0;
    for (size_t i = 0; i < rows_count(r); i++) {
        rows_get(r, i);
        size_t now = mem_in_use() - before;
        if (now > most) most = now;
    }
    OsMap map = os_map(path);
    os_map_forget(&map);
    CHECK(map.size == text.len && !memcmp(map.data, text.data, text.len), "what was given back comes again");
    os_unmap(&map);
    CHECK(rows_count(r) == 2000 && most < 1200000, "%zu rows, %zu bytes", rows_count(r), most);
    rows_free(r);
    CHECK(mem_in_use() == before, "%zu bytes left", mem_in_use() - before);
    buf_free(&text);
}

TESTS({"kinds", test_kinds}, {"formats", test_formats}, {"refusals", test_refusals}, {"parts", test_parts}, {"memory", test_memory})
