/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * recovery.c - evr-bench-recovery: how long it takes to bring back what one dead
 * participant held, against blocks, ring slots and participants, in a table. All views
 * are this process's, by one thread: an attachment that leaves with blocks in hand is
 * dead. bench/README.md says how to read it.
 */

#include <err.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <evering/evering.h>

#define REPETITIONS 51
#define PAYLOAD_BYTES 64
#define HELD 64        /* blocks that the dead one has */
#define LOOKS 65536    /* of a step */
#define RINGS_MAX 16
#define PEERS_MAX 512

struct size {
	uint32_t blocks;
	uint32_t rings;
	uint32_t order;
	uint32_t participants; /* alive, each with an agent */
	uint32_t dead;
	bool in_use; /* all blocks are somebody's, and the rings are full */
};

struct view {
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_agent agent;
};

struct site {
	struct view mine;
	struct view peers[PEERS_MAX];
	struct evr_ring rings[RINGS_MAX];
};

static void must(int result)
{
	if (result < 0)
		errx(1, "%s (%s)", evr_strerror(result), evr_error_detail());
}

static int ascending(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

static double median(double *values)
{
	qsort(values, REPETITIONS, sizeof(*values), ascending);
	return values[REPETITIONS / 2];
}

static void attach(struct view *view, int fd)
{
	must(evr_region_attach(fd, &view->region));
	must(evr_pool_open(view->region, &view->pool));
	must(evr_agent_open(view->pool, &view->agent));
}

static void take(struct view *view, uint32_t count)
{
	struct evr_block block;

	for (uint32_t i = 0; i < count; i++)
		must(evr_block_alloc(&view->agent, PAYLOAD_BYTES, &block));
}

/* One of the living has everything but what the dead ones will need. */
static void use_up(struct site *site, const struct size *size)
{
	struct evr_block block;
	uint32_t spare = size->dead * (HELD + 64) + 64;

	for (uint32_t i = 0; i + spare < size->blocks; i++) {
		must(evr_block_alloc(&site->mine.agent, PAYLOAD_BYTES, &block));
		for (uint32_t k = 0; k < size->rings; k++)
			if (evr_ring_try_push(&site->rings[k], &site->mine.agent,
					      block.token) == 0)
				break;
	}
}

/* False: there is not so much memory. */
static bool set_up(struct site *site, const struct size *size)
{
	struct evr_pool_class class = { .payload_bytes = PAYLOAD_BYTES,
					.blocks_count = size->blocks };
	struct evr_region_options region = {
		.size = sizeof(region),
		.bytes = (UINT64_C(16) << 20) + (uint64_t)size->blocks * 130 +
			 ((uint64_t)size->rings << size->order) * 8,
		.participants = size->participants + size->dead + 1,
	};
	struct evr_pool_options pool = { .size = sizeof(pool),
					 .classes = &class,
					 .classes_count = 1 };
	char name[16];

	if (evr_region_create(&region, &site->mine.region) < 0) {
		printf("%8" PRIu32 "  left out: %s\n", size->blocks, evr_error_detail());
		return false;
	}
	must(evr_pool_create(site->mine.region, &pool, &site->mine.pool));
	must(evr_agent_open(site->mine.pool, &site->mine.agent));
	for (uint32_t i = 0; i < size->rings; i++) {
		snprintf(name, sizeof(name), "ring%" PRIu32, i);
		must(evr_ring_create(site->mine.region, name, size->order,
				     &site->rings[i]));
	}
	for (uint32_t i = 1; i < size->participants; i++)
		attach(&site->peers[i], evr_region_fd(site->mine.region));
	if (size->in_use)
		use_up(site, size);
	return true;
}

static void tear_down(struct site *site, const struct size *size)
{
	for (uint32_t i = 1; i < size->participants; i++) {
		evr_agent_close(&site->peers[i].agent);
		evr_pool_close(site->peers[i].pool);
		evr_region_detach(site->peers[i].region);
	}
	evr_agent_close(&site->mine.agent);
	evr_pool_close(site->mine.pool);
	evr_region_detach(site->mine.region);
}

static void die(struct site *site, const struct size *size)
{
	for (uint32_t i = 0; i < size->dead; i++) {
		struct view dead;

		attach(&dead, evr_region_fd(site->mine.region));
		take(&dead, HELD);
		evr_pool_close(dead.pool);
		evr_region_detach(dead.region);
	}
}

static void check(const struct evr_recovery_stats *stats, const struct size *size)
{
	if (stats->finished != size->dead || stats->freed < size->dead * HELD)
		errx(1, "%" PRIu32 " finished, %" PRIu32 " blocks freed",
		     stats->finished, stats->freed);
}

static void measure(const struct size *size)
{
	struct site *site = calloc(1, sizeof(*site));
	double call_us[REPETITIONS], step_us[REPETITIONS], longest_us[REPETITIONS];
	struct evr_recovery_stats stats;

	if (!site)
		err(1, "memory");
	if (!set_up(site, size)) {
		free(site);
		return;
	}
	for (int i = 0; i < REPETITIONS; i++) {
		struct evr_recoverer *recoverer;
		int result;

		die(site, size);
		must(evr_recover(&site->mine.agent, &stats));
		check(&stats, size);
		call_us[i] = (double)stats.elapsed_ns / 1e3;

		die(site, size);
		must(evr_recoverer_open(&site->mine.agent, &recoverer));
		do
			result = evr_recoverer_step(recoverer, LOOKS, &stats);
		while (result == 1);
		must(result);
		check(&stats, size);
		evr_recoverer_close(recoverer);
		step_us[i] = (double)stats.elapsed_ns / 1e3;
		longest_us[i] = (double)stats.longest_step_ns / 1e3;
	}
	printf("%8" PRIu32 "  %-6s %2" PRIu32 " x %-8" PRIu32 " %4" PRIu32 " %4" PRIu32
	       "  %9" PRIu64 " %10.1f %10.1f %10.1f %6" PRIu32 "\n",
	       size->blocks, size->in_use ? "all" : "few", size->rings, 1U << size->order,
	       size->participants, size->dead, stats.scanned, median(call_us),
	       median(step_us), median(longest_us), stats.steps);
	fflush(stdout);
	tear_down(site, size);
	free(site);
}

int main(void)
{
	static const struct size sizes[] = {
		/* against the pool */
		{ 1 << 10, 4, 10, 4, 1, false },
		{ 1 << 13, 4, 10, 4, 1, false },
		{ 1 << 16, 4, 10, 4, 1, false },
		{ 1 << 20, 4, 10, 4, 1, false },
		{ 1 << 13, 4, 10, 4, 1, true },
		{ 1 << 16, 4, 10, 4, 1, true },
		{ 1 << 20, 4, 10, 4, 1, true },
		/* against rings */
		{ 1 << 16, 16, 10, 4, 1, false },
		{ 1 << 16, 4, 16, 4, 1, false },
		{ 1 << 16, 4, 20, 4, 1, false },
		{ 1 << 16, 1, 24, 4, 1, false },
		/* against participants */
		{ 1 << 16, 4, 10, 64, 1, false },
		{ 1 << 16, 4, 10, 256, 1, false },
		/* against deaths at once */
		{ 1 << 16, 4, 10, 4, 16, true },
		{ 1 << 20, 4, 10, 4, 16, true },
		/* as large as it gets: 2 GiB */
		{ (1 << 24) - 64, 4, 10, 4, 1, false },
		{ (1 << 24) - 64, 4, 10, 4, 1, true },
	};

	printf("%8s  %-6s %-13s %4s %4s  %9s %10s %10s %10s %6s\n", "blocks", "in use",
	       "rings", "live", "dead", "scanned", "call us", "steps us", "longest",
	       "steps");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		measure(&sizes[i]);
	return 0;
}
