/* corpus: the pretraining mixture and the files. */
#include "../json.h"
#include "../os.h"
#include "world.h"

#include <assert.h>
#include <string.h>

/* ---- the mixture ---- */

/* Of 64 documents this many are a skill's; the rest are stories, which are longer: about two thirds of the bytes. */
static const uint32_t shares[SKILLS] = {11, 11, 10, 14};
enum { MIXTURE = 64 };

StoryFacts mixture_document(Buf *text, uint32_t seed, uint64_t index) {
    Draw d = {seed, (uint64_t)STREAM_MIXTURE << 60 | index, 0};
    uint32_t at = draw_below(&d, MIXTURE);
    for (int skill = 0; skill < SKILLS; skill++) {
        if (at < shares[skill]) {
            skill_document(text, seed, (Skill)skill, index);
            return (StoryFacts){.hero = -1, .thing = -1, .problem = -1, .fix = -1};
        }
        at -= shares[skill];
    }
    return story_tell(text, seed, SPLIT_TRAIN, index);
}

/* ---- the held-out share, exactly ---- */

/* The probability that an alternative of the rule, told to its end, fills the register. Draws are independent of each other but
 * for the words they avoid, and no rule that fills this register is avoided. */
static double fills(int rule, int reg) {
    const Rule *r = &world()->rules[rule];
    double sum = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        double missing = 1;
        for (const Op *op = r->alts[i].ops; op->kind != OP_END; op++) {
            if (op->kind != OP_RULE && op->kind != OP_SILENT) continue;
            missing *= op->reg == reg ? 0 : op->kind == OP_RULE ? 1 - fills(op->rule, reg) : 1;
        }
        sum += (1 - missing) * r->alts[i].weight;
    }
    return sum / r->total;
}

double story_share(Split split) {
    /* world_held_out: a hero's number is uniform modulo 8 whatever the plot, a toy's modulo 16 whatever the problem */
    double held_out = 1 - (1 - 1.0 / 8) * (1 - fills(0, world()->thing) / 16);
    return split == SPLIT_FULL ? 1 : split == SPLIT_UNSEEN ? held_out : 1 - held_out;
}

/* ---- files ---- */

typedef struct {
    size_t documents, bytes, stories, story_bytes;
    double bits, name_bits;
} Tally;

static void tally_add(Tally *t, const StoryFacts *facts, size_t bytes) {
    t->documents++, t->bytes += bytes;
    if (facts->hero < 0) return;
    t->stories++, t->story_bytes += bytes;
    t->bits += facts->bits, t->name_bits += facts->name_bits;
}

static void put_tally(JsonWriter *w, const char *key, const Tally *t, Split split) {
    jw_object(w, key);
    jw_uint(w, "documents", t->documents), jw_uint(w, "bytes", t->bytes);
    jw_uint(w, "stories", t->stories), jw_uint(w, "story_bytes", t->story_bytes);
    jw_double(w, "story_bits", t->bits), jw_double(w, "story_bits_per_byte", t->bits / (double)t->story_bytes);
    jw_double(w, "share_of_bits_in_names_and_numbers", t->name_bits / t->bits);
    jw_double(w, "share_of_the_full_source", story_share(split));
    jw_end_object(w);
}

static void write_document(OsFile *f, Buf *text) {
    buf_str(text, "\n<|endoftext|>\n");
    os_write(f, text->data, text->len);
    text->len = 0;
}

static Tally write_train(const char *path, uint32_t seed, size_t bytes) {
    OsFile *f = os_create(path);
    Buf text = {0};
    Tally t = {0};
    for (uint64_t i = 0; t.bytes < bytes; i++) {
        StoryFacts facts = mixture_document(&text, seed, i);
        tally_add(&t, &facts, text.len);
        write_document(f, &text);
    }
    os_commit(f);
    buf_free(&text);
    return t;
}

static Tally write_valid(const char *path, const char *rows_path, uint32_t seed, size_t count) {
    OsFile *f = os_create(path), *rows = os_create(rows_path);
    Buf text = {0};
    Tally t = {0};
    for (uint64_t i = 0; i < count; i++) {
        StoryFacts facts = story_tell(&text, seed, SPLIT_UNSEEN, i);
        tally_add(&t, &facts, text.len);
        JsonWriter w = {0};
        jw_object(&w, NULL);
        jw_int(&w, "v", 1), jw_uint(&w, "story", i), jw_uint(&w, "bytes", text.len), jw_double(&w, "bits", facts.bits);
        jw_int(&w, "hero", facts.hero), jw_int(&w, "problem", facts.problem), jw_int(&w, "fix", facts.fix);
        jw_string_n(&w, "text", text.data, text.len);
        jw_end_object(&w), buf_char(&w.text, '\n');
        os_write(rows, w.text.data, w.text.len);
        buf_free(&w.text);
        write_document(f, &text);
    }
    os_commit(f), os_commit(rows);
    buf_free(&text);
    return t;
}

/* Rows {"prompt","completion"}, all prompts different. */
typedef struct {
    OsFile *file;
    char (*seen)[65], (*answers)[65];   /* hashes of the rows written */
    size_t written;
} RowFile;

