/* chat_parts: what chat.c (rendering) and chat_template.c (the Jinja programs) share. */
#ifndef CHAT_PARTS_H
#define CHAT_PARTS_H

#include "chat.h"

typedef enum { CHATML, LLAMA3, ZEPHYR, ALPACA, PLAIN } ChatStyle;
/* Published templates that put something of their own into the turns of a style:
 *     DATED     Llama 3.1 to 3.3: a system turn always, which begins with two dates
 *     THINKING  Qwen3: an answer behind the last question has its <think> … </think> in front, earlier answers lose theirs */
typedef enum { VARIANT_NONE, VARIANT_DATED, VARIANT_THINKING } Variant;
/* The template asks for the day on which it is rendered; without a clock it says this one, and so do we: the same bits every day. */
#define DATES "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
typedef enum { BOS_NO, BOS_YES, BOS_AS_TOKENIZER } BosRule;

typedef struct {
    const char *open, *close, *gap;   /* around the role, and before the content */
    const char *end, *after;          /* end NULL: the tokenizer's EOS */
    bool role_is_token;               /* open, role and close are one token */
    bool trim;                        /* contents lose the white space at their ends */
    BosRule bos;
} Style;
extern const Style chat_styles[CHAT_STYLES];

struct Chat {
    ChatStyle style;
    BosRule bos;
    Variant variant;
    bool no_thinking;                 /* THINKING: an answer begins with an empty thought */
    bool has_system;                  /* one is put in front where there is none */
    char *system;                     /* alpaca: NULL is its own preamble */
    bool learn_gap;                   /* the line break in front of an answer is learned, too (TRL's reading of Qwen2.5's) */
    char *source;                     /* the program that was read; NULL: made here or changed since */
};

Chat *chat_new(ChatStyle style);
const char *alpaca_preamble(bool input);

#endif
