/* Adapters' names and files: targets, patterns, PEFT's folders, checkpoints. */
#include "../pattern.h"
#include "../run.h"
#include "../weights.h"
#include "scratch.h"
#include "small_adapters.h"
#include "test.h"

/* ---- for tests/compare/peft_adapters.py ---- */

static void test_resave(void) {
    const char *model = getenv("RESAVE_MODEL"), *from = getenv("RESAVE_FROM"), *to = getenv("RESAVE_TO");
    if (!model || !from || !to) return;
    Model *m = model_load(model, true);
    adapter_load(m, from, model, false);
    os_make_dir(to);
    adapter_save(m, to);
    CHECK(true);
}

static void test_make(void) {
    const char *model = getenv("MAKE_MODEL"), *to = getenv("MAKE_TO"), *kind = getenv("MAKE_OPTIONS");
    if (!model || !to || !kind) return;
    Model *m = model_load(model, false);
    LoraOptions o = options("all-linear", 5);
    o.rslora = !strcmp(kind, "rslora"), o.dora = !strcmp(kind, "dora"), o.dropout = 0.1;
    if (!strcmp(kind, "tokens")) lora_tokens(&o, m, (const int32_t[]){7, 3}, 2);
    lora_attach(m, &o);
    adapter_set_base(m, model, model);
    model_alloc_training(m, true);
    train(m, 3, 5, false);
    os_make_dir(to);
    adapter_save(m, to);
    CHECK(true);
}

/* ---- targets and patterns ---- */

static size_t targets_count(Config c, const char *targets) {
    LoraOptions o = options(targets, 2);
    return adapted(c, &o)->adapter->count;
}

static void test_targets(void) {
    CHECK(targets_count(llama(), "all-linear") == 14);
    CHECK(targets_count(llama(), "q_proj,v_proj") == 4);
    CHECK(targets_count(llama(), "model.layers.1.mlp.up_proj") == 1);
    CHECK(targets_count(llama(), "mlp.up_proj,self_attn.k_proj") == 4);
    CHECK(targets_count(llama(), ".*layers\\.(0)\\.(self_attn|mlp)\\.(q|k|down)_proj") == 3);
    CHECK(targets_count(gpt2(), "all-linear") == 8);
    CHECK(targets_count(gpt2(), "c_proj") == 4);
    CHECK(targets_count(gpt2(), ".*attn.*") == 4);
    LoraOptions o = options("q_proj,w1", 2);
    CHECK_FAILS(2, "\"w1\" names no Linear", adapted(llama(), &o));
    o = options("lm_head", 2);
    CHECK_FAILS(2, "can have an adapter", adapted(llama(), &o));
    o = options("q_(proj", 2);
    CHECK_FAILS(2, "( without its )", adapted(llama(), &o));
    o = options(".*x", 2);
    CHECK_FAILS(2, "names no Linear", adapted(llama(), &o));
    o = options("q_proj", 2);
    Model *m = adapted(llama(), &o);
    CHECK_FAILS(2, "has an adapter already", lora_attach(m, &o));
    o.alpha = 0;
    CHECK_FAILS(2, "alpha", adapted(llama(), &o));
    o.alpha = 1, o.dropout = 1;
    CHECK_FAILS(2, "--lora-dropout", adapted(llama(), &o));
    o = options("q_proj", 2);
    o.dora = true;
    m = small_model(llama(), true);
    memset((real *)m->blocks[1].qkv[0].w->w + 3 * 8, 0, 8 * sizeof(real));
    CHECK_FAILS(2, "row 3 of its weight is all zero", lora_attach(m, &o));
    /* folders without the prefix: the module's name has it */
    Config bare = gpt2();
    bare.bare_names = true;
    o = options("transformer.h.0.attn.c_attn", 2);
    m = adapted(bare, &o);
    CHECK(m->adapter->count == 1 && model_find(m, "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight"));
}

static void test_rank_patterns(void) {
    LoraOptions o = options("q_proj,o_proj,up_proj", 4);
    LoraPattern ranks[] = {{"q_proj", 2}, {"layers.1.mlp.up_proj", 5}}, alphas[] = {{"layers\\.[0-9]\\.self_attn\\.o_proj", 3}, {"proj", 100}};
    o.ranks = ranks, o.rank_count = 2, o.alphas = alphas, o.alpha_count = 2;
    Model *m = adapted(llama(), &o);
    const Block *b = m->blocks;
    CHECK(b[0].qkv[0].lora->rank == 2 && b[1].qkv[0].lora->rank == 2 && b[0].in[1].lora->rank == 4 && b[1].in[1].lora->rank == 5);
    CHECK(float_bits((float)b[0].out.lora->scale) == float_bits(0.75f), "3/4");
    CHECK(float_bits((float)b[0].qkv[0].lora->scale) == float_bits(4), "\"proj\" is no whole part of q_proj: 8/2");
    o.rslora = true;
    m = adapted(llama(), &o);
    CHECK(float_bits((float)m->blocks[1].out.lora->scale) == float_bits(1.5f), "3/sqrt(4)");
    ranks[0].value = 0;
    CHECK_FAILS(2, "the rank of model.layers.0.self_attn.q_proj", adapted(llama(), &o));
    ranks[0].value = 1.5;
    CHECK_FAILS(2, "the rank of", adapted(llama(), &o));
}

