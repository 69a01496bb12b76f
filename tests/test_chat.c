/* Chat templates: what is rendered, what of it is learned, which Jinja programs are recognised; the canonical form. */
#include "../chat_parts.h"
#include "../jinja.h"
#include "scratch.h"
#include "test.h"

#define SAY(role_, text_) {.role = ROLE_##role_, .text = text_, .length = sizeof text_ - 1}

static ChatTokens tokens = {"<s>", "</s>", true};

/* The text with [ ] around what is learned and ‹ › around control pieces written as < >. */
static const char *shown(const Chat *c, const Message *m, size_t count, size_t completion, LossKind loss, bool open) {
    static Buf ring[4];
    static int turn;
    Buf *b = &ring[turn++ % 4];
    Rendering r = {0};
    b->len = 0;
    buf_str(b, "");
    chat_render(c, m, count, completion, loss, open, &tokens, &r);
    bool learn = false;
    for (size_t i = 0; i < r.count; i++) {
        if (r.pieces[i].learn != learn) buf_char(b, learn ? ']' : '[');
        learn = r.pieces[i].learn;
        buf_put(b, r.text.data + r.pieces[i].at, r.pieces[i].length);
    }
    if (learn) buf_char(b, ']');
    rendering_free(&r);
    return b->data;
}

static void expect(const char *name, const char *system, const Message *m, size_t count, size_t completion, LossKind loss, bool open,
                   const char *text) {
    Chat *c = chat_load(name);
    chat_set_system(c, system);
    const char *found = shown(c, m, count, completion, loss, open);
    CHECK(!strcmp(found, text), "%s gave\n%s", name, found);
    chat_free(c);
}

static void test_rendering(void) {
    static const Message chat[] = {SAY(USER, "u"), SAY(ASSISTANT, " a "), SAY(USER, "v"), SAY(ASSISTANT, "b")};
    static const Message own[] = {SAY(SYSTEM, "s"), SAY(USER, "u"), SAY(ASSISTANT, "a")};
    expect("chatml", NULL, chat, 4, 4, LOSS_COMPLETIONS, false,
           "<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n[ a "
           "<|im_end|>\n]<|im_start|>user\nv<|im_end|>\n<|im_start|>assistant\n[b<|im_end|>\n]");
    expect("chatml", "be", chat, 1, 1, LOSS_COMPLETIONS, true,
           "<|im_start|>system\nbe<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n");
    expect("chatml", "be", own, 3, 3, LOSS_ALL, false,
           "[<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n]");
    expect("chatml", NULL, chat, 4, 1, LOSS_COMPLETIONS, false,
           "<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n[ a "
           "<|im_end|>\n<|im_start|>user\nv<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n]");
    expect("llama-3", NULL, chat, 2, 2, LOSS_COMPLETIONS, false,
           "<s><|start_header_id|>user<|end_header_id|>\n\nu<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n[a<|eot_id|>]");
    expect("zephyr", NULL, own, 3, 3, LOSS_COMPLETIONS, true,
           "<|system|>\ns</s>\n<|user|>\nu</s>\n<|assistant|>\n[a</s>\n]<|assistant|>\n");
    expect("plain", NULL, chat, 2, 1, LOSS_COMPLETIONS, false, "<s>u[ a </s>]");
    expect("plain", "x ", chat, 1, 1, LOSS_COMPLETIONS, true, "<s>x u");
    expect("alpaca", NULL, chat, 3, 3, LOSS_COMPLETIONS, true,
           "<s>Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### "
           "Instruction:\nu\n\n### Response:\n[ a </s>]"
           "\n\n### Instruction:\nv\n\n### Response:\n");
    expect("alpaca", "none", own, 2, 2, LOSS_COMPLETIONS, true, "<s>s\n\n### Instruction:\nu\n\n### Response:\n");
    static const Message input[] = {{.role = ROLE_USER, .text = "do\nx", .length = 4, .input = 3}};
    expect("alpaca", NULL, input, 1, 1, LOSS_COMPLETIONS, true,
           "<s>Below is an instruction that describes a task, paired with an input that provides further context. Write a response that "
           "appropriately completes the request."
           "\n\n### Instruction:\ndo\n\n### Input:\nx\n\n### Response:\n");
    static const Message muted[] = {
        SAY(USER, "u"), {.role = ROLE_ASSISTANT, .muted = true, .text = "a", .length = 1}, SAY(USER, "v"), SAY(ASSISTANT, "b")};
    expect("zephyr", NULL, muted, 4, 4, LOSS_COMPLETIONS, false,
           "<|user|>\nu</s>\n<|assistant|>\na</s>\n<|user|>\nv</s>\n<|assistant|>\n[b</s>\n]");
    expect("zephyr", NULL, muted, 2, 2, LOSS_ALL, false, "[<|user|>\nu</s>\n]<|assistant|>\na</s>\n");
    tokens.adds_bos = false;
    expect("plain", NULL, chat, 2, 1, LOSS_COMPLETIONS, false, "u[ a </s>]");
    tokens.adds_bos = true;
}

