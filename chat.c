#include "chat.h"

#include "os.h"
#include "unicode.h"

#include <string.h>

#include "chat_parts.h"
#include "gguf.h"

/* Of the turn styles (chatml, llama-3, zephyr): what stands around the role and the content.
 *
 *     open role close gap content end after            <|im_start|> user . \n Hello <|im_end|> \n
 */
const Style chat_styles[CHAT_STYLES] = {
    [CHATML] = {.open = "<|im_start|>", .close = "", .gap = "\n", .end = "<|im_end|>", .after = "\n"},
    [LLAMA3] = {.open = "<|start_header_id|>", .close = "<|end_header_id|>", .gap = "\n\n", .end = "<|eot_id|>", .after = "",
                .trim = true, .bos = BOS_YES},
    [ZEPHYR] = {.open = "<|", .close = "|>", .gap = "\n", .after = "\n", .role_is_token = true},
    [ALPACA] = {.bos = BOS_AS_TOKENIZER},
    [PLAIN] = {.bos = BOS_AS_TOKENIZER}};
const char *const chat_names[CHAT_STYLES] = {"chatml", "llama-3", "zephyr", "alpaca", "plain"};

/* ---- pieces ---- */

typedef struct {
    Rendering *out;
    bool learn;
} Writer;

static void put(Writer *w, const char *text, size_t n, bool control) {
    Rendering *r = w->out;
    if (!n) return;
    Piece *last = r->count ? &r->pieces[r->count - 1] : NULL;
    if (last && !control && !last->control && last->learn == w->learn) last->length += n;
    else {
        if (r->count == r->room) {
            r->room = 2 * r->room + 32;
            r->pieces = mem_resize(r->pieces, r->room, sizeof *r->pieces);
        }
        r->pieces[r->count++] = (Piece){r->text.len, n, control, w->learn};
    }
    buf_put(&r->text, text, n);
}

static void put_text(Writer *w, const char *text) { put(w, text, strlen(text), false); }
static void put_control(Writer *w, const char *text) { put(w, text, strlen(text), true); }

/* ---- headers ---- */

typedef struct {
    const Message *items;
    size_t count;
} Messages;

static void put_header(Writer *w, const Style *s, Role role, bool learn, bool learn_gap) {
    w->learn = learn;
    if (s->role_is_token) {
        char *token = str_format("%s%s%s", s->open, role_name(role), s->close);
        put_control(w, token);
        mem_free(token);
    } else put_control(w, s->open), put_text(w, role_name(role)), put_control(w, s->close);
    w->learn = learn_gap;
    put_text(w, s->gap);
}

/* ---- what Qwen3 makes of answers ---- */

#define THINK "<think>"
#define THOUGHT "</think>"
#define EMPTY_THOUGHT THINK "\n\n" THOUGHT "\n\n"

typedef struct {
    const char *text;
    size_t length;
} Span;

static Span strip_lines(Span s, bool front, bool back) {
    while (front && s.length && *s.text == '\n') s.text++, s.length--;
    while (back && s.length && s.text[s.length - 1] == '\n') s.length--;
    return s;
}

/* Where `what` stands in s, the first time or the last; s.length: nowhere. */
static size_t find(Span s, const char *what, bool last) {
    size_t n = strlen(what), found = s.length;
    for (size_t i = 0; i + n <= s.length; i++)
        if (!memcmp(s.text + i, what, n)) {
            found = i;
            if (!last) break;
        }
    return found;
}

/* An answer is thought and content; without </think> it is content alone. The thought is what stands before the first </think> and behind
 * the last <think> before that; the content what stands behind the last </think>. */
static void take_apart(Span answer, Span *thought, Span *content) {
    size_t first = find(answer, THOUGHT, false), last = find(answer, THOUGHT, true);
    *thought = (Span){answer.text, 0}, *content = answer;
    if (first == answer.length) return;
    Span before = strip_lines((Span){answer.text, first}, false, true);
    size_t begin = find(before, THINK, true), skip = begin < before.length ? begin + strlen(THINK) : 0;
    *thought = strip_lines((Span){before.text + skip, before.length - skip}, true, false);
    last += strlen(THOUGHT);
    *content = strip_lines((Span){answer.text + last, answer.length - last}, true, false);
}

/* The last message of the user that is not a tool's answer; the last of all when there is none. */
static size_t last_question(const Messages *all) {
    static const char open[] = "<tool_response>", close[] = "</tool_response>";
    for (size_t i = all->count; i-- > 0;) {
        const Message *m = &all->items[i];
        bool tool = m->length >= sizeof open - 1 && !memcmp(m->text, open, sizeof open - 1) && m->length >= sizeof close - 1 &&
                    !memcmp(m->text + m->length - (sizeof close - 1), close, sizeof close - 1);
        if (m->role == ROLE_USER && !tool) return i;
    }
    return all->count - 1;
}

