/* The story world: rich enough, without ambiguity, its probabilities exact, its held-out combinations held out, its answers right. */
#include "../json.h"
#include "../os.h"
#include "../tinystories/world.h"
#include "scratch.h"
#include "test.h"

/* Of the first 200 documents of the mixture and the first 50 unseen stories with their bits, seed 1. */
static const char golden[] = "5f8bc91d87702bbe7006a7e046b60ec9aa8d5c051ba74cc2a7a7a59b8547fced";

enum { SEED = 1 };

/* ---- the world ---- */

static void test_size(void) {
    const World *w = world();
    CHECK(story_words() >= 1500, "%zu words", story_words());
    CHECK(story_plots() >= 60, "%zu plots", story_plots());
    for (int i = 0; i < w->rule_count; i++) {
        const Rule *r = &w->rules[i];
        CHECK(r->count <= 64, "%.*s has %u alternatives", (int)r->name_len, r->name, r->count);
        for (uint32_t a = 0; a < r->count; a++)
            for (uint32_t b = 0; b < a; b++) {
                const Op *x = r->alts[a].ops, *y = r->alts[b].ops;
                bool same = x->kind == OP_TEXT && y->kind == OP_TEXT && x[1].kind == OP_END && y[1].kind == OP_END && x->len == y->len &&
                            !memcmp(x->text, y->text, x->len);
                CHECK(!same, "%.*s holds \"%.*s\" twice", (int)r->name_len, r->name, (int)x->len, x->text);
            }
    }
}

/* What story_share relies on. */
static void test_even_classes(void) {
    static const struct { const char *rule; uint32_t multiple; } even[] = {{"girl", 8}, {"boy", 8}, {"petshe", 8}, {"pethe", 8}, {"toy", 16}};
    for (size_t i = 0; i < sizeof even / sizeof *even; i++)
        CHECK(world()->rules[world_rule(even[i].rule)].count % even[i].multiple == 0, "%s", even[i].rule);
}

static void test_entropy(void) {
    Buf text = {0};
    double bits = 0, names = 0, least = 1e9;
    size_t bytes = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        StoryFacts f = story_tell(&text, SEED, SPLIT_FULL, i);
        bits += f.bits, names += f.name_bits, bytes += text.len;
        if (f.bits < least) least = f.bits;
        text.len = 0;
    }
    CHECK(bits / (double)bytes >= 0.36 && bits / (double)bytes <= 0.7, "%f bits a byte", bits / (double)bytes);
    CHECK(names / bits > 0.01 && names / bits <= 1.0 / 3, "names and numbers: %f", names / bits);
    CHECK(least > 80, "a story of 2^-%f: there may be fewer than 10^24 of them", least);
    buf_free(&text);
}

/* ---- reading back ---- */

static bool double_bits_equal(double a, double b) { return !memcmp(&a, &b, sizeof a); }

static bool same_facts(const StoryFacts *a, const StoryFacts *b) {
    return double_bits_equal(a->bits, b->bits) && double_bits_equal(a->name_bits, b->name_bits) && a->hero == b->hero && a->thing == b->thing &&
           a->problem == b->problem && a->fix == b->fix;
}

static void test_reading_back(void) {
    Buf text = {0};
    for (uint64_t i = 0; i < 2000; i++) {
        text.len = 0;
        StoryFacts f = story_tell(&text, SEED, i % 2 ? SPLIT_TRAIN : SPLIT_UNSEEN, i);
        StoryReading r = story_read(text.data, text.len);
        CHECK(r.derivations == 1, "%d derivations: %s", (int)r.derivations, text.data);
        CHECK(same_facts(&f, &r.facts), "other facts: %s", text.data);
        CHECK(r.held_out == !(i % 2), "held out: %s", text.data);
    }
    buf_free(&text);
}

static bool reads(const char *text) { return story_read(text, strlen(text)).derivations > 0; }
static bool reads_sentence(const char *text) { return sentence_read(text, strlen(text)); }

/* One word of a story put into place of another. */
static char *with(const char *story, const char *old, const char *new) {
    const char *at = strstr(story, old);
    CHECK(at != NULL, "no \"%s\" in the story", old);
    return at ? str_format("%.*s%s%s", (int)(at - story), story, new, at + strlen(old)) : str_copy(story);
}

