/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_dump.c - dump.h: the first thing to look at when something is stuck. */

#include "fixture.h"

#include <fcntl.h>
#include <string.h>

static char text[1 << 18];

/* What evr_region_dump() writes, in text[]. */
static const char *dump_of(struct evr_region *region)
{
	int file = memfd_create("dump", MFD_CLOEXEC);
	ssize_t length;

	cr_assert_geq(file, 0);
	MUST(evr_region_dump(region, file));
	length = pread(file, text, sizeof(text) - 1, 0);
	cr_assert_gt(length, 0);
	text[length] = '\0';
	close(file);
	return text;
}

static bool has_line_with(const char *dump, const char *first, const char *second)
{
	const char *line;

	for (line = dump; line && *line;
	     line = strchr(line, '\n'), line += line != NULL) {
		const char *end = strchr(line, '\n');
		size_t length = end ? (size_t)(end - line) : strlen(line);

		if (memmem(line, length, first, strlen(first)) &&
		    memmem(line, length, second, strlen(second)))
			return true;
	}
	return false;
}

Test(dump, an_empty_region_is_told)
{
	struct evr_region *region = region_of(UINT64_C(1) << 20);

	cr_assert(strstr(dump_of(region), "1048576"), "%s", text);
	cr_assert(strstr(text, "alive"), "%s", text);
	evr_region_detach(region);
}

Test(dump, every_object_is_told_by_its_name)
{
	struct evr_ring ring;
	struct evr_block block;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_ring_create(peer.region, "my-own-ring", 4, &ring));
	block = must_alloc(&peer.agent, 64);
	MUST(evr_ring_try_push(&ring, &peer.agent, block.token));
	dump_of(peer.region);
	cr_assert(has_line_with(text, "my-own-ring", "1"), "%s", text);
	cr_assert(strstr(text, "uring"), "%s", text);
	MUST(evr_ring_close(&ring));
	cr_assert(strstr(dump_of(peer.region), "closed"), "%s", text);
	peer_close(&peer);
}

static void hold_and_wait(struct peer *peer, void *ready)
{
	struct evr_block block;

	CHILD_MUST(evr_block_alloc(&peer->agent, 4096, &block) == 0);
	evr_store_release_u64(ready, 1);
	sleep_ms(CHILD_SECONDS_MAX * 1000);
}

/* The answer to "why is it stuck" is often "the process with this PID is stopped". */
Test(dump, who_lives_who_is_stopped_and_who_is_dead_is_told_with_the_pid, .timeout = 20)
{
	struct evr_atomic_u64 *ready = shared_memory(4096);
	struct peer peer;
	char pid[32];
	int status;
	pid_t child;

	peer_create(&peer, NULL);
	child = peer_child(&peer, hold_and_wait, ready);
	cr_assert(HOLDS_WITHIN(5000, evr_load_acquire_u64(ready) == 1));
	snprintf(pid, sizeof(pid), "%d", child);
	cr_assert(has_line_with(dump_of(peer.region), pid, "alive"), "%s", text);
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	cr_assert(has_line_with(dump_of(peer.region), pid, "stopped"), "%s", text);
	end_child(child);
	cr_assert(has_line_with(dump_of(peer.region), pid, "dead"), "%s", text);
	peer_close(&peer);
}

Test(dump, looking_changes_nothing_in_the_region)
{
	struct evr_region_shared *raw;
	struct peer peer;
	char *before;

	peer_create(&peer, NULL);
	raw = scribble_map(peer.region);
	before = malloc(FIXTURE_REGION_BYTES);
	memcpy(before, raw, FIXTURE_REGION_BYTES);
	dump_of(peer.region);
	cr_assert_eq(memcmp(before, raw, FIXTURE_REGION_BYTES), 0);
	free(before);
	peer_close(&peer);
}

Test(dump, a_descriptor_that_cannot_be_written_is_an_error)
{
	struct peer peer;
	int pipes[2];

	peer_create(&peer, NULL);
	FAILS(-EBADF, evr_region_dump(peer.region, -1));
	FAILS(-EBADF, evr_region_dump(peer.region, open("/dev/null", O_RDONLY)));
	FAILS(-ENOSPC, evr_region_dump(peer.region, open("/dev/full", O_WRONLY)));
	cr_assert_eq(pipe(pipes), 0);
	close(pipes[0]);
	signal(SIGPIPE, SIG_IGN);
	FAILS(-EPIPE, evr_region_dump(peer.region, pipes[1]));
	peer_close(&peer);
}

/* Whatever the bytes say, the dump ends and says something. */
Test(dump, a_region_full_of_garbage_is_told_all_the_same, .timeout = 60)
{
	uint64_t seed = 23;
	int round;

	for (round = 0; round < 40; round++) {
		struct evr_ring ring;
		uint64_t *words;
		struct peer peer;
		uint64_t i;

		peer_create(&peer, NULL);
		MUST(evr_ring_create(peer.region, "ring", 4, &ring));
		words = (uint64_t *)scribble_map(peer.region);
		for (i = 0; i < FIXTURE_REGION_BYTES / 8; i++)
			if (next_random(&seed) % (round < 20 ? 2 : 32) == 0)
				words[i] = next_random(&seed) >> next_random(&seed) % 64;
		dump_of(peer.region);
		munmap(words, FIXTURE_REGION_BYTES);
		peer_close(&peer);
	}
}
