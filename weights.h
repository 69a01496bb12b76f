/* weights: model folders in Hugging Face's layout, safetensors, and llama2.c's .bin.
 *
 * A file is checked whole before a byte of it is used: header length against file size, types, shapes, offsets contiguous
 * and without overlap, no duplicate names, no tensor missing or left over, no NaN or infinity in a weight.
 */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "json.h"
#include "model.h"
#include "os.h"

/* ---- safetensors ---- */

typedef enum { ST_F32, ST_F16, ST_BF16, ST_F64, ST_I64, ST_I32, ST_I16, ST_I8, ST_U8, ST_BOOL, ST_TYPES } StType;

enum { ST_MAX_RANK = 8 };

typedef struct {
    const char *name;
    StType type;
    int rank;
    uint64_t dims[ST_MAX_RANK];
    const unsigned char *data;       /* inside the mapped file: not aligned */
    uint64_t bytes;
    const char *file;                /* for messages */
    Stored held;                     /* for st_write of an ST_F32: what data holds (STORED_REAL unless said) */
    bool rounded;                    /* for st_write of an ST_F16 or ST_BF16: data are floats, rounded on the way */
} StTensor;

const char *st_type_name(StType type);                       /* "F32" */

/* One file; or a folder: its model.safetensors, or else the shards that model.safetensors.index.json names. */
typedef struct SafeTensors SafeTensors;
SafeTensors *st_open(const char *path);
size_t st_count(const SafeTensors *s);
const StTensor *st_tensor(const SafeTensors *s, size_t i);   /* in file (offset) order, shards by name; one array */
const StTensor *st_find(const SafeTensors *s, const char *name);   /* NULL: not there */
/* Element i of an F32, F16 or BF16 tensor. */
float st_value(const StTensor *t, size_t i);
void st_close(SafeTensors *s);

/* Writes tensors in the order given, header padded with spaces to a multiple of 8, __metadata__ {"format":"pt"}. Of each: name,
 * type, rank, dims, data, held. Streams: what an ST_F32 tensor holds in another type is converted on the way: 16-bit weights
 * are widened, a `real` that is a double (finetune-f64) is narrowed. Durable (os_create … os_commit). */
void st_write(const char *path, const StTensor *tensors, size_t count);
/* With one more entry in __metadata__, which readers of tensors pass over; and that entry of an open file, or NULL. */
void st_write_noted(const char *path, const StTensor *tensors, size_t count, const char *key, const char *value);
const char *st_note(const SafeTensors *s, const char *key);

/* SHA-256 over the tensors sorted by name (spec.md section 5) of one file or of a folder's model file or shards. */
void st_tensors_hash(const char *path, char hex[65]);

/* ---- model folders ---- */

/* What --model names: a path stays as it is; "org/name" or "name" (with "@revision" or not) that is no path is its snapshot in the local
 * Hugging Face cache. Not there: bad_input that says how to download it. Free it. */
char *model_locate(const char *name);
/* path: a Hugging Face folder, or a llama2.c .bin file. All weights loaded; 16-bit tensors stay 16-bit when keep_16bit. */
Model *model_load(const char *path, bool keep_16bit);
/* The same without weights: every Param with its shape and type, w NULL. For plans: nothing of it can be computed. */
Model *model_outline(const char *path, bool keep_16bit);
Config config_load(const char *dir);
/* Every weight rounded to f16 or bf16, and saved so from now on; matrices are held so too. bad_input when one is too large for f16. */
void model_store(Model *m, Stored as);
/* config.json, generation_config.json and model.safetensors (f32, or as model_store says) into an existing folder. */
void model_save(const Model *m, const char *dir);
/* The first two alone. */
void model_save_config(const Model *m, const char *dir);

#endif
