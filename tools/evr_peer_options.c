/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* evr_peer_options.c - the command line, checked value by value. */

#include "evr_peer.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_BYTES_MIN 32 /* what a message of ours needs */
#define SIZE_BYTES_MAX (64 << 20)
#define COUNT_MAX      UINT64_C(1000000000000)

const char *const peer_role_names[] = {"submit", "complete", "alloc", "idle"};

static const char help[] =
	"Usage: evr-peer ROLE WHERE [OPTION]...\n"
	"\n"
	"One participant of a shared-memory region: for demonstrations, for debugging,\n"
	"and for trials that kill and stop it from outside.\n"
	"\n"
	"ROLE\n"
	"  submit    sends COUNT requests, takes the answers and checks them; those\n"
	"            that come back because their completer died are sent again\n"
	"  complete  receives requests, holds each, answers it; until COUNT, a\n"
	"            shutdown, or a signal\n"
	"  alloc     allocates and frees COUNT blocks, checking that nobody else\n"
	"            writes to them\n"
	"  idle      is there, and does nothing\n"
	"\n"
	"WHERE\n"
	"  --listen PATH     create a region, and hand it to everyone who connects to\n"
	"                    this Unix socket, until this peer ends\n"
	"  --connect PATH    get it from there; waits up to 5 s for the socket\n"
	"  --region-fd N     attach to the region behind this inherited descriptor\n"
	"\n"
	"OPTION\n"
	"  --count N         how many; 0: without end. Default 1, for complete 0\n"
	"  --size B          bytes of a request or block, 32 to 67108864; default 64\n"
	"  --hold US         microseconds to hold each block in hand: before it is\n"
	"                    sent, answered or freed; default 0\n"
	"  --window N        requests in flight, or blocks held, at once, 1 to 1024;\n"
	"                    default 16\n"
	"  --deadline S      give up after S seconds; default never\n"
	"  --uring NAME      the uring to use, made if it is not there; default uring\n"
	"  --print-ids       a line for each block taken, sent, answered and freed\n"
	"  --shutdown        submit: shut the uring down when done: completers end\n"
	"  --blocks N        of a region that is created: its blocks; default 256\n"
	"  --block-size B    of these blocks; default 4096, or --size if that is more\n"
	"  --bytes B         of a region that is created: its size; default: as needed\n"
	"  --bytes-max B     what it may grow to; default: it does not grow\n"
	"  --pages SIZE      its pages: 4K, transparent, 2M or 1G; default 4K\n"
	"  --prefer          smaller pages will do\n"
	"  --placement WHERE where they are to lie: bind=NODES, interleave=NODES,\n"
	"                    preferred=NODES, near-cpu=N or any; NODES is a list as\n"
	"                    0,2-3, or all; default any\n"
	"  --report          say which pages the region has, and where\n"
	"  --help, --version\n"
	"\n"
	"Lines on standard output: 'evr-peer ROLE pid=P number=N ready' when attached,\n"
	"with the attach number; with --print-ids 'held token=T index=I generation=G\n"
	"at=receive' and the like; at the end 'ROLE number=N ...' with its counts; with\n"
	"--report 'report bytes=B ... nodes=N:PAGES,...' before all others.\n"
	"SIGTERM and SIGINT: leave in good order. SIGUSR1: tell the state of the region\n"
	"on standard error.\n"
	"\n"
	"Examples:\n"
	"  evr-peer complete --listen /tmp/s &\n"
	"  evr-peer submit --connect /tmp/s --count 1000 --shutdown\n"
	"  evr-peer complete --connect /tmp/s --hold 1000000 --print-ids\n"
	"\n"
	"Exit status: 0 done, or told to stop; 1 something failed, or an answer was\n"
	"wrong; 2 wrong usage; 3 the deadline passed before it was done.\n";

enum {
	OPT_LISTEN = 256,
	OPT_CONNECT,
	OPT_REGION_FD,
	OPT_COUNT,
	OPT_SIZE,
	OPT_HOLD,
	OPT_WINDOW,
	OPT_DEADLINE,
	OPT_URING,
	OPT_PRINT_IDS,
	OPT_SHUTDOWN,
	OPT_BLOCKS,
	OPT_BLOCK_SIZE,
	OPT_BYTES,
	OPT_BYTES_MAX,
	OPT_PAGES,
	OPT_PREFER,
	OPT_PLACEMENT,
	OPT_REPORT,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"connect", required_argument, NULL, OPT_CONNECT},
	{"region-fd", required_argument, NULL, OPT_REGION_FD},
	{"count", required_argument, NULL, OPT_COUNT},
	{"size", required_argument, NULL, OPT_SIZE},
	{"hold", required_argument, NULL, OPT_HOLD},
	{"window", required_argument, NULL, OPT_WINDOW},
	{"deadline", required_argument, NULL, OPT_DEADLINE},
	{"uring", required_argument, NULL, OPT_URING},
	{"print-ids", no_argument, NULL, OPT_PRINT_IDS},
	{"shutdown", no_argument, NULL, OPT_SHUTDOWN},
	{"blocks", required_argument, NULL, OPT_BLOCKS},
	{"block-size", required_argument, NULL, OPT_BLOCK_SIZE},
	{"bytes", required_argument, NULL, OPT_BYTES},
	{"bytes-max", required_argument, NULL, OPT_BYTES_MAX},
	{"pages", required_argument, NULL, OPT_PAGES},
	{"prefer", no_argument, NULL, OPT_PREFER},
	{"placement", required_argument, NULL, OPT_PLACEMENT},
	{"report", no_argument, NULL, OPT_REPORT},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

