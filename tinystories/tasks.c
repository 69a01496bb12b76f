/* tasks: what a model is tuned on after it has read the world: new forms for what it knows, and new facts.
 *
 *     json      what somebody counted as one line of strict JSON            form; words and numbers stand in the text
 *     code      a description as a program of a small language              form; the numbers stand in the description
 *     support   a shop's answers: what a toy costs, in the shop's tone      tone, and forty prices to be learned
 *
 * As with skills, one combination in five is held out (an animal with its number, a start with a first step, a toy with a
 * wording); no training row has one, every test row has. All answers are made of tokens that the world's
 * texts hold: what a model has never written it learns to write with its embedding alone, which an adapter leaves as it is.
 */
#include "world.h"

#include <assert.h>

const char *const task_names[TASKS] = {"json", "code", "support"};

enum { COUNTED = 3 };

static bool json_item(Buf *prompt, Buf *completion, Draw *d) {
    uint32_t word[COUNTED], girl = draw_below(d, 2);
    bool held_out = false;
    put_word(prompt, girl ? "girl" : "boy", draw_below(d, class_size("girl"))), buf_str(prompt, " counted:");
    draw_words(d, "animal", word, COUNTED);
    for (uint32_t i = 0; i < COUNTED; i++) {
        uint32_t number = 1 + draw_below(d, 9);
        buf_str(prompt, i == 0 ? " " : i == 1 ? ", " : " and "), put_word(prompt, "animal", word[i]), buf_format(prompt, " %u", number);
        buf_str(completion, i ? ", \"" : " {\""), put_word(completion, "animal", word[i]), buf_format(completion, "\": %u", number);
        held_out |= (word[i] + number) % 5 == 0;
    }
    buf_str(prompt, ".\nJSON:"), buf_char(completion, '}');
    return held_out;
}

/* Four signs: = sets, + adds, - takes away, * prints. */
static bool code_item(Buf *prompt, Buf *completion, Draw *d) {
    uint32_t start = 1 + draw_below(d, 9), steps = 1 + draw_below(d, 3), first = 0;
    buf_format(prompt, "Task: start with %u", start), buf_format(completion, " = %u;", start);
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t minus = draw_below(d, 2), by = 1 + draw_below(d, 9);
        buf_format(prompt, minus ? ", take away %u" : ", add %u", by);
        buf_format(completion, " %c %u;", minus ? '-' : '+', by);
        if (i == 0) first = by + minus;
    }
    buf_str(prompt, " and print it.\nCode:"), buf_str(completion, " *");
    return (start + 2 * first) % 5 == 0;
}

enum { PRODUCTS = 40 };

static bool support_item(Buf *prompt, Buf *completion, Draw *d) {
    static const char *const ask[][2] = {
        {"How much is the ", "?"}, {"What does the ", " cost?"}, {"I want to buy the ", "."}, {"What is the price of the ", "?"}};
    uint32_t girl = draw_below(d, 2), name = draw_below(d, class_size("girl")), product = draw_below(d, PRODUCTS), form = draw_below(d, 4);
    const char *class = girl ? "girl" : "boy";
    put_word(prompt, class, name), buf_format(prompt, " asks: %s", ask[form][0]);
    put_word(prompt, "toy", product), buf_format(prompt, "%s\nShop:", ask[form][1]);
    buf_str(completion, " The "), put_word(completion, "toy", product), buf_format(completion, " is %u nuts, ", 3 + product * 7 % 16);
    put_word(completion, class, name), buf_str(completion, ". Then you will be happy.");
    return (product + 2 * form) % 5 == 0;
}

void task_item(Buf *prompt, Buf *completion, uint32_t seed, Task task, bool held_out, uint64_t index) {
    assert(index < (uint64_t)1 << 40);
    Draw d = {.seed = seed, .low = (uint64_t)(STREAM_TASKS + task) << 60 | (uint64_t)held_out << 40 | index};
    size_t prompt_start = prompt->len, completion_start = completion->len;
    for (bool found = !held_out; found != held_out;) {
        prompt->len = prompt_start, completion->len = completion_start;
        if (task == TASK_JSON) found = json_item(prompt, completion, &d);
        if (task == TASK_CODE) found = code_item(prompt, completion, &d);
        if (task == TASK_SUPPORT) found = support_item(prompt, completion, &d);
    }
}
