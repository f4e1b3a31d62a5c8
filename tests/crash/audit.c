/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * audit.c - after everybody is gone: is every block accounted for exactly once?
 *
 * The house drains what is left as an ordinary consumer would, recovers until nothing is
 * postponed, leaves the pool, and then looks at the bytes: every block says FREE and has
 * its bit, every ring is empty, every home closed, every record free, and every message
 * that was sent was taken once.
 */

#include "crash.h"

#include <errno.h>
#include <string.h>

#include "pool_internal.h"

#define PASSES_MAX 50

static void recover_all(struct party *house)
{
	for (uint32_t pass = 0; pass < PASSES_MAX; pass++) {
		struct evr_recovery_stats stats;
		int left = evr_recover(&house->agent, &stats);

		if (left < 0) {
			complain(house, "recover: %s", evr_strerror(left));
			return;
		}
		if (left == 0 && stats.dead == stats.finished)
			return;
	}
	complain(house, "recovery of the dead does not end, though nobody is stopped");
}

static void drain(struct party *house)
{
	struct evr_request request;
	int result;

	if (!house->board->no_ring) {
		while (message_take(house))
			;
	} else {
		struct evr_block block;

		while (evr_ring_try_pop(&house->ring, &house->agent, &block) == 0) {
			message_verify(house, &block);
			MUST(house, evr_block_free(&house->agent, block.token));
		}
	}
	result = evr_completer_try_receive(house->completer, &request);
	if (result == 0)
		complain(house, "a request of nobody, operation %lu, could be received",
			 request.operation);
	else if (result != -EAGAIN && result != -EPIPE)
		complain(house, "receive: %s", evr_strerror(result));
}

static void check_blocks(struct party *house, const struct evr_agent *agent,
			 const struct evr_pool *pool)
{
	for (uint32_t chunk = 0; chunk < evri_pool_chunks(pool); chunk++) {
		uint32_t count = evri_chunk_blocks(&pool->chunks[chunk]);

		/* A number that somebody took who died before there was an extent. */
		if (count == 0)
			continue;
		uint64_t bits = evr_load_acquire_u64(evri_pool_bits(pool, chunk));

		if (count < 64 && bits >> count)
			complain(house, "bitmap word %u has bits of no block: %016lx",
				 chunk, bits);
		for (uint32_t i = 0; i < count; i++) {
			uint32_t index = chunk * EVR_POOL_CHUNK_BLOCKS + i;
			uint64_t word =
				evr_load_acquire_u64(&evri_block_at(agent, index)->word);
			bool bit = bits >> i & 1;

			if (bit && evr_block_word_state(word) == EVR_BLOCK_FREE)
				continue;
			complain(house,
				 "block %u is not free once: bit %d, generation %lu, "
				 "state %u, owner %u",
				 index, bit, evr_block_word_generation(word),
				 evr_block_word_state(word), evr_block_word_owner(word));
		}
	}
}

/* Nobody is in the middle of anything: a bit says free exactly where the word does. */
void audit_bits(struct party *house)
{
	const struct evr_pool *pool = house->pool;

	for (uint32_t chunk = 0; chunk < evri_pool_chunks(pool); chunk++) {
		uint32_t count = evri_chunk_blocks(&pool->chunks[chunk]);

		if (count == 0)
			continue;
		uint64_t bits = evr_load_acquire_u64(evri_pool_bits(pool, chunk));

		for (uint32_t i = 0; i < count; i++) {
			uint32_t index = chunk * EVR_POOL_CHUNK_BLOCKS + i;
			uint64_t word = evr_load_acquire_u64(
				&evri_block_at(&house->agent, index)->word);
			bool is_free = evr_block_word_state(word) == EVR_BLOCK_FREE;

			if ((bits >> i & 1) != is_free)
				complain(house,
					 "all at rest, block %u has bit %lu, state %u, "
					 "owner %u",
					 index, bits >> i & 1, evr_block_word_state(word),
					 evr_block_word_owner(word));
		}
	}
}

enum closing { IS_OPEN, IS_CLOSED, MAY_BE_CLOSED };

static enum closing closing_of(const struct board *board, bool closes)
{
	return !closes ? IS_OPEN : board->cut_short ? MAY_BE_CLOSED : IS_CLOSED;
}

