/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_POOL_H
#define EVERING_POOL_H

/**
 * pool.h - the blocks of a region: who gets one, and how it comes back.
 *
 * A region has one pool, a pool has up to 16 classes of blocks, a class has blocks of one
 * payload size. Free blocks are bits in a bitmap, one 64-bit word for each chunk of 64
 * blocks. Each agent keeps a magazine per class in its private memory, and exchanges half
 * a magazine with the bitmap by one compare-and-swap; between exchanges, allocating and
 * freeing touch nothing but the block itself, which is about to be used anyway.
 *
 * A block may be allocated in one process and freed in another: it has no home heap. Who
 * frees it must be its owner; what a block contains is freed with it.
 *
 * A class can be given more blocks while everybody works (pool_extent.h), on each memory
 * node, too (pool_node.h); many blocks at once are in pool_bulk.h, numbers about a class
 * in pool_stats.h.
 *
 * Blocks in a dead participant's hands and magazines come back by recovery (recovery.h).
 * Nothing in a magazine is the truth: the blocks' own words are.
 */

#include <errno.h>

#include <evering/atomic.h>
#include <evering/base.h>
#include <evering/block.h>
#include <evering/participant.h>
#include <evering/region.h>
#include <evering/token.h>

#define EVR_POOL_CLASSES_MAX 16
#define EVR_POOL_CHUNK_BLOCKS 64
#define EVR_POOL_PAYLOAD_MIN UINT64_C(64)
#define EVR_POOL_PAYLOAD_MAX (UINT64_C(64) << 20)

/* At most so many blocks move between a magazine and the bitmap at once. */
#define EVR_MAGAZINE_BATCH_MAX 32
#define EVR_MAGAZINE_BLOCKS (2 * EVR_MAGAZINE_BATCH_MAX)

/* Pool flags. */
#define EVR_POOL_UNTRACKED 1U /* see struct evr_pool_options */
#define EVR_POOL_HARDENED 2U
#define EVR_POOL_POISONED 4U
#define EVR_POOL_FLAGS_KNOWN (EVR_POOL_UNTRACKED | EVR_POOL_HARDENED | EVR_POOL_POISONED)

/** A class, as it lies in the pool's header. Constant after creation. */
struct evr_pool_class_shared {
	uint64_t payload_bytes;   /* a multiple of 64 and of alignment */
	uint64_t blocks_offset;   /* from the region's start to the first prefix */
	uint64_t payloads_offset; /* and to the first payload */
	uint32_t first_chunk;
	uint32_t chunks_count;
	uint32_t blocks_count;
	uint32_t alignment; /* of payloads; 64: prefixes in front, more: beside */
};

EVR_STATIC_ASSERT(sizeof(struct evr_pool_class_shared) == 40, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_pool_class_shared, payload_bytes) == 0 &&
			  offsetof(struct evr_pool_class_shared, blocks_offset) == 8 &&
			  offsetof(struct evr_pool_class_shared, payloads_offset) == 16 &&
			  offsetof(struct evr_pool_class_shared, first_chunk) == 24 &&
			  offsetof(struct evr_pool_class_shared, chunks_count) == 28 &&
			  offsetof(struct evr_pool_class_shared, blocks_count) == 32 &&
			  offsetof(struct evr_pool_class_shared, alignment) == 36,
		  "shared layout");

/** The pool's header; the bitmap follows it. Constant but for next_chunk. */
struct EVR_CACHE_ALIGNED evr_pool_shared {
	uint64_t magic;
	uint32_t flags;
	uint32_t classes_count;
	uint32_t chunks_count;
	uint32_t blocks_count;
	uint64_t bitmap_offset; /* from the pool's start, a multiple of 64 */
	uint32_t batch_count;   /* 0: by the size of the class */
	uint32_t chunks_max;    /* numbers of chunks end here, extents included */
	struct evr_atomic_u64 next_chunk; /* the first that no extent has taken */
	uint64_t reserved[2];
	struct evr_pool_class_shared classes[EVR_POOL_CLASSES_MAX];
};

