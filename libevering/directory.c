/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * directory.c - the named objects of a region, and the space they lie in.
 *
 * Entries are taken from the front; the objects of each range lie behind each other in
 * the same order, so an entry's word {state, range, size, owner} is all that says where
 * its object is, and one compare-and-swap takes entry and space together. Ranges and
 * sizes never change afterwards.
 *
 *	EMPTY -> BUILDING -> NAMED -> READY        an object is made
 *	                     NAMED -> ABORTED -> SPARE   somebody else had the name
 *	                     NAMED -> SPARE              its builder gave up
 *	BUILDING, NAMED, ABORTED of a dead builder, and SPARE -> BUILDING   taken over
 *
 * A name is given once: whoever has made its object NAMED looks at all other entries
 * before it says READY. Of two that are NAMED at once the one with the lower index wins:
 * it aborts the other, which in turn waits for nobody but gives up. Of the two
 * compare-and-swaps that then meet in one word, READY and ABORTED, one fails.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "region_internal.h"

#define CONTEND_TRIES_MAX 1024
#define UNITS_MASK ((UINT64_C(1) << 25) - 1)
#define RANGE_MASK (EVR_RANGES_MAX - 1)

uint64_t evri_entry_word(uint32_t state, uint32_t range, uint64_t units, uint32_t owner)
{
	return ((uint64_t)state << 61) | ((uint64_t)(range & RANGE_MASK) << 57) |
	       ((units & UNITS_MASK) << 32) | owner;
}

static uint32_t entry_state(uint64_t word)
{
	return (uint32_t)(word >> 61);
}

static uint32_t entry_range(uint64_t word)
{
	return (uint32_t)(word >> 57) & RANGE_MASK;
}

static uint64_t entry_units(uint64_t word)
{
	return word >> 32 & UNITS_MASK;
}

static uint32_t entry_owner(uint64_t word)
{
	return (uint32_t)word;
}

/* The same entry in another state. */
static uint64_t in_state(uint64_t word, uint32_t state, uint32_t owner)
{
	return evri_entry_word(state, entry_range(word), entry_units(word), owner);
}

/* The bytes that a range has left behind the entries so far. */
static uint64_t room(const struct evri_directory_cursor *cursor, uint32_t range)
{
	if (range >= cursor->ranges_count ||
	    cursor->used[range] > cursor->ranges[range].bytes)
		return 0;
	return cursor->ranges[range].bytes - cursor->used[range];
}

/* From the region's start: where the next object of the range begins. */
static uint64_t next_offset(const struct evri_directory_cursor *cursor, uint32_t range)
{
	return cursor->ranges[range].offset + cursor->used[range];
}

/* What ranges there are now, all mapped. */
static int read_ranges(struct evr_region *region, struct evri_directory_cursor *cursor)
{
	struct evri_range_cursor walk = { 0 };
	uint32_t count = 0;

	/* Read first: what is READY here is mapped when the next line has run. */
	while (count < EVR_RANGES_MAX &&
	       evri_range_next(region, &walk, &cursor->ranges[count]))
		count++;
	cursor->ranges_count = count;
	return evri_region_map_ranges(region);
}

/* The tables at the region's start count as used. */
static int begin(struct evr_region *region, struct evri_directory_cursor *cursor)
{
	memset(cursor, 0, sizeof(*cursor));
	cursor->used[0] = region->objects_offset;
	cursor->begun = true;
	return read_ranges(region, cursor);
}

static bool is_ready(const struct evri_directory_cursor *cursor, uint32_t range)
{
	return range < cursor->ranges_count &&
	       cursor->ranges[range].state == EVR_RANGE_READY;
}

