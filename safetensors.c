/* safetensors: named tensors in one file, or in the shards of a folder.
 *
 *     | u64 n, little-endian | n bytes of JSON | the tensors' data, back to back, to the end of the file |
 *
 *     {"__metadata__": {string: string}, NAME: {"dtype": "F32", "shape": [2,3], "data_offsets": [begin, end]}, ...}
 *
 * Offsets count from the end of the header. Nothing is taken on trust: every size is checked against the file's own
 * before it is used, and every byte of the data belongs to exactly one tensor, so that no file means two things.
 */
#include "weights.h"

#include <assert.h>
#include <string.h>

#define DAMAGED "the file is damaged or no safetensors file; download or save it again"

/* Bytes. The format allows 100 million, which would take 33 times as many to read (json.h); 80,000 tensors stand in 10 million. */
enum { MAX_HEADER = 16 << 20 };

static const struct {
    const char *name;
    unsigned bytes;
} types[ST_TYPES] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I64", 8},
                     {"I32", 4}, {"I16", 2}, {"I8", 1},   {"U8", 1},  {"BOOL", 1}};

struct SafeTensors {
    OsMap *maps;
    char **paths;
    size_t files;
    StTensor *tensors;
    size_t count;
    const StTensor **by_name;
    char **notes;                    /* key, value, key, value … of __metadata__ */
    size_t note_count;
};

const char *st_type_name(StType type) { return types[type].name; }

/* False: the product does not fit. */
static bool times(uint64_t *product, uint64_t factor) {
    if (factor && *product > UINT64_MAX / factor) return false;
    *product *= factor;
    return true;
}

static bool size_of_tensor(const StTensor *t, uint64_t *bytes) {
    *bytes = types[t->type].bytes;
    bool fits = true;
    for (int d = 0; d < t->rank; d++) fits = times(bytes, t->dims[d]) && fits;
    return fits;
}

/* ---- one tensor's entry in the header ---- */

typedef struct {
    const char *path;
    const JsonDoc *doc;
    const unsigned char *data;
    uint64_t size;                   /* of the data, all tensors together */
} Header;

static const Json *field(const Header *h, const char *tensor, const Json *entry, const char *key, JsonKind kind) {
    const Json *value = json_get(entry, key);
    if (!value)
        bad_input("%s: tensor %.200s: no \"%s\" in its header entry, expected %s: " DAMAGED, h->path, tensor, key, json_kind_name(kind));
    if (value->kind != kind)
        bad_input("%s: tensor %.200s: \"%s\" is %s, expected %s: " DAMAGED, h->path, tensor, key, json_kind_name(value->kind),
                  json_kind_name(kind));
    return value;
}

static uint64_t whole_number(const Header *h, const char *tensor, const char *key, const Json *value) {
    if (value->kind != JSON_NUMBER || !value->is_integer || value->integer < 0)
        bad_input("%s: tensor %.200s: \"%s\" holds %s that is no whole number from 0 to 2^63: " DAMAGED, h->path, tensor, key,
                  json_kind_name(value->kind));
    return (uint64_t)value->integer;
}

static StType read_type(const Header *h, const char *tensor, const Json *entry) {
    const Json *dtype = field(h, tensor, entry, "dtype", JSON_STRING);
    int type = 0;
    while (type < ST_TYPES && !json_is(dtype, types[type].name)) type++;
    if (type == ST_TYPES)
        bad_input("%s: tensor %.200s: dtype is \"%.40s\", expected F32, F16, BF16, F64, I64, I32, I16, I8, U8 or BOOL: "
                  "save the model in one of these (quantized files are not read)",
                  h->path, tensor, dtype->string);
    return (StType)type;
}

static void read_shape(const Header *h, const Json *entry, StTensor *t) {
    const Json *shape = field(h, t->name, entry, "shape", JSON_ARRAY);
    if (shape->count > ST_MAX_RANK)
        bad_input("%s: tensor %.200s: shape has %zu dimensions, expected at most %d: " DAMAGED, h->path, t->name, shape->count,
                  ST_MAX_RANK);
    t->rank = (int)shape->count;
    for (int d = 0; d < t->rank; d++) t->dims[d] = whole_number(h, t->name, "shape", &shape->items[d]);
}