EVR_STATIC_ASSERT(offsetof(struct evr_pool_shared, magic) == 0 &&
			  offsetof(struct evr_pool_shared, flags) == 8 &&
			  offsetof(struct evr_pool_shared, classes_count) == 12 &&
			  offsetof(struct evr_pool_shared, chunks_count) == 16 &&
			  offsetof(struct evr_pool_shared, blocks_count) == 20 &&
			  offsetof(struct evr_pool_shared, bitmap_offset) == 24 &&
			  offsetof(struct evr_pool_shared, batch_count) == 32 &&
			  offsetof(struct evr_pool_shared, chunks_max) == 36 &&
			  offsetof(struct evr_pool_shared, next_chunk) == 40 &&
			  offsetof(struct evr_pool_shared, classes) == 64,
		  "shared layout");
EVR_STATIC_ASSERT(sizeof(struct evr_pool_shared) == 704, "shared layout");

#define EVR_POOL_MAGIC UINT64_C(0x316c6f6f50727645) /* "EvrPool1" as bytes */

/**
 * struct evr_pool_class - a class of blocks, to be created.
 * @payload_bytes: a multiple of 64, 64 B to 64 MiB.
 * @blocks_count:  at least 1.
 * @alignment:     of the payloads, in every process: a power of two that divides
 *                 @payload_bytes, 64 at least; 0: 64. With 64 a block's prefix stands in
 *                 front of its payload, one line before it. With more, for pages that a
 *                 device or the kernel is to see, the prefixes of all blocks stand beside
 *                 the payloads, and up to @alignment bytes are lost once.
 */
struct evr_pool_class {
	uint64_t payload_bytes;
	uint32_t blocks_count;
	uint32_t alignment;
};

/**
 * struct evr_pool_options - how to create the pool.
 * @size:          sizeof(struct evr_pool_options).
 * @classes:       the classes, their payload sizes ascending. Required.
 * @classes_count: 1 to EVR_POOL_CLASSES_MAX.
 * @flags:         EVR_POOL_UNTRACKED: a block's word is left alone by alloc and free.
 *                 Double free, use after free and a token's use after free are not
 *                 noticed then; crash recovery is the same. What that gains in a
 *                 hand-off, and does not gain elsewhere: bench/README.md.
 *                 EVR_POOL_HARDENED, not together with UNTRACKED: misuse is looked for,
 *                 at a price (bench/README.md). Behind each payload lies a canary of 64
 *                 bytes (in a class with an alignment: each payload is followed by so
 *                 many bytes, and it stands in the first 64 of them), which alloc and
 *                 free look at: -EUCLEAN when somebody wrote there. And who takes a
 *                 block out of a ring marks it by compare-and-swap: one that changed
 *                 meanwhile is -EUCLEAN, and not damaged further.
 *                 EVR_POOL_POISONED, with HARDENED only: free fills the payload with
 *                 0xdb, and alloc gives -EUCLEAN when it was written to since.
 * @batch_count:   how many blocks move between a magazine and the bitmap at once; at most
 *                 EVR_MAGAZINE_BATCH_MAX; 0: 32, fewer for classes with few blocks.
 * @range:         the range of the region that header and blocks lie in.
 */
struct evr_pool_options {
	size_t size;
	const struct evr_pool_class *classes;
	uint32_t classes_count;
	uint32_t flags;
	uint32_t batch_count;
	uint32_t range; /* of the region; 0: the first */
};

/** A process's view of the pool: opaque. Shared by all its threads. */
struct evr_pool;

/* Where a chunk lies: this process's checked copy of what the classes and extents say. */
struct evri_chunk {
	uint64_t offset;        /* of its first prefix, from the region's start */
	uint64_t payload_ahead; /* of its first payload, from its first prefix */
	uint32_t stride_bytes;  /* from prefix to prefix */
	uint32_t payload_step;  /* how much further it is from payload to payload */
	uint32_t payload_bytes;
	/* {class 16 | blocks 16}; 0: not known here yet. Written last, by any thread. */
	struct evr_atomic_u32 content;
};

EVRI_INLINE uint32_t evri_chunk_blocks(const struct evri_chunk *chunk)
{
	/* SYNC pool/chunk (acquire), pairs with take_span(): offset and stride are
	 * there. */
	return evr_load_acquire_u32(&chunk->content) & 0xffff;
}

EVRI_INLINE uint32_t evri_chunk_class(const struct evri_chunk *chunk)
{
	return evr_load_relaxed_u32(&chunk->content) >> 16;
}

/* A stack of indices of blocks that say {CACHED, me}: private, and only a hint. */
struct evri_magazine {
	uint64_t payload_bytes;
	uint32_t batch_count;
	uint32_t capacity;
	uint32_t count;
	uint32_t next_chunk; /* where the last refill found something */
	uint32_t index[EVR_MAGAZINE_BLOCKS];
};

