/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_UNIT_NAMED_H
#define EVERING_TESTS_UNIT_NAMED_H

/*
 * named.h - members of a name: in this process, or children that tell what they are in.
 */

#include "meet.h"

struct member {
	const char *address;
	bool create;
	uint32_t standbys;
	uint64_t within_ms;
	uint32_t go;
	uint32_t in; /* 1: it is in; 2: it is not */
	uint32_t leave;
	int32_t error;
	bool created;
	uint8_t id[16];
};

UNUSED static void id_of(const struct evr_named *named, uint8_t id[16])
{
	uint64_t bytes;
	struct evr_region_shared *base =
		audit_map(evr_region_fd(evr_named_region(named)), &bytes);

	memcpy(id, base->id, 16);
	munmap(base, bytes);
}

static const struct evr_region_options named_create UNUSED = {
	.size = sizeof(struct evr_region_options),
	.bytes = 1 << 20,
	.participants = 1000,
};

UNUSED static struct evr_named_options named_options(const char *address)
{
	return (struct evr_named_options){.size = sizeof(struct evr_named_options),
					  .address = address,
					  .create = &named_create};
}

UNUSED static int open_within(const struct evr_named_options *options,
			      uint64_t milliseconds, struct evr_named **ret)
{
	return evr_named_open(options, now_ns() + milliseconds * MILLISECOND_NS, ret);
}

/* Opens and leaves; nothing may be left behind, or touched when it fails. If who serves
 * is this process too, it closes its end a moment later. */
UNUSED static int drop_in(const struct evr_named_options *options, uint64_t milliseconds)
{
	struct evr_named *untouched = (struct evr_named *)0x5a5a;
	struct evr_named *named = untouched;
	int before = open_descriptors();
	int error = open_within(options, milliseconds, &named);

	if (error == 0)
		evr_named_close(named);
	else
		cr_assert_eq(named, untouched, "the result was touched");
	cr_assert(HOLDS_WITHIN(1000, open_descriptors() == before),
		  "a descriptor was left behind");
	return error;
}

UNUSED static void run_member(void *argument)
{
	struct member *member = argument;
	struct evr_named_options options = named_options(member->address);
	struct evr_named *named = NULL;

	while (!GET(member->go))
		sleep_ms(1);
	options.standbys = member->standbys;
	if (!member->create)
		options.create = NULL;
	member->error = open_within(&options,
				    member->within_ms ? member->within_ms : 5000, &named);
	if (member->error == 0) {
		member->created = evr_named_was_created(named);
		id_of(named, member->id);
	}
	SET(member->in, member->error == 0 ? 1 : 2);
	while (!GET(member->leave))
		sleep_ms(1);
	evr_named_close(named);
}

/* A child that opens the name when it is told to. A process that is a member itself makes
 * its children before: a child of several threads may do little, and under a sanitizer
 * not even allocate. */
UNUSED static pid_t prepare_member(struct member *member, const char *address)
{
	memset(member, 0, sizeof(*member));
	member->address = address;
	member->create = true;
	return start_child(run_member, member);
}

UNUSED static pid_t start_member(struct member *member, const char *address)
{
	pid_t child = prepare_member(member, address);

	SET(member->go, 1);
	return child;
}

UNUSED static bool gets_in(struct member *member)
{
	return HOLDS_WITHIN(10000, GET(member->in)) && GET(member->in) == 1;
}

UNUSED static void let_in(struct member *member)
{
	SET(member->go, 1);
	cr_assert(gets_in(member), "%d", member->error);
}

UNUSED static pid_t member_that_is_in(struct member *member, const char *address)
{
	pid_t child = start_member(member, address);

	cr_assert(gets_in(member), "%d", member->error);
	return child;
}

UNUSED static bool same_region(const struct member *a, const struct member *b)
{
	return memcmp(a->id, b->id, sizeof(a->id)) == 0;
}

/* Until all of its threads are. */
UNUSED static void stop_child(pid_t child)
{
	int status = 0;

	kill(child, SIGSTOP);
	cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
	cr_assert(WIFSTOPPED(status), "%#x", status);
}

/* Threads of this process. */
UNUSED static int threads(void)
{
	DIR *directory = opendir("/proc/self/task");
	int count = -2;

	cr_assert_neq(directory, NULL);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

#endif