/* What the user typed is no control piece, even if it reads like one. */
static void test_control(void) {
    static const Message m[] = {SAY(USER, "<|im_end|>")};
    Chat *c = chat_load("chatml");
    Rendering r = {0};
    chat_render(c, m, 1, 1, LOSS_COMPLETIONS, false, &tokens, &r);
    CHECK(r.count == 4 && r.pieces[0].control && !r.pieces[1].control && r.pieces[2].control &&
          r.pieces[1].length == strlen("user\n<|im_end|>"));
    CHECK(!strcmp(chat_end(c, &tokens), "<|im_end|>"));
    rendering_free(&r), chat_free(c);
    c = chat_load("zephyr");
    CHECK(!strcmp(chat_end(c, &tokens), "</s>"));
    chat_free(c);
}

/* ---- programs ---- */

static Chat *read_jinja(const char *text) { return chat_load(scratch_text("t.jinja", text)); }

static void test_written_is_recognised(void) {
    static const char *const systems[] = {NULL, "none", "Say 'no'\n\\ \"x\" {{ y }}"};
    static const Message chat[] = {SAY(USER, "u"), SAY(ASSISTANT, "a")};
    for (int style = 0; style < CHAT_STYLES; style++)
        for (int s = 0; s < 3; s++)
            for (int bos = 0; bos < 2; bos++) {
                Chat *c = chat_load(chat_names[style]);
                Buf text = {0}, again = {0};
                chat_set_system(c, systems[s]);
                chat_jinja(c, bos, &text);
                Chat *d = read_jinja(text.data);
                chat_jinja(d, bos, &again);
                tokens.adds_bos = bos;
                CHECK(!strcmp(chat_name(d), chat_names[style]) && !strcmp(text.data, again.data), "%s became %s", chat_names[style],
                      chat_name(d));
                CHECK(!strcmp(shown(c, chat, 2, 2, LOSS_COMPLETIONS, true), shown(d, chat, 2, 2, LOSS_COMPLETIONS, true)), "%s", text.data);
                chat_free(c), chat_free(d), buf_free(&text), buf_free(&again);
            }
    tokens.adds_bos = true;
}

#define TURN "'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'"
#define ENDING "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

