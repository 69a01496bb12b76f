#include "remedy.h"

#include "hash.h"
#include "lora.h"
#include "os.h"
#include "sample.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

/* ---- self-replay ---- */

enum { TOGETHER = 16 };               /* texts written at a time */

/* Texts of the model as it is, from their beginning, at temperature 1; an end token that it chose belongs to them. */
static Ids *write_texts(const Model *m, Tokenizer *tok, size_t count, size_t tokens, uint32_t seed) {
    Ids *texts = mem_new(count, sizeof *texts), begin = {0};
    if (tok) encode_beginning(tok, "", 0, "a text of --self-replay", &begin);
    else if (m->config.bos >= 0) ids_push(&begin, m->config.bos);
    else bad_input("--self-replay: the model's folder holds no tokenizer, and its config no bos_token_id: no token begins a text");
    size_t most = tokens < m->config.ctx ? tokens : m->config.ctx;
    Cache *cache = cache_new_many(m, most + begin.count, TOGETHER);
    for (size_t at = 0; at < count; at += TOGETHER) {
        Writing writing[TOGETHER];
        size_t n = count - at < TOGETHER ? count - at : TOGETHER;
        for (size_t i = 0; i < n; i++) {
            writing[i] = (Writing){.options = {.sample = {.temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = seed}, .tokens = most, .whole = true},
                                   .draws = (uint64_t)(at + i) << 32};
            for (size_t j = 0; j < begin.count; j++) ids_push(&writing[i].ids, begin.data[j]);
        }
        generate_many(m, tok, cache, writing, n);
        for (size_t i = 0; i < n; i++) {
            int32_t end = m->config.eos_count ? m->config.eos[0] : tok ? tokenizer_eos(tok) : -1;
            texts[at + i] = writing[i].ids;
            if (writing[i].reason == STOP_END && end >= 0) ids_push(&texts[at + i], end);
            buf_free(&writing[i].text);
        }
        fprintf(stderr, "\rtrain: self-replay: %zu of %zu texts", at + n, count);
    }
    fprintf(stderr, "\n");
    cache_free(cache), ids_free(&begin);
    return texts;
}

static void add_text(const void *texts, size_t i, Batch *b) {
    const Ids *ids = (const Ids *)texts + i;
    if (ids->count > 1) batch_add(b, ids->data, ids->data + 1, NULL, ids->count - 1);
}

static Source self_replay(RemedyInputs *in, const RemedyFlags *f, const Model *m, Tokenizer *tok, uint32_t seed) {
    Source s = {.add = add_text};
    Ids *texts = write_texts(m, tok, f->self_replay, f->self_tokens, seed);
    size_t count = 0;
    for (size_t i = 0; i < f->self_replay; i++) { /* one that ended at once teaches nothing */
        if (texts[i].count < 2) continue;
        if (texts[i].count - 1 > s.longest) s.longest = texts[i].count - 1;
        texts[count++] = texts[i];
    }
    if (!count) bad_input("--self-replay: every text that the model wrote ended at once");
    in->texts = texts, in->text_count = s.samples = count, s.self = texts;
    return s;
}

void remedies_save(const RemedyInputs *in, const char *out) {
    if (!in->texts) return;
    char *path = os_join(out, "self-replay.jsonl");
    OsFile *f = os_create(path);
    for (size_t i = 0; i < in->text_count; i++) {
        JsonWriter w = {0};
        jw_object(&w, NULL), jw_array(&w, "input_ids");
        for (size_t j = 0; j < in->texts[i].count; j++) jw_int(&w, NULL, in->texts[i].data[j]);
        jw_end_array(&w), jw_end_object(&w);
        buf_char(&w.text, '\n');
        os_write(f, w.text.data, w.text.len);
        buf_free(&w.text);
    }
    os_commit(f);
    mem_free(path);
}

/* ---- the flags ---- */