static void put_answer(Writer *w, const Messages *all, size_t i) {
    Span thought, content;
    take_apart((Span){all->items[i].text, all->items[i].length}, &thought, &content);
    if (i > last_question(all) && (i + 1 == all->count || thought.length)) {
        put_text(w, THINK "\n");
        thought = strip_lines(thought, true, true), content = strip_lines(content, true, false);
        put(w, thought.text, thought.length, false);
        put_text(w, "\n" THOUGHT "\n\n");
    }
    put(w, content.text, content.length, false);
}

/* ---- turns ---- */

static void put_turn(Writer *w, const Chat *c, const Messages *all, size_t at, bool header, bool gap, bool content, const ChatTokens *tokens) {
    const Style *s = &chat_styles[c->style];
    const Message *m = &all->items[at];
    const char *text = m->text;
    size_t n = m->length;
    if (s->trim) text_trim(&text, &n);
    put_header(w, s, m->role, header, header || (content && gap));
    w->learn = content;
    if (c->variant == VARIANT_DATED && m->role == ROLE_SYSTEM && !at) put_text(w, DATES);
    if (c->variant == VARIANT_THINKING && m->role == ROLE_ASSISTANT) put_answer(w, all, at);
    else put(w, text, n, false);
    put_control(w, s->end ? s->end : tokens->eos);
    put_text(w, s->after);
}

/* ---- alpaca ---- */

#define INPUT_MARK "\n\n### Input:\n"

const char *alpaca_preamble(bool input) {
    return input ? "Below is an instruction that describes a task, paired with an input that provides further context. Write a response "
                   "that appropriately completes the request."
                 : "Below is an instruction that describes a task. Write a response that appropriately completes the request.";
}

static bool has_input(const Message *m) {
    if (m->input) return true;
    for (const char *at = m->text, *end = m->text + m->length; end - at >= (ptrdiff_t)strlen(INPUT_MARK); at++)
        if (!memcmp(at, INPUT_MARK, strlen(INPUT_MARK))) return true;
    return false;
}

static void put_alpaca(Writer *w, const Chat *c, const Message *m, bool first, bool header, bool content, const ChatTokens *tokens) {
    w->learn = header;
    if (first && m->role != ROLE_SYSTEM && c->has_system) {
        put_text(w, c->system ? c->system : alpaca_preamble(has_input(m)));
        put_text(w, "\n\n");
    } else if (!first) put_text(w, "\n\n");
    if (m->role == ROLE_USER) put_text(w, "### Instruction:\n");
    if (m->role == ROLE_ASSISTANT) put_text(w, "### Response:\n");
    w->learn = content;
    if (m->input) {
        put(w, m->text, m->input - 1, false);
        put_text(w, INPUT_MARK);
        put(w, m->text + m->input, m->length - m->input, false);
    } else put(w, m->text, m->length, false);
    if (m->role == ROLE_ASSISTANT) put_control(w, tokens->eos);
}

/* ---- conversations ---- */

void chat_render(const Chat *c, const Message *messages, size_t count, size_t completion, LossKind loss, bool open,
                 const ChatTokens *tokens, Rendering *out) {
    const Style *s = &chat_styles[c->style];
    Writer w = {.out = out};
    out->text.len = out->count = 0;
    buf_str(&out->text, "");
    if (c->bos == BOS_YES || (c->bos == BOS_AS_TOKENIZER && tokens->adds_bos)) put_control(&w, tokens->bos);
    const Messages all = {messages, count};
    bool dated = c->variant == VARIANT_DATED;
    if ((c->has_system || dated) && c->style != ALPACA && count && messages[0].role != ROLE_SYSTEM) {
        const char *text = c->has_system ? c->system : "";
        const Message system = {.role = ROLE_SYSTEM, .text = text, .length = strlen(text)};
        if (c->style == PLAIN) w.learn = loss == LOSS_ALL, put_text(&w, text);
        else put_turn(&w, c, &(const Messages){&system, 1}, 0, loss == LOSS_ALL, false, loss == LOSS_ALL, tokens);
    }
    for (size_t i = 0; i < count; i++) {
        const Message *m = &messages[i];
        bool answer = completion < count ? i >= completion : m->role == ROLE_ASSISTANT;
        bool content = !m->muted && (answer || loss == LOSS_ALL),
             header = !m->muted && (loss == LOSS_ALL || (completion < count && i > completion));
        if (c->style == ALPACA) put_alpaca(&w, c, m, i == 0, header, content, tokens);
        else if (c->style == PLAIN) {
            w.learn = content;
            put(&w, m->text, m->length, false);
            if (m->role == ROLE_ASSISTANT) put_control(&w, tokens->eos);
        } else put_turn(&w, c, &all, i, header, c->learn_gap && completion >= count, content, tokens);
    }
    w.learn = false;
    if (!open || c->style == PLAIN) return;
    if (c->style == ALPACA) put_text(&w, "\n\n### Response:\n");
    else put_header(&w, s, ROLE_ASSISTANT, false, false);
    if (c->variant == VARIANT_THINKING && c->no_thinking) put_text(&w, EMPTY_THOUGHT);
}

