/* tokenizer_parts: what the files of the tokenizer share; nobody else includes this.
 *
 *   tokenizer.c         the pieces, loading and saving of folders, decoding
 *   tokenizer_encode.c  encoding
 *   tokenizer_json.c    tokenizer.json and tokenizer_config.json
 *   sentencepiece.c     tokenizer.model and tokenizer.bin
 *   bpe_train.c         training
 *
 * How a text becomes ids:
 *
 *   text  ──cut at added tokens──>  segments  ──normalise──>  ──cut at normalised added tokens──>  ──pre-tokenise──>  words
 *   word  ──single symbols──>  ──merge the pair of least rank, leftmost first──>  ids
 */
#ifndef TOKENIZER_PARTS_H
#define TOKENIZER_PARTS_H

#include "pretokenize.h"
#include "tokenizer.h"

typedef enum {
    PIECE_NORMAL,
    PIECE_BYTE,          /* <0xHH> of a metaspace vocabulary */
    PIECE_ADDED,         /* found in the text as a whole, not special: "<tool_call>"; sentencepiece: user-defined */
    PIECE_SPECIAL,       /* sentencepiece: control */
    PIECE_UNKNOWN,
    PIECE_HIDDEN         /* sentencepiece: a character that occurs inside pieces but is none; its index is no id */
} PieceKind;

/* text: as the vocabulary spells it ("Ġthe", "▁the"). bytes: what it stands for (" the"). Both lie in the arena. */
typedef struct {
    size_t text, bytes;
    uint32_t text_len, bytes_len;
    PieceKind kind;
    bool set;
    bool symbol;         /* may occur inside a word, as the model's own vocabulary; added tokens and bytes may not */
    float score;         /* sentencepiece: greater merges earlier */
} Piece;

/* A slot of the hash table of merges. */
typedef struct {
    uint64_t pair;       /* left << 32 | right; MERGE_EMPTY: no merge here */
    uint32_t rank;
    int32_t id;
} Merge;
#define MERGE_EMPTY UINT64_MAX

typedef struct {
    int32_t id;
    char *match;         /* what is looked for: the piece's text, normalised where it says so */
    size_t len;
    bool special, lstrip, rstrip, normalized;
} Added;

/* Added tokens sorted by first byte, then longest first. */
typedef struct {
    Added *items;
    size_t count;
    size_t first[257];   /* items[first[b]] … items[first[b+1]-1] begin with byte b */
} AddedSet;

/* One remembered word. Direct-mapped: a word has one place, the newer one wins. */
enum { CACHE_KEY = 26, CACHE_IDS = 8, CACHE_LINES = 1 << 14 };
typedef struct {
    uint32_t hash;
    unsigned char length, count;          /* length 0: empty */
    unsigned char key[CACHE_KEY];
    int32_t ids[CACHE_IDS];
} CacheLine;

/* A file of the folder that was read, to be written back as it was. */
typedef struct {
    char *name;
    Buf bytes;
} KeptFile;

typedef enum { KIND_BYTE_LEVEL, KIND_METASPACE } TokenizerKind;
/* Metaspace: which ▁ begins a word. RUNS is not part of any format: where no piece has a ▁ behind another character, merges cannot
 * cross from a word into the next space, so cutting there changes nothing and lets words be remembered. */
typedef enum { CUT_NOWHERE, CUT_RUNS, CUT_EACH } Cut;
/* Metaspace: the ▁ that a pre-tokenizer puts in front (a normaliser's is `prepend`). */
typedef enum { FRONT_NEVER, FRONT_FIRST, FRONT_ALWAYS } Front;
typedef enum { STRIP_NOTHING, STRIP_SPACE, STRIP_FIRST_TOKEN, STRIP_MARK, STRIP_MARKS } Strip;

struct Tokenizer {
    TokenizerKind kind;
    bool sentencepiece;                   /* read from tokenizer.model or .bin */
    char *name;                           /* for messages */
    Piece *pieces;
    size_t count, hidden;                 /* pieces[count … count+hidden-1] are PIECE_HIDDEN */
    Buf arena;
    uint32_t *table;                      /* text of a piece -> index + 1 */
    size_t table_size;                    /* a power of two */
    Merge *merges;
    size_t merges_size, merge_count;
    int32_t bos, eos, unk;
    int adds_bos;                         /* 1, 0; -1: no file says */
    int32_t byte_ids[256];                /* byte-level: the symbol of a byte; metaspace: <0xHH>; -1: not in the vocabulary */
    bool ignore_merges;                   /* a word that is a piece is that piece, whatever the merges would give */

