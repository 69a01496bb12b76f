/* chat: a conversation with a model in the terminal.
 *
 *     > Hello                   one line is one message; \ at its end continues it, """ begins and ends one of many lines
 *     > /retry                  another answer;  /system TEXT  /reset  /save FILE  /help  /exit
 *
 * On a terminal a line is edited (line.h), and a pasted one may be of many lines.
 *
 * Each turn the whole conversation is rendered and encoded anew, and of its ids the cache keeps those that it holds already: only what is
 * new is read. A cache that is cut and continued has the bits of one that was filled at once, so answers are the same as without it.
 */
#include "commands.h"
#include "examples.h"
#include "line.h"
#include "opening.h"
#include "os.h"
#include "sample.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Common common;
    ModelFlags model;
    const char *template_name, *system;
    size_t tokens, top_k, ctx;
    double temperature, top_p, min_p, repetition_penalty;
    bool greedy, no_thinking;
} Options;

typedef struct {
    const Options *o;
    const Model *m;
    Tokenizer *tok;
    Chat *chat;
    Encoder *encoder;
    Cache *cache;
    Ids held;                         /* what the cache holds */
    Message *messages;                /* of user and model by turns; the system's is the template's */
    size_t count, room, ctx;
    uint64_t draws;                   /* random numbers used: another answer draws others */
    bool terminal;                    /* to which progress goes */
    Line line;                        /* the editor of messages */
} Talk;

/* ---- the conversation ---- */

static void add_message(Talk *t, Role role, const Buf *text) {
    if (t->count == t->room) t->room = 2 * t->room + 8, t->messages = mem_resize(t->messages, t->room, sizeof *t->messages);
    char *copy = mem_new(text->len + 1, 1);
    memcpy(copy, text->data, text->len);
    t->messages[t->count++] = (Message){.role = role, .text = copy, .length = text->len};
}

/* Takes out the messages from `at` on, n of them. */
static void drop_messages(Talk *t, size_t at, size_t n) {
    for (size_t i = at; i < at + n; i++) mem_free((char *)t->messages[i].text);
    memmove(t->messages + at, t->messages + at + n, (t->count - at - n) * sizeof *t->messages);
    t->count -= n;
}

/* The ids of the conversation up to where the model answers. The oldest turns are left out when an answer finds no room behind them.
 * false: the last message alone is too long, and was taken out. */
static bool encode_talk(Talk *t, TokenRow *prompt) {
    size_t room = t->o->tokens < t->ctx / 4 ? t->o->tokens : t->ctx / 4, dropped = 0;
    for (;; dropped++) {
        Row row = {.kind = ROWS_MESSAGES, .messages = t->messages, .count = t->count, .completion = t->count};
        encode_prompt(t->encoder, NULL, &row, prompt);
        if (prompt->count + room <= t->ctx) break;
        if (t->count == 1) {
            fprintf(stderr, "this message makes %zu tokens, and %zu for an answer find no place in a context of %zu: shorten it\n", prompt->count, room,
                    t->ctx);
            drop_messages(t, 0, 1);
            return false;
        }
        drop_messages(t, 0, 2);
    }
    if (dropped) fprintf(stderr, "the oldest %zu turns are forgotten: the context holds %zu tokens\n", dropped, t->ctx);
    return true;
}

/* ---- an answer ---- */

static void show(void *context, const char *bytes, size_t n) {
    (void)context;
    out_bytes(bytes, n);
    out_flush();
}

/* Brings all but the last id into the cache; what it holds already stays. How many were read. */
static size_t read_prompt(Talk *t, const TokenRow *prompt) {
    enum { PART = 64 };
    real *logits = mem_new(t->m->config.vocab, sizeof *logits);
    size_t most = prompt->count - 1, kept = 0;
    while (kept < most && kept < t->held.count && t->held.data[kept] == prompt->ids[kept]) kept++;
    cache_cut(t->cache, kept);
    t->held.count = kept;
    while (t->held.count < most && !os_interrupted) {
        size_t at = t->held.count, n = most - at < PART ? most - at : PART;
        if (t->terminal && most - kept > PART) fprintf(stderr, "\rreading %zu of %zu tokens", at - kept, most - kept);
        model_decode(t->m, t->cache, prompt->ids + at, n, false, logits);
        for (size_t i = 0; i < n; i++) ids_push(&t->held, prompt->ids[at + i]);
    }
    if (t->terminal && most - kept > PART) fprintf(stderr, "\r\033[K");
    mem_free(logits);
    return t->held.count - kept;
}

