/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_UNIT_FIXTURE_H
#define EVERING_TESTS_UNIT_FIXTURE_H

/*
 * fixture.h - a region with a pool and a uring, and peers: views of it that are
 * participants of their own. A peer may live in the test's process (a second attachment)
 * or in a child, which ends without detaching, as the dead do.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "common.h"

#include <stdarg.h>
#include <stdlib.h>

#include <evering/evering.h>

#include "../lib/audit.h"

/* A call that must succeed, with its explanation when it does not. */
#define MUST(call)                                                                       \
	__extension__({                                                                  \
		int evrt_error = (call);                                                 \
		cr_assert_geq(evrt_error, 0, "%s gave %d: %s (%s)", #call, evrt_error,   \
			      evr_strerror(evrt_error), evr_error_detail());             \
		evrt_error;                                                              \
	})

/* A call that must fail with exactly this negative errno. */
#define FAILS(expected, call)                                                            \
	do {                                                                             \
		int evrt_error = (call);                                                 \
		cr_assert_eq(evrt_error, (expected), "%s gave %d, not %d (%s)", #call,   \
			     evrt_error, (expected), evr_error_detail());                \
	} while (0)

/* In a child the assertions of Criterion cannot be used; its exit status tells. */
#define CHILD_MUST(condition)                                                            \
	do {                                                                             \
		if (!(condition)) {                                                      \
			dprintf(2, "%s:%d: in a child: %s is false\n", __FILE__,         \
				__LINE__, #condition);                                   \
			_exit(99);                                                       \
		}                                                                        \
	} while (0)

struct peer {
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_uring *uring;
	struct evr_agent agent;
};

#define FIXTURE_REGION_BYTES (UINT64_C(2) << 20)
#define FIXTURE_BLOCKS 280

/* No multiple of 64 at first: the last chunk of a class is not full. */
static const struct evr_pool_class fixture_classes[] UNUSED = {
	{ .payload_bytes = 64, .blocks_count = 200 },
	{ .payload_bytes = 1024, .blocks_count = 64 },
	{ .payload_bytes = 4096, .blocks_count = 16 },
};

UNUSED static struct evr_pool_options fixture_pool_options(void)
{
	return (struct evr_pool_options){ .size = sizeof(struct evr_pool_options),
					  .classes = fixture_classes,
					  .classes_count = COUNT_OF(fixture_classes) };
}

UNUSED static struct evr_region *region_of(uint64_t bytes)
{
	struct evr_region_options options = { .size = sizeof(options), .bytes = bytes };
	struct evr_region *region = NULL;

	MUST(evr_region_create(&options, &region));
	return region;
}

/* A region with its pool; the rest as the test wants it. */
UNUSED static struct peer pool_peer_with(const struct evr_pool_options *options)
{
	struct peer peer = { .region = region_of(FIXTURE_REGION_BYTES) };

	MUST(evr_pool_create(peer.region, options, &peer.pool));
	return peer;
}

UNUSED static struct peer pool_peer(void)
{
	struct evr_pool_options options = fixture_pool_options();

	return pool_peer_with(&options);
}

/* Attaches and leaves; the error otherwise. Nothing may be left behind or touched. */
UNUSED static int attach_to(int fd)
{
	struct evr_region *untouched = (struct evr_region *)0x5a5a;
	struct evr_region *region = untouched;
	int before = open_descriptors();
	int error = evr_region_attach(fd, &region);

	if (error == 0)
		evr_region_detach(region);
	else
		cr_assert_eq(region, untouched, "the result was touched");
	cr_assert_eq(open_descriptors(), before, "a descriptor was left behind");
	return error;
}

/* All of it: agent and uring too. @uring: NULL for defaults. The agent may not move, so
 * the peer is the caller's. */
UNUSED static void peer_create(struct peer *peer, const struct evr_uring_options *uring)
{
	*peer = pool_peer();
	MUST(evr_agent_open(peer->pool, &peer->agent));
	MUST(evr_uring_create(peer->pool, uring, &peer->uring));
}

/* Another participant; false when anything fails. Usable in children. */
UNUSED static bool peer_try_attach(struct peer *peer, int fd)
{
	memset(peer, 0, sizeof(*peer));
	if (evr_region_attach(fd, &peer->region) < 0)
		return false;
	if (evr_pool_open(peer->region, &peer->pool) < 0)
		return true;
	(void)!evr_uring_open(peer->pool, NULL, 0, 0, &peer->uring);
	return evr_agent_open(peer->pool, &peer->agent) == 0;
}

UNUSED static void peer_attach(struct peer *peer, const struct peer *to)
{
	cr_assert(peer_try_attach(peer, evr_region_fd(to->region)), "%s",
		  evr_error_detail());
}

UNUSED static void peer_close(struct peer *peer)
{
	evr_uring_close(peer->uring);
	evr_agent_close(&peer->agent);
	evr_pool_close(peer->pool);
	evr_region_detach(peer->region);
	memset(peer, 0, sizeof(*peer));
}

/* ---- children ---- */

struct child_start {
	int fd;
	void (*act)(struct peer *, void *);
	void *argument;
};

UNUSED static void child_attach_and_act(void *argument)
{
	struct child_start *start = argument;
	struct peer peer;

	CHILD_MUST(peer_try_attach(&peer, start->fd));
	start->act(&peer, start->argument);
}

/* A participant in a process of its own; when @act returns, it ends without detaching. */
UNUSED static pid_t peer_child(const struct peer *to, void (*act)(struct peer *, void *),
			       void *argument)
{
	struct child_start start = { evr_region_fd(to->region), act, argument };

	return start_child(child_attach_and_act, &start);
}

UNUSED static void child_succeeds(pid_t child)
{
	int status = -1;

	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child status %#x",
		  status);
}