    Split split;                          /* byte-level */
    bool each_digit, prefix_space;
    bool nfc;                             /* byte-level, normaliser: letters and their marks as one character (Qwen) */

    bool squeeze, prepend, replace;       /* metaspace, normaliser: spaces in a row are one, and none at the ends; ▁ in front; ' ' is ▁ */
    bool metaspace;                       /* metaspace, pre-tokenizer: ' ' is ▁, then front and cut */
    Front front;
    Cut cut;
    bool byte_fallback, fuse_unk;
    AddedSet user;                        /* sentencepiece: user-defined pieces, found in the normalised text */

    AddedSet raw, normalized;             /* added tokens found before and after normalising */
    Strip strip;                          /* decoding: what is taken off the front */
    char *unk_surface;                    /* sentencepiece: what an unknown token decodes to */

    KeptFile *files;
    size_t file_count;
    CacheLine *cache;
};

#define MARK "\xE2\x96\x81" /* U+2581, the ▁ that stands for a space */
enum { MARK_LEN = 3, NO_PIECE = -1 };

/* ---- tokenizer.c ---- */
Tokenizer *tokenizer_new(TokenizerKind kind, const char *name, size_t most_pieces);
/* Puts a piece at an index that is free; kinds and bytes are completed by tokenizer_finish. */
void piece_set(Tokenizer *t, size_t index, const char *text, size_t n, PieceKind kind, bool symbol);
/* Index of the piece with this text, or NO_PIECE; needs piece_table. */
void piece_table(Tokenizer *t);
/* Adds one piece to the table. */
void piece_index(Tokenizer *t, int32_t id);
int32_t piece_find(const Tokenizer *t, const char *text, size_t n);
const char *piece_text(const Tokenizer *t, int32_t id);
void merges_begin(Tokenizer *t, size_t most);
/* False when the pair has one already. */
bool merge_add(Tokenizer *t, int32_t left, int32_t right, uint32_t rank, int32_t id);
const Merge *merge_find(const Tokenizer *t, int32_t left, int32_t right);
void added_sort(AddedSet *set);
/* Bytes of pieces, byte ids, cut, cache: when pieces and merges are there. */
void tokenizer_finish(Tokenizer *t);
void keep_file(Tokenizer *t, const char *name, Buf bytes);
const Buf *kept_file(const Tokenizer *t, const char *name);
/* Byte-level vocabularies spell each byte as a printable character; this is the character of a byte. */
uint32_t byte_char(unsigned byte);
/* The order in which the bytes stand in such vocabularies: printable ones first. */
void byte_order(unsigned char order[256]);

/* ---- tokenizer_encode.c ---- */
/* What a metaspace tokenizer's normaliser makes of a text. */
void metaspace_normalize(const Tokenizer *t, const unsigned char *s, size_t n, Buf *out);
/* The longest of the set that begins at s, or NULL. */
const Added *added_match(const AddedSet *set, const unsigned char *s, size_t n);

/* ---- tokenizer_json.c, sentencepiece.c ---- */
Tokenizer *tokenizer_json_read(const char *path, const Buf *text);
void tokenizer_config_read(Tokenizer *t, const char *path, const Buf *text);
void tokenizer_json_write(const Tokenizer *t, const char *dir);
bool tokenizer_json_fits(const Tokenizer *t);
/* All merges by rank, free them; and one of them as files spell it, "left right", in place of what the text held. */
Merge *merges_in_order(const Tokenizer *t);
void merge_text(const Tokenizer *t, const Merge *m, Buf *text);
void tokenizer_config_write(const Tokenizer *t, const char *dir);
Tokenizer *sentencepiece_read(const char *path, const Buf *bytes);
Tokenizer *llama2c_tokenizer_read(const char *path, const Buf *bytes);
/* gguf_tokenizer.c */
Tokenizer *gguf_tokenizer_read(const char *path);

#endif
