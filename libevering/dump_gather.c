/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * dump_gather.c - looking at a region without touching it.
 *
 * Each word is read once and belongs to its own moment; the region goes on working. What
 * lies in a ring is noted before the words of the blocks are read, so a block that is
 * popped in between counts as in hands, or not at all.
 */

#include "dump_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- participants ---- */

static int by_number(const void *a, const void *b)
{
	uint32_t left = ((const struct evri_dump_participant *)a)->number;
	uint32_t right = ((const struct evri_dump_participant *)b)->number;

	return left < right ? -1 : left > right;
}

static struct evri_dump_participant *find(const struct evri_dump *dump, uint32_t number)
{
	struct evri_dump_participant key = {.number = number};

	return bsearch(&key, dump->participants, dump->participants_count, sizeof(key),
		       by_number);
}

const struct evri_dump_participant *evri_dump_find(const struct evri_dump *dump,
						   uint32_t number)
{
	return find(dump, number);
}

static enum evri_dump_life life_of(const struct evr_region *region,
				   const struct evr_participant_info *info)
{
	char state;

	if (info->state == EVR_PARTICIPANT_DEAD)
		return EVRI_DUMP_DEAD;
	if (evri_os_liveness_test(region->fd, EVRI_LIVENESS_BYTE(info->record)) == 0)
		return EVRI_DUMP_DYING;
	if (evri_os_process_state(info->pid, &state) == 0 &&
	    (state == 'T' || state == 't'))
		return EVRI_DUMP_STOPPED;
	return EVRI_DUMP_ALIVE;
}

static int gather_participants(struct evri_dump *dump)
{
	const struct evr_region *region = dump->region;

	dump->participants =
		calloc(region->participants_count, sizeof(*dump->participants));
	if (!dump->participants)
		return -ENOMEM;
	for (uint32_t i = 0; i < region->participants_count; i++) {
		struct evr_participant_info info;

		if (evr_participant_get(region, i, &info) < 0 ||
		    (info.state != EVR_PARTICIPANT_ALIVE &&
		     info.state != EVR_PARTICIPANT_DEAD))
			continue;
		dump->participants[dump->participants_count++] =
			(struct evri_dump_participant){
				.number = info.number,
				.agents_count = info.agents_count,
				.pid = info.pid,
				.joined_ns = info.joined_ns,
				.life = life_of(region, &info),
			};
	}
	qsort(dump->participants, dump->participants_count, sizeof(*dump->participants),
	      by_number);
	return 0;
}

/* ---- rings ---- */

static void note_blocks(struct evri_dump *dump, const struct evr_ring *ring)
{
	for (uint64_t i = 0; i <= ring->mask; i++) {
		uint64_t word = evr_load_relaxed_u64(&ring->slots[i]);
		uint64_t wire = word & EVR_TOKEN_WIRE_MASK;
		uint64_t index = wire >> EVR_TOKEN_GENERATION_BITS;

		if (evri_slot_is_full(word) && index < dump->blocks_max)
			dump->in_ring[index] =
				EVRI_DUMP_SEEN |
				(uint32_t)(wire & EVR_TOKEN_GENERATION_MASK);
	}
}

uint64_t evri_dump_ring_fill(const struct evr_ring *ring, bool *ret_closed)
{
	uint64_t count = 0;

	*ret_closed = false;
	for (uint64_t i = 0; i <= ring->mask; i++) {
		uint64_t word = evr_load_relaxed_u64(&ring->slots[i]);

		if (!evri_slot_is_full(word))
			continue;
		if ((word & EVR_TOKEN_WIRE_MASK) == EVR_SLOT_CLOSED)
			*ret_closed = true;
		else
			count++;
	}
	return count;
}

static void gather_uring(struct evri_dump *dump, const struct evri_object *object,
			 struct evri_dump_uring *ret)
{
	struct evr_ring ring;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, object->name, sizeof(ret->name));
	ret->broken = evri_uring_bind(object, &ret->uring) < 0 ||
		      evri_uring_submissions(&ret->uring, &ring) < 0;
	if (ret->broken)
		return;
	ret->queued = evri_dump_ring_fill(&ring, &ret->closed);
	note_blocks(dump, &ring);
	for (uint32_t slot = 0; slot < ret->uring.homes_count; slot++)
		for (int which = EVRI_HOME_COMPLETIONS; which <= EVRI_HOME_RETURNS;
		     which++)
			if (evri_home_ring(&ret->uring, slot, (enum evri_home_ring)which,
					   &ring) == 0)
				note_blocks(dump, &ring);
}

static int gather_rings(struct evri_dump *dump)
{
	struct evri_directory_cursor cursor = {0};
	struct evri_object object;
	struct evr_ring ring;

	dump->urings = calloc(dump->region->directory_count, sizeof(*dump->urings));
	if (!dump->urings)
		return -ENOMEM;
	while (evri_directory_next(dump->region, &cursor, &object)) {
		if (object.state != EVRI_ENTRY_READY)
			continue;
		if (object.kind == EVRI_OBJECT_URING)
			gather_uring(dump, &object, &dump->urings[dump->urings_count++]);
		else if (object.kind == EVRI_OBJECT_RING &&
			 evri_ring_bind(object.address, object.bytes, 0, &ring) == 0)
			note_blocks(dump, &ring);
	}
	return 0;
}

