#include "hash.h"

#include "os.h"

#include <string.h>

void hash_file(const char *path, char hex[65]) {
    enum { PART = 16 << 20 };          /* what was hashed need not stay in memory */
    unsigned char digest[32];
    Sha256 sha;
    OsMap map = os_map(path);
    sha256_begin(&sha);
    for (size_t at = 0; at < map.size; at += PART) {
        sha256_add(&sha, map.data + at, map.size - at < PART ? map.size - at : PART);
        os_map_forget(&map);
    }
    os_unmap(&map);
    sha256_end(&sha, digest), sha256_hex(digest, hex);
}

typedef struct {
    char **items;
    size_t count;
} Lines;

static bool is_left_out(const char *name, bool folder) {
    if (strstr(name, ".tmp-")) return true;
    return folder ? !strcmp(name, "checkpoints") : !strcmp(name, "timing.jsonl") || str_ends(name, ".lock");
}

/* dir/inside is a folder; inside is "" at the top, else "a/b/". */
static void add_lines(Lines *lines, const char *dir, const char *inside) {
    char *folder = str_format("%s/%s", dir, inside);
    size_t count;
    char **names = os_list(folder, &count);
    for (size_t i = 0; i < count; i++) {
        char *path = os_join(folder, names[i]);
        bool is_folder = os_is_dir(path), left_out = is_left_out(names[i], is_folder);
        if (is_folder && !left_out) {
            char *deeper = str_format("%s%s/", inside, names[i]);
            add_lines(lines, dir, deeper);
            mem_free(deeper);
        } else if (!left_out) {
            char hex[65];
            hash_file(path, hex);
            lines->items = mem_resize(lines->items, lines->count + 1, sizeof *lines->items);
            lines->items[lines->count++] = str_format("%s  %s%s\n", hex, inside, names[i]);
        }
        mem_free(path), mem_free(names[i]);
    }
    mem_free(names), mem_free(folder);
}

static int by_bytes(const void *a, const void *b, const void *context) {
    (void)context;
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void hash_folder(const char *dir, char hex[65]) {
    Lines lines = {0};
    add_lines(&lines, dir, "");
    if (!lines.count) bad_input("%s: no file in this folder, expected a model, an adapter or a run", dir);
    sort_stable(lines.items, lines.count, sizeof *lines.items, by_bytes, NULL);
    Sha256 sha;
    sha256_begin(&sha);
    for (size_t i = 0; i < lines.count; i++) {
        sha256_add(&sha, lines.items[i], strlen(lines.items[i]));
        mem_free(lines.items[i]);
    }
    mem_free(lines.items);
    unsigned char digest[32];
    sha256_end(&sha, digest);
    sha256_hex(digest, hex);
}

void hash_path(const char *path, char hex[65]) { (os_is_dir(path) ? hash_folder : hash_file)(path, hex); }