static const char a_story[] =
    "Once upon a time, there was an honest sparrow named Dusty. He had a red hat and a blue scarf.\n\n"
    "One calm Sunday, Dusty packed warm waffles and mild rice and raced to the pond. He saw a fancy goat and an old kangaroo by the gray "
    "fence. Then a sly fox took his red kite and ran away. Dusty felt lost and sad.\n\n"
    "Then, a wise king came by with a pink tulip. \"A fox took my kite,\" sighed Dusty. \"I will help you get the kite back,\" said the king. "
    "They shared hot soup and ripe pears, and at last the fox gave back the kite.\n\n"
    "Dusty felt brave and happy. Dusty learned that home is best.";

static void test_refusing(void) {
    CHECK(reads(a_story));
    static const char *const changes[][2] = {
        {"honest", "purple"}, {"an honest", "a honest"},      {"He had", "She had"},   {"a fancy", "an fancy"},   {"his red kite", "her red kite"},
        {"my kite", "my drum"}, {"the king.", "the queen."},  {"fox gave", "goat gave"}, {"Sunday, Dusty", "Sunday, Pip"}, {"the kite.\n\n", "the kite. "},
        {"red hat", "red  hat"}, {"lost and sad", "lost and lost"}, {"home is best.", "home is best"}, {"home is best.", "home is best. "},
        {"Once", "once"}, {"Then a sly", "then a sly"}, {"waffles and mild rice", "rice and mild rice"}, {"old kangaroo", "old sparrow"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *other = with(a_story, changes[i][0], changes[i][1]);
        CHECK(!reads(other), "\"%s\" for \"%s\"", changes[i][1], changes[i][0]);
        mem_free(other);
    }
    for (size_t n = 0; n < strlen(a_story); n++) CHECK(!story_read(a_story, n).derivations, "the first %zu bytes", n);
}

static void test_sentences(void) {
    Buf text = {0};
    size_t sentences = 0;
    for (uint64_t i = 0; i < 30; i++) {
        text.len = 0;
        story_tell(&text, SEED, SPLIT_TRAIN, i);
        for (const char *at = text.data, *end = at + text.len; at < end;) {
            size_t n = sentence_length(at, (size_t)(end - at));
            CHECK(n > 0 && sentence_read(at, n), "%.*s", (int)n, at);
            if (!n) break;
            sentences++, at += n;
            while (at < end && (*at == ' ' || *at == '\n')) at++;
        }
    }
    CHECK(sentences > 300, "%zu", sentences);
    CHECK(sentence_length("One. Two.", 9) == 4 && sentence_length("\"Why?\" asked the owl. No", 24) == 21 && sentence_length("\"Go!\" Then", 10) == 5 &&
          sentence_length("no end", 6) == 0 && sentence_length("One.\n\nTwo", 9) == 4);
    CHECK(reads_sentence("He had a red hat and a blue scarf.") && reads_sentence("Lily gave Tom a red hat and a blue scarf."));
    static const char *const wrong[] = {"He had a red hat and a blue.", "she had a red hat and a blue scarf.", "He had an red hat and a blue scarf.",
                                        "Dusty gave Dusty a red hat and a blue scarf.", "He had a red hat and a blue hat.", "He", ".", "",
                                        "Lily was so happy that he danced.", "Tom was so happy that she danced."};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) CHECK(!reads_sentence(wrong[i]), "\"%s\"", wrong[i]);
    CHECK(reads_sentence("Lily was so happy that she danced.") && reads_sentence("Tom was so happy that he danced."));
    buf_free(&text);
}

/* ---- exact probabilities, on a world small enough to count ---- */

/* Three texts have two derivations: "one fox" by itself and as one + fox, "a cat" and "an owl" as a beast and as a pet. */
static const RuleText small_plots[] = {
    {"story", "{told}"},
    {"told", "{number} {beast}.|{x=number} {number}!|one fox.|{A} {pet}, {x=beast} {beast}{y:=beast} and {y}.|2*{a} {animal}"},
    {"animal", "{beast}|3*{pet}"},
    {"beast", "fox|2*cat|owl"},
    {"pet", "cat|owl|dog"},
    {NULL, NULL},
};
static const RuleText small_words[] = {{"number", "one|3*two"}, {NULL, NULL}};