/* Sees to it that the cursor knows an entry's range, which may be newer than the walk. */
static int know_range(struct evr_region *region, struct evri_directory_cursor *cursor,
		      uint64_t word)
{
	int error = 0;

	if (!is_ready(cursor, entry_range(word)))
		error = read_ranges(region, cursor);
	if (error == 0 &&
	    (!is_ready(cursor, entry_range(word)) || entry_units(word) == 0 ||
	     entry_units(word) * EVRI_OBJECT_UNIT_BYTES >
		     room(cursor, entry_range(word))))
		error = evri_fail(-EUCLEAN,
				  "a directory entry lies outside the region");
	return error;
}

static bool same_name(const struct evri_directory_entry *entry, const char *name)
{
	char copy[EVR_NAME_BYTES];

	memcpy(copy, entry->name, sizeof(copy));
	copy[sizeof(copy) - 1] = '\0';
	return strcmp(copy, name) == 0;
}

/* May its space be taken over? Only from one who can never touch it again. */
static bool is_abandoned(const struct evr_region *region, uint64_t word)
{
	switch (entry_state(word)) {
	case EVRI_ENTRY_SPARE:
		return true;
	case EVRI_ENTRY_BUILDING:
	case EVRI_ENTRY_NAMED:
	case EVRI_ENTRY_ABORTED:
		return !evri_participant_alive(region, entry_owner(word));
	default:
		return false;
	}
}

static int fill_in(struct evr_region *region, uint32_t index, uint64_t offset,
		   uint64_t word, const char *name, uint32_t kind, bool used_before,
		   struct evri_object *ret)
{
	struct evri_directory_entry *entry = &region->directory[index];

	ret->index = index;
	ret->state = EVRI_ENTRY_BUILDING;
	ret->kind = kind;
	ret->owner = region->number;
	ret->range = entry_range(word);
	ret->offset = offset;
	ret->bytes = entry_units(word) * EVRI_OBJECT_UNIT_BYTES;
	ret->address = region->base + offset;
	memset(ret->name, 0, sizeof(ret->name));
	memcpy(ret->name, name, strlen(name));

	memcpy(entry->name, ret->name, sizeof(entry->name));
	evr_plain_store_u32(&entry->kind, kind);
	if (used_before)
		memset(ret->address, 0, ret->bytes);
	return 0;
}

static int check_wish(const struct evr_region *region, const char *name, uint64_t bytes,
		      uint32_t range, const struct evri_directory_cursor *cursor)
{
	size_t length = name ? strlen(name) : 0;

	if (region->read_only)
		return evri_fail(-EROFS, "the region is attached for reading");
	if (length == 0 || length >= EVR_NAME_BYTES)
		return evri_fail(-EINVAL, "a name has 1 to %d characters, this one %zu",
				 EVR_NAME_BYTES - 1, length);
	if (range >= cursor->ranges_count ||
	    cursor->ranges[range].state != EVR_RANGE_READY)
		return evri_fail(-EINVAL, "the region has no range %u (it has %u)", range,
				 cursor->ranges_count);
	if (bytes == 0)
		return evri_fail(-EINVAL, "an object of %" PRIu64 " bytes", bytes);
	if (bytes / EVRI_OBJECT_UNIT_BYTES >= UNITS_MASK)
		return evri_fail(-ENOSPC,
				 "\"%s\" wants %" PRIu64 " bytes; at most %" PRIu64
				 " are possible",
				 name, bytes, UNITS_MASK * EVRI_OBJECT_UNIT_BYTES);
	return 0;
}