static void read_tensor(const Header *h, const Json *key, const Json *entry, StTensor *t) {
    if (strlen(key->string) != key->length)
        bad_input("%s: tensor %.200s...: a zero byte in a tensor's name: " DAMAGED, h->path, key->string);
    if (entry->kind != JSON_OBJECT)
        bad_input("%s: tensor %.200s: its header entry is %s, expected an object: " DAMAGED, h->path, key->string,
                  json_kind_name(entry->kind));
    t->name = key->string;
    t->file = h->path;
    t->type = read_type(h, t->name, entry);
    read_shape(h, entry, t);
    const Json *offsets = field(h, t->name, entry, "data_offsets", JSON_ARRAY);
    if (offsets->count != 2)
        bad_input("%s: tensor %.200s: data_offsets has %zu numbers, expected 2 (begin, end): " DAMAGED, h->path, t->name, offsets->count);
    if (entry->count != 3)
        bad_input("%s: tensor %.200s: its header entry has %zu fields, expected dtype, shape and data_offsets alone: " DAMAGED, h->path,
                  t->name, entry->count);
    uint64_t begin = whole_number(h, t->name, "data_offsets", &offsets->items[0]);
    uint64_t end = whole_number(h, t->name, "data_offsets", &offsets->items[1]);
    if (begin > end)
        bad_input("%s: tensor %.200s: data_offsets begin at %llu after their end %llu: " DAMAGED, h->path, t->name,
                  (unsigned long long)begin, (unsigned long long)end);
    if (end > h->size)
        bad_input("%s: tensor %.200s: data_offsets end at %llu, but the file has only %llu bytes of data: the file is cut short; "
                  "download or save it again",
                  h->path, t->name, (unsigned long long)end, (unsigned long long)h->size);
    uint64_t bytes;
    if (!size_of_tensor(t, &bytes))
        bad_input("%s: tensor %.200s: the product of its shape does not fit into 64 bits: " DAMAGED, h->path, t->name);
    if (bytes != end - begin)
        bad_input("%s: tensor %.200s: its shape as %s takes %llu bytes, but data_offsets span %llu: " DAMAGED, h->path, t->name,
                  types[t->type].name, (unsigned long long)bytes, (unsigned long long)(end - begin));
    t->data = h->data + begin;
    t->bytes = bytes;
}

static void read_metadata(SafeTensors *s, const Header *h, const Json *metadata) {
    if (metadata->kind != JSON_OBJECT)
        bad_input("%s: __metadata__ is %s, expected an object: " DAMAGED, h->path, json_kind_name(metadata->kind));
    s->notes = mem_resize(s->notes, s->note_count + 2 * metadata->count, sizeof *s->notes);
    for (size_t i = 0; i < metadata->count; i++) {
        if (metadata->items[i].kind != JSON_STRING)
            bad_input("%s: __metadata__ \"%.200s\" is %s, expected a string: " DAMAGED, h->path, metadata->keys[i].string,
                      json_kind_name(metadata->items[i].kind));
        s->notes[s->note_count++] = str_copy(metadata->keys[i].string);
        s->notes[s->note_count++] = str_copy(metadata->items[i].string);
    }
}

/* ---- one file ---- */

/* By place; an empty tensor stands before the one that begins where it does. Names only make the order total. */
static int by_offset(const void *a, const void *b, const void *context) {
    const StTensor *x = a, *y = b;
    (void)context;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void check_coverage(const Header *h, const StTensor *tensors, size_t count) {
    uint64_t covered = 0;
    for (size_t i = 0; i < count; i++) {
        const StTensor *t = &tensors[i];
        uint64_t begin = (uint64_t)(t->data - h->data);
        if (begin < covered)
            bad_input("%s: tensor %.200s: its data begin at %llu and overlap those of %.200s, which end at %llu: " DAMAGED, h->path,
                      t->name, (unsigned long long)begin, tensors[i - 1].name, (unsigned long long)covered);
        if (begin > covered)
            bad_input("%s: tensor %.200s: its data begin at %llu, expected %llu: the bytes between belong to no tensor: " DAMAGED, h->path,
                      t->name, (unsigned long long)begin, (unsigned long long)covered);
        covered = begin + t->bytes;
    }
    if (covered != h->size)
        bad_input("%s: %llu bytes after the last tensor's data, expected none: " DAMAGED, h->path, (unsigned long long)(h->size - covered));
}

/* Checks the file's frame and leaves in h where the data are; returns the header's length. */
static size_t read_frame(const OsMap *map, Header *h) {
    if (map->size < 8) bad_input("%s: %zu bytes, expected at least the 8 of the header's length: " DAMAGED, h->path, map->size);
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--) length = length << 8 | map->data[i];
    if (length > MAX_HEADER)
        bad_input("%s: the header's length at byte 0 is %llu, expected at most %d (16 MB): " DAMAGED, h->path, (unsigned long long)length,
                  MAX_HEADER);
    if (length > map->size - 8)
        bad_input("%s: the header's length at byte 0 is %llu, but only %zu bytes follow: the file is cut short; download or save it again",
                  h->path, (unsigned long long)length, map->size - 8);
    if (length < 2 || map->data[8] != '{') bad_input("%s: the header at byte 8 does not begin with '{': " DAMAGED, h->path);
    h->data = map->data + 8 + length;
    h->size = map->size - 8 - length;
    return (size_t)length;
}