static void answer(Talk *t) {
    const Options *o = t->o;
    TokenRow prompt = {0};
    os_interrupted = 0;
    if (!encode_talk(t, &prompt)) {
        token_row_free(&prompt);
        return;
    }
    double started = os_seconds();
    size_t read = read_prompt(t, &prompt);
    double between = os_seconds();
    if (os_interrupted) drop_messages(t, t->count - 1, 1); /* nothing was answered: as if it had not been asked */
    else {
        Writing w = {.draws = t->draws,
                     .options = {.sample = {.temperature = o->greedy ? 0 : o->temperature, .top_k = o->top_k, .top_p = o->top_p, .min_p = o->min_p,
                                            .repetition_penalty = o->repetition_penalty, .seed = (uint32_t)o->common.seed},
                                 .tokens = t->ctx - prompt.count < o->tokens ? t->ctx - prompt.count : o->tokens, .show = show, .cached = t->held.count}};
        for (size_t i = 0; i < prompt.count; i++) ids_push(&w.ids, prompt.ids[i]);
        buf_str(&w.text, "");
        generate_many(t->m, t->tok, t->cache, &w, 1);
        double seconds = os_seconds() - between;
        out_text("\n");
        out_flush();
        for (size_t i = t->held.count; i < cache_length(t->cache); i++) ids_push(&t->held, w.ids.data[i]);
        if (t->terminal)
            fprintf(stderr, "\033[90m%s%zu tokens read in %.1f s, %zu held; %zu written, %.1f a second\033[0m\n",
                    w.reason == STOP_INTERRUPT ? "stopped; " : w.reason == STOP_TOKENS ? "cut (--tokens, --ctx); " : "", read + 1, between - started,
                    prompt.count - read - 1, w.made, (double)w.made / seconds);
        t->draws += w.made + 1;
        add_message(t, ROLE_ASSISTANT, &w.text);
        buf_free(&w.text), ids_free(&w.ids);
    }
    os_interrupted = 0;
    token_row_free(&prompt);
}

/* ---- commands ---- */

static const char help[] = "/retry         another answer to the last message\n"
                           "/system TEXT   the system message from now on; none: without one; no TEXT: shows it\n"
                           "/reset         begin anew\n"
                           "/save FILE     the conversation as a row of JSON, which train reads\n"
                           "/exit          or Ctrl-D\n"
                           "\\ at the end of a line continues it; \"\"\" begins and ends a message of many lines; a first / doubled is one /.\n"
                           "Ctrl-C stops an answer, which stays as far as it came, or drops the message that is typed; twice, it ends the program.\n"
                           "Arrows and the keys of Emacs edit; up and down: messages before; Tab completes a command; what is pasted is one message,\n"
                           "and Alt-Enter begins a line in it.\n";

static void save(const Talk *t, const char *path) {
    char *folder = str_copy(*path ? path : "."), *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
    bool no_folder = slash && slash > folder && !os_is_dir(folder);
    mem_free(folder);
    if (!*path || os_exists(path) || no_folder) {
        fprintf(stderr, "/save FILE: %s\n", !*path ? "name a file" : no_folder ? "there is no such folder" : "it exists: name another");
        return;
    }
    JsonWriter w = {0};
    jw_object(&w, NULL), jw_array(&w, "messages");
    const char *system = chat_system(t->chat);
    for (size_t i = 0; i <= t->count; i++) {
        if (!i && !system) continue;
        const Message *m = i ? &t->messages[i - 1] : &(const Message){.role = ROLE_SYSTEM, .text = system, .length = strlen(system)};
        jw_object(&w, NULL), jw_string(&w, "role", role_name(m->role)), jw_string_n(&w, "content", m->text, m->length), jw_end_object(&w);
    }
    jw_end_array(&w), jw_end_object(&w);
    buf_char(&w.text, '\n');
    Catch c; /* a disk that is full must not end the conversation */
    if (!setjmp(catch_begin(&c)->jump)) {
        os_write_file(path, w.text.data, w.text.len);
        catch_end(&c);
        fprintf(stderr, "%zu messages in %s\n", t->count, path);
    } else fprintf(stderr, "/save: %s; nothing was written, the conversation goes on\n", c.text);
    buf_free(&w.text);
}