static void test_layouts(void) {
    static const struct { const char *text, *name, *system;
    } same[] = {{"{% for message in messages %}{{" TURN "}}{% endfor %}" ENDING, "chatml", NULL},
                {"{%- for message in messages -%}\n  {{- " TURN " -}}\n{%- endfor -%}\n{%- if add_generation_prompt -%}\n {{- "
                                                                "\"<|im_start|>assistant\\n\" -}}\n{%- endif -%}\n",
                 "chatml", NULL},
                {"{# a note #}\n{% for message in messages %}\n    {% generation %}\n{{ '<|im_start|>' + message.role + '\n' + "
                 "message.content + '<|im_end|>\n' }}{% endgeneration %}\n{% endfor %}\n" ENDING,
                 "chatml", NULL},
                {"{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% for message in "
                 "messages %}{{" TURN "}}{% endfor %}" ENDING,
                 "chatml", NULL},
                {"{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou "
                 "help.<|im_end|>\\n' }}{% endif %}{{" TURN "}}{% endfor %}" ENDING,
                 "chatml", "You help."},
                {"{{ bos_token }}{% for message in messages %}{{" TURN "}}{% endfor %}" ENDING, "chatml", NULL}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        Chat *c = read_jinja(same[i].text);
        CHECK(!strcmp(chat_name(c), same[i].name), "%s", same[i].text);
        CHECK(same[i].system ? chat_system(c) && !strcmp(chat_system(c), same[i].system) : !chat_system(c), "%s", same[i].text);
        chat_free(c);
    }
    static const Message m[] = {SAY(USER, "u")};
    Chat *c = read_jinja(same[5].text);
    CHECK(!strcmp(shown(c, m, 1, 1, LOSS_COMPLETIONS, false), "<s><|im_start|>user\nu<|im_end|>\n"));
    chat_free(c);
}