static void test_regex(void) {
    static const struct { const char *regex, *text; bool matches; } cases[] = {
        {"", "", true}, {"", "a", false}, {"abc", "abc", true}, {"abc", "abcd", false}, {"abc", "xabc", false}, {"a.c", "abc", true}, {"a\\.c", "abc", false},
        {"a\\.c", "a.c", true}, {".*", "anything.at.all", true}, {".*x", "aaxbx", true}, {".*x", "aaxb", false}, {"a*", "", true}, {"a+", "", false},
        {"a+b?", "aaa", true}, {"a+b?", "aabb", false}, {"(ab)*", "ababab", true}, {"(ab)*", "aba", false}, {"a|bc|", "", true}, {"a|bc", "bc", true},
        {"(a|b)c", "bc", true}, {"(?:a|b)c", "ac", true}, {"a|bc", "ac", false}, {"[qkv]_proj", "k_proj", true}, {"[^qk]_proj", "k_proj", false},
        {"[a-c0-9]+", "b7a", true}, {"[a-c]+", "bd", false}, {"\\d+\\w", "123_", true}, {"\\d", "x", false}, {"[\\d.]+", "1.2", true}, {"^a$", "a", true},
        {"a^b", "ab", false}, {"(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false}, {"((a*)*)*b", "aaaab", true}, {"x*?y+?", "xxy", true},
        {"[]]", "]", true},
        {"[a-]", "-", true}, {"((a|ab)(c|bcd))(d*)", "abcd", true}, {"()", "", true}, {"(|a)+", "aaa", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(regex_matches(cases[i].regex, cases[i].text, "test") == cases[i].matches, "%s on %s", cases[i].regex, cases[i].text);
    const char *const refused[] = {"a{2,1}", "(?=a)", "(?!a)", "(a", "a)", "[a", "*a", "a|*", "\\1", "\\pq", "a\\", "[z-a]", "(?P<n>a)"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) CHECK_FAILS(2, "is not understood", regex_matches(refused[i], "a", "test"));
    CHECK(name_covers("layers.0", "model.layers.0.mlp") && name_covers("layers.*.mlp", "model.layers.12.mlp.up") && name_covers("*", "a"));
    CHECK(!name_covers("layers.0", "model.layers.01.mlp") && !name_covers("ayers.0", "model.layers.0.mlp"));
    CHECK(!name_covers("layers.*.mlp", "model.layers.1.2.mlp") && !name_covers("*_f", "h.0.mlp.c_fc"));
    CHECK(name_covers("mlp.c_*", "h.0.mlp.c_fc") && name_covers("*_fc", "h.0.mlp.c_fc") && name_covers("c*f*", "h.c_fc"));
    CHECK(name_covers("a*b*c", "x.aabbcc") && name_covers("**.b", "a.b") && name_covers("a*.b", "a.b") && !name_covers("a*b*c", "aabb.c") && !name_covers("*a", "ab"));
    CHECK(!name_covers("****************************b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")); /* in this century */
    CHECK(name_ends("a.b.c", "b.c") && name_ends("a", "a") && !name_ends("xa", "a") && !name_ends("a", "b.a"));
}

/* ---- files ---- */

static const char *saved_base(Config c, Model **m) {
    const char *dir = scratch("base");
    os_remove_tree(dir);
    os_make_dir(dir);
    *m = small_model(c, true);
    model_save(*m, dir);
    return dir;
}

static void check_other_base(const Model *m, const char *dir, const char *whole) {
    ((real *)m->norm_f.w->w)[0] += 1;
    model_save(m, whole);
    CHECK_FAILS(2, "--other-base", adapter_load(model_load(whole, false), dir, whole, false));
    Model *other = model_load(whole, false);
    adapter_load(other, dir, whole, true);
    CHECK(other->adapter != NULL);
}

static void test_round_trip(void) {
    for (int kind = 0; kind < 8; kind++) {
        Model *m;
        bool tied = kind & 2;
        Config c = kind & 1 ? small_llama(23, 12, 8, 2, 4, 2, 4, 12, tied) : small_gpt2(23, 12, 8, 2, 2, 12, tied);
        const char *base = saved_base(c, &m), *dir = scratch("adapter");
        LoraOptions o = options(kind & 4 ? "all-linear" : kind & 1 ? ".*\\.(q|down)_proj" : "c_attn,mlp.c_proj", 3);
        LoraPattern rank = {"mlp.*", 2}, alpha = {".*", 2.5};
        o.dora = kind & 4, o.rslora = kind & 2, o.dropout = 0.05, o.ranks = &rank, o.rank_count = 1, o.alphas = &alpha, o.alpha_count = kind & 1;
        lora_tokens(&o, m, (const int32_t[]){9, 4}, kind >= 4 ? 2 : 0);
        lora_attach(m, &o);
        adapter_set_base(m, base, base);
        move(m);
        Batch b = keyed_batch(&m->config, 4);
        real *logits = logits_of(m, &b);
        os_remove_tree(dir), os_make_dir(dir);
        adapter_save(m, dir);
        CHECK(is_adapter(dir) && !is_adapter(base));
        Model *back = model_load(base, true);
        adapter_load(back, dir, base, false);
        real *again = logits_of(back, &b);
        CHECK(!memcmp(logits, again, b.tokens * m->config.vocab * sizeof *logits), "kind %d: the same logits to the bit", kind);
        CHECK(!strcmp(weights_hash(m, true), weights_hash(back, true)) && back->count == m->count);
        const char *second = scratch("adapter2");
        os_remove_tree(second), os_make_dir(second);
        adapter_save(back, second);
        const char *const files[] = {"adapter_config.json", "adapter_model.safetensors"};
        for (int i = 0; i < 2; i++) {
            Buf x = os_read(os_join(dir, files[i])), y = os_read(os_join(second, files[i]));
            CHECK(x.len == y.len && !memcmp(x.data, y.data, x.len), "kind %d: %s byte for byte", kind, files[i]);
        }
        /* the model's own file has nothing of it */
        const char *whole = scratch("whole");
        char one[65], two[65];
        adapter_enable(m, false);
        os_remove_tree(whole), os_make_dir(whole);
        model_save(m, whole);
        st_tensors_hash(whole, one), st_tensors_hash(base, two);
        CHECK(!strcmp(one, two));
        check_other_base(m, dir, whole);
    }
}

/* Replaces a text in the adapter's config and loads it. */
static void load_changed(const char *from, const char *to) {
    const char *dir = scratch("adapter"), *changed = scratch("changed"), *base = scratch("base");
    os_remove_tree(changed), os_make_dir(changed);
    Buf text = os_read(os_join(dir, "adapter_config.json")), out = {0}, tensors = os_read(os_join(dir, "adapter_model.safetensors"));
    char *at = strstr(text.data, from);
    if (!at) work_failed("no %s in %s", from, text.data);
    buf_put(&out, text.data, (size_t)(at - text.data)), buf_str(&out, to), buf_str(&out, at + strlen(from));
    scratch_file("changed/adapter_config.json", out.data, out.len);
    scratch_file("changed/adapter_model.safetensors", tensors.data, tensors.len);
    adapter_load(model_load(base, true), changed, base, false);
}

static void test_refusals(void) {
    Model *m;
    const char *base = saved_base(llama(), &m), *dir = scratch("adapter");
    LoraOptions o = options("q_proj,down_proj", 3);
    lora_attach(m, &o);
    adapter_set_base(m, base, base);
    os_remove_tree(dir), os_make_dir(dir);
    adapter_save(m, dir);
    load_changed("\"task_type\": \"CAUSAL_LM\"",
                 "\"task_type\": null, \"arrow_config\": null, \"loftq_config\": {}, \"target_parameters\": [], \"use_qalora\": false");
    load_changed("\"target_modules\": [", "\"target_modules\": [\"lm_head\", ");
    load_changed("\"layers_to_transform\": null", "\"layers_to_transform\": [0, 1]");
    static const struct { const char *from, *to, *words; } cases[] = {
        {"\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]", "\"modules_to_save\" is set"},
        {"\"revision\": null", "\"use_qalora\": true", "\"use_qalora\" is set"},
        {"\"revision\": null", "\"layer_replication\": [[0, 1]]", "\"layer_replication\" is set"},
        {"\"revision\": null", "\"megatron_config\": {\"a\": 1}", "\"megatron_config\" is set"},
        {"\"revision\": null", "\"something_new\": 1", "\"something_new\" is set"},
        {"\"bias\": \"none\"", "\"bias\": \"all\"", "expected \"none\""},
        {"\"LORA\"", "\"IA3\"", "expected \"LORA\""},
        {"\"peft_type\": \"LORA\",", "", "peft_type"},
        {"\"CAUSAL_LM\"", "\"SEQ_CLS\"", "expected \"CAUSAL_LM\""},
        {"\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\"", "convert the adapter"},
        {"\"r\": 3", "\"r\": 4", "shape [3, 8], expected [4, 8]"},
        {"\"r\": 3", "\"r\": 0", "r"},
        {"\"use_dora\": false", "\"use_dora\": true", "lora_magnitude_vector is missing"},
        {"\"down_proj\"", "\"o_proj\"", "is among the target_modules, but adapter_model.safetensors holds no tensors of it"},
        {"\"down_proj\"", "\"x_proj\"", "is not among the target_modules, but adapter_model.safetensors holds tensors of it"},
        {"\"target_modules\"", "\"exclude_modules\"", "no \"target_modules\""},
        {"\"rank_pattern\": {}", "\"rank_pattern\": {\"q_proj\": \"2\"}", "a number for every name"},
        {"\"rank_pattern\": {}", "\"rank_pattern\": {\"(?=q)\": 2}", "is not understood"},
        {"\"revision\": null", "\"trainable_token_indices\": [23]", "token ids of the model"},
        {"\"revision\": null", "\"trainable_token_indices\": [2, 2]", "no id twice"},
        {"\"revision\": null", "\"trainable_token_indices\": {\"lm_head\": [2]}", "which is the head too"},
        {"\"revision\": null", "\"trainable_token_indices\": [2]", "trainable_tokens_delta is missing"},
        {"{", "[", "adapter_config.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) CHECK_FAILS(2, cases[i].words, load_changed(cases[i].from, cases[i].to));
    CHECK_FAILS(2, "no adapter_config.json", adapter_load(m, base, base, false));
    /* a tensor too many; one not finite */
    Param *more = model_add_param(m, str_copy("base_model.model.model.embed_tokens.weight"), 2, 23, 8);
    more->adapter = true, more->w = random_reals(23 * 8, 1);
    adapter_save(m, dir);
    CHECK_FAILS(2, "embed_tokens.weight is no part of the adapter", load_changed("{", "{"));
    more->adapter = false;
    ((real *)m->blocks[0].down.lora->b->w)[1] = (real)bits_float(0x7F800000u);
    adapter_save(m, dir);
    CHECK_FAILS(2, "NaN or infinite", load_changed("{", "{"));
    remove(os_join(dir, "adapter_model.safetensors"));
    CHECK_FAILS(2, "missing", adapter_load(model_load(base, true), dir, base, false));
}

/* ---- checkpoints ---- */

static void test_checkpoint(void) {
    Model *m, *n;
    const char *base = saved_base(llama(), &m), *out = scratch("run");
    os_remove_tree(out);
    LoraOptions o = options("all-linear", 2);
    o.dora = true, o.dropout = 0.1, o.plus = 4;
    lora_tokens(&o, m, (const int32_t[]){8}, 1);
    lora_attach(m, &o);
    adapter_set_base(m, base, base);
    model_alloc_training(m, true);
    train(m, 2, 2, false);
    Buf settings = {0};
    buf_str(&settings, "{}\n");
    Run *r = run_open(out, &settings, false, false);
    State s = {.step = 2}, t = {0};
    checkpoint_save(r, m, &s);
    CHECK(os_exists(os_join(checkpoint_path(r, 2), "adapter_model.safetensors")) && !os_exists(os_join(checkpoint_path(r, 2), "model.safetensors")));
    checkpoint_publish(r, m, NULL, 2, STORED_REAL);
    CHECK(is_adapter(out) && os_exists(os_join(out, "adapter_model.safetensors")) && !os_exists(os_join(out, "config.json")));
    run_close(r);
    n = model_load(base, false);
    lora_attach(n, &o);
    adapter_set_base(n, base, base);
    model_alloc_training(n, true);
    r = run_open(out, &settings, true, false);
    CHECK(checkpoint_load(r, n, &t) && t.step == 2);
    run_close(r);
    CHECK(!strcmp(weights_hash(m, true), weights_hash(n, true)));
    random_draws = 50, train(m, 2, 2, false);
    random_draws = 50, train(n, 2, 2, false);
    CHECK(!strcmp(weights_hash(m, true), weights_hash(n, true)), "goes on with the same bits");
    Model *back = model_load(base, true);
    adapter_load(back, out, base, false);
    CHECK(back->adapter->count == 14);
}

TESTS({"resave", test_resave}, {"make", test_make}, {"targets", test_targets}, {"rank and alpha patterns", test_rank_patterns},
      {"regular expressions and names", test_regex}, {"files there and back", test_round_trip}, {"refused folders", test_refusals},
      {"checkpoints", test_checkpoint})