static void retry(Talk *t) {
    if (t->count && t->messages[t->count - 1].role == ROLE_ASSISTANT) drop_messages(t, t->count - 1, 1);
    if (t->count) answer(t);
    else fprintf(stderr, "/retry: nothing was asked yet\n");
}

static void set_system(Talk *t, const char *text) {
    if (*text) chat_set_system(t->chat, text);
    fprintf(stderr, "system: %s\n", chat_system(t->chat) ? chat_system(t->chat) : "none");
}

static const char *const names[] = {"/retry", "/system", "/reset", "/save", "/help", "/exit"};

/* false: the conversation ends. */
static bool command(Talk *t, const char *line) {
    size_t n = strcspn(line, " "), i = 0;
    const char *rest = line + n + strspn(line + n, " ");
    char *word = str_format("%.*s", (int)n, line);
    while (i < sizeof names / sizeof *names && strcmp(word, names[i])) i++;
    switch (i) {
    case 0: retry(t); break;
    case 1: set_system(t, rest); break;
    case 2: drop_messages(t, 0, t->count); break;
    case 3: save(t, rest); break;
    case 4: fprintf(stderr, "%s", help); break;
    case 5: break;
    default: {
        const char *near = nearest_name(word, names, sizeof names / sizeof *names);
        fprintf(stderr, "no command %s%s%s: /help lists them\n", word, near ? ", did you mean " : "", near ? near : "");
    }
    }
    mem_free(word);
    return i != 5;
}

/* The next line of a message: edited, where keyboard and screen are there. */
static LineEvent read_line(Talk *t, const char *prompt, Buf *line) {
    bool terminal = t->terminal && os_is_terminal(0);
    LineEvent event = terminal ? line_read(&t->line, prompt, line) : LINE_NONE;
    if (event != LINE_NONE) return event;
    if (terminal) fprintf(stderr, "%s", prompt);
    return os_read_line(line) ? LINE_DONE : LINE_ENDED;
}

/* A message or a command: LINE_DONE; LINE_ENDED: the input has ended; LINE_QUIT. */
static LineEvent read_message(Talk *t, Buf *message) {
    Buf line = {0};
    LineEvent event = LINE_DONE;
    bool there = false, many = false, goes_on = true;
    message->len = 0;
    buf_str(message, "");
    while (goes_on) {
        event = read_line(t, there ? "... " : "> ", &line);
        if (event == LINE_DROPPED) { /* with what came of the message before */
            message->len = 0, there = many = false;
            buf_str(message, "");
            continue;
        }
        if (event != LINE_DONE) break;
        const char *text = line.data;
        bool begins = !there && !strncmp(text, "\"\"\"", 3);
        if (begins) many = true, text += 3 + (text[3] == '\n');
        size_t n = strlen(text);
        bool closes = many && n >= 3 && !strcmp(text + n - 3, "\"\"\""), more = !many && n && text[n - 1] == '\\';
        if (closes) n -= 3;
        if (more) n--;
        goes_on = (many && !closes) || more;
        buf_put(message, text, n);
        if (goes_on && !(begins && !n)) buf_char(message, '\n');
        there = true;
    }
    buf_free(&line);
    if (many && message->len && message->data[message->len - 1] == '\n') message->data[--message->len] = 0;
    return event == LINE_ENDED && there ? LINE_DONE : event;
}

