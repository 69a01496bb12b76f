/* Chat templates as Jinja programs: writing ours, recognising others'. */
#include "chat_parts.h"
#include "cli.h"
#include "gguf.h"
#include "jinja.h"
#include "os.h"

#include <stdio.h>
#include <string.h>

/* ---- writing ---- */

/* 'a' + role + 'b' … of one turn, role and content being Jinja expressions. */
static void put_turn(Buf *b, const Style *s, const char *role, const char *content) {
    Buf text = {0};
    bool literal = *role != 'm'; /* not message['role'] */
    buf_str(&text, s->open);
    if (literal) buf_format(&text, "%s%s%s", role, s->close, s->gap), jinja_quote(b, text.data);
    else {
        jinja_quote(b, text.data);
        buf_format(b, " + %s + ", role);
        text.len = 0;
        buf_format(&text, "%s%s", s->close, s->gap);
        jinja_quote(b, text.data);
    }
    if (content) {
        buf_format(b, " + %s%s + ", content, s->trim ? " | trim" : "");
        text.len = 0;
        buf_format(&text, "%s%s", s->end ? s->end : "", s->after);
        if (!s->end) buf_str(b, "eos_token + ");
        jinja_quote(b, text.data);
    }
    buf_free(&text);
}

static void put_turn_program(const Chat *c, const Style *s, Buf *b) {
    buf_str(b, "{% for message in messages %}");
    if (c->has_system) {
        buf_str(b, "{% if loop.first and messages[0]['role'] != 'system' %}{{ ");
        if (c->style == CHATML) { /* in place, as the published ones have it */
            char *turn = str_format("%ssystem%s%s%s%s", s->open, s->gap, c->system, s->end, s->after);
            jinja_quote(b, turn);
            mem_free(turn);
        } else put_turn(b, s, "system", "system");
        buf_str(b, " }}{% endif %}");
    }
    buf_str(b, "{{ ");
    put_turn(b, s, "message['role']", "message['content']");
    buf_str(b, " }}{% endfor %}{% if add_generation_prompt %}{{ ");
    put_turn(b, s, "assistant", NULL);
    buf_str(b, " }}{% endif %}");
}

static void put_alpaca_program(const Chat *c, Buf *b) {
    buf_str(b, "{% for message in messages %}");
    if (c->has_system) {
        buf_str(b, "{% if loop.first and message['role'] != 'system' %}{{ ");
        if (c->system) buf_str(b, "system");
        else {
            buf_char(b, '('), jinja_quote(b, alpaca_preamble(true));
            buf_str(b, " if '\\n\\n### Input:\\n' in message['content'] else "), jinja_quote(b, alpaca_preamble(false));
            buf_char(b, ')');
        }
        buf_str(b, " + '\\n\\n' }}{% endif %}");
    }
    buf_str(b, "{% if not loop.first %}{{ '\\n\\n' }}{% endif %}"
               "{% if message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'] }}"
               "{% elif message['role'] == 'assistant' %}{{ '### Response:\\n' + message['content'] + eos_token }}"
               "{% else %}{{ message['content'] }}{% endif %}"
               "{% endfor %}{% if add_generation_prompt %}{{ '\\n\\n### Response:\\n' }}{% endif %}");
}

static void put_plain_program(const Chat *c, Buf *b) {
    buf_str(b, "{% for message in messages %}");
    if (c->has_system) buf_str(b, "{% if loop.first and message['role'] != 'system' %}{{ system }}{% endif %}");
    buf_str(b, "{{ message['content'] }}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}");
}

/* In front of a variant's program: a system message where there is none. */
static void put_default_system(const char *system, Buf *b) {
    buf_str(b, "{% if messages[0]['role'] != 'system' %}{% set messages = [{'role': 'system', 'content': ");
    jinja_quote(b, system);
    buf_str(b, "}] + messages %}{% endif %}");
}

void chat_jinja(const Chat *c, bool adds_bos, Buf *out) {
    if (c->source) {
        if (c->variant != VARIANT_NONE && c->has_system) put_default_system(c->system, out);
        buf_str(out, c->source);
        return;
    }
    if (c->bos == BOS_YES || (c->bos == BOS_AS_TOKENIZER && adds_bos)) buf_str(out, "{{ bos_token }}");
    if (c->has_system && c->system && c->style != CHATML) {
        buf_str(out, "{% set system = ");
        jinja_quote(out, c->system);
        buf_str(out, " %}");
    }
    if (c->style == ALPACA) put_alpaca_program(c, out);
    else if (c->style == PLAIN) put_plain_program(c, out);
    else put_turn_program(c, &chat_styles[c->style], out);
}

