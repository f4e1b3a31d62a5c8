/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_PARTICIPANT_H
#define EVERING_PARTICIPANT_H

/**
 * participant.h - the processes attached to a region, and who of them is alive.
 *
 * A participant has an attach number, 32 bits, never used again in the life of the
 * region, and a record. It is alive as long as the kernel holds the lock on the record's
 * byte (a lock that ends with the process and with nothing else); there is no heartbeat,
 * so a stopped participant is alive for as long as it is stopped. PIDs are kept for
 * people to read and decide nothing.
 *
 * An agent is one thread's working set inside a participant: what it is about to take
 * (intents), which bitmap word it is about to change (bitmap intent). Recovery reads them
 * to learn what a dead one had in its registers.
 *
 *	record: FREE --join--> ALIVE --death or leave--> DEAD --recovered--> FREE
 *	agent:  FREE --open--> CLAIMED --zeroed--> USED --close, recovered--> FREE
 */

#include <evering/atomic.h>
#include <evering/base.h>
#include <evering/region.h>

enum evr_participant_state {
	EVR_PARTICIPANT_FREE = 1,
	EVR_PARTICIPANT_ALIVE = 2,
	EVR_PARTICIPANT_DEAD = 3,
};

/** A participant's record: one cache line, read by many, written at join and death. */
struct EVR_CACHE_ALIGNED evr_participant_shared {
	struct evr_atomic_u64 word; /* {state 32 | attach number 32} */
	uint64_t pid;               /* in the joiner's own PID namespace; a hint */
	uint64_t joined_ns;         /* CLOCK_MONOTONIC at joining; a hint */
	/* 0, or the thread whose end the kernel marks here: tells that somebody died. */
	struct evr_atomic_u32 life;
	uint32_t reserved32;
	uint64_t reserved[4];
};

EVR_STATIC_ASSERT(sizeof(struct evr_participant_shared) == 64, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_participant_shared, word) == 0, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_participant_shared, pid) == 8, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_participant_shared, joined_ns) == 16 &&
			  offsetof(struct evr_participant_shared, life) == 24,
		  "shared layout");

enum evr_agent_state {
	EVR_AGENT_FREE = 1,
	EVR_AGENT_CLAIMED = 2,
	EVR_AGENT_USED = 3,
};

#define EVR_AGENT_INTENTS 5

/* An intent that counts has this bit; the token on the wire is below it. */
#define EVR_INTENT_SET (UINT64_C(1) << 63)

/** An agent's record: one cache line, stored to by its thread alone. */
struct EVR_CACHE_ALIGNED evr_agent_shared {
	struct evr_atomic_u64 word; /* {state 8 | record 24 | attach number 32} */
	struct evr_atomic_u64 bitmap_intent; /* bitmap word index + 1, 0: none */
	struct evr_atomic_u64 intent[EVR_AGENT_INTENTS];
	/* How many retirements it has heard of, and has nothing left to do with. */
	struct evr_atomic_u64 acknowledged;
};

EVR_STATIC_ASSERT(sizeof(struct evr_agent_shared) == 64, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_agent_shared, word) == 0, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_agent_shared, bitmap_intent) == 8, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_agent_shared, intent) == 16, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_agent_shared, acknowledged) == 56, "shared layout");

EVR_BEGIN_DECLS

/** evr_participant_word() - a record's word from its parts. Threads, signals: any. */
EVR_INLINE uint64_t evr_participant_word(uint32_t state, uint32_t number)
{
	return ((uint64_t)state << 32) | number;
}

/** evr_agent_word() - an agent's word from its parts. Threads, signals: any. */
EVR_INLINE uint64_t evr_agent_word(uint32_t state, uint32_t record, uint32_t number)
{
	return ((uint64_t)state << 56) | ((uint64_t)(record & 0xffffffU) << 32) | number;
}

/** struct evr_participant_info - a record as it was at one moment. */
struct evr_participant_info {
	uint32_t record;        /* index of the record */
	uint32_t number;        /* attach number */
	uint32_t state;         /* enum evr_participant_state */
	uint32_t agents_count;  /* agents it has open */
	int64_t pid;            /* a hint; of the PID namespace it joined from */
	uint64_t joined_ns;     /* CLOCK_MONOTONIC; a hint */
};

/**
 * evr_participant_get() - reads one record.
 * @region: an attached region.
 * @record: 0 to evr_participant_records() - 1.
 * @ret:    filled in.
 *
 * Threads: any. Makes no system call. A record that is FREE is reported as such, with
 * the attach number of its last user.
 *
 * Return: 0, or -EINVAL when @record is out of range.
 */
EVR_API int evr_participant_get(const struct evr_region *region, uint32_t record,
				 struct evr_participant_info *ret) EVR_NODISCARD;

/** evr_participant_records() - how many records the region has. Threads: any. */
EVR_API uint32_t evr_participant_records(const struct evr_region *region);

/**
 * evr_participant_find_dead() - asks the kernel about everybody, and marks the dead.
 * @region: an attached region.
 *
 * For each record that says ALIVE the kernel is asked once (a lock probe, about half a
 * microsecond); whoever has ended is marked DEAD by one compare-and-swap. What they held
 * comes back with evr_recover().
 *
 * Threads: any. Signals: not from handlers. Killed inside: no effect, or some marked.
 *
 * Through a region that is attached for reading nothing is marked, only counted.
 *
 * Return: how many records say DEAD now, or a negative errno of the probe.
 */
EVR_API int evr_participant_find_dead(struct evr_region *region);

EVR_END_DECLS
#endif