void rendering_free(Rendering *r) {
    buf_free(&r->text), mem_free(r->pieces);
    *r = (Rendering){0};
}

/* ---- tokens ---- */

ChatTokens chat_tokens(const Tokenizer *t) {
    Buf text[2] = {{0}, {0}};
    int32_t ids[2] = {tokenizer_bos(t), tokenizer_eos(t)};
    for (int i = 0; i < 2; i++) {
        buf_str(&text[i], "");
        if (ids[i] >= 0) tokenizer_decode(t, &ids[i], 1, true, &text[i]);
    }
    return (ChatTokens){text[0].data, text[1].data, tokenizer_adds_bos(t)};
}

void chat_tokens_free(ChatTokens *tokens) { mem_free(tokens->bos), mem_free(tokens->eos); }

const char *chat_end(const Chat *c, const ChatTokens *tokens) {
    return chat_styles[c->style].end ? chat_styles[c->style].end : tokens->eos;
}

char *chat_missing(const Chat *c, const Tokenizer *t) {
    const Style *s = &chat_styles[c->style];
    const char *const tokens[] = {s->open, s->close, s->end};
    Buf missing = {0};
    for (size_t i = 0; i < 3 && !s->role_is_token; i++)
        if (tokens[i] && *tokens[i] && tokenizer_id(t, tokens[i]) < 0) buf_format(&missing, "%s%s", missing.len ? ", " : "", tokens[i]);
    return missing.data;
}

/* ---- choosing ---- */

void chat_set_system(Chat *c, const char *text) {
    if (!text) return;
    mem_free(c->system);
    if (c->variant == VARIANT_NONE) mem_free(c->source), c->source = NULL; /* a variant's own program stays, behind one that adds this */
    c->has_system = strcmp(text, "none") != 0;
    c->system = c->has_system ? str_copy(text) : NULL;
}

bool chat_set_thinking(Chat *c, bool on) {
    c->no_thinking = !on;
    return c->variant == VARIANT_THINKING;
}

const char *chat_name(const Chat *c) { return chat_names[c->style]; }
const char *chat_system(const Chat *c) { return c->has_system ? c->system ? c->system : alpaca_preamble(false) : NULL; }

void chat_free(Chat *c) {
    if (!c) return;
    mem_free(c->system), mem_free(c->source), mem_free(c);
}

Chat *chat_new(ChatStyle style) {
    Chat *c = mem_new(1, sizeof *c);
    c->style = style, c->bos = chat_styles[style].bos, c->has_system = style == ALPACA;
    return c;
}

Chat *chat_choose(const char *template_name, const char *system, const char *dir, RowKind kind, bool strings, const Tokenizer *t,
                  const char **why) {
    Chat *c = NULL;
    bool texts = kind == ROWS_CHOICE || (kind == ROWS_PROMPT && strings);
    if (kind == ROWS_TEXT) return *why = "texts are taken as they stand", chat_new(PLAIN);
    *why = "as --template says";
    if (template_name) c = chat_load(template_name);
    else if (texts) c = chat_new(PLAIN), *why = "strings are taken as they stand";
    else if (dir && (os_is_dir(dir) || gguf_named(dir)) && (c = chat_of_folder(dir)) != NULL) *why = "from the model folder";
    else if (kind == ROWS_ALPACA) c = chat_new(ALPACA), *why = "the rows have Alpaca's columns and the model folder has no template";
    else if (tokenizer_id(t, "<|im_start|>") >= 0 && tokenizer_id(t, "<|im_end|>") >= 0)
        c = chat_new(CHATML), *why = "the model folder has no template, but the tokenizer has its tokens";
    else if (tokenizer_id(t, "<|start_header_id|>") >= 0 && tokenizer_id(t, "<|eot_id|>") >= 0)
        c = chat_new(LLAMA3), *why = "the model folder has no template, but the tokenizer has its tokens";
    else c = chat_new(ZEPHYR), *why = "the model folder has no template, and this one needs no tokens but the end of text";
    chat_set_system(c, system);
    return c;
}