/* A ring at rest: no token in any slot; CLOSED once if it is closed, else nowhere. */
static void check_ring(struct party *house, const char *name, uint32_t number,
		       const struct evr_ring_shared *ring, enum closing closing)
{
	const struct evr_atomic_u64 *slots = (const void *)(ring + 1);
	uint32_t marks = 0;

	for (uint32_t i = 0; i < 1U << ring->order; i++) {
		uint64_t word = evr_load_acquire_u64(&slots[i]);

		if (!evri_slot_is_full(word))
			continue;
		if ((word & EVR_TOKEN_WIRE_MASK) == EVR_SLOT_CLOSED)
			marks++;
		else
			complain(house, "block %lu still lies in %s %u",
				 (word & EVR_TOKEN_WIRE_MASK) >>
					 EVR_TOKEN_GENERATION_BITS,
				 name, number);
	}
	if (marks > 1 || (marks == 0 && closing == IS_CLOSED) ||
	    (marks == 1 && closing == IS_OPEN))
		complain(house, "%s %u is closed %u times", name, number, marks);
}

static void check_uring(struct party *house)
{
	struct evri_object object;
	int error =
		evri_directory_find(house->region, "uring", EVRI_OBJECT_URING, &object);

	if (error < 0) {
		complain(house, "no uring: %s", evr_strerror(error));
		return;
	}
	char *base = object.address;
	const struct evr_uring_shared *uring = object.address;
	check_ring(house, "the submission ring", 0,
		   (void *)(base + uring->submission_offset),
		   closing_of(house->board, house->board->no_uring));
	for (uint32_t i = 0; i < uring->homes_count; i++) {
		char *at = base + uring->homes_offset + i * uring->home_stride_bytes;
		const struct evr_home_shared *home = (void *)at;
		uint64_t word = evr_load_acquire_u64(&home->word);

		if (evri_home_word_state(word) != EVR_HOME_FREE)
			complain(house, "home %u is not free: %016lx", i, word);
		at += sizeof(*home);
		check_ring(house, "the completion ring of home", i, (void *)at,
			   IS_CLOSED);
		at += evri_ring_bytes(uring->completion_order);
		check_ring(house, "the return ring of home", i, (void *)at, IS_CLOSED);
	}
}

static void check_records(struct party *house)
{
	const struct evr_region *region = house->region;

	for (uint32_t i = 0; i < region->participants_count; i++) {
		uint64_t word = evr_load_acquire_u64(&region->participants[i].word);

		if (i != region->record && word != 0 &&
		    word >> 32 != EVR_PARTICIPANT_FREE)
			complain(house, "participant %u is not recovered: %016lx", i,
				 word);
	}
	for (uint32_t i = 0; i < region->agents_count; i++) {
		uint64_t word = evr_load_acquire_u64(&region->agents[i].word);

		if (word != 0 && word >> 56 != EVR_AGENT_FREE)
			complain(house, "agent %u is not free: %016lx", i, word);
	}
}

/* Killed ones may have taken a message, or sent one, without being able to say so. */
static void check_messages(struct party *house, uint32_t missing_allowed)
{
	const struct board *board = house->board;
	uint32_t missing = 0;

	for (uint32_t from = 0; from < PARTIES; from++) {
		for (uint32_t i = 1; i <= board->sent[from]; i++)
			missing += board->taken[from][i] == 0;
	}
	if (missing > missing_allowed)
		complain(house,
			 "%u messages are lost, %u would have died with their taker",
			 missing, missing_allowed);
}

void audit_blocks(struct party *house, uint32_t missing_allowed)
{
	struct evr_agent agent;

	recover_all(house);
	drain(house);
	recover_all(house);
	agent = house->agent; /* its arithmetic serves for looking, after it is closed */
	house->completer = evr_completer_close(house->completer);
	house->submitter = evr_submitter_close(house->submitter);
	evr_agent_close(&house->agent);
	check_blocks(house, &agent, house->pool);
	check_ring(house, "the ring", 0, house->ring.shared,
		   closing_of(house->board, house->board->no_ring));
	check_uring(house);
	check_messages(house, missing_allowed);
}

void audit_records(struct party *house)
{
	MUST(house, evr_agent_open(house->pool, &house->agent));
	recover_all(house);
	evr_agent_close(&house->agent);
	check_records(house);
	house->uring = evr_uring_close(house->uring);
	house->pool = evr_pool_close(house->pool);
	house->region = evr_region_detach(house->region);
}