void chat_save(const Chat *c, const Tokenizer *t, const char *dir) {
    Buf text = {0};
    char *path = os_join(dir, "chat_template.jinja");
    chat_jinja(c, tokenizer_adds_bos(t), &text);
    os_write_file(path, text.data, text.len);
    mem_free(path), buf_free(&text);
}

/* ---- recognising ---- */

/* Published templates that say more than ours do (tools, checks) or say it otherwise, and render conversations the same: SHA-256 of
 * the canonical form, with a hole for the default system message. The refusal of an unknown template names its hash. */
static const struct {
    const char *hash;
    ChatStyle style;
    BosRule bos;
    bool learn_gap;
    Variant variant;
} published[] = {
    /* Qwen2.5 (Instruct, base, Coder, Math), and the same with TRL's marks */
    {"971635fe4d8fe4f20e08d2181ac75460bca92d27710e3a2d9729660e028296a3", CHATML, BOS_NO, true, VARIANT_NONE},
    {"b22ca4e8aa1b194b80322c37cd5bc96c8eda23f5ae650f84a1b62e6a8a082c0d", CHATML, BOS_NO, true, VARIANT_NONE},
    /* Llama 3 (8B and 70B Instruct), and the same with TRL's marks */
    {"c7557361e278e2e07037ee017a42bc1577abf84b4401f9760bed95a4a43b404f", LLAMA3, BOS_YES, false, VARIANT_NONE},
    {"759881f23a24ff878cf362fa9346bd67553a679e49c70af8bca7eebef8d54eb2", LLAMA3, BOS_YES, false, VARIANT_NONE},
    /* zephyr-7b, TinyLlama-1.1B-Chat */
    {"f5141bda9821ef8e4440ed2be3dd5a4bf3e417ccab794ad48548cfa80b33c48b", ZEPHYR, BOS_NO, false, VARIANT_NONE},
    /* Llama 3.1 and 3.3; Llama 3.2 */
    {"2d26ecc2d693c7291491e575bc1925c6ffa5e3afad8567b83193eed968277f64", LLAMA3, BOS_YES, false, VARIANT_DATED},
    {"0fa38437ee6ff8836f1789a1f55754044aec94f995bf939112b8158951b51d21", LLAMA3, BOS_YES, false, VARIANT_DATED},
    /* Qwen3: as first published, and as it is now */
    {"5e120121981247708c84f2ca244271b3c832c2041a90c480eadb4ba7c4eabf58", CHATML, BOS_NO, false, VARIANT_THINKING},
    {"cd14c186bd347b95ba344a2c0ee98dc7a3d3cb38d31f2d322a4dfdb911ebf023", CHATML, BOS_NO, false, VARIANT_THINKING},
    /* Qwen3 Instruct 2507, which does not think */
    {"de99e1ee59f82fba34203d4de862989183c35444f315dfb469efc9447b480d24", CHATML, BOS_NO, false, VARIANT_NONE},
};

static char *find_bytes(const Buf *b, size_t from, const char *what, size_t n) {
    for (size_t i = from; n && i + n <= b->len; i++)
        if (!memcmp(b->data + i, what, n)) return b->data + i;
    return NULL;
}

/* Takes the text between the marks out of the canonical form, everywhere, and returns it; NULL: there is none. */
static char *take_system(Buf *form, const char *before, const char *after) {
    size_t n = strlen(before);
    char *at, *start = form->data, *end;
    do { /* a mark may also stand where something computed follows */
        at = find_bytes(form, (size_t)(start - form->data), before, n);
        if (!at) return NULL;
        start = end = at + n;
        while ((unsigned char)*end > JINJA_HOLE && strncmp(end, after, strlen(after))) end++;
    } while (end == start || strncmp(end, after, strlen(after)));
    char *system = str_copy_n(start, (size_t)(end - start));
    Buf rest = {0};
    size_t from = 0, length = strlen(system);
    while ((at = find_bytes(form, from, system, length)) != NULL) {
        buf_put(&rest, form->data + from, (size_t)(at - form->data) - from);
        buf_char(&rest, JINJA_HOLE);
        from = (size_t)(at - form->data) + length;
    }
    buf_put(&rest, form->data + from, form->len - from);
    buf_free(form);
    *form = rest;
    return system;
}