/* A participant that does @act and is then killed, holding what it holds. */
UNUSED static void killed_child(const struct peer *to, void (*act)(struct peer *, void *),
				void *argument)
{
	child_succeeds(peer_child(to, act, argument));
}

/* ---- looking into the region ---- */

/* A second mapping of the region: to scribble. Stays until the test's process ends. */
UNUSED static struct evr_region_shared *scribble_map(const struct evr_region *region)
{
	uint64_t bytes;
	struct evr_region_shared *base = audit_map(evr_region_fd(region), &bytes);

	cr_assert_neq(base, NULL);
	return base;
}

UNUSED static void *find_object(struct evr_region_shared *base, uint64_t magic)
{
	uint64_t offset = 0;
	void *object = audit_find(base, base->bytes, magic, &offset);

	cr_assert_neq(object, NULL, "no object with magic %#llx",
		      (unsigned long long)magic);
	return object;
}

/* Every block is free exactly once. Close or flush all agents first. */
UNUSED static void all_blocks_are_free(const struct evr_region *region)
{
	struct audit audit;
	uint64_t bytes;
	void *base = audit_map(evr_region_fd(region), &bytes);

	cr_assert_neq(base, NULL);
	cr_assert(audit_all_free(base, bytes, &audit), "%s", audit.text);
	munmap(base, bytes);
}

/* Of this process's view, when it has nothing in hand. */
UNUSED static void peer_leaves_all_free(struct peer *peer)
{
	evr_agent_flush(&peer->agent);
	all_blocks_are_free(peer->region);
	cr_assert_eq(evr_pool_free_count(peer->pool), evr_pool_blocks(peer->pool));
}

UNUSED static struct evr_block must_alloc(struct evr_agent *agent, uint64_t bytes)
{
	struct evr_block block = { 0 };

	MUST(evr_block_alloc(agent, bytes, &block));
	return block;
}

/* A pseudo-random sequence that is the same in every run. */
UNUSED static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

#endif