/**
 * struct evr_agent - one thread's working set. Treat as opaque; it is laid open for the
 * inline functions below. Made by evr_agent_open().
 */
struct evr_agent {
	char *base; /* of the region */
	const struct evri_chunk *chunks;
	struct evr_agent_shared *shared;
	struct evri_magazine *magazines;
	struct evr_pool *pool;
	uint32_t chunks_count; /* entries of @chunks, known or not */
	uint32_t number;       /* attach number */
	uint32_t flags;  /* of the pool */
	uint16_t classes_count;
	uint16_t tag; /* of the region */
	int32_t node; /* where its blocks are to come from; -1: see pool_node.h */
	uint32_t reserved32;
	uint64_t borrowed; /* blocks that came from elsewhere */
};

EVR_BEGIN_DECLS

/**
 * evr_pool_create() - makes the region's pool.
 * @region:  an attached region without a pool.
 * @options: classes and sizes.
 * @ret:     this process's view; end it with evr_pool_close().
 *
 * Threads: any. Killed inside: the next creator takes over the place.
 *
 * Return: 0, -EINVAL for options out of range, -E2BIG for options newer than the
 * library, -EEXIST when there is a pool already, -EBUSY while another process is making
 * one, -ENOSPC when the region has no room (evr_error_detail() says how much is wanted),
 * -ENOMEM.
 */
EVR_API int evr_pool_create(struct evr_region *region,
			    const struct evr_pool_options *options,
			    struct evr_pool **ret) EVR_NODISCARD;

/**
 * evr_pool_open() - this process's view of the pool that the region has.
 *
 * Everything that the pool's header says is checked against the region before use.
 *
 * Return: 0, -ENOENT when the region has none (yet), -EUCLEAN when its header contradicts
 * itself, -ENOMEM.
 */
EVR_API int evr_pool_open(struct evr_region *region, struct evr_pool **ret) EVR_NODISCARD;

/** evr_pool_close() - ends the view. NULL does nothing. Its agents must be closed.
 * Return: NULL. */
EVR_API struct evr_pool *evr_pool_close(struct evr_pool *pool);

/** evr_pool_region() - the region that the pool lies in. Threads: any. */
EVR_API struct evr_region *evr_pool_region(const struct evr_pool *pool);

/** evr_pool_blocks() - number of blocks of all classes together, without retired ones.
 * Threads: any. */
EVR_API uint32_t evr_pool_blocks(const struct evr_pool *pool);

/**
 * evr_pool_payload_max() - payload bytes of the largest class. Threads: any.
 */
EVR_API uint64_t evr_pool_payload_max(const struct evr_pool *pool);

/**
 * evr_pool_free_count() - blocks whose bit says free, of all classes.
 *
 * Counts bits; blocks in magazines are not among them. A snapshot without a moment: exact
 * only when nobody works. Threads: any.
 */
EVR_API uint32_t evr_pool_free_count(const struct evr_pool *pool);

/**
 * evr_agent_open() - a working set for the calling thread.
 * @pool: this process's view.
 * @ret:  filled in; it must stay where it is until closed.
 *
 * Threads: each thread opens its own; an agent is used by one thread at a time. After
 * fork: a child may not use the parent's. Killed inside: the record comes back.
 *
 * Return: 0, -EMFILE when all agents of the region are in use, -ENOMEM.
 */
EVR_API int evr_agent_open(struct evr_pool *pool, struct evr_agent *ret) EVR_NODISCARD;

/** evr_agent_close() - gives magazines and record back. An agent that was never opened
 * (zeroed) is left alone. Blocks in hand stay the participant's. */
EVR_API void evr_agent_close(struct evr_agent *agent);

/** evr_agent_flush() - gives the magazines' blocks back to everybody: before a long
 * sleep, or when others run out. Acknowledges what was retired (evr_pool_retire()). */
EVR_API void evr_agent_flush(struct evr_agent *agent);

/* The prefix of a block in a chunk that is not known here yet, or NULL. */
EVR_API struct evr_block_shared *evri_pool_meet(const struct evr_agent *agent,
						uint32_t index);

/* The slow halves of alloc and free. */
EVR_API int evri_magazine_refill(struct evr_agent *agent, uint32_t class_index);
EVR_API void evri_magazine_flush(struct evr_agent *agent, uint32_t class_index,
				 uint32_t count);
