/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_directory.c - the directory of a region (region_internal.h): names given once,
 * space that is never lost and never given twice. */

#include "fixture.h"

#include <string.h>

#include "region_internal.h"

#define REGION_BYTES (UINT64_C(1) << 20)

static struct evri_object reserve(struct evr_region *region, const char *name,
				  uint64_t bytes)
{
	struct evri_object object;

	MUST(evri_directory_reserve(region, name, EVRI_OBJECT_RING, bytes, 0, &object));
	return object;
}

static struct evri_object make(struct evr_region *region, const char *name,
			       uint64_t bytes)
{
	struct evri_object object = reserve(region, name, bytes);

	MUST(evri_directory_publish(region, &object));
	return object;
}

Test(directory, a_published_object_is_found_by_name_and_kind)
{
	struct evr_region *region = region_of(REGION_BYTES);
	struct evri_object made = make(region, "one", 5000);
	struct evri_object found;

	MUST(evri_directory_find(region, "one", EVRI_OBJECT_RING, &found));
	cr_assert_eq(found.address, made.address);
	cr_assert_eq(found.bytes, 8192, "whole units of 4 KiB");
	FAILS(-EPROTO, evri_directory_find(region, "one", EVRI_OBJECT_URING, &found));
	FAILS(-ENOENT, evri_directory_find(region, "on", EVRI_OBJECT_RING, &found));
	evr_region_detach(region);
}

Test(directory, an_object_is_not_found_before_it_is_published)
{
	struct evr_region *region = region_of(REGION_BYTES);
	struct evri_object object = reserve(region, "one", 100);
	struct evri_object found;

	FAILS(-EAGAIN, evri_directory_find(region, "one", EVRI_OBJECT_RING, &found));
	MUST(evri_directory_publish(region, &object));
	MUST(evri_directory_find(region, "one", EVRI_OBJECT_RING, &found));
	evr_region_detach(region);
}

Test(directory, space_is_zeroed_aligned_and_never_given_twice)
{
	struct evr_region *region = region_of(REGION_BYTES);
	char *end = NULL;
	int i;

	for (i = 0; i < 20; i++) {
		struct evri_object object;
		char name[16];
		uint64_t k;

		snprintf(name, sizeof(name), "object%d", i);
		object = make(region, name, 1 + (uint64_t)i * 700);
		cr_assert_eq((uintptr_t)object.address % 4096, 0);
		cr_assert_geq((char *)object.address, end);
		for (k = 0; k < object.bytes; k++)
			cr_assert_eq(((char *)object.address)[k], 0);
		memset(object.address, 0xff, object.bytes);
		end = (char *)object.address + object.bytes;
	}
	evr_region_detach(region);
}

Test(directory, a_name_is_given_once)
{
	struct evr_region *region = region_of(REGION_BYTES);
	struct evri_object object;

	make(region, "one", 100);
	FAILS(-EEXIST,
	      evri_directory_reserve(region, "one", EVRI_OBJECT_POOL, 100, 0, &object));
	evr_region_detach(region);
}

Test(directory,
     of_two_that_make_the_same_name_at_once_one_wins_and_the_others_space_is_spare)
{
	struct evr_region *region = region_of(REGION_BYTES);
	struct evri_object first = reserve(region, "one", 100);
	struct evri_object second = reserve(region, "one", 100);
	struct evri_object third;

	cr_assert_neq(first.address, second.address);
	MUST(evri_directory_publish(region, &second));
	FAILS(-EEXIST, evri_directory_publish(region, &first));
	third = make(region, "three", 100);
	cr_assert_eq(third.address, first.address);
	evr_region_detach(region);
}

Test(directory, abandoned_space_is_used_again_zeroed)
{
	struct evr_region *region = region_of(REGION_BYTES);
	struct evri_object first = reserve(region, "one", 8000);
	struct evri_object second;
	uint64_t k;

	memset(first.address, 0xff, first.bytes);
	evri_directory_abandon(region, &first);
	FAILS(-ENOENT, evri_directory_find(region, "one", EVRI_OBJECT_RING, &second));
	second = make(region, "one", 5000);
	cr_assert_eq(second.address, first.address);
	for (k = 0; k < second.bytes; k++)
		cr_assert_eq(((char *)second.address)[k], 0);
	evr_region_detach(region);
}

static char one[] = "one";

static void reserve_and_die(struct peer *peer, void *name)
{
	struct evri_object object;

	CHILD_MUST(evri_directory_reserve(peer->region, name, EVRI_OBJECT_RING, 4096, 0,
					  &object) == 0);
	memset(object.address, 0xff, object.bytes);
}

static void wait_with_a_reservation(struct peer *peer, void *ready)
{
	reserve_and_die(peer, one);
	evr_store_release_u64(ready, 1);
	sleep_ms(CHILD_SECONDS_MAX * 1000);
}

Test(directory, the_place_of_a_dead_maker_is_taken_over, .timeout = 30)
{
	struct peer peer = { .region = region_of(REGION_BYTES) };
	struct evri_object object;
	void *address = NULL;
	int i;

	for (i = 0; i < 10; i++) {
		child_succeeds(peer_child(&peer, reserve_and_die, one));
		FAILS(-ENOENT, (evr_participant_find_dead(peer.region),
				evri_directory_find(peer.region, "one", EVRI_OBJECT_RING,
						    &object)));
	}
	for (i = 0; i < 5; i++) {
		object = reserve(peer.region, "one", 4096);
		cr_assert(!address || address == object.address, "the place leaks");
		cr_assert_eq(*(uint64_t *)object.address, 0);
		address = object.address;
		evri_directory_abandon(peer.region, &object);
	}
	evr_region_detach(peer.region);
}