static void test_exact_probabilities(void) {
    enum { TOLD = 20000, TEXTS_MAX = 400 };
    static struct { char text[48]; double p; int count; } texts[TEXTS_MAX];
    size_t count = 0, ambiguous = 0;
    double sum = 0;
    Buf text = {0};
    world_compile(small_plots, small_words);
    for (uint64_t i = 0; i < TOLD; i++) {
        text.len = 0;
        story_tell(&text, SEED, SPLIT_FULL, i);
        size_t k = 0;
        while (k < count && strcmp(texts[k].text, text.data)) k++;
        if (k == count) {
            StoryReading r = story_read(text.data, text.len);
            snprintf(texts[count++].text, sizeof texts->text, "%s", text.data);
            double p = 1;
            for (double b = r.facts.bits; b > 0;) { /* 2^-bits, by halves and a short series */
                double step = b > 1 ? 1 : b, ln = -step * 0.69314718055994531, term = 1, e = 1;
                for (int n = 1; n < 25; n++) e += term *= ln / n;
                p *= e, b -= step;
            }
            texts[k].p = p, sum += p, ambiguous += r.derivations > 1;
        }
        texts[k].count++;
    }
    CHECK(sum > 1 - 1e-12 && sum < 1 + 1e-12, "the texts' probabilities add to %.17g", sum);
    CHECK(ambiguous >= 3, "%zu texts with two derivations", ambiguous);
    double worst = 0;
    for (size_t k = 0; k < count; k++) {
        double expected = texts[k].p * TOLD, off = (texts[k].count - expected) * (texts[k].count - expected) / expected;
        if (off > worst) worst = off;
    }
    CHECK(worst < 25, "a text is told %f deviations squared off its probability", worst);
    CHECK(count > 40, "%zu texts", count);
    world_compile(world_plots, world_words);
    CHECK(reads(a_story));
    buf_free(&text);
}

/* ---- held-out combinations ---- */

static void test_held_out(void) {
    static bool hero_plot[64][32][8], toy_problem[64][32];
    Buf text = {0};
    for (uint64_t i = 0; i < 12000; i++) {
        StoryFacts f = story_tell(&text, SEED, SPLIT_TRAIN, i);
        hero_plot[f.hero][f.problem][f.fix] = true;
        if (f.thing >= 0) toy_problem[f.thing][f.problem] = true;
        text.len = 0;
    }
    size_t by_hero = 0, by_toy = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        StoryFacts f = story_tell(&text, SEED, SPLIT_UNSEEN, i);
        bool hero = !hero_plot[f.hero][f.problem][f.fix], toy = f.thing >= 0 && !toy_problem[f.thing][f.problem];
        by_hero += hero, by_toy += toy;
        CHECK(hero || toy, "hero %d, problem %d, fix %d, toy %d are all known", f.hero, f.problem, f.fix, f.thing);
        text.len = 0;
    }
    CHECK(by_hero > 1500 && by_toy > 200, "%zu by hero, %zu by toy", by_hero, by_toy);
    size_t full = 0;
    enum { FULL = 8000 };
    for (uint64_t i = 0; i < FULL; i++) {
        text.len = 0;
        StoryFacts f = story_tell(&text, SEED + 1, SPLIT_FULL, i);
        full += (f.hero + 3 * f.problem + 2 * f.fix) % 8 == 0 || (f.thing >= 0 && (f.thing + f.problem) % 16 == 0);
    }
    double share = (double)full / FULL, expected = story_share(SPLIT_UNSEEN);
    CHECK(share > expected - 0.016 && share < expected + 0.016, "%f held out, %f expected", share, expected);
    CHECK(story_share(SPLIT_TRAIN) + expected == 1 && story_share(SPLIT_FULL) == 1);
    buf_free(&text);
}

/* ---- skills: the answers once more, from the text alone ---- */

/* The words of a text, spaces and marks between them. */
typedef struct {
    char word[64][24];
    int count;
} Words;

static Words words_of(const char *text) {
    Words w = {.count = 0};
    while (*text && w.count < 64) {
        size_t skip = strspn(text, " \n.,:?"), n;
        text += skip, n = strcspn(text, " \n.,:?");
        if (n) snprintf(w.word[w.count++], sizeof w.word[0], "%.*s", (int)(n < 23 ? n : 23), text);
        text += n;
    }
    return w;
}

