/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_LIB_AUDIT_H
#define EVERING_TESTS_LIB_AUDIT_H

/**
 * audit.h - is every block of a region free exactly once?
 *
 * Reads the words of a region at rest through a mapping of the test's own, and shares no
 * code with the library but the layout: objects are found by their magic numbers.
 *
 * A block is free exactly once when its word says FREE, its bit is set, and no ring's
 * slot holds its token.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <evering/evering.h>

struct audit {
	uint32_t blocks;
	uint32_t free;   /* word FREE, bit set */
	uint32_t states[16];
	uint32_t queued; /* tokens in rings */
	uint32_t rings;
	uint32_t faults;
	char text[256];  /* the first fault */
};

#define AUDIT_UNUSED __attribute__((unused))

AUDIT_UNUSED __attribute__((format(printf, 2, 3))) static void
audit_fault(struct audit *audit, const char *format, ...)
{
	va_list arguments;

	if (audit->faults++)
		return;
	va_start(arguments, format);
	vsnprintf(audit->text, sizeof(audit->text), format, arguments);
	va_end(arguments);
}

/* A mapping of a region that is no attachment: to look, or to scribble. */
AUDIT_UNUSED static void *audit_map(int fd, uint64_t *ret_bytes)
{
	struct stat status;
	void *base;

	if (fstat(fd, &status) < 0)
		return NULL;
	base = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    0);
	if (base == MAP_FAILED)
		return NULL;
	*ret_bytes = (uint64_t)status.st_size;
	return base;
}

/* The next object with this magic number at or behind *offset, or NULL. */
AUDIT_UNUSED static void *audit_find(void *base, uint64_t bytes, uint64_t magic,
				     uint64_t *offset)
{
	uint64_t at = (*offset + 63) & ~UINT64_C(63);

	for (; at + 64 <= bytes; at += 64) {
		uint64_t word;

		memcpy(&word, (char *)base + at, sizeof(word));
		if (word == magic) {
			*offset = at + 64;
			return (char *)base + at;
		}
	}
	return NULL;
}

AUDIT_UNUSED static void audit_blocks(char *base, struct evr_pool_shared *pool,
				      struct audit *ret)
{
	struct evr_atomic_u64 *bitmap =
		(struct evr_atomic_u64 *)((char *)pool + pool->bitmap_offset);
	uint32_t number;
	uint32_t i;

	for (number = 0; number < pool->classes_count; number++) {
		struct evr_pool_class_shared *class = &pool->classes[number];
		uint64_t stride = EVR_BLOCK_PREFIX_BYTES +
				  (class->alignment > 64 ? 0 : class->payload_bytes);

		/* A canary's line; beside, it is no matter of the prefixes. */
		if (pool->flags & EVR_POOL_HARDENED && class->alignment == 64)
			stride += 64;

		for (i = 0; i < class->chunks_count * EVR_POOL_CHUNK_BLOCKS; i++) {
			uint64_t bits = evr_load_acquire_u64(
				&bitmap[class->first_chunk + i / EVR_POOL_CHUNK_BLOCKS]);
			bool bit = bits >> i % EVR_POOL_CHUNK_BLOCKS & 1;
			struct evr_block_shared *block =
				(struct evr_block_shared *)(base + class->blocks_offset +
							    i * stride);
			uint64_t word;

			if (i >= class->blocks_count) {
				if (bit)
					audit_fault(ret, "class %u: bit %u is no block's",
						    number, i);
				continue;
			}
			word = evr_load_acquire_u64(&block->word);
			ret->blocks++;
			ret->states[evr_block_word_state(word)]++;
			if (bit && evr_block_word_state(word) == EVR_BLOCK_FREE)
				ret->free++;
			else if (bit || evr_block_word_state(word) == EVR_BLOCK_FREE)
				audit_fault(ret, "class %u block %u: bit %d, word %#llx",
					    number, i, bit, (unsigned long long)word);
		}
	}
}

AUDIT_UNUSED static void audit_ring(struct evr_ring_shared *ring, struct audit *ret)
{
	struct evr_atomic_u64 *slots = (struct evr_atomic_u64 *)(ring + 1);
	uint64_t i;

	ret->rings++;
	if (ring->order > EVR_RING_ORDER_MAX)
		return;
	for (i = 0; i < UINT64_C(1) << ring->order; i++) {
		uint64_t word = evr_load_acquire_u64(&slots[i]);

		if (evri_slot_is_full(word) &&
		    (word & EVR_TOKEN_WIRE_MASK) != EVR_SLOT_CLOSED)
			ret->queued++;
	}
}

/*
 * Counts what the words of a region at rest say. False when it has no pool, or when bits
 * and words contradict each other.
 */
AUDIT_UNUSED static bool audit_region(void *base, uint64_t bytes, struct audit *ret)
{
	uint64_t offset = 0;
	struct evr_pool_shared *pool = audit_find(base, bytes, EVR_POOL_MAGIC, &offset);
	struct evr_ring_shared *ring;

	memset(ret, 0, sizeof(*ret));
	if (!pool) {
		audit_fault(ret, "there is no pool");
		return false;
	}
	audit_blocks(base, pool, ret);
	for (offset = 0; (ring = audit_find(base, bytes, EVR_RING_MAGIC, &offset));)
		audit_ring(ring, ret);
	return ret->faults == 0;
}

/* Is every block free exactly once? ret->text says what is not. */
AUDIT_UNUSED static bool audit_all_free(void *base, uint64_t bytes, struct audit *ret)
{
	if (!audit_region(base, bytes, ret))
		return false;
	if (ret->queued)
		audit_fault(ret, "%u tokens are left in rings", ret->queued);
	if (ret->free != ret->blocks)
		audit_fault(ret,
			    "of %u blocks %u are free, %u cached, %u owned, %u requests, "
			    "%u responses, %u contained, %u bursts",
			    ret->blocks, ret->free, ret->states[EVR_BLOCK_CACHED],
			    ret->states[EVR_BLOCK_OWNED], ret->states[EVR_BLOCK_REQ],
			    ret->states[EVR_BLOCK_RESP], ret->states[EVR_BLOCK_IN],
			    ret->states[EVR_BLOCK_BURST]);
	return ret->faults == 0;
}

#endif
