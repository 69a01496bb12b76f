/* lora: adapters: where they sit in a model, their files (PEFT's), and their way into the weights. The arithmetic of a layer that has
 * one stands in linear.h.
 *
 *     y = x W' + b + s (x A') B'      A (r, in), B (out, r)      s = alpha / r, or alpha / sqrt(r) (rsLoRA)
 *     DoRA: y = m/n (x W' + s (x A') B') + b                     n: norms of the rows of W + s B A, constants in backward
 *
 * An adapter's tensors join the model's list of Params, so that what walks the list (AdamW, clipping, checkpoints, the gradient check)
 * needs to know nothing of adapters; the model's own Params are frozen.
 */
#ifndef LORA_H
#define LORA_H

#include "json.h"
#include "model.h"

/* A rank or an alpha for the modules whose names end in what the regular expression `key` matches (PEFT's rank_pattern, alpha_pattern). */
typedef struct {
    char *key;
    double value;
} LoraPattern;

typedef struct {
    size_t rank;
    double alpha, dropout;
    double plus;                      /* LoRA+: learning rate of B over that of A; 0: 1 */
    bool rslora, dora;
    char **targets;                   /* ends of modules' names; or one regular expression for whole names */
    size_t target_count;
    bool targets_regex;
    LoraPattern *ranks, *alphas;
    size_t rank_count, alpha_count;
    int32_t *tokens, *head_tokens;    /* ids whose rows of the embedding, and of a head of its own, are trained too */
    size_t token_count, head_token_count;
    uint32_t seed;
} LoraOptions;

/* "q_proj,v_proj", "all-linear" (all but the head), a whole module's name, or a regular expression. */
void lora_targets(LoraOptions *o, const char *text);

/* "all-linear" as the names of all kinds of Linears, which select the same and are what PEFT's file can say. */
void lora_name_all(Model *m, LoraOptions *o);
/* Whether a module is among the targets, and which selects it. */
bool lora_selects(const LoraOptions *o, const char *module, size_t *which);
/* Adds one module by its whole name (taken over), for adapters whose files name each: the first sets rank and alpha, others differ by pattern. */
void lora_add_module(LoraOptions *o, char *module, size_t rank, double alpha);
void lora_free_options(LoraOptions *o);
/* Trains the rows of these ids, in the embedding and in an untied head. */
void lora_tokens(LoraOptions *o, const Model *m, const int32_t *ids, size_t count);

/* What a model with an adapter knows of it. */
struct Adapter {
    LoraOptions options;
    char *base;                       /* as the user wrote it: base_model_name_or_path */
    char base_hash[65];               /* of the base's tensors; empty: not known */
    Lora *loras;
    Linear **linears;                 /* those that have one, in file order */
    size_t count;
};

/* Adapters on the targets: A uniform in ±1/sqrt(in) by (seed, tensor name, index), B = 0, so the model computes what it did. Everything
 * else is frozen. Before any Pass is made. */
void lora_attach(Model *m, const LoraOptions *o);
/* What is derived from an adapter's tensors: DoRA's norms, the trained rows' copies. After every change of them; optim_update does it. */
void adapter_refresh(Model *m);
void adapter_refresh_rows(Model *m);  /* the second alone */
/* Without and again with its adapter; the base's bits are the base's. */
void adapter_enable(Model *m, bool on);
/* From now on the adapter, its DoRA and its trained rows go this part of their way: 0 is the base, 1 changes nothing. */
void lora_scale(Model *m, double part);
/* lora_scale, then W + s·B A (and DoRA's factors) become the weights, in `real`, and the adapter is taken off. */
void lora_merge(Model *m, double scale);
void adapter_free(Model *m);
/* "model.layers.0.self_attn.q_proj", as PEFT calls it, also where the folder's tensors lack the prefix; free it. */
char *module_name(const Model *m, const Param *w);

/* ---- PEFT's folder: adapter_config.json and adapter_model.safetensors ---- */

/* SHA-256 of a model folder's tensors, or of a llama2.c file. */
void base_hash(const char *model_path, char hex[65]);
/* What a new adapter sits on: recorded in its files, by the name that was given for it. */
void adapter_set_base(Model *m, const char *model_path, const char *name);
/* Attaches the adapter in `dir`, ours or PEFT's, to the model that was read from `model_path`. An adapter that says of what base it is
 * refuses another, unless other_base. Dropout is the folder's; LoRA+ is not recorded: set both for training by lora_training, and the base
 * by adapter_set_base. */
void adapter_load(Model *m, const char *dir, const char *model_path, bool other_base);
void lora_training(Model *m, double dropout, double plus);
/* Both files, into an existing folder. */
void adapter_save(const Model *m, const char *dir);
/* True when the folder holds an adapter. */
bool is_adapter(const char *dir);

#endif