EVR_API void evri_block_free_contents(struct evr_agent *agent, uint32_t index);

/* The prefix of block @index, which comes from a magazine: its chunk is known, and was
 * when it went in there. */
EVRI_INLINE struct evr_block_shared *evri_block_known(const struct evr_agent *agent,
						      uint32_t index)
{
	const struct evri_chunk *chunk = &agent->chunks[index / EVR_POOL_CHUNK_BLOCKS];
	uint64_t within = index % EVR_POOL_CHUNK_BLOCKS;

	return (struct evr_block_shared *)(agent->base + chunk->offset +
					   within * chunk->stride_bytes);
}

/* The prefix of block @index, or NULL when the pool has no such block. */
EVRI_INLINE struct evr_block_shared *evri_block_at(const struct evr_agent *agent,
						   uint32_t index)
{
	uint32_t number = index / EVR_POOL_CHUNK_BLOCKS;
	uint32_t within = index % EVR_POOL_CHUNK_BLOCKS;

	if (EVR_UNLIKELY(number >= agent->chunks_count))
		return NULL;

	const struct evri_chunk *chunk = &agent->chunks[number];
	if (EVR_UNLIKELY(within >= evri_chunk_blocks(chunk)))
		return evri_pool_meet(agent, index);
	return (struct evr_block_shared *)(agent->base + chunk->offset +
					   (uint64_t)within * chunk->stride_bytes);
}

/* The payload of block @index, whose prefix is @block: behind it, or beside, where
 * payloads are further apart than prefixes. */
EVRI_INLINE void *evri_block_payload(const struct evr_agent *agent, uint32_t index,
				     const struct evr_block_shared *block)
{
	const struct evri_chunk *chunk = &agent->chunks[index / EVR_POOL_CHUNK_BLOCKS];
	uint64_t within = index % EVR_POOL_CHUNK_BLOCKS;

	return (char *)(uintptr_t)block + chunk->payload_ahead +
	       within * chunk->payload_step;
}

EVRI_INLINE uint64_t evri_block_payload_bytes(const struct evr_agent *agent,
					      uint32_t index)
{
	return agent->chunks[index / EVR_POOL_CHUNK_BLOCKS].payload_bytes;
}

/* Does the word say this, whatever its generation? */
EVRI_INLINE bool evri_block_word_is(uint64_t word, uint32_t state, uint32_t owner)
{
	return (word ^ evr_block_word(0, state, owner)) << EVR_BLOCK_GENERATION_BITS == 0;
}

/* Is it @mine, a word without generation, in the generation of the token? The topmost
 * bits of a word's generation are not in tokens. */
EVRI_INLINE bool evri_block_word_fits(uint64_t word, evr_token token, uint64_t mine)
{
	uint64_t wanted = mine | (uint64_t)evr_token_generation(token)
					 << EVR_BLOCK_GENERATION_SHIFT;

	return (word ^ wanted) << (EVR_BLOCK_GENERATION_BITS -
				   EVR_TOKEN_GENERATION_BITS) == 0;
}

/* From {CACHED, me} to {OWNED, me}, and back to one generation later: added to a word, of
 * which the owner stays and a carry out of the generation is lost. */
#define EVRI_WORD_TAKEN                                                                  \
	((uint64_t)(EVR_BLOCK_OWNED - EVR_BLOCK_CACHED) << EVR_BLOCK_STATE_SHIFT)
#define EVRI_WORD_GIVEN ((UINT64_C(1) << EVR_BLOCK_GENERATION_SHIFT) - EVRI_WORD_TAKEN)

/* Does its list name contents? It may be a stale one. */
EVRI_INLINE bool evri_block_lists(const struct evr_block_shared *block)
{
	return evr_plain_load_u64(&block->contents[0]) |
	       evr_plain_load_u64(&block->contents[1]) |
	       evr_plain_load_u64(&block->contents[2]);
}

/* Why the word of a block with this token is not {OWNED, me}. */
EVR_API int evri_block_refusal(const struct evr_agent *agent, evr_token token,
			       uint64_t word);

/* The looks of EVR_POOL_HARDENED, at alloc and at free. */
EVR_API int evri_block_enters(const struct evr_agent *agent, uint32_t index);
EVR_API int evri_block_leaves(const struct evr_agent *agent, uint32_t index);