/* Appends the tensors of one file. */
static void open_file(SafeTensors *s, const char *path) {
    s->maps = mem_resize(s->maps, s->files + 1, sizeof *s->maps);
    s->paths = mem_resize(s->paths, s->files + 1, sizeof *s->paths);
    OsMap *map = &s->maps[s->files];
    Header h = {.path = s->paths[s->files] = str_copy(path)};
    s->files++;
    *map = os_map(path);
    size_t length = read_frame(map, &h);
    JsonDoc *doc = json_parse((const char *)map->data + 8, length, path, 1);
    const Json *root = json_root(doc);
    h.doc = doc;
    s->tensors = mem_resize(s->tensors, s->count + root->count, sizeof *s->tensors);
    StTensor *tensors = s->tensors + s->count;
    size_t count = 0;
    for (size_t i = 0; i < root->count; i++) {
        if (json_is(&root->keys[i], "__metadata__")) read_metadata(s, &h, &root->items[i]);
        else read_tensor(&h, &root->keys[i], &root->items[i], &tensors[count++]);
    }
    sort_stable(tensors, count, sizeof *tensors, by_offset, NULL);
    check_coverage(&h, tensors, count);
    for (size_t i = 0; i < count; i++) tensors[i].name = str_copy(tensors[i].name);
    s->count += count;
    json_free(doc);
}

static int by_tensor_name(const void *a, const void *b, const void *context) {
    (void)context;
    return strcmp((*(const StTensor *const *)a)->name, (*(const StTensor *const *)b)->name);
}

static void sort_names(SafeTensors *s) {
    s->by_name = mem_new(s->count, sizeof *s->by_name);
    for (size_t i = 0; i < s->count; i++) s->by_name[i] = &s->tensors[i];
    sort_stable(s->by_name, s->count, sizeof *s->by_name, by_tensor_name, NULL);
    for (size_t i = 1; i < s->count; i++)
        if (!strcmp(s->by_name[i - 1]->name, s->by_name[i]->name))
            bad_input("%s: tensor %.200s stands in %s as well: download or save the model again", s->by_name[i]->file, s->by_name[i]->name,
                      s->by_name[i - 1]->file);
}

/* ---- shards: model.safetensors.index.json holds {"weight_map": {tensor: file}} ---- */

typedef struct {
    const char *tensor, *file;
} Place;

static int by_file(const void *a, const void *b, const void *context) {
    (void)context;
    return strcmp(((const Place *)a)->file, ((const Place *)b)->file);
}

static int by_tensor(const void *a, const void *b, const void *context) {
    (void)context;
    return strcmp(((const Place *)a)->tensor, ((const Place *)b)->tensor);
}

/* A name that leads nowhere but into the folder. */
static bool is_plain_name(const Json *name) {
    return strlen(name->string) == name->length && !strpbrk(name->string, "/\\:") && name->string[0] != '.' &&
           str_ends(name->string, ".safetensors");
}

static Place *read_weight_map(const JsonDoc *doc, const Json *weight_map) {
    Place *places = mem_new(weight_map->count, sizeof *places);
    for (size_t i = 0; i < weight_map->count; i++) {
        const Json *tensor = &weight_map->keys[i], *file = &weight_map->items[i];
        if (strlen(tensor->string) != tensor->length)
            bad_input("%s: weight_map: a zero byte in the tensor name %.200s...: " DAMAGED, json_name(doc), tensor->string);
        if (file->kind != JSON_STRING || !is_plain_name(file))
            bad_input("%s: weight_map: %.200s is in %.200s, expected the name of a .safetensors file in the same folder", json_name(doc),
                      tensor->string, file->kind == JSON_STRING ? file->string : json_kind_name(file->kind));
        places[i] = (Place){tensor->string, file->string};
    }
    return places;
}