static int usage(const char *what, const char *value, const char *cure)
{
	fprintf(stderr, "evr-peer: %s '%s' is not possible: %s\n", what, value, cure);
	return PEER_USAGE;
}

/* A whole number within bounds, and nothing behind it. */
static int parse_number(const char *name, const char *text, uint64_t min, uint64_t max,
			uint64_t *ret)
{
	char range[80];
	char *end;

	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && number >= min &&
	    number <= max) {
		*ret = number;
		return -1;
	}
	snprintf(range, sizeof(range), "give a number from %" PRIu64 " to %" PRIu64, min,
		 max);
	return usage(name, text, range);
}

static int parse_number32(const char *name, const char *text, uint32_t min, uint32_t max,
			  uint32_t *ret)
{
	uint64_t number = 0;
	int status = parse_number(name, text, min, max, &number);

	if (status < 0)
		*ret = (uint32_t)number;
	return status;
}

static int parse_role(const char *text, enum peer_role *ret)
{
	for (size_t i = 0; i < sizeof(peer_role_names) / sizeof(peer_role_names[0]); i++)
		if (strcmp(text, peer_role_names[i]) == 0) {
			*ret = (enum peer_role)i;
			return -1;
		}
	return usage("ROLE", text, "give submit, complete, alloc or idle");
}

static int parse_one(int found, struct peer_options *ret)
{
	uint64_t number = 0;
	int status;

	switch (found) {
	case OPT_LISTEN:
		ret->listen_path = optarg;
		return -1;
	case OPT_CONNECT:
		ret->connect_path = optarg;
		return -1;
	case OPT_REGION_FD:
		status = parse_number("--region-fd", optarg, 0, INT32_MAX, &number);
		ret->region_fd = (int)number;
		return status;
	case OPT_COUNT:
		return parse_number("--count", optarg, 0, COUNT_MAX, &ret->count);
	case OPT_SIZE:
		return parse_number32("--size", optarg, SIZE_BYTES_MIN, SIZE_BYTES_MAX,
				      &ret->size_bytes);
	case OPT_HOLD:
		return parse_number("--hold", optarg, 0, UINT64_C(3600000000),
				    &ret->hold_us);
	case OPT_WINDOW:
		return parse_number32("--window", optarg, 1, 1024, &ret->window);
	case OPT_DEADLINE:
		return parse_number("--deadline", optarg, 1, 1000000000,
				    &ret->deadline_s);
	case OPT_URING:
		ret->uring = optarg;
		return -1;
	case OPT_PRINT_IDS:
		ret->print_ids = true;
		return -1;
	case OPT_SHUTDOWN:
		ret->shutdown = true;
		return -1;
	case OPT_BLOCKS:
		return parse_number32("--blocks", optarg, 1, 1 << 23, &ret->blocks);
	case OPT_BLOCK_SIZE:
		return parse_number32("--block-size", optarg, 64, SIZE_BYTES_MAX,
				      &ret->block_bytes);
	case OPT_BYTES:
		return parse_number("--bytes", optarg, 4096, UINT64_C(1) << 40,
				    &ret->region_bytes);
	case OPT_BYTES_MAX:
		return parse_number("--bytes-max", optarg, 4096, UINT64_C(1) << 40,
				    &ret->bytes_max);
	case OPT_PAGES:
		return peer_parse_pages(optarg, ret)
			       ? -1
			       : usage("--pages", optarg,
				       "give 4K, transparent, 2M or 1G");
	case OPT_PREFER:
		ret->page_flags |= EVR_REGION_PREFER_PAGES;
		return -1;
	case OPT_PLACEMENT:
		return peer_parse_placement(optarg, ret)
			       ? -1
			       : usage("--placement", optarg,
				       "give bind=NODES, interleave=NODES, "
				       "preferred=NODES, near-cpu=N or any");
	case OPT_REPORT:
		ret->report = true;
		return -1;
	case OPT_HELP:
		fputs(help, stdout);
		return PEER_DONE;
	default:
		printf("evr-peer %s\n", evr_version());
		return PEER_DONE;
	}
}

int peer_parse_options(int argc, char **argv, struct peer_options *ret)
{
	struct peer_options options = {
		.region_fd = -1,
		.uring = "uring",
		.count = UINT64_MAX,
		.size_bytes = 64,
		.window = 16,
		.blocks = 256,
		.block_bytes = 4096,
		.page_bytes = EVR_PAGE_4K,
	};
	int status;
	int found;

	opterr = 0;
	while ((found = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (found == ':')
			return usage("option", argv[optind - 1],
				     "it wants a value; see --help");
		if (found == '?')
			return usage("option", argv[optind - 1],
				     "there is no such option; see --help");
		status = parse_one(found, &options);
		if (status >= 0)
			return status;
	}
	if (optind + 1 != argc)
		return usage("ROLE", optind < argc ? argv[optind + 1] : "",
			     "give one of submit, complete, alloc, idle; see --help");
	status = parse_role(argv[optind], &options.role);
	if (status >= 0)
		return status;
	if ((options.region_fd >= 0) + !!options.listen_path + !!options.connect_path !=
	    1)
		return usage("WHERE", "", "give one of --listen, --connect, --region-fd");
	if (options.count == UINT64_MAX)
		options.count = options.role == PEER_COMPLETE ? 0 : 1;
	if (options.block_bytes < options.size_bytes)
		options.block_bytes = options.size_bytes;
	options.block_bytes = (options.block_bytes + 63) / 64 * 64;
	*ret = options;
	return -1;
}
