/* What llama.cpp makes of a file; llamacpp.py builds and starts it.
 *
 *     llamacpp MODEL.gguf TEXT OUT.bin [LORA.gguf]      OUT: i32 tokens, i32 vocabulary, ids, logits [tokens, vocabulary]
 *
 * Prints the ids that end an answer, and a small conversation as the file's chat template has it. The KV cache is F32, without flash attention. */
#include "llama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void quiet(enum ggml_log_level level, const char *text, void *data) {
    (void)data;
    if (level == GGML_LOG_LEVEL_ERROR || level == GGML_LOG_LEVEL_WARN) fputs(text, stderr);
}

static void die(const char *what) {
    fprintf(stderr, "llamacpp: %s\n", what);
    exit(1);
}

static void print_chat(const struct llama_model *model) {
    static const struct llama_chat_message messages[] = {{"system", "Be short."}, {"user", "Hello"}, {"assistant", "Hi"}, {"user", "Bye"}};
    char text[4096];
    const char *template = llama_model_chat_template(model, NULL);
    int n = template ? llama_chat_apply_template(template, messages, 4, true, text, sizeof text) : 0;
    printf("chat %d\n", n);
    fwrite(text, 1, n > 0 ? (size_t)n : 0, stdout);
}

int main(int argc, char **argv) {
    if (argc < 4) die("usage: llamacpp MODEL TEXT OUT [LORA]");
    llama_log_set(quiet, NULL);
    ggml_backend_load_all_from_path(getenv("LLAMACPP_LIB"));
    struct llama_model_params mp = llama_model_default_params();
    struct llama_model *model = llama_model_load_from_file(argv[1], mp);
    if (!model) die("the model does not load");
    const struct llama_vocab *vocab = llama_model_get_vocab(model);
    struct llama_context_params cp = llama_context_default_params();
    cp.n_ctx = cp.n_batch = cp.n_ubatch = 512, cp.n_threads = cp.n_threads_batch = 1;
    cp.type_k = cp.type_v = GGML_TYPE_F32, cp.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    struct llama_context *context = llama_init_from_model(model, cp);
    if (!context) die("no context");
    if (argc > 4) {
        struct llama_adapter_lora *lora = llama_adapter_lora_init(model, argv[4]);
        float scale = 1;
        if (!lora || llama_set_adapters_lora(context, &lora, 1, &scale)) die("the adapter does not load");
    }
    static char text[1 << 16];
    FILE *f = fopen(argv[2], "rb");
    size_t length = f ? fread(text, 1, sizeof text, f) : 0;
    llama_token ids[512];
    int n = llama_tokenize(vocab, text, (int)length, ids, 512, false, false), size = llama_vocab_n_tokens(vocab);
    if (n < 1) die("no tokens, or more than 512");
    struct llama_batch batch = llama_batch_init(n, 0, 1);
    for (int i = 0; i < n; i++) batch.token[i] = ids[i], batch.pos[i] = i, batch.n_seq_id[i] = 1, batch.seq_id[i][0] = 0, batch.logits[i] = 1;
    batch.n_tokens = n;
    if (llama_decode(context, batch)) die("decoding failed");
    FILE *out = fopen(argv[3], "wb");
    int32_t head[2] = {n, size};
    fwrite(head, 4, 2, out), fwrite(ids, 4, (size_t)n, out);
    for (int i = 0; i < n; i++) fwrite(llama_get_logits_ith(context, i), 4, (size_t)size, out);
    if (fclose(out)) die("cannot write");
    printf("ends");
    for (int id = 0; id < size; id++)
        if (llama_vocab_is_eog(vocab, id)) printf(" %d", id);
    printf("\nbos %d adds %d\n", llama_vocab_bos(vocab), llama_vocab_get_add_bos(vocab));
    print_chat(model);
    return 0;
}