/* Every tensor of the map is in the shard that the map names, and every tensor of a shard is in the map. */
static void check_places(const SafeTensors *s, const JsonDoc *doc, const char *dir, const Place *places, size_t count) {
    size_t in_map = 0, in_files = 0;
    while (in_map < count || in_files < s->count) {
        const Place *place = in_map < count ? &places[in_map] : NULL;
        const StTensor *t = in_files < s->count ? s->by_name[in_files] : NULL;
        int order = !place ? 1 : !t ? -1 : strcmp(place->tensor, t->name);
        if (order < 0)
            bad_input("%s: weight_map: %.200s is in none of the shards: download the model again", json_name(doc), place->tensor);
        if (order > 0)
            bad_input("%s: tensor %.200s is not in the weight_map of %s: download the model again", t->file, t->name, json_name(doc));
        char *path = os_join(dir, place->file);
        if (strcmp(path, t->file))
            bad_input("%s: tensor %.200s: the weight_map of %s places it in %s: download the model again", t->file, t->name, json_name(doc),
                      path);
        mem_free(path);
        in_map++, in_files++;
    }
}

static void open_shards(SafeTensors *s, const char *dir, const char *index) {
    JsonDoc *doc = json_read(index);
    const Json *weight_map = json_need(doc, json_root(doc), "weight_map", JSON_OBJECT);
    Place *places = read_weight_map(doc, weight_map);
    sort_stable(places, weight_map->count, sizeof *places, by_file, NULL);
    for (size_t i = 0; i < weight_map->count; i++) {
        if (i && !strcmp(places[i - 1].file, places[i].file)) continue;
        char *path = os_join(dir, places[i].file);
        open_file(s, path);
        mem_free(path);
    }
    sort_names(s);
    sort_stable(places, weight_map->count, sizeof *places, by_tensor, NULL);
    check_places(s, doc, dir, places, weight_map->count);
    mem_free(places);
    json_free(doc);
}

SafeTensors *st_open(const char *path) {
    SafeTensors *s = mem_new(1, sizeof *s);
    if (!os_is_dir(path)) {
        open_file(s, path);
        sort_names(s);
        return s;
    }
    char *single = os_join(path, "model.safetensors"), *index = os_join(path, "model.safetensors.index.json");
    if (os_exists(single)) {
        open_file(s, single);
        sort_names(s);
    } else if (os_exists(index)) open_shards(s, path, index);
    else
        bad_input("%s: no model.safetensors and no model.safetensors.index.json in this folder: "
                  "a model in another format (pytorch_model.bin) must be saved as safetensors first",
                  path);
    mem_free(single), mem_free(index);
    return s;
}

size_t st_count(const SafeTensors *s) { return s->count; }

const StTensor *st_tensor(const SafeTensors *s, size_t i) {
    assert(i < s->count);
    return &s->tensors[i];
}