static bool drop_prefix(Buf *form, const char *program) {
    Buf prefix = {0};
    bool there =
        jinja_canonical(program, strlen(program), &prefix) && form->len >= prefix.len && !memcmp(form->data, prefix.data, prefix.len);
    if (there) {
        form->len -= prefix.len;
        memmove(form->data, form->data + prefix.len, form->len + 1);
    }
    buf_free(&prefix);
    return there;
}

/* The canonical form without what may vary: the default system message, BOS in front, a default for add_generation_prompt. */
static bool canonical(const char *text, Buf *form, char **system, bool *bos) {
    /* {% set system = 'TEXT' %} */
    char set[32] = {0}, quote[] = {JINJA_QUOTE, 0};
    snprintf(set, sizeof set, "%c%%%cset%csystem%c=%c%c", JINJA_TAG, JINJA_NEXT, JINJA_NEXT, JINJA_NEXT, JINJA_NEXT, JINJA_QUOTE);
    if (!jinja_canonical(text, strlen(text), form)) return false;
    drop_prefix(form, "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}");
    *bos = drop_prefix(form, "{{ bos_token }}");
    *system = take_system(form, "<|im_start|>system\n", "<|im_end|>\n");
    if (!*system) *system = take_system(form, set, quote);
    return true;
}

static bool same_form(const Buf *a, const Buf *b) { return a->len == b->len && !memcmp(a->data, b->data, a->len); }

/* Ours, with or without a system message. */
static Chat *recognise_own(const Buf *form, bool system, bool bos) {
    for (int style = 0; style < CHAT_STYLES; style++)
        for (int variant = 0; variant < 2; variant++) {
            Chat *c = chat_new((ChatStyle)style);
            Buf text = {0}, own = {0};
            char *hole = NULL;
            bool own_bos;
            c->bos = bos ? BOS_YES : BOS_NO;
            if (system) chat_set_system(c, "SYSTEM");
            else if (variant) chat_set_system(c, "none");
            chat_jinja(c, false, &text);
            bool same = canonical(text.data, &own, &hole, &own_bos) && same_form(form, &own) && own_bos == bos;
            buf_free(&text), buf_free(&own), mem_free(hole);
            if (same) return c;
            chat_free(c);
        }
    return NULL;
}

/* The length of put_default_system's text in front of a program, and the message in it; 0: there is none. */
static size_t default_system(const char *text, char **system) {
    Buf ours = {0}, quoted = {0};
    put_default_system("", &ours);
    char *hole = strstr(ours.data, "'content': ") + strlen("'content': ''");
    size_t before = (size_t)(hole - ours.data) - 1, at = before;
    if (strncmp(text, ours.data, before)) return buf_free(&ours), 0;
    while (text[at] && text[at] != '\'') at += text[at] == '\\' && text[at + 1] ? 2 : 1;
    bool there = text[at] && !strncmp(text + at, hole - 1, strlen(hole - 1));
    for (size_t i = before; there && i < at; i++) {
        bool escape = text[i] == '\\';
        i += escape;
        buf_char(&quoted, escape && text[i] == 'n' ? '\n' : escape && text[i] == 'r' ? '\r' : text[i]);
    }
    size_t length = there ? at + strlen(hole - 1) : 0;
    if (there) *system = str_copy(quoted.data ? quoted.data : "");
    buf_free(&ours), buf_free(&quoted);
    return length;
}

static Chat *recognise(const char *text, const char *where) {
    Buf form = {0};
    char *system = NULL, *front = NULL, hex[65] = "";
    bool bos = false;
    Chat *c = NULL;
    size_t skip = default_system(text, &front);
    if (canonical(text + skip, &form, &system, &bos)) {
        c = recognise_own(&form, system != NULL, bos);
        sha256_of(form.data, form.len, hex);
        for (size_t i = 0; !c && i < sizeof published / sizeof *published; i++) {
            if (strcmp(published[i].hash, hex)) continue;
            c = chat_new(published[i].style);
            c->bos = bos ? BOS_YES : published[i].bos, c->learn_gap = published[i].learn_gap, c->variant = published[i].variant;
        }
    }
    buf_free(&form);
    if (!c)
        bad_input("%s: this chat template is not one of those known here (%s%s): name the one that the model was trained with by "
                  "--template chatml, llama-3, zephyr, alpaca or plain",
                  where, *hex ? "canonical form " : "it cannot be read", hex);
    chat_set_system(c, front ? front : system);
    mem_free(system), mem_free(front);
    c->source = str_copy(c->variant == VARIANT_NONE ? text : text + skip);
    return c;
}