/* Fills a handle for a block whose word is @word and that is the agent's. */
EVRI_INLINE void evri_block_handle(const struct evr_agent *agent, uint32_t index,
				   struct evr_block_shared *shared, uint64_t word,
				   struct evr_block *ret)
{
	ret->token = evr_token_make(agent->tag, index, evr_block_word_generation(word));
	ret->payload = evri_block_payload(agent, index, shared);
	ret->payload_bytes = evri_block_payload_bytes(agent, index);
}

/*
 * The block that a token names, if it is idle in this participant's hands. The word is
 * read once; nothing but this participant can change it while it says {OWNED, me}.
 */
EVRI_INLINE int evri_block_mine(const struct evr_agent *agent, evr_token token,
				struct evr_block_shared **ret, uint64_t *ret_word)
{
	if (EVR_UNLIKELY(evr_token_tag(token) != agent->tag))
		return -EXDEV;

	struct evr_block_shared *block = evri_block_at(agent, evr_token_index(token));
	if (EVR_UNLIKELY(!block))
		return -EINVAL;

	uint64_t word = evr_load_relaxed_u64(&block->word);
	*ret = block;
	*ret_word = word;
	uint64_t mine = evr_block_word(0, EVR_BLOCK_OWNED, agent->number);
	if (EVR_UNLIKELY(!evri_block_word_fits(word, token, mine)))
		return evri_block_refusal(agent, token, word);
	return 0;
}

/**
 * evr_block_alloc() - takes a block.
 * @agent: the calling thread's.
 * @bytes: payload wanted; the smallest class that holds it is used, and no larger one.
 * @ret:   the block, OWNED by this participant. Its payload is not cleared; all of its
 *         payload_bytes, the size of the class, may be used.
 *
 * Ordering: whoever freed the block did so before; its old content may be seen, torn.
 * Threads:  one at a time per agent. Signals: not from handlers.
 * Stopped or killed inside: others go on; the block comes back by recovery.
 * Cost: no system call, and mostly no locked instruction.
 *
 * Return: 0, -EINVAL when no class is large enough, -ENOSPC when the class has no free
 * block (others may hold some in their magazines), -EUCLEAN when a block's word
 * contradicts the magazine (somebody scribbled; the block is given up), or what
 * EVR_POOL_HARDENED looks for.
 */
EVR_INLINE int evr_block_alloc(struct evr_agent *agent, uint64_t bytes,
			       struct evr_block *ret)
{
	uint32_t class_index = 0;
	struct evri_magazine *magazine = agent->magazines;

	while (EVR_UNLIKELY(magazine->payload_bytes < bytes)) {
		magazine++;
		if (EVR_UNLIKELY(++class_index >= agent->classes_count))
			return -EINVAL;
	}
	if (EVR_UNLIKELY(magazine->count == 0)) {
		int error = evri_magazine_refill(agent, class_index);
		if (error < 0)
			return error;
	}

	uint32_t index = magazine->index[--magazine->count];
	struct evr_block_shared *block = evri_block_known(agent, index);
	uint64_t word = evr_load_relaxed_u64(&block->word);

	/* One of the next: its prefix is written at its alloc, its payload right after.
	 */
	if (EVR_LIKELY(magazine->count >= 4)) {
		uint32_t later = magazine->index[magazine->count - 4];
		struct evr_block_shared *soon = evri_block_known(agent, later);

		evri_prefetch_write(soon);
		evri_prefetch_write(evri_block_payload(agent, later, soon));
	}

	if (EVR_UNLIKELY(agent->flags & EVR_POOL_HARDENED)) {
		int error = evri_block_enters(agent, index);
		if (error < 0)
			return error;
	}
	if (EVR_LIKELY(!(agent->flags & EVR_POOL_UNTRACKED))) {
		if (EVR_UNLIKELY(!evri_block_word_is(word, EVR_BLOCK_CACHED,
						     agent->number)))
			return -EUCLEAN;
		word += EVRI_WORD_TAKEN;
		/* CACHED and OWNED mean the same to recovery (the owner's: free it), so
		 * this store orders nothing; a later send orders what it sends. */
		evr_store_relaxed_u64(&block->word, word);
	}
	evri_block_handle(agent, index, block, word, ret);
	return 0;
}

