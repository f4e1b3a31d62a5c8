/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_REGION_INTERNAL_H
#define EVERINGI_REGION_INTERNAL_H

/*
 * region_internal.h - the process-local side of a region, and what region.c,
 * participant.c and directory.c offer to the rooms above. Nothing here is API; of what is
 * here, only the directory's entries lie in shared memory.
 */

#include <pthread.h>

#include <evering/participant.h>
#include <evering/region.h>

#include "internal_error.h"
#include "os.h"

/* ---- region.c ---- */

enum evri_watch_state {
	EVRI_WATCH_NONE,      /* it begins at the first sleep */
	EVRI_WATCH_TRIED,     /* it runs, or cannot */
	EVRI_WATCH_FORBIDDEN, /* a janitor does its work */
};

/* A range that this process has mapped; bytes 0: it has not. */
struct evri_mapped {
	uint64_t offset;
	uint64_t bytes;
};

struct evr_region {
	char *base;
	uint64_t bytes; /* of addresses: what the region may grow to */
	uint64_t page_bytes;
	uint64_t objects_offset;
	struct evr_region_shared *shared;
	struct evr_range_shared *ranges;
	struct evr_participant_shared *participants;
	struct evr_agent_shared *agents;
	struct evri_directory_entry *directory;
	uint32_t participants_count;
	uint32_t agents_count;
	uint32_t directory_count;
	uint32_t ranges_count;
	uint32_t number; /* our attach number; 0: we only read */
	uint32_t record; /* our record */
	uint16_t tag;
	bool read_only;
	int fd;
	int64_t pid; /* who attached: a child made by fork() has no mapping */
	struct evri_os_hold hold;
	/* Agents and submitters open now. At detach, none of them and no block of ours
	 * left (evr_pool_close() looks) means that there is nothing to recover. */
	struct evr_atomic_u32 handles_open;
	struct evr_atomic_u32 blocks_left;
	/* The thread that waits for deaths (watch.c), started at the first sleep, unless
	 * the application drives a janitor instead. Changes under @map_lock. */
	struct evri_watch *watch;
	struct evr_atomic_u32 watch_state;
	bool recovers; /* somebody else's blocks went through our hands, on the side */
	void (*before_leave)(struct evr_region *region); /* ends that, or NULL */
	pthread_mutex_t map_lock; /* of what follows, among our threads */
	struct evri_mapped mapped[EVR_RANGES_MAX];
};

/* Did this very process attach, or a parent of it? A child made by fork() has neither
 * mapping nor lock, and may only let go of its copy of the handles. */
static inline bool evri_region_is_here(const struct evr_region *region)
{
	return region->pid == evri_os_pid();
}

/* ---- region_ranges.c ---- */

/* A range as this process found it: a checked copy. */
struct evri_range {
	uint32_t index;
	uint32_t state;
	uint32_t owner;
	uint64_t offset;
	uint64_t bytes;
};

/* Walks the ranges in use: start with a zeroed cursor; false: no more. */
struct evri_range_cursor {
	uint32_t index;
	uint64_t offset;
};
bool evri_range_next(const struct evr_region *region, struct evri_range_cursor *cursor,
		     struct evri_range *ret);

uint64_t evri_range_word(uint32_t state, uint64_t bytes, uint32_t owner);

/* Maps what has become READY since the last time. */
int evri_region_map_ranges(struct evr_region *region);
bool evri_region_is_mapped(struct evr_region *region, uint32_t index);

/* ---- region_pages.c ---- */

/* How a range is made real: flags and placement as in the options. */
struct evri_settling {
	uint32_t flags;
	struct evr_placement placement;
	evr_progress progress;
	void *context;
	bool keep_pages; /* when they run out: some of them are in use */
};

/* Refuses what cannot work before anything is taken, and says why. */
int evri_settle_check(const struct evr_region *region, uint64_t bytes,
		      const struct evri_settling *how);
/* Binds, touches, makes huge, locks and checks the pages of a mapped range. After a
 * failure some of them may be there: give them back. */
int evri_settle(struct evr_region *region, uint64_t offset, uint64_t bytes,
		const struct evri_settling *how);
/* Writes down what was asked for. */
void evri_range_describe(struct evr_region *region, uint32_t index,
			 const struct evri_settling *how, uint64_t settle_ns);

/* What was written down for a range, to make pages of it real once more. @nodes is the
 * caller's, and lent to @ret. */
int evri_range_recall(const struct evr_region *region, uint32_t index,
		      struct evr_number_set *nodes, struct evri_settling *ret);

/* evr_region_attach() for one to whom a listener gave a carrier with a description of the
 * file for his lock; -1: none. Both descriptors stay the caller's. */