/* What stands in the text between two marks. */
static char *between(const char *text, const char *from, const char *to) {
    const char *start = strstr(text, from), *end = start ? strstr(start + strlen(from), to) : NULL;
    return end ? str_format(" %.*s", (int)(end - start - (ptrdiff_t)strlen(from)), start + strlen(from)) : str_copy("?");
}

/* "Lena has 3 nuts and gets 5 more." and the rest: the two first numbers decide. */
static void check_numbers(const char *prompt, const char *completion) {
    Words w = words_of(prompt);
    int number[2] = {0, 0}, found = 0, answer = atoi(completion);
    for (int i = 0; i < w.count; i++)
        if (w.word[i][0] >= '0' && w.word[i][0] <= '9' && found < 2) number[found++] = atoi(w.word[i]);
    bool minus = strstr(prompt, " minus ") || strstr(prompt, " - ");
    if (strstr(prompt, "after")) CHECK(answer == number[0] + 1, "%s%s", prompt, completion);
    else if (found == 0) CHECK(answer == w.count - 7, "%s%s", prompt, completion); /* Question How many words are here … Answer */
    else CHECK(answer == (minus ? number[0] - number[1] : number[0] + number[1]), "%s%s", prompt, completion);
}

static void check_form(const char *prompt, const char *completion) {
    static const char *const times[] = {"two", "three", "four"};
    Words w = words_of(prompt), a = words_of(completion);
    char *expected = NULL;
    const char *verb = w.word[1], *x = w.word[2];
    if (!strcmp(verb, "Repeat")) expected = between(prompt, "Repeat: ", "\n");
    else if (!strcmp(verb, "Make")) expected = str_format(" 1. %s 2. %s 3. %s", w.word[5], w.word[6], w.word[8]);
    else if (!strcmp(verb, "Put")) {
        static const char *const frames[][2] = {{"stars", "**"}, {"braces", "{}"}, {"brackets", "[]"}, {"quotes", "\"\""}, {"equals", "=="}, {"semicolons", ";;"}};
        for (size_t i = 0; i < sizeof frames / sizeof *frames; i++)
            if (!strcmp(frames[i][0], w.word[4])) expected = str_format(" %c%s%c", frames[i][1][0], x, frames[i][1][1]);
    }
    else if (!strcmp(verb, "Fill")) expected = str_format(" name: %s, color: %s", w.word[6], w.word[8]);
    else if (!strcmp(verb, "Swap")) expected = str_format(" %s and %s", w.word[4], x);
    else {
        int n = 2;
        while (n < 5 && strcmp(times[n - 2], w.word[3])) n++;
        CHECK(n < 5 && a.count == n, "%s%s", prompt, completion);
        for (int i = 0; i < a.count; i++) CHECK(!strcmp(a.word[i], x), "%s%s", prompt, completion);
        return;
    }
    CHECK(expected && !strcmp(expected, completion), "%s%s, not %s", prompt, completion, expected);
    mem_free(expected);
}

static void check_reading(const char *prompt, const char *completion) {
    static const struct { const char *question, *from, *to; } clues[] = {
        {"Where did ", " went to ", " with "}, {" see?", " saw ", "."}, {" eat?", " ate ", "."}, {" find?", " found ", "."},
        {"Who went with ", " with ", "."}, {"Who went to ", "Text: ", " went"}};
    for (size_t i = 0; i < sizeof clues / sizeof *clues; i++) {
        if (!strstr(strstr(prompt, "Question: "), clues[i].question)) continue;
        char *told = between(prompt, clues[i].from, clues[i].to);
        CHECK(!strcmp(told, completion), "%s%s, not%s", prompt, completion, told);
        mem_free(told);
        return;
    }
    CHECK(0, "a question not known to the test: %s", prompt);
}

/* Facts of this table must come out whenever they are asked; opposites must be opposite both ways. */
static void check_words(const char *prompt, const char *completion) {
    static const char *const facts[][2] = {{"opposite of hot?", " cold"}, {"opposite of cold?", " hot"}, {"opposite of big?", " small"}, {"opposite of never?", " always"},
        {"this: carrot?", " vegetable"}, {"this: hammer?", " tool"}, {"this: milk?", " drink"}, {"this: rose?", " flower"}};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (strstr(prompt, facts[i][0])) CHECK(!strcmp(completion, facts[i][1]), "%s%s", prompt, completion);
    if (!strstr(prompt, "Which one")) return;
    const char *first = strstr(prompt, ": ");
    first = strstr(first + 2, ": ");
    CHECK(first && strstr(first, completion), "%s%s", prompt, completion);
}