static int run(const Options *o) {
    Talk t = {.o = o, .terminal = os_is_terminal(2), .line = {.words = names, .word_count = sizeof names / sizeof *names}};
    Model *m = open_weights(&o->model, true);
    const char *why;
    Buf message = {0};
    t.m = m;
    t.tok = open_tokenizer(&o->model, m, true);
    t.chat = chat_choose(o->template_name, o->system, template_folder(&o->model), ROWS_MESSAGES, false, t.tok, &why);
    if (o->no_thinking && !chat_set_thinking(t.chat, false)) bad_input("--no-thinking: the template %s knows no thinking: leave it out", chat_name(t.chat));
    end_at_answers(m, t.chat, t.tok);
    t.encoder = encoder_new(t.tok, t.chat, LOSS_COMPLETIONS, m->config.vocab);
    t.ctx = o->ctx && o->ctx < m->config.ctx ? o->ctx : m->config.ctx;
    t.cache = cache_new(m, t.ctx);
    if (t.terminal) fprintf(stderr, "template %s: %s; a context of %zu tokens; /help\n", chat_name(t.chat), why, t.ctx);
    os_catch_interrupts();
    LineEvent event = LINE_DONE;
    for (bool goes_on = true; goes_on && (event = read_message(&t, &message)) == LINE_DONE;) {
        const char *text = message.data;
        if (*text == '/' && text[1] != '/') goes_on = command(&t, text);
        else if (message.len) {
            Buf said = {0};
            size_t skip = *text == '/';
            buf_put(&said, text + skip, message.len - skip);
            add_message(&t, ROLE_USER, &said);
            answer(&t);
            buf_free(&said);
        }
    }
    return event == LINE_QUIT ? EXIT_INTERRUPTED : 0;
}

int cmd_chat(int argc, char **argv) {
    Options o = {.tokens = 512, .ctx = 4096, .temperature = 0.7, .top_p = 0.95, .repetition_penalty = 1, .common = {.seed = 1}};
    Flag flags[] = {
        MODEL_FLAGS(o.model),
        {"--template", FLAG_TEXT, EXECUTION, &o.template_name, 0, 0, "NAME|FILE", "chatml, llama-3, zephyr, alpaca, plain, or a Jinja file", false},
        {"--system", FLAG_TEXT, EXECUTION, &o.system, 0, 0, "TEXT|none", "system message", false},
        {"--no-thinking", FLAG_SWITCH, EXECUTION, &o.no_thinking, 0, 0, NULL, "answers begin with an empty thought (Qwen3)", false},
        {"--tokens", FLAG_SIZE, DEFINING, &o.tokens, 1, 1e9, "N", "at most so many of an answer", false},
        {"--ctx", FLAG_SIZE, EXECUTION, &o.ctx, 0, 4194304, "N", "tokens of the conversation that are kept; 0: the model's context", false},
        {"--temperature", FLAG_REAL, DEFINING, &o.temperature, 0, 100, "X", "0: always the likeliest token", false},
        {"--greedy", FLAG_SWITCH, DEFINING, &o.greedy, 0, 0, NULL, "as --temperature 0", false},
        {"--top-k", FLAG_SIZE, DEFINING, &o.top_k, 0, 1e9, "N", "of the N likeliest; 0: of all", false},
        {"--top-p", FLAG_REAL, DEFINING, &o.top_p, 0, 1, "X", "of the likeliest that make up this probability", false},
        {"--min-p", FLAG_REAL, DEFINING, &o.min_p, 0, 1, "X", "of those at least X times as likely as the likeliest", false},
        {"--repetition-penalty", FLAG_REAL, DEFINING, &o.repetition_penalty, 1e-3, 1e3, "X", "above 1: what stands already becomes less likely", false},
        {"--threads", FLAG_SIZE, EXECUTION, &o.common.threads, 0, 4096, "N", "threads; 0: one a core; any number gives the same bits", false},
        {"--seed", FLAG_SIZE, DEFINING, &o.common.seed, 0, 4294967295.0, "N", "seed of the draws", false}};
    Command c = {.name = "chat", .summary = "talk with a model in the terminal", .usage = "--model DIR [--adapter DIR] [flags]", .flags = flags,
                 .count = sizeof flags / sizeof *flags, .example = "finetune chat --model SmolLM2-135M-Instruct --adapter tuned"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    cli_need(&c, "--model");
    cli_threads(&o.common);
    return run(&o);
}