static void test_unknown(void) {
    static const char *const others[] = {"{% for message in messages %}{{" TURN "}}{% endfor %}",
                                         "{% for message in messages %} {{" TURN "}}{% endfor %}" ENDING,
                                         "{% for message in messages %}\n{{" TURN "}}\n{% endfor %}" ENDING,
                                         "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | "
                                         "trim + '<|im_end|>' + '\\n' }}{% endfor %}" ENDING,
                                         "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + (message['content'] + "
                                         "'<|im_end|>' + '\\n') }}{% endfor %}" ENDING,
                                         "{% for message in messages[1:] %}{{" TURN "}}{% endfor %}" ENDING,
                                         "{% raw %}x{% endraw %}",
                                         "{{ 'x",
                                         "{% if",
                                         "{# x",
                                         "{{ '\\q' }}",
                                         "x\x02y",
                                         "hello",
                                         "{{ '' }}"};
    for (volatile size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK_FAILS(2, "not one of those known here", read_jinja(others[i]));
    CHECK_FAILS(2, "empty", read_jinja(""));
    CHECK_FAILS(2, "did you mean chatml?", chat_load("chatlm"));
    CHECK_FAILS(2, "no chat template in it", chat_load(scratch_text("c.json", "{\"chat_template\":null}")));
    CHECK_FAILS(2, "none of the templates in the list",
                chat_load(scratch_text("c.json", "{\"chat_template\":[{\"name\":\"a\",\"template\":\"\"},{\"name\":\"b\",\"template\":\"\"}"
                                                 "]}")));
    CHECK_FAILS(2, "expected a string or a list", chat_load(scratch_text("c.json", "{\"chat_template\":3}")));
}

/* What published templates put into the turns: two dates, thoughts. */
static void test_variants(void) {
    static const struct {
        const char *texts[5]; /* user and assistant by turns; a first text with '!' is the system's */
        Variant variant;
        bool open, no_thinking;
        const char *rendered;
    } cases[] = {
        {{"hi", "ho"}, VARIANT_DATED, false, false,
         "B<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>"
         "<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nho<|eot_id|>"},
        {{"! be \n", "hi"}, VARIANT_DATED, true, false,
         "B<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\nbe<|eot_id|>"
         "<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
        {{"hi", "ho"}, VARIANT_THINKING, false, false, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nho<|im_end|>\n"},
        {{"hi", "<think>\na\nb\n</think>\n\nho", "more"}, VARIANT_THINKING, true, false,
         "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nho<|im_end|>\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n"},
        {{"hi", "<think>\na\nb\n</think>\n\n\nho"}, VARIANT_THINKING, false, false,
         "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\na\nb\n</think>\n\nho<|im_end|>\n"},
        {{"hi", "x<think>a</think>b<think>c</think>\nd"}, VARIANT_THINKING, false, false,
         "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\na\n</think>\n\nd<|im_end|>\n"},
        {{"<tool_response>1</tool_response>", "ho"}, VARIANT_THINKING, false, false,
         "<|im_start|>user\n<tool_response>1</tool_response><|im_end|>\n<|im_start|>assistant\nho<|im_end|>\n"},
        {{"!s", "hi"}, VARIANT_THINKING, true, true,
         "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Chat *c = chat_new(cases[i].variant == VARIANT_DATED ? LLAMA3 : CHATML);
        ChatTokens ends = {(char[]){"B"}, (char[]){"E"}, false};
        Message m[5] = {{0}};
        size_t count = 0, system = cases[i].texts[0][0] == '!';
        for (; count < 5 && cases[i].texts[count]; count++) {
            const char *text = cases[i].texts[count] + (!count && system);
            m[count] = (Message){.role = !count && system ? ROLE_SYSTEM : (count - system) % 2 ? ROLE_ASSISTANT : ROLE_USER, .text = text, .length = strlen(text)};
        }
        Rendering r = {0};
        c->variant = cases[i].variant;
        CHECK(chat_set_thinking(c, !cases[i].no_thinking) == (c->variant == VARIANT_THINKING));
        chat_render(c, m, count, count, LOSS_COMPLETIONS, cases[i].open, &ends, &r);
        CHECK(!strcmp(r.text.data, cases[i].rendered), "case %zu gave %s", i, r.text.data);
        rendering_free(&r), chat_free(c);
    }
}

/* A system message in front of a program that is not ours: said by a statement, and read again. */
static void test_default_system_in_front(void) {
    Chat *c = read_jinja("{% if messages[0]['role'] != 'system' %}{% set messages = [{'role': 'system', 'content': 'Be \\'kind\\'.\\nDo \\\\.'}] + messages %}{% endif %}"
                         "{% for message in messages %}{{" TURN "}}{% endfor %}" ENDING);
    CHECK(!strcmp(chat_system(c), "Be 'kind'.\nDo \\."), "%s", chat_system(c));
    chat_free(c);
}

static const char *canonical(const char *text) {
    static Buf b;
    b = (Buf){0};
    if (!jinja_canonical(text, strlen(text), &b)) return "?";
    for (size_t i = 0; i < b.len; i++)
        b.data[i] = b.data[i] == JINJA_TAG     ? '<'
                    : b.data[i] == JINJA_END   ? '>'
                    : b.data[i] == JINJA_NEXT  ? ' '
                    : b.data[i] == JINJA_QUOTE ? '"'
                                               : b.data[i];
    return b.data;
}

static void test_canonical(void) {
    static const struct { const char *text, *form;
    } cases[] = {{"a\n", "a"},
                 {"a\n\n", "a\n"},
                 {"a\r\nb", "a\nb"},
                 {"{{ 'a' }}\nb", "a\nb"},
                 {"{% if x %}\nb{% endif %}", "<% if x >b<% endif >"},
                 {"a\n  {% if x %}b", "a\n<% if x >b"},
                 {"a  {% if x %}b", "a  <% if x >b"},
                 {"a\n  {{ x }}", "a\n  <{ x >"},
                 {"a\n  {%+ if x %}b", "a\n  <% if x >b"},
                 {"a \n {%- if x -%} \n b", "a<% if x >b"},
                 {"  {% if x %}\n  {% if y %}\nz", "<% if x ><% if y >z"},
                 {"{# c #}\na", "a"},
                 {"a {#- c -#} b", "ab"},
                 {"{{ x.y }}{{ x['y'] }}{{ x.y() }}", "<{ x [ \"y\" ] ><{ x [ \"y\" ] ><{ x . y ( ) >"},
                 {"{{ 'a' + x | trim + \"b\" }}", "a<{ x | trim >b"},
                 {"{{ 'a' + x if y }}", "<{ \"a\" + x if y >"},
                 {"{{ ('a' + x) }}", "<{ ( \"a\" + x ) >"},
                 {"{{ 'a\\n' }}", "a\n"},
                 {"{{ 'a\n' }}", "a\n"},
                 {"{% set a = {'b': '}}'} %}c", "<% set a = { \"b\" : \"}}\" } >c"},
                 {"{{ x ~ 'a' + 'b' }}", "<{ x ~ \"a\" + \"b\" >"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *form = canonical(cases[i].text);
        CHECK(!strcmp(form, cases[i].form), "%s gave %s", cases[i].text, form);
    }
}

static void test_folders(void) {
    const char *dir = scratch("model");
    os_make_dir(dir);
    CHECK(!chat_of_folder(dir));
    scratch_text("model/tokenizer_config.json", "{\"bos_token\":null}");
    CHECK(!chat_of_folder(dir));
    scratch_text("model/tokenizer_config.json", "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"x\"},{\"name\":\"default\","
                                                "\"template\":\"{% for message in messages %}{{" TURN "}}{% endfor %}"
                                                "\"}]}");
    CHECK_FAILS(2, "tokenizer_config.json: this chat template", chat_of_folder(dir));
    Chat *c = chat_load("zephyr");
    Buf text = {0};
    chat_jinja(c, false, &text);
    chat_free(c);
    scratch_text("model/chat_template.jinja", text.data);
    c = chat_of_folder(dir);
    CHECK(c && !strcmp(chat_name(c), "zephyr"), "chat_template.jinja goes before tokenizer_config.json");
    chat_free(c), buf_free(&text);
}

/* For Ollama; tests/compare/ollama.py has Go render it. */
static void test_go_template(void) {
    ChatTokens none = {"<b>", "</s>", false};
    Buf b = {0};
    Chat *c = chat_load("chatml");
    chat_go_template(c, &none, &b);
    CHECK(!strcmp(b.data, "{{ range $i, $m := .Messages }}<|im_start|>{{ $m.Role }}\n{{ $m.Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"), "%s", b.data);
    chat_set_system(c, "a {{b}}");
    b.len = 0;
    chat_go_template(c, &none, &b);
    CHECK(strstr(b.data, "(ne $m.Role \"system\") }}<|im_start|>system\na {{ \"{\" }}{b}}<|im_end|>\n{{ end }}"), "%s", b.data);
    Chat *dated = chat_load("llama-3");
    dated->variant = VARIANT_DATED;
    b.len = 0;
    chat_go_template(dated, &none, &b);
    CHECK(str_starts(b.data, "<b>{{ range") && strstr(b.data, "\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>{{ end }}") &&
          strstr(b.data, "(eq $m.Role \"system\") }}Cutting Knowledge"), "%s", b.data);
    const char *stops[] = {"<|im_end|>", "a\"b"};
    b.len = 0;
    chat_modelfile(c, &none, "m.gguf", stops, 2, &b);
    CHECK(str_starts(b.data, "FROM ./m.gguf\nTEMPLATE \"\"\"{{ range") && strstr(b.data, "\nSYSTEM \"\"\"a {{b}}\"\"\"\nPARAMETER stop \"<|im_end|>\"\nPARAMETER stop \"a\\\"b\"\n"),
          "%s", b.data);
    chat_set_system(c, "\"\"\"");
    CHECK_FAILS(2, "three quotes", chat_modelfile(c, &none, "m.gguf", stops, 2, &b));
}

TESTS({"go template", test_go_template}, {"rendering", test_rendering}, {"control", test_control}, {"written is recognised", test_written_is_recognised},
      {"layouts", test_layouts}, {"unknown", test_unknown}, {"dates and thoughts", test_variants},
      {"a system message in front", test_default_system_in_front}, {"canonical form", test_canonical}, {"folders", test_folders})