int evri_directory_reserve(struct evr_region *region, const char *name, uint32_t kind,
			   uint64_t bytes, uint32_t range, struct evri_object *ret)
{
	uint64_t wanted = (bytes + EVRI_OBJECT_UNIT_BYTES - 1) / EVRI_OBJECT_UNIT_BYTES;
	struct evri_directory_cursor cursor;
	int error;

	error = begin(region, &cursor);
	if (error == 0)
		error = check_wish(region, name, bytes, range, &cursor);
	if (error < 0)
		return error;
	evr_participant_find_dead(region);

	for (uint32_t i = 0; i < region->directory_count;) {
		struct evri_directory_entry *entry = &region->directory[i];
		/* SYNC directory/word (acquire), pairs with evri_directory_publish(). */
		uint64_t word = evr_load_acquire_u64(&entry->word);
		uint64_t units = entry_units(word);

		if (entry_state(word) == EVRI_ENTRY_EMPTY) {
			uint64_t mine = evri_entry_word(EVRI_ENTRY_BUILDING, range,
							wanted, region->number);

			if (wanted * EVRI_OBJECT_UNIT_BYTES > room(&cursor, range))
				return evri_fail(-ENOSPC,
						 "\"%s\" wants %" PRIu64
						 " bytes, range %u of the region has "
						 "%" PRIu64 " left",
						 name, bytes, range,
						 room(&cursor, range));
			if (evr_cas_acq_rel_u64(&entry->word, &word, mine))
				return fill_in(region, i, next_offset(&cursor, range),
					       mine, name, kind, false, ret);
			continue; /* somebody took it: look again at what it is now */
		}
		error = know_range(region, &cursor, word);
		if (error < 0)
			return error;
		if (entry_state(word) == EVRI_ENTRY_READY && same_name(entry, name))
			return evri_fail(-EEXIST, "\"%s\" exists already", name);
		if (units >= wanted && entry_range(word) == range &&
		    is_abandoned(region, word)) {
			uint64_t mine =
				in_state(word, EVRI_ENTRY_BUILDING, region->number);

			if (evr_cas_acq_rel_u64(&entry->word, &word, mine))
				return fill_in(region, i, next_offset(&cursor, range),
					       mine, name, kind, true, ret);
			continue;
		}
		cursor.used[entry_range(word)] += units * EVRI_OBJECT_UNIT_BYTES;
		i++;
	}
	return evri_fail(-ENOSPC, "all %u directory entries are in use",
			 region->directory_count);
}

static void set_state(struct evr_region *region, const struct evri_object *object,
		      uint32_t from, uint32_t to)
{
	uint64_t units = object->bytes / EVRI_OBJECT_UNIT_BYTES;
	uint64_t word = evri_entry_word(from, object->range, units, region->number);

	evr_cas_acq_rel_u64(&region->directory[object->index].word, &word,
			    in_state(word, to, region->number));
}

void evri_directory_abandon(struct evr_region *region, const struct evri_object *object)
{
	set_state(region, object, EVRI_ENTRY_BUILDING, EVRI_ENTRY_SPARE);
	set_state(region, object, EVRI_ENTRY_NAMED, EVRI_ENTRY_SPARE);
	set_state(region, object, EVRI_ENTRY_ABORTED, EVRI_ENTRY_SPARE);
}

/* Our object is NAMED: is the name ours? 0: as far as entry @i says. */
static int contend(struct evr_region *region, const struct evri_object *object,
		   uint32_t i)
{
	struct evri_directory_entry *entry = &region->directory[i];

	/* An entry takes five steps in its life and some more if it is taken over; one
	 * that changes more often while we look is scribbled on. */
	for (int tries = 0; tries < CONTEND_TRIES_MAX; tries++) {
		/* SYNC directory/name (seq_cst), pairs with the compare-and-swap to NAMED
		 * in evri_directory_publish() by another: of two that name their object
		 * and then look, at least one sees the other. */
		uint64_t word = evr_load_seq_cst_u64(&entry->word);
		uint32_t state = entry_state(word);

		if ((state != EVRI_ENTRY_NAMED && state != EVRI_ENTRY_READY) ||
		    !same_name(entry, object->name))
			return 0;
		if (state == EVRI_ENTRY_READY)
			return evri_fail(-EEXIST, "\"%s\" exists already", object->name);

		bool dead = is_abandoned(region, word);
		if (!dead && i < object->index)
			return evri_fail(-EBUSY,
					 "\"%s\" is being made by another participant",
					 object->name);
		/* Fails only if the other one took a step: look again. */
		if (evr_cas_seq_cst_u64(&entry->word, &word,
					in_state(word,
						 dead ? EVRI_ENTRY_SPARE :
							EVRI_ENTRY_ABORTED,
						 entry_owner(word))))
			return 0;
	}
	return evri_fail(-EUCLEAN, "directory entry %u does not come to rest", i);
}