static void test_suites(void) {
    static void (*const check[SKILLS])(const char *, const char *) = {check_reading, check_words, check_numbers, check_form};
    Buf prompt = {0}, completion = {0}, train = {0};
    for (uint64_t i = 0; i < 4000; i++) mixture_document(&train, SEED, i), buf_str(&train, "\n\n");
    for (int skill = 0; skill < SKILLS; skill++)
        for (uint64_t i = 0; i < 300; i++) {
            double chance;
            prompt.len = completion.len = 0;
            skill_item(&prompt, &completion, &chance, SEED, (Skill)skill, i);
            check[skill](prompt.data, completion.data);
            CHECK(chance > 0 && chance <= 0.5, "%f", chance);
            if (i % 10) continue;
            buf_str(&prompt, completion.data), buf_char(&prompt, '\n');
            CHECK(!strstr(train.data, prompt.data), "in training: %s", prompt.data);
        }
    buf_free(&prompt), buf_free(&completion), buf_free(&train);
}

/* The same checks on training documents: one question each of the first lines. */
static void test_skill_documents(void) {
    static void (*const check[SKILLS])(const char *, const char *) = {check_reading, check_words, check_numbers, check_form};
    Buf text = {0};
    for (int skill = 0; skill < SKILLS; skill++)
        for (uint64_t i = 0; i < 200; i++) {
            text.len = 0;
            skill_document(&text, SEED, (Skill)skill, i);
            char *answer = strstr(text.data, "\nAnswer:") + strlen("\nAnswer:");
            char *completion = str_copy_n(answer, strcspn(answer, "\n"));
            *answer = 0;
            check[skill](text.data, completion);
            mem_free(completion);
        }
    buf_free(&text);
}

/* ---- tasks ---- */

/* "Sara counted: fox 8, owl 9 and deer 5." */
static void check_json(const char *prompt, const char *completion) {
    Words w = words_of(prompt);
    CHECK(w.count == 10 && !strcmp(w.word[1], "counted") && !strcmp(w.word[6], "and"), "%s", prompt);
    char *expected = str_format(" {\"%s\": %s, \"%s\": %s, \"%s\": %s}", w.word[2], w.word[3], w.word[4], w.word[5], w.word[7], w.word[8]);
    CHECK(!strcmp(expected, completion), "%s%s, not%s", prompt, completion, expected);
    JsonDoc *doc = json_parse(completion, strlen(completion), "an answer", 1);
    CHECK(json_root(doc)->kind == JSON_OBJECT && json_root(doc)->count == 3);
    json_free(doc), mem_free(expected);
}

/* "Task: start with 7, add 8, take away 2 and print it." */
static void check_code(const char *prompt, const char *completion) {
    Words w = words_of(prompt);
    Buf expected = {0};
    buf_format(&expected, " = %s;", w.word[3]);
    for (int i = 4; strcmp(w.word[i], "and"); i++) {
        bool minus = !strcmp(w.word[i], "take");
        i += minus ? 2 : 1;
        buf_format(&expected, " %c %s;", minus ? '-' : '+', w.word[i]);
    }
    buf_str(&expected, " *");
    CHECK(!strcmp(expected.data, completion), "%s%s, not%s", prompt, completion, expected.data);
    buf_free(&expected);
}

/* A toy has one price, whoever asks and however. */
static void check_support(const char *prompt, const char *completion) {
    static struct { char toy[32]; int price; } prices[40];
    char *name = str_copy_n(prompt, strcspn(prompt, " ")), *toy = between(completion, " The ", " is");
    int price = atoi(strstr(completion, " is ") + 4), i = 0;
    char *expected = str_format(" The%s is %d nuts, %s. Then you will be happy.", toy, price, name);
    CHECK(!strcmp(expected, completion) && strstr(prompt, toy), "%s%s", prompt, completion);
    while (i < 40 && prices[i].price && strcmp(prices[i].toy, toy)) i++;
    CHECK(i < 40, "more than 40 toys");
    if (i < 40 && !prices[i].price) snprintf(prices[i].toy, sizeof prices[i].toy, "%s", toy), prices[i].price = price;
    CHECK(i < 40 && prices[i].price == price, "%s%s", prompt, completion);
    mem_free(name), mem_free(toy), mem_free(expected);
}

