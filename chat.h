/* chat: how a conversation becomes the one text that a model reads.
 *
 *     chatml     <|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi<|im_end|>\n
 *     llama-3    <|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>…
 *     zephyr     <|user|>\nHello</s>\n<|assistant|>\nHi</s>\n
 *     alpaca     Below is an instruction … ### Instruction:\nHello\n\n### Response:\nHi</s>
 *     plain      HelloHi</s>
 *
 * Models bring theirs as a Jinja program. No program is run here: it is recognised by its canonical form (jinja.h), or refused.
 * What is written beside a tuned model is such a program again, and renders in transformers to the same bytes.
 *
 * The text comes in pieces. Control pieces are the template's own special tokens; whatever a user typed is text, even if it reads
 * like one. Learned pieces are what the model shall learn to write: of each assistant message its content, the end token, and the
 * line break behind it where the template has one.
 */
#ifndef CHAT_H
#define CHAT_H

#include "rows.h"
#include "tokenizer.h"

typedef struct Chat Chat;

enum { CHAT_STYLES = 5 };
extern const char *const chat_names[CHAT_STYLES];

/* --template: one of the names, or a file (Jinja, or a tokenizer_config.json). */
Chat *chat_load(const char *name_or_file);
/* Of a model folder's chat_template.jinja or tokenizer_config.json; NULL: it has none. One that is not known: bad_input. */
Chat *chat_of_folder(const char *dir);
void chat_free(Chat *c);
/* --system: the text that stands in front where a conversation has no system message of its own; "none": nothing does. NULL: as
 * the template has it. */
void chat_set_system(Chat *c, const char *text);
const char *chat_name(const Chat *c);
/* Of a template that knows thinking (Qwen3): false ends the prompt with an empty thought, as enable_thinking=False does. The others have
 * none: false is returned. */
bool chat_set_thinking(Chat *c, bool on);
/* NULL: none. */
const char *chat_system(const Chat *c);

/* The template for a file of rows. template_name, system: the flags, or NULL. Texts are always plain, without a system message.
 * Without --template: strings are plain; else the folder's own; else Alpaca rows are alpaca; else chatml or llama-3 if the tokenizer
 * has their tokens; else zephyr. why: for the user, such as "from the model folder". dir may be NULL. */
Chat *chat_choose(const char *template_name, const char *system, const char *dir, RowKind kind, bool strings, const Tokenizer *t,
                  const char **why);

/* The special tokens that templates speak of. */
typedef struct {
    char *bos, *eos;                  /* "": none */
    bool adds_bos;                    /* the tokenizer puts BOS in front of every text */
} ChatTokens;
ChatTokens chat_tokens(const Tokenizer *t);
void chat_tokens_free(ChatTokens *tokens);

/* The text that ends an assistant's turn. */
const char *chat_end(const Chat *c, const ChatTokens *tokens);
/* Of the template's own tokens those that are none in this vocabulary, as "<|im_start|>, <|im_end|>"; NULL: none. They are then
 * written as text. Free it. */
char *chat_missing(const Chat *c, const Tokenizer *t);

typedef enum { LOSS_COMPLETIONS, LOSS_ALL } LossKind;

typedef struct {
    size_t at, length;                /* in the text */
    bool control, learn;
} Piece;
typedef struct {
    Buf text;
    Piece *pieces;
    size_t count, room;
} Rendering;

/* Replaces what is in out. Messages from `completion` on are all learned but for the header of the first; completion == count:
 * those of the assistant are. open: the text ends where the assistant begins to write. */
void chat_render(const Chat *c, const Message *messages, size_t count, size_t completion, LossKind loss, bool open,
                 const ChatTokens *tokens, Rendering *out);
void rendering_free(Rendering *r);

/* A folder's template, or a GGUF file's, whether it is known here or not; NULL: it has none. Free it. */
char *chat_text_of(const char *dir);

/* Ollama (chat_ollama.c): a Modelfile beside a .gguf of this name, with a stop for each end token. */
void chat_modelfile(const Chat *c, const ChatTokens *tokens, const char *gguf, const char *const *stops, size_t count, Buf *out);
/* The program in it, and whether what it renders begins with BOS. */
void chat_go_template(const Chat *c, const ChatTokens *tokens, Buf *out);
bool chat_begins_with_bos(const Chat *c, const ChatTokens *tokens);

/* The Jinja program: the one that was read if nothing in it was changed. */
void chat_jinja(const Chat *c, bool adds_bos, Buf *out);
/* Writes chat_template.jinja, which transformers prefers to what tokenizer_config.json says. */
void chat_save(const Chat *c, const Tokenizer *t, const char *dir);

#endif