const StTensor *st_find(const SafeTensors *s, const char *name) {
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, s->by_name[middle]->name);
        if (!order) return s->by_name[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

float st_value(const StTensor *t, size_t i) {
    uint32_t word;
    uint16_t half;
    if (t->type == ST_F32) {
        memcpy(&word, t->data + 4 * i, sizeof word);
        return bits_float(word);
    }
    memcpy(&half, t->data + 2 * i, sizeof half);
    return t->type == ST_F16 ? f16_widen(half) : bf16_widen(half);
}

const char *st_note(const SafeTensors *s, const char *key) {
    for (size_t i = 0; i < s->note_count; i += 2)
        if (!strcmp(s->notes[i], key)) return s->notes[i + 1];
    return NULL;
}

void st_close(SafeTensors *s) {
    if (!s) return;
    for (size_t i = 0; i < s->note_count; i++) mem_free(s->notes[i]);
    mem_free(s->notes);
    for (size_t i = 0; i < s->count; i++) mem_free((char *)s->tensors[i].name);
    for (size_t i = 0; i < s->files; i++) os_unmap(&s->maps[i]), mem_free(s->paths[i]);
    mem_free(s->maps), mem_free(s->paths), mem_free(s->tensors), mem_free((void *)s->by_name), mem_free(s);
}

/* ---- hash ---- */

static void add_number(Sha256 *sha, uint64_t value, size_t bytes) {
    unsigned char text[8];
    for (size_t i = 0; i < bytes; i++) text[i] = (unsigned char)(value >> 8 * i);
    sha256_add(sha, text, bytes);
}

/* Of each tensor, sorted by name: u32 length of the name, the name, the type as the file spells it ("BF16"), u32 rank, u64 for
 * each dimension, the data. Integers are little-endian. */
void st_tensors_hash(const char *path, char hex[65]) {
    SafeTensors *s = st_open(path);
    Sha256 sha;
    sha256_begin(&sha);
    for (size_t i = 0; i < s->count; i++) {
        const StTensor *t = s->by_name[i];
        add_number(&sha, strlen(t->name), 4);
        sha256_add(&sha, t->name, strlen(t->name));
        sha256_add(&sha, types[t->type].name, strlen(types[t->type].name));
        add_number(&sha, (uint64_t)t->rank, 4);
        for (int d = 0; d < t->rank; d++) add_number(&sha, t->dims[d], 8);
        sha256_add(&sha, t->data, (size_t)t->bytes);
    }
    unsigned char digest[32];
    sha256_end(&sha, digest);
    sha256_hex(digest, hex);
    st_close(s);
}

/* ---- writing ---- */

static void write_header(OsFile *f, const StTensor *tensors, size_t count, const char *key, const char *value) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_object(&w, "__metadata__");
    jw_string(&w, "format", "pt");
    if (key) jw_string(&w, key, value);
    jw_end_object(&w);
    uint64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        const StTensor *t = &tensors[i];
        uint64_t bytes;
        if (!size_of_tensor(t, &bytes)) assert(!"a tensor in memory has a size");
        jw_object(&w, t->name);
        jw_string(&w, "dtype", types[t->type].name);
        jw_array(&w, "shape");
        for (int d = 0; d < t->rank; d++) jw_uint(&w, NULL, t->dims[d]);
        jw_end_array(&w);
        jw_array(&w, "data_offsets");
        jw_uint(&w, NULL, offset);
        jw_uint(&w, NULL, offset += bytes);
        jw_end_array(&w);
        jw_end_object(&w);
    }
    jw_end_object(&w);
    while (w.text.len % 8) buf_char(&w.text, ' ');
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)w.text.len >> 8 * i);
    os_write(f, length, sizeof length);
    os_write(f, w.text.data, w.text.len);
    buf_free(&w.text);
}

/* Floats of any alignment, rounded to the 16 bits of the tensor's type. */
static void write_rounded(OsFile *f, const StTensor *t, size_t elements) {
    const uint16_t infinite = t->type == ST_F16 ? 0x7c00 : 0x7f80;
    uint16_t chunk[1024];
    for (size_t begin = 0; begin < elements; begin += 1024) {
        size_t n = elements - begin < 1024 ? elements - begin : 1024;
        for (size_t i = 0; i < n; i++) {
            float x;
            memcpy(&x, t->data + 4 * (begin + i), sizeof x);
            chunk[i] = t->type == ST_F16 ? f16_round(x) : bf16_round(x);
            if ((chunk[i] & infinite) == infinite)
                work_failed("tensor %s: element %zu is beyond the largest number of %s", t->name, begin + i,
                            t->type == ST_F16 ? "f16, which is 65504: use bf16" : "bf16: use f32");
        }
        os_write(f, chunk, n * sizeof *chunk);
    }
}

static void write_data(OsFile *f, const StTensor *t) {
    uint64_t bytes;
    size_of_tensor(t, &bytes);
    if (t->rounded) {
        write_rounded(f, t, (size_t)bytes / sizeof(uint16_t));
        return;
    }
    if (t->type != ST_F32 || (t->held == STORED_REAL && sizeof(real) == sizeof(float))) {
        os_write(f, t->data, (size_t)bytes);
        return;
    }
    float chunk[1024];
    size_t elements = (size_t)bytes / sizeof(float);
    for (size_t begin = 0; begin < elements; begin += 1024) {
        size_t n = elements - begin < 1024 ? elements - begin : 1024;
        for (size_t i = 0; i < n; i++) chunk[i] = (float)stored_value(t->data, t->held, begin + i);
        os_write(f, chunk, n * sizeof *chunk);
    }
}

void st_write(const char *path, const StTensor *tensors, size_t count) { st_write_noted(path, tensors, count, NULL, NULL); }

void st_write_noted(const char *path, const StTensor *tensors, size_t count, const char *key, const char *value) {
    OsFile *f = os_create(path);
    write_header(f, tensors, count, key, value);
    for (size_t i = 0; i < count; i++) write_data(f, &tensors[i]);
    os_commit(f);
}