static void test_tasks(void) {
    static void (*const check[TASKS])(const char *, const char *) = {check_json, check_code, check_support};
    Buf prompt = {0}, completion = {0}, train = {0};
    for (int task = 0; task < TASKS; task++) {
        train.len = 0;
        for (uint64_t i = 0; i < 2000; i++) {
            bool held_out = i >= 1000;
            prompt.len = completion.len = 0;
            task_item(&prompt, &completion, SEED, (Task)task, held_out, i);
            check[task](prompt.data, completion.data);
            buf_str(&prompt, completion.data), buf_char(&prompt, '\n');
            if (held_out) CHECK(!strstr(train.data, prompt.data), "in training: %s", prompt.data);
            else buf_put(&train, prompt.data, prompt.len);
        }
    }
    buf_free(&prompt), buf_free(&completion), buf_free(&train);
}

/* ---- files ---- */

static char *read_text(const char *dir, const char *name) {
    char *path = os_join(dir, name);
    Buf b = os_read(path);
    mem_free(path);
    return b.data;
}

static void test_files(void) {
    const char *dir = scratch("stories");
    char *train = os_join(dir, "train.txt"), *valid = os_join(dir, "valid.txt"), *rows = os_join(dir, "valid.jsonl");
    char *figures = os_join(dir, "world.json"), *none = os_join(dir, "none"), *empty = os_join(dir, "empty"), *mixed = os_join(dir, "mixed");
    StoriesSummary s = stories_write(dir, SEED, &(StoriesSize){.bytes = 300000, .valid = 40, .items = 30, .rows = 50});
    CHECK(s.bytes >= 300000 && s.bytes < 302000 && s.valid_bits_per_byte > 0.3 && s.valid_bits_per_byte < 0.5);
    StoriesCheck c = stories_check(valid, train);
    CHECK(c.stories == 40 && c.good_stories == 40 && c.training_stories == 0 && c.sentences > 400 && c.good_sentences == c.sentences);

    char *text = read_text(dir, "train.txt"), *first = strstr(text, "Once upon"), *end = strstr(first, "<|endoftext|>");
    Buf file = {0};
    buf_put(&file, first, (size_t)(end - first)); /* a training story */
    buf_str(&file, "<|endoftext|>\n\n"), buf_str(&file, a_story); /* another story of the world */
    buf_str(&file, "<|endoftext|>He had a red hat and a blue scarf. This is none. He had a red");
    os_write_file(mixed, file.data, file.len);
    c = stories_check(mixed, train);
    CHECK(c.stories == 3 && c.good_stories == 2 && c.training_stories == 1 && c.sentences - c.good_sentences == 1, "%zu %zu %zu %zu %zu", c.stories,
          c.good_stories, c.training_stories, c.sentences, c.good_sentences);
    CHECK(stories_check(mixed, NULL).training_stories == 0);

    JsonDoc *doc = json_read(figures);
    const Json *suites = json_need(doc, json_root(doc), "suites", JSON_ARRAY);
    CHECK(suites->count == SKILLS && json_get(json_get(json_root(doc), "world"), "plots")->integer == (int64_t)story_plots());
    for (size_t i = 0; i < suites->count; i++) {
        char *suite = read_text(dir, json_string(doc, &suites->items[i], "file", ""));
        int64_t lines = 0;
        for (const char *p = suite; *p; p++) lines += *p == '\n';
        CHECK(lines == 30 && json_get(&suites->items[i], "items")->integer == 30);
        mem_free(suite);
    }
    const Json *tasks = json_need(doc, json_root(doc), "tasks", JSON_ARRAY);
    CHECK(tasks->count == 2 * TASKS);
    for (size_t i = 0; i < tasks->count; i++) {
        char *rows_text = read_text(dir, json_string(doc, &tasks->items[i], "file", ""));
        int64_t lines = 0;
        for (const char *p = rows_text; *p; p++) lines += *p == '\n';
        CHECK(lines == (i % 2 ? 30 : 50) && json_get(&tasks->items[i], "rows")->integer == lines, "%d", (int)lines);
        mem_free(rows_text);
    }
    json_free(doc);
    char *row = read_text(dir, "valid.jsonl");
    doc = json_parse(row, strcspn(row, "\n"), "valid.jsonl", 1);
    const Json *story = json_need(doc, json_root(doc), "text", JSON_STRING);
    CHECK(double_bits_equal(story_read(story->string, story->length).facts.bits, json_double(doc, json_root(doc), "bits", 0)));
    json_free(doc);

    os_write_file(empty, "\n\n", 2);
    CHECK_FAILS(EXIT_BAD_INPUT, "no text in it", stories_check(empty, NULL));
    CHECK_FAILS(EXIT_BAD_INPUT, none, stories_check(none, NULL));
    CHECK_FAILS(EXIT_BAD_INPUT, none, stories_check(valid, none));
    os_remove_tree(dir);
    buf_free(&file), mem_free(text), mem_free(row);
    mem_free(train), mem_free(valid), mem_free(rows), mem_free(figures), mem_free(none), mem_free(empty), mem_free(mixed);
}

