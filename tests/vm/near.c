/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * near.c - blocks on three nodes: who allocates gets those of its own node, and when they
 * are used up those of the next nearest. Where a block's payload lies is asked of the
 * kernel.
 */

#include "witness.h"

#include <evering/cpu.h>

enum { EACH = 64, ALL = NODES * EACH, BLOCK_BYTES = 4096 };

/* By the distances of machine.sh: 21 from 0 to 1, 17 from 0 to 2, 28 from 1 to 2. */
static const int order_of_node[2][NODES] = {{0, 2, 1}, {1, 0, 2}};

static void run_on(int cpu)
{
	struct evr_number_set *cpus;

	MUST(evr_number_set_create(&cpus));
	MUST(evr_number_set_add(cpus, cpu));
	MUST(evr_cpu_pin(cpus));
	evr_number_set_destroy(cpus);
}

/* Blocks of one class in a range of each node. */
static struct evr_pool *pool_on_all(uint64_t page_bytes, struct evr_region **ret_region)
{
	struct evr_region_options options = region_of("near", 4 * MIB, page_bytes);
	struct evr_pool_class class = {BLOCK_BYTES, EACH, 0};
	struct evr_pool_options of = {
		.size = sizeof(of), .classes = &class, .classes_count = 1};
	struct evr_pool *pool;

	options.bytes_max = 16 * MIB;
	options.placement = placed(EVR_POLICY_BIND, "0");
	MUST(evr_region_create(&options, ret_region));
	MUST(evr_pool_create(*ret_region, &of, &pool));
	for (int node = 1; node < NODES; node++) {
		char list[2] = {(char)('0' + node), '\0'};
		struct evr_range_options more = range_of(2 * MIB, list);
		struct evr_pool_growth growth = {.size = sizeof(growth),
						 .payload_bytes = BLOCK_BYTES,
						 .blocks_count = EACH};

		MUST(evr_region_grow(*ret_region, &more, &growth.range));
		MUST(evr_pool_grow(pool, &growth));
	}
	return pool;
}

/* All of them, in order; nobody borrows while there are own ones. */
static void expect_order(struct evr_agent *agent, const int order[NODES])
{
	static struct evr_block blocks[ALL];
	uint64_t borrowed = evr_agent_borrowed(agent);

	for (int i = 0; i < ALL; i++) {
		int node = -1;

		MUST(evr_block_alloc(agent, BLOCK_BYTES, &blocks[i]));
		memset(blocks[i].payload, i, BLOCK_BYTES);
		MUST(evr_address_node(blocks[i].payload, &node));
		wrong_if(node != order[i / EACH], "block %d is on node %d, not %d", i,
			 node, order[i / EACH]);
		wrong_if(i == EACH - 1 && evr_agent_borrowed(agent) != borrowed,
			 "%" PRIu64 " were borrowed at once",
			 evr_agent_borrowed(agent) - borrowed);
	}
	wrong_if(evr_agent_borrowed(agent) - borrowed != ALL - EACH,
		 "%" PRIu64 " were borrowed", evr_agent_borrowed(agent) - borrowed);
	for (int i = 0; i < ALL; i++)
		MUST(evr_block_free(agent, blocks[i].token));
	evr_agent_flush(agent);
}

static void test_near(uint64_t page_bytes, const char *what)
{
	struct evr_region *region;
	struct evr_pool *pool = pool_on_all(page_bytes, &region);
	struct evr_agent agent;

	MUST(evr_agent_open(pool, &agent));
	for (int cpu = 0; cpu < CPUS; cpu++) {
		run_on(cpu);
		expect_order(&agent, order_of_node[node_of_cpu[cpu]]);
	}
	settle("blocks in pages of %s come from the node of the CPU that asks, then "
	       "from the nearest that has some",
	       what);

	MUST(evr_agent_set_node(&agent, 1));
	run_on(0);
	expect_order(&agent, order_of_node[1]);
	settle("blocks in pages of %s come from the node that was asked for, wherever "
	       "the caller runs",
	       what);

	for (int node = 0; node < NODES; node++) {
		struct evr_pool_node_blocks stats = {.size = sizeof(stats)};

		MUST(evr_pool_node_stats(pool, 0, node, &stats));
		wrong_if(stats.blocks != EACH || stats.free != EACH,
			 "node %d: %u blocks, %u free", node, stats.blocks, stats.free);
	}
	settle("blocks in pages of %s are free again on the nodes that they lie on",
	       what);
	evr_agent_close(&agent);
	evr_pool_close(pool);
	evr_region_detach(region);
}

int main(void)
{
	begin(30);
	test_near(EVR_PAGE_4K, "4 KiB");
	test_near(EVR_PAGE_2M, "2 MiB");
	return report_end();
}