Test(directory, the_place_of_a_stopped_maker_is_left_alone, .timeout = 30)
{
	struct evr_atomic_u64 *ready = shared_memory(4096);
	struct peer peer = { .region = region_of(REGION_BYTES) };
	struct evri_object object;
	struct evri_object its;
	struct evri_directory_cursor cursor = { 0 };
	int status;
	pid_t child;

	child = peer_child(&peer, wait_with_a_reservation, ready);
	cr_assert(HOLDS_WITHIN(5000, evr_load_acquire_u64(ready) == 1));
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	FAILS(-EAGAIN,
	      evri_directory_find(peer.region, "one", EVRI_OBJECT_RING, &object));
	cr_assert(evri_directory_next(peer.region, &cursor, &its));
	object = reserve(peer.region, "two", 4096);
	cr_assert_neq(object.offset, its.offset);
	end_child(child);
	evr_region_detach(peer.region);
}

Test(directory, a_full_directory_says_so_and_goes_on_finding)
{
	struct evr_region *region = region_of(UINT64_C(4) << 20);
	struct evri_object object;
	char name[16];
	int i;

	for (i = 0; i < EVRI_DIRECTORY_ENTRIES; i++) {
		snprintf(name, sizeof(name), "object%d", i);
		make(region, name, 1);
	}
	FAILS(-ENOSPC,
	      evri_directory_reserve(region, "more", EVRI_OBJECT_RING, 1, 0, &object));
	MUST(evri_directory_find(region, "object0", EVRI_OBJECT_RING, &object));
	MUST(evri_directory_find(region, name, EVRI_OBJECT_RING, &object));
	evr_region_detach(region);
}

Test(directory, a_region_without_room_names_what_is_wanted_and_what_is_left)
{
	struct evr_region *region = region_of(REGION_BYTES);
	struct evri_object object;

	FAILS(-ENOSPC, evri_directory_reserve(region, "big", EVRI_OBJECT_RING,
					      UINT64_C(5) << 20, 0, &object));
	cr_assert(strstr(evr_error_detail(), "5242880"), "%s", evr_error_detail());
	FAILS(-EINVAL,
	      evri_directory_reserve(region, "big", EVRI_OBJECT_RING, 0, 0, &object));
	cr_assert(evri_directory_reserve(region, "big", EVRI_OBJECT_RING, UINT64_MAX, 0,
					 &object) < 0);
	make(region, "small", 100);
	evr_region_detach(region);
}

Test(directory, all_objects_are_walked_in_order)
{
	struct evr_region *region = region_of(REGION_BYTES);
	struct evri_directory_cursor cursor = { 0 };
	struct evri_object object;

	make(region, "a", 1);
	reserve(region, "b", 1);
	make(region, "c", 1);
	cr_assert(evri_directory_next(region, &cursor, &object));
	cr_assert_str_eq(object.name, "a");
	cr_assert_eq(object.state, EVRI_ENTRY_READY);
	cr_assert(evri_directory_next(region, &cursor, &object));
	cr_assert_str_eq(object.name, "b");
	cr_assert_eq(object.state, EVRI_ENTRY_BUILDING);
	cr_assert_eq(object.owner, evr_region_number(region));
	cr_assert(evri_directory_next(region, &cursor, &object));
	cr_assert_str_eq(object.name, "c");
	cr_assert_not(evri_directory_next(region, &cursor, &object));
	cr_assert_not(evri_directory_next(region, &cursor, &object));
	evr_region_detach(region);
}

/* Whatever the entries say, what is found lies inside the region. */
Test(directory, entries_full_of_garbage_lead_nowhere_outside_the_region, .timeout = 30)
{
	uint64_t seed = 41;
	int round;

	for (round = 0; round < 2000; round++) {
		struct evr_region *region = region_of(REGION_BYTES);
		struct evri_directory_cursor cursor = { 0 };
		struct evri_object object;
		uint32_t i;

		make(region, "one", 100);
		for (i = 0; i < 8; i++) {
			evr_store_relaxed_u64(
				&region->directory[i].word,
				next_random(&seed) &
					(round % 2 ? UINT64_MAX
						   : UINT64_C(0x700000ff00000003)));
			region->directory[i].name[0] = (char)next_random(&seed);
			if (round % 3 == 0)
				memset(region->directory[i].name, 'x', EVR_NAME_BYTES);
		}
		for (i = 0; evri_directory_next(region, &cursor, &object); i++) {
			cr_assert_leq(i, region->directory_count);
			cr_assert_geq(object.offset, region->objects_offset);
			cr_assert_leq(object.offset + object.bytes, REGION_BYTES);
		}
		(void)!evri_directory_find(region, "one", EVRI_OBJECT_RING, &object);
		if (evri_directory_reserve(region, "two", EVRI_OBJECT_RING, 5000, 0,
					   &object) == 0) {
			cr_assert_leq(object.offset + object.bytes, REGION_BYTES);
			cr_assert_geq(object.bytes, 5000);
			(void)!evri_directory_publish(region, &object);
		}
		evr_region_detach(region);
	}
}