/* ---- where templates stand ---- */

static char *text_of_file(const char *path) {
    Buf text = os_read(path);
    if (!text.len) bad_input("%s: the file is empty: it should hold a chat template", path);
    if (memchr(text.data, 0, text.len)) bad_input("%s: found a NUL byte: a chat template is text", path);
    char *copy = str_copy(text.data);
    buf_free(&text);
    return copy;
}

/* NULL: the file has no chat_template. */
static char *text_of_config(const char *path) {
    JsonDoc *doc = json_read(path);
    const Json *root = json_root(doc), *t = root->kind == JSON_OBJECT ? json_get(root, "chat_template") : NULL, *text = NULL;
    if (t && t->kind == JSON_STRING) text = t;
    else if (t && t->kind == JSON_ARRAY) {
        for (size_t i = 0; i < t->count; i++) {
            const Json *x = &t->items[i], *name = x->kind == JSON_OBJECT ? json_get(x, "name") : NULL;
            if (name && name->kind == JSON_STRING && (json_is(name, "default") || t->count == 1))
                text = json_need(doc, x, "template", JSON_STRING);
        }
        if (!text)
            bad_input("%s: line %zu: chat_template: none of the templates in the list is called \"default\": name one with --template",
                      path, t->line);
    } else if (t && t->kind != JSON_NULL)
        bad_input("%s: line %zu: chat_template: expected a string or a list of templates, found %s", path, t->line,
                  json_kind_name(t->kind));
    char *copy = text ? str_copy(text->string) : NULL;
    json_free(doc);
    return copy;
}

static char *text_of_gguf(const char *path) {
    Gguf *g = gguf_open(path);
    char *text = gguf_text(g, "tokenizer.chat_template", NULL);
    gguf_close(g);
    return text;
}

/* Where it stands, too: free both. */
static char *text_and_place(const char *dir, char **place) {
    if (gguf_named(dir)) return *place = str_copy(dir), text_of_gguf(dir);
    char *config = os_join(dir, "tokenizer_config.json");
    *place = os_join(dir, "chat_template.jinja");
    if (os_exists(*place)) return mem_free(config), text_of_file(*place);
    mem_free(*place);
    *place = config;
    return os_exists(config) ? text_of_config(config) : NULL;
}

/* NULL: no text, no chat. Takes the text over. */
static Chat *recognise_text(char *text, const char *place) {
    Chat *c = text ? recognise(text, place) : NULL;
    mem_free(text);
    return c;
}

char *chat_text_of(const char *dir) {
    char *place, *text = text_and_place(dir, &place);
    mem_free(place);
    return text;
}

Chat *chat_of_folder(const char *dir) {
    char *place, *text = text_and_place(dir, &place);
    Chat *c = recognise_text(text, place);
    mem_free(place);
    return c;
}

Chat *chat_load(const char *name) {
    static const char *const others[][2] = {
        {"llama3", "llama-3"}, {"llama-3-instruct", "llama-3"}, {"im", "chatml"}, {"none", "plain"}, {"raw", "plain"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(others[i][0], name)) name = others[i][1];
    for (int i = 0; i < CHAT_STYLES; i++)
        if (!strcmp(chat_names[i], name)) return chat_new((ChatStyle)i);
    if (!os_exists(name)) {
        const char *near = nearest_name(name, chat_names, CHAT_STYLES);
        bad_input("--template %s: neither a file nor one of chatml, llama-3, zephyr, alpaca, plain%s%s%s", name,
                  near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    Chat *c = os_is_dir(name) || gguf_named(name) ? chat_of_folder(name)
                                                : recognise_text(str_ends(name, ".json") ? text_of_config(name) : text_of_file(name), name);
    if (!c) bad_input("--template %s: no chat template in it", name);
    return c;
}
