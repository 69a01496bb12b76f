/* hf: what one model family is called in Hugging Face's files. weights.h is for everybody; this is between hf.c and hf_config.c. */
#ifndef HF_H
#define HF_H

#include "weights.h"

typedef struct {
    Family family;
    Dialect dialect;
    const char *model_type, *architecture;
    const char *prefix;                  /* of every tensor but the head; a folder may have saved the model without it */
    const char *embedding;               /* a tensor that every such model has, without the prefix */
    const char *buffers[2];              /* ends of the names of tensors that are no weights, which older versions saved */
    void (*read)(const JsonDoc *doc, Config *c);
    void (*write)(JsonWriter *w, const Config *c);
} HfFamily;

const HfFamily *hf_family(const Config *c);
/* bad_input for a key of config.json that may change the arithmetic and is read by nobody here. */
void hf_check_keys(const JsonDoc *doc, Family family);

/* The text of config.json and generation_config.json; free each. */
Buf hf_config_text(const Config *c);
Buf hf_generation_text(const Config *c);

/* bad_input when an element is NaN or infinite; type is ST_F32, ST_F16 or ST_BF16, data need no alignment. */
void check_finite(const char *file, const char *name, StType type, const unsigned char *data, size_t n);

/* What a config.json says, without generation_config.json. */
Config config_of_json(const JsonDoc *doc);

Model *llama2c_load(const char *path);
Model *llama2c_outline(const char *path);
/* A GGUF file of llama.cpp (gguf_model.c): quantised weights become f32, 16-bit ones stay so when keep_16bit. */
Model *gguf_load(const char *path, bool keep_16bit);
Model *gguf_outline(const char *path, bool keep_16bit);
Config gguf_config(const char *path);

#endif
