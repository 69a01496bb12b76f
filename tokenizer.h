/* tokenizer: text to token ids and back, and the training of a new vocabulary.
 *
 * All are BPE (byte-pair encoding): a text is cut into words, a word begins as single symbols, and the pair of neighbours
 * whose merge was learnt first is joined, again and again. Two kinds are read:
 *
 *   byte-level   symbols are the 256 bytes, words come from a regular expression   GPT-2, Llama 3, Qwen2, SmolLM2, our own
 *   metaspace    symbols are characters, a space is the letter U+2581 ("▁"),        Llama 2, TinyLlama, llama2.c
 *                a character that is no piece falls back to its bytes
 *
 * What a vocabulary has no piece for, in no form, and no unknown token either, is left out, as transformers does.
 * What files hold decides; anything they ask for that is not done here is refused by name.
 */
#ifndef TOKENIZER_H
#define TOKENIZER_H

#include "base.h"

typedef struct Tokenizer Tokenizer;

/* A growable row of token ids. */
typedef struct {
    int32_t *data;
    size_t count, cap;
} Ids;
void ids_push(Ids *ids, int32_t id);
void ids_free(Ids *ids);

/* A folder (its tokenizer.json, else tokenizer.model, else tokenizer.bin), one such file, or a GGUF file. */
Tokenizer *tokenizer_load(const char *path);
void tokenizer_free(Tokenizer *t);
/* Writes tokenizer.json and tokenizer_config.json; what was read from a Hugging Face folder is written back byte for byte. */
void tokenizer_save(const Tokenizer *t, const char *dir);

/* Ids are 0 … size-1. */
size_t tokenizer_size(const Tokenizer *t);
/* -1: it has none. A byte-level tokenizer that names none uses <|endoftext|> as both. */
int32_t tokenizer_bos(const Tokenizer *t);
int32_t tokenizer_eos(const Tokenizer *t);
int32_t tokenizer_unk(const Tokenizer *t);
/* Whether its texts begin with BOS: as the files say (post_processor, add_bos_token); where they say nothing, if it has one. */
bool tokenizer_adds_bos(const Tokenizer *t);
/* The id of a piece by its text in the vocabulary ("<|endoftext|>", "Ġthe"), or -1. */
int32_t tokenizer_id(const Tokenizer *t, const char *piece);
bool tokenizer_is_special(const Tokenizer *t, int32_t id);

/* Appends the ids of a text; adds no BOS or EOS, and an empty text has none. special: the text of a special token becomes its id;
 * otherwise it is text like any other (what a user typed must not end a turn). Not const: it remembers frequent words. */
void tokenizer_encode(Tokenizer *t, const char *text, size_t len, bool special, Ids *ids);
/* The same for a text that goes on behind a special token: it gets no space in front that only beginnings get. Nothing in it is special. */
void tokenizer_encode_on(Tokenizer *t, const char *text, size_t len, Ids *ids);

/* The bytes a token stands for: none for special tokens. The space that a metaspace tokenizer puts in front of a text is in them. */
const char *tokenizer_piece_bytes(const Tokenizer *t, int32_t id, size_t *len);

/* Appends the text of the ids: raw bytes, so that a text cut anywhere joins again. Byte-level: exactly what was encoded.
 * Metaspace: without the space that encoding put in front. keep_special: special tokens are spelled out, else left out. */
void tokenizer_decode(const Tokenizer *t, const int32_t *ids, size_t count, bool keep_special, Buf *out);

/* The same, token by token; start with {0}. */
typedef struct {
    bool begun;
} Decoding;
void tokenizer_decode_next(const Tokenizer *t, Decoding *state, int32_t id, bool keep_special, Buf *out);

/* ---- training (bpe_train.c) ---- */

#define END_OF_TEXT "<|endoftext|>"

typedef struct BpeTrainer BpeTrainer;
BpeTrainer *bpe_trainer_new(void);
/* Counts the words of a text; the text is cut at every <|endoftext|>. */
void bpe_trainer_add(BpeTrainer *b, const char *text, size_t len);
/* Learns merges until there are vocab_size tokens (<|endoftext|> is 0, then the 256 bytes, then the merges), or until no pair
 * occurs twice: then the tokenizer is smaller than asked for, which the caller should say. Of pairs that occur equally often the
 * lexicographically greatest is merged, by the bytes of its left, then of its right token. Frees the trainer. */
Tokenizer *bpe_train(BpeTrainer *b, size_t vocab_size);

#endif