/* ---- blocks ---- */

static void note_request(struct evri_dump *dump, uint32_t index, uint32_t holder,
			 const struct evr_block_shared *block)
{
	if (dump->requests_count < EVRI_DUMP_REQUESTS_MAX)
		dump->requests[dump->requests_count] = (struct evri_dump_request){
			.index = index,
			.holder = holder,
			.submitter = (uint32_t)(evr_plain_load_u64(&block->home) >> 32),
			.attempts = evri_delivery_attempts(
				evr_plain_load_u32(&block->delivery)),
			.length_bytes = evr_plain_load_u32(&block->request_bytes),
			.operation = evr_plain_load_u64(&block->operation),
		};
	dump->requests_count++;
}

static void judge_block(struct evri_dump *dump, struct evri_dump_class *class,
			uint32_t index, const struct evr_block_shared *block)
{
	uint64_t word = evr_load_relaxed_u64(&block->word);
	uint32_t state = evr_block_word_state(word);
	uint32_t generation =
		(uint32_t)(evr_block_word_generation(word) & EVR_TOKEN_GENERATION_MASK);
	struct evri_dump_participant *owner;
	struct evr_pool_held *held;
	bool queued;

	if (state < EVR_BLOCK_FREE || state > EVR_BLOCK_BURST) {
		class->odd++;
		return;
	}
	queued = evri_block_state_travels(state) &&
		 dump->in_ring[index] == (EVRI_DUMP_SEEN | generation);
	class->queued += queued;
	class->states[state] += !queued;
	if (state == EVR_BLOCK_FREE || state == EVR_BLOCK_IN ||
	    state == EVR_BLOCK_RETIRED)
		return;
	if (state == EVR_BLOCK_REQ && !queued)
		note_request(dump, index, evr_block_word_owner(word), block);
	owner = find(dump, evr_block_word_owner(word));
	if (!owner)
		return;
	held = evri_dump_held(dump, (uint32_t)(class - dump->classes),
			      (uint32_t)(owner - dump->participants));
	held->number = owner->number;
	held->queued += queued;
	held->cached += !queued && state == EVR_BLOCK_CACHED;
	held->owned += !queued && (state == EVR_BLOCK_OWNED ||
				   state == EVR_BLOCK_BURST);
	held->requests += !queued && state == EVR_BLOCK_REQ;
	held->responses += !queued && state == EVR_BLOCK_RESP;
}

static void gather_blocks(struct evri_dump *dump)
{
	const struct evr_pool *pool = dump->pool;

	for (uint32_t i = 0; i < dump->blocks_max / EVR_POOL_CHUNK_BLOCKS; i++) {
		const struct evri_chunk *chunk = &pool->chunks[i];
		uint32_t blocks = evri_chunk_blocks(chunk);
		struct evri_dump_class *class = &dump->classes[evri_chunk_class(chunk)];
		const char *at = dump->region->base + chunk->offset;

		if (blocks == 0)
			continue;
		class->blocks += blocks;

		class->bits += (uint32_t)__builtin_popcountll(
			evr_load_relaxed_u64(evri_pool_bits(pool, i)));
		for (uint32_t k = 0; k < blocks; k++) {
			judge_block(dump, class, i * EVR_POOL_CHUNK_BLOCKS + k,
				    (const struct evr_block_shared *)at);
			at += chunk->stride_bytes;
		}
	}
}

/* All classes together, for each participant. */
static void add_up(struct evri_dump *dump)
{
	for (uint32_t k = 0; k < dump->pool->classes_count; k++)
		for (uint32_t i = 0; i < dump->participants_count; i++) {
			struct evri_dump_participant *who = &dump->participants[i];
			const struct evr_pool_held *held = evri_dump_held(dump, k, i);

			who->cached += held->cached;
			who->owned += held->owned;
			who->requests += held->requests;
			who->responses += held->responses;
			who->queued += held->queued;
		}
}

int evri_dump_gather(struct evr_region *region, struct evri_dump *ret)
{
	int error;

	memset(ret, 0, sizeof(*ret));
	ret->region = region;
	error = gather_participants(ret);
	if (error < 0)
		return error;
	ret->pool_error = evr_pool_open(region, &ret->pool);
	if (ret->pool_error == 0) {
		ret->blocks_max = evri_pool_chunks(ret->pool) * EVR_POOL_CHUNK_BLOCKS;
		ret->in_ring = calloc(ret->blocks_max, sizeof(*ret->in_ring));
		/* One more: calloc() of nothing may give NULL. */
		ret->held = calloc((uint64_t)ret->pool->classes_count *
						   ret->participants_count +
					   1,
				   sizeof(*ret->held));
		if (!ret->in_ring || !ret->held)
			return -ENOMEM;
	}
	error = gather_rings(ret);
	if (error == 0 && ret->pool) {
		gather_blocks(ret);
		add_up(ret);
	}
	return error;
}

void evri_dump_free(struct evri_dump *dump)
{
	if (dump->pool) {
		/* Not evr_pool_close(): it notes what this participant still holds, which
		 * is for its last view to say. */
		evri_pool_free(dump->pool);
	}
	free(dump->participants);
	free(dump->urings);
	free(dump->in_ring);
	free(dump->held);
}