static void check_flags(RemedyFlags *f, const Command *c) {
    bool replay = f->replay || f->self_replay;
    if (f->replay && f->self_replay) bad_input("--replay and --self-replay: give one of them");
    if (replay && !(f->replay_ratio > 0)) bad_input("--replay-ratio 0 replays nothing: leave out --replay, or raise it");
    if (!replay && cli_given(c, "--replay-ratio")) bad_input("--replay-ratio belongs to --replay FILE or --self-replay N");
    if (cli_given(c, "--self-replay-tokens") && !f->self_replay) bad_input("--self-replay-tokens belongs to --self-replay N");
    if (!f->ewc != !(f->ewc_lambda > 0)) bad_input("--ewc FILE and --ewc-lambda X above 0 belong together");
    if (f->kl_on && !(f->kl_base > 0)) bad_input("--kl-on belongs to --kl-base WEIGHT");
    if (f->kl_on && !strcmp(f->kl_on, "replay") && !replay) bad_input("--kl-on replay needs --replay FILE or --self-replay N");
    if (!f->kl_on) f->kl_on = replay ? "replay" : "new";
}

/* EWC's Fisher was taken at the weights that tuning begins with, or it says nothing of them. */
static void check_anchor(const Fisher *f, const RemedyFlags *flags, const ModelFlags *model) {
    char base[65], adapter[65] = "";
    base_hash(model->model, base);
    if (model->adapter) hash_path(model->adapter, adapter);
    if (model->other_base || (!strcmp(base, f->base) && !strcmp(adapter, f->adapter))) return;
    bad_input("%s: this Fisher information was taken at %s with the SHA-256 %.12s…; tuning begins at %.12s…: take it there, or add --other-base", flags->ewc,
              strcmp(base, f->base) ? "a model" : "an adapter", strcmp(base, f->base) ? f->base : *f->adapter ? f->adapter : "none",
              strcmp(base, f->base) ? base : *adapter ? adapter : "none");
}

RemedyInputs remedies_open(Remedies *r, RemedyFlags *f, const Command *c, const ModelFlags *flags, Model *m, Tokenizer *tok, size_t ctx, LossKind loss,
                           const char *template_name, const char *system, uint32_t seed) {
    static const char *const places[] = {"new", "replay"};
    RemedyInputs in = {0};
    Fisher *fisher = NULL;
    check_flags(f, c);
    r->kl = f->kl_base;
    r->kl_replay = cli_choice("--kl-on", f->kl_on, places, 2) == 1;
    if (f->replay) {
        Material replay = material_open(f->replay, m, tok, ctx, loss, template_name, system, template_folder(flags));
        r->replay = replay.source;
        memcpy(in.replay_hash, replay.hash, sizeof in.replay_hash);
    } else if (f->self_replay) r->replay = self_replay(&in, f, m, tok, seed);
    if (r->replay.samples) r->share = f->replay_ratio;
    if (f->ewc) {
        fisher = fisher_read(f->ewc, m);
        check_anchor(fisher, f, flags);
        hash_file(f->ewc, in.ewc_hash);
    }
    if (f->ewc || f->l2_sp > 0) r->penalty = penalty_new(m, f->l2_sp, f->ewc_lambda, fisher ? fisher->values : NULL);
    if (f->kl_base > 0) r->teacher = m->adapter ? m : model_load(flags->model, true);
    return in;
}

size_t remedies_outline(Remedies *r, const RemedyFlags *f, const ModelFlags *flags, Model *m) {
    size_t bytes = 0;
    if (f->kl_base > 0) r->kl = f->kl_base, r->teacher = m->adapter ? m : model_outline(flags->model, true);
    for (size_t i = 0; i < m->count; i++) {
        const Param *p = m->params[i];
        if ((f->ewc || f->l2_sp > 0) && !p->frozen && (!p->adapter || flags->adapter)) bytes += param_size(p) * sizeof(real);
        if (f->ewc && !p->adapter) bytes += param_size(p) * sizeof(real);
    }
    return bytes;
}
