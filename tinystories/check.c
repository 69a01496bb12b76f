/* check: how rich the world is, and what stories that a model wrote are worth. */
#include "../os.h"
#include "world.h"

#include <assert.h>
#include <string.h>

/* ---- the world's size ---- */

typedef struct {
    bool reached[RULES_MAX];
    char (*words)[24];      /* sorted */
    size_t count;
} Lexicon;

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '\''; }

static void add_word(Lexicon *l, const char *text, size_t len) {
    char word[24] = {0};
    assert(len < sizeof word);
    for (size_t i = 0; i < len; i++) word[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(l->words[middle], word);
        if (order == 0) return;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    l->words = mem_resize(l->words, l->count + 1, sizeof *l->words);
    memmove(l->words + low + 1, l->words + low, (l->count - low) * sizeof *l->words);
    memcpy(l->words[low], word, sizeof word);
    l->count++;
}

static void add_words(Lexicon *l, const char *text, size_t len) {
    for (size_t i = 0, end; i < len; i = end) {
        end = i + 1;
        if (!is_letter(text[i])) continue;
        while (end < len && is_letter(text[end])) end++;
        add_word(l, text + i, end - i);
    }
}

static void reach(Lexicon *l, int rule) {
    if (l->reached[rule]) return;
    l->reached[rule] = true;
    const Rule *r = &world()->rules[rule];
    for (uint32_t i = 0; i < r->count; i++)
        for (const Op *op = r->alts[i].ops; op->kind != OP_END; op++) {
            if (op->kind == OP_TEXT) add_words(l, op->text, op->len);
            if (op->kind == OP_RULE || op->kind == OP_SILENT) reach(l, op->rule);
            if (op->kind == OP_ARTICLE) add_word(l, "a", 1), add_word(l, "an", 2);
            if (op->kind == OP_PRONOUN)
                for (int gender = SHE; gender <= HE; gender++) {
                    const char *word = world_pronoun(gender, op->pronoun);
                    add_word(l, word, strlen(word));
                }
        }
}

size_t story_words(void) {
    Lexicon l = {.words = mem_new(1, sizeof *l.words)};
    reach(&l, 0);
    mem_free(l.words);
    return l.count;
}

/* A problem's rule draws its way out into the register `fix`. */
static size_t ways_out(int rule) {
    const World *w = world();
    size_t count = 0;
    for (uint32_t i = 0; i < w->rules[rule].count; i++)
        for (const Op *op = w->rules[rule].alts[i].ops; op->kind != OP_END; op++) {
            if (op->kind != OP_RULE) continue;
            count += op->reg == w->fix ? w->rules[op->rule].count : ways_out(op->rule);
        }
    return count;
}

size_t story_plots(void) { return ways_out(0); }

/* ---- generated stories ---- */

static const char separator[] = "<|endoftext|>";

/* The next document of a file, newlines at both ends dropped; false at the end. */
static bool next_document(const char **at, const char *end, const char **text, size_t *len) {
    while (*at < end) {
        const char *start = *at, *stop = start;
        for (;; stop++) { /* '<' by '<' */
            stop = memchr(stop, '<', (size_t)(end - stop));
            if (!stop || (size_t)(end - stop) < sizeof separator - 1) {
                stop = end;
                break;
            }
            if (!memcmp(stop, separator, sizeof separator - 1)) break;
        }
        *at = stop < end ? stop + sizeof separator - 1 : end;
        while (start < stop && *start == '\n') start++;
        while (stop > start && stop[-1] == '\n') stop--;
        *text = start, *len = (size_t)(stop - start);
        if (*len) return true;
    }
    return false;
}

typedef struct {
    unsigned char hash[32];
} Print;

static Print print_of(const char *text, size_t len) {
    Print p;
    Sha256 s;
    sha256_begin(&s), sha256_add(&s, text, len), sha256_end(&s, p.hash);
    return p;
}

static int compare_prints(const void *a, const void *b, const void *context) {
    (void)context;
    return memcmp(a, b, sizeof(Print));
}

static Print *read_prints(const char *file, size_t *count) {
    OsMap map = os_map(file);
    const char *at = (const char *)map.data, *end = at + map.size, *text;
    Print *prints = NULL;
    size_t len, room = 0;
    *count = 0;
    while (next_document(&at, end, &text, &len)) {
        if (*count == room) prints = mem_resize(prints, room = room ? 2 * room : 1024, sizeof *prints);
        prints[(*count)++] = print_of(text, len);
    }
    os_unmap(&map);
    sort_stable(prints, *count, sizeof *prints, compare_prints, NULL);
    return prints;
}

static bool is_known(const Print *prints, size_t count, Print p) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memcmp(&prints[middle], &p, sizeof p);
        if (order == 0) return true;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return false;
}

static void check_sentences(StoriesCheck *c, const char *text, size_t len) {
    while (len) {
        size_t skip = strspn(text, " \n") < len ? strspn(text, " \n") : len;
        text += skip, len -= skip;
        size_t n = sentence_length(text, len);
        if (!n) return;
        c->sentences++, c->good_sentences += sentence_read(text, n);
        text += n, len -= n;
    }
}

/* A skill's document of the mixture is no story, and is not judged as one. */
static bool is_skill_document(const char *text, size_t len) {
    static const char *const begins[] = {"Question:", "Text:", "Instruction:"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (len >= strlen(begins[i]) && !memcmp(text, begins[i], strlen(begins[i]))) return true;
    return false;
}

StoriesCheck stories_check(const char *file, const char *train) {
    size_t known = 0, len;
    Print *prints = train ? read_prints(train, &known) : NULL;
    Buf samples = os_read(file);
    const char *at = samples.data, *text;
    StoriesCheck c = {0};
    while (samples.len && next_document(&at, samples.data + samples.len, &text, &len)) {
        if (is_skill_document(text, len)) continue;
        c.stories++;
        c.good_stories += story_read(text, len).derivations > 0;
        if (train) c.training_stories += is_known(prints, known, print_of(text, len));
        check_sentences(&c, text, len);
    }
    if (!c.stories) bad_input("%s: no text in it; expected stories with <|endoftext|> between them", file);
    buf_free(&samples), mem_free(prints);
    return c;
}
