/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * directory.c - the named objects of a region, and the space they lie in.
 *
 * Entries are taken from the front; the objects lie behind each other in the same order,
 * so an entry's word {state, size, owner} is all that says where its object is, and one
 * compare-and-swap takes entry and space together. Sizes never change afterwards.
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
#define UNITS_MASK ((UINT64_C(1) << 28) - 1)

static uint64_t entry_word(uint32_t state, uint64_t units, uint32_t owner)
{
	return ((uint64_t)state << 60) | ((units & UNITS_MASK) << 32) | owner;
}

static uint32_t entry_state(uint64_t word)
{
	return (uint32_t)(word >> 60);
}

static uint64_t entry_units(uint64_t word)
{
	return word >> 32 & UNITS_MASK;
}

static uint32_t entry_owner(uint64_t word)
{
	return (uint32_t)word;
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
		   uint64_t units, const char *name, uint32_t kind, bool used_before,
		   struct evri_object *ret)
{
	struct evri_directory_entry *entry = &region->directory[index];

	ret->index = index;
	ret->state = EVRI_ENTRY_BUILDING;
	ret->kind = kind;
	ret->owner = region->number;
	ret->offset = offset;
	ret->bytes = units * EVRI_OBJECT_UNIT_BYTES;
	ret->address = region->base + offset;
	memset(ret->name, 0, sizeof(ret->name));
	memcpy(ret->name, name, strlen(name));

	memcpy(entry->name, ret->name, sizeof(entry->name));
	evr_plain_store_u32(&entry->kind, kind);
	if (used_before)
		memset(ret->address, 0, ret->bytes);
	return 0;
}

int evri_directory_reserve(struct evr_region *region, const char *name, uint32_t kind,
			   uint64_t bytes, struct evri_object *ret)
{
	uint64_t wanted = (bytes + EVRI_OBJECT_UNIT_BYTES - 1) / EVRI_OBJECT_UNIT_BYTES;
	uint64_t offset = region->objects_offset;
	size_t length = name ? strlen(name) : 0;

	if (length == 0 || length >= EVR_NAME_BYTES)
		return evri_fail(-EINVAL, "a name has 1 to %d characters, this one %zu",
				 EVR_NAME_BYTES - 1, length);
	if (wanted == 0)
		return evri_fail(-EINVAL, "an object of %" PRIu64 " bytes", bytes);
	if (wanted > UNITS_MASK)
		return evri_fail(-ENOSPC,
				 "\"%s\" wants %" PRIu64
				 " bytes, the region has %" PRIu64,
				 name, bytes, region->bytes);
	evr_participant_find_dead(region);

	for (uint32_t i = 0; i < region->directory_count;) {
		struct evri_directory_entry *entry = &region->directory[i];
		/* SYNC directory/word (acquire), pairs with evri_directory_publish(). */
		uint64_t word = evr_load_acquire_u64(&entry->word);
		uint64_t units = entry_units(word);

		if (entry_state(word) == EVRI_ENTRY_EMPTY) {
			if (wanted * EVRI_OBJECT_UNIT_BYTES > region->bytes - offset)
				return evri_fail(-ENOSPC,
						 "\"%s\" wants %" PRIu64
						 " bytes, the region has "
						 "%" PRIu64 " left",
						 name, bytes, region->bytes - offset);
			if (evr_cas_acq_rel_u64(&entry->word, &word,
						entry_word(EVRI_ENTRY_BUILDING, wanted,
							   region->number)))
				return fill_in(region, i, offset, wanted, name, kind,
					       false, ret);
			continue; /* somebody took it: look again at what it is now */
		}
		if (units * EVRI_OBJECT_UNIT_BYTES > region->bytes - offset)
			return evri_fail(-EUCLEAN,
					 "directory entry %u lies outside the region", i);
		if (entry_state(word) == EVRI_ENTRY_READY && same_name(entry, name))
			return evri_fail(-EEXIST, "\"%s\" exists already", name);
		if (units >= wanted && is_abandoned(region, word)) {
			if (evr_cas_acq_rel_u64(&entry->word, &word,
						entry_word(EVRI_ENTRY_BUILDING, units,
							   region->number)))
				return fill_in(region, i, offset, units, name, kind, true,
					       ret);
			continue;
		}
		offset += units * EVRI_OBJECT_UNIT_BYTES;
		i++;
	}
	return evri_fail(-ENOSPC, "all %u directory entries are in use",
			 region->directory_count);
}

static void set_state(struct evr_region *region, const struct evri_object *object,
		      uint32_t from, uint32_t to)
{
	uint64_t units = object->bytes / EVRI_OBJECT_UNIT_BYTES;
	uint64_t word = entry_word(from, units, region->number);

	evr_cas_acq_rel_u64(&region->directory[object->index].word, &word,
			    entry_word(to, units, region->number));
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
					entry_word(dead ? EVRI_ENTRY_SPARE :
							  EVRI_ENTRY_ABORTED,
						   entry_units(word), entry_owner(word))))
			return 0;
	}
	return evri_fail(-EUCLEAN, "directory entry %u does not come to rest", i);
}

int evri_directory_publish(struct evr_region *region, const struct evri_object *object)
{
	struct evr_atomic_u64 *shared_word = &region->directory[object->index].word;
	uint64_t units = object->bytes / EVRI_OBJECT_UNIT_BYTES;
	uint64_t word = entry_word(EVRI_ENTRY_BUILDING, units, region->number);
	uint64_t named = entry_word(EVRI_ENTRY_NAMED, units, region->number);

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
				 entry_word(EVRI_ENTRY_READY, units, region->number))) {
		evri_directory_abandon(region, object);
		return evri_fail(-EBUSY, "\"%s\" is being made by another participant",
				 object->name);
	}
	return 0;
}

bool evri_directory_next(const struct evr_region *region,
			 struct evri_directory_cursor *cursor, struct evri_object *ret)
{
	if (cursor->index == 0)
		cursor->offset = region->objects_offset;
	if (cursor->index >= region->directory_count)
		return false;

	const struct evri_directory_entry *entry = &region->directory[cursor->index];
	/* SYNC directory/word (acquire), pairs with evri_directory_publish(). */
	uint64_t word = evr_load_acquire_u64(&entry->word);
	uint64_t bytes = entry_units(word) * EVRI_OBJECT_UNIT_BYTES;

	if (entry_state(word) == EVRI_ENTRY_EMPTY || bytes == 0 ||
	    bytes > region->bytes - cursor->offset)
		return false;

	ret->index = cursor->index++;
	ret->state = entry_state(word);
	ret->kind = evr_plain_load_u32(&entry->kind);
	ret->owner = entry_owner(word);
	ret->offset = cursor->offset;
	ret->bytes = bytes;
	ret->address = region->base + cursor->offset;
	memcpy(ret->name, entry->name, sizeof(ret->name));
	ret->name[sizeof(ret->name) - 1] = '\0';
	cursor->offset += bytes;
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
	if (coming)
		return evri_fail(-EAGAIN, "\"%s\" is being made", name);
	return evri_fail(-ENOENT, "the region has no \"%s\"", name);
}
