/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* evr_peer_pages.c - which pages a region is to have, and which it has. */

#include "evr_peer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPU_MAX 1048575

bool peer_parse_pages(const char *text, struct peer_options *ret)
{
	static const struct {
		const char *name;
		uint64_t bytes;
		uint32_t flags;
	} known[] = {
		{"4K", EVR_PAGE_4K, 0},
		{"transparent", EVR_PAGE_4K, EVR_REGION_TRANSPARENT},
		{"2M", EVR_PAGE_2M, 0},
		{"1G", EVR_PAGE_1G, 0},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(text, known[i].name) == 0) {
			ret->page_bytes = known[i].bytes;
			ret->page_flags &= ~(uint32_t)EVR_REGION_TRANSPARENT;
			ret->page_flags |= known[i].flags;
			return true;
		}
	return false;
}

/* "POLICY=REST": the rest; NULL: it is another policy. */
static const char *rest_of(const char *text, const char *policy)
{
	size_t length = strlen(policy);

	if (strncmp(text, policy, length) != 0 || text[length] != '=')
		return NULL;
	return text + length + 1;
}

bool peer_parse_placement(const char *text, struct peer_options *ret)
{
	static const struct {
		const char *name;
		enum evr_policy policy;
	} known[] = {
		{"bind", EVR_POLICY_BIND},
		{"interleave", EVR_POLICY_INTERLEAVE},
		{"preferred", EVR_POLICY_PREFERRED},
	};
	const char *cpu = rest_of(text, "near-cpu");

	if (cpu) {
		char *end;
		long number = strtol(cpu, &end, 10);

		ret->policy = EVR_POLICY_NEAR_CPU;
		ret->cpu = (int)number;
		return *cpu >= '0' && *cpu <= '9' && *end == '\0' && number <= CPU_MAX;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		ret->nodes = rest_of(text, known[i].name);
		ret->policy = known[i].policy;
		if (ret->nodes)
			return true;
	}
	ret->policy = EVR_POLICY_ANY;
	return strcmp(text, "any") == 0;
}

/* The list of --placement, of the nodes that we may use. */
static int read_nodes(const char *list, struct evr_number_set *nodes)
{
	struct evr_number_set *allowed;
	int error = evr_number_set_create(&allowed);

	if (error < 0)
		return error;
	error = evr_node_allowed(allowed);
	if (error == 0)
		error = evr_number_set_parse(nodes, list, allowed);
	evr_number_set_destroy(allowed);
	return error;
}

static int create_on(struct peer *peer, uint64_t bytes, struct evr_number_set *nodes)
{
	const struct peer_options *options = peer->options;
	struct evr_region_options region_options = {
		.size = sizeof(region_options),
		.bytes = bytes,
		.bytes_max = options->bytes_max,
		.page_bytes = options->page_bytes,
		.flags = options->page_flags,
		.placement = {options->policy, options->cpu, nodes},
		.name = "evr-peer",
	};
	int error = options->nodes ? read_nodes(options->nodes, nodes) : 0;

	if (error < 0)
		return peer_failed("no such placement", error);
	error = evr_region_create(&region_options, &peer->region);
	return error < 0 ? peer_failed("cannot create a region", error) : PEER_DONE;
}

int peer_create_region(struct peer *peer, uint64_t bytes)
{
	struct evr_number_set *nodes;
	int status;

	if (evr_number_set_create(&nodes) < 0)
		return peer_complain("no memory");
	status = create_on(peer, bytes, nodes);
	evr_number_set_destroy(nodes);
	return status;
}

/* One line, as all that we say. The pages of a node, over all ranges. */
static void print_report(const struct evr_report *report)
{
	uint64_t huge_bytes = 0;
	uint64_t settle_ns = 0;
	int last = -1;
	char before = '=';

	for (uint32_t i = 0; i < report->ranges_count; i++) {
		huge_bytes += report->ranges[i].huge_bytes;
		settle_ns += report->ranges[i].settle_ns;
	}
	printf("report bytes=%" PRIu64 " bytes_max=%" PRIu64 " page_bytes=%" PRIu64
	       " huge_bytes=%" PRIu64 " ranges=%u settle_us=%" PRIu64 " nodes",
	       report->bytes, report->bytes_max, report->page_bytes, huge_bytes,
	       report->ranges_count, settle_ns / 1000);
	for (;;) {
		uint64_t bytes = 0;
		int node = INT32_MAX;

		for (uint32_t i = 0; i < report->ranges_count; i++) {
			const struct evr_range_report *range = &report->ranges[i];

			for (uint32_t k = 0; k < range->nodes_count; k++) {
				const struct evr_node_bytes *found = &range->nodes[k];

				if (found->node > last && found->node < node) {
					node = found->node;
					bytes = 0;
				}
				if (found->node == node)
					bytes += found->bytes;
			}
		}
		if (node == INT32_MAX)
			break;
		printf("%c%d:%" PRIu64, before, node, bytes / report->page_bytes);
		before = ',';
		last = node;
	}
	printf("\n");
}

int peer_report(const struct peer *peer)
{
	struct evr_report *report;
	int error = evr_region_report(peer->region, &report);

	if (error < 0)
		return peer_failed("cannot look at the region's pages", error);
	print_report(report);
	evr_region_report_destroy(report);
	return PEER_DONE;
}