int evri_region_attach_with(int fd, int carrier_fd, struct evr_region **ret_region);

/* ---- participant.c ---- */

/* The byte whose lock says that the participant of this record lives. */
#define EVRI_LIVENESS_BYTE(record) ((UINT64_C(1) << 40) + (record))

/* Highest attach number; all ones is EVR_OWNER_ORPHAN. Stress builds exhaust them. */
#ifdef EVRI_STRESS_ATTACH_BITS
#define EVRI_ATTACH_NUMBER_MAX ((UINT32_C(1) << EVRI_STRESS_ATTACH_BITS) - 2)
#else
#define EVRI_ATTACH_NUMBER_MAX (UINT32_MAX - 1)
#endif

/* @carrier_fd: see evri_os_liveness_prepare(); -1: none. */
int evri_participant_join(struct evr_region *region, int carrier_fd);
void evri_participant_leave(struct evr_region *region);
/* Something is new in the records: wakes the threads that wait for deaths. */
void evri_participant_arrive(struct evr_region *region);
/* Does any record say ALIVE with this number? One that died unnoticed still does. */
bool evri_participant_alive(const struct evr_region *region, uint32_t number);
int evri_agent_claim(struct evr_region *region, struct evr_agent_shared **ret);
void evri_agent_release(struct evr_region *region, struct evr_agent_shared *agent);

/* ---- directory.c ---- */

#define EVRI_OBJECT_UNIT_BYTES UINT64_C(4096)
#define EVRI_DIRECTORY_ENTRIES 256

enum evri_object_kind {
	EVRI_OBJECT_POOL = 1,
	EVRI_OBJECT_RING = 2,
	EVRI_OBJECT_URING = 3,
	EVRI_OBJECT_EXTENT = 4, /* more blocks for the pool */
	EVRI_OBJECT_INLINE_RING = 5,
	EVRI_OBJECT_LANES = 6,
};

enum evri_entry_state {
	EVRI_ENTRY_EMPTY = 1,    /* never used; so are all behind it */
	EVRI_ENTRY_BUILDING = 2, /* its space is the owner's, who initialises it */
	EVRI_ENTRY_NAMED = 3,    /* initialised and named; about to be READY */
	EVRI_ENTRY_READY = 4,    /* for everybody, for ever */
	EVRI_ENTRY_ABORTED = 5,  /* lost the name to another; the owner lets go of it */
	EVRI_ENTRY_SPARE = 6,    /* space without an object */
};

/* A directory entry, 64 bytes of shared memory. Its object lies behind those of the
 * entries before it that are in the same range, so that one word takes both the entry and
 * its space. */
struct EVR_CACHE_ALIGNED evri_directory_entry {
	/* {state 3 | range 4 | units of 4 KiB 25 | owner 32} */
	struct evr_atomic_u64 word;
	uint32_t kind;
	uint32_t reserved;
	char name[EVR_NAME_BYTES];
};

EVR_STATIC_ASSERT(sizeof(struct evri_directory_entry) == 64, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evri_directory_entry, word) == 0, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evri_directory_entry, kind) == 8, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evri_directory_entry, name) == 16, "shared layout");

/* An object as this process found it: a checked copy. */
struct evri_object {
	uint32_t index;
	uint32_t state;
	uint32_t kind;
	uint32_t owner;
	uint32_t range;
	uint64_t offset; /* from the region's start */
	uint64_t bytes;
	void *address;
	char name[EVR_NAME_BYTES];
};

/* The word of an entry: what it says, in one. */
uint64_t evri_entry_word(uint32_t state, uint32_t range, uint64_t units, uint32_t owner);

/* Takes an entry and @bytes of zeroed space in a range, to be initialised and then
 * published. */
int evri_directory_reserve(struct evr_region *region, const char *name, uint32_t kind,
			   uint64_t bytes, uint32_t range, struct evri_object *ret);
int evri_directory_publish(struct evr_region *region, const struct evri_object *object);
void evri_directory_abandon(struct evr_region *region, const struct evri_object *object);
/* -ENOENT; -EAGAIN: being made; -EPROTO: another kind. */
int evri_directory_find(struct evr_region *region, const char *name, uint32_t kind,
			struct evri_object *ret);
/* Walks all entries, and maps the ranges that they lie in: start with a zeroed cursor;
 * false: no more, or cursor.error says why it ends too early. */
struct evri_directory_cursor {
	uint32_t index;
	int error;
	bool begun;
	uint64_t used[EVR_RANGES_MAX]; /* bytes of each range that are passed */
	struct evri_range ranges[EVR_RANGES_MAX];
	uint32_t ranges_count;
};
bool evri_directory_next(struct evr_region *region,
			 struct evri_directory_cursor *cursor, struct evri_object *ret);

#endif