int evri_directory_publish(struct evr_region *region, const struct evri_object *object)
{
	struct evr_atomic_u64 *shared_word = &region->directory[object->index].word;
	uint64_t units = object->bytes / EVRI_OBJECT_UNIT_BYTES;
	uint64_t word = evri_entry_word(EVRI_ENTRY_BUILDING, object->range, units,
					region->number);
	uint64_t named = in_state(word, EVRI_ENTRY_NAMED, region->number);

	/* SYNC directory/name (seq_cst), pairs with the load in contend(). */
	if (!evr_cas_seq_cst_u64(shared_word, &word, named))
		return evri_fail(-EUCLEAN, "directory entry %u was overwritten",
				 object->index);
	for (uint32_t i = 0; i < region->directory_count; i++) {
		if (i == object->index)
			continue;
		int error = contend(region, object, i);
		if (error < 0) {
			evri_directory_abandon(region, object);
			return error;
		}
	}
	/* SYNC directory/word (release), pairs with evri_directory_find(): the object is
	 * initialised for whoever finds it. */
	if (!evr_cas_seq_cst_u64(shared_word, &named,
				 in_state(named, EVRI_ENTRY_READY, region->number))) {
		evri_directory_abandon(region, object);
		return evri_fail(-EBUSY, "\"%s\" is being made by another participant",
				 object->name);
	}
	return 0;
}

bool evri_directory_next(struct evr_region *region,
			 struct evri_directory_cursor *cursor, struct evri_object *ret)
{
	if (!cursor->begun)
		cursor->error = begin(region, cursor);
	if (cursor->error < 0 || cursor->index >= region->directory_count)
		return false;

	const struct evri_directory_entry *entry = &region->directory[cursor->index];
	/* SYNC directory/word (acquire), pairs with evri_directory_publish(). */
	uint64_t word = evr_load_acquire_u64(&entry->word);
	uint64_t bytes = entry_units(word) * EVRI_OBJECT_UNIT_BYTES;
	uint32_t range = entry_range(word);

	if (entry_state(word) == EVRI_ENTRY_EMPTY)
		return false;
	cursor->error = know_range(region, cursor, word);
	if (cursor->error < 0)
		return false;

	ret->index = cursor->index++;
	ret->state = entry_state(word);
	ret->kind = evr_plain_load_u32(&entry->kind);
	ret->owner = entry_owner(word);
	ret->range = range;
	ret->offset = next_offset(cursor, range);
	ret->bytes = bytes;
	ret->address = region->base + ret->offset;
	memcpy(ret->name, entry->name, sizeof(ret->name));
	ret->name[sizeof(ret->name) - 1] = '\0';
	cursor->used[range] += bytes;
	return true;
}

int evri_directory_find(struct evr_region *region, const char *name, uint32_t kind,
			struct evri_object *ret)
{
	struct evri_directory_cursor cursor = { 0 };
	struct evri_object object;
	bool coming = false;

	while (evri_directory_next(region, &cursor, &object)) {
		if (strcmp(object.name, name) != 0)
			continue;
		if (object.state == EVRI_ENTRY_READY) {
			if (object.kind != kind)
				return evri_fail(-EPROTO,
						 "\"%s\" is another kind of object (%u)",
						 name, object.kind);
			*ret = object;
			return 0;
		}
		if (object.state == EVRI_ENTRY_BUILDING ||
		    object.state == EVRI_ENTRY_NAMED)
			coming = evri_participant_alive(region, object.owner);
	}
	if (cursor.error < 0)
		return cursor.error;
	if (coming)
		return evri_fail(-EAGAIN, "\"%s\" is being made", name);
	return evri_fail(-ENOENT, "the region has no \"%s\"", name);
}
