/* Keys of config.json that no reader asks for. Each is known to leave the arithmetic alone, or says nothing (null, false, nothing in it,
 * words), or is refused: a number or a switch that is not known may be a part of the model that would be left out in silence. */
#include "hf.h"

#include <string.h>

/* Of every class of transformers, of generation, of training elsewhere, and what is beside it in published folders. */
static const char *const harmless[] = {
    "architectures", "attention_dropout", "attn_implementation", "attn_pdrop", "bad_words_ids", "begin_suppress_tokens",
    "chunk_size_feed_forward", "cross_attention_hidden_size", "diversity_penalty", "do_sample", "dtype", "early_stopping",
    "embd_pdrop", "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "gradient_checkpointing", "hidden_dropout",
    "hidden_dropout_prob", "id2label", "ignore_keys_at_rope_validation", "initializer_range", "is_decoder", "is_llama_config",
    "keys_to_ignore_at_inference", "label2id", "layer_norm_epsilon", "length_penalty", "max_length", "max_new_tokens",
    "max_sequence_length", "max_window_layers", "min_length", "model_max_length", "model_type", "neftune_noise_alpha",
    "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_labels", "num_return_sequences", "output_attentions",
    "output_hidden_states", "output_past", "output_scores", "pretraining_tp", "problem_type", "pruned_heads",
    "remove_invalid_values", "reorder_and_upcast_attn", "repetition_penalty", "resid_pdrop", "return_dict",
    "return_dict_in_generate", "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",
    "summary_use_proj", "suppress_tokens", "task_specific_params", "temperature", "tie_word_embeddings", "tokenizer_class", "top_k",
    "top_p", "torch_dtype", "torchscript", "transformers.js_config", "transformers_version", "typical_p", "unsloth_fixed",
    "unsloth_version", "use_bfloat16", "use_cache", "vocab_size", NULL};

static const char *const read_gpt2[] = {"activation_function", "add_cross_attention", "n_ctx", "n_embd", "n_head", "n_inner", "n_layer", "n_positions",
                                        "scale_attn_by_inverse_layer_idx", "scale_attn_weights", NULL};
static const char *const read_llama[] = {"attention_bias", "head_dim", "hidden_act", "hidden_size", "intermediate_size", "layer_types",
                                         "max_position_embeddings", "mlp_bias", "num_attention_heads", "num_hidden_layers", "num_key_value_heads",
                                         "partial_rotary_factor", "rms_norm_eps", "rope_parameters", "rope_scaling", "rope_theta", "sliding_window",
                                         "use_sliding_window", NULL};

static bool among(const char *const *names, const char *name) {
    while (*names && strcmp(*names, name)) names++;
    return *names != NULL;
}

static bool says_nothing(const Json *v) {
    return v->kind == JSON_NULL || v->kind == JSON_STRING || (v->kind == JSON_BOOL && !v->boolean) ||
           ((v->kind == JSON_ARRAY || v->kind == JSON_OBJECT) && !v->count);
}

void hf_check_keys(const JsonDoc *doc, Family family) {
    const Json *root = json_root(doc);
    for (size_t i = 0; i < root->count; i++) {
        const Json *value = &root->items[i];
        const char *key = root->keys[i].string;
        if (*key == '_' || str_ends(key, "_token_id") || says_nothing(value) || among(harmless, key)) continue;
        if (among(family == FAMILY_GPT2 ? read_gpt2 : read_llama, key)) continue;
        if (strstr(key, "expert") || str_starts(key, "moe"))
            bad_input("%s: line %zu: \"%.100s\": mixtures of experts are not supported: take a dense model of this family", json_name(doc), value->line, key);
        if (!strcmp(key, "auto_map"))
            bad_input("%s: line %zu: \"auto_map\": the model brings code of its own, which may change the arithmetic: remove the key from config.json "
                      "if its weights are those of a plain model",
                      json_name(doc), value->line);
        const char *found = value->kind == JSON_NUMBER ? value->string : value->kind == JSON_BOOL ? "true" : json_kind_name(value->kind);
        bad_input("%s: line %zu: \"%.100s\": found %.100s, a setting that is not known here and may change the arithmetic: remove it from config.json "
                  "if the model does without it",
                  json_name(doc), value->line, key, found);
    }
}
