/* Ollama: a Modelfile, and in it the chat template once more, as a program for Go's text/template.
 *
 * What Jinja's program renders, Go's renders byte for byte, with what Go's language has: it cannot trim a content (Llama 3's template does) nor
 * look into one (Alpaca's does, for its preamble; Qwen3's takes thoughts out of earlier answers), so contents with white space at their ends,
 * Alpaca's inputs, and thoughts come out otherwise. */
#include "chat_parts.h"

#include <string.h>

/* Text as it stands; "{{" would begin an action. */
static void put_text(Buf *b, const char *text) {
    for (; *text; text++) {
        if (text[0] == '{' && text[1] == '{') buf_str(b, "{{ \"{\" }}");
        else buf_char(b, *text);
    }
}

static void put_turn(Buf *b, const Style *s, const char *role, const char *content, const char *eos) {
    put_text(b, s->open);
    buf_str(b, role);
    put_text(b, s->close), put_text(b, s->gap);
    if (!content) return;
    buf_str(b, content);
    put_text(b, s->end ? s->end : eos), put_text(b, s->after);
}

#define BEGIN "{{ range $i, $m := .Messages }}"
#define UNLESS_SYSTEM "{{ if and (eq $i 0) (ne $m.Role \"system\") }}"

/* Llama 3.1's: its dates begin the system turn, which is always there. Qwen3's: without thoughts in them, answers are ChatML's. */
static void put_turns(Buf *b, const Chat *c, const char *eos) {
    const Style *s = &chat_styles[c->style];
    bool dated = c->variant == VARIANT_DATED;
    buf_str(b, BEGIN);
    if (c->has_system || dated) {
        Buf system = {0};
        put_text(&system, dated ? DATES : "");
        put_text(&system, c->has_system ? c->system : "");
        buf_str(b, UNLESS_SYSTEM), put_turn(b, s, "system", system.data ? system.data : "", eos), buf_str(b, "{{ end }}");
        buf_free(&system);
    }
    put_turn(b, s, "{{ $m.Role }}", dated ? "{{ if and (eq $i 0) (eq $m.Role \"system\") }}" DATES "{{ end }}{{ $m.Content }}" : "{{ $m.Content }}", eos);
    buf_str(b, "{{ end }}");
    put_turn(b, s, "assistant", NULL, eos);
}

static void put_alpaca(Buf *b, const Chat *c, const char *eos) {
    buf_str(b, BEGIN);
    if (c->has_system) buf_str(b, UNLESS_SYSTEM), put_text(b, chat_system(c)), buf_str(b, "\n\n{{ end }}");
    buf_str(b, "{{ if $i }}\n\n{{ end }}{{ if eq $m.Role \"user\" }}### Instruction:\n{{ $m.Content }}{{ else if eq $m.Role \"assistant\" }}"
               "### Response:\n{{ $m.Content }}");
    put_text(b, eos);
    buf_str(b, "{{ else }}{{ $m.Content }}{{ end }}{{ end }}\n\n### Response:\n");
}

static void put_plain(Buf *b, const Chat *c, const char *eos) {
    buf_str(b, BEGIN);
    if (c->has_system) buf_str(b, UNLESS_SYSTEM), put_text(b, c->system), buf_str(b, "{{ end }}");
    buf_str(b, "{{ $m.Content }}{{ if eq $m.Role \"assistant\" }}");
    put_text(b, eos);
    buf_str(b, "{{ end }}{{ end }}");
}

bool chat_begins_with_bos(const Chat *c, const ChatTokens *tokens) {
    return *tokens->bos && (c->bos == BOS_YES || (c->bos == BOS_AS_TOKENIZER && tokens->adds_bos));
}

void chat_go_template(const Chat *c, const ChatTokens *tokens, Buf *out) {
    if (chat_begins_with_bos(c, tokens)) put_text(out, tokens->bos);
    if (c->style == ALPACA) put_alpaca(out, c, tokens->eos);
    else if (c->style == PLAIN) put_plain(out, c, tokens->eos);
    else put_turns(out, c, tokens->eos);
}

/* KEY """TEXT""", as it stands. */
static void put_block(Buf *b, const char *key, const char *text) {
    if (strstr(text, "\"\"\"") || str_ends(text, "\""))
        bad_input("the chat template or its system message holds three quotes or ends in one, which a Modelfile cannot say: choose another with --template");
    buf_format(b, "%s \"\"\"", key), buf_str(b, text), buf_str(b, "\"\"\"\n");
}

void chat_modelfile(const Chat *c, const ChatTokens *tokens, const char *gguf, const char *const *stops, size_t count, Buf *out) {
    Buf template = {0};
    chat_go_template(c, tokens, &template);
    buf_format(out, "FROM ./%s\n", gguf);
    put_block(out, "TEMPLATE", template.data);
    if (chat_system(c)) put_block(out, "SYSTEM", chat_system(c));
    for (size_t i = 0; i < count; i++) {
        buf_str(out, "PARAMETER stop \"");
        for (const char *at = stops[i]; *at; at++) {
            if (*at == '"' || *at == '\\') buf_char(out, '\\');
            buf_char(out, *at);
        }
        buf_str(out, "\"\n");
    }
    buf_free(&template);
}
