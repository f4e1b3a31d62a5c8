/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * placement.c - regions on a machine with three nodes: each page lies where it was asked
 * to, in the creator, in a peer and in a reader, in pages of each size. The report, the
 * kernel's numa_maps and move_pages() must tell the same numbers.
 */

#include "witness.h"

#include <evering/cpu.h>

#define BYTES (12 * MIB)

struct kind {
	const char *name;
	uint64_t page_bytes;
	uint32_t flags;
	uint64_t unit_bytes; /* what lies in one node in any case */
};

static const struct kind kinds[] = {
	{"pages of 4 KiB", EVR_PAGE_4K, 0, EVR_PAGE_4K},
	{"pages of 2 MiB", EVR_PAGE_2M, 0, EVR_PAGE_2M},
	{"transparent huge pages", EVR_PAGE_4K, EVR_REGION_TRANSPARENT, EVR_PAGE_2M},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct evr_region_options region_in(const struct kind *kind, const char *name,
					   struct evr_placement placement)
{
	struct evr_region_options options = region_of(name, BYTES, kind->page_bytes);

	options.flags = kind->flags;
	options.placement = placement;
	return options;
}

/* Creates it; where its pages are, when all witnesses agree. */
static struct spread spread_of(const struct evr_region_options *options)
{
	struct evr_report *report;
	struct spread spread = {0};
	struct evr_region *region;
	int error = evr_region_create(options, &region);

	if (wrong_if(error < 0, "%s (%s)", evr_strerror(error), evr_error_detail()))
		return spread;
	report = true_report(region, options->name);
	spread = spread_of_report(report);
	wrong_if(options->page_bytes == EVR_PAGE_2M || options->flags ?
			 report->ranges[0].huge_bytes != report->bytes :
			 report->ranges[0].huge_bytes != 0,
		 "%" PRIu64 " of %" PRIu64 " bytes are in huge pages",
		 report->ranges[0].huge_bytes, report->bytes);
	wrong_if(report->ranges[0].policy != options->placement.policy,
		 "the report says policy %u", report->ranges[0].policy);
	evr_region_report_destroy(report);
	evr_region_detach(region);
	return spread;
}

static void test_bound(const struct kind *kind)
{
	for (int node = 0; node < NODES; node++) {
		char list[2] = {(char)('0' + node), '\0'};
		struct evr_region_options options =
			region_in(kind, "bound", placed(EVR_POLICY_BIND, list));
		struct spread spread = spread_of(&options);

		wrong_if(spread.bytes[node] != BYTES,
			 "%" PRIu64 " of %" PRIu64 " bytes are in node %d",
			 spread.bytes[node], BYTES, node);
		settle("a region bound to node %d has all its %s there, by report, "
		       "move_pages and numa_maps",
		       node, kind->name);
	}
}

static void expect_even(const struct spread *spread, const char *list, uint64_t unit)
{
	uint64_t share = BYTES / strlen(list);

	for (int node = 0; node < NODES; node++) {
		uint64_t wanted = strchr(list, '0' + node) ? share : 0;
		uint64_t bytes = spread->bytes[node];

		wrong_if(wanted ? bytes + unit < wanted || bytes > wanted + unit :
				  bytes != 0,
			 "nodes 0-2 have %" PRIu64 ", %" PRIu64 ", %" PRIu64 " KiB",
			 spread->bytes[0] >> 10, spread->bytes[1] >> 10,
			 spread->bytes[2] >> 10);
	}
}

static void test_interleaved(const struct kind *kind)
{
	struct evr_region_options options =
		region_in(kind, "interleaved", placed(EVR_POLICY_INTERLEAVE, "0-2"));
	struct spread spread = spread_of(&options);

	expect_even(&spread, "012", kind->unit_bytes);
	settle("a region interleaved over three nodes has a third of its %s in each",
	       kind->name);
	options.placement = placed(EVR_POLICY_INTERLEAVE, "1,2");
	spread = spread_of(&options);
	expect_even(&spread, "12", kind->unit_bytes);
	settle("a region interleaved over nodes 1 and 2 has half of its %s in each and "
	       "none in node 0",
	       kind->name);
}

/* By CPU 3's choice: "any" is near to whoever creates. */
static void test_near(const struct kind *kind)
{
	struct evr_number_set *cpus = nodes_of("3");
	struct evr_region_options options;
	struct spread spread;

	for (int cpu = 0; cpu < CPUS; cpu++) {
		struct evr_placement near = {.policy = EVR_POLICY_NEAR_CPU, .cpu = cpu};

		options = region_in(kind, "near", near);
		spread = spread_of(&options);
		wrong_if(spread.bytes[node_of_cpu[cpu]] != BYTES,
			 "CPU %d: %" PRIu64 " bytes are in node %d", cpu,
			 spread.bytes[node_of_cpu[cpu]], node_of_cpu[cpu]);
	}
	settle("a region near a CPU has all its %s in that CPU's node", kind->name);

	MUST(evr_cpu_pin(cpus));
	options = region_in(kind, "any", (struct evr_placement){0});
	spread = spread_of(&options);
	wrong_if(spread.bytes[1] != BYTES, "%" PRIu64 " bytes are in node 1",
		 spread.bytes[1]);
	evr_number_set_clear(cpus);
	for (int cpu = 0; cpu < CPUS; cpu++)
		MUST(evr_number_set_add(cpus, cpu));
	MUST(evr_cpu_pin(cpus));
	settle("a region without placement has its %s near to its creator", kind->name);
}

static void test_preferred(void)
{
	struct evr_region_options options =
		region_in(&kinds[1], "preferred", placed(EVR_POLICY_PREFERRED, "2"));
	uint64_t room = node_free_bytes(2);
	struct spread spread;

	options.bytes = (HUGE_PAGES + 4) * EVR_PAGE_2M;
	spread = spread_of(&options);
	wrong_if(spread.bytes[2] != HUGE_PAGES * EVR_PAGE_2M ||
			 spread.bytes[0] + spread.bytes[1] != 4 * EVR_PAGE_2M,
		 "node 2 has %" PRIu64 " of %" PRIu64 " MiB", spread.bytes[2] >> 20,
		 options.bytes >> 20);
	settle("a region of 2 MiB pages that prefers a node takes all that it has, and "
	       "the rest from others");

	options.page_bytes = EVR_PAGE_4K;
	options.bytes = (room + 32 * MIB) / MIB * MIB;
	spread = spread_of(&options);
	wrong_if(spread.bytes[2] < room - 16 * MIB || spread.bytes[2] > room,
		 "node 2 had %" PRIu64 " MiB, %" PRIu64 " were taken", room >> 20,
		 spread.bytes[2] >> 20);
	wrong_if(spread.bytes[0] + spread.bytes[1] < 16 * MIB,
		 "%" PRIu64 " MiB elsewhere",
		 (spread.bytes[0] + spread.bytes[1]) >> 20);
	settle("a region of small pages that prefers a node fills it, and goes on with "
	       "others");
}

/* ---- ranges on different nodes, and a peer that attached before ---- */

enum { BLOCKS_MAX = 512, PAYLOAD_BYTES = 1024 };

static const uint32_t blocks_on[NODES] = {64, 100, 200};
static const int node_of_range[NODES] = {0, 2, 1};

/* What a process has open. */
struct view {
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_uring *uring;
	struct evr_agent agent;
};

static struct view open_view(int fd)
{
	struct view view = {0};

	MUST(evr_region_attach(fd, &view.region));
	MUST(evr_pool_open(view.region, &view.pool));
	MUST(evr_uring_open(view.pool, NULL, 0, 0, &view.uring));
	return view;
}

/* Takes all blocks there are: so many in each node? */
static void expect_blocks(const char *who, struct evr_agent *agent)
{
	struct evr_block blocks[BLOCKS_MAX];
	uint32_t found[NODES] = {0};
	uint32_t count = 0;

	while (count < BLOCKS_MAX &&
	       evr_block_alloc(agent, PAYLOAD_BYTES, &blocks[count]) == 0) {
		int node = -1;

		memset(blocks[count].payload, 1, PAYLOAD_BYTES);
		if (evr_address_node(blocks[count].payload, &node) == 0 && node < NODES)
			found[node]++;
		count++;
	}
	for (int node = 0; node < NODES; node++)
		wrong_if(found[node] != blocks_on[node],
			 "%s finds %u blocks in node %d, not %u", who, found[node], node,
			 blocks_on[node]);
	for (uint32_t i = 0; i < count; i++)
		MUST(evr_block_free(agent, blocks[i].token));
	evr_agent_flush(agent);
}

struct peer {
	int fd;
	int socket;
};

/* Attached before the region grew. Answers each request with the node that its block is
 * in, as this process sees it; then takes all blocks itself. */
static void peer(void *context)
{
	const struct peer *how = context;
	struct view view = open_view(how->fd);
	struct evr_completer *completer;
	struct evr_report *report;
	struct evr_request request;

	MUST(evr_agent_open(view.pool, &view.agent));
	MUST(evr_completer_open(view.uring, &view.agent, NULL, &completer));
	nudge(how->socket);
	for (int i = 0; i < NODES; i++) {
		int node = -1;

		MUST(evr_completer_receive(completer, &request, EVR_NEVER));
		MUST(evr_address_node(request.block.payload, &node));
		*(int *)request.block.payload = node;
		MUST(evr_completer_complete(completer, request.block.token, 0,
					    sizeof(node)));
	}
	wrong_if(!nudged(how->socket), "the parent is gone");
	expect_blocks("the peer", &view.agent);
	report = true_report(view.region, "ranges");
	for (uint32_t i = 0; i < NODES; i++) {
		struct spread spread = spread_of_range(&report->ranges[i]);

		wrong_if(spread.bytes[node_of_range[i]] != report->ranges[i].bytes,
			 "the peer's range %u is not in node %d", i, node_of_range[i]);
	}
}

/* A request in a block of each node; the peer says where it found it. False: there were
 * fewer, and the peer waits for the rest. */
static bool exchange(struct view *view)
{
	struct evr_block blocks[BLOCKS_MAX];
	struct evr_submitter *submitter;
	bool sent[NODES] = {false};
	uint32_t count = 0;

	MUST(evr_submitter_open(view->uring, &view->agent, NULL, &submitter));
	while (count < BLOCKS_MAX &&
	       evr_block_alloc(&view->agent, PAYLOAD_BYTES, &blocks[count]) == 0)
		count++;
	for (uint32_t i = 0; i < count; i++) {
		struct evr_request request = {.block = blocks[i], .length_bytes = 8};
		struct evr_completion done;
		int node = 0;

		MUST(evr_address_node(blocks[i].payload, &node));
		if (sent[node]) {
			MUST(evr_block_free(&view->agent, blocks[i].token));
			continue;
		}
		sent[node] = true;
		*(int *)blocks[i].payload = -1;
		MUST(evr_submitter_submit(submitter, &request, EVR_NEVER));
		MUST(evr_submitter_reap(submitter, &done, EVR_NEVER));
		wrong_if(*(int *)done.block.payload != node,
			 "a block in node %d is in node %d for the peer", node,
			 *(int *)done.block.payload);
		MUST(evr_block_free(&view->agent, done.block.token));
	}
	evr_submitter_close(submitter);
	evr_agent_flush(&view->agent);
	return !wrong_if(!sent[0] || !sent[1] || !sent[2], "no request from each node");
}

static struct view region_with_pool(const struct kind *kind)
{
	struct evr_region_options options =
		region_in(kind, "ranges", placed(EVR_POLICY_BIND, "0"));
	struct evr_pool_class class = {PAYLOAD_BYTES, blocks_on[0], 0};
	struct evr_pool_options pool = {
		.size = sizeof(pool),
		.classes = &class,
		.classes_count = 1,
	};
	struct view view = {0};

	options.bytes = 4 * MIB;
	options.bytes_max = 64 * MIB;
	MUST(evr_region_create(&options, &view.region));
	MUST(evr_pool_create(view.region, &pool, &view.pool));
	MUST(evr_uring_create(view.pool, NULL, &view.uring));
	return view;
}

static void add_range(struct view *view, const struct kind *kind, const char *node)
{
	struct evr_range_options options = {
		.size = sizeof(options),
		.bytes = 2 * MIB,
		.flags = kind->flags,
		.placement = placed(EVR_POLICY_BIND, node),
	};
	struct evr_pool_growth growth = {
		.size = sizeof(growth),
		.payload_bytes = PAYLOAD_BYTES,
		.blocks_count = blocks_on[*node - '0'],
	};

	MUST(evr_region_grow(view->region, &options, &growth.range));
	MUST(evr_pool_grow(view->pool, &growth));
}

static void test_ranges(const struct kind *kind)
{
	struct view view = region_with_pool(kind);
	struct evr_report *report;
	struct peer how = {.fd = evr_region_fd(view.region)};
	int sockets[2];
	pid_t child;

	make_sockets(sockets);
	how.socket = sockets[1];
	child = start_child(peer, &how);
	close(sockets[1]);
	wrong_if(!nudged(sockets[0]), "the peer is gone");
	add_range(&view, kind, "2");
	add_range(&view, kind, "1");
	report = true_report(view.region, "ranges");
	wrong_if(report->ranges_count != NODES, "%u ranges", report->ranges_count);
	for (uint32_t i = 0; i < NODES; i++) {
		struct spread spread = spread_of_range(&report->ranges[i]);

		wrong_if(spread.bytes[node_of_range[i]] != report->ranges[i].bytes,
			 "range %u is not in node %d", i, node_of_range[i]);
		wrong_if(report->ranges[i].nodes_wanted != UINT64_C(1)
								   << node_of_range[i],
			 "range %u: nodes %#" PRIx64 " wanted", i,
			 report->ranges[i].nodes_wanted);
	}
	evr_region_report_destroy(report);
	settle("each range of one region has its %s on its own node", kind->name);

	MUST(evr_agent_open(view.pool, &view.agent));
	expect_blocks("the creator", &view.agent);
	settle("blocks from an extent lie on the node of its range, in %s", kind->name);

	if (!exchange(&view))
		kill(child, SIGKILL);
	settle("a peer that attached before finds each request on the sender's node, in "
	       "%s",
	       kind->name);
	nudge(sockets[0]);
	expect_success(child);
	settle("a peer that attached before has the ranges and their blocks on the same "
	       "nodes, in %s",
	       kind->name);
	close(sockets[0]);
	evr_agent_close(&view.agent);
	evr_uring_close(view.uring);
	evr_pool_close(view.pool);
	evr_region_detach(view.region);
}

/* ---- who else looks ---- */

struct onlooker {
	int fd;
	int socket;
	int (*attach)(int fd, struct evr_region **ret_region);
	struct spread *spread;
	uint64_t *huge_bytes;
};

static void look(void *context)
{
	const struct onlooker *how = context;
	struct evr_report *report;
	struct evr_region *region;

	MUST(how->attach(how->fd, &region));
	report = true_report(region, "seen");
	*how->spread = spread_of_report(report);
	*how->huge_bytes = report->ranges[0].huge_bytes;
	nudge(how->socket);
	nudged(how->socket);
}

static void expect_same_view(struct evr_region *region, const char *who,
			     int (*attach)(int fd, struct evr_region **ret_region))
{
	struct onlooker how = {.fd = evr_region_fd(region), .attach = attach};
	struct evr_report *report = true_report(region, "seen");
	struct spread mine = spread_of_report(report);
	struct spread theirs;
	int sockets[2];
	pid_t child;

	how.spread = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	how.huge_bytes = (uint64_t *)(how.spread + 1);
	make_sockets(sockets);
	how.socket = sockets[1];
	child = start_child(look, &how);
	close(sockets[1]);
	wrong_if(!nudged(sockets[0]), "%s is gone", who);
	theirs = spread_of_numa_maps(child, "seen");
	expect_spread(who, how.spread, &mine);
	expect_spread("its numa_maps", &theirs, &mine);
	wrong_if(*how.huge_bytes != report->ranges[0].huge_bytes,
		 "%s says %" PRIu64 " KiB in huge pages, the creator %" PRIu64, who,
		 *how.huge_bytes >> 10, report->ranges[0].huge_bytes >> 10);
	nudge(sockets[0]);
	expect_success(child);
	close(sockets[0]);
	munmap(how.spread, 4096);
	evr_region_report_destroy(report);
}

static void test_onlookers(const struct kind *kind)
{
	struct evr_region_options options =
		region_in(kind, "seen", placed(EVR_POLICY_INTERLEAVE, "0,2"));
	struct evr_region *region;

	MUST(evr_region_create(&options, &region));
	expect_same_view(region, "the peer", evr_region_attach);
	expect_same_view(region, "the reader", evr_region_attach_read_only);
	evr_region_detach(region);
	settle("a peer and a reader report the same %s on the same nodes as the creator",
	       kind->name);
}

int main(void)
{
	begin(60);
	remember();
	for (size_t i = 0; i < KINDS; i++) {
		test_bound(&kinds[i]);
		test_interleaved(&kinds[i]);
		test_near(&kinds[i]);
		test_ranges(&kinds[i]);
		test_onlookers(&kinds[i]);
	}
	test_preferred();
	SETTLE("all huge pages are free again");
	return report_end();
}