/**
 * evr_block_free() - gives a block back, and with it what it contains.
 * @agent: the calling thread's (any agent of the participant that owns the block).
 * @token: of a block that is OWNED by this participant.
 *
 * Threads:  one at a time per agent; one holder per block.
 * Signals:  not from handlers.
 * Stopped or killed inside: others go on; the block comes back by recovery.
 *
 * Return: 0, or, with nothing changed,
 * -EXDEV   a token of another region;
 * -EINVAL  a token of no block;
 * -ESTALE  the block was freed, or handed on, since the token was valid: double free;
 * -EBUSY   it is a request in work, or contained in another block;
 * -EPERM   it belongs to another participant;
 * -EUCLEAN somebody wrote behind its payload (EVR_POOL_HARDENED): it stays the caller's,
 *          to be looked at, until its participant ends.
 */
EVR_INLINE int evr_block_free(struct evr_agent *agent, evr_token token)
{
	struct evr_block_shared *block;
	uint64_t word;
	int error = evri_block_mine(agent, token, &block, &word);

	if (EVR_UNLIKELY(error < 0))
		return error;

	uint32_t index = evr_token_index(token);
	if (EVR_UNLIKELY(agent->flags & EVR_POOL_HARDENED)) {
		error = evri_block_leaves(agent, index);
		if (error < 0)
			return error;
	}
	if (EVR_UNLIKELY(evri_block_lists(block)))
		evri_block_free_contents(agent, index);

	uint32_t class_index =
		evri_chunk_class(&agent->chunks[index / EVR_POOL_CHUNK_BLOCKS]);
	struct evri_magazine *magazine = &agent->magazines[class_index];
	if (EVR_UNLIKELY(magazine->count == magazine->capacity))
		evri_magazine_flush(agent, class_index, magazine->batch_count);

	if (EVR_LIKELY(!(agent->flags & EVR_POOL_UNTRACKED)))
		evr_store_relaxed_u64(&block->word, word + EVRI_WORD_GIVEN);
	magazine->index[magazine->count++] = index;
	return 0;
}

/**
 * evr_block_at() - the handle of a block that this participant owns, from its token.
 *
 * Return: 0, or the errors of evr_block_free().
 */
EVR_INLINE int evr_block_at(const struct evr_agent *agent, evr_token token,
			    struct evr_block *ret)
{
	struct evr_block_shared *block;
	uint64_t word;
	int error = evri_block_mine(agent, token, &block, &word);

	if (EVR_UNLIKELY(error < 0))
		return error;
	evri_block_handle(agent, evr_token_index(token), block, word, ret);
	return 0;
}

/**
 * evr_block_contain() - puts one block into another, to travel with it.
 * @agent:     the calling thread's.
 * @container: a block OWNED by this participant.
 * @content:   another one, itself without contents. Its token is spent.
 *
 * From here on the content is the container's: it moves with it, is freed with it and
 * comes back with it when a holder dies. A request's input and output travel like this;
 * lending a block without containing it would let it be reused under a worker when its
 * owner dies.
 *
 * Stopped or killed inside: the content is the participant's, or in the container.
 *
 * Return: the place (0 to EVR_BLOCK_CONTENTS_MAX - 1), -ENOSPC when all places are taken,
 * -EINVAL when both are the same block or @content contains something itself, or the
 * errors of evr_block_free().
 */
EVR_API int evr_block_contain(struct evr_agent *agent, evr_token container,
			      evr_token content) EVR_NODISCARD;

/**
 * evr_block_content() - looks into a container without taking anything out.
 * @agent:     the calling thread's.
 * @container: a block this participant holds (OWNED, or a request it works on).
 * @place:     0 to EVR_BLOCK_CONTENTS_MAX - 1.
 * @ret:       the content: its memory may be read and written while the container is
 *             held; its token cannot be freed or sent.
 *
 * Return: 0, -ENOENT when the place is empty, or the errors of evr_block_free().
 */
EVR_API int evr_block_content(const struct evr_agent *agent, evr_token container,
			      uint32_t place, struct evr_block *ret) EVR_NODISCARD;

/**
 * evr_block_take_out() - makes a content a block of its own again.
 * @agent:     the calling thread's.
 * @container: a block OWNED by this participant.
 * @place:     0 to EVR_BLOCK_CONTENTS_MAX - 1.
 * @ret:       the block, OWNED by this participant, with a new token.
 *
 * Return: 0, -ENOENT when the place is empty, or the errors of evr_block_free().
 */
EVR_API int evr_block_take_out(struct evr_agent *agent, evr_token container,
			       uint32_t place, struct evr_block *ret) EVR_NODISCARD;

EVR_END_DECLS
#endif