static void test_get(void) {
#ifdef _WIN32
    SKIP("get.sh: no shell");
#else
    if (!os_exists("tinystories/get.sh")) {
        SKIP("get.sh: not run from the project's folder");
        return;
    }
    const char *dir = scratch("get");
    char *from = os_join(dir, "from"), *to = os_join(dir, "to");
    os_make_dir(from);
    static const char *const names[] = {"TinyStoriesV2-GPT4-train.txt", "TinyStoriesV2-GPT4-valid.txt"};
    Buf text = {0};
    for (int i = 0; i < 20000; i++) buf_format(&text, "Story %d.\n\n<|endoftext|>\nThe end of the story, and a new one.\n", i);
    for (int i = 0; i < 2; i++) {
        char *path = os_join(from, names[i]);
        os_write_file(path, text.data, text.len);
        mem_free(path);
    }
    static const struct { const char *format; int code; } calls[] = {
        {"TINYSTORIES_URL=file://%s sh tinystories/get.sh %s >/dev/null", 0},
        {"TINYSTORIES_URL=file://%s/none sh tinystories/get.sh %s/b >/dev/null 2>&1", 1},
        {"TINYSTORIES_URL=file://%s sh tinystories/get.sh %s/c 1 >/dev/null", 0},
        {"TINYSTORIES_URL=file://%s sh tinystories/get.sh %s/c x >/dev/null 2>&1", 2},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char command[1024];
        snprintf(command, sizeof command, calls[i].format, from, to);
        int status = system(command);
        CHECK(status == calls[i].code << 8, "%s: %d", command, status);
    }
    char *train = read_text(to, "train.txt"), *cut = read_text(to, "c/train.txt"), *valid = read_text(to, "valid.txt");
    CHECK(!strcmp(train, text.data) && !strcmp(valid, text.data));
    CHECK(strlen(cut) > 999900 && strlen(cut) <= 1000000 && str_ends(cut, "<|endoftext|>\n") && str_starts(text.data, cut));
    os_remove_tree(dir);
    buf_free(&text), mem_free(train), mem_free(cut), mem_free(valid), mem_free(from), mem_free(to);
#endif
}

/* ---- bits ---- */

static void test_golden(void) {
    Buf text = {0}, again = {0};
    char hex[65];
    for (uint64_t i = 0; i < 200; i++) mixture_document(&text, SEED, i), buf_char(&text, '\n');
    for (uint64_t i = 0; i < 50; i++) {
        StoryFacts f = story_tell(&text, SEED, SPLIT_UNSEEN, i);
        buf_put(&text, &f.bits, sizeof f.bits);
    }
    sha256_of(text.data, text.len, hex);
    CHECK(!strcmp(hex, golden), "the story world is another one: %s, was %s", hex, golden);
    mixture_document(&again, SEED, 0);
    CHECK(!memcmp(again.data, text.data, again.len), "a document depends on those told before it");
    again.len = 0;
    mixture_document(&again, SEED + 1, 0);
    CHECK(memcmp(again.data, text.data, again.len), "another seed tells the same");
    buf_free(&text), buf_free(&again);
}

TESTS({"size", test_size}, {"even classes", test_even_classes}, {"entropy", test_entropy}, {"reading back", test_reading_back}, {"refusing", test_refusing},
      {"sentences", test_sentences}, {"exact probabilities", test_exact_probabilities}, {"held out", test_held_out}, {"suites", test_suites},
      {"skill documents", test_skill_documents}, {"tasks", test_tasks},
      {"files", test_files}, {"get", test_get}, {"golden", test_golden})