static RowFile row_file(const char *dir, const char *name, size_t most) {
    char *path = os_join(dir, name);
    RowFile f = {.file = os_create(path), .seen = mem_new(2 * most, sizeof *f.seen)};
    f.answers = f.seen + most;
    mem_free(path);
    return f;
}

static bool row_write(RowFile *f, const Buf *prompt, const Buf *completion) {
    sha256_of(prompt->data, prompt->len, f->seen[f->written]);
    for (size_t i = 0; i < f->written; i++)
        if (!memcmp(f->seen[i], f->seen[f->written], 65)) return false;
    sha256_of(completion->data, completion->len, f->answers[f->written++]);
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_string_n(&w, "prompt", prompt->data, prompt->len), jw_string_n(&w, "completion", completion->data, completion->len);
    jw_end_object(&w), buf_char(&w.text, '\n');
    os_write(f->file, w.text.data, w.text.len);
    buf_free(&w.text);
    return true;
}

/* How often the commonest answer stands in it. */
static size_t row_close(RowFile *f) {
    size_t most = 0;
    for (size_t i = 0; i < f->written; i++) {
        size_t same = 0;
        for (size_t k = 0; k < f->written; k++) same += !memcmp(f->answers[i], f->answers[k], 65);
        if (same > most) most = same;
    }
    os_commit(f->file);
    mem_free(f->seen);
    return most;
}

/* Different items, in the order in which they are drawn; their figures go into the open array. */
static void write_suite(const char *dir, uint32_t seed, Skill skill, size_t count, JsonWriter *figures) {
    char *name = str_format("suite-%s.jsonl", skill_names[skill]);
    RowFile f = row_file(dir, name, count);
    Buf prompt = {0}, completion = {0};
    double chance = 0;
    for (uint64_t i = 0; f.written < count && i < 64 * (uint64_t)count; i++) {
        double item_chance;
        prompt.len = completion.len = 0;
        skill_item(&prompt, &completion, &item_chance, seed, skill, i);
        if (row_write(&f, &prompt, &completion)) chance += item_chance;
    }
    size_t written = f.written, most = row_close(&f);
    jw_object(figures, NULL);
    jw_string(figures, "skill", skill_names[skill]), jw_string(figures, "file", name), jw_uint(figures, "items", written);
    jw_double(figures, "chance", chance / (double)written);
    jw_double(figures, "commonest_answer", (double)most / (double)written);
    jw_end_object(figures);
    mem_free(name), buf_free(&prompt), buf_free(&completion);
}

static void write_task(const char *dir, uint32_t seed, Task task, bool held_out, size_t count, JsonWriter *figures) {
    char *name = str_format("task-%s-%s.jsonl", task_names[task], held_out ? "test" : "train");
    RowFile f = row_file(dir, name, count);
    Buf prompt = {0}, completion = {0};
    for (uint64_t i = 0; f.written < count && i < 64 * (uint64_t)count; i++) {
        prompt.len = completion.len = 0;
        task_item(&prompt, &completion, seed, task, held_out, i);
        row_write(&f, &prompt, &completion);
    }
    jw_object(figures, NULL);
    jw_string(figures, "task", task_names[task]), jw_string(figures, "file", name), jw_uint(figures, "rows", f.written);
    jw_end_object(figures);
    row_close(&f);
    mem_free(name), buf_free(&prompt), buf_free(&completion);
}

static void put_world(JsonWriter *w) {
    jw_object(w, "world");
    jw_uint(w, "words", story_words()), jw_uint(w, "plots", story_plots());
    jw_end_object(w);
}

StoriesSummary stories_write(const char *dir, uint32_t seed, const StoriesSize *size) {
    os_make_dir(dir);
    char *train = os_join(dir, "train.txt"), *valid = os_join(dir, "valid.txt"), *rows = os_join(dir, "valid.jsonl");
    char *figures = os_join(dir, "world.json");
    JsonWriter w = {.pretty = true};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_int(&w, "bits_version", BITS_VERSION), jw_uint(&w, "seed", seed);
    put_world(&w);
    Tally of_train = write_train(train, seed, size->bytes), of_valid = write_valid(valid, rows, seed, size->valid);
    put_tally(&w, "train", &of_train, SPLIT_TRAIN), put_tally(&w, "valid", &of_valid, SPLIT_UNSEEN);
    jw_array(&w, "suites");
    for (int skill = 0; skill < SKILLS; skill++) write_suite(dir, seed, (Skill)skill, size->items, &w);
    jw_end_array(&w), jw_array(&w, "tasks");
    for (int task = 0; task < TASKS; task++) {
        write_task(dir, seed, (Task)task, false, size->rows, &w);
        write_task(dir, seed, (Task)task, true, size->items, &w);
    }
    jw_end_array(&w), jw_end_object(&w), buf_char(&w.text, '\n');
    os_write_file(figures, w.text.data, w.text.len);
    buf_free(&w.text), mem_free(train), mem_free(valid), mem_free(rows), mem_free(figures);
    return (StoriesSummary){of_train.documents, of_train.bytes, of_valid.bits / (double)of_valid.bytes};
}
