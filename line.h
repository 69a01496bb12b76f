/* line: an editor of the message that is being typed, for a terminal.
 *
 *     > tell me of 日本|               keys -> text, cursor        line_key: a function of the state and a byte
 *                                      text, cursor -> screen      line_draw: what to print over what was drawn before
 *                                      both on the terminal        line_read
 *
 * The text is UTF-8 without control characters, but for tabs and the ends of lines; what comes otherwise is left out, or U+FFFD where it is no UTF-8.
 * A character is what the cursor steps over: a code point with the marks that are drawn on it. A text wider than the window goes on in the next row.
 */
#ifndef LINE_H
#define LINE_H

#include "base.h"

/* LINE_DROPPED: Ctrl-C; LINE_QUIT: the second on an empty line; LINE_ENDED: Ctrl-D on an empty line, or no terminal any more; LINE_NONE: see line_read. */
typedef enum { LINE_GOES_ON, LINE_DONE, LINE_DROPPED, LINE_QUIT, LINE_ENDED, LINE_SUSPENDED, LINE_NONE } LineEvent;

/* All zero but for `words` at first. */
typedef struct {
    const char *const *words;             /* what Tab completes at the beginning */
    size_t word_count;
    Buf text;
    size_t cursor;                        /* bytes before it */
    Buf *history;                         /* one line each; at `at` the one that is shown: history_count is the newest, being typed */
    size_t history_count, history_room, at;
    Buf typed;                            /* the newest, while an older one is shown */
    Buf pending;                          /* bytes of a key that has not wholly come, or of what is being pasted */
    bool pasting, asked;                  /* asked: the key before was Ctrl-C on an empty line */
    bool clear;                           /* the next drawing begins with an empty screen */
    Buf above;                            /* of what was drawn: the widths (size_t) of the rows above the cursor's, */
    size_t column;                        /* and the cursor's column */
    unsigned char input[1024];            /* read from the terminal, and not yet a key */
    size_t input_at, input_end;
} Line;

/* Before each line: empties the text. */
void line_begin(Line *l);
/* The next byte from the keyboard. What ends the line leaves the text as it is. */
LineEvent line_key(Line *l, unsigned char byte);
/* Puts the text into the history. */
void line_remember(Line *l);
/* Appends to out what draws prompt (ASCII) and text over what was drawn before, in a window of so many columns and rows. */
void line_draw(Line *l, const char *prompt, size_t columns, size_t rows, Buf *out);
void line_free(Line *l);

/* Reads a line from the terminal, which is in its normal mode before and after. LINE_NONE: it cannot (os_keys_begin), and nothing was done. */
LineEvent line_read(Line *l, const char *prompt, Buf *text);

#endif
